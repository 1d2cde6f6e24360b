package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/event"
)

// Definition says what counts as churn. It travels in the model, because a
// probability without it means nothing.
type Definition struct {
	// Kind is contract (the customer's churned_at), inactivity (nothing for the
	// Horizon), payment (a payment unpaid for more than UnpaidFor), decline
	// (Measure falls by Drop), or label (a column of a wide table).
	Kind string `json:"kind" yaml:"kind"`
	// Gap between the instant of scoring and the window of the label, so that
	// there is time to act.
	Gap event.Duration `json:"gap" yaml:"gap"`
	// Horizon is the length of the window of the label. With inactivity it is
	// the time without a qualifying event.
	Horizon event.Duration `json:"horizon" yaml:"horizon"`
	// Grace after an end within which a return undoes it (contract, payment).
	Grace event.Duration `json:"grace" yaml:"grace"`
	// ActiveWithin makes a customer eligible: some event this long before t.
	ActiveWithin event.Duration `json:"active_within" yaml:"active_within"`
	// MinTenure makes a customer eligible: known for this long.
	MinTenure event.Duration `json:"min_tenure" yaml:"min_tenure"`
	// Streams that qualify as activity: engagement, payments; none is both.
	Streams []string `json:"streams" yaml:"streams"`
	// UnpaidFor is how long a payment must stay unpaid (payment). Elsewhere it is
	// how long one must be overdue for a leaving to be involuntary; 0 is 14 days.
	UnpaidFor event.Duration `json:"unpaid_for" yaml:"unpaid_for"`
	// Label is the column and value of a wide table, as Column=value (label).
	Label string `json:"label" yaml:"label"`

	// What follows came with format 3.

	// NeverActivated says of customers without any activity before t whether
	// they are observed: include or exclude. Empty leaves it to ActiveWithin.
	NeverActivated string `json:"never_activated,omitempty" yaml:"never_activated"`
	// Kinds of leaving that count; none is all. Who leaves in another way in the
	// window is censored.
	Kinds []string `json:"kinds,omitempty" yaml:"kinds"`
	// InvoluntaryReasons are the churn_reasons that make a leaving involuntary;
	// none is defaultInvoluntaryReasons.
	InvoluntaryReasons []string `json:"involuntary_reasons,omitempty" yaml:"involuntary_reasons"`
	// Measure is what falls (decline): spend (payments made), usage (number of
	// engagement events) or value (the sum of theirs).
	Measure string `json:"measure,omitempty" yaml:"measure"`
	// UsageKinds are the kinds of engagement of usage and value; none is all.
	UsageKinds []string `json:"usage_kinds,omitempty" yaml:"usage_kinds"`
	// Drop is the share by which it falls at least (decline).
	Drop event.Amount `json:"drop,omitzero" yaml:"drop"`
	// Baseline is the length of time before t that it is compared with; 0 is
	// the Horizon (decline).
	Baseline event.Duration `json:"baseline,omitzero" yaml:"baseline"`
	// Least is how much it must be in the baseline for a fall to mean anything
	// (decline).
	Least event.Amount `json:"least,omitzero" yaml:"least"`
}

// Kinds of leaving.
const (
	Voluntary      = "voluntary"       // the customer ended it
	Involuntary    = "involuntary"     // payment ended it
	Lapsed         = "lapsed"          // nothing happened any more
	NeverActivated = "never_activated" // nothing ever had
	Declined       = "declined"        // still there, and less than before
)

// Kinds lists them in the order of reports.
func Kinds() []string { return []string{Voluntary, Involuntary, Lapsed, NeverActivated, Declined} }

// defaultInvoluntaryReasons are the usual churn_reasons that mean a payment,
// frozen with format 3: models without a list of their own mean these.
var defaultInvoluntaryReasons = []string{"payment_failed", "payment_failure", "failed_payment", "card_expired",
	"expired_card", "card_declined", "no_card", "insufficient_funds", "non_payment", "nonpayment", "not_paid", "unpaid"}

// newer tells whether a definition has anything of format 3.
func (d *Definition) newer() bool {
	return d.Kind == "decline" || d.NeverActivated != "" || len(d.Kinds) > 0 || len(d.InvoluntaryReasons) > 0 ||
		d.Measure != "" || len(d.UsageKinds) > 0 || d.Drop != 0 || d.Baseline != 0 || d.Least != 0
}

// Qualifies tells whether events of a stream show activity.
func (d *Definition) Qualifies(stream string) bool {
	return len(d.Streams) == 0 || slices.Contains(d.Streams, stream)
}

// Validate checks that the definition can be applied.
func (d *Definition) Validate() error {
	if d.Kind == "label" {
		if d.Label == "" {
			return fmt.Errorf("definition: label needs a column and value, such as Churn=Yes")
		}
		if d.newer() {
			return fmt.Errorf("definition: a label says nothing of kinds of leaving, activity or decline: leave them out")
		}
		return nil
	}
	switch d.Kind {
	case "contract", "inactivity", "payment", "decline":
	default:
		return fmt.Errorf("definition: kind %q: use contract, inactivity, payment, decline or label", d.Kind)
	}
	if d.Horizon <= 0 {
		return fmt.Errorf("definition: horizon must be positive, such as 30d")
	}
	if d.Gap < 0 || d.Grace < 0 || d.ActiveWithin < 0 || d.MinTenure < 0 || d.UnpaidFor < 0 || d.Baseline < 0 {
		return fmt.Errorf("definition: lengths of time cannot be negative")
	}
	if d.Kind == "payment" && d.UnpaidFor == 0 {
		return fmt.Errorf("definition: payment needs unpaid_for, such as 30d")
	}
	for _, s := range d.Streams {
		switch s {
		case "engagement", "payments":
		default:
			return fmt.Errorf("definition: stream %q does not show activity: use engagement, payments", s)
		}
	}
	if err := d.validateKinds(); err != nil {
		return err
	}
	return d.validateDecline()
}

func (d *Definition) validateKinds() error {
	switch d.NeverActivated {
	case "", "include", "exclude":
	default:
		return fmt.Errorf("definition: never_activated %q: use include or exclude", d.NeverActivated)
	}
	for i, k := range d.Kinds {
		switch {
		case !slices.Contains(Kinds(), k):
			return fmt.Errorf("definition: kinds: %q: use %s", k, strings.Join(Kinds(), ", "))
		case slices.Contains(d.Kinds[:i], k):
			return fmt.Errorf("definition: kinds: %q is named twice", k)
		case k == Declined && d.Kind != "decline":
			return fmt.Errorf("definition: kinds: nobody is declined by kind %s: use kind decline", d.Kind)
		}
	}
	if d.InvoluntaryReasons != nil && len(d.InvoluntaryReasons) == 0 {
		return fmt.Errorf("definition: involuntary_reasons: name one at least, or leave the key out for %s", strings.Join(defaultInvoluntaryReasons, ", "))
	}
	for _, r := range d.InvoluntaryReasons {
		if reason(r) == "" {
			return fmt.Errorf("definition: involuntary_reasons: a reason is empty")
		}
	}
	return nil
}

func (d *Definition) validateDecline() error {
	if d.Kind != "decline" {
		if d.Measure != "" || len(d.UsageKinds) > 0 || d.Drop != 0 || d.Baseline != 0 || d.Least != 0 {
			return fmt.Errorf("definition: measure, usage_kinds, drop, baseline and least are of kind decline, and not of %s", d.Kind)
		}
		return nil
	}
	switch d.Measure {
	case "spend":
		if len(d.UsageKinds) > 0 {
			return fmt.Errorf("definition: usage_kinds are of engagement: use them with measure usage or value")
		}
	case "usage", "value":
	default:
		return fmt.Errorf("definition: measure %q: decline needs spend, usage or value", d.Measure)
	}
	if d.Drop <= 0 || d.Drop > event.Unit {
		return fmt.Errorf("definition: decline needs drop, a share above 0 to 1, such as 0.5 for a fall by half")
	}
	if d.Least <= 0 {
		return fmt.Errorf("definition: decline needs least, the %s in the %s before t from which a fall is judged, such as 10", d.Measure, d.Before())
	}
	return nil
}

// Before is the length of time before t that a decline is compared with.
func (d *Definition) Before() event.Duration {
	if d.Baseline > 0 {
		return d.Baseline
	}
	return d.Horizon
}

// Counts tells whether a kind of leaving is churn.
func (d *Definition) Counts(kind string) bool {
	return len(d.Kinds) == 0 || slices.Contains(d.Kinds, kind)
}

// KindOf is the kind of leaving that a churn_reason names, empty without a
// reason. Capitals, spaces and hyphens make no difference.
func (d *Definition) KindOf(churnReason string) string {
	r := reason(churnReason)
	if r == "" {
		return ""
	}
	list := d.InvoluntaryReasons
	if len(list) == 0 {
		list = defaultInvoluntaryReasons
	}
	switch {
	case slices.ContainsFunc(list, func(s string) bool { return reason(s) == r }):
		return Involuntary
	case r != Declined && slices.Contains(Kinds(), r):
		return r
	}
	return Voluntary
}

// reason makes one text of the ways in which one reason is written.
func reason(s string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(s)))
}

// Measured is what a decline looks at, in [from, to), by what was known at an
// instant; event.Never is all that ever came to be known. Spend is what was paid
// then and not refunded by to, with its currency, empty where no payment has
// one; mixed tells of several.
func (d *Definition) Measured(tl *event.Timeline, from, to, known event.Time) (sum event.Amount, currency string, mixed bool) {
	if d.Measure == "spend" {
		for i := range tl.Payments {
			p := &tl.Payments[i]
			if p.PaidAt < from || p.PaidAt >= to || !event.Visible(p.PaidAt, p.PaidKnown, known) || !event.Stands(p.Superseded, known) ||
				p.RefundedAt < to && event.Visible(p.RefundedAt, p.RefundedKnown, known) {
				continue
			}
			sum = add(sum, p.Amount)
			if currency == "" {
				currency = p.Currency
			}
			mixed = mixed || p.Currency != "" && p.Currency != currency
		}
		return sum, currency, mixed
	}
	i, _ := slices.BinarySearchFunc(tl.Engagements, from, func(e event.EngagementEvent, t event.Time) int {
		if e.At < t {
			return -1
		}
		return 1
	})
	for ; i < len(tl.Engagements) && tl.Engagements[i].At < to; i++ {
		e := &tl.Engagements[i]
		switch {
		case !event.Visible(e.At, e.Recorded, known) || !event.Stands(e.Superseded, known),
			len(d.UsageKinds) > 0 && !slices.Contains(d.UsageKinds, e.Kind):
		case d.Measure == "usage":
			sum = add(sum, event.Unit)
		case e.HasValue:
			sum = add(sum, e.Value)
		}
	}
	return sum, "", false
}

// add stays at the ends of what there is room for.
func add(a, b event.Amount) event.Amount {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// String names the definition in a few words, as scores carry it.
func (d *Definition) String() string {
	text := fmt.Sprintf("contract: leaves within %s after a gap of %s", d.Horizon, d.Gap)
	switch d.Kind {
	case "inactivity":
		streams := "engagement or payments"
		if len(d.Streams) > 0 {
			streams = strings.Join(d.Streams, " or ")
		}
		text = fmt.Sprintf("inactivity: no %s for %s after a gap of %s", streams, d.Horizon, d.Gap)
	case "payment":
		text = fmt.Sprintf("payment: unpaid for %s, due within %s after a gap of %s", d.UnpaidFor, d.Horizon, d.Gap)
	case "decline":
		what := d.Measure
		if len(d.UsageKinds) > 0 {
			what += " of " + strings.Join(d.UsageKinds, " or ")
		}
		text = fmt.Sprintf("decline: %s falls by %s %% or more within %s after a gap of %s, from at least %s in %s",
			what, (100 * d.Drop).String(), d.Horizon, d.Gap, d.Least, d.Before())
	case "label":
		return "label: " + d.Label
	}
	if len(d.Kinds) > 0 {
		text += "; only " + strings.ReplaceAll(strings.Join(d.Kinds, " or "), "_", " ")
	}
	switch d.NeverActivated {
	case "include":
		text += "; also who was never active"
	case "exclude":
		text += "; not who was never active"
	}
	return text
}
