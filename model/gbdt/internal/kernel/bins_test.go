package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomBounds returns n bounds, rising.
func randomBounds(r *rand.Rand, n int) []float32 {
	seen := map[float32]bool{}
	for len(seen) < n {
		seen[float32(r.NormFloat64())] = true
	}
	bounds := make([]float32, 0, n)
	for b := range seen {
		bounds = append(bounds, b)
	}
	slices.Sort(bounds)
	return bounds
}

// around returns all bounds, their neighbours, and what is far from them.
func around(bounds []float32) []float32 {
	nan := float32(math.NaN())
	x := []float32{
		nan, inf, -inf, math.MaxFloat32, -math.MaxFloat32, 0, float32(math.Copysign(0, -1)),
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.Float32frombits(0xffc00001), math.Float32frombits(0x7f800001),
	}
	for _, b := range bounds {
		x = append(x, b, math.Nextafter32(b, inf), math.Nextafter32(b, -inf), nan)
	}
	return x
}

func TestBins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 256 {
		bounds := randomBounds(r, n)
		checkBins(t, bounds, around(bounds), uint8(r.Uint32()))
	}
	bounds := randomBounds(r, 255)
	x := make([]float32, maxChunk+70)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for n := range 71 {
		checkBins(t, bounds, x[:n], 255)
	}
	checkBins(t, bounds, x, 7)
	whole := []float32{-math.MaxFloat32, -1, 0, math.SmallestNonzeroFloat32, 1, math.MaxFloat32}
	checkBins(t, whole, around(whole), 6)
}

// checkBins counts the bounds below each value and compares with Bins at
// every level.
func checkBins(t *testing.T, bounds, x []float32, missing uint8) {
	t.Helper()
	defer Use(level)
	b := NewBounds(bounds)
	for l := Plain; l <= Best(); l++ {
		Use(l)
		got := slices.Repeat([]uint8{99}, len(x)+1) // one that must stay as it is
		Bins(got, x, b, missing)
		for i, v := range x {
			want := missing
			if v == v {
				below, _ := slices.BinarySearch(bounds, v)
				want = uint8(below)
			}
			if got[i] != want {
				t.Errorf("%v, %d bounds, %d values: %v (%#x) has bin %d, want %d", l, len(bounds), len(x), v, math.Float32bits(v), got[i], want)
				return
			}
		}
		if got[len(x)] != 99 {
			t.Errorf("%v, %d values: written beyond the end", l, len(x))
		}
	}
}

func FuzzBins(f *testing.F) {
	f.Add(uint64(1), 255, uint32(0x7fc00000), uint8(255))
	f.Add(uint64(2), 0, uint32(0x80000000), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, n int, bits uint32, missing uint8) {
		if n < 0 || n > 255 {
			t.Skip() // no feature has so many bounds
		}
		bounds := randomBounds(rand.New(rand.NewPCG(seed, 0)), n)
		checkBins(t, bounds, slices.Repeat([]float32{math.Float32frombits(bits)}, 9), missing)
	})
}

func BenchmarkBins(b *testing.B) {
	const n = 8 * Block // too many for the branch predictor to learn
	r := rand.New(rand.NewPCG(1, 2))
	x, out := make([]float32, n), make([]uint8, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
		if r.IntN(10) == 0 {
			x[i] = float32(math.NaN())
		}
	}
	for _, count := range []int{255, 10} {
		bounds := NewBounds(randomBounds(r, count))
		b.Run(fmt.Sprintf("bounds=%d", count), func(b *testing.B) {
			eachLevel(b, func(b *testing.B) {
				for b.Loop() {
					Bins(out, x, bounds, 255)
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N*n), "ns/value")
			})
		})
	}
}
