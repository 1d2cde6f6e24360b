package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Stream is one of the streams of events, and the name of its input table.
type Stream uint8

// The input tables. Customers is a table but not a stream of events.
const (
	Customers Stream = iota
	Engagements
	Complaints
	Payments
	Contacts
	Attributes
)

var streamNames = [...]string{"customers", "engagement", "complaints", "payments", "contacts", "attributes"}

// Streams lists the tables in the order in which they are imported.
func Streams() []Stream {
	return []Stream{Customers, Engagements, Complaints, Payments, Contacts, Attributes}
}

func (s Stream) String() string {
	if int(s) < len(streamNames) {
		return streamNames[s]
	}
	return fmt.Sprintf("stream(%d)", uint8(s))
}

// ParseStream reads the name of a table.
func ParseStream(name string) (Stream, error) {
	for i, n := range streamNames {
		if n == name {
			return Stream(i), nil
		}
	}
	return 0, fmt.Errorf("unknown table %q: use one of %s", name, strings.Join(streamNames[:], ", "))
}

// Type says which phase of which stream an event is.
type Type uint8

// The values are stored in databases: append only.
const (
	Engagement        Type = 1
	ComplaintOpened   Type = 2
	ComplaintResolved Type = 3
	PaymentDue        Type = 4
	PaymentPaid       Type = 5
	PaymentFailed     Type = 6
	PaymentRefunded   Type = 7
	Contact           Type = 8
	AttributeSet      Type = 9
)

var typeTable = [...]struct {
	name   string
	stream Stream
}{
	Engagement:        {"engagement", Engagements},
	ComplaintOpened:   {"complaint_opened", Complaints},
	ComplaintResolved: {"complaint_resolved", Complaints},
	PaymentDue:        {"payment_due", Payments},
	PaymentPaid:       {"payment_paid", Payments},
	PaymentFailed:     {"payment_failed", Payments},
	PaymentRefunded:   {"payment_refunded", Payments},
	Contact:           {"contact", Contacts},
	AttributeSet:      {"attribute_set", Attributes},
}

// String returns a name such as complaint_opened.
func (t Type) String() string {
	if int(t) < len(typeTable) && t != 0 {
		return typeTable[t].name
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Stream returns the stream the type belongs to.
func (t Type) Stream() Stream {
	if int(t) < len(typeTable) {
		return typeTable[t].stream
	}
	return 0
}

// Ahead tells whether events of the type may be known before they happen: what
// will be due, or what an attribute will be.
func (t Type) Ahead() bool { return t == PaymentDue || t == AttributeSet }

// Event is one phase of something that happened to a customer. ID and Type
// together are its identity: the phases of one complaint or payment share
// their ID.
type Event struct {
	ID       string
	Customer string
	Type     Type
	At       Time // when it happened
	Recorded Time // when we knew it; not before At, unless its type may be ahead

	// Kind is the kind of engagement, the category of a complaint, the
	// currency of a payment, the action of a contact, the name of an attribute.
	Kind string
	// Channel over which a complaint came or a contact was made.
	Channel string
	// Value is the value of an engagement, the severity of an opened and the
	// satisfaction of a resolved complaint, the amount of a payment, the cost
	// of a contact. HasValue tells 0 from nothing given.
	Value    Amount
	HasValue bool
	// Cancelled says that the event is void since Recorded. Of the rest it has
	// ID, Customer and Type only.
	Cancelled bool
	// Arrived says that Recorded is only when it came here, for nothing said
	// when it was recorded. It is not kept.
	Arrived bool
	// Arm is given for contacts only.
	Arm string
	// Outcome is how a contact came out, and what an attribute was set to: the
	// empty text withdraws it.
	Outcome string
	// Superseded is of what comes out of a history: when a correction or
	// cancellation of it was recorded, or 0.
	Superseded Time
}

// Customer is what is known of a customer apart from events. Attributes carry
// no time of their own: they are the state at extraction, and may become
// features only where the feature set declares them immutable.
type Customer struct {
	ID          string
	SignedUpAt  Time // Never when unknown
	ChurnedAt   Time // Never for who has not left
	ChurnReason string
	Attributes  map[string]string
	// Consent lists what the customer agreed to, as purpose:channel or just
	// channel for every purpose. Nil means nothing is known, which outreach
	// treats as no consent.
	Consent []string
}

// Visible is the two-clock rule: at instant t only what happened before t and
// was known before t may be used.
func Visible(at, recorded, t Time) bool { return at < t && recorded < t }

// Stands tells whether an item that was superseded then, or never if that is 0,
// still was what was known at t.
func Stands(superseded, t Time) bool { return superseded == 0 || superseded >= t }

// Limits on texts; longer ones are errors of the row.
const (
	MaxIDLength   = 256
	MaxTextLength = 1024
	MaxAttributes = 1000
)

// Validate reports the first thing wrong with the event as a *FieldError.
func (e *Event) Validate() error { return e.validate(false) }

// validate may let pass an event that is yet to get its id.
func (e *Event) validate(unnamed bool) error {
	if err := CheckID("customer_id", e.Customer); err != nil {
		return err
	}
	if !unnamed || e.ID != "" {
		if err := CheckID("event_id", e.ID); err != nil {
			return err
		}
	}
	if int(e.Type) >= len(typeTable) || typeTable[e.Type].name == "" {
		return &FieldError{"type", fmt.Sprintf("unknown type %d", e.Type)}
	}
	entry, field := &typeTable[e.Type], &fieldTable[e.Type]
	if e.Cancelled {
		if e.Recorded < minTime || e.Recorded >= maxTime {
			return &FieldError{e.cancelColumn(), "missing or out of range"}
		}
		return nil
	}
	if e.At < minTime || e.At >= maxTime { // Never among the latter
		return &FieldError{field.at, "missing or out of range"}
	}
	if e.Recorded < minTime || e.Recorded >= maxTime {
		return &FieldError{field.recorded, "missing or out of range"}
	}
	if e.Recorded < e.At && !e.Type.Ahead() {
		return &FieldError{field.recorded, "earlier than " + field.at + ": nothing can be known before it happened"}
	}
	if entry.stream == Engagements && e.Kind == "" {
		return &FieldError{"kind", "empty: say what the customer did"}
	}
	outcome := "outcome"
	if e.Type == AttributeSet {
		if err := CheckID("attribute", e.Kind); err != nil {
			return err
		}
		outcome = e.Kind
	}
	if e.Type == PaymentDue || e.Type == PaymentPaid {
		if !e.HasValue {
			return &FieldError{"amount", "missing"}
		}
		if e.Value < 0 {
			return &FieldError{"amount", "negative: give a refund as status refunded"}
		}
	}
	if e.Value > MaxAmount || e.Value < -MaxAmount {
		return &FieldError{field.value, "out of range"}
	}
	for _, f := range [...]struct{ name, text string }{
		{field.kind, e.Kind}, {"channel", e.Channel}, {"arm", e.Arm}, {outcome, e.Outcome},
	} {
		if err := checkText(f.name, f.text); err != nil {
			return err
		}
	}
	return nil
}

// cancelColumn is the input column that says when the event was cancelled.
func (e *Event) cancelColumn() string {
	if e.Type == ComplaintResolved {
		return colResolutionCancelledAt.String()
	}
	return colCancelledAt.String()
}

// fieldTable names the input columns that the fields of an event come from.
var fieldTable = [...]struct{ at, recorded, kind, value string }{
	Engagement:        {"occurred_at", "recorded_at", "kind", "value"},
	ComplaintOpened:   {"opened_at", "recorded_at", "category", "severity"},
	ComplaintResolved: {"resolved_at", "resolved_recorded_at", "category", "satisfaction"},
	PaymentDue:        {"due_at", "recorded_at", "currency", "amount"},
	PaymentPaid:       {"paid_at", "paid_recorded_at", "currency", "amount"},
	PaymentFailed:     {"status_at", "status_at", "currency", "amount"},
	PaymentRefunded:   {"status_at", "status_at", "currency", "amount"},
	Contact:           {"occurred_at", "recorded_at", "action", "cost"},
	AttributeSet:      {"valid_from", "recorded_at", "attribute", "value"},
}

// Validate reports the first thing wrong with the customer as a *FieldError.
func (c *Customer) Validate() error {
	if err := CheckID("customer_id", c.ID); err != nil {
		return err
	}
	if c.SignedUpAt != Never && c.ChurnedAt != Never && c.ChurnedAt < c.SignedUpAt {
		return &FieldError{"churned_at", "earlier than signed_up_at"}
	}
	if err := checkText("churn_reason", c.ChurnReason); err != nil {
		return err
	}
	if len(c.Attributes) > MaxAttributes {
		return &FieldError{"attributes", fmt.Sprintf("more than %d", MaxAttributes)}
	}
	for k, v := range c.Attributes {
		if err := CheckID(k, k); err != nil {
			return err
		}
		if err := checkText(k, v); err != nil {
			return err
		}
	}
	for _, s := range c.Consent {
		if err := CheckID("consent", s); err != nil {
			return err
		}
	}
	return nil
}

// FieldError says what is wrong with one field of a record.
type FieldError struct {
	Field  string // column name of the input contract
	Reason string // what is wrong and what to do, without the value itself
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// CheckID tells whether s can identify something: not empty, valid UTF-8, no
// control or invisible characters (they make two ids that look the same), no
// surrounding space, at most MaxIDLength bytes. Databases disagree about NUL
// and bad UTF-8, so both stop here.
func CheckID(field, s string) error {
	switch {
	case s == "":
		return &FieldError{field, "empty"}
	case len(s) > MaxIDLength:
		return &FieldError{field, fmt.Sprintf("longer than %d bytes", MaxIDLength)}
	case len(trim(s)) != len(s):
		return &FieldError{field, "begins or ends with a space"}
	}
	return checkText(field, s)
}

func checkText(field, s string) error {
	if len(s) > MaxTextLength {
		return &FieldError{field, fmt.Sprintf("longer than %d bytes", MaxTextLength)}
	}
	if !isPlain(viewBytes(s)) {
		return checkRunes(field, s)
	}
	return nil
}

// isPlain tells whether a text has nothing but printable ASCII, as most do.
func isPlain(b []byte) bool {
	const ones = 0x0101010101010101
	bad := uint64(0) // the highest bit of bytes
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		bad |= w | (w + ones) | ^((w | ones<<7) - ones*' ') // from 0x80 on, 0x7f, below a space
	}
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return bad&(ones<<7) == 0
}

func checkRunes(field, s string) error {
	if !utf8.ValidString(s) {
		return &FieldError{field, "not valid UTF-8"}
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return &FieldError{field, fmt.Sprintf("contains the invisible character %U", r)}
		}
	}
	return nil
}

// ContentID derives an id for a row that has none, from what identifies its
// first phase, so that importing the same row again changes nothing. The
// ordinal numbers identical rows of one file from 0: two sign-ins noted with
// the same day are two events. An attribute that is set twice to the same is
// set once.
func ContentID(e *Event, ordinal uint64) string { return contentID(contentHash(e, ordinal)) }

func contentID(h [16]byte) string {
	var id [33]byte
	id[0] = 'c'
	hex.Encode(id[1:], h[:])
	return string(id[:])
}

func contentHash(e *Event, ordinal uint64) (head [16]byte) {
	var room [256]byte
	b := room[:0]
	for _, s := range [...]string{e.Type.Stream().String(), e.Customer, e.Kind, e.Channel, e.Arm} {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(e.At))
	if e.HasValue {
		b = binary.LittleEndian.AppendUint64(b, uint64(e.Value))
	}
	b = binary.LittleEndian.AppendUint64(b, ordinal)
	if e.Type == AttributeSet {
		b = append(b, e.Outcome...)
	}
	sum := sha256.Sum256(b)
	copy(head[:], sum[:])
	return head
}
