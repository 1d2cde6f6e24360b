package gbdt

import (
	"fmt"
	"math"
)

// Compiled trees never see a row but its keys: unsigned numbers, each made so
// that one comparison, key < bound, is the whole of a node's test. Missing
// values, the kinds of missing and sets of categories are settled once a row
// when the keys are made, not once a node.
//
//	numeric test      x <= t      key(x) < key(t)+1
//	missing left      NaN         noneBelow, less than every bound
//	missing right     NaN         noneAbove, not less than any
//	categorical test  x in set    inside < 1
//
// The key of a float32 is its bits, turned so that they order like the
// numbers. Rows are float32 and thresholds float64; x <= t holds exactly when
// x is at most the greatest float32 that is not above t.
const (
	noneBelow = uint32(0)
	noneAbove = uint32(math.MaxUint32)

	inside, outside = uint32(0), uint32(1)
)

// maxKeys is how many keys a forest can ask for; a node has 16 bits for the
// number of its key.
const maxKeys = 1 << 16

// maxSetBytes bounds the tables of one feature's sets.
const maxSetBytes = 64 << 20

// keyOf orders float32 as unsigned numbers. x is not NaN; -0 and 0 are equal.
func keyOf(x float32) uint32 {
	b := math.Float32bits(x + 0) // -0 becomes 0
	return b ^ (uint32(int32(b)>>31) | 1<<31)
}

// boundOf returns the bound for x <= t.
func boundOf(t float64) uint32 {
	f := float32(t)
	if float64(f) > t {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return keyOf(f) + 1
}

// A numericKey is one way to make a key of a feature.
type numericKey struct {
	feature int
	missing DecisionType // of missingMask, with DefaultLeft where it matters
}

// A setKey is one set of a categorical feature.
type setKey struct {
	feature int
	set     string // the words, little-endian, without zeros at the end
}

// inputs makes the keys of rows.
type inputs struct {
	numeric []numericKey // keys 0 to len(numeric)-1
	sets    []featureSets
	keys    int
}

// featureSets are the sets of one categorical feature: their keys follow one
// another, so that a category settles all of them by one copy.
type featureSets struct {
	feature, first, n int
	// keys has n keys for each code, and last those of every other value.
	keys []uint32
}

// inputsBuilder numbers keys while trees are compiled: numeric keys and sets
// apart, as it is not known before the end how many there are of the former.
type inputsBuilder struct {
	numeric  map[numericKey]int
	order    []numericKey
	sets     map[setKey]int // number within the feature
	features map[int][]setKey
}

func newInputsBuilder() *inputsBuilder {
	return &inputsBuilder{numeric: map[numericKey]int{}, sets: map[setKey]int{}, features: map[int][]setKey{}}
}

// A test is a node's question before keys have their final numbers.
type test struct {
	numeric      int // number of the numeric key, -1 for a set
	feature, set int
	bound        uint32
}

// test notes what a node asks.
func (b *inputsBuilder) test(t *Tree, node int) test {
	feature, d := t.SplitFeature[node], t.DecisionType[node]
	if d&Categorical != 0 {
		k := setKey{feature, setOf(t, int(t.Threshold[node]))}
		n, ok := b.sets[k]
		if !ok {
			n = len(b.features[feature])
			b.sets[k] = n
			b.features[feature] = append(b.features[feature], k)
		}
		return test{numeric: -1, feature: feature, set: n, bound: inside + 1}
	}
	k := numericKey{feature, d & (missingMask | DefaultLeft)}
	if d&missingMask == MissingNone {
		k.missing = MissingNone // the default side is never taken
	}
	n, ok := b.numeric[k]
	if !ok {
		n = len(b.order)
		b.numeric[k] = n
		b.order = append(b.order, k)
	}
	return test{numeric: n, feature: feature, bound: boundOf(t.Threshold[node])}
}

// setOf returns the words of set k as text to compare sets by.
func setOf(t *Tree, k int) string {
	words := t.CatThreshold[t.CatBoundaries[k]:t.CatBoundaries[k+1]]
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	text := make([]byte, 0, 4*len(words))
	for _, w := range words {
		text = append(text, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return string(text)
}

// build gives the keys their numbers and makes the tables of the sets.
func (b *inputsBuilder) build(features int) (*inputs, error) {
	in := &inputs{numeric: b.order, keys: len(b.order)}
	for feature := range features {
		sets := b.features[feature]
		if len(sets) == 0 {
			continue
		}
		fs := featureSets{feature: feature, first: in.keys, n: len(sets)}
		in.keys += len(sets)
		codes := 0
		for _, s := range sets {
			codes = max(codes, 8*len(s.set))
		}
		if size := 4 * len(sets) * (codes + 1); size > maxSetBytes {
			return nil, fmt.Errorf("feature %d: %d sets of up to %d categories take more than %d MiB", feature, len(sets), codes, maxSetBytes>>20)
		}
		fs.keys = make([]uint32, (codes+1)*len(sets))
		for i := range fs.keys {
			fs.keys[i] = outside
		}
		for i, s := range sets {
			for code := range 8 * len(s.set) {
				if s.set[code/8]>>(code%8)&1 == 1 {
					fs.keys[code*len(sets)+i] = inside
				}
			}
		}
		in.sets = append(in.sets, fs)
	}
	if in.keys > maxKeys {
		return nil, fmt.Errorf("the trees ask %d different things of a row (features with their treatment of missing values, sets of categories); at most %d", in.keys, maxKeys)
	}
	return in, nil
}

// key returns the final number of the key that a test looks at.
func (in *inputs) key(t test) uint16 {
	if t.numeric >= 0 {
		return uint16(t.numeric)
	}
	for i := range in.sets {
		if in.sets[i].feature == t.feature {
			return uint16(in.sets[i].first + t.set)
		}
	}
	panic("gbdt: a set without a feature") // build saw every test
}

// keys holds the keys of one row. An array of all that there can be needs no
// bounds check, and what is not used is never touched.
type keys [maxKeys]uint32

// load makes the keys of a row.
func (in *inputs) load(k *keys, row []float32) {
	for i, n := range in.numeric {
		k[uint16(i)] = n.of(row[n.feature])
	}
	for i := range in.sets {
		fs := &in.sets[i]
		at := len(fs.keys) - fs.n // of every other value
		// Fractions are cut off, as LightGBM does: -0.5 is category 0.
		if x := row[fs.feature]; x > -1 && x < float32(at/fs.n) {
			at = int(x) * fs.n
		}
		copy(k[fs.first:], fs.keys[at:at+fs.n])
	}
}

// of returns the key of one value.
func (n numericKey) of(x float32) uint32 {
	none := x != x
	switch n.missing & missingMask {
	case MissingNone:
		if none {
			return keyOf(0)
		}
		return keyOf(x)
	case MissingZero:
		none = none || math.Abs(float64(x)) <= zeroThreshold
	}
	if !none {
		return keyOf(x)
	}
	if n.missing&DefaultLeft != 0 {
		return noneBelow
	}
	return noneAbove
}
