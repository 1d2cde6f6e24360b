package model

import (
	"regexp"

	"churn/event"
)

// FormatVersion is the newest version of the model file that this program
// writes and reads. Format 1 is frozen: what a file of it means never changes,
// and every later program reads it. Whatever is added, be it a field, a
// member, a kind or an operator, is a new version with an entry in additions.
const FormatVersion = 3

// additions are what versions after the first brought. Write gives a file the
// lowest version that has all that its model uses, so that older programs read
// whatever they can, and call the rest newer and not damaged.
var additions = []addition{
	{2, "features of revision 2", func(m *Model) bool { return m.Features.Revision() >= 2 }},
	{3, "definitions of a decline, of kinds of leaving, or of who never was active", func(m *Model) bool { return m.Manifest.Definition.newer() }},
}

type addition struct {
	version int // FormatVersion when it was added
	what    string
	used    func(*Model) bool
}

// format returns the lowest version that has all that m uses, and what of it
// is the newest.
func (m *Model) format() (version int, what string) {
	version = 1
	for _, a := range additions {
		if a.version > version && a.used(m) {
			version, what = a.version, a.what
		}
	}
	return version, what
}

// Manifest says what a model is and how it came to be.
type Manifest struct {
	Format  int    `json:"format"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Kind is the winning rung of the ladder: rule, logistic, forest, …; or
	// imported, of a model that was trained elsewhere.
	Kind string `json:"kind"`
	Seed uint64 `json:"seed"`
	// Through is the last instant the training data could see, not the time
	// of the run: the same data and seed give the same bytes.
	Through    event.Time `json:"through"`
	Definition Definition `json:"definition"`
	// Weights blend the parts: margin = Linear·linear + Forest·forest.
	Weights Weights `json:"weights"`
	// Bag is nil for a model that was fitted once.
	Bag   *Bag  `json:"bag,omitzero"`
	Bands Bands `json:"bands"`
	// FeatureFingerprint and DataFingerprint identify what was learned from.
	FeatureFingerprint string `json:"feature_fingerprint"`
	DataFingerprint    string `json:"data_fingerprint"`
	// Metrics on later data, by name; a metric that could not be measured is
	// absent.
	Metrics map[string]float64 `json:"metrics"`
	// Gate says why the model may be promoted, or why not.
	Gate Gate `json:"gate"`
	// SHA256 of every other member of the file, in hex.
	SHA256 map[string]string `json:"sha256"`
}

// Weights of the fitted parts in the margin.
type Weights struct {
	Linear float64 `json:"linear"`
	Forest float64 `json:"forest"`
}

// Bands are the probabilities from which a customer is at medium and at high
// risk.
type Bands struct {
	Medium float64 `json:"medium"`
	High   float64 `json:"high"`
	// Basis says how they came to be; files from before it have none.
	Basis string `json:"basis,omitempty"`
}

// Band names the risk of a probability.
func (b Bands) Band(p float64) string {
	switch {
	case p >= b.High:
		return "high"
	case p >= b.Medium:
		return "medium"
	}
	return "low"
}

// Gate is the verdict of the checks before promotion.
type Gate struct {
	Passed  bool     `json:"passed"`
	Reasons []string `json:"reasons"`
}

// NamePattern is what a model may be called: safe as a directory name.
var NamePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// VersionPattern is what a version looks like: the day through which the model
// saw data, and the first digits of the hash of its content.
var VersionPattern = regexp.MustCompile(`^[0-9]{8}-[0-9a-f]{12}$`)
