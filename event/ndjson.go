package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ndjsonRows reads one flat JSON object a line. Columns appear as they are
// met; a key that a row lacks is an empty cell.
type ndjsonRows struct {
	file  string
	in    *bufio.Scanner
	line  int
	raw   []byte // of the line, good until the next one
	head  []string
	index map[string]int
	cells []string
	met   map[string]bool // keys of the row being read
	most  int             // columns there may be
}

// newNDJSON begins with the columns that will be asked for: a key may be
// absent from the first rows, or from all.
func newNDJSON(r io.Reader, file string, columns []string) *ndjsonRows {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), MaxRowBytes)
	n := &ndjsonRows{file: file, in: in, index: map[string]int{}, met: map[string]bool{}, most: MaxAttributes}
	for _, name := range columns {
		n.column(name)
	}
	return n
}

func (n *ndjsonRows) Columns() []string { return n.head }
func (n *ndjsonRows) Place() (int, int) { return n.line, 1 }
func (n *ndjsonRows) Row() []string     { return []string{strings.ToValidUTF8(string(n.raw), "\uFFFD")} }
func (n *ndjsonRows) Close() error      { return nil }

// Has tells whether the row has the key of a column, be it null.
func (n *ndjsonRows) Has(column int) bool { return n.met[n.head[column]] }

// column returns the place of a column, which may be a new one.
func (n *ndjsonRows) column(name string) int {
	i, ok := n.index[name]
	if !ok {
		i = len(n.head)
		n.index[name] = i
		n.head = append(n.head, name)
		n.cells = append(n.cells, "")
	}
	return i
}

func (n *ndjsonRows) Next() ([]string, error) {
	for n.in.Scan() {
		n.line++
		if n.raw = bytes.TrimSpace(n.in.Bytes()); len(n.raw) == 0 {
			continue
		}
		clear(n.cells)
		if err := n.object(n.raw); err != nil {
			return nil, &RowError{File: n.file, Line: n.line, Lines: 1, Reason: err.Error(), Row: n.Row()}
		}
		return n.cells, nil
	}
	err := n.in.Err()
	switch {
	case err == nil:
		return nil, io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: line longer than %d bytes: is it one JSON object a line?", n.file, n.line+1, MaxRowBytes)
	}
	return nil, fmt.Errorf("%s:%d: the file cannot be read on: %w", n.file, n.line+1, err)
}

// object reads one flat object token by token, because encoding/json would
// silently keep the last of two equal keys. It would also turn bytes that are
// no UTF-8 and halves of surrogate pairs into the same replacement character,
// which makes one id of two.
func (n *ndjsonRows) object(text []byte) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("not valid UTF-8")
	}
	if loneSurrogate(text) {
		return fmt.Errorf("contains half of a surrogate pair")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("not a JSON object")
	}
	clear(n.met)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("broken JSON: %w", err)
		}
		name := key.(string)
		if n.met[name] {
			return fmt.Errorf("key %.40q appears twice", name)
		}
		n.met[name] = true
		value, err := d.Token()
		if err != nil {
			return fmt.Errorf("broken JSON: %w", err)
		}
		var cell string
		switch v := value.(type) {
		case nil:
		case string:
			cell = v
		case json.Number:
			cell = v.String()
		case bool:
			cell = strconv.FormatBool(v)
		default:
			return fmt.Errorf("key %.40q holds a nested value; rows are flat", name)
		}
		if _, ok := n.index[name]; !ok && (CheckID(name, name) != nil || len(n.head) >= n.most) {
			return fmt.Errorf("key %.40q cannot be a column", name)
		}
		n.cells[n.column(name)] = cell
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("broken JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more than one JSON value on the line")
	}
	return nil
}

// loneSurrogate looks for an escape \uD800 to \uDFFF that is not part of a
// pair, in text that need not be good JSON.
func loneSurrogate(text []byte) bool {
	if !bytes.Contains(text, []byte(`\u`)) {
		return false
	}
	high := false // the last escape was the first half of a pair, and nothing came since
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			if high {
				return true
			}
			continue
		}
		i++ // past the backslash, to what it escapes
		var code uint64
		if i+4 < len(text) && text[i] == 'u' {
			code, _ = strconv.ParseUint(string(text[i+1:i+5]), 16, 32)
			i += 4
		}
		low := code >= 0xdc00 && code < 0xe000
		if high != low {
			return true
		}
		high = code >= 0xd800 && code < 0xdc00
	}
	return high
}
