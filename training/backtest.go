package training

import (
	"context"
	"fmt"

	"churn/event"
	"churn/training/measure"
)

// Month is how the chosen settings would have done at an earlier end of the
// data: fitted and calibrated on what was known by then, tested on the last
// snapshot whose labels were, on customers never trained on. The settings
// themselves were chosen later.
type Month struct {
	Through  event.Time `json:"through"`
	Snapshot event.Time `json:"snapshot"`
	Rows     int        `json:"rows"`
	Churners int        `json:"churners"`
	// Model, Rule, and Model minus Rule; nil where Why says why nothing was
	// measured.
	Model      *measure.Estimates `json:"model,omitempty"`
	Rule       *measure.Estimates `json:"rule,omitempty"`
	Difference *measure.Estimates `json:"difference,omitempty"`
	Why        string             `json:"why,omitempty"`
}

// String is a month as a terminal shows it.
func (m *Month) String() string {
	if m.Model == nil {
		return fmt.Sprintf("%s: not measured: %s", date(m.Snapshot), m.Why)
	}
	return fmt.Sprintf("%s: %d churners of %d rows, AUC %s, log loss %.4f, that of the rule %.4f",
		date(m.Snapshot), m.Churners, m.Rows, interval(m.Model.AUC), m.Model.LogLoss.Value, m.Rule.LogLoss.Value)
}

func date(t event.Time) string { return t.String()[:len("2006-01-02")] }

// backtest fits the chosen settings at earlier ends of the data, a step apart,
// and tests each on what came next (rolling origin: Tashman, International
// Journal of Forecasting 2000).
func (p *Plan) backtest(ctx context.Context, src Source, chosen *candidate) ([]Month, error) {
	var out []Month
	for i := p.Backtest - 1; i >= 0; i-- {
		p.Progress("backtest", p.Backtest-1-i, p.Backtest)
		at := *p
		at.Through = p.Through.Add(-event.Duration(i) * p.Every)
		at.Resume, at.Progress = "", func(string, int, int) {}
		m, err := at.month(ctx, src, chosen)
		if err != nil {
			return nil, err
		}
		out = append(out, *m)
	}
	return out, nil
}

// month is a backtest at the end of the plan's data.
func (p *Plan) month(ctx context.Context, src Source, chosen *candidate) (*Month, error) {
	m := &Month{Through: p.Through}
	snapshots := Snapshots(&p.Definition, p.Through, p.Every, p.Snapshots)
	split, err := SplitByTime(&p.Definition, snapshots)
	if err != nil {
		return nil, err // there would have been no report to test back from
	}
	m.Snapshot = split.Test[len(split.Test)-1]
	split.Test = []event.Time{m.Snapshot}
	data, err := p.observe(ctx, src, split)
	if err != nil {
		return nil, err
	}
	pt := divide(data, &split)
	m.Rows, m.Churners = len(pt.test.Observations), pt.test.Positives()
	if err := new(Report).split(pt); err != nil {
		m.Why = err.Error()
		return m, nil
	}
	base := p.base(pt.train)
	base.calibrate(base.margins(&pt.calibration.Matrix, p.Workers), pt.calibration, p.Seed)
	best := base
	if chosen.bag != nil {
		if best, err = p.again(ctx, pt, chosen); err != nil {
			return nil, err
		}
	}
	return m, p.measure(m, base, best, pt.test)
}

// observe computes the rows of a split, with levels frozen on its training part.
func (p *Plan) observe(ctx context.Context, src Source, split Split) (*Data, error) {
	times := append(split.BeforeTest(), split.Test...)
	o := &Observer{Definition: p.Definition, Snapshots: times, Through: p.Through, HeldOut: p.HeldOut, Seed: p.Seed}
	engine, _, err := prepare(ctx, src, p, split, o)
	if err != nil {
		return nil, err
	}
	data, _, err := compute(ctx, src, o, engine, p.Workers, nil)
	return data, err
}

// measure fills in what was measured of a month.
func (p *Plan) measure(m *Month, base, best *candidate, test *Data) error {
	boot := measure.Bootstrap{Replicates: p.Replicates, Level: 0.95, Seed: p.Seed}
	var samples [2]*measure.Sample
	var estimates [2]measure.Estimates
	for i, c := range []*candidate{best, base} {
		s, err := measure.NewSample(probabilities(&c.calibration, c.margins(&test.Matrix, p.Workers)), test.Labels(), nil)
		if err != nil {
			return err
		}
		if estimates[i], err = boot.Intervals(s, test.Customers()); err != nil {
			return err
		}
		samples[i] = s
	}
	d, err := boot.Difference(samples[0], samples[1], test.Customers())
	if err != nil {
		return err
	}
	m.Model, m.Rule, m.Difference = &estimates[0], &estimates[1], &d
	return nil
}

// checkBacktest refuses a backtest where there is no time.
func (p *Plan) checkBacktest(of string) error {
	if p.Backtest > 0 {
		return fmt.Errorf("a backtest needs histories: a %s does not have what was known at earlier ends of the data", of)
	}
	return nil
}
