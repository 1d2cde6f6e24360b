package training

import (
	"fmt"
	"slices"

	"churn/training/measure"
)

// What the phases beside the search take, in nominal seconds of one processor.
// Measured with four trainings by the processor time of the whole program at the
// change of stages, on two shared processors of an AMD EPYC (Zen 4), with all
// checks, 500 replicates and nothing left out of the ladder:
//
//	training rows x columns   calibration, test   calibrating  checking  evaluating
//	 5,635 x  19 (wa_churn)           -, 1,408       0.59        0.32      0.52
//	11,777 x 141 (households)     4,469, 1,589       0.63        1.58      0.49
//	14,897 x 159 (world, 6,000)   5,112, 1,698       0.61        3.30      0.62
//	49,572 x 159 (world, 20,000) 16,955, 5,803       2.26        4.03      2.17
const (
	// A row of training (to weigh blends) or calibration, for a rung.
	calibrateCost = 3.5e-6
	// A value of the rows that the checks fit their forests to.
	checkCost = 1.25e-6
	// Half of these fits are those of the learning curve: 3 of up to 300 trees
	// beside eight of 50.
	quickShare = 0.5
	// A row of the test, for a rung and a replicate of the bootstrap.
	bootstrapCost = 6.5e-8
)

// work is what there is to do once the rows are there.
type work struct {
	settings                          []setting
	fits                              int
	train, calibration, test, columns int
	before                            int // rows that the model is fitted to again; 0 of a wide table
	replicates, ends                  int
	quick                             bool
}

// rungs counts those that there may be: two rules, the best of each group, and
// blends of them.
func (w *work) rungs() int {
	groups := map[string]bool{}
	for _, s := range w.settings {
		groups[s.group] = true
	}
	n := 2 + len(groups)
	for _, blend := range blends {
		all := true
		for _, group := range blend {
			all = all && groups[group]
		}
		if all {
			n++
		}
	}
	return n
}

// phases estimates what is to come, in seconds on so many processors.
func (w *work) phases(workers int) []Phase {
	rungs := float64(w.rungs())
	checks := checkCost * float64(min(w.train, probeRows)) * float64(w.columns)
	if w.quick {
		checks *= quickShare
	}
	each := measure.Float(workers)
	out := []Phase{
		{"search", measure.Float(searchCost(w.settings)) / each, fmt.Sprintf("%d fits", w.fits)},
		{"calibrating", measure.Float(calibrateCost*rungs*float64(w.train+w.calibration)) / each, ""},
		{"checking", measure.Float(checks) / each, ""},
		{"evaluating", measure.Float(bootstrapCost*rungs*float64(w.replicates)*float64(w.test)) / each, ""},
	}
	// What will be chosen is not known: a setting of mean cost is taken for it.
	fit := 0.0
	for _, s := range w.settings {
		fit += s.cost * folds / float64(len(w.settings)) * float64(w.before) / float64(max(w.train, 1))
	}
	if w.before > 0 {
		out = slices.Insert(out, 2, Phase{"again", measure.Float(fit) / each, "what was chosen, fitted to all before the test"})
	}
	if w.ends == 0 {
		return out
	}
	return append(out, Phase{"backtest", measure.Float(float64(w.ends)*fit) / each, fmt.Sprintf("%d ends of the data, each read again", w.ends)})
}
