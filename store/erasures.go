package store

import (
	"context"
	"crypto/sha256"

	"churn/event"
)

// DeleteCustomer erases a customer: the events, the record and its history,
// scores, decisions and their outcomes; effects no longer count those
// decisions. What stays is the SHA-256 of the id, by which later events and
// records of the customer are refused, for an import would bring them back
// otherwise. Erasing again changes nothing; an unknown customer is
// ErrNotFound and leaves nothing.
//
// The deleted rows are overwritten in the file, and the write-ahead log is
// emptied before DeleteCustomer returns, or, if a reader stands in the way, at
// one of the next commits, at the latest on Close. What SQLite copied while it
// moved rows between pages, long before the erasure, may still lie in unused
// parts of a large file: [DB.Compact] removes that. Backups, exports and
// models trained before are not reached.
func (db *DB) DeleteCustomer(ctx context.Context, id string) error {
	if err := event.CheckID("customer_id", id); err != nil {
		return err
	}
	var found bool
	err := db.write(ctx, &job{rows: 1, truncate: true, run: func(t *tx) error {
		var err error
		if found, err = t.erased(id); found || err != nil {
			return err
		}
		for _, table := range [...]string{"events", "corrections", "customers", "customer_changes", "scores", "decisions"} {
			// The outcomes go with their decisions.
			done := t.Exec(`DELETE FROM `+table+` WHERE customer_id = ?`, id)
			if done.Error != nil {
				return done.Error
			}
			found = found || done.RowsAffected > 0
		}
		if !found {
			return nil
		}
		hash := sha256.Sum256([]byte(id))
		t.erasure = erasures{} // later jobs of this transaction look again
		_, err = t.hot.Exec(insertErasure, hash[:], int64(t.now))
		return err
	}})
	if err != nil {
		return err
	}
	if !found {
		return wrap("erase customer", ErrNotFound)
	}
	return nil
}

// Compact writes the file anew, without unused space, so that nothing is left
// in it of what was erased. It takes time and free disk space in proportion
// to the file, and writers wait meanwhile: run it once after a series of
// erasures. A reader of an old state delays the last step to a later commit,
// as with DeleteCustomer.
func (db *DB) Compact(ctx context.Context) error {
	if err := db.failed(); err != nil {
		return err
	}
	if _, err := db.reading(ctx); err != nil {
		return wrap("compact", err)
	}
	// Not in a transaction; the writer waits for its connection.
	if err := compact(ctx, db.writerPool); err != nil {
		err = wrap("compact", err)
		db.failIfBroken(err)
		return err
	}
	return db.write(ctx, &job{truncate: true, run: func(*tx) error { return nil }})
}

// erasures remembers during a transaction who was erased. It starts anew with
// each transaction, because another process may have erased someone.
type erasures struct {
	looked, some bool
	known        map[string]bool
}

// erased tells whether the customer was erased.
func (t *tx) erased(id string) (bool, error) {
	e := &t.erasure
	if !e.looked {
		if err := t.hot.QueryRow(anyErasure).Scan(&e.some); err != nil {
			return false, err
		}
		e.looked, e.known = true, map[string]bool{}
	}
	if !e.some {
		return false, nil
	}
	erased, ok := e.known[id]
	if !ok {
		hash := sha256.Sum256([]byte(id))
		if err := t.hot.QueryRow(erasureOf, hash[:]).Scan(&erased); err != nil {
			return false, err
		}
		e.known[id] = erased
	}
	return erased, nil
}
