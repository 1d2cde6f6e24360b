package gbdt

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The golden files were made by LightGBM 4.6.0 and 4.7.0; see SOURCE.md beside
// them.
const golden = "../../testdata/lightgbm"

var goldenModels = []string{
	"boosted", "forest", "plain", "leaf",
	"dart", "entropy", "missing", "custom", "codes", "numbers", "huge", "empty",
}

func readGolden(t *testing.T, name string) (text []byte, f *Forest) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(golden, name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	f, err = ReadText(bytes.NewReader(text), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return text, f
}

// workspace compiles a forest.
func workspace(t testing.TB, f *Forest) *Workspace {
	t.Helper()
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c.NewWorkspace()
}

// TestGoldenPredict: scores equal LightGBM's to the last bit.
func TestGoldenPredict(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			_, f := readGolden(t, name)
			w := workspace(t, f)
			for i, r := range readRows(t, name, len(f.FeatureNames)) {
				want := r.score
				if f.AverageOutput {
					want /= float64(len(f.Trees))
				}
				if got := f.Predict(r.row); got != want {
					t.Errorf("row %d %v: raw score %v, LightGBM has %v", i, r.row, got, want)
				}
				w.Load(r.row)
				if got := w.Margin(); got != want {
					t.Errorf("row %d %v: compiled score %v, LightGBM has %v", i, r.row, got, want)
				}
			}
		})
	}
}

func TestGoldenContributions(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			_, f := readGolden(t, name)
			trees := 1.0
			if f.AverageOutput {
				trees = float64(len(f.Trees))
			}
			w := workspace(t, f)
			phi, compiled := make([]float64, len(f.FeatureNames)), make([]float64, len(f.FeatureNames))
			for i, r := range readRows(t, name, len(f.FeatureNames)) {
				base := f.Contributions(r.row, phi)
				w.Load(r.row)
				w.Contributions(compiled)
				sum := w.c.Base()
				for j, want := range r.contributions {
					if math.Abs(phi[j]-want/trees) > 1e-12 {
						t.Errorf("row %d: contribution of %s is %v, LightGBM has %v", i, f.FeatureNames[j], phi[j], want/trees)
					}
					if math.Abs(compiled[j]-want/trees) > 1e-12 {
						t.Errorf("row %d: compiled contribution of %s is %v, LightGBM has %v", i, f.FeatureNames[j], compiled[j], want/trees)
					}
					sum += compiled[j]
				}
				if math.Abs(base-r.base/trees) > 1e-12 {
					t.Errorf("row %d: base %v, LightGBM has %v", i, base, r.base/trees)
				}
				if score := w.Margin(); math.Abs(sum-score) > 1e-9*max(1, math.Abs(score)) {
					t.Errorf("row %d: base and contributions are %v, the score %v", i, sum, score)
				}
			}
		})
	}
}

// TestGoldenText: what LightGBM wrote comes out again byte for byte.
func TestGoldenText(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			text, f := readGolden(t, name)
			var out bytes.Buffer
			if err := f.WriteText(&out); err != nil {
				t.Fatal(err)
			}
			want, got := bytes.Split(text, []byte("\n")), bytes.Split(out.Bytes(), []byte("\n"))
			for i := range min(len(want), len(got)) {
				if !bytes.Equal(want[i], got[i]) {
					t.Fatalf("line %d: wrote %q, LightGBM has %q", i+1, got[i], want[i])
				}
			}
			if len(want) != len(got) {
				t.Errorf("wrote %d lines, LightGBM has %d", len(got), len(want))
			}
		})
	}
}

// TestGoldenRefused: what the package leaves out is named in the error.
func TestGoldenRefused(t *testing.T) {
	for name, want := range map[string]string{
		"linear":        "linear trees are not supported",
		"multiclass":    "multiclass",
		"multiclassova": "multiclass",
	} {
		text, err := os.ReadFile(filepath.Join(golden, name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadText(bytes.NewReader(text), Limits{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// TestGoldenHeader: what the models say about themselves.
func TestGoldenHeader(t *testing.T) {
	for _, c := range []struct {
		name, objective string
		sigmoid         float64
		trees           int
		categories      string
	}{
		{"forest", "binary", 2, 8, ""},
		{"dart", "binary", 0.4, 6, ""},
		{"entropy", "cross_entropy", 0, 6, ""}, // stopped early
		{"custom", "", 0, 4, ""},
		{"numbers", "binary", 1, 2, "[[30, 10, 20, 7]]"},
		{"huge", "quantile", 0, 4, ""},
		{"empty", "binary", 1, 0, ""},
	} {
		_, f := readGolden(t, c.name)
		if f.Objective != c.objective || f.Sigmoid != c.sigmoid || len(f.Trees) != c.trees || string(f.Categories) != c.categories {
			t.Errorf("%s: objective %q, sigmoid %v, %d trees, categories %s; want %+v",
				c.name, f.Objective, f.Sigmoid, len(f.Trees), f.Categories, c)
		}
	}
}

type goldenRow struct {
	row           []float32
	score         float64
	contributions []float64
	base          float64
}

func readRows(t *testing.T, name string, features int) []goldenRow {
	t.Helper()
	file, err := os.Open(filepath.Join(golden, name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []goldenRow
	for _, record := range records[1:] {
		values := make([]float64, len(record))
		for i, s := range record {
			if values[i], err = strconv.ParseFloat(s, 64); err != nil {
				t.Fatal(err)
			}
		}
		r := goldenRow{score: values[features], contributions: values[features+1 : 2*features+1], base: values[2*features+1]}
		for _, v := range values[:features] {
			r.row = append(r.row, float32(v))
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	return rows
}
