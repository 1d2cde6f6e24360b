package store

import (
	"context"
	"database/sql"
	"runtime"
	"sync/atomic"
	"time"

	"churn/event"

	"gorm.io/gorm"
)

// tx is one write transaction. Several callers may share it.
type tx struct {
	*gorm.DB
	hot     *sql.Tx // the same transaction without gorm, for the hot loops
	now     event.Time
	erasure erasures
}

// job is one caller's write.
type job struct {
	// run does the work. It must start from nothing each time, because it
	// runs again if another caller of the same transaction fails; and it must
	// not wait for anything but the database.
	run      func(*tx) error
	rows     int
	truncate bool // empty the log before acknowledging
	state    atomic.Int32
	done     chan error // room for one
}

// States of a job: one side wins the step away from waiting.
const (
	waiting = iota
	taken
	abandoned
)

// write has run done by the writer and returns once it is committed. When ctx
// ends before the writer has begun with it, nothing is written; once begun it
// is waited for, so that a caller always knows what became of it.
func (db *DB) write(ctx context.Context, j *job) error {
	if err := db.failed(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j.done = make(chan error, 1)
	if err := db.handOver(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
		return <-j.done
	}
}

func (db *DB) handOver(ctx context.Context, j *job) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return ErrClosed
	}
	select {
	case db.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeLoop is the one writer. It ends when jobs is closed and empty.
func (db *DB) writeLoop() {
	defer close(db.stopped)
	var group []*job
	for j := range db.jobs {
		group = db.collect(group[:0], j)
		if len(group) > 0 {
			db.commit(group)
		}
	}
}

// collect adds to the first job those that wait as well. It gives way as long
// as that brings further ones: the callers just acknowledged are about to come
// back, and without it groups of one and of all the others alternate.
func (db *DB) collect(group []*job, first *job) []*job {
	rows := 0
	take := func(j *job) {
		if j.state.CompareAndSwap(waiting, taken) {
			group = append(group, j)
			rows += j.rows
		}
	}
	take(first)
	for idle := 0; idle < 2 && rows < db.o.MaxBatch; {
		select {
		case j, ok := <-db.jobs:
			if !ok {
				return group
			}
			take(j)
			idle = 0
		default:
			runtime.Gosched()
			idle++
		}
	}
	return group
}

// commit writes a group and answers its callers. If the transaction fails for
// a reason that may lie with one of them, each gets a transaction of its own.
func (db *DB) commit(group []*job) {
	err := db.transact(group)
	if err != nil && len(group) > 1 && fault(err) != faultBroken && fault(err) != faultBusy && db.failed() == nil {
		for i := range group {
			db.commit(group[i : i+1])
		}
		return
	}
	if err != nil {
		err = wrap("write", err)
		db.failIfBroken(err)
	}
	for _, j := range group {
		if j.truncate && err == nil {
			db.truncateDue, db.truncateNext = true, 0
			db.truncate(eraseWait)
		}
	}
	for _, j := range group {
		j.done <- err
	}
	if err == nil {
		db.tidy()
	}
}

func (db *DB) failIfBroken(err error) {
	if fault(err) == faultBroken {
		db.fail(err)
	}
}

// transact runs a group in one transaction. No caller's context reaches the
// database, where its end would interrupt the others.
func (db *DB) transact(group []*job) (err error) {
	if err := db.failed(); err != nil {
		return err
	}
	start := db.o.Now()
	g := db.writer.Begin()
	if g.Error != nil {
		return g.Error
	}
	t := &tx{DB: g, hot: g.Statement.ConnPool.(*sql.Tx), now: start}
	rows := 0
	for _, j := range group {
		if err := j.run(t); err != nil {
			if e := g.Rollback().Error; fault(e) == faultBroken {
				return e
			}
			return err
		}
		rows += j.rows
	}
	if err := db.foreign.commit(db.writerPool, func() error { return g.Commit().Error }); err != nil {
		return err
	}
	if db.o.OnCommit != nil {
		db.o.OnCommit(rows, time.Duration(db.o.Now().Sub(start))*time.Microsecond)
	}
	return nil
}

// tidy carries the log over when it has grown.
func (db *DB) tidy() {
	db.truncate(0)
	pages, err := logPages(db.writerPool)
	if err == nil {
		if pages < db.carried {
			db.carried = 0 // the log began anew
		}
		// While a reader holds on to an old state the log cannot begin anew:
		// do not try again at each commit.
		if pages-db.carried < checkpointPages {
			return
		}
		db.carried = pages
		_, _, err = checkpoint(db.writerPool, "PASSIVE")
	}
	if err != nil {
		db.failIfBroken(wrap("carry over the log", err))
	}
}

// How long an erasure waits for readers that keep the log from being emptied,
// and how often it is tried again after that.
const (
	eraseWait  = 50 * time.Millisecond
	eraseRetry = event.Second
)

// truncate empties the log if an erasure asked for it.
func (db *DB) truncate(wait time.Duration) {
	now := db.o.Now()
	if !db.truncateDue || now < db.truncateNext {
		return
	}
	done, err := truncateLog(db.writerPool, wait, db.o.BusyTimeout)
	if err != nil {
		db.failIfBroken(wrap("empty the log", err))
	}
	db.truncateDue, db.truncateNext = !done, now.Add(eraseRetry)
}
