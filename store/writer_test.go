package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/event"
)

// TestConcurrentAppend has 64 clients append at once, each also repeating what
// its neighbour sends: what is acknowledged is there, exactly once, and many
// clients shared a transaction.
func TestConcurrentAppend(t *testing.T) {
	const clients, each = 64, 25
	var commits, rows, stored, duplicate atomic.Int64
	db := openTemp(t, func(o *Options) {
		o.OnCommit = func(n int, took time.Duration) {
			commits.Add(1)
			rows.Add(int64(n))
			if took <= 0 {
				t.Error("a commit took no time on the clock given")
			}
		}
	})
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				results, err := db.Append(ctx, []event.Event{
					engagement(fmt.Sprintf("e-%d-%d", c, i), fmt.Sprintf("c%d", c%8), day(float64(i))),
					engagement(fmt.Sprintf("e-%d-%d", (c+1)%clients, i), fmt.Sprintf("c%d", (c+1)%clients%8), day(float64(i)))})
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range results {
					switch r.Status {
					case event.Stored:
						stored.Add(1)
					case event.Duplicate:
						duplicate.Add(1)
					default:
						t.Errorf("status %v", r.Status)
					}
				}
			}
		})
	}
	wg.Wait()
	if stored.Load() != clients*each || duplicate.Load() != clients*each {
		t.Errorf("stored %d, duplicate %d; want %d each", stored.Load(), duplicate.Load(), clients*each)
	}
	s, err := db.Summary(ctx)
	if err != nil || s.Events != clients*each || s.Customers != 8 {
		t.Errorf("summary %+v, %v", s, err)
	}
	if rows.Load() != 2*clients*each || commits.Load() > clients*each/4 {
		t.Errorf("%d rows in %d commits: callers do not share transactions", rows.Load(), commits.Load())
	}
	integrity(t, db)
}

// hold occupies the writer until the function returned is called.
func hold(t *testing.T, db *DB) (release func()) {
	t.Helper()
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		db.write(ctx, &job{run: func(*tx) error { close(begun); <-end; return nil }})
	}()
	<-begun
	return sync.OnceFunc(func() { close(end); <-ended })
}

func TestContextEndsWhileWaiting(t *testing.T) {
	db := openTemp(t)
	release := hold(t, db)
	defer release()
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := db.Append(short, []event.Event{engagement("gone", "c", day(1))}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	ok := make(chan error)
	go func() {
		_, err := db.Append(ctx, []event.Event{engagement("kept", "c", day(1))})
		ok <- err
	}()
	release()
	if err := <-ok; err != nil {
		t.Errorf("another caller: %v", err)
	}
	events, err := db.Events(ctx, "c")
	if err != nil || len(events) != 1 || events[0].ID != "kept" {
		t.Errorf("kept %+v, %v", events, err)
	}
}

// TestContextEndsDuringCommit: once begun, the caller learns the outcome.
func TestContextEndsDuringCommit(t *testing.T) {
	db := openTemp(t)
	short, cancel := context.WithCancel(ctx)
	err := db.write(short, &job{rows: 1, run: func(x *tx) error {
		cancel()
		e := engagement("e", "c", day(1))
		_, err := x.append(&e)
		return err
	}})
	if err != nil {
		t.Errorf("error %v", err)
	}
	if events, _ := db.Events(ctx, "c"); len(events) != 1 {
		t.Errorf("kept %d", len(events))
	}
}

// TestOneFailsAlone: a failing job takes back its own work and no other's.
func TestOneFailsAlone(t *testing.T) {
	db := openTemp(t)
	release := hold(t, db)
	broken := errors.New("broken")
	errs := make([]error, 5)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = db.write(ctx, &job{rows: 1, run: func(x *tx) error {
				e := engagement(fmt.Sprint("e", i), "c", day(1))
				if _, err := x.append(&e); err != nil {
					return err
				}
				if i == 2 {
					return broken
				}
				return nil
			}})
		})
	}
	for len(db.jobs) < len(errs) {
		time.Sleep(time.Millisecond)
	}
	release()
	wg.Wait()
	for i, err := range errs {
		if i == 2 && !errors.Is(err, broken) || i != 2 && err != nil {
			t.Errorf("job %d: %v", i, err)
		}
	}
	events, _ := db.Events(ctx, "c")
	if len(events) != 4 {
		t.Errorf("kept %d events, want 4", len(events))
	}
}

func TestFull(t *testing.T) {
	db := openTemp(t)
	appendAll(t, db, engagement("first", "c", day(1)))
	var pages int
	if err := db.writerPool.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if _, err := db.writerPool.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	batch := make([]event.Event, 1000)
	for i := range batch {
		batch[i] = engagement(fmt.Sprint("e", i), "c", day(1))
	}
	if _, err := db.Append(ctx, batch); !errors.Is(err, ErrFull) || errors.Is(err, ErrFailed) {
		t.Fatalf("error %v, want ErrFull", err)
	}
	if events, err := db.Events(ctx, "c"); err != nil || len(events) != 1 {
		t.Errorf("reads while full: %d events, %v", len(events), err)
	}
	limit(1 << 30)
	if results, err := db.Append(ctx, batch); err != nil || results[999].Status != event.Stored {
		t.Errorf("after room was made: %v", err)
	}
	integrity(t, db)
}

func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db := openAt(t, path, func(o *Options) { o.BusyTimeout = 10 * time.Millisecond })
	other, err := sql.Open("sqlite3", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Append(ctx, []event.Event{engagement("e", "c", day(1))}); !errors.Is(err, ErrBusy) {
		t.Errorf("error %v, want ErrBusy", err)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if s := appendAll(t, db, engagement("e", "c", day(1))); s != "s" {
		t.Errorf("after the lock: %s", s)
	}
}

// TestDamagedFile overwrites the inside of the file: the first write that
// notices fails, and so does every later one, until the database is reopened.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db := openAt(t, path)
	batch := make([]event.Event, 2000)
	for i := range batch {
		batch[i] = engagement(fmt.Sprintf("e%06d", i), fmt.Sprint("c", i%50), day(float64(i%90)))
	}
	appendAll(t, db, batch...)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var root int
	if err := db.readerPool.QueryRow("SELECT rootpage FROM sqlite_master WHERE name = 'events_key'").Scan(&root); err != nil {
		t.Fatal(err)
	}
	for i := (root - 1) * 4096; i < root*4096; i++ {
		data[i] = 0xff
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = db.Append(ctx, []event.Event{engagement("new", "c", day(1))})
	if !errors.Is(err, ErrFailed) {
		t.Fatalf("error %v, want ErrFailed", err)
	}
	begun := false
	err = db.write(ctx, &job{run: func(*tx) error { begun = true; return nil }})
	if !errors.Is(err, ErrFailed) || begun {
		t.Errorf("after the failure: %v", err)
	}
	if s := db.Stats(); !errors.Is(s.Failed, ErrFailed) {
		t.Errorf("stats %+v", s)
	}
}

// TestLogIsCarriedOver: the log does not grow without bounds.
func TestLogIsCarriedOver(t *testing.T) {
	db := openTemp(t, func(o *Options) { o.Synchronous = "normal" })
	largest := int64(0)
	for b := range 40 {
		batch := make([]event.Event, 1000)
		for i := range batch {
			n := (b*1000 + i) * 7919 % 40000 // in no order, so that many pages are touched
			batch[i] = engagement(fmt.Sprintf("e%06d", n), fmt.Sprintf("c%03d", n%500), day(float64(n%90)))
		}
		appendAll(t, db, batch...)
		largest = max(largest, db.Stats().LogBytes)
	}
	// checkpointPages of 4 kB and one batch on top.
	if limit := int64(3 * checkpointPages * 4096); largest > limit {
		t.Errorf("the log grew to %d bytes, want at most %d", largest, limit)
	}
	if s := db.Stats(); s.FileBytes == 0 || s.Waiting != 0 || s.Failed != nil {
		t.Errorf("stats %+v", s)
	}
}
