package features

import (
	"math"
	"slices"
	"strings"

	"churn/event"
)

// window is what an aggregate looks at: the items of a series in [t-w, t),
// places first to end. Those before first are earlier ones.
type window struct {
	*series
	width      event.Duration
	t, from    event.Time
	first, end int
	whole      *window // of a rate: with the items that do not meet the condition
	workspace  *Workspace
}

// aggregate is one row of the table of operators.
type aggregate struct {
	fn       func(w *window) float64
	field    bool           // needs a field, whose values are in the series
	needs    column         // what else of the series it looks at
	bucket   event.Duration // the window must be two or more of these whole
	customer bool           // works on the customer, without a stream
	unit     string         // of the result; empty takes the field's
	earlier  bool           // looks at the item before the window
	back     event.Duration // looks at items so long before the window
	whole    bool           // looks at the whole
	// Empty says what an empty window gives, for documentation.
	empty string
}

const (
	week         = 7 * event.Day
	repeatWithin = 90 * event.Day
)

// aggregates is the table of operators: a new one is a function and a row, and
// its obvious twin in oracle_test.go.
var aggregates = map[string]aggregate{
	"count": {fn: func(w *window) float64 { return float64(w.n()) }, unit: "events", empty: "0"},
	"rate": {fn: func(w *window) float64 {
		if w.whole.n() == 0 {
			return nan
		}
		return float64(w.n()) / float64(w.whole.n())
	}, whole: true, unit: "share", empty: "missing"},
	"sum": {fn: func(w *window) float64 { return w.total(w.first, w.end) / float64(w.field.per) },
		field: true, needs: ofSums, empty: "0"},
	"mean": {fn: func(w *window) float64 {
		if w.n() == 0 {
			return nan
		}
		return w.total(w.first, w.end) / float64(w.n()) / float64(w.field.per)
	}, field: true, needs: ofSums, empty: "missing"},
	"std": {fn: func(w *window) float64 { return w.deviation(w.first, w.end) / float64(w.field.per) },
		field: true, needs: ofSquares, empty: "missing"},
	"min": {fn: func(w *window) float64 { return w.pick(slices.Min) }, field: true, empty: "missing"},
	"max": {fn: func(w *window) float64 { return w.pick(slices.Max) }, field: true, empty: "missing"},
	"last": {fn: func(w *window) float64 {
		return w.pick(func(v []int64) int64 { return v[len(v)-1] })
	}, field: true, empty: "missing"},
	"change": {fn: func(w *window) float64 { // last against the one before it, minus 1
		v := w.values()
		if len(v) < 2 || v[len(v)-2] == 0 {
			return nan
		}
		return float64(v[len(v)-1])/float64(v[len(v)-2]) - 1
	}, field: true, unit: "ratio", empty: "missing"},
	"trend": {fn: func(w *window) float64 { // least squares over the last 12 values, by their number
		v := w.values()
		return slope(v[max(0, len(v)-12):]) / float64(w.field.per)
	}, field: true, empty: "missing"},
	"recency": {fn: func(w *window) float64 { return w.age(w.end - 1) }, unit: "days", empty: "missing"},
	"first":   {fn: func(w *window) float64 { return w.age(w.first) }, unit: "days", empty: "missing"},
	"days": {fn: func(w *window) float64 {
		days, _ := w.daily()
		return float64(days)
	}, unit: "days", empty: "0"},
	"kinds": {fn: func(w *window) float64 { return float64(w.distinct()) }, needs: ofKinds, unit: "kinds", empty: "0"},
	"slope": {fn: (*window).dailySlope, bucket: event.Day, unit: "events/day²", empty: "0"},
	"gap_mean": {fn: func(w *window) float64 {
		g := w.gaps()
		if g == 0 {
			return nan
		}
		// The gaps of neighbours add up to that of the outermost.
		return float64(w.at[w.end-1].Sub(w.at[w.end-1-g])) / float64(g) / float64(perDay)
	}, earlier: true, unit: "days", empty: "missing"},
	"gap_std": {fn: func(w *window) float64 { return w.deviation(w.end-w.gaps(), w.end) / float64(perDay) },
		needs: ofGaps | ofSquares, earlier: true, unit: "days", empty: "missing"},
	"gap_max": {fn: func(w *window) float64 {
		g := w.gaps()
		if g == 0 {
			return nan
		}
		return scale(slices.Max(w.value[w.end-g:w.end]), perDay)
	}, needs: ofGaps, earlier: true, unit: "days", empty: "missing"},
	"empty_weeks": {fn: func(w *window) float64 { return float64(w.emptyWeeks()) }, bucket: week, unit: "weeks", empty: "the window"},
	"down_weeks":  {fn: func(w *window) float64 { return float64(w.downWeeks()) }, bucket: week, unit: "weeks", empty: "0"},
	"repeats":     {fn: func(w *window) float64 { return float64(w.repeats()) }, needs: ofKinds, back: repeatWithin, unit: "events", empty: "0"},
	"tenure": {fn: func(w *window) float64 {
		at := w.workspace.timeline.Customer.SignedUpAt
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

// n counts the items.
func (w *window) n() int { return w.end - w.first }

// values lists the field of the items.
func (w *window) values() []int64 { return w.value[w.first:w.end] }

func (w *window) pick(f func([]int64) int64) float64 {
	if w.n() == 0 {
		return nan
	}
	return scale(f(w.values()), w.field.per)
}

func (w *window) age(i int) float64 {
	if w.n() == 0 {
		return nan
	}
	return scale(int64(w.t.Sub(w.at[i])), perDay)
}

// gaps counts the gaps between neighbours whose later one is in the window.
func (w *window) gaps() int { return w.end - max(w.first, min(1, w.end)) }

// daily counts the 24-hour buckets back from t with an item, and adds up the
// numbers of the buckets of all items. Bucket 0 ends at t, and an item exactly
// a day before t belongs to it.
func (w *window) daily() (days, numbers int64) {
	next, bucket := event.Time(math.MinInt64), int64(0)
	for _, at := range w.at[w.first:w.end] {
		if at >= next {
			days++
			bucket = int64((w.t.Sub(at) - 1) / event.Day)
			next = w.t.Add(-event.Duration(bucket) * event.Day)
		}
		numbers += bucket
	}
	return days, numbers
}

// dailySlope is the least-squares slope of items a day over the days of the
// window, empty ones included; see slope. The window is a number of whole
// days: see aggregate.bucket.
func (w *window) dailySlope() float64 {
	days, items := int64(w.t.Sub(w.from)/event.Day), int64(w.n())
	_, numbers := w.daily()
	sxy := items*(days-1) - numbers // bucket b is day days-1-b
	sx, sxx := indexSums(days)
	return float64(sxy*days-items*sx) / float64(days*sxx-sx*sx)
}

// distinct counts kinds; an item without one is of no kind that is known.
func (w *window) distinct() int {
	marks := w.workspace.unmarked(w.kindText, w.stream)
	n := 0
	for i := w.end - 1; i >= w.first && n < len(marks)-1; i-- {
		if m := &marks[w.kind[i]]; w.kind[i] != 0 && m.round != w.workspace.round {
			m.round = w.workspace.round
			n++
		}
	}
	return n
}

// emptyWeeks counts the weeks without an item just before t.
func (w *window) emptyWeeks() int {
	if w.n() == 0 {
		return int(w.t.Sub(w.from) / week)
	}
	return int((w.t.Sub(w.at[w.end-1]) - 1) / week)
}

// downWeeks counts how many weeks in a row, up to t, had fewer items than the
// week before.
func (w *window) downWeeks() int {
	weeks := int(w.t.Sub(w.from) / week)
	end, later := w.end, 0
	for n := range weeks {
		first := end
		for from := w.t.Add(-event.Duration(n+1) * week); first > w.first && w.at[first-1] >= from; {
			first--
		}
		if n > 0 && later >= end-first {
			return n - 1
		}
		later, end = end-first, first
	}
	return weeks - 1
}

// repeats counts items of a kind that also occurred in the 90 days before: by
// the interval rule not at the same instant. An item without a kind repeats
// nothing.
func (w *window) repeats() int {
	i := w.first
	for i > 0 && i < w.end && w.at[w.first].Sub(w.at[i-1]) <= repeatWithin {
		i--
	}
	marks := w.workspace.unmarked(w.kindText, w.stream)
	n := 0
	for ; i < w.end; i++ {
		at, m := w.at[i], &marks[w.kind[i]]
		if w.kind[i] == 0 {
			continue
		}
		if m.round != w.workspace.round {
			*m = mark{w.workspace.round, at, at}
		} else if m.last < at {
			m.before, m.last = m.last, at
		}
		if i >= w.first && m.before < at && at.Sub(m.before) <= repeatWithin {
			n++
		}
	}
	return n
}

// slope is the least-squares slope of v over 0, 1, 2, …: exact integers, one
// division. Fewer than two values have none.
func slope(v []int64) float64 {
	n := int64(len(v))
	if n < 2 {
		return nan
	}
	sx, sxx := indexSums(n)
	var top int128 // nΣxy - ΣxΣy
	for i, y := range v {
		top = top.plus(product(y, n*int64(i)-sx))
	}
	return top.float() / float64(n*sxx-sx*sx)
}

// indexSums returns Σx and Σx² over 0, 1, …, n-1.
func indexSums(n int64) (sx, sxx int64) { return n * (n - 1) / 2, (n - 1) * n * (2*n - 1) / 6 }
