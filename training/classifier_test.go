package training

import (
	"path/filepath"
	"testing"

	"github.com/sjwhitworth/golearn/base"
	golearn "github.com/sjwhitworth/golearn/evaluation"
)

// instances of the telco table as golearn reads it.
func instances(t *testing.T) *base.DenseInstances {
	t.Helper()
	table := telco(t)
	out := base.NewDenseInstances()
	var specs []base.AttributeSpec
	set, _ := table.InferColumns()
	for _, c := range set.Columns {
		var a base.Attribute = base.NewFloatAttribute(c.Name)
		if c.Type == "category" {
			a = new(base.CategoricalAttribute)
			a.SetName(c.Name)
		}
		specs = append(specs, out.AddAttribute(a))
	}
	class := new(base.CategoricalAttribute)
	class.SetName("class")
	specs = append(specs, out.AddAttribute(class))
	if err := out.AddClassAttribute(class); err != nil {
		t.Fatal(err)
	}
	if err := out.Extend(len(table.Rows)); err != nil {
		t.Fatal(err)
	}
	for i := range table.Rows {
		values := map[string]string{}
		table.values(i, values)
		for k, c := range set.Columns {
			v := values[c.Name]
			if v == "" {
				v = "0"
			}
			out.Set(specs[k], i, specs[k].GetAttribute().GetSysValFromString(v))
		}
		label := "stays"
		if table.Labels[i] {
			label = "leaves"
		}
		out.Set(specs[len(specs)-1], i, class.GetSysValFromString(label))
	}
	return out
}

// golearn's own cross-validation runs on the ladder, and finds what is known of
// the table: about four of five right, where three of four stay.
func TestGolearnClassifier(t *testing.T) {
	data := instances(t)
	c := NewClassifier(Plan{Seed: 1, Replicates: 20, Workers: 2, Rungs: []string{"logistic"}}, "leaves")
	matrices, err := golearn.GenerateCrossFoldValidationConfusionMatrices(data, c, 3)
	if err != nil {
		t.Fatal(err)
	}
	accuracy, _ := golearn.GetCrossValidatedMetric(matrices, golearn.GetAccuracy)
	if accuracy < 0.78 || accuracy > 0.84 {
		t.Errorf("accuracy %.3f", accuracy)
	}
	// What is saved predicts the same when it is read.
	path := filepath.Join(t.TempDir(), "telco.churn")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	other := NewClassifier(Plan{}, "leaves")
	if _, err := other.Predict(data); err == nil {
		t.Error("an unfitted classifier predicts")
	}
	if err := other.Load(path); err != nil {
		t.Fatal(err)
	}
	want, err := c.Predict(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := other.Predict(data)
	if err != nil {
		t.Fatal(err)
	}
	_, n := data.Size()
	leaves := 0
	for i := range n {
		a, b := base.GetClass(want, i), base.GetClass(got, i)
		if a != b {
			t.Fatalf("row %d: %s, and %s when it was read", i, a, b)
		}
		if a == "leaves" {
			leaves++
		}
	}
	if leaves < n/10 || leaves > n/3 {
		t.Errorf("%d of %d leave", leaves, n)
	}
	if s := c.String(); s != "churn" || c.GetMetadata().ClassifierName != "churn" || c.SaveWithPrefix(nil, "") == nil || c.LoadWithPrefix(nil, "") == nil {
		t.Errorf("name %q", s)
	}
}
