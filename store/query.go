package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/mattn/go-sqlite3"

	"churn/event"
)

// This file reads events out of databases that are not ours: the result of any
// query, as rows of an event.Reader. It only reads: PostgreSQL is asked in a
// transaction that cannot write, SQLite through a connection that cannot.

var password = regexp.MustCompile(`(?i)(^|[\s?&])(ssl)?password\s*=`)

// CheckSource checks what a project file says of a database, before anything
// is opened. A DSN in a file must not have a password.
func CheckSource(driver, dsn string) error {
	if driver != "sqlite" && driver != "postgres" {
		return fmt.Errorf("driver %q: use sqlite or postgres", driver)
	}
	u, err := url.Parse(dsn)
	secret := password.MatchString(dsn)
	if err == nil && u.User != nil {
		_, given := u.User.Password()
		secret = secret || given
	}
	if secret {
		return errors.New("dsn holds a password: put it into an environment variable, and name that under dsn_from")
	}
	return nil
}

// OpenQuery runs a query on a database and returns its rows as they come.
// driver is sqlite, where dsn is a path or file: URI, or postgres, where it is
// a URI or a list of keywords; what a PostgreSQL DSN leaves out is taken from
// the variables and files of libpq. name stands for the query in errors.
func OpenQuery(ctx context.Context, name, driver, dsn, query string) (event.Rows, error) {
	q := &queryRows{name: name}
	ctx, q.stop = context.WithCancel(ctx)
	err := q.open(ctx, driver, dsn, strings.TrimRight(query, "; \t\r\n"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), q.Close())
	}
	return q, nil
}

// queryRows are the rows of a query. The line of a row is its number.
type queryRows struct {
	name   string
	stop   context.CancelFunc
	ended  bool // all rows were read
	pool   *sql.DB
	tx     *sql.Tx
	rows   *sql.Rows
	local  []bool // columns of times without a zone
	names  []string
	values []any
	into   []any // pointers to the values
	cells  []string
	row    int
}

func (q *queryRows) open(ctx context.Context, driver, dsn, query string) (err error) {
	switch driver {
	case "sqlite":
		q.pool = sql.OpenDB(connector{readOnly(dsn), &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
			_, err := c.Exec("PRAGMA query_only = ON", nil)
			return err
		}}})
	case "postgres":
		c, err := pgx.ParseConfig(dsn)
		if err != nil {
			return err
		}
		q.pool = stdlib.OpenDB(*c)
	default:
		return fmt.Errorf("driver %q: use sqlite or postgres", driver)
	}
	q.pool.SetMaxOpenConns(1)
	if q.tx, err = q.pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return err
	}
	if driver == "sqlite" {
		if query, err = q.undeclared(ctx, query); err != nil {
			return err
		}
	}
	if q.rows, err = q.tx.QueryContext(ctx, query); err != nil {
		return err
	}
	types, err := q.rows.ColumnTypes()
	if err != nil {
		return err
	}
	for i, t := range types {
		column := strings.TrimSpace(t.Name())
		if column != "" {
			if err := event.CheckID("column", column); err != nil {
				return fmt.Errorf("column %d: %s", i+1, err.(*event.FieldError).Reason)
			}
		}
		q.names = append(q.names, column)
		q.local = append(q.local, t.DatabaseTypeName() == "TIMESTAMP" || t.DatabaseTypeName() == "DATE")
	}
	q.values, q.cells = make([]any, len(types)), make([]string, len(types))
	for i := range q.values {
		q.into = append(q.into, &q.values[i])
	}
	return nil
}

// readOnly is a DSN that does not make a file that is not there.
func readOnly(dsn string) string {
	path, uri := strings.CutPrefix(dsn, "file:")
	if !uri {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	path, options, _ := strings.Cut(path, "?")
	if !strings.Contains(options, "mode=") {
		options += "&mode=ro"
	}
	return "file:" + path + "?" + strings.TrimPrefix(options, "&")
}

// undeclared wraps a query so that columns lose their declared types, for which
// the driver would turn numbers and texts into times of a zone of its choice.
func (q *queryRows) undeclared(ctx context.Context, query string) (string, error) {
	inner := "FROM (" + query + "\n)" // the query may end in a comment
	rows, err := q.tx.QueryContext(ctx, "SELECT * "+inner+" LIMIT 0")
	if err != nil {
		return "", err
	}
	names, err := rows.Columns()
	if err := errors.Join(err, rows.Close()); err != nil {
		return "", err
	}
	for i, n := range names {
		n = `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
		names[i] = "+" + n + " AS " + n
	}
	return "SELECT " + strings.Join(names, ", ") + " " + inner, nil
}

func (q *queryRows) Columns() []string { return q.names }

func (q *queryRows) Next() ([]string, error) {
	if !q.rows.Next() {
		if err := q.rows.Err(); err != nil {
			return nil, fmt.Errorf("%s: after row %d: %w", q.name, q.row, err)
		}
		q.ended = true
		return nil, io.EOF
	}
	q.row++
	if err := q.rows.Scan(q.into...); err != nil {
		return nil, fmt.Errorf("%s: row %d: %w", q.name, q.row, err)
	}
	for i, v := range q.values {
		cell, ok := q.text(v, q.local[i])
		if !ok {
			return nil, fmt.Errorf("%s: column %q: values of type %T are not read; cast it to text in the query", q.name, q.names[i], v)
		}
		q.cells[i] = cell
	}
	return q.cells, nil
}

// text writes a value as a file would have it: nothing for NULL and NaN.
func (q *queryRows) text(v any, local bool) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case []byte:
		return string(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		if math.IsNaN(v) {
			return "", true
		}
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case time.Time:
		if local {
			return v.Format("2006-01-02T15:04:05.999999999"), true
		}
		return v.Format(time.RFC3339Nano), true
	}
	return "", false
}

// IsTime tells whether a cell was a time.
func (q *queryRows) IsTime(column int) bool {
	_, is := q.values[column].(time.Time)
	return is
}

func (q *queryRows) Place() (line, lines int) { return q.row, 1 }

func (q *queryRows) Row() []string { return slices.Clone(q.cells) }

func (q *queryRows) Close() error {
	defer q.stop()
	if !q.ended { // or the driver would read all rows that are left
		q.stop()
	}
	var errs []error
	if q.rows != nil {
		errs = append(errs, q.rows.Close())
	}
	if q.tx != nil {
		if err := q.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
			errs = append(errs, err)
		}
	}
	if q.pool != nil {
		errs = append(errs, q.pool.Close())
	}
	if !q.ended {
		return nil // what is wrong is that it was stopped
	}
	return errors.Join(errs...)
}
