package event

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Whatever the kind of an item and whatever of it is missing, it is read as it
// was written, and every way to cut it short is an error.
func TestTimelineCodec(t *testing.T) {
	long := strings.Repeat("x", MaxIDLength+1)
	want := &Timeline{
		Customer: Customer{ID: "a", SignedUpAt: 5, ChurnedAt: Never, Attributes: map[string]string{"plan": "plus"}, Consent: []string{}},
		Engagements: []EngagementEvent{{At: -3, Recorded: 9, Kind: "visit", Value: -7, HasValue: true},
			{At: 1 << 50, Recorded: 1 << 50, Kind: long, Superseded: 1<<50 + 1}},
		Complaints: []ComplaintCase{{ID: "c", At: 1, Recorded: 2, Category: "visit", Channel: "mail", Severity: 4, HasSeverity: true, ResolvedAt: Never, ResolvedKnown: Never},
			{ID: "", At: 1, Recorded: 2, ResolvedAt: 3, ResolvedKnown: Never, Satisfaction: 1, HasSatisfaction: true, Superseded: -1}},
		Payments: []PaymentCase{{ID: "p", At: 7, Recorded: 1, Amount: 1, Currency: "EUR", PaidAt: 8, PaidKnown: 9, FailedAt: Never, FailedKnown: Never,
			RefundedAt: 11, RefundedKnown: 12, Superseded: 13}},
		Contacts: []ContactEvent{{At: 1, Recorded: 2, Action: "call", Channel: "phone", Cost: 3, Arm: "treat", Outcome: "visit", Superseded: 4}},
		Changes:  []AttributeChange{{At: 1, Recorded: 2, Name: "plan", Value: "", Superseded: 3}},
		Orphans:  2,
	}
	w := newWords()
	w.number("visit")
	data := w.appendTimeline(nil, want)
	for end := range len(data) + 1 {
		keep := newKeeper()
		d := decoder{data: data[:end], keep: &keep, words: w.list}
		got := d.timeline("a")
		if end < len(data) {
			if d.err == nil {
				t.Fatalf("%d of %d bytes: no error", end, len(data))
			}
			continue
		}
		if d.err != nil || len(d.data) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v, want %+v", got, d.err, want)
		}
	}
}

// A map finds what identities find.
func TestIdentities(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s identities
	for round := range 50 {
		s.reset()
		at := map[string]int{}
		var events []Event
		for range rng.IntN(500) {
			e := Event{ID: strings.Repeat("i", rng.IntN(40)) + fmt.Sprint(rng.IntN(100)), Type: Type(1 + rng.IntN(3))}
			key := e.Type.String() + e.ID
			want, there := at[key]
			got, found := s.find(&e, events, len(events))
			if found != there || there && got != want {
				t.Fatalf("round %d: %s at %d, %v, want %d, %v", round, key, got, found, want, there)
			}
			if !found {
				at[key] = len(events)
				events = append(events, e)
			}
		}
	}
}

// In memory or in a file, the hashes are found that were added twice.
func TestHashes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []int{64, 5000, 1 << 20} {
		h := hashes{dir: t.TempDir(), limit: limit}
		want := map[uint64]bool{}
		for i := range 2000 {
			v := rng.Uint64()
			n := 1 + i%3/2
			if i < 2 {
				v, n = 0, 1 // twice in all
				want[0] = true
			}
			if n == 2 {
				want[v] = true
			}
			for range n {
				if err := h.add([]uint64{v}); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := h.twice()
		h.close()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("limit %d: %d hashes, %v, want %d", limit, len(got), err, len(want))
		}
	}
}

// Stretches in order, few or many, give what sorting gives.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		var f folder
		stretches := rng.IntN(14)
		for i := range n {
			f.order = append(f.order, placed{Time(rng.IntN(20) + 30*(i%(1+stretches))), i})
		}
		slices.SortStableFunc(f.order[:n/2], func(x, y placed) int { return int(x.at - y.at) })
		slices.SortStableFunc(f.order[n/2:], func(x, y placed) int { return int(x.at - y.at) })
		if n%2 == 0 {
			rng.Shuffle(n, func(i, j int) { f.order[i], f.order[j] = f.order[j], f.order[i] })
		}
		compare := func(x, y placed) int {
			if x.at != y.at {
				return int(x.at - y.at)
			}
			return x.i - y.i
		}
		want := slices.Clone(f.order)
		slices.SortFunc(want, compare)
		if f.merge(compare); !slices.Equal(f.order, want) {
			t.Fatalf("%d: %v, want %v", n, f.order, want)
		}
	}
}

// Parts of a text have its rows, lines and refusals, wherever quotes, blank
// lines and long lines are.
func TestPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 8 {
		var b strings.Builder
		b.WriteString("event_id,customer_id,occurred_at,kind,value\n")
		for i := range 20_000 {
			end := []string{"\n", "\r\n", "\n\n"}[rng.IntN(3)]
			kind := "visit"
			switch r := rng.IntN(40_000); {
			case r < 2:
				kind = "\"two\nlines\""
			case r < 4:
				kind = `odd"quote`
			case r < 5 && round%4 == 0:
				kind = strings.Repeat("long", 200_000)
			case r < 100:
				kind = "a,b"
			}
			fmt.Fprintf(&b, "e%d,c%d,2026-01-0%d,%s,%d%s", i, i%7, 1+i%9, kind, i, end)
		}
		text := strings.TrimRight(b.String(), "\r\n")
		path := filepath.Join(t.TempDir(), "engagement.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		type seen struct {
			line int
			what string
		}
		var want, got []seen
		note := func(list *[]seen, rec Record, err error) {
			var bad *RowError
			if errors.As(err, &bad) {
				*list = append(*list, seen{bad.Line, bad.Error()})
				return
			}
			*list = append(*list, seen{rec.Line, fmt.Sprint(rec.Events)})
		}
		rd, err := NewReader(strings.NewReader(text), path, Engagements, Mapping{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			rec, err := rd.Read()
			if err == io.EOF {
				break
			}
			note(&want, rec, err)
		}
		in := Input{Stream: Engagements, Path: path}
		if rd, err = in.Reader(context.Background()); err != nil {
			t.Fatal(err)
		}
		source := rd.rows.(pieces)
		parts := 0
		for from := rd; ; {
			if from == rd && source != nil {
				rows, err := source.Piece()
				if err == io.EOF {
					break
				}
				if err == nil {
					from = rd.of(rows)
					from.keep = newKeeper()
					parts++
				} else if err != errNoPiece {
					t.Fatal(err)
				} else {
					source = nil
				}
			}
			rec, err := from.Read()
			if err == io.EOF {
				if source == nil {
					break
				}
				from = rd
				continue
			}
			note(&got, rec, err)
		}
		rd.Close()
		if !slices.Equal(got, want) {
			t.Fatalf("round %d, %d parts: %d rows, want %d", round, parts, len(got), len(want))
		}
	}
}

// An id that two customers use belongs to the one with the first row of all
// inputs, whether there are few such ids or too many to remember.
func TestStrays(t *testing.T) {
	g := newGatherer(t.TempDir(), MinMemory)
	defer g.close()
	rng := rand.New(rand.NewPCG(1, 2))
	type use struct {
		id string
		of Type
	}
	owner := map[use]string{}
	want := map[string]bool{}
	suspects := map[uint64]bool{}
	for i := range 3000 {
		e := Event{ID: fmt.Sprint(rng.IntN(400)), Customer: fmt.Sprint("c", rng.IntN(50)), Type: PaymentDue + Type(rng.IntN(2))}
		if i%10 == 0 {
			e.ID = ""
		}
		if err := g.add(0, &Record{Events: []Event{e}}); err != nil {
			t.Fatal(err)
		}
		u := use{e.ID, e.Type}
		if _, there := owner[u]; !there {
			owner[u] = e.Customer
		} else if owner[u] != e.Customer && e.ID != "" {
			want[fmt.Sprint(e.Customer, " ", i+1, " ", 0)] = true
			suspects[e.hash()] = true
		}
	}
	for _, s := range []map[uint64]bool{suspects, nil} {
		stray, err := g.strays(s)
		if err != nil {
			t.Fatal(err)
		}
		m, err := stray.merge()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for {
			key, v, err := m.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got[fmt.Sprint(string(key), " ", binary.BigEndian.Uint64(v), " ", binary.BigEndian.Uint32(v[8:]))] = true
		}
		stray.close()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d strays, want %d", len(got), len(want))
		}
	}
}
