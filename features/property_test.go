package features

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"churn/event"
)

// everything declares each aggregate over each stream and field, with windows
// whose edges the random histories hit.
var everything = sync.OnceValue(func() *Set {
	var b strings.Builder
	b.WriteString("version: 1\nattributes: [{name: plan, type: category}, {name: seats, type: number, fill: 1.5}, {name: renews, type: date},\n  {name: price, type: number, history: true}, {name: tier, type: category, history: true}, {name: ends, type: date, history: true, fill: -1}]\nfeatures:\n")
	n := 0
	add := func(format string, args ...any) {
		n++
		fmt.Fprintf(&b, "- {name: \"f%d_{w}%s", n, fmt.Sprintf(format, args...))
		b.WriteString("}\n")
	}
	for _, stream := range []string{"engagement", "complaints", "payments", "contacts", "attributes"} {
		conditions := []string{""}
		for _, state := range slices.Sorted(maps.Keys(states[stream])) {
			conditions = append(conditions, ", where: "+state)
		}
		for _, name := range slices.Sorted(maps.Keys(aggregates)) {
			switch a := aggregates[name]; {
			case a.of != "":
			case a.share == ofLevel:
				add("_{by}\", from: %s, agg: %s, by: %s, top: 3, windows: [2d, 14d]", stream, name, kindField[stream])
			case a.text:
				for _, f := range slices.Sorted(maps.Keys(textFields[stream])) {
					add("\", from: %s, agg: %s, field: %s, windows: [2d, 14d]", stream, name, f)
				}
				add("\", from: %s, agg: %s, windows: [36h], offset: 36h", stream, name)
			case a.field:
				for _, f := range slices.Sorted(maps.Keys(fields[stream])) {
					add("\", from: %s, agg: %s, field: %s, windows: [2d, 14d]", stream, name, f)
				}
			case a.share == ofCondition:
				add("\", from: %s, agg: %s, where: age_days <= 3, windows: [2d, 14d]", stream, name)
			case a.bucket > 0:
				add("\", from: %s, agg: %s, windows: [14d, 28d]", stream, name)
				add("\", from: %s, agg: %s, windows: [14d], offset: 12h", stream, name)
			default:
				for _, c := range conditions {
					add("\", from: %s, agg: %s, windows: [36h, 14d]%s", stream, name, c)
				}
				add("\", from: %s, agg: %s, windows: [36h, 14d], offset: 3d, fill: -2", stream, name)
			}
		}
	}
	add("_{by}\", from: engagement, agg: count, by: kind, top: 3, windows: [7d]")
	add("_{by}\", from: payments, agg: sum, field: amount, by: currency, top: 3, windows: [7d]")
	for _, name := range slices.Sorted(maps.Keys(aggregates)) {
		if of := aggregates[name].of; of != "" {
			fmt.Fprintf(&b, "- {name: %s, from: %s, agg: %[1]s}\n", name, of)
		}
	}
	s, err := Parse([]byte(b.String()))
	if err != nil {
		panic(err)
	}
	return s
})

// history is one random customer. Times fall on a grid of half days, so that
// many of them are equal to each other and to the edges of windows, with a
// microsecond more or less here and there. As in a store, id and type are
// unique, and the phases of one payment carry the same amount.
func history(r *rand.Rand, name string) (event.Customer, []event.Event) {
	at := func() event.Time {
		return base.Add(event.Duration(r.IntN(80)-60)*12*event.Hour + event.Duration(r.IntN(3)-1)*event.Duration(r.IntN(2)))
	}
	c := event.Customer{ID: name, SignedUpAt: at(), ChurnedAt: event.Never,
		Attributes: map[string]string{"plan": fmt.Sprint(r.IntN(3)), "seats": fmt.Sprint(r.IntN(9)), "renews": at().String()}}
	var events []event.Event
	for i := range r.IntN(30) {
		id := fmt.Sprint(name, i)
		kind := []string{"", "a", "b", "c"}[r.IntN(4)]
		value, has := event.Amount(r.IntN(5)*700_000), r.IntN(4) > 0
		add := func(t event.Type, at event.Time, k string, v event.Amount, has bool) {
			e := event.Event{ID: id, Customer: name, Type: t, At: at, Recorded: at, Kind: k, Value: v, HasValue: has}
			if r.IntN(3) == 0 {
				e.Recorded = at.Add(event.Duration(r.IntN(10)) * 12 * event.Hour)
			}
			if t == event.PaymentDue && r.IntN(3) == 0 {
				e.Recorded = at.Add(-event.Duration(r.IntN(20)) * 12 * event.Hour)
			}
			events = append(events, e)
		}
		switch r.IntN(5) {
		case 0:
			add(event.Engagement, at(), "x"+kind, value, has)
		case 1:
			open := at()
			add(event.ComplaintOpened, open, kind, value, has)
			if r.IntN(2) == 0 {
				add(event.ComplaintResolved, max(open, at()), "", value, has)
			}
		case 2:
			for _, t := range []event.Type{event.PaymentDue, event.PaymentPaid, event.PaymentFailed, event.PaymentRefunded} {
				if r.IntN(3) > 0 {
					add(t, at(), kind, value, true)
				}
			}
		case 3:
			add(event.AttributeSet, at(), []string{"price", "tier", "ends", "other"}[r.IntN(4)], 0, false)
			e := &events[len(events)-1]
			if e.Outcome = []string{"", "1", "2.5", "a", "2026-01-05", "true"}[r.IntN(6)]; r.IntN(3) == 0 {
				e.Recorded = e.At.Add(-event.Duration(r.IntN(20)) * 12 * event.Hour) // known ahead
			}
		default:
			add(event.Contact, at(), kind, value, has)
		}
	}
	return c, events
}

// learned locks a set on a few histories.
func learned(t testing.TB, s *Set) *Engine {
	t.Helper()
	c := NewCensus(s)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 20 {
		who, events := history(r, fmt.Sprint("train", i))
		c.Add(event.NewTimeline(who, events), base)
	}
	return mustCompile(t, s.Lock(c))
}

func row(e *Engine, who event.Customer, events []event.Event, t event.Time) []float32 {
	dst := make([]float32, len(e.Features()))
	e.Row(dst, event.NewTimeline(who, slices.Clone(events)), t)
	return dst
}

// same reports the first feature of which the bits differ.
func same(t *testing.T, what string, e *Engine, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: %s is %v, want %v", what, e.Features()[i].Name, got[i], want[i])
		}
	}
}

func instants(r *rand.Rand) event.Time {
	return base.Add(event.Duration(r.IntN(80)-60)*12*event.Hour + event.Duration(r.IntN(3)-1))
}

// TestTruncation is the rule against leaks: a row at t is the same whether the
// history goes on or not, be it cut to what a server had recorded by t or to
// what had happened too.
func TestTruncation(t *testing.T) {
	for name, e := range map[string]*Engine{"default": learned(t, Default()), "everything": learned(t, everything())} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 150 {
				who, events := history(r, "c")
				at := instants(r)
				want := row(e, who, events, at)
				var recorded []event.Event
				for _, ev := range events {
					if ev.Recorded < at {
						recorded = append(recorded, ev)
					}
				}
				same(t, "as recorded", e, row(e, who, recorded, at), want)
				same(t, "as happened and recorded", e, row(e, who, before(events, at), at), want)
			}
		})
	}
}

// TestInvariance changes what must not matter.
func TestInvariance(t *testing.T) {
	e := learned(t, everything())
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		who, events := history(r, "c")
		at := instants(r)
		want := row(e, who, events, at)

		shuffled := slices.Clone(events)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		same(t, "another order", e, row(e, who, shuffled, at), want)

		// Rows depend on differences of times only, not on the calendar.
		const by = 100*event.Day + 7*event.Hour + 3
		moved := slices.Clone(events)
		for i := range moved {
			moved[i].At, moved[i].Recorded = moved[i].At.Add(by), moved[i].Recorded.Add(by)
		}
		later := who
		later.SignedUpAt = who.SignedUpAt.Add(by)
		got := row(e, later, moved, at.Add(by))
		for i, calendar := range ofCalendar(e) {
			if calendar {
				got[i] = want[i]
			}
		}
		same(t, "another time", e, got, want)

		// That and why somebody left is the label.
		left := who
		left.ChurnedAt, left.ChurnReason = at.Add(-event.Day), "price"
		same(t, "churned", e, row(e, left, events, at), want)

		other := who
		other.ID = "someone else"
		same(t, "another id", e, row(e, other, events, at), want)
	}
}

// ofCalendar tells which features depend on the calendar.
func ofCalendar(e *Engine) []bool {
	var of []bool
	for _, d := range e.declarations() {
		switch {
		case d.column != nil:
			of = append(of, d.column.Type == "date")
		default:
			of = append(of, d.From == "calendar" || d.Field == "hour" || d.Field == "weekday" ||
				slices.Contains([]string{"anniversary", "cohort", "signup_month"}, d.Agg))
		}
	}
	return of
}

// TestConcurrentRows computes the rows of many customers in many goroutines.
// Each must be what it is alone: nothing of another customer, or of another
// row of the same one, may be left behind.
func TestConcurrentRows(t *testing.T) {
	e := learned(t, everything())
	r := rand.New(rand.NewPCG(5, 6))
	type job struct {
		tl   *event.Timeline
		at   event.Time
		want []float32
	}
	var jobs []job
	for i := range 40 {
		who, events := history(r, fmt.Sprint("c", i))
		tl, at := event.NewTimeline(who, events), instants(r)
		fresh := mustCompile(t, e.Set()) // has seen nobody else
		want := make([]float32, len(e.Features()))
		fresh.Row(want, tl, at)
		jobs = append(jobs, job{tl, at, want})
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			dst := make([]float32, len(e.Features()))
			for i := range jobs {
				j := jobs[(i*7+g*5)%len(jobs)]
				e.Row(dst, j.tl, j.at)
				for k := range dst {
					if math.Float32bits(dst[k]) != math.Float32bits(j.want[k]) {
						t.Errorf("%s of customer %s is %v, alone %v", e.Features()[k].Name, j.tl.Customer.ID, dst[k], j.want[k])
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestLockDeterminism counts the same customers in another order.
func TestLockDeterminism(t *testing.T) {
	s := everything()
	type customer struct {
		tl *event.Timeline
	}
	r := rand.New(rand.NewPCG(8, 9))
	var all []customer
	for i := range 30 {
		who, events := history(r, fmt.Sprint("c", i))
		all = append(all, customer{event.NewTimeline(who, events)})
	}
	fingerprint := func() string {
		c := NewCensus(s)
		for _, x := range all {
			c.Add(x.tl, base)
		}
		return mustCompile(t, s.Lock(c)).Fingerprint()
	}
	want := fingerprint()
	for range 5 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if got := fingerprint(); got != want {
			t.Fatalf("the order of customers chose other levels: %s, %s", got, want)
		}
	}
}

// TestAggregatesDocumented compares what Aggregates says of an empty window
// with what it gives.
func TestAggregatesDocumented(t *testing.T) {
	e := mustCompile(t, everything().Lock(NewCensus(everything())))
	dst := row(e, event.Customer{SignedUpAt: event.Never}, nil, base)
	documented := Aggregates()
	for _, d := range e.Set().Features {
		if d.By != "" {
			continue
		}
		for _, w := range append(d.Windows, 0) {
			i, ok := e.Index(d.name(w))
			if !ok {
				continue
			}
			empty := documented[d.Agg]
			if d.Fill != nil && empty == "missing" {
				if dst[i] != float32(*d.Fill) {
					t.Errorf("%s is %v, and should be filled with %v", d.name(w), dst[i], *d.Fill)
				}
				continue
			}
			switch got := dst[i]; {
			case empty == "of t" && got == got:
			case empty == "missing" && got == got, empty == "0" && got != 0,
				empty == "the window" && got != float32(w/week), empty == "":
				t.Errorf("%s of nothing gives %v, but is documented as %q", d.Agg, got, empty)
			}
		}
	}
}

// TestValues reads rows of a wide table.
func TestValues(t *testing.T) {
	s := mustParse(t, "version: 1\ncolumns:\n- {name: Tenure (months), type: number}\n- {name: Contract, type: category}\n- {name: flag, type: number}\n")
	c := NewCensus(s)
	for _, v := range []string{"monthly", "yearly", "monthly", ""} {
		c.AddValues(map[string]string{"Contract": v})
	}
	e := mustCompile(t, s.Lock(c))
	if !e.OfTable() || !slices.Equal(featureNames(e), []string{"Tenure_months", "Contract", "flag"}) || !slices.Equal(e.Features()[1].Levels, []string{"monthly", "yearly"}) {
		t.Fatalf("got %+v", e.Features())
	}
	m := float32(nan)
	for _, tt := range []struct {
		values map[string]string
		want   []float32
		odd    []string
	}{
		{map[string]string{"Tenure (months)": "12", "Contract": "yearly", "flag": "Yes"}, []float32{12, 1, 1}, nil},
		{map[string]string{"Tenure (months)": " 12 ", "Contract": "monthly", "flag": "false"}, []float32{12, 0, 0}, nil},
		{map[string]string{"Tenure (months)": " ", "Contract": "", "other": "x"}, []float32{m, m, m}, nil},
		{map[string]string{"Tenure (months)": "a year", "Contract": "weekly", "flag": "NA"}, []float32{m, -1, m}, []string{"Tenure (months)", "Contract"}},
		{map[string]string{"Tenure (months)": "1e39", "flag": "inf"}, []float32{m, m, m}, []string{"Tenure (months)", "flag"}},
		{map[string]string{"Tenure (months)": "1e38", "flag": "0x10"}, []float32{1e38, m, m}, []string{"flag"}},
	} {
		dst := make([]float32, 3)
		odd := e.Values(dst, tt.values)
		for i := range dst {
			if math.Float32bits(dst[i]) != math.Float32bits(tt.want[i]) {
				t.Errorf("%v gives %v, want %v", tt.values, dst, tt.want)
				break
			}
		}
		if !slices.Equal(odd, tt.odd) {
			t.Errorf("%v: odd %q, want %q", tt.values, odd, tt.odd)
		}
	}
}

func TestMatrix(t *testing.T) {
	m := Matrix{Features: make([]Feature, 2)}
	for i := range 3 {
		copy(m.Grow(), []float32{float32(i), float32(10 * i)})
	}
	if m.Rows() != 3 || !slices.Equal(m.Row(1), []float32{1, 10}) {
		t.Errorf("got %+v", m)
	}
	s := m.Select([]int{2, 0})
	m.Row(2)[0] = 99
	if s.Rows() != 2 || !slices.Equal(s.Data, []float32{2, 20, 0, 0}) {
		t.Errorf("got %+v", s)
	}
	if _ = append(m.Row(0), 7); m.Row(1)[0] != 1 {
		t.Error("appending to a row reached the next one")
	}
	if (&Matrix{}).Rows() != 0 {
		t.Error("a matrix without features has rows")
	}
}
