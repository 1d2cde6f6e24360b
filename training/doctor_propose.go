package training

import (
	"fmt"
	"slices"
)

// enoughChurners in training is what a proposal aims at: more than the rungs need,
// because choosing among them needs churners too.
const enoughChurners = 200

// Proposal is what the data suggests. A number is 0 where it suggests none.
type Proposal struct {
	InactivityDays int      `json:"inactivity_days"`
	HorizonDays    float64  `json:"horizon_days"`
	EveryDays      float64  `json:"every_days"`
	Snapshots      int      `json:"snapshots"`
	GapDays        float64  `json:"gap_days"`
	Why            []string `json:"why"`
}

func (p *Proposal) say(format string, args ...any) {
	p.Why = append(p.Why, fmt.Sprintf(format, args...))
}

// propose draws the proposals from the counts.
func (x *doctor) propose(horizons, steps []*tally) {
	r, d := &x.proposal, &x.in.Definition
	if d.Kind == "inactivity" {
		x.proposeSilence(horizons)
	} else {
		x.proposeHorizon(horizons)
	}
	most := x.main
	for _, t := range slices.Backward(steps) { // the longest step first, the plan's last
		if t.churners[0] > most.churners[0] {
			most = t
		}
		if r.EveryDays == 0 && t.churners[0] >= enoughChurners && x.main.churners[0] < enoughChurners {
			r.EveryDays, r.Snapshots = t.every.Days(), len(t.times)
			r.say("snapshots: %d, every %s, which is what the history allows: %d churners in training (%d customers)", len(t.times), t.every, t.churners[0], t.customers[0])
			if x.main.err != nil {
				continue // told already
			}
			x.find("advice", "snapshots", "every", "with snapshots: %d every %s training has %d churners; with %d every %s, over all the history, %d (of %d customers)",
				len(x.main.times), x.main.every, x.main.churners[0], len(t.times), t.every, t.churners[0], t.customers[0])
		}
	}
	switch {
	case x.main.churners[0] >= enoughChurners:
		r.EveryDays, r.Snapshots = x.main.every.Days(), len(x.main.times)
		r.say("snapshots: %d, every %s, as they are: %d churners in training", len(x.main.times), x.main.every, x.main.churners[0])
	case r.EveryDays == 0:
		r.say("no step between snapshots gives %d churners in training at this horizon; %d every %s have the most, %d", enoughChurners, len(most.times), most.every, most.churners[0])
	}
	x.gap()
}

// proposeHorizon takes the shortest horizon with churners enough.
func (x *doctor) proposeHorizon(horizons []*tally) {
	r, best := &x.proposal, x.main
	for _, t := range horizons {
		if t.churners[0] > best.churners[0] {
			best = t
		}
		if r.HorizonDays == 0 && t.churners[0] >= enoughChurners {
			r.HorizonDays = t.definition.Horizon.Days()
			r.say("horizon of %g days: the shortest with %d churners in training (%d rows of %d customers)", r.HorizonDays, enoughChurners, t.churners[0], t.customers[0])
		}
	}
	if r.HorizonDays == 0 {
		r.say("no horizon: at none of those looked at training has %d churners; %s has the most, %d", enoughChurners, best.definition.Horizon, best.churners[0])
	}
	if own := &x.in.Definition.Horizon; r.HorizonDays > own.Days() {
		x.find("advice", "horizon", "horizon", "with horizon: %s training has %d churners; %gd is the shortest with %d", own, x.main.churners[0], r.HorizonDays, enoughChurners)
	}
}

// proposeSilence takes the horizon from the silences: with inactivity it says
// what churn is, and not how many are wanted.
func (x *doctor) proposeSilence(horizons []*tally) {
	r := &x.proposal
	i := slices.IndexFunc(horizons, func(t *tally) bool { return t.definition.Horizon.Days() == float64(r.InactivityDays) })
	if i < 0 {
		r.say("no horizon: it is the length of inactivity, for which there is none")
		return
	}
	t := horizons[i]
	r.HorizonDays = float64(r.InactivityDays)
	if t.err != nil {
		r.say("horizon of %g days, which is the length of inactivity; it takes more snapshots or more history", r.HorizonDays)
		return
	}
	r.say("horizon of %g days, which is the length of inactivity: %d churners in training (%d customers)", r.HorizonDays, t.churners[0], t.customers[0])
}

// gap proposes a gap: where customers are lost for good a week in which something
// can be done, more where part of leaving comes before it. What is recorded late
// needs none, as a row uses only what was recorded by then.
func (x *doctor) gap() {
	r, d := &x.proposal, &x.in.Definition
	why := "who is silent can be reached at once"
	if d.Kind != "inactivity" {
		r.GapDays, why = 7, "less leaves no time to act before a customer is lost"
	}
	if slices.ContainsFunc(x.out.Findings, func(f Finding) bool { return f.Check == "last days" }) {
		r.GapDays, why = leakDays.Days(), "some engagement in the days before is part of leaving"
	}
	r.say("gap of %g days: %s", r.GapDays, why)
	if d.Gap.Days() < r.GapDays {
		x.find("advice", "gap", "gap", "the gap is %s; the data suggests %gd: %s", d.Gap, r.GapDays, why)
	}
}
