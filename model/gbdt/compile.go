package gbdt

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"churn/model/gbdt/internal/kernel"
)

// A Compiled forest is made for scoring: the same margins as [Forest.Predict],
// bit for bit, and the contributions of [Forest.Contributions] up to rounding,
// many times faster. It is immutable and safe for concurrent use; it shares
// nothing with the forest.
//
// Two layouts serve. Trees that ask at most maxConditions different conditions,
// as symmetric trees do, become tables: the answers are the number of a cell,
// and a cell knows its score and the Shapley value of each feature. If any tree
// asks more, all trees are walked node by node, eight side by side, and
// contributions are integrals (see paths.go).
type Compiled struct {
	features int
	trees    int
	average  bool
	base     float64
	inputs   *inputs
	members  []member // of the members of a bag, or one
	cells    *cellForest
	nodes    *nodeForest
	paths    *pathForest // nil if cells explains
}

// member is the part of a forest that is one member of a bag.
type member struct {
	trees  [2]int // from, to
	groups [2]int // of eight trees
}

// width is how many trees are scored side by side.
const width = kernel.Width

// Compile makes the forest ready for scoring. A bag says how many trees each of
// its members has, in order; without members there is one. An error says that
// the forest is invalid, asks too many different things of a row, or that the
// members do not add up.
func (f *Forest) Compile(bag ...int) (*Compiled, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	c := &Compiled{features: len(f.FeatureNames), trees: len(f.Trees), average: f.AverageOutput}
	if len(bag) == 0 {
		bag = []int{len(f.Trees)}
	}
	if f.AverageOutput && len(bag) > 1 {
		return nil, errors.New("a forest that averages has no members")
	}
	at, groups := 0, 0
	for _, n := range bag {
		if n < 0 || n > len(f.Trees)-at {
			return nil, fmt.Errorf("members of %v trees in a forest of %d", bag, len(f.Trees))
		}
		g := (n + width - 1) / width
		c.members = append(c.members, member{[2]int{at, at + n}, [2]int{groups, groups + g}})
		at, groups = at+n, groups+g
	}
	if at != len(f.Trees) {
		return nil, fmt.Errorf("members of %v trees in a forest of %d", bag, len(f.Trees))
	}
	b := newInputsBuilder(c.features)
	tests := make([][]test, len(f.Trees))
	for i := range f.Trees {
		t := &f.Trees[i]
		if t.NumLeaves() > maxCompiledLeaves {
			return nil, fmt.Errorf("tree %d has %d leaves; at most %d", i, t.NumLeaves(), maxCompiledLeaves)
		}
		tests[i] = make([]test, len(t.LeftChild))
		for node := range tests[i] {
			tests[i][node] = b.test(t, node)
		}
		c.base += t.expected()
	}
	c.base = c.scale(c.base)
	var err error
	if c.inputs, err = b.build(); err != nil {
		return nil, err
	}
	conditions := make([][]condition, len(f.Trees))
	for i := range f.Trees {
		conditions[i] = make([]condition, len(tests[i]))
		for node, t := range tests[i] {
			conditions[i][node] = condition{c.inputs.key(t), t.bound}
		}
	}
	if c.cells = newCellForest(f, conditions, c.members, c.scale(1)); c.cells == nil {
		c.nodes = newNodeForest(f, conditions, c.members)
		c.paths = newPathForest(f, conditions)
	}
	return c, nil
}

// used numbers the features that trees ask about.
type used struct {
	features []int
	number   []uint16 // by feature
}

func newUsed(f *Forest) *used {
	u := &used{number: make([]uint16, len(f.FeatureNames))}
	asked := make([]bool, len(f.FeatureNames))
	for i := range f.Trees {
		for _, feature := range f.Trees[i].SplitFeature {
			if !asked[feature] {
				asked[feature] = true
				u.number[feature] = uint16(len(u.features))
				u.features = append(u.features, feature)
			}
		}
	}
	return u
}

// eachTree calls, for the numbers of n trees, a function that start returns for
// each of some goroutines, with memory of its own.
func eachTree(n int, start func() func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			do := start()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wg.Wait()
}

// Base is the score expected without knowing any feature.
func (c *Compiled) Base() float64 { return c.base }

// Members is the number of members of the bag, 1 without one.
func (c *Compiled) Members() int { return len(c.members) }

// Workspace scores rows one after the other with memory of its own, so that no
// row allocates. It is for one goroutine at a time.
type Workspace struct {
	c     *Compiled
	keys  kernel.Keys
	paths *kernel.PathScratch
	cells *cellScratch
}

// NewWorkspace returns a workspace without a row.
func (c *Compiled) NewWorkspace() *Workspace {
	w := &Workspace{c: c}
	if c.cells != nil {
		w.cells = c.cells.scratch(len(c.members))
	} else {
		w.paths = c.paths.scratch()
	}
	return w
}

// Load takes a row, which it does not keep: one value per feature, NaN where it
// is missing. It panics if row is shorter.
func (w *Workspace) Load(row []float32) {
	w.c.inputs.load(&w.keys, row[:w.c.features])
	if w.cells != nil {
		clear(w.cells.known)
	}
}

// Margin returns the score of the row, bit for bit that of [Forest.Predict].
func (w *Workspace) Margin() float64 {
	sum := 0.0
	for k := range w.c.members {
		sum = w.add(k, sum)
	}
	return w.c.scale(sum)
}

// Margins sets totals to the score after each member of the bag: the
// differences are what each member adds to the margin, which is the last one.
func (w *Workspace) Margins(totals []float64) {
	sum := 0.0
	for k := range w.c.members {
		sum = w.add(k, sum)
		totals[k] = w.c.scale(sum)
	}
}

// add adds the trees of member k to sum, in their order.
func (w *Workspace) add(k int, sum float64) float64 {
	g := w.c.members[k].groups
	if w.cells != nil {
		w.cells.known[k] = true
		return w.c.cells.add(w.cells, &w.keys, g[0], g[1], sum)
	}
	return w.c.nodes.add(&w.keys, g[0], g[1], sum)
}

// scale turns a sum over trees into a score.
func (c *Compiled) scale(sum float64) float64 {
	if c.average && c.trees > 0 {
		sum /= float64(c.trees)
	}
	return sum
}

// Contributions sets phi to the contribution of each feature to the margin of
// the row, in the unit of the score; with Base they add up to the margin, up to
// rounding. phi has one value per feature.
func (w *Workspace) Contributions(phi []float64) {
	phi = phi[:w.c.features]
	clear(phi)
	for k := range w.c.members {
		w.AddContributions(k, phi)
	}
}

// AddContributions adds to phi what member k of the bag contributes.
func (w *Workspace) AddContributions(k int, phi []float64) {
	phi = phi[:w.c.features]
	if m := w.c.members[k]; w.cells == nil {
		w.c.paths.contributions(&w.keys, w.paths, m.trees[0], m.trees[1], phi, w.c.scale(1))
	} else {
		if !w.cells.known[k] {
			w.add(k, 0)
		}
		w.c.cells.contributions(w.cells, m.groups[0], m.groups[1], phi)
	}
}
