package training

import (
	"fmt"
	"math"

	"churn/model"
	"churn/outreach"
	"churn/training/measure"
)

// Economics is what a contact costs and may save, of an average customer. It
// comes from the playbook and the payments, and so do its doubts: Save and Harm
// are priors until a holdout has measured them.
type Economics struct {
	Monthly         float64 `json:"monthly_margin"`
	DiscountMonthly float64 `json:"discount_monthly"`
	Contact         float64 `json:"contact_cost"`
	Incentive       float64 `json:"incentive"` // paid to who takes it
	// Save is P(saved | would have left), and SaveKappa how many customers it
	// weighs as much as: Beta(κ·save, κ·(1−save)).
	Save      float64 `json:"save"`
	SaveKappa float64 `json:"save_kappa"`
	Harm      float64 `json:"harm"`           // P(leaves because of it | would have stayed)
	Takeup    float64 `json:"takeup_stayers"` // share of stayers who take the incentive
	Basis     string  `json:"basis,omitempty"`
	// Unknown says why nothing is known; the other fields then say nothing.
	Unknown string `json:"unknown,omitempty"`
}

// Profit is what the scores are worth in money on the test. Amounts are per row
// of the test, which is one customer at one snapshot.
type Profit struct {
	NotMeasured string     `json:"not_measured,omitempty"`
	Economics   *Economics `json:"economics,omitempty"`
	// Value of a customer kept: what is still expected at the end of the horizon
	// from one who leaves at the rate of the training part.
	Value measure.Float `json:"value"`
	// EMPC is the expected maximum profit, and EMPCShare the share contacted for
	// it: thresholds are the best on the test itself.
	EMPC           measure.Estimate `json:"empc"`
	RuleEMPC       measure.Estimate `json:"rule_empc"`
	EMPCDifference measure.Estimate `json:"empc_difference"`
	EMPCShare      measure.Float    `json:"empc_share"`
	// Threshold is the probability from which a contact is expected to pay, at
	// the mean of Save: nothing of the test goes into it. Share of the rows are
	// above it by the model, RuleShare by the rule, and contacting them brings
	// Model and Rule.
	Threshold  measure.Float    `json:"threshold"`
	Share      measure.Float    `json:"share"`
	RuleShare  measure.Float    `json:"rule_share"`
	Model      measure.Estimate `json:"model"`
	Rule       measure.Estimate `json:"rule"`
	Difference measure.Estimate `json:"difference"`
	// Best and RuleBest are the highest points of the curves, found on the test
	// and so a little too good.
	Best     measure.ProfitPoint `json:"best"`
	RuleBest measure.ProfitPoint `json:"rule_best"`
	// Curve is the profit of both by the share of the rows contacted.
	Curve []ProfitShare `json:"curve,omitempty"`
}

// ProfitShare is the profit when the riskiest share is contacted, by the model
// and by the rule.
type ProfitShare struct {
	Share measure.Float `json:"share"`
	Model measure.Float `json:"model"`
	Rule  measure.Float `json:"rule"`
}

// worth is the value of a customer kept, as outreach counts it: from the end of
// the horizon on, with the hazard that the churn rate within it comes to.
func (e *Economics) worth(rate float64, d *model.Definition) (float64, error) {
	days := int(math.Ceil(d.Horizon.Days()))
	if days <= 0 {
		return 0, fmt.Errorf("the definition has no horizon, and so a customer no value after it")
	}
	if !(e.DiscountMonthly > 0) || !(rate >= 0 && rate < 1) {
		return 0, fmt.Errorf("a customer's value needs a discount above 0 and a churn rate below 1, not %v and %v", e.DiscountMonthly, rate)
	}
	hazard := outreach.MonthlyHazard(rate, days)
	return outreach.Residual(e.Monthly, nil, hazard, e.DiscountMonthly) * math.Pow(1+e.DiscountMonthly, -float64(days)/30), nil
}

// stakes of a contact for a customer of some value; see outreach for the
// formula.
func (e *Economics) stakes(value float64) measure.Stakes {
	return measure.Stakes{Gain: value - e.Incentive, Churner: e.Contact,
		Stayer: float64(e.Harm*value) + float64(e.Takeup*e.Incentive) + e.Contact,
		Alpha:  float64(e.SaveKappa * e.Save), Beta: float64(e.SaveKappa * (1 - e.Save))}
}

// profit measures the scores of model and rule on the same rows. rate is the
// churn rate of the training part, NaN where it is not known.
func (e *Economics) profit(m, rule *measure.Sample, customers []string, rate float64, d *model.Definition, boot measure.Bootstrap) (*Profit, error) {
	none := func(format string, args ...any) (*Profit, error) {
		p := &Profit{NotMeasured: fmt.Sprintf(format, args...), Value: measure.Float(math.NaN()), EMPCShare: measure.Float(math.NaN()),
			Threshold: measure.Float(math.NaN()), Share: measure.Float(math.NaN()), RuleShare: measure.Float(math.NaN())}
		for _, to := range []*measure.Estimate{&p.EMPC, &p.RuleEMPC, &p.EMPCDifference, &p.Model, &p.Rule, &p.Difference} {
			*to = measure.Unmeasured()
		}
		p.Best = measure.ProfitPoint{Share: p.Value, Profit: p.Value}
		p.RuleBest = p.Best
		return p, nil
	}
	switch {
	case e == nil:
		return none("what a customer is worth and a contact costs is not known")
	case e.Unknown != "":
		return none("%s", e.Unknown)
	case !(e.Save > 0 && e.Save < 1) || !(e.SaveKappa > 0):
		return none("save %v with weight %v is no distribution: use a probability between 0 and 1, and a weight above 0", e.Save, e.SaveKappa)
	}
	value, err := e.worth(rate, d)
	if err != nil {
		return none("%v", err)
	}
	k := e.stakes(value)
	p := &Profit{Economics: e, Value: measure.Float(value), Threshold: measure.Float(k.Threshold(e.Save))}
	threshold := float64(p.Threshold)
	const empc, paid = 0, 3 // each of the model, the rule, and their difference
	got, err := boot.Of(customers, 6, func() func(weight, out []float64) {
		var w measure.Drawn
		return func(weight, out []float64) {
			for i, s := range []*measure.Sample{m, rule} {
				w = s.Draw(w, weight)
				out[empc+i], _ = s.EMPC(w, k)
				out[paid+i], _ = s.Above(w, threshold, k, e.Save)
			}
			out[empc+2], out[paid+2] = out[empc]-out[empc+1], out[paid]-out[paid+1]
		}
	})
	if err != nil {
		return nil, err
	}
	p.EMPC, p.RuleEMPC, p.EMPCDifference = got[empc], got[empc+1], got[empc+2]
	p.Model, p.Rule, p.Difference = got[paid], got[paid+1], got[paid+2]
	_, share := m.EMPC(m.Weights(), k)
	_, above := m.Above(m.Weights(), threshold, k, e.Save)
	_, ruleAbove := rule.Above(rule.Weights(), threshold, k, e.Save)
	p.EMPCShare, p.Share, p.RuleShare = measure.Float(share), measure.Float(above), measure.Float(ruleAbove)
	p.Best, p.RuleBest = m.MostProfit(k, e.Save), rule.MostProfit(k, e.Save)
	const points = 20
	for i := 1; i <= points; i++ {
		share := float64(i) / points
		p.Curve = append(p.Curve, ProfitShare{measure.Float(share), measure.Float(m.ProfitAt(share, k, e.Save)), measure.Float(rule.ProfitAt(share, k, e.Save))})
	}
	return p, nil
}
