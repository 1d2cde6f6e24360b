package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Calibration takes a margin to a probability, monotone and never 0 or 1.
type Calibration struct {
	// Kind is platt or isotonic.
	Kind string `json:"kind"`
	// Platt: p = 1/(1+exp(-(Slope·margin+Offset))), Slope > 0 (Platt 1999).
	Slope  float64 `json:"slope,omitzero"`
	Offset float64 `json:"offset,omitzero"`
	// Isotonic: linear between knots of the margin, constant outside them
	// (pool adjacent violators, interpolated).
	Margins       []float64 `json:"margins,omitempty"`
	Probabilities []float64 `json:"probabilities,omitempty"`
}

// maxMargin bounds the knots of a calibration; see maxLogOdds.
const maxMargin = 1e12

// minProbability keeps a probability away from certainty.
const minProbability = 1e-6

// Probability returns the calibrated probability of churn.
func (c *Calibration) Probability(margin float64) float64 {
	p := 0.0
	if c.Kind == "isotonic" {
		p = Interpolate(c.Margins, c.Probabilities, margin)
	} else {
		p = Sigmoid(float64(c.Slope*margin) + c.Offset)
	}
	return min(max(p, minProbability), 1-minProbability)
}

// Sigmoid is 1/(1+exp(-x)).
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func (c *Calibration) check() error {
	switch c.Kind {
	case "platt":
		if !within(math.MaxFloat64, c.Slope, c.Offset) || c.Slope <= 0 {
			return fmt.Errorf("platt: slope %v must be positive and finite, offset %v finite", c.Slope, c.Offset)
		}
		if c.Margins != nil || c.Probabilities != nil {
			return errors.New("platt: has no knots")
		}
	case "isotonic":
		if len(c.Margins) == 0 || len(c.Margins) != len(c.Probabilities) {
			return fmt.Errorf("isotonic: %d margins and %d probabilities: needs as many of one as of the other", len(c.Margins), len(c.Probabilities))
		}
		if c.Slope != 0 || c.Offset != 0 {
			return errors.New("isotonic: has no slope and offset")
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
		return fmt.Errorf("kind %q: use platt or isotonic", c.Kind)
	}
	return nil
}

// minSlope is the flattest calibration that FitPlatt gives: it keeps the
// ranking and hardly believes it.
const minSlope = 1e-3

// FitPlatt fits slope and offset by Newton's method on the log loss, with
// Platt's smoothed targets, so that few churners do not give certainty (Lin,
// Lin and Weng 2007). Where the margins say nothing, or would have to be
// turned around, everyone gets nearly the mean, by a slope of minSlope.
func FitPlatt(margins []float64, churned []bool) Calibration {
	var pos, neg float64
	for _, y := range churned {
		if y {
			pos++
		} else {
			neg++
		}
	}
	hi, lo := (pos+1)/(pos+2), 1/(neg+2)
	target := func(i int) float64 {
		if churned[i] {
			return hi
		}
		return lo
	}
	loss := func(a, b float64) float64 {
		s := 0.0
		for i, m := range margins {
			z := float64(a*m) + b
			// log(1+e^z) - t z, in the form that does not overflow.
			s += math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - float64(target(i)*z)
		}
		return s
	}
	// From a slope of 0 every row has weight, whatever the unit of the margins.
	a, b := 0.0, math.Log((pos+1)/(neg+1))
	best := loss(a, b)
	for range 100 {
		var ga, gb, haa, hab, hbb float64
		for i, m := range margins {
			p := Sigmoid(float64(a*m) + b)
			d, h := p-target(i), p*(1-p)
			ga += float64(d * m)
			gb += d
			haa += float64(h * m * m)
			hab += float64(h * m)
			hbb += h
		}
		haa += 1e-9
		hbb += 1e-9
		det := float64(haa*hbb) - float64(hab*hab)
		if !(det > 0) {
			break
		}
		da := (float64(hbb*ga) - float64(hab*gb)) / det
		db := (float64(haa*gb) - float64(hab*ga)) / det
		step := 1.0
		for step > 1e-10 {
			ta, tb := a-float64(step*da), b-float64(step*db)
			if l := loss(ta, tb); l < best {
				a, b, best = ta, tb, l
				break
			}
			step /= 2
		}
		if step <= 1e-10 || math.Abs(step*da)+math.Abs(step*db) < 1e-12 {
			break
		}
	}
	if !(a > minSlope) || !within(math.MaxFloat64, a, b) {
		rate := 0.5
		if n := pos + neg; n > 0 {
			rate = (float64(pos*hi) + float64(neg*lo)) / n
		}
		return Calibration{Kind: "platt", Slope: minSlope, Offset: matchMean(margins, rate)}
	}
	return Calibration{Kind: "platt", Slope: a, Offset: b}
}

// matchMean finds the offset at which, with minSlope, the mean probability is
// the rate.
func matchMean(margins []float64, rate float64) float64 {
	// At the ends, every probability is at most, and at least, the rate.
	lo, hi := math.Log(rate/(1-rate)), math.Log(rate/(1-rate))
	if len(margins) > 0 {
		lo -= float64(minSlope * slices.Max(margins))
		hi -= float64(minSlope * slices.Min(margins))
	}
	for range 100 {
		mid := (lo + hi) / 2
		s := 0.0
		for _, m := range margins {
			s += Sigmoid(float64(minSlope*m) + mid)
		}
		if s < rate*float64(len(margins)) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// FitIsotonic pools adjacent violators (Ayer and others 1955) and keeps one
// knot per block, at the block's mean margin, so that interpolation is
// strictly between blocks. Each block's rate is smoothed by one half
// observation of either kind; blocks whose smoothed rates then descend are
// pooled too. Without data everything is a half.
func FitIsotonic(margins []float64, churned []bool) Calibration {
	order := make([]int, len(margins))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(margins[a], margins[b]) })
	blocks := make([]block, 0, max(len(order), 1))
	for k, i := range order {
		b := block{sum: margins[i], n: 1}
		if churned[i] {
			b.pos = 1
		}
		if k > 0 && margins[i] == margins[order[k-1]] { // ties share a block
			blocks[len(blocks)-1].add(b)
		} else {
			blocks = append(blocks, b)
		}
	}
	if len(blocks) == 0 {
		blocks = append(blocks, block{})
	}
	// Rates are compared as quotients of counts, exactly. Smoothing comes
	// after: among blocks still growing it would pool too much.
	blocks = pool(blocks, func(p, q block) bool { return p.pos*q.n < q.pos*p.n })
	blocks = pool(blocks, func(p, q block) bool { return p.rate() <= q.rate() })
	c := Calibration{Kind: "isotonic"}
	for _, b := range blocks {
		m := b.sum / max(b.n, 1)
		if n := len(c.Margins); n > 0 && c.Margins[n-1] >= m {
			continue // rounding of means of neighbouring blocks
		}
		c.Margins = append(c.Margins, m)
		c.Probabilities = append(c.Probabilities, b.rate())
	}
	return c
}

// block is a run of rows: the sum of their margins, how many, how many churned.
type block struct{ sum, n, pos float64 }

func (b *block) add(o block) { b.sum, b.n, b.pos = b.sum+o.sum, b.n+o.n, b.pos+o.pos }

// rate is smoothed.
func (b block) rate() float64 { return (b.pos + 0.5) / (b.n + 1) }

// pool joins neighbours until all of them ascend. It works in place.
func pool(blocks []block, ascend func(p, q block) bool) []block {
	n := 0
	for _, b := range blocks {
		for n > 0 && !ascend(blocks[n-1], b) {
			n--
			blocks[n].add(b)
			b = blocks[n]
		}
		blocks[n] = b
		n++
	}
	return blocks[:n]
}
