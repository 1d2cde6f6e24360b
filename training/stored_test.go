package training

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
	"churn/model"
)

// reread is a model as the registry gives it back.
func reread(t *testing.T, m *model.Model) *Stored {
	t.Helper()
	var b strings.Builder
	if err := model.Write(&b, m); err != nil {
		t.Fatal(err)
	}
	again, err := model.Read([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStored(again)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON has what was not measured as null, which is equal to itself.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Later, from the file and the same data, the comparison is that of training.
func TestCompareHistoriesIsThatOfTraining(t *testing.T) {
	w := tinyWorld(1700)
	src := newWorldSource(t, w)
	p := worldPlan(&w)
	p.Rungs, p.Checks, p.HeldOut = []string{"logistic"}, "quick", 0.3
	p.Economics = &Economics{Monthly: 20, DiscountMonthly: 0.01, Contact: 0.5, Incentive: 5, Save: 0.2, SaveKappa: 50, Takeup: 0.3}
	m, _, err := Train(context.Background(), src, p)
	if err != nil {
		t.Fatal(err)
	}
	p.Champion = reread(t, m)
	if p.Features, err = features.Parse([]byte("version: 1\nfeatures:\n- {name: eng_rec, from: engagement, agg: recency, windows: [90d]}\n")); err != nil {
		t.Fatal(err)
	}
	m, r, err := Train(context.Background(), src, p)
	if err != nil {
		t.Fatal(err)
	}
	want := r.Champion
	if want.NotCompared != "" || want.Difference == nil || want.Difference.LogLoss.Value == 0 || want.ProfitDifference.Value == 0 {
		t.Fatalf("nothing to compare with: %+v", want)
	}
	// The plan of the day says other snapshots, seed, share and end of the data.
	p.Features, p.Seed, p.HeldOut, p.Snapshots, p.Every, p.Through = nil, 99, 0.1, 5, event.Day, p.Through.Add(event.Day)
	got, err := CompareHistories(context.Background(), src, reread(t, m), p)
	if err != nil || asJSON(t, got) != asJSON(t, want) {
		t.Errorf("%s, error %v\nin training %s", asJSON(t, got), err, asJSON(t, want))
	}
	// The champion's data ends later.
	earlier := &Stored{rescored(t, m, func(m *model.Model) { m.Manifest.Through = m.Manifest.Through.Add(-event.Day) }), r}
	if c, err := CompareHistories(context.Background(), src, earlier, p); err != nil || !strings.HasPrefix(c.Note, "its data ends later, on ") {
		t.Errorf("%+v, error %v", c, err)
	}
	backwards := *r
	backwards.Split = &Split{Test: []event.Time{w.Start.Add(300 * event.Day), w.Start.Add(200 * event.Day)}}
	if c, err := CompareHistories(context.Background(), src, &Stored{earlier.Scorer, &backwards}, p); err != nil || !strings.Contains(c.NotCompared, "does not tell at which snapshots") {
		t.Errorf("snapshots that no program wrote: %+v, error %v", c, err)
	}
	bare := &Stored{earlier.Scorer, &Report{}}
	if c, err := CompareHistories(context.Background(), src, bare, p); err != nil || !strings.Contains(c.NotCompared, "does not tell at which snapshots") {
		t.Errorf("without a report: %+v, error %v", c, err)
	}
}

// rescored compiles a model with something changed.
func rescored(t *testing.T, m *model.Model, change func(*model.Model)) *model.Scorer {
	t.Helper()
	other := *m
	change(&other)
	s, err := other.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// halves are two tables of different customers.
func halves(t *Table) (a, b *Table) {
	part := func(from, to int, name string) *Table {
		return &Table{Columns: t.Columns, Rows: t.Rows[from:to], IDs: t.IDs[from:to], Labels: t.Labels[from:to], Named: true, Fingerprint: name}
	}
	n := len(t.Rows) / 2
	return part(0, n, "january"), part(n, 2*n, "february")
}

func TestCompareTableIsThatOfTraining(t *testing.T) {
	table := championTable(1)
	january, february := halves(table)
	x := &features.Set{Version: 1, Columns: []features.Column{{Name: "x", Type: "number"}}}
	champion, _, _ := trained(t, table, championPlan())
	elsewhere, _, _ := trained(t, february, championPlan())
	all := championPlan()
	all.TestOn = february
	onJanuary, _, _ := trained(t, january, all)
	for _, test := range []struct {
		name     string
		champion *model.Model
		train    *Table
		testOn   *Table
		not      string // beginning of why not, in training and later
		note     string
	}{
		{"a part of the table", champion, table, nil, "", ""},
		{"a table of its own", onJanuary, january, february, "", ""},
		{"both tested on another", champion, january, february, "", "it was trained on another table: whether"},
		{"the table that the champion was trained on", elsewhere, january, february, "", "it was trained with seed 1 and 0.2 held out, on some customers of this test: only the "},
		{"all of which the champion was trained on", onJanuary, january, nil, "it was trained on all customers of this table", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := championPlan()
			p.Champion, p.TestOn, p.Features = reread(t, test.champion), test.testOn, x
			m, r, _ := trained(t, test.train, p)
			want := r.Champion
			if !strings.HasPrefix(want.NotCompared, test.not) || (test.not == "") != (want.Difference != nil) ||
				!strings.HasPrefix(want.Note, test.note) || (test.note == "") != (want.Note == "") {
				t.Fatalf("in training %+v", want)
			}
			of := test.train
			if test.testOn != nil {
				of = test.testOn
			}
			p.TestOn, p.Features, p.Seed = nil, nil, 99
			if got, err := CompareTable(of, reread(t, m), p); err != nil || asJSON(t, got) != asJSON(t, want) {
				t.Errorf("%s, error %v\nin training %s", asJSON(t, got), err, asJSON(t, want))
			}
		})
	}
}

func TestCompareTableNotCompared(t *testing.T) {
	table := championTable(1)
	january, february := halves(table)
	m, _, s := trained(t, january, championPlan())
	p := championPlan()
	p.Champion = s
	not := func(what string, of *Table, why string) {
		t.Helper()
		if c, err := CompareTable(of, reread(t, m), p); err != nil || c.Difference != nil || !strings.Contains(c.NotCompared, why) {
			t.Errorf("%s: %+v, error %v", what, c, err)
		}
	}
	not("another table", february, "not the table whose customers")
	renumbered := *january
	renumbered.IDs = february.IDs
	not("another id", &renumbered, "name the column of the id")
	p.Champion = &Stored{rescored(t, m, func(m *model.Model) { m.Manifest.Definition.Label = "gone=yes" }), s.Report}
	not("another label", january, "its definition is label: gone=yes")
	unlabelled := *january
	unlabelled.Labels = nil
	p.Champion = s
	if _, err := CompareTable(&unlabelled, reread(t, m), p); err == nil || !strings.Contains(err.Error(), "needs a label") {
		t.Errorf("error %v", err)
	}
	if c, err := CompareHistories(context.Background(), &worldSource{}, s, p); err != nil || !strings.Contains(c.NotCompared, "of a wide table") {
		t.Errorf("on histories: %+v, error %v", c, err)
	}
}
