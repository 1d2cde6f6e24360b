package gbdt

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// The golden files were made by XGBoost 3.4.1 and, "old", 1.7.6; see SOURCE.md
// beside them.
const xgboostGolden = "../../testdata/xgboost"

var xgboostModels = []string{"numeric", "categorical", "dart", "old", "stopped", "logitraw", "edges"}

func readXGBoostFile(t testing.TB, name string) *Forest {
	t.Helper()
	f, err := ReadXGBoost(bytes.NewReader(xgboostFile(t, name)), Limits{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

func xgboostFile(t testing.TB, name string) []byte {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(xgboostGolden, name))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

type xgboostRow struct {
	row           []float32
	margin        float32
	contributions []float32
	base          float32
}

func readXGBoostRows(t *testing.T, name string, features int) (rows []xgboostRow) {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(xgboostFile(t, name+".csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		values := make([]float32, len(record))
		for i, s := range record {
			v, err := strconv.ParseFloat(s, 32)
			if err != nil {
				t.Fatal(err)
			}
			values[i] = float32(v)
		}
		rows = append(rows, xgboostRow{values[:features], values[features], values[features+1 : 2*features+1], values[2*features+1]})
	}
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	return rows
}

// absolute returns the sum of the largest absolute leaf values of the trees:
// what no sum of leaf values exceeds.
func absolute(f *Forest) (sum float64) {
	for i := range f.Trees {
		largest := 0.0
		for _, v := range f.Trees[i].LeafValue {
			largest = max(largest, math.Abs(v))
		}
		sum += largest
	}
	return sum
}

// TestXGBoostScores: adding up the leaf values in float32, as XGBoost does,
// gives its margin to the last bit, so every row is in the right leaf and
// every leaf has the right value. Predict, which adds in float64, agrees
// within what ReadXGBoost promises.
func TestXGBoostScores(t *testing.T) {
	for _, name := range xgboostModels {
		f := readXGBoostFile(t, name+".json")
		tolerance := 6e-8 * float64(len(f.Trees)) * absolute(f)
		for i, r := range readXGBoostRows(t, name, len(f.FeatureNames)) {
			var sum float32
			for k := range f.Trees {
				sum += float32(f.Trees[k].LeafValue[f.Trees[k].Leaf(r.row)])
			}
			if sum != r.margin {
				t.Errorf("%s: row %d %v: margin %v, XGBoost has %v", name, i, r.row, sum, r.margin)
			}
			if got := f.Predict(r.row); !(math.Abs(got-float64(r.margin)) <= tolerance) {
				t.Errorf("%s: row %d %v: score %v, XGBoost has %v", name, i, r.row, got, r.margin)
			}
		}
	}
}

// TestXGBoostContributions: XGBoost computes them in float32.
func TestXGBoostContributions(t *testing.T) {
	for _, name := range xgboostModels {
		f := readXGBoostFile(t, name+".json")
		tolerance := 1e-6 * absolute(f)
		w := workspace(t, f)
		phi, compiled := make([]float64, len(f.FeatureNames)), make([]float64, len(f.FeatureNames))
		for i, r := range readXGBoostRows(t, name, len(f.FeatureNames)) {
			base := f.Contributions(r.row, phi)
			w.Load(r.row)
			w.Contributions(compiled)
			if !(math.Abs(base-float64(r.base)) <= tolerance) {
				t.Errorf("%s: row %d: base %v, XGBoost has %v", name, i, base, r.base)
			}
			for j, want := range r.contributions {
				if !(math.Abs(compiled[j]-float64(want)) <= tolerance) {
					t.Errorf("%s: row %d %v: compiled contribution of %s is %v, XGBoost has %v", name, i, r.row, f.FeatureNames[j], compiled[j], want)
				}
				if !(math.Abs(phi[j]-float64(want)) <= tolerance) {
					t.Errorf("%s: row %d %v: contribution of %s is %v, XGBoost has %v", name, i, r.row, f.FeatureNames[j], phi[j], want)
				}
			}
		}
	}
}

func TestXGBoostJSONIsUBJSON(t *testing.T) {
	for _, name := range xgboostModels {
		a, b := readXGBoostFile(t, name+".json"), readXGBoostFile(t, name+".ubj")
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: JSON reads as\n%+v\nUBJSON as\n%+v", name, a, b)
		}
	}
}

// TestXGBoostText: an imported forest is as good as any other; LightGBM's text
// format keeps its scores.
func TestXGBoostText(t *testing.T) {
	for _, name := range xgboostModels {
		f := readXGBoostFile(t, name+".ubj")
		back, err := ReadText(strings.NewReader(text(t, f)), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range readXGBoostRows(t, name, len(f.FeatureNames)) {
			if got, want := back.Predict(r.row), f.Predict(r.row); got != want {
				t.Errorf("%s: row %d scores %v after writing and reading, %v before", name, i, got, want)
			}
		}
	}
}

// TestXGBoostHeader: what make.py beside the files says.
func TestXGBoostHeader(t *testing.T) {
	f := readXGBoostFile(t, "categorical.ubj")
	if want := []string{"tenure", "monthly_spend", "plan", "région", "late"}; !reflect.DeepEqual(f.FeatureNames, want) {
		t.Errorf("features %q, want %q", f.FeatureNames, want)
	}
	if got, want := string(f.Categories), `[["basic","plus","pro \"é\""],[100,101,102,`; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ",178,179]]") {
		t.Errorf("categories %s, want %s and so on to 179", got, want)
	}
	f = readXGBoostFile(t, "stopped.json")
	if want := []string{"f0", "f1", "f2"}; !reflect.DeepEqual(f.FeatureNames, want) {
		t.Errorf("features %q, want %q", f.FeatureNames, want)
	}
	// best_iteration is 1 in the file: two iterations of two trees.
	if len(f.Trees) != 1+4 {
		t.Errorf("%d trees, want the margin and those of two iterations", len(f.Trees))
	}
	if want := []string{"imported_from: XGBoost 3.4.1", "best_iteration: 1"}; !reflect.DeepEqual(f.Parameters, want) {
		t.Errorf("parameters %q, want %q", f.Parameters, want)
	}
	for name, want := range map[string]float64{
		"edges":    0,                     // base_score 0.5
		"logitraw": float64(float32(0.3)), // base_score is a margin
	} {
		f = readXGBoostFile(t, name+".json")
		if got := f.Trees[0].LeafValue[0]; got != want || f.Trees[0].NumLeaves() != 1 {
			t.Errorf("%s: first tree of %d leaves gives %v, want one leaf of %v", name, f.Trees[0].NumLeaves(), got, want)
		}
		if f.Objective != "binary" || f.Sigmoid != 1 {
			t.Errorf("%s: objective %q, sigmoid %v", name, f.Objective, f.Sigmoid)
		}
	}
}

// xgboostDoc is a model of one tree: a < 0.5 gives -1, missing too; else b in
// {1, 33}, or missing, gives 4; else 2. Written by hand.
const xgboostDoc = `{"learner":{"attributes":{},"feature_names":["a","b"],"feature_types":["float","c"],
"gradient_booster":{"model":{"cats":{"enc":[],"feature_segments":[],"sorted_idx":[]},
"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"iteration_indptr":[0,1],"tree_info":[0],
"trees":[{"base_weights":[0E0,-1E0,0E0,2E0,4E0],"categories":[1,33],"categories_nodes":[2],"categories_segments":[0],
"categories_sizes":[2],"default_left":[1,0,0,0,0],"id":0,"left_children":[1,-1,3,-1,-1],
"loss_changes":[1E1,0E0,3E0,0E0,0E0],"parents":[2147483647,0,0,2,2],"right_children":[2,-1,4,-1,-1],
"split_conditions":[5E-1,-1E0,NaN,2E0,4E0],"split_indices":[0,0,1,0,0],"split_type":[0,0,1,0,0],
"sum_hessian":[8E0,2E0,6E0,4E0,2E0],
"tree_param":{"num_deleted":"0","num_feature":"2","num_nodes":"5","size_leaf_vector":"1"}}]},"name":"gbtree"},
"learner_model_param":{"base_score":"[2.5E-1]","boost_from_average":"1","num_class":"0","num_feature":"2","num_target":"1"},
"objective":{"name":"binary:logistic","reg_loss_param":{"scale_pos_weight":"1"}}},"version":[3,4,1]}`

func TestXGBoostByHand(t *testing.T) {
	f, err := ReadXGBoost(strings.NewReader(xgboostDoc), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	const all = 1 << 30
	want := &Forest{
		FeatureNames: []string{"a", "b"}, FeatureInfos: []string{"none", "none"},
		Objective: "binary", Sigmoid: 1, Parameters: []string{"imported_from: XGBoost 3.4.1"},
		Trees: []Tree{
			{LeafValue: []float64{float64(float32(-math.Log(3)))}, Shrinkage: 1}, // logit of 0.25
			{
				// a; b missing?; b in the set?
				SplitFeature: []int{0, 1, 1}, SplitGain: []float64{10, 0, 3},
				Threshold:    []float64{0.5 - 1.0/(1<<25), -math.MaxFloat64, 0},
				DecisionType: []DecisionType{MissingNaN | DefaultLeft, MissingNaN | DefaultLeft, Categorical},
				LeftChild:    []int{^0, ^1, ^2}, RightChild: []int{1, 2, ^3},
				LeafValue:  []float64{-1, 4, 4, 2},
				LeafWeight: []float64{2, 1, 1, 4}, // the cover of 4 in halves
				LeafCount:  []int{all / 4, all / 8, all / 8, all / 2},
				// Means by weight: 12/5; 16/6; 14/8.
				InternalValue:  []float64{1.75, 16.0 / 6, 2.4},
				InternalWeight: []float64{8, 6, 5}, InternalCount: []int{all, 3 * all / 4, 5 * all / 8},
				CatBoundaries: []int{0, 2}, CatThreshold: []uint32{2, 2}, Shrinkage: 1,
			},
		},
	}
	for i, v := range want.Trees[1].InternalValue {
		if got := f.Trees[1].InternalValue[i]; !(math.Abs(got-v) < 1e-12) {
			t.Errorf("internal value %d is %v, want %v", i, got, v)
		}
	}
	want.Trees[1].InternalValue = f.Trees[1].InternalValue
	if !reflect.DeepEqual(f, want) {
		t.Errorf("read\n%+v\nwant\n%+v", f, want)
	}
}

// TestXGBoostUsed: the trees up to the best iteration, by hand.
func TestXGBoostUsed(t *testing.T) {
	for _, c := range []struct {
		best       string
		iterations []int32
		parallel   int
		want       int // -1: an error
	}{
		{"", []int32{0, 2, 6}, 2, 6},
		{"0", []int32{0, 2, 6}, 2, 2},
		{"1", []int32{0, 2, 6}, 2, 6},
		{"2", []int32{0, 2, 6}, 2, -1},
		{"0", []int32{0, -1, 6}, 2, -1},
		{"0", []int32{0, 7, 6}, 2, -1},
		{"1", nil, 2, 4}, // XGBoost 1.7
		{"2", nil, 2, 6},
		{"3", nil, 2, -1},
		{"0", nil, 0, -1},
		{"9223372036854775807", nil, 1, -1},
		{"-1", nil, 1, -1},
		{"one", nil, 1, -1},
	} {
		m := &xgboostModel{best: c.best, iterations: c.iterations, parallelTrees: c.parallel, trees: make([]Tree, 6)}
		if got, err := m.used(); err == nil && got != c.want || (err != nil) != (c.want < 0) {
			t.Errorf("%+v: %d trees, error %v", c, got, err)
		}
	}
}
