package model

import (
	"errors"
	"fmt"
	"math"

	"churn/features"
)

// Bag says that the model was fitted several times, each time without another
// part of the customers. The members disagree where training had little to go
// by: from that come intervals, and doubts about reasons.
//
// With g members, each fitted without one of g parts of the customers, the
// variance of the margin is that of the delete-a-group jackknife, (g-1)/g times
// the sum of squared deviations (Kott, "The delete-a-group jackknife", Journal
// of Official Statistics 2001).
type Bag struct {
	// Members is their number, 2 or more.
	Members int `json:"members"`
	// Trees of each member, in the order of the forest, whose leaves hold a
	// share of one member each: the margin of the forest is the mean of its
	// members'. Empty without a forest.
	Trees []int `json:"trees,omitempty"`
	// Width is half the width of the 90 % interval, in standard deviations of
	// the members' margins.
	Width float64 `json:"width"`
}

// maxMembers is how many members a bag may have.
const maxMembers = 64

// JackknifeWidth is the Width of a bag of g members, each fitted without one of
// g equal parts of the customers: the 95th percentile of Student's t with g-1
// degrees of freedom, times (g-1)/√g. g is 2 to 10.
func JackknifeWidth(g int) float64 {
	// Abramowitz and Stegun, table 26.10.
	t := [...]float64{2: 6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833}
	return t[g] * float64(g-1) / math.Sqrt(float64(g))
}

// bag is a Bag made for scoring.
type bag struct {
	members int
	linear  []*additive // of the members; nil without a linear part
	forest  bool
	width   float64
}

// newBag returns nil for a model without a bag.
func newBag(m *Model, feats []features.Feature) (*bag, error) {
	b := m.Manifest.Bag
	if b == nil {
		if m.Linear != nil && m.Linear.Members != nil {
			return nil, errors.New("the linear part has members, the manifest no bag")
		}
		return nil, nil
	}
	out := &bag{members: b.Members, width: b.Width, forest: m.Forest != nil}
	switch {
	case b.Members < 2 || b.Members > maxMembers:
		return nil, fmt.Errorf("%d members: 2 to %d", b.Members, maxMembers)
	case !(b.Width >= 0 && b.Width <= maxLogOdds):
		return nil, fmt.Errorf("width %v is out of range", b.Width)
	case m.Forest != nil && len(b.Trees) != b.Members:
		return nil, fmt.Errorf("trees of %d members where there are %d", len(b.Trees), b.Members)
	case m.Forest == nil && b.Trees != nil:
		return nil, errors.New("trees of members without a forest")
	case m.Linear != nil && len(m.Linear.Members) != b.Members:
		return nil, fmt.Errorf("%d members of the linear part where there are %d", len(m.Linear.Members), b.Members)
	}
	if m.Linear != nil {
		for k := range m.Linear.Members {
			member := &m.Linear.Members[k]
			a, err := newAdditive(&Linear{Intercept: member.Intercept, Terms: member.Terms}, feats)
			if err != nil {
				return nil, fmt.Errorf("linear part of member %d: %w", k, err)
			}
			out.linear = append(out.linear, a)
		}
	}
	return out, nil
}

// reach returns half the width of the margin's interval. w holds the totals of
// the forest.
func (b *bag) reach(s *Scorer, w *workspace, row []float32) float64 {
	weights := s.manifest.Weights
	mean, before := 0.0, 0.0
	for k := range w.margins {
		m := 0.0
		if b.linear != nil {
			m = float64(weights.Linear * b.linear[k].margin(row, nil, 0))
		}
		if b.forest {
			m += float64(weights.Forest * float64(b.members) * (w.totals[k] - before))
			before = w.totals[k]
		}
		w.margins[k] = m
		mean += m
	}
	mean /= float64(b.members)
	squares := 0.0
	for _, m := range w.margins {
		squares += float64((m - mean) * (m - mean))
	}
	return b.width * math.Sqrt(squares/float64(b.members-1))
}

// contributions sets w.members to the contributions of each member to its own
// margin. w has loaded the row.
func (b *bag) contributions(s *Scorer, w *workspace, row []float32) {
	weights := s.manifest.Weights
	for k, phi := range w.members {
		clear(phi)
		if b.forest {
			w.forest.AddContributions(k, phi)
			for j := range phi {
				phi[j] *= weights.Forest * float64(b.members)
			}
		}
		if b.linear != nil {
			b.linear[k].margin(row, phi, weights.Linear)
		}
	}
}
