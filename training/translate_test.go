package training

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/features"
	"churn/model/gbdt"
)

// randomTree grows a tree of every kind of test. Feature 0 and 1 are numbers,
// 2 is a code that is compared as a number, 3 and 4 are categories.
func randomTree(rng *rand.Rand) gbdt.Tree {
	t := gbdt.Tree{Shrinkage: 1}
	t.CatBoundaries = []int{0}
	var grow func(depth int) int
	grow = func(depth int) int {
		if depth == 4 || rng.IntN(5) == 0 {
			leaf := len(t.LeafValue)
			t.LeafValue = append(t.LeafValue, float64(leaf))
			t.LeafWeight = append(t.LeafWeight, 1)
			t.LeafCount = append(t.LeafCount, 1)
			return ^leaf
		}
		n := len(t.SplitFeature)
		j := rng.IntN(5)
		t.SplitFeature = append(t.SplitFeature, j)
		kind, threshold := gbdt.DecisionType(rng.IntN(2)*2|rng.IntN(3)*4), float64(rng.IntN(12)-4)
		if rng.IntN(8) == 0 {
			threshold = -math.MaxFloat64 // asks whether it is missing
		}
		if j == 1 && kind&gbdt.MissingZero != 0 {
			kind &^= gbdt.MissingZero // cannot be with a number for missing
		}
		if j >= 3 {
			kind, threshold = gbdt.Categorical, float64(len(t.CatBoundaries)-1)
			for range 1 + rng.IntN(2) {
				t.CatThreshold = append(t.CatThreshold, rng.Uint32())
			}
			t.CatBoundaries = append(t.CatBoundaries, len(t.CatThreshold))
		}
		t.DecisionType = append(t.DecisionType, kind)
		t.Threshold = append(t.Threshold, threshold)
		t.SplitGain = append(t.SplitGain, 1)
		t.InternalValue = append(t.InternalValue, 0)
		t.InternalWeight = append(t.InternalWeight, 1)
		t.InternalCount = append(t.InternalCount, 1)
		t.LeftChild, t.RightChild = append(t.LeftChild, 0), append(t.RightChild, 0)
		left := grow(depth + 1)
		right := grow(depth + 1)
		t.LeftChild[n], t.RightChild[n] = left, right
		return n
	}
	grow(0)
	if len(t.CatBoundaries) == 1 {
		t.CatBoundaries = nil
	}
	return t
}

// TestTranslate: a row of ours falls into the leaf that the row it stands for
// falls into there. The oracle writes that row out.
func TestTranslate(t *testing.T) {
	nan := float32(math.NaN())
	rng := rand.New(rand.NewPCG(1, 2))
	codings := []*coding{
		{to: 3, missing: nan},
		{to: 0, missing: -2},
		{to: 4, missing: -1, codes: []float32{-3.5, 0, 0, 0.25, 1, 7}},
		{to: 1, missing: nan, codes: []float32{0, 1, 2, 5, 31, 32, 40, 63, 100}},
		{to: 2, missing: 5, codes: []float32{3, 5, 33}},
	}
	ours := make([]features.Feature, 5)
	for j := range ours {
		ours[j].Name = string(rune('a' + j))
	}
	old := &gbdt.Forest{Objective: "binary", Sigmoid: 1, FeatureNames: []string{"v", "w", "x", "y", "z"},
		FeatureInfos: []string{"none", "none", "none", "none", "none"}, MonotoneConstraints: []int{1, -1, 0, 0, 0}}
	for range 300 {
		old.Trees = append(old.Trees, randomTree(rng))
	}
	if err := old.Validate(); err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(old.Trees[0].LeftChild)
	got, err := (&Foreign{Forest: old, From: "LightGBM", Fingerprint: "f"}).translate(ours, codings)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.FeatureNames, []string{"a", "b", "c", "d", "e"}) || !slices.Equal(got.MonotoneConstraints, []int{-1, 0, 0, 1, 0}) ||
		!slices.Equal(got.FeatureInfos, []string{"none", "0:1:2:3:4:5:6:7:8", "0:1:2", "none", "0:1:2:3:4:5"}) {
		t.Errorf("names %v, constraints %v, infos %v", got.FeatureNames, got.MonotoneConstraints, got.FeatureInfos)
	}
	for range 2000 {
		here, there := make([]float32, 5), make([]float32, 5)
		for j, c := range codings {
			x := []float32{nan, 0, float32(rng.IntN(16) - 5), -1}[rng.IntN(4)]
			if c.codes != nil {
				x = []float32{nan, -1, float32(rng.IntN(len(c.codes))), float32(rng.IntN(len(c.codes)))}[rng.IntN(4)]
			}
			here[c.to] = x
			switch {
			case x != x || x < 0 && c.codes != nil: // not listed is missing
				there[j] = c.missing
			case c.codes != nil:
				there[j] = c.codes[int(x)]
			default:
				there[j] = x
			}
		}
		for i := range old.Trees {
			if want, leaf := old.Trees[i].Leaf(there), got.Trees[i].Leaf(here); leaf != want {
				t.Fatalf("tree %d: %v falls into leaf %d, there %v into %d", i, here, leaf, there, want)
			}
		}
	}
	if !slices.Equal(before, old.Trees[0].LeftChild) {
		t.Error("the foreign forest was changed")
	}
}

// TestTranslateZero: where 0 is missing, another number cannot be as well,
// unless both go the same way.
func TestTranslateZero(t *testing.T) {
	for _, c := range []struct {
		kind gbdt.DecisionType
		ok   bool
	}{{gbdt.MissingZero | gbdt.DefaultLeft, true}, {gbdt.MissingZero, false}} {
		f := &Foreign{Forest: &gbdt.Forest{FeatureNames: []string{"x"}, FeatureInfos: []string{"none"}, Trees: []gbdt.Tree{{
			SplitFeature: []int{0}, SplitGain: []float64{1}, Threshold: []float64{2}, DecisionType: []gbdt.DecisionType{c.kind},
			LeftChild: []int{^0}, RightChild: []int{^1}, LeafValue: []float64{1, 2}, LeafWeight: []float64{1, 1}, LeafCount: []int{1, 1},
			InternalValue: []float64{1}, InternalWeight: []float64{2}, InternalCount: []int{2}, Shrinkage: 1}}}}
		_, err := f.translate([]features.Feature{{Name: "x"}}, []*coding{{missing: -999}})
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "tree 0: the model was trained with zero_as_missing, and the mapping has missing: -999") {
			t.Errorf("decision type %d: error %v", c.kind, err)
		}
	}
}

// TestTranslateSharesColumns: one-hot columns of one text, with spaces in
// their names, and levels that are the codes themselves.
func TestTranslateSharesColumns(t *testing.T) {
	f := &Foreign{Forest: &gbdt.Forest{FeatureNames: []string{"Plan_Pro", "plus", "area_code", "unused"}, Trees: []gbdt.Tree{{
		SplitFeature: []int{0, 1, 2}, DecisionType: []gbdt.DecisionType{0, 0, gbdt.Categorical}, Threshold: []float64{0.5, 0.5, 0},
		CatBoundaries: []int{0, 1}, CatThreshold: []uint32{1<<9 | 1<<30}}}}}
	one := map[string]float64{"Pro": 1, "Plus": 0}
	m := &Mapping{name: "m", Features: map[string]*MappedFeature{
		"Plan_Pro": {Column: "Plan", Levels: one},
		"f1":       {Column: "Plan", Levels: map[string]float64{"Plus": 1, "Pro": 0}},
	}}
	set, codings, err := f.columns(m, []string{"area code", "Plan"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if codings[3] != nil || len(e.Features()) != 3 || e.Features()[1].Name != "Plan_2" || e.Sentence(1, []float32{0, 1, 0}) != "Plan: Plus" {
		t.Errorf("features %+v", e.Features())
	}
	if c := set.Columns[2]; c.Name != "area code" || !slices.Equal(c.Levels, []string{"9", "30"}) || !slices.Equal(codings[2].codes, []float32{9, 30}) {
		t.Errorf("area code is %+v, %+v", c, codings[2])
	}
	row := make([]float32, 3)
	e.Values(row, map[string]string{"Plan": "Plus", "area code": "30"})
	if !slices.Equal(row, []float32{0, 1, 1}) {
		t.Errorf("row %v", row)
	}
	m.Features["f1"].Levels = nil
	if _, _, err := f.columns(m, []string{"area code", "Plan"}); err == nil || !strings.Contains(err.Error(), `column "Plan" is that of feature "Plan_Pro" already`) {
		t.Errorf("error %v", err)
	}
}

// FuzzParseMapping: any bytes give a mapping or an error, and what is read can
// be used.
func FuzzParseMapping(f *testing.F) {
	f.Add([]byte("missing: -999\nfeatures:\n  f0: {column: tenure, levels: {a: 1}}\n"))
	f.Add([]byte("categorical: [a]\nfeatures: {a: , b: {missing: 3}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMapping(b, "m")
		if err != nil {
			return
		}
		forest := &gbdt.Forest{FeatureNames: []string{"a", "b"}, Trees: []gbdt.Tree{{SplitFeature: []int{0, 1},
			DecisionType: []gbdt.DecisionType{0, 0}, Threshold: []float64{1, 2}}}}
		set, _, err := (&Foreign{Forest: forest}).columns(m, []string{"a", "b", "tenure"})
		if err == nil && len(set.Columns) != 2 {
			t.Errorf("%d columns", len(set.Columns))
		}
	})
}

// FuzzReadPredictions: any bytes give as many scores as customers, or an error.
func FuzzReadPredictions(f *testing.F) {
	f.Add("id,raw_score\na,1\nb,-2e3\n")
	f.Add("id,probability\n\"a\nb\", 0.5")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadPredictions(strings.NewReader(text), "p")
		if err == nil && (len(p.Scores) == 0 || len(p.Scores) != len(p.Customers)) {
			t.Errorf("%d scores of %d customers", len(p.Scores), len(p.Customers))
		}
	})
}

// TestLevels: which feature a list of levels is of, and how its levels look in
// a table that pandas wrote.
func TestLevels(t *testing.T) {
	set := gbdt.Tree{SplitFeature: []int{2}, DecisionType: []gbdt.DecisionType{gbdt.Categorical}, Threshold: []float64{0},
		CatBoundaries: []int{0, 1}, CatThreshold: []uint32{1}}
	f := &gbdt.Forest{FeatureNames: []string{"a", "b", "c"}, Trees: []gbdt.Tree{set}, Categories: []byte(`[[true,false],[30," é ",10.50]]`)}
	want := [][]string{nil, {"True", "False"}, {"30", "é", "10.50"}}
	for _, c := range []struct {
		name, parameter string
		categorical     []string
		refused         string
	}{
		{"LightGBM says", "categorical_feature: 1,2", nil, ""},
		{"the mapping says", "", []string{"f1", "c"}, ""},
		{"nobody says", "", nil, "the model has the levels of 2 features, but its trees ask for the level of 1: name the categorical features"},
		{"twice", "", []string{"c", "f2"}, `m: categorical: "f2" is no feature of the model, or there twice`},
	} {
		f.Parameters = []string{c.parameter}
		got, err := levels(f, &Mapping{name: "m", Categorical: c.categorical}, tests(f))
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: error %v, want one with %q", c.name, err, c.refused)
			}
		} else if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: %q, error %v", c.name, got, err)
		}
	}
	// One list and one feature whose level is asked for: there is no doubt.
	f.Categories = []byte(`[["x"]]`)
	if got, err := levels(f, &Mapping{}, tests(f)); err != nil || !slices.Equal(got[2], []string{"x"}) {
		t.Errorf("%q, error %v", got, err)
	}
}
