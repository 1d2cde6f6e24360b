package features

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// function is one row of the table of functions over finished features. a
// holds the arguments; days their windows in days (0 for none).
type function struct {
	args int
	// windows tells that every argument must have a window.
	windows bool
	fn      func(a, days []float64) float64
	unit    string
}

var functions = map[string]function{
	"ratio": {2, false, func(a, _ []float64) float64 {
		if a[1] == 0 {
			return nan
		}
		return a[0] / a[1]
	}, "ratio"},
	// Rate of the shorter window against the rest of the longer one, with one
	// event of smoothing: (n_a/a + 1/b) / ((n_b-n_a)/(b-a) + 1/b).
	"rate_ratio": {2, true, func(a, d []float64) float64 {
		return (a[0]/d[0] + 1/d[1]) / ((a[1]-a[0])/(d[1]-d[0]) + 1/d[1])
	}, "ratio"},
	// Change of a slope over its window against the rate: slope·w/(n/w+1/w).
	"relative_slope": {2, true, func(a, d []float64) float64 {
		return a[0] * d[0] / (a[1]/d[1] + 1/d[1])
	}, "ratio"},
	"diff":  {2, false, func(a, _ []float64) float64 { return a[0] - a[1] }, ""},
	"times": {2, false, func(a, _ []float64) float64 { return a[0] * a[1] }, ""},
	"per":   {2, false, func(a, _ []float64) float64 { return a[0] / (a[1] + 1) }, "ratio"},
	// Against the same before, with one of smoothing.
	"growth":  {2, false, func(a, _ []float64) float64 { return (a[0] + 1) / (a[1] + 1) }, "ratio"},
	"per_day": {1, true, func(a, d []float64) float64 { return a[0] / d[0] }, "per day"},
	"log1p": {1, false, func(a, _ []float64) float64 {
		if a[0] < 0 {
			return nan
		}
		return log1p(a[0])
	}, "log"},
	// The smaller of those that are known.
	"least": {2, false, func(a, _ []float64) float64 {
		if math.IsNaN(a[0]) || a[1] < a[0] {
			return a[1]
		}
		return a[0]
	}, ""},
	// The first argument that is known; the last may be a number.
	"coalesce": {2, false, func(a, _ []float64) float64 {
		if math.IsNaN(a[0]) {
			return a[1]
		}
		return a[0]
	}, ""},
}

// log1p computes ln(1+x) of x >= 0, with the same bits on every machine: the
// standard library's has products and sums that compilers for some of them
// fuse. It is ln u + c/u, where u is 1+x as rounded and c what that lost, and
// u = m*2^k with m near 1 has ln m = 2 artanh((m-1)/(m+1)), by its series.
func log1p(x float64) float64 {
	if x < 1e-300 || math.IsInf(x, 1) || math.IsNaN(x) {
		return x
	}
	u := 1 + x
	c := (x - (u - 1)) / u
	if x > 1 {
		c = (1 - (u - x)) / u
	}
	m, k := math.Frexp(u)
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
	// Two parts of ln 2, of which the product of the first is exact (Cody and
	// Waite's, as in FreeBSD's msun).
	const high, low = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	return float64(float64(k)*high) + (float64(float64(2*z)*sum) + (float64(float64(k)*low) + c))
}

var callPattern = regexp.MustCompile(`^([a-z_0-9]+)\(([^()]*)\)$`)

// expression is a compiled call: the columns of its arguments, or constants.
type expression struct {
	fn      function
	columns []int // -1 for a constant
	values  []float64
	days    []float64
}

// parseExpr compiles a call over features declared before it.
func parseExpr(text string, index map[string]int, have []Feature) (*expression, error) {
	m := callPattern.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return nil, fmt.Errorf("expr %q: write one call such as ratio(a, b); functions: %s", text, names(functions))
	}
	f, ok := functions[m[1]]
	if !ok {
		return nil, fmt.Errorf("expr %q: no function %q; there are %s", text, m[1], names(functions))
	}
	args := strings.Split(m[2], ",")
	if len(args) != f.args {
		return nil, fmt.Errorf("expr %q: %s takes %d arguments", text, m[1], f.args)
	}
	e := &expression{fn: f}
	for _, a := range args {
		a = strings.TrimSpace(a)
		if v, err := strconv.ParseFloat(a, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) && !f.windows {
			e.columns = append(e.columns, -1)
			e.values = append(e.values, v)
			e.days = append(e.days, 0)
			continue
		}
		i, ok := index[a]
		if !ok {
			return nil, fmt.Errorf("expr %q: no feature %q is declared before it", text, a)
		}
		if have[i].Kind != Number {
			return nil, fmt.Errorf("expr %q: %s is a category", text, a)
		}
		if f.windows && have[i].Window == 0 {
			return nil, fmt.Errorf("expr %q: %s has no window", text, a)
		}
		if f.windows && have[i].offset != 0 {
			return nil, fmt.Errorf("expr %q: %s has an offset, and %s compares windows up to the instant", text, a, m[1])
		}
		e.columns = append(e.columns, i)
		e.values = append(e.values, 0)
		e.days = append(e.days, have[i].Window.Days())
	}
	if m[1] == "rate_ratio" && e.days[0] >= e.days[1] {
		return nil, fmt.Errorf("expr %q: the first window must be the shorter one", text)
	}
	return e, nil
}

// eval computes from the columns before it; a is room for the arguments.
func (e *expression) eval(row []float64, a *[4]float64) float64 {
	for i, c := range e.columns {
		a[i] = e.values[i]
		if c >= 0 {
			a[i] = row[c]
		}
	}
	return e.fn.fn(a[:len(e.columns)], e.days)
}
