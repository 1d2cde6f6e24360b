package sim

import (
	"math"
	"slices"
	"testing"

	"churn/event"
)

// tinyWorld is busy enough that a few days carry every kind of evidence. Its
// only round of outreach starts on day 30.
func tinyWorld() World {
	w := DefaultWorld()
	w.Customers = 1500
	w.End = w.Start.Add(40 * event.Day)
	w.FirstWave, w.FirstWaveDays = 1, 39
	w.Gap, w.Horizon = 1*event.Day, 2*event.Day
	w.Types = slices.Clone(w.Types[:2])
	w.Rates = []Rate{{"", 0.4, 0.3}, {"", 1.5, 0.7}}
	w.RateName = ""
	w.Snapshots = nil
	w.SetupDays = 3
	w.ResolveMean = 1
	w.Lags = Lags{Engagement: Lag{1, 2}, Complaints: Lag{1, 3}, Payments: Lag{1, 2}}
	w.Drift = Drift{Day: 31, Hazard: 1.5, Engagement: 0.6}
	step := [states]PerState{{0.6, 0.3, 0.1}, {0.2, 0.5, 0.3}, {0.1, 0.2, 0.7}}
	for z, share := range []float64{0.4, 0.6} {
		t := &w.Types[z]
		t.Share, t.Step, t.Start = share, step, PerState{0.5, 0.3, 0.2}
		t.Hazard, t.Complaint = PerState{0.02, 0.06, 0.15}, PerState{0.1, 0.2, 0.3}
		t.Payment = [states]Settlements{{0.7, 0.1, 0.1, 0.1}, {0.4, 0.3, 0.1, 0.2}, {0.1, 0.2, 0.3, 0.4}}
		t.Seasonal = z == 1
	}
	w.Switch = Switch{Name: "renews", On: "yes", Off: "no", TurnOff: PerState{0.05, 0.15, 0.3}, TurnOn: PerState{0.4, 0.2, 0.1}}
	w.Contacts = Experiment{Share: 0.8, Treated: 0.6, Every: 30, Actions: []Action{
		{"call", "phone", 5, []float64{0.5, 0.2}, []float64{0.1, 0.3}},
		{"offer", "email", 1, []float64{0.1, 0.6}, []float64{0.05, 0}}}}
	return w
}

// TestOracleEnumeration compares the filter with a sum over every hidden path,
// one by one, on histories of the generator.
func TestOracleEnumeration(t *testing.T) {
	w := tinyWorld()
	o, err := NewOracle(w)
	if err != nil {
		t.Fatal(err)
	}
	compared, treated := 0, 0
	for i := range w.Customers {
		l := o.live(i)
		if l.first < 27 {
			continue
		}
		tl := o.timeline(i, l)
		for _, day := range []int{29, 31, 33} {
			scores, err := o.Scores(tl, []event.Time{w.midnight(day)})
			if err != nil {
				t.Fatal(err)
			}
			if len(scores) == 0 || compared > 250 && day != 33 || compared > 400 {
				continue
			}
			e := enumeration{w: &w, tl: tl, first: l.first, now: day, day: w.midnight(day)}
			gap, window := e.run()
			if !near(scores[0].GapProbability, gap) || !near(scores[0].Probability, window) {
				t.Fatalf("customer %d at day %d: filter gives %v and %v, all paths %v and %v",
					i, day, scores[0].GapProbability, scores[0].Probability, gap, window)
			}
			compared++
			if len(l.contact) > 0 && l.contact[0].treated && day > 30 {
				treated++
			}
		}
	}
	if compared < 200 || treated < 20 {
		t.Errorf("only %d comparisons, %d of treated customers", compared, treated)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12+1e-10*math.Abs(b) }

// enumeration sums over hidden paths with formulas of its own: what is not
// seen is added up case by case.
type enumeration struct {
	w          *World
	tl         *event.Timeline
	first, now int
	day        event.Time
	seen       map[[4]int]float64

	there, gap, window float64
}

func (e *enumeration) run() (gap, window float64) {
	e.seen = map[[4]int]float64{}
	for z := range e.w.Types {
		t := &e.w.Types[z]
		for g, r := range e.w.Rates {
			for x := range states {
				p := t.Share * r.Share * t.Start[x]
				for i, a := range e.w.Attributes {
					if t.Attributes[i] != nil {
						p *= t.Attributes[i][slices.Index(a.Values, e.tl.Customer.Attributes[a.Name])]
					}
				}
				e.path(p, e.first, z, g, x, unmoved)
			}
		}
	}
	return e.gap / e.there, e.window / e.there
}

// path follows one hidden path with probability p from the start of a day.
func (e *enumeration) path(p float64, d, z, g, x int, f effect) {
	w := e.w
	end := e.now + int((w.Gap+w.Horizon)/event.Day)
	if d == e.now {
		e.there += p
	}
	if d == end || p == 0 {
		return
	}
	if d == 30 && e.first < 30 {
		for k, q := range e.treatments(z, d) {
			e.day30(p*q, d, z, g, x, effect(k))
		}
		return
	}
	e.day30(p, d, z, g, x, f)
}

// treatments is the chance of each effect in a round on day d: known if it is
// past, else averaged over the experiment.
func (e *enumeration) treatments(z, d int) [effects]float64 {
	w := e.w
	p := [effects]float64{unmoved: 1}
	if d < e.now {
		for _, c := range e.tl.Contacts {
			for _, a := range w.Contacts.Actions {
				if a.Name == c.Action && c.Arm == ArmTreat {
					p = [effects]float64{1 - a.Save[z] - a.Harm[z], a.Save[z], a.Harm[z]}
				}
			}
		}
		return p
	}
	for _, a := range w.Contacts.Actions {
		q := w.Contacts.Share * w.Contacts.Treated / float64(len(w.Contacts.Actions))
		p[saved] += q * a.Save[z]
		p[harmed] += q * a.Harm[z]
		p[unmoved] -= q * (a.Save[z] + a.Harm[z])
	}
	return p
}

// day30 is the rest of a day after the round.
func (e *enumeration) day30(p float64, d, z, g, x int, f effect) {
	w := e.w
	hazard := w.Types[z].Hazard[x]
	if d >= w.Drift.Day {
		hazard *= w.Drift.Hazard
	}
	switch f {
	case saved:
		hazard = 0
	case harmed: // an even draw of 30 days, given that it was none of the days before
		hazard += (1 - hazard) / float64(30-(d-30))
	}
	if d < e.now {
		key := [4]int{d, z, g, x}
		if _, ok := e.seen[key]; !ok {
			e.seen[key] = e.likelihood(d, z, g, x)
		}
		p *= e.seen[key]
	} else if d < e.now+int(w.Gap/event.Day) {
		e.gap += p * hazard
	} else {
		e.window += p * hazard
	}
	for y := range states {
		e.path(p*(1-hazard)*w.Types[z].Step[x][y], d+1, z, g, y, f)
	}
}

func (e *enumeration) likelihood(d, z, g, x int) float64 {
	w, t := e.w, &e.w.Types[z]
	on := func(at event.Time) bool { return w.day(at) == d && at != event.Never }
	age := e.now - 1 - d
	p := 1.0

	// Engagement: m happened, n of them were recorded in time.
	mean := w.Rates[g].PerDay * t.Engagement[x]
	if t.Seasonal {
		mean *= newTables(w).season(d)
	}
	if d >= w.Drift.Day {
		mean *= w.Drift.Engagement
	}
	n, steps := 0, 0
	for _, v := range e.tl.Engagements {
		if !on(v.At) || v.Recorded >= e.day {
			continue
		}
		if v.Kind == w.SetupKind {
			steps++
			continue
		}
		n++
		p *= t.Mix[x][slices.IndexFunc(w.Kinds, func(k Kind) bool { return k.Name == v.Kind })]
	}
	lag := lagShares(w.Lags.Engagement)
	p *= thinned(mean, n, lag, age)
	if d < e.first+w.SetupDays {
		p *= thinned(t.Setup, steps, lag, age)
	}

	// A complaint: seen, or not there, or there and recorded later.
	lag = lagShares(w.Lags.Complaints)
	q := 1 - t.Complaint[x]
	for l, v := range lag {
		if l > age {
			q += t.Complaint[x] * v
		}
	}
	for _, c := range e.tl.Complaints {
		if on(c.At) && c.Recorded < e.day {
			q = t.Complaint[x] * t.Categories[slices.Index(w.Categories, c.Category)] * w.Severity[int(c.Severity/event.Unit)-1][x]
		}
		if on(c.ResolvedAt) && c.ResolvedKnown < e.day && c.HasSatisfaction {
			p *= w.Satisfaction[int(c.Satisfaction/event.Unit)-1][x]
		}
	}
	p *= q

	// The switch: what it was before, and what it is after the day.
	if d > e.first {
		var before, after string
		for _, c := range e.tl.Changes {
			if w.day(c.At) < d {
				before = c.Value
			}
			if w.day(c.At) <= d {
				after = c.Value
			}
		}
		p *= map[string]map[string]float64{
			"yes": {"yes": 1 - w.Switch.TurnOff[x], "no": w.Switch.TurnOff[x]},
			"no":  {"no": 1 - w.Switch.TurnOn[x], "yes": w.Switch.TurnOn[x]},
		}[before][after]
	}

	// A payment: by settlement, days to pay and nights to record.
	lag = lagShares(w.Lags.Payments)
	delays := map[Settlement]map[int]float64{OnTime: {0: 0.6, 1: 0.25, 2: 0.15}, Late: {}}
	for days := 4; days <= 20; days++ {
		delays[Late][days] = 1.0 / 17
	}
	for _, c := range e.tl.Payments {
		if !on(c.At) {
			continue
		}
		switch {
		case c.FailedAt < e.day:
			p *= t.Payment[x][Failed]
		case c.PaidKnown < e.day:
			for _, s := range []Settlement{OnTime, Late} {
				if _, ok := delays[s][w.day(c.PaidAt)-d]; ok {
					p *= t.Payment[x][s]
				}
			}
		default:
			q := t.Payment[x][Missed]
			for _, s := range []Settlement{OnTime, Late} {
				for days, v := range delays[s] {
					for nights, u := range lag {
						if days+nights > age {
							q += t.Payment[x][s] * v * u
						}
					}
				}
			}
			p *= q
		}
	}
	return p
}

// thinned is P(n of a Poisson number are recorded within age nights), up to
// the share recorded to the power n, which all paths have in common.
func thinned(mean float64, n int, lag []float64, age int) float64 {
	in := 0.0
	for l, v := range lag {
		if l <= age {
			in += v
		}
	}
	sum := 0.0
	for m := n; m < n+60; m++ {
		lm, _ := math.Lgamma(float64(m + 1))
		ln, _ := math.Lgamma(float64(n + 1))
		lr, _ := math.Lgamma(float64(m - n + 1))
		out := 1.0
		if m > n {
			out = math.Pow(1-in, float64(m-n))
		}
		sum += math.Exp(float64(m)*math.Log(mean)-mean-lm+lm-ln-lr) * out
	}
	return sum
}
