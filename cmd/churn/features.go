package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/features"
	"churn/store"
	"churn/training"
)

func (a *app) featuresCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "features",
		Short: "List, explain, check, measure and freeze features, and write a matrix of them",
		Long: `Features are those of the project file, of a file named with --features, or of a
stored model named with --model-version, then with that model's levels,
definition of churn and seed.`,
		Example: `  churn features list
  churn features explain pay_late_n_90 --customer 1029
  churn features check --features mine.yaml
  churn features build --out matrix.parquet --labels
  churn features ablate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var set setFlags
	var h historyFlags
	list := &cobra.Command{Use: "list", Short: "List every feature, and how it is computed", Args: cobra.NoArgs,
		Example: `  churn features list
  churn features list --model-version champion --json`,
		RunE: func(*cobra.Command, []string) error { return a.listFeatures(&set) }}
	var customer, asOf string
	explain := &cobra.Command{Use: "explain NAME", Short: "Show what a value is made of", Args: cobra.ExactArgs(1),
		Long: `Explain computes one feature of one customer and shows the events that went into
it, when they happened and were recorded, why each counts, the sentence that a
reason would have, and the value without the last of the events.`,
		Example: `  churn features explain pay_late_n_90 --customer 1029
  churn features explain eng_silence --customer 1029 --as-of 2026-01-31 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.explainFeature(cmd.Context(), &set, args[0], customer, asOf)
		}}
	explain.Flags().StringVar(&customer, "customer", "", "id of the customer (required)")
	explain.Flags().StringVar(&asOf, "as-of", "", "instant (default: the end of the data)")
	check := &cobra.Command{Use: "check", Short: "Hold a feature set against the data", Args: cobra.NoArgs,
		Long: `Check computes the rows that training would see and tells of features that are
always missing, constant or equal to another, of levels that no longer occur,
of windows longer than the history, of sources without a time of recording, and
of what the leak checks find in whole histories. Errors end it with exit code 1,
warnings do not.`,
		Example: `  churn features check
  churn features check --features mine.yaml --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.checkFeatures(cmd.Context(), &set, h) }}
	h.register(check)
	for _, c := range []*cobra.Command{list, explain, check} {
		set.register(c)
	}
	cmd.AddCommand(list, explain, check, a.lockFeaturesCommand(), a.buildFeaturesCommand(), a.ablateFeaturesCommand())
	return cmd
}

// setFlags say which feature set is meant.
type setFlags struct{ file, version, through string }

func (s *setFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "features", "", "file of a feature set, instead of the project file's")
	cmd.Flags().StringVar(&s.version, "model-version", "", "version or alias of a stored model, whose set is meant")
}

// registerThrough adds the flag that says where the data ends.
func (s *setFlags) registerThrough(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.through, "through", "", "end of the data, instead of the project file's")
}

// choose reads the set. That of a model comes with what churn meant when it was
// trained and who was held out.
func (s *setFlags) choose(a *app, c *config) (*features.Set, error) {
	if s.through != "" {
		if _, err := event.ParseTime(s.through); err != nil {
			return nil, usagef("--through: %w", err)
		}
		c.Training.Through = s.through
	}
	switch {
	case s.file != "" && s.version != "":
		return nil, usagef("give either --features or --model-version")
	case s.file != "":
		path, err := filepath.Abs(s.file) // not relative to the project file
		if err != nil {
			return nil, err
		}
		c.Features = path
	case s.version != "":
		m, err := a.scorer(c, s.version)
		if err != nil {
			return nil, err
		}
		c.Churn, c.Training.Seed = m.Manifest().Definition, whole(m.Manifest().Seed)
		return m.Engine().Set(), nil
	}
	return c.featureSet()
}

// listedFeature is a feature as --json has it.
type listedFeature struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Family   string   `json:"family"`
	Unit     string   `json:"unit,omitempty"`
	Window   float64  `json:"window_days,omitempty"`
	From     string   `json:"from,omitempty"`
	Computed string   `json:"computed"`
	Text     string   `json:"text,omitempty"`
	Zero     string   `json:"zero,omitempty"`
	Missing  string   `json:"missing,omitempty"`
	Levels   []string `json:"levels,omitempty"`
}

func (a *app) listFeatures(s *setFlags) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	set, err := s.choose(a, c)
	if err != nil {
		return err
	}
	list, err := set.List()
	if err != nil {
		return err
	}
	if a.json {
		out := make([]listedFeature, len(list))
		for i := range list {
			l := &list[i]
			out[i] = listedFeature{l.Name, l.Kind.String(), l.Family, l.Unit, l.Window.Days(), l.From, l.Computed, l.Text, l.Zero, l.Missing, l.Levels}
		}
		return writeJSON(a.stdout, out)
	}
	rows := [][]string{{"feature", "kind", "unit", "window", "family", "computed", "sentence"}}
	for i := range list {
		l := &list[i]
		window := ""
		if l.Window > 0 {
			window = l.Window.String()
		}
		rows = append(rows, []string{l.Name, l.Kind.String(), l.Unit, window, l.Family, l.Computed, l.Text})
	}
	return table(a.stdout, rows)
}

// historyPlan opens the histories for a set, with the plan of training. What it
// returns last is to be called at the end.
func (a *app) historyPlan(ctx context.Context, s *setFlags, h historyFlags, p *progress) (training.Source, training.Plan, func() error, error) {
	var plan training.Plan
	if err := h.check(tableFlags{}); err != nil {
		return nil, plan, nil, err
	}
	c, err := a.config()
	if err != nil {
		return nil, plan, nil, err
	}
	set, err := s.choose(a, c)
	if err != nil {
		return nil, plan, nil, err
	}
	if len(set.Columns) > 0 {
		return nil, plan, nil, usagef("the set is of a wide table, which has no events")
	}
	src, through, done, err := a.histories(ctx, c, h, p)
	if err != nil {
		return nil, plan, nil, err
	}
	if plan, err = c.plan(through, p); err != nil {
		return nil, plan, nil, errors.Join(err, done())
	}
	plan.Features = set
	return src, plan, done, nil
}

func (a *app) explainFeature(ctx context.Context, s *setFlags, name, customer, asOf string) (err error) {
	if customer == "" {
		return usagef("--customer is missing: whose value is to be explained?")
	}
	p := a.progress()
	defer p.finish()
	src, plan, done, err := a.historyPlan(ctx, s, historyFlags{memory: 1 << 30}, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	at := plan.Through
	if asOf != "" {
		if at, err = event.ParseTime(asOf); err != nil {
			return usagef("--as-of: %w", err)
		}
	}
	tl, err := src.(*store.DB).Timeline(ctx, customer) // histories are not from the sources here
	if err != nil {
		return fmt.Errorf("customer %s: %w", customer, err)
	}
	e, err := training.Freeze(ctx, src, plan)
	if err != nil {
		return err
	}
	p.finish()
	column, ok := e.Index(name)
	if !ok {
		return fmt.Errorf("no feature %q: churn features list names those there are; of {by} there is one for each level seen in training", name)
	}
	x := e.Explain(column, tl, at)
	if a.json {
		return writeJSON(a.stdout, explanationJSON(x, customer, at))
	}
	return printExplanation(a.stdout, x, customer, at)
}

func (a *app) checkFeatures(ctx context.Context, s *setFlags, h historyFlags) (err error) {
	p := a.progress()
	defer p.finish()
	src, plan, done, err := a.historyPlan(ctx, s, h, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	found, err := training.Lint(ctx, src, plan)
	p.finish()
	if err != nil {
		return err
	}
	failed := 0
	rows := [][]string{}
	for _, f := range found {
		if f.Severity == "error" {
			failed++
		}
		rows = append(rows, []string{f.Severity, cmp.Or(f.Check, "-"), f.Text})
	}
	if a.json {
		err = writeJSON(a.stdout, append([]training.Finding{}, found...))
	} else if err = table(a.stdout, rows); err == nil {
		_, err = fmt.Fprintf(a.stdout, "%d errors, %d warnings\n", failed, len(found)-failed)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("the feature set has %d errors", failed)
	}
	return err
}
