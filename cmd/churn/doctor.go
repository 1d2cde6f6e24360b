package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/model"
	"churn/training"
)

// errUnfit says that the data has errors; its exit code is that of a gate.
var errUnfit = errors.New("the data is not fit to train on")

func (a *app) doctorCommand() *cobra.Command {
	var wide tableFlags
	var h historyFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell whether the data is fit to train on, and what is missing",
		Long: `Doctor reads the database, the sources of the project file (--from-sources) or a
wide table (--table) and tells what is in each table and column, how many
churners the definition finds at each snapshot and how many are missing for
what, after how long a silence customers come back, and which inactivity,
horizon, step and gap the data suggests. Each finding is an error, a warning or
advice, with what to do. It changes nothing.

Only the sources tell what could not be read, was there twice or in conflict.

Exit codes: 0 fit (warnings and advice are allowed), 3 not fit: there are errors.`,
		Example: `  churn doctor --config churn.yaml
  churn doctor --config churn.yaml --from-sources --json
  churn doctor --table telco.csv --id customerID --label Churn=Yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), wide, h) },
	}
	wide.register(cmd)
	h.register(cmd)
	return cmd
}

func (a *app) doctor(ctx context.Context, wide tableFlags, h historyFlags) error {
	if err := errors.Join(wide.check(), h.check(wide)); err != nil {
		return err
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	p := a.progress()
	defer p.finish()
	var d *training.Diagnosis
	if wide.path != "" {
		d, err = a.doctorTable(c, wide, p)
	} else {
		d, err = a.doctorHistories(ctx, c, h, p)
	}
	p.finish()
	if err != nil {
		return err
	}
	if a.json {
		err = writeJSON(a.stdout, d)
	} else {
		err = printDiagnosis(a.stdout, d)
	}
	if err == nil && !d.Fit {
		n := 0
		for _, f := range d.Findings {
			if f.Severity == "error" {
				n++
			}
		}
		err = fmt.Errorf("%w: %s", errUnfit, plural(n, "error", "errors"))
	}
	return err
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (a *app) doctorTable(c *config, wide tableFlags, p *progress) (*training.Diagnosis, error) {
	if wide.label == "" {
		return nil, usagef("--table needs --label, such as --label Churn=Yes")
	}
	t, err := wide.read()
	if err != nil {
		return nil, err
	}
	plan, err := c.plan(event.Never, p)
	if err != nil {
		return nil, err
	}
	plan.Features = nil // the table's own columns
	plan.Definition = model.Definition{Kind: "label", Label: wide.label}
	return training.DoctorTable(t, training.Checkup{Plan: plan})
}

func (a *app) doctorHistories(ctx context.Context, c *config, h historyFlags, p *progress) (d *training.Diagnosis, err error) {
	check := training.Checkup{MaxBadShare: c.Import.MaxBadShare}
	for name, sources := range c.Sources {
		if s, err := event.ParseStream(name); err == nil && len(sources) > 0 {
			check.Declared = append(check.Declared, s)
		}
	}
	var src training.Source
	var through event.Time
	var done func() error
	if h.fromSources {
		src, through, done, err = a.doctorSources(ctx, c, h, &check, p)
	} else {
		src, through, done, err = a.histories(ctx, c, h, p)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if check.Plan, err = c.plan(through, p); err != nil {
		return nil, err
	}
	return training.Doctor(ctx, src, check)
}

// doctorSources gathers the sources. However many rows are bad, the others are
// looked at: how many, and why, is what was asked for.
func (a *app) doctorSources(ctx context.Context, c *config, h historyFlags, check *training.Checkup, p *progress) (training.Source, event.Time, func() error, error) {
	now, err := c.now()
	if err != nil {
		return nil, 0, nil, err
	}
	g, reports, err := gatherInputs(ctx, c, h, event.ImportOptions{MaxBadShare: 1, Latest: now().Add(5 * event.Minute)}, p)
	if err != nil {
		return nil, 0, nil, err
	}
	check.Files = reports
	through, err := c.gatheredThrough(g)
	if err != nil {
		return nil, 0, nil, errors.Join(err, g.Close())
	}
	return g, through, g.Close, nil
}
