package training

import (
	"context"

	"churn/event"
)

// again fits what was chosen anew to all that is known before the test, so that
// the last months, by which it was chosen and calibrated, are learned from too.
// Settings and the weights of a blend stay as they are; a learning rate and rows of
// a leaf are relative to what is usual for so many rows, of which there are more now
// (see boosting.params). It is calibrated on the
// snapshots of the calibration part, every row scored by the member that never
// saw its customer.
func (p *Plan) again(ctx context.Context, pt parts, chosen *candidate) (*candidate, error) {
	l := newLadder(p, pt.before)
	l.stage = "fitting again"
	var learners []learner
	for _, s := range chosen.settings {
		learners = append(learners, l.learner(s))
	}
	fits, _, err := l.search(ctx, learners)
	if err != nil {
		return nil, err
	}
	var fitted []*candidate
	for _, t := range fits {
		fitted = append(fitted, l.candidate(t))
	}
	c := fitted[0]
	if len(fitted) > 1 {
		c = mixture(fitted, chosen.shares)
	}
	c.again = true
	if err := c.compile(); err != nil {
		return nil, err
	}
	last := map[event.Time]bool{}
	for i := range pt.calibration.Observations {
		last[pt.calibration.Observations[i].At] = true
	}
	var margins []float64 // of the calibration rows: both parts keep the order of the data
	for i := range pt.before.Observations {
		if last[pt.before.Observations[i].At] {
			margins = append(margins, c.out[i])
		}
	}
	c.calibrate(margins, pt.calibration, p.Seed)
	return c, nil
}
