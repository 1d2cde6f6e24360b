package model

import (
	"cmp"
	"math"
	"slices"

	"churn/features"
)

// Reason is the contribution of a family of features to a score, told by the
// feature of the family that weighs most in its direction.
type Reason struct {
	Family  string `json:"family"`
	Feature string `json:"feature"`
	Value   string `json:"value"` // of the feature
	Unit    string `json:"unit"`
	// Contribution of the whole family in log-odds: base margin plus those of
	// all families is the margin.
	Contribution        float64 `json:"contribution"`
	FeatureContribution float64 `json:"feature_contribution"` // of the feature alone
	Direction           string  `json:"direction"`            // raises or lowers
	Text                string  `json:"text"`
	// Unstable: models fitted to other samples of the same data do not agree on
	// the direction.
	Unstable bool `json:"unstable,omitzero"`
}

// families groups the features of a scorer.
type families struct {
	of    []int // family by feature, numbered as they first appear
	count int
}

func newFamilies(feats []features.Feature) families {
	f := families{of: make([]int, len(feats))}
	known := map[string]int{}
	for i := range feats {
		k, ok := known[feats[i].Family]
		if !ok {
			k = len(known)
			known[feats[i].Family] = k
		}
		f.of[i] = k
	}
	f.count = len(known)
	return f
}

// group is what a family contributes to one score.
type group struct {
	family    int
	sum, size float64 // of the contributions, and of their absolute values
}

// sums adds the contributions up by family, into groups if there is room.
func (f *families) sums(groups []group, contributions []float64) []group {
	groups = slices.Grow(groups[:0], f.count)[:f.count]
	for i := range groups {
		groups[i] = group{family: i}
	}
	for i, c := range contributions {
		g := &groups[f.of[i]]
		g.sum += c
		g.size += math.Abs(c)
	}
	return groups
}

// sign is 0 where contributions cancel each other, up to rounding.
func (g *group) sign() int {
	if math.Abs(g.sum) <= 1e-9*g.size {
		return 0
	}
	return cmp.Compare(g.sum, 0)
}

// Reasons lists the n families with the largest contributions by size, as
// sentences. A family whose contributions cancel each other is no reason.
func (s *Scorer) Reasons(row []float32, contributions []float64, n int) []Reason {
	var buf [32]group
	groups := slices.DeleteFunc(s.families.sums(buf[:], contributions), func(g group) bool { return g.sign() == 0 })
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(math.Abs(b.sum), math.Abs(a.sum)), cmp.Compare(a.family, b.family))
	})
	groups = groups[:min(max(n, 0), len(groups))]
	reasons := make([]Reason, len(groups))
	for k := range groups {
		reasons[k] = s.reason(&groups[k], row, contributions)
	}
	return reasons
}

// reason tells a family by its feature with the largest contribution of the
// family's sign, the first of equal ones. There is one, or the sum would have
// another sign.
func (s *Scorer) reason(g *group, row []float32, contributions []float64) Reason {
	sign, best := float64(g.sign()), -1
	for i, c := range contributions {
		if s.families.of[i] == g.family && sign*c > 0 && (best < 0 || sign*c > sign*contributions[best]) {
			best = i
		}
	}
	f := &s.engine.Features()[best]
	r := Reason{Family: f.Family, Feature: f.Name, Value: f.Format(row[best]), Unit: f.Unit, Contribution: g.sum,
		FeatureContribution: contributions[best], Direction: "raises", Text: s.engine.Sentence(best, row)}
	if sign < 0 {
		r.Direction = "lowers"
	}
	return r
}

// markUnstable sets Unstable where the family has the opposite sign in a member of a
// bag, given the contributions of each member to the same row. A member where
// the family contributes nothing disagrees with nobody.
func (s *Scorer) markUnstable(reasons []Reason, members [][]float64) {
	var buf [32]group
	groups := buf[:]
	for _, contributions := range members {
		groups = s.families.sums(groups, contributions)
		for k := range reasons {
			r := &reasons[k]
			i, _ := s.engine.Index(r.Feature)
			if float64(groups[s.families.of[i]].sign())*r.Contribution < 0 {
				r.Unstable = true
			}
		}
	}
}
