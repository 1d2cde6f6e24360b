package training

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"churn/event"
	"churn/model"
	"churn/training/figure"
	"churn/training/measure"
)

// summary is the top of the report: for who decides, in words and counts, with
// nothing that the rest of the report does not have.
type summary struct {
	Definition  string // of churn, in words
	Whom        []string
	Frequencies []frequency
	Capacity    string // whom the frequencies are of
	Found       []string
	Money       []amount
	MoneyNotes  []string
	Reasons     []Driver
	Weak        []string
	Next        []string
	Commands    []string
}

// frequency is a share told as so many of a hundred.
type frequency struct {
	Who, Text string
	Picture   template.HTML
}

// amount is money of a thousand rows.
type amount struct{ What, Text string }

const topReasons = 6

func (r *Report) summary() summary {
	s := summary{Definition: definitionInWords(&r.Definition), Whom: r.whom(), Reasons: r.Families[:min(len(r.Families), topReasons)], Weak: r.weak()}
	s.Frequencies, s.Capacity = r.frequencies()
	s.Found = r.found()
	s.Money, s.MoneyNotes = r.money()
	s.Next, s.Commands = r.next()
	return s
}

// definitionInWords says who has churned.
func definitionInWords(d *model.Definition) string {
	within := "within " + spelled(d.Horizon)
	from := ""
	if d.Gap > 0 {
		from = fmt.Sprintf(" (counted from %s after the day of the score, so that there is time to act)", spelled(d.Gap))
	}
	back := ""
	if d.Grace > 0 {
		back = " and who does not come back within " + spelled(d.Grace)
	}
	text := ""
	switch d.Kind {
	case "contract":
		text = "A customer has churned who leaves " + within + from + back
	case "inactivity":
		streams := "engagement or payments"
		if len(d.Streams) > 0 {
			streams = strings.Join(d.Streams, " or ")
		}
		text = fmt.Sprintf("A customer has churned of whom there is no %s for %s%s", streams, spelled(d.Horizon), from)
	case "payment":
		text = fmt.Sprintf("A customer has churned of whom a payment due %s%s stays unpaid for %s%s", within, from, spelled(d.UnpaidFor), back)
	case "decline":
		text = fmt.Sprintf("A customer has churned whose %s %s%s is less than in the %s before by %s %% or more",
			d.Measure, within, from, spelled(d.Before()), (100 * d.Drop).String())
	case "label":
		return "A customer has churned whose row says " + d.Label + "."
	default:
		return "Churn is " + d.String() + "."
	}
	if len(d.Kinds) > 0 {
		text += "; only those count who left in one of these ways: " + strings.ReplaceAll(strings.Join(d.Kinds, ", "), "_", " ")
	}
	text += "."
	var asked []string
	if d.ActiveWithin > 0 {
		asked = append(asked, "were active in the "+spelled(d.ActiveWithin)+" before")
	}
	if d.MinTenure > 0 {
		asked = append(asked, "have been known for "+spelled(d.MinTenure))
	}
	if len(asked) > 0 {
		text += " Only customers are scored who " + strings.Join(asked, " and ") + "."
	}
	return text
}

// spelled is a duration in words, where it is whole days.
func spelled(d event.Duration) string {
	days := d / event.Day
	switch {
	case d%event.Day != 0:
		return d.String()
	case days == 1:
		return "1 day"
	}
	return fmt.Sprintf("%d days", days)
}

// period is the first and last of some snapshots.
func period(at []event.Time) string {
	switch len(at) {
	case 0:
		return "none"
	case 1:
		return date(at[0])
	}
	return fmt.Sprintf("%s to %s (%d snapshots)", date(at[0]), date(at[len(at)-1]), len(at))
}

// strangers are the customers of the test.
func (r *Report) strangers() string {
	switch {
	case r.Kind == "imported":
		return "customers of whom it is not known whether the model, which was trained elsewhere, was trained on them"
	case r.Split == nil && len(r.Leaderboard) == 0: // of EvaluateTable
		return "customers of a table"
	}
	return "customers it was never trained on"
}

func (r *Report) whom() []string {
	if r.Model.Rows == 0 {
		return nil
	}
	left := fmt.Sprintf("It was tested on %d customers", r.Model.Rows)
	if r.Model.Customers != r.Model.Rows {
		left = fmt.Sprintf("It was tested on %d customers, each at one or several days, which are %d rows", r.Model.Customers, r.Model.Rows)
	}
	left += fmt.Sprintf(": %s. Of the rows %d left (%s)", r.strangers(), r.Model.Churners, share(r.Model.Estimates.BaseRate.Value))
	out := []string{left + "."}
	switch {
	case r.Split == nil:
		out = append(out, "The table has no times: nothing shows that the model predicts what was still to come.")
	case len(r.Split.Train) > 0:
		trained := r.Split.Train
		if final := r.Final(); final != nil && final.Again {
			trained = r.Split.BeforeTest()
		}
		out = append(out, fmt.Sprintf("Trained as of %s; tested later, as of %s.", period(trained), period(r.Split.Test)))
	default:
		out = append(out, "Tested as of "+period(r.Split.Test)+".")
	}
	return out
}

// frequencies tells what is found with the capacity there is.
func (r *Report) frequencies() ([]frequency, string) {
	a := r.AtCapacity
	if a == nil {
		return nil, ""
	}
	add := func(list []frequency, who, what string, e measure.Estimate) []frequency {
		f := frequency{Who: who, Text: what + ": not measured"}
		if v := float64(e.Value); !math.IsNaN(v) {
			f.Text = fmt.Sprintf("%s, %s left", what, ofHundred(e))
			f.Picture = template.HTML(figure.Hundred(who+": of 100 customers "+ofHundred(e)+" left", int(math.Round(100*v)))) // drawn here
		}
		return append(list, f)
	}
	list := add(nil, "This model", "Of 100 customers it names", a.Precision)
	list = add(list, r.Rule.Name, "Of 100 it names", a.RulePrecision)
	if c := r.Champion; c != nil && c.AtCapacity != nil {
		what := "Of 100 it names"
		if c.Rows != r.Model.Rows {
			what = fmt.Sprintf("On the %d rows where both can be compared (this model there: %s), of 100 it names", c.Rows, ofHundred(c.AtCapacity.Precision))
		}
		list = add(list, "The champion "+c.Version, what, c.AtCapacity.ChampionPrecision)
	}
	list = add(list, "By chance", "Of 100 customers drawn by lot", r.Model.Estimates.BaseRate)
	return list, "When each time " + a.Capacity.String() + " are named, those with the highest risk:"
}

// found tells of those who left how many were named, and how early.
func (r *Report) found() []string {
	var out []string
	a := r.AtCapacity
	if a == nil || math.IsNaN(float64(a.Recall.Value)) {
		return []string{"What is found with a capacity was not measured."}
	}
	text := fmt.Sprintf("Of 100 who are about to leave, it names %s; the rule %s. ", ofHundred(a.Recall), ofHundred(a.RuleRecall))
	out = append(out, text+apart(a.RecallDifference, "the rule"))
	switch c := r.Champion; {
	case c == nil:
	case c.NotCompared != "":
		out = append(out, "It was not compared with the champion: "+c.NotCompared+".")
	case c.AtCapacity != nil:
		out = append(out, apart(c.AtCapacity.RecallDifference, "the champion"))
	}
	if a.NoticeNotMeasured != "" {
		return append(out, "How many are found in time was not measured: "+a.NoticeNotMeasured+".")
	}
	var early []string
	for _, n := range a.Notice {
		if n.Possible == 0 {
			continue
		}
		when := fmt.Sprintf("at least %d days before", n.Days)
		if n.Days == 0 {
			when = "before they left"
		}
		early = append(early, fmt.Sprintf("%s %s (the rule %s; no model could have named more than %.0f)", ofHundred(n.Recall), when, ofHundred(n.Rule), 100*n.Possible))
	}
	if len(early) > 0 {
		out = append(out, "In time, each customer counted once and named at any of the days: of 100 who left, "+strings.Join(early, "; ")+".")
	}
	return out
}

// apart tells whether it finds more than another, by the interval of the difference.
func apart(e measure.Estimate, than string) string {
	value, low, high := 100*e.Value, 100*e.Low, 100*e.High
	switch {
	case math.IsNaN(float64(low)) || math.IsNaN(float64(high)):
		return fmt.Sprintf("Whether it finds more of them than %s is not certain: the data is insufficient for an interval.", than)
	case e == measure.Estimate{}:
		return fmt.Sprintf("It finds as many of them as %s.", than)
	case low > 0:
		return fmt.Sprintf("It finds more of them than %s, surely: by %.0f (%.0f to %.0f) of 100.", than, value, low, high)
	case high < 0:
		return fmt.Sprintf("It finds fewer of them than %s, surely: by %.0f (%.0f to %.0f) of 100.", than, -value, -high, -low)
	}
	return fmt.Sprintf("Whether it finds more of them than %s is not certain: the difference is %.0f (%.0f to %.0f) of 100.", than, value, low, high)
}

// money is profit per 1,000 rows, and what it assumes.
func (r *Report) money() ([]amount, []string) {
	p := r.Profit
	switch {
	case p == nil:
		return nil, []string{"What the scores are worth was not measured."}
	case p.NotMeasured != "":
		return nil, []string{"What the scores are worth was not measured: " + p.NotMeasured + "."}
	}
	e := p.Economics
	notes := []string{
		fmt.Sprintf("Assumed: a contact costs %.4g and an incentive %.4g; a customer who is kept is worth %.4g. Of 100 contacted who would have left %.4g stay; of 100 who would have stayed %.4g leave because of it and %.4g take the incentive. Basis: %s.",
			e.Contact, e.Incentive, p.Value, 100*e.Save, 100*e.Harm, 100*e.Takeup, e.Basis),
		"That a contact keeps so many is an assumption: it was not measured by a holdout. Only who left is from the data.",
	}
	if math.IsInf(float64(p.Threshold), 1) {
		return nil, append([]string{"By these assumptions a contact pays at no risk: nobody is to be contacted."}, notes...)
	}
	list := []amount{{"this model", thousand(p.Model)}, {r.Rule.Name, thousand(p.Rule)}, {"difference", thousand(p.Difference)}}
	if c := r.Champion; c != nil && c.NotCompared == "" {
		list = append(list, amount{"this model less the champion", thousand(c.ProfitDifference)})
	}
	return list, append([]string{fmt.Sprintf("When everybody is contacted whose risk is above %s, from where a contact is expected to pay: %s of the customers by this model.", share(p.Threshold), share(p.Share))}, notes...)
}

// weak tells where the model fails.
func (r *Report) weak() []string {
	var worse, biased, kinds, few []string
	measured := 0
	for i := range r.Segments {
		s := &r.Segments[i]
		name := s.By + ": " + s.Level
		if s.NotMeasured != "" {
			few = append(few, name)
			continue
		}
		measured++
		kind := s.By == "churn kind"
		switch {
		case kind && !(s.AUC.Low > 0.5):
			kinds = append(kinds, fmt.Sprintf("Those who left by %q are not shown to be found better than by lot: AUC %s.", s.Level, ranged(s.AUC)))
		case kind && r.AtCapacity != nil && s.Recall.High < r.AtCapacity.Recall.Low:
			kinds = append(kinds, fmt.Sprintf("Of 100 who leave by %q it names %s, of all who leave %s.", s.Level, ofHundred(s.Recall), ofHundred(r.AtCapacity.Recall)))
		case s.AUC.High < r.Model.Estimates.AUC.Low:
			worse = append(worse, fmt.Sprintf("Surely worse for %s: AUC %s, of all %s.", name, ranged(s.AUC), ranged(r.Model.Estimates.AUC)))
		}
		if !kind && (s.Bias.Low > 0 || s.Bias.High < 0) {
			what := "more"
			if s.Bias.Value < 0 {
				what = "fewer"
			}
			biased = append(biased, fmt.Sprintf("Not calibrated for %s: it expects %s to leave than did, %s of 100 where %s left.",
				name, what, plain(100*float64(s.BaseRate.Value+s.Bias.Value)), ofHundred(s.BaseRate)))
		}
	}
	out := slices.Concat(worse, biased, kinds)
	switch {
	case measured == 0:
		out = append(out, "No segment could be measured.")
	case len(out) == 0:
		out = append(out, fmt.Sprintf("None of the %d segments that could be measured is surely worse or not calibrated, which is no proof that all are good.", measured))
	case len(worse)+len(biased) > 0 && measured > 10:
		out = append(out, fmt.Sprintf("Of the %d segments that were looked at, one in twenty would look so by chance.", measured))
	}
	if a := r.AtCapacity; a != nil {
		for _, n := range a.Notice {
			if n.Days == 14 && n.Possible > 0 && n.Recall.High < n.Possible/2 {
				out = append(out, fmt.Sprintf("Little notice: of 100 who left, %s were named 14 days before, and %.0f could have been.", ofHundred(n.Recall), 100*n.Possible))
			}
		}
	}
	if len(few) > 0 {
		out = append(out, fmt.Sprintf("Not known, for fewer than %d who left or who stayed: %s.", minGroup, strings.Join(few, ", ")))
	}
	return out
}

// next is what to do.
func (r *Report) next() (todo, commands []string) {
	if r.Gate.Passed {
		return []string{"The gate lets it pass. It is put into use by its version, which churn models list tells:"},
			[]string{"churn models list --model " + r.Name, "churn models promote VERSION --model " + r.Name + ` --reason "better on later data"`}
	}
	todo = []string{"The gate refuses it, for the reasons above. What may help:"}
	if r.Model.Churners < minTestChurners {
		todo = append(todo, "a longer history or more customers, so that more who left are in the test")
	}
	if d := r.Difference; d != nil && !(d.LogLoss.High < 0) {
		text := "data that says more than the rule knows: more streams of events, or more of their fields"
		if c := r.Checks; c != nil && c.LearningCurve.MoreWouldHelp == "yes" {
			text += "; more customers, which by the learning curve would help"
		}
		todo = append(todo, text)
	}
	for _, f := range r.Findings {
		if f.Severity == "error" {
			todo = append(todo, fmt.Sprintf("a look at %s (%s): whether it was known at the time; if not, leave it out or give it a lag", f.Subject, f.Check))
		}
	}
	if r.Champion != nil && r.Champion.Refused != "" {
		todo = append(todo, "nothing: the champion is better and stays in use")
	}
	if len(todo) == 1 {
		todo = append(todo, "see the sections on calibration and segments below")
	}
	return todo, nil
}

// ofHundred is a share as a count of a hundred, with its interval.
func ofHundred(e measure.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "(not measured)"
	}
	text := plain(100 * float64(e.Value))
	if math.IsNaN(float64(e.Low)) {
		return text + " (interval: insufficient data)"
	}
	return fmt.Sprintf("%s (%s to %s)", text, plain(100*float64(e.Low)), plain(100*float64(e.High)))
}

// plain is a count: whole, and with a decimal below 10.
func plain(v float64) string {
	if math.Abs(v) < 9.95 && v != math.Trunc(v) {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// thousand is an amount a row as one of a thousand rows.
func thousand(e measure.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "not measured"
	}
	text := fmt.Sprintf("%.0f", 1000*e.Value)
	if math.IsNaN(float64(e.Low)) {
		return text + " (interval: insufficient data)"
	}
	return fmt.Sprintf("%s (%.0f to %.0f)", text, 1000*e.Low, 1000*e.High)
}

// ranged is an estimate in three decimals.
func ranged(e measure.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "not measured"
	}
	if math.IsNaN(float64(e.Low)) {
		return decimal("%.3f", float64(e.Value)) + " (interval: insufficient data)"
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", e.Value, e.Low, e.High)
}

func share(v measure.Float) string { return decimal("%.1f %%", 100*float64(v)) }
