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
	// Settings compete, so many fits come of it, and these take about so many
	// seconds on Workers processors like those they were measured on.
	Settings []string      `json:"settings"`
	Fits     int           `json:"fits"`
	Seconds  measure.Float `json:"seconds"`
	Workers  int           `json:"workers"`
}

// outline tells what the plan will do with the parts.
func (p *Plan) outline(pt parts, r *Report) *Outline {
	o := &Outline{Parts: r.Parts, Findings: r.Findings, Features: len(pt.train.Matrix.Features), Settings: []string{}, Workers: p.Workers}
	settings := p.settings(sizeOf(pt.train, p.base(pt.train)))
	for _, s := range settings {
		o.Settings = append(o.Settings, s.name)
	}
	o.Fits = searchFits(settings)
	o.Seconds = measure.Float(searchCost(settings) / float64(p.Workers))
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
	fmt.Fprintf(&b, "search      %d fits, about %.0f s on %d processors\n", o.Fits, float64(o.Seconds), o.Workers)
	return b.String()
}
