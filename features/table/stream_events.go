package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"churn/event"
)

// Columns of a stream of events. Those of which none is required may be absent.
const (
	colCustomer = iota
	colType
	colEvent
	colAt
	colRecorded
	colKind
	colChannel
	colValue
	colArm
	colOutcome
	colSignedUp
	colChurned
	colReason
	colAttributes
)

var streamColumns = [...]streamColumn{
	colCustomer:   {name: "customer_id"},
	colType:       {name: "type"},
	colEvent:      {name: "event_id"},
	colAt:         {name: "occurred_at", kind: streamTime},
	colRecorded:   {name: "recorded_at", kind: streamTime},
	colKind:       {name: "kind"},
	colChannel:    {name: "channel"},
	colValue:      {name: "value", kind: streamAmount},
	colArm:        {name: "arm"},
	colOutcome:    {name: "outcome"},
	colSignedUp:   {name: "signed_up_at", kind: streamTime},
	colChurned:    {name: "churned_at", kind: streamTime},
	colReason:     {name: "churn_reason"},
	colAttributes: {name: "attributes", kind: streamTexts},
}

// customerType is the type of a row that is no event.
const customerType = "customer"

// StreamCounts says what became of the rows of a stream.
type StreamCounts struct {
	Rows      int `json:"rows"`
	Customers int `json:"customers"`
	// Stored, Duplicate and Conflict are as of an import, of events and of
	// records of customers.
	Stored    int `json:"stored"`
	Duplicate int `json:"duplicate"`
	Conflict  int `json:"conflict"`
	// Orphans are second phases without the first.
	Orphans int `json:"orphans"`
}

// EventStream reads histories from a stream of Arrow in which every row is an
// event, or what is known of a customer, sorted by customer and time. It holds
// one batch and one customer.
type EventStream struct {
	name     string
	in       *messages
	r        *ipc.Reader
	columns  [len(streamColumns)]streamColumn
	max      int
	counts   StreamCounts
	row      int // of the batch, from 0
	customer event.Customer
	begun    bool       // the customer is at hand, and not gone
	known    bool       // whether the customer has a record
	last     event.Time // of an event of the customer
	events   []event.Event
	at       map[identity]int
	unnamed  map[string]uint64 // rows without an id, by their content
	words    map[string]string
}

// identity is that of an event.
type identity struct {
	id string
	of event.Type
}

// DefaultMaxEvents is how many events of one customer are held at most.
const DefaultMaxEvents = 1 << 20

// NewEventStream prepares to read a stream, and reads nothing yet. A customer of
// more events than maxEvents is an error.
func NewEventStream(name string, in io.Reader, maxEvents int) *EventStream {
	return &EventStream{name: name, columns: streamColumns, max: maxEvents, at: map[identity]int{},
		unnamed: map[string]uint64{}, words: map[string]string{},
		in: &messages{in: in, memory: &bounded{Allocator: memory.NewGoAllocator()}}}
}

// open reads the schema.
func (s *EventStream) open() (err error) {
	defer s.damaged(&err)
	if s.r, err = ipc.NewReaderFromMessageReader(s.in, ipc.WithAllocator(s.in.memory)); err != nil {
		return fmt.Errorf("%s: %w", s.name, cmp.Or(s.in.failed, err))
	}
	return s.schema(s.r.Schema())
}

func (s *EventStream) schema(schema *arrow.Schema) error {
	var names []string
	for i := range s.columns {
		s.columns[i].index = -1
		names = append(names, s.columns[i].name)
	}
	for i, f := range schema.Fields() {
		k := slices.Index(names, f.Name)
		if k < 0 {
			return fmt.Errorf("%s: column %.80q is not known: leave it out; there are %s", s.name, f.Name, Names(names))
		}
		c := &s.columns[k]
		switch {
		case c.index >= 0:
			return fmt.Errorf("%s: column %q is there twice", s.name, f.Name)
		case !c.kind.takes(f.Type):
			return fmt.Errorf("%s: column %q is of type %s: make it %s", s.name, f.Name, f.Type, c.kind.expected())
		}
		c.index = i
	}
	for _, k := range []int{colCustomer, colType, colAt} {
		if s.columns[k].index < 0 {
			return fmt.Errorf("%s: no column %q", s.name, s.columns[k].name)
		}
	}
	return nil
}

// Counts says what was read so far.
func (s *EventStream) Counts() StreamCounts { return s.counts }

// Timelines calls fn with the history of every customer, in the order of the
// stream, and once only. The first error of fn ends the reading and is returned
// as it is; so does the first row that is not as it should be.
func (s *EventStream) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	if err := s.open(); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := s.batch()
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		if rows < 0 {
			return s.finish(fn)
		}
		for s.row = 0; s.row < rows; {
			fresh, err := s.rows(rows)
			if err != nil {
				return err
			}
			if fresh {
				if err := s.finish(fn); err != nil {
					return err
				}
			}
		}
	}
}

// batch reads the next one and returns how many rows it has, -1 at the end.
func (s *EventStream) batch() (rows int, err error) {
	defer s.damaged(&err)
	b, err := s.r.Read()
	if err == io.EOF {
		return -1, nil
	}
	if err != nil {
		switch {
		case s.in.failed != nil:
			err = s.in.failed
		case errors.Is(err, errUnpacked):
			err = errUnpacked
		default:
			err = fmt.Errorf("damaged: %w", err)
		}
		return 0, fmt.Errorf("%s: batch %d: %w", s.name, s.in.batch, err)
	}
	for i := range s.columns {
		if c := &s.columns[i]; c.index >= 0 {
			c.set(b.Column(c.index))
		}
	}
	return int(b.NumRows()), nil
}

// rows takes those of the customer at hand, and tells whether one of another
// customer follows.
func (s *EventStream) rows(rows int) (fresh bool, err error) {
	defer s.damaged(&err)
	for ; s.row < rows; s.row++ {
		id := s.columns[colCustomer].text(s.row)
		if id != s.customer.ID || id == "" {
			if err := event.CheckID("customer_id", id); err != nil {
				return false, s.refuse(colCustomer, err)
			}
			if id < s.customer.ID {
				return false, s.fail(colCustomer, "not in order, or a customer who was there before: sort the rows by the bytes of customer_id")
			}
			if s.begun {
				return true, nil
			}
			s.begun, s.known, s.last = true, false, event.Time(firstTime)
			s.customer = event.Customer{ID: strings.Clone(id), SignedUpAt: event.Never, ChurnedAt: event.Never}
		}
		if err := s.take(); err != nil {
			return false, err
		}
		s.counts.Rows++
	}
	return false, nil
}

// damaged makes an error of a panic about a batch whose columns are not what
// the library takes them for.
func (s *EventStream) damaged(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%s: batch %d: damaged: %v", s.name, s.in.batch, v)
	}
}

func (s *EventStream) fail(column int, why string) error {
	return fmt.Errorf("%s: batch %d, row %d: column %q: %s", s.name, s.in.batch, s.row+1, s.columns[column].name, why)
}

// refuse tells of a value that package event does not take.
func (s *EventStream) refuse(column int, err error) error {
	var f *event.FieldError
	if !errors.As(err, &f) {
		return s.fail(column, err.Error())
	}
	return s.fail(column, f.Reason)
}
