package gbdt

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestElementary compares with the standard library, which is right to one
// unit in the last place.
func TestElementary(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 30))
	near := func(got, want float64) bool {
		return math.Abs(got-want) <= 4*math.Abs(math.Nextafter(want, 2*want)-want)
	}
	for range 100_000 {
		x := r.NormFloat64() * math.Exp(6*r.Float64())
		if got, want := exp(x), math.Exp(min(max(x, -700), 700)); !near(got, want) {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
		y := math.Exp(min(max(x, -600), 600))
		if got, want := log(y), math.Log(y); !near(got, want) && math.Abs(got-want) > 1e-16 {
			t.Fatalf("log(%v) = %v, want %v", y, got, want)
		}
	}
	if log(1) != 0 || exp(0) != 1 {
		t.Errorf("log(1) = %v, exp(0) = %v", log(1), exp(0))
	}
}
