package training

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/event/sim"
	"churn/features"
	"churn/model"
)

// Three customers, by hand. a came every ten days for 100 days and never again;
// b was away for 40 days once, and then came until the end; c came once, too
// late for any silence.
func TestSilences(t *testing.T) {
	s := NewSilences(day(300), 10)
	every := func(from, to, step int) (times []event.Time) {
		for d := from; d <= to; d += step {
			times = append(times, day(d))
		}
		return times
	}
	s.Add(every(0, 100, 10))
	s.Add(append(every(0, 50, 5), every(90, 299, 5)...))
	s.Add([]event.Time{day(290)})
	s.Add(nil)
	want := map[int][2]int{
		7:   {2, 2}, // a's ten days are one at once; b's five are none until day 50
		14:  {2, 1}, // a for good, b came back
		10:  {2, 1}, // ten days between visits are not more than ten
		30:  {2, 1},
		60:  {1, 0}, // b was away for 40 only
		90:  {1, 0}, // 100 + 180 <= 300
		180: {0, 0},
		365: {0, 0},
	}
	for _, r := range s.Report() {
		if got := [2]int{r.Silent, r.Returned}; got != want[r.Days] {
			t.Errorf("%dd: silent and returned %v, want %v", r.Days, got, want[r.Days])
		}
		if !math.IsNaN(float64(r.Share)) {
			t.Errorf("%dd: a share of %v of %d customers", r.Days, r.Share, r.Silent)
		}
	}
	if d := s.Propose(); d != 0 {
		t.Errorf("proposed %dd of two customers", d)
	}
	for range 18 { // with those before, 20 silent for 14 days, one of whom came back
		s.Add(every(0, 100, 10))
	}
	if d := s.Propose(); d != 14 {
		t.Errorf("proposed %dd, want 14", d)
	}
}

// Any times: the same counts as by looking at every pair anew.
func TestSilencesOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	s := NewSilences(day(200), 3)
	silent, returned := map[int]int{}, map[int]int{}
	for range 300 {
		var times []event.Time
		for range r.IntN(12) {
			times = append(times, event.Time(r.Int64N(int64(day(200)))))
		}
		slices.Sort(times)
		s.Add(times)
		for _, days := range append([]int{3}, spans...) {
			w := event.Duration(days) * event.Day
			for _, at := range times {
				// The first after which nothing came within w, were there time for it.
				quiet, later := true, false
				for _, u := range times {
					if u > at {
						later = true
						quiet = quiet && u.Sub(at) > w
					}
				}
				if slices.Index(times, at) != slices.IndexFunc(times, func(u event.Time) bool { return u == at }) || !quiet {
					continue
				}
				if at.Add(2*w) <= day(200) {
					silent[days]++
					if later {
						returned[days]++
					}
				}
				break
			}
		}
	}
	for _, rep := range s.Report() {
		if rep.Silent != silent[rep.Days] || rep.Returned != returned[rep.Days] {
			t.Errorf("%dd: %d silent, %d returned; by the slow way %d and %d", rep.Days, rep.Silent, rep.Returned, silent[rep.Days], returned[rep.Days])
		}
	}
}

// Quantiles of few distinct values are exact, of many within a bucket.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 6))
	for _, n := range []int{1, 2, 3, 999, 30_000} {
		s := newNumbers()
		var all []float64
		for range n {
			v := math.Exp(r.NormFloat64()*3) * float64(1-2*r.IntN(2))
			if r.IntN(10) == 0 {
				v = 0
			}
			all = append(all, v)
			s.add(v, 1)
		}
		slices.Sort(all)
		for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.95, 0.99, 1} {
			want := all[max(0, int(math.Ceil(q*float64(n)))-1)]
			got := s.quantile(q)
			if tolerance := math.Abs(want) / 128; n <= maxDistinct && got != want || math.Abs(got-want) > tolerance {
				t.Errorf("%d values, quantile %v: %v, want %v", n, q, got, want)
			}
		}
		if c := s.report("x", n); c.More != (n > maxDistinct) || float64(c.Least) != all[0] || float64(c.Greatest) != all[n-1] {
			t.Errorf("%d values: %+v", n, c)
		}
	}
	if v := newNumbers().quantile(0.5); !math.IsNaN(v) {
		t.Errorf("the median of nothing is %v", v)
	}
}

// Counts of instants are never too high, and at most a thousandth too low.
func TestHeavy(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 7))
	h := heavy{counts: map[event.Time]int{}}
	exact := map[event.Time]int{}
	const n = 200_000
	for range n {
		at := event.Time(r.Int64N(1 << 40))
		switch r.IntN(50) {
		case 0:
			at = 7
		case 1, 2:
			at = 8
		}
		exact[at]++
		h.add(at)
	}
	if len(h.counts) > heavyCounters {
		t.Errorf("%d counters", len(h.counts))
	}
	for _, at := range []event.Time{7, 8} {
		if got := h.counts[at]; got > exact[at] || got < exact[at]-n/heavyCounters {
			t.Errorf("%v: %d, exactly %d", at, got, exact[at])
		}
	}
	if at, got := h.most(); at != 8 || got != h.counts[8] {
		t.Errorf("most: %v %d", at, got)
	}
}

// One stream by hand: a signed up on day 10 and left on day 100, b is known by
// events only.
func TestStreamLook(t *testing.T) {
	s := newStreamLook(event.Engagements, day(120))
	e := func(at, recorded float64) event.EngagementEvent {
		d := float64(event.Day)
		return event.EngagementEvent{At: event.Time(at * d), Recorded: event.Time(recorded * d), Kind: "visit"}
	}
	s.add(&event.Timeline{Customer: event.Customer{ID: "a", SignedUpAt: day(10), ChurnedAt: day(100)}, Engagements: []event.EngagementEvent{
		e(8, 8), e(9.5, 9.5), e(10, 10), // before the sign-up, the second within a day; and with it
		e(20, 25), e(21, 22), // recorded late, and the second before the first
		e(101.5, 101.5), // after leaving
	}})
	s.add(&event.Timeline{Customer: event.Customer{ID: "b", SignedUpAt: event.Never, ChurnedAt: event.Never}, Engagements: []event.EngagementEvent{
		e(40.25, 40.25), e(41.25, 41.25), e(92.25, 92.25), e(119.5, 119.5), e(130, 130), // ahead of the end
	}})
	s.add(&event.Timeline{Customer: event.Customer{ID: "c"}})
	r := s.report(3)
	if r.Events != 11 || r.Customers != 2 || math.Abs(float64(r.CustomerShare)-2.0/3) > 1e-12 || r.Ahead != 1 || r.Versions != 0 {
		t.Errorf("events: %+v", r)
	}
	if r.First != day(8) || r.Last != e(119.5, 0).At || r.ActiveDays != 10 || r.GapDays != 50 || r.GapFrom != day(42) || r.beforeGap != 7 || r.afterGap != 3 {
		t.Errorf("gap: %+v", r)
	}
	if r.recent != 3 || r.former != 0 { // days 92 to 119, and 64 to 91
		t.Errorf("%d in the last 28 days, %d before", r.recent, r.former)
	}
	if r.OfSignedUp != 6 || r.BeforeSignUp != 2 || r.SignUpDay != 1 || r.OfChurned != 6 || r.AfterChurn != 1 {
		t.Errorf("sign-up and churn: %+v", r)
	}
	if r.Timed != 11 || r.Late != 2 || r.OutOfOrder != 1 || r.LagMedian != 0 || r.LagLongest != 5 {
		t.Errorf("clocks: %+v", r)
	}
	if r.Midnight != 4 {
		t.Errorf("%d at midnight", r.Midnight)
	}
	// Months of a are [8, 38), [38, 68) and [68, 98): 5, 0, 0 events; of b
	// [40.25, 70.25), [70.25, 100.25): 2, 1. The median of 0 0 1 2 5 is 1.
	if s.perMonth.n != 5 || r.PerMonth != 1 || s.perMonth.quantile(0.8) != 2 || s.perMonth.quantile(1) != 5 {
		t.Errorf("a month: %+v", s.perMonth)
	}
}

// Dates on 50 days have 2 % of the events each: 4 % is nothing, 12 % is. Of
// times 4 % is odd as well, but not of campaigns.
func TestOneInstant(t *testing.T) {
	for _, c := range []struct {
		table            string
		midnight, events int
		found            bool
	}{{"engagement", 1000, 40, false}, {"engagement", 1000, 120, true}, {"engagement", 0, 40, true}, {"engagement", 0, 10, false}, {"contacts", 0, 40, false}} {
		x := &doctor{}
		x.in.Through = day(51)
		x.times(&TableReport{Table: c.table, Events: 1000, First: day(1), Last: day(50), ActiveDays: 50, Midnight: c.midnight, OneInstant: &InstantCount{day(7), c.events}})
		found := slices.ContainsFunc(x.out.Findings, func(f Finding) bool { return f.Check == "one instant" })
		if found != c.found {
			t.Errorf("%+v: %v", c, x.out.Findings)
		}
	}
}

func TestRepeats(t *testing.T) {
	l := newColumnLooks()
	visit := event.EngagementEvent{At: day(1), Kind: "visit", Value: 5 * event.Unit, HasValue: true}
	late, other, next, void := visit, visit, visit, visit
	late.Recorded = day(2)
	other.Kind = "order"
	next.At = day(2)
	void.Superseded = day(9)
	l.add(&event.Timeline{Engagements: []event.EngagementEvent{visit, other, late, void, visit, next}})
	l.add(&event.Timeline{Engagements: []event.EngagementEvent{visit}})
	if n := l.repeats[event.Engagements]; n != 2 { // late and the third visit
		t.Errorf("%d repeats, want 2", n)
	}
	if l.rows[event.Engagements] != 6 {
		t.Errorf("%d rows stand, want 6", l.rows[event.Engagements])
	}
}

// The parts of a diagnosis are those that training has, and the classes its
// counts.
func TestDoctorCountsAsTraining(t *testing.T) {
	w := sim.DefaultWorld()
	w.Customers, w.Snapshots = 400, nil
	src, p := newWorldSource(t, w), worldPlan(&w)
	d, err := Doctor(context.Background(), src, Checkup{Plan: p})
	if err != nil {
		t.Fatal(err)
	}
	p2 := p
	_, data, r, err := p2.histories(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	pt := divide(data, r.Split)
	for i, part := range []*Data{pt.train, pt.calibration, pt.test} {
		got := d.Parts[i]
		churned := map[string]bool{}
		for _, o := range part.Observations {
			if o.Churned {
				churned[o.Customer] = true
			}
		}
		if got.Rows != len(part.Observations) || got.Churners != part.Positives() || got.ChurnedCustomers != len(churned) {
			t.Errorf("%s: %+v, training has %d rows, %d churners, %d customers", got.Name, got, len(part.Observations), part.Positives(), len(churned))
		}
	}
	counts := Counts{}
	for _, s := range d.Snapshots {
		for v, n := range s.Verdicts {
			counts[v] += n
		}
	}
	for _, v := range verdictNames {
		if counts[v] != r.Counts[v] {
			t.Errorf("%s: %d, training counts %d", v, counts[v], r.Counts[v])
		}
	}
	if !strings.Contains(fmt.Sprint(d.Findings), "the test part has") {
		t.Errorf("nothing said of a test of %d churners: %v", d.Parts[2].Churners, d.Findings)
	}
	// The same on any number of workers.
	a, _ := json.Marshal(d)
	p.Workers = 3
	again, err := Doctor(context.Background(), src, Checkup{Plan: p})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := json.Marshal(again); string(a) != string(b) {
		t.Errorf("on 3 workers:\n%s\nwant\n%s", b, a)
	}
}

// What is missing, by hand: 8 of 20 churners in 24 weeks and 1,000 customers.
func TestNeeds(t *testing.T) {
	x := &doctor{}
	x.out.Customers = 1000
	x.out.Parts = []PartReport{{Name: "training", Rows: 900, Churners: 120}, {Name: "calibration", Rows: 300, Churners: 300}, {Name: "test", Rows: 300, Churners: 8}}
	x.needs(24)
	test := x.out.Parts[2].Needs[0]
	if test.Missing != 12 || test.Weeks != 36 || test.Customers != 1500 {
		t.Errorf("test: %+v, want 12 missing, 12/8 of 24 weeks, 12/8 of 1000 customers", test)
	}
	if n := x.out.Parts[0].Needs; n[0].Missing != 0 || n[0].Weeks != 0 || n[3].Missing != 80 || n[3].Weeks != 16 || n[3].Customers != 667 {
		t.Errorf("training: %+v", n)
	}
	var said []string
	for _, f := range x.out.Findings {
		said = append(said, f.Severity+" "+f.Check+" "+f.Subject)
	}
	want := []string{"advice few churners training", "error one class calibration", "error few churners test"}
	if !slices.Equal(said, want) {
		t.Errorf("found %q, want %q", said, want)
	}
}

// The history that a definition takes, by hand: 60 days until a label is known,
// which is two steps of 30 between parts, so 1 + 30 + 2·60 + 60 days.
func TestMinimumHistory(t *testing.T) {
	at := func(through, snapshots int) (text, severity string) {
		x := &doctor{first: day(0)}
		x.in.Plan = Plan{Definition: model.Definition{Kind: "contract", Horizon: 60 * days, MinTenure: 30 * days}, Through: day(through), Every: 30 * days, Snapshots: snapshots}
		x.tallies()
		x.history()
		for _, f := range x.out.Findings {
			text, severity = f.Text, f.Severity
		}
		return text, severity
	}
	if text, severity := at(200, 12); severity != "error" || !strings.Contains(text, "spans 200 days") || !strings.Contains(text, "takes 211: 11 days more") {
		t.Errorf("%s: %s", severity, text)
	}
	// Enough history, cut into too few snapshots: with 4, nothing is left to train on.
	if text, severity := at(900, 4); severity != "error" || !strings.HasSuffix(text, "set snapshots: 5 or more") {
		t.Errorf("%s: %s", severity, text)
	}
	if text, _ := at(900, 5); text != "" {
		t.Errorf("5 snapshots: %s", text)
	}
	// Snapshots from day 840 back to 510, of 400 days of history those from 340
	// back to 10: the first is a day too early for 30 days of tenure.
	if text, _ := at(900, 12); text != "" {
		t.Errorf("900 days: %s", text)
	}
	if text, severity := at(400, 12); severity != "warning" || !strings.Contains(text, "1 of 12 snapshots lie before") || !strings.HasSuffix(text, "snapshots: 11") {
		t.Errorf("%s: %s", severity, text)
	}
}

// The sample is of whole customers, bounded, and the same however the rows come
// in blocks.
func TestSampleRows(t *testing.T) {
	all := &Data{Matrix: features.Matrix{Features: []features.Feature{{Name: "x"}}}}
	for i := range 60_000 {
		for k := range 2 {
			all.Matrix.Grow()[0] = float32(k)
			all.Observations = append(all.Observations, Observation{Customer: fmt.Sprint(i), HeldOut: i%2 == 0 && k == 1})
		}
	}
	keep := func(o *Observation) bool { return !o.HeldOut }
	sample := func(block int) *Data {
		var s sampleRows
		for i := 0; i < len(all.Observations); i += block {
			part := &Data{Observations: all.Observations[i : i+block]}
			part.Matrix = features.Matrix{Features: all.Matrix.Features, Data: all.Matrix.Data[i : i+block]}
			s.add(part, 1, keep)
		}
		return s.data()
	}
	a, b := sample(1000), sample(20_000)
	if !slices.Equal(a.Observations, b.Observations) || !slices.Equal(a.Matrix.Data, b.Matrix.Data) {
		t.Error("another sample from other blocks")
	}
	// 90,000 rows to be kept: one half of the customers.
	if n := len(a.Observations); n > maxSampleRows || n < 44_000 || n > 46_000 {
		t.Errorf("%d rows", n)
	}
	rows := map[string]int{}
	for _, o := range a.Observations {
		rows[o.Customer]++
	}
	for i := range 60_000 {
		id := fmt.Sprint(i)
		if n := rows[id]; n != 0 && n != 1+i%2 {
			t.Fatalf("%d rows of customer %s", n, id)
		}
	}
}

// Why customers are left out at day 100: of four one is looked at, one was
// quiet, one is new, one has left.
func TestNotEligible(t *testing.T) {
	d := model.Definition{Kind: "contract", Horizon: 30 * days, ActiveWithin: 10 * days, MinTenure: 20 * days}
	x := &doctor{}
	x.in.Definition = d
	x.main = &tally{definition: d, times: []event.Time{day(100)}, part: []int{0}, configured: true,
		verdicts: make([][len(verdictNames)]int, 1), kept: make([][2]int, 1)}
	for range 30 {
		for _, c := range []struct{ signedUp, left, seen int }{{0, 500, 95}, {0, 500, 50}, {0, 500, 60}, {90, 500, 95}, {0, 80, 70}} {
			x.main.add(&event.Timeline{Customer: event.Customer{SignedUpAt: day(c.signedUp), ChurnedAt: day(c.left)},
				Engagements: []event.EngagementEvent{{At: day(c.seen)}}}, day(400), false)
		}
	}
	x.out.Snapshots = x.main.snapshots()
	s := x.out.Snapshots[0]
	if s.NotActive != 60 || s.TooNew != 30 || s.Verdicts[NotEligible.String()] != 120 || s.Verdicts[Stayed.String()] != 30 {
		t.Errorf("%+v", s)
	}
	x.eligibility()
	if f := x.out.Findings; len(f) != 1 || f[0].Severity != "warning" || !strings.Contains(f[0].Text, "60 customers are left out as they had no engagement or payments within 10d") {
		t.Errorf("found %+v", f)
	}
}
