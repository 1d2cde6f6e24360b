package training

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/model"
)

// blends are the kinds of rungs that are mixed, the simpler mixtures first.
var blends = [][]string{
	{"logistic", "symmetric trees"},
	{"logistic", "leaf-wise trees"},
	{"logistic", "forest"},
	{"symmetric trees", "leaf-wise trees"},
	{"logistic", "symmetric trees", "leaf-wise trees"},
}

// minWeight is the least weight that a part of a blend may have: what has less
// costs more time at scoring than it is good for.
const minWeight = 0.05

// blend mixes candidates in log-odds, with the weights that have the least log
// loss on training rows, each scored by members that never saw its customer
// (stacking: Wolpert 1992; with weights not below 0: Breiman 1996). nil where one
// of them gets too little weight: then a smaller mixture is as good.
func blend(parts []*candidate, y []bool) *candidate {
	outs := make([][]float64, len(parts))
	for k, c := range parts {
		outs[k] = c.out
	}
	weights, _ := model.FitLogistic(y, outs...)
	if slices.ContainsFunc(weights, func(w float64) bool { return !(w >= minWeight) || math.IsInf(w, 0) }) {
		return nil
	}
	return mixture(parts, weights)
}

// mixture adds candidates up in log-odds.
func mixture(parts []*candidate, weights []float64) *candidate {
	c := &candidate{kind: "blend", shares: weights, out: make([]float64, len(parts[0].out))}
	var names []string
	for k, part := range parts {
		w := weights[k]
		c.settings, c.seconds = append(c.settings, part.settings...), c.seconds+part.seconds
		names = append(names, fmt.Sprintf("%.2f of %s", w, part.name))
		for i, v := range part.out {
			c.out[i] += float64(w * v)
		}
		if part.linear != nil {
			c.linear, c.bag, c.weights.Linear = part.linear, newBag(folds), w
		} else {
			c.mix(part, w)
		}
	}
	c.name = "blend: " + strings.Join(names, " + ")
	return c
}

// mix adds the trees of another candidate, member by member.
func (c *candidate) mix(part *candidate, weight float64) {
	if c.forest == nil {
		forest := *part.forest
		forest.Trees = nil
		c.forest, c.weights.Forest = &forest, 1
		if c.bag == nil {
			c.bag = newBag(folds)
		}
		c.bag.Trees = make([]int, folds)
	}
	all := c.forest.Trees
	c.forest.Trees = nil
	from, of := 0, 0
	for k := range folds {
		c.forest.Trees = append(c.forest.Trees, all[from:from+c.bag.Trees[k]]...)
		c.forest.Trees = append(c.forest.Trees, scaledTrees(part.forest.Trees[of:of+part.bag.Trees[k]], weight)...)
		from, of = from+c.bag.Trees[k], of+part.bag.Trees[k]
		c.bag.Trees[k] += part.bag.Trees[k]
	}
}
