package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"churn/event"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema.
type migration struct {
	version int
	name    string
	text    string
}

func (m migration) checksum() string {
	sum := sha256.Sum256([]byte(m.text))
	return hex.EncodeToString(sum[:])
}

// migrations lists the embedded steps in order. That their numbers run 1, 2,
// 3 without a gap is a property of the source, which a test checks.
func migrations() []migration {
	entries, _ := migrationFiles.ReadDir("migrations") // sorted by name; embedded, so it exists
	var ms []migration
	for _, e := range entries {
		text, _ := migrationFiles.ReadFile("migrations/" + e.Name())
		number, _, _ := strings.Cut(e.Name(), "_")
		version, _ := strconv.Atoi(number)
		ms = append(ms, migration{version, e.Name(), string(text)})
	}
	return ms
}

const createMigrations = `CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER PRIMARY KEY NOT NULL,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT`

// migrate applies the steps that are missing, each in a transaction of its
// own together with its record, so that a killed process leaves whole steps.
func migrate(ctx context.Context, pool *sql.DB, ms []migration, now func() event.Time) error {
	applied, err := migrateNext(ctx, pool, ms, now)
	for applied && err == nil {
		applied, err = migrateNext(ctx, pool, ms, now)
	}
	return err
}

// migrateNext applies one step. The transaction takes the write lock before
// it looks, so that of two processes one does it and the other finds it done.
func migrateNext(ctx context.Context, pool *sql.DB, ms []migration, now func() event.Time) (applied bool, err error) {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() // has no effect after Commit
	if _, err := tx.ExecContext(ctx, createMigrations); err != nil {
		return false, err
	}
	done, err := checkMigrations(ctx, tx, ms)
	if err != nil {
		return false, err
	}
	if done == len(ms) {
		return false, tx.Commit()
	}
	m := ms[done]
	if _, err := tx.ExecContext(ctx, m.text); err != nil {
		return false, fmt.Errorf("migration %s: %w", m.name, err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)`,
		m.version, m.name, m.checksum(), int64(now())); err != nil {
		return false, fmt.Errorf("migration %s: %w", m.name, err)
	}
	return true, tx.Commit()
}

// checkMigrations counts the steps that are applied and refuses a history
// that is not the beginning of ours.
func checkMigrations(ctx context.Context, tx *sql.Tx, ms []migration) (int, error) {
	rows, err := tx.QueryContext(ctx, `SELECT version, name, checksum FROM schema_migrations ORDER BY version`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var version int
		var name, checksum string
		if err := rows.Scan(&version, &name, &checksum); err != nil {
			return 0, err
		}
		if n >= len(ms) {
			return 0, fmt.Errorf("%w: version %d, and this program knows up to %d: use a newer program", ErrSchema, version, len(ms))
		}
		if m := ms[n]; version != m.version || checksum != m.checksum() {
			return 0, fmt.Errorf("%w: its step %d (%s) is not the %s of this program", ErrSchema, version, name, m.name)
		}
	}
	return n, rows.Err()
}
