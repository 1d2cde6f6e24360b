package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"churn/event"
)

// walk is where Next stands.
type walk struct {
	block   block
	csv     *event.CSV
	objects *event.Objects
	columns []column // of a batch of Parquet
	row     int      // of the batch
	rows    int
	line    int
	cells   [][]byte
}

// Want names columns of NDJSON that are asked for: they come first, and rows
// may lack them.
func (r *Reader) Want(columns ...string) {
	if r.ndjson && len(r.columns) == 0 {
		r.columns = append(r.columns, columns...)
	}
}

// Next returns the texts of the next row in the order of Columns, and its line,
// which for Parquet is the number of the row. They are good until the next
// call. A *event.RowError lets reading go on, other errors end it. A row of
// NDJSON may add columns.
func (r *Reader) Next() (cells [][]byte, line int, err error) {
	w := &r.walk
	switch {
	case r.parquet != nil:
		if w.row == w.rows {
			if err := r.nextBatch(); err != nil {
				return nil, 0, err
			}
		}
		w.cells = w.cells[:0]
		for k := range w.columns {
			w.cells = append(w.cells, w.columns[k].cell(w.row))
		}
		w.row++
		w.line++
		return w.cells, w.line, nil
	case r.ndjson:
		for {
			if w.objects == nil {
				if err := r.blocks.next(&w.block); err != nil {
					return nil, 0, err
				}
				w.objects = event.NewObjects(bytes.NewReader(w.block.data), r.name, r.columns, MaxColumns, w.block.line-1)
			}
			texts, err := w.objects.Next()
			if err == io.EOF {
				w.objects = nil
				continue
			}
			r.columns = w.objects.Columns()
			w.cells = w.cells[:0]
			for _, s := range texts {
				w.cells = append(w.cells, []byte(s))
			}
			return w.cells, w.objects.Line(), err
		}
	}
	if w.csv == nil {
		w.csv = event.NewCSV(nil, r.name, ',')
		w.csv.Reset(nil, 0)
	}
	for {
		cells, err := nextRow(w.csv, len(r.columns))
		line, _ := w.csv.Place()
		if err != io.EOF {
			return cells, line, err
		}
		if err := r.blocks.next(&w.block); err != nil {
			return nil, 0, err
		}
		w.csv.Reset(w.block.data, w.block.line)
	}
}

// nextRow reads a row of CSV and refuses one with too few or too many cells.
func nextRow(c *event.CSV, columns int) ([][]byte, error) {
	cells, err := c.Next()
	if err == nil && len(cells) != columns {
		return nil, c.Refuse("", fmt.Sprintf("the row does not have %d columns as the header has", columns)+c.Several())
	}
	return cells, err
}

// nextBatch reads all columns as texts.
func (r *Reader) nextBatch() error {
	w := &r.walk
	if w.columns == nil {
		all := make([]int, len(r.columns))
		for i := range all {
			all[i] = i
		}
		if err := r.parquet.want(all, make([]bool, len(all))); err != nil {
			return err
		}
		w.columns = make([]column, len(all))
	}
	var err error
	w.row = 0
	if w.rows, err = r.parquet.next(w.columns); err != nil {
		w.rows = 0
		return err
	}
	if len(w.columns) == 0 {
		return errors.New("no columns")
	}
	return nil
}
