package baseline

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sjwhitworth/golearn/linear_models"
)

// formula is a table anyone can compute again: whole-number arithmetic only.
func formula() (x Matrix, y []bool) {
	x = Matrix{Rows: 400, Cols: 3}
	for i := range x.Rows {
		a := float64(i*37%101-50) / 25
		b := float64(i*53%89-44) / 22
		c := float64(i*17%7-3) / 2
		noise := float64(i*71%97-48) / 24
		x.Data = append(x.Data, a, b, c)
		y = append(y, 0.8*a-1.2*b+0.1*c-0.9+noise > 0)
	}
	return x, y
}

// TestFitLogisticAgainstScikitLearn: expected weights by scikit-learn 1.9.1,
// LogisticRegression(C=C, tol=1e-12, max_iter=10000,
// solver="newton-cholesky"), on the table of formula. The weights beyond the
// first tolerance come from the intercept, which scikit-learn leaves out of
// the penalty; exact has it in a column of 32 as here (fit_intercept=False).
func TestFitLogisticAgainstScikitLearn(t *testing.T) {
	x, y := formula()
	for _, c := range []struct {
		c         float64
		weights   []float64
		intercept float64
		tolerance float64
	}{
		{1, []float64{1.424430759642318, -1.724937320504315, 0.09938788106729675}, -1.4208418309080637, 1e-4},
		{1, []float64{1.424410653392717, -1.724912224310863, 0.09938631298394135}, -1.42079510613342, 1e-7},
		{0.05, []float64{0.8756174067568099, -1.0765905755416834, 0.04783423123762961}, -1.0444823419981422, 5e-4},
		{0.05, []float64{0.8755392041878807, -1.076489628281035, 0.047830636309577866}, -1.0440897768180462, 1e-7},
	} {
		l, err := FitLogistic(x, y, LogisticParams{C: c.c, Tolerance: 1e-10})
		if err != nil {
			t.Fatal(err)
		}
		for j, want := range c.weights {
			if math.Abs(l.Weights[j]-want) > c.tolerance {
				t.Errorf("C %v: weight %d is %v, scikit-learn has %v", c.c, j, l.Weights[j], want)
			}
		}
		if math.Abs(l.Intercept-c.intercept) > c.tolerance {
			t.Errorf("C %v: intercept %v, scikit-learn has %v", c.c, l.Intercept, c.intercept)
		}
	}
	if l, err := FitLogistic(x, y, DefaultLogisticParams()); err != nil || math.Abs(l.Weights[0]-1.42441) > 1e-4 {
		t.Errorf("with default tolerance: %+v, %v", l, err)
	}
}

// TestFitLogisticLabelOrder: which label comes first must not turn the
// weights around.
func TestFitLogisticLabelOrder(t *testing.T) {
	x, y := formula()
	if y[0] || !y[2] {
		t.Fatal("want the first label false and the third true")
	}
	a, err := FitLogistic(x, y, DefaultLogisticParams())
	if err != nil {
		t.Fatal(err)
	}
	for j := range x.Cols {
		x.Data[j], x.Data[2*x.Cols+j] = x.Data[2*x.Cols+j], x.Data[j]
	}
	y[0], y[2] = y[2], y[0]
	b, err := FitLogistic(x, y, DefaultLogisticParams())
	if err != nil {
		t.Fatal(err)
	}
	for j := range a.Weights {
		if math.Abs(a.Weights[j]-b.Weights[j]) > 1e-5 {
			t.Errorf("weight %d is %v, with rows swapped %v", j, a.Weights[j], b.Weights[j])
		}
	}
}

// TestFitLogisticRecovers plants log-odds 0.5 - x0 + 2*x1 and finds them.
func TestFitLogisticRecovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	planted := Linear{Weights: []float64{-1, 2, 0}, Intercept: 0.5}
	x := Matrix{Rows: 20000, Cols: 3}
	var y []bool
	for range x.Rows {
		row := []float64{r.NormFloat64(), r.NormFloat64(), r.NormFloat64()}
		x.Data = append(x.Data, row...)
		y = append(y, r.Float64() < planted.Probability(row))
	}
	l, err := FitLogistic(x, y, DefaultLogisticParams())
	if err != nil {
		t.Fatal(err)
	}
	// A standard error is about 0.02 to 0.03 at 20,000 rows.
	if math.Abs(l.Intercept-planted.Intercept) > 0.1 {
		t.Errorf("intercept %v, planted %v", l.Intercept, planted.Intercept)
	}
	for j := range l.Weights {
		if math.Abs(l.Weights[j]-planted.Weights[j]) > 0.1 {
			t.Errorf("weight %d is %v, planted %v", j, l.Weights[j], planted.Weights[j])
		}
	}
	again, err := FitLogistic(x, y, DefaultLogisticParams())
	if err != nil {
		t.Fatal(err)
	}
	if again.Intercept != l.Intercept || !slices.Equal(again.Weights, l.Weights) {
		t.Errorf("second fit %v, first %v", again, l)
	}
}

// TestWeightsAgainstExport compares what is read out of liblinear's memory
// with the file that golearn writes of the same model.
func TestWeightsAgainstExport(t *testing.T) {
	rows := [][]float64{{1, 0.5}, {-1, 2}, {0, -3}, {2, 1}, {-2, -1}}
	labels := []float64{-1, 1, -1, 1, -1}
	p := DefaultLogisticParams()
	problem := linear_models.NewProblem(rows, labels, 0)
	unpin, err := pin(problem, len(rows))
	if err != nil {
		t.Fatal(err)
	}
	defer unpin()
	model := linear_models.Train(problem, linear_models.NewParameter(linear_models.L2R_LR, p.C, p.Tolerance))
	got, err := weights(model, 2, p)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model")
	if err := linear_models.Export(model, path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, _ := strings.Cut(string(text), "\nw\n")
	if !strings.Contains(head, "label 1 -1\n") {
		t.Fatalf("want label 1 first, have\n%s", text)
	}
	for i, s := range strings.Fields(tail)[:2] {
		want, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got[i]-want) > 1e-15*math.Abs(want) {
			t.Errorf("weight %d is %v, exported as %v", i, got[i], want)
		}
	}
}

func TestFitLogisticErrors(t *testing.T) {
	x := Matrix{Data: []float64{1, 2, 3, 4}, Rows: 2, Cols: 2}
	y := []bool{true, false}
	p := DefaultLogisticParams()
	nan := Matrix{Data: []float64{1, 2, math.NaN(), 4}, Rows: 2, Cols: 2}
	for _, c := range []struct {
		name string
		x    Matrix
		y    []bool
		p    LogisticParams
		want string
	}{
		{"empty", Matrix{}, nil, p, "nothing to learn from"},
		{"shape", Matrix{Data: x.Data, Rows: 2, Cols: 3}, y, p, "has 4 values"},
		{"labels", x, y[:1], p, "1 labels for 2 rows"},
		{"missing", nan, y, p, "row 1, column 0 is NaN"},
		{"one class", x, []bool{true, true}, p, "labels are all equal"},
		{"C", x, y, LogisticParams{C: 0, Tolerance: 1}, "C 0"},
		{"tolerance", x, y, LogisticParams{C: 1, Tolerance: math.NaN()}, "tolerance NaN"},
	} {
		if _, err := FitLogistic(c.x, c.y, c.p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := FitLogistic(x, []bool{false, false}, p); !errors.Is(err, ErrOneClass) {
		t.Errorf("error %v, want ErrOneClass", err)
	}
}

// TestQuiet runs a fit in a process of its own, as golearn and liblinear
// write to the standard output a process starts with.
func TestQuiet(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(exe, "-test.run=^TestFitLogisticLabelOrder$").CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	if got := strings.TrimSpace(string(out)); got != "PASS" {
		t.Errorf("a fit printed %q", got)
	}
}
