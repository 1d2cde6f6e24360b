package event

import (
	"fmt"
	"math"
	"strings"
)

// Record is what one row says: a customer, or the phases of one event.
type Record struct {
	Line     int // of the file, where the row begins
	Customer *Customer
	Events   []Event
	// Untimed is set when the row carries a status, or a satisfaction, without
	// the time at which it was reached. That is the state at extraction; it is
	// not an event and cannot become a feature.
	Untimed bool
}

// row gives the texts of one row by table column. It collects the first error
// so that the builders below read straight down.
type row struct {
	plan  *plan
	cells []string
	err   *FieldError
}

func (r *row) fail(field, reason string) {
	if r.err == nil {
		r.err = &FieldError{field, reason}
	}
}

func (r *row) text(name string) string {
	src, ok := r.plan.sources[name]
	switch {
	case !ok:
		return ""
	case src.constant != "":
		return src.constant
	}
	if len(src.columns) > 1 {
		return r.product(name, src.columns)
	}
	s := strings.TrimSpace(r.cells[src.columns[0]])
	if v, ok := src.values[s]; ok {
		return v
	}
	return s
}

// product multiplies cells in units and rounds to a millionth, as FromFloat
// does.
func (r *row) product(name string, columns []int) string {
	f := 1.0
	for _, c := range columns {
		s := strings.TrimSpace(r.cells[c])
		if s == "" {
			return ""
		}
		a, err := ParseAmount(s)
		if err != nil {
			r.fail(name, fmt.Sprintf("column %q: %v", r.plan.header[c], err))
			return ""
		}
		f *= a.Float()
	}
	a, err := FromFloat(f)
	if err != nil {
		r.fail(name, err.Error())
		return ""
	}
	return a.String()
}

func (r *row) time(name string) Time {
	s := r.text(name)
	if s == "" {
		return Never
	}
	t, err := r.plan.times.parse(s)
	if err != nil {
		r.fail(name, err.Error())
	}
	return t
}

func (r *row) amount(name string) (Amount, bool) {
	s := r.text(name)
	if s == "" {
		return 0, false
	}
	a, err := ParseAmount(s)
	if err != nil {
		r.fail(name, err.Error())
	}
	return a, true
}

// known returns when a phase became known: the first of its own columns that
// says so, or the declared lag after it happened.
func (r *row) known(at Time, names ...string) Time {
	for _, name := range names {
		if t := r.time(name); t != Never {
			return t
		}
	}
	return at.Add(r.plan.lag)
}

// record builds what the row says, without ids of rows that have none.
func (r *row) record() (Record, error) {
	var rec Record
	switch r.plan.stream {
	case Customers:
		rec.Customer = r.customer()
	case Engagements:
		rec.Events = r.engagement()
	case Complaints:
		rec.Events, rec.Untimed = r.complaint()
	case Payments:
		rec.Events, rec.Untimed = r.payment()
	case Contacts:
		rec.Events = r.contact()
	}
	if r.err != nil {
		return Record{}, r.err
	}
	return rec, nil
}

func (r *row) customer() *Customer {
	c := &Customer{ID: r.text("customer_id"), SignedUpAt: r.time("signed_up_at"),
		ChurnedAt: r.time("churned_at"), ChurnReason: r.text("churn_reason")}
	if s := r.text("consent"); s != "" {
		c.Consent = SplitConsent(s)
	}
	for _, i := range r.plan.attributes {
		if v := strings.TrimSpace(r.cells[i]); v != "" {
			if c.Attributes == nil {
				c.Attributes = make(map[string]string, len(r.plan.attributes))
			}
			c.Attributes[r.plan.header[i]] = v
		}
	}
	return c
}

// SplitConsent reads a consent cell: items separated by ';'. "none" says that
// the customer agreed to nothing, which is known, unlike an empty cell.
func SplitConsent(s string) []string {
	out := []string{}
	if s == "none" {
		return out
	}
	for _, item := range strings.Split(s, ";") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func (r *row) engagement() []Event {
	e := Event{ID: r.text("event_id"), Customer: r.text("customer_id"), Type: Engagement,
		At: r.time("occurred_at"), Kind: r.text("kind")}
	e.Value, e.HasValue = r.amount("value")
	e.Recorded = r.known(e.At, "recorded_at")
	return []Event{e}
}

func (r *row) complaint() (events []Event, untimed bool) {
	open := Event{ID: r.text("event_id"), Customer: r.text("customer_id"), Type: ComplaintOpened,
		At: r.time("opened_at"), Kind: r.text("category"), Channel: r.text("channel")}
	open.Value, open.HasValue = r.amount("severity")
	open.Recorded = r.known(open.At, "recorded_at")
	done := Event{ID: open.ID, Customer: open.Customer, Type: ComplaintResolved, At: r.time("resolved_at")}
	if hours, ok := r.amount("resolved_after_hours"); ok && done.At == Never && open.At != Never {
		if hours < 0 || hours > 24*365*20*Unit {
			r.fail("resolved_after_hours", "negative or longer than 20 years")
			return nil, false
		}
		done.At = open.At.Add(Duration(math.Round(hours.Float() * float64(Hour))))
	}
	done.Value, done.HasValue = r.amount("satisfaction")
	if done.At == Never {
		return []Event{open}, done.HasValue
	}
	if done.At < open.At {
		r.fail("resolved_at", "earlier than opened_at")
	}
	done.Recorded = r.known(done.At, "resolved_recorded_at")
	if done.Recorded >= done.At {
		// The complaint itself was known no later than its resolution.
		done.Recorded = max(done.Recorded, open.Recorded)
	}
	return []Event{open, done}, false
}

func (r *row) payment() (events []Event, untimed bool) {
	base := Event{ID: r.text("event_id"), Customer: r.text("customer_id"), Kind: r.text("currency")}
	base.Value, base.HasValue = r.amount("amount")
	due, paid, statusAt := r.time("due_at"), r.time("paid_at"), r.time("status_at")
	status := strings.ToLower(r.text("status"))
	settled := status == "paid" || status == "late"
	if settled && paid == Never {
		paid = statusAt
	}
	phase := func(t Type, at, recorded Time) {
		e := base
		e.Type, e.At, e.Recorded = t, at, recorded
		events = append(events, e)
	}
	switch {
	case due != Never:
		phase(PaymentDue, due, r.known(due, "recorded_at"))
		if paid != Never {
			// Paying early is legitimate; it then was known before the due date.
			phase(PaymentPaid, paid, r.known(paid, "paid_recorded_at"))
		}
	case paid != Never:
		phase(PaymentPaid, paid, r.known(paid, "paid_recorded_at", "recorded_at"))
	default:
		r.fail("due_at", "neither due_at nor paid_at is given")
		return nil, false
	}
	switch {
	case settled:
		return events, paid == Never
	case status == "failed" || status == "refunded":
		if statusAt == Never {
			return events, true
		}
		t := PaymentFailed
		if status == "refunded" {
			t = PaymentRefunded
		}
		phase(t, statusAt, statusAt.Add(r.plan.lag))
	case status != "" && status != "open":
		r.fail("status", "not one of paid, late, failed, refunded, open: translate it under values")
	}
	return events, false
}

func (r *row) contact() []Event {
	e := Event{ID: r.text("event_id"), Customer: r.text("customer_id"), Type: Contact,
		At: r.time("occurred_at"), Kind: r.text("action"), Channel: r.text("channel"),
		Arm: r.text("arm"), Outcome: r.text("outcome")}
	e.Value, e.HasValue = r.amount("cost")
	e.Recorded = r.known(e.At, "recorded_at")
	return []Event{e}
}
