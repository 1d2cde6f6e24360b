package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/model"
	"churn/model/registry"
	"churn/training"
)

// tableFlags name a wide table.
type tableFlags struct {
	path, id, label string
	drop            []string
}

func (t *tableFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.path, "table", "", "wide table (CSV, NDJSON or Parquet) with one row a customer, instead of the database")
	f.StringVar(&t.id, "id", "", "column of the customer's id in the wide table (default: the row number)")
	f.StringVar(&t.label, "label", "", "column and value that mean churn, such as Churn=Yes")
	f.StringSliceVar(&t.drop, "drop", nil, "columns of the wide table to leave out")
}

// check refuses flags of a table where there is none: they would change nothing.
func (t *tableFlags) check() error {
	if t.path == "" && (t.id != "" || t.label != "" || len(t.drop) > 0) {
		return usagef("--id, --label and --drop are of a wide table: name it with --table")
	}
	return nil
}

func (t *tableFlags) read() (*training.Table, error) {
	return training.OpenTable(t.path, training.TableOptions{ID: t.id, Label: t.label, Drop: t.drop})
}

func (a *app) trainCommand() *cobra.Command {
	var wide tableFlags
	var h historyFlags
	var matrix []string
	var f trainFlags
	var k keepFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Build features and fit, test and store a churn model",
		Long: `Train observes every customer at several snapshots, splits by time with the gap
purged and by customer, fits the rungs of the ladder (rules, logistic regression,
random forest, boosting, blends), calibrates them on later data and tests the best
on still later data of customers it never saw. The model goes to the registry;
with --promote it also goes into use, if its gate lets it. Stopped, it goes on
from what was finished when it is called again.`,
		Example: `  churn train --config churn.yaml --promote
  churn train --config churn.yaml --from-sources --memory 2GB
  churn train --matrix matrix.parquet --promote
  churn train --table telco.csv --id customerID --label Churn=Yes --model telco
  churn train --table january.csv --test february.csv --label Churn=Yes --model telco`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.train(cmd.Context(), wide, f, h, matrix, &k)
		},
	}
	wide.register(cmd)
	h.register(cmd)
	cmd.Flags().StringSliceVar(&matrix, "matrix", nil, "matrix of churn features build --labels, or all its shards, instead of the database")
	f.register(cmd)
	k.register(cmd)
	return cmd
}

// trainFlags say how to train.
type trainFlags struct {
	test, budget string
	dryRun       bool
	backtest     int
}

func (f *trainFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.test, "test", "", "with --table: test on this table, and train on all customers of the other")
	cmd.Flags().StringVar(&f.budget, "budget", "", "about how long the search for settings may take, such as 5m, instead of the project file's")
	cmd.Flags().IntVar(&f.backtest, "backtest", 0, "also test the chosen settings at this many earlier ends of the data, a step between snapshots apart")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done and about how long it takes, and train nothing")
}

// unfinished is where fits are kept until the model is there, so that a training
// that was stopped goes on from them.
func (c *config) unfinished() string { return filepath.Join(c.Models, ".unfinished", c.Model) }

// startFunc is told what is known before the first fit.
type startFunc = func(*training.Outline) error

// errDryRun ends a training before it begins.
var errDryRun = errors.New("dry run")

// plan takes what the project file says of training.
func (c *config) plan(through event.Time, p *progress) (training.Plan, error) {
	set, err := c.featureSet()
	return training.Plan{
		Name: c.Model, Definition: c.Churn, Features: set, Through: through,
		Every: c.Training.Every, Snapshots: int(c.Training.Snapshots), HeldOut: c.Training.HeldOut,
		Seed: uint64(c.Training.Seed), Replicates: int(c.Training.Replicates), Rungs: c.Training.Rungs, Progress: p.show,
		Budget: c.Training.Budget, Backtest: c.Training.backtest, Resume: c.unfinished(),
		Capacity: training.Capacity(c.Training.Capacity), Segments: c.Training.Segments, Checks: c.Training.Checks, ChampionMargin: c.Training.ChampionMargin,
	}, err
}

func (a *app) train(ctx context.Context, wide tableFlags, f trainFlags, h historyFlags, matrix []string, k *keepFlags) error {
	if k.force && (k.reason == "" || !k.promote) {
		return usagef("--force needs --promote and --reason")
	}
	if err := errors.Join(wide.check(), h.check(wide)); err != nil {
		return err
	}
	if f.test != "" && wide.path == "" {
		return usagef("--test is a table to test on: it needs --table, to train on")
	}
	if len(matrix) > 0 && (wide.path != "" || h.fromSources) {
		return usagef("give one of --matrix, --table and --from-sources")
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	if f.budget != "" {
		if c.Training.Budget, err = event.ParseDuration(f.budget); err != nil {
			return usagef("--budget: %w", err)
		}
	}
	key, err := k.signer(c)
	if err != nil {
		return err
	}
	p := a.progress()
	defer p.finish()
	begun := time.Now()
	var m *model.Model
	var r *training.Report
	var outline *training.Outline
	c.Training.backtest = f.backtest
	start := func(o *training.Outline) error {
		if outline = o; f.dryRun {
			o.Reading(time.Since(begun).Seconds())
			return errDryRun
		}
		return nil
	}
	switch {
	case wide.path != "":
		m, r, err = a.trainTable(ctx, c, wide, f.test, start, p)
	case len(matrix) > 0:
		m, r, err = a.trainMatrix(ctx, c, matrix, start, p)
	default:
		m, r, err = a.trainHistories(ctx, c, h, start, p)
	}
	p.finish()
	switch {
	case errors.Is(err, errDryRun) && a.json:
		return writeJSON(a.stdout, outline)
	case errors.Is(err, errDryRun):
		_, err = fmt.Fprint(a.stdout, outline)
		return err
	case err != nil:
		return err
	}
	return a.keep(c, m, r, k, key)
}

func (a *app) trainTable(ctx context.Context, c *config, wide tableFlags, test string, start startFunc, p *progress) (*model.Model, *training.Report, error) {
	if wide.label == "" {
		return nil, nil, usagef("--table needs --label, such as --label Churn=Yes")
	}
	t, err := wide.read()
	if err != nil {
		return nil, nil, err
	}
	plan, err := c.plan(event.Never, p)
	if err != nil {
		return nil, nil, err
	}
	if test != "" {
		wide.path = test
		if plan.TestOn, err = wide.read(); err != nil {
			return nil, nil, err
		}
	}
	if plan.Bands, err = c.Training.Bands.fixed(); err != nil {
		return nil, nil, err
	}
	plan.Start = start
	plan.Features = nil // the table's own columns
	plan.Economics = &training.Economics{Unknown: "a wide table has no payments, and its label no horizon"}
	plan.Definition = model.Definition{Kind: "label", Label: wide.label}
	why := a.champion(c, &plan, "")
	m, r, err := training.TrainTable(ctx, t, plan)
	notCompared(r, why)
	return m, r, err
}

func (a *app) trainHistories(ctx context.Context, c *config, h historyFlags, start startFunc, p *progress) (m *model.Model, r *training.Report, err error) {
	src, through, done, err := a.histories(ctx, c, h, p)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	plan, err := c.plan(through, p)
	if err != nil {
		return nil, nil, err
	}
	w := c.worth(ctx, src, through)
	plan.Economics = w.economics()
	if plan.Bands, err = w.bands(); err != nil {
		return nil, nil, err
	}
	plan.Start = start
	why := a.champion(c, &plan, "")
	m, r, err = training.Train(ctx, src, plan)
	notCompared(r, why)
	return m, r, err
}

func writeReport(dir string, r *training.Report) error {
	r.Program = program()
	data, html, err := r.Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "report.html"), html, 0o644),
		os.WriteFile(filepath.Join(dir, "report.json"), data, 0o644))
}

// program is the version of this program, as far as its build tells.
func program() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	text := "churn " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(info.Main.Version, s.Value[:min(12, len(s.Value))]) {
			text += ", revision " + s.Value
		}
	}
	return text + ", built with " + info.GoVersion
}

func (a *app) evaluateCommand() *cobra.Command {
	var wide tableFlags
	var h historyFlags
	var version, report string
	cmd := &cobra.Command{
		Use:   "evaluate",
		Short: "Measure a stored model on the latest data",
		Long: `Evaluate measures a stored model on the latest snapshots whose labels are known,
on the customers it was never trained on, against the inactivity rule and, if it
is another, the champion. With --table it measures a model of a wide table on all
rows of one.`,
		Example: `  churn evaluate --config churn.yaml
  churn evaluate --table new.csv --id customerID --label Churn=Yes --version champion`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.evaluate(cmd.Context(), wide, h, version, report) },
	}
	wide.register(cmd)
	h.register(cmd)
	cmd.Flags().StringVar(&version, "version", registry.Champion, "version or alias of the model")
	cmd.Flags().StringVar(&report, "report", "", "also write report.html and report.json to this directory")
	return cmd
}

func (a *app) evaluate(ctx context.Context, wide tableFlags, h historyFlags, version, report string) (err error) {
	if err := errors.Join(wide.check(), h.check(wide)); err != nil {
		return err
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	s, err := a.stored(c, version)
	if err != nil {
		return err
	}
	p := a.progress()
	defer p.finish()
	var r *training.Report
	if wide.path != "" {
		t, err := wide.read()
		if err != nil {
			return err
		}
		plan, err := c.plan(event.Never, p)
		if err != nil {
			return err
		}
		why := a.champion(c, &plan, s.Manifest().Version)
		if r, err = training.EvaluateTable(t, s, plan); err != nil {
			return err
		}
		notCompared(r, why)
	} else {
		src, through, done, err := a.histories(ctx, c, h, p)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		plan, err := c.plan(through, p)
		if err != nil {
			return err
		}
		plan.Economics = c.worth(ctx, src, through).economics()
		why := a.champion(c, &plan, s.Manifest().Version)
		if r, err = training.EvaluateHistories(ctx, src, s, plan); err != nil {
			return err
		}
		notCompared(r, why)
	}
	p.finish()
	if report != "" {
		if err := writeReport(report, r); err != nil {
			return err
		}
	}
	if a.json {
		return writeJSON(a.stdout, r)
	}
	fmt.Fprint(a.stdout, r.Head())
	return nil
}

// scorer loads and compiles a model of the registry.
func (a *app) scorer(c *config, version string) (*model.Scorer, error) {
	m, err := a.load(c, version)
	if err != nil {
		return nil, err
	}
	return m.Compile()
}

// load reads a model of the registry.
func (a *app) load(c *config, version string) (*model.Model, error) {
	reg, err := a.openRegistry(c)
	if err != nil {
		return nil, err
	}
	return reg.Get(c.Model, version)
}
