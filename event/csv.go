package event

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csvRows reads CSV by RFC 4180.
type csvRows struct {
	file  string
	r     *csv.Reader
	in    *meter
	head  []string
	cells []string
	line  int // where the row began that was read last
	lines int
}

// meter counts the bytes handed to the CSV reader, which stops a row that
// does not end.
type meter struct {
	r     io.Reader
	given int64
	start int64 // where the row began that is being read
}

var errRowTooLong = fmt.Errorf("row longer than %d bytes: is a quote not closed?", MaxRowBytes)

func (m *meter) Read(p []byte) (int, error) {
	if m.given-m.start > MaxRowBytes {
		return 0, errRowTooLong
	}
	n, err := m.r.Read(p)
	m.given += int64(n)
	return n, err
}

func newCSV(r io.Reader, file, delimiter string) (*csvRows, error) {
	in := &meter{r: r}
	c := &csvRows{file: file, r: csv.NewReader(in), in: in}
	if delimiter != "" {
		c.r.Comma = []rune(delimiter)[0]
	}
	head, err := c.r.Read()
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("%s:1: the file is empty; the first line must name the columns", file)
	case err != nil:
		return nil, fmt.Errorf("%s:1: header: %w", file, err)
	}
	if len(head) == 1 && strings.ContainsAny(head[0], ";\t|") {
		return nil, fmt.Errorf("%s:1: one column named %.60q: if it is separated by another character, say so with delimiter", file, head[0])
	}
	for i, h := range head {
		head[i] = strings.TrimSpace(h)
		if head[i] == "" {
			continue // an index that a data frame wrote, or a comma at the end
		}
		if err := CheckID("header", head[i]); err != nil {
			return nil, fmt.Errorf("%s:1: column %d: %s", file, i+1, err.(*FieldError).Reason)
		}
	}
	c.head, c.line, c.lines = head, 1, 1+newlines(head)
	c.r.ReuseRecord = true
	return c, nil
}

func (c *csvRows) header() []string  { return c.head }
func (c *csvRows) place() (int, int) { return c.line, c.lines }
func (c *csvRows) text() []string    { return slices.Clone(c.cells) }

func (c *csvRows) next() ([]string, error) {
	// The offset moves with every line, so within a row it would never fall
	// behind what was given: the beginning of the row has to be kept.
	c.in.start = c.r.InputOffset()
	cells, err := c.r.Read()
	c.cells = cells
	var pe *csv.ParseError
	switch {
	case err == nil:
		c.line, _ = c.r.FieldPos(0)
		c.lines = 1 + newlines(cells)
		return cells, nil
	case err == io.EOF:
		return nil, io.EOF
	case errors.As(err, &pe):
		return nil, c.broken(pe)
	case errors.Is(err, errRowTooLong):
		return nil, fmt.Errorf("%s:%d: %w", c.file, c.line+c.lines, err)
	}
	return nil, fmt.Errorf("%s:%d: the file cannot be read on: %w", c.file, c.line+c.lines, err)
}

// broken refuses one row. A quote that is not closed makes one row of many
// lines, and they all count as refused: the text between was lost.
func (c *csvRows) broken(pe *csv.ParseError) *RowError {
	c.line = pe.StartLine
	bad := &RowError{File: c.file, Line: pe.StartLine, Row: c.text()}
	if errors.Is(pe.Err, csv.ErrFieldCount) {
		bad.Lines = 1 + newlines(c.cells)
		bad.Reason = fmt.Sprintf("has %d fields where the header has %d", len(c.cells), len(c.head))
	} else {
		bad.Lines = pe.Line - pe.StartLine + 1
		bad.Reason = pe.Err.Error()
	}
	if bad.Lines > 1 {
		bad.Reason += ", in a row of several lines: is a quote not closed?"
	}
	c.lines = bad.Lines
	return bad
}

func newlines(cells []string) (n int) {
	for _, s := range cells {
		n += strings.Count(s, "\n")
	}
	return n
}
