package training

import (
	"context"
	"errors"
	"fmt"
	"math"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// Comparison is the model beside the current champion, on the same rows of the
// test. It is of the moment and not of the model: it is in the report that Train
// returns, and not in the model file, whose bytes depend on data and seed alone.
type Comparison struct {
	Version     string `json:"version"`
	NotCompared string `json:"not_compared,omitempty"`
	// Note says which rows were compared, where not all were, and what is not
	// known of them.
	Note      string `json:"note,omitempty"`
	Rows      int    `json:"rows"`
	Churners  int    `json:"churners"`
	Customers int    `json:"customers"`
	// Champion on these rows; Difference is the model less the champion.
	Champion   *measure.Estimates `json:"champion,omitempty"`
	Difference *measure.Estimates `json:"difference,omitempty"`
	// ProfitDifference is what contacting by the model's risk and not by the
	// champion's is worth, as Profit counts it.
	ProfitDifference measure.Estimate `json:"profit_difference"`
	// AtCapacity is what both find with the capacity there is.
	AtCapacity *BothAtCapacity `json:"at_capacity,omitempty"`
	Margin     float64         `json:"margin"`
	// Refused says why the model must not take the champion's place.
	Refused string `json:"refused,omitempty"`
}

// rowsOf has the rows of the test for the champion.
type rowsOf struct {
	// compute gives them as another engine computes them, in the same order, or
	// an errNotCompared. It is nil where nothing is to be compared.
	compute func(e *features.Engine, test *Data) (*Data, error)
	table   *Table  // that they are of; nil of histories
	share   float64 // of the customers, by hash, who test; 1 where nobody of the table was trained on
}

// errNotCompared says that there are no rows for the champion.
type errNotCompared struct{ why string }

func (e errNotCompared) Error() string { return e.why }

// fromHistories computes the rows of held-out customers anew.
func (p *Plan) fromHistories(ctx context.Context, src Source, own *features.Engine, s *Split) rowsOf {
	return rowsOf{share: p.HeldOut, compute: func(e *features.Engine, test *Data) (*Data, error) {
		if e.Fingerprint() == own.Fingerprint() {
			return test, nil
		}
		if e.OfTable() {
			return nil, errNotCompared{"it is of a wide table"}
		}
		return p.testRows(ctx, src, e, s.Test, "computing the champion's features")
	}}
}

// testRows observes held-out customers.
func (p *Plan) testRows(ctx context.Context, src Source, e *features.Engine, snapshots []event.Time, stage string) (*Data, error) {
	o := &Observer{Definition: p.Definition, Snapshots: snapshots, Through: p.Through, HeldOut: p.HeldOut, Seed: p.Seed}
	d, _, err := compute(ctx, someOf{src, func(id string) bool { return heldOut(id, p.Seed, p.HeldOut) }}, o, e, p.Workers,
		func(n int) { p.Progress(stage, n, 0) })
	return d, err
}

// someOf are the histories of some customers.
type someOf struct {
	Source
	keep func(customer string) bool
}

func (s someOf) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	return s.Source.Timelines(ctx, func(tl *event.Timeline) error {
		if !s.keep(tl.Customer.ID) {
			return ctx.Err()
		}
		return fn(tl)
	})
}

// fromTable computes them from the columns of the wide table that the test is of.
func fromTable(t *Table, own *features.Engine, share float64) rowsOf {
	return rowsOf{table: t, share: share, compute: func(e *features.Engine, test *Data) (*Data, error) {
		if e.Fingerprint() == own.Fingerprint() {
			return test, nil
		}
		if !e.OfTable() {
			return nil, errNotCompared{"it is of histories, and this is a wide table"}
		}
		all, _, err := t.Data(e)
		if err != nil {
			return nil, errNotCompared{err.Error()}
		}
		in := map[string]bool{}
		for i := range test.Observations {
			in[test.Observations[i].Customer] = true
		}
		return all.Rows(func(o *Observation) bool { return in[o.Customer] }), nil
	}}
}

// fromMatrix has no rows but its own.
func fromMatrix(own *features.Engine, heldOut float64) rowsOf {
	return rowsOf{share: heldOut, compute: func(e *features.Engine, test *Data) (*Data, error) {
		if e.Fingerprint() == own.Fingerprint() {
			return test, nil
		}
		return nil, errNotCompared{"the matrix does not have its features"}
	}}
}

// besideChampion begins a comparison, or says that there can be none.
func (p *Plan) besideChampion() *Comparison {
	f := p.Champion.Manifest()
	c := &Comparison{Version: f.Version, Margin: p.ChampionMargin, ProfitDifference: measure.Unmeasured()}
	if a, b := fmt.Sprintf("%+v", f.Definition), fmt.Sprintf("%+v", p.Definition); a != b {
		c.NotCompared = "its definition is " + f.Definition.String()
		if f.Definition.String() == p.Definition.String() {
			c.NotCompared = "its definition differs in who is eligible or in what counts"
		}
	}
	return c
}

// compare holds the probabilities of the new model on the test against those of
// the champion.
func (p *Plan) compare(r *Report, probability []float64, test *Data, rows rowsOf) (*Comparison, error) {
	f := p.Champion.Manifest()
	c := p.besideChampion()
	if c.NotCompared != "" {
		return c, nil
	}
	its, err := rows.compute(p.Champion.Engine(), test)
	var none errNotCompared
	if errors.As(err, &none) {
		c.NotCompared = none.why
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the champion %s: %w", f.Version, err)
	}
	if len(its.Observations) != len(test.Observations) {
		return nil, fmt.Errorf("the champion %s: %d rows of the test, and %d for it", f.Version, len(test.Observations), len(its.Observations))
	}
	keep := p.heldOutByBoth(c, test, rows)
	if c.NotCompared != "" {
		return c, nil
	}
	var ours []float64
	var y []bool
	var customers []string
	for _, i := range keep {
		o := &test.Observations[i]
		if u := &its.Observations[i]; u.Customer != o.Customer || u.At != o.At {
			return nil, fmt.Errorf("the champion %s: row %d is of %s at %s, not of %s at %s", f.Version, i, u.Customer, u.At, o.Customer, o.At)
		}
		ours, y, customers = append(ours, probability[i]), append(y, o.Churned), append(customers, o.Customer)
		if o.Churned {
			c.Churners++
		}
	}
	c.Rows = len(keep)
	_, c.Customers = measure.NumberCustomers(customers)
	if stayers := c.Rows - c.Churners; c.Churners < minGroup || stayers < minGroup {
		c.NotCompared = fmt.Sprintf("insufficient data: churners %d, stayers %d; %d of each are needed", c.Churners, stayers, minGroup)
		return c, nil
	}
	theirs := make([]float64, len(keep))
	parallel(p.Workers, len(keep), func(k int) { theirs[k] = p.Champion.Score(its.Matrix.Row(keep[k]), nil).Probability })
	if err := p.measureChampion(c, r, ours, theirs, y, customers); err != nil {
		return nil, err
	}
	return c, p.championAtCapacity(c, r, test, keep, ours, theirs)
}

func (p *Plan) measureChampion(c *Comparison, r *Report, ours, theirs []float64, y []bool, customers []string) error {
	a, err := measure.NewSample(ours, y, nil)
	if err != nil {
		return err
	}
	b, err := measure.NewSample(theirs, y, nil)
	if err != nil {
		return err
	}
	boot := measure.Bootstrap{Replicates: p.Replicates, Level: 0.95, Seed: p.Seed}
	champion, err := boot.Intervals(b, customers)
	if err != nil {
		return err
	}
	d, err := boot.Difference(a, b, customers)
	if err != nil {
		return err
	}
	c.Champion, c.Difference = &champion, &d
	if m := r.Profit; m != nil && m.NotMeasured == "" {
		k, threshold := m.Economics.stakes(float64(m.Value)), float64(m.Threshold)
		est, err := boot.Of(customers, 1, func() func(weight, out []float64) {
			var w measure.Drawn
			return func(weight, out []float64) {
				w = a.Draw(w, weight)
				out[0], _ = a.Above(w, threshold, k, m.Economics.Save)
				w = b.Draw(w, weight)
				its, _ := b.Above(w, threshold, k, m.Economics.Save)
				out[0] -= its
			}
		})
		if err != nil {
			return err
		}
		c.ProfitDifference = est[0]
	}
	if low := float64(d.LogLoss.Low); low > p.ChampionMargin {
		c.Refused = fmt.Sprintf("worse than the champion %s: log loss difference %.4f [%.4f, %.4f] lies above %g", c.Version, d.LogLoss.Value, d.LogLoss.Low, d.LogLoss.High, p.ChampionMargin)
	}
	return nil
}

// heldOutByBoth lists the rows of customers whom the champion was not trained on
// either.
func (p *Plan) heldOutByBoth(c *Comparison, test *Data, rows rowsOf) []int {
	f, r := p.Champion.Manifest(), p.Champion.Report
	all := make([]int, len(test.Observations))
	for i := range all {
		all[i] = i
	}
	unknown := func(why string) []int {
		c.Note = why + ": whether these customers were trained on is not known, and the figures of the champion may be too good"
		return all
	}
	if f.Kind == "imported" {
		return unknown("it was trained elsewhere")
	}
	its := p.Champion.share()
	if its == 0 {
		its = p.HeldOut
	}
	if t := rows.table; t != nil {
		switch same := t.Fingerprint == f.DataFingerprint; {
		case same && r.TestFingerprint != "":
			c.NotCompared = "it was trained on all customers of this table"
			return nil
		case same:
		case r.TestFingerprint == t.Fingerprint:
			return all
		case r.TestFingerprint != "" || rows.share == 1 || !t.Named:
			return unknown("it was trained on another table")
		}
	} else if f.Through > p.Through {
		c.Note = fmt.Sprintf("its data ends later, on %s: it may have learned from the time of this test", f.Through)
	}
	if f.Seed == p.Seed && its >= rows.share { // a larger share holds the smaller one
		return all
	}
	var keep []int
	customers := map[string]bool{}
	for _, i := range all {
		if who := test.Observations[i].Customer; heldOut(who, f.Seed, its) {
			keep = append(keep, i)
			customers[who] = true
		}
	}
	if c.Note != "" {
		c.Note += "; "
	}
	c.Note += fmt.Sprintf("it was trained with seed %d and %g held out, on some customers of this test: only the %d customers held out by both are compared", f.Seed, its, len(customers))
	return keep
}

// refuse adds the champion's verdict to the gate of the report.
func (r *Report) refuse() {
	if c := r.Champion; c != nil && c.Refused != "" {
		if r.Gate.Passed {
			r.Gate = model.Gate{}
		}
		r.Gate.Reasons = append(r.Gate.Reasons[:len(r.Gate.Reasons):len(r.Gate.Reasons)], c.Refused)
	}
}

// checkMargin refuses what is no margin.
func checkMargin(m float64) error {
	// The negated comparison also catches NaN.
	if !(m >= 0) || math.IsInf(m, 0) {
		return fmt.Errorf("champion margin %v: use a difference in log loss, 0 or more", m)
	}
	return nil
}
