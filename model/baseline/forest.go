package baseline

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// ForestParams are the settings of [FitForest].
type ForestParams struct {
	Trees    int // number of trees; default 100
	Features int // columns drawn at each node; default 0: the square root of all, rounded up
	MaxDepth int // most tests from root to leaf; default 14
	MinLeaf  int // fewest rows in a leaf; default 10

	// MaxRows is the most rows a tree is grown on. Each tree draws its own
	// from all rows, as many as there are but no more than this, with
	// replacement; so a large table is seen by the forest though by no
	// single tree. golearn is slow, and this bounds the time. Default 8192.
	MaxRows int

	// Seed decides what is drawn. Same seed and data, same forest, however
	// many Workers.
	Seed uint64

	// Workers is how many trees are grown at a time; 0 means GOMAXPROCS.
	Workers int
}

// DefaultForestParams take some 15 seconds of two cores, whatever the number
// of rows, at 100 columns.
func DefaultForestParams() ForestParams {
	return ForestParams{Trees: 100, MaxDepth: 14, MinLeaf: 10, MaxRows: 8192}
}

func (p ForestParams) check() error {
	for _, a := range []struct {
		name       string
		value, min int
	}{
		{"trees", p.Trees, 1}, {"features", p.Features, 0}, {"max depth", p.MaxDepth, 1},
		{"min leaf", p.MinLeaf, 1}, {"max rows", p.MaxRows, 1}, {"workers", p.Workers, 0},
	} {
		if a.value < a.min {
			return fmt.Errorf("%s is %d, want at least %d", a.name, a.value, a.min)
		}
	}
	return nil
}

// Forest is a random forest: the mean of trees.
type Forest struct {
	Trees []Tree

	// BaseRate is the share of churn among all rows that were given.
	BaseRate float64
}

// Tree is a decision tree. Nodes are in preorder: the root first, then all of
// its left branch, then all of its right one. So children come after their
// parent, and the left child right behind it.
type Tree struct {
	Nodes []Node
}

// Node is a test or, if it has no children, a leaf. A row goes left if
// row[Feature] <= Threshold.
type Node struct {
	Feature     int     // column, -1 in a leaf
	Threshold   float64 // between two values that occur, 0 in a leaf
	Left, Right int     // positions in Nodes, 0 in a leaf

	// Votes counts the training rows that came here: how many stayed, how
	// many churned. Rows drawn twice count twice.
	Votes [2]int
}

// Leaf reports whether n is a leaf.
func (n Node) Leaf() bool { return n.Left == 0 }

// Leaf returns the leaf that row falls into.
func (t Tree) Leaf(row []float64) Node {
	n := t.Nodes[0]
	for !n.Leaf() {
		if row[n.Feature] <= n.Threshold {
			n = t.Nodes[n.Left]
		} else {
			n = t.Nodes[n.Right]
		}
	}
	return n
}

// priorRows is how many rows the base rate counts for in a leaf.
const priorRows = 2

// Share returns the probability of churn in a leaf: the share of churn among
// its rows, drawn towards the base rate as by two rows more (Cestnik's
// m-estimate, ECAI 1990; with a base rate of one half it is Laplace's rule).
//
// A tree votes with this share and not with its majority: most churn is rare,
// so nearly every leaf has a majority that stays, and the count of majorities
// would hardly tell customers apart. Laplace's rule itself would draw small
// leaves to one half, far above most base rates.
func (f *Forest) Share(leaf Node) float64 {
	n := leaf.Votes[0] + leaf.Votes[1]
	return (float64(leaf.Votes[1]) + float64(priorRows*f.BaseRate)) / float64(n+priorRows)
}

// Probability returns the probability of churn of row: the mean over the
// trees of the share in its leaf.
func (f *Forest) Probability(row []float64) float64 {
	sum := 0.0
	for _, t := range f.Trees {
		sum += f.Share(t.Leaf(row))
	}
	return sum / float64(len(f.Trees))
}

// FitForest grows a random forest of golearn's ID3 trees: each on rows drawn
// with replacement, looking at a few columns drawn anew at each node, and
// split where the information gain is greatest. Label true is churn.
//
// golearn infers the trees a level at a time, by a rule of ours (its
// RuleGenerator), for these reasons. Its random forest draws from the global
// source and is never the same twice. Its InferID3Tree, left alone, drops an
// attribute once it was split on, and looks every cell of every column up
// through a chain of maps as long as the node is deep. And its
// InformationGainRuleGenerator steps over thresholds once a value repeats:
// behind k equal values it goes on in steps of k. Of a column that is mostly
// zero, as counts of complaints are, it tries little more than "zero or not".
//
// The error is that of ctx, which is looked at before each tree, or says what
// is wrong with the input.
func FitForest(ctx context.Context, x Matrix, y []bool, p ForestParams) (*Forest, error) {
	churned, err := check(x, y)
	if err != nil {
		return nil, fmt.Errorf("fitting random forest: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("fitting random forest: %w", err)
	}
	if p.Features == 0 {
		p.Features = int(math.Ceil(math.Sqrt(float64(x.Cols))))
	}
	p.Features = min(p.Features, x.Cols)
	p.MaxRows = min(p.MaxRows, x.Rows)
	if p.Workers == 0 {
		p.Workers = runtime.GOMAXPROCS(0)
	}

	f := &Forest{Trees: make([]Tree, p.Trees), BaseRate: float64(churned) / float64(x.Rows)}
	errs := make([]error, p.Trees)
	xlogx := newXLogX(p.MaxRows)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(p.Workers, p.Trees) {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= p.Trees || ctx.Err() != nil {
					return
				}
				f.Trees[i], errs[i] = fitTree(x, y, p, uint64(i), xlogx)
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("fitting random forest: %w", err)
	}
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("fitting random forest: tree %d: %w", i, err)
		}
	}
	return f, nil
}
