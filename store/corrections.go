package store

import (
	"database/sql"
	"errors"

	"churn/event"
)

// revise keeps a version of an event that is not the first to come, or a
// cancellation. kept is the version that came first, nil where it is to be
// looked for.
func (t *tx) revise(e *event.Event, kept *event.Event) (Result, error) {
	if kept == nil {
		first, err := scanEvent(t.hot.QueryRow(eventByKey, e.ID, int64(e.Type)))
		switch {
		case err == nil:
			kept = &first
		case !errors.Is(err, sql.ErrNoRows):
			return Result{}, err
		}
	}
	if kept != nil && kept.Customer != e.Customer {
		return Result{Status: event.Conflict, Differs: e.Differs(kept)}, nil
	}
	versions, err := scanCorrections(t.hot.Query(correctionsByKey, e.Customer, e.ID, int64(e.Type)))
	if err != nil {
		return Result{}, err
	}
	if kept != nil {
		versions = append(versions, *kept)
	}
	r := event.Revision{Status: event.Cancelled, Keep: true}
	if len(versions) > 0 {
		r = event.Revise(versions, e)
	}
	if r.Keep {
		some := true
		t.corrections = &some
		_, err = t.hot.Exec(insertCorrection, e.Customer, e.ID, int64(e.Type), int64(e.Recorded), e.Cancelled, int64(e.At),
			e.Kind, e.Channel, valueOf(e), e.Arm, e.Outcome)
	}
	return Result{Status: r.Status, Differs: r.Differs}, err
}

// cancelled tells whether a cancellation of an event that is new was there
// before it.
func (t *tx) cancelled(e *event.Event) (void bool, err error) {
	if t.corrections == nil {
		var some bool
		if err := t.hot.QueryRow(anyCorrection).Scan(&some); err != nil {
			return false, err
		}
		t.corrections = &some
	}
	if !*t.corrections {
		return false, nil
	}
	err = t.hot.QueryRow(correctedByKey, e.Customer, e.ID, int64(e.Type)).Scan(&void)
	return void, err
}

func valueOf(e *event.Event) any {
	if !e.HasValue {
		return nil
	}
	return int64(e.Value)
}

func scanCorrection(row scanner) (event.Event, error) {
	var e event.Event
	var value sql.NullInt64
	err := row.Scan(&e.Customer, &e.ID, (*uint8)(&e.Type), (*int64)(&e.Recorded), &e.Cancelled, (*int64)(&e.At),
		&e.Kind, &e.Channel, &value, &e.Arm, &e.Outcome)
	e.Value, e.HasValue = event.Amount(value.Int64), value.Valid
	return e, err
}

func scanCorrections(rows *sql.Rows, err error) ([]event.Event, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []event.Event
	for rows.Next() {
		e, err := scanCorrection(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}
