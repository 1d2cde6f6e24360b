package features

import (
	"cmp"
	"slices"

	"churn/event"
)

// Workspace is the memory of one goroutine that computes rows. Its zero value
// is ready for every engine, and it holds as much as the longest history took.
type Workspace struct {
	engine   *Engine
	timeline *event.Timeline
	streams  []stream
	series   []series
	windows  []window
	edges    []int // places where windows begin or end, as the plan numbers them
	days     []days
	places   []int32 // 0, 1, 2, …
	row      []float64
	order    []int // of instants
	args     [4]float64
	marks    []mark
	round    int
	sorted   []int64
}

// stream is one stream of a history as of the instant.
type stream struct {
	*streamPlan
	view  view
	texts []texts
	empty bool // and so are its series and windows
}

// mark is what an aggregate noted of a text in a round.
type mark struct {
	round        int
	n            int
	last, before event.Time
}

// unmarked begins a round in which none of the texts is marked yet.
func (w *Workspace) unmarked(x *texts) []mark {
	w.round++
	n := len(x.level)
	w.marks = slices.Grow(w.marks[:0], n)[:n]
	return w.marks
}

// Row writes the row of a customer as of t to dst, which has one value per
// feature.
func (e *Engine) Row(dst []float32, tl *event.Timeline, t event.Time) {
	e.Rows(dst, tl, []event.Time{t}, nil)
}

// Rows writes the rows of a customer as of several instants to dst, one after
// the other. The instants may have any order; ascending ones take one pass over
// the history. Without a workspace one is borrowed.
//
// The order of a history is that of event.NewTimeline.
func (e *Engine) Rows(dst []float32, tl *event.Timeline, times []event.Time, w *Workspace) {
	if w == nil {
		if w, _ = e.idle.Get().(*Workspace); w == nil {
			w = new(Workspace)
		}
		e.Rows(dst, tl, times, w)
		e.idle.Put(w)
		return
	}
	n := len(e.features)
	dst = dst[:n*len(times)]
	w.begin(e, tl)
	for i, k := range w.ascending(times) {
		if i == 0 {
			w.skip(times[k])
		}
		w.look(times[k])
		for i := range e.steps {
			st := &e.steps[i]
			switch {
			case st.fn != nil:
				w.row[i] = st.fn(&w.windows[st.window])
			case st.expr != nil:
				w.row[i] = st.expr.eval(w.row, &w.args)
			case st.attribute.moves:
				w.row[i] = st.attribute.asOf(tl, times[k])
			}
			if st.fills && w.row[i] != w.row[i] {
				w.row[i] = st.fill
			}
		}
		row := dst[k*n : (k+1)*n]
		for i, v := range w.row {
			row[i] = finite(v)
		}
	}
	w.end()
}

// finite rounds to float32. What is no number there is missing, always with
// the same bits: processors differ in those of 0/0.
func finite(v float64) float32 {
	f := float32(v)
	if zero := f - f; zero != zero {
		return float32(nan)
	}
	return f
}

// begin makes room for an engine and takes up a history.
func (w *Workspace) begin(e *Engine, tl *event.Timeline) {
	if w.engine != e {
		w.bind(e)
	}
	w.timeline = tl
	for i := range e.columns { // come first in a row
		if a := &e.columns[i]; !a.moves {
			// A text that is not a number is missing here; the reader of a wide
			// table reports it, see Values.
			w.row[i], _ = a.read(tl.Customer.Attributes[a.name])
		}
	}
}

// bind makes the columns that the plan of an engine asks for.
func (w *Workspace) bind(e *Engine) {
	p := &e.plan
	*w = Workspace{engine: e, row: make([]float64, len(e.steps)), order: w.order,
		streams: make([]stream, len(p.streams)), series: make([]series, len(p.series)),
		windows: make([]window, max(1, len(p.windows))), edges: make([]int, len(p.edges)), days: make([]days, len(p.days))}
	at := map[string]*stream{}
	for i := range p.streams {
		st := &w.streams[i]
		st.streamPlan = &p.streams[i]
		st.texts = make([]texts, len(st.streamPlan.texts))
		for j := range st.texts {
			st.texts[j].textPlan = &st.streamPlan.texts[j]
			st.texts[j].reset()
		}
		at[st.name] = st
	}
	for i := range p.series {
		s := &w.series[i]
		s.seriesPlan = &p.series[i]
		s.stream = at[s.source.stream]
		if s.every > 0 {
			s.all = &w.series[s.every]
		}
		if i != s.stream.root {
			s.parent = &w.series[s.seriesPlan.parent]
		}
		if s.field.get != nil {
			s.known = []int32{0}
		}
		if s.field.get != nil || s.needs&ofGaps != 0 {
			s.value = []int64{}
		}
		if s.needs&(ofSums|ofSquares) != 0 {
			s.sum = []int128{{}}
		}
		if s.needs&ofSquares != 0 {
			s.square = []int128{{}}
		}
	}
	for i, d := range p.days {
		w.days[i] = days{series: &w.series[d.series], before: d.before, upTo: []tally{{}}}
	}
	for i := range w.windows {
		w.windows[i].workspace = w
		if i == 0 {
			continue
		}
		win, plan := &w.windows[i], &p.windows[i]
		win.width, win.offset = plan.width, plan.offset
		win.edges = [2]int{plan.first, plan.end}
		win.series, win.whole = &w.series[plan.series], &w.windows[plan.whole]
		if plan.days > 0 {
			win.days = &w.days[plan.days-1]
		}
		if plan.text >= 0 {
			win.text = &win.series.stream.texts[plan.text]
		}
	}
}

// ascending returns the order of instants.
func (w *Workspace) ascending(times []event.Time) []int {
	w.order = w.order[:0]
	for i := range times {
		w.order = append(w.order, i)
	}
	if !slices.IsSorted(times) {
		slices.SortFunc(w.order, func(a, b int) int { return cmp.Compare(times[a], times[b]) })
	}
	return w.order
}

// skip leaves out what is too old for the first instant.
func (w *Workspace) skip(t event.Time) {
	for i := range w.streams {
		w.streams[i].view.skip(w.timeline, w.streams[i].streamPlan, t)
	}
}

// look brings every series and window to t, which is not before the last one.
func (w *Workspace) look(t event.Time) {
	w.windows[0].t = t
	for i := range w.streams {
		st := &w.streams[i]
		same := st.view.look(w.timeline, st.name, t)
		n := len(st.view.at)
		if n == 0 && st.empty {
			continue
		}
		st.empty = n == 0
		w.take(st, same)
		for _, s := range st.fixed {
			w.series[s].grow(same, t)
		}
		for _, s := range st.dated {
			w.series[s].redo(t)
		}
		w.place(st, t)
	}
}

// place finds where the windows of a stream begin and end.
func (w *Workspace) place(st *stream, t event.Time) {
	plan := &w.engine.plan
	for _, i := range st.edges {
		e := &plan.edges[i]
		s := &w.series[e.series]
		w.edges[i] = s.seek(min(w.edges[i], s.kept), t.Add(-e.back))
	}
	for _, i := range st.days {
		w.days[i].look(t, w.edges[plan.days[i].edge])
	}
	for _, i := range st.windows {
		win := &w.windows[i]
		s := win.series
		win.t = t.Add(-win.offset)
		win.first, win.end = s.from(w.edges[win.edges[0]]), s.length()
		if win.offset != 0 {
			win.end = s.from(w.edges[win.edges[1]])
		}
	}
}

// take adds what is new in the view to the series of all items and to those of
// levels.
func (w *Workspace) take(st *stream, same int) {
	for i := range st.texts {
		st.texts[i].read(&st.view, same)
	}
	n, root := len(st.view.at), &w.series[st.root]
	for len(w.places) < n {
		w.places = append(w.places, int32(len(w.places)))
	}
	root.cut(same)
	root.at, root.item = st.view.at, w.places[:n]
	root.fill()
	for i := range st.texts {
		x := &st.texts[i]
		if len(x.series) == 0 {
			continue
		}
		for _, s := range x.series {
			w.series[s].keep(same)
		}
		for place, code := range x.codes[same:] {
			if level := x.level[code]; level > 0 {
				s := &w.series[x.series[level-1]]
				s.at, s.item = append(s.at, st.view.at[same+place]), append(s.item, int32(same+place))
			}
		}
		for _, s := range x.series {
			w.series[s].fill()
		}
	}
}

// end lets go of the history.
func (w *Workspace) end() {
	w.timeline = nil
	for i := range w.streams {
		st := &w.streams[i]
		st.view.forget()
		for j := range st.texts {
			st.texts[j].reset()
		}
	}
}
