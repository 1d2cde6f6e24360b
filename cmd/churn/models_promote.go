package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/model/registry"
	"churn/training"
)

// promoteFlags say what to promote, and with what to compare.
type promoteFlags struct {
	alias, reason    string
	force, noCompare bool
	table, id        string
	histories        historyFlags
}

func (a *app) promoteCommand() *cobra.Command {
	var f promoteFlags
	cmd := &cobra.Command{Use: "promote VERSION", Short: "Put a version into use",
		Long: `Promote points an alias at a version; a running server follows within a second.
As the champion, a model that did not pass its gate is refused (exit code 3), and
so is one that does surely worse than the present champion. For this both score
the test that the version had, computed anew from the database, from the sources
or, for a model of a wide table, from --table; what cannot be compared is promoted,
and why is said and logged. --force with --reason promotes past both, and the log
keeps it. A version that was the champion before is not compared: that is going
back. A challenger needs no gate: the server scores it beside the champion and
only counts.`,
		Example: `  churn models promote 20171231-0123456789ab --reason "better on November"
  churn models promote 00000000-0123456789ab --table telco.csv --id customerID
  churn models promote 20171231-0123456789ab --alias challenger --reason "to measure"`, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.force && f.reason == "" {
				return usagef("--force needs --reason")
			}
			if f.id != "" && f.table == "" {
				return usagef("--id is of a wide table: name it with --table")
			}
			if err := f.histories.check(tableFlags{path: f.table}); err != nil {
				return err
			}
			return a.move(func(c *config, r *registry.Registry, name string) (registry.Promotion, error) {
				version, err := r.Resolve(name, args[0])
				if err != nil {
					return registry.Promotion{}, err
				}
				ch := change(f.reason, f.force)
				if f.alias == registry.Champion {
					cp, err := a.compare(cmd.Context(), c, r, version, &f)
					if err != nil {
						return registry.Promotion{}, fmt.Errorf("comparing with the champion: %w (--no-compare leaves it out)", err)
					}
					beside(&ch, cp)
				}
				return r.Promote(name, f.alias, version, ch)
			})
		}}
	fl := cmd.Flags()
	fl.StringVar(&f.alias, "alias", registry.Champion, "alias to point")
	fl.StringVar(&f.reason, "reason", "", "why, for the promotion log")
	fl.BoolVar(&f.force, "force", false, "promote even if the gate or the comparison says no; needs --reason")
	fl.BoolVar(&f.noCompare, "no-compare", false, "do not compare with the champion, which takes time on large data; the log keeps it")
	fl.StringVar(&f.table, "table", "", "wide table whose customers the model was tested on, to compare on")
	fl.StringVar(&f.id, "id", "", "column of the customer's id in the wide table (default: the row number)")
	f.histories.register(cmd)
	return cmd
}

// compare holds a version against the champion. It returns nil where there is
// nothing to compare with, or the gate of the version refuses it already.
func (a *app) compare(ctx context.Context, c *config, reg *registry.Registry, version string, f *promoteFlags) (*training.Comparison, error) {
	log, err := reg.Promotions(c.Model)
	if err != nil {
		return nil, err
	}
	of := func(p registry.Promotion) bool { return p.Alias == registry.Champion }
	not := func(why string) (*training.Comparison, error) { return &training.Comparison{NotCompared: why}, nil }
	switch {
	case !slices.ContainsFunc(log, of):
		return nil, nil
	case slices.ContainsFunc(log, func(p registry.Promotion) bool { return of(p) && p.To == version }):
		return not("it was the champion before")
	case f.noCompare:
		return not("--no-compare")
	}
	s, err := a.stored(c, version)
	if err != nil {
		return nil, err
	}
	if !s.Manifest().Gate.Passed && !f.force {
		return nil, nil
	}
	p := a.progress()
	defer p.finish()
	plan, err := c.plan(event.Never, p)
	if err != nil {
		return nil, err
	}
	if why := a.champion(c, &plan, version); why != "" {
		return not(why)
	}
	if plan.Champion == nil {
		return nil, nil
	}
	return a.compareOn(ctx, c, s, plan, f, p)
}

// compareOn takes the data that the flags and the kind of model ask for.
func (a *app) compareOn(ctx context.Context, c *config, s *training.Stored, plan training.Plan, f *promoteFlags, p *progress) (cp *training.Comparison, err error) {
	if f.table != "" {
		t, err := training.OpenTable(f.table, training.TableOptions{ID: f.id, Label: s.Manifest().Definition.Label})
		if err != nil {
			return nil, err
		}
		return training.CompareTable(t, s, plan)
	}
	if s.Engine().OfTable() {
		return &training.Comparison{NotCompared: "the model is of a wide table: name the one with the customers of its test by --table"}, nil
	}
	src, _, done, err := a.histories(ctx, c, f.histories, p)
	if errors.Is(err, fs.ErrNotExist) && !f.histories.fromSources {
		return &training.Comparison{NotCompared: fmt.Sprintf("there is no data here: %v", err)}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	return training.CompareHistories(ctx, src, s, plan)
}
