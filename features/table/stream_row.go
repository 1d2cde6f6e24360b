package table

import (
	"fmt"
	"slices"
	"strings"

	"churn/event"
)

// eventTypes are those of package event, by name.
var eventTypes = func() map[string]event.Type {
	types := map[string]event.Type{}
	for t := event.Type(1); t.Stream() != 0; t++ {
		types[t.String()] = t
	}
	return types
}()

// Columns that a row of a stream may have beside those that all have. A value
// where it means nothing is an error: else it would be lost without a word.
var (
	eventFields  = []int{colEvent, colAt, colRecorded, colKind, colValue}
	recordFields = []int{colSignedUp, colChurned, colReason, colAttributes}
	streamFields = map[event.Stream][]int{
		event.Complaints: {colChannel},
		event.Contacts:   {colChannel, colArm, colOutcome},
		event.Attributes: {colOutcome},
	}
)

// strange lists, for each type, the columns that must be null.
var strange = func() map[string][]int {
	out := map[string][]int{}
	add := func(name string, fields ...int) {
		for k := range streamColumns {
			if k != colCustomer && k != colType && !slices.Contains(fields, k) {
				out[name] = append(out[name], k)
			}
		}
	}
	add(customerType, recordFields...)
	for name, t := range eventTypes {
		add(name, slices.Concat(eventFields, streamFields[t.Stream()])...)
		if t == event.AttributeSet {
			out[name] = append(out[name], colValue) // what it is set to is a text
		}
	}
	return out
}()

// take adds the row to the customer.
func (s *EventStream) take() error {
	name := s.columns[colType].text(s.row)
	none, known := strange[name]
	if !known {
		if name == "" {
			return s.fail(colType, "missing")
		}
		return s.fail(colType, "unknown: use "+strings.Join(typeNames(), ", "))
	}
	for _, k := range none {
		if !s.columns[k].null(s.row) {
			return s.fail(k, "not null in a row of type "+name+", which has no such thing")
		}
	}
	if name == customerType {
		return s.record()
	}
	return s.event(eventTypes[name])
}

func typeNames() []string {
	names := []string{customerType}
	for t := event.Type(1); t.Stream() != 0; t++ {
		names = append(names, t.String())
	}
	return names
}

// record takes what is known of the customer.
func (s *EventStream) record() (err error) {
	c := event.Customer{ID: s.customer.ID, ChurnReason: strings.Clone(s.columns[colReason].text(s.row))}
	if c.SignedUpAt, err = s.columns[colSignedUp].time(s.row); err != nil {
		return s.fail(colSignedUp, err.Error())
	}
	if c.ChurnedAt, err = s.columns[colChurned].time(s.row); err != nil {
		return s.fail(colChurned, err.Error())
	}
	if c.Attributes, err = s.columns[colAttributes].pairs(s.row); err != nil {
		return s.fail(colAttributes, err.Error())
	}
	if err := c.Validate(); err != nil {
		return s.invalid(colAttributes, err)
	}
	if s.known {
		s.count(s.customer.Merge(&c))
		return nil
	}
	s.known, s.customer = true, c
	s.counts.Stored++
	return nil
}

// event takes an event, unless one of its identity is there already.
func (s *EventStream) event(of event.Type) (err error) {
	e := event.Event{Customer: s.customer.ID, Type: of, Kind: s.word(colKind), Channel: s.word(colChannel),
		Arm: s.word(colArm), Outcome: s.word(colOutcome)}
	if e.At, err = s.columns[colAt].time(s.row); err != nil {
		return s.fail(colAt, err.Error())
	}
	if e.At == event.Never {
		return s.fail(colAt, "null: it says when it happened")
	}
	if e.Recorded, err = s.columns[colRecorded].time(s.row); err != nil {
		return s.fail(colRecorded, err.Error())
	}
	if e.Recorded == event.Never {
		e.Recorded = e.At
	}
	if e.Value, e.HasValue, err = s.columns[colValue].amount(s.row); err != nil {
		return s.fail(colValue, err.Error())
	}
	if e.At < s.last {
		return s.fail(colAt, "earlier than in a row before of the same customer: sort the rows by customer_id and occurred_at")
	}
	s.last = e.At
	switch e.ID = strings.Clone(s.columns[colEvent].text(s.row)); {
	case e.ID != "":
	case of == event.AttributeSet: // set twice to the same is set once
		e.ID = event.ContentID(&e, 0)
	case of == event.Engagement || of == event.Contact || of == event.PaymentPaid:
		// As an import does: rows that are the same are as many events.
		e.ID = event.ContentID(&e, 0)
		n := s.unnamed[e.ID]
		if s.unnamed[e.ID] = n + 1; n > 0 {
			e.ID = event.ContentID(&e, n)
		}
	default:
		return s.fail(colEvent, "null: it holds the phases of a complaint or payment together")
	}
	if err := e.Validate(); err != nil {
		return s.invalid(colEvent, err)
	}
	if kept, there := s.at[identity{e.ID, of}]; there {
		status := event.Duplicate
		if len(e.Differs(&s.events[kept])) > 0 {
			status = event.Conflict
		}
		s.count(status)
		return nil
	}
	if len(s.events) >= s.max {
		return s.fail(colCustomer, fmt.Sprintf("more than %d events of one customer: is it one? Allow more if there is memory for it", s.max))
	}
	s.at[identity{e.ID, of}] = len(s.events)
	s.events = append(s.events, e)
	s.count(event.Stored)
	return nil
}

func (s *EventStream) count(status event.Status) {
	switch status {
	case event.Stored:
		s.counts.Stored++
	case event.Duplicate:
		s.counts.Duplicate++
	default:
		s.counts.Conflict++
	}
}

// word is a text of which there are few; the same is kept once.
func (s *EventStream) word(column int) string {
	text := s.columns[column].text(s.row)
	if text == "" {
		return ""
	}
	kept, ok := s.words[text]
	if !ok {
		if len(s.words) >= 1<<14 {
			clear(s.words)
		}
		kept = strings.Clone(text)
		s.words[kept] = kept
	}
	return kept
}

// invalid tells of a field of package event by the column it came from.
func (s *EventStream) invalid(otherwise int, err error) error {
	f, ok := err.(*event.FieldError)
	if !ok {
		return s.fail(otherwise, err.Error())
	}
	column, reason := otherwise, f.Field+": "+f.Reason
	late := strings.HasPrefix(f.Reason, "earlier than ")
	for k := range s.columns {
		if s.columns[k].name == f.Field {
			column, reason = k, f.Reason
		}
	}
	switch f.Field {
	case "opened_at", "resolved_at", "due_at", "paid_at", "status_at", "valid_from":
		column, reason = colAt, f.Reason
	case "resolved_recorded_at", "paid_recorded_at":
		column, reason = colRecorded, f.Reason
	case "category", "currency", "action", "attribute":
		column, reason = colKind, f.Reason
	case "severity", "satisfaction", "amount", "cost":
		column, reason = colValue, f.Reason
	}
	if late && column != colChurned {
		column, reason = colRecorded, "earlier than occurred_at: nothing can be known before it happened"
	}
	return s.fail(column, reason)
}

// finish hands over the customer at hand, if there is one.
func (s *EventStream) finish(fn func(*event.Timeline) error) error {
	if !s.begun {
		return nil
	}
	tl := event.NewTimeline(s.customer, s.events)
	s.begun = false
	s.counts.Customers++
	s.counts.Orphans += tl.Orphans
	s.events = s.events[:0]
	if len(s.at) > 1<<12 { // an empty map is as slow to clear as it was large
		s.at, s.unnamed = map[identity]int{}, map[string]uint64{}
	}
	clear(s.at)
	clear(s.unnamed)
	return fn(tl)
}
