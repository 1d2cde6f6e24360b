package gbdt

import "math"

// symmetric tries every question in every leaf of a level and adds up.
func (n *naive) symmetric() {
	p, t := &n.b.p, n.b.grow.t
	for range 6 {
		var asked []int
		total := 0.0
		for i := range n.leaves {
			l := &n.leaves[i]
			if len(l.rows) == 0 {
				continue
			}
			l1, l2, _, least, _ := n.units(l)
			if G, H := n.sums(l.rows); float64(H) >= 2*least {
				a := max(math.Abs(float64(G))-l1, 0)
				l.best.gain = float64(a*a) / (float64(H) + l2)
				total += l.best.gain
				asked = append(asked, i)
			}
		}
		var best naiveSplit
		best.gain = max(p.MinGain*n.b.grow.gScale*n.b.grow.gScale/n.b.grow.hScale, total*1e-9)
		found := false
		try := func(s naiveSplit) {
			for _, i := range asked {
				l := &n.leaves[i]
				if raw := n.ask(l, &s); raw > 0 {
					s.raw += raw
				} else {
					s.raw += l.best.gain
				}
			}
			if s.gain = s.raw - total; s.gain > best.gain {
				best, found = s, true
			}
		}
		for f := range t.features {
			if !n.b.grow.usable[f] {
				continue
			}
			feat := &t.features[f]
			for bin := range feat.bins {
				switch {
				case feat.kind == categorical && bin > 0:
					try(naiveSplit{feature: f, left: map[int]bool{bin: true}, level: true, bin: bin})
				case feat.kind != categorical:
					try(naiveSplit{feature: f, bin: bin})
				}
			}
			for bin := range feat.bins {
				if feat.missing && n.missingSeen(f, asked) {
					try(naiveSplit{feature: f, bin: bin, missing: true})
				}
			}
		}
		if !found {
			return
		}
		feat := &t.features[best.feature]
		if feat.missing && !best.missing && !n.missingSeen(best.feature, asked) {
			var below, all int64
			for _, i := range asked {
				_, hh := n.histogram(best.feature, n.leaves[i].rows)
				for b, h := range hh {
					all += h
					if b <= best.bin {
						below += h
					}
				}
			}
			best.missing = below > all-below
		}
		for _, i := range asked {
			if raw := n.ask(&n.leaves[i], &best); raw > 0 {
				s := best
				s.gain = max(raw-n.leaves[i].best.gain, 0)
				n.split(i, s)
			}
		}
	}
}

// missingSeen reports whether any of the leaves has a missing value of f.
func (n *naive) missingSeen(f int, leaves []int) bool {
	var sum int64
	for _, i := range leaves {
		hg, hh := n.histogram(f, n.leaves[i].rows)
		last := n.b.grow.t.features[f].bins - 1
		sum += hh[last]
		if hg[last] != 0 {
			return true
		}
	}
	return sum != 0
}

// ask returns the gain of s in leaf l, 0 if it is not allowed there.
func (n *naive) ask(l *naiveLeaf, s *naiveSplit) float64 {
	l1, l2, _, least, _ := n.units(l)
	G, H := n.sums(l.rows)
	var g, h int64
	hg, hh := n.histogram(s.feature, l.rows)
	feat := &n.b.grow.t.features[s.feature]
	for b := range feat.bins {
		var goes bool
		switch {
		case s.level:
			goes = b == s.bin
		case feat.missing && b == feat.bins-1:
			goes = s.missing
		default:
			goes = b <= s.bin
		}
		if goes {
			g += hg[b]
			h += hh[b]
		}
	}
	if float64(h) < least || float64(H-h) < least {
		return 0
	}
	return naiveGain(g, h, G, H, l1, l2)
}
