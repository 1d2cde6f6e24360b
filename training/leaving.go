package training

import (
	"churn/event"
	"churn/model"
)

// leavesAt is the moment of leaving of a customer whom the definition calls
// churned at t: churned_at; when the first payment of the label's window counts
// as not coming; or, of an inactive customer, when the silence has lasted for a
// horizon. The last is the day on which the definition is met and not that of the
// last activity, so that there is something to give notice of: who is contacted
// on the tenth day of a silence that becomes thirty is contacted 20 days before.
// It may lie before t, where a silence of more than a horizon is eligible. Never
// is not known.
func leavesAt(d *model.Definition, tl *event.Timeline, t event.Time) event.Time {
	from := t.Add(d.Gap)
	switch d.Kind {
	case "contract", "decline": // Never, of who declined and is still there
		return tl.Customer.ChurnedAt
	case "payment":
		first := event.Never
		for i := range tl.Payments {
			if p := &tl.Payments[i]; p.Superseded == 0 && p.At >= from && p.At < from.Add(d.Horizon) {
				first = min(first, unpaidAt(d, p))
			}
		}
		return first
	case "inactivity":
		if last := lastActivity(d, tl, from); last != event.Never {
			return last.Add(d.Horizon)
		}
	}
	return event.Never
}
