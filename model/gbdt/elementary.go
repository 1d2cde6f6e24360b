package gbdt

import "math"

// exp and log are e^x and the natural logarithm, with the same bits on every
// machine: the standard library's have assembly for some, and compilers for
// others fuse products and sums, which an explicit conversion forbids. They are
// right to a few units in the last place, which is all that is needed here.

// ln2High has so few bits that its product with an exponent is exact.
const (
	ln2High = 6.93147180369123816490e-01 // Cody and Waite's two parts of ln 2, as in FreeBSD's msun
	ln2Low  = 1.90821492927058770002e-10
)

// exp computes e^x by powers of two and the Taylor series of the rest, which
// is at most ln 2 / 2. Beyond ±700 x is cut.
func exp(x float64) float64 {
	x = min(max(x, -700), 700)
	k := math.RoundToEven(float64(x * (1 / math.Ln2)))
	r := float64(x-float64(k*ln2High)) - float64(k*ln2Low)
	sum := 1.0
	for i := 14; i > 0; i-- {
		sum = 1 + float64(float64(sum*r)/float64(i))
	}
	return math.Ldexp(sum, int(k))
}

// log computes ln x of a finite x > 0 from x = m*2^k with m near 1, and
// ln m = 2 artanh((m-1)/(m+1)) by its series.
func log(x float64) float64 {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		k--
	}
	z := (m - 1) / (m + 1)
	z2 := float64(z * z)
	sum := 0.0
	for i := 23; i > 0; i -= 2 {
		sum = float64(sum*z2) + 1/float64(i)
	}
	return float64(float64(k)*ln2High) + (float64(float64(2*z)*sum) + float64(float64(k)*ln2Low))
}

// sigmoid is the probability that goes with log-odds.
func sigmoid(x float64) float64 { return 1 / (1 + exp(-x)) }
