package model

import (
	"errors"
	"fmt"
	"math"
)

// Calibration takes a margin to a probability, monotone and never 0 or 1.
type Calibration struct {
	// Kind is platt, beta or isotonic.
	Kind string `json:"kind"`
	// Platt: p = 1/(1+exp(-(Slope·margin+Offset))), Slope > 0 (Platt 1999).
	Slope  float64 `json:"slope,omitzero"`
	Offset float64 `json:"offset,omitzero"`
	// Beta: log(p/(1-p)) = A·ln s - B·ln(1-s) + C, where s = 1/(1+exp(-margin)),
	// A and B not negative and not both 0 (Kull, Silva Filho and Flach 2017). It
	// is a slope of A in the log-odds far below a margin of 0, and of B far above.
	A float64 `json:"a,omitzero"`
	B float64 `json:"b,omitzero"`
	C float64 `json:"c,omitzero"`
	// Isotonic: linear between knots of the margin (pool adjacent violators,
	// interpolated). Beyond the outermost knots the log-odds go on with the slope
	// Tail, so that those most at risk keep their ranks; 0 is constant there.
	Margins       []float64 `json:"margins,omitempty"`
	Probabilities []float64 `json:"probabilities,omitempty"`
	Tail          float64   `json:"tail,omitzero"`
}

// maxMargin bounds the knots and coefficients of a calibration; see maxLogOdds.
const maxMargin = 1e12

// minProbability keeps a probability away from certainty.
const minProbability = 1e-6

// Probability returns the calibrated probability of churn.
func (c *Calibration) Probability(margin float64) float64 {
	p := 0.0
	switch c.Kind {
	case "beta":
		p = c.beta(margin)
	case "isotonic":
		p = c.isotonic(margin)
	default:
		p = Sigmoid(float64(c.Slope*margin) + c.Offset)
	}
	return min(max(p, minProbability), 1-minProbability)
}

func (c *Calibration) beta(margin float64) float64 {
	m := onGrid(margin)
	x := c.C
	// A term without weight is left out: 0 times an infinite margin is no number.
	if c.A > 0 {
		x -= float64(c.A * softplus(-m))
	}
	if c.B > 0 {
		x += float64(c.B * softplus(m))
	}
	return Sigmoid(onGrid(x))
}

func (c *Calibration) isotonic(margin float64) float64 {
	first, last := 0, len(c.Margins)-1
	switch {
	case c.Tail > 0 && margin < c.Margins[first]:
		end := c.Probabilities[first]
		return min(beyond(end, float64(c.Tail*(margin-c.Margins[first]))), end)
	case c.Tail > 0 && margin > c.Margins[last]:
		end := c.Probabilities[last]
		return max(beyond(end, float64(c.Tail*(margin-c.Margins[last]))), end)
	}
	return Interpolate(c.Margins, c.Probabilities, margin)
}

// beyond moves a probability by so much log-odds.
func beyond(p, by float64) float64 {
	p = min(max(p, minProbability), 1-minProbability)
	return Sigmoid(onGrid(math.Log(p/(1-p)) + by))
}

// Sigmoid is 1/(1+exp(-x)).
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// softplus is log(1+exp(x)), in the form that does not overflow: with
// s = 1/(1+exp(-m)), ln s is -softplus(-m) and -ln(1-s) is softplus(m).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// onGrid rounds to a multiple of 2^-40. exp is right to about one unit in the
// last place and so need not ascend from one number to the next; over steps of
// 2^-40 it does, and with it a calibration, to the last bit.
func onGrid(x float64) float64 {
	const grid = 1 << 40
	return math.Round(x*grid) / grid
}

func (c *Calibration) check() error {
	platt, beta := c.Slope != 0 || c.Offset != 0, c.A != 0 || c.B != 0 || c.C != 0
	knots := c.Margins != nil || c.Probabilities != nil || c.Tail != 0
	switch c.Kind {
	case "platt":
		switch {
		case !within(math.MaxFloat64, c.Slope, c.Offset) || c.Slope <= 0:
			return fmt.Errorf("platt: slope %v must be positive and finite, offset %v finite", c.Slope, c.Offset)
		case beta || knots:
			return errors.New("platt: has no knots and no a, b, c")
		}
	case "beta":
		switch {
		case !within(maxMargin, c.A, c.B, c.C) || c.A < 0 || c.B < 0 || c.A+c.B == 0:
			return fmt.Errorf("beta: a %v and b %v must not be negative and not both 0, nor larger than %g; c is %v", c.A, c.B, maxMargin, c.C)
		case platt || knots:
			return errors.New("beta: has no slope and offset and no knots")
		}
	case "isotonic":
		switch {
		case len(c.Margins) == 0 || len(c.Margins) != len(c.Probabilities):
			return fmt.Errorf("isotonic: %d margins and %d probabilities: needs as many of one as of the other", len(c.Margins), len(c.Probabilities))
		case platt || beta:
			return errors.New("isotonic: has no slope and offset and no a, b, c")
		case !within(maxMargin, c.Tail) || c.Tail < 0:
			return fmt.Errorf("isotonic: tail %v must be from 0 to %g", c.Tail, maxMargin)
		}
		for i, m := range c.Margins {
			p := c.Probabilities[i]
			switch {
			case !within(maxMargin, m) || !(p >= 0 && p <= 1):
				return fmt.Errorf("isotonic: knot %d is out of range", i)
			case i > 0 && (c.Margins[i-1] >= m || c.Probabilities[i-1] > p):
				return fmt.Errorf("isotonic: knot %d does not ascend", i)
			}
		}
	default:
		return fmt.Errorf("kind %q: use platt, beta or isotonic", c.Kind)
	}
	return nil
}
