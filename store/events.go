package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"churn/event"
)

// Result is what became of one item of a write.
type Result struct {
	// Status is event.Stored, event.Duplicate (there already, the same),
	// event.Corrected (another version of what is there), event.Cancelled,
	// event.Conflict (there already with another body, and no correction;
	// nothing changed) or event.Refused (of a customer who was erased).
	Status event.Status
	// Differs names the fields in which a conflicting item differs from what
	// is kept, without their values.
	Differs []string
}

// Append keeps events, all or none, and returns one result an event once they
// are committed. The identity of an event is its ID and Type; event.Revise says
// what becomes of one that is there already. An invalid event is an error, and
// then nothing is kept.
//
// Calls that wait at the same time share a transaction. When ctx ends before
// the transaction has begun, nothing is kept.
func (db *DB) Append(ctx context.Context, events []event.Event) ([]Result, error) {
	for i := range events {
		if err := events[i].Validate(); err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(events), err)
		}
	}
	results := make([]Result, len(events))
	if len(events) == 0 {
		return results, nil
	}
	err := db.write(ctx, &job{rows: len(events), run: func(t *tx) error {
		for i := range events {
			r, err := t.append(&events[i])
			if err != nil {
				return err
			}
			results[i] = r
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return results, nil
}

func (t *tx) append(e *event.Event) (Result, error) {
	erased, err := t.erased(e.Customer)
	if err != nil {
		return Result{}, err
	}
	if erased {
		return Result{Status: event.Refused}, nil
	}
	if e.Cancelled {
		return t.revise(e, nil)
	}
	done, err := t.hot.Exec(insertEvent, e.Customer, int64(e.At), e.ID, int64(e.Type), int64(e.Recorded),
		e.Kind, e.Channel, valueOf(e), e.Arm, e.Outcome)
	if err != nil {
		return Result{}, err
	}
	if n, err := done.RowsAffected(); err != nil {
		return Result{}, err
	} else if n == 1 {
		void, err := t.cancelled(e)
		if void {
			return Result{Status: event.Cancelled}, err
		}
		return Result{Status: event.Stored}, err
	}
	kept, err := scanEvent(t.hot.QueryRow(eventByKey, e.ID, int64(e.Type)))
	if err != nil {
		return Result{}, err
	}
	if (kept.Recorded == e.Recorded || e.Arrived) && len(e.Differs(&kept)) == 0 {
		return Result{Status: event.Duplicate}, nil
	}
	return t.revise(e, &kept)
}

// scanner is a row, alone or of many.
type scanner interface{ Scan(...any) error }

func scanEvent(row scanner) (event.Event, error) {
	var e event.Event
	var value sql.NullInt64
	err := row.Scan(&e.Customer, (*int64)(&e.At), &e.ID, (*uint8)(&e.Type), (*int64)(&e.Recorded),
		&e.Kind, &e.Channel, &value, &e.Arm, &e.Outcome)
	e.Value, e.HasValue = event.Amount(value.Int64), value.Valid
	return e, err
}

// Events returns the events of a customer ordered by time of occurrence, id,
// type and time of recording, every version of those that were corrected. Of an
// unknown customer it returns none.
func (db *DB) Events(ctx context.Context, customerID string) ([]event.Event, error) {
	_, events, err := db.history(ctx, customerID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return events, err
}

// Sink returns the database as the sink of event.Import.
func (db *DB) Sink() event.Sink { return sink{db} }

type sink struct{ db *DB }

func (s sink) Append(ctx context.Context, events []event.Event) ([]event.Status, error) {
	return statuses(s.db.Append(ctx, events))
}

func (s sink) PutCustomers(ctx context.Context, customers []event.Customer) ([]event.Status, error) {
	return statuses(s.db.PutCustomers(ctx, customers))
}

func statuses(results []Result, err error) ([]event.Status, error) {
	if err != nil {
		return nil, err
	}
	s := make([]event.Status, len(results))
	for i, r := range results {
		s[i] = r.Status
	}
	return s, nil
}
