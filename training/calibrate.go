package training

import (
	"math"

	"churn/model"
	"churn/training/measure"
)

// Churners that the calibrations beside Platt's need. On samples of four data
// sets, the most that beta cost on the test stopped falling at 50 (0.016 of log
// loss at 10, 0.005 from 50 on), which is 17 for each of its parameters.
// Isotonic has free steps: with fewer than 200 it follows noise.
const (
	minBetaChurners     = 50
	minIsotonicChurners = 200
)

// calibrators are the kinds of calibration, simplest first.
var calibrators = []struct {
	kind     string
	churners int // needed
	fit      func([]float64, []bool) model.Calibration
}{
	{"platt", 0, model.FitPlatt},
	{"beta", minBetaChurners, model.FitBeta},
	{"isotonic", minIsotonicChurners, model.FitIsotonic},
}

// Calibrated is what a kind of calibration would have had: the log loss on
// calibration data, each fold of the customers scored with the calibration
// fitted on the others.
type Calibrated struct {
	Kind    string        `json:"kind"`
	LogLoss measure.Float `json:"log_loss"`
}

// calibrate fits the calibration of a candidate to margins of customers that it
// never saw. The kinds compete by log loss across folds of the customers, and
// the losses of the chosen one are noted: ladder rungs are compared by them.
func (c *candidate) calibrate(margins []float64, data *Data, seed uint64) {
	y := data.Labels()
	fold := make([]int, len(y))
	for i := range fold {
		fold[i] = foldOf(data.Observations[i].Customer, seed)
	}
	churners := data.Positives()
	var losses [][]float64 // by kind, of each row
	c.calibrations = nil
	for _, k := range calibrators {
		if churners < k.churners {
			break
		}
		loss := make([]float64, len(y))
		for f := range folds {
			m, l := others(margins, y, fold, f)
			cal := k.fit(m, l)
			for i := range loss {
				if fold[i] == f {
					loss[i] = logLoss(&cal, margins[i], y[i])
				}
			}
		}
		losses = append(losses, loss)
		c.calibrations = append(c.calibrations, Calibrated{k.kind, measure.Float(mean(loss))})
	}
	best := simplest(losses, data.Customers())
	c.losses, c.cvLogLoss = losses[best], float64(c.calibrations[best].LogLoss)
	c.calibration = calibrators[best].fit(margins, y)
}

// simplest is the first of the kinds whose log loss is within noise of the
// least: not more above it than one standard error of the difference (the rule
// of Breiman, Friedman, Olshen and Stone 1984). Both are measured on the same
// rows, so that the error is of the paired differences, which are far less
// scattered than the losses; and rows of one customer are added up first, for
// they are not independent of each other.
func simplest(losses [][]float64, customers []string) int {
	least := 0
	for k := range losses {
		if mean(losses[k]) < mean(losses[least]) {
			least = k
		}
	}
	number := map[string]int{}
	for _, c := range customers {
		if _, ok := number[c]; !ok {
			number[c] = len(number)
		}
	}
	n := float64(len(number))
	for k := range least {
		worse := make([]float64, len(number)) // than the least, by customer
		for i, c := range customers {
			worse[number[c]] += losses[k][i] - losses[least][i]
		}
		sum, squares := 0.0, 0.0
		for _, d := range worse {
			sum += d
		}
		for _, d := range worse {
			squares += float64((d - sum/n) * (d - sum/n))
		}
		// The sum of n differences has the error of one times √n.
		if n < 2 || sum <= math.Sqrt(n*squares/(n-1)) {
			return k
		}
	}
	return least
}

// others keeps the rows that are not of a fold.
func others(margins []float64, y []bool, fold []int, f int) (m []float64, l []bool) {
	for i := range margins {
		if fold[i] != f {
			m = append(m, margins[i])
			l = append(l, y[i])
		}
	}
	return m, l
}

// logLoss is the log loss of one calibrated margin.
func logLoss(c *model.Calibration, margin float64, churned bool) float64 {
	p := c.Probability(margin)
	if !churned {
		p = 1 - p
	}
	return -math.Log(p)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
