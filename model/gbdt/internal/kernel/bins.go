package kernel

import "math"

var inf = float32(math.Inf(1))

// Bounds are the upper bounds of the bins of a feature, rising, in the shape
// in which they are searched: those that do not exist are +Inf.
type Bounds struct {
	Bound [256]float32
	pivot [16]float32 // every 16th of Bound
}

// NewBounds returns the given bounds, at most 255, each finite, rising.
func NewBounds(bounds []float32) *Bounds {
	b := &Bounds{}
	for i := range b.Bound {
		b.Bound[i] = inf
	}
	copy(b.Bound[:255], bounds)
	for i := range b.pivot {
		b.pivot[i] = b.Bound[16*i+15]
	}
	return b
}

// Bins writes to out the bin of each of x: the number of bounds that are less
// than it, and missing for NaN.
func Bins(out []uint8, x []float32, bounds *Bounds, missing uint8) {
	bins(out[:len(x)], x, bounds, missing)
}

// A binary search without branches on data, of which half would be
// mispredicted.
func binsGo(out []uint8, x []float32, bounds *Bounds, missing uint8) {
	for i, v := range x {
		bin := 0
		for step := 128; step > 0; step /= 2 {
			bin += step * less(bounds.Bound[bin+step-1], v)
		}
		if v != v {
			bin = int(missing)
		}
		out[i] = uint8(bin)
	}
}

// less is 1 if a < b and else 0.
func less(a, b float32) int {
	n := 0
	if a < b {
		n = 1
	}
	return n
}
