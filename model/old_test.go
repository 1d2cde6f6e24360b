package model

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
	"churn/features"
	"churn/model/gbdt"
)

var update = flag.Bool("update", false, "write the old model files that are missing; none is ever written again")

const oldModels = "../testdata/models"

// expected is what a model file of an earlier release must go on to say.
type expected struct {
	Version string        `json:"version"`
	Rows    []expectedRow `json:"rows"`
}

type expectedRow struct {
	Values        []*float32 `json:"values"` // null is missing
	Margin        float64    `json:"margin"`
	BaseMargin    float64    `json:"base_margin"`
	Probability   float64    `json:"probability"`
	Low           float64    `json:"low,omitzero"` // 0 without a bag
	High          float64    `json:"high,omitzero"`
	Percentile    float64    `json:"percentile"`
	Band          string     `json:"band"`
	Contributions []float64  `json:"contributions"`
	Reasons       []Reason   `json:"reasons"`
}

// TestOldFiles: every model file that a release wrote is read and scores as it
// did then, to nine digits (processors differ in the last ones of exp).
func TestOldFiles(t *testing.T) {
	if *update {
		writeOldFile(t, "v1-linear", linearModel(t))
		writeOldFile(t, "v1-blend", blendModel(t))
		writeOldFile(t, "v1-isotonic", forestModel(t))
		writeOldFile(t, "v1-symmetric", symmetricModel(t))
		bag, tail := bagModel(t), linearModel(t)
		bag.Calibration = Calibration{Kind: "beta", A: 0.75, B: 1.5, C: -0.25}
		writeOldFile(t, "v1-bag", finish(t, bag))
		tail.Calibration = Calibration{Kind: "isotonic", Margins: []float64{-1, 0.5}, Probabilities: []float64{0.1, 0.5}, Tail: 0.25}
		tail = finish(t, tail)
		tail.Manifest.Bands.Basis = "by hand"
		writeOldFile(t, "v1-tail", tail)
		writeOldFile(t, "v2-features", newerModel(t))
		kinds, fall := linearModel(t), linearModel(t)
		kinds.Manifest.Definition.NeverActivated, kinds.Manifest.Definition.Kinds = "exclude", []string{Voluntary, Lapsed}
		kinds.Manifest.Definition.InvoluntaryReasons = []string{"card expired"}
		fall.Manifest.Definition = declining
		writeOldFile(t, "v3-kinds", kinds)
		writeOldFile(t, "v3-decline", fall)
	}
	files, err := filepath.Glob(filepath.Join(oldModels, "*.churn"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			m, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			s := compile(t, m)
			b, err := os.ReadFile(strings.TrimSuffix(file, ".churn") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var want expected
			if err := json.Unmarshal(b, &want, json.RejectUnknownMembers(true)); err != nil {
				t.Fatal(err)
			}
			if m.Manifest.Version != want.Version || len(want.Rows) == 0 {
				t.Errorf("version %s, want %s; %d rows", m.Manifest.Version, want.Version, len(want.Rows))
			}
			for i, w := range want.Rows {
				got := expect(s, w.Values)
				same := near(got.Margin, w.Margin) && near(got.BaseMargin, w.BaseMargin) && near(got.Probability, w.Probability) &&
					near(got.Low, w.Low) && near(got.High, w.High) &&
					math.Abs(got.Percentile-w.Percentile) <= 1 && got.Band == w.Band && len(got.Reasons) == len(w.Reasons)
				for j, c := range w.Contributions {
					same = same && near(got.Contributions[j], c)
				}
				for j := range min(len(w.Reasons), len(got.Reasons)) {
					g, r := got.Reasons[j], w.Reasons[j]
					if r.Family == "" { // written before there were families: every feature is its own
						r.Family, r.FeatureContribution, r.Unit = r.Feature, r.Contribution, g.Unit
						if r.Value == "unknown" { // and before a missing value had a sentence of its own
							r.Text = strings.ReplaceAll(r.Feature, "_", " ") + ": unknown"
						}
					}
					same = same && near(g.Contribution, r.Contribution) && near(g.FeatureContribution, r.FeatureContribution)
					g.Contribution, g.FeatureContribution = r.Contribution, r.FeatureContribution
					same = same && g == r
				}
				if !same {
					t.Errorf("row %d:\n%+v, want\n%+v", i, got, w)
				}
			}
		})
	}
}

// declining is a definition of format 3.
var declining = Definition{Kind: "decline", Gap: 7 * event.Day, Horizon: 30 * event.Day, MinTenure: 30 * event.Day, Streams: []string{"engagement"},
	Measure: "value", UsageKinds: []string{"call", "data"}, Drop: event.Unit / 2, Baseline: 60 * event.Day, Least: 20 * event.Unit,
	Kinds: []string{Declined, Lapsed}}

// symmetricModel blends symmetric trees, boosted on rows drawn at random, with
// the linear part.
func symmetricModel(t *testing.T) *Model {
	r := rand.New(rand.NewPCG(27, 28))
	d := &gbdt.Dataset{Names: testForest().FeatureNames, Categorical: []bool{true, false, false, false}}
	for range 2000 {
		row := randomRows(r, 1)[0]
		d.X = append(d.X, float32(r.IntN(2)), row[countColumn], float32(r.IntN(2000))/4, float32(r.IntN(365)))
		p := 0.1
		if row := d.X[len(d.X)-testColumns:]; row[recencyColumn] > 60 || row[planColumn] == 0 && row[amountColumn] < 100 {
			p = 0.6
		}
		label := float32(0)
		if r.Float64() < p {
			label = 1
		}
		d.Labels = append(d.Labels, label)
	}
	for i, v := range d.X {
		if v-v != 0 { // infinite
			d.X[i] = nan
		}
	}
	p := gbdt.DefaultParams()
	p.Grower, p.MaxDepth, p.Trees, p.Seed = gbdt.Symmetric, 4, 20, 1
	f, _, err := gbdt.Train(context.Background(), p, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, &Model{Linear: testLinear(), Forest: f,
		Manifest: Manifest{Kind: "blend", Weights: Weights{Linear: 0.25, Forest: 0.75}}})
}

// newerModel is the additive model over features of revision 2, of the same names.
func newerModel(t *testing.T) *Model {
	set, err := features.Parse([]byte(`
version: 1
attributes:
- {name: plan, type: category, levels: [basic, pro], history: true}
features:
- {name: "eng_n_{w}", from: engagement, agg: weeks, windows: [30d], offset: 7d}
- {name: "pay_amt_{w}", from: payments, agg: median, field: amount, windows: [90d]}
- {name: eng_rec, from: attributes, agg: recency, windows: [365d], fill: 400}
`))
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, &Model{Features: set, Linear: testLinear(), Manifest: Manifest{Kind: "logistic", Weights: Weights{Linear: 1}}})
}

// expect scores a row in every respect.
func expect(s *Scorer, values []*float32) expectedRow {
	g := GoldenRow{Values: values}
	row, phi := g.row(), make([]float64, len(values))
	sc := s.Score(row, phi)
	_, reasons := s.Explain(row, 4)
	return expectedRow{Values: values, Margin: sc.Margin, BaseMargin: sc.BaseMargin, Probability: sc.Probability,
		Low: sc.Low, High: sc.High, Percentile: sc.Percentile, Band: sc.Band, Contributions: phi, Reasons: reasons}
}

// writeOldFile writes a model and its scores, unless it is there.
func writeOldFile(t *testing.T, name string, m *Model) {
	t.Helper()
	file := filepath.Join(oldModels, name)
	if _, err := os.Stat(file + ".churn"); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	b := fileOf(t, m)
	s := compile(t, m)
	want := expected{Version: m.Manifest.Version}
	v := func(x float32) *float32 { return &x }
	for _, values := range [][]*float32{
		{v(1), v(10), v(99.5), v(15)}, {v(0), v(0), v(0), v(364)}, {v(-1), v(4), nil, v(21)}, {nil, nil, nil, nil},
		{v(1), v(30), v(1234.5), v(0)}, {v(0), v(5), v(20), nil},
	} {
		want.Rows = append(want.Rows, expect(s, values))
	}
	text, err := json.Marshal(&want, json.Deterministic(true), jsontext.WithIndent(" "))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.MkdirAll(oldModels, 0o755), os.WriteFile(file+".json", append(text, '\n'), 0o644), os.WriteFile(file+".churn", b, 0o644))
	if err != nil {
		t.Fatal(err)
	}
}
