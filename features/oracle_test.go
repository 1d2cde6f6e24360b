package features

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"churn/event"
)

// The oracle: an engine that is as plain as can be. For each feature it lists
// what was visible, selects anew, and hands the items to a function that says
// what the aggregate means. The engine must give the same bits.

// selected is what the plain aggregates look at.
type selected struct {
	t, from event.Time // between which the window lies
	now     event.Time // of the row
	items   []item     // in the window
	before  []item     // earlier ones that meet the condition, for gaps and repeats
	whole   []item     // in the window, whether or not they are what share asks for
	field   field
	text    func(it *item) string
	tl      *event.Timeline
}

// asked is what a declaration says of one column.
type asked struct {
	agg           string
	from          source
	width, offset event.Duration
}

// declared lists the columns of a set, in order; those of attributes and
// functions are empty.
func declared(s *Set) []asked {
	all := make([]asked, len(s.Columns)+len(s.Attributes))
	for _, d := range s.Features {
		if d.Expr != "" || aggregates[d.Agg].of != "" {
			all = append(all, asked{agg: d.Agg})
		}
		for _, w := range d.Windows {
			if d.By == "" {
				all = append(all, asked{d.Agg, source{stream: d.From, where: d.Where, field: d.Field}, w, d.Offset})
			}
			for _, level := range d.Levels {
				all = append(all, asked{d.Agg, source{d.From, d.Where, d.By, level, d.Field}, w, d.Offset})
			}
		}
	}
	return all
}

// oracle writes the row of a customer as of t.
func oracle(t testing.TB, e *Engine, tl *event.Timeline, at event.Time) []float32 {
	t.Helper()
	row := make([]float64, len(e.steps))
	dst := make([]float32, len(e.steps))
	for i, a := range declared(e.set) {
		switch st := &e.steps[i]; {
		case st.expr != nil:
			row[i] = st.expr.eval(row, new([4]float64))
		case st.attribute != nil:
			row[i] = attribute(st.attribute, tl, at)
		default:
			row[i] = obvious[a.agg](choose(t, a, tl, at))
		}
		if e.steps[i].fills && math.IsNaN(row[i]) {
			row[i] = e.steps[i].fill
		}
		dst[i] = finite(row[i])
	}
	return dst
}

// attribute reads an attribute: that of the customer, or the last of its changes
// that are visible.
func attribute(r *columnReader, tl *event.Timeline, t event.Time) float64 {
	text := tl.Customer.Attributes[r.name]
	if r.history {
		text = ""
		for _, it := range visible(tl, "attributes", t) {
			if it.change.Name == r.name {
				text = it.change.Value
			}
		}
	}
	if !r.date {
		v, _ := r.read(text)
		return v
	}
	at, err := event.ParseTime(text)
	if err != nil {
		return r.missing
	}
	return float64(at-t) / float64(event.Day)
}

// choose selects the items of one feature.
func choose(t testing.TB, a asked, tl *event.Timeline, at event.Time) *selected {
	t.Helper()
	from := a.from
	end := at.Add(-a.offset)
	w := &selected{t: end, from: end.Add(-a.width), now: at, field: fields[from.stream][from.field], tl: tl}
	if w.text = textFields[from.stream][from.field]; w.text == nil {
		w.text = textFields[from.stream][kindField[from.stream]]
	}
	where, err := parseWhere(from.stream, from.where)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range visible(tl, from.stream, at) {
		level := from.by == "" || textFields[from.stream][from.by](&it) == from.level
		meets := where.holds == nil || where.holds(&it, at)
		inside, share := it.at >= w.from && it.at < end, aggregates[a.agg].share
		switch {
		case it.at >= end:
		case level && meets && inside:
			w.items, w.whole = append(w.items, it), append(w.whole, it)
		case level && meets:
			w.before = append(w.before, it)
		case inside && (share == ofCondition && level || share == ofLevel && meets):
			w.whole = append(w.whole, it)
		}
	}
	return w
}

// visible lists what of a stream could be known at t, oldest first.
//
// A payment that was made before its due date came, or before the bill was
// recorded, is until then what it is to whoever has not seen the bill: a
// purchase when it was paid.
func visible(tl *event.Timeline, stream string, t event.Time) []item {
	var items []item
	switch stream {
	case "engagement":
		for i := range tl.Engagements {
			if e := &tl.Engagements[i]; event.Visible(e.At, e.Recorded, t) && stands(e.Superseded, t) {
				items = append(items, item{at: e.At, known: e.Recorded, engagement: e})
			}
		}
	case "complaints":
		for i := range tl.Complaints {
			if c := &tl.Complaints[i]; event.Visible(c.At, c.Recorded, t) && stands(c.Superseded, t) {
				items = append(items, item{at: c.At, known: c.Recorded, complaint: c})
			}
		}
	case "payments":
		for i := range tl.Payments {
			p := &tl.Payments[i]
			if !stands(p.Superseded, t) {
				continue
			}
			if event.Visible(p.At, p.Recorded, t) {
				items = append(items, item{at: p.At, known: p.Recorded, payment: p})
			} else if event.Visible(p.PaidAt, p.PaidKnown, t) {
				items = append(items, item{at: p.PaidAt, known: p.PaidKnown, payment: p})
			}
		}
		slices.SortStableFunc(items, func(a, b item) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.known, b.known), cmp.Compare(a.payment.ID, b.payment.ID))
		})
	case "contacts":
		for i := range tl.Contacts {
			if c := &tl.Contacts[i]; event.Visible(c.At, c.Recorded, t) && stands(c.Superseded, t) {
				items = append(items, item{at: c.At, known: c.Recorded, contact: c})
			}
		}
	case "attributes":
		for i := range tl.Changes {
			if c := &tl.Changes[i]; event.Visible(c.At, c.Recorded, t) && stands(c.Superseded, t) {
				items = append(items, item{at: c.At, known: c.Recorded, change: c})
			}
		}
		now := map[string]string{}
		all := items
		items = nil
		for _, it := range all { // what is said again is no change
			if was, there := now[it.change.Name]; !there || was != it.change.Value {
				items = append(items, it)
			}
			now[it.change.Name] = it.change.Value
		}
	}
	return items
}

// stands tells whether a correction or cancellation was not recorded before t.
func stands(superseded, t event.Time) bool { return superseded == 0 || superseded >= t }

// obvious says what each aggregate means.
var obvious = map[string]func(w *selected) float64{
	"count": func(w *selected) float64 { return float64(len(w.items)) },
	"rate":  func(w *selected) float64 { return ratio(int64(len(w.items)), int64(len(w.whole))) },
	"share": func(w *selected) float64 { return ratio(int64(len(w.items)), int64(len(w.whole))) },
	"run": func(w *selected) float64 {
		n := 0
		for i := len(w.whole) - 1; i >= 0 && slices.Contains(w.items, w.whole[i]); i-- {
			n++
		}
		return float64(n)
	},
	"earliest": func(w *selected) float64 { return w.pick(func(v []int64) int64 { return v[0] }) },
	"median": func(w *selected) float64 {
		v := w.values()
		if len(v) == 0 {
			return nan
		}
		slices.Sort(v)
		return bigSum([]int64{v[(len(v)-1)/2], v[len(v)/2]}) / 2 / float64(w.field.per)
	},
	"rises": func(w *selected) float64 { return w.steps(func(before, v int64) bool { return v > before }) },
	"falls": func(w *selected) float64 { return w.steps(func(before, v int64) bool { return v < before }) },
	"sum":   func(w *selected) float64 { return bigSum(w.values()) / float64(w.field.per) },
	"mean": func(w *selected) float64 {
		v := w.values()
		if len(v) == 0 {
			return nan
		}
		return bigSum(v) / float64(len(v)) / float64(w.field.per)
	},
	"std":  func(w *selected) float64 { return bigDeviation(w.values()) / float64(w.field.per) },
	"min":  func(w *selected) float64 { return w.pick(slices.Min) },
	"max":  func(w *selected) float64 { return w.pick(slices.Max) },
	"last": func(w *selected) float64 { return w.pick(func(v []int64) int64 { return v[len(v)-1] }) },
	"change": func(w *selected) float64 { // last against the one before it, minus 1
		v := w.values()
		if len(v) < 2 || v[len(v)-2] == 0 {
			return nan
		}
		return float64(v[len(v)-1])/float64(v[len(v)-2]) - 1
	},
	"trend": func(w *selected) float64 { // least squares over the last 12 values, by their number
		v := w.values()
		v = v[max(0, len(v)-12):]
		return bigSlope(v) / float64(w.field.per)
	},
	"recency": func(w *selected) float64 { return w.age(len(w.items) - 1) },
	"first":   func(w *selected) float64 { return w.age(0) },
	"days":    func(w *selected) float64 { return float64(len(w.buckets(event.Day))) },
	"weeks":   func(w *selected) float64 { return float64(len(w.buckets(week))) },
	"kinds":   func(w *selected) float64 { return float64(len(w.texts())) },
	"top_share": func(w *selected) float64 {
		most, all := int64(0), int64(0)
		for _, n := range w.texts() {
			most, all = max(most, n), all+n
		}
		return ratio(most, all)
	},
	"slope": func(w *selected) float64 { // least squares of events a day, empty days included
		return bigSlope(w.daily())
	},
	"gap_mean": func(w *selected) float64 {
		g := w.gaps()
		if len(g) == 0 {
			return nan
		}
		return bigSum(g) / float64(len(g)) / float64(perDay)
	},
	"gap_std": func(w *selected) float64 { return bigDeviation(w.gaps()) / float64(perDay) },
	"gap_max": func(w *selected) float64 {
		g := w.gaps()
		if len(g) == 0 {
			return nan
		}
		return scale(slices.Max(g), perDay)
	},
	"gap_last": func(w *selected) float64 {
		g := w.gaps()
		if len(g) == 0 {
			return nan
		}
		return scale(g[len(g)-1], perDay)
	},
	"gap_rank": func(w *selected) float64 {
		g, n := w.gaps(), int64(0)
		for _, gap := range g {
			if gap <= int64(w.t.Sub(w.items[len(w.items)-1].at)) {
				n++
			}
		}
		return ratio(n, int64(len(g)))
	},
	"active_weeks": func(w *selected) float64 {
		b, n := w.buckets(week), 0
		for b[n] > 0 {
			n++
		}
		return float64(n)
	},
	"empty_weeks": func(w *selected) float64 { return float64(w.emptyWeeks()) },
	"down_weeks":  func(w *selected) float64 { return float64(w.downWeeks()) },
	"repeats":     func(w *selected) float64 { return float64(w.repeats()) },
	"tenure": func(w *selected) float64 {
		return w.since(func(up, _ time.Time) float64 {
			return scale(int64(w.t.Sub(w.tl.Customer.SignedUpAt)), perDay)
		})
	},
	"anniversary": func(w *selected) float64 {
		return w.since(func(up, now time.Time) float64 {
			n := 0 // days to walk
			for ; ; n++ {
				// 29 February is 1 March in a year that has none.
				if d := now.AddDate(0, 0, n); time.Date(d.Year(), up.Month(), up.Day(), 0, 0, 0, 0, time.UTC).YearDay() == d.YearDay() {
					return float64(n)
				}
			}
		})
	},
	"cohort": func(w *selected) float64 {
		return w.since(func(up, _ time.Time) float64 { return float64(up.Year()*12 + int(up.Month()) - 1970*12 - 1) })
	},
	"signup_month": func(w *selected) float64 {
		return w.since(func(up, _ time.Time) float64 { return float64(up.Month()) })
	},
	"month":        func(w *selected) float64 { return float64(w.t.Time().Month()) },
	"day_of_month": func(w *selected) float64 { return float64(w.t.Time().Day()) },
	"day_of_week":  func(w *selected) float64 { return float64((w.t.Time().Weekday()+6)%7 + 1) },
	// To the bit only what season is; calendar_test.go compares with package math.
	"season_sin": func(w *selected) float64 { return season(w.t, 0) },
	"season_cos": func(w *selected) float64 { return season(w.t, 0.25) },
}

// since tells something of the day of sign-up, and missing where it is not known
// or has not come.
func (w *selected) since(fn func(up, now time.Time) float64) float64 {
	if w.tl.Customer.SignedUpAt >= w.t {
		return nan
	}
	return fn(w.tl.Customer.SignedUpAt.Time(), w.t.Time())
}

// steps counts pairs of neighbouring values.
func (w *selected) steps(is func(before, v int64) bool) float64 {
	n, v := 0, w.values()
	for i := range v {
		if i > 0 && is(v[i-1], v[i]) {
			n++
		}
	}
	return float64(n)
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return nan
	}
	return float64(a) / float64(b)
}

// values lists the known field values in order of time.
func (w *selected) values() []int64 {
	v := make([]int64, 0, len(w.items))
	for i := range w.items {
		if x, ok := w.field.get(&w.items[i], w.now); ok {
			v = append(v, x)
		}
	}
	return v
}

// bigSum adds exactly and rounds once: 64 bits would not hold the ages of a few
// thousand old events.
func bigSum(v []int64) float64 {
	var s, x big.Int
	for _, a := range v {
		s.Add(&s, x.SetInt64(a))
	}
	f, _ := new(big.Float).SetInt(&s).Float64()
	return f
}

func (w *selected) pick(f func([]int64) int64) float64 {
	v := w.values()
	if len(v) == 0 {
		return nan
	}
	return scale(f(v), w.field.per)
}

func (w *selected) age(i int) float64 {
	if len(w.items) == 0 {
		return nan
	}
	return scale(int64(w.t.Sub(w.items[i].at)), perDay)
}

// buckets counts items by 24-hour (or other) bucket back from t; bucket 0
// ends at t.
func (w *selected) buckets(size event.Duration) map[int]int64 {
	m := map[int]int64{}
	for i := range w.items {
		// An event exactly one bucket before t belongs to [t-size, t).
		m[int((w.t.Sub(w.items[i].at)-1)/size)]++
	}
	return m
}

// daily lists the counts of each day of the window, oldest first. The window
// is a number of whole days: see aggregate.bucket.
func (w *selected) daily() []int64 {
	n := int(w.t.Sub(w.from) / event.Day)
	v := make([]int64, n)
	for b, c := range w.buckets(event.Day) {
		v[n-1-b] = c
	}
	return v
}

// gaps lists the times between neighbouring items whose later one is in the
// window.
func (w *selected) gaps() []int64 {
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

// texts counts the items of each text; an item without one is of none.
func (w *selected) texts() map[string]int64 {
	m := map[string]int64{}
	for i := range w.items {
		if k := w.text(&w.items[i]); k != "" {
			m[k]++
		}
	}
	return m
}

// emptyWeeks counts the weeks without an item just before t.
func (w *selected) emptyWeeks() int {
	if len(w.items) == 0 {
		return int(w.t.Sub(w.from) / week)
	}
	return int((w.t.Sub(w.items[len(w.items)-1].at) - 1) / week)
}

// downWeeks counts how many weeks in a row, up to t, had fewer items than the
// week before.
func (w *selected) downWeeks() int {
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
func (w *selected) repeats() int {
	all := append(slices.Clone(w.before), w.items...)
	n := 0
	for i := len(w.before); i < len(all); i++ {
		kind := w.text(&all[i])
		for j := i - 1; j >= 0 && kind != "" && all[i].at.Sub(all[j].at) <= 90*event.Day; j-- {
			if w.text(&all[j]) == kind && all[j].at < all[i].at {
				n++
				break
			}
		}
	}
	return n
}

// bigDeviation is the sample standard deviation (n-1), from exact sums:
// (nΣx² - (Σx)²) / (n(n-1)).
func bigDeviation(v []int64) float64 {
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

// bigSlope is the least-squares slope of v over 0, 1, 2, …: exact integers, one
// division. Fewer than two values have none.
func bigSlope(v []int64) float64 {
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
