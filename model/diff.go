package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Difference is something in which two models differ. A text is empty where a
// model does not have it.
type Difference struct {
	What string `json:"what"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Diff lists how two models differ: what they predict, what they learned from,
// what they are made of and how they did on their tests. Metrics of two models
// are of two tests, unless their data and seeds are the same.
func Diff(a, b *Model) []Difference {
	d := &differences{}
	f, g := &a.Manifest, &b.Manifest
	d.add("name", f.Name, g.Name)
	d.add("kind", f.Kind, g.Kind)
	d.definition(&f.Definition, &g.Definition)
	d.add("data through", f.Through, g.Through)
	d.add("data", f.DataFingerprint, g.DataFingerprint)
	d.add("seed", f.Seed, g.Seed)
	d.features(a, b)
	d.add("linear terms", terms(a), terms(b))
	d.add("trees", trees(a), trees(b))
	d.add("weights", fmt.Sprintf("linear %.4g, trees %.4g", f.Weights.Linear, f.Weights.Forest),
		fmt.Sprintf("linear %.4g, trees %.4g", g.Weights.Linear, g.Weights.Forest))
	d.add("members", members(f.Bag), members(g.Bag))
	d.add("calibration", a.Calibration.Kind, b.Calibration.Kind)
	d.add("bands", fmt.Sprintf("medium from %.4f, high from %.4f", f.Bands.Medium, f.Bands.High),
		fmt.Sprintf("medium from %.4f, high from %.4f", g.Bands.Medium, g.Bands.High))
	d.metrics(f.Metrics, g.Metrics)
	d.add("gate", gate(f.Gate), gate(g.Gate))
	return d.list
}

type differences struct{ list []Difference }

func (d *differences) add(what string, a, b any) {
	if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
		d.list = append(d.list, Difference{what, x, y})
	}
}

// definition compares what is said of churn; words that differ in nothing else
// are told apart by their fields.
func (d *differences) definition(a, b *Definition) {
	n := len(d.list)
	if d.add("churn", a.String(), b.String()); len(d.list) > n {
		return
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX == nil && errY == nil {
		d.add("churn", string(x), string(y))
	}
}

// features lists those that only one has, and those whose declaration differs.
func (d *differences) features(a, b *Model) {
	if a.Manifest.FeatureFingerprint == b.Manifest.FeatureFingerprint {
		return
	}
	x, y := computed(a), computed(b)
	var onlyA, onlyB []string
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if _, there := y[name]; !there {
			onlyA = append(onlyA, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y)) {
		if _, there := x[name]; !there {
			onlyB = append(onlyB, name)
		}
	}
	d.add("features", len(x), len(y))
	d.add("features it alone has", strings.Join(onlyA, ", "), strings.Join(onlyB, ", "))
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if other, there := y[name]; there {
			d.add("feature "+name, x[name], other)
		}
	}
}

// computed says of each feature how it is computed, and its levels.
func computed(m *Model) map[string]string {
	out := map[string]string{}
	if list, err := m.Features.List(); err == nil {
		for i := range list {
			out[list[i].Name] = list[i].Computed
			if list[i].Levels != nil {
				out[list[i].Name] += ": " + strings.Join(list[i].Levels, ", ")
			}
		}
	}
	return out
}

func (d *differences) metrics(a, b map[string]float64) {
	names := slices.Collect(maps.Keys(a))
	for name := range b {
		names = append(names, name)
	}
	slices.Sort(names)
	text := func(m map[string]float64, name string) string {
		if v, there := m[name]; there && !math.IsNaN(v) {
			return fmt.Sprintf("%.4f", v)
		}
		return ""
	}
	for _, name := range slices.Compact(names) {
		d.add("test "+name, text(a, name), text(b, name))
	}
}

func terms(m *Model) int {
	if m.Linear == nil {
		return 0
	}
	return len(m.Linear.Terms)
}

func trees(m *Model) int {
	if m.Forest == nil {
		return 0
	}
	return len(m.Forest.Trees)
}

func members(b *Bag) int {
	if b == nil {
		return 1
	}
	return b.Members
}

func gate(g Gate) string {
	if g.Passed {
		return "passed"
	}
	return "refused: " + strings.Join(g.Reasons, "; ")
}
