package event

import "io"

// Objects reads flat JSON objects, one a line, as rows of a table of any
// columns.
type Objects struct{ rows *ndjsonRows }

// NewObjects begins with the given columns and may go on to most of them.
// before counts the lines of the file in front of r.
func NewObjects(r io.Reader, file string, columns []string, most, before int) *Objects {
	rows := newNDJSON(r, file, columns)
	rows.most, rows.line = most, before
	return &Objects{rows}
}

// Next returns the cells of a row in the order of Columns, good until the next
// call. A *RowError lets reading go on; other errors, among them io.EOF, end it.
func (o *Objects) Next() ([]string, error) { return o.rows.Next() }

// Line is that of the row that Next returned.
func (o *Objects) Line() int { return o.rows.line }

// Columns may grow with every row.
func (o *Objects) Columns() []string { return o.rows.head }

// Has tells whether the row that Next returned has a column, be it null.
func (o *Objects) Has(column string) bool { return o.rows.met[column] }

// Row is what Next returned, as it stands in the file.
func (o *Objects) Row() []string { return o.rows.Row() }
