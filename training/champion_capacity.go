package training

import "churn/training/measure"

// BothAtCapacity is what the model and the champion find with the same capacity
// on the same rows.
type BothAtCapacity struct {
	Precision         measure.Estimate `json:"precision"`
	ChampionPrecision measure.Estimate `json:"champion_precision"`
	Recall            measure.Estimate `json:"recall"`
	ChampionRecall    measure.Estimate `json:"champion_recall"`
	RecallDifference  measure.Estimate `json:"recall_difference"`
}

// championAtCapacity contacts the same share of each snapshot by both scores: that
// of the test, which for a number of customers is not the number of these rows.
func (p *Plan) championAtCapacity(c *Comparison, r *Report, test *Data, keep []int, ours, theirs []float64) error {
	if c.NotCompared != "" || r.AtCapacity == nil {
		return nil
	}
	rows := &Data{}
	for _, i := range keep {
		rows.Observations = append(rows.Observations, test.Observations[i])
	}
	share := p.Capacity
	if share.Customers > 0 {
		share = Capacity{Share: float64(r.AtCapacity.Contacted)}
	}
	boot := measure.Bootstrap{Replicates: p.Replicates, Level: 0.95, Seed: p.Seed}
	both, err := newContacts(share, rows, nil).measure(ours, theirs, rows.Customers(), boot)
	if err != nil {
		return err
	}
	c.AtCapacity = &BothAtCapacity{Precision: both.Precision, ChampionPrecision: both.RulePrecision,
		Recall: both.Recall, ChampionRecall: both.RuleRecall, RecallDifference: both.RecallDifference}
	return nil
}
