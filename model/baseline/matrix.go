package baseline

import (
	"errors"
	"fmt"
	"math"
)

// A Matrix is a dense table of numbers, one row per observation. The value at
// row i, column j is Data[i*Cols+j].
type Matrix struct {
	Data       []float64
	Rows, Cols int
}

// Row returns row i, which shares its memory with the matrix.
func (m Matrix) Row(i int) []float64 { return m.Data[i*m.Cols : (i+1)*m.Cols : (i+1)*m.Cols] }

// check returns how many labels are true, or why no model can be fitted.
func check(x Matrix, y []bool) (churned int, err error) {
	if x.Rows < 1 || x.Cols < 1 {
		return 0, fmt.Errorf("matrix of %d rows and %d columns has nothing to learn from", x.Rows, x.Cols)
	}
	if x.Rows > math.MaxInt32 || x.Cols > math.MaxInt32-2 || len(x.Data) != x.Rows*x.Cols {
		return 0, fmt.Errorf("matrix of %d rows and %d columns has %d values", x.Rows, x.Cols, len(x.Data))
	}
	if len(y) != x.Rows {
		return 0, fmt.Errorf("%d labels for %d rows", len(y), x.Rows)
	}
	for i, v := range x.Data {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("row %d, column %d is %v; fill in missing values first", i/x.Cols, i%x.Cols, v)
		}
	}
	for _, churn := range y {
		if churn {
			churned++
		}
	}
	if churned == 0 || churned == len(y) {
		return 0, fmt.Errorf("%w: %d of %d rows churned", ErrOneClass, churned, len(y))
	}
	return churned, nil
}

// ErrOneClass is returned if all labels are equal.
var ErrOneClass = errors.New("labels are all equal")
