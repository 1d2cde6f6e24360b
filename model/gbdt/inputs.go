package gbdt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"churn/model/gbdt/internal/kernel"
)

// Compiled trees never see a row but its keys: unsigned numbers, each made so
// that one comparison, key < bound, is the whole of a node's test. Missing
// values, the kinds of missing and sets of categories are settled once a row
// when the keys are made, not once a node.
//
//	numeric test      x <= t      key(x) < key(t)+1
//	missing left      NaN         noneBelow, less than every bound
//	missing right     NaN         noneAbove, not less than any
//	categorical test  x in set    inside in the highest byte
//
// The key of a float32 is its bits, turned so that they order like the
// numbers. Rows are float32 and thresholds float64; x <= t holds exactly when
// x is at most the greatest float32 that is not above t.
const (
	noneBelow = uint32(0)
	noneAbove = uint32(math.MaxUint32)

	inside, outside = byte(0), byte(1)
	insideBound     = uint32(1) << 24
)

// maxKeys is how many bytes of keys a block of trees can ask for, four for a number and
// one for a set; a node has 16 bits for the place of its key.
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

// numericKey is one way to make a key of a feature. Values of which the
// magnitude, as a number of its bits, is not in low..low+span get the key none.
type numericKey struct{ feature, low, span, none uint32 }

// featureSets are the sets of one categorical feature. A set takes one byte,
// the highest of a key that overlaps with the keys before it. The bytes follow
// one another, so that a category settles all of them by one copy.
type featureSets struct {
	feature, first, n int
	// keys has n bytes for each code, and last those of every other value.
	keys []byte
}

// inputs makes the keys of rows.
type inputs struct {
	numeric []numericKey // keys 0 to len(numeric)-1, of four bytes
	sets    []featureSets
	first   []uint16 // by feature: key of its first set
}

// inputsBuilder numbers keys while trees are compiled: numeric keys and sets
// apart, as it is not known before the end how many there are of the former.
type inputsBuilder struct {
	numeric []numericKey
	number  [][8]int         // by feature and treatment of missing values: number of the numeric key from 1
	sets    []map[string]int // by feature: numbers of the sets, which are words without zeros at the end
	count   int              // of sets
	text    []byte
}

func newInputsBuilder(features int) *inputsBuilder {
	return &inputsBuilder{number: make([][8]int, features), sets: make([]map[string]int, features)}
}

// size is how many bytes the keys take that are noted.
func (b *inputsBuilder) size() int { return 4*len(b.numeric) + b.count }

// room reports whether the keys of one more tree are sure to fit.
func (b *inputsBuilder) room(t *Tree) bool { return b.size()+4*len(t.LeftChild) <= maxKeys }

// tests notes what the nodes of a tree ask.
func (b *inputsBuilder) tests(t *Tree) []test {
	out := make([]test, len(t.LeftChild))
	for node := range out {
		out[node] = b.test(t, node)
	}
	return out
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
		b.text = setOf(b.text[:0], t, int(t.Threshold[node]))
		sets := b.sets[feature]
		n, ok := sets[string(b.text)]
		if !ok {
			if sets == nil {
				sets = map[string]int{}
				b.sets[feature] = sets
			}
			n = len(sets)
			sets[string(b.text)] = n
			b.count++
		}
		return test{numeric: -1, feature: feature, set: n, bound: insideBound}
	}
	d &= missingMask | DefaultLeft
	if d&missingMask == MissingNone {
		d = MissingNone // the default side is never taken
	}
	n := &b.number[feature][d>>1&7]
	if *n == 0 {
		b.numeric = append(b.numeric, newNumericKey(feature, d))
		*n = len(b.numeric)
	}
	return test{numeric: *n - 1, feature: feature, bound: boundOf(t.Threshold[node])}
}

func newNumericKey(feature int, d DecisionType) numericKey {
	k := numericKey{feature: uint32(feature), span: math.Float32bits(float32(math.Inf(1))), none: noneAbove}
	if d&DefaultLeft != 0 {
		k.none = noneBelow
	}
	switch d & missingMask {
	case MissingNone:
		k.none = keyOf(0)
	case MissingZero:
		k.low = math.Float32bits(float32(zeroThreshold)) + 1
		k.span -= k.low
	}
	return k
}

// setOf appends the words of set k, little-endian, without zeros at the end.
func setOf(text []byte, t *Tree, k int) []byte {
	words := t.CatThreshold[t.CatBoundaries[k]:t.CatBoundaries[k+1]]
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	for _, w := range words {
		text = binary.LittleEndian.AppendUint32(text, w)
	}
	return text
}

// build gives the keys their places and makes the tables of the sets.
func (b *inputsBuilder) build() (*inputs, error) {
	in := &inputs{numeric: b.numeric, first: make([]uint16, len(b.sets))}
	size := 4 * len(b.numeric)
	if b.size() > maxKeys {
		return nil, fmt.Errorf("a tree asks too many different things of a row: %d features with their treatment of missing values and %d sets of categories, of which four times the former and the latter may be %d together", len(b.numeric), b.count, maxKeys)
	}
	for feature, sets := range b.sets {
		if len(sets) == 0 {
			continue
		}
		// Byte 3 of a key is the highest.
		fs := featureSets{feature: feature, first: size + 3, n: len(sets)}
		in.first[feature] = uint16(size)
		size += len(sets)
		codes := 0
		for s := range sets {
			codes = max(codes, 8*len(s))
		}
		if len(sets)*(codes+1) > maxSetBytes {
			return nil, fmt.Errorf("feature %d: %d sets of up to %d categories take more than %d MiB", feature, len(sets), codes, maxSetBytes>>20)
		}
		fs.keys = bytes.Repeat([]byte{outside}, (codes+1)*len(sets))
		for s, i := range sets {
			for j := range len(s) {
				for word := s[j]; word != 0; word &= word - 1 {
					fs.keys[(8*j+bits.TrailingZeros8(word))*len(sets)+i] = inside
				}
			}
		}
		in.sets = append(in.sets, fs)
	}
	return in, nil
}

// key returns the place of the key that a test looks at.
func (in *inputs) key(t test) uint16 {
	if t.numeric >= 0 {
		return uint16(4 * t.numeric)
	}
	return in.first[t.feature] + uint16(t.set)
}

// load makes the keys of a row.
func (in *inputs) load(k *kernel.Keys, row []float32) {
	out := k[:4*len(in.numeric)]
	for i := range in.numeric {
		n := &in.numeric[i]
		x := row[n.feature]
		key := keyOf(x)
		// A missing value is not to be guessed by a branch.
		if math.Float32bits(x)&^(1<<31)-n.low > n.span {
			key = n.none
		}
		binary.LittleEndian.PutUint32(out[4*i:], key)
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
