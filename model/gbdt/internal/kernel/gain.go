package kernel

import "math"

// A Leaf is what the gain of a split depends on beside the histogram. All
// sums are in the units of packed words: gradients g and Hessians h.
type Leaf struct {
	G, H       float64 // sums over the leaf, whole numbers
	L1, L2     float64 // penalties, in units of g and of h
	MinHessian float64 // what each side needs, greater than 0, in units of h
}

// Gain is what a side of a split with sums g and h contributes to the
// reduction of the loss: twice the reduction, in units of g squared by h
// (Chen and Guestrin 2016, equation 6; L1 as in LightGBM).
func (l *Leaf) Gain(g, h float64) float64 {
	a := max(math.Abs(g)-l.L1, 0)
	return float64(a*a) / (h + l.L2)
}

// Split is the gain of both sides if word is the sum of the left one, on one
// denominator since division is the slowest operation there is here; 0 if a
// side lacks Hessian.
func (l *Leaf) Split(word uint64) float64 {
	g, h := Unpack(word)
	gr, hr := l.G-g, l.H-h
	if !(h >= l.MinHessian && hr >= l.MinHessian) {
		return 0
	}
	a, b := max(math.Abs(g)-l.L1, 0), max(math.Abs(gr)-l.L1, 0)
	h, hr = h+l.L2, hr+l.L2
	return (float64(float64(a*a)*hr) + float64(float64(b*b)*h)) / float64(h*hr)
}

// Unpack returns both halves of a word.
func Unpack(word uint64) (g, h float64) {
	return float64(int64(word) >> 32), float64(word & math.MaxUint32)
}

// Pack is the word of sums g and h.
func Pack(g, h float64) uint64 { return uint64(int64(g))<<32 + uint64(h) }

// BestGain returns the greatest gain over the splits of a histogram into bins
// [0, t] and the rest; start is added to the left side (the bin of missing
// values, if they go left). The length of hist is a multiple of 8; bins that
// do not exist are 0 at its end, so that splits there leave nothing on the
// right and do not count. The result is 0 if no split is allowed.
func BestGain(hist []uint64, start uint64, leaf *Leaf) float64 {
	return bestGain(hist, start, leaf)
}

func bestGainGo(hist []uint64, start uint64, leaf *Leaf) float64 {
	best := 0.0
	for _, word := range hist {
		start += word
		best = max(best, leaf.Split(start))
	}
	return best
}

// FirstGain returns the first t whose split gains gain, which is what BestGain
// returns for the same arguments, or -1.
func FirstGain(hist []uint64, start uint64, leaf *Leaf, gain float64) int {
	const step = 32 // bins that bestGain, which is faster, rules out together
	for at := 0; at < len(hist); at += step {
		part := hist[at:min(at+step, len(hist))]
		if bestGain(part, start, leaf) < gain {
			for _, word := range part {
				start += word
			}
			continue
		}
		for t, word := range part {
			start += word
			if leaf.Split(start) == gain {
				return at + t
			}
		}
	}
	return -1
}

// AddGains adds to sums[t] the gain of each split as BestGain sees them, or
// none where a split is not allowed or gains nothing.
func AddGains(sums []float64, hist []uint64, start uint64, leaf *Leaf, none float64) {
	addGains(sums[:len(hist)], hist, start, leaf, none)
}

func addGainsGo(sums []float64, hist []uint64, start uint64, leaf *Leaf, none float64) {
	for t, word := range hist {
		start += word
		if gain := leaf.Split(start); gain > 0 {
			sums[t] += gain
		} else {
			sums[t] += none
		}
	}
}
