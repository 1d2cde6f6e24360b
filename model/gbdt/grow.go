package gbdt

import (
	"context"
	"slices"
	"time"

	"churn/model/gbdt/internal/kernel"
)

// A grower grows trees on a table, one after the other.
type grower struct {
	finder
	pool    *pool
	tiles   []tile
	tilesOf []bool   // the features the tiles were packed for
	usable  []bool   // the features this tree may split
	words   int      // of the histogram of a leaf
	bins    int      // of them, those of features
	q       []uint64 // packed derivatives per row
	rows    []int32  // the rows in the bag, then the others, those of a leaf side by side
	right   []int32  // room for rows that are moved

	free  [][]uint64              // histograms not in use
	parts []*kernel.TileHistogram // per tile and part, where rows are shared out
	found []tileBest              // per build and tile and child, see histograms

	leaves []leaf
	tree   builder
	phases map[string]time.Duration
}

// tileBest is the best gain among the features of a tile.
type tileBest struct {
	gain    float64 // beyond that of the unsplit leaf; 0: none
	feature int
	at      int     // of its histogram, in words from the start of the leaf's
	raw     float64 // the gain as kernel.BestGain returns it
}

// A build is the histogram of leaf small, counted, and that of leaf large, if
// there is one, by subtraction from that of their parent, which it has.
type build struct {
	small, large int // number of a leaf; -1: no such leaf
}

// parallelWork is the work, in updates of a bin, below which waking another
// goroutine costs more than it saves.
const parallelWork = 60_000

// each runs tasks on all workers if the work is worth it, else here.
func (g *grower) each(work, tasks int, f func(task, worker int)) {
	if g.pool.workers == 1 || work < parallelWork {
		for task := range tasks {
			f(task, 0)
		}
		return
	}
	g.pool.run(tasks, f)
}

// prepare packs the tiles for the features of a tree, unless they are those
// of the tree before.
func (g *grower) prepare(use []bool) {
	if slices.Equal(use, g.tilesOf) {
		return
	}
	defer g.timed("pack")()
	g.tilesOf = append(g.tilesOf[:0], use...)
	g.tiles = g.t.pack(use, g.tiles, g.pool)
	g.words = 0
	g.bins = 0
	for i := range g.tiles {
		g.words += g.tiles[i].words
		for _, size := range g.tiles[i].size {
			g.bins += size
		}
	}
	g.leaves, g.free = g.leaves[:0], nil // histograms of another layout
}

func (g *grower) histogram() []uint64 {
	if n := len(g.free); n > 0 {
		h := g.free[n-1]
		g.free = g.free[:n-1]
		return h
	}
	return make([]uint64, g.words)
}

func (g *grower) release(l *leaf) {
	if l.histogram != nil {
		g.free = append(g.free, l.histogram)
		l.histogram = nil
	}
}

// splittable reports whether l can be split at all.
func (g *grower) splittable(l *leaf) bool {
	if g.p.MaxDepth > 0 && l.depth >= g.p.MaxDepth || len(g.tiles) == 0 {
		return false
	}
	k := g.penalties(l)
	return k.H >= 2*k.MinHessian
}

// start makes the tree a single leaf of all rows, bag of which are in the bag.
func (g *grower) start(bag int) {
	for i := range g.leaves {
		g.release(&g.leaves[i])
	}
	root := leaf{rows: span{0, bag}, outside: span{bag, len(g.rows)}, l2: g.p.L2, low: -inf, high: inf}
	g.leaves = append(g.leaves[:0], root)
	g.tree = newBuilder(g.p.mostLeaves())
	for _, r := range g.rows[:bag] {
		g.leaves[0].sum += g.q[r]
	}
}

// histograms counts the histograms of builds and, if search is set, finds the
// best split of each of their leaves.
func (g *grower) histograms(builds []build, search bool) {
	begin := time.Now()
	tiles := len(g.tiles)
	work := 0
	for _, b := range builds {
		work += g.leaves[b.small].rows.len() * len(g.t.columns)
		work += 2 * g.words
		g.leaves[b.small].histogram = g.histogram()
	}
	parts := 1
	if len(builds)*tiles < g.pool.workers && work > 4*parallelWork {
		parts = g.pool.workers
	}
	need := len(builds) * tiles * 2
	if cap(g.found) < need {
		g.found = make([]tileBest, need)
	}
	g.found = g.found[:need]
	finish := func(b, i int) {
		small, large, t := &g.leaves[builds[b].small], (*leaf)(nil), &g.tiles[i]
		g.t.margins(t.of(small.histogram), t, g.rows[small.rows.from:small.rows.to], g.q)
		if builds[b].large >= 0 {
			large = &g.leaves[builds[b].large]
			t.subtract(t.of(large.histogram), t.of(small.histogram))
		}
		if search {
			g.found[2*(b*tiles+i)] = g.search(small, t)
			if large != nil {
				g.found[2*(b*tiles+i)+1] = g.search(large, t)
			}
		}
	}
	if parts == 1 {
		g.each(work, len(builds)*tiles, func(task, _ int) {
			b, i := task/tiles, task%tiles
			l, t := &g.leaves[builds[b].small], &g.tiles[i]
			g.count((*kernel.TileHistogram)(t.of(l.histogram)), t, l.rows)
			finish(b, i)
		})
	} else {
		g.countParts(builds, parts, finish)
	}
	if search {
		for i, b := range builds {
			g.choose(b.small, g.found[2*i*tiles:2*(i+1)*tiles], 0)
			g.keepWorth(b.small)
			if b.large >= 0 {
				g.choose(b.large, g.found[2*i*tiles:2*(i+1)*tiles], 1)
				g.keepWorth(b.large)
			}
		}
	}
	g.phases["histograms and search"] += time.Since(begin)
}

// keepWorth releases the histogram of leaf i unless a child's will be computed
// from it, by subtraction, faster than by counting. With few histograms in use
// all of them stay in the processor's cache: on tables of some thousand rows
// most of the time would go into fetching them.
func (g *grower) keepWorth(i int) {
	l := &g.leaves[i]
	if l.best.gain == 0 || l.rows.len()*len(g.t.columns) < g.bins {
		g.release(l)
	}
}

// countParts is for few wide tasks: each worker counts a part of the rows,
// and the sums are added, which is exact in any order.
func (g *grower) countParts(builds []build, parts int, finish func(b, i int)) {
	tiles := len(g.tiles)
	for len(g.parts) < len(builds)*tiles*parts {
		g.parts = append(g.parts, new(kernel.TileHistogram))
	}
	g.pool.run(len(builds)*tiles*parts, func(task, _ int) {
		b, i, part := task/parts/tiles, task/parts%tiles, task%parts
		rows := g.leaves[builds[b].small].rows
		n := rows.len()
		g.count(g.parts[task], &g.tiles[i], span{rows.from + part*n/parts, rows.from + (part+1)*n/parts})
	})
	g.pool.run(len(builds)*tiles, func(task, _ int) {
		b, i := task/tiles, task%tiles
		t := &g.tiles[i]
		sum := t.of(g.leaves[builds[b].small].histogram)[:len(t.columns)*kernel.Stride]
		clear(sum)
		for _, part := range g.parts[task*parts : (task+1)*parts] {
			for i, w := range part[:len(sum)] {
				sum[i] += w
			}
		}
		finish(b, i)
	})
}

// count makes h the histogram of rows over the columns of t.
func (g *grower) count(h *kernel.TileHistogram, t *tile, rows span) {
	width := len(t.columns)
	clear(h[:width*kernel.Stride])
	if g.p.RowFraction == 1 && rows.len() == len(g.rows) {
		kernel.HistogramAll(h, t.data, g.q, 0, len(g.q), width)
		return
	}
	kernel.Histogram(h, t.data, g.q, g.rows[rows.from:rows.to], width)
}

// search returns the best gain among the features of t, for which l has its
// histogram.
func (g *grower) search(l *leaf, t *tile) (best tileBest) {
	if !g.splittable(l) {
		return best
	}
	k := g.penalties(l)
	unsplit := g.unsplit(&k, l)
	least := g.minGain(unsplit)
	for i, f := range t.features {
		if !g.usable[f] {
			continue
		}
		at := t.first + t.at[i]
		raw := g.gain(f, l.histogram[at:at+t.size[i]], &k, l)
		if gain := raw - unsplit; gain > least && raw > best.raw {
			best = tileBest{gain: gain, feature: f, at: at, raw: raw}
		}
	}
	return best
}

// choose makes the best of what the tiles found the split of leaf i. found
// has a pair for each tile, of which child is the leaf's.
func (g *grower) choose(i int, found []tileBest, child int) {
	var best tileBest
	for ; child < len(found); child += 2 {
		f := found[child]
		if f.raw > best.raw || f.raw == best.raw && f.raw > 0 && f.feature < best.feature {
			best = f
		}
	}
	l := &g.leaves[i]
	l.best = split{}
	if best.gain > 0 {
		k := g.penalties(l)
		hist := l.histogram[best.at : best.at+(g.t.features[best.feature].bins+7)/8*8]
		l.best = g.split(best.feature, hist, &k, l, best.raw)
		l.best.gain = best.gain
	}
}

// leafWise grows a tree leaf by leaf, the one whose split gains most first.
func (g *grower) leafWise(ctx context.Context) error {
	if g.splittable(&g.leaves[0]) {
		g.histograms([]build{{0, -1}}, true)
	}
	for len(g.leaves) < g.p.Leaves {
		if err := ctx.Err(); err != nil {
			return err
		}
		best := 0
		for i := range g.leaves {
			if g.leaves[i].best.gain > g.leaves[best].best.gain {
				best = i
			}
		}
		if g.leaves[best].best.gain == 0 {
			return nil
		}
		builds := g.builds(g.splitLeaf(best))
		if len(builds) > 0 && len(g.leaves) < g.p.Leaves {
			g.histograms(builds, true)
		}
	}
	return nil
}

// builds returns how to come by the histograms of b's leaves that can be
// split: if that of their parent is not there, by counting both.
func (g *grower) builds(b build) (builds []build) {
	small, large := &g.leaves[b.small], &g.leaves[b.large]
	switch {
	case !g.splittable(large):
		g.release(large)
	case large.histogram != nil:
		return append(builds, b)
	default:
		builds = append(builds, build{b.large, -1})
	}
	if g.splittable(small) {
		builds = append(builds, build{b.small, -1})
	}
	return builds
}

// splitLeaf carries out the split of leaf i, whose rows on the right become a
// new, last leaf. The histogram of leaf i becomes that of its larger child.
func (g *grower) splitLeaf(i int) build {
	begin := time.Now()
	l := g.leaves[i]
	s := &l.best
	var left [256]uint8
	for b, bin := range g.t.digit[s.feature] {
		if s.left[bin] {
			left[b] = 1
		}
	}
	column := g.t.bytes[g.t.place[s.feature].column]
	mid := l.rows.from + g.partition(l.rows, column, &left)
	midOut := l.outside.from + g.partition(l.outside, column, &left)

	l2 := g.p.L2
	if s.set {
		l2 += g.p.CatL2
	}
	child := leaf{depth: l.depth + 1, l2: l2, low: l.low, high: l.high}
	a, b := child, child
	a.rows, a.outside, a.sum = span{l.rows.from, mid}, span{l.outside.from, midOut}, s.sum
	b.rows, b.outside, b.sum = span{mid, l.rows.to}, span{midOut, l.outside.to}, l.sum-s.sum
	g.bound(&l, s, &a, &b)
	g.tree.split(i, g.t, s, g.gScale*g.gScale/g.hScale)
	out := build{small: len(g.leaves), large: i}
	if a.rows.len() < b.rows.len() {
		out = build{small: i, large: len(g.leaves)}
		b.histogram = l.histogram
	} else {
		a.histogram = l.histogram
	}
	g.leaves[i] = a
	g.leaves = append(g.leaves, b)
	g.phases["partition"] += time.Since(begin)
	return out
}

// bound passes on the bounds a monotone split puts on the values below it.
func (g *grower) bound(l *leaf, s *split, a, b *leaf) {
	if !g.bounded {
		return
	}
	feat := &g.t.features[s.feature]
	sign := g.p.sign(feat.source, feat.kind)
	if sign == 0 {
		return
	}
	k := g.penalties(l)
	ga, ha := kernel.Unpack(a.sum)
	gb, hb := kernel.Unpack(b.sum)
	mid := (g.value(ga, ha, &k, l) + g.value(gb, hb, &k, l)) / 2 * g.hScale / g.gScale
	if sign > 0 {
		a.high, b.low = mid, mid
	} else {
		a.low, b.high = mid, mid
	}
}

// partitionRows is how many rows are parted at a time.
const partitionRows = 1 << 14

// partition parts the rows of s by their byte in column and returns how many
// go left. Both sides keep their order.
func (g *grower) partition(s span, column []uint8, left *[256]uint8) int {
	rows, right := g.rows[s.from:s.to], g.right[s.from:s.to]
	if g.pool.workers == 1 || len(rows) < 2*partitionRows {
		n := kernel.Partition(rows, right, column, left)
		copy(rows[n:], right)
		return n
	}
	chunks := (len(rows) + partitionRows - 1) / partitionRows
	stay := make([]int, chunks)
	g.pool.blocks(len(rows), partitionRows, func(c, from, to, _ int) {
		stay[c] = kernel.Partition(rows[from:to], right[from:to], column, left)
	})
	n := 0
	for c, k := range stay {
		from := c * partitionRows
		copy(rows[n:], rows[from:from+k])
		n += k
	}
	at := n
	for c, k := range stay {
		from := c * partitionRows
		to := min(from+partitionRows, len(rows))
		at += copy(rows[at:], right[from:to-k])
	}
	return n
}
