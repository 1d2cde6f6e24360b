package training

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"churn/features"
	"churn/model/gbdt"
)

// Foreign is a model that was trained elsewhere.
type Foreign struct {
	Forest *gbdt.Forest
	From   string // LightGBM or XGBoost
	// Fingerprint is the SHA-256 of the file, in hex.
	Fingerprint string
}

// maxForeignBytes is what a model file takes of trees.
const maxForeignBytes = 128 << 20

// ReadForeign reads a model of LightGBM (text) or XGBoost (JSON, UBJSON); the
// content says which. name is for errors.
func ReadForeign(r io.Reader, name string) (*Foreign, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxForeignBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > maxForeignBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxForeignBytes)
	}
	sum := sha256.Sum256(b)
	out := &Foreign{Fingerprint: hex.EncodeToString(sum[:])}
	limits := gbdt.Limits{Bytes: maxForeignBytes, Leaves: 1 << 14}
	switch {
	case bytes.HasPrefix(b, []byte("tree\n")):
		out.From = "LightGBM"
		out.Forest, err = gbdt.ReadText(bytes.NewReader(b), limits)
	case bytes.HasPrefix(b, []byte("{")):
		out.From = "XGBoost"
		out.Forest, err = gbdt.ReadXGBoost(bytes.NewReader(b), limits)
	case bytes.HasPrefix(b, []byte("\x80")):
		return nil, fmt.Errorf("%s: this is a pickle of Python, which only Python can read; save the model with "+
			"booster_.save_model(\"model.txt\") (LightGBM) or save_model(\"model.json\") (XGBoost)", name)
	default:
		return nil, fmt.Errorf("%s: neither a LightGBM model text nor an XGBoost model (.json or .ubj)", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// link is the steepness of the logistic function that takes a score to a
// probability, 0 where it is another function or none.
func (f *Foreign) link() float64 {
	switch f.Forest.Objective {
	case "binary":
		return f.Forest.Sigmoid
	case "cross_entropy":
		return 1
	}
	return 0
}

// trees is their number where the model was trained. The first one of
// XGBoost's here is the margin of its base_score.
func (f *Foreign) trees() int {
	if f.From == "XGBoost" {
		return len(f.Forest.Trees) - 1
	}
	return len(f.Forest.Trees)
}

// coding is what a feature of a foreign forest is here.
type coding struct {
	to int // our column
	// codes of our levels; nil is a number.
	codes []float32
	// missing is what the forest was given for a missing value.
	missing float32
}

// asked is what the trees ask of a feature.
type asked struct {
	number bool
	codes  map[int]bool // those that occur in sets; nil if there are none
}

// tests looks at every node.
func tests(f *gbdt.Forest) []asked {
	out := make([]asked, len(f.FeatureNames))
	for i := range f.Trees {
		t := &f.Trees[i]
		for n, j := range t.SplitFeature {
			a := &out[j]
			if t.DecisionType[n]&gbdt.Categorical == 0 {
				a.number = true
				continue
			}
			if a.codes == nil {
				a.codes = map[int]bool{}
			}
			k := int(t.Threshold[n])
			for w, word := range t.CatThreshold[t.CatBoundaries[k]:t.CatBoundaries[k+1]] {
				for ; word != 0; word &= word - 1 {
					a.codes[32*w+bits.TrailingZeros32(word)] = true
				}
			}
		}
	}
	return out
}

// levels gives, by feature, the texts that the forest brings along; the
// position of a text is its code. nil where there are none.
func levels(f *gbdt.Forest, m *Mapping, uses []asked) ([][]string, error) {
	out := make([][]string, len(f.FeatureNames))
	if len(f.Categories) == 0 {
		return out, nil
	}
	var lists [][]json.RawMessage
	if err := json.Unmarshal(f.Categories, &lists); err != nil {
		return nil, fmt.Errorf("the levels of the model are not lists: %w", err)
	}
	which, err := categorical(f, m, uses, len(lists))
	if err != nil {
		return nil, err
	}
	for k, list := range lists {
		for _, raw := range list {
			text := string(raw) // a number as it is written
			switch {
			case raw[0] == '"':
				if err := json.Unmarshal(raw, &text); err != nil {
					return nil, fmt.Errorf("the levels of the model: %w", err)
				}
			case text == "true" || text == "false": // as pandas writes them to CSV
				text = strings.ToUpper(text[:1]) + text[1:]
			}
			out[which[k]] = append(out[which[k]], strings.TrimSpace(text))
		}
	}
	return out, nil
}

// categorical tells which features the n lists of levels are of.
func categorical(f *gbdt.Forest, m *Mapping, uses []asked, n int) ([]int, error) {
	var which []int
	if m.Categorical != nil {
		for _, name := range m.Categorical {
			i := index(f, name)
			if i < 0 || slices.Contains(which, i) {
				return nil, fmt.Errorf("%s: categorical: %q is no feature of the model, or there twice; it has %s", m.name, name, some(f.FeatureNames))
			}
			which = append(which, i)
		}
		if len(which) != n {
			return nil, fmt.Errorf("%s: categorical: %d features, but the model has the levels of %d", m.name, len(which), n)
		}
		return which, nil
	}
	for _, p := range f.Parameters { // LightGBM
		if list, ok := strings.CutPrefix(p, "categorical_feature: "); ok {
			for _, s := range strings.Split(list, ",") {
				if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(uses) && !slices.Contains(which, i) {
					which = append(which, i)
				}
			}
		}
	}
	if len(which) == n {
		return which, nil
	}
	which = nil
	for i := range uses {
		if uses[i].codes != nil {
			which = append(which, i)
		}
	}
	if len(which) == n {
		return which, nil
	}
	return nil, fmt.Errorf("the model has the levels of %d features, but its trees ask for the level of %d: "+
		"name the categorical features, in the order of its columns, in the mapping: categorical: [plan, region]", n, len(which))
}

// maxForeignLevels is what a feature set allows.
const maxForeignLevels = 254

// columns works out the feature set: a column of the table for every feature
// that the trees ask for, in the order of the model, and how the column is
// coded there. Features that no tree asks for have no coding.
func (f *Foreign) columns(m *Mapping, table []string) (*features.Set, []*coding, error) {
	uses := tests(f.Forest)
	entries, err := m.entries(f.Forest)
	if err != nil {
		return nil, nil, err
	}
	known, err := levels(f.Forest, m, uses)
	if err != nil {
		return nil, nil, err
	}
	set := &features.Set{Version: 1}
	codings := make([]*coding, len(uses))
	taken := map[string]int{} // column to feature
	for i, name := range f.Forest.FeatureNames {
		if !uses[i].number && uses[i].codes == nil {
			continue
		}
		entry := entries[i]
		if entry == nil {
			entry = &MappedFeature{}
		}
		// An error in the mapping has its line.
		errorf := func(format string, args ...any) error {
			if err := fmt.Errorf(format, args...); entries[i] == nil {
				return fmt.Errorf("feature %q of the model: %w", name, err)
			} else {
				return m.errorf(entry, "feature %q of the model: %w", name, err)
			}
		}
		column, err := findColumn(cmp.Or(entry.Column, name), entry.Column != "", table)
		if err != nil {
			return nil, nil, errorf("%w", err)
		}
		if other, ok := taken[column]; ok && (entry.Levels == nil || entries[other] == nil || entries[other].Levels == nil) {
			return nil, nil, errorf("column %q is that of feature %q already; two features share a column only "+
				"if both say the codes of its levels, as one-hot columns do", column, f.Forest.FeatureNames[other])
		}
		c := &coding{to: len(set.Columns), missing: float32(math.NaN())}
		if m.Missing != nil && uses[i].codes == nil {
			c.missing = float32(*m.Missing)
		}
		if entry.Missing != nil {
			c.missing = float32(*entry.Missing)
		}
		col := features.Column{Name: column, Type: "number"}
		if _, shared := taken[column]; shared {
			col.Text = column + ": {value}" // its name would have a number at the end
		}
		if col.Levels, c.codes, err = entry.coded(uses[i].codes, known[i]); err != nil {
			return nil, nil, errorf("%w", err)
		}
		if c.codes != nil {
			col.Type = "category"
		}
		if len(col.Levels) > maxForeignLevels {
			return nil, nil, errorf("%d levels, of which a feature has at most %d here; join the rare ones before training", len(col.Levels), maxForeignLevels)
		}
		taken[column] = i
		codings[i] = c
		set.Columns = append(set.Columns, col)
	}
	if len(set.Columns) == 0 {
		return nil, nil, fmt.Errorf("the trees of the model ask for no feature: everyone has the same score")
	}
	return set, codings, nil
}

// coded gives the levels of a feature and their codes: those of the mapping,
// else those that the model brings along, else the codes that occur in its sets
// (nil where there are no sets). A number has none.
func (m *MappedFeature) coded(sets map[int]bool, known []string) (texts []string, codes []float32, err error) {
	switch {
	case m.Levels != nil:
		for _, text := range sortedNames(m.Levels) {
			if code := m.Levels[text]; sets != nil && (code < 0 || code != math.Trunc(code)) {
				return nil, nil, fmt.Errorf("level %q has code %g; the model has categories, whose codes are whole numbers from 0 on", text, code)
			}
		}
		texts, codes = byCode(m.Levels)
	case len(known) > 0:
		for k := range known {
			codes = append(codes, float32(k))
		}
		texts = known
	case sets != nil:
		// The texts are the codes. Those in no set are like those not listed.
		own := map[string]float64{}
		for code := range sets {
			own[strconv.Itoa(code)] = float64(code)
		}
		texts, codes = byCode(own)
	}
	return texts, codes, nil
}

// byCode sorts levels by code.
func byCode(levels map[string]float64) (texts []string, codes []float32) {
	texts = sortedNames(levels)
	slices.SortStableFunc(texts, func(a, b string) int { return cmp.Compare(levels[a], levels[b]) })
	for _, t := range texts {
		codes = append(codes, float32(levels[t]))
	}
	return texts, codes
}

// findColumn looks for a column of the table. A name that comes from the model
// may have underscores for spaces, which is what both libraries make of them.
func findColumn(name string, mapped bool, table []string) (string, error) {
	if slices.Contains(table, name) {
		return name, nil
	}
	if mapped {
		return "", fmt.Errorf("the table has no column %q; it has %s", name, some(table))
	}
	var like []string
	for _, c := range table {
		if name == strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return '_'
			}
			return r
		}, c) {
			like = append(like, c)
		}
	}
	if len(like) != 1 {
		return "", fmt.Errorf("the table has no column of this name; say in the mapping which one it is: it has %s", some(table))
	}
	return like[0], nil
}
