package training

import (
	"cmp"
	"context"
	"fmt"

	"churn/training/measure"
)

// learningShares of the customers are trained on, each including those of the
// one before.
var learningShares = [...]float64{0.25, 0.5, 1}

// learningCurve fits a forest to a part of the customers, to more, and to all.
func (p *Plan) learningCurve(ctx context.Context, train, test *Data) (LearningCurve, error) {
	l := LearningCurve{Doubling: measure.Unmeasured()}
	parts := make([]*Data, len(learningShares))
	for k, share := range learningShares {
		parts[k] = train.Rows(func(o *Observation) bool { return heldOut(o.Customer, p.Seed+probeSeed+2, share) })
	}
	if l.NotMeasured = fewOf(parts[0], test); l.NotMeasured != "" {
		return l, nil
	}
	samples := make([]*measure.Sample, len(parts))
	errs := make([]error, len(parts))
	parallel(p.Workers, len(parts), func(k int) {
		var c *candidate
		if c, errs[k] = probe(ctx, parts[k], true, nil, p.Seed); errs[k] == nil {
			samples[k], errs[k] = c.sample(test, 1)
		}
	})
	if err := cmp.Or(errs...); err != nil {
		return l, err
	}
	n := len(parts)
	est, err := p.checkBootstrap().Of(test.Customers(), 2*n+1, func() func(weight, out []float64) {
		var w measure.Drawn
		return func(weight, out []float64) {
			for k, s := range samples {
				w = s.Draw(w, weight)
				m := s.Under(w)
				out[2*k], out[2*k+1] = float64(m.AUC), float64(m.LogLoss)
			}
			out[2*n] = out[2*n-1] - out[2*n-3]
		}
	})
	if err != nil {
		return l, err
	}
	for k, d := range parts {
		_, customers := measure.NumberCustomers(d.Customers())
		l.Points = append(l.Points, LearningPoint{Share: learningShares[k], Customers: customers, Churners: d.Positives(), AUC: est[2*k], LogLoss: est[2*k+1]})
	}
	l.Doubling = est[2*n]
	l.conclude()
	return l, nil
}

// conclude says whether twice the customers would help: they would if all of
// them rather than half did, and would not if even the better end of the interval
// is a gain of next to nothing. Where more customers did harm, one fit says
// nothing.
func (l *LearningCurve) conclude() {
	last := l.Points[len(l.Points)-1]
	at := fmt.Sprintf("from %d to %d customers the log loss on the test changed by %+.4f [%+.4f, %+.4f]",
		l.Points[len(l.Points)-2].Customers, last.Customers, l.Doubling.Value, l.Doubling.Low, l.Doubling.High)
	switch least := -noMoreToLearn * float64(last.LogLoss.Value); {
	case l.Doubling.High < 0 && float64(l.Doubling.Value) < least:
		l.MoreWouldHelp = "yes"
	case float64(l.Doubling.Low) > least && float64(l.Doubling.Value) < -least:
		l.MoreWouldHelp = "no"
	default:
		l.MoreWouldHelp = "unclear"
	}
	l.Text = "twice the customers would help: " + l.MoreWouldHelp + "; " + at
}
