package baseline

import (
	"cmp"
	"math"
	"slices"
)

// xLogX holds n*log2(n) for n from 0. The entropy of a node of a rows that
// stay and b that churn, times its rows, is xLogX[a+b] - xLogX[a] - xLogX[b]:
// sums and differences of a table, so the same bits on every machine that
// agrees on the table.
type xLogX []float64

func newXLogX(most int) xLogX {
	t := make(xLogX, most+1)
	for n := 2; n < len(t); n++ {
		t[n] = float64(n) * math.Log2(float64(n))
	}
	return t
}

func (t xLogX) entropy(stay, churn int) float64 { return t[stay+churn] - t[stay] - t[churn] }

// leastGain keeps rounding errors from passing for information, in bits times
// rows.
const leastGain = 1e-9

type split struct {
	feature   int
	threshold float64
	gain      float64 // bits times rows
}

type cell struct {
	value float64
	churn bool
}

// bestSplit returns the test of the given columns that tells most about the
// labels of the rows, leaving at least minLeaf rows on either side. Of equal
// ones the first wins: columns in the order given, thresholds upwards.
// cells is scratch space for as many rows.
func bestSplit(x Matrix, y []bool, rows, columns []int, minLeaf int, xlogx xLogX, cells []cell) (best split, ok bool) {
	cells = cells[:len(rows)]
	best.gain = leastGain
	for _, column := range columns {
		churned := 0
		for i, row := range rows {
			cells[i] = cell{x.Data[row*x.Cols+column], y[row]}
			if y[row] {
				churned++
			}
		}
		if churned == 0 || churned == len(cells) {
			return split{}, false
		}
		slices.SortFunc(cells, func(a, b cell) int { return cmp.Compare(a.value, b.value) })
		node := xlogx.entropy(len(cells)-churned, churned)
		left, leftChurned := 0, 0
		for i := range len(cells) - minLeaf {
			left++
			if cells[i].churn {
				leftChurned++
			}
			if left < minLeaf || cells[i].value == cells[i+1].value {
				continue
			}
			right, rightChurned := len(cells)-left, churned-leftChurned
			gain := node - xlogx.entropy(left-leftChurned, leftChurned) - xlogx.entropy(right-rightChurned, rightChurned)
			if gain > best.gain {
				best = split{column, between(cells[i].value, cells[i+1].value), gain}
				ok = true
			}
		}
	}
	return best, ok
}

// between returns the middle of a < b, or a where the middle rounds to b, so
// that a <= between(a, b) < b.
func between(a, b float64) float64 {
	middle := a/2 + b/2 // a+b could be too large
	if middle < a || middle >= b {
		return a
	}
	return middle
}
