package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// This file holds what is particular to SQLite: how a file is opened, what
// its errors mean, how its log is kept short, and the statements of the hot
// loops, which bypass gorm and therefore carry SQLite's placeholders. Another
// database is another such file and another folder of migrations.

const (
	insertEvent = `INSERT INTO events
(customer_id, occurred_at, event_id, type, recorded_at, kind, channel, value, arm, outcome)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

	eventColumns = `customer_id, occurred_at, event_id, type, recorded_at, kind, channel, value, arm, outcome`

	eventByKey       = `SELECT ` + eventColumns + ` FROM events WHERE event_id = ? AND type = ?`
	eventsOfCustomer = `SELECT ` + eventColumns + ` FROM events WHERE customer_id = ?
ORDER BY customer_id, occurred_at, event_id, type`
	eventsInOrder = `SELECT ` + eventColumns + ` FROM events
ORDER BY customer_id, occurred_at, event_id, type`

	customerColumns = `customer_id, signed_up_at, churned_at, churn_reason, attributes, consent`

	customerByID     = `SELECT ` + customerColumns + ` FROM customers WHERE customer_id = ?`
	customersInOrder = `SELECT ` + customerColumns + ` FROM customers ORDER BY customer_id`

	upsertCustomer = `INSERT INTO customers (` + customerColumns + `) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (customer_id) DO UPDATE SET
signed_up_at = excluded.signed_up_at, churned_at = excluded.churned_at,
churn_reason = excluded.churn_reason, attributes = excluded.attributes, consent = excluded.consent`

	insertChange = `INSERT INTO customer_changes (` + customerColumns + `, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?)`

	insertErasure   = `INSERT INTO erasures (customer_hash, erased_at) VALUES (?, ?)`
	anyErasure      = `SELECT EXISTS (SELECT 1 FROM erasures)`
	erasureOf       = `SELECT EXISTS (SELECT 1 FROM erasures WHERE customer_hash = ?)`
	userTables      = `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	migrationsTable = `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'`
)

// minSQLite is the first version without the WAL-reset bug, which could
// corrupt a file that two connections write (sqlite.org/wal.html#walresetbug).
var minSQLite = [3]int{3, 51, 3}

// The write-ahead log is carried over into the file when it holds this many
// pages, and cut down to this many bytes when it starts anew.
const (
	checkpointPages = 4000
	logLimitBytes   = 64 << 20
)

// dataVersion asks a connection for a number that changes when another one has
// committed; see foreign.
const dataVersion = "PRAGMA data_version"

// connector opens connections with settings that a DSN cannot carry. The
// driver is a value of ours, so that nothing is registered globally.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

func openPool(dsn string, connections int, pragmas ...string) (*gorm.DB, *sql.DB, error) {
	pool := sql.OpenDB(connector{dsn, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		for _, p := range pragmas {
			if _, err := c.Exec("PRAGMA "+p, nil); err != nil {
				return err
			}
		}
		return nil
	}}})
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	g, err := gorm.Open(gormsqlite.New(gormsqlite.Config{Conn: pool}), gormConfig())
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return g, pool, nil
}

// createPrivate makes the file readable for its owner only, before SQLite
// would with the usual rights. Its log takes them over.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openWriter opens the one connection that writes. Its log is carried over by
// us and not by SQLite, which would do it inside a commit and throw away the
// error of a failed flush.
func openWriter(path string, o Options) (*gorm.DB, *sql.DB, error) {
	return openPool(dsn(path,
		"_journal_mode=WAL",
		"_synchronous="+strings.ToUpper(o.Synchronous),
		fmt.Sprintf("_busy_timeout=%d", o.BusyTimeout.Milliseconds()),
		"_txlock=immediate",
		"_foreign_keys=on",
		"_secure_delete=on",
		"_cache_size=-32000",
		"_stmt_cache_size=64",
	), 1, "wal_autocheckpoint = 0", fmt.Sprintf("journal_size_limit = %d", logLimitBytes))
}

func openReaders(path string, o Options) (*gorm.DB, *sql.DB, error) {
	return openPool(dsn(path,
		"mode=ro",
		"_query_only=on",
		fmt.Sprintf("_busy_timeout=%d", o.BusyTimeout.Milliseconds()),
		"_cache_size=-8000",
		"_stmt_cache_size=64",
	), o.Readers)
}

// openLookout opens the connection that looks for writes of others.
func openLookout(path string, o Options) (*sql.DB, error) {
	_, pool, err := openPool(dsn(path,
		"mode=ro",
		"_query_only=on",
		fmt.Sprintf("_busy_timeout=%d", o.BusyTimeout.Milliseconds()),
		"_stmt_cache_size=2",
	), 1)
	return pool, err
}

// dsn makes a URI of a path. Characters that mean something in a URI are
// escaped, so that no path can smuggle in a setting.
func dsn(path string, settings ...string) string {
	path = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(filepath.Clean(path)))
	return "file:" + path + "?" + strings.Join(settings, "&")
}

// checkPath refuses what SQLite would take in silence or describe badly, and
// says whether there is a database already.
func checkPath(path string) error {
	switch {
	case path == "" || strings.HasPrefix(path, ":memory:"):
		return fmt.Errorf("%q is not a file: give the path of a database file", path)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("the path contains a NUL")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		dir := filepath.Dir(path)
		if parent, err := os.Stat(dir); err != nil || !parent.IsDir() {
			return fmt.Errorf("folder %s does not exist: create it first", dir)
		}
		return nil
	}
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory: give the path of a database file", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Size() == 0:
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != magic {
		return fmt.Errorf("%s is not a database", path)
	}
	return nil
}

// checkOwner refuses the database of another program before anything of it is
// changed, its journal mode included.
func checkOwner(ctx context.Context, path string, o Options) error {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil // to be created
	}
	// Not mode=ro: a process killed while it made the file leaves a journal,
	// which only a connection that may write can roll back.
	_, pool, err := openPool(dsn(path, "mode=rw", "_query_only=on",
		fmt.Sprintf("_busy_timeout=%d", o.BusyTimeout.Milliseconds())), 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	var tables, ours int
	if err := pool.QueryRowContext(ctx, userTables).Scan(&tables); err != nil {
		return err
	}
	if err := pool.QueryRowContext(ctx, migrationsTable).Scan(&ours); err != nil {
		return err
	}
	if tables > 0 && ours == 0 {
		return fmt.Errorf("%w: it belongs to another program", ErrSchema)
	}
	return nil
}

// checkEngine verifies what the settings asked for.
func checkEngine(ctx context.Context, pool *sql.DB) error {
	var version, mode string
	if err := pool.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	if err := pool.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("journal mode is %q and cannot be made WAL: is the file on a network file system?", mode)
	}
	return nil
}

func checkVersion(version string) error {
	var v [3]int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &v[0], &v[1], &v[2]); err != nil {
		return fmt.Errorf("SQLite calls its version %q: expected three numbers", version)
	}
	for i := range v {
		switch {
		case v[i] > minSQLite[i]:
			return nil
		case v[i] < minSQLite[i]:
			return fmt.Errorf("SQLite %s can corrupt a database in WAL mode: build with %d.%d.%d or later",
				version, minSQLite[0], minSQLite[1], minSQLite[2])
		}
	}
	return nil
}

type faultKind uint8

const (
	faultOther  faultKind = iota
	faultBroken           // disk or file: nothing can be trusted from here on
	faultFull
	faultBusy
)

func fault(err error) faultKind {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return faultOther
	}
	switch e.Code {
	case sqlite3.ErrIoErr, sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrReadonly:
		return faultBroken
	case sqlite3.ErrFull:
		return faultFull
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol:
		return faultBusy
	}
	return faultOther
}

// logPages returns how many pages the write-ahead log holds.
func logPages(pool *sql.DB) (int, error) {
	_, pages, err := checkpoint(pool, "NOOP")
	return pages, err
}

// checkpoint carries the log over into the file. It reports whether readers
// kept it from finishing, and how many pages the log holds.
func checkpoint(pool *sql.DB, mode string) (busy bool, pages int, err error) {
	var stopped, done int
	err = pool.QueryRow("PRAGMA wal_checkpoint("+mode+")").Scan(&stopped, &pages, &done)
	return stopped != 0 || done < pages, pages, err
}

// truncateLog empties the log file. It waits for readers only so long, and not
// the usual timeout: the writer stands still meanwhile, and a training run may
// read for minutes.
func truncateLog(pool *sql.DB, wait, timeout time.Duration) (done bool, err error) {
	if _, err := pool.Exec(fmt.Sprintf("PRAGMA busy_timeout = %d", wait.Milliseconds())); err != nil {
		return false, err
	}
	busy, _, err := checkpoint(pool, "TRUNCATE")
	if fault(err) == faultBusy {
		busy, err = true, nil
	}
	if _, e := pool.Exec(fmt.Sprintf("PRAGMA busy_timeout = %d", timeout.Milliseconds())); err == nil {
		err = e
	}
	return !busy && err == nil, err
}

func compact(ctx context.Context, pool *sql.DB) error {
	_, err := pool.ExecContext(ctx, "VACUUM")
	return err
}

func optimize(pool *sql.DB) error {
	_, err := pool.Exec("PRAGMA optimize")
	return err
}

func logPath(path string) string { return path + "-wal" }
