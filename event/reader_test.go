package event

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// outcome is what reading a whole file gave.
type outcome struct {
	records []Record
	bad     []*RowError
	err     error // what ended reading, nil at the end of the file
	skipped int
}

func (o *outcome) events() (events []Event) {
	for _, r := range o.records {
		events = append(events, r.Events...)
	}
	return events
}

// read reads a file, and stops a Reader that would go on for ever.
func read(t testing.TB, r io.Reader, name string, s Stream, m Mapping) (o outcome) {
	t.Helper()
	rd, err := NewReader(r, name, s, m)
	if err != nil {
		o.err = err
		return o
	}
	for range 1_000_000 {
		rec, err := rd.Read()
		var bad *RowError
		switch {
		case err == nil:
			o.records = append(o.records, rec)
		case errors.As(err, &bad):
			o.bad = append(o.bad, bad)
		default:
			if err != io.EOF {
				o.err = err
			}
			if _, again := rd.Read(); again == nil {
				t.Errorf("a record after the last error: %v", err)
			}
			o.skipped = rd.Skipped()
			return o
		}
	}
	t.Fatal("reading does not end")
	return o
}

func engagementCSV(rows ...string) string {
	return "customer_id,occurred_at,kind,value\n" + strings.Join(rows, "\n") + "\n"
}

// TestBadRows is the corpus of rows that must be refused, each with the error
// in full. The row before and the row after are good and must be read.
func TestBadRows(t *testing.T) {
	const first, last = "a,2026-01-31,view,1", "z,2026-01-31,view,1"
	for _, tt := range []struct{ name, row, want string }{
		{"too few fields", "a,2026-01-31,view", "3: has 3 fields where the header has 4"},
		{"too many fields", "a,2026-01-31,view,1,", "3: has 5 fields where the header has 4"},
		{"decimal comma", "a,2026-01-31,view,1,5", "3: has 5 fields where the header has 4"},
		{"bare quote", `a,2026-01-31,5" disk,1`, `3: bare " in non-quoted-field`},
		{"text after a quote", `a,2026-01-31,"view"s,1`, `3: extraneous or missing " in quoted-field`},

		{"no customer", ",2026-01-31,view,1", "3: customer_id: empty"},
		{"customer of spaces", "  \t ,2026-01-31,view,1", "3: customer_id: empty"},
		{"long customer", strings.Repeat("a", 257) + ",2026-01-31,view,1", "3: customer_id: longer than 256 bytes"},
		{"huge customer", strings.Repeat("a", 1<<20) + ",2026-01-31,view,1", "3: customer_id: longer than 256 bytes"},
		{"NUL", "a\x00b,2026-01-31,view,1", "3: customer_id: contains the invisible character U+0000"},
		{"newline", "\"a\nb\",2026-01-31,view,1", "3: customer_id: contains the invisible character U+000A"},
		{"terminal escape", "a\x1b[31m,2026-01-31,view,1", "3: customer_id: contains the invisible character U+001B"},
		{"not UTF-8", "a\xff\xfe,2026-01-31,view,1", "3: customer_id: not valid UTF-8"},
		{"surrogate in UTF-8", "a\xed\xa0\x80,2026-01-31,view,1", "3: customer_id: not valid UTF-8"},
		{"right to left", "a\u202eb,2026-01-31,view,1", "3: customer_id: contains the invisible character U+202E"},
		{"zero width", "a\u200bb,2026-01-31,view,1", "3: customer_id: contains the invisible character U+200B"},
		{"BOM in the middle", "a\ufeff,2026-01-31,view,1", "3: customer_id: contains the invisible character U+FEFF"},
		{"combining marks", "a" + strings.Repeat("\u0301", 5000) + ",2026-01-31,view,1", "3: customer_id: longer than 256 bytes"},

		{"no time", "a,,view,1", "3: occurred_at: missing or out of range"},
		{"30 February", "a,2026-02-30,view,1", "3: occurred_at: not a time: expected " + strings.Join(layouts, " or ")},
		{"placeholder", "a,9999-12-31,view,1", "3: occurred_at: time outside the years 1900 to 2199: wrong unit or placeholder?"},
		{"no kind", "a,2026-01-31,,1", "3: kind: empty: say what the customer did"},
		{"long kind", "a,2026-01-31," + strings.Repeat("k", 1025) + ",1", "3: kind: longer than 1024 bytes"},

		{"NaN", "a,2026-01-31,view,NaN", "3: value: not a finite decimal number"},
		{"infinite", "a,2026-01-31,view,-Inf", "3: value: not a finite decimal number"},
		{"overflow", "a,2026-01-31,view,1e400", "3: value: not a finite decimal number"},
		{"large", "a,2026-01-31,view,1e308", "3: value: number larger than 1000000000: wrong unit?"},
		{"2^63", "a,2026-01-31,view,9223372036854775808", "3: value: number larger than 1000000000: wrong unit?"},
		{"quoted decimal comma", `a,2026-01-31,view,"1,5"`, "3: value: not a number: write the decimal point as '.' and no thousands separators"},
		{"hexadecimal", "a,2026-01-31,view,0x10", "3: value: not a finite decimal number"},
		{"text", "a,2026-01-31,view,much", "3: value: not a finite decimal number"},
		{"first of two errors", ",9999-12-31,,x", "3: occurred_at: time outside the years 1900 to 2199: wrong unit or placeholder?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := read(t, strings.NewReader(engagementCSV(first, tt.row, last)), "e.csv", Engagements, Mapping{})
			if o.err != nil || len(o.bad) != 1 || o.bad[0].Error() != "e.csv:"+tt.want {
				t.Fatalf("got %.300v, %v, want e.csv:%s", o.bad, o.err, tt.want)
			}
			if len(o.records) != 2 || o.records[1].Events[0].Customer != "z" {
				t.Errorf("the rows around it gave %+v", o.records)
			}
			if want := 2 + strings.Count(tt.row, "\n") + 2; o.records[1].Line != want {
				t.Errorf("the next row begins on line %d, want %d", o.records[1].Line, want)
			}
			if len(o.bad[0].Row) == 0 {
				t.Error("the cells are lost")
			}
		})
	}
}

// TestGoodRows lists rows that look odd and must be taken as they are.
func TestGoodRows(t *testing.T) {
	for _, tt := range []struct{ row, customer, kind, value string }{
		{"a,2026-01-31,view,", "a", "view", ""},
		{" a ,2026-01-31,\tview , 1 ", "a", "view", "1"},
		{`"a,""b""",2026-01-31,view,1`, `a,"b"`, "view", "1"},
		{"00042,2026-01-31,view,-0", "00042", "view", "0"},
		{"İ,2026-01-31,ıI,1", "İ", "ıI", "1"}, // a Turkish name is not folded
		{"'; DROP TABLE x,2026-01-31,=HYPERLINK(1),1", "'; DROP TABLE x", "=HYPERLINK(1)", "1"},
		{"<script>,2026-01-31,view,1e-400", "<script>", "view", "0"},
		{"客户,2026-01-31,просмотр,1e3", "客户", "просмотр", "1000"},
		{"a\r\n", "", "", ""}, // not read: see the loop
	} {
		if tt.customer == "" {
			continue
		}
		o := read(t, strings.NewReader(engagementCSV(tt.row)), "e.csv", Engagements, Mapping{})
		if o.err != nil || len(o.records) != 1 {
			t.Errorf("%q: %v, %v", tt.row, o.bad, o.err)
			continue
		}
		e := o.records[0].Events[0]
		value := ""
		if e.HasValue {
			value = e.Value.String()
		}
		if e.Customer != tt.customer || e.Kind != tt.kind || value != tt.value {
			t.Errorf("%q gives customer %q, kind %q, value %q", tt.row, e.Customer, e.Kind, value)
		}
	}
	// Composed and decomposed letters are two ids: nothing is repaired.
	o := read(t, strings.NewReader(engagementCSV("\u00e9,2026-01-31,view,", "e\u0301,2026-01-31,view,")), "e.csv", Engagements, Mapping{})
	if len(o.records) != 2 || o.records[0].Events[0].Customer == o.records[1].Events[0].Customer {
		t.Errorf("got %+v, %v", o.records, o.bad)
	}
}

// TestBadFiles lists files that end in an error before any row.
func TestBadFiles(t *testing.T) {
	many := make([]string, 100_000)
	for i := range many {
		many[i] = fmt.Sprintf("x%d", i)
	}
	for _, tt := range []struct {
		name, text string
		m          Mapping
		stream     Stream
		want       string
	}{
		{"empty", "", Mapping{}, Engagements, "f.csv:1: the file is empty; the first line must name the columns"},
		{"BOM only", "\ufeff", Mapping{}, Engagements, "f.csv:1: the file is empty"},
		{"blank lines", "\n\n\n", Mapping{}, Engagements, "f.csv:1: the file is empty"},
		{"UTF-16 LE", "\xff\xfec\x00u\x00", Mapping{}, Engagements, "f.csv:1: the file is UTF-16; convert it to UTF-8"},
		{"UTF-16 BE", "\xfe\xff\x00c\x00u", Mapping{}, Engagements, "f.csv:1: the file is UTF-16"},
		{"UTF-16 without a mark", "c\x00u\x00,\x00k\x00\n\x00", Mapping{}, Engagements, "f.csv:1: column 1: contains the invisible character U+0000"},
		{"spreadsheet", "PK\x03\x04....", Mapping{}, Engagements, "f.csv:1: the file is a zip archive or a spreadsheet"},
		{"semicolons", "customer_id;occurred_at;kind\na;2026-01-31;view\n", Mapping{}, Engagements,
			`f.csv:1: one column named "customer_id;occurred_at;kind": if it is separated by another character, say so with delimiter`},
		{"tabs", "customer_id\toccurred_at\n", Mapping{}, Engagements, "say so with delimiter"},
		{"wrong delimiter", "customer_id,kind\n", Mapping{Delimiter: `"`}, Engagements, "f.csv:1: header: csv: invalid field or comment delimiter"},
		{"duplicate header", "customer_id,kind,kind,occurred_at\n", Mapping{}, Engagements, `f.csv:1: column "kind" appears twice in the header`},
		{"missing column", "customer_id,kind\n", Mapping{}, Engagements,
			"f.csv:1: no column for occurred_at; the header has customer_id, kind; map one under columns"},
		{"missing mapped column", "customer_id,kind\n", Mapping{Columns: map[string]string{"occurred_at": "when"}}, Engagements,
			`f.csv:1: no column "when" (mapped to occurred_at); the header has customer_id, kind`},
		{"payments without a time", "customer_id,amount\n", Mapping{}, Payments, "f.csv:1: no column for due_at or paid_at"},
		{"control character in header", "customer_id,occurred_at,ki\x07nd\n", Mapping{}, Engagements, "f.csv:1: column 3: contains the invisible character U+0007"},
		{"unclosed quote in header", "customer_id,\"kind\na,b\n", Mapping{}, Engagements, "f.csv:1: header: "},
		{"old Macintosh", "customer_id,kind\ra,b\r", Mapping{}, Engagements, "f.csv:1: column 2: contains the invisible character U+000D"},
		{"a hundred thousand attributes", "customer_id," + strings.Join(many, ",") + "\n", Mapping{}, Customers,
			"f.csv:1: 100000 columns would become attributes, more than 1000: list those to keep under attributes"},
		{"header that does not end", "\"" + strings.Repeat("a\n", MaxRowBytes), Mapping{}, Engagements, "f.csv:1: header: row longer than"},
		{"skip", "customer_id,kind,occurred_at\n", Mapping{Skip: map[string][]string{"state": {"x"}}}, Engagements, `f.csv:1: skip: no column "state"`},
		{"only", "customer_id,kind,occurred_at\n", Mapping{Only: map[string][]string{"state": {"x"}}}, Engagements, `f.csv:1: only: no column "state"`},
		{"attribute", "customer_id\n", Mapping{Attributes: []string{"plan"}}, Customers, `f.csv:1: no column "plan"`},
		{"mapping", "customer_id\n", Mapping{Columns: map[string]string{"name": "x"}}, Customers, `f.csv: mapping: columns.name: the customers table has no column "name"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := read(t, strings.NewReader(tt.text), "f.csv", tt.stream, tt.m)
			if o.err == nil || !strings.Contains(o.err.Error(), tt.want) || len(o.records)+len(o.bad) > 0 {
				t.Errorf("got %d records, %v, error %.300v, want %s", len(o.records), o.bad, o.err, tt.want)
			}
		})
	}
	if o := read(t, strings.NewReader(engagementCSV()), "e.csv", Engagements, Mapping{}); o.err != nil || len(o.records) > 0 {
		t.Errorf("a header alone: %+v", o)
	}
}

// TestCSVShapes reads the same two rows in every shape that CSV comes in.
func TestCSVShapes(t *testing.T) {
	const plain = "customer_id,occurred_at,kind\na,2026-01-31,view\nb,2026-01-31,view\n"
	for _, tt := range []struct {
		name, text string
		m          Mapping
	}{
		{"plain", plain, Mapping{}},
		{"BOM", "\ufeff" + plain, Mapping{}},
		{"CRLF", strings.ReplaceAll(plain, "\n", "\r\n"), Mapping{}},
		{"no last newline", strings.TrimSpace(plain), Mapping{}},
		{"blank lines", strings.ReplaceAll(plain, "\n", "\n\n"), Mapping{}},
		{"semicolons", strings.ReplaceAll(plain, ",", ";"), Mapping{Delimiter: ";"}},
		{"tabs", strings.ReplaceAll(plain, ",", "\t"), Mapping{Delimiter: "\t"}},
		{"all quoted", `"customer_id","occurred_at","kind"` + "\n" + `"a","2026-01-31","view"` + "\n" + `"b","2026-01-31","view"`, Mapping{}},
		{"BOM before a quote", "\ufeff\"customer_id\",occurred_at,kind\na,2026-01-31,view\nb,2026-01-31,view\n", Mapping{}},
		{"other order", "kind,occurred_at,customer_id\nview,2026-01-31,a\nview,2026-01-31,b\n", Mapping{}},
		{"spaces in header", " customer_id , occurred_at, kind\na,2026-01-31,view\nb,2026-01-31,view\n", Mapping{}},
		{"index without a name", ",customer_id,occurred_at,kind\n0,a,2026-01-31,view\n1,b,2026-01-31,view\n", Mapping{}},
		{"commas at the end", "customer_id,occurred_at,kind,,\na,2026-01-31,view,,\nb,2026-01-31,view,,\n", Mapping{}},
		{"unused column", "customer_id,occurred_at,kind,note\na,2026-01-31,view,\"x\ny\"\nb,2026-01-31,view,\x00\n", Mapping{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := read(t, strings.NewReader(tt.text), "e.csv", Engagements, tt.m)
			if o.err != nil || len(o.bad) > 0 || len(o.records) != 2 {
				t.Fatalf("got %+v", o)
			}
			if a, b := o.records[0].Events[0], o.records[1].Events[0]; a.Customer != "a" || b.Customer != "b" || a.Kind != "view" {
				t.Errorf("got %+v, %+v", a, b)
			}
		})
	}
}

// TestStrayQuote opens a quote in the middle of a file. Whatever it swallows
// counts as refused, line by line, wherever it ends.
func TestStrayQuote(t *testing.T) {
	rows := make([]string, 100)
	for i := range rows {
		rows[i] = fmt.Sprintf("c%d,2026-01-31,view,1", i)
	}
	for _, tt := range []struct {
		name         string
		open, close  int // rows that get a quote before their customer
		text         string
		read, first  int // records, line of the error
		lines, after int // lines refused, the first line read again
	}{
		{"to the end of the file", 90, -1, `, in a row of several lines: is a quote not closed?`, 90, 92, 10, 0},
		{"to the next quote", 40, 60, `, in a row of several lines: is a quote not closed?`, 79, 42, 21, 63},
		{"on the last line", 99, -1, `extraneous or missing " in quoted-field`, 99, 101, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := slices.Clone(rows)
			bad[tt.open] = `"` + bad[tt.open]
			if tt.close >= 0 {
				bad[tt.close] = `"` + bad[tt.close]
			}
			o := read(t, strings.NewReader(strings.TrimSuffix(engagementCSV(bad...), "\n")), "e.csv", Engagements, Mapping{})
			if o.err != nil || len(o.records) != tt.read || len(o.bad) != 1 {
				t.Fatalf("got %d records, %v, %v", len(o.records), o.bad, o.err)
			}
			if b := o.bad[0]; b.Line != tt.first || b.Lines != tt.lines || !strings.HasSuffix(b.Reason, tt.text) {
				t.Errorf("got line %d, %d lines, %s", b.Line, b.Lines, b.Reason)
			}
			if tt.after > 0 && o.records[tt.open].Line != tt.after {
				t.Errorf("reading went on from line %d, want %d", o.records[tt.open].Line, tt.after)
			}
		})
	}
}

// endless is a CSV file that opens a quote and then goes on for ever.
type endless struct {
	head  string
	given int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	for i := range p {
		p[i] = "c1,2026-01-31,view,1\n"[(e.given+i)%21]
	}
	e.given += len(p)
	return len(p), nil
}

// TestUnclosedQuote reads no further than the longest row.
func TestUnclosedQuote(t *testing.T) {
	long := "a,2026-01-31," + strings.Repeat("k", 1000) + ",1\n"
	for _, tt := range []struct {
		name, file, head, want string
	}{
		{"quote", "e.csv", engagementCSV("a,2026-01-31,view,1", `"b,2026-01-31,view,1`), "e.csv:3: row longer than"},
		{"quote after good rows", "e.csv", engagementCSV(strings.Repeat(long, 10_000) + `"b,2026-01-31,view,1`), "e.csv:10002: row longer than"},
		{"no newline", "e.ndjson", `{"customer_id":"` + strings.Repeat("x", 100), "e.ndjson:1: line longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			in := &endless{head: tt.head}
			r := io.Reader(in)
			if strings.HasSuffix(tt.file, "ndjson") {
				r = io.MultiReader(strings.NewReader(tt.head), zeros{})
			}
			runtime.ReadMemStats(&before)
			rd, err := NewReader(r, tt.file, Engagements, Mapping{})
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = rd.Read()
			}
			runtime.ReadMemStats(&after)
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if in.given > MaxRowBytes+1<<17 {
				t.Errorf("read %d bytes on", in.given)
			}
			if _, err := rd.Read(); err == nil {
				t.Error("reading went on")
			}
		})
	}
	// A cell of ten megabytes is as long a row.
	o := read(t, strings.NewReader(engagementCSV("a,2026-01-31,view,1", "b,2026-01-31,"+strings.Repeat("x", 10<<20)+",1")), "e.csv", Engagements, Mapping{})
	if len(o.records) != 1 || o.err == nil || !strings.HasPrefix(o.err.Error(), "e.csv:3: row longer than") {
		t.Errorf("got %d records, %v", len(o.records), o.err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func zipped(t *testing.T, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		io.WriteString(w, p)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	text := engagementCSV("a,2026-01-31,view,1", "b,2026-01-31,view,1")
	z := zipped(t, text)
	cut := zipped(t, engagementCSV(strings.Repeat("a,2026-01-31,view,1\n", 100)))
	damaged := slices.Clone(z)
	damaged[len(damaged)-5] ^= 1 // the length
	bomb := zipped(t, "customer_id,occurred_at,kind\n"+strings.Repeat("\x00", 50<<20))
	for _, tt := range []struct {
		name    string
		content []byte
		records int
		err     string
	}{
		{"plain.csv", []byte(text), 2, ""},
		{"zipped.csv.gz", z, 2, ""},
		{"zipped.csv", z, 2, ""}, // told by its bytes, not by its name
		{"plain.csv.gz", []byte(text), 2, ""},
		{"members.csv.gz", zipped(t, "customer_id,occurred_at,kind\n", "a,2026-01-31,view\nb,2026-01-31,view\n"), 2, ""},
		{"rows.jsonl.gz", zipped(t, `{"customer_id":"a","occurred_at":"2026-01-31","kind":"view"}`+"\n"), 1, ""},
		{"empty.csv", nil, 0, "the file is empty"},
		{"one.csv", []byte{0x1f}, 0, "column 1: contains the invisible character U+001F"},
		{"header.csv.gz", []byte{0x1f, 0x8b, 0}, 0, "damaged gzip header"},
		{"cut.csv.gz", cut[:len(cut)-12], 100, "the file cannot be read on: unexpected EOF"},
		{"damaged.csv.gz", damaged, 2, "the file cannot be read on: gzip: invalid checksum"},
		{"bomb.csv.gz", bomb, 0, "bomb.csv.gz:2: row longer than"},
		{"twice.csv.gz", zipped(t, string(z)), 0, "twice.csv.gz:1: header: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name)
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			var o outcome
			if err == nil {
				o = read(t, f, path, Engagements, Mapping{})
				err = o.err
				f.Close()
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got error %v, want %q", err, tt.err)
			}
			if len(o.records) > tt.records || tt.err == "" && len(o.records) != tt.records {
				t.Errorf("got %d records, want %d", len(o.records), tt.records)
			}
		})
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "is a directory; give a file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A text is plain if each of its bytes is, wherever it stands.
func TestIsPlain(t *testing.T) {
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				b := []byte(strings.Repeat("~", n))
				b[at] = byte(c)
				if got, want := isPlain(b), c >= ' ' && c < 0x7f; got != want {
					t.Fatalf("%q: %v, want %v", b, got, want)
				}
			}
		}
	}
}
