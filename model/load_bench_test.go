package model

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"churn/features"
	"churn/model/gbdt"
)

// loadModel has 1,000 trees of 63 leaves over 50 features, grown at random,
// with numbers as long as those of training.
func loadModel(t testing.TB) *Model {
	t.Helper()
	const width, trees, leaves = 50, 1000, 63
	r := rand.New(rand.NewPCG(19, 20))
	var yaml strings.Builder
	yaml.WriteString("version: 1\ncolumns:\n")
	f := &gbdt.Forest{Objective: "binary", Sigmoid: 1}
	for i := range width {
		fmt.Fprintf(&yaml, "- {name: f%d, type: number}\n", i)
		f.FeatureNames, f.FeatureInfos = append(f.FeatureNames, fmt.Sprintf("f%d", i)), append(f.FeatureInfos, "[0:1]")
	}
	for range trees {
		f.Trees = append(f.Trees, grownTree(r, width, leaves))
	}
	set, err := features.Parse([]byte(yaml.String()))
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{Features: set, Forest: f, Calibration: Calibration{Kind: "platt", Slope: 1}, ReportJSON: []byte("{}"),
		Manifest: Manifest{Name: "load", Kind: "boosting", Weights: Weights{Forest: 1}, Definition: Definition{Kind: "label", Label: "y=1"}}}
	engine, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	m.Manifest.FeatureFingerprint = engine.Fingerprint()
	matrix := &features.Matrix{Features: engine.Features()}
	for range 1000 {
		for j, row := 0, matrix.Grow(); j < width; j++ {
			row[j] = r.Float32()
		}
	}
	m.Reference = NewReference(matrix, make([]float64, matrix.Rows()), nil)
	s := compile(t, m)
	for i := range 8 { // as training writes
		sc := s.Score(matrix.Row(i), nil)
		g := GoldenRow{Margin: sc.Margin, Probability: sc.Probability}
		for _, v := range matrix.Row(i) {
			g.Values = append(g.Values, &v)
		}
		m.Golden = append(m.Golden, g)
	}
	return m
}

// grownTree splits a leaf picked at random until there are enough.
func grownTree(r *rand.Rand, width, leaves int) gbdt.Tree {
	t := gbdt.Tree{Shrinkage: 0.1, LeafValue: []float64{0}, LeafWeight: []float64{0}, LeafCount: []int{0}}
	parent := []*int{nil} // of each leaf, where it hangs
	t.LeftChild, t.RightChild = make([]int, leaves-1), make([]int, leaves-1)
	for node := range leaves - 1 {
		leaf := r.IntN(node + 1)
		if parent[leaf] != nil {
			*parent[leaf] = node
		}
		t.LeftChild[node], t.RightChild[node] = ^leaf, ^(node + 1)
		parent[leaf] = &t.LeftChild[node]
		parent = append(parent, &t.RightChild[node])
		t.SplitFeature = append(t.SplitFeature, r.IntN(width))
		t.SplitGain = append(t.SplitGain, 100*r.ExpFloat64())
		t.Threshold = append(t.Threshold, r.Float64())
		t.DecisionType = append(t.DecisionType, gbdt.DefaultLeft|gbdt.MissingNaN)
		t.InternalValue = append(t.InternalValue, r.NormFloat64()/100)
		t.LeafValue, t.LeafWeight, t.LeafCount = append(t.LeafValue, 0), append(t.LeafWeight, 0), append(t.LeafCount, 0)
	}
	t.InternalWeight, t.InternalCount = make([]float64, leaves-1), make([]int, leaves-1)
	for i := range t.LeafValue {
		t.LeafValue[i], t.LeafCount[i] = r.NormFloat64()/100, 20+r.IntN(2000)
		t.LeafWeight[i] = float64(t.LeafCount[i]) * r.Float64() / 4
	}
	for node := leaves - 2; node >= 0; node-- {
		for _, c := range [2]int{t.LeftChild[node], t.RightChild[node]} {
			n, w := 0, 0.0
			if c >= 0 {
				n, w = t.InternalCount[c], t.InternalWeight[c]
			} else {
				n, w = t.LeafCount[^c], t.LeafWeight[^c]
			}
			t.InternalCount[node], t.InternalWeight[node] = t.InternalCount[node]+n, t.InternalWeight[node]+w
		}
		t.InternalWeight[node] = math.Round(t.InternalWeight[node])
	}
	return t
}

// BenchmarkLoad times what stands between the bytes of a large model and its
// first score. unpack: zip, seal and hashes; parse: forest.txt; rest: the
// other members; compile: checks and golden rows.
func BenchmarkLoad(b *testing.B) {
	file := fileOf(b, loadModel(b))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	var unpacked, parsed, read, compiled time.Duration
	for b.Loop() {
		t0 := time.Now()
		content, err := open(file)
		if err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		if _, err := gbdt.ReadText(bytes.NewReader(content[forestMember]), forestLimits); err != nil {
			b.Fatal(err)
		}
		t2 := time.Now()
		m, err := Read(file)
		if err != nil {
			b.Fatal(err)
		}
		t3 := time.Now()
		if _, err := m.Compile(); err != nil {
			b.Fatal(err)
		}
		t4 := time.Now()
		unpacked, parsed, read, compiled = unpacked+t1.Sub(t0), parsed+t2.Sub(t1), read+t3.Sub(t2), compiled+t4.Sub(t3)
	}
	ms := func(d time.Duration, name string) { b.ReportMetric(d.Seconds()*1e3/float64(b.N), name) }
	ms(unpacked, "ms-unpack")
	ms(parsed, "ms-parse")
	ms(read, "ms-read")
	ms(compiled, "ms-compile")
}
