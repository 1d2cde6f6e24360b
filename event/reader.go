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
	"unsafe"
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

// Rows yields the cells of one source, a file or the result of a query, row by
// row under one header.
//
// It may have more methods. Want(columns []bool) error is told, before the
// first row and whenever the columns grow, which of them will be looked at.
// IsTime(column int) bool tells that the cell of the row that Next returned was
// a time where it came from, and is written as RFC 3339 whatever the mapping's
// format is, without a zone if it had none. Has(column int) bool tells whether
// that row says anything in a column, be it that it is empty; without it all do.
// Rows whose cells are not texts where they come from may have those of
// typedRows, and rows that can be read in parts Piece.
type Rows interface {
	// Columns names the columns; they may grow from row to row.
	Columns() []string
	// Next returns cells in the order of Columns, good until the next call; a
	// *RowError lets reading go on, other errors, among them io.EOF, end it.
	Next() (cells []string, err error)
	// Place returns the line on which the row that Next returned begins, and
	// how many lines it takes up.
	Place() (line, lines int)
	// Row returns that row for the rejects file.
	Row() []string
	Close() error
}

// typedRows give cells of the row that Next returned as what they are. The
// cells that Next returns need not be written then.
type typedRows interface {
	IsTime(column int) bool
	// Time returns a time, Never for none; zoned tells that it had a zone, else
	// it is one of UTC that may stand for another. Not ok leaves it to Text.
	Time(column int) (t Time, zoned, ok bool)
	// Amount returns a number, if it has one. Not ok leaves it to Text.
	Amount(column int) (a Amount, has, ok bool)
	Text(column int) string
	// Texts writes all cells.
	Texts() []string
}

// Reader reads the rows of one source as records of one table.
type Reader struct {
	file    string
	rows    Rows
	row     row
	plan    *plan
	mapping Mapping
	stream  Stream
	seen    map[[16]byte]uint64 // rows without an id, to number identical ones; nil numbers none
	keep    keeper
	skipped int
	err     error // what ended reading
}

// NewReader reads text: the header at once, and resolves the mapping against
// it. name is the file name used in errors; its ending tells the format unless
// the mapping does.
func NewReader(r io.Reader, name string, s Stream, m Mapping) (*Reader, error) {
	rows, err := TextRows(r, name, s, m)
	if err != nil {
		return nil, err
	}
	return NewRowReader(rows, name, s, m)
}

// TextRows are the rows of CSV or NDJSON.
func TextRows(r io.Reader, name string, s Stream, m Mapping) (Rows, error) {
	if err := m.Validate(s); err != nil {
		return nil, fmt.Errorf("%s: mapping: %w", name, err)
	}
	if m.Format == "parquet" {
		return nil, fmt.Errorf("%s: Parquet is not text", name)
	}
	br, err := Text(r)
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	if m.Format == "ndjson" || m.Format == "" && IsNDJSON(name) {
		return newNDJSON(br, name, m.asked(s)), nil
	}
	return newCSV(br, name, m.Delimiter)
}

// NewRowReader reads rows of any source.
func NewRowReader(rows Rows, name string, s Stream, m Mapping) (*Reader, error) {
	if err := m.Validate(s); err != nil {
		return nil, fmt.Errorf("%s: mapping: %w", name, err)
	}
	rd := &Reader{file: name, rows: rows, mapping: m, stream: s, seen: map[[16]byte]uint64{}, keep: newKeeper()}
	rd.ask()
	if err := rd.resolve(); err != nil {
		var fe *wantError
		if errors.As(err, &fe) {
			return nil, fe.error
		}
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	return rd, nil
}

// ask finds out what the rows tell of their cells.
func (r *Reader) ask() {
	r.row.keep = &r.keep
	if t, ok := r.rows.(interface{ IsTime(int) bool }); ok {
		r.row.isTime = t.IsTime
	}
	if h, ok := r.rows.(interface{ Has(int) bool }); ok {
		r.row.has = h.Has
	}
	r.row.typed, _ = r.rows.(typedRows)
}

// wantError is what the source says of a column that it cannot read. It names
// its file itself.
type wantError struct{ error }

// resolve makes the plan for the columns that there are.
func (r *Reader) resolve() error {
	p, err := r.mapping.resolve(r.stream, slices.Clone(r.rows.Columns()))
	if err != nil {
		return err
	}
	if w, ok := r.rows.(interface{ Want([]bool) error }); ok {
		if err := w.Want(p.used); err != nil {
			return &wantError{err}
		}
	}
	r.plan = p
	return nil
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
func (r *Reader) Read() (rec Record, err error) {
	err = r.read(&rec)
	return rec, err
}

// read fills a record that is empty. With an error it stays so.
func (r *Reader) read(rec *Record) error {
	for r.err == nil {
		cells, err := r.rows.Next()
		if bad, ok := err.(*RowError); ok {
			return bad
		}
		if err != nil {
			r.err = err
			break
		}
		if len(r.plan.header) != len(r.rows.Columns()) {
			// NDJSON: new keys may appear in any row.
			if err := r.resolve(); err != nil {
				return r.refuse(&FieldError{"", err.Error()})
			}
		}
		if r.row.typed != nil && r.plan.skips != nil {
			cells = r.row.typed.Texts()
		}
		if r.plan.skips != nil && slices.ContainsFunc(r.plan.skips, func(s skipRule) bool { return s.skips(cells) }) {
			r.skipped++
			continue
		}
		if err := r.build(rec, cells); err != nil {
			*rec = Record{}
			return r.refuse(err)
		}
		rec.Line, _ = r.rows.Place()
		return nil
	}
	return r.err
}

// Close closes the rows below.
func (r *Reader) Close() error { return r.rows.Close() }

// refuse makes the error of the row that was read last.
func (r *Reader) refuse(reason error) *RowError {
	bad := &RowError{File: r.file, Reason: reason.Error(), Row: r.rows.Row()}
	bad.Line, bad.Lines = r.rows.Place()
	var fe *FieldError
	if errors.As(reason, &fe) {
		bad.Column, bad.Reason = fe.Field, fe.Reason
	}
	return bad
}

// build turns cells into a validated record with ids.
func (r *Reader) build(rec *Record, cells []string) error {
	r.row.plan, r.row.cells, r.row.unknown, r.row.err = r.plan, cells, nil, nil
	if err := r.row.record(rec); err != nil {
		return err
	}
	if rec.Customer != nil {
		return rec.Customer.Validate()
	}
	if r.seen != nil {
		identify(rec.Events, r.seen)
	}
	for i := range rec.Events {
		if err := rec.Events[i].validate(r.seen == nil); err != nil {
			return err
		}
	}
	rec.Events = r.keep.take(rec.Events)
	return nil
}

// identify gives the phases of a row without event_id a common content id.
// seen counts the identical rows of the same file before it.
func identify(events []Event, seen map[[16]byte]uint64) {
	if len(events) == 0 || events[0].ID != "" {
		return
	}
	if events[0].Type == AttributeSet {
		for i := range events {
			if events[i].Cancelled { // what is before it
				events[i].ID = events[i-1].ID
			} else {
				events[i].ID = ContentID(&events[i], 0)
			}
		}
		return
	}
	hash := contentHash(&events[0], 0)
	n := seen[hash]
	if seen[hash] = n + 1; n > 0 {
		hash = contentHash(&events[0], n)
	}
	id := contentID(hash)
	for i := range events {
		events[i].ID = id
	}
}

// keeper makes texts of cells, which the next row overwrites, into texts that
// stay. Words that come again and again are kept once.
type keeper struct {
	words  map[string]string
	near   [64]string // words that came lately, by how they look
	last   string     // customer
	page   []byte     // on which texts are kept that come once
	events []Event
}

const (
	maxWords  = 1 << 12
	pageBytes = 1 << 11
)

// text keeps a text that comes once. Those of some rows share a page, so that
// whoever keeps one alone for long should clone it.
func (k *keeper) text(s string) string {
	if s == "" || len(s) > pageBytes/4 {
		return strings.Clone(s)
	}
	if len(k.page)+len(s) > cap(k.page) {
		k.page = make([]byte, 0, pageBytes)
	}
	start := len(k.page)
	k.page = append(k.page, s...)
	return unsafe.String(unsafe.SliceData(k.page[start:]), len(s))
}

func newKeeper() keeper { return keeper{words: map[string]string{}} }

// word keeps a text of which there are few.
func (k *keeper) word(s string) string {
	if s == "" {
		return ""
	}
	near := &k.near[(int(s[0])+7*int(s[len(s)-1])+29*len(s))%len(k.near)]
	if *near == s {
		return *near
	}
	w, ok := k.words[s]
	if !ok {
		w = strings.Clone(s)
		if len(k.words) < maxWords && len(w) <= MaxIDLength {
			k.words[w] = w
		}
	}
	*near = w
	return w
}

// wordOf is word without a string to look at.
func (k *keeper) wordOf(b []byte) string {
	if w, ok := k.words[string(b)]; ok {
		return w
	}
	return k.word(string(b))
}

// customer keeps an id, which often is that of the row before.
func (k *keeper) customer(s string) string {
	if s != k.last {
		k.last = k.text(s)
	}
	return k.last
}

// list returns room for at most n events of a row, which take keeps for it.
// They are cut from a longer list.
func (k *keeper) list(n int) []Event {
	if len(k.events) < n {
		k.events = make([]Event, max(n, 128))
	}
	return k.events[:0:n]
}

func (k *keeper) take(events []Event) []Event {
	n := len(events)
	k.events = k.events[n:]
	return events[:n:n]
}
