package model

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"churn/features"
)

// Reason is the contribution of one feature to a score.
type Reason struct {
	Feature      string  `json:"feature"`
	Value        string  `json:"value"`
	Contribution float64 `json:"contribution"` // log-odds
	Direction    string  `json:"direction"`    // raises or lowers
	Text         string  `json:"text"`
}

// Reasons lists the n largest contributions by size, as sentences.
func (s *Scorer) Reasons(row []float32, contributions []float64, n int) []Reason {
	order := make([]int, 0, len(contributions))
	for i, c := range contributions {
		if c != 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(math.Abs(contributions[b]), math.Abs(contributions[a])), cmp.Compare(a, b))
	})
	reasons := []Reason{}
	for _, i := range order[:min(max(n, 0), len(order))] {
		f := &s.engine.Features()[i]
		value := formatValue(f, row[i])
		r := Reason{Feature: f.Name, Value: value, Contribution: contributions[i], Direction: "raises", Text: f.Sentence(value)}
		if contributions[i] < 0 {
			r.Direction = "lowers"
		}
		reasons = append(reasons, r)
	}
	return reasons
}

// formatValue writes a value of a feature for people.
func formatValue(f *features.Feature, x float32) string {
	v := float64(x)
	switch {
	case math.IsNaN(v):
		return "unknown"
	case f.Kind == features.Category:
		if i := int(v); i >= 0 && i < len(f.Levels) {
			return f.Levels[i]
		}
		return "other"
	case v == 0:
		return "0" // and not -0
	case v == math.Trunc(v) && math.Abs(v) < 1e9, math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// markUnstable is wired by the bag.
func (s *Scorer) markUnstable(reasons []Reason, members [][]float64) {}
