package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomGradients are n gradients and Hessians as those of the log loss.
func randomGradients(r *rand.Rand, n int) (g, h []float32) {
	g, h = make([]float32, n), make([]float32, n)
	for i := range n {
		p := r.Float32()
		g[i], h[i] = p-float32(r.IntN(2)), p*(1-p)
	}
	return g, h
}

func TestQuantise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 71 {
		g, h := randomGradients(r, n)
		checkQuantise(t, g, h, 1234.5, 4321, r.Uint32(), r.Uint32())
	}
	g, h := randomGradients(r, 2*maxChunk+37)
	checkQuantise(t, g, h, 77, 99, math.MaxUint32-maxChunk, 1) // rows wrap around

	g, h = randomGradients(r, 64)
	copy(g, []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.99999994, -0.99999994, 1e-45, -1e-45, 1e-30, -1e-30})
	copy(h, []float32{0, 1, 0.25, 0.99999994, 1e-45, 1e-30, -0.5, -1e-30, -1})
	for _, scale := range []float32{0, 1e-30, 1, 1 << 15, 1 << 23, 1<<31 - 128} {
		checkQuantise(t, g, h, scale, scale, 0, 0)
	}
}

// checkQuantise compares Quantise with plain Go at every level.
func checkQuantise(t *testing.T, g, h []float32, gScale, hScale float32, first, seed uint32) {
	t.Helper()
	defer Use(level)
	want := make([]uint64, len(g))
	quantiseGo(want, g, h, gScale, hScale, first, seed)
	for l := Plain; l <= Best(); l++ {
		Use(l)
		got := slices.Repeat([]uint64{9}, len(g)+1) // one that must stay as it is
		Quantise(got[:len(g)], g, h, gScale, hScale, first, seed)
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%v, %d rows: row %d with %v and %v has %#x, want %#x", l, len(g), i, g[i], h[i], got[i], want[i])
				break
			}
		}
		if got[len(g)] != 9 {
			t.Errorf("%v, %d rows: written beyond the end", l, len(g))
		}
	}
}

// Rounding is up with the probability of the fraction: means are right and
// each number is one of its two neighbours.
func TestQuantiseUnbiased(t *testing.T) {
	const n, want = 1 << 16, 2.3
	g, h := slices.Repeat([]float32{-want}, n), slices.Repeat([]float32{want}, n)
	q := make([]uint64, n)
	for seed := range uint32(4) {
		Quantise(q, g, h, 1, 1, 0, seed)
		var sumG, sumH, both float64
		for _, word := range q {
			gq, hq := Unpack(word)
			if gq != -3 && gq != -2 || hq != 2 && hq != 3 {
				t.Fatalf("-2.3 and 2.3 become %v and %v", gq, hq)
			}
			sumG, sumH, both = sumG+gq, sumH+hq, both+(gq+3)*(hq-2)
		}
		// Five standard errors of the mean of n numbers of variance
		// 0.7*0.3. Independent, both are rounded up 0.7*0.3 of the time.
		const tolerance = 5 * 0.46 / 256
		if math.Abs(sumG/n+want) > tolerance || math.Abs(sumH/n-want) > tolerance || math.Abs(both/n-0.21) > tolerance {
			t.Errorf("seed %d: means are %v, %v and %v", seed, sumG/n, sumH/n, both/n)
		}
	}
}

func FuzzQuantise(f *testing.F) {
	f.Add(float32(1), float32(1), float32(-0.5), float32(0.25), uint32(0), uint32(0))
	f.Add(float32(1e4), float32(1e5), float32(0.7), float32(0.1), uint32(1<<31), uint32(77))
	f.Fuzz(func(t *testing.T, gScale, hScale, g0, h0 float32, first, seed uint32) {
		const limit = 1 << 31
		if !(math.Abs(float64(gScale*g0)) < limit && math.Abs(float64(gScale)) < limit &&
			math.Abs(float64(hScale*h0)) < limit && math.Abs(float64(hScale)) < limit) {
			t.Skip() // not allowed
		}
		g, h := randomGradients(rand.New(rand.NewPCG(1, 2)), 37)
		g[5], h[20] = g0, h0
		checkQuantise(t, g, h, gScale, hScale, first, seed)
	})
}

func BenchmarkQuantise(b *testing.B) {
	g, h := randomGradients(rand.New(rand.NewPCG(1, 2)), Block)
	q := make([]uint64, Block)
	eachLevel(b, func(b *testing.B) {
		for b.Loop() {
			Quantise(q, g, h, 1234.5, 4321, 0, 1)
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N*Block), "ns/row")
	})
}
