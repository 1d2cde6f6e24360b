package training

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"churn/event"
	"churn/model/gbdt"
)

// Churners in the training part from which a rung is tried. Out of fold small
// data chooses small models by itself.
const (
	minLogisticChurners = 30
	minForestChurners   = 60
	minBoostingChurners = 60
)

// setting is what can be fitted: a kind of model with everything that is chosen
// before its training.
type setting struct {
	kind     string  // logistic, forest, boosting
	group    string  // the best of a group goes on
	name     string  // tells it from all others
	cost     float64 // of a member, in nominal seconds of one processor
	strength float64 // C of the logistic
	boosting boosting
}

// size of what there is to learn from.
type size struct {
	rows, columns, churners int
	ruled                   bool // there is an inactivity rule to fall back on
}

func sizeOf(train *Data, base *candidate) size {
	return size{len(train.Observations), len(train.Matrix.Features), train.Positives(), base.kind != "prior"}
}

// strengths of the logistic regression that compete, the weakest model first;
// small data gets the first only.
var strengths = []float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1}

// settings are what competes: all that the size of the data allows, those that
// are usual first, and where the budget has room for more, draws of others. The
// budget is counted in nominal seconds, so that the same plan does the same on
// any machine; without one, what is usual is tried.
func (p *Plan) settings(n size) []setting {
	var out []setting
	if p.tries("logistic") && (n.churners >= minLogisticChurners || !n.ruled) {
		some := strengths
		if n.churners < minLogisticChurners {
			some = strengths[:1] // small data, small model
		}
		for _, c := range some {
			out = append(out, setting{kind: "logistic", group: "logistic", name: fmt.Sprintf("logistic, C=%g (golearn)", c),
				cost: logisticCost(n.rows, n.columns), strength: c})
		}
	}
	if p.tries("forest") && n.churners >= minForestChurners {
		out = append(out, setting{kind: "forest", group: "forest", name: "random forest (golearn)", cost: forestCost(n.rows, n.columns)})
	}
	if !p.tries("boosting") || n.churners < minBoostingChurners {
		return p.within(out)
	}
	boosted := func(b boosting) setting {
		return setting{kind: "boosting", group: b.group(), name: b.String(), cost: b.cost(n.rows, n.columns), boosting: b}
	}
	for _, b := range boostings(n.rows) {
		out = append(out, boosted(b))
	}
	if p.Budget == 0 {
		return out
	}
	known := map[string]bool{}
	for _, s := range out {
		known[s.name] = true
	}
	r := rand.New(rand.NewPCG(p.Seed, 7))
	for range maxDraws {
		for _, g := range []gbdt.Grower{gbdt.Symmetric, gbdt.LeafWise} {
			s := boosted(more(r, g))
			if !known[s.name] && p.affords(append(out, s)) {
				known[s.name] = true
				out = append(out, s)
			}
		}
	}
	return p.within(out)
}

// maxDraws bounds the settings drawn of each group: the more compete, the more
// the best is so by luck.
const maxDraws = 40

// within leaves out what the budget has no room for, from the last: the first of
// each group stays.
func (p *Plan) within(settings []setting) []setting {
	for i := len(settings) - 1; i > 0 && !p.affords(settings); i-- {
		if settings[i].group == settings[i-1].group {
			settings = append(settings[:i:i], settings[i+1:]...)
		}
	}
	return settings
}

// affords tells whether the search over the settings stays within the budget.
func (p *Plan) affords(settings []setting) bool {
	return p.Budget == 0 || searchCost(settings) <= float64(p.Budget)/float64(event.Second)*float64(p.Workers)
}

// searchCost estimates the nominal seconds of one processor that a search takes,
// were every setting of a group as likely to come far.
func searchCost(settings []setting) float64 {
	total := 0.0
	for group := range rivalsOf(settings) {
		sum := 0.0
		for _, s := range group {
			sum += s.cost
		}
		total += sum / float64(len(group)) * float64(halvings(len(group), folds))
	}
	return total
}

// searchFits counts the fits of a search.
func searchFits(settings []setting) (n int) {
	for group := range rivalsOf(settings) {
		n += halvings(len(group), folds)
	}
	return n
}

// rivalsOf gives the settings group by group, in the order in which they begin.
func rivalsOf(settings []setting) iter.Seq[[]setting] {
	return func(yield func([]setting) bool) {
		groups := map[string][]setting{}
		for _, s := range settings {
			groups[s.group] = append(groups[s.group], s)
		}
		for _, s := range settings {
			if group := groups[s.group]; group != nil && !yield(group) {
				return
			}
			delete(groups, s.group)
		}
	}
}

// halvings counts the fits of so many settings of which half are left out after
// each of the folds that are left, until one is left.
func halvings(alive, left int) (fits int) {
	for range left {
		fits += alive
		alive = (alive + 1) / 2
	}
	return fits
}
