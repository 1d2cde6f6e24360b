package event

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// MaxRowBytes bounds one row, so that an unclosed quote at the head of a large
// file ends in an error and not in a row as large as the file.
const MaxRowBytes = 4 << 20

// RowError says why one row was refused. Reading may go on after it.
type RowError struct {
	File   string
	Line   int    // where the row begins; 1 for the first line of the file, the header
	Lines  int    // how many lines the row takes up; after a stray quote these were many rows
	Column string // table column, or empty when the whole row is at fault
	Reason string
	Row    []string // the cells as they were read (NDJSON: the line), for the rejects file
}

func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Column, e.Reason)
}

// Open opens a file for reading and unpacks it if it is gzipped, which it
// tells by its first bytes and not by its name.
func Open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil {
		f.Close()
		return nil, err
	} else if info.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s: is a directory; give a file", path)
	}
	br := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := br.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return readCloser{br, f.Close}, nil
	}
	zr, err := gzip.NewReader(br)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: damaged gzip header: %w", path, err)
	}
	return readCloser{zr, func() error { return errors.Join(zr.Close(), f.Close()) }}, nil
}

type readCloser struct {
	io.Reader
	close func() error
}

func (r readCloser) Close() error { return r.close() }

// Reader reads the rows of one file as records of one table.
type Reader struct {
	file    string
	rows    rowSource
	plan    *plan
	mapping Mapping
	stream  Stream
	seen    map[[16]byte]uint64 // rows without an id, to number identical ones
	skipped int
	err     error // what ended reading
}

// rowSource yields the cells of a file row by row under one header.
type rowSource interface {
	// next returns cells in the order of the header, good until the next call;
	// a *RowError lets reading go on, other errors end it.
	next() (cells []string, err error)
	// place returns the line on which the row that next returned begins, and
	// how many lines it takes up.
	place() (line, lines int)
	// text returns that row for the rejects file.
	text() []string
	// header names the columns; it may grow from row to row.
	header() []string
}

// NewReader reads the header and resolves the mapping against it. name is the
// file name used in errors; its ending tells the format unless the mapping
// does.
func NewReader(r io.Reader, name string, s Stream, m Mapping) (*Reader, error) {
	if err := m.Validate(s); err != nil {
		return nil, fmt.Errorf("%s: mapping: %w", name, err)
	}
	br, err := Text(r)
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	rd := &Reader{file: name, mapping: m, stream: s, seen: map[[16]byte]uint64{}}
	if m.Format == "ndjson" || m.Format == "" && IsNDJSON(name) {
		rd.rows = newNDJSON(br, name, m.asked(s))
	} else if rd.rows, err = newCSV(br, name, m.Delimiter); err != nil {
		return nil, err
	}
	if rd.plan, err = m.resolve(s, slices.Clone(rd.rows.header())); err != nil {
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	return rd, nil
}

// Text skips a byte order mark and tells what is not text.
func Text(r io.Reader) (*bufio.Reader, error) {
	br := bufio.NewReader(r)
	head, _ := br.Peek(4) // an error comes again at the first read
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		br.Discard(3)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, fmt.Errorf("the file is UTF-16; convert it to UTF-8")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return nil, fmt.Errorf("the file is a zip archive or a spreadsheet; unpack it, or export it as CSV")
	}
	return br, nil
}

// IsNDJSON tells by its name whether a file has one JSON object a line.
func IsNDJSON(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".zst")
	return strings.HasSuffix(name, ".ndjson") || strings.HasSuffix(name, ".jsonl")
}

// Skipped counts the rows passed over by the mapping's skip rules.
func (r *Reader) Skipped() int { return r.skipped }

// Read returns the next record, io.EOF at the end, or an error. After a
// *RowError the next call reads the next row; any other error is final.
func (r *Reader) Read() (Record, error) {
	for r.err == nil {
		cells, err := r.rows.next()
		if bad, ok := err.(*RowError); ok {
			return Record{}, bad
		}
		if err != nil {
			r.err = err
			break
		}
		if h := r.rows.header(); len(r.plan.header) != len(h) {
			// NDJSON: new keys may appear in any row.
			p, err := r.mapping.resolve(r.stream, slices.Clone(h))
			if err != nil {
				return Record{}, r.refuse(&FieldError{"", err.Error()})
			}
			r.plan = p
		}
		if slices.ContainsFunc(r.plan.skips, func(s skipRule) bool { return s.skips(cells) }) {
			r.skipped++
			continue
		}
		rec, err := r.build(r.plan, cells)
		if err != nil {
			return Record{}, r.refuse(err)
		}
		rec.Line, _ = r.rows.place()
		return rec, nil
	}
	return Record{}, r.err
}

// refuse makes the error of the row that was read last.
func (r *Reader) refuse(reason error) *RowError {
	bad := &RowError{File: r.file, Reason: reason.Error(), Row: r.rows.text()}
	bad.Line, bad.Lines = r.rows.place()
	var fe *FieldError
	if errors.As(reason, &fe) {
		bad.Column, bad.Reason = fe.Field, fe.Reason
	}
	return bad
}

// build turns cells into a validated record with ids.
func (r *Reader) build(p *plan, cells []string) (Record, error) {
	rw := row{plan: p, cells: cells}
	rec, err := rw.record()
	if err != nil {
		return Record{}, err
	}
	if rec.Customer != nil {
		return rec, rec.Customer.Validate()
	}
	r.identify(rec.Events)
	for i := range rec.Events {
		if err := rec.Events[i].Validate(); err != nil {
			return Record{}, err
		}
	}
	return rec, nil
}

// identify gives the phases of a row without event_id a common content id.
func (r *Reader) identify(events []Event) {
	if len(events) == 0 || events[0].ID != "" {
		return
	}
	id := ContentID(&events[0], 0)
	var key [16]byte
	copy(key[:], id[1:17])
	if n := r.seen[key]; n > 0 {
		id = ContentID(&events[0], n)
	}
	r.seen[key]++
	for i := range events {
		events[i].ID = id
	}
}
