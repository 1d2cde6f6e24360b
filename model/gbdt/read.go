package gbdt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
)

// Limits bound what [ReadText] and [ReadXGBoost] accept. A limit of zero is that of
// [DefaultLimits].
type Limits struct {
	Bytes    int64 // size of the text
	Features int
	Trees    int
	Leaves   int // of one tree
	Depth    int // of one tree, in tests from root to leaf
}

// DefaultLimits are far above any forest of use and low enough that reading
// one takes seconds and a few times its size in memory.
func DefaultLimits() Limits {
	return Limits{Bytes: 256 << 20, Features: 100_000, Trees: 100_000, Leaves: 1 << 17, Depth: 1000}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{
		Bytes:    cmpOr(l.Bytes, d.Bytes),
		Features: cmpOr(l.Features, d.Features),
		Trees:    cmpOr(l.Trees, d.Trees),
		Leaves:   cmpOr(l.Leaves, d.Leaves),
		Depth:    cmpOr(l.Depth, d.Depth),
	}
}

// ReadText reads a forest in the LightGBM text format, version v4: a model of
// any boosting type and any objective that has one output per row. What its
// score means, [Forest.Objective] says.
//
// It refuses what [Forest.Validate] and limits refuse, text that is cut off
// or has unknown or repeated fields, several outputs per row (multiclass),
// and linear trees. Memory grows with the bytes read, never with a number
// they contain. The section feature_importances is skipped, as it follows
// from the trees.
func ReadText(r io.Reader, limits Limits) (*Forest, error) {
	limits = limits.orDefault()
	var b strings.Builder
	if known, ok := r.(interface{ Len() int }); ok { // bytes.Reader, strings.Reader
		b.Grow(int(min(int64(known.Len()), limits.Bytes+1)))
	}
	n, err := io.Copy(&b, io.LimitReader(r, limits.Bytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading forest: %w", err)
	}
	if n > limits.Bytes {
		return nil, fmt.Errorf("reading forest: more than %d bytes", limits.Bytes)
	}
	t := &textReader{text: b.String(), limits: limits, workers: runtime.GOMAXPROCS(0)}
	f, err := t.forest()
	if err != nil {
		return nil, fmt.Errorf("reading forest: line %d: %w", max(1, t.line), err)
	}
	return f, nil
}

// LightGBM writes at most 22 lines for a tree and 130 parameters. Bounds near
// that keep short lines from costing many times their size in memory.
const (
	maxFields     = 32
	maxParameters = 10_000
)

// A textReader goes through the text line by line.
type textReader struct {
	text    string
	pos     int // of the next line
	line    int // number of the current line, from 1
	limits  Limits
	workers int    // that read trees ahead; 0: none
	fs      fields // reused: those of the block read last
}

// next returns the next line without its end; false at the end of the text.
func (t *textReader) next() (string, bool) {
	if t.pos == len(t.text) {
		return "", false
	}
	t.line++
	rest := t.text[t.pos:]
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		t.pos += i + 1
		return rest[:i], true
	}
	t.pos = len(t.text)
	return rest, true
}

// fields reads up to an empty line or the end of the text. The next call
// overwrites what it returned.
func (t *textReader) fields() (*fields, error) {
	t.fs = t.fs[:0]
	for {
		line, ok := t.next()
		if !ok || line == "" {
			return &t.fs, nil
		}
		if strings.HasSuffix(line, "\r") {
			return nil, errors.New("line ends in a carriage return; the format has line feeds only")
		}
		key, value, _ := strings.Cut(line, "=")
		if len(t.fs) == maxFields {
			return nil, fmt.Errorf("more than %d fields without an empty line", maxFields)
		}
		if t.fs.find(key) >= 0 {
			return nil, fmt.Errorf("field %q occurs twice", shorten(key))
		}
		t.fs = append(t.fs, keyValue{key, value})
	}
}

func (t *textReader) forest() (*Forest, error) {
	f, sizes, err := t.header()
	if err != nil {
		return nil, err
	}
	ahead := t.ahead(sizes, len(f.FeatureNames))
	for i, s := range sizes {
		size, err := strconv.Atoi(s)
		if err != nil || size <= 0 || size > len(t.text)-t.pos {
			return nil, fmt.Errorf("tree %d: size %q in tree_sizes is not a number of bytes left in the text", i, shorten(s))
		}
		end := t.pos + size
		if i < len(ahead) && ahead[i].tree != nil {
			t.pos, t.line = end, t.line+ahead[i].lines
			f.Trees = append(f.Trees, *ahead[i].tree)
			continue
		}
		tree, err := t.tree(i)
		if err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		if t.pos != end {
			return nil, fmt.Errorf("tree %d: ends %d bytes from where tree_sizes says", i, t.pos-end)
		}
		if err := t.check(tree, len(f.FeatureNames)); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		f.Trees = append(f.Trees, *tree)
	}
	if line, _ := t.next(); line != "end of trees" {
		return nil, fmt.Errorf("found %q, want \"end of trees\" after %d trees", shorten(line), len(sizes))
	}
	if err := t.trailer(f); err != nil {
		return nil, err
	}
	if err := f.validateHeader(); err != nil {
		return nil, err
	}
	return f, nil
}

// check verifies a tree over so many features.
func (t *textReader) check(tree *Tree, features int) error {
	if err := tree.validate(features); err != nil {
		return err
	}
	if d := tree.depth(); d > t.limits.Depth {
		return fmt.Errorf("depth %d is over the limit of %d", d, t.limits.Depth)
	}
	return nil
}

// header reads up to the first tree and returns the sizes of the trees.
func (t *textReader) header() (*Forest, []string, error) {
	if line, _ := t.next(); line != "tree" {
		return nil, nil, fmt.Errorf("found %q, want \"tree\": not a LightGBM model text", shorten(line))
	}
	fs, err := t.fields()
	if err != nil {
		return nil, nil, err
	}
	if v, _ := fs.take("version"); v != "v4" {
		return nil, nil, fmt.Errorf("version is %q, want \"v4\" (LightGBM 4)", shorten(v))
	}
	for _, key := range []string{"num_class", "num_tree_per_iteration"} {
		if v, _ := fs.take(key); v != "1" {
			return nil, nil, fmt.Errorf("%s is %q, want 1: models with several outputs (multiclass) are not supported", key, shorten(v))
		}
	}
	fs.take("label_index") // a column of the file LightGBM was trained on

	f := &Forest{}
	if v, ok := fs.take("average_output"); ok {
		if v != "" {
			return nil, nil, fmt.Errorf("average_output has value %q, want none", shorten(v))
		}
		f.AverageOutput = true
	}
	objective, _ := fs.take("objective")
	if words := strings.Fields(objective); len(words) > 0 && words[0] == "binary" {
		f.Objective = "binary"
		value, ok := "", false
		if len(words) == 2 {
			value, ok = strings.CutPrefix(words[1], "sigmoid:")
		}
		if f.Sigmoid, err = strconv.ParseFloat(value, 64); !ok || err != nil {
			return nil, nil, fmt.Errorf("objective %q, want \"binary sigmoid:\" and a number", shorten(objective))
		}
	} else {
		f.Objective = strings.Clone(objective)
	}

	names, _ := fs.take("feature_names")
	if f.FeatureNames, err = words("feature_names", names, t.limits.Features); err != nil {
		return nil, nil, err
	}
	infos, _ := fs.take("feature_infos")
	if f.FeatureInfos, err = words("feature_infos", infos, t.limits.Features); err != nil {
		return nil, nil, err
	}
	if v, _ := fs.take("max_feature_idx"); v != strconv.Itoa(len(f.FeatureNames)-1) {
		return nil, nil, fmt.Errorf("max_feature_idx is %q, want %d for %d feature names", shorten(v), len(f.FeatureNames)-1, len(f.FeatureNames))
	}
	if v, ok := fs.take("monotone_constraints"); ok {
		if f.MonotoneConstraints, err = ints("monotone_constraints", v, len(f.FeatureNames)); err != nil {
			return nil, nil, err
		}
	}
	sizes, ok := fs.take("tree_sizes")
	if !ok {
		return nil, nil, errors.New("tree_sizes is missing")
	}
	trees, err := words("tree_sizes", sizes, t.limits.Trees)
	if err != nil {
		return nil, nil, err
	}
	return f, trees, fs.rest()
}

// tree reads the block of a tree and the two empty lines that end it.
func (t *textReader) tree(number int) (*Tree, error) {
	fs, err := t.fields()
	if err != nil {
		return nil, err
	}
	if line, ok := t.next(); !ok || line != "" {
		return nil, errors.New("tree does not end in two empty lines")
	}
	if v, _ := fs.take("Tree"); v != strconv.Itoa(number) {
		return nil, fmt.Errorf("found Tree=%s, want Tree=%d", shorten(v), number)
	}
	if v, _ := fs.take("is_linear"); v != "0" && v != "" {
		return nil, errors.New("linear trees are not supported")
	}
	v, _ := fs.take("num_leaves")
	leaves, err := strconv.Atoi(v)
	if err != nil || leaves < 1 || leaves > t.limits.Leaves {
		return nil, fmt.Errorf("num_leaves is %q, want 1 to %d", shorten(v), t.limits.Leaves)
	}

	tree := &Tree{}
	var types []int
	for _, a := range []struct {
		key string
		to  *[]int
		n   int
	}{
		{"split_feature", &tree.SplitFeature, leaves - 1},
		{"decision_type", &types, leaves - 1},
		{"left_child", &tree.LeftChild, leaves - 1},
		{"right_child", &tree.RightChild, leaves - 1},
		{"internal_count", &tree.InternalCount, leaves - 1},
		{"leaf_count", &tree.LeafCount, leaves},
	} {
		v, ok := fs.take(a.key)
		if !ok {
			return nil, fmt.Errorf("%s is missing", a.key)
		}
		if v == "" && leaves == 1 {
			continue
		}
		if *a.to, err = ints(a.key, v, a.n); err != nil {
			return nil, err
		}
	}
	for _, a := range []struct {
		key string
		to  *[]float64
		n   int
	}{
		{"split_gain", &tree.SplitGain, leaves - 1},
		{"threshold", &tree.Threshold, leaves - 1},
		{"internal_value", &tree.InternalValue, leaves - 1},
		{"internal_weight", &tree.InternalWeight, leaves - 1},
		{"leaf_value", &tree.LeafValue, leaves},
		{"leaf_weight", &tree.LeafWeight, leaves},
	} {
		v, ok := fs.take(a.key)
		if !ok {
			return nil, fmt.Errorf("%s is missing", a.key)
		}
		if v == "" && leaves == 1 {
			continue
		}
		if *a.to, err = floats(a.key, v, a.n); err != nil {
			return nil, err
		}
	}
	if len(types) > 0 {
		tree.DecisionType = make([]DecisionType, len(types))
	}
	for i, d := range types {
		if d < 0 || d > math.MaxUint8 {
			return nil, fmt.Errorf("decision_type[%d] is %d, which has no meaning", i, d)
		}
		tree.DecisionType[i] = DecisionType(d)
	}

	sets, _ := fs.take("num_cat")
	if boundaries, ok := fs.take("cat_boundaries"); ok {
		if tree.CatBoundaries, err = ints("cat_boundaries", boundaries, -1); err != nil {
			return nil, err
		}
		v, _ := fs.take("cat_threshold")
		codes, err := ints("cat_threshold", v, -1)
		if err != nil {
			return nil, err
		}
		tree.CatThreshold = make([]uint32, len(codes))
		for i, c := range codes {
			if c < 0 || c > math.MaxUint32 {
				return nil, fmt.Errorf("cat_threshold[%d] is %d, want a word of 32 bits", i, c)
			}
			tree.CatThreshold[i] = uint32(c)
		}
	}
	if sets != strconv.Itoa(tree.numSets()) {
		return nil, fmt.Errorf("num_cat is %q, but there are %d categorical sets", shorten(sets), tree.numSets())
	}
	v, _ = fs.take("shrinkage")
	shrinkage, err := floats("shrinkage", v, 1)
	if err != nil {
		return nil, err
	}
	tree.Shrinkage = shrinkage[0]
	return tree, fs.rest()
}

// trailer reads what follows the trees: importances, parameters, categories.
// Every section may be missing, and empty lines do not matter.
func (t *textReader) trailer(f *Forest) error {
	seen := map[string]bool{}
	importances := false
	for {
		line, ok := t.next()
		if !ok {
			return nil
		}
		section, value, found := strings.Cut(line, ":")
		known := section == "feature_importances" || section == "parameters" || section == "pandas_categorical"
		switch {
		case line == "":
			importances = false
			continue
		case importances: // follow from the trees, and a name may look like anything
			continue
		case !found || !known:
			return fmt.Errorf("found %q after the trees, which is not known", shorten(line))
		case seen[section]:
			return fmt.Errorf("section %q occurs twice", section)
		}
		seen[section] = true
		switch section {
		case "feature_importances":
			importances = true
		case "parameters":
			if err := t.parameters(f); err != nil {
				return err
			}
		case "pandas_categorical":
			if !json.Valid([]byte(value)) {
				return errors.New("pandas_categorical is not JSON")
			}
			if value != "null" {
				f.Categories = json.RawMessage(value)
			}
		}
	}
}

func (t *textReader) parameters(f *Forest) error {
	for {
		line, ok := t.next()
		switch {
		case !ok:
			return errors.New("text ends before \"end of parameters\"")
		case line == "end of parameters":
			return nil
		case line == "":
		case line[0] == '[' && line[len(line)-1] == ']' && len(line) > 1:
			if len(f.Parameters) == maxParameters {
				return fmt.Errorf("more than %d parameters", maxParameters)
			}
			f.Parameters = append(f.Parameters, strings.Clone(line[1:len(line)-1]))
		default:
			return fmt.Errorf("parameter %q is not in brackets", shorten(line))
		}
	}
}
