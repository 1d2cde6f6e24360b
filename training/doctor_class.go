package training

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/event"
	"churn/model"
	"churn/training/measure"
)

// SnapshotReport counts what the definition says of the customers at a snapshot.
type SnapshotReport struct {
	At event.Time `json:"at"`
	// Part is training, calibration, test, purged, or empty where there is no
	// split.
	Part     string `json:"part,omitempty"`
	Verdicts Counts `json:"verdicts"`
	// Of those not eligible, NotActive would be but for active_within, TooNew
	// but for min_tenure; the others were no customers then.
	NotActive int `json:"not_active"`
	TooNew    int `json:"too_new"`
}

// PartReport says how many churners a part has, and who needs more.
type PartReport struct {
	Name     string `json:"name"`
	Rows     int    `json:"rows"`
	Churners int    `json:"churners"` // rows
	// ChurnedCustomers are the customers of these rows: with horizons longer
	// than the steps one counts several times.
	ChurnedCustomers int    `json:"churned_customers"`
	Needs            []Need `json:"needs"`
}

// Need is how many churners something takes.
type Need struct {
	For      string `json:"for"`
	Churners int    `json:"churners"`
	Missing  int    `json:"missing"`
	// Weeks of history, with as many more snapshots, or Customers that would be
	// needed more at the rate observed; 0 where nothing is missing, null where
	// there is no rate.
	Weeks     measure.Float `json:"weeks"`
	Customers measure.Float `json:"customers"`
}

// ChurnerCount is what training would have with another horizon or step.
type ChurnerCount struct {
	HorizonDays float64 `json:"horizon_days"`
	EveryDays   float64 `json:"every_days"`
	Snapshots   int     `json:"snapshots"`
	// Error says why there would be no split.
	Error            string `json:"error,omitempty"`
	Rows             int    `json:"rows"`
	Churners         int    `json:"churners"`
	ChurnedCustomers int    `json:"churned_customers"`
	Configured       bool   `json:"configured,omitzero"`
}

var partNames = [...]string{"training", "calibration", "test", "purged"}

// tally counts the verdicts of one definition at some snapshots.
type tally struct {
	definition model.Definition
	every      event.Duration
	times      []event.Time
	err        error // of the split
	configured bool
	part       []int // of each snapshot, by partNames; -1 without a split
	verdicts   [][len(verdictNames)]int
	kept       [][2]int // from being eligible: by active_within, by min_tenure
	rows       [4]int
	churners   [4]int
	customers  [4]int
}

func newTally(d model.Definition, through event.Time, every event.Duration, count int) *tally {
	t := &tally{definition: d, every: every, times: Snapshots(&d, through, every, count)}
	split, err := SplitByTime(&d, t.times)
	t.err = err
	for _, at := range t.times {
		k := 3
		switch {
		case err != nil:
			k = -1
		case contains(split.Train, at):
			k = 0
		case contains(split.Calibration, at):
			k = 1
		case contains(split.Test, at):
			k = 2
		}
		t.part = append(t.part, k)
	}
	t.verdicts = make([][len(verdictNames)]int, len(t.times))
	t.kept = make([][2]int, len(t.times))
	return t
}

// add judges one customer as an Observer would.
func (t *tally) add(tl *event.Timeline, through event.Time, heldOut bool) {
	var churned [4]bool
	for i, at := range t.times {
		v := Judge(&t.definition, tl, at, through)
		t.verdicts[i][v]++
		if v == NotEligible && t.configured {
			t.why(i, tl)
		}
		k := t.part[i]
		// The test is of customers held out, all else of the others.
		if k < 0 || heldOut != (k == 2) || v != Stayed && v != Churned {
			continue
		}
		t.rows[k]++
		if v == Churned {
			t.churners[k]++
			if !churned[k] {
				churned[k] = true
				t.customers[k]++
			}
		}
	}
}

// why counts what keeps a customer from being eligible.
func (t *tally) why(i int, tl *event.Timeline) {
	d := t.definition
	if d.ActiveWithin = 0; eligible(&d, tl, t.times[i]) == Stayed {
		t.kept[i][0]++
	} else if d.MinTenure = 0; eligible(&d, tl, t.times[i]) == Stayed {
		t.kept[i][1]++
	}
}

func (t *tally) count() ChurnerCount {
	c := ChurnerCount{HorizonDays: t.definition.Horizon.Days(), EveryDays: t.every.Days(), Snapshots: len(t.times),
		Rows: t.rows[0], Churners: t.churners[0], ChurnedCustomers: t.customers[0], Configured: t.configured}
	if t.err != nil {
		c.Error = t.err.Error()
	}
	return c
}

func (t *tally) snapshots() []SnapshotReport {
	out := make([]SnapshotReport, len(t.times))
	for i, at := range t.times {
		out[i] = SnapshotReport{At: at, Verdicts: Counts{}, NotActive: t.kept[i][0], TooNew: t.kept[i][1]}
		if k := t.part[i]; k >= 0 {
			out[i].Part = partNames[k]
		}
		for v, n := range t.verdicts[i] {
			out[i].Verdicts[Verdict(v).String()] = n
		}
	}
	return out
}

// maxSteps bounds the snapshots of a proposal.
const maxSteps = 100

// tallies are the plan's, those with other horizons, and those with other steps
// over all the history.
func (x *doctor) tallies() {
	p := &x.in
	x.main = newTally(p.Definition, p.Through, p.Every, p.Snapshots)
	x.main.configured = true
	for _, days := range spans {
		if h := event.Duration(days) * event.Day; h != p.Definition.Horizon {
			d := p.Definition
			d.Horizon = h
			x.horizons = append(x.horizons, newTally(d, p.Through, p.Every, p.Snapshots))
		}
	}
	last := Snapshots(&p.Definition, p.Through, p.Every, 1)[0]
	for _, days := range []int{7, 14, 30} {
		every := event.Duration(days) * event.Day
		if x.first == event.Never || last <= x.first {
			break
		}
		room := last.Sub(x.first) - p.Definition.MinTenure
		if n := min(maxSteps, 1+int(max(0, room)/every)); n >= 3 && (every != p.Every || n != p.Snapshots) {
			x.steps = append(x.steps, newTally(p.Definition, p.Through, every, n))
		}
	}
}

func (x *doctor) eachTally(fn func(*tally)) {
	fn(x.main)
	for _, t := range x.horizons {
		fn(t)
	}
	for _, t := range x.steps {
		fn(t)
	}
}

// class reports the classes and what of them is missing.
func (x *doctor) class() {
	x.out.Snapshots = x.main.snapshots()
	all := append([]*tally{x.main}, x.horizons...)
	slices.SortFunc(all, func(a, b *tally) int { return int((a.definition.Horizon - b.definition.Horizon) / event.Hour) })
	for _, t := range all {
		x.out.Horizons = append(x.out.Horizons, t.count())
	}
	steps := append([]*tally{x.main}, x.steps...)
	for _, t := range steps {
		x.out.Steps = append(x.out.Steps, t.count())
	}
	x.history()
	x.eligibility()
	if x.main.err == nil {
		for k, name := range partNames[:3] {
			x.out.Parts = append(x.out.Parts, PartReport{Name: name, Rows: x.main.rows[k], Churners: x.main.churners[k], ChurnedCustomers: x.main.customers[k]})
		}
		x.needs(float64(len(x.main.times)) * x.main.every.Days() / 7)
		x.drift()
	}
	x.propose(all, steps)
}

// needs says what each part is short of. weeks are those of the snapshots, 0
// without times.
func (x *doctor) needs(weeks float64) {
	what := map[string][]Need{
		"training":    {{For: "logistic regression", Churners: minLogisticChurners}, {For: "boosting", Churners: minBoostingChurners}, {For: "a random forest", Churners: minForestChurners}, {For: "a sure choice among settings", Churners: enoughChurners}},
		"calibration": {{For: "beta calibration", Churners: minBetaChurners}, {For: "isotonic calibration", Churners: minIsotonicChurners}},
		"test":        {{For: "a verdict of the gate", Churners: minTestChurners}},
	}
	for k := range x.out.Parts {
		p := &x.out.Parts[k]
		p.Needs = what[p.Name]
		if p.Churners == 0 || p.Churners == p.Rows {
			x.find("error", "one class", p.Name, "the %s part has %d rows and %d churners: nothing can be learned without both kinds; check the definition of churn, or give more history", p.Name, p.Rows, p.Churners)
		}
		if stayed := p.Rows - p.Churners; stayed > 0 && stayed < minTestChurners && p.Churners > 0 {
			x.find("warning", "few stayers", p.Name, "the %s part has %d rows of customers who stayed: too few to tell them from those who left", p.Name, stayed)
		}
		for i := range p.Needs {
			n := &p.Needs[i]
			n.Missing = max(0, n.Churners-p.Churners)
			// What is missing in proportion to what is there.
			more := float64(n.Missing) / float64(p.Churners)
			n.Weeks, n.Customers = measure.Float(math.Ceil(more*weeks)), measure.Float(math.Ceil(more*float64(x.out.Customers)))
			if weeks == 0 || p.Churners == 0 {
				n.Weeks = measure.Float(math.NaN())
			}
			if p.Churners == 0 {
				n.Customers = measure.Float(math.NaN())
			}
			if n.Missing == 0 {
				n.Weeks, n.Customers = 0, 0
				continue
			}
			if p.Churners == 0 || i > 0 && p.Needs[i-1].Churners == n.Churners {
				continue // told already
			}
			severity := "advice"
			switch n.Churners {
			case minTestChurners:
				severity = "error"
			case minLogisticChurners:
				severity = "warning"
			}
			x.find(severity, "few churners", p.Name, "the %s part has %d churners and %s needs %d: %d are missing, which at the rate observed is about %s",
				p.Name, p.Churners, n.For, n.Churners, n.Missing, n.More())
		}
	}
}

// More says what would fill the need.
func (n *Need) More() string {
	if math.IsNaN(float64(n.Customers)) {
		return "not measured"
	}
	if math.IsNaN(float64(n.Weeks)) {
		return fmt.Sprintf("%.0f more customers", n.Customers)
	}
	return fmt.Sprintf("%.0f more weeks of snapshots, or %.0f more customers", n.Weeks, n.Customers)
}

// eligibility tells where the definition leaves out who could have been looked at.
func (x *doctor) eligibility() {
	last := &x.out.Snapshots[len(x.out.Snapshots)-1]
	seen := 0
	for v, n := range last.Verdicts {
		if v != NotEligible.String() {
			seen += n
		}
	}
	d := &x.in.Definition
	if n := last.NotActive; n > seen && n >= minLook {
		streams := strings.Join(d.Streams, " or ")
		if streams == "" {
			streams = "engagement or payments"
		}
		severity := "warning"
		if seen == 0 {
			severity = "error"
		}
		x.find(severity, "not eligible", "active_within", "at the last snapshot %d customers are left out as they had no %s within %s (active_within), and %d are looked at: if these tables are not whole, set active_within: 0m",
			n, streams, d.ActiveWithin, seen)
	}
	if n := last.TooNew; n > seen && n >= minLook {
		x.find("warning", "not eligible", "min_tenure", "at the last snapshot %d customers are left out as they were known for less than %s (min_tenure), and %d are looked at", n, d.MinTenure, seen)
	}
}

// drift tells of a rate of churn that is not the same at the end.
func (x *doctor) drift() {
	train, test := &x.out.Parts[0], &x.out.Parts[2]
	if train.Churners < minTestChurners || test.Churners < minTestChurners {
		return
	}
	a, b := ratio(train.Churners, train.Rows), ratio(test.Churners, test.Rows)
	if r := float64(b / a); r > 2 || r < 0.5 {
		x.find("warning", "rate", "churn", "the churn rate is %s in the training part and %s in the test part, later: did the business or the recording change? Probabilities will be off; train on what is like today", percent(a), percent(b))
	}
	if a > 0.5 {
		x.find("warning", "rate", "churn", "%s of the training rows churned: is a customer of whom nothing is expected counted as leaving? Check active_within, streams and horizon", percent(a))
	}
}

// history holds the length of the data against what the definition takes.
func (x *doctor) history() {
	p, d := &x.in, &x.in.Definition
	if x.first == event.Never {
		x.find("error", "history", "span", "there is no event before the end of the data, %s: import some, or check training.through", p.Through)
		return
	}
	have := p.Through.Sub(x.first)
	known := span(d)
	steps := (known + p.Every - 1) / p.Every * p.Every // between parts
	// A day, as snapshots are at midnight and someone must have been seen before.
	need := event.Day + d.MinTenure + 2*steps + known
	if have < need {
		x.find("error", "history", "span", "the data spans %.0f days, from %s to %s; to train, calibrate and test one after the other with labels that are known after %s takes %.0f: %.0f days more, or a shorter horizon",
			math.Floor(have.Days()), x.first, p.Through, known, math.Ceil(need.Days()), math.Ceil((need - have).Days()))
		return
	}
	if x.main.err != nil {
		n := p.Snapshots
		for ; n <= 1000; n++ {
			if _, err := SplitByTime(d, Snapshots(d, p.Through, p.Every, n)); err == nil {
				break
			}
		}
		x.find("error", "history", "snapshots", "%d snapshots every %s leave nothing to train on, as labels are known after %s: set snapshots: %d or more", p.Snapshots, p.Every, known, n)
		return
	}
	early := 0
	for _, at := range x.main.times {
		if at.Sub(x.first) < d.MinTenure+event.Day {
			early++
		}
	}
	if early > 0 {
		x.find("warning", "history", "snapshots", "%d of %d snapshots lie before anybody was known for min_tenure (%s), and have no rows: the history allows for snapshots: %d",
			early, len(x.main.times), d.MinTenure, len(x.main.times)-early)
	}
}
