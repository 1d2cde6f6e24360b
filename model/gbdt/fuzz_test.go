package gbdt

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// FuzzTrain: whatever the table and the parameters, training gives an error or
// a forest that is valid, finite and the same from one worker and from three.
func FuzzTrain(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed, uint16(seed*seed*7), uint8(1+seed%9))
	}
	f.Fuzz(func(t *testing.T, seed uint64, rows uint16, features uint8) {
		r := rand.New(rand.NewPCG(seed, uint64(rows)))
		d := oddTable(r, int(rows)%2000, int(features)%40)
		p := oddParams(r)
		p.Workers = 1
		one, _, err := Train(context.Background(), p, d, nil)
		if err != nil {
			for _, known := range []string{"no rows", "no features", "nothing to tell apart", "all weights are 0", "parameter "} {
				if strings.Contains(err.Error(), known) {
					return
				}
			}
			t.Fatal(err)
		}
		if err := one.Validate(); err != nil {
			t.Fatal(err)
		}
		for i := range min(d.Rows(), 50) {
			if s := one.Predict(d.X[i*len(d.Names):][:len(d.Names)]); math.IsNaN(s) || math.IsInf(s, 0) {
				t.Fatalf("row %d scores %v", i, s)
			}
		}
		p.Workers = 3
		three, _ := mustTrain(t, p, d, nil)
		if text(t, one) != text(t, three) {
			t.Error("three workers make another forest than one")
		}
	})
}

// oddTable has columns of all kinds of values a float32 can have.
func oddTable(r *rand.Rand, rows, features int) *Dataset {
	d := &Dataset{X: make([]float32, rows*features), Labels: make([]float32, rows), Categorical: make([]bool, features)}
	for f := range features {
		d.Names = append(d.Names, "f"+strings.Repeat("x", f))
		kind, levels := r.IntN(8), 1+r.IntN(300)
		d.Categorical[f] = kind < 2
		for row := range rows {
			var x float32
			switch kind {
			case 0, 1, 2:
				x = float32(r.IntN(levels))
			case 3:
				x = float32(r.NormFloat64())
			case 4:
				x = math.Float32frombits(r.Uint32())
				if x-x != 0 {
					x = math.MaxFloat32
				}
			case 5:
				x = math.Float32frombits(r.Uint32N(8)) // denormal
			case 6:
				x = float32(math.NaN())
			case 7:
				x = float32(r.IntN(3)-1) * math.MaxFloat32
			}
			if r.IntN(10) == 0 {
				x = float32(math.NaN())
			}
			d.X[row*features+f] = x
		}
	}
	for row := range d.Labels {
		d.Labels[row] = float32(r.IntN(2))
	}
	if r.IntN(2) == 0 {
		for range d.Labels {
			d.Weights = append(d.Weights, float32(math.Exp(10*r.NormFloat64()))*float32(r.IntN(2)))
		}
	}
	return d
}

// oddParams are parameters from all over their ranges.
func oddParams(r *rand.Rand) Params {
	p := DefaultParams()
	p.Trees, p.Leaves, p.Bins = 1+r.IntN(5), 2+r.IntN(40), 4+r.IntN(252)
	p.LearningRate = math.Exp(r.NormFloat64())
	if r.IntN(2) == 0 {
		p.Grower, p.MaxDepth = Symmetric, r.IntN(8)
	}
	p.MinRows, p.MinHessian = float64(r.IntN(30)), float64(r.IntN(2))*r.Float64()
	p.L1, p.L2, p.MinGain = float64(r.IntN(2))*r.Float64(), float64(r.IntN(2))*10*r.Float64(), float64(r.IntN(2))*r.Float64()
	p.RowFraction, p.ColumnFraction = 1-r.Float64()*float64(r.IntN(2)), 1-r.Float64()*float64(r.IntN(2))
	p.OneHotLevels, p.TargetLevels, p.TargetOrders = r.IntN(10), 2+r.IntN(100), r.IntN(4)
	p.CatSmooth, p.CatMinRows, p.CatMaxLevels = 10*r.Float64(), 50*r.Float64(), 1+r.IntN(50)
	p.Seed = r.Uint64()
	return p
}
