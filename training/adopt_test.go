package training

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/model"
)

// The models were made by LightGBM 4.7.0 and XGBoost 3.2.0; see SOURCE.md
// beside them.
const importedModels = "../testdata/imported"

func foreign(t *testing.T, file string) *Foreign {
	t.Helper()
	f, err := os.Open(filepath.Join(importedModels, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := ReadForeign(f, file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func predictions(t *testing.T, file string) *Predictions {
	t.Helper()
	f, err := os.Open(filepath.Join(importedModels, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := ReadPredictions(f, file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mapping(t *testing.T, text string) *Mapping {
	t.Helper()
	m, err := ParseMapping([]byte(text), "m.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// codedMapping is that of coded.txt.
func codedMapping(t *testing.T) *Mapping {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(importedModels, "coded.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return mapping(t, string(b))
}

// positionsMapping is that of positions.json. XGBoost was told that -999 is
// missing, so its trees never saw it.
func positionsMapping(t *testing.T) *Mapping {
	m := codedMapping(t)
	m.Missing = nil
	return m
}

var telcoPlan = Plan{Definition: model.Definition{Kind: "label", Label: "churn=Yes"}, Seed: 1, Replicates: 20}

// adopt makes a model of a file, and reads it again as a server would.
func adopt(t *testing.T, a Adoption, p Plan) (*model.Model, *Report, *model.Scorer, []byte) {
	t.Helper()
	m, r, err := Adopt(a, p)
	if err != nil {
		t.Fatal(err)
	}
	file, err := fileOf(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = model.Read(file); err != nil {
		t.Fatal(err)
	}
	s, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return m, r, s, file
}

// TestAdoptAgrees: every row that Python scored has the same score here, from
// the text of the table on; to the last bit for LightGBM, which adds in float64
// too. The margin is the score times the sigmoid, the probability ascends with
// it.
func TestAdoptAgrees(t *testing.T) {
	table := telco(t)
	for _, c := range []struct {
		file    string
		mapping *Mapping
		sigmoid float64 // 0: the scores are no log-odds
		sum     float64 // trees by which Python's raw score is divided
		odd     []string
	}{
		{"lightgbm.txt", nil, 1, 1, []string{"multiple_lines"}},
		{"coded.txt", codedMapping(t), 0.5, 1, []string{"multiple_lines"}},
		{"votes.txt", nil, 2, 5, nil},
		{"regression.txt", nil, 0, 1, nil},
		{"xgboost.json", nil, 1, 1, []string{"multiple_lines"}},
		{"xgboost.ubj", nil, 1, 1, []string{"multiple_lines"}},
		{"positions.json", positionsMapping(t), 1, 1, []string{"multiple_lines"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			f := foreign(t, c.file)
			python := predictions(t, strings.TrimSuffix(c.file, filepath.Ext(c.file))+".csv")
			m, r, s, _ := adopt(t, Adoption{Foreign: f, Mapping: c.mapping, Table: table, Check: python}, telcoPlan)
			intercept := 0.0
			if m.Linear != nil {
				intercept = m.Linear.Intercept
			}
			if r.Checked != 418 || !r.Gate.Passed || s.Manifest().Kind != "imported" {
				t.Errorf("checked %d, gate %v, kind %q", r.Checked, r.Gate, s.Manifest().Kind)
			}
			data, _, err := table.Data(s.Engine())
			if err != nil {
				t.Fatal(err)
			}
			type pair struct{ margin, probability float64 }
			var all []pair
			scores := map[string]model.Score{}
			for i := range data.Observations {
				sc := s.Score(data.Matrix.Row(i), nil)
				scores[data.Observations[i].Customer] = sc
				all = append(all, pair{sc.Margin, sc.Probability})
			}
			w := s.Manifest().Weights
			if c.sigmoid != 0 && w != (model.Weights{Forest: c.sigmoid}) {
				t.Errorf("weights %v", w)
			}
			for k, customer := range python.Customers {
				want, got := python.Scores[k]/c.sum, scores[customer].Margin
				near := 0.0
				switch {
				case python.Probability:
					got, near = model.Sigmoid(got), 1e-6 // the sigmoid is rounded in other ways
				case f.From == "XGBoost":
					near = 1e-6 * math.Max(1, math.Abs(want))
				case c.sigmoid == 0:
					got, near = (got-intercept)/w.Forest, 1e-12
				default:
					want *= c.sigmoid
				}
				if !(math.Abs(got-want) <= near) {
					t.Errorf("customer %s: %v, Python has %v", customer, got, want)
				}
			}
			slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.margin, b.margin) })
			for i := 1; i < len(all); i++ {
				if all[i-1].probability > all[i].probability {
					t.Fatalf("margins %v, %v have probabilities %v, %v", all[i-1].margin, all[i].margin, all[i-1].probability, all[i].probability)
				}
			}
			found := findings(r.Findings)
			for _, column := range c.odd {
				if found[column].Check != "odd texts" {
					t.Errorf("nothing said of %s: %v", column, r.Findings)
				}
			}
		})
	}
}

// TestAdoptSays: what cannot be known of a model from elsewhere is in the
// report, and nothing in it claims more.
func TestAdoptSays(t *testing.T) {
	_, r, _, file := adopt(t, Adoption{Foreign: foreign(t, "votes.txt"), Table: telco(t)}, telcoPlan)
	found := findings(r.Findings)
	text := found["model"].Text
	if found["model"].Check != "trained elsewhere" || !strings.Contains(text, "the 3522 customers of the test (50% of the table") {
		t.Errorf("findings %+v", r.Findings)
	}
	if found["table"].Check != "no times" {
		t.Errorf("findings %+v", r.Findings)
	}
	if len(r.Parts) != 2 || r.Parts[0].Name != "calibration" || r.Parts[0].Rows+r.Parts[1].Rows != 7043 {
		t.Errorf("parts %+v", r.Parts)
	}
	m, err := model.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, claim := range []string{"never trained on", "was not trained on"} {
		if strings.Contains(r.Head(), claim) || bytes.Contains(m.ReportHTML, []byte(claim)) {
			t.Errorf("the report says that a customer %s", claim)
		}
	}
	if !slices.Contains(m.Forest.Parameters, "imported_from: LightGBM") ||
		// sha256sum of coreutils
		!slices.Contains(m.Forest.Parameters, "imported_sha256: 9e52409bff36124690a8f344cb9c1b9c90e7141ce9a114db1b3a84977d1c7770") {
		t.Errorf("parameters end with %q", m.Forest.Parameters[len(m.Forest.Parameters)-2:])
	}
}

// TestAdoptDeterminism: the number of workers changes no byte.
func TestAdoptDeterminism(t *testing.T) {
	table := telco(t)
	var first []byte
	for _, workers := range []int{1, 7} {
		p := telcoPlan
		p.Workers = workers
		_, _, _, file := adopt(t, Adoption{Foreign: foreign(t, "coded.txt"), Mapping: codedMapping(t), Table: table}, p)
		if first == nil {
			first = file
		} else if !bytes.Equal(file, first) {
			t.Errorf("%d workers give another file", workers)
		}
	}
}

// TestAdoptRefuses: what does not fit is an error that says where and what to
// do.
func TestAdoptRefuses(t *testing.T) {
	table := telco(t)
	with := func(f func(*Table)) *Table { c := *table; f(&c); return &c }
	swap := func(text string) func(t *testing.T) *Mapping {
		return func(t *testing.T) *Mapping { return mapping(t, text) }
	}
	for _, c := range []struct {
		name, file string
		mapping    func(t *testing.T) *Mapping
		table      *Table
		want       string
	}{
		{"no names", "coded.txt", nil, table,
			`feature "Column_0" of the model: the table has no column of this name; say in the mapping which one it is: it has female, `},
		{"a feature the model does not have", "lightgbm.txt", swap("features:\n  tenur: {column: tenure}\n"), table,
			`m.yaml:2: the model has no feature "tenur"; it has female, `},
		{"a position the model does not have", "coded.txt", swap("features:\n  f8: {column: tenure}\n"), table, `m.yaml:2: the model has no feature "f8"`},
		{"by name and by position", "coded.txt", swap("features:\n  f0: {column: tenure}\n  Column_0: {column: tenure}\n"), table,
			`m.yaml:2: feature "f0" is there twice, by name and by position`},
		{"a column the table does not have", "lightgbm.txt", swap("missing: 3\nfeatures:\n  tenure: {column: months}\n"), table,
			`m.yaml:3: feature "tenure" of the model: the table has no column "months"; it has `},
		{"a column gone", "lightgbm.txt", nil, with(func(t *Table) { t.Columns = slices.Clone(t.Columns); t.Columns[4] = "months" }),
			`feature "tenure" of the model: the table has no column of this name`},
		{"two features of a column", "lightgbm.txt", swap("features:\n  monthly_charges: {column: tenure}\n"), table,
			`m.yaml:2: feature "monthly_charges" of the model: column "tenure" is that of feature "tenure" already`},
		{"words where there are numbers", "lightgbm.txt", swap("features: {tenure: {column: contract}, contract: {column: tenure}}"), table,
			`column "contract": no text of the table is a number: give the code of each text in the mapping`},
		{"fractions as codes of categories", "lightgbm.txt", swap("features:\n  contract: {levels: {One year: 0.5}}\n"), table,
			`m.yaml:2: feature "contract" of the model: level "One year" has code 0.5; the model has categories, whose codes are whole numbers from 0 on`},
		{"levels that are others", "lightgbm.txt", swap("features:\n  contract: {levels: {one: 1, two: 2}}\n"), table,
			`column "contract": no text of the table is a level of the model (one, two): give the code of each text in the mapping`},
		{"texts for codes", "coded.txt", swap("features: {f0: {column: tenure}, f1: {column: total_charges}, f2: {column: monthly_charges}, f3: {column: contract}, " +
			"f4: {column: female}, f5: {column: partner}, f6: {column: dependents}, f7: {column: paperless_billing}}"), table,
			`column "contract": no text of the table is a level of the model (`},
		{"categorical of another model", "lightgbm.txt", swap("categorical: [tenure]"), table, `m.yaml: categorical: 1 features, but the model has the levels of 10`},
		{"categorical not there", "lightgbm.txt", swap("categorical: [tenur]"), table, `m.yaml: categorical: "tenur" is no feature of the model`},
		{"too many levels", "coded.txt", func(t *testing.T) *Mapping {
			m := codedMapping(t)
			for i := range 255 {
				m.Features["f3"].Levels[fmt.Sprint("card ", i)] = float64(i)
			}
			return m
		}, table, `259 levels, of which a feature has at most 254 here; join the rare ones before training`},
		{"no label", "lightgbm.txt", nil, with(func(t *Table) { t.Labels = nil }), `a wide table needs a label, such as Churn=Yes`},
		{"all alike", "lightgbm.txt", nil, with(func(t *Table) { t.Labels = make([]bool, len(t.Labels)) }), `the calibration part has 3521 rows and 0 churners`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Adoption{Foreign: foreign(t, c.file), Table: c.table}
			if c.mapping != nil {
				a.Mapping = c.mapping(t)
			}
			m, _, err := Adopt(a, telcoPlan)
			if err == nil || !strings.Contains(err.Error(), c.want) || m != nil {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestAdoptCheck: one score that differs refuses the model, and is named;
// forced, it stands in the report.
func TestAdoptCheck(t *testing.T) {
	a := Adoption{Foreign: foreign(t, "xgboost.json"), Table: telco(t), Check: predictions(t, "xgboost.csv")}
	a.Check.Scores[3] += 3e-6 * math.Abs(a.Check.Scores[3])
	_, _, err := Adopt(a, telcoPlan)
	if !errors.Is(err, ErrDisagrees) || !strings.Contains(err.Error(), "xgboost.csv: ") || !strings.Contains(err.Error(), "1 of 418 rows differ (line 5, customer "+a.Check.Customers[3]+": ") {
		t.Errorf("error %v", err)
	}
	a.Force = true
	_, r, err := Adopt(a, telcoPlan)
	if err != nil || r.Checked != 0 || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Check == "check" && strings.Contains(f.Text, "1 of 418") }) {
		t.Errorf("error %v, findings %+v", err, r.Findings)
	}
	a.Check.Customers[5] = "nobody"
	if _, _, err := Adopt(a, telcoPlan); err == nil || !strings.Contains(err.Error(), `xgboost.csv:7: the table has no customer "nobody"`) {
		t.Errorf("error %v", err)
	}
	a = Adoption{Foreign: foreign(t, "regression.txt"), Table: a.Table, Check: predictions(t, "coded.csv")}
	if _, _, err := Adopt(a, telcoPlan); err == nil || !strings.Contains(err.Error(), `coded.csv: the model has the objective "regression"`) {
		t.Errorf("error %v", err)
	}
	// What XGBoost was told to be missing, its trees never saw.
	a = Adoption{Foreign: foreign(t, "positions.json"), Mapping: codedMapping(t), Table: a.Table, Check: predictions(t, "positions.csv")}
	if _, _, err := Adopt(a, telcoPlan); !errors.Is(err, ErrDisagrees) || !strings.Contains(err.Error(), "11 of 418 rows differ") { // 11 have no total_charges
		t.Errorf("error %v", err)
	}
}

// TestAdoptDirection: a model of who stays is told apart, and the gate refuses
// it.
func TestAdoptDirection(t *testing.T) {
	table := *telco(t)
	table.Labels = slices.Clone(table.Labels)
	for i := range table.Labels {
		table.Labels[i] = !table.Labels[i]
	}
	_, r, _, _ := adopt(t, Adoption{Foreign: foreign(t, "lightgbm.txt"), Table: &table}, telcoPlan)
	if r.Gate.Passed || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Check == "direction" }) {
		t.Errorf("gate %+v, findings %+v", r.Gate, r.Findings)
	}
}

func TestReadForeignErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "m: neither a LightGBM model text nor an XGBoost model",
		"\x80\x04pickle":      "m: this is a pickle of Python",
		"{\"name\":\"tree\"}": "m: reading XGBoost model: byte",
		"tree\nversion=v3\n":  "m: reading forest: line",
	} {
		if _, err := ReadForeign(strings.NewReader(text), "m"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	b, err := os.ReadFile(filepath.Join(importedModels, "multiclass.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadForeign(bytes.NewReader(b), "m"); err == nil || !strings.Contains(err.Error(), "multiclass") {
		t.Errorf("error %v", err)
	}
}

func TestReadPredictionsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "p.csv: the file is empty",
		"id\n1\n":                "it needs two columns",
		"id,score\n1,2\n":        `p.csv:1: the second column is "score": name it raw_score or probability`,
		"id,raw_score\n":         "p.csv: a header and no rows",
		"id,raw_score\n1,2\n2,x": `p.csv:3: raw_score: "x" is no number`,
		"id,raw_score\n1,nan\n":  `p.csv:2: raw_score: "nan" is no number`,
		"id,raw_score\n1,2,3\n":  "p.csv: record on line 2: wrong number of fields",
	} {
		if _, err := ReadPredictions(strings.NewReader(text), "p.csv"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

func TestParseMappingErrors(t *testing.T) {
	for text, want := range map[string]string{
		"feature: {}":                                   `unknown field "feature"`,
		"features:\n  a:\n    colum: b\n":               `unknown field "colum"`,
		"features:\n  a: {column: b}\n  a: {column: c}": `"a" already defined`,
		"features:\n  a: b\n":                           "[2:",
		"missing: .nan":                                 "m.yaml: missing is no number",
		"features:\n  a: {missing: .inf}":               `m.yaml:2: feature "a": missing is no number`,
		"features:\n  a: {levels: {x: .nan}}":           `m.yaml:2: feature "a": the code of level "x" is no number`,
		"features:\n  a: {levels: {\"\": 1}}":           `m.yaml:2: feature "a": level "" is empty or has spaces`,
		"features:\n  a: {levels: {}}":                  `m.yaml:2: feature "a": levels are empty`,
		"features:\n  a: {levels: {x: one}}":            "[2:",
	} {
		if m, err := ParseMapping([]byte(text), "m.yaml"); err == nil || !strings.Contains(err.Error(), "m.yaml:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, error %v, want one with %q", text, m, err, want)
		}
	}
}
