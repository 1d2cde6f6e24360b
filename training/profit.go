package training

import (
	"fmt"
	"math"

	"churn/model"
	"churn/outreach"
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
	Value Float `json:"value"`
	// EMPC is the expected maximum profit, and EMPCShare the share contacted for
	// it: thresholds are the best on the test itself.
	EMPC           Estimate `json:"empc"`
	RuleEMPC       Estimate `json:"rule_empc"`
	EMPCDifference Estimate `json:"empc_difference"`
	EMPCShare      Float    `json:"empc_share"`
	// Threshold is the probability from which a contact is expected to pay, at
	// the mean of Save: nothing of the test goes into it. Share of the rows are
	// above it by the model, RuleShare by the rule, and contacting them brings
	// Model and Rule.
	Threshold  Float    `json:"threshold"`
	Share      Float    `json:"share"`
	RuleShare  Float    `json:"rule_share"`
	Model      Estimate `json:"model"`
	Rule       Estimate `json:"rule"`
	Difference Estimate `json:"difference"`
	// Best and RuleBest are the highest points of the curves, found on the test
	// and so a little too good.
	Best     ProfitPoint `json:"best"`
	RuleBest ProfitPoint `json:"rule_best"`
	// Curve is the profit of both by the share of the rows contacted.
	Curve []ProfitShare `json:"curve,omitempty"`
}

// ProfitPoint is the profit when the riskiest share of the rows is contacted.
type ProfitPoint struct {
	Share  Float `json:"share"`
	Profit Float `json:"profit"`
}

// ProfitShare is the profit when the riskiest share is contacted, by the model
// and by the rule.
type ProfitShare struct {
	Share Float `json:"share"`
	Model Float `json:"model"`
	Rule  Float `json:"rule"`
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
func (e *Economics) stakes(value float64) stakes {
	return stakes{gain: value - e.Incentive, churner: e.Contact,
		stayer: float64(e.Harm*value) + float64(e.Takeup*e.Incentive) + e.Contact,
		alpha:  float64(e.SaveKappa * e.Save), beta: float64(e.SaveKappa * (1 - e.Save))}
}

// profit measures the scores of model and rule on the same rows. rate is the
// churn rate of the training part, NaN where it is not known.
func (e *Economics) profit(m, rule *Sample, customers []string, rate float64, d *model.Definition, boot Bootstrap) (*Profit, error) {
	none := func(format string, args ...any) (*Profit, error) {
		p := &Profit{NotMeasured: fmt.Sprintf(format, args...), Value: Float(math.NaN()), EMPCShare: Float(math.NaN()),
			Threshold: Float(math.NaN()), Share: Float(math.NaN()), RuleShare: Float(math.NaN())}
		for _, to := range []*Estimate{&p.EMPC, &p.RuleEMPC, &p.EMPCDifference, &p.Model, &p.Rule, &p.Difference} {
			*to = unmeasured()
		}
		p.Best, p.RuleBest = ProfitPoint{p.Value, p.Value}, ProfitPoint{p.Value, p.Value}
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
	p := &Profit{Economics: e, Value: Float(value), Threshold: Float(k.threshold(e.Save))}
	threshold := float64(p.Threshold)
	const empc, paid = 0, 3 // each of the model, the rule, and their difference
	got, err := boot.Of(customers, 6, func() func(weight, out []float64) {
		var w []float64
		return func(weight, out []float64) {
			for i, s := range []*Sample{m, rule} {
				w = s.drawn(w, weight)
				out[empc+i], _ = s.empc(w, k)
				out[paid+i], _ = s.above(w, threshold, k, e.Save)
			}
			out[empc+2], out[paid+2] = out[empc]-out[empc+1], out[paid]-out[paid+1]
		}
	})
	if err != nil {
		return nil, err
	}
	p.EMPC, p.RuleEMPC, p.EMPCDifference = got[empc], got[empc+1], got[empc+2]
	p.Model, p.Rule, p.Difference = got[paid], got[paid+1], got[paid+2]
	_, share := m.empc(m.weight, k)
	_, above := m.above(m.weight, threshold, k, e.Save)
	_, ruleAbove := rule.above(rule.weight, threshold, k, e.Save)
	p.EMPCShare, p.Share, p.RuleShare = Float(share), Float(above), Float(ruleAbove)
	p.Best, p.RuleBest = m.mostProfit(k, e.Save), rule.mostProfit(k, e.Save)
	const points = 20
	for i := 1; i <= points; i++ {
		share := float64(i) / points
		p.Curve = append(p.Curve, ProfitShare{Float(share), Float(m.profitAt(share, k, e.Save)), Float(rule.profitAt(share, k, e.Save))})
	}
	return p, nil
}

// above is the profit a row of contacting those with at least the probability,
// and their share. Both are NaN where the scores are no probabilities.
func (s *Sample) above(w []float64, probability float64, k stakes, gamma float64) (profit, share float64) {
	total, _ := s.sums(w)
	if s.logLoss == nil || total == 0 {
		return math.NaN(), math.NaN()
	}
	var pos, neg float64
	for i, v := range s.score {
		if v < probability {
			break
		}
		if s.label[i] {
			pos += w[i]
		} else {
			neg += w[i]
		}
	}
	return k.profit(gamma, pos, neg) / total, (pos + neg) / total
}

// profitAt is the profit a row of contacting the riskiest share.
func (s *Sample) profitAt(share float64, k stakes, gamma float64) float64 {
	total, _ := s.sums(s.weight)
	found := s.found(s.weight, float64(share*total))
	return k.profit(gamma, found, float64(share*total)-found) / total
}

// mostProfit is the share whose contact brings most, possibly none.
func (s *Sample) mostProfit(k stakes, gamma float64) ProfitPoint {
	total, _ := s.sums(s.weight)
	var best ProfitPoint
	s.thresholds(func(_, pos, neg float64) {
		if v := Float(k.profit(gamma, pos, neg) / total); v > best.Profit {
			best = ProfitPoint{Share: Float((pos + neg) / total), Profit: v}
		}
	})
	return best
}
