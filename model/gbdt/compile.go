package gbdt

import (
	"errors"
	"fmt"
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
// contributions are integrals (see shapley.go).
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
const width = 8

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
	b := newInputsBuilder()
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
	if c.average && c.trees > 0 {
		c.base /= float64(c.trees)
	}
	var err error
	if c.inputs, err = b.build(c.features); err != nil {
		return nil, err
	}
	conditions := make([][]condition, len(f.Trees))
	for i := range f.Trees {
		conditions[i] = make([]condition, len(tests[i]))
		for node, t := range tests[i] {
			conditions[i][node] = condition{c.inputs.key(t), t.bound}
		}
	}
	if c.cells = newCellForest(f, conditions, c.members); c.cells == nil {
		c.nodes = newNodeForest(f, conditions, c.members)
		c.paths = newPathForest(f, conditions)
	}
	return c, nil
}

// Base is the score expected without knowing any feature.
func (c *Compiled) Base() float64 { return c.base }

// Members is the number of members of the bag, 1 without one.
func (c *Compiled) Members() int { return len(c.members) }

// Workspace scores rows one after the other with memory of its own, so that no
// row allocates. It is for one goroutine at a time.
type Workspace struct {
	c     *Compiled
	keys  keys
	paths *pathScratch
}

// NewWorkspace returns a workspace without a row.
func (c *Compiled) NewWorkspace() *Workspace {
	w := &Workspace{c: c}
	if c.paths != nil {
		w.paths = c.paths.scratch(c.features)
	}
	return w
}

// Load takes a row, which it does not keep: one value per feature, NaN where it
// is missing. It panics if row is shorter.
func (w *Workspace) Load(row []float32) {
	w.c.inputs.load(&w.keys, row[:w.c.features])
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
	if w.c.cells != nil {
		return w.c.cells.add(&w.keys, g[0], g[1], sum)
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
	t := w.c.members[k].trees
	if w.c.cells != nil {
		w.c.cells.contributions(&w.keys, t[0], t[1], phi, w.c.scale(1))
		return
	}
	w.c.paths.contributions(&w.keys, w.paths, t[0], t[1], phi, w.c.scale(1))
}
