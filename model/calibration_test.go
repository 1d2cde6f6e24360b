package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCalibrationIsMonotone, to the last bit, over knots, between them and
// beyond; and never certain.
func TestCalibrationIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	calibrations := []Calibration{
		{Kind: "platt", Slope: 1, Offset: 0}, {Kind: "platt", Slope: 1e-3, Offset: -3}, {Kind: "platt", Slope: 1e300, Offset: 1e300},
		{Kind: "isotonic", Margins: []float64{0}, Probabilities: []float64{1}},
		{Kind: "isotonic", Margins: []float64{0}, Probabilities: []float64{1}, Tail: 1}, {Kind: "isotonic", Margins: []float64{0}, Probabilities: []float64{0}, Tail: 1e12},
		{Kind: "beta", A: 1, B: 1}, {Kind: "beta", A: 1e12, B: 1e12, C: -1e12}, {Kind: "beta", B: 1e-3, C: -5}, {Kind: "beta", A: 1e-300, C: 5},
	}
	for range 200 {
		calibrations = append(calibrations, Calibration{Kind: "beta", A: math.Exp(r.NormFloat64() * 3), B: math.Exp(r.NormFloat64() * 3), C: r.NormFloat64() * 5})
		c := Calibration{Kind: "isotonic", Tail: math.Exp(r.NormFloat64()*3) * float64(r.IntN(2))}
		m, p := -3+r.Float64(), r.Float64()/10
		for range 1 + r.IntN(20) {
			c.Margins, c.Probabilities = append(c.Margins, m), append(c.Probabilities, p)
			m, p = m+1e-9+math.Exp(min(r.NormFloat64()*8-4, 3)), min(p+r.Float64()/10*float64(r.IntN(2)), 1)
		}
		calibrations = append(calibrations, c)
	}
	for _, c := range calibrations {
		if err := c.check(); err != nil {
			t.Fatal(err)
		}
		margins := []float64{math.Inf(-1), -1e300, -1000, -40, -37, 0, 37, 40, 1000, 1e300, math.Inf(1)}
		for i, m := range c.Margins {
			margins = append(margins, m, math.Nextafter(m, -9), math.Nextafter(m, 1e9))
			if i > 0 {
				margins = append(margins, (m+c.Margins[i-1])/2)
			}
		}
		for range 100 {
			m := r.NormFloat64() * 5
			margins = append(margins, m)
			for range 3 {
				m = math.Nextafter(m, math.Inf(1))
				margins = append(margins, m)
			}
		}
		slices.Sort(margins)
		last := 0.0
		for _, m := range margins {
			p := c.Probability(m)
			if !(p >= last && p >= minProbability && p <= 1-minProbability) {
				t.Fatalf("%+v: probability %v at %v, %v before", c, p, m, last)
			}
			last = p
		}
	}
}

// TestCalibrationKeepsRanks: a hundredth of a margin more is more probability,
// far beyond what was fitted, until the probability is at its limit.
func TestCalibrationKeepsRanks(t *testing.T) {
	for _, c := range sklearnCases(t) {
		for _, fitted := range []Calibration{FitPlatt(c.Margins, c.Churned), FitBeta(c.Margins, c.Churned), FitIsotonic(c.Margins, c.Churned)} {
			last := 0.0
			for m := slices.Min(c.Margins) - 10; m < slices.Max(c.Margins)+10; m += 0.01 {
				p := fitted.Probability(m)
				if p <= last && p > minProbability && p < 1-minProbability {
					t.Fatalf("%s, %s: %v at %v, and %v just before", c.Name, fitted.Kind, p, m, last)
				}
				last = p
			}
		}
	}
}

// TestTailIsContinuous: where the knots end the log-odds go on without a step.
func TestTailIsContinuous(t *testing.T) {
	for _, c := range sklearnCases(t) {
		got := FitIsotonic(c.Margins, c.Churned)
		if want := tailShare * FitPlatt(c.Margins, c.Churned).Slope; got.Tail != want {
			t.Errorf("%s: tail %v, want %v", c.Name, got.Tail, want)
		}
		for _, end := range []int{0, len(got.Margins) - 1} {
			m, p := got.Margins[end], got.Probabilities[end]
			outside := math.Copysign(1, float64(end)-0.5)
			if d := math.Abs(got.Probability(math.Nextafter(m, outside*math.Inf(1))) - p); d > 1e-12 {
				t.Errorf("%s: a step of %v at the end", c.Name, d)
			}
			q := got.Probability(m + outside/2)
			if slope := 2 * math.Abs(math.Log(q/(1-q))-math.Log(p/(1-p))); math.Abs(slope-got.Tail) > 1e-9 {
				t.Errorf("%s: slope %v beyond the end, want %v", c.Name, slope, got.Tail)
			}
		}
	}
}

func TestProbability(t *testing.T) {
	platt := Calibration{Kind: "platt", Slope: 2, Offset: -1}
	isotonic := Calibration{Kind: "isotonic", Margins: []float64{-1, 1, 3}, Probabilities: []float64{0, 0.25, 1}}
	tails := Calibration{Kind: "isotonic", Margins: []float64{-1, 1}, Probabilities: []float64{0.25, 0.75}, Tail: 2}
	log3 := math.Log(3)
	for _, c := range []struct {
		c            *Calibration
		margin, want float64
	}{
		// a = b is Platt's map; s = 1/2 gives odds of (1/2)^a / (1/2)^b · e^c.
		{&Calibration{Kind: "beta", A: 1, B: 1}, log3, 0.75}, {&Calibration{Kind: "beta", A: 2, B: 2, C: -log3}, log3, 0.75},
		{&Calibration{Kind: "beta", A: 2}, 0, 0.2}, {&Calibration{Kind: "beta", B: 2}, 0, 0.8}, {&Calibration{Kind: "beta", A: 1, B: 3, C: -log3}, 0, 4.0 / 7},
		// s = 3/4: ln s = ln 3/4, -ln(1-s) = ln 4.
		{&Calibration{Kind: "beta", A: 1}, log3, 3.0 / 7}, {&Calibration{Kind: "beta", B: 1}, log3, 0.8},
		{&Calibration{Kind: "beta", A: 1, B: 1}, -1e9, minProbability}, {&Calibration{Kind: "beta", A: 1}, 1e9, 0.5},
		// Odds of 3 times 3² beyond, of 1/3 times 3⁻² below.
		{&tails, 1 + log3, 27.0 / 28}, {&tails, -1 - log3, 1.0 / 28}, {&tails, 1, 0.75}, {&tails, 0, 0.5}, {&tails, 99, 1 - minProbability},
		{&platt, 0.5, 0.5}, {&platt, 0.5 + math.Log(3)/2, 0.75}, {&platt, -100, minProbability}, {&platt, 100, 1 - minProbability},
		{&isotonic, 1, 0.25}, {&isotonic, 0, 0.125}, {&isotonic, 2, 0.625}, {&isotonic, -9, minProbability}, {&isotonic, 9, 1 - minProbability},
	} {
		if got := c.c.Probability(c.margin); math.Abs(got-c.want) > 1e-12 { // see onGrid
			t.Errorf("%s of %v: %v, want %v", c.c.Kind, c.margin, got, c.want)
		}
	}
}

func TestInterpolate(t *testing.T) {
	knots, values := []float64{-1, 0, 4}, []float64{10, 20, 0}
	for _, c := range []struct{ v, want float64 }{
		{math.Inf(-1), 10}, {-2, 10}, {-1, 10}, {-0.5, 15}, {0, 20}, {1, 15}, {3, 5}, {4, 0}, {5, 0}, {math.Inf(1), 0},
	} {
		if got := Interpolate(knots, values, c.v); got != c.want {
			t.Errorf("at %v: %v, want %v", c.v, got, c.want)
		}
	}
	if got := Interpolate([]float64{7}, []float64{3}, 7); got != 3 {
		t.Errorf("one knot: %v", got)
	}
	// -0.1 + (0.02+0.1) is more than 0.02: without care the end of a piece
	// would lie above the beginning of the next.
	if got := Interpolate([]float64{0, 1, 2}, []float64{-0.1, 0.02, 0.02}, 1); got > 0.02 {
		t.Errorf("at a knot: %v, want at most its value", got)
	}
}

func TestSigmoid(t *testing.T) {
	for _, c := range []struct{ x, want float64 }{
		{0, 0.5}, {math.Log(3), 0.75}, {-math.Log(3), 0.25}, {-1000, 0}, {1000, 1}, {math.Inf(-1), 0}, {math.Inf(1), 1},
	} {
		if got := Sigmoid(c.x); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("at %v: %v, want %v", c.x, got, c.want)
		}
	}
}
