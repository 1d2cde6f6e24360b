package table

import (
	"errors"
	"fmt"
	"strings"

	"churn/event"
)

// OpenEvents opens a file of one of the six tables of package event: Parquet
// if the mapping or its name says so, else CSV or NDJSON, plain or packed with
// gzip or zstd.
func OpenEvents(path string, s event.Stream, m event.Mapping) (event.Rows, error) {
	if m.Format == "parquet" || m.Format == "" && IsParquet(path) {
		r, err := openParquet(path, nil)
		if err != nil {
			return nil, err
		}
		return &eventRows{r: r}, nil
	}
	in, done, err := openText(path)
	if err != nil {
		return nil, err
	}
	rows, err := event.TextRows(in, path, s, m)
	if err != nil {
		return nil, errors.Join(err, done())
	}
	return &packedRows{rows, done}, nil
}

// packedRows are rows of text with the file below them.
type packedRows struct {
	event.Rows
	close func() error
}

func (p *packedRows) Close() error { return p.close() }

func (p *packedRows) Has(column int) bool { return event.Has(p.Rows, column) }

// eventRows are the rows of a Parquet file, of which only the columns are read
// that are asked for.
type eventRows struct {
	r       *Reader
	at      []int // among columns, of each column of the file; -1: not read
	columns []column
	row     int // of the batch
	rows    int
	line    int
	cells   []string
}

func (e *eventRows) Columns() []string { return e.r.columns }

// Want chooses the columns.
func (e *eventRows) Want(used []bool) error {
	var wanted []int
	e.at = make([]int, len(used))
	for i, u := range used {
		e.at[i] = -1
		if !u {
			continue
		}
		// A time of day is a number to a wide table, and to us nothing.
		if l := &e.r.parquet.columns[i].layout; l.text != "" {
			return fmt.Errorf("%s: column %q: values of type %s are not read; write it as a time, a number or a text, or name it under drop", e.r.name, e.r.columns[i], l.text)
		}
		e.at[i] = len(wanted)
		wanted = append(wanted, i)
	}
	e.columns = make([]column, len(wanted))
	e.cells = make([]string, len(used))
	return e.r.parquet.want(wanted, make([]bool, len(wanted)))
}

// IsTime tells that a column has dates or times.
func (e *eventRows) IsTime(i int) bool {
	kind := e.r.parquet.columns[i].layout.kind
	return kind == date || kind == instant
}

// Next looks at the cells as strings, which change with the next batch.
func (e *eventRows) Next() (_ []string, err error) {
	for e.row == e.rows {
		e.row = 0
		if e.rows, err = e.r.parquet.next(e.columns); err != nil {
			e.rows = 0
			return nil, err
		}
	}
	for i, k := range e.at {
		if k >= 0 {
			e.cells[i] = text(e.columns[k].cell(e.row))
		}
	}
	e.row++
	e.line++
	return e.cells, nil
}

// Place returns the number of the row.
func (e *eventRows) Place() (line, lines int) { return e.line, 1 }

// Row copies the cells that are read.
func (e *eventRows) Row() []string {
	row := make([]string, len(e.cells))
	for i, c := range e.cells {
		row[i] = strings.Clone(c)
	}
	return row
}

func (e *eventRows) Close() error { return e.r.Close() }
