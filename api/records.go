package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
)

// A record is a row of one of the input tables as a JSON object, with the
// columns of the table and the type of the row. What a row means is for
// package event alone: a record is checked for the kinds of its values here
// and then read by an event.Reader.

// recordTypes names the tables by their rows.
var recordTypes = map[string]event.Stream{
	"customer":   event.Customers,
	"engagement": event.Engagements,
	"complaint":  event.Complaints,
	"payment":    event.Payments,
	"contact":    event.Contacts,
	"attribute":  event.Attributes,
}

const recordTypeNames = "customer, engagement, complaint, payment, contact, attribute"

// columnKind is what a column of a table holds.
type columnKind uint8

const (
	textColumn columnKind = iota
	idColumn
	timeColumn
	amountColumn
)

var columnKinds = map[string]columnKind{
	"customer_id": idColumn, "event_id": idColumn,
	"signed_up_at": timeColumn, "churned_at": timeColumn, "occurred_at": timeColumn, "opened_at": timeColumn,
	"resolved_at": timeColumn, "due_at": timeColumn, "paid_at": timeColumn, "status_at": timeColumn,
	"valid_from": timeColumn, "recorded_at": timeColumn, "resolved_recorded_at": timeColumn, "paid_recorded_at": timeColumn,
	"value": amountColumn, "severity": amountColumn, "satisfaction": amountColumn, "amount": amountColumn,
	"cost": amountColumn, "resolved_after_hours": amountColumn,
}

// attributesField holds attributes, which are columns of their own in a file.
const attributesField = "attributes"

// record is one record on its way to the store.
type record struct {
	at       string // pointer to it
	stream   event.Stream
	cells    map[string]any // text or jsontext.Value of a number, by column
	times    map[string]event.Time
	customer *event.Customer
	events   []event.Event
	errors   []FieldError
}

func (r *record) add(column, reason string) {
	at := r.at
	if column != "" {
		at = pointer(at, column)
	}
	if len(r.errors) < maxFieldErrors {
		r.errors = append(r.errors, FieldError{short(at), reason})
	}
}

// newRecord reads the object at a place. customer, unless empty, is whose
// record it must be. What is wrong with it is in its errors.
func newRecord(at string, v jsontext.Value, customer string) *record {
	r := &record{at: at, cells: map[string]any{}, times: map[string]event.Time{}}
	var in input
	defer func() { r.errors = append(in.errors, r.errors...) }()
	list, ok := in.members(at, v)
	if !ok {
		return r
	}
	i := slices.IndexFunc(list, func(m member) bool { return m.name == "type" })
	if i < 0 {
		in.add(pointer(at, "type"), "missing: use one of %s", recordTypeNames)
		return r
	}
	var name string
	in.text(&name)(pointer(at, "type"), list[i].value)
	if r.stream, ok = recordTypes[name]; !ok {
		if len(in.errors) == 0 {
			in.add(pointer(at, "type"), "unknown: use one of %s", recordTypeNames)
		}
		return r
	}
	columns := event.Columns(r.stream)
	for _, m := range list {
		at := pointer(at, m.name)
		switch {
		case m.name == "type" || m.value.Kind() == 'n': // null is not given
		case m.name == attributesField && (r.stream == event.Customers || r.stream == event.Attributes):
			r.attributes(&in, at, m.value)
		case r.stream == event.Customers && m.name == "consent":
			r.consent(&in, at, m.value)
		case slices.Contains(columns, m.name):
			r.cell(&in, at, m)
		default:
			if r.stream == event.Attributes {
				columns = append(columns, attributesField)
			}
			in.add(at, "unknown field: a record of type %s has %s", name, strings.Join(columns, ", "))
		}
	}
	if customer != "" {
		if own, given := r.cells["customer_id"]; given && own != customer {
			in.add(pointer(at, "customer_id"), "is of another customer than the request")
		}
		r.cells["customer_id"] = customer
	}
	if r.stream == event.Customers && len(in.errors) == 0 {
		r.complete()
	}
	return r
}

// cell reads a value by the kind of its column.
func (r *record) cell(in *input, at string, m member) {
	switch columnKinds[m.name] {
	case idColumn:
		var s string
		if in.id(&s)(at, m.value); s != "" {
			r.cells[m.name] = s
		}
	case timeColumn:
		t := event.Never
		if in.time(&t)(at, m.value); t != event.Never {
			r.times[m.name] = t
			r.cells[m.name] = t.String()
		}
	case amountColumn:
		var a event.Amount
		in.amount(&a)(at, m.value)
		r.cells[m.name] = m.value // the digits as they were sent
	default:
		var s string
		in.text(&s)(at, m.value)
		if strings.TrimSpace(s) != s {
			in.add(at, "begins or ends with a space")
		}
		if s != "" {
			r.cells[m.name] = s
		}
	}
}

// attributes reads an object of texts, numbers, true and false. Of a customer
// null and the empty text are not given, as in a file; in the attributes table
// they withdraw, and the names stand beside those of its columns.
func (r *record) attributes(in *input, at string, v jsontext.Value) {
	list, ok := in.members(at, v)
	if !ok {
		return
	}
	values := make(map[string]string, len(list))
	for _, m := range list {
		at := pointer(at, m.name)
		text, reason := scalar(m.value)
		switch {
		case reason != "":
			in.add(at, "%s", reason)
		case idProblem(m.name) != "":
			in.add(at, "the name: %s", idProblem(m.name))
		case r.stream == event.Attributes && slices.Contains(event.Columns(r.stream), m.name):
			in.add(at, "the name: is that of a field of the record")
		case r.stream == event.Attributes:
			r.cells[m.name] = text
		case text != "":
			values[m.name] = text
		}
	}
	if r.stream == event.Attributes {
		return
	}
	r.cells[attributesField] = values
}

// scalar is the text of a string, a number, true, false, or null (empty).
func scalar(v jsontext.Value) (text, reason string) {
	switch v.Kind() {
	case '"':
		if text = unquote(v); len(text) > event.MaxTextLength {
			return "", fmt.Sprintf("longer than %d bytes", event.MaxTextLength)
		}
		return text, ""
	case '0', 't', 'f':
		if len(v) > 64 {
			return "", "a number with more than 64 digits"
		}
		return string(v), ""
	case 'n':
		return "", ""
	}
	return "", "must be a string, a number, true, false or null"
}

// consent reads an array of texts; an empty one is consent to nothing.
func (r *record) consent(in *input, at string, v jsontext.Value) {
	var list []jsontext.Value
	in.array(&list)(at, v)
	if list == nil {
		return
	}
	items := make([]string, 0, len(list))
	for i, e := range list {
		var s string
		in.id(&s)(element(at, i), e)
		items = append(items, s)
	}
	r.cells["consent"] = items
}

// complete makes the customer of a record.
func (r *record) complete() {
	at := func(column string) event.Time {
		if t, ok := r.times[column]; ok {
			return t
		}
		return event.Never
	}
	c := event.Customer{SignedUpAt: at("signed_up_at"), ChurnedAt: at("churned_at")}
	c.ID, _ = r.cells["customer_id"].(string)
	c.ChurnReason, _ = r.cells["churn_reason"].(string)
	c.Attributes, _ = r.cells[attributesField].(map[string]string)
	c.Consent, _ = r.cells["consent"].([]string)
	if err := c.Validate(); err != nil {
		r.refuse(err)
		return
	}
	r.customer = &c
}

// refuse notes an error of package event.
func (r *record) refuse(err error) {
	var fe *event.FieldError
	var re *event.RowError
	switch {
	case errors.As(err, &re) && r.stream == event.Attributes && re.Column != "" && !slices.Contains(event.Columns(r.stream), re.Column):
		r.errors = append(r.errors, FieldError{short(pointer(pointer(r.at, attributesField), re.Column)), re.Reason})
	case errors.As(err, &re):
		r.add(re.Column, re.Reason)
	case errors.As(err, &fe):
		r.add(fe.Field, fe.Reason)
	default:
		r.add("", "cannot be read")
	}
}

// rowMapping reads what cell has written.
var rowMapping = event.Mapping{Format: "ndjson", TimeFormat: time.RFC3339Nano}

// interpret makes events of records. All records of a table are read as one
// file, so that equal ones without an id are told apart by their order.
func interpret(records []*record) error {
	for _, stream := range event.Streams() {
		var rows []*record
		var file bytes.Buffer
		for _, r := range records {
			if stream == event.Customers || r.stream != stream || len(r.errors) > 0 {
				continue
			}
			line, err := json.Marshal(r.cells, json.Deterministic(true))
			if err != nil {
				return err
			}
			file.Write(line)
			file.WriteByte('\n')
			rows = append(rows, r)
		}
		if len(rows) == 0 {
			continue
		}
		rd, err := event.NewReader(&file, stream.String(), stream, rowMapping)
		if err != nil {
			return err
		}
		for _, r := range rows {
			rec, err := rd.Read()
			var bad *event.RowError
			switch {
			case errors.As(err, &bad):
				r.refuse(bad)
			case err == io.EOF:
				return io.ErrUnexpectedEOF
			case err != nil:
				return err
			case rec.Untimed:
				r.add("", "a status or satisfaction needs the time at which it was reached: give paid_at, status_at or resolved_at")
			default:
				r.events = rec.Events
			}
		}
	}
	return nil
}

// maxAhead is how far the clocks of callers may be ahead of ours.
const maxAhead = 5 * event.Minute

// receive sets when the phases of a record became known, by its own columns or
// else now, and refuses what lies in the future, but for what may be known
// ahead.
func (r *record) receive(now event.Time) {
	latest := now.Add(maxAhead)
	for _, column := range event.Columns(r.stream) {
		t, given := r.times[column]
		if given && t > latest && column != "due_at" && column != "valid_from" && r.stream != event.Customers {
			r.add(column, "lies in the future: check the time zone")
		}
	}
	row, given := r.times["recorded_at"]
	for i := range r.events {
		e := &r.events[i]
		own, ok := r.times[recordedColumn(e.Type)]
		switch {
		case ok:
			e.Recorded = own
		case given && row >= e.At: // the row was sent with this phase in it
			e.Recorded = row
		case e.Type.Ahead():
			e.Recorded = now
		default:
			e.Recorded = max(now, e.At)
		}
		if !e.Type.Ahead() && e.At > latest && len(r.errors) == 0 { // resolved_after_hours
			r.add("", "lies in the future: check the time zone")
		}
	}
}

// recordedColumn says which column tells when a phase became known.
func recordedColumn(t event.Type) string {
	switch t {
	case event.ComplaintResolved:
		return "resolved_recorded_at"
	case event.PaymentPaid:
		return "paid_recorded_at"
	case event.PaymentFailed, event.PaymentRefunded:
		return "" // has none
	}
	return "recorded_at"
}
