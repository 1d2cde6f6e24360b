package training

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"churn/event"
	"churn/features"
	"churn/model"
)

// Plan says what to train.
type Plan struct {
	Name       string // of the model; default churn
	Definition model.Definition
	Features   *features.Set
	// Through is the end of the data: everything before it is known. Labels
	// whose window ends later are censored.
	Through event.Time
	// Every is the step between snapshots, Snapshots their number.
	Every     event.Duration // default 30d
	Snapshots int            // default 12
	HeldOut   float64        // share of customers never trained on; default 0.25
	Seed      uint64
	Workers   int // default GOMAXPROCS; does not change the result
	// Replicates of the bootstrap; default 500.
	Replicates int
	// Budget is how long the search for settings may take, in nominal seconds of
	// Workers processors; 0 tries what is usual.
	Budget event.Duration
	// Resume is a directory for fits that are finished, from which the same plan
	// on the same data goes on after it was stopped; empty keeps none.
	Resume string
	// Rungs to try besides the rule: logistic, forest, boosting; nil tries all that the
	// size of the data allows.
	Rungs []string
	// TestOn is a wide table to test on, for one to train on; nil tests on a part
	// of its customers.
	TestOn *Table
	// Bands are the cut-offs of risk; the zero value takes those of the top 30
	// and 10 per cent of the reference.
	Bands model.Bands
	// Backtest is at how many ends of the data, Every apart, the chosen settings
	// are tested as well.
	Backtest int
	// Start is told what is known before the first fit. An error ends the
	// training and is returned as it is.
	Start func(*Outline) error
	// Economics is what a contact costs and may save; nil leaves profit out.
	Economics *Economics
	// Capacity is how many customers can be contacted; default a tenth.
	Capacity Capacity
	// Segments are attributes to measure by; nil takes the first with few levels.
	Segments []string
	// Checks is full, or quick to leave out the learning curve; default full.
	Checks string
	// Champion, if not nil, is compared with the model on the rows of the test. The
	// gate refuses a model whose log loss is surely more than ChampionMargin above
	// its.
	Champion       *Stored
	ChampionMargin float64
	// Progress is told the stage and how far it is; total 0 is unknown.
	Progress func(stage string, done, total int)

	source Source // histories to test back on; nil of what has none
}

// maxSnapshots that a plan can have.
const maxSnapshots = 1000

func (p *Plan) defaults() error {
	if p.Name == "" {
		p.Name = "churn"
	}
	if !model.NamePattern.MatchString(p.Name) {
		return fmt.Errorf("model name %q: use a-z, 0-9, '_', '-', at most 64", p.Name)
	}
	if p.Every == 0 {
		p.Every = 30 * event.Day
	}
	if p.Snapshots == 0 {
		p.Snapshots = 12
	}
	if p.HeldOut == 0 {
		p.HeldOut = 0.25
	}
	if p.HeldOut < 0.05 || p.HeldOut > 0.5 {
		return fmt.Errorf("held_out %g: between 0.05 and 0.5", p.HeldOut)
	}
	if p.Snapshots < 3 || p.Snapshots > maxSnapshots || p.Every < event.Day || p.Every > 3660*event.Day {
		return fmt.Errorf("%d snapshots every %s: give 3 to 1000, from a day to ten years apart", p.Snapshots, p.Every)
	}
	if p.Workers <= 0 {
		p.Workers = runtime.GOMAXPROCS(0)
	}
	if p.Replicates == 0 {
		p.Replicates = 500
	}
	for _, r := range p.Rungs {
		if r != "logistic" && r != "forest" && r != "boosting" {
			return fmt.Errorf("rung %q: use logistic, forest, boosting", r)
		}
	}
	if p.Capacity == (Capacity{}) {
		p.Capacity.Share = 0.1
	}
	if err := cmp.Or(p.Capacity.check(), checkMargin(p.ChampionMargin)); err != nil {
		return err
	}
	if p.Checks == "" {
		p.Checks = "full"
	}
	if p.Checks != "full" && p.Checks != "quick" {
		return fmt.Errorf("checks %q: use full or quick", p.Checks)
	}
	if b := p.Bands; !(0 <= b.Medium && b.Medium <= b.High && b.High <= 1) {
		return fmt.Errorf("bands from %g and %g are not ascending probabilities", b.Medium, b.High)
	}
	if p.Backtest < 0 || p.Backtest > 60 {
		return fmt.Errorf("a backtest at %d ends of the data: give 1 to 60", p.Backtest)
	}
	if p.Progress == nil {
		p.Progress = func(string, int, int) {}
	}
	return p.Definition.Validate()
}

func (p *Plan) tries(rung string) bool { return p.Rungs == nil || slices.Contains(p.Rungs, rung) }

// parts of the data, by use.
type parts struct {
	train       *Data // nil for a model that was trained elsewhere
	calibration *Data // nil for a wide table: training rows calibrate, scored by members that never saw them
	before      *Data // all that is known before the test, of customers not held out; nil where there is no time
	test        *Data // later snapshots of customers never trained on
	seen        *Data // later snapshots of customers trained on; nil for a wide table
	set         *features.Set
	rowsOf      rowsOf // for the champion
}

// Train fits a model on histories. The report is part of the model too.
func Train(ctx context.Context, src Source, p Plan) (*model.Model, *Report, error) {
	p.source = src
	engine, data, r, err := p.histories(ctx, src)
	if err != nil {
		return nil, nil, err
	}
	return p.finishHistories(ctx, engine, data, r, p.fromHistories(ctx, src, engine, r.Split))
}

// histories makes the observations of all histories, and begins the report.
func (p *Plan) histories(ctx context.Context, src Source) (*features.Engine, *Data, *Report, error) {
	if err := p.defaults(); err != nil {
		return nil, nil, nil, err
	}
	if p.Definition.Kind == "label" {
		return nil, nil, nil, fmt.Errorf("a definition of kind label is for a wide table: train on histories by contract, inactivity or payment")
	}
	if p.Features == nil || p.Through == event.Never {
		return nil, nil, nil, fmt.Errorf("training on histories needs a feature set and the end of the data")
	}
	snapshots := Snapshots(&p.Definition, p.Through, p.Every, p.Snapshots)
	split, err := SplitByTime(&p.Definition, snapshots)
	if err != nil {
		return nil, nil, nil, err
	}
	o := &Observer{Definition: p.Definition, Snapshots: snapshots, Through: p.Through, HeldOut: p.HeldOut, Seed: p.Seed}
	engine, checks, err := prepare(ctx, src, p, split, o)
	if err != nil {
		return nil, nil, nil, err
	}
	data, counts, err := compute(ctx, src, o, engine, p.Workers, func(n int) { p.Progress("computing features", n, checks.customers) })
	if err != nil {
		return nil, nil, nil, err
	}
	fingerprint, err := src.Fingerprint(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	r := &Report{Split: &split, Counts: counts, Customers: checks.customers, DataFingerprint: fingerprint,
		Findings: checks.findings(), Begins: checks.clocks.begins, HeldOut: p.HeldOut}
	return engine, data, r, nil
}

// finishHistories divides the observations by time and customer and does the
// rest.
func (p *Plan) finishHistories(ctx context.Context, engine *features.Engine, data *Data, r *Report, rows rowsOf) (*model.Model, *Report, error) {
	r.Reasons, r.Kinds = reasonsOf(data), kindsOf(data)
	pt := divide(data, r.Split)
	pt.rowsOf = rows
	return p.finish(ctx, engine, pt, r)
}

// divide makes the parts of a split.
func divide(data *Data, s *Split) parts {
	in := func(times []event.Time, heldOut bool) *Data {
		return data.Rows(func(ob *Observation) bool { return ob.HeldOut == heldOut && contains(times, ob.At) })
	}
	return parts{train: in(s.Train, false), calibration: in(s.Calibration, false), before: in(s.BeforeTest(), false),
		test: in(s.Test, true), seen: in(s.Test, false)}
}

// prepare reads all histories once: the set is frozen on what training may
// know, and whole histories are checked for leaks.
func prepare(ctx context.Context, src Source, p *Plan, split Split, o *Observer) (*features.Engine, *historyCheck, error) {
	census := features.NewCensus(p.Features)
	checks := newHistoryCheck(p.Features, p.Through)
	last := split.Train[len(split.Train)-1]
	err := src.Timelines(ctx, func(tl *event.Timeline) error {
		checks.add(tl)
		if !heldOut(tl.Customer.ID, o.Seed, o.HeldOut) {
			census.Add(tl, last)
		}
		if checks.customers%1000 == 0 {
			p.Progress("reading histories", checks.customers, 0)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading histories: %w", err)
	}
	if checks.customers == 0 {
		return nil, nil, fmt.Errorf("there are no customers: import some first")
	}
	engine, err := p.Features.Lock(census).Compile()
	return engine, checks, err
}

// finish fits, chooses, evaluates and judges.
func (p *Plan) finish(ctx context.Context, engine *features.Engine, pt parts, r *Report) (*model.Model, *Report, error) {
	if err := r.split(pt); err != nil {
		return nil, nil, err
	}
	if _, err := groupings(p.Segments, engine.Set(), &pt.test.Matrix); err != nil {
		return nil, nil, err // before the long work
	}
	p.Progress("looking for leaks", 0, 0)
	r.Findings = append(r.Findings, singleFeature(pt.train, &p.Definition, p.Workers)...)
	if p.Start != nil {
		if err := p.Start(p.outline(pt, r)); err != nil {
			return nil, nil, err
		}
	}
	rungs, tried, err := p.climb(ctx, pt)
	if err != nil {
		return nil, nil, err
	}
	r.Tried = tried
	rungs, best, err := p.choose(rungs, pt)
	if err != nil {
		return nil, nil, err
	}
	chosen := best
	if pt.before != nil && chosen.bag != nil {
		if best, err = p.again(ctx, pt, chosen); err != nil {
			return nil, nil, err
		}
		rungs = append(rungs, best)
	}
	if p.Backtest > 0 && p.source != nil {
		if r.Backtest, err = p.backtest(ctx, p.source, chosen); err != nil {
			return nil, nil, fmt.Errorf("backtest: %w", err)
		}
	}
	if err := p.trust(ctx, r, engine, pt); err != nil {
		return nil, nil, err
	}
	return p.conclude(engine, rungs, rungs[0], best, pt, r)
}

// split notes the parts, each of which needs both kinds of customers. There is
// no training part of a model that was trained elsewhere.
func (r *Report) split(pt parts) error {
	for _, part := range []struct {
		name string
		data *Data
	}{{"training", pt.train}, {"calibration", pt.calibration}, {"before the test", pt.before}, {"test", pt.test}} {
		if part.data == nil {
			continue
		}
		r.Parts = append(r.Parts, partOf(part.name, part.data))
		if n := part.data.Positives(); n == 0 || n == len(part.data.Observations) {
			return fmt.Errorf("the %s part has %d rows and %d churners: nothing can be learned without both kinds; "+
				"check the definition of churn, or give more history", part.name, len(part.data.Observations), n)
		}
	}
	return nil
}

// conclude evaluates and judges the best of calibrated rungs, and makes the
// model of it.
func (p *Plan) conclude(engine *features.Engine, rungs []*candidate, base, best *candidate, pt parts, r *Report) (*model.Model, *Report, error) {
	p.Progress("evaluating", 0, 0)
	pt.set = engine.Set()
	if err := p.evaluate(r, rungs, base, best, pt); err != nil {
		return nil, nil, err
	}
	m, err := p.assemble(engine, best, pt, r)
	if err != nil || p.Champion == nil || pt.rowsOf.compute == nil {
		return m, r, err
	}
	if r.Champion, err = p.compare(r, probabilities(&best.calibration, best.margins(&pt.test.Matrix, p.Workers)), pt.test, pt.rowsOf); err != nil {
		return nil, nil, err
	}
	r.refuse()
	return m, r, nil
}

// choose adds blends of the rungs, calibrates all on customers that they never
// saw, and picks one by the log loss there: the simplest that is within noise of
// the least. The rules are chosen only where there is nothing else.
func (p *Plan) choose(rungs []*candidate, pt parts) ([]*candidate, *candidate, error) {
	rungs = append(rungs, p.blends(rungs, pt.train)...)
	for _, c := range rungs {
		if err := c.compile(); err != nil {
			return nil, nil, err
		}
	}
	p.Progress("calibrating", 0, 0)
	rows := pt.calibration
	if rows == nil {
		rows = pt.train
	}
	parallel(p.Workers, len(rungs), func(i int) {
		margins := rungs[i].out
		if pt.calibration != nil {
			margins = rungs[i].margins(&rows.Matrix, 1)
		}
		rungs[i].calibrate(margins, rows, p.Seed)
	})
	fitted := slices.DeleteFunc(slices.Clone(rungs), func(c *candidate) bool { return c.bag == nil })
	best := rungs[0]
	if len(fitted) > 0 {
		var losses [][]float64
		for _, c := range fitted {
			losses = append(losses, c.losses)
		}
		best = fitted[simplest(losses, rows.Customers())]
	}
	best.chosen = true
	return rungs, best, nil
}

// blends mixes the best rungs of their groups.
func (p *Plan) blends(rungs []*candidate, train *Data) []*candidate {
	byGroup := map[string]*candidate{}
	for _, c := range rungs {
		byGroup[c.group] = c
	}
	out := make([]*candidate, len(blends))
	parallel(p.Workers, len(blends), func(i int) {
		var parts []*candidate
		for _, group := range blends[i] {
			c := byGroup[group]
			if c == nil {
				return
			}
			parts = append(parts, c)
		}
		out[i] = blend(parts, train.Labels())
	})
	return slices.DeleteFunc(out, func(c *candidate) bool { return c == nil })
}

// assemble makes the model of the winner.
func (p *Plan) assemble(engine *features.Engine, best *candidate, pt parts, r *Report) (*model.Model, error) {
	// The reference is what the model was evaluated on.
	margins := best.margins(&pt.test.Matrix, p.Workers)
	probability := probabilities(&best.calibration, margins)
	m := &model.Model{
		Manifest: model.Manifest{Name: p.Name, Kind: best.kind, Seed: p.Seed, Through: p.Through,
			Definition: p.Definition, Weights: best.weights, Bag: best.bag, FeatureFingerprint: engine.Fingerprint(),
			DataFingerprint: r.DataFingerprint, Metrics: r.metricsMap(), Gate: r.Gate},
		Features: engine.Set(), Linear: best.linear, Forest: best.forest, Calibration: best.calibration,
		Reference: model.NewReference(&pt.test.Matrix, probability, pt.test.Labels()),
	}
	if q := m.Reference.Quantiles; p.Bands != (model.Bands{}) {
		m.Manifest.Bands = p.Bands
	} else if len(q) == 101 {
		m.Manifest.Bands = model.Bands{Medium: q[70], High: q[90], Basis: "quantiles: the top 30 and 10 per cent of the reference"}
	}
	step := max(1, pt.test.Matrix.Rows()/20)
	for i := 0; i < pt.test.Matrix.Rows() && len(m.Golden) < 20; i += step {
		g := model.GoldenRow{Margin: margins[i], Probability: probability[i]}
		for _, v := range pt.test.Matrix.Row(i) {
			if math.IsNaN(float64(v)) {
				g.Values = append(g.Values, nil)
			} else {
				g.Values = append(g.Values, &v)
			}
		}
		m.Golden = append(m.Golden, g)
	}
	scorer, err := m.Compile()
	if err != nil {
		return nil, fmt.Errorf("the trained model does not pass its own test: %w", err)
	}
	r.explain(scorer, &pt.test.Matrix, p.Workers)
	r.Plan = p.planned(r.Split != nil)
	if err := r.render(m); err != nil {
		return nil, err
	}
	return m, nil
}
