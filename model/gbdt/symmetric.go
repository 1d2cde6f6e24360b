package gbdt

import (
	"context"

	"churn/model/gbdt/internal/kernel"
)

// symmetricDepth is the depth of symmetric trees where Params do not say.
const symmetricDepth = 6

// depth is the depth of symmetric trees.
func (p *Params) depth() int {
	if p.MaxDepth == 0 {
		return symmetricDepth
	}
	return p.MaxDepth
}

// symmetric grows a tree level by level. All leaves of a level that can be
// split are asked the same question, the one that gains most in all of them
// together; a leaf that would be left with too little on one side stays one.
func (g *grower) symmetric(ctx context.Context) error {
	depth := g.p.depth()
	builds := []build{{0, -1}}
	if !g.splittable(&g.leaves[0]) {
		return nil
	}
	for level := range depth {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(builds) > 0 {
			g.histograms(builds, false)
		}
		q := g.bestQuestion()
		if q.gain == 0 {
			return nil
		}
		builds = builds[:0]
		for i := range len(g.leaves) { // not those that come to be on the way
			if !g.ask(i, q) {
				continue
			}
			if b := g.builds(g.splitLeaf(i)); level+1 < depth {
				builds = append(builds, b...)
			}
		}
	}
	return nil
}

// A question parts the leaves of a level: after a bin of an ordered feature,
// or a level of a categorical one from the rest.
type question struct {
	binSplit
	feature int
	at      int // of the feature's histogram in that of a leaf
}

// asked returns the leaves that can be split, and what each gains unsplit.
func (g *grower) asked() (leaves []*leaf, ks []kernel.Leaf, unsplit []float64) {
	for i := range g.leaves {
		if l := &g.leaves[i]; l.histogram != nil && g.splittable(l) {
			k := g.penalties(l)
			leaves, ks, unsplit = append(leaves, l), append(ks, k), append(unsplit, g.unsplit(&k, l))
		}
	}
	return leaves, ks, unsplit
}

// bestQuestion returns the question that gains most over all leaves that can
// be split; its gain is 0 if there is none.
func (g *grower) bestQuestion() (best question) {
	defer g.timed("histograms and search")()
	leaves, ks, unsplit := g.asked()
	total := 0.0
	for _, u := range unsplit {
		total += u
	}
	found := make([]question, len(g.tiles))
	g.each(4*len(leaves)*g.words, len(g.tiles), func(task, _ int) {
		t := &g.tiles[task]
		for i, f := range t.features {
			if !g.usable[f] {
				continue
			}
			at, words := t.first+t.at[i], t.size[i]
			q := g.ofFeature(f, at, words, leaves, ks, unsplit)
			q.gain -= total
			if q.gain > g.minGain(total) && q.gain > found[task].gain {
				found[task] = q
			}
		}
	})
	for _, q := range found {
		if q.gain > best.gain || q.gain == best.gain && q.gain > 0 && q.feature < best.feature {
			best = q
		}
	}
	return best
}

// ofFeature returns the best question about feature f, with the sum of gains
// over the leaves, unsplit ones included.
func (g *grower) ofFeature(f, at, words int, leaves []*leaf, ks []kernel.Leaf, unsplit []float64) (best question) {
	feat := &g.t.features[f]
	var sums [2][256 + 8]float64
	var missing uint64
	for i, l := range leaves {
		hist := l.histogram[at : at+words]
		if feat.kind == categorical {
			for b := 1; b < feat.bins; b++ {
				if gain := ks[i].Split(hist[b]); gain > 0 {
					sums[0][b] += gain
				} else {
					sums[0][b] += unsplit[i]
				}
			}
			continue
		}
		kernel.AddGains(sums[0][:words], hist, 0, &ks[i], unsplit[i])
		if feat.missing {
			kernel.AddGains(sums[1][:words], hist, feat.missingSum(hist), &ks[i], unsplit[i])
			missing += feat.missingSum(hist)
		}
	}
	best.feature, best.at = f, at
	for side, sums := range sums[:] {
		if side == 1 && missing == 0 {
			break
		}
		for bin, gain := range sums[:feat.bins] {
			if gain > best.gain {
				best.binSplit = binSplit{gain: gain, bin: bin, missing: side == 1}
			}
		}
	}
	if feat.kind == numeric && missing == 0 {
		best.missing = g.mostBelow(best.bin, at, leaves)
	}
	return best
}

// mostBelow reports whether most of the Hessian of leaves is in bins up to
// bin: the side missing values go to that were not seen in training.
func (g *grower) mostBelow(bin, at int, leaves []*leaf) bool {
	below, all := 0.0, 0.0
	for _, l := range leaves {
		sum := uint64(0)
		for _, w := range l.histogram[at : at+bin+1] {
			sum += w
		}
		_, h := kernel.Unpack(sum)
		below += h
		_, h = kernel.Unpack(l.sum)
		all += h
	}
	return below > all-below
}

// ask makes q the split of leaf i and reports whether it may be split so.
func (g *grower) ask(i int, q question) bool {
	l := &g.leaves[i]
	if l.histogram == nil || !g.splittable(l) {
		return false
	}
	k := g.penalties(l)
	feat := &g.t.features[q.feature]
	hist := l.histogram[q.at : q.at+feat.bins]
	if feat.kind == categorical {
		one := setSplit{sum: hist[q.bin], levels: levelOrder{uint8(q.bin)}, to: 1}
		l.best = one.split(q.feature)
	} else {
		l.best = g.atBin(q.feature, hist, &k, q.bin, q.missing)
	}
	raw := k.Split(l.best.sum)
	l.best.gain = max(raw-g.unsplit(&k, l), 0)
	return raw > 0
}
