package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"churn/features"
	"churn/model/gbdt"
)

// TestIntervalCoverage trains on several samples of one world and asks how
// often the interval of one sample's bag holds the mean margin of the others.
// It should be nine times in ten; it is more, because the members also differ
// in what boosting draws at random. (16 samples of 2,000 and of 6,000 rows, 400
// rows asked, both kinds of trees: 94 to 95 %.)
func TestIntervalCoverage(t *testing.T) {
	if testing.Short() {
		t.Skip("trains forty forests")
	}
	const samples, rows, asked, columns = 8, 1000, 100, 8
	draw := func(r *rand.Rand, n int, tag string) *Data {
		d := &Data{}
		for j := range columns {
			d.Matrix.Features = append(d.Matrix.Features, features.Feature{Name: fmt.Sprintf("x%d", j)})
		}
		for i := range n {
			row := d.Matrix.Grow()
			z := -1.0
			for j := range row {
				row[j] = float32(r.NormFloat64())
				if j < 5 {
					z += 0.7 * math.Sin(float64(row[j])*1.5+float64(j))
				}
			}
			d.Observations = append(d.Observations, Observation{Customer: fmt.Sprint(tag, i), Churned: r.Float64() < 1/(1+math.Exp(-z))})
		}
		return d
	}
	ask := draw(rand.New(rand.NewPCG(9, 9)), asked, "asked")
	var margin, reach [samples][asked]float64
	mean := [asked]float64{}
	for s := range samples {
		data := draw(rand.New(rand.NewPCG(uint64(s), 77)), rows, fmt.Sprint("sample", s, "-"))
		l := newLadder(planOf(t, "boosting"), data)
		members := make([]*gbdt.Forest, folds)
		parallel(2, folds, func(fold int) {
			var err error
			if members[fold], err = l.boost(t.Context(), usual(gbdt.Symmetric, 4).params(rows), fold); err != nil {
				t.Error(err)
			}
		})
		if t.Failed() {
			return
		}
		_, bag := bagOf(members)
		for i := range asked {
			var sum, squares float64
			for _, m := range members {
				sum += m.Predict(ask.Matrix.Row(i)) / folds
			}
			for _, m := range members {
				squares += math.Pow(m.Predict(ask.Matrix.Row(i))-sum, 2)
			}
			margin[s][i], reach[s][i] = sum, bag.Width*math.Sqrt(squares/(folds-1))
			mean[i] += sum / samples
		}
	}
	inside := 0
	for s := range samples {
		for i := range asked {
			others := (mean[i]*samples - margin[s][i]) / (samples - 1)
			if math.Abs(margin[s][i]-others) <= reach[s][i] {
				inside++
			}
		}
	}
	coverage := float64(inside) / (samples * asked)
	t.Logf("the interval holds the mean of the others in %.1f %% of the cases", 100*coverage)
	if coverage < 0.88 || coverage > 0.99 {
		t.Errorf("coverage %.3f of a 90 %% interval", coverage)
	}
}

// TestBagOf: the margin of the bag is the mean of its members'.
func TestBagOf(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var members []*gbdt.Forest
	for k := range 3 {
		f := &gbdt.Forest{FeatureNames: []string{"x"}, FeatureInfos: []string{"none"}}
		for range k + 1 {
			f.Trees = append(f.Trees, gbdt.Tree{LeafValue: []float64{r.NormFloat64()}, Shrinkage: 0.1})
		}
		members = append(members, f)
	}
	forest, bag := bagOf(members)
	want := (members[0].Predict([]float32{0}) + members[1].Predict([]float32{0}) + members[2].Predict([]float32{0})) / 3
	if got := forest.Predict([]float32{0}); math.Abs(got-want) > 1e-15 {
		t.Errorf("margin %v, want %v", got, want)
	}
	if fmt.Sprint(bag.Trees) != "[1 2 3]" || bag.Members != 3 {
		t.Errorf("bag %+v", bag)
	}
	if members[1].Trees[0].Shrinkage != 0.1 {
		t.Error("the members were changed")
	}
}
