package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"churn/features"
	"churn/model"
)

func read(text string, o TableOptions) (*Table, error) {
	return ReadTable(strings.NewReader(text), "t.csv", o)
}

func TestReadTable(t *testing.T) {
	text := "id,tenure, plan ,churn,note\n" +
		" a ,1, basic ,Yes,\"two\nlines\"\n" +
		"b,,plus, No ,\n"
	for _, mark := range []string{"", "\ufeff"} {
		got, err := read(mark+strings.Replace(text, " plan ", "plan", 1), TableOptions{ID: "id", Label: " churn = Yes", Drop: []string{"note"}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Columns, []string{"tenure", "plan"}) || !slices.Equal(got.IDs, []string{"a", "b"}) || !slices.Equal(got.Labels, []bool{true, false}) ||
			!slices.Equal(got.Rows[0], []string{"1", "basic"}) || !slices.Equal(got.Rows[1], []string{"", "plus"}) {
			t.Errorf("%+v", got)
		}
		if len(got.Fingerprint) != 64 {
			t.Errorf("fingerprint %q", got.Fingerprint)
		}
	}
	// A quoted header behind a byte order mark, as spreadsheets write it.
	got, err := read("\ufeff\"id\",\"x\"\r\n\"1\",\"2\"\r\n", TableOptions{})
	if err != nil || !slices.Equal(got.Columns, []string{"id", "x"}) || !slices.Equal(got.IDs, []string{"1"}) || got.Labels != nil {
		t.Errorf("%+v, %v", got, err)
	}
	// The fingerprint is of all bytes: sha256sum of coreutils.
	if got, err = read("x\n1\n", TableOptions{}); err != nil || got.Fingerprint != "daff832f802000e645771a60983c76c963f6ee602a6230e45237bd360e91cc1a" {
		t.Errorf("fingerprint %q, %v", got.Fingerprint, err)
	}
}

func TestReadTableErrors(t *testing.T) {
	by := TableOptions{ID: "id", Label: "churn=Yes"}
	tests := []struct {
		name, text string
		o          TableOptions
		want       string
	}{
		{"empty", "", by, "t.csv:1: the file is empty"},
		{"only a mark", "\ufeff", by, "t.csv:1: the file is empty"},
		{"no rows", "id,churn\n", by, "t.csv: a header and no rows"},
		{"no id column", "key,churn\n1,Yes\n", by, `t.csv:1: no column "id" for the id; the header has key, churn`},
		{"no label column", "id,left\n1,Yes\n", by, `t.csv:1: no column "churn" for the label; the header has id, left`},
		{"no column to drop", "id,churn\n1,Yes\n", TableOptions{Drop: []string{"x"}}, `t.csv:1: no column "x" for the column to drop`},
		{"label without value", "id,churn\n1,Yes\n", TableOptions{Label: "churn"}, `label "churn": write Column=value`},
		{"header twice", "id,x,x\n1,2,3\n", by, `t.csv:1: column "x" appears twice`},
		{"header empty", "id,,x\n1,2,3\n", by, "t.csv:1: header"},
		{"ragged", "id,churn\n1,Yes\n2\n", by, "t.csv:3: the row does not have 2 columns as the header has"},
		{"too long a row", "id,churn\n1,Yes\n2,No,3\n", by, "t.csv:3: the row does not have 2 columns"},
		{"bad quote", "id,churn\n1,Yes\n2,\"No\"x\n", by, "t.csv:3: "},
		{"bad quote in the header", "id,\"ch\"urn\n", by, "t.csv:1: "},
		{"id twice", "id,churn\n1,Yes\n2,No\n1,No\n", by, "t.csv:4: id: the id was on line 2 already"},
		{"id empty", "id,churn\n1,Yes\n,No\n", by, "t.csv:3: id"},
		{"label empty", "id,churn\n1,Yes\n2, \n", by, "t.csv:3: churn: the label is empty"},
		{"label never occurs", "id,churn\n1,true\n2,false\n3,true\n", by, "t.csv: no row has churn=Yes; the column has false, true"},
		{"too many columns", strings.Repeat("x,", 5000) + "x\n", TableOptions{}, "t.csv:1: more than 5000 columns"},
		{"line after a text of two lines", "id,churn\n\"1\n2\",Yes\n3\n", by, "t.csv:2: id"},
	}
	for _, test := range tests {
		got, err := read(test.text, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || got != nil {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
	broken := errors.New("disk on fire")
	if _, err := ReadTable(io.MultiReader(strings.NewReader("id,churn\n1,Yes\n"), iotest.ErrReader(broken)), "t.csv", by); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestInferColumns(t *testing.T) {
	table := &Table{Columns: []string{"number", "with_na", "text", "constant", "name", "empty", "yes_no", "na_only", "code", "infinite"}}
	for i := range 200 {
		na := fmt.Sprint(i)
		if i%3 == 0 {
			na = []string{"NA", "nan", "NULL", ""}[i%4]
		}
		table.Rows = append(table.Rows, []string{fmt.Sprint(float64(i) / 8), na, []string{"x", "y", ""}[i%3], "same", fmt.Sprint("customer ", i), "",
			[]string{"yes", "no"}[i%2], []string{"NA", "null"}[i%2], fmt.Sprint(i % 60), []string{"1", "Inf"}[i%2]})
	}
	set, left := table.InferColumns()
	got := map[string]string{}
	for _, c := range set.Columns {
		got[c.Name] = c.Type
	}
	want := map[string]string{"number": "number", "with_na": "number", "text": "category", "yes_no": "category", "na_only": "category",
		"code": "number", "infinite": "category"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("columns %v, want %v", got, want)
	}
	if len(left) != 3 || left["constant"] != "has one value only" || left["empty"] != "has one value only" || !strings.Contains(left["name"], "a name or an id") {
		t.Errorf("left out %v", left)
	}
}

func TestTableData(t *testing.T) {
	set := &features.Set{Version: 1, Columns: []features.Column{{Name: "n", Type: "number"}, {Name: "c", Type: "category", Levels: []string{"x", "y"}}}}
	engine, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	table, err := read("c,other,n,left\ny,7,1.5,1\n,7,NA,0\nz,7,many,0\n", TableOptions{Label: "left=1"})
	if err != nil {
		t.Fatal(err)
	}
	d, odd, err := table.Data(engine)
	if err != nil {
		t.Fatal(err)
	}
	// Missing is missing; an unknown level has code -1; a number that is none is missing and counted.
	if want := []float32{1.5, 1, nan32, nan32, nan32, -1}; !sameBits(d.Matrix.Data, want) {
		t.Errorf("rows %v, want %v", d.Matrix.Data, want)
	}
	if odd["n"] != 1 || odd["c"] != 1 || len(odd) != 2 {
		t.Errorf("odd %v", odd)
	}
	if !slices.Equal(d.Labels(), []bool{true, false, false}) || !slices.Equal(d.Customers(), []string{"1", "2", "3"}) {
		t.Errorf("labels %v, customers %v", d.Labels(), d.Customers())
	}
	less, err := read("c,left\ny,1\n", TableOptions{Label: "left=1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := less.Data(engine); err == nil || !strings.Contains(err.Error(), `no column "n", which the model needs`) {
		t.Errorf("error %v", err)
	}
}

// telco is the IBM sample as R's modeldata has it: 7,043 customers.
func telco(t *testing.T) *Table {
	t.Helper()
	f, err := os.Open("../testdata/telco/wa_churn.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := ReadTable(f, "wa_churn.csv", TableOptions{Label: "churn=Yes"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Published models of this table have an AUC of 0.84 to 0.85.
func TestTrainTelco(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on 7,043 customers")
	}
	table := telco(t)
	p := Plan{Definition: model.Definition{Kind: "label", Label: "churn=Yes"}, Seed: 1, Replicates: 100}
	m, r, err := TrainTable(context.Background(), table, p)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Model.Estimates.AUC.Value; a < 0.82 || !r.Gate.Passed {
		t.Errorf("AUC %v, gate %+v", a, r.Gate)
	}
	rows := 0
	for _, part := range r.Parts {
		rows += part.Rows
		if part.Rows != part.Customers {
			t.Errorf("%s: %d rows of %d customers", part.Name, part.Rows, part.Customers)
		}
	}
	if rows != 7043 || r.Split != nil || r.Seen != nil || r.Rule.Name != "base rate" {
		t.Errorf("%d rows, split %v, seen %v, against %q", rows, r.Split, r.Seen, r.Rule.Name)
	}
	if f := findings(r.Findings)["table"]; f.Check != "no times" || f.Severity != "warning" || len(r.Findings) != 1 {
		t.Errorf("findings %+v", r.Findings)
	}
	if !json.Valid(m.ReportJSON) || !strings.Contains(r.Head(), "customers never trained on") {
		t.Errorf("head:\n%s", r.Head())
	}
	file, err := fileOf(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = model.Read(file); err != nil {
		t.Fatal(err)
	}
	s, err := NewStored(m)
	if err != nil {
		t.Fatal(err)
	}

	// The very table: measured, with a warning.
	again, err := EvaluateTable(table, s, p)
	if err != nil {
		t.Fatal(err)
	}
	if again.Model.Rows != 7043 || findings(again.Findings)["table"].Check != "training data" || strings.Contains(again.Head(), "never trained on") {
		t.Errorf("%d rows, findings %+v, head:\n%s", again.Model.Rows, again.Findings, again.Head())
	}
	if m := again.Rule.Estimates; m.AUC.Value != 0.5 || !math.IsNaN(float64(m.LogLoss.Value)) {
		t.Errorf("the base rate has AUC %v and log loss %v", m.AUC.Value, m.LogLoss.Value)
	}
	if b, err := json.Marshal(again); err != nil || !json.Valid(b) {
		t.Errorf("report of an evaluation: %v", err)
	}

	// A new table: other columns are ignored, the order does not matter.
	extra := &Table{Columns: append([]string{"extra"}, table.Columns...), IDs: table.IDs, Labels: table.Labels}
	for _, row := range table.Rows {
		extra.Rows = append(extra.Rows, append([]string{"what"}, row...))
	}
	other, err := EvaluateTable(extra, s, p)
	if err != nil {
		t.Fatal(err)
	}
	if other.Model.Estimates != again.Model.Estimates || len(other.Findings) != 0 {
		t.Errorf("with another column: %+v, without: %+v", other.Model.Estimates.AUC, again.Model.Estimates.AUC)
	}
	extra.Columns[3] = "renamed"
	if _, err := EvaluateTable(extra, s, p); err == nil || !strings.Contains(err.Error(), "which the model needs") {
		t.Errorf("a missing column: error %v", err)
	}
	extra.Columns[3], extra.Labels = table.Columns[2], nil
	if _, err := EvaluateTable(extra, s, p); err == nil || !strings.Contains(err.Error(), "a label") {
		t.Errorf("no labels: error %v", err)
	}
	if _, err := EvaluateHistories(context.Background(), &worldSource{}, s, Plan{}); err == nil || !strings.Contains(err.Error(), "--table") {
		t.Errorf("a model of a table is evaluated on histories: %v", err)
	}
}

func TestTrainTableRefuses(t *testing.T) {
	p := Plan{Definition: model.Definition{Kind: "label", Label: "left=1"}, Seed: 1}
	table, err := read("x,left\n1,1\n2,0\n", TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := TrainTable(context.Background(), table, p); err == nil || !strings.Contains(err.Error(), "needs a label") {
		t.Errorf("no label: %v", err)
	}
	table, err = read("x,left\n1,1\n2,0\n", TableOptions{Label: "left=1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := TrainTable(context.Background(), table, Plan{Definition: contract}); err == nil || !strings.Contains(err.Error(), "needs a label") {
		t.Errorf("by contract: %v", err)
	}
	if _, _, err := TrainTable(context.Background(), table, p); err == nil {
		t.Error("two rows are enough")
	}
	table, err = read("x,left\n1,1\n1,0\n", TableOptions{Label: "left=1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := TrainTable(context.Background(), table, p); err == nil || !strings.Contains(err.Error(), "no features") {
		t.Errorf("nothing but constants: %v", err)
	}
}

// Few churners get the most regularised logistic, nothing larger.
func TestTrainSmallTable(t *testing.T) {
	table := telco(t)
	small := &Table{Columns: table.Columns}
	for i := range 110 { // 29 churners or so, 23 in training
		k := i * 64
		small.Rows, small.IDs, small.Labels = append(small.Rows, table.Rows[k]), append(small.IDs, table.IDs[k]), append(small.Labels, table.Labels[k])
	}
	m, r, err := TrainTable(context.Background(), small, Plan{Definition: model.Definition{Kind: "label", Label: "churn=Yes"}, Seed: 1, Replicates: 50})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Parts[0].Churners; n >= minLogisticChurners || len(r.Leaderboard) != 2 || m.Manifest.Kind != "logistic" {
		t.Errorf("%d churners in training, rungs %+v", n, r.Leaderboard)
	}
}
