package gbdt

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// without copies a table but for some of its columns.
func without(d *Dataset, ignore []bool) *Dataset {
	out := &Dataset{Labels: d.Labels, Weights: d.Weights}
	for f, name := range d.Names {
		if !ignore[f] {
			out.Names = append(out.Names, name)
			out.Categorical = append(out.Categorical, d.Categorical[f])
		}
	}
	for i, x := range d.X {
		if !ignore[i%len(d.Names)] {
			out.X = append(out.X, x)
		}
	}
	return out
}

// TestIgnore: the trees are those of a table without the columns, where columns
// are not drawn and levels not encoded, which is by the number of the column.
func TestIgnore(t *testing.T) {
	d := mixed(4000)(rand.New(rand.NewPCG(41, 42)))
	for _, g := range []Grower{LeafWise, Symmetric} {
		for drop := range d.Names {
			p := quick()
			p.Grower, p.RowFraction, p.TargetOrders = g, 0.7, 0
			ignore := make([]bool, len(d.Names))
			ignore[drop], ignore[(drop+3)%len(ignore)] = true, true
			less := without(d, ignore)
			want, _ := mustTrain(t, p, less, nil)
			p.Ignore = ignore
			got, _ := mustTrain(t, p, d, nil)
			for i := range got.Trees {
				for _, f := range got.Trees[i].SplitFeature {
					if ignore[f] {
						t.Fatalf("%s: tree %d asks for feature %d, which is ignored", g, i, f)
					}
				}
			}
			for i := range d.Labels {
				a := got.Predict(d.X[i*len(d.Names):][:len(d.Names)])
				b := want.Predict(less.X[i*len(less.Names):][:len(less.Names)])
				if a != b {
					t.Fatalf("%s: row %d: score %v without features %d and %d, %v of a table that lacks them", g, i, a, drop, (drop+3)%len(ignore), b)
				}
			}
		}
	}
}

// TestIgnoreIsPaired: a feature that no tree asks for may be ignored and not a
// bit changes, though columns are drawn: the draws of the others stay.
func TestIgnoreIsPaired(t *testing.T) {
	d := mixed(2000)(rand.New(rand.NewPCG(43, 44)))
	const constant = 3
	for i := range d.Labels {
		d.X[i*len(d.Names)+constant] = 0
	}
	for _, g := range []Grower{LeafWise, Symmetric} {
		p := quick()
		p.Grower, p.RowFraction, p.ColumnFraction = g, 0.7, 0.5
		want, _ := mustTrain(t, p, d, nil)
		p.Ignore = make([]bool, len(d.Names))
		p.Ignore[constant] = true
		if got, _ := mustTrain(t, p, d, nil); text(t, got) != text(t, want) {
			t.Errorf("%s: another forest without a feature that is constant", g)
		}
	}
}

// TestIgnoreAll leaves the mean.
func TestIgnoreAll(t *testing.T) {
	d := mixed(500)(rand.New(rand.NewPCG(45, 46)))
	for _, g := range []Grower{LeafWise, Symmetric} {
		p := quick()
		p.Grower, p.RowFraction, p.ColumnFraction = g, 0.7, 0.5
		p.Ignore = slices.Repeat([]bool{true}, len(d.Names))
		f, _ := mustTrain(t, p, d, nil)
		if got := f.Predict(d.X[:len(d.Names)]); got != baseScore(d) {
			t.Errorf("%s: score %v, want the log-odds of the mean, %v", g, got, baseScore(d))
		}
	}
}
