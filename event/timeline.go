package event

import (
	"cmp"
	"slices"
)

// Every item of a timeline was known from Recorded on, and until Superseded if
// that is not 0: then a correction or a cancellation of it was recorded. A
// corrected item is followed by its next version, whose Recorded is that
// instant.

// EngagementEvent is one act of a customer.
type EngagementEvent struct {
	At, Recorded Time
	Kind         string
	Value        Amount
	HasValue     bool
	Superseded   Time
}

// ComplaintCase is a complaint with both phases. ResolvedAt is Never while it
// is open; Satisfaction becomes known with the resolution.
type ComplaintCase struct {
	ID              string
	At, Recorded    Time
	Category        string
	Channel         string
	Severity        Amount
	HasSeverity     bool
	ResolvedAt      Time
	ResolvedKnown   Time // when the resolution was recorded
	Satisfaction    Amount
	HasSatisfaction bool
	Superseded      Time
}

// PaymentCase is a payment with all its phases. A purchase that was never
// due, only paid, has At equal to PaidAt.
type PaymentCase struct {
	ID            string
	At, Recorded  Time // due
	Amount        Amount
	Currency      string
	PaidAt        Time
	PaidKnown     Time
	FailedAt      Time
	FailedKnown   Time
	RefundedAt    Time
	RefundedKnown Time
	Superseded    Time
}

// ContactEvent is one outreach that was done.
type ContactEvent struct {
	At, Recorded Time
	Action       string
	Channel      string
	Cost         Amount
	Arm          string
	Outcome      string
	Superseded   Time
}

// AttributeChange says what an attribute of a customer is from At on. An empty
// Value withdraws it.
type AttributeChange struct {
	At, Recorded Time
	Name, Value  string
	Superseded   Time
}

// Timeline is the whole history of one customer, each stream ordered by time
// of occurrence, ties by time of recording and id; attributes by name and value
// instead of the id.
type Timeline struct {
	Customer    Customer
	Engagements []EngagementEvent
	Complaints  []ComplaintCase
	Payments    []PaymentCase
	Contacts    []ContactEvent
	Changes     []AttributeChange
	// Orphans counts second phases whose first phase is not there: a
	// resolution without a complaint. They are not used.
	Orphans int
}

// NewTimeline pairs the phases of a customer's events, of which there are as
// many versions as a Ledger or Revised gives, and orders them. It sorts events
// in place. The result does not depend on the order given.
func NewTimeline(c Customer, events []Event) *Timeline {
	tl := &Timeline{}
	tl.make(c, events)
	return tl
}

// make is NewTimeline in the memory of a timeline that is not needed any more.
func (tl *Timeline) make(c Customer, events []Event) {
	*tl = Timeline{c, tl.Engagements[:0], tl.Complaints[:0], tl.Payments[:0], tl.Contacts[:0], tl.Changes[:0], 0}
	n := 0
	ordered := true
	for i := range events {
		if events[i].Type == Engagement {
			n++
		}
		if i > 0 && events[i-1].At >= events[i].At && byTime(&events[i-1], &events[i]) > 0 {
			ordered = false
		}
	}
	if !ordered {
		slices.SortFunc(events, func(a, b Event) int { return byTime(&a, &b) })
	}
	if n > cap(tl.Engagements) {
		tl.Engagements = make([]EngagementEvent, 0, n)
	}
	cases, inCases := revised(events)
	if inCases != nil {
		for _, phases := range cases {
			if phases[0].Type.Stream() == Complaints {
				tl.complaint(phases)
			} else {
				tl.payment(phases)
			}
		}
		plain := make([]Event, 0, len(events))
		for i := range events {
			key, ok := caseOf(&events[i])
			if _, there := inCases[key]; !ok || !there {
				plain = append(plain, events[i])
			}
		}
		events = plain
	}
	complaints := map[string]int{}
	payments := map[string]int{}
	// First phases first: a resolution recorded with the same instant as the
	// opening would otherwise come before it.
	for i := range events {
		switch e := &events[i]; e.Type {
		case Engagement:
			tl.Engagements = append(tl.Engagements, EngagementEvent{At: e.At, Recorded: e.Recorded, Kind: e.Kind, Value: e.Value, HasValue: e.HasValue, Superseded: e.Superseded})
		case AttributeSet:
			tl.Changes = append(tl.Changes, AttributeChange{At: e.At, Recorded: e.Recorded, Name: e.Kind, Value: e.Outcome, Superseded: e.Superseded})
		case Contact:
			tl.Contacts = append(tl.Contacts, ContactEvent{At: e.At, Recorded: e.Recorded, Action: e.Kind, Channel: e.Channel,
				Cost: e.Value, Arm: e.Arm, Outcome: e.Outcome, Superseded: e.Superseded})
		case ComplaintOpened:
			complaints[e.ID] = len(tl.Complaints)
			tl.Complaints = append(tl.Complaints, newComplaint(e))
		case PaymentDue:
			payments[e.ID] = len(tl.Payments)
			tl.Payments = append(tl.Payments, newPayment(e))
		}
	}
	for i := range events {
		switch e := &events[i]; e.Type {
		case ComplaintResolved:
			k, ok := complaints[e.ID]
			if !ok {
				tl.Orphans++
				continue
			}
			tl.Complaints[k].resolve(e)
		case PaymentPaid:
			k, ok := payments[e.ID]
			if !ok { // paid on the spot
				payments[e.ID] = len(tl.Payments)
				p := newPayment(e)
				p.PaidAt, p.PaidKnown = e.At, e.Recorded
				tl.Payments = append(tl.Payments, p)
				continue
			}
			tl.Payments[k].PaidAt, tl.Payments[k].PaidKnown = e.At, e.Recorded
		}
	}
	for i := range events {
		e := &events[i]
		if e.Type != PaymentFailed && e.Type != PaymentRefunded {
			continue
		}
		k, ok := payments[e.ID]
		switch {
		case !ok:
			tl.Orphans++
		case e.Type == PaymentFailed:
			tl.Payments[k].FailedAt, tl.Payments[k].FailedKnown = e.At, e.Recorded
		default:
			tl.Payments[k].RefundedAt, tl.Payments[k].RefundedKnown = e.At, e.Recorded
		}
	}
	if inCases != nil {
		slices.SortStableFunc(tl.Complaints, func(a, b ComplaintCase) int {
			return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded), cmp.Compare(a.ID, b.ID))
		})
	}
	slices.SortStableFunc(tl.Payments, func(a, b PaymentCase) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(tl.Changes, func(a, b AttributeChange) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Superseded, b.Superseded))
	})
}

// byTime is the order in which events are put into a timeline.
func byTime(a, b *Event) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded),
		cmp.Compare(a.ID, b.ID), cmp.Compare(a.Type, b.Type))
}

// Attribute is what an attribute of the customer was at t as it was known
// then: by the last of its changes, and without any, by the record of the
// customer, which has no time. It is empty if nothing is known.
func (tl *Timeline) Attribute(name string, t Time) string {
	for i := len(tl.Changes) - 1; i >= 0; i-- {
		if c := &tl.Changes[i]; c.Name == name && Visible(c.At, c.Recorded, t) && Stands(c.Superseded, t) {
			return c.Value
		}
	}
	return tl.Customer.Attributes[name]
}

func newComplaint(e *Event) ComplaintCase {
	return ComplaintCase{ID: e.ID, At: e.At, Recorded: e.Recorded,
		Category: e.Kind, Channel: e.Channel, Severity: e.Value, HasSeverity: e.HasValue,
		ResolvedAt: Never, ResolvedKnown: Never}
}

func (c *ComplaintCase) resolve(e *Event) {
	c.ResolvedAt, c.ResolvedKnown = e.At, e.Recorded
	c.Satisfaction, c.HasSatisfaction = e.Value, e.HasValue
}

func newPayment(e *Event) PaymentCase {
	return PaymentCase{ID: e.ID, At: e.At, Recorded: e.Recorded, Amount: e.Value, Currency: e.Kind,
		PaidAt: Never, PaidKnown: Never, FailedAt: Never, FailedKnown: Never,
		RefundedAt: Never, RefundedKnown: Never}
}
