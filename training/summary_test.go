package training

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/model"
	"churn/training/measure"
)

func est(v, low, high float64) measure.Estimate {
	return measure.Estimate{Value: measure.Float(v), Low: measure.Float(low), High: measure.Float(high)}
}

// told is a report with numbers that are easy to follow.
func told() *Report {
	nan := math.NaN()
	r := &Report{Name: "m", Kind: "boosting", Definition: model.Definition{Kind: "contract", Horizon: 30 * days, Gap: 7 * days, ActiveWithin: 90 * days},
		Split:      &Split{Train: []event.Time{0, event.Time(event.Day)}, Test: []event.Time{event.Time(9 * event.Day)}},
		Difference: &measure.Estimates{LogLoss: est(-0.1, -0.2, -0.05)}, Gate: model.Gate{Passed: true, Reasons: []string{"good"}},
		Model: Evaluation{Name: "boosting", Rows: 500, Customers: 400, Churners: 60, Estimates: measure.Estimates{BaseRate: est(0.12, 0.1, 0.14), AUC: est(0.8, 0.75, 0.85)}},
		Rule:  Evaluation{Name: "rule"},
		AtCapacity: &AtCapacity{Capacity: Capacity{Share: 0.1}, Contacted: 0.1, Precision: est(0.47, 0.372, 0.553), RulePrecision: est(0.3, nan, nan),
			Recall: est(0.43, 0.35, 0.5), RuleRecall: est(0.28, 0.22, 0.32), RecallDifference: est(0.15, 0.07, 0.23),
			Notice: []Notice{{Days: 0, Recall: est(0.5, 0.4, 0.6), Rule: est(0.2, 0.1, 0.3), Possible: 1},
				{Days: 14, Recall: est(0.2, 0.1, 0.3), Rule: est(0.05, 0, 0.1), Possible: 0.9},
				{Days: 60, Recall: measure.Unmeasured(), Rule: measure.Unmeasured()}}},
		Profit: &Profit{Economics: &Economics{Contact: 2, Incentive: 10, Save: 0.25, Harm: 0.01, Takeup: 0.5, Basis: "a call"}, Value: 200,
			Threshold: 0.1, Share: 0.3, Model: est(1.5, 1, 2), Rule: est(0.5, -0.25, 1), Difference: est(1, 0.5, 1.5)},
		Segments: []Segment{
			{By: "plan", Level: "a", AUC: est(0.6, 0.5, 0.7), Bias: est(0.04, 0.01, 0.07), BaseRate: est(0.2, 0.15, 0.25)},
			{By: "plan", Level: "b", AUC: est(0.8, 0.7, 0.9), Bias: est(0, -0.01, 0.01), BaseRate: est(0.1, 0.05, 0.15)},
			{By: "plan", Level: "c", NotMeasured: "insufficient data"},
			{By: "churn kind", Level: "price", AUC: est(0.5, 0.4, 0.6), Bias: measure.Unmeasured()}},
	}
	r.Model.Curves, r.Rule.Curves = &measure.Curves{Name: "boosting"}, &measure.Curves{Name: "rule"}
	return r
}

// By hand, from the numbers of told.
func TestSummary(t *testing.T) {
	s := told().summary()
	var text []string
	for _, f := range s.Frequencies {
		text = append(text, f.Who+": "+f.Text)
		if n, want := strings.Count(string(f.Picture), "h0"), 100; n != want {
			t.Errorf("%s: %d dots", f.Who, n)
		}
	}
	text = slices.Concat([]string{s.Definition, s.Capacity}, s.Whom, text, s.Found, s.MoneyNotes, s.Weak, s.Next, s.Commands)
	for _, m := range s.Money {
		text = append(text, m.What+": "+m.Text)
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{
		"A customer has churned who leaves within 30 days (counted from 7 days after the day of the score, so that there is time to act). Only customers are scored who were active in the 90 days before.",
		"400 customers, each at one or several days, which are 500 rows: customers it was never trained on. Of the rows 60 left (12.0 %).",
		"Trained as of 1970-01-01 to 1970-01-02 (2 snapshots); tested later, as of 1970-01-10.",
		"When each time 10 % of the customers are named",
		"This model: Of 100 customers it names, 47 (37 to 55) left",
		"rule: Of 100 it names, 30 (interval: insufficient data) left",
		"By chance: Of 100 customers drawn by lot, 12 (10 to 14) left",
		"it names 43 (35 to 50); the rule 28 (22 to 32). It finds more of them than the rule, surely: by 15 (7 to 23) of 100.",
		"of 100 who left, 50 (40 to 60) before they left (the rule 20 (10 to 30); no model could have named more than 100); 20 (10 to 30) at least 14 days before (the rule 5 (0 to 10); no model could have named more than 90).",
		"Assumed: a contact costs 2 and an incentive 10; a customer who is kept is worth 200. Of 100 contacted who would have left 25 stay; of 100 who would have stayed 1 leave because of it and 50 take the incentive. Basis: a call.",
		"not measured by a holdout",
		"this model: 1500 (1000 to 2000)", "rule: 500 (-250 to 1000)", "difference: 1000 (500 to 1500)",
		"Surely worse for plan: a: AUC 0.600 [0.500, 0.700], of all 0.800 [0.750, 0.850].",
		"Not calibrated for plan: a: it expects more to leave than did, 24 of 100 where 20 (15 to 25) left.",
		`Those who left by "price" are not shown to be found better than by lot: AUC 0.500 [0.400, 0.600].`,
		"Little notice: of 100 who left, 20 (10 to 30) were named 14 days before, and 90 could have been.",
		"Not known, for fewer than 20 who left or who stayed: plan: c.",
		"churn models promote VERSION --model m",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the summary does not say %q", want)
		}
	}
	for _, unwanted := range []string{"NaN", "60 days", "plan: b"} {
		if strings.Contains(all, unwanted) {
			t.Errorf("the summary says %q", unwanted)
		}
	}
	if t.Failed() {
		t.Log(all)
	}
}

// What was not measured is said to be so, and no number.
func TestSummaryOfWhatIsNotMeasured(t *testing.T) {
	r := told()
	r.Split, r.Leaderboard = nil, nil
	r.Profit = &Profit{NotMeasured: "no payments"}
	r.AtCapacity = &AtCapacity{Precision: est(0.2, 0.1, 0.3), RulePrecision: measure.Unmeasured(), Recall: est(0.1, 0, 0.2), RuleRecall: measure.Unmeasured(), RecallDifference: measure.Unmeasured(), NoticeNotMeasured: "the moment of leaving is not known"}
	r.Champion = &Comparison{Version: "v", NotCompared: "it is of a wide table"}
	r.Gate = model.Gate{Reasons: []string{"no"}}
	r.Difference.LogLoss = est(0.1, -0.1, 0.2)
	r.Model.Churners = 3
	r.Findings = []Finding{{Severity: "error", Check: "leak", Subject: "x", Text: "t"}}
	s := r.summary()
	all := fmt.Sprint(s)
	for _, want := range []string{"The table has no times", "customers of a table", "was not measured: no payments.", "Of 100 it names: not measured", "the rule (not measured)",
		"the data is insufficient for an interval", "not compared with the champion: it is of a wide table.", "found in time was not measured: the moment of leaving is not known.",
		"The gate refuses it", "a longer history", "data that says more than the rule knows", "a look at x (leak)"} {
		if !strings.Contains(all, want) {
			t.Errorf("the summary does not say %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "NaN") || s.Money != nil || s.Commands != nil {
		t.Errorf("%+v", s)
	}
	// A model of which nothing else is known has a page too.
	if _, _, err := (&Report{Model: Evaluation{Curves: &measure.Curves{}}, Rule: Evaluation{Curves: &measure.Curves{}}}).Files(); err != nil {
		t.Error(err)
	}
}

// Names come from data: they must not become markup.
func TestReportEscapes(t *testing.T) {
	const evil = `<script>alert("1")</script>`
	r := told()
	r.Name, r.Model.Name, r.Rule.Name = "m", evil, evil
	r.Model.Curves, r.Rule.Curves = &measure.Curves{Name: evil}, &measure.Curves{Name: evil}
	r.Findings = []Finding{{Severity: evil, Check: evil, Subject: evil, Text: evil}}
	r.Gate = model.Gate{Reasons: []string{"<b>no</b>" + evil}}
	r.Drivers = []Driver{{Feature: evil, Family: evil, Mean: 1, Raises: evil, Lowers: evil, Direction: "raises"}}
	r.Families = []Driver{{Family: evil, Mean: 1, Raises: evil, Lowers: evil}}
	r.Explained = []Explained{
		{Feature: evil, Kind: "category", Unit: evil, Levels: []string{evil, "</svg>" + evil}, Values: []measure.Float{0, 1, -1, measure.Float(math.NaN())}, Contributions: []measure.Float{1, 2, 3, 4}},
		{Feature: "\x00" + evil + "\xff", Kind: "number", Unit: evil, Values: []measure.Float{1, 2}, Contributions: []measure.Float{0, 0}}}
	r.Segments = append(r.Segments, Segment{By: evil, Level: evil, NotMeasured: evil}, Segment{By: evil, Level: evil, AUC: est(0.1, 0.1, 0.1)})
	r.Champion = &Comparison{Version: evil, NotCompared: evil, Note: evil}
	r.Profit.Economics.Basis = evil
	r.Reasons, r.Definition = map[string]int{evil: 1}, model.Definition{Kind: "label", Label: evil}
	r.Program, r.DataFingerprint = evil, evil
	r.Plan = &Planned{Rungs: []string{evil}, Segments: []string{evil}, Checks: evil}
	r.Leaderboard = []Rung{{Name: evil, Calibration: evil, Chosen: true, Calibrations: []Calibrated{{Kind: evil}}}}
	r.Tried = []Tried{{Group: evil, Name: evil}}
	r.Backtest = []Month{{Why: evil}}
	_, html, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	if page := string(html); strings.Contains(page, "<script") || strings.Contains(page, "<b>no") || strings.Count(page, "alert(") < 25 {
		t.Errorf("text from data is markup in report.html, or is not there: %d times", strings.Count(page, "alert("))
	}
	if _, again, err := r.Files(); err != nil || string(again) != string(html) {
		t.Errorf("made again it differs, error %v", err)
	}
}
