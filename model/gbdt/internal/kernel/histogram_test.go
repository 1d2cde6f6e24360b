package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"unsafe"
)

// Three rows of two columns, worked out by hand: words of gradient and
// Hessian (-1, 2), (5, 3) and (-2, 1).
func TestHistogramByHand(t *testing.T) {
	word := func(g int32, h uint32) uint64 { return uint64(uint32(g))<<32 | uint64(h) }
	q := []uint64{word(-1, 2), word(5, 3), word(-2, 1)}
	tile := make([]uint8, 3*TileWidth)
	for r, bins := range [][2]uint8{{7, 0}, {255, 0}, {7, 1}} {
		copy(tile[r*TileWidth:], bins[:])
	}
	eachLevel(t, func(t *testing.T) {
		var all, some TileHistogram
		HistogramAll(&all, tile, q, 0, 3, 2)
		Histogram(&some, tile, q, []int32{0, 2}, 2)
		wantAll := map[int][2]float64{7: {-3, 3}, 255: {5, 3}, Stride: {4, 5}, Stride + 1: {-2, 1}}
		wantSome := map[int][2]float64{7: {-3, 3}, Stride: {-1, 2}, Stride + 1: {-2, 1}}
		for i := range all {
			checkWord(t, "HistogramAll", i, all[i], wantAll[i])
			checkWord(t, "Histogram", i, some[i], wantSome[i])
		}
	})
}

func checkWord(t *testing.T, what string, i int, word uint64, want [2]float64) {
	t.Helper()
	if g, h := Unpack(word); g != want[0] || h != want[1] {
		t.Errorf("%s: word %d is (%v, %v), want %v", what, i, g, h, want)
	}
}

// Every width, numbers of rows around those of the loops, and a first row that
// is not 0; the tile and the words end where memory ends.
func TestHistogramLevels(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	lengths := []int{4*plainBlock + 1, maxChunk - 1, maxChunk, 2*maxChunk + 5}
	for n := range 71 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		tile, q := guarded(t, n*TileWidth), guardedWords(t, n)
		fillBins(rnd, tile)
		for i := range q {
			q[i] = rnd.Uint64()
		}
		rows := []int32{}
		for r := range n {
			if rnd.IntN(3) > 0 {
				rows = append(rows, int32(r))
			}
		}
		first := rnd.IntN(n + 1)
		for width := range TileWidth + 1 {
			if n > 70 && width%5 != 0 {
				continue
			}
			var all, some TileHistogram
			histogramAllGo(&all, tile[first*TileWidth:], q[first:], width)
			histogramGo(&some, tile, q, rows, width)
			for l := Plain; l <= Best(); l++ {
				var gotAll, gotSome TileHistogram
				before := Use(l)
				HistogramAll(&gotAll, tile, q, first, n-first, width)
				Histogram(&gotSome, tile, q, rows, width)
				Use(before)
				if gotAll != all {
					t.Errorf("%v: HistogramAll of rows %d to %d, width %d, differs from the loop that defines it", l, first, n, width)
				}
				if gotSome != some {
					t.Errorf("%v: Histogram of %d of %d rows, width %d, differs from the loop that defines it", l, len(rows), n, width)
				}
			}
		}
	}
}

// Whoever passes slices that do not fit gets a panic and not someone else's
// memory.
func TestHistogramPanics(t *testing.T) {
	tile, q := make([]uint8, 10*TileWidth, 20*TileWidth), make([]uint64, 10, 20)
	calls := map[string]func(h *TileHistogram){
		"width":        func(h *TileHistogram) { Histogram(h, tile, q, []int32{1, 2}, TileWidth+1) },
		"width, all":   func(h *TileHistogram) { HistogramAll(h, tile, q, 0, 10, TileWidth+1) },
		"last row":     func(h *TileHistogram) { Histogram(h, tile, q, []int32{1, 10}, 8) },
		"first row":    func(h *TileHistogram) { Histogram(h, tile, q, []int32{-1, 2}, 8) },
		"short tile":   func(h *TileHistogram) { Histogram(h, tile[:9*TileWidth:9*TileWidth], q, []int32{9}, 8) },
		"short words":  func(h *TileHistogram) { Histogram(h, tile, q[:9], []int32{9}, 8) },
		"rows, all":    func(h *TileHistogram) { histogramAll(h, tile[:9*TileWidth:9*TileWidth], q, 8) },
		"no rows here": func(h *TileHistogram) { HistogramAll(h, tile[:0:0], q, 0, 1, 8) },
	}
	eachLevel(t, func(t *testing.T) {
		for name, call := range calls {
			if !panics(func() { call(new(TileHistogram)) }) {
				t.Errorf("%s: no panic", name)
			}
		}
	})
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func TestSubtract(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	lengths := []int{1<<16 - 1, 1 << 16, 1<<16 + 45, 2<<16 + 64}
	for n := range 200 {
		lengths = append(lengths, n)
	}
	eachLevel(t, func(t *testing.T) {
		for _, n := range lengths {
			a, b, want := guardedWords(t, n), guardedWords(t, n), make([]uint64, n)
			for i := range a {
				want[i], b[i] = rnd.Uint64(), rnd.Uint64()
				a[i] = want[i] + b[i]
			}
			Subtract(a, b)
			if !slices.Equal(a, want) {
				t.Errorf("%d words: a+b-b is not a", n)
			}
		}
		if !panics(func() { Subtract(make([]uint64, 64), make([]uint64, 63)) }) {
			t.Error("different lengths: no panic")
		}
	})
}

func guardedWords(tb testing.TB, n int) []uint64 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(guarded(tb, 8*n)))), n)
}

// fillBins fills the rows of a tile with bins as tables have them: of every
// three columns, one has all bins equally often, one few low bins often and
// one up to 16 bins.
func fillBins(rnd *rand.Rand, tile []uint8) {
	for i := range tile {
		switch c := i % TileWidth; c % 3 {
		case 0:
			tile[i] = uint8(rnd.IntN(256))
		case 1:
			tile[i] = uint8(min(255, 20*rnd.ExpFloat64()))
		case 2:
			tile[i] = uint8(rnd.IntN(2 + c%15))
		}
	}
}

// A benchTable is a table of the size of a benchmark.
type benchTable struct {
	name  string
	rows  int
	width int // of a tile
	tiles [][]uint8
	q     []uint64
}

func newBenchTable(name string, rows, tiles, width int) func() *benchTable {
	return sync.OnceValue(func() *benchTable {
		rnd := rand.New(rand.NewPCG(5, 6))
		t := &benchTable{name: name, rows: rows, width: width, q: make([]uint64, rows)}
		for i := range t.q {
			t.q[i] = rnd.Uint64()
		}
		for range tiles {
			tile := make([]uint8, rows*TileWidth)
			fillBins(rnd, tile)
			t.tiles = append(t.tiles, tile)
		}
		return t
	})
}

var benchTables = []func() *benchTable{
	newBenchTable("100kx100", 100_000, 4, 25),
	newBenchTable("1Mx40", 1_000_000, 2, 20),
}

// leaves deals n rows out to a number of leaves at random.
func leaves(n, number int) [][]int32 {
	rnd := rand.New(rand.NewPCG(7, 8))
	rows := make([][]int32, number)
	for r := range n {
		l := rnd.IntN(number)
		rows[l] = append(rows[l], int32(r))
	}
	return rows
}

// BenchmarkHistogram measures time per row and column for leaves with 100, 50,
// 10 and 1 per cent of the rows.
func BenchmarkHistogram(b *testing.B) {
	for _, table := range benchTables {
		for _, number := range []int{1, 2, 10, 100} {
			lists := leaves(table().rows, number)
			b.Run(fmt.Sprintf("%s/1of%d", table().name, number), func(b *testing.B) {
				eachLevel(b, func(b *testing.B) {
					t, h, updates := table(), new(TileHistogram), 0
					for i := 0; b.Loop(); i++ {
						rows := lists[i/len(t.tiles)%len(lists)]
						Histogram(h, t.tiles[i%len(t.tiles)], t.q, rows, t.width)
						updates += len(rows) * t.width
					}
					b.ReportMetric(float64(b.Elapsed())/float64(updates), "ns/update")
				})
			})
		}
	}
}

func BenchmarkHistogramAll(b *testing.B) {
	for _, table := range benchTables {
		b.Run(table().name, func(b *testing.B) {
			eachLevel(b, func(b *testing.B) {
				t, h, updates := table(), new(TileHistogram), 0
				for i := 0; b.Loop(); i++ {
					HistogramAll(h, t.tiles[i%len(t.tiles)], t.q, 0, t.rows, t.width)
					updates += t.rows * t.width
				}
				b.ReportMetric(float64(b.Elapsed())/float64(updates), "ns/update")
			})
		})
	}
}

func BenchmarkSubtract(b *testing.B) {
	x, y := make([]uint64, 25*256), make([]uint64, 25*256)
	eachLevel(b, func(b *testing.B) {
		b.SetBytes(int64(len(x) * 8))
		for b.Loop() {
			Subtract(x, y)
		}
	})
}
