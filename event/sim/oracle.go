package sim

import (
	"errors"
	"fmt"
	"slices"

	"churn/event"
)

// Outcome is what became of a customer after a snapshot.
type Outcome uint8

// Left means within [t+gap, t+gap+horizon); LeftInGap means earlier. Censored
// means that the extract comes before the horizon ends.
const (
	Stayed Outcome = iota
	Left
	LeftInGap
	Censored
)

// Score is the best that can be said of a customer at an instant.
type Score struct {
	AsOf event.Time
	// Probability is P(leaves within [AsOf+gap, AsOf+gap+horizon) | there at
	// AsOf, all that was visible at AsOf).
	Probability float64
	// GapProbability is the same for [AsOf, AsOf+gap).
	GapProbability float64
	Outcome        Outcome
}

// Conditional is the probability given that the customer does not leave within
// the gap: what a model learns when those are dropped.
func (s Score) Conditional() float64 {
	if s.GapProbability >= 1 {
		return 0
	}
	return min(s.Probability/(1-s.GapProbability), 1)
}

// Oracle computes the Bayes-optimal score of customers of one world. It is
// safe for concurrent use.
type Oracle struct {
	*tables
	kinds, categories, actions map[string]int
	values                     []map[string]int // by attribute
	gap, window                []outlook        // by day of the snapshot
}

// outlook is the probability to leave within some days from a day on, by
// effect, type and state.
type outlook [effects][]PerState

// NewOracle prepares the oracle of a world.
func NewOracle(w World) (*Oracle, error) {
	if err := w.Validate(); err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	return newOracle(newTables(&w)), nil
}

func newOracle(m *tables) *Oracle {
	w := m.world
	o := &Oracle{tables: m, kinds: map[string]int{}, categories: map[string]int{}, actions: map[string]int{}}
	for i, k := range w.Kinds {
		o.kinds[k.Name] = i
	}
	o.kinds[w.SetupKind] = -1
	for i, c := range w.Categories {
		o.categories[c] = i
	}
	for i, a := range w.Contacts.Actions {
		o.actions[a.Name] = i
	}
	for _, a := range w.Attributes {
		values := map[string]int{}
		for i, v := range a.Values {
			values[v] = i
		}
		o.values = append(o.values, values)
	}
	gap, total := int(w.Gap/event.Day), int((w.Gap+w.Horizon)/event.Day)
	for d := range m.days + 1 {
		near, far := m.leaving(d, gap), m.leaving(d, total)
		for f := range far {
			for z := range far[f] {
				for x := range states {
					far[f][z][x] = max(far[f][z][x]-near[f][z][x], 0)
				}
			}
		}
		o.gap, o.window = append(o.gap, near), append(o.window, far)
	}
	return o
}

// leaving goes backwards over the days from day to day+n: on the last day the
// probability to leave is the hazard, on earlier ones it is the hazard or, for
// who stays, that of the next day's state. Rounds of outreach in that time are
// averaged over.
func (m *tables) leaving(day, n int) outlook {
	v := outlook{make([]PerState, m.types), make([]PerState, m.types), make([]PerState, m.types)}
	for d := day + n - 1; d >= day; d-- {
		g := &m.regimes[m.part(d)]
		since := m.sinceRound(d)
		for z := range m.types {
			step := &m.world.Types[z].Step
			var u [effects]PerState
			for x := range states {
				hazard := [effects]float64{unmoved: g.hazard[z*states+x]}
				if since < EffectDays {
					hazard[harmed] = 1 - float64((1-hazard[unmoved])*(1-1/float64(EffectDays-since)))
				}
				for f := range effects {
					stay := 0.0
					for y := range states {
						stay += float64(step[x][y] * v[f][z][y])
					}
					u[f][x] = hazard[f] + float64((1-hazard[f])*stay)
				}
			}
			switch {
			case since == EffectDays:
				u[saved], u[harmed] = u[unmoved], u[unmoved]
			case m.round(d):
				u[unmoved] = m.average(z, u)
				u[saved], u[harmed] = u[unmoved], u[unmoved]
			}
			for f := range effects {
				v[f][z] = u[f]
			}
		}
	}
	return v
}

// average is the outlook before a round of the experiment.
func (m *tables) average(kind int, u [effects]PerState) PerState {
	e := &m.world.Contacts
	share := e.Share * e.Treated / float64(len(e.Actions))
	p := [effects]float64{unmoved: 1}
	for _, a := range e.Actions {
		p[saved] += float64(share * a.Save[kind])
		p[harmed] += float64(share * a.Harm[kind])
	}
	p[unmoved] -= p[saved] + p[harmed]
	var v PerState
	for x := range states {
		for f := range effects {
			v[x] += float64(p[f] * u[f][x])
		}
	}
	return v
}

// Scores returns a score for each of the ascending midnights at which the
// customer was there: signed up before, not yet gone. What happened or was
// recorded at or after an instant has no part in its score, but in its
// outcome.
func (o *Oracle) Scores(tl *event.Timeline, at []event.Time) ([]Score, error) {
	c := &tl.Customer
	if c.SignedUpAt < o.world.Start || c.SignedUpAt >= o.world.End {
		return nil, fmt.Errorf("customer %s: signed up outside the world", c.ID)
	}
	s, err := o.read(tl)
	if err != nil {
		return nil, fmt.Errorf("customer %s: %w", c.ID, err)
	}
	scores := make([]Score, 0, len(at))
	for i, t := range at {
		if !whole(t) || t < o.world.Start || t > o.world.End || i > 0 && t <= at[i-1] {
			return nil, fmt.Errorf("score at %s: not a midnight (UTC) within the world, or not after the one before it", t)
		}
		if c.SignedUpAt >= t || c.ChurnedAt < t {
			continue
		}
		b, err := s.belief(o.world.day(t))
		if err != nil {
			return nil, fmt.Errorf("customer %s at %s: %w", c.ID, t, err)
		}
		d := o.world.day(t)
		scores = append(scores, Score{AsOf: t, Probability: b.expect(&o.window[d]), GapProbability: b.expect(&o.gap[d]),
			Outcome: o.outcome(c.ChurnedAt, t)})
	}
	return scores, nil
}

func (o *Oracle) outcome(left, t event.Time) Outcome {
	from := t.Add(o.world.Gap)
	to := from.Add(o.world.Horizon)
	switch {
	case to > o.world.End:
		return Censored
	case left < from:
		return LeftInGap
	case left < to:
		return Left
	}
	return Stayed
}

// sight is one customer's history by day, as the oracle reads it.
type sight struct {
	*Oracle
	tl      *event.Timeline
	first   int // day of sign-up
	acts    []int32
	kind    []int16 // of each engagement event: kind, -1 for setting up, ignored below
	days    []dayRows
	turned  []turned
	settled belief // filtered up to days that can no longer change
	likely  []float64
	typed   []float64 // by type and state
}

const ignored = -2

// dayRows points at what happened on a day; 0 is nothing, else index plus one.
type dayRows struct {
	complaint, payment, contact int32
	satisfaction                int32 // first complaint resolved on the day
	next                        int32 // the one after it, by complaint
}

// belief is the joint weight of effect and cell, known up to a factor.
type belief struct {
	day    int // weights are for the start of this day
	weight [effects][]float64
	moved  bool // a treatment may be at work: all effects have weights
	tables *tables
}

// read sorts a history into days and checks that it is one of this world.
func (o *Oracle) read(tl *event.Timeline) (*sight, error) {
	w := o.world
	s := &sight{Oracle: o, tl: tl, first: w.day(tl.Customer.SignedUpAt)}
	s.likely, s.typed = make([]float64, o.cells), make([]float64, o.types*states)
	s.days = make([]dayRows, o.days-s.first)
	s.acts = make([]int32, o.days-s.first+1)
	on := func(t event.Time) *dayRows {
		if d := w.day(t) - s.first; t >= w.Start && d >= 0 && d < len(s.days) {
			return &s.days[d]
		}
		return nil
	}
	for i := range tl.Engagements {
		e := &tl.Engagements[i]
		k, ok := o.kinds[e.Kind]
		switch {
		case e.Kind == leakKind:
			k = ignored
		case !ok:
			return nil, fmt.Errorf("engagement of a kind %q that this world has not", e.Kind)
		}
		if on(e.At) == nil || i > 0 && e.At < tl.Engagements[i-1].At {
			return nil, fmt.Errorf("engagement at %s: before sign-up, after the end, or out of order", e.At)
		}
		s.kind = append(s.kind, int16(k))
		s.acts[w.day(e.At)-s.first+1]++
	}
	for d := range s.days {
		s.acts[d+1] += s.acts[d]
	}
	for i := range tl.Complaints {
		c := &tl.Complaints[i]
		day := on(c.At)
		if _, ok := o.categories[c.Category]; !ok || day == nil || day.complaint != 0 || gradeOf(c.Severity) < 0 {
			return nil, fmt.Errorf("complaint %s cannot be of this world: category, severity, day, or a second one on a day", c.ID)
		}
		day.complaint = int32(i + 1)
		if c.ResolvedAt == event.Never || !c.HasSatisfaction {
			continue
		}
		done := on(c.ResolvedAt)
		if done == nil || gradeOf(c.Satisfaction) < 0 {
			return nil, fmt.Errorf("complaint %s cannot be of this world: resolution", c.ID)
		}
		day.next, done.satisfaction = done.satisfaction, int32(i+1)
	}
	for i := range tl.Payments {
		p := &tl.Payments[i]
		day := on(p.At)
		if day == nil || day.payment != 0 {
			return nil, fmt.Errorf("payment %s cannot be of this world: day, or a second one on a day", p.ID)
		}
		day.payment = int32(i + 1)
	}
	for i := range tl.Contacts {
		c := &tl.Contacts[i]
		day := on(c.At)
		if _, ok := o.actions[c.Action]; !ok || day == nil || !o.round(w.day(c.At)) {
			return nil, fmt.Errorf("contact at %s: no such action or round in this world", c.At)
		}
		day.contact = int32(i + 1)
	}
	return s, errors.Join(s.switches(), s.begin())
}

// begin is the belief at sign-up: the mixture, given the attributes.
func (s *sight) begin() error {
	w := s.world
	s.settled = belief{day: s.first, tables: s.tables}
	s.settled.weight[unmoved] = slices.Clone(s.prior)
	weight := s.settled.weight[unmoved]
	for i, a := range w.Attributes {
		k, ok := s.values[i][s.tl.Customer.Attributes[a.Name]]
		if !ok {
			return fmt.Errorf("attribute %s has no value that this world knows", a.Name)
		}
		for z := range w.Types {
			if shares := w.Types[z].Attributes[i]; shares != nil {
				for c := z * s.rates * states; c < (z+1)*s.rates*states; c++ {
					weight[c] *= shares[k]
				}
			}
		}
	}
	if w.RateName == "" {
		return nil
	}
	label := s.tl.Customer.Attributes[w.RateName]
	if !slices.ContainsFunc(w.Rates, func(r Rate) bool { return r.Label == label }) {
		return fmt.Errorf("attribute %s has no value that this world knows", w.RateName)
	}
	for i := range weight {
		if w.Rates[i/states%s.rates].Label != label {
			weight[i] = 0
		}
	}
	return nil
}

func gradeOf(a event.Amount) int {
	if a%event.Unit != 0 || a < event.Unit || a > 5*event.Unit {
		return -1
	}
	return int(a/event.Unit) - 1
}
