package gbdt

import (
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
)

// maxConditions is how many different questions a tree of a cellForest asks.
const maxConditions = 8

// maxCellValues bounds the numbers in the tables of a cellForest, 64 MiB.
const maxCellValues = 8 << 20

// A cellForest holds trees as tables. A tree that asks d different questions
// has 2^d cells; the number of a row's cell has bit 0 set if the answer to the
// last question is left, and so on. Whatever a tree says of a row depends on
// its cell alone: its score, and the Shapley values of the features, which are
// computed once for every cell (CatBoost does so for its symmetric trees).
type cellForest struct {
	groups []cellGroup
	// conditions of the groups: of each of its questions, one for each tree.
	conditions [][width]uint64 // bound 32 | key 32
	scores     []float64       // of the cells
	trees      []cellTree
	shapley    []float64
}

// cellGroup is eight trees, filled up with a tree of one cell of score 0.
type cellGroup struct {
	first, depth int // of conditions; trees with fewer begin with one never met
	scores       [width]uint32
}

// cellTree is what contributions need of a tree.
type cellTree struct {
	conditions []condition
	features   []int // that it asks about
	at         int   // in shapley: one value per cell and feature
}

// newCellForest returns nil if a tree asks too many different questions.
func newCellForest(f *Forest, conditions [][]condition, members []member) *cellForest {
	out := &cellForest{scores: []float64{0}, trees: make([]cellTree, len(f.Trees))}
	size := 0
	for i := range f.Trees {
		t := &out.trees[i]
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
		t.at = size
		size += len(t.features) << len(t.conditions)
	}
	if size > maxCellValues {
		return nil
	}
	for _, m := range members {
		for from := m.trees[0]; from < m.trees[1]; from += width {
			out.addGroup(f, conditions, from, min(from+width, m.trees[1]))
		}
	}
	out.shapley = make([]float64, size)
	out.explain(f, conditions)
	return out
}

// addGroup lays out trees from to to as one group.
func (cf *cellForest) addGroup(f *Forest, conditions [][]condition, from, to int) {
	g := cellGroup{first: len(cf.conditions)}
	for i := from; i < to; i++ {
		g.depth = max(g.depth, len(cf.trees[i].conditions))
	}
	cf.conditions = append(cf.conditions, make([][width]uint64, g.depth)...)
	for i := from; i < to; i++ {
		t := &cf.trees[i]
		for k, c := range t.conditions {
			cf.conditions[g.first+g.depth-len(t.conditions)+k][i-from] = uint64(c.bound)<<32 | uint64(c.key)
		}
		g.scores[i-from] = uint32(len(cf.scores))
		for cell := range 1 << len(t.conditions) {
			at := 0
			if len(t.conditions) == 0 {
				at = ^0
			}
			for at >= 0 {
				at = f.Trees[i].child(at, t.left(cell, conditions[i][at]))
			}
			cf.scores = append(cf.scores, f.Trees[i].LeafValue[^at])
		}
	}
	cf.groups = append(cf.groups, g)
}

// child returns the left or the right child of a node.
func (t *Tree) child(node int, left bool) int {
	if left {
		return t.LeftChild[node]
	}
	return t.RightChild[node]
}

// left reports the answer of a cell to one of the tree's questions.
func (t *cellTree) left(cell int, c condition) bool {
	return cell>>(len(t.conditions)-1-slices.Index(t.conditions, c))&1 == 1
}

// add adds the scores of some groups to sum, tree after tree.
func (cf *cellForest) add(k *keys, from, to int, sum float64) float64 {
	for i := range cf.groups[from:to] {
		group := &cf.groups[from+i]
		var a, b, c, d, e, f, g, h uint64
		conditions := cf.conditions[group.first : group.first+group.depth]
		for j := range conditions {
			q := &conditions[j]
			a, b, c, d = answer(k, q[0], a), answer(k, q[1], b), answer(k, q[2], c), answer(k, q[3], d)
			e, f, g, h = answer(k, q[4], e), answer(k, q[5], f), answer(k, q[6], g), answer(k, q[7], h)
		}
		s := &group.scores
		sum += cf.scores[uint64(s[0])+a]
		sum += cf.scores[uint64(s[1])+b]
		sum += cf.scores[uint64(s[2])+c]
		sum += cf.scores[uint64(s[3])+d]
		sum += cf.scores[uint64(s[4])+e]
		sum += cf.scores[uint64(s[5])+f]
		sum += cf.scores[uint64(s[6])+g]
		sum += cf.scores[uint64(s[7])+h]
	}
	return sum
}

// answer appends the answer to one question to the number of a cell.
func answer(k *keys, q, cell uint64) uint64 {
	return cell<<1 | (uint64(k[uint16(q)])-q>>32)>>63
}

// contributions adds those of trees from to to, times scale, to phi.
func (cf *cellForest) contributions(k *keys, from, to int, phi []float64, scale float64) {
	for i := range cf.trees[from:to] {
		t := &cf.trees[from+i]
		cell := uint64(0)
		for _, c := range t.conditions {
			cell = cell<<1 | (uint64(k[c.key])-uint64(c.bound))>>63
		}
		at := t.at + int(cell)*len(t.features)
		values := cf.shapley[at : at+len(t.features)]
		for j, feature := range t.features {
			phi[feature] += float64(values[j] * scale)
		}
	}
}

// explain fills in the Shapley values.
func (cf *cellForest) explain(f *Forest, conditions [][]condition) {
	const chunk = 16
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for from := 0; from < len(cf.trees); from += chunk {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			var game cellGame
			for i := from; i < min(from+chunk, len(cf.trees)); i++ {
				t := &cf.trees[i]
				game.play(&f.Trees[i], conditions[i], t)
				game.shapley(t, cf.shapley[t.at:])
			}
		})
	}
	wg.Wait()
}

// A cellGame holds what each coalition of a tree's features is worth, for every
// cell. A feature outside the coalition leaves its questions open, and a row
// goes both ways in proportion to the training rows. So each question is
// answered right (0), left (1) or left open (2), and worth holds the value of
// each combination, the first question being the highest digit to base 3.
type cellGame struct {
	tree       *Tree
	conditions []int // of each node: the number of its question
	answers    [maxConditions]int
	worth      []float64
	stack      []share
}

// share is the part of the rows that is at a node or ^leaf.
type share struct {
	at   int
	part float64
}

// play fills in worth.
func (g *cellGame) play(tree *Tree, conditions []condition, t *cellTree) {
	g.tree = tree
	g.conditions = g.conditions[:0]
	for _, c := range conditions {
		g.conditions = append(g.conditions, slices.Index(t.conditions, c))
	}
	n := 1
	for range t.conditions {
		n *= 3
	}
	g.worth = slices.Grow(g.worth[:0], n)[:n]
	root := 0
	if len(conditions) == 0 {
		root = ^0
	}
	g.stack = append(g.stack[:0], share{root, 1})
	g.decide(0, len(t.conditions), 0, 0)
}

// decide answers question q in each way, where the rows are in the shares of
// the stack from first on, and goes on to the next. number is that of the
// answers so far.
func (g *cellGame) decide(q, n, number, first int) {
	shares := g.stack[first:]
	if q == n {
		sum := 0.0
		for _, s := range shares {
			sum += float64(s.part * g.tree.LeafValue[^s.at])
		}
		g.worth[number] = sum
		return
	}
	for answer := range 3 {
		g.answers[q] = answer
		next := len(g.stack)
		for _, s := range shares {
			g.settle(s.at, s.part, q)
		}
		g.decide(q+1, n, 3*number+answer, next)
		g.stack = g.stack[:next]
	}
}

// settle pushes where part of the rows ends up that is at a node, as far as
// questions up to q are answered.
func (g *cellGame) settle(at int, part float64, q int) {
	for at >= 0 && g.conditions[at] <= q {
		switch g.answers[g.conditions[at]] {
		case 0:
			at = g.tree.RightChild[at]
		case 1:
			at = g.tree.LeftChild[at]
		default:
			left := g.tree.LeftChild[at]
			g.settle(left, float64(part*g.tree.share(at, left)), q)
			right := g.tree.RightChild[at]
			part, at = float64(part*g.tree.share(at, right)), right
		}
	}
	g.stack = append(g.stack, share{at, part})
}

// shapley writes the values of each cell for each feature.
func (g *cellGame) shapley(t *cellTree, out []float64) {
	n, m := len(t.conditions), len(t.features)
	// number[cell][coalition] would be the number of a combination; both parts
	// add up: the answers of the cell where the coalition has the feature, and
	// open where it has not.
	var power [maxConditions]int // of the place of each question
	for q, p := n-1, 1; q >= 0; q, p = q-1, p*3 {
		power[q] = p
	}
	owner := g.owners(t)
	weight := shapleyWeights(m)
	var gain [1 << maxConditions]int // of a coalition: of its members' places
	for cell := range 1 << n {
		open := 0
		var step [maxConditions]int // by feature: from open to the cell's answers
		for q := range n {
			open += 2 * power[q]
			step[owner[q]] += (cell>>(n-1-q)&1 - 2) * power[q]
		}
		gain[0] = open
		for s := 1; s < 1<<m; s++ {
			low := s & -s
			gain[s] = gain[s&^low] + step[bits.TrailingZeros(uint(low))]
		}
		for i := range m {
			sum := 0.0
			for s := range 1 << m {
				if s>>i&1 == 0 {
					sum += float64(weight[bits.OnesCount(uint(s))] * (g.worth[gain[s|1<<i]] - g.worth[gain[s]]))
				}
			}
			out[cell*m+i] = sum
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
