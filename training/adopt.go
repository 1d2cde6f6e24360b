package training

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"churn/event"
	"churn/features"
	"churn/model"
)

// ErrDisagrees says that a foreign model gives other scores here than it did
// where it was trained.
var ErrDisagrees = errors.New("the scores are not those of the model where it was trained")

// Adoption is a model that was trained elsewhere, and what makes it one of
// ours: labelled customers to calibrate and test it on.
type Adoption struct {
	Foreign *Foreign
	Mapping *Mapping // nil: everything has the same name here
	Table   *Table
	// Check has scores that the model gave to rows of the table; nil has none.
	Check *Predictions
	// Force adopts the model although its scores disagree; the report says so.
	Force bool
}

// adoptedTest is the share of the customers that test a foreign model; the others
// calibrate it.
const adoptedTest = 0.5

// Adopt makes a model file of a foreign model. It is calibrated on one half of
// the customers and tested on the other, by hash, and judged by the same gate
// as any other. Nothing is trained, and whether the customers were among those
// the model was trained on cannot be known: the report says that.
func Adopt(a Adoption, p Plan) (*model.Model, *Report, error) {
	p.Through = event.Never
	if err := p.defaults(); err != nil {
		return nil, nil, err
	}
	if p.Definition.Kind != "label" || a.Table.Labels == nil {
		return nil, nil, fmt.Errorf("a wide table needs a label, such as Churn=Yes")
	}
	m := a.Mapping
	if m == nil {
		m = &Mapping{name: "mapping"}
	}
	set, codings, err := a.Foreign.columns(m, a.Table.Columns)
	if err != nil {
		return nil, nil, err
	}
	engine, err := set.Compile()
	if err != nil {
		return nil, nil, err
	}
	c := &candidate{kind: "imported", weights: model.Weights{Forest: a.Foreign.link()},
		name: fmt.Sprintf("imported from %s, %d trees", a.Foreign.From, a.Foreign.trees())}
	if c.forest, err = a.Foreign.translate(engine.Features(), codings); err != nil {
		return nil, nil, err
	}
	if err := c.compile(); err != nil {
		return nil, nil, err
	}
	data, odd, err := a.Table.Data(engine)
	if err != nil {
		return nil, nil, err
	}
	r := &Report{Customers: len(data.Observations), DataFingerprint: a.Table.Fingerprint}
	if r.Findings, err = oddTexts(engine, data, odd); err != nil {
		return nil, nil, err
	}
	if a.Check != nil {
		err := a.Check.compare(a.Foreign, c, data)
		switch {
		case errors.Is(err, ErrDisagrees) && a.Force:
			r.Findings = append(r.Findings, Finding{"warning", "check", "model", err.Error()})
		case err != nil:
			return nil, nil, err
		default:
			r.Checked = len(a.Check.Scores)
		}
	}
	part := func(test bool) *Data {
		return data.Rows(func(o *Observation) bool { return heldOut(o.Customer, p.Seed, adoptedTest) == test })
	}
	pt := parts{calibration: part(false), test: part(true)}
	if err := r.split(pt); err != nil {
		return nil, nil, err
	}
	n := len(pt.test.Observations)
	r.Findings = append(r.Findings,
		Finding{"warning", "no times", "table", "a wide table has no times: nothing shows that its columns were known before customers left"},
		Finding{"warning", "trained elsewhere", "model", fmt.Sprintf("the model was trained elsewhere: it cannot be known whether the %d customers of the test "+
			"(%.0f%% of the table; the others calibrated it) were in its training data; the figures hold only if they were not",
			n, 100*float64(n)/float64(len(data.Observations)))})
	r.Findings = append(r.Findings, c.toMargin(a.Foreign, pt.calibration, p.Workers)...)
	p.Progress("looking for leaks", 0, 0)
	r.Findings = append(r.Findings, singleFeature(pt.calibration, &p.Definition, p.Workers)...)
	base := fitRule(&pt.calibration.Matrix, p.Workers)
	if base == nil {
		base = fitPrior()
	}
	p.Progress("calibrating", 0, 0)
	c.chosen = true
	rungs := []*candidate{base, c}
	for _, rung := range rungs {
		rung.calibrate(rung.margins(&pt.calibration.Matrix, p.Workers), pt.calibration, p.Seed)
	}
	return p.conclude(engine, rungs, base, c, pt, r)
}

// oddTexts tells of texts that are no number or no level of the model. A
// column in which every text is odd was coded in another way.
func oddTexts(e *features.Engine, d *Data, odd map[string]int) ([]Finding, error) {
	var out []Finding
	for j, c := range e.Set().Columns { // one feature each, in this order
		known, n := 0, 0
		for i := range d.Observations {
			v := d.Matrix.Row(i)[j]
			switch {
			case v < 0 && c.Type == "category":
				n++
			case v == v:
				known++
			}
		}
		what := "level of the model (" + some(c.Levels) + ")"
		if c.Type == "number" {
			n, what = odd[c.Name], "number"
		}
		switch {
		case n > 0 && known == 0:
			return nil, fmt.Errorf("column %q: no text of the table is a %s: give the code of each text in the mapping, "+
				"such as levels: {Basic: 0, Plus: 1}", c.Name, what)
		case n > 0:
			out = append(out, Finding{"warning", "odd texts", c.Name,
				fmt.Sprintf("column %q: in %d rows the text is no %s: it counts as missing", c.Name, n, what)})
		}
	}
	return out, nil
}

// toMargin sees to it that margins are in log-odds. Scores that a logistic
// function takes to a probability are, times its steepness. Others are taken
// to log-odds by a Platt map, on calibration rows. The forest stays as it is.
func (c *candidate) toMargin(f *Foreign, calibration *Data, workers int) []Finding {
	var out []Finding
	y := calibration.Labels()
	if c.weights.Forest == 0 {
		c.weights.Forest = 1
		scores := c.margins(&calibration.Matrix, workers)
		// In units of their spread, as FitPlatt has a least slope.
		var sum, squares float64
		for _, s := range scores {
			sum += s
		}
		mean := sum / float64(len(scores))
		for _, s := range scores {
			squares += float64((s - mean) * (s - mean))
		}
		unit := math.Sqrt(squares / float64(len(scores)))
		if !(unit > 0) {
			unit = 1
		}
		for i := range scores {
			scores[i] /= unit
		}
		platt := model.FitPlatt(scores, y)
		c.linear = &model.Linear{Intercept: platt.Offset, Terms: []model.Term{}}
		c.weights = model.Weights{Linear: 1, Forest: platt.Slope / unit}
		objective := "no objective"
		if f.Forest.Objective != "" {
			objective = "the objective " + strconv.Quote(f.Forest.Objective)
		}
		out = append(out, Finding{"warning", "objective", "model", fmt.Sprintf(
			"the model has %s, whose scores are no log-odds: they are taken to log-odds by a line fitted on the calibration part", objective)})
	}
	if v := auc(c.margins(&calibration.Matrix, workers), y); v < 0.5 {
		out = append(out, Finding{"warning", "direction", "model", fmt.Sprintf(
			"the higher the score, the fewer customers leave (AUC %.3f): does the model predict who stays, or is the label turned around?", v)})
	}
	return out
}

// Predictions are the scores that a model gave to customers where it was
// trained.
type Predictions struct {
	Probability bool // else raw scores: LightGBM's raw_score, XGBoost's output_margin
	Customers   []string
	Scores      []float64

	name  string
	lines []int
}

// ReadPredictions reads CSV of two columns: the customer's id, and raw_score
// or probability. name is for errors.
func ReadPredictions(r io.Reader, name string) (*Predictions, error) {
	cr := csv.NewReader(r)
	cr.FieldsPerRecord, cr.ReuseRecord = 2, true
	head, err := cr.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("%s: the file is empty", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; it needs two columns, the id and raw_score or probability", name, err)
	}
	column := head[1]
	p := &Predictions{Probability: column == "probability", name: name}
	if !p.Probability && column != "raw_score" {
		return nil, fmt.Errorf("%s:1: the second column is %q: name it raw_score or probability, whichever it is", name, column)
	}
	for {
		cells, err := cr.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := cr.FieldPos(0)
		v, err := strconv.ParseFloat(strings.TrimSpace(cells[1]), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%s:%d: %s: %q is no number", name, line, column, cells[1])
		}
		p.Customers = append(p.Customers, strings.Clone(strings.TrimSpace(cells[0])))
		p.Scores = append(p.Scores, v)
		p.lines = append(p.lines, line)
	}
	if len(p.Scores) == 0 {
		return nil, fmt.Errorf("%s: a header and no rows", name)
	}
	return p, nil
}

// agreement is how far scores may be apart: by this share where they are above
// 1, by as much below.
const agreement = 1e-6

// float32Rounding is the greatest share by which a sum is rounded in float32,
// which is how XGBoost adds the values of leaves.
const float32Rounding = 1.0 / (1 << 24)

// compare returns an error wrapping ErrDisagrees that names the first rows
// whose scores differ.
func (p *Predictions) compare(f *Foreign, c *candidate, d *Data) error {
	if p.Probability && f.link() == 0 {
		return fmt.Errorf("%s: the model has the objective %q, whose scores are no log-odds: check its raw_score, not its probability", p.name, f.Forest.Objective)
	}
	rows := make(map[string]int, len(d.Observations))
	for i := range d.Observations {
		rows[d.Observations[i].Customer] = i
	}
	var differ []string
	n := 0
	for k, customer := range p.Customers {
		i, ok := rows[customer]
		if !ok {
			return fmt.Errorf("%s:%d: the table has no customer %q", p.name, p.lines[k], customer)
		}
		row := d.Matrix.Row(i)
		score := c.forest.Predict(row)
		tolerance := agreement * max(1, math.Abs(p.Scores[k]))
		if f.From == "XGBoost" {
			sum := 0.0
			for t := range c.forest.Trees {
				tree := &c.forest.Trees[t]
				sum += math.Abs(tree.LeafValue[tree.Leaf(row)])
			}
			tolerance += float64(len(c.forest.Trees)) * float32Rounding * sum
		}
		switch {
		case p.Probability:
			score = model.Sigmoid(float64(f.link() * score))
		case c.forest.AverageOutput: // LightGBM gives their sum
			score *= float64(len(c.forest.Trees))
		}
		if !(math.Abs(score-p.Scores[k]) <= tolerance) {
			if n++; n <= 5 {
				differ = append(differ, fmt.Sprintf("line %d, customer %s: %v there, %v here", p.lines[k], customer, p.Scores[k], score))
			}
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: %d of %d rows differ (%s); look for another coding of levels or of missing values, "+
		"and for numbers of 64 bits there where they have 32 here", p.name, ErrDisagrees, n, len(p.Scores), strings.Join(differ, "; "))
}
