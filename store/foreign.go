package store

import (
	"context"
	"database/sql"
	"sync"
)

// foreign finds out whether another process wrote, which whoever keeps in
// memory what was read has to know.
//
// The database gives each connection a number that changes when another
// connection has committed. On one that never writes it changes with every
// commit, ours too; on the writer's with those of others only, but the writer
// is asked after its own commits alone, when it is free: nobody who reads waits
// for the disk.
//
// While we commit, nobody else can. So a change that is seen meanwhile is ours
// and about to be settled; one that is seen at any other time is another's.
type foreign struct {
	mu         sync.Mutex
	settled    sync.Cond
	committing bool
	look       *sql.DB // a connection that never writes
	seen, own  int64   // the number there, and on the writer's, when last asked
	writes     uint64
}

func openForeign(ctx context.Context, path string, o Options, writer *sql.DB) (f *foreign, err error) {
	f = &foreign{}
	f.settled.L = &f.mu
	if f.look, err = openLookout(path, o); err != nil {
		return nil, err
	}
	if f.seen, err = versionOf(ctx, f.look); err == nil {
		f.own, err = versionOf(ctx, writer)
	}
	if err != nil {
		f.look.Close()
		return nil, err
	}
	return f, nil
}

func versionOf(ctx context.Context, connection *sql.DB) (v int64, err error) {
	err = connection.QueryRowContext(ctx, dataVersion).Scan(&v)
	return v, err
}

// commit runs one of our commits.
func (f *foreign) commit(writer *sql.DB, commit func() error) error {
	f.mu.Lock()
	f.committing = true
	f.mu.Unlock()
	err := commit()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.committing = false
	f.settle(writer)
	f.settled.Broadcast()
	return err
}

// settle takes note of a commit of ours.
func (f *foreign) settle(writer *sql.DB) {
	// In this order: what comes between is seen as another's.
	seen, err := versionOf(context.Background(), f.look)
	own := f.own
	if err == nil {
		own, err = versionOf(context.Background(), writer)
	}
	if err != nil || own != f.own {
		f.writes++ // to be safe
	}
	if err == nil {
		f.seen, f.own = seen, own
	}
}

// ForeignWrites returns a number that grows when another process has written to
// the database, before that process can say so. What was read after a call is
// still all there is as long as the number stays and nothing is written here.
// It may grow without reason, such as after an erasure or Compact.
func (db *DB) ForeignWrites(ctx context.Context) (uint64, error) {
	if _, err := db.reading(ctx); err != nil {
		return 0, wrap("look for writes of others", err)
	}
	f := db.foreign
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		seen, err := versionOf(ctx, f.look)
		switch {
		case err != nil:
			return 0, db.readError(ctx, "look for writes of others", err)
		case seen == f.seen:
			return f.writes, nil
		case !f.committing:
			f.seen = seen
			f.writes++
			return f.writes, nil
		}
		f.settled.Wait()
	}
}
