package training

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"

	"churn/event"
	"churn/training/figure"
	"churn/training/measure"
)

//go:embed report
var reportFiles embed.FS

var reportTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"pct": share, "date": date, "est": ranged,
	"num":   func(v measure.Float) string { return decimal("%.3f", float64(v)) },
	"short": func(v measure.Float) string { return decimal("%.4g", float64(v)) },
	"fixed": func(v measure.Float) string { return decimal("%.5f", float64(v)) },
	"dates": func(at []event.Time) string {
		text := ""
		for i, t := range at {
			if i > 0 {
				text += ", "
			}
			text += date(t)
		}
		return text
	},
}).ParseFS(reportFiles, "report/*.html"))

// page is what the templates draw.
type page struct {
	*Report
	Summary                   summary
	DefinitionText, KindsText string
	Style                     template.CSS
	// Pictures are in the order of the page.
	Curves, Money, Months, Learning, Dependence []picture
	Beeswarm                                    *picture
}

// picture has a title and what to see in it as text of the page.
type picture struct {
	Title, Text string
	SVG         template.HTML
}

// Files are report.json and report.html.
func (r *Report) Files() (data, html []byte, err error) {
	if data, err = json.MarshalIndent(r, "", " "); err != nil {
		return nil, nil, fmt.Errorf("report: %w", err)
	}
	style, err := reportFiles.ReadFile("report/style.css")
	if err != nil {
		return nil, nil, fmt.Errorf("report: %w", err)
	}
	p := page{Report: r, Summary: r.summary(), DefinitionText: r.Definition.String(), KindsText: r.kindsText(), Style: template.CSS(style)}
	var b bytes.Buffer
	if err := p.draw(); err != nil {
		return nil, nil, fmt.Errorf("report: %w", err)
	}
	if err := reportTemplate.Execute(&b, p); err != nil {
		return nil, nil, fmt.Errorf("report: %w", err)
	}
	return data, b.Bytes(), nil
}

// draw makes the pictures. Package figure escapes what comes from data.
func (p *page) draw() error {
	var failed error
	add := func(to *[]picture, title, text, svg string, err error) {
		if err != nil {
			failed = err
			return
		}
		*to = append(*to, picture{title, text, template.HTML(svg)})
	}
	m, rule := *p.Model.Curves, *p.Rule.Curves
	for _, c := range []struct {
		title, text string
		draw        func(...measure.Curves) (string, error)
	}{
		{"ROC: churners found against false alarms", "Farther up and to the left is better; along the dotted line is chance.", figure.ROC},
		{"Precision and recall", "How many of those named leave, by how many of those who leave are named.", figure.PrecisionRecall},
		{"Calibration: probability given and churn seen", "On the dotted line as many left as were expected.", figure.Calibration},
		{"Lift by decile", "How much more often customers of each tenth left than all.", figure.Lift},
		{"Gains: churners found by share taken", "How many of those who leave are among the riskiest so many.", figure.Gains},
	} {
		svg, err := c.draw(m, rule)
		add(&p.Curves, c.title, c.text, svg, err)
	}
	if f := p.Profit; f != nil && len(f.Curve) > 0 {
		lines := []figure.Line{{Name: p.Model.Name}, {Name: p.Rule.Name}}
		for _, at := range f.Curve {
			lines[0].Points = append(lines[0].Points, measure.Point{X: at.Share, Y: 1000 * at.Model})
			lines[1].Points = append(lines[1].Points, measure.Point{X: at.Share, Y: 1000 * at.Rule})
		}
		svg, err := figure.Profit(lines...)
		add(&p.Money, "Profit by the share contacted", "Per 1,000 rows, by the assumptions named above.", svg, err)
	}
	p.drawTrends(add)
	p.drawReasons(add)
	return failed
}

// drawTrends draws what is measured at several steps.
func (p *page) drawTrends(add func(*[]picture, string, string, string, error)) {
	var labels []string
	auc, loss := []figure.Steps{{Name: p.Model.Name}, {Name: p.Rule.Name}}, []figure.Steps{{Name: p.Model.Name}, {Name: p.Rule.Name}}
	measured := 0
	for i := range p.Backtest {
		b := &p.Backtest[i]
		labels = append(labels, date(b.Snapshot))
		for k, e := range []*measure.Estimates{b.Model, b.Rule} {
			if e == nil {
				e = &measure.Estimates{AUC: measure.Unmeasured(), LogLoss: measure.Unmeasured()}
			} else if k == 0 {
				measured++
			}
			auc[k].Estimates, loss[k].Estimates = append(auc[k].Estimates, e.AUC), append(loss[k].Estimates, e.LogLoss)
		}
	}
	if measured >= 3 {
		svg, err := figure.Trend("AUC in the backtest", "Snapshot", "AUC", labels, auc...)
		add(&p.Months, "AUC at earlier ends of the data", "Upright lines are 95 % intervals.", svg, err)
		svg, err = figure.Trend("Log loss in the backtest", "Snapshot", "Log loss", labels, loss...)
		add(&p.Months, "Log loss at earlier ends of the data", "Lower is better.", svg, err)
	}
	if p.Checks == nil || len(p.Checks.LearningCurve.Points) < 2 {
		return
	}
	labels = nil
	curve := figure.Steps{Name: "small forest"}
	for _, l := range p.Checks.LearningCurve.Points {
		labels, curve.Estimates = append(labels, fmt.Sprint(l.Customers)), append(curve.Estimates, l.LogLoss)
	}
	svg, err := figure.Trend("Learning curve", "Customers trained on", "Log loss of the test", labels, curve)
	add(&p.Learning, "Learning curve", "Where it still falls to the right, more customers would help.", svg, err)
}

// drawReasons draws contributions.
func (p *page) drawReasons(add func(*[]picture, string, string, string, error)) {
	const depend = 6
	var all []figure.Contributions
	for i := range p.Explained {
		all = append(all, p.Explained[i].drawn())
	}
	if len(all) == 0 {
		return
	}
	var swarm []picture
	svg, err := figure.Beeswarm(all)
	add(&swarm, "What each feature brings to each score",
		fmt.Sprintf("One dot a row, %d rows of the test; to the right it raises the risk, to the left it lowers it.", len(all[0].Value)), svg, err)
	if len(swarm) > 0 {
		p.Beeswarm = &swarm[0]
	}
	for i, c := range all[:min(len(all), depend)] {
		svg, err := figure.Dependence(c)
		text := "By its value"
		if u := p.Explained[i].Unit; u != "" {
			text += " in " + u
		}
		if c.Levels != nil {
			text = "By level"
		}
		add(&p.Dependence, c.Feature, text+".", svg, err)
	}
}

// drawn is what package figure takes.
func (e *Explained) drawn() figure.Contributions {
	c := figure.Contributions{Feature: e.Feature, Levels: e.Levels}
	if e.Kind == "category" && c.Levels == nil {
		c.Levels = []string{}
	}
	for _, v := range e.Values {
		c.Value = append(c.Value, float64(v))
	}
	for _, v := range e.Contributions {
		c.Contribution = append(c.Contribution, float64(v))
	}
	return c
}
