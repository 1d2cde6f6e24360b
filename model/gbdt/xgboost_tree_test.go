package gbdt

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// TestXGBoostThreshold: for every float32 x, x <= threshold is x < condition.
func TestXGBoostThreshold(t *testing.T) {
	inf := float32(math.Inf(1))
	values := []float32{0, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, 0x1p-126, 1, math.MaxFloat32, inf}
	r := rand.New(rand.NewPCG(13, 14))
	for range 50 {
		if v := math.Float32frombits(r.Uint32()); v == v {
			values = append(values, v)
		}
	}
	for _, v := range values {
		values = append(values, -v, math.Nextafter32(v, inf), math.Nextafter32(v, -inf))
	}
	for _, condition := range values {
		threshold, err := xgboostThreshold(condition)
		if err != nil || math.IsInf(threshold, 0) {
			t.Fatalf("condition %v: threshold %v, error %v", condition, threshold, err)
		}
		for _, x := range values {
			if condition == -inf && x == -inf {
				continue // documented
			}
			if got, want := float64(x) <= threshold, x < condition; got != want {
				t.Errorf("%v <= %v is %v, but %v < %v is %v", x, threshold, got, x, condition, want)
			}
		}
	}
}

// TestXGBoostManyMissing: tests of the same feature above and below each other
// that send missing values along with the set, on all paths; checked against
// what XGBoost does, written down here once more.
func TestXGBoostManyMissing(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 200 {
		source := randomXGBoostTree(r, 3, 1+r.IntN(12))
		if err := source.check(); err != nil {
			t.Fatal(err)
		}
		b := &xgboostBuilder{from: source, model: &xgboostModel{limits: DefaultLimits(), spare: 1 << 30}, missing: map[int32]bool{}}
		if err := b.addSets(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.add(0, 1, 1, 0); err != nil {
			t.Fatal(err)
		}
		if err := b.tree.validate(3); err != nil {
			t.Fatal(err)
		}
		cover, count := 0.0, 0
		for i, w := range b.tree.LeafWeight {
			cover += w
			count += b.tree.LeafCount[i]
		}
		if !(math.Abs(cover-float64(source.cover[0])) < 1e-6*cover) || math.Abs(float64(count-xgboostCount)) > 100 {
			t.Fatalf("leaves have weight %v and count %d, want %v and %d", cover, count, source.cover[0], xgboostCount)
		}
		for range 50 {
			row := make([]float32, 3)
			for i := range row {
				if row[i] = float32(r.IntN(40) - 2); r.IntN(3) == 0 {
					row[i] = float32(math.NaN())
				}
			}
			if got, want := b.tree.LeafValue[b.tree.Leaf(row)], float64(source.condition[source.leaf(row)]); got != want {
				t.Fatalf("row %v: leaf value %v, want %v", row, got, want)
			}
		}
	}
}

// TestXGBoostDoublesOnce: three tests of one feature, each below the right side
// of the last, all of which send missing values along with the set. The right
// side of the first, two tests and three leaves, is there twice; below that it
// is known whether the feature is missing. 3 + 3 + 1 leaves.
func TestXGBoostDoublesOnce(t *testing.T) {
	f, err := ReadXGBoost(bytes.NewReader(xgboostChain(3, 0, 1)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if n := f.Trees[1].NumLeaves(); n != 7 {
		t.Errorf("%d leaves, want 7", n)
	}
}

// leaf returns the leaf of row: GetNextNode and Decision of XGBoost 3.4
// (src/predictor/predict_fn.h, src/common/categorical.h).
func (t *xgboostTree) leaf(row []float32) int32 {
	at := int32(0)
	for t.left[at] >= 0 {
		x := row[t.feature[at]]
		var left bool
		switch {
		case x != x:
			left = t.defaultLeft[at] == 1
		case t.categorical[at] == 0:
			left = x < t.condition[at]
		default:
			left = true
			k := t.set[at]
			for _, c := range t.codes[t.setStart[k] : t.setStart[k]+t.setSize[k]] {
				left = left && (x < 0 || c != int32(x))
			}
		}
		if left {
			at = t.left[at]
		} else {
			at = t.right[at]
		}
	}
	return at
}

func randomXGBoostTree(r *rand.Rand, features, leaves int) *xgboostTree {
	t := &xgboostTree{}
	add := func() int32 {
		t.left, t.right = append(t.left, -1), append(t.right, -1)
		t.feature, t.condition = append(t.feature, int32(r.IntN(features))), append(t.condition, float32(r.IntN(1000)))
		t.defaultLeft, t.categorical = append(t.defaultLeft, int32(r.IntN(2))), append(t.categorical, 0)
		t.gain, t.cover = append(t.gain, 1), append(t.cover, float32(1+r.IntN(9)))
		t.nodes++
		return int32(t.nodes - 1)
	}
	for open := []int32{add()}; len(open) < leaves; {
		i := r.IntN(len(open))
		n := open[i]
		t.left[n], t.right[n] = add(), add()
		open[i] = t.left[n]
		open = append(open, t.right[n])
		if t.categorical[n] = int32(r.IntN(4)/3 ^ 1); t.categorical[n] == 0 {
			t.condition[n] = float32(r.IntN(38))
			continue
		}
		t.setNode = append(t.setNode, n)
		t.setStart = append(t.setStart, int64(len(t.codes)))
		size := 1 + r.IntN(5)
		for range size {
			t.codes = append(t.codes, int32(r.IntN(38)))
		}
		t.setSize = append(t.setSize, int64(size))
	}
	for n := t.nodes - 1; n >= 0; n-- { // children come after parents
		if t.left[n] >= 0 {
			t.cover[n] = t.cover[t.left[n]] + t.cover[t.right[n]]
		}
	}
	return t
}
