package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/model"
	"churn/training"
	"churn/training/measure"
)

// ablateFlags say what is left out, added to what, and measured on which rows.
type ablateFlags struct {
	set       setFlags
	histories historyFlags
	wide      tableFlags
	matrix    []string
	core      []string
	by        string
	seeds     int
}

func (a *app) ablateFeaturesCommand() *cobra.Command {
	var f ablateFlags
	cmd := &cobra.Command{
		Use:   "ablate",
		Short: "Measure what each family of features adds",
		Long: `Ablate fits the same boosted trees with and without each family of features and
measures both on the test of training: customers never trained on, at later
snapshots. "On the core" is the log loss that a family saves beside a few families
that say when a customer was last seen, how often and for how long; "left out" is
what it saves beside all others; "permuted" is what is lost, without fitting again,
when customers get each other's values. Intervals of 90% are over customers and
seeds. Nothing is stored.`,
		Example: `  churn features ablate
  churn features ablate --features mine.yaml --from-sources --json
  churn features ablate --matrix matrix.parquet --by feature --seeds 5
  churn features ablate --table telco.csv --id customerID --label Churn=Yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.ablateFeatures(cmd.Context(), &f) },
	}
	f.set.register(cmd)
	f.histories.register(cmd)
	f.wide.register(cmd)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.matrix, "matrix", nil, "matrix of churn features build --labels, or all its shards, instead of the database")
	fl.StringSliceVar(&f.core, "core", nil, "families to add others to (default: those of "+strings.Join(training.DefaultCore, ", ")+" that there are)")
	fl.StringVar(&f.by, "by", "family", "what is left out and added: family, or feature for each declaration of the set")
	fl.IntVar(&f.seeds, "seeds", 3, "fits of each model, with a seed each")
	return cmd
}

func (f *ablateFlags) check() error {
	own := f.set.file != "" || f.set.version != ""
	switch {
	case f.by != "family" && f.by != "feature":
		return usagef("--by %q: use family or feature", f.by)
	case f.seeds < 1 || f.seeds > 100:
		return usagef("--seeds %d: give 1 to 100", f.seeds)
	case len(f.matrix) > 0 && (f.wide.path != "" || f.histories.fromSources):
		return usagef("give one of --matrix, --table and --from-sources")
	case own && (f.wide.path != "" || len(f.matrix) > 0):
		return usagef("--features and --model-version are for histories: a matrix and a wide table have their own features")
	case f.wide.path != "" && f.wide.label == "":
		return usagef("--table needs --label, such as --label Churn=Yes")
	}
	return errors.Join(f.wide.check(), f.histories.check(f.wide))
}

func (a *app) ablateFeatures(ctx context.Context, f *ablateFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	p := a.progress()
	defer p.finish()
	r, err := a.ablation(ctx, f, p)
	p.finish()
	if err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.stdout, r)
	}
	return printAblation(a, r)
}

func (a *app) ablation(ctx context.Context, f *ablateFlags, p *progress) (r *training.Ablation, err error) {
	what := training.AblationPlan{Core: f.core, ByFeature: f.by == "feature", Seeds: f.seeds}
	if f.wide.path == "" && len(f.matrix) == 0 {
		src, plan, done, err := a.historyPlan(ctx, &f.set, f.histories, p)
		if err != nil {
			return nil, err
		}
		r, err := training.Ablate(ctx, src, plan, what)
		return r, errors.Join(err, done())
	}
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	if f.wide.path != "" {
		t, err := f.wide.read()
		if err != nil {
			return nil, err
		}
		plan, err := c.plan(event.Never, p)
		if err != nil {
			return nil, err
		}
		plan.Features, plan.Definition = nil, model.Definition{Kind: "label", Label: f.wide.label}
		return training.AblateTable(ctx, t, plan, what)
	}
	through, err := c.fixedThrough()
	if err != nil {
		return nil, err
	}
	plan, err := c.plan(through, p)
	if err != nil {
		return nil, err
	}
	p.show("reading the matrix", 0, 0)
	d, err := training.ReadMatrix(f.matrix...)
	if err != nil {
		return nil, err
	}
	return training.AblateMatrix(ctx, d, plan, what)
}

func printAblation(a *app, r *training.Ablation) error {
	test := r.Parts[len(r.Parts)-1]
	core := "no features"
	if len(r.Core) > 0 {
		core = fmt.Sprintf("%d features (%s)", r.OnlyCore.Features, strings.Join(r.Core, ", "))
	}
	lines := [][]string{
		{"churn", r.Definition.String()},
		{"test", fmt.Sprintf("%d rows of %d customers never trained on, %d churners", test.Rows, test.Customers, test.Churners)},
		{"learner", fmt.Sprintf("%d %s, mean of %d seeds", r.Trees, r.Learner, r.Seeds)},
		{"all", fmt.Sprintf("%d features: log loss %s, AUC %s", r.All.Features, withInterval(r.All.LogLoss), withInterval(r.All.AUC))},
		{"core", fmt.Sprintf("%s: log loss %s, AUC %s", core, withInterval(r.OnlyCore.LogLoss), withInterval(r.OnlyCore.AUC))},
	}
	for _, f := range r.Findings {
		lines = append(lines, []string{f.Severity, f.Text})
	}
	if err := table(a.stdout, lines); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\nlog loss saved [%.0f%% interval] and AUC gained by each %s\n", 100*float64(r.Level), r.By)
	rows := [][]string{{r.By, "features", "on the core", "AUC", "left out", "AUC", "permuted", "verdict"}}
	for i := range r.Groups {
		g := &r.Groups[i]
		name := g.Name
		if g.InCore {
			name += " (core)"
		}
		row := []string{name, fmt.Sprint(g.Features), "-", "-", "-", "-", "-", g.Verdict}
		if g.Verdict != training.Constant {
			copy(row[2:], []string{withInterval(g.OnCore.LogLoss), rounded(g.OnCore.AUC),
				withInterval(g.LeftOut.LogLoss), rounded(g.LeftOut.AUC), withInterval(g.Permuted.LogLoss)})
		}
		rows = append(rows, row)
	}
	return table(a.stdout, rows)
}

// withInterval writes a value and its interval, with a digit more where a bound
// would else seem to be 0 and is not.
func withInterval(e measure.Estimate) string {
	half := float64(e.High-e.Low) / 2
	if e.Low > 0 {
		half = min(half, float64(2*e.Low))
	} else if e.High < 0 {
		half = min(half, float64(-2*e.High))
	}
	if !(half > 0) {
		return rounded(e)
	}
	d := decimals(half)
	return fmt.Sprintf("%s [%s, %s]", decimal(e.Value, d), decimal(e.Low, d), decimal(e.High, d))
}

// rounded writes a value with no more digits than its interval supports.
func rounded(e measure.Estimate) string {
	half := float64(e.High-e.Low) / 2
	switch {
	case math.IsNaN(float64(e.Value)):
		return "not measured"
	case half > 0:
		return decimal(e.Value, decimals(half))
	case e.Value == 0:
		return "0"
	default:
		return decimal(e.Value, 2) // the interval could not be measured
	}
}

// decimals is the place at which half the width of an interval begins.
func decimals(half float64) int {
	return min(max(0, int(math.Ceil(-math.Log10(half)))), 6)
}

// decimal writes no sign before zero.
func decimal(v measure.Float, decimals int) string {
	s := fmt.Sprintf("%.*f", decimals, float64(v))
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}
