package table

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

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

// Piece parts the rows below.
func (p *packedRows) Piece() (event.Rows, error) { return event.PieceOf(p.Rows) }

// eventRows are the rows of a Parquet file, of which only the columns are read
// that are asked for. Their times and numbers stay as they are stored until
// somebody asks for a text.
type eventRows struct {
	r       *Reader
	at      []int // among columns, of each column of the file; -1: not read
	columns []column
	piece   bool       // one batch, which is there already
	idle    *sync.Pool // of columns of pieces that were read
	row     int        // of the batch
	rows    int
	line    int
	cells   []string
	scratch []byte // of texts of cells
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
	if err := e.r.parquet.want(wanted, make([]bool, len(wanted))); err != nil {
		return err
	}
	for k := range e.r.parquet.wanted {
		w := &e.r.parquet.wanted[k]
		w.stored = w.storable()
	}
	return nil
}

// Piece reads a batch, for whoever asks for it. Closing it lends its memory to
// another.
func (e *eventRows) Piece() (event.Rows, error) {
	if e.idle == nil {
		e.idle = &sync.Pool{}
	}
	part := &eventRows{r: e.r, at: e.at, piece: true, idle: e.idle, line: e.line, cells: make([]string, len(e.cells))}
	if old, ok := e.idle.Get().(*[]column); ok {
		part.columns = *old
	} else {
		part.columns = make([]column, len(e.columns))
	}
	var err error
	for part.rows == 0 {
		if part.rows, err = e.r.parquet.next(part.columns); err != nil {
			return nil, err
		}
	}
	e.line += part.rows
	return part, nil
}

// IsTime tells that a column has dates or times.
func (e *eventRows) IsTime(i int) bool {
	kind := e.r.parquet.columns[i].layout.kind
	return kind == date || kind == instant
}

// Text returns the text of a cell, good until the next row.
func (e *eventRows) Text(i int) string {
	k := e.at[i]
	if k < 0 {
		return ""
	}
	c := &e.columns[k]
	if !e.r.parquet.wanted[k].stored {
		return text(c.cell(e.row - 1))
	}
	from := len(e.scratch)
	e.scratch = c.append(e.scratch, e.row-1, &e.r.parquet.columns[i].layout)
	return text(e.scratch[from:])
}

// Texts returns those of all cells.
func (e *eventRows) Texts() []string {
	for i := range e.cells {
		e.cells[i] = e.Text(i)
	}
	return e.cells
}

// Next goes on to the next row. It writes no cells.
func (e *eventRows) Next() (_ []string, err error) {
	for e.row == e.rows {
		if e.piece {
			return nil, io.EOF
		}
		e.row = 0
		if e.rows, err = e.r.parquet.next(e.columns); err != nil {
			e.rows = 0
			return nil, err
		}
	}
	e.scratch = e.scratch[:0]
	e.row++
	e.line++
	return e.cells, nil
}

// Place returns the number of the row.
func (e *eventRows) Place() (line, lines int) { return e.line, 1 }

// Row copies the cells that are read.
func (e *eventRows) Row() []string {
	row := make([]string, len(e.cells))
	for i, c := range e.Texts() {
		row[i] = strings.Clone(c)
	}
	return row
}

func (e *eventRows) Close() error {
	if e.piece {
		e.idle.Put(&e.columns)
		return nil
	}
	return e.r.Close()
}
