package training

import (
	"math"

	"churn/model"
)

// minIsotonicChurners is how many churners a calibration with free steps
// needs; with fewer it follows noise.
const minIsotonicChurners = 200

// calibrate fits the calibration of a candidate on data later than its
// training, choosing the kind by log loss across two halves of the customers,
// and notes that log loss: ladder rungs are compared by it.
func (c *candidate) calibrate(data *Data, seed uint64, workers int) {
	y := data.Labels()
	if c.kind == "forest" {
		c.toLogOdds(model.FitPlatt(c.margins(&data.Matrix, workers), y))
	}
	margins := c.margins(&data.Matrix, workers)
	half := make([]bool, len(y))
	for i := range half {
		half[i] = heldOut(data.Observations[i].Customer, seed+1, 0.5)
	}
	kinds := []func([]float64, []bool) model.Calibration{model.FitPlatt}
	if data.Positives() >= minIsotonicChurners {
		kinds = append(kinds, model.FitIsotonic)
	}
	c.cvLogLoss = math.Inf(1)
	for _, fit := range kinds {
		loss := 0.0
		for _, side := range []bool{false, true} {
			m, l := pick(margins, y, half, side)
			cal := fit(m, l)
			m, l = pick(margins, y, half, !side)
			loss += logLoss(&cal, m, l)
		}
		if loss /= float64(len(y)); loss < c.cvLogLoss {
			c.cvLogLoss = loss
			c.calibration = fit(margins, y)
		}
	}
}

// pick keeps the rows on one side.
func pick(margins []float64, y, half []bool, side bool) (m []float64, l []bool) {
	for i := range margins {
		if half[i] == side {
			m = append(m, margins[i])
			l = append(l, y[i])
		}
	}
	return m, l
}

// logLoss sums the log loss of calibrated margins.
func logLoss(c *model.Calibration, margins []float64, y []bool) float64 {
	sum := 0.0
	for i, m := range margins {
		p := c.Probability(m)
		if !y[i] {
			p = 1 - p
		}
		sum -= math.Log(p)
	}
	return sum
}

// toLogOdds folds a Platt map into the leaves of a forest of votes, so that a
// forest's margin is in log-odds like every other: the mean vote s becomes
// a·s + b, leaf by leaf, which keeps contributions additive.
func (c *candidate) toLogOdds(p model.Calibration) {
	for i := range c.forest.Trees {
		t := &c.forest.Trees[i]
		for _, values := range [][]float64{t.LeafValue, t.InternalValue} {
			for k, v := range values {
				values[k] = float64(p.Slope*v) + p.Offset
			}
		}
	}
}
