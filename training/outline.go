package training

import (
	"fmt"
	"strings"

	"churn/training/measure"
)

// Outline is what is known before the first fit.
type Outline struct {
	Parts    []Part    `json:"parts"`
	Features int       `json:"features"`
	Findings []Finding `json:"findings,omitempty"`
	// Settings compete, and so many fits come of it.
	Settings []string `json:"settings"`
	Fits     int      `json:"fits"`
	// Phases of the training, and Seconds of all of them, on Workers processors like
	// the one on which they were measured.
	Phases  []Phase       `json:"phases"`
	Seconds measure.Float `json:"seconds"`
	Workers int           `json:"workers"`
	// Ends of the data to test back at: each reads the histories again.
	Ends int `json:"ends,omitzero"`
}

// Phase of a training, and about how long it takes.
type Phase struct {
	Name    string        `json:"name"`
	Seconds measure.Float `json:"seconds"`
	Note    string        `json:"note,omitempty"`
}

// Reading adds how long it took to read the data and to compute features, which
// is known when there is an outline, and is not estimated.
func (o *Outline) Reading(seconds float64) {
	o.Phases = append([]Phase{{"reading", measure.Float(seconds), "as it took now, with features and the search for leaks"}}, o.Phases...)
	for i := range o.Phases {
		if o.Phases[i].Name == "backtest" {
			o.Phases[i].Seconds += measure.Float(float64(o.Ends) * seconds)
		}
	}
	o.sum()
}

func (o *Outline) sum() {
	o.Seconds = 0
	for _, p := range o.Phases {
		o.Seconds += p.Seconds
	}
}

// outline tells what the plan will do with the parts.
func (p *Plan) outline(pt parts, r *Report) *Outline {
	o := &Outline{Parts: r.Parts, Findings: r.Findings, Features: len(pt.train.Matrix.Features), Settings: []string{}, Workers: p.Workers}
	settings := p.settings(sizeOf(pt.train, p.base(pt.train)))
	for _, s := range settings {
		o.Settings = append(o.Settings, s.name)
	}
	o.Fits = searchFits(settings)
	o.Ends = p.Backtest
	if p.source == nil {
		o.Ends = 0
	}
	w := work{settings: settings, fits: o.Fits, train: len(pt.train.Observations), test: len(pt.test.Observations), columns: o.Features,
		replicates: p.Replicates, ends: o.Ends, quick: p.Checks == "quick"}
	w.calibration = w.train // a wide table: training rows calibrate
	if pt.calibration != nil {
		w.calibration, w.before = len(pt.calibration.Observations), len(pt.before.Observations)
	}
	o.Phases = w.phases(p.Workers)
	o.sum()
	return o
}

// String is the outline as a terminal shows it.
func (o *Outline) String() string {
	var b strings.Builder
	for _, part := range o.Parts {
		fmt.Fprintf(&b, "%-11s %d rows of %d customers, %d churners\n", part.Name, part.Rows, part.Customers, part.Churners)
	}
	fmt.Fprintf(&b, "features    %d\n", o.Features)
	for _, f := range o.Findings {
		fmt.Fprintf(&b, "%-11s %s\n", f.Severity, f.Text)
	}
	if len(o.Settings) == 0 {
		b.WriteString("settings    none: there are too few churners for more than a rule\n")
	}
	for i, s := range o.Settings {
		head := ""
		if i == 0 {
			head = "settings"
		}
		fmt.Fprintf(&b, "%-11s %s\n", head, s)
	}
	for _, p := range o.Phases {
		note := ""
		if p.Note != "" {
			note = "; " + p.Note
		}
		fmt.Fprintf(&b, "%-11s %s%s\n", p.Name, seconds(p.Seconds), note)
	}
	fmt.Fprintf(&b, "in all      %s on %d processors; but for reading, by measurements on another machine\n", seconds(o.Seconds), o.Workers)
	return b.String()
}

// seconds of a phase: what is short has a digit more.
func seconds(s measure.Float) string {
	switch {
	case s < 0.1:
		return "below 0.1 s"
	case s < 10:
		return fmt.Sprintf("about %.1f s", float64(s))
	}
	return fmt.Sprintf("about %.0f s", float64(s))
}
