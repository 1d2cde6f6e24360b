package event

import (
	"fmt"
	"math"
	"strings"
	"time"
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
	// Unknown names columns and their texts that are none of the known ones,
	// such as "currency EURO".
	Unknown []string
}

// customer is whom the record is about.
func (r *Record) customer() string {
	if r.Customer != nil {
		return r.Customer.ID
	}
	return r.Events[0].Customer
}

// row gives the texts of one row by table column. It collects the first error
// so that the builders below read straight down.
type row struct {
	plan   *plan
	cells  []string // good until the next row: what stays must be kept
	isTime func(column int) bool
	has    func(column int) bool
	typed  typedRows
	keep   *keeper
	// unknown is what Record.Unknown becomes.
	unknown []string
	err     *FieldError
}

func (r *row) fail(column columnName, reason string) {
	if r.err == nil {
		r.err = &FieldError{column.String(), reason}
	}
}

// cell looks at a cell of the source.
func (r *row) cell(i int) string {
	if r.typed != nil {
		return r.typed.Text(i)
	}
	return r.cells[i]
}

// text looks at a cell; word, id and customer keep what they return.
func (r *row) text(column columnName) string {
	src := &r.plan.sources[column]
	switch {
	case !src.given:
		return ""
	case src.constant != "":
		return src.constant
	}
	if len(src.columns) > 1 {
		return r.product(column, src.columns)
	}
	s := trim(r.cell(src.columns[0]))
	if src.values != nil {
		if v, ok := src.values[s]; ok {
			return v
		}
	}
	return s
}

// trim is strings.TrimSpace, without a call for most cells.
func trim(s string) string {
	if s == "" || s[0]-'!' <= '~'-'!' && s[len(s)-1]-'!' <= '~'-'!' {
		return s
	}
	return strings.TrimSpace(s)
}

func (r *row) word(column columnName) string {
	s := r.keep.word(r.text(column))
	if known := r.plan.sources[column].known; known != nil && s != "" && !known[s] {
		r.unknown = append(r.unknown, column.String()+" "+s)
	}
	return s
}

func (r *row) id() string       { return r.keep.text(r.text(colEventID)) }
func (r *row) customer() string { return r.keep.customer(r.text(colCustomerID)) }

// product multiplies cells in units and rounds to a millionth, as FromFloat
// does.
func (r *row) product(column columnName, columns []int) string {
	f := 1.0
	for _, c := range columns {
		s := strings.TrimSpace(r.cell(c))
		if s == "" {
			return ""
		}
		a, err := ParseAmount(s)
		if err != nil {
			r.fail(column, fmt.Sprintf("column %q: %v", r.plan.header[c], err))
			return ""
		}
		f *= a.Float()
	}
	a, err := FromFloat(f)
	if err != nil {
		r.fail(column, err.Error())
		return ""
	}
	return a.String()
}

func (r *row) time(column columnName) Time {
	if i := r.plain(column); i >= 0 {
		if t, zoned, ok := r.typed.Time(i); ok && (zoned || r.plan.isoTimes.loc == time.UTC) {
			return t
		}
	}
	s := r.text(column)
	if s == "" {
		return Never
	}
	p := r.plan.times
	if src := &r.plan.sources[column]; r.isTime != nil && len(src.columns) == 1 && r.isTime(src.columns[0]) {
		p = r.plan.isoTimes
	}
	t, err := p.parse(s)
	if err != nil {
		r.fail(column, err.Error())
	}
	return t
}

// plain is the column of a cell that may be taken as it was stored, else -1.
func (r *row) plain(column columnName) int {
	if r.typed == nil {
		return -1
	}
	src := &r.plan.sources[column]
	if !src.given || src.constant != "" || len(src.columns) != 1 || src.values != nil {
		return -1
	}
	return src.columns[0]
}

func (r *row) amount(column columnName) (Amount, bool) {
	if i := r.plain(column); i >= 0 {
		if a, has, ok := r.typed.Amount(i); ok {
			return a, has
		}
	}
	s := r.text(column)
	if s == "" {
		return 0, false
	}
	a, err := ParseAmount(s)
	if err != nil {
		r.fail(column, err.Error())
	}
	return a, true
}

// known returns when a phase became known: the first of its own columns that
// says so, or the declared lag after it happened.
func (r *row) known(at Time, columns ...columnName) Time {
	for _, c := range columns {
		if t := r.time(c); t != Never {
			return t
		}
	}
	return at.Add(r.plan.lag)
}

// record builds what the row says, without ids of rows that have none.
func (r *row) record(rec *Record) error {
	switch r.plan.stream {
	case Customers:
		rec.Customer = r.person()
	case Engagements:
		rec.Events = r.engagement()
	case Complaints:
		rec.Events, rec.Untimed = r.complaint()
	case Payments:
		rec.Events, rec.Untimed = r.payment()
	case Contacts:
		rec.Events = r.contact()
	case Attributes:
		rec.Events = r.changes()
	}
	if r.err != nil {
		return r.err
	}
	rec.Unknown = r.unknown
	return nil
}

func (r *row) person() *Customer {
	c := &Customer{ID: r.customer(), SignedUpAt: r.time(colSignedUpAt),
		ChurnedAt: r.time(colChurnedAt), ChurnReason: r.word(colChurnReason)}
	if s := r.word(colConsent); s != "" {
		c.Consent = SplitConsent(s)
	}
	for _, i := range r.plan.attributes {
		if v := strings.TrimSpace(r.cell(i)); v != "" {
			if c.Attributes == nil {
				c.Attributes = make(map[string]string, len(r.plan.attributes))
			}
			c.Attributes[r.plan.header[i]] = r.keep.word(v)
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

// cancel adds that the first phase of a row is void, if the row says so. Such a
// row may repeat what it cancels; without that there is nothing but the id.
func (r *row) cancel(events []Event, first Type) []Event {
	return r.void(events, first, colCancelledAt)
}

// void adds that a phase is void since the time in a column, if there is one.
func (r *row) void(events []Event, phase Type, column columnName) []Event {
	at := r.time(column)
	if at == Never {
		return events
	}
	e := Event{Customer: r.customer(), Type: phase, Recorded: at, Cancelled: true}
	if len(events) > 0 {
		e.ID = events[0].ID
	} else if e.ID = r.id(); e.ID == "" {
		r.fail(colEventID, nothingCancelled)
	}
	return append(events, e)
}

const nothingCancelled = "empty: say what is cancelled, by its id or by the whole row"

// bare tells whether the row says that something is void and not what it was.
func (r *row) bare(occurred ...columnName) bool {
	if r.text(colCancelledAt) == "" {
		return false
	}
	for _, c := range occurred {
		if r.text(c) != "" {
			return false
		}
	}
	return true
}

func (r *row) engagement() []Event {
	if r.bare(colOccurredAt) {
		return r.cancel(r.keep.list(1), Engagement)
	}
	events := r.keep.list(2)[:1]
	e := &events[0] // most rows are of this table
	*e = Event{ID: r.id(), Customer: r.customer(), Type: Engagement,
		At: r.time(colOccurredAt), Kind: r.word(colKind)}
	e.Value, e.HasValue = r.amount(colValue)
	e.Recorded = r.known(e.At, colRecordedAt)
	return r.cancel(events, Engagement)
}

func (r *row) complaint() (events []Event, untimed bool) {
	if r.bare(colOpenedAt) || r.text(colResolutionCancelledAt) != "" && r.text(colOpenedAt) == "" {
		return r.reopen(r.cancel(r.keep.list(2), ComplaintOpened)), false
	}
	open := Event{ID: r.id(), Customer: r.customer(), Type: ComplaintOpened,
		At: r.time(colOpenedAt), Kind: r.word(colCategory), Channel: r.word(colChannel)}
	open.Value, open.HasValue = r.amount(colSeverity)
	open.Recorded = r.known(open.At, colRecordedAt)
	done := Event{ID: open.ID, Customer: open.Customer, Type: ComplaintResolved, At: r.time(colResolvedAt)}
	if hours, ok := r.amount(colResolvedAfterHours); ok && done.At == Never && open.At != Never {
		if hours < 0 || hours > 24*365*20*Unit {
			r.fail(colResolvedAfterHours, "negative or longer than 20 years")
			return nil, false
		}
		done.At = open.At.Add(Duration(math.Round(hours.Float() * float64(Hour))))
	}
	done.Value, done.HasValue = r.amount(colSatisfaction)
	if done.At == Never {
		return r.reopen(r.cancel(append(r.keep.list(3), open), ComplaintOpened)), done.HasValue
	}
	if done.At < open.At {
		r.fail(colResolvedAt, "earlier than opened_at")
	}
	done.Recorded = r.known(done.At, colResolvedRecordedAt)
	if done.Recorded >= done.At {
		// The complaint itself was known no later than its resolution.
		done.Recorded = max(done.Recorded, open.Recorded)
	}
	return r.reopen(r.cancel(append(r.keep.list(4), open, done), ComplaintOpened)), false
}

// reopen adds that the resolution of a complaint is void, if the row says so.
func (r *row) reopen(events []Event) []Event {
	return r.void(events, ComplaintResolved, colResolutionCancelledAt)
}

func (r *row) payment() (events []Event, untimed bool) {
	if r.bare(colDueAt, colPaidAt) { // it may have been due, or paid on the spot
		events = r.cancel(r.keep.list(2), PaymentDue)
		return r.cancel(events, PaymentPaid), false
	}
	if events, untimed = r.paymentPhases(); len(events) > 0 {
		events = r.cancel(events, events[0].Type)
	}
	return events, untimed
}

func (r *row) paymentPhases() (events []Event, untimed bool) {
	base := Event{ID: r.id(), Customer: r.customer(), Kind: r.word(colCurrency)}
	base.Value, base.HasValue = r.amount(colAmount)
	due, paid, statusAt := r.time(colDueAt), r.time(colPaidAt), r.time(colStatusAt)
	status := strings.ToLower(r.text(colStatus))
	settled := status == "paid" || status == "late"
	if settled && paid == Never {
		paid = statusAt
	}
	events = r.keep.list(4)
	phase := func(t Type, at, recorded Time) {
		events = append(events, base)
		e := &events[len(events)-1]
		e.Type, e.At, e.Recorded = t, at, recorded
	}
	switch {
	case due != Never:
		phase(PaymentDue, due, r.known(due, colRecordedAt))
		if paid != Never {
			// Paying early is legitimate; it then was known before the due date.
			phase(PaymentPaid, paid, r.known(paid, colPaidRecordedAt))
		}
	case paid != Never:
		phase(PaymentPaid, paid, r.known(paid, colPaidRecordedAt, colRecordedAt))
	default:
		r.fail(colDueAt, "neither due_at nor paid_at is given")
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
		r.fail(colStatus, "not one of paid, late, failed, refunded, open: translate it under values")
	}
	return events, false
}

func (r *row) contact() []Event {
	if r.bare(colOccurredAt) {
		return r.cancel(r.keep.list(1), Contact)
	}
	e := Event{ID: r.id(), Customer: r.customer(), Type: Contact,
		At: r.time(colOccurredAt), Kind: r.word(colAction), Channel: r.word(colChannel),
		Arm: r.word(colArm), Outcome: r.word(colOutcome)}
	e.Value, e.HasValue = r.amount(colCost)
	e.Recorded = r.known(e.At, colRecordedAt)
	return r.cancel(append(r.keep.list(2), e), Contact)
}

// changes makes an event of each attribute that the row has.
func (r *row) changes() []Event {
	base := Event{ID: r.id(), Customer: r.customer(), Type: AttributeSet, At: r.time(colValidFrom)}
	base.Recorded = r.known(base.At, colRecordedAt)
	void, bare := r.time(colCancelledAt), r.bare(colValidFrom)
	if bare && base.ID == "" {
		r.fail(colEventID, nothingCancelled)
	}
	events := r.keep.list(2 * len(r.plan.attributes))
	for _, i := range r.plan.attributes {
		if r.has != nil && !r.has(i) {
			continue
		}
		e := base
		e.Kind, e.Outcome = r.plan.header[i], r.keep.word(strings.TrimSpace(r.cell(i)))
		if base.ID != "" { // of the row, where an event is of one attribute
			e.ID = base.ID + "/" + e.Kind
		}
		if !bare {
			events = append(events, e)
		}
		if void != Never {
			events = append(events, Event{ID: e.ID, Customer: e.Customer, Type: e.Type, Recorded: void, Cancelled: true})
		}
	}
	if len(events) == 0 && r.err == nil {
		r.err = &FieldError{"", "says nothing of any attribute: each column that no rule uses is one"}
	}
	return events
}
