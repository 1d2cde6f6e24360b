package training

import (
	"fmt"

	"churn/model"
	"churn/model/baseline"
)

// maxLogisticRows is how many rows golearn's solver is given at most, drawn by
// the seed: it copies the table several times.
const maxLogisticRows = 60_000

// logisticCost of a member in nominal seconds of one processor: a column of a
// table becomes about two of the design.
func logisticCost(rows, columns int) float64 {
	return 2e-7*float64(min(rows, maxLogisticRows))*float64(2*columns) + 0.01
}

// logisticRows are rows of a design.
type logisticRows struct {
	design *design
	x      baseline.Matrix
	y      []bool
	fold   []int
}

// logisticRows writes the columns of the rows that the solver is given.
func (l *ladder) logisticRows() logisticRows {
	d := newDesign(&l.train.Matrix, l.plan.Workers)
	rows := sample(len(l.y), maxLogisticRows, l.plan.Seed)
	r := logisticRows{design: d, x: baseline.Matrix{Rows: len(rows), Cols: d.columns, Data: make([]float64, len(rows)*d.columns)},
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

// fitLogistic fits golearn's logistic regression on normal scores and one-hot
// levels, without a fold. Where no feature says anything it is an intercept.
func (l *ladder) fitLogistic(c float64, fold int) (*model.Linear, error) {
	r := l.logistic()
	d := r.design
	if d.columns == 0 {
		return &model.Linear{Terms: []model.Term{}}, nil
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
