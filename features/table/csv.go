package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"churn/event"
)

// csvRows reads the rows of one block by RFC 4180, as encoding/csv does, and
// without allocating where it can.
type csvRows struct {
	name    string
	columns int
	data    []byte
	pos     int
	line    int // of pos
	at      int // line of the row that was read last
	cells   [][]byte
	scratch []byte // texts that had doubled quotes
}

func (c *csvRows) reset(b *block) { c.data, c.pos, c.line = b.data, 0, b.line }

// next returns the cells of a row, good until the next call, nil at the end.
func (c *csvRows) next() ([][]byte, *event.RowError) {
	for c.pos < len(c.data) { // empty lines
		rest := c.data[c.pos:]
		if rest[0] == '\n' {
			c.pos++
		} else if rest[0] == '\r' && (len(rest) == 1 || rest[1] == '\n') {
			c.pos += min(2, len(rest))
		} else {
			break
		}
		c.line++
	}
	if c.pos >= len(c.data) {
		return nil, nil
	}
	c.at = c.line
	end, lines, ok := c.row()
	if !ok {
		return c.slow()
	}
	c.pos, c.line = end, c.line+lines
	return c.counted(lines)
}

// counted refuses a row with too few or too many cells.
func (c *csvRows) counted(lines int) ([][]byte, *event.RowError) {
	if len(c.cells) == c.columns {
		return c.cells, nil
	}
	reason := fmt.Sprintf("the row does not have %d columns as the header has", c.columns)
	if lines > 1 {
		reason += ", in a row of several lines: is a quote not closed?"
	}
	return nil, c.refuse(lines, "", reason)
}

// refuse makes an error of the row that was read last.
func (c *csvRows) refuse(lines int, column, reason string) *event.RowError {
	e := &event.RowError{File: c.name, Line: c.at, Lines: lines, Column: column, Reason: reason}
	for _, cell := range c.cells {
		e.Row = append(e.Row, string(cell))
	}
	return e
}

// row splits the row at pos. Whatever is not plainly right is not ok.
func (c *csvRows) row() (end, lines int, ok bool) {
	c.cells, c.scratch = c.cells[:0], c.scratch[:0]
	data, i := c.data, c.pos
	lines = 1
	for {
		if i < len(data) && data[i] == '"' {
			cell, next, ok := c.quoted(i + 1)
			if !ok {
				return 0, 0, false
			}
			lines += bytes.Count(data[i:next], []byte{'\n'})
			c.cells = append(c.cells, cell)
			rest := data[next:]
			switch {
			case len(rest) == 0:
				return next, lines, true
			case rest[0] == ',':
				i = next + 1
				continue
			case rest[0] == '\n':
				return next + 1, lines, true
			case rest[0] == '\r' && len(rest) > 1 && rest[1] == '\n':
				return next + 2, lines, true
			}
			return 0, 0, false
		}
		start := i
		for i < len(data) && data[i] != ',' && data[i] != '\n' {
			if data[i] == '"' {
				return 0, 0, false
			}
			i++
		}
		if i < len(data) && data[i] == ',' {
			c.cells = append(c.cells, data[start:i])
			i++
			continue
		}
		cell := data[start:i]
		if n := len(cell); n > 0 && cell[n-1] == '\r' {
			cell = cell[:n-1]
		}
		c.cells = append(c.cells, cell)
		return min(i+1, len(data)), lines, true
	}
}

// quoted reads a text up to its closing quote and returns what follows.
func (c *csvRows) quoted(start int) (cell []byte, next int, ok bool) {
	data, from := c.data, len(c.scratch)
	for i := start; ; {
		k := bytes.IndexByte(data[i:], '"')
		if k < 0 {
			return nil, 0, false
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
		return cell, k + 1, bytes.IndexByte(cell, '\r') < 0
	}
}

// slow has encoding/csv read the row: it is the judge of what is wrong.
func (c *csvRows) slow() ([][]byte, *event.RowError) {
	r := csv.NewReader(bytes.NewReader(c.data[c.pos:]))
	r.FieldsPerRecord = -1
	record, err := r.Read()
	end := c.pos + int(r.InputOffset())
	raw := c.data[c.pos:end]
	lines := max(1, bytes.Count(raw, []byte{'\n'}))
	c.pos, c.line = end, c.line+lines
	if err != nil {
		c.cells = append(c.cells[:0], []byte(strings.ToValidUTF8(string(raw[:min(len(raw), 1<<12)]), "\uFFFD")))
		var pe *csv.ParseError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		reason := err.Error()
		if lines > 1 {
			reason += ", in a row of several lines: is a quote not closed?"
		}
		return nil, c.refuse(lines, "", reason)
	}
	c.cells = c.cells[:0]
	for _, s := range record {
		c.cells = append(c.cells, []byte(s))
	}
	return c.counted(lines)
}
