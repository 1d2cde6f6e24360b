package features

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/event"
)

// wildSet declares random features: any aggregate over any field, condition,
// level and window, and functions of some of them.
func wildSet(t testing.TB, r *rand.Rand) *Engine {
	t.Helper()
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	windows := []string{"1h", "5400s", "11h", "12h", "36h", "1d", "2d", "7d", "14d", "28d", "91d", "7300d"}
	r.Shuffle(len(windows), func(i, j int) { windows[i], windows[j] = windows[j], windows[i] })
	windows = windows[:2+r.IntN(4)]
	numbers := []string{"0", "0.7", "1", "-1", "2.1", "3"}
	texts := []string{`"a"`, `"xb"`, `""`, `"none"`}
	term := func(stream string) (s string) {
		switch r.IntN(3) {
		case 0:
			if len(states[stream]) > 0 {
				s = pick(strings.Split(names(states[stream]), ", "))
				break
			}
			fallthrough
		case 1:
			s = pick(strings.Split(names(textFields[stream]), ", ")) + " " + pick([]string{"==", "!="}) + " " + pick(texts)
		default:
			s = pick(strings.Split(names(fields[stream]), ", ")) + " " + pick([]string{"==", "!=", ">=", "<=", ">", "<"}) + " " + pick(numbers)
		}
		return strings.Repeat("not ", r.IntN(2)) + s
	}
	s := &Set{Version: 1, Attributes: []Column{{Name: "plan", Type: "category", Levels: []string{"1", "0"}}, {Name: "seats", Type: "number"},
		{Name: "price", Type: "number", History: true, Fill: new(2.0)}, {Name: "renews", Type: "date"}}}
	aggs := strings.Split(names(aggregates), ", ")
	var plain []string // names of features for functions
	for i := 0; len(s.Features) < 30; i++ {
		d := Definition{Name: fmt.Sprint("f", i), Agg: pick(aggs)}
		a := aggregates[d.Agg]
		if d.From = pick([]string{"engagement", "complaints", "payments", "contacts", "attributes"}); a.of != "" {
			d.From = a.of
			s.Features = append(s.Features, d)
			continue
		}
		if a.field {
			d.Field = pick(strings.Split(names(fields[d.From]), ", "))
		}
		if a.text && r.IntN(2) == 0 {
			d.Field = pick(strings.Split(names(textFields[d.From]), ", "))
		}
		if r.IntN(4) == 0 {
			d.Offset = []event.Duration{event.Hour, 12 * event.Hour, 3 * event.Day, 400 * event.Day}[r.IntN(4)]
		}
		if r.IntN(4) == 0 {
			d.Fill = new([]float64{-1, 0, 0.3}[r.IntN(3)])
		}
		if a.share == ofCondition || r.IntN(3) == 0 {
			d.Where = term(d.From)
			if r.IntN(3) == 0 {
				d.Where += " and " + term(d.From)
			}
		}
		for range 1 + r.IntN(2) {
			w, err := event.ParseDuration(pick(windows))
			if err != nil {
				t.Fatal(err)
			}
			if a.bucket > 0 {
				w = a.bucket * event.Duration(2+r.IntN(5))
			}
			if !slices.Contains(d.Windows, w) {
				d.Windows = append(d.Windows, w)
			}
		}
		d.Name += "_{w}"
		if a.share == ofLevel || r.IntN(4) == 0 {
			d.Name += "_{by}"
			d.By = pick(strings.Split(names(textFields[d.From]), ", "))
			d.Levels = [][]string{{"a", "b", "c"}, {"xb", "xa"}, {"none"}, {}}[r.IntN(4)]
		} else {
			plain = append(plain, d.name(d.Windows[0]))
		}
		s.Features = append(s.Features, d)
	}
	for i := range 8 {
		x := fmt.Sprintf("%s(%s, %s)", pick([]string{"ratio", "diff", "times", "per", "least", "coalesce"}), pick(plain), pick(plain))
		if r.IntN(4) == 0 {
			x = fmt.Sprintf("log1p(%s)", pick(plain))
		}
		s.Features = append(s.Features, Definition{Name: fmt.Sprint("x", i), Expr: x})
	}
	return mustCompile(t, s)
}

// wildHistory is a history with extremes: values beyond what a row of a file
// may carry, and times that lie years apart.
func wildHistory(r *rand.Rand, name string) (event.Customer, []event.Event) {
	who, events := history(r, name)
	for n := r.IntN(3); n > 0; n-- {
		_, more := history(r, name+string(rune('p'+n)))
		events = append(events, more...)
	}
	huge := map[string]event.Amount{} // alike in all phases of one payment
	for i := r.IntN(3) * r.IntN(20); i > 0 && len(events) > 0; i-- {
		huge[events[r.IntN(len(events))].ID] = []event.Amount{math.MinInt64, math.MaxInt64, event.Amount(r.Uint64())}[r.IntN(3)]
	}
	for i := range events {
		e := &events[i]
		if v, ok := huge[e.ID]; ok {
			e.Value = v
		}
		if r.IntN(40) == 0 {
			e.At = e.At.Add(-event.Duration(r.IntN(40)) * 365 * event.Day)
			e.Recorded = max(e.At, e.Recorded)
		}
		e.Channel, e.Arm = []string{"", "a", "b"}[r.IntN(3)], []string{"", "a"}[r.IntN(2)]
	}
	return who, events
}

// supersede lets some items of a history be corrected or cancelled, and gives it
// attributes that change.
func supersede(r *rand.Rand, tl *event.Timeline) {
	at := func() event.Time { return instants(r) }
	for range r.IntN(12) {
		c := event.AttributeChange{At: at(), Name: []string{"price", "tier", "ends", "other"}[r.IntN(4)],
			Value: []string{"", "1", "2.5", "a", "2026-01-05", "true"}[r.IntN(6)]}
		c.Recorded = c.At.Add(event.Duration(r.IntN(4)) * event.Day)
		tl.Changes = append(tl.Changes, c)
	}
	slices.SortStableFunc(tl.Changes, func(a, b event.AttributeChange) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded))
	})
	often := 1 + r.IntN(5)
	end := func(superseded *event.Time, recorded event.Time) {
		if r.IntN(often) == 0 {
			*superseded = max(recorded+1, at())
		}
	}
	for i := range tl.Engagements {
		end(&tl.Engagements[i].Superseded, tl.Engagements[i].Recorded)
	}
	for i := range tl.Complaints {
		end(&tl.Complaints[i].Superseded, tl.Complaints[i].Recorded)
	}
	for i := range tl.Payments {
		end(&tl.Payments[i].Superseded, tl.Payments[i].Recorded)
	}
	for i := range tl.Contacts {
		end(&tl.Contacts[i].Superseded, tl.Contacts[i].Recorded)
	}
	for i := range tl.Changes {
		end(&tl.Changes[i].Superseded, tl.Changes[i].Recorded)
	}
}

// shortSet reaches back so little that most of a history is left out.
func shortSet(t testing.TB) *Engine {
	t.Helper()
	return mustCompile(t, mustParse(t, `version: 1
features:
- {name: n, from: engagement, agg: count, windows: [11h]}
- {name: gap, from: engagement, agg: gap_mean, windows: [12h]}
- {name: gap_std, from: engagement, agg: gap_std, windows: [36h]}
`))
}

// TestOracle is the promise of the engine: whatever is declared, whatever
// happened and was recorded when, in whatever order it arrives, one row or
// many, the bits are those of the plain evaluation of each feature.
func TestOracle(t *testing.T) {
	trials := 1500
	if testing.Short() {
		trials = 150
	}
	r := rand.New(rand.NewPCG(11, 12))
	all, usual := learned(t, everything()), learned(t, Default())
	short := shortSet(t)
	again := mustCompile(t, mustParse(t, `version: 1
features:
- {name: repeats, from: engagement, agg: repeats, windows: [1h]}
`))
	var w Workspace
	for trial := range trials {
		e := []*Engine{usual, all, nil, nil, short, again}[trial%6]
		if e == nil {
			e = wildSet(t, r)
		}
		who, events := wildHistory(r, "c")
		times := make([]event.Time, 1+r.IntN(6))
		for i := range times {
			times[i] = instants(r)
		}
		if r.IntN(2) == 0 {
			slices.Sort(times)
		}
		tl := event.NewTimeline(who, slices.Clone(events))
		n := len(e.Features())
		if trial%4 == 3 {
			supersede(r, tl)
			got := make([]float32, n*len(times))
			e.Rows(got, tl, times, &w)
			for k, at := range times {
				same(t, fmt.Sprint("trial ", trial, ", superseded"), e, got[k*n:][:n], oracle(t, e, tl, at))
			}
			continue
		}
		got := make([]float32, n*len(times))
		e.Rows(got, tl, times, &w)

		shuffled := slices.Clone(events)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		other := make([]float32, n*len(times))
		e.Rows(other, event.NewTimeline(who, shuffled), times, nil)

		for k, at := range times {
			want := oracle(t, e, tl, at)
			same(t, fmt.Sprint("trial ", trial, ", rows"), e, got[k*n:][:n], want)
			same(t, fmt.Sprint("trial ", trial, ", events in another order"), e, other[k*n:][:n], want)
			one := make([]float32, n)
			e.Row(one, tl, at)
			same(t, fmt.Sprint("trial ", trial, ", row"), e, one, want)
			e.Rows(one, event.NewTimeline(who, before(events, at)), times[k:k+1], &w)
			same(t, fmt.Sprint("trial ", trial, ", without later events"), e, one, want)
		}
	}
}

// TestEveryMachine: the same histories give the same bytes on every machine.
// The sum was computed on an AMD EPYC, and is that of the oracle too. An arm64
// build under QEMU 7.2 gave the same, by hand, as CI has no QEMU:
//
//	CGO_ENABLED=0 GOARCH=arm64 go test -c . && qemu-aarch64-static ./features.test -test.run EveryMachine
func TestEveryMachine(t *testing.T) {
	const want = "f1b8954bcf0b4650812ff4fb74a792b6f613be1f5b208ea11aa30e0be397ff80"
	r := rand.New(rand.NewPCG(21, 22))
	engines := []*Engine{learned(t, Default()), learned(t, everything())}
	for range 30 {
		engines = append(engines, wildSet(t, r))
	}
	fast, plain := sha256.New(), sha256.New()
	write := func(to io.Writer, rows []float32) {
		if err := binary.Write(to, binary.LittleEndian, rows); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		e := engines[i%len(engines)]
		who, events := wildHistory(r, "c")
		tl, times := event.NewTimeline(who, events), []event.Time{instants(r), instants(r)}
		rows := make([]float32, 2*len(e.Features()))
		e.Rows(rows, tl, times, nil)
		write(fast, rows)
		for _, at := range times {
			write(plain, oracle(t, e, tl, at))
		}
	}
	if got := fmt.Sprintf("%x", fast.Sum(nil)); got != want {
		t.Errorf("SHA-256 %s, want %s", got, want)
	}
	if got := fmt.Sprintf("%x", plain.Sum(nil)); got != want {
		t.Errorf("SHA-256 of the oracle %s, want %s", got, want)
	}
}

// TestPlanShares compiles the default catalogue: features over the same items
// share their series, so that an event is looked at once for all of them.
func TestPlanShares(t *testing.T) {
	e := learned(t, Default())
	s := slices.IndexFunc(e.plan.series, func(s seriesPlan) bool { return s.source == source{stream: "engagement"} })
	if s < 0 || e.plan.series[s].needs != ofGaps|ofSquares {
		t.Errorf("the series of all engagements is number %d", s)
	}
	if n := len(e.plan.series); n >= len(e.Features())/2 {
		t.Errorf("%d series for %d features", n, len(e.Features()))
	}
}

// TestRowsAllocate counts allocations with a workspace that has seen as much.
func TestRowsAllocate(t *testing.T) {
	e := learned(t, Default())
	r := rand.New(rand.NewPCG(1, 1))
	who, events := history(r, "c")
	tl := event.NewTimeline(who, events)
	times := []event.Time{base.Add(-20 * event.Day), base, base.Add(5 * event.Day)}
	dst := make([]float32, len(times)*len(e.Features()))
	var w Workspace
	if n := testing.AllocsPerRun(20, func() { e.Rows(dst, tl, times, &w) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRowsLetGo looks for what a workspace keeps of a history it is done with.
func TestRowsLetGo(t *testing.T) {
	e := learned(t, everything())
	who, events := history(rand.New(rand.NewPCG(2, 2)), "c")
	var w Workspace
	times := []event.Time{base.Add(-10 * event.Day), base}
	e.Rows(make([]float32, 2*len(e.Features())), event.NewTimeline(who, events), times, &w)
	if w.timeline != nil {
		t.Error("the history")
	}
	for i := range w.streams {
		st := &w.streams[i]
		for _, it := range st.view.items[:cap(st.view.items)] {
			if it != (item{}) {
				t.Errorf("%s: %+v", st.name, it)
			}
		}
		if st.view.of != nil || st.view.one != (item{}) {
			t.Errorf("%s: its engagements", st.name)
		}
		for j := range st.texts {
			x := &st.texts[j]
			for _, r := range x.recent {
				if len(x.known) > 0 || r.text != "" {
					t.Errorf("%s: texts %v, %q", st.name, x.known, r.text)
				}
			}
		}
	}
}
