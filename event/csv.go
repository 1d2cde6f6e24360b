package event

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unsafe"
)

// CSV reads rows by RFC 4180, as encoding/csv does, and without allocating
// where it can. A row that is not plainly right is left to encoding/csv, which
// is the judge of what is wrong with it.
type CSV struct {
	name    string
	comma   rune
	in      io.Reader // nil: data is all there is
	least   int       // to read ahead
	ended   error     // what ended in
	data    []byte
	pos     int
	line    int // of pos
	at      int // line of the row that was read last
	lines   int // that it takes up
	cells   [][]byte
	scratch []byte // texts that had doubled quotes
}

// NewCSV reads rows from in. Name is that of the file, for errors.
func NewCSV(in io.Reader, name string, comma rune) *CSV {
	return &CSV{name: name, comma: comma, in: in, least: csvBuffer, line: 1}
}

// Reset goes on with the whole rows in data, the first on the given line.
func (c *CSV) Reset(data []byte, line int) {
	c.in, c.ended, c.data, c.pos, c.line = nil, io.EOF, data, 0, line
}

// Place returns the line on which the row that Next returned begins, and how
// many lines it takes up.
func (c *CSV) Place() (line, lines int) { return c.at, c.lines }

// Refuse makes an error of the row that Next returned.
func (c *CSV) Refuse(column, reason string) *RowError {
	e := &RowError{File: c.name, Line: c.at, Lines: c.lines, Column: column, Reason: reason}
	for _, cell := range c.cells {
		e.Row = append(e.Row, string(cell))
	}
	return e
}

var errRowTooLong = fmt.Errorf("row longer than %d bytes: is a quote not closed?", MaxRowBytes)

// Next returns the cells of a row, however many, good until the next call. A
// *RowError lets reading go on; other errors, among them io.EOF, end it.
func (c *CSV) Next() ([][]byte, error) {
	for {
		rest := c.data[c.pos:]
		switch {
		case len(rest) == 0 || len(rest) == 1 && rest[0] == '\r':
			if c.ended == nil {
				if err := c.fill(); err != nil {
					return nil, err
				}
				continue
			}
			if c.ended != io.EOF {
				return nil, c.unreadable()
			}
			return nil, io.EOF
		case rest[0] == '\n': // empty lines
			c.pos++
			c.line++
			continue
		case rest[0] == '\r' && rest[1] == '\n':
			c.pos += 2
			c.line++
			continue
		}
		c.at = c.line
		end, lines, verdict := c.row()
		switch verdict {
		case plain:
			c.pos, c.line, c.lines = end, c.line+lines, lines
			return c.cells, nil
		case odd:
			return c.slow()
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// unreadable is why the file ends where it should not.
func (c *CSV) unreadable() error {
	return fmt.Errorf("%s:%d: the file cannot be read on: %w", c.name, c.line, c.ended)
}

const csvBuffer = 1 << 16

// fill reads on, behind what is not used yet. There is more to come.
func (c *CSV) fill() error {
	rest := len(c.data) - c.pos
	switch {
	case c.ended != nil:
		return c.unreadable()
	case rest > MaxRowBytes:
		c.ended = errRowTooLong
		return fmt.Errorf("%s:%d: %w", c.name, c.line, errRowTooLong)
	}
	want := min(max(c.least, 2*rest), MaxRowBytes+csvBuffer)
	data := c.data[:0]
	if cap(data) < want {
		data = make([]byte, 0, want)
	}
	c.data = append(data, c.data[c.pos:]...)
	c.pos = 0
	for c.ended == nil && len(c.data) < want {
		n, err := c.in.Read(c.data[len(c.data):want])
		c.data, c.ended = c.data[:len(c.data)+n], err
	}
	return nil
}

// verdict says what row makes of a row.
type verdict uint8

const (
	plain verdict = iota
	odd           // for encoding/csv to judge
	cut           // more of it is to be read
)

// row splits the row at pos.
func (c *CSV) row() (end, lines int, v verdict) {
	c.cells, c.scratch = c.cells[:0], c.scratch[:0]
	if c.comma >= 0x80 || c.comma <= '\r' && c.comma != '\t' || c.comma == '"' {
		return 0, 0, odd
	}
	data, i, comma := c.data, c.pos, byte(c.comma)
	short := plain // what a row is that ends with the data
	if c.ended != io.EOF {
		short = cut
	}
	lines = 1
	for {
		if i < len(data) && data[i] == '"' {
			cell, next, v := c.quoted(i + 1)
			if v != plain {
				return 0, 0, v
			}
			lines += bytes.Count(data[i:next], []byte{'\n'})
			c.cells = append(c.cells, cell)
			rest := data[next:]
			switch {
			case len(rest) == 0:
				return next, lines, short
			case rest[0] == comma:
				i = next + 1
				continue
			case rest[0] == '\n':
				return next + 1, lines, plain
			case rest[0] == '\r' && len(rest) > 1 && rest[1] == '\n':
				return next + 2, lines, plain
			case rest[0] == '\r' && len(rest) == 1 && short == cut:
				return 0, 0, cut
			}
			return 0, 0, odd
		}
		start := i
		for i < len(data) && data[i] != comma && data[i] != '\n' {
			if data[i] == '"' {
				return 0, 0, odd
			}
			i++
		}
		if i < len(data) && data[i] == comma {
			c.cells = append(c.cells, data[start:i])
			i++
			continue
		}
		if i == len(data) && short == cut {
			return 0, 0, cut
		}
		cell := data[start:i]
		if n := len(cell); n > 0 && cell[n-1] == '\r' {
			cell = cell[:n-1]
		}
		c.cells = append(c.cells, cell)
		return min(i+1, len(data)), lines, plain
	}
}

// quoted reads a text up to its closing quote and returns what follows.
func (c *CSV) quoted(start int) (cell []byte, next int, v verdict) {
	data, from := c.data, len(c.scratch)
	for i := start; ; {
		k := bytes.IndexByte(data[i:], '"')
		if k < 0 || i+k+1 == len(data) && c.ended != io.EOF {
			if c.ended != io.EOF {
				return nil, 0, cut
			}
			return nil, 0, odd
		}
		k += i
		if k+1 < len(data) && data[k+1] == '"' {
			c.scratch = append(c.scratch, data[i:k+1]...)
			i = k + 2
			continue
		}
		cell = data[i:k]
		if len(c.scratch) > from {
			c.scratch = append(c.scratch, cell...)
			cell = c.scratch[from:]
		}
		// encoding/csv drops a return before a line end, also in quotes.
		if bytes.IndexByte(cell, '\r') >= 0 {
			return nil, 0, odd
		}
		return cell, k + 1, plain
	}
}

// slow has encoding/csv read the row. A quote that is not closed makes one row
// of many lines, and they all count as refused: the text between was lost.
func (c *CSV) slow() ([][]byte, error) {
	for {
		r := csv.NewReader(bytes.NewReader(c.data[c.pos:]))
		r.Comma, r.FieldsPerRecord = c.comma, -1
		record, err := r.Read()
		end := c.pos + int(r.InputOffset())
		var pe *csv.ParseError
		if err != nil && err != io.EOF && !errors.As(err, &pe) {
			return nil, fmt.Errorf("%s:%d: %w", c.name, c.line, err)
		}
		if c.ended != io.EOF && end == len(c.data) { // the row may go on
			if err := c.fill(); err != nil {
				return nil, err
			}
			continue
		}
		if err == io.EOF {
			return nil, io.EOF
		}
		raw := c.data[c.pos:end]
		c.pos, c.line, c.lines = end, c.line+bytes.Count(raw, []byte{'\n'}), 1
		c.cells = c.cells[:0]
		if pe == nil {
			for _, s := range record {
				c.lines += strings.Count(s, "\n")
				c.cells = append(c.cells, []byte(s))
			}
			return c.cells, nil
		}
		c.lines = pe.Line - pe.StartLine + 1
		c.cells = append(c.cells, []byte(strings.ToValidUTF8(string(raw[:min(len(raw), 1<<12)]), "\uFFFD")))
		return nil, c.Refuse("", pe.Err.Error()+c.Several())
	}
}

// Several adds to the reason why a row is refused, if it has several lines.
func (c *CSV) Several() string {
	if c.lines > 1 {
		return ", in a row of several lines: is a quote not closed?"
	}
	return ""
}

// csvRows are the rows of a CSV file under its header.
type csvRows struct {
	*CSV
	head  []string
	texts []string
}

func newCSV(r io.Reader, file, delimiter string) (*csvRows, error) {
	comma := ','
	if delimiter != "" {
		comma = []rune(delimiter)[0]
	}
	c := &csvRows{CSV: NewCSV(r, file, comma)}
	if err := c.header(); err != nil {
		return nil, err
	}
	return c, nil
}

// header reads the first row.
func (c *csvRows) header() error {
	c.at = c.line
	cells, err := c.slow()
	var bad *RowError
	switch {
	case err == io.EOF:
		return fmt.Errorf("%s:1: the file is empty; the first line must name the columns", c.name)
	case errors.As(err, &bad):
		return fmt.Errorf("%s:%d: header: %s", c.name, bad.Line, bad.Reason)
	case err != nil:
		return fmt.Errorf("%s:1: header: %w", c.name, errors.Unwrap(err))
	}
	if len(cells) == 1 && bytes.ContainsAny(cells[0], ";\t|") {
		return fmt.Errorf("%s:1: one column named %.60q: if it is separated by another character, say so with delimiter", c.name, cells[0])
	}
	for i, cell := range cells {
		name := string(bytes.TrimSpace(cell))
		if name != "" { // else an index that a data frame wrote, or a comma at the end
			if err := CheckID("header", name); err != nil {
				return fmt.Errorf("%s:1: column %d: %s", c.name, i+1, err.(*FieldError).Reason)
			}
		}
		c.head = append(c.head, name)
	}
	return nil
}

func (c *csvRows) Columns() []string { return c.head }

func (c *csvRows) Row() []string { return c.Refuse("", "").Row }

// Next looks at the cells as strings, which change with the next row.
func (c *csvRows) Next() ([]string, error) {
	cells, err := c.CSV.Next()
	if err != nil {
		return nil, err
	}
	if len(cells) != len(c.head) {
		return nil, c.Refuse("", fmt.Sprintf("has %d fields where the header has %d", len(cells), len(c.head))+c.Several())
	}
	c.texts = c.texts[:0]
	for _, cell := range cells {
		c.texts = append(c.texts, unsafe.String(unsafe.SliceData(cell), len(cell)))
	}
	return c.texts, nil
}

func (c *csvRows) Close() error { return nil }
