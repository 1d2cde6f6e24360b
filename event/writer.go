package event

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// written are the columns of the input contract that a Writer writes, in this
// order. Attributes follow the columns of the customers and attributes tables.
var written = map[Stream][]string{
	Customers:   {"customer_id", "signed_up_at", "churned_at", "churn_reason", "consent"},
	Engagements: {"event_id", "customer_id", "occurred_at", "kind", "value", "recorded_at"},
	Complaints: {"event_id", "customer_id", "opened_at", "category", "severity", "channel",
		"resolved_at", "satisfaction", "recorded_at", "resolved_recorded_at"},
	Payments: {"event_id", "customer_id", "due_at", "amount", "currency", "status",
		"paid_at", "status_at", "recorded_at", "paid_recorded_at"},
	Contacts: {"event_id", "customer_id", "occurred_at", "action", "channel", "cost",
		"arm", "outcome", "recorded_at"},
	Attributes: {"event_id", "customer_id", "valid_from", "recorded_at"},
}

// Writer writes one input table as CSV, such as a Reader takes without a
// mapping. A time of recording that equals the time of occurrence is left
// empty, as is a value that was not given.
//
// The first error stays: every later call returns it and writes nothing, and
// so does Flush, so that a caller may look at the error of Flush alone.
type Writer struct {
	w          *bufio.Writer
	stream     Stream
	attributes []string
	row        []byte // the row being built
	rows       int    // rows written, the header not counted
	err        error
}

// NewWriter writes the header of a table. The attributes are the columns that
// follow in the customers table, in this order. The attributes table takes one,
// for a row with an empty cell would withdraw another; other tables have none.
func NewWriter(w io.Writer, s Stream, attributes []string) (*Writer, error) {
	names, ok := written[s]
	if !ok {
		return nil, fmt.Errorf("write %s: no such table", s)
	}
	if s == Attributes && len(attributes) != 1 {
		return nil, fmt.Errorf("write %s: name one attribute: a file is of one", s)
	}
	if s != Customers && s != Attributes && len(attributes) > 0 {
		return nil, fmt.Errorf("write %s: attributes belong to the customers table", s)
	}
	t := &Writer{w: bufio.NewWriterSize(w, 1<<16), stream: s, attributes: slices.Clone(attributes)}
	for _, a := range attributes {
		if err := CheckID("attribute", a); err != nil {
			return nil, fmt.Errorf("write %s: %w", s, err)
		}
		if slices.Contains(names, a) {
			return nil, fmt.Errorf("write %s: column %q is there twice: rename the attribute", s, a)
		}
		names = append(slices.Clip(names), a)
	}
	for _, n := range names {
		t.text(n)
	}
	t.end()
	t.rows = 0
	return t, t.err
}

// WriteCustomer writes a row of the customers table. An attribute without a
// column is an error, for it would be lost. Consent that is known to be none
// is not the same as consent of which nothing is known.
func (t *Writer) WriteCustomer(c *Customer) error {
	if !t.begin(Customers, c.ID) {
		return t.err
	}
	t.text(c.ID)
	t.time(c.SignedUpAt)
	t.time(c.ChurnedAt)
	t.text(c.ChurnReason)
	for _, s := range c.Consent {
		if s == "" || s == "none" || strings.Contains(s, ";") {
			t.fail("consent", "an entry is empty, is none, or contains the separator ';'")
		}
	}
	if c.Consent != nil && len(c.Consent) == 0 {
		t.text("none")
	} else {
		t.text(strings.Join(c.Consent, ";"))
	}
	found := 0
	for _, a := range t.attributes {
		v, ok := c.Attributes[a]
		if ok {
			found++
		}
		t.text(v)
	}
	if found < len(c.Attributes) {
		var lost []string
		for a := range c.Attributes {
			if !slices.Contains(t.attributes, a) {
				lost = append(lost, a)
			}
		}
		t.fail(slices.Min(lost), "no such column: name every attribute to NewWriter")
	}
	return t.end()
}

// WriteEngagement writes a row of the engagement table. The id may be empty.
func (t *Writer) WriteEngagement(id, customer string, e *EngagementEvent) error {
	if !t.begin(Engagements, customer) {
		return t.err
	}
	t.text(id)
	t.text(customer)
	t.occurred("occurred_at", e.At)
	t.text(e.Kind)
	t.amount(e.Value, e.HasValue)
	t.recorded("recorded_at", e.Recorded, e.At)
	return t.end()
}

// WriteComplaint writes a row of the complaints table, both phases in one.
func (t *Writer) WriteComplaint(customer string, c *ComplaintCase) error {
	if !t.begin(Complaints, customer) {
		return t.err
	}
	t.text(c.ID)
	t.text(customer)
	t.occurred("opened_at", c.At)
	t.text(c.Category)
	t.amount(c.Severity, c.HasSeverity)
	t.text(c.Channel)
	t.time(c.ResolvedAt)
	t.amount(c.Satisfaction, c.HasSatisfaction)
	t.recorded("recorded_at", c.Recorded, c.At)
	t.later("resolved_recorded_at", c.ResolvedKnown, c.ResolvedAt, c.Recorded)
	return t.end()
}

// WritePayment writes a row of the payments table. A row has one status, so a
// payment that failed and was refunded in the end takes two rows with the same
// id. When a failure or refund became known is not among the columns: one that
// became known after it happened is an error.
func (t *Writer) WritePayment(customer string, p *PaymentCase) error {
	status, at, known := "paid", Never, Never
	switch {
	case p.FailedAt != Never:
		status, at, known = "failed", p.FailedAt, p.FailedKnown
	case p.RefundedAt != Never:
		status, at, known = "refunded", p.RefundedAt, p.RefundedKnown
	case p.PaidAt == Never:
		status = "open"
	}
	if err := t.payment(customer, p, status, at, known); err != nil {
		return err
	}
	if p.FailedAt != Never && p.RefundedAt != Never {
		return t.payment(customer, p, "refunded", p.RefundedAt, p.RefundedKnown)
	}
	return nil
}

func (t *Writer) payment(customer string, p *PaymentCase, status string, at, known Time) error {
	if !t.begin(Payments, customer) {
		return t.err
	}
	t.text(p.ID)
	t.text(customer)
	t.occurred("due_at", p.At)
	t.amount(p.Amount, true)
	t.text(p.Currency)
	t.text(status)
	t.time(p.PaidAt)
	if known != at {
		t.fail("status_at", "known at another time than it happened, which the table cannot say")
	}
	t.time(at)
	t.recorded("recorded_at", p.Recorded, p.At)
	t.later("paid_recorded_at", p.PaidKnown, p.PaidAt, p.Recorded)
	return t.end()
}

// WriteContact writes a row of the contacts table. The id may be empty.
func (t *Writer) WriteContact(id, customer string, c *ContactEvent) error {
	if !t.begin(Contacts, customer) {
		return t.err
	}
	t.text(id)
	t.text(customer)
	t.occurred("occurred_at", c.At)
	t.text(c.Action)
	t.text(c.Channel)
	t.amount(c.Cost, true)
	t.text(c.Arm)
	t.text(c.Outcome)
	t.recorded("recorded_at", c.Recorded, c.At)
	return t.end()
}

// WriteAttribute writes a row of the attributes table. The id may be empty.
func (t *Writer) WriteAttribute(id, customer string, c *AttributeChange) error {
	if !t.begin(Attributes, customer) {
		return t.err
	}
	if c.Name != t.attributes[0] {
		t.fail(c.Name, "no such column: a file is of one attribute")
	}
	t.text(id)
	t.text(customer)
	t.occurred("valid_from", c.At)
	if c.Recorded < c.At { // known ahead
		t.time(c.Recorded)
	} else {
		t.recorded("recorded_at", c.Recorded, c.At)
	}
	t.text(c.Value)
	return t.end()
}

// Flush writes what is buffered and returns the first error of the Writer.
func (t *Writer) Flush() error {
	if t.err == nil {
		t.err = t.w.Flush()
	}
	return t.err
}

// Err returns the first error of the Writer without writing anything out.
func (t *Writer) Err() error { return t.err }

// begin starts a row, unless an earlier one failed.
func (t *Writer) begin(s Stream, customer string) bool {
	t.row = t.row[:0]
	if t.err == nil && s != t.stream {
		t.err = fmt.Errorf("write %s: row of table %s", t.stream, s)
	}
	if t.err == nil && customer == "" {
		t.fail("customer_id", "empty")
	}
	return t.err == nil
}

// end writes the row out, unless something is wrong with it.
func (t *Writer) end() error {
	if t.err != nil {
		return t.err
	}
	t.row[len(t.row)-1] = '\n' // in place of the last comma
	if _, err := t.w.Write(t.row); err != nil {
		t.err = err
	}
	t.rows++
	return t.err
}

func (t *Writer) fail(field, reason string) {
	if t.err == nil {
		t.err = fmt.Errorf("write %s: row %d: %w", t.stream, t.rows+1, &FieldError{field, reason})
	}
}

// text appends a cell, quoted where RFC 4180 asks for it.
func (t *Writer) text(s string) {
	if !quoted(s) {
		t.row = append(append(t.row, s...), ',')
		return
	}
	t.row = append(t.row, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			t.row = append(t.row, '"')
		}
		t.row = append(t.row, s[i])
	}
	t.row = append(t.row, '"', ',')
}

func quoted(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',', '"', '\n', '\r':
			return true
		}
	}
	// Some readers cut a space off the beginning or end of a bare cell.
	return s != "" && (s[0] == ' ' || s[len(s)-1] == ' ')
}

func (t *Writer) time(at Time) {
	if at != Never {
		t.row = at.Time().AppendFormat(t.row, time.RFC3339Nano)
	}
	t.row = append(t.row, ',')
}

// occurred appends the time of the first phase, which every row has.
func (t *Writer) occurred(field string, at Time) {
	if at == Never || at < minTime || at >= maxTime {
		t.fail(field, "missing or out of range")
		return
	}
	t.time(at)
}

func (t *Writer) recorded(field string, known, at Time) {
	switch {
	case known == at:
		known = Never
	case known == Never || known < at:
		t.fail(field, "missing, or earlier than what it records")
	}
	t.time(known)
}

// later appends when a second phase became known. It is left empty only where
// the time of occurrence is the whole truth: not before the first phase was
// known.
func (t *Writer) later(field string, known, at, first Time) {
	switch {
	case at == Never:
		known = Never
	case known == Never || known < at:
		t.fail(field, "missing, or earlier than what it records")
	case known == at && at >= first:
		known = Never
	}
	t.time(known)
}

func (t *Writer) amount(a Amount, given bool) {
	if given {
		t.row = appendAmount(t.row, a)
	}
	t.row = append(t.row, ',')
}

// appendAmount appends what Amount.String returns.
func appendAmount(dst []byte, a Amount) []byte {
	u := uint64(a)
	if a < 0 {
		dst, u = append(dst, '-'), -u
	}
	dst = strconv.AppendUint(dst, u/uint64(Unit), 10)
	part := u % uint64(Unit)
	if part == 0 {
		return dst
	}
	dst = append(dst, '.')
	for scale := uint64(Unit) / 10; part > 0; scale /= 10 {
		dst = append(dst, byte('0'+part/scale))
		part %= scale
	}
	return dst
}
