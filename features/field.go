package features

import (
	"cmp"
	"math"
	"slices"

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
}

// visible lists what of a stream could be known at t, oldest first.
//
// A payment that was made before its due date came, or before the bill was
// recorded, is until then what it is to whoever has not seen the bill: a
// purchase when it was paid.
func visible(tl *event.Timeline, stream string, t event.Time) []item {
	var items []item
	switch stream {
	case "engagement":
		for i := range tl.Engagements {
			if e := &tl.Engagements[i]; event.Visible(e.At, e.Recorded, t) {
				items = append(items, item{at: e.At, known: e.Recorded, engagement: e})
			}
		}
	case "complaints":
		for i := range tl.Complaints {
			if c := &tl.Complaints[i]; event.Visible(c.At, c.Recorded, t) {
				items = append(items, item{at: c.At, known: c.Recorded, complaint: c})
			}
		}
	case "payments":
		for i := range tl.Payments {
			p := &tl.Payments[i]
			if event.Visible(p.At, p.Recorded, t) {
				items = append(items, item{at: p.At, known: p.Recorded, payment: p})
			} else if event.Visible(p.PaidAt, p.PaidKnown, t) {
				items = append(items, item{at: p.PaidAt, known: p.PaidKnown, payment: p})
			}
		}
		slices.SortStableFunc(items, func(a, b item) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.known, b.known), cmp.Compare(a.payment.ID, b.payment.ID))
		})
	case "contacts":
		for i := range tl.Contacts {
			if c := &tl.Contacts[i]; event.Visible(c.At, c.Recorded, t) {
				items = append(items, item{at: c.At, known: c.Recorded, contact: c})
			}
		}
	}
	return items
}

// field reads a number of an item as of t, in whole sub-units: dividing by
// per gives the unit the feature is declared in. ok is false when the value
// is missing or not yet known.
type field struct {
	get  func(it *item, t event.Time) (v int64, ok bool)
	per  int64
	unit string
}

const (
	perUnit = int64(event.Unit)
	perHour = int64(event.Hour)
	perDay  = int64(event.Day)
)

// fields is the table of numbers an aggregate can work on, by stream.
var fields = map[string]map[string]field{
	"engagement": {
		"value": {func(it *item, _ event.Time) (int64, bool) {
			return int64(it.engagement.Value), it.engagement.HasValue
		}, perUnit, "value"},
		"age_days": age,
	},
	"complaints": {
		"severity": {func(it *item, _ event.Time) (int64, bool) {
			return int64(it.complaint.Severity), it.complaint.HasSeverity
		}, perUnit, "points"},
		"satisfaction": {func(it *item, t event.Time) (int64, bool) {
			return int64(it.complaint.Satisfaction), it.complaint.HasSatisfaction && resolved(it, t)
		}, perUnit, "points"},
		"hours_to_resolve": {func(it *item, t event.Time) (int64, bool) {
			return int64(it.complaint.ResolvedAt.Sub(it.complaint.At)), resolved(it, t)
		}, perHour, "hours"},
		"age_days": age,
	},
	"payments": {
		"amount": {func(it *item, _ event.Time) (int64, bool) { return int64(it.payment.Amount), true }, perUnit, "money"},
		// Days late so far: until paid, or until t while unpaid.
		"days_late": {func(it *item, t event.Time) (int64, bool) { return daysLate(it, t), true }, perDay, "days"},
		"days_early": {func(it *item, t event.Time) (int64, bool) {
			return max(0, int64(it.at.Sub(it.payment.PaidAt))), paid(it, t)
		}, perDay, "days"},
		"age_days": age,
	},
	"contacts": {
		"cost":     {func(it *item, _ event.Time) (int64, bool) { return int64(it.contact.Cost), true }, perUnit, "money"},
		"age_days": age,
	},
}

// age counts from when an item happened to t.
var age = field{func(it *item, t event.Time) (int64, bool) { return int64(t.Sub(it.at)), true }, perDay, "days"}

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
}

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
