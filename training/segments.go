package training

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/features"
	"churn/training/measure"
)

// Segment is how the model did on a part of the test: the customers with a level
// of an attribute, of a tenure, or the stayers with those who left in one way.
type Segment struct {
	By        string `json:"by"` // name of the attribute, tenure, or churn kind
	Level     string `json:"level"`
	Rows      int    `json:"rows"`
	Churners  int    `json:"churners"`
	Customers int    `json:"customers"`
	// NotMeasured says why there are no figures.
	NotMeasured string           `json:"not_measured,omitempty"`
	BaseRate    measure.Estimate `json:"base_rate"`
	AUC         measure.Estimate `json:"auc"`
	// LogLoss and ECE are not measured by churn kind: a probability is of any.
	LogLoss measure.Estimate `json:"log_loss"`
	ECE     measure.Estimate `json:"ece"`
	// Bias is the mean probability less the churn rate.
	Bias measure.Estimate `json:"bias"`
	// Recall at capacity: the share of these churners who are contacted when the
	// riskiest of all are.
	Recall measure.Estimate `json:"recall"`
}

const (
	maxSegmentLevels   = 8 // of an attribute that is looked at without being asked for, and of churn kinds
	defaultSegments    = 3 // attributes looked at without being asked for
	maxSegmentsByAsked = 50
)

// tenureBands are the tenures that are told apart: all below upTo days, and of no
// band before.
var tenureBands = []struct {
	name string
	upTo float32
}{{"below 90 days", 90}, {"90 to 365 days", math.Nextafter32(365, 366)}, {"above 365 days", float32(math.Inf(1))}}

// grouping divides rows by something. level is the place of a row's level, -1
// for none.
type grouping struct {
	by     string
	levels []string
	level  func(row int) int
}

// groupings are what a test is divided by: the attributes asked for, or the first
// that have few levels, and the tenure.
func groupings(asked []string, set *features.Set, m *features.Matrix) ([]grouping, error) {
	var out []grouping
	names := asked
	if asked == nil {
		for _, c := range slices.Concat(set.Columns, set.Attributes) {
			if c.Type == "category" && len(c.Levels) > 1 && len(c.Levels) <= maxSegmentLevels && len(names) < defaultSegments {
				names = append(names, c.Name)
			}
		}
	}
	for _, name := range names {
		j, err := attributeColumn(name, set)
		if err != nil {
			return nil, err
		}
		f := &m.Features[j]
		n := len(f.Levels)
		levels := append(slices.Clone(f.Levels), "other", "missing")
		out = append(out, grouping{by: name, levels: levels, level: func(i int) int {
			switch v := m.Row(i)[j]; {
			case v != v:
				return n + 1
			case v < 0:
				return n
			default:
				return int(v)
			}
		}})
	}
	if j := tenureColumn(set, m); j >= 0 {
		g := grouping{by: "tenure", level: func(i int) int {
			v := m.Row(i)[j]
			return slices.IndexFunc(tenureBands, func(b struct {
				name string
				upTo float32
			}) bool {
				return v < b.upTo
			})
		}}
		for _, b := range tenureBands {
			g.levels = append(g.levels, b.name)
		}
		out = append(out, g)
	}
	return out, nil
}

// attributeColumn finds the column of an attribute that is a category. The
// columns of a set come first in a row, in their order.
func attributeColumn(name string, set *features.Set) (int, error) {
	var there []string
	for j, c := range slices.Concat(set.Columns, set.Attributes) {
		if c.Type != "category" {
			continue
		}
		there = append(there, c.Name)
		if c.Name != name {
			continue
		}
		if len(c.Levels) > maxSegmentsByAsked {
			return 0, fmt.Errorf("segments: attribute %q has %d levels: name one of at most %d", name, len(c.Levels), maxSegmentsByAsked)
		}
		return j, nil
	}
	return 0, fmt.Errorf("segments: there is no attribute %q that is a category; there are %s", name, cmp.Or(some(there), "none"))
}

// tenureColumn finds the tenure among the features; -1 if there is none.
func tenureColumn(set *features.Set, m *features.Matrix) int {
	for _, d := range set.Features {
		if d.From == "customer" && d.Agg == "tenure" {
			return slices.IndexFunc(m.Features, func(f features.Feature) bool { return f.Name == d.Name })
		}
	}
	return -1
}

// segments measures the test by each grouping and by churn kind. picked is which
// rows are contacted at capacity.
func segments(groups []grouping, s []float64, d *Data, picked []float64, boot measure.Bootstrap) ([]Segment, error) {
	out := []Segment{}
	for _, g := range groups {
		rows := make([][]int, len(g.levels))
		for i := range d.Observations {
			if k := g.level(i); k >= 0 {
				rows[k] = append(rows[k], i)
			}
		}
		for k, level := range g.levels {
			if len(rows[k]) == 0 {
				continue
			}
			seg, err := segment(g.by, level, rows[k], s, d, picked, boot)
			if err != nil {
				return nil, err
			}
			out = append(out, seg)
		}
	}
	kinds := churnKinds(d)
	if len(kinds) < 2 { // the whole test
		return out, nil
	}
	for _, kind := range kinds {
		var rows []int
		for i := range d.Observations {
			if o := &d.Observations[i]; !o.Churned || slices.Contains(kind.texts, churnKind(o)) {
				rows = append(rows, i)
			}
		}
		seg, err := segment("churn kind", kind.name, rows, s, d, picked, boot)
		if err != nil {
			return nil, err
		}
		seg.BaseRate, seg.LogLoss, seg.ECE, seg.Bias = measure.Unmeasured(), measure.Unmeasured(), measure.Unmeasured(), measure.Unmeasured()
		out = append(out, seg)
	}
	return out, nil
}

// segment measures some rows.
func segment(by, level string, rows []int, score []float64, d *Data, picked []float64, boot measure.Bootstrap) (Segment, error) {
	seg := Segment{By: by, Level: level, Rows: len(rows), BaseRate: measure.Unmeasured(), AUC: measure.Unmeasured(), LogLoss: measure.Unmeasured(), ECE: measure.Unmeasured(), Bias: measure.Unmeasured(), Recall: measure.Unmeasured()}
	p, y, contacted := make([]float64, len(rows)), make([]bool, len(rows)), make([]float64, len(rows))
	customers := make([]string, len(rows))
	for k, i := range rows {
		o := &d.Observations[i]
		p[k], y[k], contacted[k], customers[k] = score[i], o.Churned, picked[i], o.Customer
		if o.Churned {
			seg.Churners++
		}
	}
	_, seg.Customers = measure.NumberCustomers(customers)
	if stayers := len(rows) - seg.Churners; seg.Churners < minGroup || stayers < minGroup {
		seg.NotMeasured = fmt.Sprintf("insufficient data: churners %d, stayers %d; %d of each are needed", seg.Churners, stayers, minGroup)
		return seg, nil
	}
	sm, err := measure.NewSample(p, y, nil)
	if err != nil {
		return seg, err
	}
	est, err := boot.Of(customers, 6, func() func(weight, out []float64) {
		var w measure.Drawn
		return func(weight, out []float64) {
			w = sm.Draw(w, weight)
			m := sm.Under(w)
			var found, all, rows, expected float64
			for k, v := range weight {
				rows += v
				expected += float64(v * p[k])
				if y[k] {
					all += v
					found += float64(v * contacted[k])
				}
			}
			out[0], out[1], out[2], out[3], out[4] = float64(m.BaseRate), float64(m.AUC), float64(m.LogLoss), float64(m.ECE), found/all
			out[5] = expected/rows - float64(m.BaseRate)
		}
	})
	if err != nil {
		return seg, err
	}
	seg.BaseRate, seg.AUC, seg.LogLoss, seg.ECE, seg.Recall, seg.Bias = est[0], est[1], est[2], est[3], est[4], est[5]
	return seg, nil
}

// churnKind is in which way a churner left; the reason recorded where that was
// not told.
func churnKind(o *Observation) string { return cmp.Or(o.Kind, strings.TrimSpace(o.Reason)) }

// kindOfChurn is one way of leaving, or several rare ones together.
type kindOfChurn struct {
	name  string
	texts []string
}

// churnKinds lists the ways of leaving by falling number, the rare ones as one.
func churnKinds(d *Data) []kindOfChurn {
	n := map[string]int{}
	for i := range d.Observations {
		if o := &d.Observations[i]; o.Churned {
			n[churnKind(o)]++
		}
	}
	order := sortedNames(n)
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(n[b], n[a]) })
	var out []kindOfChurn
	for i, text := range order {
		name := text
		if text == "" {
			name = "not told"
		}
		if i == maxSegmentLevels-1 && len(order) > maxSegmentLevels {
			return append(out, kindOfChurn{fmt.Sprintf("%d other kinds", len(order)-i), order[i:]})
		}
		out = append(out, kindOfChurn{name, []string{text}})
	}
	return out
}
