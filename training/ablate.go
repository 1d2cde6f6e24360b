package training

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// DefaultCore are the families that say when a customer was last seen, how
// often, and for how long: what a new feature has to add to. Those of them that
// a set has are its core.
var DefaultCore = []string{"silence", "engagement", "spend", "tenure"}

// AblationPlan says what is left out, and added to what.
type AblationPlan struct {
	Core      []string // families; nil takes DefaultCore
	ByFeature bool     // each declaration of the set by itself, instead of families
	Seeds     int      // fits of each model; default 3
}

// ablationLevel is the share of replicates within an interval.
const ablationLevel = 0.9

// Verdicts of an ablation.
const (
	Adds         = "adds"                // one of the two intervals of refits lies above 0
	Harms        = "harms"               // one of them lies below 0
	AddsAndHarms = "adds and harms"      // one above, the other below
	NotShown     = "no difference shown" // both hold 0
	Constant     = "constant"            // each feature has one value in training
)

// Ablation tells what each group of features adds on test rows: customers never
// trained on, at later snapshots.
type Ablation struct {
	Definition model.Definition `json:"definition"`
	By         string           `json:"by"` // family or feature
	Core       []string         `json:"core"`
	Seed       uint64           `json:"seed"`
	Seeds      int              `json:"seeds"`
	Learner    string           `json:"learner"`
	Trees      int              `json:"trees"`
	Level      measure.Float    `json:"level"` // of the intervals
	Parts      []Part           `json:"parts"`
	// All and OnlyCore are the models that the groups are left out of, and
	// added to.
	All      Quality   `json:"all"`
	OnlyCore Quality   `json:"only_core"`
	Groups   []Group   `json:"groups"` // what adds most to the core first
	Findings []Finding `json:"findings"`
	// DataFingerprint and FeatureFingerprint identify the inputs.
	DataFingerprint    string `json:"data_fingerprint"`
	FeatureFingerprint string `json:"feature_fingerprint"`
}

// Quality is the mean over seeds of a model's metrics, each with its interval.
type Quality struct {
	Features int              `json:"features"`
	LogLoss  measure.Estimate `json:"log_loss"`
	AUC      measure.Estimate `json:"auc"`
}

// Gain is by how much the features of a group make a model better: log loss
// saved, AUC gained.
type Gain struct {
	LogLoss measure.Estimate `json:"log_loss_saved"`
	AUC     measure.Estimate `json:"auc_gained"`
}

// Group is a family, or the features of one declaration.
type Group struct {
	Name     string `json:"name"`
	Family   string `json:"family"`
	Features int    `json:"features"`
	Constant int    `json:"constant"` // those with one value in training
	InCore   bool   `json:"in_core"`
	// OnCore compares the core with the group to the core without it; LeftOut
	// all features to all but the group; Permuted, without fitting again, test
	// rows as they are to rows with the group's values of other rows of the same
	// snapshot.
	OnCore   Gain   `json:"on_core"`
	LeftOut  Gain   `json:"left_out"`
	Permuted Gain   `json:"permuted"`
	Verdict  string `json:"verdict"`

	columns []int
}

// Ablate measures on histories what features add, with the observations, parts
// and leak checks of Train.
func Ablate(ctx context.Context, src Source, p Plan, a AblationPlan) (*Ablation, error) {
	engine, data, r, err := p.histories(ctx, src)
	if err != nil {
		return nil, err
	}
	return p.ablate(ctx, engine, divide(data, r.Split), r, a)
}

// AblateMatrix is Ablate on a matrix, as TrainMatrix is Train on one.
func AblateMatrix(ctx context.Context, d *MatrixData, p Plan, a AblationPlan) (*Ablation, error) {
	r, err := p.matrix(d)
	if err != nil {
		return nil, err
	}
	return p.ablate(ctx, d.Engine, divide(d.Data, r.Split), r, a)
}

// AblateTable is Ablate on a wide table, as TrainTable is Train on one. Each
// column is a family.
func AblateTable(ctx context.Context, t *Table, p Plan, a AblationPlan) (*Ablation, error) {
	engine, pt, r, err := p.table(t)
	if err != nil {
		return nil, err
	}
	return p.ablate(ctx, engine, pt.apart(p.Seed), r, a)
}

// apart gives parts of a wide table a quarter of its customers to calibrate on.
func (pt parts) apart(seed uint64) parts {
	all := pt.train
	part := func(of bool) *Data {
		return all.Rows(func(o *Observation) bool { return heldOut(o.Customer, seed+2, 0.25) == of })
	}
	pt.train, pt.calibration = part(false), part(true)
	return pt
}

func (p *Plan) ablate(ctx context.Context, engine *features.Engine, pt parts, r *Report, plan AblationPlan) (*Ablation, error) {
	if plan.Seeds == 0 {
		plan.Seeds = 3
	}
	if plan.Seeds < 1 || plan.Seeds > 100 {
		return nil, fmt.Errorf("%d seeds: give 1 to 100", plan.Seeds)
	}
	pt.seen = nil // not looked at
	if err := r.split(pt); err != nil {
		return nil, err
	}
	p.Progress("looking for leaks", 0, 0)
	r.Findings = append(r.Findings, singleFeature(pt.train, &p.Definition, p.Workers)...)
	out := &Ablation{Definition: p.Definition, By: "family", Seed: p.Seed, Seeds: plan.Seeds, Level: ablationLevel, Parts: r.Parts,
		Findings: append([]Finding{}, r.Findings...), DataFingerprint: r.DataFingerprint, FeatureFingerprint: engine.Fingerprint()}
	if plan.ByFeature {
		out.By = "feature"
	}
	if n := pt.test.Positives(); n < minTestChurners {
		out.Findings = append(out.Findings, Finding{"warning", "few churners", "test",
			fmt.Sprintf("the test has %d churners, %d are needed before its verdicts count", n, minTestChurners)})
	}
	var inCore []bool
	var err error
	if out.Core, inCore, err = plan.core(engine.Features()); err != nil {
		return nil, err
	}
	out.Groups = groupsOf(engine, plan.ByFeature, inCore)
	if err := newAblator(p, pt, plan.Seeds).measure(ctx, out, inCore); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.Groups, func(x, y Group) int {
		return cmp.Or(cmp.Compare(x.Constant/x.Features, y.Constant/y.Features), // those that are constant last
			cmp.Compare(y.OnCore.LogLoss.Value, x.OnCore.LogLoss.Value), cmp.Compare(y.LeftOut.LogLoss.Value, x.LeftOut.LogLoss.Value))
	})
	return out, nil
}

// core finds the families of the core, in the order of the features, and their
// columns.
func (a *AblationPlan) core(list []features.Feature) (families []string, columns []bool, err error) {
	families = []string{}
	var all []string
	for i := range list {
		if !slices.Contains(all, list[i].Family) {
			all = append(all, list[i].Family)
		}
	}
	want := a.Core
	if want == nil {
		want = DefaultCore
	}
	for _, name := range want {
		if a.Core != nil && !slices.Contains(all, name) {
			return nil, nil, fmt.Errorf("core: there is no family %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	for _, name := range all {
		if slices.Contains(want, name) {
			families = append(families, name)
		}
	}
	columns = make([]bool, len(list))
	for i := range list {
		columns[i] = slices.Contains(families, list[i].Family)
	}
	return families, columns, nil
}

// groupsOf puts the columns of a row into families, or by the declarations that
// they come from.
func groupsOf(e *features.Engine, byFeature bool, inCore []bool) []Group {
	list := e.Features()
	var names []string // of the group of each column
	if byFeature {
		names = declared(e)
	} else {
		for i := range list {
			names = append(names, list[i].Family)
		}
	}
	var groups []Group
	for i, name := range names {
		k := slices.IndexFunc(groups, func(g Group) bool { return g.Name == name })
		if k < 0 {
			k = len(groups)
			groups = append(groups, Group{Name: name, Family: list[i].Family, InCore: inCore[i]})
		}
		groups[k].columns = append(groups[k].columns, i)
		groups[k].Features++
	}
	return groups
}

// declared names the declaration of each column of a row: of columns and
// attributes first, then of definitions, one column for each window and level.
func declared(e *features.Engine) []string {
	s, list := e.Set(), e.Features()
	var names []string
	for i := range len(s.Columns) + len(s.Attributes) {
		names = append(names, list[i].Name)
	}
	for i := range s.Features {
		d := &s.Features[i]
		n := max(1, len(d.Windows))
		if d.By != "" {
			n *= len(d.Levels)
		}
		names = append(names, slices.Repeat([]string{d.Name}, n)...)
	}
	return names
}
