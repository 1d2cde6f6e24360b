package sim

import (
	"math"

	"churn/event"
)

// Summary counts what a world brought forth and says how well the best score
// does. Observations are pairs of customer and snapshot; those censored or
// left in the gap are counted and left out, and the score is the conditional
// one, as training does it.
type Summary struct {
	Customers   int
	Left        int
	Engagements int
	Complaints  int
	Payments    int
	Contacts    int

	Types []TypeCount

	Observations int
	Churned      int
	LeftInGap    int
	Censored     int
	BaseRate     float64
	// AUC is exact up to ties within a width of 1/20000 of probability.
	AUC         float64
	LogLoss     float64 // nats an observation
	BaseLogLoss float64 // of the base rate for everybody
	Brier       float64

	stayed, churned []int // by bin of probability
}

// TypeCount says how many customers of a type there were, and left.
type TypeCount struct {
	Name      string
	Customers int
	Left      int
}

const bins = 20_000

func newSummary(w *World) *Summary {
	s := &Summary{stayed: make([]int, bins), churned: make([]int, bins)}
	for _, t := range w.Types {
		s.Types = append(s.Types, TypeCount{Name: t.Name})
	}
	return s
}

func (s *Summary) add(c *Customer) {
	tl, t := c.Timeline, &s.Types[c.Type]
	s.Customers++
	t.Customers++
	if tl.Customer.ChurnedAt != event.Never {
		s.Left++
		t.Left++
	}
	s.Engagements += len(tl.Engagements)
	s.Complaints += len(tl.Complaints)
	s.Payments += len(tl.Payments)
	s.Contacts += len(tl.Contacts)
	for _, x := range c.Scores {
		p := min(max(x.Conditional(), 1e-15), 1-1e-15)
		bin := min(int(p*bins), bins-1)
		switch x.Outcome {
		case Left:
			s.churned[bin]++
			s.Churned++
			s.LogLoss -= math.Log(p)
			s.Brier += float64((1 - p) * (1 - p))
		case Stayed:
			s.stayed[bin]++
			s.LogLoss -= math.Log1p(-p)
			s.Brier += float64(p * p)
		case LeftInGap:
			s.LeftInGap++
			continue
		case Censored:
			s.Censored++
			continue
		}
		s.Observations++
	}
}

// finish turns sums into means. AUC stays 0.5 where one class is missing.
func (s *Summary) finish() {
	s.AUC = 0.5
	n := float64(s.Observations)
	if n == 0 {
		return
	}
	s.LogLoss /= n
	s.Brier /= n
	s.BaseRate = float64(s.Churned) / n
	for _, p := range []float64{s.BaseRate, 1 - s.BaseRate} {
		if p > 0 {
			s.BaseLogLoss -= float64(p * math.Log(p))
		}
	}
	below, wins := 0, 0.0
	for i := range s.stayed {
		wins += float64(float64(s.churned[i]) * (float64(below) + float64(0.5*float64(s.stayed[i]))))
		below += s.stayed[i]
	}
	if s.Churned > 0 && below > 0 {
		s.AUC = wins / float64(s.Churned) / float64(below)
	}
}
