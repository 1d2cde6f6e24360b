package store

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"churn/event"
)

func decision(id, customer string, at event.Time) Decision {
	return Decision{ID: id, CustomerID: customer, At: at, Action: "call", Channel: "phone", Arm: ArmPolicy, Propensity: 0.93,
		Risk: 0.1, ResidualValue: 120 * event.Unit, ExpectedNetValue: -event.Unit / 2, Cost: 8 * event.Unit, Basis: "prior",
		Model: "m", Version: "3", Playbook: "f00d", Body: `{"id":"` + id + `"}`}
}

func TestScores(t *testing.T) {
	db := openTemp(t)
	score := func(customer string, asOf float64, version string, p float64) Score {
		return Score{CustomerID: customer, AsOf: day(asOf), Model: "m", Version: version, Probability: p, Margin: 1 / 3.0,
			RiskBand: "high", ResidualValue: 7, Body: `{"reasons":[]}`}
	}
	old, late := score("a", 1, "1", 0.1), score("a", 2, "1", 0.2)
	tie := score("b", 2, "2", 0.4)
	other := score("c", 3, "1", 0.5)
	other.Model = "other"
	for _, batch := range [][]Score{{late, old, other}, {score("b", 2, "9", 0.3)}, {tie}, {score("c", 1, "1", 0.7)}, {score("c", 1, "1", 0.6)}} {
		if results, err := db.SaveScores(ctx, batch); err != nil || results[0].Status != event.Stored {
			t.Fatal(results, err)
		}
	}
	for _, tt := range []struct {
		name string
		q    ScoreQuery
		want []Score
	}{
		{"latest; of a tie the one saved last; a repetition replaces", ScoreQuery{Model: "m"}, []Score{late, tie, score("c", 1, "1", 0.6)}},
		{"version", ScoreQuery{Model: "m", Version: "9"}, []Score{score("b", 2, "9", 0.3)}},
		{"customer", ScoreQuery{Model: "m", Customer: "b"}, []Score{tie}},
		{"page", ScoreQuery{Model: "m", After: "a", Limit: 1}, []Score{tie}},
		{"model", ScoreQuery{Model: "other"}, []Score{other}},
		{"none", ScoreQuery{Model: "m", Customer: "z"}, []Score{}},
	} {
		if got, err := db.LatestScores(ctx, tt.q); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
	for _, p := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
		if _, err := db.SaveScores(ctx, []Score{score("a", 1, "1", p)}); err == nil {
			t.Errorf("probability %v was taken", p)
		}
	}
	many := make([]Score, 1201) // more than one statement holds
	for i := range many {
		many[i] = score(fmt.Sprintf("n%04d", i), 1, "1", 0.5)
	}
	if _, err := db.SaveScores(ctx, many); err != nil {
		t.Fatal(err)
	}
	if got, err := db.LatestScores(ctx, ScoreQuery{Model: "m", After: "n"}); err != nil || !reflect.DeepEqual(got, many) {
		t.Errorf("%d scores, %v", len(got), err)
	}
}

func TestDecisions(t *testing.T) {
	db := openTemp(t)
	a1, a2, b := decision("1", "a", day(1)), decision("2", "a", day(2)), decision("3", "b", day(1))
	changed := a1
	changed.Propensity, changed.Body = 0.5, "{}"
	save := func(ds ...Decision) []Result {
		t.Helper()
		results, err := db.SaveDecisions(ctx, ds)
		if err != nil {
			t.Fatal(err)
		}
		return results
	}
	if s := letters(save(a2, a1, a1, changed)); s != "ssdc" {
		t.Errorf("one batch: %s", s)
	}
	results := save(b, a2, changed)
	if letters(results) != "sdc" || !slices.Equal(results[2].Differs, []string{"propensity", "body"}) {
		t.Errorf("another batch: %+v", results)
	}
	for _, tt := range []struct {
		customer string
		since    event.Time
		want     []Decision
	}{
		{"a", 0, []Decision{a1, a2}}, {"a", day(1), []Decision{a1, a2}}, {"a", day(1) + 1, []Decision{a2}},
		{"", day(1), []Decision{a1, b, a2}}, {"z", 0, []Decision{}},
	} {
		if got, err := db.Decisions(ctx, tt.customer, tt.since); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q since %v: %+v, %v", tt.customer, tt.since, got, err)
		}
	}
	if got, err := db.Decision(ctx, "3"); err != nil || got != b {
		t.Errorf("Decision: %+v, %v", got, err)
	}
	if _, err := db.Decision(ctx, "4"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown decision: %v", err)
	}
	for name, spoil := range map[string]func(*Decision){
		"id":          func(d *Decision) { d.ID = "" },
		"customer_id": func(d *Decision) { d.CustomerID = "\x00" },
		"arm":         func(d *Decision) { d.Arm = "control" },
		"propensity":  func(d *Decision) { d.Propensity = 0 },
		"risk":        func(d *Decision) { d.Risk = math.NaN() },
		"body":        func(d *Decision) { d.Body = "{" },
	} {
		d := decision("bad", "a", day(1))
		spoil(&d)
		var field *event.FieldError
		if _, err := db.SaveDecisions(ctx, []Decision{d}); !errors.As(err, &field) || field.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDifferingFieldsAreComplete(t *testing.T) {
	// Every field of a decision counts, also those added one day.
	base := decision("1", "a", day(1))
	v := reflect.ValueOf(&base).Elem()
	for i := range v.NumField() {
		other := base
		if v.Type().Field(i).Name == "ID" {
			continue
		}
		switch f := reflect.ValueOf(&other).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("other")
		case reflect.Int64:
			f.SetInt(-5)
		case reflect.Float64:
			f.SetFloat(0.125)
		}
		if d := base.differs(&other); len(d) != 1 {
			t.Errorf("%s: %v", v.Type().Field(i).Name, d)
		}
	}
}

func TestOutcomes(t *testing.T) {
	db := openTemp(t)
	if _, err := db.SaveDecisions(ctx, []Decision{decision("1", "a", day(5))}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		o      Outcome
		status event.Status
		err    error
	}{
		{"new", Outcome{"1", OutcomeAccepted, day(6), 3}, event.Stored, nil},
		{"again", Outcome{"1", OutcomeAccepted, day(6), 3}, event.Duplicate, nil},
		{"another body", Outcome{"1", OutcomeAccepted, day(6), 4}, event.Conflict, ErrConflict},
		{"another event", Outcome{"1", OutcomeChurned, day(5), 0}, event.Stored, nil},
		{"the opposite", Outcome{"1", OutcomeRetained, day(30), 0}, event.Conflict, ErrConflict},
		{"unknown decision", Outcome{"2", OutcomeOpened, day(6), 0}, 0, ErrNotFound},
	} {
		status, err := db.SaveOutcome(ctx, tt.o)
		if status != tt.status || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, status, err, tt.status, tt.err)
		}
	}
	for name, o := range map[string]Outcome{
		"event":       {"1", "liked", day(6), 0},
		"at":          {"1", OutcomeOpened, day(4), 0},
		"decision_id": {"", OutcomeOpened, day(6), 0},
	} {
		var field *event.FieldError
		if _, err := db.SaveOutcome(ctx, o); !errors.As(err, &field) || field.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := db.Outcomes(ctx, "1")
	want := []Outcome{{"1", OutcomeChurned, day(5), 0}, {"1", OutcomeAccepted, day(6), 3}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestEffects counts eight decisions by hand. Horizon 30 days, now day 60:
// what was decided up to day 30 is mature.
func TestEffects(t *testing.T) {
	db := openTemp(t)
	var decisions []Decision
	add := func(customer string, at float64, arm, action, ghost string) {
		d := decision(fmt.Sprint(len(decisions)), customer, day(at))
		d.Arm, d.Action, d.GhostAction = arm, action, ghost
		if arm == ArmHoldout {
			d.Cost = 0
		}
		decisions = append(decisions, d)
	}
	add("a", 10, ArmPolicy, "call", "")           // 0 churned within
	add("b", 10, ArmPolicy, "call", "")           // 1 retained
	add("c", 20, ArmPolicy, "call", "")           // 2 churned, but after the horizon
	add("a", 30, ArmPolicy, "call", "")           // 3 mature to the microsecond, nothing known
	add("d", 31, ArmPolicy, "call", "")           // 4 churned, not mature
	add("e", 10, ArmHoldout, "none", "call")      // 5 churned
	add("f", 10, ArmHoldout, "none", "call")      // 6 nothing known
	add("g", 10, ArmExplore, "none", "")          // 7 retained
	add("h", 59.5, ArmPolicy, "discount", "call") // 8 outside of the second query
	if _, err := db.SaveDecisions(ctx, decisions); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Outcome{
		{"0", OutcomeDelivered, day(10), 0}, {"0", OutcomeOpened, day(11), 0}, {"0", OutcomeChurned, day(39.9), 0},
		{"1", OutcomeDelivered, day(10), 0}, {"1", OutcomeAccepted, day(12), 0}, {"1", OutcomeRetained, day(40), 0},
		{"2", OutcomeChurned, day(50), 0}, {"4", OutcomeChurned, day(32), 0}, {"5", OutcomeChurned, day(11), 0},
		{"7", OutcomeRetained, day(41), 0},
	} {
		if _, err := db.SaveOutcome(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	call := EffectCount{Action: "call", Arm: ArmPolicy, Decisions: 5, Customers: 4, Delivered: 2, Opened: 1, Accepted: 1,
		Cost: 40 * event.Unit, Matured: 4, Churned: 1, Retained: 2}
	held := EffectCount{Action: "call", Arm: ArmHoldout, Decisions: 2, Customers: 2, Matured: 2, Churned: 1}
	explored := EffectCount{Action: "none", Arm: ArmExplore, Decisions: 1, Customers: 1, Cost: 8 * event.Unit, Matured: 1, Retained: 1}
	discount := EffectCount{Action: "discount", Arm: ArmPolicy, Decisions: 1, Customers: 1, Cost: 8 * event.Unit}
	all := EffectQuery{Until: event.Never, Horizon: 30 * event.Day, Now: day(60)}
	for _, tt := range []struct {
		name string
		q    func(*EffectQuery)
		want []EffectCount
	}{
		{"all", func(*EffectQuery) {}, []EffectCount{held, call, discount, explored}},
		{"until", func(q *EffectQuery) { q.Until = day(59.5) }, []EffectCount{held, call, explored}},
		{"this playbook", func(q *EffectQuery) { q.Playbook, q.Model, q.Version = "f00d", "m", "3" }, []EffectCount{held, call, discount, explored}},
		{"another version", func(q *EffectQuery) { q.Version = "4" }, nil},
		{"since", func(q *EffectQuery) { q.Since = day(40) }, []EffectCount{discount}},
	} {
		q := all
		tt.q(&q)
		if got, err := db.Effects(ctx, q); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestPromotions(t *testing.T) {
	db := openTemp(t)
	p1 := Promotion{Seq: 1, At: day(1), Actor: "ann", Alias: "champion", Name: "m", To: "1", Reason: "first"}
	p2 := Promotion{Seq: 2, At: day(2), Actor: "bob", Alias: "champion", Name: "m", From: "1", To: "2"}
	p3 := Promotion{Seq: 3, At: day(3), Actor: "bob", Alias: "champion", Name: "m", From: "2", To: "1", Reason: "rollback"}
	other := Promotion{Seq: 1, At: day(1), Actor: "ann", Alias: "champion", Name: "n", To: "1"}
	edited := p1
	edited.Actor = "eve"
	for _, tt := range []struct {
		name  string
		log   []Promotion
		added int
		err   error
	}{
		{"new", []Promotion{p2, p1, p1, other}, 3, nil},
		{"again", []Promotion{p1, p2}, 0, nil},
		{"edited, nothing is kept", []Promotion{p3, edited}, 0, ErrConflict},
		{"edited within", []Promotion{p3, {Seq: 3, Name: "m"}}, 0, ErrConflict},
		{"longer", []Promotion{p1, p2, p3}, 1, nil},
		{"nothing", nil, 0, nil},
	} {
		if added, err := db.SyncPromotions(ctx, tt.log); added != tt.added || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d, %v; want %d, %v", tt.name, added, err, tt.added, tt.err)
		}
	}
	if got, err := db.Promotions(ctx, "m"); err != nil || !reflect.DeepEqual(got, []Promotion{p1, p2, p3}) {
		t.Errorf("%+v, %v", got, err)
	}
}
