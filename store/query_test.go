package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"churn/event"
)

// cells reads a query, each row as one text, with an @ behind what was a time.
func cells(t *testing.T, driver, dsn, query string) (head []string, got []string, err error) {
	t.Helper()
	rows, err := OpenQuery(context.Background(), "q", driver, dsn, query)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return rows.Columns(), got, nil
		}
		if err != nil {
			return rows.Columns(), got, err
		}
		var b strings.Builder
		for i, c := range row {
			b.WriteString("|" + c)
			if rows.(*queryRows).IsTime(i) {
				b.WriteString("@")
			}
		}
		line, _ := rows.Place()
		got = append(got, fmt.Sprint(line, b.String()))
	}
}

// foreignSQLite makes a database as another program would.
func foreignSQLite(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crm & co.db")
	pool := sql.OpenDB(connector{path, &sqlite3.SQLiteDriver{}})
	defer pool.Close()
	for _, s := range statements {
		if _, err := pool.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// Values of SQLite are taken as they are stored, whatever the column is
// declared as.
func TestQuerySQLite(t *testing.T) {
	path := foreignSQLite(t, `CREATE TABLE sales (who TEXT, at TIMESTAMP, day DATE, n INTEGER, price REAL, ok BOOLEAN, note BLOB)`,
		`INSERT INTO sales VALUES ('a', '2026-04-01 12:00:00', '2026-04-01', 1775044800, 0.1, 1, x'c3a9'), (NULL, 1775044800, NULL, -9223372036854775808, 1e300, NULL, '')`)
	want := []string{"1|a|2026-04-01 12:00:00|2026-04-01|1775044800|0.1|1|é", "2||1775044800||-9223372036854775808|1" + strings.Repeat("0", 300) + "||"}
	for _, dsn := range []string{path, "file:" + strings.ReplaceAll(path, " ", "%20")} {
		head, got, err := cells(t, "sqlite", dsn, "SELECT * FROM sales ORDER BY n DESC; \n")
		if err != nil || !slices.Equal(got, want) || !slices.Equal(head, []string{"who", "at", "day", "n", "price", "ok", "note"}) {
			t.Errorf("%s: %q, %q, %v\nwant %q", dsn, head, got, err, want)
		}
	}
	for query, reason := range map[string]string{
		"SELECT none FROM sales":                                    "q: no such column: none",
		"SELECT who AS \"\u0007\" FROM sales":                       "q: column 1: contains the invisible character U+0007",
		"DELETE FROM sales":                                         "q: near",
		"WITH x AS (SELECT 1) INSERT INTO sales(n) SELECT * FROM x": "q: near",
		"SELECT n, abs(n) FROM sales -- both":                       "after row 1: integer overflow",
	} {
		if _, _, err := cells(t, "sqlite", path, query); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %s", query, err, reason)
		}
	}
	none := filepath.Join(t.TempDir(), "none.db")
	if _, _, err := cells(t, "sqlite", none, "SELECT 1"); err == nil {
		t.Error("a database that is not there was opened")
	}
	if _, err := os.Stat(none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a database was made: %v", err)
	}
}

// A query goes through the same mapping, checks and identities as a file.
func TestQueryAsFile(t *testing.T) {
	path := foreignSQLite(t, `CREATE TABLE sales (who TEXT, at INTEGER, price)`,
		`INSERT INTO sales VALUES ('a', 1775044800, 5), ('a', 1775044800, 5), ('b', 'soon', 5), ('c', 1775044800, '1,5')`)
	m := event.Mapping{Columns: map[string]string{"customer_id": "who", "paid_at": "at", "amount": "price"}, TimeFormat: "unix"}
	query := event.Input{Stream: event.Payments, Path: "q", Mapping: m, Open: func(ctx context.Context) (event.Rows, error) {
		return OpenQuery(ctx, "q", "sqlite", path, "SELECT * FROM sales")
	}}
	csv := filepath.Join(t.TempDir(), "sales.csv")
	if err := os.WriteFile(csv, []byte("who,at,price\na,1775044800,5\na,1775044800,5\nb,soon,5\nc,1775044800,\"1,5\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := openTemp(t)
	var stored [2]int
	for i, in := range []event.Input{{Stream: event.Payments, Path: csv, Mapping: m}, query} {
		r, err := event.Import(context.Background(), []event.Input{in}, db.Sink(), event.ImportOptions{MaxBadShare: 1})
		if err != nil || r[0].Rows != 4 || r[0].Rejected != 2 {
			t.Errorf("%s: %+v, %v", in.Path, r, err)
		}
		stored[i] = r[0].Stored
	}
	if stored != [2]int{2, 0} {
		t.Errorf("the file stored %d, and the same rows of the query %d more", stored[0], stored[1])
	}
}

// postgres starts a server of its own, or skips the test where there is none
// to start. A server that is there and does not start is a failure.
func postgres(t *testing.T) (dsn string) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if p, err := exec.LookPath("initdb"); err == nil {
		found = append(found, p)
	}
	if len(found) == 0 {
		t.Skip("no PostgreSQL server is installed (initdb is not found)")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("/tmp", "churn-pg-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attributes := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // which the server refuses to run as
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("PostgreSQL does not run as root, and there is no user postgres: ", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, attributes
		return cmd
	}
	if out, err := run("initdb", "-D", data, "-U", "churn", "-A", "trust", "-N", "--no-locale", "-E", "UTF8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	server := run("postgres", "-D", data, "-k", dir, "-h", "", "-c", "shared_buffers=8MB", "-c", "fsync=off", "-c", "timezone=Europe/Berlin")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt) // ends connections and then itself
		_ = server.Wait()
	})
	dsn = "host=" + dir + " user=churn dbname=postgres"
	for range 100 {
		rows, err := OpenQuery(context.Background(), "ready", "postgres", dsn, "SELECT 1")
		if err == nil {
			rows.Close()
			return dsn
		}
		time.Sleep(100 * time.Millisecond)
	}
	out, _ := os.ReadFile(filepath.Join(data, "log"))
	t.Fatalf("the server does not answer: %s", out)
	return ""
}

func TestQueryPostgres(t *testing.T) {
	dsn := postgres(t)
	_, got, err := cells(t, "postgres", dsn, `SELECT * FROM (VALUES
		(1, 'a', timestamptz '2026-04-01 12:00:00.123456+02', timestamp '2026-04-01 12:00:00', date '2026-04-01', 12345678901234.567890::numeric, 0.1::float8, 7::int8, true, 'infinity'::timestamptz),
		(2, NULL, NULL, NULL, NULL, NULL, 'NaN', -9223372036854775808, false, NULL)
	) AS v (i, who, at, local, day, price, x, n, ok, never) ORDER BY i;`)
	if err != nil || len(got) != 2 {
		t.Fatalf("%q, %v", got, err)
	}
	// The zone in which a time with a zone comes is that of the machine.
	columns := strings.Split(got[0], "|")
	at, err := time.Parse(time.RFC3339Nano, strings.TrimSuffix(columns[3], "@"))
	if err != nil || !at.Equal(time.Date(2026, 4, 1, 10, 0, 0, 123456000, time.UTC)) || !strings.HasSuffix(columns[3], "@") {
		t.Errorf("a time with a zone: %s, %v", columns[3], err)
	}
	columns[3] = "at"
	if want := "1|1|a|at|2026-04-01T12:00:00@|2026-04-01T00:00:00@|12345678901234.567890|0.1|7|true|infinity"; strings.Join(columns, "|") != want {
		t.Errorf("%q\nwant %q", columns, want)
	}
	if want := "2|2|||||||-9223372036854775808|false|"; got[1] != want {
		t.Errorf("%q, want %q", got[1], want)
	}
	for query, reason := range map[string]string{
		"SELECT none":            "q: ERROR: column \"none\" does not exist",
		"CREATE TABLE x (i int)": "read-only transaction",
		"SELECT 10 / (500 - generate_series(1, 1000))": "after row 499: ERROR: division by zero",
	} {
		if _, _, err := cells(t, "postgres", dsn, query); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %s", query, err, reason)
		}
	}
	// Rows come as they are read: a hundred million would not fit.
	rows, err := OpenQuery(context.Background(), "q", "postgres", dsn, "SELECT generate_series(1, 100000000)")
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, err := rows.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rows, err = OpenQuery(ctx, "q", "postgres", dsn, "SELECT generate_series(1, 100000000)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for err == nil {
		cancel()
		_, err = rows.Next()
	}
	if err == io.EOF {
		t.Error("a query that was cancelled has come to its end")
	}
}

func TestCheckSource(t *testing.T) {
	for _, tt := range []struct{ driver, dsn, want string }{
		{"sqlite", "file:crm.db", ""}, {"postgres", "host=db user=churn passfile=/etc/pgpass", ""}, {"postgres", "postgres://churn@db/crm", ""},
		{"postgres", "postgres://churn:secret@db/crm", "holds a password"}, {"postgres", "host=db password = secret", "holds a password"},
		{"postgres", "postgres://db/crm?user=u&password=secret", "holds a password"}, {"mysql", "db", `driver "mysql": use sqlite or postgres`},
	} {
		err := CheckSource(tt.driver, tt.dsn)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v, want %q", tt.driver, tt.dsn, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is told: %v", err)
		}
	}
}
