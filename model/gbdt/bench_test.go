package gbdt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// wide is a table like those of churn: continuous columns, counts with many
// zeros, whole numbers of few values, some missing.
func wide(rows, features int) *Dataset {
	r := rand.New(rand.NewPCG(21, 22))
	d := &Dataset{Labels: make([]float32, rows), X: make([]float32, 0, rows*features)}
	for f := range features {
		d.Names = append(d.Names, fmt.Sprintf("f%d", f))
	}
	for row := range rows {
		z := 0.0
		for f := range features {
			var x float64
			switch f % 6 {
			case 0, 3:
				x = float64(r.IntN(2 + f%18))
				z += 0.02 * x
			case 1:
				x = math.Floor(math.Max(0, 3*r.ExpFloat64()-2))
				z += 0.05 * x
			default:
				x = r.NormFloat64()
				z += 0.2 * math.Sin(3*x)
			}
			if f%4 == 2 && r.IntN(10) == 0 {
				x = math.NaN()
			}
			d.X = append(d.X, float32(x))
		}
		if r.Float64() < 1/(1+math.Exp(2-z)) {
			d.Labels[row] = 1
		}
	}
	return d
}

// BenchmarkTrain times training with LightGBM's default parameters but for 63
// leaves, binning included. `make bench-train` compares with other libraries.
func BenchmarkTrain(b *testing.B) {
	for _, size := range []struct{ rows, features, trees int }{{5_000, 20, 50}, {20_000, 100, 20}, {100_000, 100, 20}, {500_000, 50, 10}} {
		d := wide(size.rows, size.features)
		for _, grower := range []Grower{LeafWise, Symmetric} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("%dx%d/%s/%d", size.rows, size.features, grower, workers), func(b *testing.B) {
					p := DefaultParams()
					p.Trees, p.Leaves, p.Grower, p.Workers = size.trees, 63, grower, workers
					for b.Loop() {
						_, h := mustTrain(b, p, d, nil)
						for phase, took := range h.Phases {
							b.ReportMetric(took.Seconds()*1e3, "ms-"+strings.Fields(phase)[0])
						}
					}
				})
			}
		}
	}
}

// BenchmarkScore times the score and the contributions of a row, compiled and
// by the methods that are the oracle. Rows differ, since a processor learns
// the way of a row that comes again and again. `make bench-score` compares
// with other libraries.
func BenchmarkScore(b *testing.B) {
	d := wide(20_000, 50)
	for _, grower := range []Grower{LeafWise, Symmetric} {
		p := DefaultParams()
		p.Trees, p.Leaves, p.Grower = 200, 63, grower
		f, _ := mustTrain(b, p, d, nil)
		c, err := f.Compile()
		if err != nil {
			b.Fatal(err)
		}
		w, phi := c.NewWorkspace(), make([]float64, len(d.Names))
		for _, work := range []struct {
			name string
			do   func(row []float32)
		}{
			{"margin", func(row []float32) { w.Load(row); w.Margin() }},
			{"plain", func(row []float32) { f.Predict(row) }},
			{"reasons", func(row []float32) { clear(phi); w.Load(row); w.Contributions(phi) }},
			{"textbook", func(row []float32) { f.Contributions(row, phi) }},
		} {
			b.Run(fmt.Sprintf("%s/%s", grower, work.name), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					at := i % len(d.Labels) * len(d.Names)
					work.do(d.X[at : at+len(d.Names)])
				}
			})
		}
	}
}
