package baseline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/trees"
)

// Class names in golearn's tables.
const (
	stay  = "stay"
	churn = "churn"
)

// table holds rows the way golearn wants them.
type table struct {
	*base.DenseInstances
	columns []*base.FloatAttribute
	idle    *base.FloatAttribute // see grower.grow
	class   *base.CategoricalAttribute
	number  map[base.Attribute]int // of a column
}

// newTable copies the given rows of x and y.
func newTable(x Matrix, y []bool, rows []int) *table {
	t := &table{
		DenseInstances: base.NewDenseInstances(),
		idle:           base.NewFloatAttribute("idle"),
		class:          base.NewCategoricalAttribute(),
		number:         map[base.Attribute]int{},
	}
	specs := make([]base.AttributeSpec, x.Cols)
	for j := range specs {
		a := base.NewFloatAttribute(strconv.Itoa(j))
		t.columns = append(t.columns, a)
		t.number[a] = j
		specs[j] = t.AddAttribute(a)
	}
	t.AddAttribute(t.idle)
	t.class.SetName("class")
	classSpec := t.AddAttribute(t.class)
	t.AddClassAttribute(t.class)
	t.Extend(len(rows))
	classes := map[bool][]byte{false: t.class.GetSysValFromString(stay), true: t.class.GetSysValFromString(churn)}
	var number [8]byte
	for i, row := range rows {
		for j, v := range x.Row(row) {
			base.PackFloatToBytesInline(v, number[:])
			t.Set(specs[j], i, number[:])
		}
		t.Set(classSpec, i, classes[y[row]])
	}
	return t
}

// fitTree grows the tree of the given number. golearn panics where it could
// return an error; that becomes one here.
func fitTree(x Matrix, y []bool, p ForestParams, number uint64, xlogx xLogX) (tree Tree, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("golearn: %v", r)
		}
	}()
	root, table := growID3(x, y, p, number, xlogx)
	if err := export(root, table, &tree); err != nil {
		return Tree{}, err
	}
	return tree, nil
}

// growID3 grows golearn's form of a tree.
func growID3(x Matrix, y []bool, p ForestParams, number uint64, xlogx xLogX) (*trees.DecisionTreeNode, *table) {
	random := rand.New(rand.NewPCG(p.Seed, number))
	sample := make([]int, p.MaxRows)
	for i := range sample {
		sample[i] = random.IntN(x.Rows)
	}
	g := &grower{
		x: x, y: y, params: p, xlogx: xlogx, random: random,
		table: newTable(x, y, sample), sample: sample,
		cells: make([]cell, len(sample)), rows: make([]int, len(sample)), columns: make([]int, x.Cols),
	}
	for j := range g.columns {
		g.columns[j] = j
	}
	all := make([]int, len(sample))
	for i := range all {
		all[i] = i
	}
	return g.grow(all, 0), g.table
}

// A grower grows one tree.
type grower struct {
	x      Matrix
	y      []bool
	params ForestParams
	xlogx  xLogX
	random *rand.Rand

	table  *table
	sample []int // row of x behind each row of table

	columns []int // all, in the order of the last draw
	rows    []int // scratch
	cells   []cell
}

// grow returns the branch for the given rows of the table.
func (g *grower) grow(rows []int, depth int) *trees.DecisionTreeNode {
	s, ok := g.split(rows, depth)
	rule := &once{}
	attributes := []base.Attribute{g.table.idle, g.table.class}
	if ok {
		column := g.table.columns[s.feature]
		rule.rule = &trees.DecisionTreeRule{SplitAttr: column, SplitVal: s.threshold}
		// With the idle one there are three: golearn takes a table of two
		// attributes for one with nothing left to split on.
		attributes = append(attributes, column)
	}
	node := trees.InferID3Tree(base.NewInstancesViewFromVisible(g.table, rows, attributes), rule)
	if len(node.Children) == 0 {
		return node
	}
	var left, right []int
	for _, row := range rows {
		if g.value(row, s.feature) <= s.threshold {
			left = append(left, row)
		} else {
			right = append(right, row)
		}
	}
	node.Children["0"] = g.grow(left, depth+1)
	node.Children["1"] = g.grow(right, depth+1)
	return node
}

func (g *grower) value(row, column int) float64 {
	return g.x.Data[g.sample[row]*g.x.Cols+column]
}

// split draws columns and returns the best split on them.
func (g *grower) split(rows []int, depth int) (split, bool) {
	if depth == g.params.MaxDepth || len(rows) < 2*g.params.MinLeaf {
		return split{}, false
	}
	drawn := g.columns[:g.params.Features]
	for i := range drawn {
		j := i + g.random.IntN(len(g.columns)-i)
		g.columns[i], g.columns[j] = g.columns[j], g.columns[i]
	}
	at := g.rows[:len(rows)]
	for i, row := range rows {
		at[i] = g.sample[row]
	}
	return bestSplit(g.x, g.y, at, drawn, g.params.MinLeaf, g.xlogx, g.cells)
}

// once is a golearn RuleGenerator that gives one rule, which may be nil, and
// after it none: InferID3Tree then stops one level down.
type once struct{ rule *trees.DecisionTreeRule }

func (o *once) GenerateSplitRule(base.FixedDataGrid) *trees.DecisionTreeRule {
	rule := o.rule
	o.rule = nil
	return rule
}

// export appends golearn's branch to tree in preorder.
func export(from *trees.DecisionTreeNode, t *table, tree *Tree) error {
	at := len(tree.Nodes)
	tree.Nodes = append(tree.Nodes, Node{Feature: -1, Votes: [2]int{from.ClassDist[stay], from.ClassDist[churn]}})
	if len(from.Children) == 0 {
		return nil
	}
	left, right := from.Children["0"], from.Children["1"]
	if len(from.Children) != 2 || left == nil || right == nil || from.SplitRule == nil {
		return errors.New("golearn: node does not have two branches")
	}
	feature, ok := t.number[from.SplitRule.SplitAttr]
	if !ok {
		return errors.New("golearn: node splits on an unknown attribute")
	}
	node := Node{Feature: feature, Threshold: from.SplitRule.SplitVal, Left: len(tree.Nodes), Votes: tree.Nodes[at].Votes}
	if err := export(left, t, tree); err != nil {
		return err
	}
	node.Right = len(tree.Nodes)
	if err := export(right, t, tree); err != nil {
		return err
	}
	tree.Nodes[at] = node
	return nil
}
