package gbdt

import (
	"math"

	"churn/model/gbdt/internal/kernel"
)

// quadrature returns the points of Gauss-Legendre quadrature over 0..1, exact
// for polynomials of degree 2n-1, by eights. n is even.
// The roots of the Legendre polynomial are found by Newton's method (Abramowitz
// and Stegun, Handbook of Mathematical Functions, 25.4.30), in arithmetic that
// is the same on every machine.
func quadrature(n int) []kernel.Points {
	const lanes = kernel.PathLanes
	points := make([]kernel.Points, (n+lanes-1)/lanes)
	set := func(i int, p, weight float64) {
		r, l := &points[i/lanes], i%lanes
		r.P[l], r.Q[l], r.Weight[l] = p, 1-p, weight
	}
	for i := range n / 2 {
		// The root is near cos(π(i+3/4)/(n+1/2)).
		x := cosine(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		var slope float64
		for range 100 {
			var value float64
			value, slope = legendre(n, x)
			step := value / slope
			if x -= step; math.Abs(step) < 1e-15 {
				break
			}
		}
		_, slope = legendre(n, x)
		weight := 1 / (float64((1-float64(x*x))*slope) * slope) // half of that over -1..1
		set(i, float64(0.5*(1-x)), weight)
		set(n-1-i, float64(0.5*(1+x)), weight)
	}
	return points
}

// legendre returns the Legendre polynomial of degree n and its derivative.
func legendre(n int, x float64) (value, slope float64) {
	before, at := 1.0, x
	for k := 2; k <= n; k++ {
		next := (float64(float64(2*k-1)*x*at) - float64(float64(k-1)*before)) / float64(k)
		before, at = at, next
	}
	return at, float64(n) * (float64(x*at) - before) / (float64(x*x) - 1)
}

// cosine of 0 to π, by its series: nothing but the start of Newton's method
// rests on it.
func cosine(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 2; k <= 40; k += 2 {
		term = -float64(term*x*x) / float64(k*(k-1))
		sum += term
	}
	return sum
}
