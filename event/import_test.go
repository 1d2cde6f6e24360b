package event

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// memory is a Sink that keeps events by id and type, as a store does.
type memory struct {
	events    map[string]Event
	customers map[string]Customer
	erased    string // a customer whose events are refused
	batches   int
	fail      error
}

// noSpace is a writer that takes nothing.
type noSpace struct{}

var errNoSpace = errors.New("no space left")

func (noSpace) Write([]byte) (int, error) { return 0, errNoSpace }

func newMemory() *memory {
	return &memory{events: map[string]Event{}, customers: map[string]Customer{}}
}

func (m *memory) Append(ctx context.Context, events []Event) ([]Status, error) {
	if m.fail != nil {
		return nil, m.fail
	}
	m.batches++
	var out []Status
	for _, e := range events {
		key := e.ID + " " + e.Type.String()
		old, there := m.events[key]
		switch {
		case e.Customer == m.erased:
			out = append(out, Refused)
		case !there:
			m.events[key] = e
			out = append(out, Stored)
		case old == e:
			out = append(out, Duplicate)
		default:
			out = append(out, Conflict)
		}
	}
	return out, nil
}

func (m *memory) PutCustomers(ctx context.Context, customers []Customer) ([]Status, error) {
	m.batches++
	var out []Status
	for _, c := range customers {
		_, there := m.customers[c.ID]
		m.customers[c.ID] = c
		out = append(out, map[bool]Status{false: Stored, true: Duplicate}[there])
	}
	return out, m.fail
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImport(t *testing.T) {
	customers := file(t, "customers.csv", "customer_id,signed_up_at\na,2026-01-05\nb,\n,2026-01-01\na,2026-01-05\n")
	payments := file(t, "payments.csv", `event_id,customer_id,due_at,amount,status,paid_at
p1,a,2026-01-10,5,,2026-01-11
p2,a,2026-01-01,5,paid,
p3,b,2026-01-10,x,,
p4,gone,2026-01-10,5,,
p1,a,2026-01-10,6,,2026-01-11
p5,a,2027-01-10,5,,
p6,a,2026-01-10,5,,2027-01-11
p7,a,2026-01-10
p8,test,2026-01-10,5,,
`)
	inputs := []Input{{Stream: Customers, Path: customers},
		{Stream: Payments, Path: payments, Mapping: Mapping{Skip: map[string][]string{"customer_id": {"test"}}}}}
	var rejects bytes.Buffer
	var progress []string
	sink := newMemory()
	sink.erased = "gone"
	june, err := ParseTime("2026-06-01")
	if err != nil {
		t.Fatal(err)
	}
	o := ImportOptions{Batch: 2, MaxBadShare: 0.9, Rejects: &rejects, Latest: june,
		Progress: func(path string, rows int) { progress = append(progress, fmt.Sprint(filepath.Base(path), rows)) }}
	got, err := Import(context.Background(), inputs, sink, o)
	if err != nil {
		t.Fatal(err)
	}
	want := []FileReport{
		{Path: customers, Table: "customers", Rows: 4, Rejected: 1, Stored: 2, Duplicate: 1,
			RefusedFor: map[string]int{"missing": 1}, Unknown: map[string]int{},
			Reasons: map[string]int{"customer_id: empty": 1}, Examples: []string{customers + ":4: customer_id: empty"}},
		// p1 gives two events, p2 and p5 one each, p4 one refused; the second p1
		// conflicts twice.
		{Path: payments, Table: "payments", Rows: 9, Skipped: 1, Rejected: 3, Stored: 4, Conflict: 2, Refused: 1,
			Untimed: 1, BeforeSignUp: 1, UnknownCustomer: 1,
			RefusedFor: map[string]int{"future": 1, "shape": 1, "unreadable": 1}, Unknown: map[string]int{},
			Reasons: map[string]int{
				"amount: not a finite decimal number": 1,
				"event_id: payment_due of this id is there already, with other content: to correct it, give a later recorded_at":  1,
				"event_id: payment_paid of this id is there already, with other content: to correct it, give a later recorded_at": 1,
				"has 3 fields where the header has 6":                       1,
				"paid_at: lies in the future: check the time zone and unit": 1,
			}, Examples: []string{
				payments + ":4: amount: not a finite decimal number",
				payments + ":6: event_id: payment_due of this id is there already, with other content: to correct it, give a later recorded_at",
				payments + ":6: event_id: payment_paid of this id is there already, with other content: to correct it, give a later recorded_at",
				payments + ":8: paid_at: lies in the future: check the time zone and unit",
				payments + ":9: has 3 fields where the header has 6",
			}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	cr := csv.NewReader(&rejects)
	cr.FieldsPerRecord = -1
	rows, err := cr.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	// By the batches of two, the conflicts are noted when their batch is done.
	wantRows := [][]string{
		{customers, "4", "customer_id", "empty", "", "2026-01-01"},
		{payments, "4", "amount", "not a finite decimal number", "p3", "b", "2026-01-10", "x", "", ""},
		{payments, "6", "event_id", "payment_due of this id is there already, with other content: to correct it, give a later recorded_at"},
		{payments, "6", "event_id", "payment_paid of this id is there already, with other content: to correct it, give a later recorded_at"},
		{payments, "8", "paid_at", "lies in the future: check the time zone and unit", "p6", "a", "2026-01-10", "5", "", "2027-01-11"},
		{payments, "9", "", "has 3 fields where the header has 6", "p7", "a", "2026-01-10"},
	}
	if !reflect.DeepEqual(rows, wantRows) {
		t.Errorf("rejects\n%q\nwant\n%q", rows, wantRows)
	}
	if want := "customers.csv2"; len(progress) == 0 || progress[0] != want || progress[len(progress)-1] != "payments.csv9" {
		t.Errorf("progress %v", progress)
	}

	// A second time nothing changes.
	before := maps.Clone(sink.events)
	again, err := Import(context.Background(), inputs, sink, ImportOptions{MaxBadShare: 0.9, Latest: o.Latest})
	if err != nil || again[1].Stored != 0 || again[1].Duplicate != 4 || again[1].Conflict != 2 || !maps.Equal(before, sink.events) {
		t.Errorf("the second import: %+v, %v", again[1], err)
	}
}

// TestImportTwice imports rows without ids twice, then a later extract.
func TestImportTwice(t *testing.T) {
	const head = "customer_id,opened_at,resolved_at\n"
	sink := newMemory()
	for _, tt := range []struct {
		text              string
		stored, duplicate int
	}{
		{"a,2026-01-01,\na,2026-01-01,\nb,2026-01-01,2026-01-02\n", 4, 0},
		{"a,2026-01-01,\na,2026-01-01,\nb,2026-01-01,2026-01-02\n", 0, 4},
		{"a,2026-01-01,2026-01-03\na,2026-01-01,\nb,2026-01-01,2026-01-02\nb,2026-02-01,\n", 2, 4},
	} {
		r, err := Import(context.Background(), []Input{{Stream: Complaints, Path: file(t, "c.csv", head+tt.text)}}, sink, ImportOptions{})
		if err != nil || r[0].Stored != tt.stored || r[0].Duplicate != tt.duplicate {
			t.Errorf("got %+v, %v, want %d stored, %d duplicate", r, err, tt.stored, tt.duplicate)
		}
	}
	var events []Event
	for _, e := range sink.events {
		if e.Customer == "a" {
			events = append(events, e)
		}
	}
	if tl := NewTimeline(Customer{ID: "a"}, events); len(tl.Complaints) != 2 || tl.Orphans != 0 {
		t.Errorf("got %+v", tl)
	}
}

// TestImportBadShare stops at row 1000 or at the end, whichever comes first.
func TestImportBadShare(t *testing.T) {
	rows := func(n int, bad func(i int) bool) string {
		var b strings.Builder
		b.WriteString("customer_id,occurred_at,kind\n")
		for i := range n {
			customer := "c"
			if bad(i) {
				customer = ""
			}
			fmt.Fprintf(&b, "%s,2026-01-01,view\n", customer)
		}
		return b.String()
	}
	quote := rows(200, func(int) bool { return false })
	for _, tt := range []struct {
		name, text     string
		rows, rejected int
		stops          bool
		stored         int
	}{
		{"all good", rows(10, func(int) bool { return false }), 10, 0, false, 10},
		{"at the limit", rows(100, func(i int) bool { return i < 5 }), 100, 5, false, 95},
		{"above it at the end", rows(100, func(i int) bool { return i < 6 }), 100, 6, true, 94},
		{"bad at first, good later", rows(5000, func(i int) bool { return i < 49 }), 5000, 49, false, 4951},
		{"stops early", rows(5000, func(i int) bool { return i%2 == 1 }), 1000, 500, true, 500},
		{"stops later", rows(5000, func(i int) bool { return i >= 1900 }), 2001, 101, true, 1900},
		{"all bad", rows(3, func(int) bool { return true }), 3, 3, true, 0},
		// 20 lines went into one broken row: they are a tenth of the file.
		{"lines lost to a quote", quote[:len(quote)-20*18] + `"` + quote[len(quote)-20*18:], 200, 20, true, 180},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := newMemory()
			r, err := Import(context.Background(), []Input{{Stream: Engagements, Path: file(t, "e.csv", tt.text)}}, sink, ImportOptions{})
			if errors.Is(err, ErrTooManyBadRows) != tt.stops || !tt.stops && err != nil {
				t.Fatalf("got %v", err)
			}
			if r[0].Rows != tt.rows || r[0].Rejected != tt.rejected || len(sink.events) != tt.stored || r[0].Stored != tt.stored {
				t.Errorf("got %+v and %d events, want %d rows, %d rejected, %d stored", r[0], len(sink.events), tt.rows, tt.rejected, tt.stored)
			}
		})
	}
	// Rows that are skipped do not water down the share.
	m := Mapping{Skip: map[string][]string{"kind": {"no"}}}
	text := "customer_id,occurred_at,kind\n" + strings.Repeat("c,2026-01-01,no\n", 90) + strings.Repeat(",2026-01-01,view\n", 2) + strings.Repeat("c,2026-01-01,view\n", 8)
	if _, err := Import(context.Background(), []Input{{Stream: Engagements, Path: file(t, "e.csv", text), Mapping: m}}, newMemory(), ImportOptions{}); !errors.Is(err, ErrTooManyBadRows) || !strings.Contains(err.Error(), "2 of 10 refused (limit 0.05); first: ") {
		t.Errorf("got %v", err)
	}
}

// TestImportStops looks at everything that ends an import before its time.
func TestImportStops(t *testing.T) {
	good := "customer_id,occurred_at,kind\n" + strings.Repeat("c,2026-01-01,view\n", 100)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sink := newMemory()
	r, err := Import(ctx, []Input{{Stream: Engagements, Path: file(t, "e.csv", good)}}, sink, ImportOptions{Batch: 10,
		Progress: func(string, int) {
			if sink.batches == 3 {
				cancel()
			}
		}})
	if !errors.Is(err, context.Canceled) || r[0].Stored != 30 || len(sink.events) != 30 {
		t.Errorf("cancelled: %+v, %v", r, err)
	}

	failing := newMemory()
	failing.fail = errors.New("disk full")
	if r, err := Import(context.Background(), []Input{{Stream: Engagements, Path: file(t, "e.csv", good)}}, failing, ImportOptions{}); !errors.Is(err, failing.fail) || !strings.Contains(err.Error(), "e.csv: disk full") || r[0].Stored != 0 {
		t.Errorf("failing sink: %+v, %v", r, err)
	}
	if _, err := Import(context.Background(), []Input{{Stream: Engagements, Path: file(t, "e.csv", good)}}, newMemory(), ImportOptions{Rejects: noSpace{}}); err != nil {
		t.Errorf("no rejects, and yet: %v", err)
	}
	bad := good + ",2026-01-01,view\n"
	if _, err := Import(context.Background(), []Input{{Stream: Engagements, Path: file(t, "e.csv", bad)}}, newMemory(), ImportOptions{Rejects: noSpace{}}); !errors.Is(err, errNoSpace) {
		t.Errorf("the rejects file cannot be written: %v", err)
	}

	// A file that breaks off: what was read before is stored, and it is an
	// error; the files after it are not begun.
	long := good + `"` + strings.Repeat("x\n", MaxRowBytes)
	sink = newMemory()
	r, err = Import(context.Background(), []Input{{Stream: Engagements, Path: file(t, "e.csv", long)}, {Stream: Engagements, Path: file(t, "f.csv", good)}}, sink, ImportOptions{})
	if !errors.Is(err, errRowTooLong) || len(r) != 1 || r[0].Stored != 100 || r[0].Rows != 100 {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, in := range []Input{{Stream: Engagements, Path: "none.csv"}, {Stream: Payments, Path: file(t, "e.csv", good)}} {
		if r, err := Import(context.Background(), []Input{in}, sink, ImportOptions{}); err == nil || len(r) != 1 {
			t.Errorf("%+v: %+v, %v", in, r, err)
		}
	}
}

// TestImportReasons bounds what a file of many different errors may write into
// the report.
func TestImportReasons(t *testing.T) {
	var b strings.Builder
	b.WriteString("customer_id,occurred_at,kind\n")
	for i := range 300 {
		b.WriteString("c,2026-01-01,view" + strings.Repeat(",x", i+1) + "\n")
	}
	r, err := Import(context.Background(), []Input{{Stream: Engagements, Path: file(t, "e.csv", b.String())}}, newMemory(), ImportOptions{MaxBadShare: 1})
	if err != nil || len(r[0].Reasons) != 101 || r[0].Reasons["other"] != 200 || len(r[0].Examples) != 20 {
		t.Errorf("%d reasons, %d other, %d examples, %v", len(r[0].Reasons), r[0].Reasons["other"], len(r[0].Examples), err)
	}
}

func TestFindInputs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"payments.csv.gz", "customers.csv", "engagement/b.ndjson", "engagement/a.csv", "engagement/notes.txt", "engagement/shard=1/c.csv.zst", "engagement/shard=1/_SUCCESS.csv", "engagement/_tmp/d.csv", "engagement/shard=1/.e.csv", "engagement/shard=0/f.parquet",
		"complaints.jsonl", "orders.csv", "contacts.csv.bak", "contacts.xlsx", ".csv", "customers.old.txt"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inputs, err := FindInputs(dir)
	var got []string
	for _, in := range inputs {
		rel, _ := filepath.Rel(dir, in.Path)
		got = append(got, in.Stream.String()+" "+filepath.ToSlash(rel))
	}
	want := []string{"customers customers.csv", "engagement engagement/a.csv", "engagement engagement/b.ndjson",
		"engagement engagement/shard=0/f.parquet", "engagement engagement/shard=1/c.csv.zst",
		"complaints complaints.jsonl", "payments payments.csv.gz"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := FindInputs(t.TempDir()); err == nil || !strings.Contains(err.Error(), "name them after their tables") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := FindInputs(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}
