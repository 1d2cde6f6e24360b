package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/event/sim"
	"churn/features"
	"churn/model"
)

func (a *app) simulateCommand() *cobra.Command {
	var out, world string
	var customers int
	var seed uint64
	var gz bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Write a simulated world with known truth",
		Long: `Simulate draws customers whose hidden state drives engagement, complaints, late
payments and leaving, and writes the input tables, a project file, the best
score that is possible (oracle.csv) and the truth (truth.json). Same seed, same
bytes. Worlds: ` + strings.Join(sim.Variants(), ", ") + `.`,
		Example: `  churn simulate --out demo --customers 2000
  churn simulate --out big --customers 1000000 --gzip`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.simulate(cmd.Context(), out, world, customers, seed, gz)
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "directory to write (required)")
	f.StringVar(&world, "world", "plain", "which world")
	f.IntVar(&customers, "customers", 20_000, "number of customers")
	f.Uint64Var(&seed, "seed", 1, "seed")
	f.BoolVar(&gz, "gzip", false, "gzip the tables")
	return cmd
}

func (a *app) simulate(ctx context.Context, out, world string, customers int, seed uint64, gz bool) error {
	if out == "" {
		return usagef("--out is missing: name a directory to write")
	}
	w, err := sim.DefaultWorld().Variant(world)
	if err != nil {
		return usageError{err}
	}
	w.Customers, w.Seed = customers, seed
	if err := w.Validate(); err != nil {
		return usageError{err}
	}
	p := a.progress()
	defer p.finish()
	truth, err := w.WriteDir(ctx, out, gz, func(done, total int) { p.show("simulating", done, total) })
	p.finish()
	if err != nil {
		return err
	}
	if err := writeSimulatedProject(out, &w, gz); err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.stdout, truth.Summary)
	}
	s := truth.Summary
	_, err = fmt.Fprintf(a.stdout, "%s: %d customers (%d left), %d engagement, %d complaints, %d payments\n"+
		"best possible score: AUC %.4f, log loss %.4f over %d observations (base rate %.4f)\n"+
		"next: churn import --config %s\n",
		out, s.Customers, s.Left, s.Engagements, s.Complaints, s.Payments,
		s.AUC, s.LogLoss, s.Observations, s.BaseRate, filepath.Join(out, "churn.yaml"))
	return err
}

// writeSimulatedProject writes the project file of a simulated world. Its
// attributes are known from sign-up on, by construction.
func writeSimulatedProject(dir string, w *sim.World, gz bool) error {
	ending := ".csv"
	if gz {
		ending += ".gz"
	}
	p := project{
		note:  "A simulated world: the truth is in truth.json, the best possible score in oracle.csv.",
		churn: model.Definition{Kind: "contract", Gap: w.Gap, Horizon: w.Horizon},
		clock: w.End.String(), every: 30 * event.Day, snapshots: 12,
		sources: map[event.Stream][]string{}, columns: map[event.Stream][]string{},
	}
	for _, s := range event.Streams()[:event.Attributes] {
		p.sources[s] = []string{s.String() + ending}
	}
	if name := w.Switch.Name; name != "" {
		p.sources[event.Attributes] = []string{event.Attributes.String() + "." + name + ending}
		p.attributes = append(p.attributes, features.Column{Name: name, Type: "category", History: true})
	}
	for _, at := range w.Attributes {
		p.attributes = append(p.attributes, features.Column{Name: at.Name, Type: "category"})
	}
	p.attributes = append(p.attributes, features.Column{Name: w.RateName, Type: "number"})
	if w.Leak {
		p.attributes = append(p.attributes, features.Column{Name: "account_closed", Type: "category"})
	}
	return os.WriteFile(filepath.Join(dir, "churn.yaml"), p.yaml(), 0o644)
}
