package gbdt

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/model/gbdt/internal/kernel"
)

// The slow, obvious trainer: a histogram is a loop over rows, a split is
// tried by adding up bins, sums of gradients and of Hessians are separate
// integers, bins are found by looking at the bounds one by one. It knows
// nothing of columns shared by features, tiles, packed words or subtraction.
type naive struct {
	b      *booster
	bins   [][]int // per feature, per row
	bag    int
	leaves []naiveLeaf
	tree   Tree
}

type naiveLeaf struct {
	rows, outside []int
	depth         int
	l2, low, high float64
	parent        int // node, -1: none
	best          naiveSplit
}

type naiveSplit struct {
	raw, gain float64 // of both sides, and beyond the unsplit leaf
	feature   int
	left      map[int]bool
	bin       int
	missing   bool
	many      bool
	level     bool // one level against the rest
	wl, wr    float64
}

func newNaive(b *booster, bag int) *naive {
	n := &naive{b: b, bag: bag}
	t := b.grow.t
	width := len(b.train.Names)
	for f := range t.features {
		feat := &t.features[f]
		bins := make([]int, t.rows)
		for r := range bins {
			x := b.train.X[r*width+feat.source]
			switch {
			case feat.kind == categorical:
				for bin := 1; bin < feat.bins; bin++ {
					if x == float32(feat.codes[bin]) {
						bins[r] = bin
					}
				}
			case feat.kind == encoded:
				// The value of a training row is not kept; its bin is tested
				// by TestOrderedStatistics.
				p := t.place[f]
				bins[r] = int(t.bytes[p.column][r]) / p.unit % feat.bins
			case x != x:
				bins[r] = feat.bins - 1
			default:
				for _, bound := range feat.bounds {
					if float64(x) > float64(bound) {
						bins[r]++
					}
				}
			}
		}
		n.bins = append(n.bins, bins)
	}
	root := naiveLeaf{l2: b.p.L2, low: math.Inf(-1), high: math.Inf(1), parent: -1}
	for i, r := range b.grow.rows {
		if i < bag {
			root.rows = append(root.rows, int(r))
		} else {
			root.outside = append(root.outside, int(r))
		}
	}
	n.leaves = []naiveLeaf{root}
	return n
}

func (n *naive) sums(rows []int) (g, h int64) {
	for _, r := range rows {
		g += int64(n.b.grow.q[r]) >> 32
		h += int64(n.b.grow.q[r] & 0xffffffff)
	}
	return
}

func (n *naive) histogram(f int, rows []int) (g, h [256]int64) {
	for _, r := range rows {
		q := n.b.grow.q[r]
		g[n.bins[f][r]] += int64(q) >> 32
		h[n.bins[f][r]] += int64(q & 0xffffffff)
	}
	return
}

// penalties in units of rounded derivatives, and the least Hessian of a side.
func (n *naive) units(l *naiveLeaf) (l1, l2, cat, least, rows float64) {
	p, g := &n.b.p, &n.b.grow
	_, h := n.sums(l.rows)
	rows = float64(len(l.rows)) / float64(h)
	least = max(p.MinHessian*g.hScale, p.MinRows*float64(h)/float64(len(l.rows)), 1)
	return p.L1 * g.gScale, p.L2 * g.hScale, p.CatL2 * g.hScale, least, rows
}

// gain of two sides, written with the same operations as the kernels so that
// equal gains stay equal.
func naiveGain(g, h, G, H int64, l1, l2 float64) float64 {
	a := max(math.Abs(float64(g))-l1, 0)
	b := max(math.Abs(float64(G-g))-l1, 0)
	hl, hr := float64(h)+l2, float64(H-h)+l2
	return (float64(float64(a*a)*hr) + float64(float64(b*b)*hl)) / float64(hl*hr)
}

func (n *naive) clampedGain(g, h, G, H int64, l *naiveLeaf, sign int8) (gain, wl, wr float64) {
	l1, l2, _, _, _ := n.units(l)
	unit := n.b.grow.gScale / n.b.grow.hScale
	side := func(g, h float64) (w, gain float64) {
		s := math.Copysign(max(math.Abs(g)-l1, 0), g)
		w = min(max(-s/(h+l2), l.low*unit), l.high*unit)
		return w, -(float64(2*s*w) + float64(float64((h+l2)*w)*w))
	}
	wl, gl := side(float64(g), float64(h))
	wr, gr := side(float64(G-g), float64(H-h))
	if sign > 0 && wl > wr || sign < 0 && wl < wr {
		return 0, 0, 0
	}
	return gl + gr, wl, wr
}

// search tries everything.
func (n *naive) search(l *naiveLeaf) (best naiveSplit) {
	p, t := &n.b.p, n.b.grow.t
	if len(l.rows) == 0 || p.MaxDepth > 0 && l.depth >= p.MaxDepth {
		return
	}
	l1, l2, cat, least, rows := n.units(l)
	G, H := n.sums(l.rows)
	if float64(H) < 2*least {
		return
	}
	a := max(math.Abs(float64(G))-l1, 0)
	unsplit := float64(a*a) / (float64(H) + l2)
	if p.constrained() {
		unit := n.b.grow.gScale / n.b.grow.hScale
		s := math.Copysign(a, float64(G))
		w := min(max(-s/(float64(H)+l2), l.low*unit), l.high*unit)
		unsplit = -(float64(2*s*w) + float64(float64((float64(H)+l2)*w)*w))
	}
	minGain := max(p.MinGain*n.b.grow.gScale*n.b.grow.gScale/n.b.grow.hScale, unsplit*1e-9)
	consider := func(s naiveSplit) {
		if s.gain = s.raw - unsplit; s.gain > minGain && s.raw > best.raw {
			best = s
		}
	}
	for f := range t.features {
		if !n.b.grow.usable[f] {
			continue
		}
		feat := &t.features[f]
		hg, hh := n.histogram(f, l.rows)
		if feat.kind == categorical {
			n.searchLevels(f, hg, hh, G, H, l1, l2, cat, least, rows, consider)
			continue
		}
		last := feat.bins
		if feat.missing {
			last--
		}
		for _, missing := range []bool{false, true} {
			var g, h int64
			if missing {
				if !feat.missing || hg[last] == 0 && hh[last] == 0 {
					continue
				}
				g, h = hg[last], hh[last]
			}
			for bin := range last {
				g += hg[bin]
				h += hh[bin]
				if float64(h) < least || float64(H-h) < least {
					continue
				}
				s := naiveSplit{feature: f, bin: bin, missing: missing}
				if p.constrained() {
					s.raw, s.wl, s.wr = n.clampedGain(g, h, G, H, l, p.sign(feat.source, feat.kind))
					if s.raw == 0 {
						continue
					}
				} else {
					s.raw = naiveGain(g, h, G, H, l1, l2)
				}
				consider(s)
			}
		}
	}
	return best
}

func (n *naive) searchLevels(f int, hg, hh [256]int64, G, H int64, l1, l2, cat, least, rows float64, consider func(naiveSplit)) {
	p := &n.b.p
	feat := &n.b.grow.t.features[f]
	if feat.alone || feat.bins <= p.OneHotLevels {
		for b := 1; b < feat.bins; b++ {
			if float64(hh[b]) >= least && float64(H-hh[b]) >= least {
				consider(naiveSplit{raw: naiveGain(hg[b], hh[b], G, H, l1, l2), feature: f, left: map[int]bool{b: true}, level: true})
			}
		}
		return
	}
	var levels []int
	for b := 1; b < feat.bins; b++ {
		if hh[b] > 0 && float64(float64(hh[b])*rows) >= p.CatSmooth-0.5 {
			levels = append(levels, b)
		}
	}
	ratio := func(b int) float64 { return float64(hg[b]) / (float64(hh[b]) + p.CatSmooth*n.b.grow.hScale) }
	slices.SortFunc(levels, func(a, b int) int { return cmp.Or(cmp.Compare(ratio(a), ratio(b)), a-b) })
	for range 2 {
		left := map[int]bool{}
		var g, h int64
		group := 0.0
		for _, b := range levels[:min(p.CatMaxLevels, (len(levels)+1)/2)] {
			left[b] = true
			g += hg[b]
			h += hh[b]
			group += float64(float64(hh[b]) * rows)
			if float64(h) < least {
				continue
			}
			if float64(H-h) < least || float64(float64(H-h)*rows) < p.CatMinRows {
				break
			}
			if group < p.CatMinRows {
				continue
			}
			group = 0
			kept := map[int]bool{}
			for b := range left {
				kept[b] = true
			}
			consider(naiveSplit{raw: naiveGain(g, h, G, H, l1, l2+cat), feature: f, left: kept, many: true})
		}
		slices.Reverse(levels)
	}
}

// goesLeft says where a bin goes in a split.
func (n *naive) goesLeft(s *naiveSplit, bin int, heavier bool) bool {
	feat := &n.b.grow.t.features[s.feature]
	switch {
	case feat.kind == categorical:
		return s.left[bin]
	case feat.missing && bin == feat.bins-1:
		return s.missing || heavier
	case feat.kind == encoded && feat.code.rest <= feat.bounds[s.bin]:
		return bin > s.bin
	}
	return bin <= s.bin
}

// split carries out the best split of leaf i.
func (n *naive) split(i int, s naiveSplit) {
	l := n.leaves[i]
	feat := &n.b.grow.t.features[s.feature]
	heavier := false
	if feat.missing && !s.missing {
		_, hh := n.histogram(s.feature, l.rows)
		hg, _ := n.histogram(s.feature, l.rows)
		if hh[feat.bins-1] == 0 && hg[feat.bins-1] == 0 {
			var left, all int64
			for b, h := range hh {
				all += h
				if b <= s.bin {
					left += h
				}
			}
			heavier = left > all-left
		}
	}
	node := len(n.tree.SplitFeature)
	a, b := l, l
	a.rows, b.rows, a.outside, b.outside = nil, nil, nil, nil
	for _, r := range l.rows {
		if n.goesLeft(&s, n.bins[s.feature][r], heavier) {
			a.rows = append(a.rows, r)
		} else {
			b.rows = append(b.rows, r)
		}
	}
	for _, r := range l.outside {
		if n.goesLeft(&s, n.bins[s.feature][r], heavier) {
			a.outside = append(a.outside, r)
		} else {
			b.outside = append(b.outside, r)
		}
	}
	l2 := n.b.p.L2
	if s.many {
		l2 += n.b.p.CatL2
	}
	for _, c := range []*naiveLeaf{&a, &b} {
		c.depth, c.l2, c.parent = l.depth+1, l2, node
	}
	if sign := n.b.p.sign(feat.source, feat.kind); sign != 0 {
		mid := (s.wl + s.wr) / 2 * n.b.grow.hScale / n.b.grow.gScale
		if sign > 0 {
			a.high, b.low = mid, mid
		} else {
			a.low, b.high = mid, mid
		}
	}
	n.tree.SplitFeature = append(n.tree.SplitFeature, feat.source)
	n.tree.SplitGain = append(n.tree.SplitGain, s.gain)
	n.leaves[i] = a
	n.leaves = append(n.leaves, b)
}

func (n *naive) leafWise() {
	n.leaves[0].best = n.search(&n.leaves[0])
	for len(n.leaves) < n.b.p.Leaves {
		best := 0
		for i := range n.leaves {
			if n.leaves[i].best.gain > n.leaves[best].best.gain {
				best = i
			}
		}
		if n.leaves[best].best.gain == 0 {
			return
		}
		n.split(best, n.leaves[best].best)
		n.leaves[best].best = n.search(&n.leaves[best])
		last := len(n.leaves) - 1
		n.leaves[last].best = n.search(&n.leaves[last])
	}
}

// oracleCase is a table and the settings to grow trees with.
type oracleCase struct {
	name string
	data func(r *rand.Rand) *Dataset
	set  func(p *Params)
}

// mixed is a table with all kinds of features.
func mixed(rows int) func(r *rand.Rand) *Dataset {
	return func(r *rand.Rand) *Dataset {
		d := &Dataset{Names: []string{"even", "zeros", "gaps", "few", "flag", "few2", "colour", "town", "constant", "empty"},
			Categorical: []bool{6: true, 7: true, 9: false}}
		for range rows {
			x := []float32{
				float32(r.NormFloat64()), 0, float32(r.ExpFloat64()), float32(r.IntN(5)), float32(r.IntN(2)), float32(r.IntN(9)),
				float32(r.IntN(4)), float32(int(r.ExpFloat64() * 12)), 3, float32(math.NaN()),
			}
			if r.IntN(3) == 0 {
				x[1] = float32(r.NormFloat64())
			}
			z := float64(x[0]) + float64(x[1]) + 0.3*float64(x[3]) + math.Sin(float64(x[7])) + 0.5*float64(x[4])*float64(x[2])
			if r.IntN(4) == 0 {
				x[2] = float32(math.NaN())
				z++
			}
			if r.IntN(20) == 0 {
				x[6] = float32(math.NaN())
			}
			if x[6] == 2 {
				z -= 1.5
			}
			y := float32(0)
			if r.Float64() < 1/(1+math.Exp(1-z)) {
				y = 1
			}
			d.X = append(d.X, x...)
			d.Labels = append(d.Labels, y)
		}
		return d
	}
}

func weighted(data func(r *rand.Rand) *Dataset) func(r *rand.Rand) *Dataset {
	return func(r *rand.Rand) *Dataset {
		d := data(r)
		for range d.Labels {
			d.Weights = append(d.Weights, float32(r.IntN(4))*0.5)
		}
		return d
	}
}

var oracleCases = []oracleCase{
	{"default", mixed(3000), func(p *Params) {}},
	{"tiny", mixed(30), func(p *Params) { p.MinRows = 1 }},
	{"wide bins", mixed(3000), func(p *Params) { p.Bins = 16 }},
	{"penalties", mixed(3000), func(p *Params) { p.L1, p.L2, p.MinGain = 2, 5, 1 }},
	{"depth", mixed(3000), func(p *Params) { p.MaxDepth = 3 }},
	{"weights", weighted(mixed(3000)), func(p *Params) {}},
	{"row sampling", mixed(3000), func(p *Params) { p.RowFraction = 0.5 }},
	{"column sampling", mixed(3000), func(p *Params) { p.ColumnFraction = 0.5 }},
	{"monotone", mixed(3000), func(p *Params) { p.Monotone = []int8{1, 1, -1, -1, 0, 1, 0, 0, 0, 0} }},
	{"ignored", mixed(3000), func(p *Params) {
		p.Ignore, p.ColumnFraction = []bool{true, false, false, true, false, false, true, false, false, false}, 0.7
	}},
	{"sets", mixed(5000), func(p *Params) { p.CatMinRows, p.CatSmooth, p.TargetOrders = 10, 3, 0 }},
	{"target statistics", mixed(5000), func(p *Params) { p.TargetLevels = 8 }},
	{"symmetric", mixed(400), func(p *Params) { p.Grower = Symmetric }},
	{"symmetric, penalties", weighted(mixed(400)), func(p *Params) { p.Grower, p.L1, p.L2, p.MinGain, p.RowFraction = Symmetric, 1, 3, 0.5, 0.7 }},
	{"large leaves", mixed(70000), func(p *Params) { p.Leaves = 8 }},
}

// TestGrowerAgainstOracle: the fast grower makes the splits the obvious one
// makes, with the same gain to the last bit, and leaves with the same rows,
// at every level of vector instructions and with one worker or several.
func TestGrowerAgainstOracle(t *testing.T) {
	for _, c := range oracleCases {
		t.Run(c.name, func(t *testing.T) {
			d := c.data(rand.New(rand.NewPCG(3, 4)))
			p := DefaultParams()
			c.set(&p)
			for level := kernel.Plain; level <= kernel.Best(); level++ {
				for _, workers := range []int{1, 3} {
					t.Run(fmt.Sprintf("%v, %d workers", level, workers), func(t *testing.T) {
						defer kernel.Use(kernel.Use(level))
						p.Workers = workers
						compareWithOracle(t, p, d)
					})
				}
			}
		})
	}
}

func compareWithOracle(t *testing.T, p Params, d *Dataset) {
	b := newRun(t, p, d, nil)
	defer b.grow.pool.close()
	for tree := range 3 {
		g := &b.grow
		b.derive(uint32(tree))
		g.prepare(b.columns(tree))
		bag := b.bag(tree)
		g.start(bag)
		n := newNaive(b, bag) // before rows are parted
		grow, obvious := g.leafWise, n.leafWise
		if p.Grower == Symmetric {
			grow, obvious = g.symmetric, n.symmetric
		}
		if err := grow(context.Background()); err != nil {
			t.Fatal(err)
		}
		obvious()
		for i, gain := range g.tree.tree.SplitGain {
			g.tree.tree.SplitGain[i] = gain * (g.gScale * g.gScale / g.hScale)
			if i < len(n.tree.SplitGain) && math.Abs(g.tree.tree.SplitGain[i]/n.tree.SplitGain[i]-1) > 1e-15*4 {
				t.Fatalf("tree %d, split %d: gain %v of feature %d, oracle has %v of %d", tree, i,
					g.tree.tree.SplitGain[i], g.tree.tree.SplitFeature[i], n.tree.SplitGain[i], n.tree.SplitFeature[i])
			}
		}
		if len(g.leaves) != len(n.leaves) || !slices.Equal(g.tree.tree.SplitFeature, n.tree.SplitFeature) {
			t.Fatalf("tree %d: splits features %v, oracle %v", tree, g.tree.tree.SplitFeature, n.tree.SplitFeature)
		}
		if len(g.leaves) == 1 {
			t.Fatalf("tree %d has one leaf: nothing was compared", tree)
		}
		for i := range g.leaves {
			l := &g.leaves[i]
			for _, s := range []struct {
				got  []int32
				want []int
			}{{g.rows[l.rows.from:l.rows.to], n.leaves[i].rows}, {g.rows[l.outside.from:l.outside.to], n.leaves[i].outside}} {
				if !slices.EqualFunc(s.got, s.want, func(a int32, b int) bool { return int(a) == b }) {
					t.Fatalf("tree %d, leaf %d: %d rows, oracle has %d or others", tree, i, len(s.got), len(s.want))
				}
			}
		}
		b.placeRows()
		values := g.tree.finish(&b.p, g.leaves, b.leafSums())
		b.update(values.LeafValue)
	}
}
