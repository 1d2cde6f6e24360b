package model

import (
	"churn/features"
)

// additive is a Linear made for scoring: the same value as Term.Value for every
// term, bit for bit, without a search that the processor has to guess.
type additive struct {
	intercept float64
	base      float64 // intercept and the means of all terms
	terms     []additiveTerm
	// knots and values of all terms, one behind the other. Those of a category
	// are its levels.
	knots, values []float64
}

type additiveTerm struct {
	column               int
	first, n             int
	category             bool
	missing, other, mean float64
}

// newAdditive compiles a linear model, checked against the features it reads.
func newAdditive(l *Linear, feats []features.Feature) (*additive, error) {
	resolved, columns, err := l.resolve(feats)
	if err != nil {
		return nil, err
	}
	a := &additive{intercept: resolved.Intercept, base: resolved.Intercept}
	for i := range resolved.Terms {
		t := &resolved.Terms[i]
		at := additiveTerm{column: columns[i], first: len(a.values), missing: t.Missing, other: t.Other, mean: t.Mean}
		if t.Levels != nil {
			at.category, at.n = true, len(t.Levels)
			a.values = append(a.values, t.Levels...)
			a.knots = append(a.knots, make([]float64, len(t.Levels))...)
		} else {
			at.n = len(t.Knots)
			a.values = append(a.values, t.Values...)
			a.knots = append(a.knots, t.Knots...)
		}
		a.terms = append(a.terms, at)
		a.base += t.Mean
	}
	return a, nil
}

// value returns what term t says of x, as Term.Value does.
func (a *additive) value(t *additiveTerm, x float32) float64 {
	v := float64(x)
	if v != v {
		return t.missing
	}
	values := a.values[t.first : t.first+t.n]
	if t.category {
		if i := int(v); i >= 0 && i < len(values) {
			return values[i]
		}
		return t.other
	}
	// The number of knots below v: halves are taken or left without a branch.
	knots := a.knots[t.first : t.first+t.n]
	below, n := 0, len(knots)
	for n > 1 {
		half := n / 2
		next := below + half
		if knots[next-1] < v {
			below = next
		}
		n -= half
	}
	if knots[below] < v {
		below++
	}
	switch below {
	case 0:
		return values[0]
	case len(knots):
		return values[below-1]
	}
	share := (v - knots[below-1]) / (knots[below] - knots[below-1])
	lo, hi := values[below-1], values[below]
	return min(max(lo+float64(share*(hi-lo)), min(lo, hi)), max(lo, hi))
}

// margin returns the sum of all terms. Unless contributions is nil, it adds to
// it what each gives beyond its mean, times weight.
func (a *additive) margin(row []float32, contributions []float64, weight float64) float64 {
	sum := a.intercept
	for i := range a.terms {
		t := &a.terms[i]
		v := a.value(t, row[t.column])
		sum += v
		if contributions != nil {
			contributions[t.column] += float64(weight * (v - t.mean))
		}
	}
	return sum
}
