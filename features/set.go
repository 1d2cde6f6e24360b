package features

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"churn/event"
)

// OperatorVersion counts changes to the meaning of any aggregate or function;
// it is part of every fingerprint. 1: the first.
const OperatorVersion = 1

// Limits of a declaration.
const (
	maxSetBytes = 1 << 20
	maxFeatures = 5000
	maxWindow   = 20 * 365 * event.Day
)

// Set declares features. Either Features and Attributes (from events), or
// Columns (from one wide table).
type Set struct {
	Version    int          `yaml:"version"`
	Attributes []Column     `yaml:"attributes,omitempty"`
	Features   []Definition `yaml:"features,omitempty"`
	Columns    []Column     `yaml:"columns,omitempty"`
}

// Column declares one attribute of a customer or one column of a wide table.
// An attribute of the customers table has no time of its own, so declaring it
// here asserts that it does not change after sign-up.
type Column struct {
	Name string `yaml:"name"`
	// Type is number or category, or for attributes date: then the value is how
	// many days it is from the instant to that date.
	Type string `yaml:"type"`
	// History says that the attribute is that of the attributes table, as it was
	// known at the instant.
	History bool `yaml:"history,omitempty"`
	// Fill is the value where there would be none; not for a category.
	Fill *float64 `yaml:"fill,omitempty"`
	// Levels of a category, frozen by Lock: code 0 is the first. A text that is
	// not listed has code -1.
	Levels []string `yaml:"levels,omitzero"`
	// Family, unit and sentences are as in a Definition.
	Unit    string `yaml:"unit,omitempty"`
	Text    string `yaml:"text,omitempty"`
	Family  string `yaml:"family,omitempty"`
	Zero    string `yaml:"zero,omitempty"`
	Missing string `yaml:"missing,omitempty"`
}

// Definition declares one feature, or one for each window and level.
type Definition struct {
	// Name with {w} for the window in days and {by} for the level.
	Name string `yaml:"name"`
	// From is engagement, complaints, payments, contacts, attributes, customer
	// or calendar.
	From string `yaml:"from,omitempty"`
	// Agg names an aggregate; see Aggregates.
	Agg string `yaml:"agg,omitempty"`
	// Field that the aggregate works on. Counts need none.
	Field string `yaml:"field,omitempty"`
	// Where keeps only some items: "severity >= 4 and open".
	Where string `yaml:"where,omitempty"`
	// Windows to look back over, such as [30d, 90d].
	Windows []event.Duration `yaml:"windows,omitempty"`
	// Offset ends the windows so long before the instant: 30d with a window of
	// 30d is the month before the last one. Ages, days and weeks are then
	// counted from where the window ends, but fields, conditions and what is
	// known are as of the instant.
	Offset event.Duration `yaml:"offset,omitempty"`
	// By makes one feature per level of a text field: its Top most frequent
	// ones in the training data, or the Levels that Lock has frozen.
	By     string   `yaml:"by,omitempty"`
	Top    int      `yaml:"top,omitempty"`
	Levels []string `yaml:"levels,omitzero"` // empty but not nil: none was seen
	// Expr computes from other features instead: "rate_ratio(eng_n_30, eng_n_90)".
	Expr string `yaml:"expr,omitempty"`
	// Fill is the value where there would be none.
	Fill *float64 `yaml:"fill,omitempty"`
	// Family groups features for reports and reasons: the feature's own name if
	// empty.
	Family string `yaml:"family,omitempty"`
	Unit   string `yaml:"unit,omitempty"`
	// Text is the sentence used as a reason. In braces stand value, w, by or the
	// name of another feature; {value day|days} adds the word that fits the
	// number, {value %} writes a share in per cent. What follows a semicolon is
	// left out if a feature it names is missing.
	Text string `yaml:"text,omitempty"`
	// Zero is the sentence where the value reads 0, Missing where there is none.
	Zero    string `yaml:"zero,omitempty"`
	Missing string `yaml:"missing,omitempty"`
}

//go:embed default.yaml
var defaultYAML []byte

// Default returns the catalogue of features over the three streams.
func Default() *Set {
	s, err := Parse(defaultYAML)
	if err != nil {
		// The embedded file is covered by a test; it cannot fail at run time.
		panic("features: default.yaml: " + err.Error())
	}
	return s
}

// DefaultYAML returns the text of the default catalogue, with its comments.
func DefaultYAML() []byte { return bytes.Clone(defaultYAML) }

// Parse reads a declaration. Unknown keys and anything Compile would refuse
// are errors that name the feature.
func Parse(b []byte) (*Set, error) {
	if len(b) > maxSetBytes {
		return nil, fmt.Errorf("feature set larger than %d bytes", maxSetBytes)
	}
	var s Set
	if err := UnmarshalYAML(b, &s); err != nil {
		return nil, fmt.Errorf("feature set: %w", err)
	}
	if s.Version != 1 {
		return nil, fmt.Errorf("feature set: version %d is not known; this program reads version 1", s.Version)
	}
	// Compiling with as many levels as there may be checks every rule, so that
	// Lock on real data cannot fail where this did not.
	probe := s
	probe.Columns, probe.Attributes = withLevels(s.Columns), withLevels(s.Attributes)
	probe.Features = nil
	for _, d := range s.Features {
		if d.By != "" && d.Levels == nil {
			if d.Top < 1 || d.Top > maxLevels {
				return nil, fmt.Errorf("feature %q: by needs levels, or top: how many of the most frequent ones, 1 to %d", d.Name, maxLevels)
			}
			for i := range d.Top {
				d.Levels = append(d.Levels, fmt.Sprintf("level %d", i))
			}
			d.Top = 0
		}
		probe.Features = append(probe.Features, d)
	}
	if _, err := probe.Compile(); err != nil {
		return nil, err
	}
	return &s, nil
}

// withLevels copies columns and gives the categories a level.
func withLevels(columns []Column) []Column {
	columns = slices.Clone(columns)
	for i := range columns {
		if c := &columns[i]; c.Type == "category" && c.Levels == nil {
			c.Levels = []string{"level"}
		}
	}
	return columns
}

// Marshal returns the declaration as YAML, always the same bytes for the same
// set.
func (s *Set) Marshal() ([]byte, error) { return marshal(s) }

// Fingerprint identifies a locked set together with the meaning of its
// operators: SHA-256 in hex.
func (s *Set) Fingerprint() (string, error) {
	b, err := s.Marshal()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "operators %d\n", OperatorVersion)
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Kind says what the numbers of a feature are.
type Kind uint8

const (
	Number   Kind = iota
	Category      // codes of Levels; -1 is a text not listed
)

func (k Kind) String() string {
	if k == Category {
		return "category"
	}
	return "number"
}

// Feature describes one column of the finished row.
type Feature struct {
	Name   string
	Kind   Kind
	Levels []string // of a category
	Family string
	Unit   string
	Window event.Duration // 0 if it has none

	said          *sentences
	window, level string // for sentences
	offset        event.Duration
}

// maxName is the length of the longest feature name in bytes.
const maxName = 255

// namePattern is what other programs take as a column name without quoting;
// LightGBM's text format separates names by spaces.
var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-]{0,254}$`) // maxName

var unsafeName = regexp.MustCompile(`[^A-Za-z0-9_.\-]+`)

// SafeName makes a text usable as part of a feature name. Two texts may give
// the same; Compile tells them apart.
func SafeName(s string) string {
	s = strings.Trim(unsafeName.ReplaceAllString(s, "_"), "_")
	if s == "" {
		return "_"
	}
	return s[:min(len(s), 200)]
}

// windowName writes a window in days as names have it: 30, or 0.5.
func windowName(w event.Duration) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.4f", w.Days()), "0"), ".")
}
