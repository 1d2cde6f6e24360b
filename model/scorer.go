package model

import (
	"errors"
	"fmt"
	"math"

	"churn/event"
	"churn/features"
	"churn/model/gbdt"
)

// Scorer scores rows. It is immutable and safe for concurrent use.
type Scorer struct {
	manifest    Manifest
	engine      *features.Engine
	linear      *Linear
	columns     []int // of each linear term
	forest      *gbdt.Forest
	families    families
	calibration Calibration
	reference   Reference
	baseMargin  float64
}

// Score is the verdict on one row.
type Score struct {
	// Probability that the customer churns within the horizon, calibrated.
	Probability float64
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
	s := &Scorer{manifest: m.Manifest, engine: engine, families: newFamilies(engine.Features()), forest: m.Forest,
		calibration: m.Calibration, reference: m.Reference}
	if m.Linear != nil {
		if s.linear, s.columns, err = m.Linear.resolve(engine.Features()); err != nil {
			return nil, fmt.Errorf("linear: %w", err)
		}
		base := s.linear.Intercept
		for _, t := range s.linear.Terms {
			base += t.Mean
		}
		s.baseMargin += float64(w.Linear * base)
	}
	if m.Forest != nil {
		if err := checkForest(m.Forest, engine.Features()); err != nil {
			return nil, fmt.Errorf("forest: %w", err)
		}
		row := make([]float32, len(engine.Features()))
		phi := make([]float64, len(row))
		s.baseMargin += float64(w.Forest * m.Forest.Contributions(row, phi))
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
// of each feature in log-odds.
func (s *Scorer) Score(row []float32, contributions []float64) Score {
	w := s.manifest.Weights
	margin := 0.0
	clear(contributions)
	if s.linear != nil {
		lin := s.linear.Intercept
		for i := range s.linear.Terms {
			t := &s.linear.Terms[i]
			v := t.Value(row[s.columns[i]])
			lin += v
			if contributions != nil {
				contributions[s.columns[i]] += float64(w.Linear * (v - t.Mean))
			}
		}
		margin += float64(w.Linear * lin)
	}
	if s.forest != nil {
		margin += float64(w.Forest * s.forest.Predict(row))
		if contributions != nil {
			phi := make([]float64, len(row))
			s.forest.Contributions(row, phi)
			for j, v := range phi {
				contributions[j] += float64(w.Forest * v)
			}
		}
	}
	p := s.calibration.Probability(margin)
	return Score{Probability: p, Percentile: s.reference.Percentile(p), Band: s.manifest.Bands.Band(p),
		Margin: margin, BaseMargin: s.baseMargin}
}
