package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A scan is the arguments of BestGain and AddGains.
type scan struct {
	name  string
	hist  []uint64
	start uint64
	leaf  Leaf
	none  float64
}

// leafOf returns the leaf whose sums are those of hist and start.
func leafOf(hist []uint64, start uint64, l1, l2, minHessian float64) Leaf {
	for _, word := range hist {
		start += word
	}
	g, h := Unpack(start)
	return Leaf{G: g, H: h, L1: l1, L2: l2, MinHessian: minHessian}
}

// randomScan makes a histogram of bins of which some are empty; rows is about
// the number of rows per bin.
func randomScan(r *rand.Rand, bins, rows int) scan {
	hist := make([]uint64, (bins+7)/8*8)
	for t := range hist[:bins] {
		if r.IntN(4) > 0 {
			hist[t] = Pack(float64(r.IntN(2000*rows)-1000*rows), float64(r.IntN(1000*rows)))
		}
	}
	start := uint64(0)
	if r.IntN(2) == 0 {
		start = Pack(float64(r.IntN(1000)-500), float64(r.IntN(500)))
	}
	l1 := []float64{0, 1, 1e4 * r.Float64()}[r.IntN(3)]
	l2 := []float64{0, 1, 1e4 * r.Float64()}[r.IntN(3)]
	minHessian := []float64{0.1, 1, 500, 1e5}[r.IntN(4)]
	return scan{
		name: fmt.Sprintf("%d bins of %d", bins, rows),
		hist: hist, start: start,
		leaf: leafOf(hist, start, l1, l2, minHessian),
		none: -r.Float64(),
	}
}

func scans() []scan {
	r := rand.New(rand.NewPCG(1, 2))
	var all []scan
	for bins := 0; bins <= 264; bins++ {
		all = append(all, randomScan(r, bins, 1+r.IntN(1000)))
	}

	// Every word random: sums that overflow do so in the same way.
	noise := make([]uint64, 256)
	for i := range noise {
		noise[i] = r.Uint64()
	}
	all = append(all, scan{"noise", noise, r.Uint64(), Leaf{-1 << 20, 1 << 31, 5, 7, 1}, -1})

	// The extremes of both halves.
	extreme := make([]uint64, 8)
	extreme[0] = Pack(math.MinInt32, math.MaxUint32-1)
	extreme[2] = Pack(math.MaxInt32, 1)
	all = append(all,
		scan{"extremes", extreme, 0, leafOf(extreme, 0, 0, 0, 1), -1},
		scan{"extremes with penalties", extreme, 0, leafOf(extreme, 0, 1<<30, 1<<40, 1), -1})

	// All bins alike: gains rise to the middle and fall again, in pairs.
	ties := make([]uint64, 16)
	for i := range ties {
		ties[i] = Pack(float64(i%2*2-1), 10)
	}
	all = append(all,
		scan{"ties", ties, 0, leafOf(ties, 0, 0, 0, 10), -1},
		scan{"on the edge of MinHessian", ties, 0, leafOf(ties, 0, 0, 0, 80), -1},
		scan{"MinHessian too high", ties, 0, leafOf(ties, 0, 0, 0, 81), -1},
		scan{"gains of 0, allowed", ties, 0, leafOf(ties, 0, 10, 0, 10), -1},
		scan{"empty", make([]uint64, 64), 0, Leaf{MinHessian: 1e-9}, -1},
		scan{"only missing", make([]uint64, 64), Pack(5, 5), Leaf{G: 5, H: 5, MinHessian: 1e-9}, -1},
		scan{"length not of whole groups", ties[:13], 0, leafOf(ties[:13], 0, 0, 0, 10), -1},
		scan{"longer than a call", make([]uint64, maxChunk+8), Pack(5, 5), Leaf{G: 7, H: 7, MinHessian: 1}, -1})
	return all
}

func TestGain(t *testing.T) {
	for _, s := range scans() {
		checkScan(t, s)
	}
}

// checkScan compares both kernels with plain Go at every level.
func checkScan(t *testing.T, s scan) {
	t.Helper()
	defer Use(level)
	best := bestGainGo(s.hist, s.start, &s.leaf)
	sums := make([]float64, len(s.hist)+1) // one that must stay as it is
	for i := range sums {
		sums[i] = float64(i)
	}
	want := slices.Clone(sums)
	addGainsGo(want, s.hist, s.start, &s.leaf, s.none)
	for l := Plain; l <= Best(); l++ {
		Use(l)
		if got := BestGain(s.hist, s.start, &s.leaf); math.Float64bits(got) != math.Float64bits(best) {
			t.Errorf("%s: BestGain at %v is %v, want %v", s.name, l, got, best)
		}
		got := slices.Clone(sums)
		AddGains(got, s.hist, s.start, &s.leaf, s.none)
		for i := range want {
			if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
				t.Errorf("%s: AddGains at %v sets %d to %v, want %v", s.name, l, i, got[i], want[i])
				break
			}
		}
	}
}

// By hand: two bins with g -4 and 4 and h 2 and 2, split in the middle, gain
// 16/2 + 16/2; with L1 1 and L2 1, 9/3 + 9/3.
func TestGainByHand(t *testing.T) {
	hist := []uint64{Pack(-4, 2), Pack(4, 2), 0, 0, 0, 0, 0, 0}
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			l1, l2, minHessian, best, first float64
			at                              int
		}{
			{0, 0, 1, 16, 16, 0},
			{1, 1, 1, 6, 6, 0},
			{1, 1, 2, 6, 6, 0},
			{1, 1, 2.5, 0, -1, -1},
			{4, 1, 2, 0, -1, -1},
		} {
			leaf := leafOf(hist, 0, c.l1, c.l2, c.minHessian)
			if got := BestGain(hist, 0, &leaf); got != c.best {
				t.Errorf("%+v: best gain is %v", c, got)
			}
			sums := make([]float64, 8)
			AddGains(sums, hist, 0, &leaf, -1)
			if !slices.Equal(sums, []float64{c.first, -1, -1, -1, -1, -1, -1, -1}) {
				t.Errorf("%+v: sums are %v", c, sums)
			}
			if got := FirstGain(hist, 0, &leaf, c.first); got != c.at {
				t.Errorf("%+v: the gain is first at %d", c, got)
			}
		}
	})
}

func FuzzGain(f *testing.F) {
	f.Add(uint64(1), 255, 100)
	f.Add(uint64(2), 9, 1)
	f.Fuzz(func(t *testing.T, seed uint64, bins, rows int) {
		if bins < 0 || bins > 300 || rows < 1 || rows > 4000 {
			t.Skip() // beyond what a histogram holds, or too slow to fuzz
		}
		checkScan(t, randomScan(rand.New(rand.NewPCG(seed, 0)), bins, rows))
	})
}

func BenchmarkBestGain(b *testing.B) {
	for _, l1 := range []float64{0, 1000} {
		b.Run(fmt.Sprintf("L1=%v", l1), func(b *testing.B) {
			benchmarkScan(b, l1, func(s *scan) { BestGain(s.hist, s.start, &s.leaf) })
		})
	}
}

func BenchmarkAddGains(b *testing.B) {
	sums := make([]float64, 256)
	benchmarkScan(b, 0, func(s *scan) { AddGains(sums, s.hist, s.start, &s.leaf, s.none) })
}

// benchmarkScan measures time per bin for histograms with all bins.
func benchmarkScan(b *testing.B, l1 float64, f func(*scan)) {
	s := randomScan(rand.New(rand.NewPCG(1, 2)), 256, 400)
	s.leaf.L1 = l1
	eachLevel(b, func(b *testing.B) {
		for b.Loop() {
			f(&s)
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N*len(s.hist)), "ns/bin")
	})
}
