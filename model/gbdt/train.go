package gbdt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"churn/model/gbdt/internal/kernel"
)

// History is the record of a training run.
type History struct {
	Valid    []float64 // metric on the validation rows after each tree; nil without
	Best     int       // trees of the returned forest
	Warnings []string  // what was odd about the data, in plain words

	// Phases is how long each part of the work took, on the clock: "check",
	// "bin", "pack" (columns into tiles), "derivatives", "histograms and
	// search", "partition", "leaves", "validation", "checkpoint".
	Phases map[string]time.Duration
}

// Train fits a forest of Params.Trees trees to train by gradient boosting of
// the log loss (Friedman 2001), each tree by Newton steps from histograms of
// derivatives. Scores are log-odds.
//
// With valid, which may be nil, and Params.Patience, training stops early and
// the forest is cut back to its best tree. A cancelled ctx ends training with
// its error; with Params.Checkpoint, a later call goes on from there.
//
// The same Params and data give the same forest to the last bit, whatever the
// number of workers or the machine. Neither Dataset is changed.
//
// Errors name the parameter, or the row and feature, that cannot be trained
// on: labels other than 0 and 1, one class only, infinite values, codes that
// are not whole numbers, weights that are negative or all 0, tables that do
// not match, or more memory than there is.
func Train(ctx context.Context, p Params, train, valid *Dataset) (*Forest, *History, error) {
	begin := time.Now()
	seen, err := train.check()
	if err != nil {
		return nil, nil, fmt.Errorf("training rows: %w", err)
	}
	if err := p.validate(len(train.Names)); err != nil {
		return nil, nil, err
	}
	if err := checkValid(&p, train, valid); err != nil {
		return nil, nil, err
	}
	if p.Workers == 0 {
		p.Workers = runtime.GOMAXPROCS(0)
	}
	if err := checkMemory(&p, train); err != nil {
		return nil, nil, err
	}
	checked := time.Since(begin)
	b := newBooster(p, train, valid, seen)
	defer b.grow.pool.close()
	b.history.Phases["check"] = checked
	if err := b.run(ctx); err != nil {
		return nil, nil, err
	}
	forest := b.forest()
	if err := forest.Validate(); err != nil {
		return nil, nil, err
	}
	return forest, b.history, nil
}

func checkValid(p *Params, train, valid *Dataset) error {
	if valid == nil {
		if p.Patience > 0 {
			return errors.New("parameter Patience needs validation rows")
		}
		return nil
	}
	if !slices.Equal(valid.Names, train.Names) {
		return errors.New("validation rows have other features than training rows")
	}
	if !slices.Equal(valid.Categorical, train.Categorical) {
		return errors.New("validation rows have other categorical features than training rows")
	}
	if _, err := valid.check(); err != nil {
		return fmt.Errorf("validation rows: %w", err)
	}
	return nil
}

// A booster is a training run.
type booster struct {
	p            Params
	train, valid *Dataset
	grow         grower
	base         float64   // score before the first tree
	sign         []float32 // per row 1 (label 1) or -1
	score        []float64 // per row, of the trees so far
	g, h         []float32 // derivatives
	leafOf       []uint16  // per row, its leaf in the last tree
	validScore   []float64
	trees        []Tree
	history      *History
	print        [32]byte // see fingerprint
}

func newBooster(p Params, train, valid *Dataset, seen *seen) *booster {
	b := &booster{p: p, train: train, valid: valid,
		history: &History{Warnings: seen.warnings, Phases: map[string]time.Duration{}}}
	n := train.Rows()
	b.base = baseScore(train)
	begin := time.Now()
	b.grow.pool = newPool(p.Workers)
	b.grow.p, b.grow.bounded = &b.p, b.p.constrained()
	b.grow.phases = b.history.Phases
	b.grow.t = newTable(train, &b.p, seen, b.grow.pool, sigmoid(b.base))
	b.history.Phases["bin"] = time.Since(begin)
	b.grow.q = make([]uint64, n)
	b.grow.rows, b.grow.right = make([]int32, n), make([]int32, n)
	b.sign, b.score = make([]float32, n), make([]float64, n)
	b.g, b.h = make([]float32, n), make([]float32, n)
	b.leafOf = make([]uint16, n)
	for i, y := range train.Labels {
		b.sign[i] = 2*y - 1
		b.score[i] = b.base
	}
	if valid != nil {
		b.validScore = make([]float64, valid.Rows())
	}
	return b
}

// baseScore is the log-odds of the weighted mean label. The weights of both
// labels are added up apart: one may be too small to change their sum.
func baseScore(d *Dataset) float64 {
	var sums [2]float64
	for i, y := range d.Labels {
		sums[int(y)] += weightOf(d.Weights, i)
	}
	return log(sums[1] / sums[0])
}

func (b *booster) run(ctx context.Context) error {
	if b.p.Checkpoint != "" {
		if err := b.resume(); err != nil {
			return err
		}
	}
	for len(b.trees) < b.p.Trees && !b.stop() {
		if err := b.boost(ctx); err != nil {
			return errors.Join(err, b.saved(true))
		}
		if b.valid != nil {
			b.evaluate()
		}
		b.progress()
		if err := b.saved(len(b.trees) == b.p.Trees || b.stop()); err != nil {
			return err
		}
	}
	if b.barren() {
		b.history.Warnings = append(b.history.Warnings,
			fmt.Sprintf("tree %d found nothing to split and is the last", len(b.trees)))
	}
	if b.p.Patience == 0 {
		b.history.Best = len(b.trees)
	}
	return nil
}

// saved saves the state if there is a file for it and it is time to, or the
// run is over.
func (b *booster) saved(over bool) error {
	if b.p.Checkpoint == "" || !over && len(b.trees)%b.p.SaveEvery != 0 {
		return nil
	}
	return b.save()
}

// boost adds a tree.
func (b *booster) boost(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tree := len(b.trees)
	g := &b.grow
	b.derive(uint32(hash(b.p.Seed, uint64(tree))))
	g.prepare(b.columns(tree))
	g.start(b.bag(tree))
	var err error
	if b.p.Grower == Symmetric {
		err = g.symmetric(ctx)
	} else {
		err = g.leafWise(ctx)
	}
	if err != nil {
		return err
	}
	defer g.timed("leaves")()
	b.placeRows()
	t := g.tree.finish(&b.p, g.leaves, b.leafSums())
	b.update(t.LeafValue)
	if tree == 0 {
		t.add(b.base)
	}
	b.trees = append(b.trees, t)
	return nil
}

// derive computes the derivatives of all rows and packs them, at the scales
// at which their sums just fit.
func (b *booster) derive(seed uint32) {
	defer b.grow.timed("derivatives")()
	n := len(b.score)
	blocks := (n + kernel.Block - 1) / kernel.Block
	sums := make([][2]float64, blocks)
	b.grow.each(8*n, blocks, func(i, _ int) {
		from, to := i*kernel.Block, min((i+1)*kernel.Block, n)
		var w []float32
		if len(b.train.Weights) > 0 {
			w = b.train.Weights[from:to]
		}
		sums[i][0], sums[i][1] = kernel.Gradients(b.g[from:to], b.h[from:to], b.score[from:to], b.sign[from:to], w)
	})
	var total [2]float64
	for _, s := range sums {
		total[0] += s[0]
		total[1] += s[1]
	}
	// Rounding adds at most one to each row. Scales are float32, cut so that
	// what they round to is not above.
	room := float64(math.MaxInt32-n) * (1 - 1e-6)
	gScale, hScale := scale(room, total[0]), scale(room, total[1])
	b.grow.gScale, b.grow.hScale = float64(gScale), float64(hScale)
	b.grow.each(4*n, blocks, func(i, _ int) {
		from, to := i*kernel.Block, min((i+1)*kernel.Block, n)
		kernel.Quantise(b.grow.q[from:to], b.g[from:to], b.h[from:to], gScale, hScale, uint32(from), seed)
	})
}

// scale is the factor that takes sum to room, or as near as float32 goes.
func scale(room, sum float64) float32 {
	return float32(min(room/max(sum, 1e-30), 1e30))
}

// columns returns which features a tree may use: a draw of the columns of the
// table, and of those encoded in several orders, one order.
func (b *booster) columns(tree int) []bool {
	t := b.grow.t
	drawn := make([]bool, len(b.train.Names))
	any := false
	threshold := uint64(b.p.ColumnFraction * (1 << 32))
	for f := range drawn {
		drawn[f] = hash(b.p.Seed, uint64(tree), 1, uint64(f))>>32 < threshold && !b.p.ignores(f)
		any = any || drawn[f]
	}
	use := make([]bool, len(t.features))
	b.grow.usable = make([]bool, len(t.features))
	for f := range use {
		feat := &t.features[f]
		use[f] = feat.bins > 1 && (drawn[feat.source] || !any)
		b.grow.usable[f] = use[f] && (feat.kind != encoded || feat.order < 0 || feat.order == tree%b.p.TargetOrders)
	}
	return use
}

// bag lists the rows a tree sees, then the others, and returns the number of
// the first.
func (b *booster) bag(tree int) int {
	rows, right := b.grow.rows, b.grow.right
	if b.p.RowFraction == 1 {
		for i := range rows {
			rows[i] = int32(i)
		}
		return len(rows)
	}
	threshold := uint64(b.p.RowFraction * (1 << 32))
	in, out := 0, 0
	for i := range rows {
		if hash(b.p.Seed, uint64(tree), 2, uint64(i))>>32 < threshold {
			rows[in] = int32(i)
			in++
		} else {
			right[out] = int32(i)
			out++
		}
	}
	copy(rows[in:], right[:out])
	return in
}

// hash mixes words (SplitMix64's finaliser, by S. Vigna).
func hash(words ...uint64) (x uint64) {
	for _, w := range words {
		x += w + 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		x ^= x >> 31
	}
	return x
}

// outOfBag marks, in booster.leafOf, rows that the tree was not grown on.
const outOfBag = 1 << 15

// placeRows notes the leaf of every row, so that later passes can go through
// the rows in order: in the order of the leaves every row is a cache miss.
func (b *booster) placeRows() {
	g := &b.grow
	g.each(len(g.rows), len(g.leaves), func(i, _ int) {
		l := &g.leaves[i]
		for _, r := range g.rows[l.rows.from:l.rows.to] {
			b.leafOf[r] = uint16(i)
		}
		for _, r := range g.rows[l.outside.from:l.outside.to] {
			b.leafOf[r] = uint16(i) | outOfBag
		}
	})
}

// leafSums returns the sums of derivatives of every leaf, in float64: those of
// blocks of rows, added in order. The number of blocks does not depend on the
// number of workers, nor do the sums.
func (b *booster) leafSums() []leafSum {
	n, leaves := len(b.score), len(b.grow.leaves)
	size := max(kernel.Block, (n+63)/64)
	blocks := (n + size - 1) / size
	sums := make([]leafSum, blocks*leaves)
	b.grow.each(4*n, blocks, func(i, _ int) {
		mine := sums[i*leaves : (i+1)*leaves]
		from, to := i*size, min((i+1)*size, n)
		h := b.h[from:to]
		leafOf := b.leafOf[from:to]
		for r, g := range b.g[from:to] {
			if leaf := leafOf[r]; leaf < outOfBag {
				s := &mine[leaf]
				s.g += float64(g)
				s.h += float64(h[r])
				s.rows++
			}
		}
	})
	out := sums[:leaves]
	for i := leaves; i < len(sums); i++ {
		s := &out[i%leaves]
		s.g += sums[i].g
		s.h += sums[i].h
		s.rows += sums[i].rows
	}
	return out
}

// update adds the values of the leaves to the scores of their rows.
func (b *booster) update(values []float64) {
	n := len(b.score)
	b.grow.pool.blocks(n, 1<<15, func(_, from, to, _ int) {
		leafOf := b.leafOf[from:to]
		for r := range b.score[from:to] {
			b.score[from+r] += values[leafOf[r]&^outOfBag]
		}
	})
}

// evaluate adds the last tree to the validation scores and takes the metric.
func (b *booster) evaluate() {
	defer b.grow.timed("validation")()
	t := &b.trees[len(b.trees)-1]
	width := len(b.valid.Names)
	b.grow.pool.blocks(len(b.validScore), kernel.Block, func(_, from, to, _ int) {
		for r := from; r < to; r++ {
			b.validScore[r] += t.LeafValue[t.Leaf(b.valid.X[r*width:(r+1)*width])]
		}
	})
	value := b.p.Metric.evaluate(b.validScore, b.valid.Labels, b.valid.Weights)
	h := b.history
	h.Valid = append(h.Valid, value)
	if len(h.Valid) == 1 || b.p.Metric.better(value, h.Valid[h.Best-1]) {
		h.Best = len(h.Valid)
	}
}

// stop reports whether more trees are of no use.
func (b *booster) stop() bool {
	return b.barren() || b.p.Patience > 0 && len(b.trees)-b.history.Best >= b.p.Patience
}

// barren reports whether the last tree found nothing to split, and so no
// later one will: all trees see the same rows and features.
func (b *booster) barren() bool {
	if len(b.trees) == 0 || b.trees[len(b.trees)-1].NumLeaves() > 1 || b.p.RowFraction < 1 || b.p.ColumnFraction < 1 {
		return false
	}
	return !slices.ContainsFunc(b.grow.t.features, func(f feature) bool { return f.kind == encoded && f.order > 0 })
}

func (b *booster) progress() {
	if b.p.Progress == nil {
		return
	}
	pr := Progress{Tree: len(b.trees), Trees: b.p.Trees, Valid: math.NaN()}
	if b.valid != nil {
		pr.Valid, pr.Best = b.history.Valid[len(b.history.Valid)-1], b.history.Best
	}
	b.p.Progress(pr)
}

// forest is the result.
func (b *booster) forest() *Forest {
	f := &Forest{
		FeatureNames: slices.Clone(b.train.Names),
		Objective:    "binary", Sigmoid: 1,
		Trees: b.trees[:b.history.Best],
	}
	for source := range b.train.Names {
		f.FeatureInfos = append(f.FeatureInfos, b.info(source))
	}
	if b.p.constrained() {
		for _, m := range b.p.Monotone {
			f.MonotoneConstraints = append(f.MonotoneConstraints, int(m))
		}
	}
	f.Parameters = b.p.notes()
	return f
}

// info says what training saw of a feature, as the text format wants it.
func (b *booster) info(source int) string {
	for i := range b.grow.t.features {
		feat := &b.grow.t.features[i]
		switch {
		case feat.source != source:
		case feat.kind == numeric && len(feat.bounds) > 0:
			return fmt.Sprintf("[%v:%v]", feat.low, feat.high)
		case feat.kind == categorical && feat.bins > 1:
			return strings.Trim(strings.ReplaceAll(fmt.Sprint(feat.codes), " ", ":"), "[]")
		}
	}
	return "none"
}

// timed adds the time until the function it returns is called to a phase.
func (g *grower) timed(phase string) func() {
	begin := time.Now()
	return func() { g.phases[phase] += time.Since(begin) }
}
