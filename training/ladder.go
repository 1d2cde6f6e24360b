package training

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"churn/model"
	"churn/model/gbdt"
	"churn/training/measure"
)

// folds is the number of parts of the customers. Everything is fitted so many
// times, each time without another part, and the model is the mean of the
// members that come of it. No rows are lost by it: the part left out says when
// to stop boosting, and every training row has a margin by a member that never
// saw its customer. By these margins settings are chosen and blends weighed.
// Where the members disagree a score is uncertain.
const folds = 5

// learner is a way to fit a model to all but one fold of the customers.
type learner struct {
	setting
	fit func(ctx context.Context, fold int) (member, error)
}

// member is a model fitted without one fold: one of the two.
type member struct {
	linear *model.Linear
	forest *gbdt.Forest
}

// trial is a learner on its way up.
type trial struct {
	learner
	members [folds]member
	fitted  int // members, from the first
	out     []float64
	loss    [folds]float64 // summed over the rows of a fold
	seconds float64
}

// ladder fits rungs to the training rows.
type ladder struct {
	plan  *Plan
	train *Data
	y     []bool
	stage string       // told as progress
	fold  []int        // of each row
	rows  [folds][]int // of each fold
	// logistic gives rows as the logistic regression wants them, made once.
	logistic func() logisticRows
	sum      func() []byte // identifies the rows
}

func newLadder(p *Plan, train *Data) *ladder {
	l := &ladder{plan: p, train: train, stage: "fitting models", y: train.Labels()}
	l.logistic, l.sum = sync.OnceValue(l.logisticRows), sync.OnceValue(l.rowsSum)
	for i := range train.Observations {
		f := foldOf(train.Observations[i].Customer, p.Seed)
		l.fold = append(l.fold, f)
		l.rows[f] = append(l.rows[f], i)
	}
	return l
}

// learner makes a setting one that can be fitted.
func (l *ladder) learner(s setting) learner {
	out := learner{setting: s}
	switch s.kind {
	case "logistic":
		out.fit = func(_ context.Context, fold int) (m member, err error) {
			m.linear, err = l.fitLogistic(s.strength, fold)
			return m, err
		}
	case "forest":
		out.fit = func(ctx context.Context, fold int) (m member, err error) {
			m.forest, err = l.fitForest(ctx, fold)
			return m, err
		}
	default:
		out.fit = func(ctx context.Context, fold int) (m member, err error) {
			m.forest, err = l.boost(ctx, s.boosting.params(len(l.y)), fold)
			return m, err
		}
	}
	return out
}

// foldSeeds is added to the seed so that no fold is a group of customers that
// was held out for something else.
const foldSeeds = 1 << 32

// foldOf deals customers out to folds.
func foldOf(customer string, seed uint64) int {
	for fold := range folds - 1 {
		// Of those not yet dealt, one in so many as there are folds left.
		if heldOut(customer, seed+foldSeeds+uint64(fold), 1/float64(folds-fold)) {
			return fold
		}
	}
	return folds - 1
}

// without lists the rows of all folds but one: all, or a draw of n of them.
func (l *ladder) without(fold, n int) []int {
	var rows []int
	for i, f := range l.fold {
		if f != fold {
			rows = append(rows, i)
		}
	}
	if len(rows) <= n {
		return rows
	}
	return pick(rows, n, l.plan.Seed+uint64(fold))
}

// pick draws n of the rows by the seed; they stay in order.
func pick(rows []int, n int, seed uint64) []int {
	out := make([]int, 0, n)
	for _, i := range sample(len(rows), n, seed) {
		out = append(out, rows[i])
	}
	return out
}

// sample draws at most n row numbers, ascending, by the seed.
func sample(rows, n int, seed uint64) []int {
	all := rand.New(rand.NewPCG(seed, uint64(rows))).Perm(rows)
	if rows > n {
		all = all[:n]
	}
	slices.Sort(all)
	return all
}

// climb fits all learners that the size of the data allows and returns the best
// of each group; the first candidate is what the others must beat. Search says
// how the learners did.
func (p *Plan) climb(ctx context.Context, pt parts) (rungs []*candidate, tried []Tried, err error) {
	base := p.base(pt.train)
	rungs = []*candidate{base}
	if rfm := fitRFM(&pt.train.Matrix, p.Workers); rfm != nil {
		rungs = append(rungs, rfm)
	}
	for _, c := range rungs {
		c.out = c.margins(&pt.train.Matrix, p.Workers)
	}
	l := newLadder(p, pt.train)
	var learners []learner
	for _, s := range p.settings(sizeOf(pt.train, base)) {
		learners = append(learners, l.learner(s))
	}
	best, tried, err := l.search(ctx, learners)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range best {
		rungs = append(rungs, l.candidate(t))
	}
	return rungs, tried, nil
}

// Tried is a learner and how far it came in the search.
type Tried struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	// Folds it was fitted without, LogLoss of their customers. Only the better
	// half of a group is fitted without the next fold.
	Folds   int           `json:"folds"`
	LogLoss measure.Float `json:"log_loss"`
	Kept    bool          `json:"kept"`
}

// search is successive halving (Karnin, Koren and Somekh 2013; Jamieson and
// Talwalkar 2016) with folds as what is spent: all learners of a group are
// fitted without the first fold, the better half of them without the second,
// and so on until one is left.
func (l *ladder) search(ctx context.Context, learners []learner) ([]*trial, []Tried, error) {
	var all []*trial
	for _, f := range learners {
		all = append(all, &trial{learner: f, out: make([]float64, len(l.y))})
	}
	alive := slices.Clone(all)
	total, done := 0, 0
	for fold := 0; fold < folds; {
		next := fold + 1
		if !slices.ContainsFunc(alive, func(t *trial) bool { return l.rivals(alive, t) > 1 }) {
			next = folds // nothing left to choose from
		}
		total = done
		groups := map[string]int{}
		for _, t := range alive {
			groups[t.group]++
		}
		for _, n := range groups {
			total += halvings(n, folds-fold)
		}
		l.plan.Progress(l.stage, done, total)
		if err := l.fit(ctx, alive, fold, next, &done, total); err != nil {
			return nil, nil, err
		}
		fold = next
		alive = l.better(alive, fold)
	}
	var tried []Tried
	for _, t := range all {
		tried = append(tried, Tried{t.group, t.name, t.fitted, measure.Float(l.mean(t, t.fitted)), slices.Contains(alive, t)})
	}
	return alive, tried, nil
}

func (l *ladder) rivals(trials []*trial, of *trial) (n int) {
	for _, t := range trials {
		if t.group == of.group {
			n++
		}
	}
	return n
}

// better keeps the better half of each group, in the order they have.
func (l *ladder) better(alive []*trial, fitted int) []*trial {
	return slices.DeleteFunc(slices.Clone(alive), func(t *trial) bool {
		ahead := 0
		for i, u := range alive {
			if u.group != t.group || u == t {
				continue
			}
			a, b := l.mean(u, fitted), l.mean(t, fitted)
			if a < b || a == b && i < slices.Index(alive, t) {
				ahead++
			}
		}
		return ahead >= (l.rivals(alive, t)+1)/2
	})
}

// mean is the log loss over the first folds.
func (l *ladder) mean(t *trial, fitted int) float64 {
	sum, n := 0.0, 0
	for f := range fitted {
		sum += t.loss[f]
		n += len(l.rows[f])
	}
	return sum / float64(max(n, 1))
}

// wideRows is from how many training rows on a fit has all processors, one fit
// after the other, so that few copies of the rows are held at a time.
const wideRows = 100_000

// fit fits the trials without each of the folds from one to another.
func (l *ladder) fit(ctx context.Context, trials []*trial, from, to int, done *int, total int) error {
	n := to - from
	errs := make([]error, len(trials)*n)
	seconds := make([]float64, len(errs))
	var mu sync.Mutex
	parallel(l.side(), len(errs), func(task int) {
		t, fold := trials[task/n], from+task%n
		begun := time.Now()
		if errs[task] = ctx.Err(); errs[task] == nil {
			errs[task] = l.fitOne(ctx, t, fold)
		}
		seconds[task] = time.Since(begun).Seconds()
		mu.Lock()
		defer mu.Unlock()
		*done++
		l.plan.Progress(l.stage, *done, total)
	})
	for task, s := range seconds {
		trials[task/n].seconds += s
	}
	for _, t := range trials {
		t.fitted = to
	}
	return cmp.Or(errs...)
}

// fitOne fits a trial without a fold, unless that was done before.
func (l *ladder) fitOne(ctx context.Context, t *trial, fold int) error {
	m, done, err := l.resumed(t.setting, fold)
	if err == nil && !done {
		if m, err = t.fit(ctx, fold); err == nil {
			err = l.remember(t.setting, fold, m)
		}
	}
	if err != nil {
		return err
	}
	t.members[fold] = m
	return l.leaveOut(t, fold)
}

// side is how many fits go on side by side, inner how many processors each has.
func (l *ladder) side() int {
	if len(l.y) >= wideRows {
		return 1
	}
	return l.plan.Workers
}

func (l *ladder) inner() int {
	if len(l.y) >= wideRows {
		return l.plan.Workers
	}
	return 1
}

// leaveOut scores the customers that a member never saw.
func (l *ladder) leaveOut(t *trial, fold int) error {
	m := t.members[fold]
	c := &candidate{name: t.name, linear: m.linear, forest: m.forest, weights: model.Weights{Linear: 1, Forest: 1}}
	if err := c.compile(); err != nil {
		return err
	}
	matrix := &l.train.Matrix
	var columns []int
	if c.linear != nil {
		columns = columnsOf(c.linear, matrix)
	}
	var trees *gbdt.Workspace
	if c.trees != nil {
		trees = c.trees.NewWorkspace()
	}
	for _, i := range l.rows[fold] {
		t.out[i] = c.margin(matrix.Row(i), columns, trees)
		t.loss[fold] += logLossOf(t.out[i], l.y[i])
	}
	return nil
}

// logLossOf is the log loss of a margin in log-odds.
func logLossOf(margin float64, churned bool) float64 {
	if churned {
		margin = -margin
	}
	// ln(1+e^m) without overflow.
	return max(margin, 0) + math.Log1p(math.Exp(-math.Abs(margin)))
}

// candidate makes the model of a trial that was fitted without every fold: the
// mean of its members.
func (l *ladder) candidate(t *trial) *candidate {
	c := &candidate{name: t.name, kind: t.kind, group: t.group, settings: []setting{t.setting}, out: t.out, seconds: t.seconds}
	if t.members[0].linear != nil {
		var members []*model.Linear
		for _, m := range t.members {
			members = append(members, m.linear)
		}
		c.linear, c.bag, c.weights = meanOf(members, &l.train.Matrix, l.plan.Workers), newBag(folds), model.Weights{Linear: 1}
		return c
	}
	var members []*gbdt.Forest
	for _, m := range t.members {
		members = append(members, m.forest)
	}
	c.forest, c.bag = bagOf(members)
	c.weights = model.Weights{Forest: 1}
	c.name = fmt.Sprintf("%s, %d trees", c.name, len(c.forest.Trees))
	return c
}
