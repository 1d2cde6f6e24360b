package training

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"churn/event"
	"churn/model"
	"churn/training/measure"
)

// Stored is a model that was trained before, and what its report tells of that.
type Stored struct {
	*model.Scorer
	Report *Report
}

// NewStored compiles a model. What a report of an older program does not tell
// stays empty.
func NewStored(m *model.Model) (*Stored, error) {
	s := &Stored{Report: &Report{}}
	_ = json.Unmarshal(m.ReportJSON, s.Report) // what can be read of it is
	if p := s.Report.Profit; p != nil && p.NotMeasured == "" && math.IsNaN(float64(p.Threshold)) {
		p.Threshold = measure.Float(math.Inf(1)) // a contact pays at no risk; JSON has no infinity
	}
	var err error
	s.Scorer, err = m.Compile()
	return s, err
}

// share of the customers never trained on, by a hash of the id with the seed of
// the model; 0 if it is not known. Of an imported model it is those who did not
// calibrate it.
func (s *Stored) share() float64 {
	switch f := s.Manifest(); {
	case f.Kind == "imported":
		return adoptedTest
	case f.Definition.Kind == "label":
		return tableTest
	}
	if h := s.Report.HeldOut; h > 0 && h < 1 {
		return h
	}
	return 0
}

// plan takes over what was settled when the model was trained.
func (s *Stored) plan(p *Plan) {
	p.Definition, p.Seed = s.Manifest().Definition, s.Manifest().Seed
	if h := s.share(); h > 0 && !s.Engine().OfTable() {
		p.HeldOut = h
	}
}

// ascending tells whether each instant is after the one before.
func ascending(times []event.Time) bool {
	for i := 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			return false
		}
	}
	return true
}

// scores of the rows.
func (p *Plan) scores(s *Stored, d *Data) []float64 {
	out := make([]float64, len(d.Observations))
	parallel(p.Workers, len(out), func(i int) { out[i] = s.Score(d.Matrix.Row(i), nil).Probability })
	return out
}

// CompareHistories holds a stored model against the champion of the plan on the
// test that it had: the same snapshots and customers, computed anew. On the same
// data the comparison is that which Train would have made.
func CompareHistories(ctx context.Context, src Source, s *Stored, p Plan) (*Comparison, error) {
	s.plan(&p)
	p.Through = s.Manifest().Through
	if err := p.defaults(); err != nil {
		return nil, err
	}
	c := p.besideChampion()
	split := s.Report.Split
	switch {
	case c.NotCompared != "":
		return c, nil
	case s.Engine().OfTable():
		c.NotCompared = "the model is of a wide table: name the one with the customers of its test"
		return c, nil
	case split == nil || len(split.Test) == 0 || len(split.Test) > maxSnapshots || !ascending(split.Test):
		c.NotCompared = "the report of the model does not tell at which snapshots it was tested"
		return c, nil
	}
	data, err := p.testRows(ctx, src, s.Engine(), split.Test, "computing features of the test")
	if err != nil {
		return nil, err
	}
	return p.compare(s.Report, p.scores(s, data), data, p.fromHistories(ctx, src, s.Engine(), split))
}

// CompareTable is CompareHistories for a model of a wide table. The table is the
// one whose customers it was tested on.
func CompareTable(t *Table, s *Stored, p Plan) (*Comparison, error) {
	s.plan(&p)
	if err := p.defaults(); err != nil {
		return nil, err
	}
	c := p.besideChampion()
	f, share := s.Manifest(), s.share()
	switch tested := s.Report.TestFingerprint; {
	case c.NotCompared != "":
		return c, nil
	case !s.Engine().OfTable():
		c.NotCompared = "the model is of histories, and this is a wide table"
		return c, nil
	case tested != "" && tested == t.Fingerprint:
		share = 1
	case tested != "" || t.Fingerprint != f.DataFingerprint:
		c.NotCompared = "this is not the table whose customers the model was tested on"
		return c, nil
	}
	if t.Labels == nil {
		return nil, fmt.Errorf("comparing models on a wide table needs a label, such as Churn=Yes")
	}
	data, _, err := t.Data(s.Engine())
	if err != nil {
		return nil, err
	}
	if share < 1 {
		data = data.Rows(func(o *Observation) bool { return heldOut(o.Customer, f.Seed, share) })
	}
	for _, then := range s.Report.Parts {
		if now := partOf("test", data); then.Name == now.Name && then != now {
			c.NotCompared = fmt.Sprintf("the model was tested on %d rows with %d churners, and of this table these would be %d with %d: name the column of the id that it was trained with",
				then.Rows, then.Churners, now.Rows, now.Churners)
			return c, nil
		}
	}
	return p.compare(s.Report, p.scores(s, data), data, fromTable(t, s.Engine(), share))
}
