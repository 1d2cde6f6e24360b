package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Rows as Gradients takes them.
type labelled struct {
	score        []float64
	sign, weight []float32
}

func randomRows(r *rand.Rand, n int, weighted bool) labelled {
	l := labelled{score: make([]float64, n), sign: make([]float32, n)}
	for i := range n {
		l.score[i] = r.NormFloat64() * 3
		l.sign[i] = float32(r.IntN(2)*2 - 1)
	}
	if weighted {
		l.weight = make([]float32, n)
		for i := range n {
			l.weight[i] = float32(r.ExpFloat64())
		}
	}
	return l
}

func TestGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, weighted := range []bool{false, true} {
		for n := range 71 {
			checkGradients(t, randomRows(r, n, weighted))
		}
		checkGradients(t, randomRows(r, Block, weighted))

		// What exp cuts off and where it rounds to the next power of two.
		extreme := randomRows(r, 96, weighted)
		copy(extreme.score, []float64{
			0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1),
			math.MaxFloat64, -math.MaxFloat64, 1e-310, -1e-310, 1e-42,
			86.9999, 87, 87.0001, 88.8, -86.9999, -87, -87.0001, -104,
			math.Ln2 / 2, -math.Ln2 / 2, 1.5 * math.Ln2, -125.5 * math.Ln2, 125.5 * math.Ln2, 16.6355, -16.6355,
		})
		checkGradients(t, extreme)
	}
}

// checkGradients compares Gradients with plain Go at every level.
func checkGradients(t *testing.T, rows labelled) {
	t.Helper()
	defer Use(level)
	n := len(rows.score)
	g, h := make([]float32, n), make([]float32, n)
	sumG, sumH := gradientsGo(g, h, rows.score, rows.sign, rows.weight)
	for l := Plain; l <= Best(); l++ {
		Use(l)
		// One more than needed, which must stay as it is.
		gotG, gotH := slices.Repeat([]float32{-9}, n+1), slices.Repeat([]float32{-9}, n+1)
		gotSumG, gotSumH := Gradients(gotG, gotH, rows.score, rows.sign, rows.weight)
		where := fmt.Sprintf("%v, %d rows, weights %v", l, n, rows.weight != nil)
		if gotSumG != sumG || gotSumH != sumH {
			t.Errorf("%s: sums are %v and %v, want %v and %v", where, gotSumG, gotSumH, sumG, sumH)
		}
		for i := range n {
			if math.Float32bits(gotG[i]) != math.Float32bits(g[i]) || math.Float32bits(gotH[i]) != math.Float32bits(h[i]) {
				t.Errorf("%s: score %v has %v and %v, want %v and %v", where, rows.score[i], gotG[i], gotH[i], g[i], h[i])
				break
			}
		}
		if gotG[n] != -9 || gotH[n] != -9 {
			t.Errorf("%s: written beyond the end", where)
		}
	}
}

// The definition, in float64, is the reference; scores cover almost all of
// exp's range.
func TestGradientsAccuracy(t *testing.T) {
	const n = Block
	rows := labelled{make([]float64, n), make([]float32, n), make([]float32, n)}
	for i := range n {
		rows.score[i] = float64(float32(float64(i-n/2) * 80 / (n / 2)))
		rows.sign[i] = float32(i/3%2*2 - 1)
		rows.weight[i] = float32(1 + i%5)
	}
	g, h := make([]float32, n), make([]float32, n)
	eachLevel(t, func(t *testing.T) {
		sumG, sumH := Gradients(g, h, rows.score, rows.sign, rows.weight)
		var wantSumG, wantSumH float64
		for i := range n {
			s, w := float64(rows.sign[i]), float64(rows.weight[i])
			m := 1 / (1 + math.Exp(s*rows.score[i]))
			wantG, wantH := -s*m*w, m*(1-m)*w
			wantSumG += m * w
			wantSumH += wantH
			// A Hessian loses what 1-|g| loses where |g| is almost 1.
			if math.Abs(float64(g[i])-wantG) > 4e-7*math.Abs(wantG) || math.Abs(float64(h[i])-wantH) > 4e-7*wantH+2e-7*w {
				t.Fatalf("score %v has %v and %v, want %v and %v", rows.score[i], g[i], h[i], wantG, wantH)
			}
		}
		if math.Abs(sumG-wantSumG) > 1e-7*wantSumG || math.Abs(sumH-wantSumH) > 1e-6*wantSumH {
			t.Errorf("sums are %v and %v, want %v and %v", sumG, sumH, wantSumG, wantSumH)
		}
	})
}

func FuzzGradients(f *testing.F) {
	f.Add(0.0, 1.0, float32(1), true)
	f.Add(-87.0, 1e300, float32(0.5), false)
	f.Fuzz(func(t *testing.T, first, step float64, weight float32, weighted bool) {
		if weight != weight {
			t.Skip() // the bits of NaN times NaN are not defined
		}
		rows := randomRows(rand.New(rand.NewPCG(1, 2)), 43, weighted)
		for i := range rows.score {
			rows.score[i] = first + float64(i)*step
		}
		if weighted {
			rows.weight[7], rows.weight[40] = weight, weight
		}
		checkGradients(t, rows)
	})
}

func BenchmarkGradients(b *testing.B) {
	g, h := make([]float32, Block), make([]float32, Block)
	for _, weighted := range []bool{false, true} {
		rows := randomRows(rand.New(rand.NewPCG(1, 2)), Block, weighted)
		b.Run(fmt.Sprintf("weighted=%v", weighted), func(b *testing.B) {
			eachLevel(b, func(b *testing.B) {
				for b.Loop() {
					Gradients(g, h, rows.score, rows.sign, rows.weight)
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N*Block), "ns/row")
			})
		})
	}
}
