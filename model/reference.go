package model

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"churn/features"
)

// Reference is the population the model was evaluated on: fixed bins of every
// feature and of the score, to notice drift and to give a percentile.
type Reference struct {
	Rows int `json:"rows"`
	// BaseRate is the share of churners among them.
	BaseRate float64 `json:"base_rate"`
	// Quantiles of the probability at 0, 1, …, 100 per cent.
	Quantiles []float64          `json:"quantiles"`
	Features  []FeatureReference `json:"features"`
}

// FeatureReference is the distribution of one feature.
type FeatureReference struct {
	Name    string  `json:"name"`
	Missing float64 `json:"missing"` // share of all rows
	// Bounds of the bins of a number: bin i holds Bounds[i-1] < x <= Bounds[i];
	// the last bin is open.
	Bounds []float64 `json:"bounds,omitempty"`
	// Shares of the rows that are not missing, by bin, or by level and last
	// the levels not known.
	Shares []float64 `json:"shares"`
}

// NewReference measures rows and their probabilities. churned may be nil.
func NewReference(m *features.Matrix, probability []float64, churned []bool) Reference {
	r := Reference{Rows: m.Rows()}
	positives := 0
	for _, y := range churned {
		if y {
			positives++
		}
	}
	r.BaseRate = float64(positives) / float64(max(len(churned), 1))
	sorted := slices.Sorted(slices.Values(probability))
	if len(sorted) > 0 {
		for q := range 101 {
			r.Quantiles = append(r.Quantiles, sorted[q*(len(sorted)-1)/100])
		}
	}
	for j := range m.Features {
		r.Features = append(r.Features, referenceOf(m, j))
	}
	return r
}

func referenceOf(m *features.Matrix, j int) FeatureReference {
	f := &m.Features[j]
	fr := FeatureReference{Name: f.Name}
	var values []float64
	for i := range m.Rows() {
		if v := float64(m.Row(i)[j]); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	fr.Missing = 1 - float64(len(values))/float64(max(m.Rows(), 1))
	if f.Kind == features.Category {
		fr.Shares = make([]float64, len(f.Levels)+1)
	} else {
		slices.Sort(values)
		for q := 1; q < 10 && len(values) > 0; q++ { // deciles, equal ones once
			b := values[q*(len(values)-1)/10]
			if n := len(fr.Bounds); n == 0 || fr.Bounds[n-1] < b {
				fr.Bounds = append(fr.Bounds, b)
			}
		}
		fr.Shares = make([]float64, len(fr.Bounds)+1)
	}
	for _, v := range values { // counts first: they add up exactly
		fr.Shares[fr.Bin(v)]++
	}
	for i := range fr.Shares {
		fr.Shares[i] /= float64(max(len(values), 1))
	}
	return fr
}

// Bin returns the bin of a value that is not missing.
func (r *FeatureReference) Bin(v float64) int {
	if r.Bounds == nil {
		if i := int(v); i >= 0 && i < len(r.Shares)-1 {
			return i
		}
		return len(r.Shares) - 1
	}
	i, _ := slices.BinarySearch(r.Bounds, v)
	return i
}

// Percentile returns the share of the reference population, in per cent, that
// has a lower probability: a whole number, rounded up. NaN without a
// population.
func (r *Reference) Percentile(p float64) float64 {
	if len(r.Quantiles) != 101 {
		return math.NaN()
	}
	i, _ := slices.BinarySearch(r.Quantiles, p)
	return float64(min(i, 100))
}

// check verifies that the reference describes the given features.
func (r *Reference) check(feats []features.Feature) error {
	switch n := len(r.Quantiles); {
	case n != 0 && n != 101:
		return fmt.Errorf("%d quantiles where there are 101", n)
	case !slices.IsSorted(r.Quantiles) || n > 0 && !(r.Quantiles[0] >= 0 && r.Quantiles[n-1] <= 1):
		return errors.New("the quantiles are not ascending probabilities")
	case r.Rows < 0 || !(r.BaseRate >= 0 && r.BaseRate <= 1):
		return fmt.Errorf("%d rows with a base rate of %v", r.Rows, r.BaseRate)
	case len(r.Features) != len(feats):
		return fmt.Errorf("%d features where the feature set has %d", len(r.Features), len(feats))
	}
	for i := range r.Features {
		if err := r.Features[i].check(&feats[i]); err != nil {
			return fmt.Errorf("feature %d, %.130q: %w", i, r.Features[i].Name, err)
		}
	}
	return nil
}

func (r *FeatureReference) check(f *features.Feature) error {
	bins := len(r.Bounds) + 1
	if f.Kind == features.Category {
		bins = len(f.Levels) + 1
	}
	switch {
	case r.Name != f.Name:
		return fmt.Errorf("the feature set has %q here", f.Name)
	case f.Kind == features.Category && r.Bounds != nil:
		return errors.New("a category has no bounds")
	case len(r.Shares) != bins:
		return fmt.Errorf("%d shares where there are %d bins", len(r.Shares), bins)
	case !within(math.MaxFloat64, r.Bounds...) || !slices.IsSorted(r.Bounds):
		return errors.New("the bounds do not ascend")
	}
	for _, v := range append(slices.Clone(r.Shares), r.Missing) {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("share %v is not between 0 and 1", v)
		}
	}
	return nil
}
