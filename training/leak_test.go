package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/event"
	"churn/event/sim"
	"churn/features"
	"churn/model"
)

// An honest world of the same size as that of TestPlantedLeak is not called a
// leak.
func TestHonestWorldHasNoLeak(t *testing.T) {
	w := sim.DefaultWorld()
	w.Customers, w.Snapshots = 4000, nil
	p := worldPlan(&w)
	p.Rungs = []string{"logistic"}
	_, r, err := Train(context.Background(), newWorldSource(t, w), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("%s: %s", f.Severity, f.Text)
	}
}

func findings(list []Finding) map[string]Finding {
	m := map[string]Finding{}
	for _, f := range list {
		m[f.Subject] = f
	}
	return m
}

var contract = model.Definition{Kind: "contract", Horizon: 30 * days}

// Features that know the label in each way there is, among ones that do not.
func TestSingleFeature(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	many := make([]string, 250)
	for i := range many {
		many[i] = fmt.Sprint("city ", i)
	}
	d := &Data{Matrix: features.Matrix{Features: []features.Feature{
		{Name: "copied"}, {Name: "turned"}, {Name: "good"}, {Name: "suspicious"}, {Name: "filled_in"}, {Name: "noise"}, {Name: "constant"},
		{Name: "copied_text", Kind: features.Category, Levels: []string{"no", "yes"}},
		{Name: "city", Kind: features.Category, Levels: many},
	}}}
	for i := range 1000 {
		y := i%4 == 0
		row := d.Matrix.Grow()
		label := float32(0)
		if y {
			label = 1
		}
		row[0], row[1] = label, -label*3+float32(r.Float64())
		row[2] = label + float32(r.NormFloat64()) // AUC Φ(1/√2) = 0.76
		row[3] = 2.05*label + float32(r.NormFloat64())
		row[4] = nan32
		if y {
			row[4] = float32(r.IntN(5)) // a reason, given by who left
		}
		row[5] = float32(r.NormFloat64())
		row[7] = label
		row[8] = float32(r.IntN(len(many))) // four rows a city
		d.Observations = append(d.Observations, Observation{Customer: fmt.Sprint(i), Churned: y})
	}
	got := findings(singleFeature(d, &contract, 3))
	for name, severity := range map[string]string{"copied": "error", "turned": "error", "suspicious": "warning", "filled_in": "error", "copied_text": "error"} {
		if f := got[name]; f.Severity != severity || f.Check != "single feature" || !strings.Contains(f.Text, name+" alone has AUC") {
			t.Errorf("%s: %+v, want %s", name, f, severity)
		}
		delete(got, name)
	}
	if len(got) != 0 {
		t.Errorf("found too: %v", got)
	}
	if text := findings(singleFeature(d, &contract, 1))["filled_in"].Text; !strings.Contains(text, "AUC 1.000 (whether it is missing)") {
		t.Errorf("filled_in: %s", text)
	}
	// With 19 churners everything may look perfect by chance.
	few := d.Rows(func(o *Observation) bool {
		return !o.Churned || len(o.Customer) < 3 && o.Customer != "0" && o.Customer < "80"
	})
	if n := few.Positives(); n != 19 || singleFeature(few, &contract, 1) != nil {
		t.Errorf("%d churners: %v", n, singleFeature(few, &contract, 1))
	}
}

// Where churn is silence, the length of the silence so far is no leak however
// well it predicts; what predicts better still is one.
func TestSilenceIsNoLeak(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	d := &Data{Matrix: features.Matrix{Features: []features.Feature{{Name: "eng_rec"}, {Name: "twin"}, {Name: "knows"}}}}
	for i := range 1000 {
		y := i%4 == 0
		row := d.Matrix.Grow()
		row[0] = float32(r.NormFloat64() + 10)
		row[2] = 0
		if y {
			row[0] += 3 // AUC Φ(3/√2) = 0.98
			row[2] = 1
		}
		row[1] = row[0] * 2
		d.Observations = append(d.Observations, Observation{Churned: y})
	}
	d2 := contract
	d2.Kind = "inactivity"
	got := findings(singleFeature(d, &d2, 1))
	if got["eng_rec"].Severity != "warning" || got["twin"].Severity != "warning" || got["knows"].Severity != "error" {
		t.Errorf("%+v", got)
	}
	if got := findings(singleFeature(d, &contract, 1)); got["eng_rec"].Severity != "error" {
		t.Errorf("by contract: %+v", got)
	}
}

// 1,000 histories, of which every second ends on day 300 of 400.
func histories(change func(i int, tl *event.Timeline)) []Finding {
	set := &features.Set{Version: 1, Attributes: []features.Column{{Name: "plan", Type: "category"}, {Name: "state", Type: "category"}, {Name: "ticket", Type: "category"}}}
	h := newHistoryCheck(set, day(400))
	for i := range 1000 {
		c := event.Customer{ID: fmt.Sprint(i), SignedUpAt: day(0), ChurnedAt: event.Never,
			Attributes: map[string]string{"plan": []string{"a", "b", "c"}[i%3], "state": "open", "ticket": fmt.Sprint("T", i)}}
		end := 400
		if i%2 == 0 {
			c.ChurnedAt, end = day(300), 300
		}
		tl := &event.Timeline{Customer: c}
		for at := 10; at < end; at += 10 {
			tl.Engagements = append(tl.Engagements, event.EngagementEvent{At: day(at) + event.Time(i%600)*event.Time(event.Minute), Kind: "visit"})
		}
		if change != nil {
			change(i, tl)
		}
		h.add(tl)
	}
	return h.findings()
}

func TestHistoryCheck(t *testing.T) {
	add := func(tl *event.Timeline, at event.Time, kind string) {
		tl.Engagements = append(tl.Engagements, event.EngagementEvent{At: at, Kind: kind})
	}
	left := func(tl *event.Timeline) bool { return tl.Customer.ChurnedAt != event.Never }
	tests := []struct {
		name            string
		change          func(i int, tl *event.Timeline)
		check, severity string // "" finds nothing
		text            string
	}{
		{name: "honest"},
		{name: "attribute filled in after the outcome", change: func(i int, tl *event.Timeline) {
			if left(tl) && i%20 != 0 { // nine of ten who left, AUC 0.95
				tl.Customer.Attributes["state"] = "closed"
			}
		}, check: "", severity: ""},
		{name: "attribute that tells all", change: func(_ int, tl *event.Timeline) {
			if left(tl) {
				tl.Customer.Attributes["state"] = "closed"
			}
		}, check: "attribute", severity: "error", text: "AUC 1.000"},
		{name: "cancel page", change: func(i int, tl *event.Timeline) {
			if left(tl) && i%10 == 0 { // 100 of 500
				add(tl, day(299), "cancel_page")
			}
		}, check: "last days", severity: "warning", text: "20%"},
		{name: "cancel page on the first of the last 14 days", change: func(i int, tl *event.Timeline) {
			if left(tl) && i%10 == 0 {
				tl.Engagements = tl.Engagements[:28] // up to day 280
				add(tl, day(286), "cancel_page")
			}
		}, check: "last days", severity: "warning", text: `"cancel_page"`},
		{name: "cancel page an instant earlier", change: func(i int, tl *event.Timeline) {
			if left(tl) && i%10 == 0 {
				tl.Engagements = tl.Engagements[:28]
				add(tl, day(286)-tick, "cancel_page")
			}
		}},
		{name: "rare among those who leave", change: func(i int, tl *event.Timeline) {
			if left(tl) && i%40 == 0 { // 25 of 500 is 5 %, and no more
				add(tl, day(299), "cancel_page")
			}
		}},
		{name: "everybody does it all the time", change: func(_ int, tl *event.Timeline) {
			for k := range tl.Engagements {
				tl.Engagements[k].Kind = "cancel_page"
			}
		}},
		{name: "after churn", change: func(i int, tl *event.Timeline) {
			if i == 4 {
				add(tl, day(300), "visit")
				add(tl, day(310), "visit")
			}
		}, check: "after churn", severity: "warning", text: "2 engagement events"},
		{name: "after the end of the data", change: func(i int, tl *event.Timeline) {
			if i == 5 {
				add(tl, day(400), "visit")
			}
		}, check: "future", severity: "error", text: "1 events lie at or after the end of the data, 1971-02-05T00:00:00Z"},
		{name: "a payment from the future", change: func(i int, tl *event.Timeline) {
			if i == 5 {
				tl.Payments = append(tl.Payments, bill(day(390), day(401)))
			}
		}, check: "future", severity: "error", text: "1 events"},
		{name: "a complaint from the future", change: func(i int, tl *event.Timeline) {
			if i == 5 {
				tl.Complaints = append(tl.Complaints, event.ComplaintCase{At: day(401), ResolvedAt: day(402)})
			}
		}, check: "future", severity: "error", text: "2 events"},
		{name: "a bill due in the future", change: func(_ int, tl *event.Timeline) {
			tl.Payments = append(tl.Payments, bill(day(410), event.Never))
		}},
		{name: "orphans", change: func(i int, tl *event.Timeline) {
			if i < 2 {
				tl.Orphans = 3
			}
		}, check: "orphans", severity: "warning", text: "6 "},
	}
	for _, test := range tests {
		got := histories(test.change)
		switch {
		case test.check == "" && len(got) > 0:
			t.Errorf("%s: %+v, want nothing", test.name, got)
		case test.check != "" && (len(got) != 1 || got[0].Check != test.check || got[0].Severity != test.severity || !strings.Contains(got[0].Text, test.text)):
			t.Errorf("%s: %+v, want %s of %s with %q", test.name, got, test.severity, test.check, test.text)
		}
	}
}

// Rates 1, 1/2 and 0 over 20, 40 and 20 customers; pairs of who left and who
// stayed 40·40. By hand: 20·40 + 20·(20/2 + 20) = 1400, of 1600.
func TestAttributeAUC(t *testing.T) {
	got := attributeAUC(map[string]*[2]float64{"x": {20, 20}, "y": {40, 20}, "z": {20, 0}})
	if math.Abs(got-1400./1600) > 1e-15 {
		t.Errorf("AUC %v, want 0.875", got)
	}
	// Values of fewer than 20 customers say nothing.
	ids := map[string]*[2]float64{}
	for i := range 500 {
		ids[fmt.Sprint(i)] = &[2]float64{1, float64(i % 2)}
	}
	if got := attributeAUC(ids); got != 0.5 {
		t.Errorf("identifier has AUC %v, want 0.5", got)
	}
	if got := attributeAUC(map[string]*[2]float64{"x": {50, 50}}); !math.IsNaN(got) {
		t.Errorf("all left: %v", got)
	}
}

// A wide table in which a column differs from the label in 14 of 10,000 rows.
func TestWideTableLeak(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var b strings.Builder
	b.WriteString("id,tenure,plan,account_state,churn\n")
	for i := range 10_000 {
		churn := r.IntN(5) == 0
		state := churn != (i%714 == 1 && i < 9997) // 14 times
		fmt.Fprintf(&b, "c%d,%d,%s,%s,%s\n", i, r.IntN(70), []string{"basic", "plus"}[r.IntN(2)],
			map[bool]string{true: "closed", false: "open"}[state], map[bool]string{true: "Yes", false: "No"}[churn])
	}
	table, err := ReadTable(strings.NewReader(b.String()), "wide.csv", TableOptions{ID: "id", Label: "churn=Yes"})
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for i := range table.Rows {
		if (table.Rows[i][2] == "closed") != table.Labels[i] {
			differ++
		}
	}
	if differ != 14 {
		t.Fatalf("the column differs in %d rows", differ)
	}
	_, rep, err := TrainTable(context.Background(), table, Plan{Definition: model.Definition{Kind: "label", Label: "churn=Yes"},
		Seed: 1, Replicates: 50, Rungs: []string{"logistic"}})
	if err != nil {
		t.Fatal(err)
	}
	if f := findings(rep.Findings)["account_state"]; f.Severity != "error" {
		t.Errorf("findings %+v", rep.Findings)
	}
	if rep.Gate.Passed || !strings.Contains(strings.Join(rep.Gate.Reasons, "\n"), "account_state") {
		t.Errorf("gate %+v", rep.Gate)
	}
}
