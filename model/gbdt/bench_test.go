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
