package gbdt

import (
	"cmp"
	"math"
	"slices"
)

// featureKind says what the bins of a feature stand for.
type featureKind uint8

const (
	numeric     featureKind = iota // ranges of values; the last bin is that of missing values, if there are any
	categorical                    // levels by falling frequency from bin 1; bin 0 is missing, rare and unseen levels
	encoded                        // ranges of a number that stands for the level of a category (target.go)
)

// A feature is how one column of the input becomes bins. Encoded features
// share their column with the categorical feature they encode.
type feature struct {
	kind    featureKind
	source  int       // column of Dataset.X
	bins    int       // at most 255
	bounds  []float32 // numeric and encoded: bin b has values in (bounds[b-1], bounds[b]]
	missing bool      // numeric: the last bin is that of missing values

	codes []int   // categorical: code of bin b is codes[b], for b from 1
	binOf []uint8 // categorical: bin of each code, 0 for codes beyond
	alone bool    // categorical: split one level from the rest only, never by sets

	code      *encoding // encoded: the number each code stands for
	order     int       // encoded: which of several random orders of rows, of which a tree uses one; -1: none
	low, high float32   // numeric: least and greatest value seen
}

// sampleRows bounds the rows from which bounds are computed, as LightGBM's
// bin_construct_sample_cnt.
const sampleRows = 200_000

// numericFeature computes the bounds of column f from a sample of its values.
func numericFeature(p *Params, f int, sample []float32, missing bool, s *sorter) feature {
	values := s.sort(slices.DeleteFunc(sample, func(x float32) bool { return x != x }))
	out := feature{kind: numeric, source: f, missing: missing}
	limit := p.Bins
	if missing {
		limit--
	}
	if len(values) > 0 {
		out.low, out.high = values[0], values[len(values)-1]
	}
	out.bounds = s.bounds(values, limit, p.MinInBin)
	out.bins = len(out.bounds) + 1
	if missing {
		out.bins++
	}
	return out
}

// A run is a value and how often it occurs.
type run struct {
	value float32
	count int32
}

// bounds cuts sorted values into at most limit bins of nearly equal count,
// zero being a bin of its own, and returns the upper bounds of all but the
// last. It is LightGBM's FindBinWithZeroAsOneBin.
func (s *sorter) bounds(values []float32, limit, minInBin int) []float32 {
	runs := slices.Grow(s.runs[:0], len(values))
	for _, v := range values {
		if math.Abs(float64(v)) <= zeroThreshold {
			v = 0
		}
		if len(runs) > 0 && runs[len(runs)-1].value == v {
			runs[len(runs)-1].count++
		} else {
			runs = append(runs, run{v, 1})
		}
	}
	s.runs = runs
	zero, hasZero := slices.BinarySearchFunc(runs, float32(0), func(r run, v float32) int { return cmp.Compare(r.value, v) })
	if !hasZero {
		return greedyBounds(runs, limit, minInBin)
	}
	negative, positive := runs[:zero], runs[zero+1:]
	rest := max(len(values)-int(runs[zero].count), 1)
	var out []float32
	if len(negative) > 0 {
		share := max(1, total(negative)*(limit-1)/rest)
		if len(positive) > 0 {
			share = min(share, limit-2)
		}
		out = append(greedyBounds(negative, share, minInBin), float32(-zeroThreshold))
	}
	if len(positive) > 0 {
		out = append(out, float32(zeroThreshold))
		out = append(out, greedyBounds(positive, limit-len(out), minInBin)...)
	}
	return out
}

func total(runs []run) (n int) {
	for _, r := range runs {
		n += int(r.count)
	}
	return n
}

// greedyBounds is LightGBM's GreedyFindBin: values that occur more often than
// a bin should hold get bins of their own, the others share the rest.
func greedyBounds(runs []run, limit, minInBin int) (out []float32) {
	n := total(runs)
	if len(runs) <= limit { // a bin for every value
		return cut(runs, limit, func(count int, _, _ run) bool { return count >= minInBin })
	}
	limit = max(1, min(limit, n/minInBin))
	mean := float64(n) / float64(limit)
	big := func(r run) bool { return float64(r.count) >= mean }
	bins, rest := limit, n // not yet given out
	for _, r := range runs {
		if big(r) {
			bins--
			rest -= int(r.count)
		}
	}
	size := float64(rest) / float64(max(bins, 1)) // rows a bin should hold
	return cut(runs, limit, func(count int, last, next run) bool {
		if !big(last) {
			rest -= int(last.count)
		}
		full := big(last) || float64(count) >= size || big(next) && float64(count) >= max(1, size/2)
		if full && !big(last) {
			bins--
			size = float64(rest) / float64(max(bins, 1))
		}
		return full
	})
}

// cut walks through runs and returns bounds of at most limit bins, one after
// every run with which full says that the bin, of so many rows, is.
func cut(runs []run, limit int, full func(count int, last, next run) bool) (out []float32) {
	count := 0
	for i := 0; i+1 < len(runs) && len(out) < limit-1; i++ {
		count += int(runs[i].count)
		if full(count, runs[i], runs[i+1]) {
			out = append(out, between(runs[i].value, runs[i+1].value))
			count = 0
		}
	}
	return out
}

// between returns a number m with a <= m < b, near the middle.
func between(a, b float32) float32 {
	m := float32((float64(a) + float64(b)) / 2)
	if m >= b {
		return a
	}
	return m
}

// categoricalFeature orders the levels of column f by falling frequency, the
// lower code first among equals. Levels rarer than MinInBin, and those beyond
// the last bin, share bin 0 with missing values.
func categoricalFeature(d *Dataset, p *Params, f int) feature {
	var counts []int
	for at := f; at < len(d.X); at += len(d.Names) {
		if x := d.X[at]; x == x {
			code := int(x)
			if code >= len(counts) {
				counts = append(counts, make([]int, code+1-len(counts))...)
			}
			counts[code]++
		}
	}
	var codes []int
	for code, n := range counts {
		if n >= p.MinInBin {
			codes = append(codes, code)
		}
	}
	slices.SortStableFunc(codes, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	codes = codes[:min(len(codes), p.Bins-1)]
	out := feature{kind: categorical, source: f, bins: len(codes) + 1, codes: append([]int{-1}, codes...), binOf: make([]uint8, len(counts))}
	for bin, code := range out.codes[1:] {
		out.binOf[code] = uint8(bin + 1)
	}
	return out
}

// A sorter sorts float32 numbers by their bits, 11 at a time, and cuts them
// into bins. It keeps its memory for the next feature.
type sorter struct {
	a, b []uint32
	runs []run
}

func (s *sorter) sort(values []float32) []float32 {
	n := len(values)
	s.a, s.b = slices.Grow(s.a[:0], n)[:n], slices.Grow(s.b[:0], n)[:n]
	var counts [3][2048]uint32
	for i, v := range values {
		// Flip the bits so that unsigned order is the order of numbers.
		u := math.Float32bits(v + 0) // -0 becomes 0
		u ^= uint32(int32(u)>>31) | 1<<31
		s.a[i] = u
		counts[0][u&2047]++
		counts[1][u>>11&2047]++
		counts[2][u>>22]++
	}
	from, to := s.a, s.b
	for pass := range 3 {
		shift := 11 * pass
		count := &counts[pass]
		at := uint32(0)
		for d := range count {
			count[d], at = at, at+count[d]
		}
		for _, u := range from {
			d := u >> shift & 2047
			to[count[d]] = u
			count[d]++
		}
		from, to = to, from
	}
	for i, u := range from {
		u ^= uint32(^int32(u)>>31) | 1<<31
		values[i] = math.Float32frombits(u)
	}
	return values
}
