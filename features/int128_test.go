package features

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// number is any 64-bit number, often a small one or one of the ends.
func number(r *rand.Rand) int64 {
	switch r.IntN(5) {
	case 0:
		return []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1}[r.IntN(6)]
	case 1:
		return r.Int64N(1000) - 500
	}
	return int64(r.Uint64()) >> r.IntN(64)
}

func (a int128) big() *big.Int {
	v := new(big.Int).Lsh(big.NewInt(a.hi), 64)
	return v.Add(v, new(big.Int).SetUint64(a.lo))
}

// TestInt128 compares with math/big.
func TestInt128(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	equal := func(what string, got int128, want *big.Int) {
		t.Helper()
		if d := new(big.Int).Sub(got.big(), want); d.Mod(d, modulus).Sign() != 0 {
			t.Fatalf("%s is %v, want %v", what, got.big(), want)
		}
	}
	for range 200_000 {
		x, y, n := number(r), number(r), r.Int64N(1<<40)
		a, b := int128{number(r), uint64(number(r))}, int128{number(r) >> r.IntN(64), uint64(number(r))}
		equal("product", product(x, y), new(big.Int).Mul(big.NewInt(x), big.NewInt(y)))
		equal("wide", wide(x), big.NewInt(x))
		equal("plus", a.plus(b), new(big.Int).Add(a.big(), b.big()))
		equal("minus", a.minus(b), new(big.Int).Sub(a.big(), b.big()))
		equal("times", a.times(n), new(big.Int).Mul(a.big(), big.NewInt(n)))
		// One bit above or below what lies half way between two float64.
		half := product(r.Int64N(1<<53)|1<<53, 1<<r.IntN(60)).plus(wide(int64(r.IntN(3) - 1)))
		for _, v := range []int128{a, b, half, int128{}.minus(half), {math.MinInt64, 0}} {
			want, _ := new(big.Float).SetInt(v.big()).Float64()
			if got := v.float(); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%v as a float is %v, want %v", v.big(), got, want)
			}
		}
	}
}

// TestDeviation compares the sums of the series with those of math/big, on
// values that fit in 128 bits when squared and on values that do not.
func TestDeviation(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		s := series{seriesPlan: &seriesPlan{needs: ofSums | ofSquares}, sum: []int128{{}}, square: []int128{{}}}
		shift := r.IntN(64)
		for range 1 + r.IntN(6) {
			s.at = append(s.at, 0)
			s.value = append(s.value, number(r)>>shift)
		}
		s.fill()
		first := r.IntN(len(s.value))
		got, want := s.deviation(first, len(s.value)), bigDeviation(s.value[first:])
		if math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%v from %d: %v, want %v", s.value, first, got, want)
		}
	}
}

// TestLog1p compares with the standard library after rounding, and at the ends.
func TestLog1p(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 200_000 {
		for _, x := range []float64{float64(i), r.Float64(), math.Exp(float64(200*r.Float64()) - 100)} {
			if got, want := float32(log1p(x)), float32(math.Log1p(x)); got != want {
				t.Fatalf("log1p(%v) is %v, want %v", x, got, want)
			}
		}
	}
	for _, x := range []float64{0, 5e-324, 1e-301, math.MaxFloat64, math.Inf(1), math.NaN()} {
		if got, want := log1p(x), math.Log1p(x); got != want && got == got {
			t.Errorf("log1p(%v) is %v, want %v", x, got, want)
		}
	}
}
