package training

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"churn/features"
	"churn/training/measure"
)

// Checks are runs that say whether the figures can be believed. They are made
// with small forests and not with the rung that won.
type Checks struct {
	LabelShuffled Shuffled      `json:"label_shuffled"`
	TimeShuffled  Shuffled      `json:"time_shuffled"`
	Adversarial   Adversarial   `json:"adversarial"`
	LearningCurve LearningCurve `json:"learning_curve"`
}

// Shuffled is a control on labels that were dealt out anew in training.
type Shuffled struct {
	NotMeasured string `json:"not_measured,omitempty"`
	Runs        int    `json:"runs"`
	// AUC on the test. Of several runs it is the mean, with the interval that the
	// runs allow; of one it is a bootstrap interval.
	AUC measure.Estimate `json:"auc"`
	// Seen is the AUC on later snapshots of customers who were trained on; only
	// where labels were dealt out among the snapshots of each customer.
	Seen measure.Estimate `json:"seen"`
}

// Adversarial is how well rows of the test are told from rows of training.
type Adversarial struct {
	NotMeasured string           `json:"not_measured,omitempty"`
	Rows        int              `json:"rows"`
	AUC         measure.Estimate `json:"auc"`
	// Top are the features by which they are told apart, with their share of the
	// gain; Excluded those that were not asked, as they are time itself.
	Top      []Importance `json:"top,omitempty"`
	Excluded []string     `json:"excluded,omitempty"`
}

// Importance of a feature to a forest.
type Importance struct {
	Feature string        `json:"feature"`
	Share   measure.Float `json:"share"`
}

// LearningCurve is the test by how many of the customers were trained on.
type LearningCurve struct {
	NotMeasured string          `json:"not_measured,omitempty"`
	Points      []LearningPoint `json:"points,omitempty"`
	// Doubling is the log loss with all less that with half of the customers.
	Doubling measure.Estimate `json:"doubling"`
	// MoreWouldHelp is yes, no or unclear, and Text says so.
	MoreWouldHelp string `json:"more_would_help,omitempty"`
	Text          string `json:"text,omitempty"`
}

// LearningPoint is one fit of a learning curve.
type LearningPoint struct {
	Share     float64          `json:"share"`
	Customers int              `json:"customers"`
	Churners  int              `json:"churners"` // rows
	AUC       measure.Estimate `json:"auc"`
	LogLoss   measure.Estimate `json:"log_loss"`
}

// Limits of the checks.
const (
	shuffleRuns    = 5
	shuffledAUC    = 0.65 // an error above, if the runs agree
	staticAUC      = 0.9  // of labels dealt out within customers: a warning above
	rememberedAUC  = 0.02 // by which customers who were seen may be predicted better
	shiftedAUC     = 0.7  // of telling the test from training: a warning above
	noMoreToLearn  = 0.01 // share of the log loss below which doubling gains nothing
	studentT95Of4  = 2.776
	topAdversarial = 5
)

// trust makes the runs and adds what they find.
func (p *Plan) trust(ctx context.Context, r *Report, engine *features.Engine, pt parts) error {
	p.Progress("checking", 0, 0)
	train, test := pt.train.few(probeRows, p.Seed), pt.test.few(probeRows, p.Seed)
	r.Findings = append(r.Findings, orders(pt.train, engine.OfTable())...)
	r.Findings = append(r.Findings, longerGap(train, &p.Definition, p.Workers)...)
	time := timeFeatures{unknown: "a wide table has no times"}
	if r.Split != nil {
		var err error
		if time, err = timeFeaturesOf(engine.Set(), r.Begins, r.Split.Train[0]); err != nil {
			return err
		}
		if r.Begins == nil {
			time.unknown = "the matrix does not tell when its events begin: build it again"
		}
	}
	var l, t Shuffled
	var a Adversarial
	var c LearningCurve
	steps := []struct {
		run func() error
		why *string
	}{
		{func() (err error) { l, err = p.labelShuffled(ctx, train, test); return }, &l.NotMeasured},
		{func() (err error) { t, err = p.timeShuffled(ctx, train, test, pt.seen); return }, &t.NotMeasured},
		{func() (err error) { a, err = p.adversarial(ctx, train, test, time); return }, &a.NotMeasured},
		{func() (err error) { c, err = p.learningCurve(ctx, train, test); return }, &c.NotMeasured},
	}
	if p.Checks == "quick" {
		steps = steps[:3]
		c = LearningCurve{Doubling: measure.Unmeasured(), NotMeasured: "left out of quick checks"}
	}
	parallel(p.Workers, len(steps), func(i int) {
		// A forest that cannot be fitted to a part of the rows is no reason not to
		// train.
		if err := steps[i].run(); err != nil {
			*steps[i].why = err.Error()
		}
	})
	r.Checks = &Checks{LabelShuffled: l, TimeShuffled: t, Adversarial: a, LearningCurve: c}
	r.Findings = append(r.Findings, r.Checks.findings()...)
	return ctx.Err()
}

// fewOf tells why a control cannot be made, or nothing.
func fewOf(parts ...*Data) string {
	for _, d := range parts {
		if n := d.Positives(); n < minGroup || len(d.Observations)-n < minGroup {
			return fmt.Sprintf("insufficient data: churners %d, stayers %d; %d of each are needed", n, len(d.Observations)-n, minGroup)
		}
	}
	return ""
}

// labelShuffled deals the labels of training out among all its rows. What is
// learned then is chance, and has an AUC of one half on the test; more means that
// training sees the test in some way. A forest of chance ranks by something all
// the same, which may go with leaving or against it: one run says little, and the
// mean of several is wide.
func (p *Plan) labelShuffled(ctx context.Context, train, test *Data) (Shuffled, error) {
	s := Shuffled{AUC: measure.Unmeasured(), Seen: measure.Unmeasured(), NotMeasured: fewOf(train, test)}
	if s.NotMeasured != "" {
		return s, nil
	}
	y := train.Labels()
	runs := make([]float64, shuffleRuns)
	errs := make([]error, shuffleRuns)
	parallel(p.Workers, shuffleRuns, func(k int) {
		shuffled := slices.Clone(y)
		r := rand.New(rand.NewPCG(p.Seed+probeSeed, uint64(k)))
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		var c *candidate
		if c, errs[k] = probe(ctx, train.labelled(shuffled), false, nil, p.Seed+uint64(k)); errs[k] == nil {
			runs[k] = auc(c.margins(&test.Matrix, 1), test.Labels())
		}
	})
	if err := cmp.Or(errs...); err != nil {
		return s, err
	}
	m, squares := mean(runs), 0.0
	for _, v := range runs {
		squares += float64((v - m) * (v - m))
	}
	width := studentT95Of4 * math.Sqrt(squares/(shuffleRuns-1)/shuffleRuns)
	s.Runs, s.AUC = shuffleRuns, measure.Estimate{Value: measure.Float(m), Low: measure.Float(m - width), High: measure.Float(m + width)}
	return s, nil
}

// timeShuffled moves the labels of each customer to others of the customer's own
// snapshots: who left is kept, when is lost. What is still predicted of new
// customers is told by what changes slowly or not at all; what is predicted better
// of customers who were seen is remembered.
func (p *Plan) timeShuffled(ctx context.Context, train, test, seen *Data) (Shuffled, error) {
	s := Shuffled{AUC: measure.Unmeasured(), Seen: measure.Unmeasured(), NotMeasured: fewOf(train, test)}
	rows := map[string][]int{}
	var order []string
	for i := range train.Observations {
		who := train.Observations[i].Customer
		if rows[who] == nil {
			order = append(order, who)
		}
		rows[who] = append(rows[who], i)
	}
	if len(order) == len(train.Observations) {
		s.NotMeasured = "every customer has one row"
	}
	if s.NotMeasured != "" {
		return s, nil
	}
	y := train.Labels()
	moved := slices.Clone(y)
	r := rand.New(rand.NewPCG(p.Seed+probeSeed, shuffleRuns))
	for _, who := range order {
		// Turned, so that none stays where it was: of a few that are dealt out at
		// random enough would to learn from.
		if own := rows[who]; len(own) > 1 {
			turn := 1 + r.IntN(len(own)-1)
			for i := range own {
				moved[own[i]] = y[own[(i+turn)%len(own)]]
			}
		}
	}
	several := train.labelled(moved).Rows(func(o *Observation) bool { return len(rows[o.Customer]) > 1 })
	if s.NotMeasured = fewOf(several); s.NotMeasured != "" {
		return s, nil
	}
	c, err := probe(ctx, several, true, nil, p.Seed)
	if err != nil {
		return s, err
	}
	s.Runs = 1
	if s.AUC, err = p.aucOf(c, test); err != nil {
		return s, err
	}
	if seen == nil {
		return s, nil
	}
	// Those among them who were trained on here too.
	seen = seen.Rows(func(o *Observation) bool { return len(rows[o.Customer]) > 1 })
	if fewOf(seen) == "" {
		s.Seen, err = p.aucOf(c, seen.few(probeRows, p.Seed+1))
	}
	return s, err
}

// aucOf measures a probe, with the interval of the customers.
func (p *Plan) aucOf(c *candidate, d *Data) (measure.Estimate, error) {
	s, err := c.sample(d, 1)
	if err != nil {
		return measure.Estimate{}, err
	}
	return p.aucs(s, d.Customers())
}

func (p *Plan) aucs(s *measure.Sample, customers []string) (measure.Estimate, error) {
	e, err := p.checkBootstrap().Of(customers, 1, func() func(weight, out []float64) {
		var w measure.Drawn
		return func(weight, out []float64) {
			w = s.Draw(w, weight)
			out[0] = float64(s.Under(w).AUC)
		}
	})
	if err != nil {
		return measure.Estimate{}, err
	}
	return e[0], nil
}

// checkBootstrap has fewer replicates: the checks ask for no more than whether
// there is something.
func (p *Plan) checkBootstrap() measure.Bootstrap {
	return measure.Bootstrap{Replicates: min(p.Replicates, 200), Level: 0.95, Seed: p.Seed}
}

// adversarial tells rows of the test from rows of training, each half of the
// customers by a forest that was fitted on the other.
func (p *Plan) adversarial(ctx context.Context, train, test *Data, time timeFeatures) (Adversarial, error) {
	a := Adversarial{AUC: measure.Unmeasured()}
	if a.NotMeasured = time.unknown; a.NotMeasured != "" {
		return a, nil
	}
	all := &Data{Matrix: train.Matrix, Observations: slices.Concat(train.Observations, test.Observations)}
	all.Matrix.Data = slices.Concat(train.Matrix.Data, test.Matrix.Data)
	later := make([]bool, len(all.Observations))
	for i := range test.Observations {
		later[len(train.Observations)+i] = true
	}
	all = all.labelled(later)
	if a.NotMeasured = fewOf(all); a.NotMeasured != "" {
		return a, nil
	}
	ignore := time.columns
	for j, out := range ignore {
		if out {
			a.Excluded = append(a.Excluded, all.Matrix.Features[j].Name)
		}
	}
	if len(a.Excluded) == len(all.Matrix.Features) {
		a.NotMeasured = "every feature is time itself"
		return a, nil
	}
	score := make([]float64, len(later))
	gain := make([]float64, len(all.Matrix.Features))
	half := func(customer string) bool { return heldOut(customer, p.Seed+probeSeed+1, 0.5) }
	for k := range 2 {
		first := k == 0
		c, err := probe(ctx, all.Rows(func(o *Observation) bool { return half(o.Customer) == first }), false, ignore, p.Seed)
		if err != nil {
			return a, err
		}
		var other []int
		for i := range all.Observations {
			if half(all.Observations[i].Customer) != first {
				other = append(other, i)
			}
		}
		// Less their mean: where a half has more rows of the test its forest is
		// higher all over, and the rows it scores have fewer.
		margins := c.margins(all.Matrix.Select(other), 1)
		level := mean(margins)
		for k, i := range other {
			score[i] = margins[k] - level
		}
		for _, t := range c.forest.Trees {
			for n, j := range t.SplitFeature {
				gain[j] += t.SplitGain[n]
			}
		}
	}
	s, err := measure.NewSample(score, later, nil)
	if err != nil {
		return a, err
	}
	a.Rows = len(later)
	a.Top = top(gain, all.Matrix.Features)
	a.AUC, err = p.aucs(s, all.Customers())
	return a, err
}

// top lists the features with most gain.
func top(gain []float64, list []features.Feature) (out []Importance) {
	total := 0.0
	for _, g := range gain {
		total += g
	}
	order := make([]int, len(gain))
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(gain[b], gain[a]) })
	for _, j := range order[:min(len(order), topAdversarial)] {
		if gain[j] > 0 {
			out = append(out, Importance{list[j].Name, measure.Float(gain[j] / total)})
		}
	}
	return out
}

// findings draws the conclusions.
func (c *Checks) findings() []Finding {
	var out []Finding
	if s := c.LabelShuffled; float64(s.AUC.Value) > shuffledAUC && s.AUC.Low > 0.5 {
		out = append(out, Finding{"error", "label shuffled", "training", fmt.Sprintf(
			"with the labels of training shuffled the AUC on the test is still %s over %d runs, where it should be one half: training sees the test in some way", interval(s.AUC), s.Runs)})
	}
	if s := c.TimeShuffled; float64(s.AUC.Low) > staticAUC {
		out = append(out, Finding{"warning", "time shuffled", "features", fmt.Sprintf(
			"with the labels of each customer shuffled over the customer's snapshots the AUC on the test is still %s: what does not change tells who leaves; was it filled in afterwards?", interval(s.AUC))})
	}
	if s := c.TimeShuffled; s.Seen.Low > s.AUC.High && s.Seen.Value > s.AUC.Value+rememberedAUC {
		out = append(out, Finding{"warning", "time shuffled", "customers", fmt.Sprintf(
			"with the labels of each customer shuffled over the customer's snapshots, customers who were trained on are predicted with AUC %s and others with %s: the features tell who a customer is", interval(s.Seen), interval(s.AUC))})
	}
	if a := c.Adversarial; float64(a.AUC.Value) > shiftedAUC && float64(a.AUC.Low) > 0.5 {
		var names []string
		for _, i := range a.Top {
			names = append(names, i.Feature)
		}
		out = append(out, Finding{"warning", "adversarial", "period", fmt.Sprintf(
			"rows of the test are told from rows of training with AUC %s, mostly by %s: customers or their records have changed in between, and may go on doing so", interval(a.AUC), strings.Join(names, ", "))})
	}
	return out
}
