package gbdt

import (
	"math"
	"slices"

	"churn/model/gbdt/internal/kernel"
)

// A leaf is a leaf of a tree that is being grown.
type leaf struct {
	rows, outside span   // its rows in the bag, and those not drawn
	depth         int    // questions above it
	sum           uint64 // packed sum over its rows
	histogram     []uint64
	best          split
	l2            float64 // penalty on its value: CatL2 more below a split by a set
	low, high     float64 // bounds on its value before shrinkage, from monotone constraints
}

// A span is a range of a list of row numbers.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }

// A split is the best way found to part a leaf. Sums and gains are in the
// units of packed words.
type split struct {
	gain    float64 // reduction of the loss, times 2; 0: there is none
	feature int
	left    [256]bool // per bin of the feature, whether it goes left
	sum     uint64    // of the rows that go left
	bin     int       // numeric and encoded: the last bin of the lower side
	missing bool      // numeric: whether missing values go left
	set     bool      // parts levels by a set found in the leaf, which costs CatL2
}

// A finder finds splits: what they depend on beside histograms.
type finder struct {
	p       *Params
	t       *table
	bounded bool    // some feature has a monotone constraint, so every leaf has bounds
	gScale  float64 // units of packed words to one of g
	hScale  float64
}

// penalties returns what the gains of l depend on.
func (f *finder) penalties(l *leaf) kernel.Leaf {
	g, h := kernel.Unpack(l.sum)
	return kernel.Leaf{
		G: g, H: h, L1: f.p.L1 * f.gScale, L2: f.p.L2 * f.hScale,
		// Rows are estimated from Hessians, of which every side needs some.
		MinHessian: max(f.p.MinHessian*f.hScale, f.p.MinRows*h/float64(l.rows.len()), 1),
	}
}

// unsplit is what l contributes to the gain while it is not split.
func (f *finder) unsplit(k *kernel.Leaf, l *leaf) float64 {
	if f.bounded {
		return f.gainOf(k.G, k.H, f.value(k.G, k.H, k, l), k)
	}
	return k.Gain(k.G, k.H)
}

// minGain is what a split must gain beyond unsplit: what Params ask, and more
// than rounding can pretend.
func (f *finder) minGain(unsplit float64) float64 {
	return max(f.p.MinGain*f.gScale*f.gScale/f.hScale, unsplit*1e-9)
}

// gain returns the greatest gain of a split of feature i, of which hist is
// the histogram, or 0. It is the inner loop of the search.
func (f *finder) gain(i int, hist []uint64, k *kernel.Leaf, l *leaf) float64 {
	feat := &f.t.features[i]
	switch {
	case feat.kind == categorical:
		return f.bestSet(feat, hist, k, l).gain
	case f.bounded:
		return f.constrained(i, hist, k, l).gain
	}
	best := kernel.BestGain(hist, 0, k)
	if missing := feat.missingSum(hist); missing != 0 {
		best = max(best, kernel.BestGain(hist, missing, k))
	}
	return best
}

// split returns the split of feature i that has the given gain.
func (f *finder) split(i int, hist []uint64, k *kernel.Leaf, l *leaf, gain float64) split {
	feat := &f.t.features[i]
	if feat.kind == categorical {
		set := f.bestSet(feat, hist, k, l)
		return set.split(i)
	}
	missing := feat.missingSum(hist)
	var c binSplit
	if f.bounded {
		c = f.constrained(i, hist, k, l)
	} else if c.bin = kernel.FirstGain(hist, 0, k, gain); c.bin < 0 {
		c.bin, c.missing = kernel.FirstGain(hist, missing, k, gain), true
	}
	return f.settle(f.atBin(i, hist, k, c.bin, c.missing), missing, k)
}

// atBin is the split of feature i after bin.
func (f *finder) atBin(i int, hist []uint64, k *kernel.Leaf, bin int, missingLeft bool) split {
	feat := &f.t.features[i]
	s := split{feature: i, bin: bin, missing: missingLeft}
	for b := range bin + 1 {
		s.left[b] = true
		s.sum += hist[b]
	}
	if feat.missing && missingLeft {
		s.left[feat.bins-1] = true
		s.sum += hist[feat.bins-1]
	}
	if feat.kind == encoded && feat.restIsLow(bin) {
		// The file format sends what it does not know to the right.
		for b := range feat.bins {
			s.left[b] = !s.left[b]
		}
		s.sum = kernel.Pack(k.G, k.H) - s.sum
	}
	return s
}

// settle decides where missing values go that were not seen: with most rows.
func (f *finder) settle(s split, missing uint64, k *kernel.Leaf) split {
	feat := &f.t.features[s.feature]
	if feat.kind != numeric || missing != 0 {
		return s
	}
	_, h := kernel.Unpack(s.sum)
	s.missing = h > k.H-h
	if feat.missing {
		s.left[feat.bins-1] = s.missing
	}
	return s
}

// missingSum is the sum of the rows with missing values in the histogram of a
// numeric feature.
func (f *feature) missingSum(hist []uint64) uint64 {
	if !f.missing {
		return 0
	}
	return hist[f.bins-1]
}

// restIsLow reports whether codes without a number of their own are on the
// lower side of a split after bin.
func (f *feature) restIsLow(bin int) bool { return f.code.rest <= f.bounds[bin] }

// A setSplit is a split of a categorical feature by a set of levels.
type setSplit struct {
	gain   float64
	sum    uint64
	levels levelOrder // of which those from `from` to `to` go left
	from   int
	to     int
	many   bool
}

// levelOrder is bins of a categorical feature in some order.
type levelOrder [256]uint8

func (s *setSplit) split(feature int) split {
	out := split{feature: feature, sum: s.sum, set: s.many}
	for _, b := range s.levels[s.from:s.to] {
		out.left[b] = true
	}
	return out
}

// bestSet is LightGBM's search: with few levels, one against the rest; else
// levels in order of their mean gradient, and a number of them from either
// end. Bin 0, of missing, rare and unseen levels, always goes right.
func (f *finder) bestSet(feat *feature, hist []uint64, k *kernel.Leaf, l *leaf) (best setSplit) {
	rows := float64(l.rows.len()) / k.H // rows to a unit of Hessian
	if feat.alone || feat.bins <= f.p.OneHotLevels {
		for b := 1; b < feat.bins; b++ {
			if gain := k.Split(hist[b]); gain > best.gain {
				best.gain, best.sum = gain, hist[b]
				best.levels[0], best.to = uint8(b), 1
			}
		}
		return best
	}
	n := f.order(&best.levels, feat, hist, rows)
	harder := *k
	harder.L2 += f.p.CatL2 * f.hScale
	most := min(f.p.CatMaxLevels, (n+1)/2)
	best.many = true
	for _, end := range [2]bool{false, true} {
		var sum uint64
		group := 0.0
		for i := range most {
			b := best.levels[i]
			if end {
				b = best.levels[n-1-i]
			}
			sum += hist[b]
			_, h := kernel.Unpack(hist[b])
			group += float64(h * rows)
			_, h = kernel.Unpack(sum)
			if h < k.MinHessian {
				continue
			}
			if right := k.H - h; right < k.MinHessian || float64(right*rows) < f.p.CatMinRows {
				break
			}
			if group < f.p.CatMinRows {
				continue
			}
			group = 0
			if gain := harder.Split(sum); gain > best.gain {
				best.gain, best.sum, best.from, best.to = gain, sum, 0, i+1
				if end {
					best.from, best.to = n-1-i, n
				}
			}
		}
	}
	return best
}

// order puts the levels that have enough rows in order of their mean gradient,
// the lower bin first among equals, and returns how many they are. Levels are
// few and leaves many: nothing beats sorting by insertion.
func (f *finder) order(levels *levelOrder, feat *feature, hist []uint64, rows float64) (n int) {
	var ratio [256]float64
	smooth := f.p.CatSmooth * f.hScale
	for b := 1; b < feat.bins; b++ {
		g, h := kernel.Unpack(hist[b])
		if h <= 0 || float64(h*rows) < f.p.CatSmooth-0.5 { // LightGBM rounds the rows
			continue
		}
		r := g / (h + smooth)
		i := n
		for ; i > 0 && ratio[i-1] > r; i-- {
			ratio[i], levels[i] = ratio[i-1], levels[i-1]
		}
		ratio[i], levels[i] = r, uint8(b)
		n++
	}
	return n
}

// binSplit is a split of a feature in the order of its bins.
type binSplit struct {
	gain    float64
	bin     int
	missing bool
}

// constrained searches the splits of feature i whose leaf values lie within
// the bounds of l and, if the feature has a monotone constraint, in its order
// (LightGBM's "basic" method). A value that is not free to be the best costs
// gain: the gain is that of the value, -2Gw - (H+l2)w^2.
func (f *finder) constrained(i int, hist []uint64, k *kernel.Leaf, l *leaf) (best binSplit) {
	feat := &f.t.features[i]
	sign := f.p.sign(feat.source, feat.kind)
	try := func(start uint64, missing bool) {
		for bin := range feat.bins {
			start += hist[bin]
			g, h := kernel.Unpack(start)
			gr, hr := k.G-g, k.H-h
			if h < k.MinHessian || hr < k.MinHessian {
				continue
			}
			w, wr := f.value(g, h, k, l), f.value(gr, hr, k, l)
			if sign > 0 && w > wr || sign < 0 && w < wr {
				continue
			}
			if gain := f.gainOf(g, h, w, k) + f.gainOf(gr, hr, wr, k); gain > best.gain {
				best = binSplit{gain, bin, missing}
			}
		}
	}
	try(0, false)
	if missing := feat.missingSum(hist); missing != 0 {
		try(missing, true)
	}
	return best
}

// value is the best leaf value within the bounds of l, in units of packed
// words.
func (f *finder) value(g, h float64, k *kernel.Leaf, l *leaf) float64 {
	unit := f.gScale / f.hScale
	return min(max(-soft(g, k.L1)/(h+k.L2), l.low*unit), l.high*unit)
}

func (f *finder) gainOf(g, h, w float64, k *kernel.Leaf) float64 {
	return -(float64(2*soft(g, k.L1)*w) + float64(float64((h+k.L2)*w)*w))
}

// soft is g moved towards zero by l1, at most to it.
func soft(g, l1 float64) float64 {
	return math.Copysign(max(math.Abs(g)-l1, 0), g)
}

// constrained reports whether any feature has a monotone constraint: then
// every leaf has bounds, and every split has to be searched with them.
func (p *Params) constrained() bool {
	return slices.ContainsFunc(p.Monotone, func(m int8) bool { return m != 0 })
}

// sign is the monotone constraint of a feature. Categories have no order.
func (p *Params) sign(source int, k featureKind) int8 {
	if len(p.Monotone) == 0 || k != numeric {
		return 0
	}
	return p.Monotone[source]
}
