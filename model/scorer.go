package model

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"churn/event"
	"churn/features"
	"churn/model/gbdt"
)

// Scorer scores rows. It is immutable and safe for concurrent use.
type Scorer struct {
	manifest    Manifest
	engine      *features.Engine
	families    families
	linear      *additive      // nil without one
	forest      *gbdt.Compiled // nil without one
	bag         *bag           // nil without one
	calibration Calibration
	reference   Reference
	baseMargin  float64
	workspaces  sync.Pool // of *workspace
}

// workspace is the memory that scoring a row needs.
type workspace struct {
	forest        *gbdt.Workspace // nil without a forest
	contributions []float64
	totals        []float64   // of the forest, after each member of a bag
	margins       []float64   // of the members
	members       [][]float64 // contributions of the members
}

// Score is the verdict on one row.
type Score struct {
	// Probability that the customer churns within the horizon, calibrated.
	Probability float64
	// Low and High are a 90 % interval for the probability: how far it would
	// move had training seen other customers. 0, which no probability is, if
	// the model has no bag.
	Low, High float64
	// Percentile of the reference population with a lower probability.
	Percentile float64
	Band       string
	// Margin in log-odds, before calibration: BaseMargin plus the sum of all
	// contributions.
	Margin     float64
	BaseMargin float64
}

// Limits on what Compile will take: a row's reasons within a second, and a
// self-test within a minute, of a file made to be slow.
const (
	maxGolden = 64
	maxWork   = 1 << 28 // sum over the leaves of their squared depth
)

// Compile checks the parts against each other, resolves names and runs the
// golden rows. Every problem is an error wrapping ErrFormat. The scorer shares
// memory with the model: do not change the model afterwards.
func (m *Model) Compile() (*Scorer, error) {
	s, err := m.compile()
	if err == nil {
		err = s.selfTest(m.Golden)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return s, nil
}

func (m *Model) compile() (*Scorer, error) {
	if m.Features == nil {
		return nil, errors.New("no feature set")
	}
	if m.Linear == nil && m.Forest == nil {
		return nil, errors.New("neither a linear part nor a forest")
	}
	engine, err := m.Features.Compile()
	if err != nil {
		return nil, err
	}
	if got := engine.Fingerprint(); got != m.Manifest.FeatureFingerprint {
		return nil, fmt.Errorf("feature fingerprint %.12s… where the manifest has %.12s…", got, m.Manifest.FeatureFingerprint)
	}
	w, b := m.Manifest.Weights, m.Manifest.Bands
	if !within(maxLogOdds, w.Linear, w.Forest) || w.Linear < 0 || w.Forest < 0 {
		return nil, fmt.Errorf("weights %v and %v are out of range", w.Linear, w.Forest)
	}
	if !(0 <= b.Medium && b.Medium <= b.High && b.High <= 1) {
		return nil, fmt.Errorf("bands from %v and %v are not ascending probabilities", b.Medium, b.High)
	}
	s := &Scorer{manifest: m.Manifest, engine: engine, families: newFamilies(engine.Features()),
		calibration: m.Calibration, reference: m.Reference}
	if m.Linear != nil {
		if s.linear, err = newAdditive(m.Linear, engine.Features()); err != nil {
			return nil, fmt.Errorf("linear: %w", err)
		}
		s.baseMargin += float64(w.Linear * s.linear.base)
	}
	if m.Forest != nil {
		if err := checkForest(m.Forest, engine.Features()); err != nil {
			return nil, fmt.Errorf("forest: %w", err)
		}
		var trees []int
		if b := m.Manifest.Bag; b != nil {
			trees = b.Trees
		}
		if s.forest, err = m.Forest.Compile(trees...); err != nil {
			return nil, fmt.Errorf("forest: %w", err)
		}
		s.baseMargin += float64(w.Forest * s.forest.Base())
	}
	if s.bag, err = newBag(m, engine.Features()); err != nil {
		return nil, fmt.Errorf("bag: %w", err)
	}
	if err := s.calibration.check(); err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	if err := s.reference.check(engine.Features()); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	return s, nil
}

// checkForest verifies that the forest reads the given features, that no sum
// of its leaves overflows, and that reasons do not take for ever.
func checkForest(f *gbdt.Forest, feats []features.Feature) error {
	if err := f.Validate(); err != nil {
		return err
	}
	if len(f.FeatureNames) != len(feats) {
		return fmt.Errorf("%d features where the feature set has %d", len(f.FeatureNames), len(feats))
	}
	for i, name := range f.FeatureNames {
		if name != feats[i].Name {
			return fmt.Errorf("feature %d is %.130q where the feature set has %q", i, name, feats[i].Name)
		}
	}
	work := 0
	for i := range f.Trees {
		t := &f.Trees[i]
		if !within(maxLogOdds, t.LeafValue...) {
			return fmt.Errorf("tree %d: a leaf is not within ±%g", i, maxLogOdds)
		}
		depth := make([]int, len(t.LeftChild))
		for node := range depth { // parents come before children
			d := depth[node] + 1
			for _, c := range [2]int{t.LeftChild[node], t.RightChild[node]} {
				if c >= 0 {
					depth[c] = d
				} else {
					work += d * d
				}
			}
		}
		if work > maxWork {
			return fmt.Errorf("tree %d: the trees are too many and too deep to explain a score", i)
		}
	}
	return nil
}

// selfTest scores the golden rows. The tolerance allows for exp differing in
// its last digits between processors, nothing more.
func (s *Scorer) selfTest(golden []GoldenRow) error {
	if len(golden) > maxGolden {
		return fmt.Errorf("%d golden rows where there can be %d", len(golden), maxGolden)
	}
	phi := make([]float64, len(s.engine.Features()))
	for i, g := range golden {
		if len(g.Values) != len(phi) {
			return fmt.Errorf("golden row %d has %d values where there are %d features", i, len(g.Values), len(phi))
		}
		got := s.Score(g.row(), phi)
		sum := got.BaseMargin
		for _, c := range phi {
			sum += c
		}
		switch {
		case !near(got.Margin, g.Margin):
			return fmt.Errorf("golden row %d: margin %v where the file promises %v", i, got.Margin, g.Margin)
		case !near(got.Probability, g.Probability):
			return fmt.Errorf("golden row %d: probability %v where the file promises %v", i, got.Probability, g.Probability)
		case !near(sum, got.Margin):
			return fmt.Errorf("golden row %d: contributions add up to %v, not to the margin %v", i, sum, got.Margin)
		}
	}
	return nil
}

// row returns the values, NaN where one is missing.
func (g *GoldenRow) row() []float32 {
	row := make([]float32, len(g.Values))
	for j, v := range g.Values {
		row[j] = float32(math.NaN())
		if v != nil {
			row[j] = *v
		}
	}
	return row
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }

// Manifest describes the model behind the scorer. Do not change it.
func (s *Scorer) Manifest() *Manifest { return &s.manifest }

// Reference returns the reference population. Do not change it.
func (s *Scorer) Reference() *Reference { return &s.reference }

// Engine computes the rows that the scorer reads.
func (s *Scorer) Engine() *features.Engine { return s.engine }

// Row computes a customer's row as of t, in a slice of its own.
func (s *Scorer) Row(tl *event.Timeline, t event.Time) []float32 {
	row := make([]float32, len(s.engine.Features()))
	s.engine.Row(row, tl, t)
	return row
}

// Score scores one row of len(Engine().Features()) values. Unless
// contributions is nil it has the same length and receives the contribution
// of each feature in log-odds. Nothing is allocated. A row of another length
// panics.
func (s *Scorer) Score(row []float32, contributions []float64) Score {
	w := s.workspace()
	defer s.workspaces.Put(w)
	return s.score(w, row, contributions)
}

// Explain scores a row and lists the n strongest reasons.
func (s *Scorer) Explain(row []float32, n int) (Score, []Reason) {
	w := s.workspace()
	defer s.workspaces.Put(w)
	if n <= 0 {
		return s.score(w, row, nil), []Reason{}
	}
	score := s.score(w, row, w.contributions)
	reasons := s.Reasons(row, w.contributions, n)
	if s.bag != nil {
		s.bag.contributions(s, w, row)
		s.markUnstable(reasons, w.members)
	}
	return score, reasons
}

func (s *Scorer) workspace() *workspace {
	if w, ok := s.workspaces.Get().(*workspace); ok {
		return w
	}
	n := len(s.engine.Features())
	w := &workspace{contributions: make([]float64, n)}
	if s.forest != nil {
		w.forest = s.forest.NewWorkspace()
		w.totals = make([]float64, s.forest.Members())
	}
	if s.bag != nil {
		w.margins = make([]float64, s.bag.members)
		for range s.bag.members {
			w.members = append(w.members, make([]float64, n))
		}
	}
	return w
}

func (s *Scorer) score(w *workspace, row []float32, contributions []float64) Score {
	if len(row) != len(w.contributions) {
		panic(fmt.Sprintf("model: a row of %d values for %d features", len(row), len(w.contributions)))
	}
	weights := s.manifest.Weights
	margin := 0.0
	if s.forest != nil {
		w.forest.Load(row)
		w.forest.Margins(w.totals)
		if contributions != nil {
			w.forest.Contributions(contributions)
			for j := range contributions {
				contributions[j] = float64(weights.Forest * contributions[j])
			}
		}
	} else {
		clear(contributions)
	}
	if s.linear != nil {
		margin += float64(weights.Linear * s.linear.margin(row, contributions, weights.Linear))
	}
	if s.forest != nil {
		margin += float64(weights.Forest * w.totals[len(w.totals)-1])
	}
	p := s.calibration.Probability(margin)
	out := Score{Probability: p, Percentile: s.reference.Percentile(p),
		Band: s.manifest.Bands.Band(p), Margin: margin, BaseMargin: s.baseMargin}
	if s.bag != nil {
		reach := s.bag.reach(s, w, row)
		out.Low, out.High = s.calibration.Probability(margin-reach), s.calibration.Probability(margin+reach)
	}
	return out
}
