package event

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// randomVersions gives versions of a few events of one customer, none of which
// conflict, each with a time of recording below 40.
func randomVersions(r *rand.Rand) []Event {
	var all []Event
	for n := 1 + r.IntN(30); n > 0; n-- {
		e := Event{ID: fmt.Sprint(r.IntN(2)), Customer: "a", Type: Type(1 + r.IntN(9)), Recorded: Time(1 + r.IntN(39))}
		if r.IntN(3) == 0 {
			e.Cancelled = true
		} else {
			e.At, e.Kind, e.HasValue = Time(1+r.IntN(3)*7), "k", true
			e.Value = Amount(r.IntN(2))
		}
		same := 0
		if slices.ContainsFunc(all, func(k Event) bool {
			if k.ID != e.ID || k.Type != e.Type {
				return false
			}
			if k.sameBody(&e) {
				same++
			}
			return k.Recorded == e.Recorded && k.Cancelled == e.Cancelled ||
				!k.Cancelled && !e.Cancelled && k.At != e.At && k.Recorded-k.At == e.Recorded-e.At
		}) || same == maxRepeats {
			continue
		}
		all = append(all, e)
	}
	return all
}

// ledger keeps versions and says in a letter each what became of them.
func ledger(versions []Event) (l *Ledger, statuses string) {
	l = &Ledger{}
	for i := range versions {
		s, _ := l.Add(&versions[i])
		statuses += s.String()[:2] + " "
	}
	return l, statuses
}

// stoodAt is the slow and obvious twin of a history: of each event the last
// version that was recorded before t, with nothing of cases whose beginning is
// void.
func stoodAt(versions []Event, t Time) []Event {
	last, first := map[identity]*Event{}, map[identity]Time{}
	for i := range versions {
		v := &versions[i]
		if key := (identity{v.ID, v.Type}); !v.Cancelled && v.Recorded < t {
			if at, ok := first[key]; !ok || v.Recorded < at {
				first[key] = v.Recorded
			}
		}
	}
	for i := range versions {
		v := versions[i]
		key := identity{v.ID, v.Type}
		begun, ok := first[key]
		if v.Recorded >= t || !ok {
			continue
		}
		v.Recorded = max(v.Recorded, begun) // a cancellation that was there before
		if k := last[key]; k == nil || k.before(&v) {
			last[key] = &v
		}
	}
	var out []Event
	for key, v := range last {
		begins := map[Type]Type{ComplaintResolved: ComplaintOpened, PaymentPaid: PaymentDue, PaymentFailed: PaymentDue, PaymentRefunded: PaymentDue}[key.of]
		if b := last[identity{key.id, begins}]; !v.Cancelled && (b == nil || !b.Cancelled) {
			out = append(out, *v)
		}
	}
	return out
}

// seen lists what of a timeline was known at t, in words without times of
// recording. A payment that was made before it was due or billed is until then
// a purchase.
func seen(tl *Timeline, t Time) []string {
	var list []string
	say := func(visible bool, superseded Time, format string, args ...any) {
		if visible && Stands(superseded, t) {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	for _, e := range tl.Engagements {
		say(Visible(e.At, e.Recorded, t), e.Superseded, "engagement %d %s %d %v", e.At, e.Kind, e.Value, e.HasValue)
	}
	for _, c := range tl.Complaints {
		text := fmt.Sprintf("complaint %s %d %s %d", c.ID, c.At, c.Category, c.Severity)
		if Visible(c.ResolvedAt, c.ResolvedKnown, t) {
			text += fmt.Sprintf(" resolved %d %d", c.ResolvedAt, c.Satisfaction)
		}
		say(Visible(c.At, c.Recorded, t), c.Superseded, "%s", text)
	}
	for _, p := range tl.Payments {
		text := fmt.Sprintf("payment %s", p.ID)
		if spot := p.At == p.PaidAt && Visible(p.PaidAt, p.PaidKnown, t); Visible(p.At, p.Recorded, t) && !spot {
			text += fmt.Sprintf(" %d %d %s", p.At, p.Amount, p.Currency)
		}
		if Visible(p.PaidAt, p.PaidKnown, t) {
			text += fmt.Sprintf(" paid %d", p.PaidAt)
		}
		if Visible(p.FailedAt, p.FailedKnown, t) {
			text += fmt.Sprintf(" failed %d", p.FailedAt)
		}
		if Visible(p.RefundedAt, p.RefundedKnown, t) {
			text += fmt.Sprintf(" refunded %d", p.RefundedAt)
		}
		say(Visible(p.At, p.Recorded, t) || Visible(p.PaidAt, p.PaidKnown, t), p.Superseded, "%s", text)
	}
	for _, c := range tl.Contacts {
		say(Visible(c.At, c.Recorded, t), c.Superseded, "contact %d %s %d", c.At, c.Action, c.Cost)
	}
	for _, c := range tl.Changes {
		say(Visible(c.At, c.Recorded, t), c.Superseded, "attribute %d %s %s", c.At, c.Name, c.Value)
	}
	slices.Sort(list)
	return list
}

// A timeline seen at t is the timeline of what stood at t, whatever came later;
// and of what was recorded before t, if that is all there is.
func TestTimelineSeen(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	superseded, spot := 0, 0
	for range 4000 {
		versions := randomVersions(r)
		l, _ := ledger(versions)
		tl := NewTimeline(Customer{ID: "a"}, l.Events())
		for _, c := range tl.Complaints {
			if c.Superseded != 0 {
				superseded++
			}
		}
		for _, p := range tl.Payments {
			if p.Superseded != 0 && p.At == p.PaidAt {
				spot++
			}
		}
		for at := Time(0); at <= 41; at++ {
			want := seen(NewTimeline(Customer{ID: "a"}, stoodAt(versions, at)), at)
			if got := seen(tl, at); !slices.Equal(got, want) {
				t.Fatalf("at %d of %+v:\ngot  %q\nwant %q", at, versions, got, want)
			}
			cut, _ := ledger(slices.DeleteFunc(slices.Clone(versions), func(e Event) bool { return e.Recorded >= at }))
			if got := seen(NewTimeline(Customer{ID: "a"}, cut.Events()), at); !slices.Equal(got, want) {
				t.Fatalf("at %d, recorded before it, of %+v:\ngot  %q\nwant %q", at, versions, got, want)
			}
		}
	}
	if superseded < 100 || spot < 100 {
		t.Errorf("%d complaints and %d purchases were superseded: the test has lost its point", superseded, spot)
	}
}

// The same versions give the same history in any order, and giving them again
// changes nothing.
func TestVersionsOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 4000 {
		versions := randomVersions(r)
		l, _ := ledger(versions)
		want := l.Events()
		for range 3 {
			shuffled := slices.Clone(versions)
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			l, statuses := ledger(slices.Concat(shuffled, versions))
			if again := strings.Repeat("du ", len(versions)); !strings.HasSuffix(statuses, again) {
				t.Fatalf("%+v and again: %s", shuffled, statuses)
			}
			if got := l.Events(); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
				t.Fatalf("%+v (%s):\ngot  %+v\nwant %+v", shuffled, statuses, got, want)
			}
		}
	}
}

func TestRevise(t *testing.T) {
	base := Event{ID: "1", Customer: "a", Type: Engagement, At: 10, Recorded: 20, Kind: "x"}
	at := func(recorded Time, changes ...func(*Event)) Event {
		e := base
		e.Recorded = recorded
		for _, f := range changes {
			f(&e)
		}
		return e
	}
	kind := func(k string) func(*Event) { return func(e *Event) { e.Kind = k } }
	void := func(e *Event) {
		*e = Event{ID: e.ID, Customer: e.Customer, Type: e.Type, Recorded: e.Recorded, Cancelled: true}
	}
	arrived := func(e *Event) { e.Arrived = true }
	moved := func(to Time) func(*Event) { return func(e *Event) { e.At = to } }
	for _, tt := range []struct {
		name     string
		versions []Event
		want     string // of each, in the first two letters
		known    string // kind, from and until of what comes out
	}{
		{"corrected", []Event{base, at(30, kind("y"))}, "st co ", "x20-30 y30-0 "},
		{"an older version arrives late", []Event{at(30, kind("y")), base}, "st co ", "x20-30 y30-0 "},
		{"the same, recorded later", []Event{base, at(30)}, "st du ", "x20-0 "},
		{"the same, recorded earlier", []Event{base, at(15)}, "st co ", "x15-0 "},
		{"there and back", []Event{base, at(30, kind("y")), at(40)}, "st co co ", "x20-30 y30-40 x40-0 "},
		{"there and back, the middle last", []Event{base, at(40), at(30, kind("y"))}, "st du co ", "x20-30 y30-40 x40-0 "},
		{"another body at the same time", []Event{base, at(20, kind("y"))}, "st co ", "x20-0 "},
		{"sent again after a correction", []Event{base, at(30, kind("y")), at(40, arrived)}, "st co du ", "x20-30 y30-0 "},
		{"a correction by a message without a time", []Event{base, at(30, kind("y"), arrived)}, "st co ", "x20-30 y30-0 "},
		{"moved", []Event{base, at(30, moved(12))}, "st co ", "x20-30 x30-0 "},
		{"moved, by a source that says nothing of recording", []Event{base, at(30, moved(20))}, "st co ", "x20-0 "},
		{"of another customer", []Event{base, at(30, func(e *Event) { e.Customer = "b" })}, "st co ", "x20-0 "},
		{"cancelled", []Event{base, at(30, void)}, "st ca ", "x20-30 "},
		{"cancelled before it came", []Event{at(30, void), base}, "ca ca ", "x20-30 "},
		{"cancelled at once", []Event{base, at(20, void)}, "st ca ", "x20-20 "},
		{"cancelled earlier than recorded", []Event{at(15, void), base}, "ca ca ", "x20-20 "},
		{"cancelled twice", []Event{base, at(30, void), at(30, void), at(40, void)}, "st ca du du ", "x20-30 "},
		{"cancelled and sent again", []Event{base, at(30, void), at(40, arrived)}, "st ca du ", "x20-30 "},
		{"cancelled and reinstated", []Event{base, at(30, void), at(40)}, "st ca co ", "x20-30 x40-0 "},
		{"repeated night for night", []Event{base, at(21), at(22), at(23), at(24), at(25)}, "st du du du du du ", "x20-0 "},
	} {
		l, statuses := ledger(tt.versions)
		known := ""
		events := l.Events()
		slices.SortFunc(events, func(a, b Event) int { return int(a.Recorded - b.Recorded) })
		for _, e := range events {
			known += fmt.Sprintf("%s%d-%d ", e.Kind, int64(e.Recorded), int64(e.Superseded))
		}
		if statuses != tt.want || known != tt.known {
			t.Errorf("%s: %s%s, want %s%s", tt.name, statuses, known, tt.want, tt.known)
		}
	}
	// Conflicts and corrections begin with the same letters: these are conflicts.
	for name, e := range map[string]Event{"customer_id": at(30, func(e *Event) { e.Customer = "b" }), "kind": at(20, kind("y")), "occurred_at": at(30, moved(20))} {
		if r := Revise([]Event{base}, &e); r.Status != Conflict || r.Keep || !slices.Equal(r.Differs, []string{name}) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// Repetitions do not pile up.
	var kept []Event
	for i := range Time(20) {
		if e := at(20 + i); Revise(kept, &e).Keep {
			kept = append(kept, e)
		}
	}
	if len(kept) != maxRepeats {
		t.Errorf("%d repetitions are kept", len(kept))
	}
}

// A complaint whose resolution is void is open again, and one that is void is
// gone with its resolution.
func TestTimelineCases(t *testing.T) {
	ev := func(of Type, at, recorded Time, value Amount) Event {
		return Event{ID: "1", Customer: "a", Type: of, At: at, Recorded: recorded, Value: value, HasValue: true}
	}
	void := func(of Type, recorded Time) Event {
		return Event{ID: "1", Customer: "a", Type: of, Recorded: recorded, Cancelled: true}
	}
	l, _ := ledger([]Event{ev(ComplaintOpened, 1, 2, 3), ev(ComplaintResolved, 5, 6, 4), void(ComplaintResolved, 8), ev(ComplaintOpened, 1, 9, 5),
		void(ComplaintOpened, 12)})
	want := []ComplaintCase{
		{"1", 1, 2, "", "", 3, true, 5, 6, 4, true, 8},
		{"1", 1, 8, "", "", 3, true, Never, Never, 0, false, 9},
		{"1", 1, 9, "", "", 5, true, Never, Never, 0, false, 12},
	}
	if got := NewTimeline(Customer{ID: "a"}, l.Events()); !reflect.DeepEqual(got.Complaints, want) || got.Orphans != 0 {
		t.Errorf("got\n%+v\nwant\n%+v", got.Complaints, want)
	}
	l, _ = ledger([]Event{ev(PaymentDue, 10, 1, 7), ev(PaymentPaid, 3, 4, 7), ev(PaymentDue, 10, 5, 9), ev(PaymentFailed, 11, 11, 9), void(PaymentFailed, 13)})
	paid := PaymentCase{"1", 10, 1, 7, "", 3, 4, Never, Never, Never, Never, 5}
	second, third := paid, paid
	second.Recorded, second.Amount, second.PaidKnown, second.FailedAt, second.FailedKnown, second.Superseded = 5, 9, 5, 11, 11, 13
	third.Recorded, third.Amount, third.PaidKnown, third.Superseded = 13, 9, 13, 0
	if got := NewTimeline(Customer{ID: "a"}, l.Events()).Payments; !reflect.DeepEqual(got, []PaymentCase{paid, second, third}) {
		t.Errorf("got\n%+v\nwant\n%+v", got, []PaymentCase{paid, second, third})
	}
}

// Rows that cancel, with nothing but the id or with all that they cancel.
func TestReadCancellations(t *testing.T) {
	at := func(s string) Time { return writtenAt(t, s) }
	void := func(id string, of Type, recorded string) Event {
		return Event{ID: id, Customer: "a", Type: of, Recorded: at(recorded), Cancelled: true}
	}
	day := at("2026-01-01")
	for _, tt := range []struct {
		s          Stream
		name, text string
		want       []Event
	}{
		{Engagements, "f.csv", "customer_id,event_id,cancelled_at\na,1,2026-02-01\n", []Event{void("1", Engagement, "2026-02-01")}},
		{Engagements, "f.csv", "customer_id,event_id,occurred_at,kind,cancelled_at\na,1,2026-01-01,visit,2026-02-01\n",
			[]Event{{ID: "1", Customer: "a", Type: Engagement, At: day, Recorded: day, Kind: "visit"}, void("1", Engagement, "2026-02-01")}},
		{Complaints, "f.ndjson", `{"customer_id":"a","event_id":"1","cancelled_at":"2026-02-01"}`, []Event{void("1", ComplaintOpened, "2026-02-01")}},
		{Complaints, "f.ndjson", `{"customer_id":"a","event_id":"1","resolution_cancelled_at":"2026-02-01"}`, []Event{void("1", ComplaintResolved, "2026-02-01")}},
		{Complaints, "f.csv", "customer_id,event_id,opened_at,resolved_at,resolution_cancelled_at,cancelled_at\na,1,2026-01-01,2026-01-01,2026-02-01,2026-03-01\n",
			[]Event{{ID: "1", Customer: "a", Type: ComplaintOpened, At: day, Recorded: day}, {ID: "1", Customer: "a", Type: ComplaintResolved, At: day, Recorded: day},
				void("1", ComplaintOpened, "2026-03-01"), void("1", ComplaintResolved, "2026-02-01")}},
		{Payments, "f.csv", "customer_id,event_id,cancelled_at\na,1,2026-02-01\n", []Event{void("1", PaymentDue, "2026-02-01"), void("1", PaymentPaid, "2026-02-01")}},
		{Payments, "f.csv", "customer_id,event_id,paid_at,amount,cancelled_at\na,1,2026-01-01,5,2026-02-01\n",
			[]Event{{ID: "1", Customer: "a", Type: PaymentPaid, At: day, Recorded: day, Value: 5 * Unit, HasValue: true}, void("1", PaymentPaid, "2026-02-01")}},
		{Contacts, "f.csv", "c,id,gone\na,1,2026-02-01\n", []Event{void("1", Contact, "2026-02-01")}},
		{Attributes, "f.csv", "customer_id,event_id,plan,cancelled_at\na,1,,2026-02-01\n", []Event{void("1/plan", AttributeSet, "2026-02-01")}},
		{Attributes, "f.ndjson", `{"customer_id":"a","event_id":"1","valid_from":"2026-01-01","plan":"x","cancelled_at":"2026-02-01"}`,
			[]Event{set("1/plan", "plan", "x", day, day), void("1/plan", AttributeSet, "2026-02-01")}},
	} {
		var m Mapping
		if strings.HasPrefix(tt.text, "c,") {
			m.Columns = map[string]string{"customer_id": "c", "event_id": "id", "cancelled_at": "gone"}
		}
		o := read(t, strings.NewReader(tt.text), tt.name, tt.s, m)
		if o.err != nil || len(o.bad) > 0 || !reflect.DeepEqual(o.events(), tt.want) {
			t.Errorf("%s: %v %v\ngot  %+v\nwant %+v", tt.text, o.err, o.bad, o.events(), tt.want)
		}
	}
	for text, want := range map[string]string{
		"customer_id,occurred_at,kind,cancelled_at\na,,,2026-02-01\n":                      "event_id: empty: say what is cancelled",
		"customer_id,event_id,cancelled_at\na,1,\n":                                        "occurred_at: missing",
		"customer_id,event_id,cancelled_at\na,1,soon\n":                                    "cancelled_at: ",
		"customer_id,event_id,cancelled_at\n,1,2026-02-01\n":                               "customer_id: empty",
		"customer_id,event_id,occurred_at,kind,cancelled_at\na,1,2026-01-01,,2026-02-01\n": "kind: empty",
	} {
		if o := read(t, strings.NewReader(text), "f.csv", Engagements, Mapping{}); len(o.bad) != 1 || !strings.HasPrefix(o.bad[0].Error(), "f.csv:2: "+want) {
			t.Errorf("%q: %v %v, want %s", text, o.err, o.bad, want)
		}
	}
	// The row without an id is the one that was there before.
	head := "customer_id,occurred_at,kind,cancelled_at\n"
	before, after := ids(t, Engagements, head+"a,2026-01-01,visit,\n"), ids(t, Engagements, head+"a,2026-01-01,visit,2026-02-01\n")
	if !slices.Equal(before, after) {
		t.Errorf("cancelled, the row has the id %s, not %s", after, before)
	}
	// It does not lie ahead.
	reports, err := Import(t.Context(), []Input{{Stream: Contacts, Path: file(t, "contacts.csv", "customer_id,event_id,cancelled_at\na,1,2026-02-01\n")}},
		newMemory(), ImportOptions{Latest: at("2026-01-15"), MaxBadShare: 1})
	if err != nil || reports[0].RefusedFor["future"] != 1 {
		t.Errorf("%v %+v", err, reports)
	}
}
