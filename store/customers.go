package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"churn/event"
)

// PutCustomers keeps what is known of customers, all records or none, and
// returns one result a record once they are committed.
//
// A record replaces what it says and leaves the rest, as event.Customer.Merge
// does, which also says what is a duplicate and what a conflict. Each real
// change is also kept in a history with the time of Options.Now.
func (db *DB) PutCustomers(ctx context.Context, customers []event.Customer) ([]Result, error) {
	for i := range customers {
		if err := customers[i].Validate(); err != nil {
			return nil, fmt.Errorf("customer %d of %d: %w", i+1, len(customers), err)
		}
	}
	results := make([]Result, len(customers))
	if len(customers) == 0 {
		return results, nil
	}
	err := db.write(ctx, &job{rows: len(customers), run: func(t *tx) error {
		for i := range customers {
			r, err := t.putCustomer(&customers[i])
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

func (t *tx) putCustomer(c *event.Customer) (Result, error) {
	erased, err := t.erased(c.ID)
	if err != nil {
		return Result{}, err
	}
	if erased {
		return Result{Status: event.Refused}, nil
	}
	row, err := scanCustomerRow(t.hot.QueryRow(customerByID, c.ID))
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return Result{}, err
	default:
		kept, err := row.customer()
		if err != nil {
			return Result{}, err
		}
		switch kept.Merge(c) {
		case event.Duplicate:
			return Result{Status: event.Duplicate}, nil
		case event.Conflict:
			return Result{Status: event.Conflict, Differs: []string{"signed_up_at", "churned_at"}}, nil
		}
		c = &kept
	}
	next, err := newCustomerRow(c)
	if err != nil {
		return Result{}, err
	}
	if _, err := t.hot.Exec(upsertCustomer, next.values()...); err != nil {
		return Result{}, err
	}
	_, err = t.hot.Exec(insertChange, append(next.values(), int64(t.now))...)
	return Result{Status: event.Stored}, err
}

// customerRow is a customer as kept: comparable, with NULL for unknown.
type customerRow struct {
	id                  string
	signedUp, churned   sql.NullInt64
	reason              string
	attributes, consent sql.NullString // JSON with sorted keys, so that equal is equal
}

func newCustomerRow(c *event.Customer) (customerRow, error) {
	r := customerRow{id: c.ID, reason: c.ChurnReason,
		signedUp: nullTime(c.SignedUpAt), churned: nullTime(c.ChurnedAt)}
	if c.Attributes != nil {
		text, err := json.Marshal(c.Attributes)
		if err != nil {
			return r, err
		}
		r.attributes = sql.NullString{String: string(text), Valid: true}
	}
	if c.Consent != nil {
		text, err := json.Marshal(event.SortConsent(c.Consent))
		if err != nil {
			return r, err
		}
		r.consent = sql.NullString{String: string(text), Valid: true}
	}
	return r, nil
}

func nullTime(t event.Time) sql.NullInt64 {
	if t == event.Never {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(t), Valid: true}
}

func knownTime(t sql.NullInt64) event.Time {
	if !t.Valid {
		return event.Never
	}
	return event.Time(t.Int64)
}

// values are those of customerColumns.
func (r *customerRow) values() []any {
	return []any{r.id, r.signedUp, r.churned, r.reason, r.attributes, r.consent}
}

func scanCustomerRow(row scanner) (customerRow, error) {
	var r customerRow
	err := row.Scan(&r.id, &r.signedUp, &r.churned, &r.reason, &r.attributes, &r.consent)
	return r, err
}

func (r *customerRow) customer() (event.Customer, error) {
	c := event.Customer{ID: r.id, SignedUpAt: knownTime(r.signedUp), ChurnedAt: knownTime(r.churned), ChurnReason: r.reason}
	if r.attributes.Valid {
		if err := json.Unmarshal([]byte(r.attributes.String), &c.Attributes); err != nil {
			return c, fmt.Errorf("attributes of a customer: %w", err)
		}
	}
	if r.consent.Valid {
		if err := json.Unmarshal([]byte(r.consent.String), &c.Consent); err != nil {
			return c, fmt.Errorf("consent of a customer: %w", err)
		}
	}
	return c, nil
}

// impliedCustomer is one who is known from events only.
func impliedCustomer(id string) event.Customer {
	return event.Customer{ID: id, SignedUpAt: event.Never, ChurnedAt: event.Never}
}

// Customer returns what is known of a customer apart from events. One who has
// only events is returned with nothing but the id; an unknown one is
// ErrNotFound.
func (db *DB) Customer(ctx context.Context, id string) (event.Customer, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return event.Customer{}, wrap("read customer", err)
	}
	cs, err := scanCustomers(g.Raw(`
SELECT k.customer_id, signed_up_at, churned_at, COALESCE(churn_reason, ''), attributes, consent
FROM (SELECT customer_id FROM customers WHERE customer_id = ?
      UNION SELECT customer_id FROM events WHERE customer_id = ?) AS k
LEFT JOIN customers ON customers.customer_id = k.customer_id`, id, id).Rows())
	if err == nil && len(cs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return event.Customer{}, db.readError(ctx, "read customer", err)
	}
	return cs[0], nil
}

// Customers returns at most limit customers in the order of their ids, from
// the first id after the one given (the empty string begins). Those who only
// have events are among them.
func (db *DB) Customers(ctx context.Context, after string, limit int) ([]event.Customer, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return nil, wrap("list customers", err)
	}
	cs, err := scanCustomers(g.Raw(`
SELECT k.customer_id, signed_up_at, churned_at, COALESCE(churn_reason, ''), attributes, consent
FROM (SELECT customer_id FROM customers WHERE customer_id > ?
      UNION SELECT customer_id FROM events WHERE customer_id > ?
      ORDER BY customer_id LIMIT ?) AS k
LEFT JOIN customers ON customers.customer_id = k.customer_id
ORDER BY k.customer_id`, after, after, limit).Rows())
	return cs, db.readError(ctx, "list customers", err)
}

func scanCustomers(rows *sql.Rows, err error) ([]event.Customer, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var cs []event.Customer
	for rows.Next() {
		r, err := scanCustomerRow(rows)
		if err != nil {
			return nil, err
		}
		c, err := r.customer()
		if err != nil {
			return nil, err
		}
		cs = append(cs, c)
	}
	return cs, rows.Err()
}

// CustomerChange is a state of a customer's record and since when it is known.
type CustomerChange struct {
	Recorded event.Time
	Customer event.Customer
}

// CustomerChanges returns every state the customer's record had, oldest first.
func (db *DB) CustomerChanges(ctx context.Context, id string) ([]CustomerChange, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return nil, wrap("read changes of a customer", err)
	}
	changes, err := scanChanges(g.Raw(`SELECT `+customerColumns+`, recorded_at
FROM customer_changes WHERE customer_id = ? ORDER BY seq`, id).Rows())
	return changes, db.readError(ctx, "read changes of a customer", err)
}

func scanChanges(rows *sql.Rows, err error) ([]CustomerChange, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var changes []CustomerChange
	for rows.Next() {
		var r customerRow
		var change CustomerChange
		err := rows.Scan(&r.id, &r.signedUp, &r.churned, &r.reason, &r.attributes, &r.consent, (*int64)(&change.Recorded))
		if err != nil {
			return nil, err
		}
		if change.Customer, err = r.customer(); err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, rows.Err()
}
