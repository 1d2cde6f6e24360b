package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"churn/event"
)

var ctx = context.Background()

// day0 is 2026-01-01; the tests count in days from there.
var day0 = event.FromTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

func day(n float64) event.Time { return day0.Add(event.Duration(n * float64(event.Day))) }

// ticking is a clock that advances a second each time it is read.
func ticking() func() event.Time {
	var n atomic.Int64
	return func() event.Time { return day(100).Add(event.Duration(n.Add(1)) * event.Second) }
}

func openAt(t testing.TB, path string, change ...func(*Options)) *DB {
	t.Helper()
	o := Options{Now: ticking()}
	for _, f := range change {
		f(&o)
	}
	db, err := Open(ctx, path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openTemp(t testing.TB, change ...func(*Options)) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "churn.db"), change...)
}

func engagement(id, customer string, at event.Time) event.Event {
	return event.Event{ID: id, Customer: customer, Type: event.Engagement, At: at, Recorded: at.Add(event.Hour), Kind: "sign_in"}
}

// appendAll appends and returns the statuses as text, one letter an event:
// stored, duplicate, conflict, refused.
func appendAll(t testing.TB, db *DB, events ...event.Event) string {
	t.Helper()
	results, err := db.Append(ctx, events)
	if err != nil {
		t.Fatal(err)
	}
	return letters(results)
}

func letters(results []Result) string {
	var b strings.Builder
	for _, r := range results {
		b.WriteByte(r.Status.String()[0])
	}
	return b.String()
}

func integrity(t testing.TB, db *DB) {
	t.Helper()
	var s string
	if err := db.readerPool.QueryRow("PRAGMA integrity_check").Scan(&s); err != nil || s != "ok" {
		t.Fatalf("integrity_check: %q, %v", s, err)
	}
}

func TestOpenSettings(t *testing.T) {
	for _, synchronous := range []string{"full", "normal"} {
		db := openTemp(t, func(o *Options) { o.Synchronous = synchronous })
		// The numbers are SQLite's: synchronous 1 is NORMAL, 2 is FULL.
		want := map[string]string{"journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "secure_delete": "1",
			"wal_autocheckpoint": "0", "synchronous": map[string]string{"full": "2", "normal": "1"}[synchronous]}
		for name, w := range want {
			var got string
			if err := db.writerPool.QueryRow("PRAGMA " + name).Scan(&got); err != nil || got != w {
				t.Errorf("synchronous %s: %s = %q, %v; want %q", synchronous, name, got, err, w)
			}
		}
		if _, err := db.readerPool.Exec("DELETE FROM events"); err == nil {
			t.Error("a reader could write")
		}
	}
}

func TestOpenStrangePaths(t *testing.T) {
	for _, name := range []string{"with space.db", "a?mode=memory", "b#c.db", "100%.db", "%41.db", "ü.db", "a&b=c.db", "'q\".db"} {
		path := filepath.Join(t.TempDir(), name)
		db := openAt(t, path)
		appendAll(t, db, engagement("e", "c", day(1)))
		if err := db.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s is not where it was asked for: %v", name, err)
		}
		if s := appendAll(t, openAt(t, path), engagement("e", "c", day(1))); s != "d" {
			t.Errorf("%s: after opening again %q", name, s)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	exec := func(path string, statements ...string) string {
		pool, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		for _, s := range statements {
			if _, err := pool.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	ours := func(name string) string {
		path := filepath.Join(dir, name)
		openAt(t, path).Close()
		return path
	}
	good := Options{Now: ticking()}
	for _, tt := range []struct {
		name, path string
		o          Options
		want       string
		is         error
	}{
		{"no clock", filepath.Join(dir, "x.db"), Options{}, "Options.Now", nil},
		{"synchronous", filepath.Join(dir, "x.db"), Options{Now: ticking(), Synchronous: "off"}, "use full or normal", nil},
		{"empty path", "", good, "not a file", nil},
		{"memory", ":memory:", good, "not a file", nil},
		{"NUL", "a\x00b", good, "NUL", nil},
		{"directory", dir, good, "is a directory", nil},
		{"no folder", filepath.Join(dir, "no", "x.db"), good, "create it first", nil},
		{"text", file("text.db", "customer_id,occurred_at\nc1,2026-01-01\n"), good, "is not a database", nil},
		{"short", file("short.db", "SQL"), good, "is not a database", nil},
		{"header only", file("header.db", "SQLite format 3\x00"+strings.Repeat("x", 200)), good, "not a database", ErrFailed},
		{"foreign", exec(filepath.Join(dir, "other.db"), "CREATE TABLE bookmarks (url TEXT)"), good, "another program", ErrSchema},
		{"newer", exec(ours("newer.db"), "INSERT INTO schema_migrations VALUES (3, '0003_later.sql', 'x', 0)"), good, "use a newer program", ErrSchema},
		{"edited", exec(ours("edited.db"), "UPDATE schema_migrations SET checksum = 'x'"), good, "is not the 0001_initial.sql", ErrSchema},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, err := Open(ctx, tt.path, tt.o)
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q, want one with %q that is %v", err, tt.want, tt.is)
			}
		})
	}
	// The foreign database was not changed, not even its journal mode.
	pool, err := sql.Open("sqlite3", filepath.Join(dir, "other.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var mode string
	if err := pool.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "delete" {
		t.Errorf("journal mode of the foreign database: %q, %v", mode, err)
	}
}

func TestOpenLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	openAt(t, path).Close()
	other, err := sql.Open("sqlite3", path+"?_locking_mode=EXCLUSIVE&_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback()
	_, err = Open(ctx, path, Options{Now: ticking(), BusyTimeout: 10 * time.Millisecond})
	if !errors.Is(err, ErrBusy) {
		t.Errorf("error %v, want ErrBusy", err)
	}
}

func TestCheckVersion(t *testing.T) {
	// Fixed in 3.51.3 according to sqlite.org/wal.html#walresetbug.
	for version, ok := range map[string]bool{"3.51.2": false, "3.51.3": true, "3.9.9": false, "3.54.1": true,
		"4.0.0": true, "2.99.99": false, "3.51.10": true, "": false, "three": false} {
		if err := checkVersion(version); (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestMigrations(t *testing.T) {
	for i, m := range migrations() {
		if m.version != i+1 || !strings.HasPrefix(m.name, fmt.Sprintf("%04d_", i+1)) {
			t.Errorf("migration %d is named %s", i+1, m.name)
		}
	}
	pool, err := sql.Open("sqlite3", filepath.Join(t.TempDir(), "m.db")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	steps := []migration{
		{1, "0001_a.sql", "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"},
		{2, "0002_b.sql", "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1;"},
		{3, "0003_c.sql", "CREATE TABLE c (z INTEGER); INSERT INTO nowhere VALUES (1);"},
	}
	now := ticking()
	for range 2 { // the second time finds nothing to do
		if err := migrate(ctx, pool, steps[:1], now); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrate(ctx, pool, steps, now); err == nil || !strings.Contains(err.Error(), "0003_c.sql") {
		t.Fatalf("a broken step: %v", err)
	}
	// The good steps stayed, the broken one left nothing.
	var y, version, tables int
	if err := pool.QueryRow("SELECT y, (SELECT MAX(version) FROM schema_migrations), "+
		"(SELECT COUNT(*) FROM sqlite_master WHERE name = 'c') FROM a").Scan(&y, &version, &tables); err != nil {
		t.Fatal(err)
	}
	if y != 2 || version != 2 || tables != 0 {
		t.Errorf("y %d, version %d, tables %d; want 2, 2, 0", y, version, tables)
	}
	if err := migrate(ctx, pool, steps[:1], now); !errors.Is(err, ErrSchema) {
		t.Errorf("a newer schema: %v", err)
	}
}

func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db := openAt(t, path)
	appendAll(t, db, engagement("e", "c", day(1)))
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(logPath(path)); err == nil && info.Size() > 0 {
		t.Errorf("log of %d bytes is left", info.Size())
	}
	_, err1 := db.Append(ctx, []event.Event{engagement("f", "c", day(1))})
	_, err2 := db.Timeline(ctx, "c")
	err3 := db.Timelines(ctx, func(*event.Timeline) error { return nil })
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}
