package table

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"churn/event"
	"churn/features"
)

// Plan says which columns of a table make rows.
type Plan struct {
	// Unused are columns of the table that nobody asked for; of NDJSON see
	// Chunk.Unused.
	Unused []string

	r      *Reader
	inputs []features.Input
	id     string
	at     []int // column of each input
	idAt   int   // column of the id, -1 for none
	known  []string
	asOf   int // of Parquet: place among those wanted of the column of instants, 0 for none
}

// Plan prepares to read rows. id is the column of ids, or empty; known are
// further columns that must be there and are not read. NDJSON may lack columns
// in any row: see Chunk.Absent.
func (r *Reader) Plan(inputs []features.Input, id string, known []string) (*Plan, error) {
	p := &Plan{r: r, inputs: inputs, id: id, idAt: -1, known: known}
	if r.ndjson {
		for i := range inputs {
			r.columns = append(r.columns, inputs[i].Name)
			p.at = append(p.at, i)
		}
		if id != "" {
			if p.idAt = slices.Index(r.columns, id); p.idAt < 0 {
				p.idAt = len(r.columns)
				r.columns = append(r.columns, id)
			}
		}
		return p, nil
	}
	used := map[string]bool{}
	for _, c := range append([]string{id}, known...) {
		if c == "" {
			continue
		}
		if used[c] = true; !slices.Contains(r.columns, c) {
			return nil, fmt.Errorf("%s:1: no column %q; the header has %s", r.name, c, Names(r.columns))
		}
	}
	p.idAt = slices.Index(r.columns, id)
	if id == "" {
		p.idAt = -1
	}
	var lacking []string
	for i := range inputs {
		name := inputs[i].Name
		used[name] = true
		if p.at = append(p.at, slices.Index(r.columns, name)); p.at[i] < 0 {
			lacking = append(lacking, name)
		}
	}
	if lacking != nil {
		return nil, &LackingError{lacking}
	}
	for _, c := range r.columns {
		if !used[c] {
			p.Unused = append(p.Unused, c)
		}
	}
	if r.parquet == nil {
		return p, nil
	}
	columns, number := slices.Clone(p.at), make([]bool, len(inputs))
	for i := range inputs {
		number[i] = inputs[i].Kind() == features.Number
	}
	if p.idAt >= 0 {
		columns, number = append(columns, p.idAt), append(number, false)
	}
	return p, r.parquet.want(columns, number)
}

// LackingError names columns that a model needs and a table does not have.
type LackingError struct{ Columns []string }

func (e *LackingError) Error() string {
	word := "column"
	if len(e.Columns) > 1 {
		word = "columns"
	}
	return fmt.Sprintf("the table has no %s %s, which the model needs", word, quoted(e.Columns))
}

// Names lists columns for people, the first 40.
func Names(columns []string) string {
	s := strings.Join(columns[:min(len(columns), 40)], ", ")
	if n := len(columns) - 40; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

func quoted(columns []string) string {
	q := make([]string, len(columns))
	for i, c := range columns {
		q[i] = fmt.Sprintf("%q", c)
	}
	return Names(q)
}

// Chunk is a piece of a table. Reuse it: its memory is.
type Chunk struct {
	Values []float32 // row by row, those that were not refused
	// Rows counts all rows, those refused among them.
	Rows    int
	Refused []*event.RowError
	// Of each input: texts that are no number or levels that are not known, in
	// all rows; values that are missing, odd numbers among them, in those not
	// refused; and whether a row had the column at all, which NDJSON may not.
	Odd, Missing []int
	Present      []bool
	Unused       []string // columns of NDJSON that nobody asked for

	plan    *Plan
	block   block
	csv     *event.CSV
	columns []column // of Parquet
	first   int      // number of the first row of a batch of Parquet
	ids     []byte
	idText  string // the same, as one text: the rows share it
	idEnds  []int
	asOf    []event.Time
	numbers []int // of each row that was not refused, in the chunk, from 0
}

// NewChunk returns an empty chunk.
func (p *Plan) NewChunk() *Chunk {
	n := len(p.inputs)
	c := &Chunk{plan: p, Odd: make([]int, n), Missing: make([]int, n), Present: make([]bool, n),
		csv: event.NewCSV(nil, p.r.name, ',')}
	if p.r.parquet != nil {
		c.columns = make([]column, len(p.r.parquet.wanted))
	}
	return c
}

// Read reads the next piece of the file into the chunk, or returns io.EOF.
func (c *Chunk) Read() (err error) {
	r := c.plan.r
	if r.parquet == nil {
		return r.blocks.next(&c.block)
	}
	c.first = r.parquet.row + 1
	c.Rows, err = r.parquet.next(c.columns)
	return err
}

// Len is the number of rows that were not refused.
func (c *Chunk) Len() int { return len(c.numbers) }

// Row returns the values of a row.
func (c *Chunk) Row(i int) []float32 {
	n := len(c.plan.inputs)
	return c.Values[i*n : (i+1)*n : (i+1)*n]
}

// HasIDs tells whether the table has a column of ids.
func (c *Chunk) HasIDs() bool { return c.plan.idAt >= 0 }

// ID returns the id of a row. A table without ids needs NumberFrom first.
func (c *Chunk) ID(i int) string {
	start := 0
	if i > 0 {
		start = c.idEnds[i-1]
	}
	return c.idText[start:c.idEnds[i]]
}

// NumberFrom makes ids of the numbers of the rows, where first is that of the
// first row of the chunk. Rows that are refused have their numbers too.
func (c *Chunk) NumberFrom(first int) {
	c.ids, c.idEnds = c.ids[:0], c.idEnds[:0]
	for _, n := range c.numbers {
		c.ids = strconv.AppendInt(c.ids, int64(first+n), 10)
		c.idEnds = append(c.idEnds, len(c.ids))
	}
	c.idText = string(c.ids)
}

// Parse makes rows of what Read has read. An error ends the reading; rows that
// are wrong are in Refused.
func (c *Chunk) Parse() error {
	err := c.parse()
	c.idText = string(c.ids)
	return err
}

func (c *Chunk) parse() error {
	c.Values, c.ids, c.idEnds, c.numbers, c.Refused = c.Values[:0], c.ids[:0], c.idEnds[:0], c.numbers[:0], nil
	c.asOf = c.asOf[:0]
	clear(c.Odd)
	clear(c.Missing)
	switch {
	case c.plan.r.parquet != nil:
		return c.parseColumns()
	case c.plan.r.ndjson:
		return c.parseObjects()
	}
	c.Rows = 0
	c.csv.Reset(c.block.data, c.block.line)
	for i := range c.Present {
		c.Present[i] = true
	}
	for {
		cells, err := nextRow(c.csv, len(c.plan.r.columns))
		bad, refused := err.(*event.RowError)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !refused:
			return err
		case !refused:
			if column, reason := c.row(cells); reason != "" {
				bad = c.csv.Refuse(column, reason)
			}
		}
		if bad != nil {
			c.Refused = append(c.Refused, bad)
		}
		c.Rows++
	}
}

// row adds a row of texts, or says what is wrong with it.
func (c *Chunk) row(cells [][]byte) (column, reason string) {
	n := len(c.Values)
	for i := range c.plan.inputs {
		v, verdict := c.plan.inputs[i].Text(text(cells[c.plan.at[i]]))
		if verdict == features.Beyond {
			c.Values = c.Values[:n]
			return c.plan.inputs[i].Name, beyond
		}
		c.Values = append(c.Values, v)
		if verdict == features.Odd {
			c.Odd[i]++
		}
	}
	if c.plan.idAt >= 0 {
		if reason = c.addID(cells[c.plan.idAt]); reason != "" {
			c.Values = c.Values[:n]
			return c.plan.id, reason
		}
	}
	c.done(n)
	return "", ""
}

const beyond = "an infinity, or a number beyond those of 32 bits"

// done counts what is missing in a row and gives it its number.
func (c *Chunk) done(n int) {
	for i, v := range c.Values[n:] {
		if v != v {
			c.Missing[i]++
		}
	}
	c.numbers = append(c.numbers, c.Rows)
}

// addID checks and keeps an id.
func (c *Chunk) addID(cell []byte) (reason string) {
	cell = bytes.TrimSpace(cell)
	if err := event.CheckID(c.plan.id, text(cell)); err != nil {
		return err.(*event.FieldError).Reason
	}
	c.ids = append(c.ids, cell...)
	c.idEnds = append(c.idEnds, len(c.ids))
	return ""
}

// parseObjects reads NDJSON.
func (c *Chunk) parseObjects() error {
	p := c.plan
	c.Rows = 0
	wanted := p.r.columns
	o := event.NewObjects(bytes.NewReader(c.block.data), p.r.name, wanted, MaxColumns, c.block.line-1)
	absent := slices.Contains(c.Present, false)
	var cells [][]byte
	for {
		texts, err := o.Next()
		bad, refused := err.(*event.RowError)
		switch {
		case err == io.EOF:
			for _, name := range o.Columns()[len(wanted):] {
				if !slices.Contains(c.Unused, name) && !slices.Contains(p.known, name) {
					c.Unused = append(c.Unused, name)
				}
			}
			return nil
		case err != nil && !refused:
			return err
		case !refused:
			cells = cells[:0]
			for _, s := range texts {
				cells = append(cells, []byte(s))
			}
			if column, reason := c.row(cells); reason != "" {
				bad = &event.RowError{File: p.r.name, Line: o.Line(), Lines: 1, Column: column, Reason: reason, Row: o.Row()}
			}
			if absent {
				absent = false
				for i := range p.inputs {
					c.Present[i] = c.Present[i] || o.Has(p.inputs[i].Name)
					absent = absent || !c.Present[i]
				}
			}
		}
		if bad != nil {
			c.Refused = append(c.Refused, bad)
		}
		c.Rows++
	}
}

// parseColumns makes rows of columns of Parquet.
func (c *Chunk) parseColumns() error {
	p, rows, n := c.plan, c.Rows, len(c.plan.inputs)
	values := slices.Grow(c.Values, rows*n)[:rows*n]
	wrong := map[int]int{} // row: the first input that is no value
	for j := range p.inputs {
		in, col := &p.inputs[j], &c.columns[j]
		c.Present[j] = true
		for i := range rows {
			var v float32
			var verdict features.Verdict
			if len(col.numbers) > 0 {
				v, verdict = in.Number(col.numbers[i])
			} else {
				v, verdict = in.Text(text(col.cell(i)))
			}
			values[i*n+j] = v
			if _, already := wrong[i]; verdict == features.Beyond && !already {
				wrong[i] = j
			} else if verdict == features.Odd {
				c.Odd[j]++
			}
		}
	}
	c.Rows = 0
	for i := range rows {
		row := values[i*n : (i+1)*n]
		column, reason := "", ""
		at, err := c.instant(i)
		if j, bad := wrong[i]; bad {
			column, reason = p.inputs[j].Name, beyond
		} else if err != nil {
			column, reason = p.r.parquet.wanted[p.asOf].name, err.Error()
		} else if p.idAt >= 0 {
			if reason = c.addID(c.columns[n].cell(i)); reason != "" {
				column = p.id
			}
		}
		if reason != "" {
			c.Refused = append(c.Refused, &event.RowError{File: p.r.name, Line: c.first + i, Lines: 1, Column: column, Reason: reason, Row: c.cells(i)})
		} else {
			start := len(c.Values)
			c.Values = append(c.Values, row...) // at or before where it was
			c.asOf = append(c.asOf, at)
			c.done(start)
		}
		c.Rows++
	}
	return nil
}

// cells writes what was read of a row of Parquet, for the rejects file.
func (c *Chunk) cells(i int) []string {
	var cells []string
	for k := range c.columns {
		if col := &c.columns[k]; len(col.numbers) > 0 {
			v := ""
			if x := col.numbers[i]; !math.IsNaN(x) {
				v = fmt.Sprint(x)
			}
			cells = append(cells, v)
		} else {
			cells = append(cells, string(col.cell(i)))
		}
	}
	return cells
}

// text looks at bytes as a string. Nobody keeps it: the bytes are reused.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
