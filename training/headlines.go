package training

import (
	"bytes"
	"fmt"
	"math"

	"churn/training/measure"
)

// headlines are the lines of Head about money, capacity and checks.
func (r *Report) headlines(b *bytes.Buffer) {
	if a := r.AtCapacity; a != nil {
		fmt.Fprintf(b, "capacity   the riskiest %s hold %s of the churners", a.Capacity, percents(a.Recall))
		for _, n := range a.Notice {
			if n.Days == 14 {
				fmt.Fprintf(b, "; 14 days before they left %s", percents(n.Recall))
			}
		}
		fmt.Fprintln(b)
	}
	if p := r.Profit; p != nil {
		switch {
		case p.NotMeasured != "":
			fmt.Fprintf(b, "profit     not measured: %s\n", p.NotMeasured)
		case math.IsInf(float64(p.Threshold), 1):
			fmt.Fprintf(b, "profit     a contact pays at no risk\n")
		default:
			fmt.Fprintf(b, "profit     %s a row of contacting the %s at risk above %.3f; %s more than by the rule\n", money(p.Model), decimal("%.1f %%", 100*float64(p.Share)), p.Threshold, money(p.Difference))
		}
	}
	if c := r.Champion; c != nil {
		fmt.Fprintf(b, "champion   %s\n", c)
	}
	if c := r.Checks; c != nil {
		fmt.Fprintf(b, "checks     AUC with labels shuffled %s, of telling the test from training %s", control(c.LabelShuffled.AUC), control(c.Adversarial.AUC))
		if c.LearningCurve.MoreWouldHelp != "" {
			fmt.Fprintf(b, "; twice the customers would help: %s", c.LearningCurve.MoreWouldHelp)
		}
		fmt.Fprintln(b)
	}
}

// String is the comparison in a line.
func (c *Comparison) String() string {
	if c.NotCompared != "" {
		return "not compared: " + c.NotCompared
	}
	out := fmt.Sprintf("%s: log loss %s, AUC %s to it on %d rows", c.Version, signed(c.Difference.LogLoss), signed(c.Difference.AUC), c.Rows)
	if c.Note != "" {
		out += "; " + c.Note
	}
	return out
}

// percents is an estimate of a share.
func percents(e measure.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "(not measured)"
	}
	return fmt.Sprintf("%.1f %% [%s, %s]", 100*e.Value, decimal("%.1f", 100*float64(e.Low)), decimal("%.1f", 100*float64(e.High)))
}

// money is an estimate of an amount.
func money(e measure.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "not measured"
	}
	format := "%.3g"
	if v := math.Abs(float64(e.Value)); v >= 100 { // 3 digits would be an exponent from 1000 on
		format = "%.0f"
	}
	return fmt.Sprintf("%s [%s, %s]", decimal(format, float64(e.Value)), decimal(format, float64(e.Low)), decimal(format, float64(e.High)))
}

// signed is an estimate of a difference.
func signed(e measure.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "not measured"
	}
	return fmt.Sprintf("%+.4f [%s, %s]", e.Value, decimal("%+.4f", float64(e.Low)), decimal("%+.4f", float64(e.High)))
}

// control is the value of a control alone.
func control(e measure.Estimate) string { return decimal("%.3f", float64(e.Value)) }
