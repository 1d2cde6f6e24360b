package training

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"churn/model"
	"churn/training/measure"
)

// By hand: at a churn rate of 10 % a month, a margin of 10 and a discount of 1 %
// the residual value is 10·0.9/(1.01−0.9) = 81.818…, and a month later
// 81.8181…/1.01. A contact for 20 that saves every second churner pays from
// 20/(81.0081/2) = 0.4938 on.
func TestProfitByHand(t *testing.T) {
	d := model.Definition{Kind: "contract", Horizon: 30 * days}
	e := &Economics{Monthly: 10, DiscountMonthly: 0.01, Contact: 20, Save: 0.5, SaveKappa: 2}
	y := []bool{true, false, true, false}
	m, err := measure.NewSample([]float64{0.9, 0.6, 0.3, 0.1}, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	rule, err := measure.NewSample([]float64{0.9, 0.1, 0.2, 0.3}, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	customers := []string{"a", "b", "c", "d"}
	boot := measure.Bootstrap{Replicates: 20, Level: 0.9, Seed: 1}
	p, err := e.profit(m, rule, customers, 0.1, &d, boot)
	if err != nil {
		t.Fatal(err)
	}
	value := 10 * 0.9 / 0.11 / 1.01
	won := value/2 - 20 // of a churner
	check := func(what string, got measure.Float, want float64) {
		t.Helper()
		if math.Abs(float64(got)-want) > 1e-12*(1+math.Abs(want)) {
			t.Errorf("%s %v, want %v", what, got, want)
		}
	}
	check("value", p.Value, value)
	check("threshold", p.Threshold, 20/(value/2))
	check("share", p.Share, 0.5)
	check("the rule's share", p.RuleShare, 0.25)
	check("profit", p.Model.Value, (won-20)/4)
	check("the rule's profit", p.Rule.Value, won/4)
	check("difference", p.Difference.Value, -20.0/4)
	check("best share", p.Best.Share, 0.75)
	check("best profit", p.Best.Profit, (2*won-20)/4)
	check("the rule's best", p.RuleBest.Profit, (2*won-20)/4)
	if len(p.Curve) != 20 || p.Curve[19].Share != 1 || p.Curve[9].Share != 0.5 {
		t.Fatalf("curve %+v", p.Curve)
	}
	check("half", p.Curve[9].Model, (won-20)/4)
	check("half by the rule", p.Curve[9].Rule, (won-20)/4)
	check("a row and a half", p.Curve[7].Model, (won-0.6*20)/4) // 0.4 of four rows
	check("all", p.Curve[19].Model, (2*won-40)/4)
	if p.NotMeasured != "" || p.EMPC.Value < p.Best.Profit || p.EMPCDifference.Value != p.EMPC.Value-p.RuleEMPC.Value {
		t.Errorf("%+v", p)
	}
	// A rule that is only a ranking has no profit by risk, and the rest all the same.
	ranking, err := measure.NewSample([]float64{-1, -4, -3, -2}, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = e.profit(m, ranking, customers, 0.1, &d, boot); err != nil || !math.IsNaN(float64(p.Rule.Value)) || !math.IsNaN(float64(p.Difference.Value)) {
		t.Errorf("%+v, error %v", p, err)
	}
	check("the ranking's best", p.RuleBest.Profit, (2*won-20)/4)
	// What costs more than it can save is done for nobody.
	dear := *e
	dear.Contact = 50
	if p, err = dear.profit(m, rule, customers, 0.1, &d, boot); err != nil || !math.IsInf(float64(p.Threshold), 1) || p.Model.Value != 0 || p.Best.Share != 0 {
		t.Errorf("%+v, error %v", p, err)
	}
}

// Harm and takeup are those of outreach: NV = (pγ−(1−p)η)L − f − d(pγ+(1−p)ψ).
func TestStakes(t *testing.T) {
	e := Economics{Contact: 2, Incentive: 15, Save: 0.3, SaveKappa: 10, Harm: 0.02, Takeup: 0.4}
	k := e.stakes(200)
	for _, p := range []float64{0, 0.2, 1} {
		want := (p*0.3-(1-p)*0.02)*200 - 2 - 15*(p*0.3+(1-p)*0.4)
		if got := k.Profit(0.3, p, 1-p); math.Abs(got-want) > 1e-12 {
			t.Errorf("at %v: %v, want %v", p, got, want)
		}
	}
	if v := k.Profit(0.3, k.Threshold(0.3), 1-k.Threshold(0.3)); math.Abs(v) > 1e-12 {
		t.Errorf("the profit at the threshold is %v", v)
	}
	if k.Alpha != 3 || k.Beta != 7 {
		t.Errorf("Beta(%v, %v)", k.Alpha, k.Beta)
	}
}

// What is not known is said and is no number.
func TestProfitNotMeasured(t *testing.T) {
	d := model.Definition{Kind: "contract", Horizon: 30 * days}
	label := model.Definition{Kind: "label", Label: "a=b"}
	good := Economics{Monthly: 10, DiscountMonthly: 0.01, Contact: 1, Save: 0.5, SaveKappa: 2}
	certain := good
	certain.Save = 1
	s, err := measure.NewSample([]float64{0.9, 0.1}, []bool{true, false}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		e    *Economics
		d    *model.Definition
		rate float64
		want string
	}{
		{nil, &d, 0.1, "not known"},
		{&Economics{Unknown: "no payments"}, &d, 0.1, "no payments"},
		{&good, &label, 0.1, "no horizon"},
		{&good, &d, math.NaN(), "churn rate below 1"},
		{&certain, &d, 0.1, "save 1"},
	} {
		p, err := test.e.profit(s, s, []string{"a", "b"}, test.rate, test.d, measure.DefaultBootstrap(1))
		if err != nil || !strings.Contains(p.NotMeasured, test.want) {
			t.Errorf("%+v, error %v; want %q", p, err, test.want)
			continue
		}
		text, err := json.Marshal(p)
		if err != nil || strings.Contains(string(text), `":0`) {
			t.Errorf("a number that was not measured: %s, error %v", text, err)
		}
	}
}
