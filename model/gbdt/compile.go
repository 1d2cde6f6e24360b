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
	members  int
	average  bool
	base     float64
	blocks   []block
}

// A block is a run of trees that share keys: all trees, unless they ask more
// different things of a row than a node has bits to tell apart.
type block struct {
	inputs  *inputs
	members []member    // what of each member of the bag is in the block
	cells   *cellForest // either this
	nodes   *nodeForest // or these two
	paths   *pathForest
}

// member is the part of a block that belongs to one member of a bag.
type member struct {
	trees  [2]int // from, to
	groups [2]int // of eight trees
}

// width is how many trees are scored side by side.
const width = kernel.Width

// Compile makes the forest ready for scoring. A bag says how many trees each of
// its members has, in order; without members there is one. An error says that
// the forest is invalid, that a tree is too large, or that the members do not
// add up.
func (f *Forest) Compile(bag ...int) (*Compiled, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	c := &Compiled{features: len(f.FeatureNames), trees: len(f.Trees), average: f.AverageOutput}
	if len(bag) == 0 {
		bag = []int{len(f.Trees)}
	}
	c.members = len(bag)
	if f.AverageOutput && len(bag) > 1 {
		return nil, errors.New("a forest that averages has no members")
	}
	total := 0
	for _, n := range bag {
		if n < 0 || n > len(f.Trees)-total {
			return nil, fmt.Errorf("members of %v trees in a forest of %d", bag, len(f.Trees))
		}
		total += n
	}
	if total != len(f.Trees) {
		return nil, fmt.Errorf("members of %v trees in a forest of %d", bag, len(f.Trees))
	}
	for i := range f.Trees {
		if n := f.Trees[i].NumLeaves(); n > maxCompiledLeaves {
			return nil, fmt.Errorf("tree %d has %d leaves; at most %d", i, n, maxCompiledLeaves)
		}
		c.base += f.Trees[i].expected()
	}
	c.base = c.scale(c.base)
	for from := 0; from < len(f.Trees); {
		b := newInputsBuilder(c.features)
		var tests [][]test
		to := from
		for ; to < len(f.Trees) && (to == from || b.room(&f.Trees[to])); to++ {
			tests = append(tests, b.tests(&f.Trees[to]))
		}
		part, err := f.compile(from, to, bag, b, tests, c.scale(1))
		if err != nil {
			return nil, err
		}
		c.blocks = append(c.blocks, part)
		from = to
	}
	return c, nil
}

// compile makes a block of the trees from to to, of which b has noted the tests.
func (f *Forest) compile(from, to int, bag []int, b *inputsBuilder, tests [][]test, scale float64) (block, error) {
	var out block
	var err error
	if out.inputs, err = b.build(); err != nil {
		return out, err
	}
	at, groups := 0, 0 // in the bag, and in the block
	for _, n := range bag {
		first := min(max(at, from), to) - from
		last := min(max(at+n, from), to) - from
		g := (last - first + width - 1) / width
		out.members = append(out.members, member{[2]int{first, last}, [2]int{groups, groups + g}})
		at, groups = at+n, groups+g
	}
	conditions := make([][]condition, len(tests))
	for i := range tests {
		conditions[i] = make([]condition, len(tests[i]))
		for node, t := range tests[i] {
			conditions[i][node] = condition{out.inputs.key(t), t.bound}
		}
	}
	trees := &Forest{FeatureNames: f.FeatureNames, Trees: f.Trees[from:to]}
	if out.cells = newCellForest(trees, conditions, out.members, scale); out.cells == nil {
		out.nodes = newNodeForest(trees, conditions, out.members)
		out.paths = newPathForest(trees, conditions)
	}
	return out, nil
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
func (c *Compiled) Members() int { return c.members }

// Workspace scores rows one after the other with memory of its own, so that no
// row allocates. It is for one goroutine at a time.
type Workspace struct {
	c      *Compiled
	blocks []workBlock
}

// workBlock is the memory for the trees of one block.
type workBlock struct {
	*block
	keys  kernel.Keys
	cells *cellScratch        // either this
	paths *kernel.PathScratch // or this
}

// NewWorkspace returns a workspace without a row.
func (c *Compiled) NewWorkspace() *Workspace {
	w := &Workspace{c: c, blocks: make([]workBlock, len(c.blocks))}
	for i := range w.blocks {
		b := &w.blocks[i]
		if b.block = &c.blocks[i]; b.block.cells != nil {
			b.cells = b.block.cells.scratch(c.members)
		} else {
			b.paths = b.block.paths.scratch()
		}
	}
	return w
}

// Load takes a row, which it does not keep: one value per feature, NaN where it
// is missing. It panics if row is shorter.
func (w *Workspace) Load(row []float32) {
	row = row[:w.c.features]
	for i := range w.blocks {
		b := &w.blocks[i]
		b.inputs.load(&b.keys, row)
		if b.cells != nil {
			clear(b.cells.known)
		}
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
	for i := range w.blocks {
		sum = w.blocks[i].add(k, sum)
	}
	return sum
}

func (b *workBlock) add(k int, sum float64) float64 {
	g := b.members[k].groups
	if b.cells != nil {
		b.cells.known[k] = true
		return b.block.cells.add(b.cells, &b.keys, g[0], g[1], sum)
	}
	return b.nodes.add(&b.keys, g[0], g[1], sum)
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
	for i := range w.blocks {
		b := &w.blocks[i]
		m := b.members[k]
		if b.cells == nil {
			b.block.paths.contributions(&b.keys, b.paths, m.trees[0], m.trees[1], phi, w.c.scale(1))
			continue
		}
		if !b.cells.known[k] {
			b.add(k, 0)
		}
		b.block.cells.contributions(b.cells, m.groups[0], m.groups[1], phi)
	}
}
