package measure

import (
	"math"
	"math/rand/v2"
	"testing"
)

// published are the Stakes of the measure as its authors have it: a value of
// 200, an incentive of 10, a contact for 1, γ from Beta(6, 14).
var published = Stakes{Gain: 190, Churner: 1, Stayer: 11, Alpha: 6, Beta: 14}

// The reference values are those that proflogit (the first) and empulse (the
// others) test themselves with.
func TestEMPCReference(t *testing.T) {
	tests := []struct {
		y           []bool
		score       []float64
		want, share float64 // share 0: not told
		tolerance   float64
	}{
		{bools("1100011110"), []float64{.6125478, .3642710, .4321361, .1402911, .3848959, .2444155, .9706413, .8901728, .7817814, .8687518}, 30.3003222629848, 0, 5e-14},
		{bools("01"), []float64{0, 1}, 28.0000000000391, 0, 5e-11},
		{bools("01"), []float64{1, 0}, 22.5007912244511, 0, 5e-11},
		{bools("01010101"), []float64{.1, .2, .3, .4, .5, .7, .8, .9}, 23.8755934, .8743701, 5e-8},
	}
	for _, test := range tests {
		s, err := NewSample(test.score, test.y, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, share := s.EMPC(s.weight, published)
		t.Logf("%.16g %.16g, off by %g", got, share, got-test.want)
		if math.Abs(got-test.want) > test.tolerance*test.want || test.share > 0 && math.Abs(share-test.share) > test.tolerance {
			t.Errorf("%.15g, share %.7f; want %.15g, %.7f", got, share, test.want, test.share)
		}
	}
}

func bools(digits string) []bool {
	y := make([]bool, len(digits))
	for i := range y {
		y[i] = digits[i] == '1'
	}
	return y
}

// The measure against its definition: at each γ of a fine grid the best of all
// thresholds, averaged with the density of γ.
func TestEMPCIsTheMeanOfTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for trial := range 40 {
		k := Stakes{Gain: 300 * r.Float64(), Churner: 3 * r.Float64(), Stayer: 20 * r.Float64(), Alpha: 1 + 8*r.Float64(), Beta: 1 + 8*r.Float64()}
		if trial == 0 {
			k.Gain = 0
		}
		n := 3 + r.IntN(40)
		p, y, w := make([]float64, n), make([]bool, n), make([]float64, n)
		for i := range p {
			p[i], y[i], w[i] = float64(r.IntN(12)), r.IntN(3) == 0, float64(r.IntN(3))
		}
		y[0], y[1], w[0], w[1] = true, false, 1, 1
		s, err := NewSample(p, y, w)
		if err != nil {
			t.Fatal(err)
		}
		got, share := s.EMPC(s.weight, k)
		total, _ := s.sums(s.weight)
		const steps = 40_000
		want, wantShare, mass := 0.0, 0.0, 0.0
		for i := range steps {
			gamma := (float64(i) + 0.5) / steps
			density := math.Pow(gamma, k.Alpha-1) * math.Pow(1-gamma, k.Beta-1)
			best, taken := 0.0, 0.0
			s.thresholds(func(_, pos, neg float64) {
				if v := k.Profit(gamma, pos, neg); v > best {
					best, taken = v, pos+neg
				}
			})
			want, wantShare, mass = want+density*best/total, wantShare+density*taken/total, mass+density
		}
		if want, wantShare = want/mass, wantShare/mass; math.Abs(got-want) > 1e-3*(1+want) || math.Abs(share-wantShare) > 2e-3 {
			t.Errorf("trial %d, %+v: %v of %v, want %v of %v", trial, k, got, share, want, wantShare)
		}
	}
}

func TestBetaCDF(t *testing.T) {
	// By hand: Beta(1,1) is uniform, Beta(2,1) has x², Beta(1,2) 1-(1-x)², and
	// for whole a and b it is the tail of a binomial.
	binomial := func(a, b int, x float64) float64 {
		sum := 0.0
		for j := a; j < a+b; j++ {
			c := 1.0
			for i := range j {
				c = c * float64(a+b-1-i) / float64(i+1)
			}
			sum += c * math.Pow(x, float64(j)) * math.Pow(1-x, float64(a+b-1-j))
		}
		return sum
	}
	for _, x := range []float64{0, 1e-9, 0.01, 0.3, 0.5, 0.9, 1} {
		for _, test := range []struct {
			a, b int
		}{{1, 1}, {2, 1}, {1, 2}, {6, 14}, {7, 14}, {40, 3}} {
			if got, want := betaCDF(float64(test.a), float64(test.b), x), binomial(test.a, test.b, x); math.Abs(got-want) > 1e-13 {
				t.Errorf("Beta(%d, %d) at %v: %v, want %v", test.a, test.b, x, got, want)
			}
		}
	}
	// By hand: Beta(1/2, 1/2) is the arc sine law.
	if got, want := betaCDF(0.5, 0.5, 0.2), 2/math.Pi*math.Asin(math.Sqrt(0.2)); math.Abs(got-want) > 1e-13 {
		t.Errorf("arc sine law: %v, want %v", got, want)
	}
}
