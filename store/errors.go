package store

import (
	"context"
	"errors"
	"fmt"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: there is no such customer or decision.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the same identity is there with another body.
	ErrConflict = errors.New("already there with another body")
	// ErrFailed: the disk or the file is broken and nothing more is written.
	// After a failed flush the system may already have dropped what was to be
	// written, so that a later success would prove nothing: end the process
	// and start it again, which recovers what was acknowledged.
	ErrFailed = errors.New("the database failed: restart to recover what was acknowledged")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the database is closed")
	// ErrFull: the disk is full. This write was not done; later ones may be.
	ErrFull = errors.New("the disk is full")
	// ErrBusy: another process holds the file. This write was not done; try
	// again later.
	ErrBusy = errors.New("the database is locked by another process")
	// ErrSchema: the file is of a newer version of this program, or its
	// history of migrations is not ours.
	ErrSchema = errors.New("the database has another schema")
)

// wrap says what was being done and maps the database's errors to ours.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range [...]error{ErrNotFound, ErrConflict, ErrFailed, ErrClosed, ErrFull, ErrBusy, ErrSchema,
		context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	switch fault(err) {
	case faultBroken:
		return fmt.Errorf("%s: %w: %w", doing, ErrFailed, err)
	case faultFull:
		return fmt.Errorf("%s: %w: %w", doing, ErrFull, err)
	case faultBusy:
		return fmt.Errorf("%s: %w: %w", doing, ErrBusy, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// readError is wrap for reads. A file found to be damaged while reading must
// not take further writes either.
func (db *DB) readError(ctx context.Context, doing string, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	err = wrap(doing, err)
	if errors.Is(err, ErrFailed) {
		db.fail(err)
	}
	return err
}
