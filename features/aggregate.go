package features

import (
	"cmp"
	"slices"
	"strings"

	"churn/event"
)

// window is what an aggregate looks at: the items of a series in [t-w, t),
// places first to end. Those before first are earlier ones. With an offset, t
// is so long before the instant of the row; what is known is as of that instant.
type window struct {
	*series
	width, offset event.Duration
	t             event.Time // of an empty window any
	edges         [2]int     // of the workspace: where first and end are found
	first, end    int
	whole         *window // what this one is a share of
	days          *days   // of the items
	text          *texts  // that is told apart
	workspace     *Workspace
}

// aggregate is one row of the table of operators.
type aggregate struct {
	fn      func(w *window) float64
	field   bool           // needs a field, whose values are in the series
	text    bool           // tells texts apart: the field is one, or the kind
	needs   column         // what else of the series it looks at
	days    bool           // counts by days
	bucket  event.Duration // the window must be two or more of these whole
	of      string         // works without a stream: on customer or calendar
	unit    string         // of the result; empty takes the field's
	earlier bool           // looks at the item before the window
	back    event.Duration // looks at items so long before the window
	share   share          // looks at the whole too
	// Empty says what an empty window gives, for documentation.
	empty string
}

// share says what the whole is that an aggregate looks at besides its window.
type share uint8

const (
	ofNothing   share = iota
	ofCondition       // the items whether or not they meet the condition
	ofLevel           // those of every level
)

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
	}, share: ofCondition, unit: "share", empty: "missing"},
	"share": {fn: func(w *window) float64 {
		if w.whole.n() == 0 {
			return nan
		}
		return float64(w.n()) / float64(w.whole.n())
	}, share: ofLevel, unit: "share", empty: "missing"},
	"run": {fn: func(w *window) float64 { return float64(w.run()) }, share: ofCondition, unit: "events", empty: "0"},
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
	"min": {fn: func(w *window) float64 { return w.pick(lowest) }, field: true, empty: "missing"},
	"max": {fn: func(w *window) float64 { return w.pick(highest) }, field: true, empty: "missing"},
	"last": {fn: func(w *window) float64 {
		return w.pick(func(v []int64) int64 { return v[len(v)-1] })
	}, field: true, empty: "missing"},
	"earliest": {fn: func(w *window) float64 {
		return w.pick(func(v []int64) int64 { return v[0] })
	}, field: true, empty: "missing"},
	"median": {fn: func(w *window) float64 { return w.median() / float64(w.field.per) }, field: true, empty: "missing"},
	"rises":  {fn: func(w *window) float64 { return float64(w.steps(1)) }, field: true, unit: "events", empty: "0"},
	"falls":  {fn: func(w *window) float64 { return float64(w.steps(-1)) }, field: true, unit: "events", empty: "0"},
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
	"days": {fn: func(w *window) float64 { return float64(w.days.count(w.first, w.end)) },
		days: true, unit: "days", empty: "0"},
	"weeks":     {fn: func(w *window) float64 { return float64(w.weeks()) }, days: true, unit: "weeks", empty: "0"},
	"kinds":     {fn: func(w *window) float64 { return float64(w.distinct()) }, text: true, unit: "kinds", empty: "0"},
	"top_share": {fn: (*window).topShare, text: true, unit: "share", empty: "missing"},
	"slope":     {fn: (*window).dailySlope, days: true, bucket: event.Day, unit: "events/day²", empty: "0"},
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
		return scale(highest(w.value[w.end-g:w.end]), perDay)
	}, needs: ofGaps, earlier: true, unit: "days", empty: "missing"},
	"gap_last": {fn: func(w *window) float64 {
		if w.gaps() == 0 {
			return nan
		}
		return scale(int64(w.at[w.end-1].Sub(w.at[w.end-2])), perDay)
	}, earlier: true, unit: "days", empty: "missing"},
	"gap_rank":     {fn: (*window).gapRank, needs: ofGaps, earlier: true, unit: "share", empty: "missing"},
	"active_weeks": {fn: func(w *window) float64 { return float64(w.activeWeeks()) }, days: true, bucket: week, unit: "weeks", empty: "0"},
	"empty_weeks":  {fn: func(w *window) float64 { return float64(w.emptyWeeks()) }, bucket: week, unit: "weeks", empty: "the window"},
	"down_weeks":   {fn: func(w *window) float64 { return float64(w.downWeeks()) }, bucket: week, unit: "weeks", empty: "0"},
	"repeats":      {fn: func(w *window) float64 { return float64(w.repeats()) }, text: true, back: repeatWithin, unit: "events", empty: "0"},
	"tenure": {fn: func(w *window) float64 {
		return w.signedUp(func(at event.Time) float64 { return scale(int64(w.t.Sub(at)), perDay) })
	},
		of: "customer", unit: "days", empty: "missing"},
	"anniversary": {fn: func(w *window) float64 {
		return w.signedUp(func(at event.Time) float64 { return anniversary(at, w.t) })
	},
		of: "customer", unit: "days", empty: "missing"},
	"cohort": {fn: func(w *window) float64 { return w.signedUp(cohort) }, of: "customer", unit: "months", empty: "missing"},
	"signup_month": {fn: func(w *window) float64 {
		return w.signedUp(func(at event.Time) float64 { return float64(at.Time().Month()) })
	},
		of: "customer", unit: "month", empty: "missing"},
	"month":        {fn: func(w *window) float64 { return float64(w.t.Time().Month()) }, of: "calendar", unit: "month", empty: "of t"},
	"day_of_month": {fn: func(w *window) float64 { return float64(w.t.Time().Day()) }, of: "calendar", unit: "day", empty: "of t"},
	"day_of_week":  {fn: func(w *window) float64 { return float64(weekday(w.t)) }, of: "calendar", unit: "day", empty: "of t"},
	"season_sin":   {fn: func(w *window) float64 { return season(w.t, 0) }, of: "calendar", unit: "ratio", empty: "of t"},
	"season_cos":   {fn: func(w *window) float64 { return season(w.t, 0.25) }, of: "calendar", unit: "ratio", empty: "of t"},
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

// dailySlope is the least-squares slope of items a day over the days of the
// window, empty ones included; see slope. The window is a number of whole
// days: see aggregate.bucket.
func (w *window) dailySlope() float64 {
	days, items := int64(w.width/event.Day), int64(w.n())
	sxy := items*(days-1) - w.days.ages(w.t, w.first, w.end)
	sx, sxx := indexSums(days)
	return float64(sxy*days-items*sx) / float64(days*sxx-sx*sx)
}

// distinct counts different texts; an item without one adds none.
func (w *window) distinct() int {
	marks := w.workspace.unmarked(w.text)
	n := 0
	for i := w.end - 1; i >= w.first && n < len(marks)-1; i-- {
		code := w.text.codes[w.item[i]]
		if m := &marks[code]; code != 0 && m.round != w.workspace.round {
			m.round = w.workspace.round
			n++
		}
	}
	return n
}

// topShare is the share of the most frequent text among items that have one.
func (w *window) topShare() float64 {
	marks := w.workspace.unmarked(w.text)
	most, all := 0, 0
	for _, place := range w.item[w.first:w.end] {
		code := w.text.codes[place]
		if code == 0 {
			continue
		}
		m := &marks[code]
		if m.round != w.workspace.round {
			*m = mark{round: w.workspace.round}
		}
		m.n++
		most = max(most, m.n)
		all++
	}
	if all == 0 {
		return nan
	}
	return float64(most) / float64(all)
}

// run counts the latest items in a row that meet the condition.
func (w *window) run() int {
	n := 0
	for n < w.n() && w.item[w.end-1-n] == w.whole.item[w.whole.end-1-n] {
		n++
	}
	return n
}

// highest returns the highest of some values. Four at a time do not wait for
// each other.
func highest(v []int64) int64 {
	a := v[0]
	b, c, d := a, a, a
	for ; len(v) >= 4; v = v[4:] {
		a, b, c, d = max(a, v[0]), max(b, v[1]), max(c, v[2]), max(d, v[3])
	}
	for _, x := range v {
		a = max(a, x)
	}
	return max(a, b, c, d)
}

// lowest returns the lowest of some values.
func lowest(v []int64) int64 {
	a := v[0]
	b, c, d := a, a, a
	for ; len(v) >= 4; v = v[4:] {
		a, b, c, d = min(a, v[0]), min(b, v[1]), min(c, v[2]), min(d, v[3])
	}
	for _, x := range v {
		a = min(a, x)
	}
	return min(a, b, c, d)
}

// steps counts values that lie above (1) or below (-1) the one before.
func (w *window) steps(sign int) int {
	n, v := 0, w.values()
	for i := 1; i < len(v); i++ {
		if cmp.Compare(v[i], v[i-1]) == sign {
			n++
		}
	}
	return n
}

// median is the value in the middle, or the mean of the two.
func (w *window) median() float64 {
	if w.n() == 0 {
		return nan
	}
	v := append(w.workspace.sorted[:0], w.values()...)
	slices.Sort(v)
	w.workspace.sorted = v
	half := len(v) / 2
	if len(v)%2 == 1 {
		return float64(v[half])
	}
	return wide(v[half-1]).plus(wide(v[half])).float() / 2
}

// gapRank is the share of gaps that are no longer than the silence now.
func (w *window) gapRank() float64 {
	gaps := w.value[w.end-w.gaps() : w.end]
	if len(gaps) == 0 {
		return nan
	}
	now, n := int64(w.t.Sub(w.at[w.end-1])), uint64(0)
	for _, gap := range gaps {
		n += uint64(gap-now-1) >> 63 // gap <= now: a branch would be guessed wrong half the time
	}
	return float64(n) / float64(len(gaps))
}

// emptyWeeks counts the weeks without an item just before t.
func (w *window) emptyWeeks() int {
	if w.n() == 0 {
		return int(w.width / week)
	}
	return int((w.t.Sub(w.at[w.end-1]) - 1) / week)
}

// downWeeks counts how many weeks in a row, up to t, had fewer items than the
// week before.
func (w *window) downWeeks() int {
	weeks := int(w.width / week)
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
	marks := w.workspace.unmarked(w.text)
	n := 0
	for ; i < w.end; i++ {
		code := w.text.codes[w.item[i]]
		if code == 0 {
			continue
		}
		at, m := w.at[i], &marks[code]
		if m.round != w.workspace.round {
			*m = mark{round: w.workspace.round, last: at, before: at}
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
