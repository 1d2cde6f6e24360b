package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"churn/event"
)

// Timeline returns the history of one customer. An unknown one is ErrNotFound.
func (db *DB) Timeline(ctx context.Context, customerID string) (*event.Timeline, error) {
	tl, _, err := db.History(ctx, customerID)
	return tl, err
}

// History is Timeline with the events that the history was made of.
func (db *DB) History(ctx context.Context, customerID string) (*event.Timeline, []event.Event, error) {
	c, events, err := db.history(ctx, customerID)
	if err != nil {
		return nil, nil, err
	}
	return event.NewTimeline(c, events), events, nil
}

// history reads a customer and the events in one transaction.
func (db *DB) history(ctx context.Context, id string) (event.Customer, []event.Event, error) {
	c := impliedCustomer(id)
	var events []event.Event
	err := db.snapshot(ctx, func(t *sql.Tx) error {
		row, err := scanCustomerRow(t.QueryRowContext(ctx, customerByID, id))
		known := err == nil
		if known {
			c, err = row.customer()
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		rows, err := t.QueryContext(ctx, eventsOfCustomer, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEvent(rows)
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		if rows.Err() == nil && !known && len(events) == 0 {
			return ErrNotFound
		}
		return rows.Err()
	})
	return c, events, db.readError(ctx, "read the history of a customer", err)
}

// snapshot runs fn in a read transaction: all its queries see one state.
func (db *DB) snapshot(ctx context.Context, fn func(*sql.Tx) error) error {
	g, err := db.reading(ctx)
	if err != nil {
		return err
	}
	t := g.Begin()
	if t.Error != nil {
		return t.Error
	}
	defer t.Rollback() // reading leaves nothing to commit
	return fn(t.Statement.ConnPool.(*sql.Tx))
}

// Timelines calls fn with the history of every customer in the order of their
// ids, those without a record of their own included. All histories are of one
// instant, whatever is written meanwhile, and only one is in memory at a
// time. The first error of fn ends the reading and is returned as it is.
//
// As long as it runs, the write-ahead log cannot begin anew and grows.
func (db *DB) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	return db.histories(ctx, "read histories", func(c event.Customer, events []event.Event) error {
		return fn(event.NewTimeline(c, events))
	})
}

// histories merges customers and events, both in the order of the id. The
// slice is used again for the next customer.
func (db *DB) histories(ctx context.Context, doing string, fn func(event.Customer, []event.Event) error) error {
	var stopped error
	err := db.snapshot(ctx, func(t *sql.Tx) error {
		customers, err := openCursor(ctx, t, customersInOrder, scanCustomerRow)
		if err != nil {
			return err
		}
		defer customers.close()
		events, err := openCursor(ctx, t, eventsInOrder, scanEvent)
		if err != nil {
			return err
		}
		defer events.close()
		var buffer []event.Event
		for customers.more || events.more {
			var c event.Customer
			if customers.more && (!events.more || customers.row.id <= events.row.Customer) {
				if c, err = customers.row.customer(); err != nil {
					return err
				}
				if err := customers.next(); err != nil {
					return err
				}
			} else {
				c = impliedCustomer(events.row.Customer)
			}
			buffer = buffer[:0]
			for events.more && events.row.Customer == c.ID {
				buffer = append(buffer, events.row)
				if err := events.next(); err != nil {
					return err
				}
			}
			if stopped = fn(c, buffer); stopped != nil {
				return stopped
			}
		}
		return nil
	})
	if stopped != nil {
		return stopped
	}
	return db.readError(ctx, doing, err)
}

// cursor is a query with its current row.
type cursor[T any] struct {
	rows *sql.Rows
	scan func(scanner) (T, error)
	row  T
	more bool
}

func openCursor[T any](ctx context.Context, t *sql.Tx, query string, scan func(scanner) (T, error)) (*cursor[T], error) {
	rows, err := t.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c := &cursor[T]{rows: rows, scan: scan}
	if err := c.next(); err != nil {
		rows.Close()
		return nil, err
	}
	return c, nil
}

func (c *cursor[T]) next() (err error) {
	if c.more = c.rows.Next(); !c.more {
		return c.rows.Err()
	}
	c.row, err = c.scan(c.rows)
	return err
}

func (c *cursor[T]) close() { c.rows.Close() }

// Fingerprint returns the SHA-256, in hexadecimal, of all events and customers
// in the order of their keys. It says whether two databases hold the same
// data, in whatever order that came in.
func (db *DB) Fingerprint(ctx context.Context) (string, error) {
	d := event.NewDigest()
	err := db.histories(ctx, "fingerprint the data", func(c event.Customer, events []event.Event) error {
		d.Add(&c, events)
		return nil
	})
	if err != nil {
		return "", err
	}
	return d.Sum(), nil
}

// Streams lists those of the given streams of which there is an event. It is
// quick for those; for each of the others it reads an index to its end.
func (db *DB) Streams(ctx context.Context, among ...event.Stream) ([]event.Stream, error) {
	var streams []event.Stream
	err := db.snapshot(ctx, func(t *sql.Tx) error {
		for _, s := range among {
			types := []any{0} // which is none
			for typ := event.Type(1); typ != 0; typ++ {
				if typ.Stream() == s && s != event.Customers {
					types = append(types, int64(typ))
				}
			}
			some := false
			query := `SELECT EXISTS (SELECT 1 FROM events WHERE type IN (?` + strings.Repeat(", ?", len(types)-1) + `))`
			if err := t.QueryRowContext(ctx, query, types...).Scan(&some); err != nil {
				return err
			}
			if some {
				streams = append(streams, s)
			}
		}
		return nil
	})
	return streams, db.readError(ctx, "list the streams", err)
}

// TypeSummary counts the events of one type.
type TypeSummary struct {
	Type         event.Type
	Events       int64
	Customers    int64
	First, Last  event.Time // occurred at
	LastRecorded event.Time
}

// Summary says how much there is.
type Summary struct {
	Types     []TypeSummary // in the order of the types, only those present
	Events    int64
	Customers int64 // with a record or only with events
	Churned   int64 // with a time of churn in their record
}

// Summary reads all events once.
func (db *DB) Summary(ctx context.Context) (*Summary, error) {
	s := &Summary{}
	err := db.snapshot(ctx, func(t *sql.Tx) error {
		rows, err := t.QueryContext(ctx, `
SELECT type, SUM(n), COUNT(*), MIN(first), MAX(last), MAX(recorded)
FROM (SELECT type, COUNT(*) AS n, MIN(occurred_at) AS first, MAX(occurred_at) AS last, MAX(recorded_at) AS recorded
      FROM events GROUP BY customer_id, type) AS per_customer
GROUP BY type ORDER BY type`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var ts TypeSummary
			if err := rows.Scan((*uint8)(&ts.Type), &ts.Events, &ts.Customers,
				(*int64)(&ts.First), (*int64)(&ts.Last), (*int64)(&ts.LastRecorded)); err != nil {
				return err
			}
			s.Types = append(s.Types, ts)
			s.Events += ts.Events
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return t.QueryRowContext(ctx, `
SELECT (SELECT COUNT(*) FROM customers) +
       (SELECT COUNT(*) FROM (SELECT DISTINCT customer_id FROM events) AS e
        WHERE NOT EXISTS (SELECT 1 FROM customers AS c WHERE c.customer_id = e.customer_id)),
       (SELECT COUNT(*) FROM customers WHERE churned_at IS NOT NULL)`).Scan(&s.Customers, &s.Churned)
	})
	if err != nil {
		return nil, db.readError(ctx, "summarise the data", err)
	}
	return s, nil
}
