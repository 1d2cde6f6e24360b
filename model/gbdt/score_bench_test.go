package gbdt

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"churn/model/gbdt/internal/kernel"
)

// benchForests are 200 trees over 50 features, ten of them categories: of 63
// leaves each, and symmetric ones of depth 6.
var benchForests = sync.OnceValue(func() map[string]*Forest {
	const rows, columns = 20_000, 50
	r := rand.New(rand.NewPCG(1, 1))
	d := &Dataset{X: benchRows(r, rows, columns), Labels: make([]float32, rows)}
	for j := range columns {
		d.Names = append(d.Names, string(rune('a'+j/26))+string(rune('a'+j%26)))
		d.Categorical = append(d.Categorical, j%5 == 4)
	}
	for i := range rows {
		x := d.X[i*columns:]
		z := -1.0
		for j := range 20 {
			if v := float64(x[j]); !math.IsNaN(v) {
				z += math.Sin(2*v+float64(j)) / 2
			}
		}
		if r.Float64() < 1/(1+math.Exp(-z)) {
			d.Labels[i] = 1
		}
	}
	out := map[string]*Forest{}
	for name, grower := range map[string]Grower{"ordinary": LeafWise, "symmetric": Symmetric} {
		p := DefaultParams()
		p.Trees, p.Leaves, p.Grower, p.Workers = 200, 63, grower, 2
		f, _, err := Train(context.Background(), p, d, nil)
		if err != nil {
			panic(err)
		}
		out[name] = f
	}
	return out
})

// benchRows are distinct, so that no branch predictor can learn them by heart.
func benchRows(r *rand.Rand, rows, columns int) []float32 {
	x := make([]float32, rows*columns)
	for i := range x {
		switch j := i % columns; {
		case j%5 == 4:
			x[i] = float32(r.IntN(2 + j))
		case r.IntN(10) == 0:
			x[i] = float32(math.NaN())
		default:
			x[i] = float32(r.NormFloat64())
		}
	}
	return x
}

func forEachForest(b *testing.B, fn func(b *testing.B, f *Forest, c *Compiled, rows [][]float32)) {
	for _, name := range []string{"ordinary", "symmetric"} {
		f := benchForests()[name]
		c, err := f.Compile()
		if err != nil {
			b.Fatal(err)
		}
		const n, columns = 1 << 14, 50
		x := benchRows(rand.New(rand.NewPCG(2, 2)), n, columns)
		rows := make([][]float32, n)
		for i := range rows {
			rows[i] = x[i*columns : (i+1)*columns]
		}
		b.Run(name, func(b *testing.B) { fn(b, f, c, rows) })
	}
}

var sink float64

func BenchmarkMargin(b *testing.B) {
	forEachForest(b, func(b *testing.B, f *Forest, c *Compiled, rows [][]float32) {
		b.Run("textbook", func(b *testing.B) {
			for i := range b.N {
				sink += f.Predict(rows[i%len(rows)])
			}
		})
		b.Run("compiled", func(b *testing.B) {
			w := c.NewWorkspace()
			b.ReportAllocs()
			for i := range b.N {
				w.Load(rows[i%len(rows)])
				sink += w.Margin()
			}
		})
		b.Run("keys", func(b *testing.B) {
			w := c.NewWorkspace()
			for i := range b.N {
				w.Load(rows[i%len(rows)])
			}
		})
	})
}

func BenchmarkContributions(b *testing.B) {
	forEachForest(b, func(b *testing.B, f *Forest, c *Compiled, rows [][]float32) {
		phi := make([]float64, len(f.FeatureNames))
		b.Run("textbook", func(b *testing.B) {
			for i := range b.N {
				f.Contributions(rows[i%len(rows)], phi)
			}
		})
		for l := kernel.Plain; l <= kernel.Best(); l++ {
			b.Run("compiled/"+l.String(), func(b *testing.B) {
				defer kernel.Use(kernel.Use(l))
				w := c.NewWorkspace()
				b.ReportAllocs()
				for i := range b.N {
					w.Load(rows[i%len(rows)])
					w.Contributions(phi)
				}
			})
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	forEachForest(b, func(b *testing.B, f *Forest, _ *Compiled, _ [][]float32) {
		for range b.N {
			if _, err := f.Compile(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
