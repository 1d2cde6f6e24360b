package training

import (
	"context"
	"errors"
	"os"
	"strconv"

	"churn/model"
	"churn/model/baseline"
)

// NewClassifier makes the whole of [TrainTable] a classifier of golearn: class
// is the one that means churn. What is fitted is a model file like any other,
// which Save writes and Load reads.
func NewClassifier(p Plan, class string) *baseline.Classifier {
	return &baseline.Classifier{Name: "churn", Churn: class, Learner: &tableLearner{plan: p}}
}

// tableLearner trains on wide tables.
type tableLearner struct {
	plan   Plan
	model  *model.Model
	scorer *model.Scorer
}

// Fit implements baseline.Learner.
func (l *tableLearner) Fit(columns []string, rows [][]string, churned []bool) error {
	t := &Table{Columns: columns, Rows: rows, Labels: churned}
	for i := range rows {
		t.IDs = append(t.IDs, strconv.Itoa(i+1))
	}
	p := l.plan
	p.Definition = model.Definition{Kind: "label", Label: "class=churn"}
	m, _, err := TrainTable(context.Background(), t, p)
	if err != nil {
		return err
	}
	return l.use(m)
}

func (l *tableLearner) use(m *model.Model) (err error) {
	l.model = m
	l.scorer, err = m.Compile()
	return err
}

var errUnfitted = errors.New("the classifier was not fitted")

// Probability implements baseline.Learner.
func (l *tableLearner) Probability(columns, row []string) (float64, error) {
	if l.scorer == nil {
		return 0, errUnfitted
	}
	values := make(map[string]string, len(columns))
	for i, c := range columns {
		values[c] = row[i]
	}
	e := l.scorer.Engine()
	x := make([]float32, len(e.Features()))
	e.Values(x, values)
	return l.scorer.Score(x, nil).Probability, nil
}

// Save implements baseline.Learner.
func (l *tableLearner) Save(path string) error {
	if l.model == nil {
		return errUnfitted
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(model.Write(f, l.model), f.Close())
}

// Load implements baseline.Learner.
func (l *tableLearner) Load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := model.ReadBytes(f)
	if err != nil {
		return err
	}
	m, err := model.Read(b)
	if err != nil {
		return err
	}
	return l.use(m)
}
