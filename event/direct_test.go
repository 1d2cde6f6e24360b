package event

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// orderedTables writes tables in order of customer, with everything that
// identities are about: rows with and without ids, given twice, with another
// body, corrected, cancelled, and rows that are refused. Engagement comes in
// parts whose customers overlap, payments in parts whose customers do not.
func orderedTables(t *testing.T, rng *rand.Rand, customers, rows int) (inputs []Input) {
	dir := t.TempDir()
	names := make([]string, customers)
	for i := range names {
		names[i] = fmt.Sprintf("%c%d", 'A'+rune(rng.IntN(50)), i)
	}
	slices.Sort(names)
	day := func() string { return fmt.Sprintf("2026-0%d-%02d", 1+rng.IntN(6), 1+rng.IntN(28)) }
	maybe := func(n int, s string) string {
		if rng.IntN(n) > 0 {
			return ""
		}
		return s
	}
	write := func(s Stream, name, head string, names []string, rows int, row func(c string, i int) string) {
		var b strings.Builder
		b.WriteString(head)
		last := ""
		for _, c := range names {
			for i := range rng.IntN(2*rows + 1) {
				if last == "" || rng.IntN(5) > 0 || !strings.Contains(last, c) {
					last = row(c, i)
				}
				if rng.IntN(300) == 0 {
					b.WriteString(row("", i) + "\n")
				}
				b.WriteString(last + "\n")
			}
			last = ""
		}
		text := b.String()
		if strings.HasSuffix(name, ".gz") {
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			w.Write([]byte(text))
			w.Close()
			text = packed.String()
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, Input{Stream: s, Path: path})
	}
	visit := func(c string, i int) string {
		return fmt.Sprintf("%s,%s,%s,%d,%s,%s,%s", c, day(), []string{"visit", "call", "\"a,b\""}[rng.IntN(1+rng.IntN(3))], rng.IntN(2),
			maybe(4, "2026-08-01"), maybe(20, "2026-09-01"), maybe(2, fmt.Sprint(c, "-e", rng.IntN(2*rows))))
	}
	half := len(names) / 2
	if rng.IntN(4) > 0 {
		write(Customers, "customers.csv", "customer_id,signed_up_at,plan\n", names, 1, func(c string, i int) string {
			return c + "," + maybe(2, day()) + "," + maybe(2, "plus")
		})
	}
	for part, of := range [][]string{names, names[half:], names[:half]} {
		write(Engagements, fmt.Sprint("engagement-", part, ".csv"), "customer_id,occurred_at,kind,value,recorded_at,cancelled_at,event_id\n", of, rows, visit)
	}
	for part, of := range [][]string{names[:half], names[half:]} {
		write(Payments, fmt.Sprint("payments-", part, ".csv.gz"), "customer_id,due_at,paid_at,amount,status,currency,event_id\n", of, 5, func(c string, i int) string {
			return fmt.Sprintf("%s,%s,%s,%d,%s,%s,%s", c, day(), maybe(2, "2026-07-01"), rng.IntN(3), []string{"paid", "open", "failed"}[rng.IntN(3)], maybe(2, "EURO"),
				fmt.Sprintf("%s-p%05d", c, i))
		})
	}
	write(Complaints, "complaints.ndjson", "", names, 3, func(c string, i int) string {
		return fmt.Sprintf(`{"customer_id":%q,"opened_at":%q,"severity":%d,"event_id":"%s-k%d"}`, c, day(), rng.IntN(3), c, rng.IntN(4))
	})
	return inputs
}

// gathered is all that comes of gathering.
type gathered struct {
	reports     []FileReport
	rejects     string
	fingerprint string
	customers   int
	last        Time
	timelines   []*Timeline
}

func gather(t *testing.T, inputs []Input, memory int64) (g gathered) {
	t.Helper()
	var rejects bytes.Buffer
	o := GatherOptions{ImportOptions: ImportOptions{MaxBadShare: 1, Rejects: &rejects}, Memory: memory, Dir: t.TempDir()}
	h, reports, err := Gather(context.Background(), inputs, o)
	if err != nil {
		t.Fatal(err)
	}
	g = gathered{reports: reports, rejects: rejects.String(), fingerprint: h.fingerprint, customers: h.customers, last: h.last}
	if err := h.Timelines(context.Background(), func(tl *Timeline) error { g.timelines = append(g.timelines, tl); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	return g
}

// isDirect tells whether the inputs are gathered without sorting.
func isDirect(t *testing.T, inputs []Input, memory int64) bool {
	t.Helper()
	h := &Histories{dir: t.TempDir(), width: 2}
	f, _, err := h.direct(context.Background(), inputs, GatherOptions{ImportOptions: ImportOptions{MaxBadShare: 1}, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	if f != nil {
		f.close()
	}
	return f != nil
}

// Inputs in order of customer give without sorting what sorting gives; so do
// those of which it turns out that they have to be sorted.
func TestDirect(t *testing.T) {
	const much = 1 << 30
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 1))
		customers, rows := 1+rng.IntN(300), 5
		if seed%4 == 0 {
			customers, rows = 1+rng.IntN(3), 4000 // over several batches
		}
		inputs := orderedTables(t, rng, customers, rows)
		if isDirect(t, inputs, MinMemory) {
			t.Fatal("no test: the oracle does not sort")
		}
		check := func(what string, direct bool) {
			t.Helper()
			want, got := gather(t, inputs, MinMemory), gather(t, inputs, much)
			if isDirect(t, inputs, much) != direct {
				t.Errorf("seed %d, %s: without sorting: %v, want %v", seed, what, !direct, direct)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("seed %d, %s: other histories than by sorting:\n%+v\n%+v", seed, what, got.reports, want.reports)
			}
		}
		check("in order", true)
		path := inputs[len(inputs)-1].Path
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		add := func(row string) {
			if err := os.WriteFile(path, append(bytes.Clone(text), row...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		add(`{"customer_id":"zz","opened_at":"2026-01-01","event_id":"zz"}` + "\n")
		check("another customer", true)
		add(`{"customer_id":"0","opened_at":"2026-01-01","event_id":"zz"}` + "\n")
		check("out of order", len(text) == 0)
		used := strings.SplitN(string(text), "\n", 2)[0]
		if _, id, ok := strings.Cut(used, `"event_id":`); ok {
			add(`{"customer_id":"zz","opened_at":"2026-01-01","event_id":` + id + "\n")
			check("an id of two customers", strings.Contains(used, `"customer_id":""`))
		}
	}
}

// What may not be read twice, or by too many at once, is sorted.
func TestDirectNotTried(t *testing.T) {
	in := Input{Stream: Payments, Path: file(t, "payments.csv", "customer_id,paid_at,amount\na,2026-01-01,5\n")}
	if !isDirect(t, []Input{in}, 1<<30) {
		t.Error("a file is not tried")
	}
	if isDirect(t, slices.Repeat([]Input{in}, 1000), 1<<30) {
		t.Error("a thousand files are held open")
	}
	if isDirect(t, []Input{in, {Stream: Contacts, Path: os.DevNull}}, 1<<30) {
		t.Error("what is no regular file is tried")
	}
	query := Input{Stream: Payments, Path: "payments: a query", Open: func(context.Context) (Rows, error) { panic("opened") }}
	if isDirect(t, []Input{in, query}, 1<<30) {
		t.Error("a query is tried")
	}
}

// What is wrong with an input is told as by sorting, and nothing is left of the
// attempt without it.
func TestDirectWrong(t *testing.T) {
	good := Input{Stream: Engagements, Path: file(t, "engagement.csv", "customer_id,occurred_at,kind\n"+strings.Repeat("a,2026-02-01,visit\n,2026-02-01,visit\n", 20))}
	bad := Input{Stream: Payments, Path: file(t, "payments.csv", "customer_id,paid_at,amount\n"+strings.Repeat("a,2026-02-01,5\n,2026-02-01,5\n,2026-02-01,5\n", 5000))}
	missing := Input{Stream: Contacts, Path: filepath.Join(t.TempDir(), "contacts.csv")}
	for _, inputs := range [][]Input{{good, bad}, {bad, good}, {good, missing}} {
		var said [2]string
		for i, memory := range []int64{MinMemory, 1 << 30} {
			var rejects bytes.Buffer
			dir := t.TempDir()
			_, reports, err := Gather(context.Background(), inputs,
				GatherOptions{ImportOptions: ImportOptions{MaxBadShare: 0.5, Rejects: &rejects}, Memory: memory, Dir: dir})
			if left, _ := os.ReadDir(dir); err == nil || len(left) > 0 {
				t.Errorf("%v, left behind %v", err, left)
			}
			said[i] = fmt.Sprint(err, reports, rejects.String())
		}
		if said[0] != said[1] {
			t.Errorf("%s\nby sorting: %s", said[1], said[0])
		}
	}
}

// Words of which there are more than are numbered stay what they are, though the
// memory of one customer's is that of the next.
func TestManyWords(t *testing.T) {
	var b strings.Builder
	b.WriteString("customer_id,occurred_at,kind\n")
	const customers, kinds = 400, 30
	kind := func(c, k int) string { return fmt.Sprintf("%05d", (c*kinds+k/2)*7919%100_000) }
	for c := range customers {
		for k := range kinds {
			fmt.Fprintf(&b, "c%03d,2026-01-%02d,%s\n", c, 1+k, kind(c, k))
		}
	}
	inputs := []Input{{Stream: Engagements, Path: file(t, "engagement.csv", b.String())}}
	for _, memory := range []int64{MinMemory, 1 << 30} {
		for c, tl := range gather(t, inputs, memory).timelines {
			for k, e := range tl.Engagements {
				if want := kind(c, k); e.Kind != want {
					t.Fatalf("%d bytes: customer %d did %s at %d, want %s", memory, c, e.Kind, k, want)
				}
			}
		}
	}
}
