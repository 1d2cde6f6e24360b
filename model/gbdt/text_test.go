package gbdt

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func text(t testing.TB, f *Forest) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTextRoundTrip: a written forest reads back as itself, and writing it
// again gives the same bytes.
func TestTextRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	forests := []*Forest{forestOf(2), forestOf(1, Tree{LeafValue: []float64{0.5}, Shrinkage: 1})}
	for range 100 {
		forests = append(forests, randomForest(r, 1+r.IntN(7), r.IntN(5), 10))
	}
	for _, f := range forests {
		want := text(t, f)
		back, err := ReadText(strings.NewReader(want), Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, want)
		}
		if got := text(t, back); got != want {
			t.Fatalf("wrote\n%s\nthen\n%s", want, got)
		}
		for range 10 {
			row := randomRow(r, len(f.FeatureNames))
			if got, want := back.Predict(row), f.Predict(row); got != want {
				t.Fatalf("row %v scores %v after reading, %v before", row, got, want)
			}
		}
	}
}

// TestTextKeepsEverything compares field by field, for a forest without
// values of more than six digits.
func TestTextKeepsEverything(t *testing.T) {
	f := forestOf(2, stump(MissingZero|DefaultLeft, 0.1), stump(Categorical, 0, 5, 7),
		stump(MissingNaN, math.Inf(1)), stump(MissingNaN, math.Inf(-1)))
	f.FeatureNames[1] = "non-breaking\u00a0space"
	f.Objective, f.Sigmoid = "quantile alpha:0.9", 0
	f.AverageOutput = true
	f.MonotoneConstraints = []int{-1, 1}
	f.FeatureInfos = []string{"[0:1.5]", "-1:3:2"}
	f.Parameters = []string{"boosting: rf", "data: "}
	f.Categories = []byte(`[["x", "é"]]`)
	back, err := ReadText(strings.NewReader(text(t, f)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f, back) {
		t.Errorf("read\n%+v\nwrote\n%+v", back, f)
	}
}

func TestWriteTextRefusesInvalid(t *testing.T) {
	f := forestOf(1, stump(MissingNaN, 5))
	f.Trees[0].LeftChild[0] = 0
	var b bytes.Buffer
	if err := f.WriteText(&b); err == nil || b.Len() > 0 {
		t.Errorf("error %v, wrote %d bytes; want an error and nothing written", err, b.Len())
	}
}

// hostile are texts that ReadText must refuse, each made from a good one by
// replacing old (its first occurrence) with new.
var hostile = []struct{ name, old, new, want string }{
	{"not a model", "tree\n", "<html>\n", "line 1: found \"<html>\""},
	{"version", "version=v4", "version=v3", `version is "v3"`},
	{"multiclass", "num_class=1", "num_class=3", "multiclass"},
	{"several trees an iteration", "iteration=1", "iteration=3", "multiclass"},
	{"huge feature count", "max_feature_idx=1", "max_feature_idx=2000000000", "max_feature_idx"},
	{"sigmoid", "sigmoid:1", "sigmoid:", "sigmoid"},
	{"sigmoid zero", "sigmoid:1", "sigmoid:0", "sigmoid"},
	{"unknown header", "label_index", "label_indices", `"label_indices" is not known`},
	{"header field twice", "label_index=0", "label_index=0\nlabel_index=0", "occurs twice"},
	{"windows", "label_index=0\n", "label_index=0\r\n", "carriage return"},
	{"name twice", "feature_names=a b", "feature_names=a a", "is taken"},
	{"name empty", "feature_names=a b", "feature_names=a ", "is empty"},
	{"infos", "feature_infos=none none", "feature_infos=none", "feature infos"},
	{"size of a tree", "tree_sizes=", "tree_sizes=1", "tree_sizes"},
	{"huge size of a tree", "tree_sizes=", "tree_sizes=999999999999", "bytes left"},
	{"negative size of a tree", "tree_sizes=", "tree_sizes=-", "bytes left"},
	{"sizes missing", "tree_sizes=", "tree_seizes=", "tree_sizes is missing"},
	{"one tree more", "tree_sizes=", "tree_sizes=9 ", "tree_sizes"},
	{"number of the tree", "Tree=0", "Tree=7", "want Tree=0"},
	{"linear tree", "is_linear=0", "is_linear=1", "linear trees are not supported"},
	{"huge leaf count", "num_leaves=3", "num_leaves=2000000000", "num_leaves"},
	{"no leaves", "num_leaves=3", "num_leaves=0", "num_leaves"},
	{"leaf count wrong", "num_leaves=3", "num_leaves=4", "has 2 values, want 3"},
	{"child missing", "left_child=1 -1\n", "left_child=1\n", "left_child has 1 values"},
	{"cycle", "left_child=1 -1", "left_child=0 -1", "has child 0"},
	{"node without parent", "left_child=1 -1", "left_child=-3 -1", "two parents"},
	{"leaf twice", "left_child=1 -1", "left_child=1 -2", "two parents"},
	{"child out of range", "left_child=1 -1", "left_child=1 -9", "leaf 8"},
	{"child overflow", "left_child=1 -1", "left_child=1 -9223372036854775808", "leaf 9223372036854775807"},
	{"feature out of range", "split_feature=0 1", "split_feature=0 2", "there are 2 features"},
	{"NaN threshold", "threshold=0.5 0", "threshold=nan 0", "threshold[0] is NaN"},
	{"infinite set", "threshold=0.5 0", "threshold=0.5 inf", "threshold[1] is +Inf"},
	{"infinite leaf", "leaf_value=1 2 3", "leaf_value=1 inf 3", "leaf_value[1] is +Inf"},
	{"NaN leaf", "leaf_value=1 2 3", "leaf_value=1 nan 3", "leaf_value[1] is NaN"},
	{"not a number", "leaf_value=1 2 3", "leaf_value=1 two 3", `"two"`},
	{"too large", "leaf_value=1 2 3", "leaf_value=1 1e999 3", `"1e999"`},
	{"negative count", "leaf_count=1 2 3", "leaf_count=1 -2 3", "leaf_count[1] is -2"},
	{"count overflow", "leaf_count=1 2 3", "leaf_count=1 3000000000 3", "leaf_count[1]"},
	{"type", "decision_type=8 1", "decision_type=12 1", "decision_type[0] is 12"},
	{"type overflow", "decision_type=8 1", "decision_type=264 1", "decision_type[0] is 264"},
	{"set out of range", "threshold=0.5 0", "threshold=0.5 1", "threshold[1] is 1"},
	{"set fraction", "threshold=0.5 0", "threshold=0.5 0.5", "threshold[1] is 0.5"},
	{"set beyond the words", "cat_boundaries=0 1", "cat_boundaries=0 2", "cat_boundaries"},
	{"huge set", "cat_boundaries=0 1", "cat_boundaries=0 999999999", "cat_boundaries"},
	{"word too wide", "cat_threshold=6", "cat_threshold=4294967296", "32 bits"},
	{"number of sets", "num_cat=1", "num_cat=2", "num_cat"},
	{"field missing", "leaf_weight=1 1 1\n", "", "leaf_weight is missing"},
	{"unknown field", "shrinkage", "shrinkages", "shrinkage has 0 values"},
	{"extra field", "shrinkage=1", "shrinkage=1\nleaf_coeff=1", "not known"},
	{"no end of trees", "end of trees", "end of tress", `want "end of trees"`},
	{"unknown trailer", "end of trees\n", "end of trees\nhello\n", `"hello"`},
	{"section twice", "pandas_categorical:null\n", "pandas_categorical:null\npandas_categorical:null\n", "occurs twice"},
	{"parameters cut off", "end of parameters\n\npandas_categorical:null\n", "", "end of parameters"},
	{"parameter", "[x: 1]", "x: 1", "not in brackets"},
	{"categories", "pandas_categorical:null", "pandas_categorical:[", "not JSON"},
}

// goodText has one tree of three leaves: a number, then a category.
func goodText(t testing.TB) string {
	f := forestOf(2, Tree{
		SplitFeature: []int{0, 1}, SplitGain: []float64{2, 1}, Threshold: []float64{0.5, 0},
		DecisionType: []DecisionType{MissingNaN, Categorical},
		LeftChild:    []int{1, ^0}, RightChild: []int{^1, ^2},
		LeafValue: []float64{1, 2, 3}, LeafWeight: []float64{1, 1, 1}, LeafCount: []int{1, 2, 3},
		InternalValue: []float64{0, 0}, InternalWeight: []float64{3, 2}, InternalCount: []int{6, 4},
		CatBoundaries: []int{0, 1}, CatThreshold: []uint32{6}, Shrinkage: 1,
	})
	f.Parameters = []string{"x: 1"}
	return text(t, f)
}

func TestReadTextRefuses(t *testing.T) {
	good := goodText(t)
	if _, err := ReadText(strings.NewReader(good), Limits{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range hostile {
		bad := resize(strings.Replace(good, c.old, c.new, 1), strings.Contains(c.name, "size"))
		if bad == good {
			t.Errorf("%s: nothing replaced", c.name)
		}
		f, err := ReadText(strings.NewReader(bad), Limits{})
		if err == nil {
			t.Errorf("%s: read as %+v", c.name, f)
		} else if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: error %q, want one with a line and %q", c.name, err, c.want)
		}
	}
	// Cut off anywhere before the end of the trees, or within the parameters.
	trees := strings.Index(good, "end of trees") + len("end of trees")
	parameters := strings.Index(good, "\nparameters:") + 2
	for n := range strings.Index(good, "\n\npandas_categorical") {
		if n >= trees && n < parameters {
			continue
		}
		if _, err := ReadText(strings.NewReader(good[:n]), Limits{}); err == nil {
			t.Errorf("text cut off after %d of %d bytes was read", n, len(good))
		}
	}
}

// resize corrects tree_sizes of a text of one tree, unless the size is what
// is wrong.
func resize(s string, keep bool) string {
	start, end := strings.Index(s, "Tree="), strings.Index(s, "end of tre")
	if keep || start < 0 || end < 0 {
		return s
	}
	before, after, ok := strings.Cut(s[:start], "tree_sizes=")
	if !ok {
		return s
	}
	if strings.Contains(after, " ") { // an added tree
		return s
	}
	return before + "tree_sizes=" + strconv.Itoa(end-start) + "\n\n" + s[start:]
}

func TestReadTextLimits(t *testing.T) {
	good := goodText(t)
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{Bytes: int64(len(good)) - 1}, "bytes"},
		{Limits{Features: 1}, "feature_names"},
		{Limits{Leaves: 2}, "num_leaves"},
		{Limits{Depth: 1}, "depth 2"},
	} {
		if _, err := ReadText(strings.NewReader(good), c.limits); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.limits, err, c.want)
		}
	}
	two := text(t, forestOf(1, stump(MissingNaN, 1), stump(MissingNaN, 2)))
	if _, err := ReadText(strings.NewReader(two), Limits{Trees: 1}); err == nil || !strings.Contains(err.Error(), "tree_sizes") {
		t.Errorf("error %v, want one about tree_sizes", err)
	}
	exact := Limits{Bytes: int64(len(good)), Features: 2, Trees: 1, Leaves: 3, Depth: 2}
	if _, err := ReadText(strings.NewReader(good), exact); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

// FuzzReadText: no text makes the reader panic, and whatever it accepts can be
// used and comes out again the same.
func FuzzReadText(f *testing.F) {
	good := goodText(f)
	f.Add([]byte(good))
	f.Add([]byte(text(f, randomForest(rand.New(rand.NewPCG(11, 12)), 3, 2, 6))))
	f.Add([]byte(text(f, forestOf(1))))
	for _, c := range hostile {
		f.Add([]byte(resize(strings.Replace(good, c.old, c.new, 1), strings.Contains(c.name, "size"))))
	}
	limits := Limits{Bytes: 1 << 20, Depth: 50}
	f.Fuzz(func(t *testing.T, data []byte) {
		forest, err := ReadText(bytes.NewReader(data), limits)
		if err != nil {
			return
		}
		row := make([]float32, len(forest.FeatureNames))
		sameCompiled(t, forest, row)
		first := text(t, forest)
		again, err := ReadText(strings.NewReader(first), Limits{})
		if err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, first)
		}
		if second := text(t, again); second != first {
			t.Fatalf("wrote\n%s\nthen\n%s", first, second)
		}
	})
}
