package gbdt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ReadXGBoost reads a binary classifier that XGBoost 1.7 to 3 saved as JSON or
// UBJSON; the content says which. Its objective is binary:logistic or
// binary:logitraw, which become "binary", or reg:logistic, which becomes
// "cross_entropy"; its booster is gbtree or dart.
//
// The first tree of the forest is a single leaf, the margin of base_score.
// Tree i+1 is tree i of the file, with the weight that dart gave it. A model
// that stopped early, that is one with the attribute best_iteration, ends with
// that iteration, as for XGBoost's scikit-learn classes. (XGBoost's own
// Booster.predict goes on to the last tree unless it is told otherwise.)
//
// # Scores
//
// A row falls into the same leaves as in XGBoost, and leaf values are taken
// over exactly. XGBoost adds them in float32, [Forest.Predict] in float64, so
// the scores of n trees differ by at most about n*6e-8 of the sum of the
// absolute leaf values. (Adding the leaf values in float32, in the order of
// the trees, gives XGBoost's margin itself.)
//
// There are two exceptions, both for values that have no place in data. -Inf,
// which XGBoost refuses, passes the test x < -Inf, and may count as missing
// where a category is asked for. A code between -1 and 0 is category 0 here;
// XGBoost takes it, like other negative codes, as an unseen one.
//
// A test of a category that sends missing values along with the listed codes
// cannot be one node of a Forest. It becomes two, and the branch of the listed
// codes is there twice: the scores are the same, the tree is larger.
//
// # What is not in the file
//
// There are no row counts. LeafCount and InternalCount are the share in the
// sum of Hessians (XGBoost's cover), in units of which the root has about 2^30:
// the shares by which XGBoost's pred_contribs weighs. The learning rate is not
// there either, so Shrinkage is 1, and InternalValue is the mean of the leaf
// values below (base_weights lack the learning rate). FeatureInfos are "none".
//
// Without names, features are called f0, f1 and so on, as in XGBoost. White
// space and control characters in names become "_", as in LightGBM. The levels
// of categorical columns of data frames become Categories.
//
// # Errors
//
// Several outputs (multi-class, multi-target), linear boosters, other
// objectives, unknown or repeated fields, what [Forest.Validate] and limits
// refuse, and files that are cut off, contradict themselves or are in the
// binary format of old are errors. Memory grows with the bytes read, never
// with a number they contain; sets of categories and doubled branches, which
// are larger than what stands for them in the file, may take 64 times its size.
func ReadXGBoost(r io.Reader, limits Limits) (*Forest, error) {
	limits = limits.orDefault()
	var b strings.Builder
	n, err := io.Copy(&b, io.LimitReader(r, limits.Bytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading XGBoost model: %w", err)
	}
	if n > limits.Bytes {
		return nil, fmt.Errorf("reading XGBoost model: more than %d bytes", limits.Bytes)
	}
	m := &xgboostModel{limits: limits, spare: min(limits.Bytes, 1<<20+64*n), targets: 1, parallelTrees: 1}
	switch doc := b.String(); {
	case len(doc) > 1 && doc[0] == '{' && strings.IndexByte("\"} \t\r\n", doc[1]) >= 0:
		m.document.source = &jsonSource{doc: doc}
	case len(doc) > 1 && doc[0] == '{' && ubjsonSizes[doc[1]] > 0: // the length of a key
		m.document.source = &ubjsonSource{doc: doc}
	default:
		return nil, errors.New("reading XGBoost model: neither JSON nor UBJSON; save the model with a name that ends in .json or .ubj")
	}
	if err := m.read(); err != nil {
		return nil, fmt.Errorf("reading XGBoost model: byte %d: %w", m.position(), err)
	}
	f, err := m.forest()
	if err != nil {
		return nil, fmt.Errorf("reading XGBoost model: %w", err)
	}
	return f, nil
}

// An xgboostModel is what there is in a file, before it is known whether it
// fits together.
type xgboostModel struct {
	document
	limits Limits
	spare  int64 // bytes of a forest that may still be had beyond those that follow the file's

	version   []int32
	objective string
	booster   string
	baseScore string // a number, or an array of numbers
	classes   int
	targets   int
	features  int
	best      string // attribute best_iteration
	names     []string
	types     []string
	levels    []json.RawMessage // per feature; nil: none

	numTrees      int
	parallelTrees int     // per iteration
	iterations    []int32 // first tree of each, and the number of trees
	groups        []int32 // output of each tree
	weights       []float32
	trees         []Tree
}

func (m *xgboostModel) read() error {
	err := m.object(members{
		"version": &m.version,
		"learner": func() error {
			return m.object(members{
				"attributes":          m.readAttributes,
				"feature_names":       func() error { return m.readWords(&m.names) },
				"feature_types":       func() error { return m.readWords(&m.types) },
				"gradient_booster":    func() error { return m.readBooster("gbtree") },
				"learner_model_param": m.readParameters,
				"objective":           m.readObjective,
			})
		},
	})
	if err != nil {
		return err
	}
	return m.end()
}

// readAttributes looks for best_iteration among the notes that users may
// attach.
func (m *xgboostModel) readAttributes() error {
	return m.each(func(key string) error {
		if key == "best_iteration" {
			return m.value(&m.best)
		}
		return m.skip()
	})
}

// readObjective takes the name. The rest was for training.
func (m *xgboostModel) readObjective() error {
	return m.each(func(key string) error {
		if key == "name" {
			return m.value(&m.objective)
		}
		return m.skip()
	})
}

func (m *xgboostModel) readParameters() error {
	return m.object(members{
		"base_score":         &m.baseScore,
		"boost_from_average": nil, // of training
		"num_class":          &m.classes,
		"num_feature":        &m.features,
		"num_target":         &m.targets,
	})
}

// readWords reads one string per feature.
func (m *xgboostModel) readWords(to *[]string) error {
	return m.array(func(i int) error {
		if i == m.limits.Features {
			return fmt.Errorf("over the limit of %d features", m.limits.Features)
		}
		s, err := m.text()
		*to = append(*to, s)
		return err
	})
}

// readBooster reads a booster, gbtree or, around one that is called inner,
// dart. From XGBoost 3.4 on, dart is a gbtree that has weights.
func (m *xgboostModel) readBooster(inner string) error {
	known := members{
		"name":        &m.booster,
		"model":       m.readModel,
		"weight_drop": &m.weights,
	}
	if inner != "" {
		known[inner] = func() error { return m.readBooster("") }
	}
	return m.object(known)
}

var errLinear = errors.New("linear boosters (gblinear) are not supported")

func (m *xgboostModel) readModel() error {
	return m.object(members{
		"gbtree_model_param": func() error {
			return m.object(members{
				"num_trees":         &m.numTrees,
				"num_parallel_tree": &m.parallelTrees,
				"size_leaf_vector":  nil, // each tree says so itself
			})
		},
		"trees": func() error {
			return m.array(func(i int) error {
				if i == m.limits.Trees {
					return fmt.Errorf("over the limit of %d trees", m.limits.Trees)
				}
				tree, err := m.readTree(i)
				if err != nil {
					return err
				}
				m.trees = append(m.trees, *tree)
				return nil
			})
		},
		"tree_info":        &m.groups,
		"iteration_indptr": &m.iterations,
		"weight_drop":      &m.weights,
		"cats":             m.readLevels,
		"boosted_rounds":   func() error { return errLinear },
		"weights":          func() error { return errLinear },
	})
}

// readLevels reads the levels of the categorical columns of a data frame.
func (m *xgboostModel) readLevels() error {
	return m.object(members{
		"enc": func() error {
			return m.array(func(i int) error {
				if i == m.limits.Features {
					return fmt.Errorf("over the limit of %d features", m.limits.Features)
				}
				levels, err := m.readColumn()
				m.levels = append(m.levels, levels)
				return err
			})
		},
		"feature_segments": nil, // follow from enc
		"sorted_idx":       nil,
	})
}

// readColumn reads the levels of one column, whole numbers or strings, as a
// JSON array. Strings lie one behind the other; offsets are where they begin
// and, last, the end.
func (m *xgboostModel) readColumn() (json.RawMessage, error) {
	var offsets []int32
	var values []int64
	numberType := 0
	err := m.object(members{
		"offsets": &offsets,
		"values":  &values,
		"type": func() error {
			t, err := m.int32()
			numberType = int(t)
			return err
		},
	})
	if err != nil || len(values) == 0 {
		return nil, err
	}
	if len(offsets) == 0 {
		for i := range values {
			// UBJSON has no markers for these; XGBoost writes the bits of
			// the signed type.
			switch numberType {
			case 12: // unsigned, 16 bits
				values[i] &= math.MaxUint16
			case 14: // unsigned, 32 bits
				values[i] &= math.MaxUint32
			}
		}
		return json.Marshal(values)
	}
	all := make([]byte, len(values))
	for i, v := range values {
		all[i] = byte(v) // a C char, with sign
	}
	words := make([]string, len(offsets)-1)
	for i := range words {
		from, to := offsets[i], offsets[i+1]
		if from < 0 || from > to || int(to) > len(all) || !utf8.Valid(all[from:to]) {
			return nil, fmt.Errorf("level %d, bytes %d to %d of %d, is not a string", i, from, to, len(all))
		}
		words[i] = string(all[from:to])
	}
	return json.Marshal(words)
}

// forest puts the forest together.
func (m *xgboostModel) forest() (*Forest, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	margin, err := m.margin()
	if err != nil {
		return nil, err
	}
	trees, err := m.used()
	if err != nil {
		return nil, err
	}
	for i := range m.trees {
		if err := m.trees[i].validate(m.features); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	f := &Forest{Objective: "binary", Sigmoid: 1}
	if m.objective == "reg:logistic" {
		f.Objective, f.Sigmoid = "cross_entropy", 0
	}
	f.Trees = append([]Tree{{LeafValue: []float64{margin}, Shrinkage: 1}}, m.trees[:trees]...)
	for i, weight := range m.weights[:min(trees, len(m.weights))] {
		f.Trees[i+1].scale(float64(weight))
	}
	for i := range m.features {
		f.FeatureInfos = append(f.FeatureInfos, "none")
		if len(m.names) == 0 {
			f.FeatureNames = append(f.FeatureNames, "f"+strconv.Itoa(i))
		} else {
			f.FeatureNames = append(f.FeatureNames, oneWord(m.names[i]))
		}
	}
	if f.Categories, err = m.categories(); err != nil {
		return nil, err
	}
	f.Parameters = m.notes(trees)
	if err := f.Validate(); err != nil {
		return nil, err
	}
	return f, nil
}

// check returns an error if the model is not one we know how to read.
func (m *xgboostModel) check() error {
	switch v := m.version; {
	case len(v) != 3:
		return errors.New("there is no version")
	case v[0] < 1 || v[0] == 1 && v[1] < 7 || v[0] > 3:
		return fmt.Errorf("saved by XGBoost %d.%d, want 1.7 to 3", v[0], v[1])
	case m.classes > 1:
		return fmt.Errorf("%d classes: models with several outputs are not supported", m.classes)
	case m.targets != 1:
		return fmt.Errorf("%d targets: models with several outputs are not supported", m.targets)
	case m.booster != "gbtree" && m.booster != "dart":
		return fmt.Errorf("booster %q is not supported, want gbtree or dart", shorten(m.booster))
	case m.features > m.limits.Features:
		return fmt.Errorf("%d features are over the limit of %d", m.features, m.limits.Features)
	case len(m.names) != 0 && len(m.names) != m.features:
		return fmt.Errorf("%d feature_names for %d features", len(m.names), m.features)
	case len(m.types) != 0 && len(m.types) != m.features:
		return fmt.Errorf("%d feature_types for %d features", len(m.types), m.features)
	case len(m.levels) != 0 && len(m.levels) != m.features:
		return fmt.Errorf("levels of %d columns for %d features", len(m.levels), m.features)
	case m.numTrees != len(m.trees):
		return fmt.Errorf("found %d trees, but num_trees is %d", len(m.trees), m.numTrees)
	case len(m.groups) != len(m.trees):
		return fmt.Errorf("tree_info has %d values for %d trees", len(m.groups), len(m.trees))
	case len(m.iterations) != 0 && int(m.iterations[len(m.iterations)-1]) != len(m.trees):
		return fmt.Errorf("iteration_indptr ends with %d, but there are %d trees", m.iterations[len(m.iterations)-1], len(m.trees))
	case len(m.weights) != 0 && len(m.weights) != len(m.trees):
		return fmt.Errorf("weight_drop has %d values for %d trees", len(m.weights), len(m.trees))
	}
	for i, group := range m.groups {
		if group != 0 {
			return fmt.Errorf("tree %d is of output %d: models with several outputs are not supported", i, group)
		}
	}
	return nil
}

// margin returns the score that every row has before the first tree.
func (m *xgboostModel) margin() (float64, error) {
	number := strings.TrimSuffix(strings.TrimPrefix(m.baseScore, "["), "]")
	if strings.Contains(number, ",") {
		return 0, fmt.Errorf("base_score %q: models with several outputs are not supported", shorten(m.baseScore))
	}
	score, err := strconv.ParseFloat(number, 32)
	if err != nil {
		return 0, fmt.Errorf("base_score %q is not a number", shorten(m.baseScore))
	}
	switch m.objective {
	case "binary:logitraw":
		return score, nil
	case "binary:logistic", "reg:logistic":
	default:
		return 0, fmt.Errorf("objective %q is not supported, want binary:logistic, binary:logitraw or reg:logistic", shorten(m.objective))
	}
	if !(score >= 0 && score <= 1) {
		return 0, fmt.Errorf("base_score %v is not a probability", score)
	}
	// LogisticProbToMargin and Logit of XGBoost, which computes in float32.
	const epsilon float32 = 1e-6
	p := min(max(float32(score), epsilon), 1-epsilon)
	return -float64(float32(math.Log(float64(float32(1/p) - 1)))), nil
}

// used returns the number of trees up to the best iteration.
func (m *xgboostModel) used() (int, error) {
	if m.best == "" {
		return len(m.trees), nil
	}
	best, err := strconv.Atoi(m.best)
	if err != nil || best < 0 {
		return 0, fmt.Errorf("best_iteration %q is not the number of an iteration", shorten(m.best))
	}
	end, known := 0, false
	if len(m.iterations) > 0 {
		if known = best < len(m.iterations)-1; known {
			end = int(m.iterations[best+1])
		}
	} else if m.parallelTrees > 0 { // before XGBoost 2
		known = best < len(m.trees)/m.parallelTrees
		end = (best + 1) * m.parallelTrees
	}
	if !known || end < 0 || end > len(m.trees) {
		return 0, fmt.Errorf("best_iteration %d does not end within the %d trees", best, len(m.trees))
	}
	return end, nil
}

// categories returns the levels of the categorical features in turn, or nil
// if the file has none.
func (m *xgboostModel) categories() (json.RawMessage, error) {
	if !slices.ContainsFunc(m.levels, func(l json.RawMessage) bool { return l != nil }) {
		return nil, nil
	}
	levels := []json.RawMessage{}
	for i, l := range m.levels {
		categorical := len(m.types) > 0 && m.types[i] == "c"
		if l != nil && !categorical {
			return nil, fmt.Errorf("feature %d has levels, but is not categorical", i)
		}
		if categorical {
			if l == nil {
				l = json.RawMessage("[]")
			}
			levels = append(levels, l)
		}
	}
	return json.Marshal(levels)
}

// notes are the parameters of the forest.
func (m *xgboostModel) notes(trees int) []string {
	notes := []string{fmt.Sprintf("imported_from: XGBoost %d.%d.%d", m.version[0], m.version[1], m.version[2])}
	if trees < len(m.trees) {
		notes = append(notes, fmt.Sprintf("best_iteration: %s", m.best))
	}
	return notes
}

// oneWord returns name with white space and control characters replaced.
func oneWord(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, name)
}

// scale multiplies what the tree adds to a score.
func (t *Tree) scale(weight float64) {
	for i := range t.LeafValue {
		t.LeafValue[i] *= weight // exact: both have 24 bits
	}
	for i := range t.InternalValue {
		t.InternalValue[i] *= weight
	}
}
