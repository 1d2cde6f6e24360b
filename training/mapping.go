package training

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"churn/features"
	"churn/model/gbdt"
)

// Mapping says what the features of a foreign model are here. What it leaves
// out has the same name here, numbers as they are, and the levels that the
// model brings along. docs/import.md describes the file.
type Mapping struct {
	// Missing is what the model was given for a missing value, in features
	// that are not tested as categories; nil is NaN.
	Missing *float64 `yaml:"missing"`
	// Categorical features in the order of the model's lists of levels, for
	// models that do not say which features the lists are of.
	Categorical []string `yaml:"categorical"`
	// Features by their name in the model, or by position: f0, f1, ….
	Features map[string]*MappedFeature `yaml:"features"`

	name string // of the file, for errors
}

// MappedFeature is what one feature of a foreign model is here.
type MappedFeature struct {
	// Column of the wide table; empty is the name in the model.
	Column string `yaml:"column"`
	// Levels gives the model's code for each text of the column. Several texts
	// may have the same code.
	Levels map[string]float64 `yaml:"levels"`
	// Missing is what the model was given for a missing value.
	Missing *float64 `yaml:"missing"`

	line int
}

// UnmarshalYAML notes the line.
func (m *MappedFeature) UnmarshalYAML(n ast.Node) error {
	type plain MappedFeature
	if err := yaml.NodeToValue(n, (*plain)(m), yaml.Strict()); err != nil {
		return err
	}
	m.line = n.GetToken().Position.Line
	return nil
}

// maxMappingBytes is more than 5,000 features with some levels each take.
const maxMappingBytes = 4 << 20

// ParseMapping reads a mapping file. name is for errors, which carry the line.
func ParseMapping(b []byte, name string) (*Mapping, error) {
	if len(b) > maxMappingBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxMappingBytes)
	}
	m := &Mapping{}
	if err := features.UnmarshalYAML(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.name = name
	if !finiteOrNone(m.Missing) {
		return nil, fmt.Errorf("%s: missing is no number; leave it out if missing values are NaN", name)
	}
	for _, key := range sortedNames(m.Features) {
		f := m.Features[key]
		if f == nil { // a name and nothing after it
			delete(m.Features, key)
			continue
		}
		if !finiteOrNone(f.Missing) {
			return nil, m.errorf(f, "feature %q: missing is no number; leave it out if missing values are NaN", key)
		}
		if f.Levels != nil && len(f.Levels) == 0 {
			return nil, m.errorf(f, "feature %q: levels are empty", key)
		}
		for _, text := range sortedNames(f.Levels) {
			if strings.TrimSpace(text) != text || text == "" {
				return nil, m.errorf(f, "feature %q: level %q is empty or has spaces around it, which tables are read without; "+
					"the code of an empty text is given by missing", key, text)
			}
			if code := f.Levels[text]; !finiteOrNone(&code) {
				return nil, m.errorf(f, "feature %q: the code of level %q is no number", key, text)
			}
		}
	}
	return m, nil
}

func finiteOrNone(v *float64) bool {
	return v == nil || !math.IsNaN(*v) && math.Abs(*v) <= math.MaxFloat32
}

// errorf is an error at an entry.
func (m *Mapping) errorf(f *MappedFeature, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", m.name, f.line, fmt.Errorf(format, args...))
}

// index finds a feature of the forest by name, or by position.
func index(f *gbdt.Forest, name string) int {
	if i := slices.Index(f.FeatureNames, name); i >= 0 {
		return i
	}
	if digits, ok := strings.CutPrefix(name, "f"); ok {
		if i, err := strconv.Atoi(digits); err == nil && i >= 0 && i < len(f.FeatureNames) && strconv.Itoa(i) == digits {
			return i
		}
	}
	return -1
}

// entries gives the entry of each feature of the forest, or nil.
func (m *Mapping) entries(f *gbdt.Forest) ([]*MappedFeature, error) {
	out := make([]*MappedFeature, len(f.FeatureNames))
	for _, key := range sortedNames(m.Features) {
		entry := m.Features[key]
		i := index(f, key)
		if i < 0 {
			return nil, m.errorf(entry, "the model has no feature %q; it has %s", key, some(f.FeatureNames))
		}
		if out[i] != nil {
			return nil, m.errorf(entry, "feature %q is there twice, by name and by position", key)
		}
		out[i] = entry
	}
	return out, nil
}

// some lists names, not too many.
func some(names []string) string {
	const most = 40
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
