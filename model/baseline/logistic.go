package baseline

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/linear_models"
)

// LogisticParams are the settings of [FitLogistic].
type LogisticParams struct {
	// C is the weight of the data against the penalty on large weights: the
	// solver minimises |w|²/2 + C * sum of log losses over the rows. Smaller
	// means more regularisation. It has the meaning of scikit-learn's C.
	// Default 1.
	C float64

	// Tolerance ends the search when the gradient is smaller than this part
	// of the gradient at the start (times the share of the rarer label).
	// Default 1e-6.
	Tolerance float64
}

// DefaultLogisticParams suit columns of about unit variance.
func DefaultLogisticParams() LogisticParams { return LogisticParams{C: 1, Tolerance: 1e-6} }

// Linear is a logistic regression.
type Linear struct {
	Weights   []float64 // log-odds per unit of each column
	Intercept float64   // log-odds of a row of zeros
}

// Margin returns the log-odds of churn of row.
func (l *Linear) Margin(row []float64) float64 {
	margin := l.Intercept
	for j, w := range l.Weights {
		margin += float64(w * row[j])
	}
	return margin
}

// Probability returns the probability of churn of row.
func (l *Linear) Probability(row []float64) float64 { return 1 / (1 + math.Exp(-l.Margin(row))) }

// interceptScale is the value of the constant column that stands for the
// intercept. As the penalty knows no difference, the intercept is penalised
// like a weight, but 1/interceptScale² times as strongly: practically not.
// A power of two, so that folding it back loses no bit.
const interceptScale = 32

// liblinear guards what is global in liblinear and golearn: the print hook
// and the logger behind it.
var liblinear sync.Mutex

// FitLogistic fits a logistic regression with L2 penalty by liblinear's trust
// region Newton method, as golearn brings it. Label true is churn. Columns
// should be of about the same scale, as the penalty treats them alike.
//
// golearn's own LogisticRegression keeps its weights to itself, ignores the
// bias it is given, and drops negative values when it predicts. So the solver
// beneath it is called directly: with a constant column for the intercept,
// and the weights are read from the solver's result.
//
// The solver takes some 50 bytes a cell while it runs and never returns the
// memory of its result (about 8 bytes a column). The same input gives the
// same bits. Fits take turns.
func FitLogistic(x Matrix, y []bool, p LogisticParams) (*Linear, error) {
	if _, err := check(x, y); err != nil {
		return nil, fmt.Errorf("fitting logistic regression: %w", err)
	}
	if !(p.C > 0) || math.IsInf(p.C, 0) || !(p.Tolerance > 0) || math.IsInf(p.Tolerance, 0) {
		return nil, fmt.Errorf("fitting logistic regression: C %v and tolerance %v must be greater than zero and finite", p.C, p.Tolerance)
	}
	rows := make([][]float64, x.Rows)
	labels := make([]float64, x.Rows)
	data := make([]float64, 0, x.Rows*(x.Cols+1))
	for i := range rows {
		start := len(data)
		data = append(append(data, x.Row(i)...), interceptScale)
		rows[i] = data[start:]
		labels[i] = -1
		if y[i] {
			labels[i] = 1
		}
	}

	liblinear.Lock()
	defer liblinear.Unlock()
	base.SetLoggerOut(io.Discard) // the solver's progress goes there
	weights, err := solve(rows, labels, p)
	if err != nil {
		return nil, fmt.Errorf("fitting logistic regression: %w", err)
	}
	for _, w := range weights {
		if math.IsNaN(w) || math.IsInf(w, 0) {
			return nil, errors.New("fitting logistic regression: weights became infinite; bring the columns to one scale")
		}
	}
	return &Linear{
		Weights:   weights[:x.Cols:x.Cols],
		Intercept: weights[x.Cols] * interceptScale,
	}, nil
}

// solve returns the weights that separate label 1 from label -1.
func solve(rows [][]float64, labels []float64, p LogisticParams) ([]float64, error) {
	problem := linear_models.NewProblem(rows, labels, 0)
	unpin, err := pin(problem, len(rows))
	if err != nil {
		return nil, err
	}
	defer unpin()
	model := linear_models.Train(problem, linear_models.NewParameter(linear_models.L2R_LR, p.C, p.Tolerance))
	return weights(model, len(rows[0]), p)
}
