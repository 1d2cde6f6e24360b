package features

import (
	"math"

	"churn/event"
)

// item is one visible entry of a stream, whichever it is; exactly one pointer
// is set.
type item struct {
	at, known  event.Time
	engagement *event.EngagementEvent
	complaint  *event.ComplaintCase
	payment    *event.PaymentCase
	contact    *event.ContactEvent
	change     *event.AttributeChange
}

// field reads a number of an item as of t, in whole sub-units: dividing by
// per gives the unit the feature is declared in. ok is false when the value
// is missing or not yet known.
type field struct {
	get   func(it *item, t event.Time) (v int64, ok bool)
	per   int64
	unit  string
	dated bool // another t may give another number
}

const (
	perUnit = int64(event.Unit)
	perHour = int64(event.Hour)
	perDay  = int64(event.Day)

	fixed = false
	dated = true
)

// fields is the table of numbers an aggregate can work on, by stream.
var fields = withTimes(map[string]map[string]field{
	"engagement": {
		"value": {func(it *item, _ event.Time) (int64, bool) {
			return int64(it.engagement.Value), it.engagement.HasValue
		}, perUnit, "value", fixed},
	},
	"complaints": {
		"severity": {func(it *item, _ event.Time) (int64, bool) {
			return int64(it.complaint.Severity), it.complaint.HasSeverity
		}, perUnit, "points", fixed},
		"satisfaction": {func(it *item, t event.Time) (int64, bool) {
			return int64(it.complaint.Satisfaction), it.complaint.HasSatisfaction && resolved(it, t)
		}, perUnit, "points", dated},
		"hours_to_resolve": {func(it *item, t event.Time) (int64, bool) {
			return int64(it.complaint.ResolvedAt.Sub(it.complaint.At)), resolved(it, t)
		}, perHour, "hours", dated},
	},
	"payments": {
		"amount": {func(it *item, _ event.Time) (int64, bool) { return int64(it.payment.Amount), true }, perUnit, "money", fixed},
		// Days late so far: until paid, or until t while unpaid.
		"days_late": {func(it *item, t event.Time) (int64, bool) { return daysLate(it, t), true }, perDay, "days", dated},
		"days_early": {func(it *item, t event.Time) (int64, bool) {
			return max(0, int64(it.at.Sub(it.payment.PaidAt))), paid(it, t)
		}, perDay, "days", dated},
	},
	"contacts": {
		"cost": {func(it *item, _ event.Time) (int64, bool) { return int64(it.contact.Cost), true }, perUnit, "money", fixed},
	},
	"attributes": {
		"value": {func(it *item, _ event.Time) (int64, bool) {
			if !plainNumber(it.change.Value) {
				return 0, false // an error that nobody reads would cost memory
			}
			v, err := event.ParseAmount(it.change.Value)
			return int64(v), err == nil
		}, perUnit, "value", fixed},
	},
})

// withTimes adds the fields that every stream has.
func withTimes(fields map[string]map[string]field) map[string]map[string]field {
	for _, of := range fields {
		// From when it happened to t.
		of["age_days"] = field{func(it *item, t event.Time) (int64, bool) { return int64(t.Sub(it.at)), true }, perDay, "days", dated}
		// In UTC: 0 to 23, and 1 for Monday to 7 for Sunday.
		of["hour"] = field{func(it *item, _ event.Time) (int64, bool) { return hour(it.at) * perUnit, true }, perUnit, "hour", fixed}
		of["weekday"] = field{func(it *item, _ event.Time) (int64, bool) { return weekday(it.at) * perUnit, true }, perUnit, "day", fixed}
	}
	return fields
}

// textFields is the table of texts usable in where and by.
var textFields = map[string]map[string]func(it *item) string{
	"engagement": {"kind": func(it *item) string { return it.engagement.Kind }},
	"complaints": {
		"category": func(it *item) string { return it.complaint.Category },
		"channel":  func(it *item) string { return it.complaint.Channel },
	},
	"payments": {"currency": func(it *item) string { return it.payment.Currency }},
	"contacts": {
		"action":  func(it *item) string { return it.contact.Action },
		"channel": func(it *item) string { return it.contact.Channel },
		"arm":     func(it *item) string { return it.contact.Arm },
		"outcome": func(it *item) string { return it.contact.Outcome },
	},
	"attributes": {
		"attribute": func(it *item) string { return it.change.Name },
		"text":      func(it *item) string { return it.change.Value },
	},
}

// kindField names the text that says of what kind an item is.
var kindField = map[string]string{"engagement": "kind", "complaints": "category", "payments": "currency", "contacts": "action", "attributes": "attribute"}

// states is the table of yes-or-no conditions as of t, by stream.
var states = map[string]map[string]func(it *item, t event.Time) bool{
	"complaints": {
		"open":     func(it *item, t event.Time) bool { return !resolved(it, t) },
		"resolved": resolved,
	},
	"payments": {
		"paid":   paid,
		"unpaid": func(it *item, t event.Time) bool { return !paid(it, t) },
		// Late: more than three days after the due date, or not paid at all.
		"late": func(it *item, t event.Time) bool { return daysLate(it, t) > 3*perDay },
		"failed": func(it *item, t event.Time) bool {
			return event.Visible(it.payment.FailedAt, it.payment.FailedKnown, t)
		},
		"refunded": func(it *item, t event.Time) bool {
			return event.Visible(it.payment.RefundedAt, it.payment.RefundedKnown, t)
		},
	},
}

func resolved(it *item, t event.Time) bool {
	return event.Visible(it.complaint.ResolvedAt, it.complaint.ResolvedKnown, t)
}

func paid(it *item, t event.Time) bool {
	return event.Visible(it.payment.PaidAt, it.payment.PaidKnown, t)
}

func daysLate(it *item, t event.Time) int64 {
	until := t
	if paid(it, t) {
		until = it.payment.PaidAt
	}
	return max(0, int64(until.Sub(it.at)))
}

// nan is the missing value.
var nan = math.NaN()
