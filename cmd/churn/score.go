package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"churn/event"
	tables "churn/features/table"
	"churn/model"
	"churn/model/registry"
	"churn/store"
	"churn/training"
)

type scoreFlags struct {
	version, asOf, out   string
	format, rejects      string
	ids                  []string
	reasons              int
	save                 bool
	workers, historyRows int // of tests
}

func (a *app) scoreCommand() *cobra.Command {
	var wide tableFlags
	var f scoreFlags
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Score customers of the database or rows of a wide table",
		Long: `Score writes one row a customer: probability of churn, percentile, risk band,
margin and the strongest reasons, as CSV, NDJSON or Parquet. Without --customer
every customer is scored who has not left. A wide table of any size is scored
as it is read; a model of histories also takes a table that has a column for
each of its features. A file is written under another name and renamed when it
is complete. What was odd in a table is counted on standard error.`,
		Example: `  churn score --config churn.yaml --out scores.csv
  churn score --config churn.yaml --customer 1029 --reasons 5 --json
  churn score --model-version champion --table new.csv --id customerID
  churn score --table new.parquet --id customerID --out scores.parquet --rejects bad.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.score(cmd.Context(), wide, f) },
	}
	wide.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.version, "model-version", registry.Champion, "version or alias of the model")
	fl.StringVar(&f.asOf, "as-of", "", "instant to score at (default: the end of the data)")
	fl.StringVar(&f.out, "out", "-", "file to write, - for standard output")
	fl.StringVar(&f.format, "format", "", "csv, ndjson or parquet (default: by the name of the file, else csv)")
	fl.StringVar(&f.rejects, "rejects", "", "file for rows of the table that are refused (default: the first one ends the run)")
	fl.StringSliceVar(&f.ids, "customer", nil, "customers to score (default: all)")
	fl.IntVar(&f.reasons, "reasons", 3, "reasons to give, 0 to 20")
	fl.BoolVar(&f.save, "save", false, "also keep the scores in the database")
	return cmd
}

// check refuses flags that contradict each other.
func (f *scoreFlags) check(wide tableFlags, asJSON bool) error {
	if f.reasons < 0 || f.reasons > 20 {
		return usagef("--reasons %d: between 0 and 20", f.reasons)
	}
	if err := wide.check(); err != nil {
		return err
	}
	if wide.path != "" && (f.asOf != "" || f.save || len(f.ids) > 0) {
		return usagef("--as-of, --customer and --save are of histories and not of a wide table")
	}
	if wide.path == "" && f.rejects != "" {
		return usagef("--rejects is of the rows of a wide table: name it with --table")
	}
	name := strings.ToLower(filepath.Ext(f.out))
	byName := map[string]string{".parquet": "parquet", ".pq": "parquet", ".ndjson": "ndjson", ".jsonl": "ndjson"}[name]
	switch {
	case name == ".gz" || name == ".zst":
		return usagef("--out %s: scores are not packed; write Parquet, which is, or to standard output and pack that", f.out)
	case asJSON && (f.format != "" && f.format != "ndjson" || f.format == "" && byName == "parquet"):
		return usagef("--json writes NDJSON, and the format asked for is another: leave it out")
	case f.format == "" && asJSON:
		f.format = "ndjson"
	case f.format == "" && byName != "":
		f.format = byName
	case f.format == "":
		f.format = "csv"
	case f.format != "csv" && f.format != "ndjson" && f.format != "parquet":
		return usagef("--format %q: use csv, ndjson or parquet", f.format)
	}
	if f.workers == 0 {
		f.workers = runtime.GOMAXPROCS(0)
	}
	if f.historyRows == 0 {
		f.historyRows = 256
	}
	return nil
}

func (a *app) score(ctx context.Context, wide tableFlags, f scoreFlags) (err error) {
	if err := f.check(wide, a.json); err != nil {
		return err
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	s, err := a.scorer(c, f.version)
	if err != nil {
		return err
	}
	if wide.path == "" && s.Engine().OfTable() {
		return usagef("the model is of a wide table: give --table")
	}
	w := &scoring{scorer: s, asOf: event.Never, reasons: f.reasons, format: f.format, stop: f.rejects == ""}
	rejects := newRejects(f.rejects)
	defer func() { err = errors.Join(err, rejects.close()) }()
	w.rejects = rejects
	var source func(context.Context, *stream) error
	if wide.path != "" {
		in, err := tables.Open(wide.path, nil)
		if err != nil {
			return err
		}
		defer in.Close()
		if source, err = w.tableSource(in, wide); err != nil {
			return err
		}
	} else {
		db, err := a.existingStore(ctx, c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		if w.asOf, err = c.through(ctx, db); f.asOf != "" {
			if w.asOf, err = event.ParseTime(f.asOf); err != nil {
				return usagef("--as-of: %w", err)
			}
		}
		if err != nil {
			return err
		}
		if f.save {
			w.save = db
		}
		source = w.historySource(db, f)
	}
	out, err := createOutput(f.out, a.stdout)
	if err != nil {
		return err
	}
	defer out.abandon()
	p := a.progress()
	defer p.finish()
	w.progress = p
	if err := w.run(ctx, source, out, f.workers); err != nil {
		return err
	}
	p.finish()
	if err := out.keep(); err != nil {
		return err
	}
	w.tally.print(a.stderr, a.quiet, s, rejects)
	return nil
}

// tableSource reads a wide table, or a matrix of features.
func (w *scoring) tableSource(in *tables.Reader, wide tableFlags) (func(context.Context, *stream) error, error) {
	known := wide.drop
	if wide.label != "" {
		column, _, ok := strings.Cut(wide.label, "=")
		if !ok {
			return nil, fmt.Errorf("label %q: write Column=value, such as Churn=Yes", wide.label)
		}
		known = append([]string{strings.TrimSpace(column)}, known...)
	}
	e := w.scorer.Engine()
	matrix, err := training.MatrixInfoOf(in)
	switch {
	case err != nil:
		return nil, err
	case matrix == nil:
	case matrix.FeatureFingerprint != e.Fingerprint():
		return nil, fmt.Errorf("%s: a matrix of other features than the model's, by name or by how they are computed: "+
			"build it with --model-version %s", in.Name(), w.scorer.Manifest().Version)
	default:
		for _, c := range tables.MatrixColumns {
			if slices.Contains(in.Columns(), c) && !slices.Contains(known, c) {
				known = append(known, c)
			}
		}
		if wide.id == "" {
			wide.id = tables.CustomerColumn
		}
	}
	plan, err := in.Plan(e.Inputs(), wide.id, known)
	var lacking *tables.LackingError
	switch {
	case errors.As(err, &lacking) && !e.OfTable():
		return nil, fmt.Errorf("%w: the model is of histories, and a table for it has a column for each feature", err)
	case err != nil:
		return nil, err
	}
	if matrix != nil {
		if err := plan.AsOf(tables.AsOfColumn); err != nil {
			return nil, err
		}
	}
	w.tally.begin(in, e.Inputs(), plan.Unused)
	return func(_ context.Context, st *stream) error {
		for {
			b, err := st.take()
			if err != nil {
				return err
			}
			if b.table == nil {
				b.table = plan.NewChunk()
			}
			if err := b.table.Read(); err != nil {
				return err
			}
			if err := st.send(b); err != nil {
				return err
			}
		}
	}, nil
}

// historySource reads the histories of the database.
func (w *scoring) historySource(db *store.DB, f scoreFlags) func(context.Context, *stream) error {
	return func(ctx context.Context, st *stream) error {
		b, err := st.take()
		if err != nil {
			return err
		}
		one := func(tl *event.Timeline) (err error) {
			if b.timelines = append(b.timelines, tl); len(b.timelines) < f.historyRows {
				return nil
			}
			if err = st.send(b); err == nil {
				b, err = st.take()
			}
			return err
		}
		if len(f.ids) == 0 {
			err = db.Timelines(ctx, func(tl *event.Timeline) error {
				if tl.Customer.ChurnedAt < w.asOf {
					return nil
				}
				return one(tl)
			})
		}
		for _, id := range f.ids {
			tl, terr := db.Timeline(ctx, id)
			if terr != nil {
				return fmt.Errorf("customer %s: %w", id, terr)
			}
			if err = one(tl); err != nil {
				break
			}
		}
		if err != nil {
			return err
		}
		return st.send(b)
	}
}

// interval is the 90 % interval of the probability.
func interval(s *model.Score) (low, high float64) {
	if s.High == 0 {
		return notMeasured, notMeasured
	}
	return s.Low, s.High
}
