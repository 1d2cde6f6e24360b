package gbdt

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
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
