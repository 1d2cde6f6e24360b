package model

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"churn/features"
)

// Linear is an additive model in log-odds: an intercept and one function of
// each feature. A logistic regression on transformed features has this shape,
// and so does the inactivity rule. Being additive, its Shapley values are the
// terms themselves, less their means.
type Linear struct {
	Intercept float64 `json:"intercept"`
	Terms     []Term  `json:"terms"`
	// Members of a bag say how far to trust the terms. They are no part of the
	// margin.
	Members []Member `json:"members,omitempty"`
}

// Member is a Linear fitted without one part of the customers.
type Member struct {
	Intercept float64 `json:"intercept"`
	Terms     []Term  `json:"terms"`
}

// Term is the contribution of one feature, in log-odds.
type Term struct {
	Feature string `json:"feature"`
	// Knots and Values, of a number: the function is linear between the knots
	// and constant outside them. Knots ascend.
	Knots  []float64 `json:"knots,omitempty"`
	Values []float64 `json:"values,omitempty"`
	// Levels, of a category: the contribution of each code.
	Levels []float64 `json:"levels,omitzero"`
	// Other is the contribution of a level that was not known in training.
	Other float64 `json:"other,omitzero"`
	// Missing is the contribution of a missing value.
	Missing float64 `json:"missing,omitempty"`
	// Mean is the mean contribution over the training rows.
	Mean float64 `json:"mean"`
}

// Value returns the contribution of x.
func (t *Term) Value(x float32) float64 {
	v := float64(x)
	switch {
	case math.IsNaN(v):
		return t.Missing
	case t.Levels != nil:
		if i := int(v); i >= 0 && i < len(t.Levels) {
			return t.Levels[i]
		}
		return t.Other
	}
	return Interpolate(t.Knots, t.Values, v)
}

// Interpolate is linear between knots (ascending, at least one) and constant
// outside them. Where the values ascend, so does the result, to the last bit.
func Interpolate(knots, values []float64, v float64) float64 {
	i, _ := slices.BinarySearch(knots, v)
	switch {
	case i == 0:
		return values[0]
	case i == len(knots):
		return values[i-1]
	}
	// The conversion forbids a fused multiply-add: the same bits everywhere.
	share := (v - knots[i-1]) / (knots[i] - knots[i-1])
	a, b := values[i-1], values[i]
	// a+(b-a) can round to beyond b.
	return min(max(a+float64(share*(b-a)), min(a, b)), max(a, b))
}

// maxLogOdds bounds what a file may hold as a part of a margin: far above any
// use, and low enough that no sum of parts overflows. Knots are values of
// features, which are float32.
const (
	maxLogOdds = 1e6
	maxKnot    = math.MaxFloat32
)

// resolve verifies the model against the features it reads. It returns a copy
// with nothing left to check, and the column of each term.
func (l *Linear) resolve(feats []features.Feature) (*Linear, []int, error) {
	index := map[string]int{}
	for i := range feats {
		index[feats[i].Name] = i
	}
	if !within(maxLogOdds, l.Intercept) {
		return nil, nil, fmt.Errorf("intercept %v is out of range", l.Intercept)
	}
	out := &Linear{Intercept: l.Intercept, Terms: slices.Clone(l.Terms)}
	columns := make([]int, len(l.Terms))
	seen := map[string]bool{}
	for i := range out.Terms {
		t := &out.Terms[i]
		c, ok := index[t.Feature]
		if !ok {
			return nil, nil, fmt.Errorf("term %.130q: no such feature in the model's feature set", t.Feature)
		}
		if seen[t.Feature] {
			return nil, nil, fmt.Errorf("term %q appears twice", t.Feature)
		}
		seen[t.Feature] = true
		columns[i] = c
		if err := t.check(&feats[c]); err != nil {
			return nil, nil, fmt.Errorf("term %q: %w", t.Feature, err)
		}
		if feats[c].Kind == features.Category && t.Levels == nil {
			t.Levels = []float64{} // what tells a category from a number
		}
	}
	return out, columns, nil
}

func (t *Term) check(f *features.Feature) error {
	switch {
	case f.Kind == features.Category && len(t.Knots)+len(t.Values) > 0:
		return errors.New("a category has levels, not knots")
	case f.Kind == features.Category && len(t.Levels) != len(f.Levels):
		return fmt.Errorf("%d levels where the feature has %d", len(t.Levels), len(f.Levels))
	case f.Kind == features.Number && t.Levels != nil:
		return errors.New("a number has knots, not levels")
	case f.Kind == features.Number && (len(t.Knots) == 0 || len(t.Knots) != len(t.Values)):
		return fmt.Errorf("%d knots and %d values: a number needs as many of one as of the other", len(t.Knots), len(t.Values))
	case !within(maxKnot, t.Knots...):
		return errors.New("a knot is not finite")
	case !within(maxLogOdds, t.Values...) || !within(maxLogOdds, t.Levels...) || !within(maxLogOdds, t.Other, t.Missing, t.Mean):
		return fmt.Errorf("a contribution is not within ±%g", maxLogOdds)
	}
	for k := 1; k < len(t.Knots); k++ {
		if t.Knots[k-1] >= t.Knots[k] {
			return fmt.Errorf("knot %d does not ascend", k)
		}
	}
	return nil
}

// within reports whether all numbers are finite and at most limit in size.
func within(limit float64, numbers ...float64) bool {
	for _, v := range numbers {
		if !(math.Abs(v) <= limit) {
			return false
		}
	}
	return true
}
