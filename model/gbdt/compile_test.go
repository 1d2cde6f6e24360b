package gbdt

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/model/gbdt/internal/kernel"
)

// randomForests returns forests of every shape: shallow ones that become
// tables, deep ones with more features on a path than one rule integrates, and
// trees of a single leaf.
func randomForests(r *rand.Rand, n int) []*Forest {
	var out []*Forest
	for i := range n {
		leaves := []int{1, 3, 8, 40, 300}[i%5]
		f := randomForest(r, 1+r.IntN(60), r.IntN(30), leaves)
		if i%7 == 0 {
			f.Trees = append(f.Trees, randomTree(r, len(f.FeatureNames), 1))
		}
		out = append(out, f)
	}
	return out
}

// TestCompiledAgainstTextbook: margins bit for bit, contributions up to
// rounding.
func TestCompiledAgainstTextbook(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cells, long := 0, 0
	for trial, f := range randomForests(r, 300) {
		c, err := f.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range c.blocks {
			if b.cells != nil {
				cells++
			} else if len(b.paths.points) > 1 || b.paths.trees[0].all {
				long++
			}
		}
		w := c.NewWorkspace()
		n := len(f.FeatureNames)
		phi, want := make([]float64, n), make([]float64, n)
		for range 20 {
			row := randomRow(r, n)
			w.Load(row)
			if got, want := w.Margin(), f.Predict(row); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("trial %d: margin %v, want %v", trial, got, want)
			}
			w.Contributions(phi)
			if base := f.Contributions(row, want); math.Abs(base-c.Base()) > 1e-12 {
				t.Fatalf("trial %d: base %v, want %v", trial, c.Base(), base)
			}
			sum := c.Base()
			for j := range phi {
				sum += phi[j]
				if math.Abs(phi[j]-want[j]) > 1e-9 {
					t.Fatalf("trial %d: contribution %d is %v, want %v", trial, j, phi[j], want[j])
				}
			}
			if math.Abs(sum-w.Margin()) > 1e-10 {
				t.Fatalf("trial %d: base and contributions are %v, the margin %v", trial, sum, w.Margin())
			}
		}
	}
	if cells < 50 || long < 10 {
		t.Errorf("%d forests became tables, %d needed more than eight points: both should be common", cells, long)
	}
}

// sameCompiled holds a forest of foreign bytes to its compiled twin, unless it
// asks too much to be compiled.
func sameCompiled(t *testing.T, f *Forest, row []float32) {
	phi := make([]float64, len(row))
	want := f.Predict(row)
	f.Contributions(row, phi)
	c, err := f.Compile()
	if err != nil {
		return
	}
	w := c.NewWorkspace()
	w.Load(row)
	w.Contributions(phi)
	if got := w.Margin(); math.Float64bits(got) != math.Float64bits(want) {
		t.Fatalf("margin %v, compiled %v", want, got)
	}
}

// TestContributionsAgainstDefinitionCompiled goes through all coalitions, for
// tables and for paths.
func TestContributionsAgainstDefinitionCompiled(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for trial := range 60 {
		f := randomForest(r, 1+r.IntN(6), 1+r.IntN(4), []int{7, 30}[trial%2])
		c, err := f.Compile()
		if err != nil {
			t.Fatal(err)
		}
		w := c.NewWorkspace()
		phi := make([]float64, len(f.FeatureNames))
		for range 10 {
			row := randomRow(r, len(phi))
			w.Load(row)
			w.Contributions(phi)
			base, want := shapley(f, row)
			if math.Abs(base-c.Base()) > 1e-12 {
				t.Fatalf("base %v, want %v", c.Base(), base)
			}
			for j := range phi {
				if math.Abs(phi[j]-want[j]) > 1e-12 {
					t.Fatalf("trial %d: contribution %d is %v, want %v", trial, j, phi[j], want[j])
				}
			}
		}
	}
}

// checkLevels compares the margin of a row with the textbook's, and the
// contributions at every level with those of plain Go, bit for bit.
func checkLevels(t *testing.T, f *Forest, c *Compiled, row []float32) {
	t.Helper()
	var want []float64
	for l := kernel.Plain; l <= kernel.Best(); l++ {
		func() {
			defer kernel.Use(kernel.Use(l))
			w, phi := c.NewWorkspace(), make([]float64, len(row))
			w.Load(row)
			w.Contributions(phi)
			if got, want := w.Margin(), f.Predict(row); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%v: row %v has margin %v, want %v", l, row, got, want)
			}
			if want == nil {
				want = phi
			}
			if !slices.Equal(phi, want) {
				t.Fatalf("%v: row %v has contributions %v, want %v", l, row, phi, want)
			}
		}()
	}
}

// FuzzCompiled takes rows of any bits: infinities, both zeros, every NaN.
func FuzzCompiled(f *testing.F) {
	f.Add(uint64(1), uint16(0), []byte{})
	f.Add(uint64(2), uint16(3), []byte{0, 0, 128, 127, 0, 0, 128, 255, 0, 0, 0, 128, 1, 0, 128, 127})
	f.Add(uint64(3), uint16(30), []byte{0, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 65})
	f.Add(uint64(4), uint16(300), []byte{8, 229, 60, 6, 7, 229, 60, 6, 9, 229, 60, 6, 8, 229, 60, 134}) // about 1e-35
	f.Fuzz(func(t *testing.T, seed uint64, leaves uint16, bits []byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		forest := randomForest(r, 1+r.IntN(40), r.IntN(20), 1+int(leaves)%500)
		c, err := forest.Compile()
		if err != nil {
			t.Fatal(err)
		}
		row := make([]float32, len(forest.FeatureNames))
		for i := range row {
			if len(bits) >= 4 {
				row[i] = math.Float32frombits(binary.LittleEndian.Uint32(bits[4*i%(len(bits)&^3):]))
			}
		}
		checkLevels(t, forest, c, row)
	})
}

// TestCompiledLevels: every set of instructions gives the same bits.
func TestCompiledLevels(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, f := range randomForests(r, 60) {
		c, err := f.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			checkLevels(t, f, c, randomRow(r, len(f.FeatureNames)))
		}
	}
}

// TestCompiledReload: a row has its own cells, whether the row before was
// scored, explained or both.
func TestCompiledReload(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	f := randomForest(r, 9, 20, 8)
	f.AverageOutput = false
	c, err := f.Compile(7, 13)
	if err != nil {
		t.Fatal(err)
	}
	w, got, want := c.NewWorkspace(), make([]float64, 9), make([]float64, 9)
	for range 200 {
		row := randomRow(r, 9)
		w.Load(row)
		for range r.IntN(3) {
			if r.IntN(2) == 0 {
				w.Margin()
			} else {
				w.AddContributions(r.IntN(2), want)
			}
		}
		w.Contributions(got)
		fresh := c.NewWorkspace()
		fresh.Load(row)
		fresh.Contributions(want)
		if !slices.Equal(got, want) {
			t.Fatalf("contributions %v, in a new workspace %v", got, want)
		}
	}
}

// TestCompiledBag: the running totals of the members are those of the sum over
// the trees so far, and their contributions add up.
func TestCompiledBag(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, leaves := range []int{8, 60} {
		f := randomForest(r, 9, 40, leaves)
		f.AverageOutput = false
		bag := []int{3, 0, 17, 20}
		c, err := f.Compile(bag...)
		if err != nil {
			t.Fatal(err)
		}
		if c.Members() != len(bag) {
			t.Fatalf("%d members, want %d", c.Members(), len(bag))
		}
		w := c.NewWorkspace()
		totals, phi, parts := make([]float64, 4), make([]float64, 9), make([]float64, 9)
		for range 50 {
			row := randomRow(r, 9)
			w.Load(row)
			w.Margins(totals)
			from := 0
			for k, n := range bag {
				from += n
				part := *f
				part.Trees = f.Trees[:from]
				if want := part.Predict(row); math.Float64bits(totals[k]) != math.Float64bits(want) {
					t.Fatalf("total after member %d is %v, want %v", k, totals[k], want)
				}
			}
			w.Contributions(phi)
			clear(parts)
			for k := range bag {
				w.AddContributions(k, parts)
			}
			for j := range phi {
				if math.Abs(phi[j]-parts[j]) > 1e-12 {
					t.Fatalf("contribution %d: %v of all, %v of the members", j, phi[j], parts[j])
				}
			}
		}
	}
}

// TestCompiledInBlocks: trees that ask more than the keys of one block hold go
// to several, and nobody can tell.
func TestCompiledInBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	f := forestOf(6)
	for i := range maxKeys + 20_000 {
		tree := stump(Categorical, 0, uint32(i)+1)
		tree.SplitFeature[0] = i % 5
		tree.LeafValue = []float64{r.NormFloat64(), r.NormFloat64()}
		f.Trees = append(f.Trees, tree)
		if i%1000 == 0 { // and some that are no tables
			f.Trees = append(f.Trees, randomTree(r, 6, 40))
		}
	}
	n := len(f.Trees)
	bag := []int{100, n - 200, 0, 100}
	c, err := f.Compile(bag...)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.blocks) < 2 {
		t.Fatalf("%d blocks", len(c.blocks))
	}
	w := c.NewWorkspace()
	totals, phi, want := make([]float64, len(bag)), make([]float64, 6), make([]float64, 6)
	for range 10 {
		row := randomRow(r, 6)
		w.Load(row)
		w.Margins(totals)
		at := 0
		for k, trees := range bag {
			at += trees
			part := *f
			part.Trees = f.Trees[:at]
			if want := part.Predict(row); math.Float64bits(totals[k]) != math.Float64bits(want) {
				t.Fatalf("total after member %d is %v, want %v", k, totals[k], want)
			}
		}
		w.Contributions(phi)
		f.Contributions(row, want)
		for j := range phi {
			if math.Abs(phi[j]-want[j]) > 1e-9*(1+math.Abs(want[j])) {
				t.Fatalf("contribution %d is %v, want %v", j, phi[j], want[j])
			}
		}
	}
}

// TestCompileRefuses names what cannot be compiled.
func TestCompileRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	f := randomForest(r, 3, 4, 5)
	f.AverageOutput = false
	average := *f
	average.AverageOutput = true
	broken := *f
	broken.Trees = append([]Tree{}, f.Trees...)
	broken.Trees[1].LeafValue = nil
	// One tree, a chain, that asks about more features than there are keys.
	const n = maxKeys/4 + 1
	chain := Tree{LeafValue: make([]float64, n+1), LeafWeight: make([]float64, n+1), LeafCount: make([]int, n+1),
		SplitGain: make([]float64, n), Threshold: make([]float64, n), DecisionType: make([]DecisionType, n),
		InternalValue: make([]float64, n), InternalWeight: make([]float64, n), InternalCount: make([]int, n)}
	for i := range n {
		chain.SplitFeature = append(chain.SplitFeature, i)
		chain.LeftChild, chain.RightChild = append(chain.LeftChild, ^i), append(chain.RightChild, i+1)
	}
	chain.RightChild[n-1] = ^n
	asks := &Forest{Trees: []Tree{chain}}
	for i := range n {
		asks.FeatureNames, asks.FeatureInfos = append(asks.FeatureNames, fmt.Sprint("f", i)), append(asks.FeatureInfos, "none")
	}
	words := make([]uint32, maxSetBytes/32+1)
	words[len(words)-1] = 1
	wide := forestOf(1, stump(Categorical, 0, words...))
	for _, tc := range []struct {
		f    *Forest
		bag  []int
		want string
	}{
		{&broken, nil, "tree 1"},
		{f, []int{1, 2}, "members of [1 2] trees in a forest of 4"},
		{f, []int{5}, "members of [5] trees"},
		{f, []int{-1, 5}, "members of [-1 5] trees"},
		{&average, []int{2, 2}, "averages"},
		{asks, nil, "a tree asks too many different things of a row: 16385 features"},
		{wide, nil, "feature 0: 1 sets of up to"},
	} {
		if _, err := tc.f.Compile(tc.bag...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("bag %v: error %v, want one with %q", tc.bag, err, tc.want)
		}
	}
}

// TestCompiledAllocatesNothing: neither a margin nor contributions.
func TestCompiledAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, leaves := range []int{8, 60} {
		f := randomForest(r, 20, 30, leaves)
		c, err := f.Compile()
		if err != nil {
			t.Fatal(err)
		}
		w, phi, row := c.NewWorkspace(), make([]float64, 20), randomRow(r, 20)
		if n := testing.AllocsPerRun(100, func() {
			w.Load(row)
			w.Margin()
			w.Contributions(phi)
		}); n != 0 {
			t.Errorf("%d leaves: %v allocations a row", leaves, n)
		}
	}
}

// TestKeys: a key is below a bound exactly if the number is at most the
// threshold, for numbers and thresholds next to each other.
func TestKeys(t *testing.T) {
	inf := math.Inf(1)
	var numbers []float64
	for _, v := range []float64{0, math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat32, 1e-35, 1e-20, 0.1, 1, 1 + 1e-9, 3, 1e30, math.MaxFloat32, 1e39, math.MaxFloat64, inf} {
		for _, w := range []float64{v, math.Nextafter(v, inf), math.Nextafter(v, -inf), float64(math.Nextafter32(float32(v), 0))} {
			numbers = append(numbers, w, -w)
		}
	}
	for _, threshold := range numbers {
		for _, v := range numbers {
			x := float32(v)
			if got, want := keyOf(x) < boundOf(threshold), float64(x) <= threshold; got != want {
				t.Errorf("%v <= %v: %v by keys", x, threshold, got)
			}
		}
		if noneBelow >= boundOf(threshold) || noneAbove < boundOf(threshold) {
			t.Errorf("bound %x of %v leaves no room for missing values", boundOf(threshold), threshold)
		}
	}
}

// TestQuadrature integrates powers exactly, and has the points that Abramowitz
// and Stegun print (table 25.4, n = 8, moved from -1..1 to 0..1).
func TestQuadrature(t *testing.T) {
	x := []float64{0.183434642495650, 0.525532409916329, 0.796666477413627, 0.960289856497536}
	w := []float64{0.362683783378362, 0.313706645877887, 0.222381034453374, 0.101228536290376}
	eight := quadrature(8)[0]
	for i := range 4 {
		l := 3 - i // lanes rise from the lowest point
		if math.Abs(2*eight.P[l]-1+x[i]) > 2e-15 || math.Abs(2*eight.Weight[l]-w[i]) > 2e-15 {
			t.Errorf("lane %d: point %v with weight %v", l, 2*eight.P[l]-1, 2*eight.Weight[l])
		}
	}
	for _, n := range []int{4, 8, 16, 40, 200} {
		for _, degree := range []int{0, 1, 2, n - 1, 2*n - 1} {
			sum := 0.0
			for _, r := range quadrature(n) {
				for l := range kernel.PathLanes {
					sum += r.Weight[l] * math.Pow(r.P[l], float64(degree))
				}
			}
			if want := 1 / float64(degree+1); math.Abs(sum-want) > 1e-14 {
				t.Errorf("%d points, degree %d: %v, want %v", n, degree, sum, want)
			}
		}
	}
}

// TestShapleyWeights: over all coalitions they add up to 1.
func TestShapleyWeights(t *testing.T) {
	for m := 1; m <= maxConditions; m++ {
		w, sum := shapleyWeights(m), 0.0
		for s := range m {
			sum += binomial(m-1, s) * w[s]
		}
		if math.Abs(sum-1) > 1e-15 {
			t.Errorf("%d players: %v", m, sum)
		}
	}
}

func ExampleForest_Compile() {
	f := &Forest{FeatureNames: []string{"x"}, FeatureInfos: []string{"none"}, Trees: []Tree{stump(MissingNaN, 5)}}
	c, _ := f.Compile()
	w := c.NewWorkspace()
	w.Load([]float32{6})
	phi := make([]float64, 1)
	w.Contributions(phi)
	fmt.Println(w.Margin(), c.Base(), phi)
	// Output: 2 1.25 [0.75]
}
