package api

import (
	"fmt"
	"math"
	"slices"

	"churn/event"
	"churn/features"
	"churn/model"
)

// Score is the answer for one customer. What is not known is null.
type Score struct {
	CustomerID       string  `json:"customer_id"`
	ChurnProbability float64 `json:"churn_probability"`
	// The ends of a 90 % interval; null if the model does not measure one.
	Low           *float64       `json:"churn_probability_low"`
	High          *float64       `json:"churn_probability_high"`
	Percentile    *float64       `json:"percentile"` // of the reference population with a lower probability
	RiskBand      string         `json:"risk_band"`
	HorizonDays   *float64       `json:"horizon_days"`
	Definition    string         `json:"definition"`
	AsOf          *event.Time    `json:"as_of"` // null when scored by features
	Model         modelRef       `json:"model"`
	Freshness     freshness      `json:"freshness"`
	ResidualValue *float64       `json:"residual_value"` // money still expected
	ValueAtRisk   *float64       `json:"value_at_risk"`  // probability times residual value
	Reasons       []model.Reason `json:"reasons"`
	Margin        float64        `json:"margin"` // log-odds: base_margin and the contributions of all families
	BaseMargin    float64        `json:"base_margin"`
	// Recommendation is there only when asked for.
	Recommendation *recommendation `json:"recommendation,omitzero"`
	Warnings       []string        `json:"warnings"`
}

type modelRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func refOf(sc *model.Scorer) modelRef {
	return modelRef{sc.Manifest().Name, sc.Manifest().Version}
}

// freshness is when something last happened in each stream, as far as it was
// known at the time of the score.
type freshness struct {
	Engagement *event.Time `json:"engagement"`
	Complaints *event.Time `json:"complaints"`
	Payments   *event.Time `json:"payments"`
}

// subject is what is to be scored: a history as of an instant, or a row.
type subject struct {
	customer string
	timeline *event.Timeline // shared, not to be changed; nil when scored by features
	asOf     event.Time
	row      []float32
	warnings []string
}

// scored is a score with what a decision needs besides.
type scored struct {
	*Score
	subject *subject
	risk    float64 // NaN where there is no basis for one
	horizon int     // days; 0 if the definition has none
}

// score scores one subject with one model.
func (s *Server) score(sc *model.Scorer, sub *subject, reasons int) *scored {
	if sub.timeline != nil {
		sub.row = sc.Row(sub.timeline, sub.asOf)
	}
	v, why := sc.Explain(sub.row, reasons)
	m := sc.Manifest()
	out := &scored{subject: sub, risk: v.Probability, horizon: int(math.Ceil(m.Definition.Horizon.Days())),
		Score: &Score{
			CustomerID: sub.customer, ChurnProbability: v.Probability, Percentile: finite(v.Percentile), RiskBand: v.Band,
			Definition: m.Definition.String(), Model: refOf(sc), Reasons: why,
			Margin: v.Margin, BaseMargin: v.BaseMargin, Warnings: append([]string{}, sub.warnings...),
		}}
	if v.High > 0 {
		out.Low, out.High = &v.Low, &v.High
	}
	if m.Definition.Horizon > 0 {
		out.HorizonDays = finite(m.Definition.Horizon.Days())
	}
	s.metrics.of(sc).observe(sub.row, v.Probability)
	s.shadow.offer(sc, sub, v)
	out.Warnings = append(out.Warnings, rowWarnings(sc.Engine().Features(), sub.row)...)
	if sub.timeline == nil {
		return out
	}
	out.AsOf = &sub.asOf
	h := visible{sub.timeline, sub.asOf}
	out.Freshness = h.freshness()
	out.Warnings = append(out.Warnings, h.warnings(&m.Definition)...)
	if sub.timeline.Customer.ChurnedAt < sub.asOf || h.unknown(&m.Definition) || m.Definition.Kind == "decline" {
		out.risk = math.NaN() // not one of leaving: no decision may rest on it
	}
	value := s.policy.Economics.Value(sub.timeline, sub.asOf, out.risk, out.horizon)
	if value.Known {
		out.ResidualValue = finite(value.Residual)
		out.ValueAtRisk = finite(out.risk * value.Residual)
	}
	return out
}

// rowWarnings says what is unusual about a row.
func rowWarnings(feats []features.Feature, row []float32) []string {
	var warnings []string
	missing := 0
	for i, v := range row {
		switch {
		case v != v:
			missing++
		case v == -1 && feats[i].Kind == features.Category:
			warnings = append(warnings, fmt.Sprintf("%s: a category that training did not see", feats[i].Name))
		}
	}
	if 2*missing > len(row) {
		warnings = append(warnings, fmt.Sprintf("%d of %d features are missing", missing, len(row)))
	}
	return warnings
}

// visible is a history seen at t.
type visible struct {
	*event.Timeline
	t event.Time
}

func (h visible) freshness() freshness {
	const none = event.Time(math.MinInt64)
	engagement, complaints, payments := none, none, none
	latest := func(last *event.Time, superseded, at, recorded event.Time) {
		if event.Visible(at, recorded, h.t) && event.Stands(superseded, h.t) {
			*last = max(*last, at)
		}
	}
	for i := len(h.Engagements) - 1; i >= 0 && engagement == none; i-- { // in order
		latest(&engagement, h.Engagements[i].Superseded, h.Engagements[i].At, h.Engagements[i].Recorded)
	}
	for i := range h.Complaints {
		c := &h.Complaints[i]
		latest(&complaints, c.Superseded, c.At, c.Recorded)
		latest(&complaints, c.Superseded, c.ResolvedAt, c.ResolvedKnown)
	}
	for i := range h.Payments {
		p := &h.Payments[i]
		latest(&payments, p.Superseded, p.At, p.Recorded)
		latest(&payments, p.Superseded, p.PaidAt, p.PaidKnown)
		latest(&payments, p.Superseded, p.FailedAt, p.FailedKnown)
		latest(&payments, p.Superseded, p.RefundedAt, p.RefundedKnown)
	}
	shown := func(t event.Time) *event.Time {
		if t == none {
			return nil
		}
		return &t
	}
	return freshness{shown(engagement), shown(complaints), shown(payments)}
}

// unknown tells whether nothing is known of the customer that a score could rest
// on.
func (h visible) unknown(d *model.Definition) bool {
	return h.freshness() == (freshness{}) && !(d.NeverActivated == "include" && h.Customer.SignedUpAt < h.t)
}

// warnings says why the customer is not one of those the model was trained on.
func (h visible) warnings(d *model.Definition) []string {
	switch left := h.Customer.ChurnedAt; {
	case h.unknown(d):
		return []string{"not eligible: no events before as_of"}
	case left < h.t:
		return []string{"not eligible: the customer has left before as_of"}
	}
	var warnings []string
	never := d.NeverActivated != "" && !h.activeSince(d, math.MinInt64, false)
	switch {
	case never && d.NeverActivated == "exclude":
		warnings = append(warnings, "not eligible: never active before as_of")
	case d.ActiveWithin > 0 && !h.active(d) && (!never || d.Kind == "payment"):
		warnings = append(warnings, fmt.Sprintf("not eligible: no activity within %s before as_of", d.ActiveWithin))
	}
	known := d.MinTenure
	if d.Kind == "decline" {
		known = max(known, d.Before())
	}
	if first := h.first(); known > 0 && h.t.Sub(first) < known {
		warnings = append(warnings, fmt.Sprintf("not eligible: customer for less than %s", known))
	}
	if d.Kind == "decline" {
		before, _, mixed := d.Measured(h.Timeline, h.t.Add(-d.Before()), h.t, h.t)
		switch {
		case mixed:
			warnings = append(warnings, "not eligible: spend in several currencies")
		case before < d.Least:
			warnings = append(warnings, fmt.Sprintf("not eligible: %s of %s in %s before as_of, less than %s", d.Measure, before, d.Before(), d.Least))
		}
	}
	return warnings
}

// active says whether there was activity that qualifies lately enough.
func (h visible) active(d *model.Definition) bool {
	return h.activeSince(d, h.t.Add(-d.ActiveWithin), d.Kind == "payment") // there, what is due makes a customer
}

func (h visible) activeSince(d *model.Definition, from event.Time, due bool) bool {
	counts := func(stream string) bool { return len(d.Streams) == 0 || slices.Contains(d.Streams, stream) }
	if counts("engagement") {
		for i := len(h.Engagements) - 1; i >= 0 && h.Engagements[i].At >= from; i-- { // in order
			if e := &h.Engagements[i]; event.Visible(e.At, e.Recorded, h.t) && event.Stands(e.Superseded, h.t) {
				return true
			}
		}
	}
	return counts("payments") && slices.ContainsFunc(h.Payments, func(p event.PaymentCase) bool {
		at, recorded := p.PaidAt, p.PaidKnown
		if due {
			at, recorded = p.At, p.Recorded
		}
		return at >= from && event.Visible(at, recorded, h.t) && event.Stands(p.Superseded, h.t)
	})
}

// first is the sign-up, or without one the first thing that happened.
func (h visible) first() event.Time {
	if at := h.Customer.SignedUpAt; at < h.t {
		return at
	}
	first := event.Never
	if i := slices.IndexFunc(h.Engagements, func(e event.EngagementEvent) bool { return event.Stands(e.Superseded, h.t) }); i >= 0 {
		first = h.Engagements[i].At
	}
	if i := slices.IndexFunc(h.Payments, func(p event.PaymentCase) bool { return event.Stands(p.Superseded, h.t) }); i >= 0 {
		first = min(first, h.Payments[i].At)
	}
	return min(first, h.t)
}
