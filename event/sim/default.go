package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"churn/event"
)

// DefaultWorld is a subscription business over 15 months: 20,000 customers of
// six types, about 5 in 100 active customers leaving in 30 days, no outreach.
// Snapshots are 30 days apart and end at the extract.
func DefaultWorld() World {
	w := World{
		Seed: 1, Customers: 20_000,
		Start:     event.FromTime(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)),
		End:       event.FromTime(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)),
		FirstWave: 0.5, FirstWaveDays: 60,
		Gap: 7 * event.Day, Horizon: 30 * event.Day,
		Rates:    []Rate{{"1", 0.5, 0.30}, {"2", 0.8, 0.35}, {"4", 1.3, 0.25}, {"8", 2.2, 0.10}},
		RateName: "seats",
		Kinds:    []Kind{{"session", 18}, {"feature_use", 0}, {"order", 35}, {"help_article", 0}, {"billing_page", 0}},
		Attributes: []Attribute{
			{"plan", []string{"basic", "plus", "premium"}},
			{"acquisition", []string{"organic", "paid_ads", "referral", "partner"}},
			{"payment_method", []string{"card", "direct_debit", "invoice"}},
			{"segment", []string{"household", "business", "holiday_home"}},
			{"region", []string{"north", "south", "east", "west"}},
		},
		Prices:     []float64{9.99, 19.99, 39.99},
		Categories: []string{"product", "delivery", "billing", "service"},
		SetupKind:  "setup_step", SetupDays: 28,
		Severity: [5]PerState{
			{0.30, 0.20, 0.10}, {0.35, 0.30, 0.20}, {0.20, 0.25, 0.30}, {0.10, 0.15, 0.25}, {0.05, 0.10, 0.15}},
		Satisfaction: [5]PerState{
			{0.05, 0.12, 0.30}, {0.10, 0.18, 0.27}, {0.20, 0.25, 0.20}, {0.35, 0.27, 0.15}, {0.30, 0.18, 0.08}},
		SatisfactionSet: 0.6, ResolveMean: 4,
		Lags:        Lags{Complaints: Lag{Mean: 1, Max: 7}, Payments: Lag{Mean: 0.7, Max: 3}},
		SeasonSwing: 0.7, SeasonPeak: 15,
	}
	w.Types = defaultTypes()
	w.Snapshots = w.Every(30 * event.Day)
	return w
}

// Every lists midnights a number of whole days apart, ending with that of the
// extract and beginning at least 60 days after the start.
func (w *World) Every(step event.Duration) []event.Time {
	var at []event.Time
	for t := w.End; step > 0 && t >= w.Start.Add(60*event.Day); t = t.Add(-step) {
		at = append(at, t)
	}
	slices.Reverse(at)
	return at
}

// defaultTypes are the six types. The numbers are made up; they were chosen so
// that complaints, payments and engagement each tell something and none tells
// all, and so that a complaint alone is a poor sign: complainers stay.
func defaultTypes() []Type {
	usual := [states][]float64{
		{0.45, 0.33, 0.12, 0.06, 0.04}, {0.48, 0.30, 0.08, 0.08, 0.06}, {0.46, 0.22, 0.04, 0.14, 0.14}}
	even := [states][]float64{usual[0], usual[0], usual[0]}
	punctual := Settlements{0.93, 0.05, 0.01, 0.01}
	return []Type{
		{Name: "regular", Share: 0.53, Reason: "voluntary",
			Start:  PerState{0.90, 0.08, 0.02},
			Step:   [states]PerState{{0.9930, 0.0065, 0.0005}, {0.0150, 0.9720, 0.0130}, {0.0040, 0.0080, 0.9880}},
			Hazard: PerState{0.0001, 0.0006, 0.0100}, Engagement: PerState{1, 0.50, 0.15}, Mix: usual,
			Setup: 0.20, Complaint: PerState{0.0015, 0.0060, 0.0150}, Categories: []float64{0.35, 0.25, 0.15, 0.25},
			Payment:    [states]Settlements{punctual, {0.85, 0.11, 0.02, 0.02}, {0.70, 0.20, 0.06, 0.04}},
			Attributes: [][]float64{{0.45, 0.38, 0.17}, {0.40, 0.25, 0.20, 0.15}, {0.50, 0.35, 0.15}, {0.66, 0.335, 0.005}, nil}},
		{Name: "silent_leaver", Share: 0.15, Reason: "lapsed",
			Start:  PerState{0.85, 0.12, 0.03},
			Step:   [states]PerState{{0.9890, 0.0105, 0.0005}, {0.0060, 0.9740, 0.0200}, {0.0010, 0.0040, 0.9950}},
			Hazard: PerState{0.0001, 0.0006, 0.0140}, Engagement: PerState{1, 0.40, 0.05}, Mix: even,
			Setup: 0.16, Complaint: PerState{0.0002, 0.0002, 0.0002}, Categories: []float64{0.35, 0.25, 0.15, 0.25},
			Payment:    [states]Settlements{punctual, punctual, {0.88, 0.09, 0.02, 0.01}},
			Attributes: [][]float64{{0.55, 0.33, 0.12}, {0.25, 0.45, 0.15, 0.15}, {0.50, 0.35, 0.15}, {0.75, 0.245, 0.005}, nil}},
		{Name: "complainer", Share: 0.10, Reason: "voluntary",
			Start:  PerState{0.80, 0.15, 0.05},
			Step:   [states]PerState{{0.9850, 0.0140, 0.0010}, {0.0300, 0.9620, 0.0080}, {0.0200, 0.0200, 0.9600}},
			Hazard: PerState{0.0001, 0.0003, 0.0030}, Engagement: PerState{1.1, 1, 0.8}, Mix: usual,
			Setup: 0.22, Complaint: PerState{0.0200, 0.0280, 0.0350}, Categories: []float64{0.25, 0.35, 0.05, 0.35},
			Payment:    [states]Settlements{punctual, punctual, {0.85, 0.12, 0.02, 0.01}},
			Attributes: [][]float64{{0.25, 0.40, 0.35}, {0.40, 0.20, 0.25, 0.15}, {0.45, 0.35, 0.20}, {0.50, 0.495, 0.005}, nil}},
		{Name: "payment_trouble", Share: 0.09, Reason: "involuntary",
			Start:  PerState{0.95, 0.04, 0.01},
			Step:   [states]PerState{{0.9930, 0.0060, 0.0010}, {0.0100, 0.9650, 0.0250}, {0.0060, 0.0040, 0.9900}},
			Hazard: PerState{0.0001, 0.0004, 0.0160}, Engagement: PerState{1, 0.95, 0.85}, Mix: even,
			Setup: 0.18, Complaint: PerState{0.0015, 0.0030, 0.0080}, Categories: []float64{0.15, 0.10, 0.65, 0.10},
			Payment:    [states]Settlements{{0.88, 0.09, 0.01, 0.02}, {0.60, 0.28, 0.04, 0.08}, {0.08, 0.10, 0.07, 0.75}},
			Attributes: [][]float64{{0.60, 0.30, 0.10}, {0.30, 0.40, 0.10, 0.20}, {0.85, 0.05, 0.10}, {0.80, 0.195, 0.005}, nil}},
		{Name: "onboarding_failure", Share: 0.07, Reason: "never_activated",
			Start:  PerState{0.15, 0.45, 0.40},
			Step:   [states]PerState{{0.9600, 0.0350, 0.0050}, {0.0080, 0.9620, 0.0300}, {0.0020, 0.0080, 0.9900}},
			Hazard: PerState{0.0005, 0.0030, 0.0150}, Engagement: PerState{0.8, 0.35, 0.12}, Mix: usual,
			Setup: 0.03, Complaint: PerState{0.0010, 0.0020, 0.0040}, Categories: []float64{0.50, 0.10, 0.10, 0.30},
			Payment:    [states]Settlements{punctual, {0.86, 0.10, 0.02, 0.02}, {0.78, 0.14, 0.05, 0.03}},
			Attributes: [][]float64{{0.70, 0.25, 0.05}, {0.20, 0.55, 0.10, 0.15}, {0.60, 0.25, 0.15}, {0.80, 0.195, 0.005}, nil}},
		{Name: "seasonal", Share: 0.06, Reason: "voluntary",
			Start:  PerState{0.95, 0.04, 0.01},
			Step:   [states]PerState{{0.9960, 0.0038, 0.0002}, {0.0200, 0.9750, 0.0050}, {0.0100, 0.0100, 0.9800}},
			Hazard: PerState{0.0001, 0.0003, 0.0050}, Engagement: PerState{1, 0.8, 0.5}, Mix: usual, Seasonal: true,
			Setup: 0.18, Complaint: PerState{0.0010, 0.0030, 0.0080}, Categories: []float64{0.30, 0.40, 0.10, 0.20},
			Payment:    [states]Settlements{punctual, punctual, {0.85, 0.11, 0.02, 0.02}},
			Attributes: [][]float64{{0.50, 0.35, 0.15}, {0.30, 0.15, 0.15, 0.40}, {0.45, 0.35, 0.20}, {0.06, 0.02, 0.92}, nil}},
	}
}

// DefaultActions are six actions with effects for the types of the default
// world, in its order: regular, silent leaver, complainer, payment trouble,
// onboarding failure, seasonal. Each type has another best action; a survey
// wakes those who were about to stay out of habit.
func DefaultActions() []Action {
	return []Action{
		{"check_in_call", "phone", 6,
			[]float64{0.15, 0.35, 0.10, 0.05, 0.20, 0.05}, []float64{0.002, 0.002, 0.005, 0.002, 0.005, 0.005}},
		{"personal_offer", "email", 0.1,
			[]float64{0.30, 0.20, 0.10, 0.05, 0.15, 0.10}, []float64{0.005, 0.010, 0.002, 0.002, 0.005, 0.010}},
		{"service_recovery", "phone", 8,
			[]float64{0.10, 0.05, 0.40, 0.02, 0.05, 0.02}, []float64{0.002, 0.002, 0.001, 0.002, 0.002, 0.002}},
		{"payment_help", "email", 0.05,
			[]float64{0.05, 0.02, 0.02, 0.60, 0.02, 0.02}, []float64{0.001, 0.001, 0.001, 0.001, 0.001, 0.001}},
		{"usage_coaching", "in_app", 0.1,
			[]float64{0.10, 0.25, 0.05, 0.02, 0.40, 0.05}, []float64{0.003, 0.003, 0.003, 0.003, 0.003, 0.003}},
		{"survey", "email", 0.3,
			[]float64{0.03, 0.05, 0.05, 0.00, 0.03, 0.02}, []float64{0.004, 0.020, 0.004, 0.002, 0.010, 0.010}},
	}
}

var variants = []struct {
	name string
	make func(w *World)
}{
	{"plain", func(*World) {}},
	{"leak", func(w *World) { w.Leak = true }},
	{"no-signal", func(w *World) {
		for z := range w.Types {
			w.Types[z].Hazard = PerState{0.0017, 0.0017, 0.0017} // 1-(1-0.0017)^30 = 0.0498
		}
	}},
	{"late", func(w *World) {
		w.Lags = Lags{Engagement: Lag{Mean: 4, Max: 21}, Complaints: Lag{Mean: 7, Max: 30}, Payments: Lag{Mean: 5, Max: 14}}
	}},
	{"drift", func(w *World) { w.Drift = Drift{Day: w.Days() * 2 / 3, Hazard: 1.6, Engagement: 0.7} }},
	{"renewal", func(w *World) {
		w.Switch = Switch{Name: "auto_renew", On: "yes", Off: "no",
			TurnOff: PerState{0.0006, 0.0030, 0.0150}, TurnOn: PerState{0.0150, 0.0060, 0.0010}}
	}},
	{"outreach", func(w *World) {
		w.Contacts = Experiment{Share: 0.3, Treated: 0.5, Every: 30, Actions: DefaultActions()}
	}},
}

// Variants lists the names that Variant knows.
func Variants() []string {
	var names []string
	for _, v := range variants {
		names = append(names, v.name)
	}
	return names
}

// Variant returns the world with one thing changed. The customers stay the
// same wherever the change does not touch them.
//
//   - plain: nothing.
//   - leak: marks of the outcome. Engagement events cancel_page are entered
//     after a customer left and dated back 38 to 45 days, without a time of
//     recording, as a careless back-fill does; and the attribute
//     account_closed is yes for those who left before the extract. The best
//     score ignores both.
//   - no-signal: everybody leaves with the same hazard.
//   - late: engagement, complaints and payments are recorded up to weeks late.
//   - drift: after two thirds of the time hazards rise and engagement falls.
//   - renewal: customers turn automatic renewal off, and on again, more often
//     the closer they are to leaving; the attribute has a history.
//   - outreach: each month 3 in 10 customers are in an experiment with
//     DefaultActions.
func (w World) Variant(name string) (World, error) {
	w.Types = slices.Clone(w.Types)
	for _, v := range variants {
		if v.name == name {
			v.make(&w)
			return w, nil
		}
	}
	return World{}, fmt.Errorf("unknown world %q: use one of %s", name, strings.Join(Variants(), ", "))
}
