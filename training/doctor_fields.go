package training

import (
	"strings"

	"churn/event"
)

// columnLooks look at the columns of all tables as histories pass. Of events
// only those that stand count.
type columnLooks struct {
	rows    [event.Attributes + 1]int
	repeats [event.Attributes + 1]int

	records           int // customers with a record
	signedUp, churned *instants
	reason            *texts
	attributes        map[string]*texts

	kind  *texts
	value *numbers

	category, complaintChannel *texts
	severity, satisfaction     *numbers
	resolved                   *instants

	currency               *texts
	amount                 *numbers
	paid, failed, refunded *instants

	action, contactChannel, arm, outcome *texts
	cost                                 *numbers

	changes map[string]*texts
}

func newColumnLooks() columnLooks {
	return columnLooks{signedUp: newInstants(), churned: newInstants(), reason: newTexts(), attributes: map[string]*texts{},
		kind: newTexts(), value: newNumbers(),
		category: newTexts(), complaintChannel: newTexts(), severity: newNumbers(), satisfaction: newNumbers(), resolved: newInstants(),
		currency: newTexts(), amount: newNumbers(), paid: newInstants(), failed: newInstants(), refunded: newInstants(),
		action: newTexts(), contactChannel: newTexts(), arm: newTexts(), outcome: newTexts(), cost: newNumbers(),
		changes: map[string]*texts{}}
}

// add looks at one customer.
func (l *columnLooks) add(tl *event.Timeline) {
	c := &tl.Customer
	l.rows[event.Customers]++
	if c.SignedUpAt != event.Never || c.ChurnedAt != event.Never || c.ChurnReason != "" || len(c.Attributes) > 0 || c.Consent != nil {
		l.records++
	}
	l.signedUp.add(c.SignedUpAt)
	l.churned.add(c.ChurnedAt)
	l.reason.add(c.ChurnReason)
	for name, v := range c.Attributes {
		textsOf(l.attributes, name).add(v)
	}
	for i := range tl.Engagements {
		if e := &tl.Engagements[i]; e.Superseded == 0 {
			l.rows[event.Engagements]++
			l.kind.add(e.Kind)
			addAmount(l.value, e.Value, e.HasValue)
		}
	}
	for i := range tl.Complaints {
		if e := &tl.Complaints[i]; e.Superseded == 0 {
			l.rows[event.Complaints]++
			l.category.add(e.Category)
			l.complaintChannel.add(e.Channel)
			addAmount(l.severity, e.Severity, e.HasSeverity)
			addAmount(l.satisfaction, e.Satisfaction, e.HasSatisfaction)
			l.resolved.add(e.ResolvedAt)
		}
	}
	for i := range tl.Payments {
		if e := &tl.Payments[i]; e.Superseded == 0 {
			l.rows[event.Payments]++
			l.currency.add(e.Currency)
			addAmount(l.amount, e.Amount, true)
			l.paid.add(e.PaidAt)
			l.failed.add(e.FailedAt)
			l.refunded.add(e.RefundedAt)
		}
	}
	for i := range tl.Contacts {
		if e := &tl.Contacts[i]; e.Superseded == 0 {
			l.rows[event.Contacts]++
			l.action.add(e.Action)
			l.contactChannel.add(e.Channel)
			l.arm.add(e.Arm)
			l.outcome.add(e.Outcome)
			addAmount(l.cost, e.Cost, e.Cost != 0) // a cost of 0 is not told from none
		}
	}
	for i := range tl.Changes {
		if e := &tl.Changes[i]; e.Superseded == 0 {
			l.rows[event.Attributes]++
			textsOf(l.changes, e.Name).add(e.Value)
		}
	}
	l.countRepeats(tl)
}

func addAmount(n *numbers, v event.Amount, has bool) {
	if has {
		n.add(v.Float(), 1)
	}
}

func textsOf(m map[string]*texts, name string) *texts {
	t := m[name]
	if t == nil {
		t = newTexts()
		m[strings.Clone(name)] = t
	}
	return t
}

// countRepeats counts events that are another's twin but for the id and the
// time of recording. Attributes have no twins: the same said twice is one event.
func (l *columnLooks) countRepeats(tl *event.Timeline) {
	l.repeats[event.Engagements] += repeats(tl.Engagements, func(e event.EngagementEvent) (event.EngagementEvent, event.Time, bool) {
		e.Recorded = 0
		return e, e.At, e.Superseded == 0
	})
	l.repeats[event.Complaints] += repeats(tl.Complaints, func(e event.ComplaintCase) (event.ComplaintCase, event.Time, bool) {
		e.ID, e.Recorded, e.ResolvedKnown = "", 0, 0
		return e, e.At, e.Superseded == 0
	})
	l.repeats[event.Payments] += repeats(tl.Payments, func(e event.PaymentCase) (event.PaymentCase, event.Time, bool) {
		e.ID, e.Recorded, e.PaidKnown, e.FailedKnown, e.RefundedKnown = "", 0, 0, 0, 0
		return e, e.At, e.Superseded == 0
	})
	l.repeats[event.Contacts] += repeats(tl.Contacts, func(e event.ContactEvent) (event.ContactEvent, event.Time, bool) {
		e.Recorded = 0
		return e, e.At, e.Superseded == 0
	})
}

// repeats counts items, which are in order of time, that equal one before them.
func repeats[T comparable](items []T, body func(T) (key T, at event.Time, stands bool)) int {
	n := 0
	var seen map[T]bool
	var last T
	lastAt := event.Never
	for i := range items {
		key, at, stands := body(items[i])
		switch {
		case !stands:
			continue
		case at != lastAt:
			seen = nil
		default:
			if seen == nil { // as a rule there is one event at a time
				seen = map[T]bool{last: true}
			}
			if seen[key] {
				n++
			}
			seen[key] = true
		}
		last, lastAt = key, at
	}
	return n
}

// customers reports the table of customers. Those without a record are known by
// their events only.
func (l *columnLooks) customers(all int) TableReport {
	r := TableReport{Table: event.Customers.String(), Events: l.records, Customers: l.records, CustomerShare: ratio(l.records, all),
		PerMonth: nan, LagMedian: nan, LagLongest: nan}
	r.Columns = []ColumnReport{l.signedUp.report("signed_up_at", all), l.churned.report("churned_at", all), l.reason.report("churn_reason", all)}
	for _, name := range sortedNames(l.attributes) {
		r.Columns = append(r.Columns, l.attributes[name].report(name, all))
	}
	return r
}

// of reports the columns of a stream. Those of the attributes table are filled
// by row, as many rows as tell of one.
func (l *columnLooks) of(s event.Stream) []ColumnReport {
	n := l.rows[s]
	switch s {
	case event.Engagements:
		return []ColumnReport{l.kind.report("kind", n), l.value.report("value", n)}
	case event.Complaints:
		return []ColumnReport{l.category.report("category", n), l.complaintChannel.report("channel", n), l.severity.report("severity", n),
			l.resolved.report("resolved_at", n), l.satisfaction.report("satisfaction", n)}
	case event.Payments:
		return []ColumnReport{l.amount.report("amount", n), l.currency.report("currency", n), l.paid.report("paid_at", n),
			l.failed.report("failed", n), l.refunded.report("refunded", n)}
	case event.Contacts:
		return []ColumnReport{l.action.report("action", n), l.contactChannel.report("channel", n), l.cost.report("cost", n),
			l.arm.report("arm", n), l.outcome.report("outcome", n)}
	case event.Attributes:
		var list []ColumnReport
		for _, name := range sortedNames(l.changes) {
			list = append(list, l.changes[name].report(name, n))
		}
		return list
	}
	return nil
}
