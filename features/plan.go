package features

import (
	"slices"

	"churn/event"
)

// source says which items of a history a series is of. What is empty asks for
// nothing.
type source struct {
	stream, where, by, level, field string
}

// column is what aggregates read of a series besides times.
type column uint8

const (
	ofGaps    column = 1 << iota // time since the item before, as value
	ofSums                       // sums of values
	ofSquares                    // sums of squares, and sums
)

// plan says what has to be known of a history for all features of a set: each
// series once, each window of it once.
type plan struct {
	streams []streamPlan
	series  []seriesPlan
	windows []windowPlan
	edges   []edge
	days    []daysPlan

	seriesOf map[source]int
	windowOf map[windowKey]int
	edgeOf   map[edge]int
}

// streamPlan lists the series of one stream, parents first.
type streamPlan struct {
	name  string
	root  int // the series of all items
	texts []textPlan
	fixed []int // other series that only grow
	dated []int // series that are another at each instant
	// Of all these series, as the plan numbers them.
	edges, days, windows []int
	// How far back from t the stream is looked at, and whether at the item
	// before that too.
	reach   event.Duration
	earlier bool
}

// textPlan is a text of the items that features tell apart.
type textPlan struct {
	name   string
	get    func(it *item) string
	levels map[string]int // to a number from 1; others are 0
	series []int          // of each level
}

// seriesPlan describes a series. It has the items of its parent that meet one
// thing more: a level of a text, a condition, or a known value in a field.
type seriesPlan struct {
	source
	parent int
	every  int                               // the series of the value of every item of the stream; 0 if none
	holds  func(it *item, t event.Time) bool // nil for every item
	field  field
	dated  bool
	needs  column
	reach  event.Duration // how far back from t it is looked at
}

type windowPlan struct {
	windowKey
	first, end int // edges; end is 0 for all items up to t
	whole      int // the window that this one is a share of; 0 for none
	days       int // of the items, from 1; 0 where nobody asks
}

// edge is where windows of a series begin or end: so long before t. Windows of
// values have those of the items that the values are of. Edge 0 is of no window.
type edge struct {
	series int
	back   event.Duration
}

// windowKey says that a window ends offset before t, and which text of the items
// is told apart in it.
type windowKey struct {
	series        int
	width, offset event.Duration
	text          int // number of the text in the stream; -1 for none
	share         share
}

// forever is longer than any history.
const forever = event.Duration(1) << 62

// window plans a window of a source for an aggregate and returns its number.
// Window 0 is of no series: it serves aggregates of the customer. Text names the
// text that the aggregate tells apart, if it does.
func (p *plan) window(from source, where condition, width, offset event.Duration, text string, a aggregate) int {
	if p.windows == nil {
		p.windows, p.edges = []windowPlan{{}}, []edge{{}}
		p.seriesOf, p.windowOf, p.edgeOf = map[source]int{}, map[windowKey]int{}, map[edge]int{}
	}
	s := p.one(from, where)
	p.series[s].needs |= a.needs
	p.extend(s, width+offset, a)
	key := windowKey{s, width, offset, -1, a.share}
	if text != "" {
		key.text = p.text(from.stream, text)
	}
	w, ok := p.windowOf[key]
	if !ok {
		w = len(p.windows)
		p.windowOf[key] = w
		items := s
		if from.field != "" {
			items = p.series[s].parent
		}
		plan := windowPlan{windowKey: key, first: p.edge(items, width+offset)}
		if offset != 0 {
			plan.end = p.edge(items, offset)
		}
		p.windows = append(p.windows, plan)
		st := p.stream(from.stream)
		st.windows = append(st.windows, w)
	}
	if a.days {
		p.windows[w].days = p.day(s, offset%event.Day, width+offset)
	}
	switch a.share {
	case ofCondition:
		from.where = ""
		p.windows[w].whole = p.window(from, condition{}, width, offset, text, aggregate{})
	case ofLevel:
		from.by, from.level = "", ""
		p.windows[w].whole = p.window(from, where, width, offset, text, aggregate{})
	}
	return w
}

// edge returns the number of an edge.
func (p *plan) edge(series int, back event.Duration) int {
	key := edge{series, back}
	e, ok := p.edgeOf[key]
	if !ok {
		e = len(p.edges)
		p.edgeOf[key] = e
		p.edges = append(p.edges, key)
		st := p.stream(p.series[series].stream)
		st.edges = append(st.edges, e)
	}
	return e
}

// day returns the number, from 1, of the days of a series that are looked at so
// far back.
func (p *plan) day(series int, before, reach event.Duration) int {
	i := slices.IndexFunc(p.days, func(d daysPlan) bool { return d.series == series && d.before == before })
	if i < 0 {
		i = len(p.days)
		p.days = append(p.days, daysPlan{series: series, before: before})
		st := p.stream(p.series[series].stream)
		st.days = append(st.days, i)
	}
	if d := &p.days[i]; p.edges[d.edge].back < reach {
		d.edge = p.edge(series, reach)
	}
	return i + 1
}

// extend makes a series, and what it is made of, reach back far enough.
func (p *plan) extend(s int, reach event.Duration, a aggregate) {
	st := p.stream(p.series[s].stream)
	reach += a.back
	if a.earlier && s == st.root {
		st.earlier = true
	} else if a.earlier {
		reach = forever // the one before may be anywhere
	}
	for ; ; s = p.series[s].parent {
		p.series[s].reach = max(p.series[s].reach, reach)
		if s == st.root {
			break
		}
	}
	st.reach = max(st.reach, reach)
}

// one returns the number of a series.
func (p *plan) one(from source, where condition) int {
	if s, ok := p.seriesOf[from]; ok {
		return s
	}
	plan, up := seriesPlan{source: from}, from
	switch {
	case from.field != "":
		plan.field = fields[from.stream][from.field]
		plan.dated = plan.field.dated
		up.field = ""
		if every := (source{stream: from.stream, field: from.field}); !plan.dated && from != every {
			plan.every = p.one(every, condition{})
		}
	case from.where != "":
		plan.holds, plan.dated = where.holds, where.dated
		up.where = ""
	case from.by != "":
		up.by, up.level = "", ""
	}
	root := up == from
	if !root {
		plan.parent = p.one(up, where)
		plan.dated = plan.dated || p.series[plan.parent].dated
	}
	s, st := len(p.series), p.stream(from.stream)
	switch {
	case root:
		st.root = s
	case from.field+from.where == "":
		st.texts[p.text(from.stream, from.by)].add(from.level, s)
	case plan.dated:
		st.dated = append(st.dated, s)
	default:
		st.fixed = append(st.fixed, s)
	}
	p.seriesOf[from] = s
	p.series = append(p.series, plan)
	return s
}

func (p *plan) stream(name string) *streamPlan {
	i := slices.IndexFunc(p.streams, func(s streamPlan) bool { return s.name == name })
	if i < 0 {
		i = len(p.streams)
		p.streams = append(p.streams, streamPlan{name: name})
	}
	return &p.streams[i]
}

// text returns the number of a text of the stream.
func (p *plan) text(stream, name string) int {
	st := p.stream(stream)
	i := slices.IndexFunc(st.texts, func(x textPlan) bool { return x.name == name })
	if i < 0 {
		i = len(st.texts)
		st.texts = append(st.texts, textPlan{name: name, get: textFields[stream][name], levels: map[string]int{}})
	}
	return i
}

// add gives a level its number and series.
func (x *textPlan) add(level string, series int) {
	x.series = append(x.series, series)
	x.levels[level] = len(x.series)
}
