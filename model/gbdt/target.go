package gbdt

import "math/rand/v2"

// An encoding gives each code of a category a number, known or rest for codes
// training did not see and for missing values. Splitting on the number is
// splitting the codes into two sets, which is how such a split is written
// down: the forest holds no encodings.
type encoding struct {
	values []float32 // per code
	rest   float32
}

// categoricalFeatures returns the features made of categorical column f: its
// levels and, if there are many of them, encodings, with their values per row.
// Where there are encodings, levels are not split by sets: choosing the best
// of so many sets fits noise (on a synthetic table of 50,000 rows and up to
// 20,000 levels, sets beside encodings cost 0.03 of log loss).
func categoricalFeatures(d *Dataset, p *Params, f int, prior float64, s *sorter) ([]feature, [][]float32) {
	levels := categoricalFeature(d, p, f)
	levels.alone = p.Grower == Symmetric // a set found in one leaf is no question for the others
	few := p.TargetLevels
	if p.Grower == Symmetric {
		few = p.OneHotLevels
	}
	if levels.bins-1 <= few || p.TargetOrders == 0 {
		return []feature{levels}, nil
	}
	levels.alone = true
	features, values := encodedFeatures(d, p, f, len(levels.binOf), prior)
	for i := range features {
		sorted := s.sort(every(values[i], (d.Rows()+sampleRows-1)/sampleRows))
		features[i].bounds = s.bounds(sorted, p.Bins, p.MinInBin)
		features[i].bins = len(features[i].bounds) + 1
	}
	return append([]feature{levels}, features...), values
}

// every returns a copy of every k-th value.
func every(values []float32, k int) []float32 {
	out := make([]float32, 0, len(values)/k+1)
	for i := 0; i < len(values); i += k {
		out = append(out, values[i])
	}
	return out
}

// encodedFeatures returns what is added for the categorical column f, and the
// values that training rows have in each: ordered target statistics in
// several random orders, and how often the level occurs.
//
// A target statistic is the smoothed mean label of a level. That of a row in
// training counts only the rows before it in a random order, so that its own
// label cannot leak into it (Prokhorenkova et al. 2018, section 3.2); that of
// a row to be scored counts them all.
func encodedFeatures(d *Dataset, p *Params, f, levels int, prior float64) (features []feature, values [][]float32) {
	n := d.Rows()
	weight := func(row int) float64 {
		if len(d.Weights) == 0 {
			return 1
		}
		return float64(d.Weights[row])
	}
	code := func(row int) int {
		if x := d.X[row*len(d.Names)+f]; x == x {
			return int(x)
		}
		return -1
	}
	smoothed := func(sum, count float64) float32 {
		return float32((sum + float64(p.TargetPrior*prior)) / (count + p.TargetPrior))
	}
	for order := range p.TargetOrders {
		sums, counts := make([]float64, levels), make([]float64, levels)
		column := make([]float32, n)
		r := rand.New(rand.NewPCG(p.Seed, uint64(f)<<16|uint64(order)))
		for _, row := range r.Perm(n) {
			c := code(row)
			if c < 0 {
				column[row] = float32(prior)
				continue
			}
			column[row] = smoothed(sums[c], counts[c])
			sums[c] += float64(weight(row) * float64(d.Labels[row]))
			counts[c] += weight(row)
		}
		e := &encoding{values: make([]float32, levels), rest: float32(prior)}
		for c := range e.values {
			e.values[c] = smoothed(sums[c], counts[c])
		}
		features = append(features, feature{kind: encoded, source: f, code: e, order: order})
		values = append(values, column)
	}
	count := &encoding{values: make([]float32, levels)}
	column := make([]float32, n)
	for row := range n {
		if c := code(row); c >= 0 {
			count.values[c]++
		}
	}
	for row := range n {
		if c := code(row); c >= 0 {
			column[row] = count.values[c]
		}
	}
	features = append(features, feature{kind: encoded, source: f, code: count, order: -1})
	values = append(values, column)
	return features, values
}
