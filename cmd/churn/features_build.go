package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"churn/event"
	tables "churn/features/table"
	"churn/model"
	"churn/training"
)

// buildFlags say which rows a matrix has.
type buildFlags struct {
	set             setFlags
	out, shard      string
	arrow           bool
	maxEvents       int
	snapshots, asOf []string
	labels          bool
	histories       historyFlags
}

func (a *app) buildFeaturesCommand() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Write the matrix of features as Parquet, or as a stream of Arrow",
		Long: `Build writes the observations that training would make, with their features, in
memory that does not grow with the number of customers. With --snapshots it
observes at other instants, with --as-of it writes everybody who has not left,
as churn score does. What the columns mean and what the matrix was made from is
in the file. A file is written under another name and renamed when it is
complete. One line of JSON on standard error tells the rows and their checksum.

With --arrow it reads events from standard input, as an Arrow IPC stream sorted by
customer and time, and writes rows to standard output as another, in constant
memory: once for each part of the customers that another engine has put in order.
It needs a set whose levels are frozen (churn features lock, or --model-version)
and the end of the data (--through). A stream after an error is cut in the middle
of a message, and the exit code is 1.`,
		Example: `  churn features build --out matrix.parquet --labels
  churn features build --out today.parquet --as-of 2026-01-31 --model-version champion
  churn features build --out part-1.parquet --labels --shard 1/4
  churn features build --arrow --features locked.yaml --through 2026-01-31 < events.arrows > rows.arrows`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.buildFeatures(cmd.Context(), &f) },
	}
	f.set.register(cmd)
	f.histories.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.out, "out", "", "Parquet file to write (required without --arrow)")
	fl.StringSliceVar(&f.snapshots, "snapshots", nil, "instants to observe at (default: those of training)")
	fl.StringSliceVar(&f.asOf, "as-of", nil, "instants to write every customer at who has not left, instead of observations")
	fl.BoolVar(&f.labels, "labels", false, "also write who churned, where it is known, and why")
	fl.StringVar(&f.shard, "shard", "", "write one part of the customers only: 1/4 is the first of four")
	f.set.registerThrough(cmd)
	fl.BoolVar(&f.arrow, "arrow", false, "read events and write rows as Arrow IPC streams on standard input and output")
	fl.IntVar(&f.maxEvents, "max-events", tables.DefaultMaxEvents, "with --arrow: events of one customer, which are held in memory; more are an error")
	return cmd
}

// built is what build tells of a matrix.
type built struct {
	Out                string     `json:"out"`
	Rows               int        `json:"rows"`
	Checksum           string     `json:"checksum"`
	Features           int        `json:"features"`
	Customers          int        `json:"customers"`
	Shard              int        `json:"shard"`
	Shards             int        `json:"shards"`
	Through            event.Time `json:"through"`
	FeatureFingerprint string     `json:"feature_fingerprint"`
	DataFingerprint    string     `json:"data_fingerprint"`
}

func (f *buildFlags) build(plan training.Plan) (training.Build, error) {
	b := training.Build{Plan: plan, Labels: f.labels}
	if err := f.checkArrow(); err != nil {
		return b, err
	}
	if f.out == "" && !f.arrow {
		return b, usagef("--out is missing: name a Parquet file to write")
	}
	if len(f.snapshots) > 0 && len(f.asOf) > 0 {
		return b, usagef("give either --snapshots or --as-of")
	}
	times := func(flag string, texts []string) (out []event.Time, err error) {
		for _, s := range texts {
			t, err := event.ParseTime(s)
			if err != nil {
				return nil, usagef("--%s: %w", flag, err)
			}
			out = append(out, t)
		}
		return out, nil
	}
	var err, errAsOf error
	b.At, err = times("snapshots", f.snapshots)
	b.AsOf, errAsOf = times("as-of", f.asOf)
	if f.shard != "" {
		i, n, ok := strings.Cut(f.shard, "/")
		var e1, e2 error
		b.Shard, e1 = strconv.Atoi(i)
		b.Shards, e2 = strconv.Atoi(n)
		if !ok || e1 != nil || e2 != nil || b.Shard < 1 || b.Shard > b.Shards {
			return b, usagef("--shard %q: write the number of the part and how many there are, such as 1/4", f.shard)
		}
	}
	return b, errors.Join(err, errAsOf)
}

func (a *app) buildFeatures(ctx context.Context, f *buildFlags) (err error) {
	if _, err := f.build(training.Plan{}); err != nil {
		return err
	}
	if f.arrow {
		return a.buildArrow(ctx, f)
	}
	p := a.progress()
	defer p.finish()
	src, plan, done, err := a.historyPlan(ctx, &f.set, f.histories, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	b, err := f.build(plan)
	if err != nil {
		return err
	}
	if b.Labels && len(b.AsOf) == 0 { // it may be trained on
		c, err := a.config()
		if err != nil {
			return err
		}
		b.Economics = c.worth(ctx, src, b.Through).economics()
	}
	out, err := createOutput(f.out, a.stdout)
	if err != nil {
		return err
	}
	defer out.abandon()
	// Nearly all memory is that of histories and rows which come and go.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	if f.histories.fromSources {
		defer f.histories.limit()()
	}
	m, err := training.BuildMatrix(ctx, src, out, b)
	p.finish()
	if err != nil {
		return err
	}
	if err := out.keep(); err != nil {
		return err
	}
	line, err := json.Marshal(built{f.out, m.Rows, m.Checksum, len(m.Columns), m.Customers, m.Shard, m.Shards, m.Through, m.FeatureFingerprint, m.DataFingerprint})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stderr, "%s\n", line)
	return err
}

// trainMatrix trains on matrices that were built before.
func (a *app) trainMatrix(ctx context.Context, c *config, paths []string, start startFunc, p *progress) (*model.Model, *training.Report, error) {
	if c.Training.Bands.by == "profit" {
		return nil, nil, fmt.Errorf("training.bands: profit needs the payments of the database: train without --matrix, or use quantiles or two probabilities")
	}
	through, err := c.fixedThrough()
	if err != nil {
		return nil, nil, err
	}
	plan, err := c.plan(through, p)
	if err != nil {
		return nil, nil, err
	}
	if plan.Bands, err = c.Training.Bands.fixed(); err != nil {
		return nil, nil, err
	}
	plan.Start = start
	p.show("reading the matrix", 0, 0)
	d, err := training.ReadMatrix(paths...)
	if err != nil {
		return nil, nil, err
	}
	why := a.champion(c, &plan, "")
	m, r, err := training.TrainMatrix(ctx, d, plan)
	notCompared(r, why)
	return m, r, err
}
