package features

import (
	"math"
	"math/big"
	"slices"
	"strings"

	"churn/event"
)

// window is what an aggregate looks at: the items of one stream in [t-w, t)
// that could be known at t and meet the condition, oldest first.
type window struct {
	t, from event.Time
	items   []item // in the window
	before  []item // earlier ones that meet the condition, for gaps and repeats
	total   int    // items of the level in the window whether or not they meet the condition
	field   field
	tl      *event.Timeline
}

// aggregate is one row of the table of operators.
type aggregate struct {
	fn       func(w *window) float64
	field    bool           // needs a field
	bucket   event.Duration // the window must be two or more of these whole
	customer bool           // works on the customer, without a stream
	unit     string         // of the result; empty takes the field's
	before   bool           // looks at items before the window
	// Empty says what an empty window gives, for documentation.
	empty string
}

const week = 7 * event.Day

// aggregates is the table of operators: a new one is a function and a row.
var aggregates = map[string]aggregate{
	"count": {fn: func(w *window) float64 { return float64(len(w.items)) }, unit: "events", empty: "0"},
	"rate": {fn: func(w *window) float64 { return ratio(int64(len(w.items)), int64(w.total)) },
		unit: "share", empty: "missing"},
	"sum": {fn: func(w *window) float64 { return sum(w.values()) / float64(w.field.per) }, field: true, empty: "0"},
	"mean": {fn: func(w *window) float64 {
		v := w.values()
		if len(v) == 0 {
			return nan
		}
		return sum(v) / float64(len(v)) / float64(w.field.per)
	}, field: true, empty: "missing"},
	"std":  {fn: func(w *window) float64 { return deviation(w.values()) / float64(w.field.per) }, field: true, empty: "missing"},
	"min":  {fn: func(w *window) float64 { return w.pick(slices.Min) }, field: true, empty: "missing"},
	"max":  {fn: func(w *window) float64 { return w.pick(slices.Max) }, field: true, empty: "missing"},
	"last": {fn: func(w *window) float64 { return w.pick(func(v []int64) int64 { return v[len(v)-1] }) }, field: true, empty: "missing"},
	"change": {fn: func(w *window) float64 { // last against the one before it, minus 1
		v := w.values()
		if len(v) < 2 || v[len(v)-2] == 0 {
			return nan
		}
		return float64(v[len(v)-1])/float64(v[len(v)-2]) - 1
	}, field: true, unit: "ratio", empty: "missing"},
	"trend": {fn: func(w *window) float64 { // least squares over the last 12 values, by their number
		v := w.values()
		v = v[max(0, len(v)-12):]
		return slope(v) / float64(w.field.per)
	}, field: true, empty: "missing"},
	"recency": {fn: func(w *window) float64 { return w.age(len(w.items) - 1) }, unit: "days", empty: "missing"},
	"first":   {fn: func(w *window) float64 { return w.age(0) }, unit: "days", empty: "missing"},
	"days":    {fn: func(w *window) float64 { return float64(len(w.buckets(event.Day))) }, unit: "days", empty: "0"},
	"kinds": {fn: func(w *window) float64 { return float64(w.distinct()) },
		unit: "kinds", empty: "0"},
	"slope": {fn: func(w *window) float64 { // least squares of events a day, empty days included
		return slope(w.daily())
	}, bucket: event.Day, unit: "events/day²", empty: "0"},
	"gap_mean": {fn: func(w *window) float64 {
		g := w.gaps()
		if len(g) == 0 {
			return nan
		}
		return sum(g) / float64(len(g)) / float64(perDay)
	}, before: true, unit: "days", empty: "missing"},
	"gap_std": {fn: func(w *window) float64 { return deviation(w.gaps()) / float64(perDay) }, before: true, unit: "days", empty: "missing"},
	"gap_max": {fn: func(w *window) float64 {
		g := w.gaps()
		if len(g) == 0 {
			return nan
		}
		return scale(slices.Max(g), perDay)
	}, before: true, unit: "days", empty: "missing"},
	"empty_weeks": {fn: func(w *window) float64 { return float64(w.emptyWeeks()) }, bucket: week, unit: "weeks", empty: "the window"},
	"down_weeks":  {fn: func(w *window) float64 { return float64(w.downWeeks()) }, bucket: week, unit: "weeks", empty: "0"},
	"repeats":     {fn: func(w *window) float64 { return float64(w.repeats()) }, before: true, unit: "events", empty: "0"},
	"tenure": {fn: func(w *window) float64 {
		at := w.tl.Customer.SignedUpAt
		if at >= w.t { // unknown, or signed up later
			return nan
		}
		return scale(int64(w.t.Sub(at)), perDay)
	}, customer: true, unit: "days", empty: "missing"},
}

// Aggregates lists the operators with what each gives for an empty window.
func Aggregates() map[string]string {
	m := map[string]string{}
	for name, a := range aggregates {
		m[name] = a.empty
	}
	return m
}

// names lists the keys of a table for an error text.
func names[V any](m map[string]V) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

func scale(v, per int64) float64 { return float64(v) / float64(per) }

func ratio(a, b int64) float64 {
	if b == 0 {
		return nan
	}
	return float64(a) / float64(b)
}

// values lists the known field values in order of time.
func (w *window) values() []int64 {
	v := make([]int64, 0, len(w.items))
	for i := range w.items {
		if x, ok := w.field.get(&w.items[i], w.t); ok {
			v = append(v, x)
		}
	}
	return v
}

// sum adds exactly and rounds once: 64 bits would not hold the ages of a few
// thousand old events.
func sum(v []int64) float64 {
	var s, x big.Int
	for _, a := range v {
		s.Add(&s, x.SetInt64(a))
	}
	f, _ := new(big.Float).SetInt(&s).Float64()
	return f
}

func (w *window) pick(f func([]int64) int64) float64 {
	v := w.values()
	if len(v) == 0 {
		return nan
	}
	return scale(f(v), w.field.per)
}

func (w *window) age(i int) float64 {
	if len(w.items) == 0 {
		return nan
	}
	return scale(int64(w.t.Sub(w.items[i].at)), perDay)
}

// buckets counts items by 24-hour (or other) bucket back from t; bucket 0
// ends at t.
func (w *window) buckets(size event.Duration) map[int]int64 {
	m := map[int]int64{}
	for i := range w.items {
		// An event exactly one bucket before t belongs to [t-size, t).
		m[int((w.t.Sub(w.items[i].at)-1)/size)]++
	}
	return m
}

// daily lists the counts of each day of the window, oldest first. The window
// is a number of whole days: see aggregate.bucket.
func (w *window) daily() []int64 {
	n := int(w.t.Sub(w.from) / event.Day)
	v := make([]int64, n)
	for b, c := range w.buckets(event.Day) {
		v[n-1-b] = c
	}
	return v
}

// gaps lists the times between neighbouring items whose later one is in the
// window.
func (w *window) gaps() []int64 {
	var g []int64
	all := w.items
	if len(w.before) > 0 {
		all = append(slices.Clone(w.before[len(w.before)-1:]), w.items...)
	}
	for i := 1; i < len(all); i++ {
		g = append(g, int64(all[i].at.Sub(all[i-1].at)))
	}
	return g
}

func (it *item) kind() string {
	switch {
	case it.engagement != nil:
		return it.engagement.Kind
	case it.complaint != nil:
		return it.complaint.Category
	case it.payment != nil:
		return it.payment.Currency
	}
	return it.contact.Action
}

// distinct counts kinds; an item without one is of no kind that is known.
func (w *window) distinct() int {
	m := map[string]bool{}
	for i := range w.items {
		if k := w.items[i].kind(); k != "" {
			m[k] = true
		}
	}
	return len(m)
}

// emptyWeeks counts the weeks without an item just before t.
func (w *window) emptyWeeks() int {
	if len(w.items) == 0 {
		return int(w.t.Sub(w.from) / week)
	}
	return int((w.t.Sub(w.items[len(w.items)-1].at) - 1) / week)
}

// downWeeks counts how many weeks in a row, up to t, had fewer items than the
// week before.
func (w *window) downWeeks() int {
	b := w.buckets(week)
	weeks := int(w.t.Sub(w.from) / week)
	n := 0
	for n+1 < weeks && b[n] < b[n+1] {
		n++
	}
	return n
}

// repeats counts items of a kind that also occurred in the 90 days before: by
// the interval rule not at the same instant. An item without a kind repeats
// nothing.
func (w *window) repeats() int {
	all := append(slices.Clone(w.before), w.items...)
	n := 0
	for i := len(w.before); i < len(all); i++ {
		kind := all[i].kind()
		for j := i - 1; j >= 0 && kind != "" && all[i].at.Sub(all[j].at) <= 90*event.Day; j-- {
			if all[j].kind() == kind && all[j].at < all[i].at {
				n++
				break
			}
		}
	}
	return n
}

// deviation is the sample standard deviation (n-1), from exact sums:
// (nΣx² - (Σx)²) / (n(n-1)).
func deviation(v []int64) float64 {
	n := int64(len(v))
	if n < 2 {
		return nan
	}
	var sum, squares, x big.Int
	for _, a := range v {
		x.SetInt64(a)
		sum.Add(&sum, &x)
		squares.Add(&squares, x.Mul(&x, &x))
	}
	squares.Mul(&squares, x.SetInt64(n))
	squares.Sub(&squares, sum.Mul(&sum, &sum))
	top, _ := new(big.Float).SetInt(&squares).Float64()
	return math.Sqrt(top / (float64(n) * float64(n-1)))
}

// slope is the least-squares slope of v over 0, 1, 2, …: exact integers, one
// division. Fewer than two values have none.
func slope(v []int64) float64 {
	n := int64(len(v))
	if n < 2 {
		return nan
	}
	var sy, sxy big.Int
	var y, xy big.Int
	for i, a := range v {
		y.SetInt64(a)
		sy.Add(&sy, &y)
		sxy.Add(&sxy, xy.Mul(&y, big.NewInt(int64(i))))
	}
	sx := n * (n - 1) / 2
	sxx := (n - 1) * n * (2*n - 1) / 6
	top := new(big.Int).Mul(&sxy, big.NewInt(n))
	top.Sub(top, new(big.Int).Mul(&sy, big.NewInt(sx)))
	num, _ := new(big.Float).SetInt(top).Float64()
	return num / float64(n*sxx-sx*sx)
}
