package training

import (
	"math"
	"slices"

	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// ruleFeatures are the recencies by which the inactivity rule may rank, in
// order of preference.
var ruleFeatures = []string{"act_rec", "eng_rec", "pay_rec"}

// fitRule makes the inactivity rule: the longer the silence, the likelier the
// churn. nil if the feature set has no recency.
func fitRule(m *features.Matrix, workers int) *candidate {
	for _, name := range ruleFeatures {
		j := slices.IndexFunc(m.Features, func(f features.Feature) bool { return f.Name == name })
		if j < 0 {
			continue
		}
		days := m.Features[j].Window.Days()
		if days == 0 {
			days = 365
		}
		// One unit of margin a month; nothing at all is longer than any silence.
		l := &model.Linear{Terms: []model.Term{{Feature: name, Knots: []float64{0, days},
			Values: []float64{0, days / 30}, Missing: (days + 30) / 30}}}
		setMeans(l, m, workers)
		return &candidate{name: "inactivity rule (" + name + ")", kind: "rule", linear: l, weights: model.Weights{Linear: 1}}
	}
	return nil
}

// base is what all else must beat: the inactivity rule, or the base rate where
// there is none, or where those who were silent longer left more rarely.
func (p *Plan) base(train *Data) *candidate {
	rule := fitRule(&train.Matrix, p.Workers)
	if rule == nil || !(auc(rule.margins(&train.Matrix, p.Workers), train.Labels()) > 0.5) {
		return fitPrior()
	}
	return rule
}

// fitPrior gives everyone the same score: what a wide table without times is
// compared with.
func fitPrior() *candidate {
	return &candidate{name: "base rate", kind: "prior", linear: &model.Linear{Terms: []model.Term{}}, weights: model.Weights{Linear: 1}}
}

// rfmFeatures are what the RFM rule goes by, in order of preference: when the
// customer was last heard of, how often in the last year, and how much was paid.
var rfmFeatures = [3][]string{
	ruleFeatures,
	{"pay_n_365", "pay_n_90", "eng_n_365", "eng_n_90"},
	{"pay_amt_365", "pay_amt_90"},
}

// fitRFM makes the rule of direct mail (Hughes, "Strategic Database Marketing",
// 1994): customers are ranked by recency, by frequency and by money, and the
// ranks, one to five, are added up. Between the middles of the fifths the rank
// is interpolated, so that the rule has few ties. nil if the feature set lacks
// one of the three.
func fitRFM(m *features.Matrix, workers int) *candidate {
	l := &model.Linear{}
	name := ""
	for k, names := range rfmFeatures {
		j := -1
		for _, n := range names {
			if j = slices.IndexFunc(m.Features, func(f features.Feature) bool { return f.Name == n }); j >= 0 {
				break
			}
		}
		if j < 0 {
			return nil
		}
		t := fifths(m, j)
		if t.Knots == nil {
			return nil // one value only
		}
		for i := range t.Values {
			if k > 0 { // who buys often, and much, stays
				t.Values[i] = 6 - t.Values[i]
			}
		}
		t.Missing = 5 // nothing for so long, or never
		l.Terms = append(l.Terms, t)
		if name != "" {
			name += ", "
		}
		name += t.Feature
	}
	setMeans(l, m, workers)
	return &candidate{name: "RFM rule (" + name + ")", kind: "rule", linear: l, weights: model.Weights{Linear: 1}}
}

// fifths ranks the values of feature j from one to five.
func fifths(m *features.Matrix, j int) model.Term {
	var values []float64
	for i := range m.Rows() {
		if v := float64(m.Row(i)[j]); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	t := model.Term{Feature: m.Features[j].Name}
	for q := range 5 {
		if len(values) == 0 {
			break
		}
		v := measure.Quantile(values, float64(2*q+1)/10)
		if n := len(t.Knots); n > 0 && t.Knots[n-1] == v { // ties together, at their mean rank
			t.Values[n-1] = (t.Values[n-1] + float64(q+1)) / 2
			continue
		}
		t.Knots, t.Values = append(t.Knots, v), append(t.Values, float64(q+1))
	}
	if len(t.Knots) < 2 {
		t.Knots = nil
	}
	return t
}
