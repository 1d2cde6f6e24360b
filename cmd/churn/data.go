package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"churn/event"
	"churn/model/registry"
	"churn/store"
)

// openStore opens the database of the project. onCommit may be nil.
func (a *app) openStore(ctx context.Context, c *config, onCommit func(int, time.Duration)) (*store.DB, error) {
	// Rows are stamped with the real time, whatever clock the project fixes:
	// when something was recorded here is a fact.
	return store.Open(ctx, c.Database, store.Options{
		Now:      func() event.Time { return event.FromTime(time.Now()) },
		OnCommit: onCommit,
	})
}

// existingStore is openStore for commands that only read: a database that is
// not there is a mistake, not an empty one.
func (a *app) existingStore(ctx context.Context, c *config) (*store.DB, error) {
	if _, err := os.Stat(c.Database); err != nil {
		return nil, fmt.Errorf("%w (import data first, or name the database with --db)", err)
	}
	return a.openStore(ctx, c, nil)
}

// openRegistry opens the models of the project and trusts its keys.
func (a *app) openRegistry(c *config) (*registry.Registry, error) {
	keys, err := c.trusted()
	if err != nil {
		return nil, err
	}
	return registry.Open(c.Models, keys...)
}

// change says who changes an alias, for the promotion log.
func change(reason string, force bool) registry.Change {
	actor := "unknown"
	if u, err := user.Current(); err == nil {
		actor = u.Username
	}
	return registry.Change{At: event.FromTime(time.Now()), Actor: actor, Reason: reason, Force: force}
}

// through is the end of the data: a configured instant, the fixed clock, or
// the last thing recorded.
func (c *config) through(ctx context.Context, db *store.DB) (event.Time, error) {
	if t, err := c.fixedThrough(); err != nil || t != event.Never {
		return t, err
	}
	sum, err := db.Summary(ctx)
	if err != nil {
		return 0, err
	}
	last := event.Time(0)
	for _, t := range sum.Types {
		// What may be known ahead may lie ahead of the data; the rest does not.
		if !t.Type.Ahead() {
			last = max(last, t.Last)
		}
	}
	if last == 0 {
		return 0, fmt.Errorf("the database has no events: import some first")
	}
	return last + 1, nil
}

// fixedThrough is the end of the data, if the project file tells it, or Never.
func (c *config) fixedThrough() (event.Time, error) {
	for _, s := range []string{c.Training.Through, c.Clock} {
		if s != "" {
			return event.ParseTime(s)
		}
	}
	return event.Never, nil
}

// writeJSON writes a result for programs.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows in columns.
func table(w io.Writer, rows [][]string) error {
	widths := map[int]int{}
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], len(c))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			fmt.Fprintf(&b, "%-*s  ", widths[i], c)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}
