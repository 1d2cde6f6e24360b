package baseline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/trees"
)

// planted is a table of counts, mostly zero, and numbers; x0 > 2.5 or
// x1 <= -0.5 is churn, with one label in ten turned around.
func planted(r *rand.Rand, rows, cols int) (x Matrix, y []bool) {
	x = Matrix{Rows: rows, Cols: cols}
	for range rows {
		row := make([]float64, cols)
		for j := range row {
			row[j] = r.NormFloat64()
			if j%2 == 0 {
				row[j] = math.Max(0, float64(r.IntN(10)-4))
			}
		}
		x.Data = append(x.Data, row...)
		y = append(y, churns(row) != (r.IntN(10) == 0))
	}
	return x, y
}

func churns(row []float64) bool { return row[0] > 2.5 || row[1] <= -0.5 }

func small() ForestParams {
	return ForestParams{Trees: 20, MaxDepth: 8, MinLeaf: 5, MaxRows: 1000, Seed: 7}
}

func fit(t *testing.T, x Matrix, y []bool, p ForestParams) *Forest {
	t.Helper()
	f, err := FitForest(context.Background(), x, y, p)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFitForestRecovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x, y := planted(r, 3000, 9)
	f := fit(t, x, y, small())
	wrong := 0
	fresh, _ := planted(r, 1000, 9)
	for i := range fresh.Rows {
		if (f.Probability(fresh.Row(i)) > 0.5) != churns(fresh.Row(i)) {
			wrong++
		}
	}
	if wrong > 30 {
		t.Errorf("%d of %d fresh rows on the wrong side of the planted rule", wrong, fresh.Rows)
	}
	// A single tree that sees both columns at every node finds the rule.
	p := small()
	p.Trees, p.Features = 1, 9
	root := fit(t, x, y, p).Trees[0].Nodes[0]
	if !(root.Feature == 0 && root.Threshold == 2.5 || root.Feature == 1 && math.Abs(root.Threshold+0.5) < 0.05) {
		t.Errorf("root splits column %d at %v, planted are 0 at 2.5 and 1 at -0.5", root.Feature, root.Threshold)
	}
}

// TestFitForestShape checks what is promised of the nodes.
func TestFitForestShape(t *testing.T) {
	x, y := planted(rand.New(rand.NewPCG(3, 4)), 800, 5)
	p := small()
	for _, tree := range fit(t, x, y, p).Trees {
		var down func(at, depth int) (next int)
		down = func(at, depth int) int {
			n := tree.Nodes[at]
			if rows := n.Votes[0] + n.Votes[1]; rows < p.MinLeaf || depth > p.MaxDepth {
				t.Errorf("node %d: %d rows at depth %d", at, rows, depth)
			}
			if n.Leaf() {
				if n.Feature != -1 || n.Right != 0 || n.Threshold != 0 {
					t.Errorf("leaf %+v", n)
				}
				return at + 1
			}
			left, right := tree.Nodes[n.Left], tree.Nodes[n.Right]
			for k := range n.Votes {
				if left.Votes[k]+right.Votes[k] != n.Votes[k] {
					t.Errorf("node %d: votes %v become %v and %v", at, n.Votes, left.Votes, right.Votes)
				}
			}
			if n.Left != at+1 {
				t.Errorf("node %d: left child is %d", at, n.Left)
			}
			next := down(n.Left, depth+1)
			if n.Right != next {
				t.Errorf("node %d: right child is %d, want %d", at, n.Right, next)
			}
			return down(n.Right, depth+1)
		}
		if end := down(0, 0); end != len(tree.Nodes) {
			t.Errorf("%d nodes reached of %d", end, len(tree.Nodes))
		}
		if v := tree.Nodes[0].Votes; v[0]+v[1] != 800 {
			t.Errorf("root has %v rows, want a sample of 800", v)
		}
	}
}

// TestFitForestSameBytes: the forest depends on seed and data only.
func TestFitForestSameBytes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	x, y := planted(rand.New(rand.NewPCG(5, 6)), 1500, 6)
	encode := func(p ForestParams) []byte {
		b, err := json.Marshal(fit(t, x, y, p))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	p := small()
	runtime.GOMAXPROCS(1)
	want := encode(p)
	runtime.GOMAXPROCS(4)
	if !bytes.Equal(encode(p), want) {
		t.Error("GOMAXPROCS 1 and 4 give different forests")
	}
	p.Workers = 3
	if !bytes.Equal(encode(p), want) {
		t.Error("3 workers give another forest")
	}
	p.Seed++
	if bytes.Equal(encode(p), want) {
		t.Error("another seed gives the same forest")
	}
}

// TestExportAgainstGolearn: each exported tree sends random rows to a leaf
// with the majority that golearn's own Predict answers.
func TestExportAgainstGolearn(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	x, y := planted(r, 1200, 6)
	p := small()
	p.Features, p.MaxRows = 2, 600
	xlogx := newXLogX(p.MaxRows)
	rows := make([]int, 500)
	for i := range rows {
		rows[i] = i
	}
	compared := 0
	for number := range uint64(5) {
		root, _ := growID3(x, y, p, number, xlogx)
		tree, err := fitTree(x, y, p, number, xlogx)
		if err != nil {
			t.Fatal(err)
		}
		fresh, labels := planted(r, len(rows), 6)
		predictions, err := root.Predict(newTable(fresh, labels, rows))
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			votes := tree.Leaf(fresh.Row(i)).Votes
			if votes[0] == votes[1] {
				continue // golearn takes one or the other, by map order
			}
			want := stay
			if votes[1] > votes[0] {
				want = churn
			}
			if got := base.GetClass(predictions, i); got != want {
				t.Fatalf("tree %d, row %v: golearn says %s, votes are %v", number, fresh.Row(i), got, votes)
			}
			compared++
		}
	}
	if compared < 1000 {
		t.Errorf("only %d rows compared", compared)
	}
}

// TestShare by hand: base rate 0.1, so 0.2 of the two rows added churn.
func TestShare(t *testing.T) {
	f := &Forest{BaseRate: 0.1, Trees: []Tree{
		{Nodes: []Node{
			{Feature: 0, Threshold: 1, Left: 1, Right: 2, Votes: [2]int{6, 2}},
			{Feature: -1, Votes: [2]int{6, 0}},
			{Feature: -1, Votes: [2]int{0, 2}},
		}},
		{Nodes: []Node{{Feature: -1, Votes: [2]int{8, 0}}}},
	}}
	for _, c := range []struct{ x, want float64 }{
		{1, (0.2/8 + 0.2/10) / 2},
		{1.5, (2.2/4 + 0.2/10) / 2},
	} {
		if got := f.Probability([]float64{c.x}); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("probability at %v is %v, want %v", c.x, got, c.want)
		}
	}
}

// TestFitForestOneColumn: golearn alone never splits a table of one column.
func TestFitForestOneColumn(t *testing.T) {
	x := Matrix{Rows: 100, Cols: 1}
	var y []bool
	for i := range 100 {
		x.Data = append(x.Data, float64(i%4))
		y = append(y, i%4 == 1) // needs two tests of the same column
	}
	f := fit(t, x, y, small())
	for v, want := range []bool{false, true, false, false} {
		if got := f.Probability([]float64{float64(v)}); (got > 0.5) != want {
			t.Errorf("probability at %d is %v, want churn %v", v, got, want)
		}
	}
}

func TestFitForestErrors(t *testing.T) {
	x, y := planted(rand.New(rand.NewPCG(9, 10)), 50, 2)
	for _, c := range []struct {
		want  string
		spoil func(*Matrix, *ForestParams)
	}{
		{"trees is 0", func(_ *Matrix, p *ForestParams) { p.Trees = 0 }},
		{"max depth is 0", func(_ *Matrix, p *ForestParams) { p.MaxDepth = 0 }},
		{"min leaf is -1", func(_ *Matrix, p *ForestParams) { p.MinLeaf = -1 }},
		{"max rows is 0", func(_ *Matrix, p *ForestParams) { p.MaxRows = 0 }},
		{"workers is -1", func(_ *Matrix, p *ForestParams) { p.Workers = -1 }},
		{"has 99 values", func(m *Matrix, _ *ForestParams) { m.Data = m.Data[1:] }},
	} {
		m, p := x, small()
		c.spoil(&m, &p)
		if _, err := FitForest(context.Background(), m, y, p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FitForest(ctx, x, y, small()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if _, err := FitForest(context.Background(), x, make([]bool, 50), small()); !errors.Is(err, ErrOneClass) {
		t.Errorf("error %v, want ErrOneClass", err)
	}
}

// TestGolearnPassesOverThresholds keeps the reason for bestSplit: churn is
// exactly value > 2, four of nine values are zero, and behind those golearn's
// own rule passes over the right threshold.
func TestGolearnPassesOverThresholds(t *testing.T) {
	x := Matrix{Data: []float64{0, 0, 0, 0, 1, 2, 3, 4, 5}, Rows: 9, Cols: 1}
	y := []bool{false, false, false, false, false, false, true, true, true}
	rows := []int{0, 1, 2, 3, 4, 5, 6, 7, 8}
	table := newTable(x, y, rows)
	golearn := new(trees.InformationGainRuleGenerator).GetSplitRuleFromSelection([]base.Attribute{table.columns[0]}, table)
	if golearn.SplitVal == 2.5 {
		t.Error("golearn finds 2.5: its rule could be used now")
	}
	ours, ok := bestSplit(x, y, rows, []int{0}, 1, newXLogX(9), make([]cell, 9))
	if !ok || ours.threshold != 2.5 {
		t.Errorf("split %+v, %v; want threshold 2.5", ours, ok)
	}
}

// TestBestSplitAgainstGolearn: without repeated values golearn's rule is
// right, and both agree.
func TestBestSplitAgainstGolearn(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 50 {
		x := Matrix{Rows: 40, Cols: 3}
		var y []bool
		rows := make([]int, x.Rows)
		for i := range rows {
			rows[i] = i
			x.Data = append(x.Data, r.NormFloat64(), r.NormFloat64(), r.NormFloat64())
			y = append(y, r.Float64() < 1/(1+math.Exp(-2*x.Data[3*i+1])))
		}
		table := newTable(x, y, rows)
		var all []base.Attribute
		for _, a := range table.columns {
			all = append(all, a)
		}
		want := new(trees.InformationGainRuleGenerator).GetSplitRuleFromSelection(all, table)
		got, ok := bestSplit(x, y, rows, []int{0, 1, 2}, 1, newXLogX(40), make([]cell, 40))
		if !ok || table.columns[got.feature] != want.SplitAttr || math.Abs(got.threshold-want.SplitVal) > 1e-15 {
			t.Errorf("split of column %d at %v, golearn has %v", got.feature, got.threshold, want)
		}
	}
}

func TestBetween(t *testing.T) {
	for _, c := range [][2]float64{
		{1, 2}, {-1, 1}, {1, math.Nextafter(1, 2)}, {-math.MaxFloat64, math.MaxFloat64},
		{0, 5e-324}, {-5e-324, 0}, {5e-324, 1e-323}, {-1e-323, -5e-324},
	} {
		if m := between(c[0], c[1]); !(c[0] <= m && m < c[1]) {
			t.Errorf("between(%v, %v) is %v", c[0], c[1], m)
		}
	}
}

func BenchmarkFitForest(b *testing.B) {
	x, y := planted(rand.New(rand.NewPCG(13, 14)), 20000, 100)
	p := DefaultForestParams()
	p.Trees = 4
	for b.Loop() {
		if _, err := FitForest(context.Background(), x, y, p); err != nil {
			b.Fatal(err)
		}
	}
}
