package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"churn/event"
)

// blockSize is how much text a chunk has: some thousand rows.
const blockSize = 1 << 20

// blocks cuts a text into pieces of whole rows.
type blocks struct {
	name string
	in   io.Reader
	cut  func([]byte) int // length of the whole rows in front; nil: of the lines
	size int
	line int    // at which the next block begins
	rest []byte // read, and not yet handed out
	err  error  // what ended reading
}

// block is a piece of text.
type block struct {
	data []byte
	line int // of the first byte, from 1
}

// next fills in the next piece, reusing its memory, or returns io.EOF.
func (b *blocks) next(out *block) error {
	data := append(out.data[:0], b.rest...)
	b.rest = b.rest[:0]
	want := b.size
	for {
		for b.err == nil && len(data) < want {
			if cap(data)-len(data) < 1<<12 {
				grown := make([]byte, len(data), max(want+1<<12, 2*cap(data)))
				copy(grown, data)
				data = grown
			}
			var n int
			n, b.err = b.in.Read(data[len(data):cap(data)])
			data = data[:len(data)+n]
		}
		out.data, out.line = data, b.line
		if b.err == io.EOF {
			if len(data) == 0 {
				return io.EOF
			}
			return b.hand(out, len(data))
		}
		n := bytes.LastIndexByte(data, '\n') + 1
		if b.cut != nil {
			n = b.cut(data)
		}
		if n > 0 {
			return b.hand(out, n)
		}
		if b.err != nil {
			return fmt.Errorf("%s:%d: the file cannot be read on: %w", b.name, b.line, b.err)
		}
		if len(data) > event.MaxRowBytes {
			// A quote is not closed: whoever reads the row finds out.
			if n = bytes.LastIndexByte(data, '\n') + 1; n > 0 && b.cut != nil {
				return b.hand(out, n)
			}
			b.err = fmt.Errorf("%s:%d: row longer than %d bytes", b.name, b.line, event.MaxRowBytes)
			return b.err
		}
		want = min(2*len(data), event.MaxRowBytes+1)
	}
}

// hand keeps what comes after the first n bytes for the next block.
func (b *blocks) hand(out *block, n int) error {
	b.rest = append(b.rest, out.data[n:]...)
	out.data = out.data[:n]
	b.line += bytes.Count(out.data, []byte{'\n'})
	return nil
}

// cutCSV finds the last line end outside of quotes.
func cutCSV(data []byte) int {
	quote := []byte{'"'}
	open := bytes.Count(data, quote)%2 == 1
	for end := len(data); ; {
		i := bytes.LastIndexByte(data[:end], '\n')
		if i < 0 {
			return 0
		}
		if bytes.Count(data[i:end], quote)%2 == 1 {
			open = !open
		}
		if !open {
			return i + 1
		}
		// No line ends outside of quotes before the quote that opened.
		if end = bytes.LastIndexByte(data[:i], '"'); end < 0 {
			return 0
		}
		open = false
	}
}

// header reads the first row.
func (b *blocks) header() ([]string, error) {
	var first block
	err := b.next(&first)
	if err == io.EOF {
		return nil, fmt.Errorf("%s:1: the file is empty; the first line must name the columns", b.name)
	}
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(first.data))
	head, err := r.Read()
	var pe *csv.ParseError
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("%s:1: the file is empty; the first line must name the columns", b.name)
	case errors.As(err, &pe):
		return nil, fmt.Errorf("%s:%d: %w", b.name, pe.Line, pe.Err)
	case err != nil:
		return nil, fmt.Errorf("%s:1: %w", b.name, err)
	}
	n := int(r.InputOffset())
	b.line = first.line + bytes.Count(first.data[:n], []byte{'\n'})
	b.rest = append(first.data[n:], b.rest...)
	return head, nil
}
