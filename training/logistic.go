package training

import (
	"context"
	"fmt"
	"sync"

	"churn/model"
	"churn/model/baseline"
)

// maxLogisticRows is how many rows golearn's solver is given at most, drawn by
// the seed: it copies the table several times.
const maxLogisticRows = 60_000

// strengths of the logistic regression that compete, the weakest model first;
// small data gets the first only.
var strengths = []float64{0.001, 0.003, 0.01, 0.03, 0.1}

// logistics are golearn's logistic regression on normal scores and one-hot
// levels, with each strength of regularisation. Nothing comes of features that
// say nothing.
func (l *ladder) logistics(strengths []float64) []learner {
	d := newDesign(&l.train.Matrix, l.plan.Workers)
	if d.columns == 0 {
		return nil
	}
	rows := sample(len(l.y), maxLogisticRows, l.plan.Seed)
	matrix := sync.OnceValue(func() logisticRows { return l.logisticRows(d, rows) })
	var out []learner
	for _, c := range strengths {
		out = append(out, learner{kind: "logistic", group: "logistic", name: fmt.Sprintf("logistic, C=%g (golearn)", c),
			cost: 1e-7 * float64(len(rows)*d.columns),
			fit: func(ctx context.Context, fold int) (member, error) {
				linear, err := l.fitLogistic(ctx, d, matrix(), fold, c)
				return member{linear: linear}, err
			}})
	}
	return out
}

// logisticRows are rows of a design.
type logisticRows struct {
	x    baseline.Matrix
	y    []bool
	fold []int
}

// logisticRows writes the columns of some rows.
func (l *ladder) logisticRows(d *design, rows []int) logisticRows {
	r := logisticRows{x: baseline.Matrix{Rows: len(rows), Cols: d.columns, Data: make([]float64, len(rows)*d.columns)},
		y: make([]bool, len(rows)), fold: make([]int, len(rows))}
	const chunk = 512
	parallel(l.plan.Workers, (len(rows)+chunk-1)/chunk, func(k int) {
		for i := k * chunk; i < min((k+1)*chunk, len(rows)); i++ {
			d.row(r.x.Data[i*d.columns:(i+1)*d.columns], l.train.Matrix.Row(rows[i]))
			r.y[i], r.fold[i] = l.y[rows[i]], l.fold[rows[i]]
		}
	})
	return r
}

// fitLogistic fits one logistic regression without a fold.
func (l *ladder) fitLogistic(ctx context.Context, d *design, r logisticRows, fold int, c float64) (*model.Linear, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x := baseline.Matrix{Cols: d.columns, Data: make([]float64, 0, len(r.x.Data))}
	var y []bool
	for i := range r.y {
		if r.fold[i] != fold {
			x.Data, y = append(x.Data, r.x.Row(i)...), append(y, r.y[i])
		}
	}
	x.Rows = len(y)
	p := baseline.DefaultLogisticParams()
	p.C, p.Tolerance = c, 1e-4
	fit, err := baseline.FitLogistic(x, y, p)
	if err != nil {
		return nil, fmt.Errorf("logistic: %w", err)
	}
	return d.linear(fit.Weights, fit.Intercept, &l.train.Matrix, l.inner()), nil
}
