package gbdt

import (
	"math"
	"math/bits"
	"slices"

	"churn/model/gbdt/internal/kernel"
)

// maxConditions is how many different questions a tree of a cellForest asks.
const maxConditions = 8

// maxCells bounds the cells of a cellForest, for 72 MiB of tables.
const maxCells = 1 << 20

// A cellForest holds trees as tables. A tree that asks d different questions
// has 2^d cells; the number of a row's cell has bit 0 set if the answer to the
// last question is left, and so on. Whatever a tree says of a row depends on
// its cell alone: its score, and the Shapley values of the features, which are
// computed once for every cell (CatBoost does so for its symmetric trees).
type cellForest struct {
	groups []kernel.CellGroup // filled up with trees of cell 0
	// Of the cells of all trees; cell 0 belongs to none.
	scores  []float64
	shapley [][maxConditions]float64
	// owners are the features that the Shapley values are of, as numbers of
	// features. Values that a tree does not have are 0 and go to numbers beyond,
	// each to its own: additions to the same one wait for each other.
	owners   [][width][maxConditions]uint16
	features []int
}

// cellTree is a tree while its table is made.
type cellTree struct {
	conditions []condition
	features   []int // that it asks about
	first      int   // cell
}

// cellScratch is the memory for one row.
type cellScratch struct {
	cells  [][width]uint32
	known  []bool // by member: whether its cells are those of the row
	totals [1 << 16]float64
}

func (cf *cellForest) scratch(members int) *cellScratch {
	return &cellScratch{cells: make([][width]uint32, len(cf.groups)+kernel.CellsAhead), known: make([]bool, members)}
}

// newCellForest returns nil if a tree asks too many different questions.
func newCellForest(f *Forest, conditions [][]condition, members []member, scale float64) *cellForest {
	trees := make([]cellTree, len(f.Trees))
	cells := 1
	for i := range f.Trees {
		t := &trees[i]
		for node, c := range conditions[i] {
			if !slices.Contains(t.conditions, c) {
				t.conditions = append(t.conditions, c)
			}
			if feature := f.Trees[i].SplitFeature[node]; !slices.Contains(t.features, feature) {
				t.features = append(t.features, feature)
			}
			if len(t.conditions) > maxConditions {
				return nil
			}
		}
		t.first = cells
		cells += 1 << len(t.conditions)
	}
	used := newUsed(f)
	if cells > maxCells || len(used.features) > 1<<16-maxConditions {
		return nil
	}
	out := &cellForest{scores: make([]float64, cells), shapley: make([][maxConditions]float64, cells), features: used.features}
	for _, m := range members {
		for from := m.trees[0]; from < m.trees[1]; from += width {
			out.addGroup(trees[from:min(from+width, m.trees[1])], used)
		}
	}
	eachTree(len(trees), func() func(int) {
		var game cellGame
		return func(i int) {
			t := &trees[i]
			n := 1 << len(t.conditions)
			game.play(&f.Trees[i], conditions[i], t)
			game.scores(out.scores[t.first : t.first+n])
			game.shapley(t, out.shapley[t.first:t.first+n], scale)
		}
	})
	return out
}

// addGroup lays out trees as one group.
func (cf *cellForest) addGroup(trees []cellTree, used *used) {
	depth := 0
	for i := range trees {
		depth = max(depth, len(trees[i].conditions))
	}
	g := kernel.CellGroup{Tests: make([][width]kernel.Test, depth)} // a test without a bound is never met
	var owners [width][maxConditions]uint16
	for i := range width {
		for j := range owners[i] {
			owners[i][j] = uint16(len(used.features) + j)
		}
		if i >= len(trees) {
			continue
		}
		t := &trees[i]
		for k, c := range t.conditions {
			g.Tests[depth-len(t.conditions)+k][i] = c.test()
		}
		g.First[i] = uint32(t.first)
		for j, feature := range t.features {
			owners[i][j] = used.number[feature]
		}
	}
	cf.groups, cf.owners = append(cf.groups, g), append(cf.owners, owners)
}

// add adds the scores of some groups to sum, tree after tree.
func (cf *cellForest) add(s *cellScratch, k *kernel.Keys, from, to int, sum float64) float64 {
	return kernel.Cells(s.cells[from:to], cf.groups[from:to], cf.scores, k, sum)
}

// contributions adds those of some groups, of which the cells are known, to phi.
func (cf *cellForest) contributions(s *cellScratch, from, to int, phi []float64) {
	kernel.Spread(&s.totals, s.cells[from:], cf.shapley, cf.owners[from:to])
	totals := s.totals[:len(cf.features)+maxConditions]
	for j, feature := range cf.features {
		phi[feature] += totals[j]
	}
	clear(totals)
}

// A cellGame holds what each coalition of a tree's features is worth, for every
// cell. A feature outside the coalition leaves its questions open, and a row
// goes both ways in proportion to the training rows. So each question is
// answered right (0), left (1) or left open (2), and worth holds the value of
// each combination, the first question being the highest digit to base 3.
type cellGame struct {
	tree       *Tree
	conditions []int // of each node: the number of its question
	power      [maxConditions]int
	n          int
	worth      []float64
	way        [maxConditions]answers
	parts      []part
}

// answers are those to a question that lead down a way: right and left may, and
// so does the part z of the rows if the question is open.
type answers struct {
	may [2]bool
	z   float64
}

// part is what a leaf adds to a combination.
type part struct {
	number int
	value  float64
}

// play fills in worth.
func (g *cellGame) play(tree *Tree, conditions []condition, t *cellTree) {
	g.tree, g.n, g.power = tree, len(t.conditions), powers(len(t.conditions))
	g.conditions = g.conditions[:0]
	for _, c := range conditions {
		g.conditions = append(g.conditions, slices.Index(t.conditions, c))
	}
	n := 1
	for q := range t.conditions {
		g.way[q] = answers{[2]bool{true, true}, 1}
		n *= 3
	}
	g.worth = slices.Grow(g.worth[:0], n)[:n]
	clear(g.worth)
	root := 0
	if len(conditions) == 0 {
		root = ^0
	}
	g.add(root)
}

// add adds what the leaves below node or ^leaf at are worth.
func (g *cellGame) add(at int) {
	if at < 0 {
		g.addLeaf(g.tree.LeafValue[^at])
		return
	}
	way := &g.way[g.conditions[at]]
	before := *way
	for answer, child := range [2]int{g.tree.RightChild[at], g.tree.LeftChild[at]} {
		way.may[1-answer] = false
		way.z = float64(before.z * g.tree.share(at, child))
		g.add(child)
		*way = before
	}
}

// addLeaf adds a value to the combinations that lead to its leaf, as far as
// they do.
func (g *cellGame) addLeaf(value float64) {
	g.parts = append(g.parts[:0], part{0, value})
	for q, way := range g.way[:g.n] {
		for i, p := range g.parts {
			g.parts[i] = part{p.number + 2*g.power[q], float64(p.value * way.z)}
			for answer, may := range way.may {
				if may {
					g.parts = append(g.parts, part{p.number + answer*g.power[q], p.value})
				}
			}
		}
	}
	for _, p := range g.parts {
		g.worth[p.number] += p.value
	}
}

// powers returns, for each of n questions, what its digit counts.
func powers(n int) (power [maxConditions]int) {
	for q, p := n-1, 1; q >= 0; q, p = q-1, p*3 {
		power[q] = p
	}
	return power
}

// scores writes the values of the cells: of the combinations without an open
// question.
func (g *cellGame) scores(out []float64) {
	for cell := range out {
		number := 0
		for q := range g.n {
			number += (cell >> (g.n - 1 - q) & 1) * g.power[q]
		}
		out[cell] = g.worth[number]
	}
}

// shapley writes the values of each cell for each feature, times scale.
func (g *cellGame) shapley(t *cellTree, out [][maxConditions]float64, scale float64) {
	n, m := g.n, len(t.features)
	// number[cell][coalition] would be the number of a combination; both parts
	// add up: the answers of the cell where the coalition has the feature, and
	// open where it has not.
	power, owner := &g.power, g.owners(t)
	bySize := shapleyWeights(m)
	var weight, worth [1 << maxConditions]float64 // of a coalition
	for s := range 1 << m {
		weight[s] = bySize[bits.OnesCount(uint(s))&(maxConditions-1)]
	}
	var number [1 << maxConditions]int // of a coalition: of the combination
	for cell := range out {
		number[0] = 0
		var step [maxConditions]int // by feature: from open to the cell's answers
		for q := range n {
			number[0] += 2 * power[q]
			step[owner[q]] += (cell>>(n-1-q)&1 - 2) * power[q]
		}
		worth[0] = g.worth[number[0]]
		for i := range m {
			for s := range 1 << i {
				number[1<<i|s] = number[s] + step[i]
				worth[1<<i|s] = g.worth[number[1<<i|s]]
			}
		}
		for i := range m {
			// The coalitions without i, a run of each that differ in lower features.
			sum, run := 0.0, 1<<i
			for from := 0; from < 1<<m; from += 2 * run {
				for s := from; s < from+run; s++ {
					sum += float64(weight[s] * (worth[s+run] - worth[s]))
				}
			}
			out[cell][i] = float64(sum * scale)
		}
	}
}

// owners returns, for each question, the place of its feature in t.features.
func (g *cellGame) owners(t *cellTree) (owner [maxConditions]int) {
	for node, q := range g.conditions {
		owner[q] = slices.Index(t.features, g.tree.SplitFeature[node])
	}
	return owner
}

// shapleyWeights returns the weight of joining a coalition of s of the other
// m-1 players: s!(m-s-1)!/m!.
func shapleyWeights(m int) (w [maxConditions]float64) {
	for s := range m {
		w[s] = 1 / (float64(m) * math.Round(binomial(m-1, s)))
	}
	return w
}

func binomial(n, k int) float64 {
	b := 1.0
	for i := range k {
		b = b * float64(n-i) / float64(i+1)
	}
	return b
}
