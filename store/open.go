package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"churn/event"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Options says how a database is used. Only Now is required.
type Options struct {
	// Now is asked for the time of changes, erasures and saved scores, and
	// before and after each commit for OnCommit.
	Now func() event.Time
	// Synchronous is "full" (the default: a commit is on the disk) or
	// "normal" (a commit survives a killed process, but the last ones may be
	// lost in a power cut; several times faster for single events).
	Synchronous string
	// Readers is the number of connections that read; default 4. A function
	// given to Timelines holds one of them while it runs.
	Readers int
	// MaxBatch is the number of rows from which a transaction takes no
	// further waiting callers; default 2000. One call is never split.
	MaxBatch int
	// BusyTimeout is how long to wait for another process that writes;
	// default 5 s, below a millisecond not at all.
	BusyTimeout time.Duration
	// OnCommit, if set, is told of each commit: the number of rows in it and
	// the time it took on the clock of Now. It is called by the writer, and
	// must be quick.
	OnCommit func(rows int, took time.Duration)
}

func (o *Options) complete() error {
	if o.Now == nil {
		return errors.New("Options.Now is required: the store reads no clock of its own")
	}
	switch o.Synchronous {
	case "":
		o.Synchronous = "full"
	case "full", "normal":
	default:
		return fmt.Errorf("synchronous %q is not known: use full or normal", o.Synchronous)
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.MaxBatch <= 0 {
		o.MaxBatch = 2000
	}
	if o.BusyTimeout <= 0 {
		o.BusyTimeout = 5 * time.Second
	}
	return nil
}

// DB is an open database, safe for concurrent use.
type DB struct {
	path string
	o    Options

	writer     *gorm.DB
	writerPool *sql.DB
	reader     *gorm.DB
	readerPool *sql.DB
	foreign    *foreign

	jobs    chan *job
	stopped chan struct{} // closed when the writer has ended

	mu     sync.RWMutex // held for reading while a job is handed over
	closed bool

	failure atomic.Pointer[error]

	// Of the writer alone.
	truncateDue  bool       // an erasure's traces are still in the log
	truncateNext event.Time // when to try again
	carried      int        // pages in the log when it was last carried over
}

// Open opens the database file at path, creates it if there is none, and
// brings it to the current schema. The folder must exist.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	db, err := open(ctx, path, o)
	if err != nil {
		return nil, wrap("open database "+path, err)
	}
	go db.writeLoop()
	return db, nil
}

func open(ctx context.Context, path string, o Options) (_ *DB, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := checkOwner(ctx, path, o); err != nil {
		return nil, err
	}
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	db := &DB{path: path, o: o, jobs: make(chan *job, 1024), stopped: make(chan struct{})}
	defer func() {
		if err != nil {
			db.closePools()
		}
	}()
	if db.writer, db.writerPool, err = openWriter(path, o); err != nil {
		return nil, err
	}
	if err := checkEngine(ctx, db.writerPool); err != nil {
		return nil, err
	}
	if err := migrate(ctx, db.writerPool, migrations(), o.Now); err != nil {
		return nil, err
	}
	if db.reader, db.readerPool, err = openReaders(path, o); err != nil {
		return nil, err
	}
	if db.foreign, err = openForeign(ctx, path, o, db.writerPool); err != nil {
		return nil, err
	}
	return db, nil
}

func gormConfig() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true, // the writer opens transactions itself
		Logger:                 logger.Discard,
	}
}

// Close commits what is waiting, carries the log over into the file and
// closes it. Calls that come later get ErrClosed. Reads under way may fail.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	close(db.jobs)
	db.mu.Unlock()
	<-db.stopped

	if db.failed() != nil {
		// SQLite carries the log over when the last connection closes. After
		// a failed flush that could make the loss permanent: leave the log
		// to the next start and the connection to the end of the process.
		return errors.Join(db.foreign.look.Close(), db.readerPool.Close())
	}
	if err := optimize(db.writerPool); err != nil && fault(err) != faultBusy {
		return errors.Join(wrap("close database", err), db.closePools())
	}
	if err := errors.Join(db.foreign.look.Close(), db.readerPool.Close()); err != nil {
		return errors.Join(wrap("close database", err), db.closePools())
	}
	_, err := truncateLog(db.writerPool, eraseWait, db.o.BusyTimeout)
	return errors.Join(wrap("close database", err), db.closePools())
}

func (db *DB) closePools() error {
	var errs []error
	if db.foreign != nil {
		errs = append(errs, db.foreign.look.Close())
	}
	for _, p := range []*sql.DB{db.readerPool, db.writerPool} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return wrap("close database", errors.Join(errs...))
}

// fail makes err the fate of every later write. The first failure counts.
func (db *DB) fail(err error) {
	db.failure.CompareAndSwap(nil, &err)
}

// failed returns why nothing is written any more, wrapping ErrFailed, or nil.
func (db *DB) failed() error {
	if p := db.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// reading returns the connections to read with.
func (db *DB) reading(ctx context.Context) (*gorm.DB, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return nil, ErrClosed
	}
	return db.reader.WithContext(ctx), nil
}

// Stats is the state of the database for metrics.
type Stats struct {
	FileBytes int64 // the database file
	LogBytes  int64 // the write-ahead log beside it
	Waiting   int   // writes handed over and not yet begun
	Failed    error // wraps ErrFailed, or nil
}

// Stats returns the current state.
func (db *DB) Stats() Stats {
	s := Stats{Waiting: len(db.jobs), Failed: db.failed()}
	if info, err := os.Stat(db.path); err == nil {
		s.FileBytes = info.Size()
	}
	if info, err := os.Stat(logPath(db.path)); err == nil {
		s.LogBytes = info.Size()
	}
	return s
}
