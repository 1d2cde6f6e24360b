package baseline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/sjwhitworth/golearn/base"
)

// Learner is a model as golearn's evaluation sees it: a table of texts goes in,
// probabilities come out.
type Learner interface {
	// Fit learns from rows under the columns, and which of them churned.
	Fit(columns []string, rows [][]string, churned []bool) error
	// Probability of churn of a row under the same columns.
	Probability(columns, row []string) (float64, error)
	// Save writes what was fitted to a file, Load reads it back.
	Save(path string) error
	Load(path string) error
}

// Classifier makes a [Learner] a classifier of golearn (base.Classifier), so
// that its evaluation and cross-validation run on it. golearn knows classes and
// no probabilities: a row is of the class of churn from Threshold on.
type Classifier struct {
	Learner
	Name      string
	Churn     string  // the class that means churn
	Threshold float64 // default one half
}

var _ base.Classifier = (*Classifier)(nil)

// Fit implements base.Classifier. There must be one class attribute, with two
// classes at most.
func (c *Classifier) Fit(data base.FixedDataGrid) error {
	t, err := tableOf(data)
	if err != nil {
		return err
	}
	churned := make([]bool, len(t.rows))
	other := ""
	for i := range churned {
		class := base.GetClass(data, i)
		switch churned[i] = class == c.Churn; {
		case churned[i]:
		case other == "":
			other = class
		case other != class:
			return fmt.Errorf("classes %q and %q beside %q: churn has one other", other, class, c.Churn)
		}
	}
	return c.Learner.Fit(t.columns, t.rows, churned)
}

// Predict implements base.Classifier.
func (c *Classifier) Predict(data base.FixedDataGrid) (base.FixedDataGrid, error) {
	t, err := tableOf(data)
	if err != nil {
		return nil, err
	}
	stays, err := c.stays(data)
	if err != nil {
		return nil, err
	}
	threshold := c.Threshold
	if threshold == 0 {
		threshold = 0.5
	}
	out := base.GeneratePredictionVector(data)
	for i, row := range t.rows {
		p, err := c.Probability(t.columns, row)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		class := stays
		if p >= threshold {
			class = c.Churn
		}
		base.SetClass(out, i, class)
	}
	return out, nil
}

// stays is the class that is not churn.
func (c *Classifier) stays(data base.FixedDataGrid) (string, error) {
	attribute, ok := data.AllClassAttributes()[0].(*base.CategoricalAttribute)
	if !ok {
		return "", errors.New("the class is not a category")
	}
	values := attribute.GetValues()
	if i := slices.IndexFunc(values, func(v string) bool { return v != c.Churn }); i >= 0 {
		return values[i], nil
	}
	return "", fmt.Errorf("there is no class beside %q", c.Churn)
}

// String implements base.Classifier.
func (c *Classifier) String() string { return c.Name }

// GetMetadata implements base.Classifier.
func (c *Classifier) GetMetadata() base.ClassifierMetadataV1 {
	return base.ClassifierMetadataV1{FormatVersion: 1, ClassifierName: c.Name, ClassifierVersion: "1.0"}
}

var errEnsemble = errors.New("a model of churn is a file of its own and no part of golearn's ensembles: use Save and Load")

// SaveWithPrefix implements base.Classifier: it always fails.
func (c *Classifier) SaveWithPrefix(*base.ClassifierSerializer, string) error { return errEnsemble }

// LoadWithPrefix implements base.Classifier: it always fails.
func (c *Classifier) LoadWithPrefix(*base.ClassifierDeserializer, string) error { return errEnsemble }

// texts is a data grid without its class.
type texts struct {
	columns []string
	rows    [][]string
}

func tableOf(data base.FixedDataGrid) (t texts, err error) {
	classes := data.AllClassAttributes()
	if len(classes) != 1 {
		return t, fmt.Errorf("%d class attributes, want one", len(classes))
	}
	specs := base.ResolveAttributes(data, base.NonClassAttributes(data))
	for _, s := range specs {
		t.columns = append(t.columns, s.GetAttribute().GetName())
	}
	_, n := data.Size()
	for i := range n {
		row := make([]string, len(specs))
		for j, s := range specs {
			v := data.Get(s, i)
			if _, number := s.GetAttribute().(*base.FloatAttribute); number { // which writes two digits
				row[j] = strconv.FormatFloat(base.UnpackBytesToFloat(v), 'g', -1, 64)
			} else {
				row[j] = s.GetAttribute().GetStringFromSysVal(v)
			}
		}
		t.rows = append(t.rows, row)
	}
	return t, nil
}
