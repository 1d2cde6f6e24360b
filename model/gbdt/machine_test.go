package gbdt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"churn/model/gbdt/internal/kernel"
)

// whole is a table made by whole-number arithmetic alone, so that it is the
// same on every machine.
func whole(rows int) *Dataset {
	r := rand.New(rand.NewPCG(31, 32))
	d := &Dataset{Names: []string{"a", "b", "c", "d", "e"}, Categorical: []bool{3: true, 4: true}}
	for range rows {
		a, b, c := r.IntN(4000)-2000, r.IntN(6), r.IntN(100)
		level, town := r.IntN(7), r.IntN(60)*r.IntN(60)/40
		x := []float32{float32(a) / 64, float32(b), float32(c * c), float32(level), float32(town)}
		chance := 20 + 10*b + a/100
		if c < 10 {
			x[2] = float32(math.NaN())
			chance += 30
		}
		if level == 3 || town%5 == 1 {
			chance -= 25
		}
		y := float32(0)
		if r.IntN(100) < chance {
			y = 1
		}
		d.X = append(d.X, x...)
		d.Labels = append(d.Labels, y)
	}
	return d
}

// wholeForest has trees of every shape, made like whole.
func wholeForest(leaves int) *Forest {
	r := rand.New(rand.NewPCG(33, 34))
	f := randomForest(r, 25, 60, leaves)
	f.AverageOutput = false
	for i := range f.Trees {
		for j := range f.Trees[i].LeafValue {
			f.Trees[i].LeafValue[j] = float64(r.IntN(4000)-2000) / 1000
		}
	}
	return f
}

// TestEveryMachineScores: the same margins and contributions, bit for bit, on
// every machine and with all its sets of instructions. The sums were computed as
// those of TestEveryMachine, by the plain kernels.
func TestEveryMachineScores(t *testing.T) {
	for _, c := range []struct {
		leaves int
		want   string
	}{
		{5, "3e31eea79451b516a6cf19f7168e69e621ce21c059a3ae48817e15e7e2399e8a"},
		{40, "311a1a61039532c568e7112ae4c69454147b365de7eeeef70d6d746a3f6abad4"},
		{400, "0a6f62a6661e2aff55d8fe0ec2cde24d7dffeaa247fa182306000e8661ea71ca"},
	} {
		f := wholeForest(c.leaves)
		compiled, err := f.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for l := kernel.Plain; l <= kernel.Best(); l++ {
			func() {
				defer kernel.Use(kernel.Use(l))
				r := rand.New(rand.NewPCG(35, 36))
				w, phi, sum := compiled.NewWorkspace(), make([]float64, len(f.FeatureNames)), sha256.New()
				for range 200 {
					w.Load(randomRow(r, len(phi)))
					w.Contributions(phi)
					if err := binary.Write(sum, binary.LittleEndian, append([]float64{w.Margin(), compiled.Base()}, phi...)); err != nil {
						t.Fatal(err)
					}
				}
				if got := fmt.Sprintf("%x", sum.Sum(nil)); got != c.want {
					t.Errorf("%d leaves, %v: SHA-256 %s, want %s", c.leaves, l, got, c.want)
				}
			}()
		}
	}
}

// TestEveryMachine: the same seed and data give the same bytes on every
// machine. The sums were computed on an AMD EPYC (Zen 4). An arm64 build under
// QEMU 7.2 gave the same, by hand, as CI has no QEMU:
//
//	CGO_ENABLED=0 GOARCH=arm64 go test -c . && qemu-aarch64-static ./gbdt.test -test.run EveryMachine
func TestEveryMachine(t *testing.T) {
	d := whole(5000)
	for _, c := range []struct {
		grower Grower
		want   string
	}{
		{LeafWise, "8fdfb6542d5b040366bbae9d55addbb84aeda478bc5e910416d1251b2062dffe"},
		{Symmetric, "01066b74d6ae8255097023aa23bcc368df992239fd3373dcd1b14043bed51c31"},
	} {
		p := DefaultParams()
		p.Grower, p.Trees, p.TargetLevels, p.RowFraction, p.ColumnFraction = c.grower, 30, 20, 0.9, 0.9
		p.Patience, p.Metric = 5, LogLoss
		f, _ := mustTrain(t, p, d, whole(1000))
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(text(t, f)))); got != c.want {
			t.Errorf("%s: SHA-256 %s, want %s", c.grower, got, c.want)
		}
	}
}
