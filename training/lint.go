package training

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/event"
	"churn/features"
)

// Lint holds a feature set against data: it computes the rows of training in
// blocks and tells of features that say nothing, and of times that are not what
// the set takes them for. What the leak checks find in whole histories comes
// with it. An error is what would make the features wrong; a set that cannot be
// read does not come this far.
func Lint(ctx context.Context, src Source, p Plan) ([]Finding, error) {
	return lint(ctx, src, p, nil)
}

// lint is Lint that shows each block of rows to look, unless that is nil.
func lint(ctx context.Context, src Source, p Plan, look func(*Data)) ([]Finding, error) {
	if err := p.defaults(); err != nil {
		return nil, err
	}
	b := Build{Plan: p}
	times, split, err := b.instants()
	if err != nil {
		times = times[len(times)-1:] // rows can be looked at all the same
		split = Split{Train: times}
	}
	o := &Observer{Definition: p.Definition, Snapshots: times, Through: p.Through, HeldOut: p.HeldOut, Seed: p.Seed}
	engine, checks, err := prepare(ctx, src, &p, split, o)
	if err != nil {
		return nil, err
	}
	l := newLinter(engine, times)
	block := make(someHistories, 0, 256)
	flush := func() error {
		data, _, err := compute(ctx, block, o, engine, p.Workers, nil)
		if err == nil {
			l.rows(data)
			if look != nil {
				look(data)
			}
		}
		l.done += len(block)
		p.Progress("computing features", l.done, checks.customers)
		block = block[:0]
		return err
	}
	err = src.Timelines(ctx, func(tl *event.Timeline) error {
		l.history(tl)
		if block = append(block, tl); len(block) == cap(block) {
			return flush()
		}
		return ctx.Err()
	})
	if err = cmp.Or(err, flush()); err != nil {
		return nil, err
	}
	out := append(checks.findings(), l.findings()...)
	bySeverity(out)
	return out, nil
}

// linter looks at rows and histories as they pass.
type linter struct {
	engine  *features.Engine
	times   []event.Time
	done    int
	seen    int
	columns []lintColumn
	streams map[string]*lintStream
	// attributes counts customers who have the attribute.
	attributes map[string]int
	// changing counts rows of the attributes table that tell of one.
	changing map[string]int
}

// lintColumn is what is known of a column.
type lintColumn struct {
	missing  int
	low      float32
	high     float32
	hash     uint64 // of all values in their order
	present  int    // values at the last snapshot that are neither 0 nor missing
	lastCode []int  // of a category: rows of the last snapshot by level
}

// lintStream is what is known of the times of a stream.
type lintStream struct {
	events      int
	first       event.Time
	least, most event.Duration // from happening to being recorded
}

func newLinter(e *features.Engine, times []event.Time) *linter {
	l := &linter{engine: e, times: times, columns: make([]lintColumn, len(e.Features())),
		streams: map[string]*lintStream{}, attributes: map[string]int{}, changing: map[string]int{}}
	for i, f := range e.Features() {
		l.columns[i] = lintColumn{low: float32(math.Inf(1)), high: float32(math.Inf(-1)), lastCode: make([]int, len(f.Levels))}
	}
	for _, s := range []string{"engagement", "complaints", "payments", "contacts", "attributes"} {
		l.streams[s] = &lintStream{first: event.Never, least: math.MaxInt64}
	}
	return l
}

// history looks at the times of one customer.
func (l *linter) history(tl *event.Timeline) {
	for name, text := range tl.Customer.Attributes {
		if strings.TrimSpace(text) != "" {
			l.attributes[name]++
		}
	}
	for _, c := range tl.Changes {
		if strings.TrimSpace(c.Value) != "" {
			l.changing[c.Name]++
		}
	}
	var m []moment
	for _, stream := range event.Streams()[event.Engagements:] {
		m = moments(m[:0], tl, stream)
		s := l.streams[stream.String()]
		for i := range m {
			if m[i].stands {
				s.events++
				s.first = min(s.first, m[i].at)
			}
			if !m[i].revised {
				lag := m[i].recorded.Sub(m[i].at)
				s.least, s.most = min(s.least, lag), max(s.most, lag)
			}
		}
	}
}

// rows looks at the values of some observations.
func (l *linter) rows(d *Data) {
	last := l.times[len(l.times)-1]
	for i := range d.Observations {
		l.seen++
		for j, v := range d.Matrix.Row(i) {
			c := &l.columns[j]
			c.hash = (c.hash ^ uint64(math.Float32bits(v))) * 0x9e3779b97f4a7c15
			c.hash ^= c.hash >> 32
			if v != v {
				c.missing++
				continue
			}
			c.low, c.high = min(c.low, v), max(c.high, v)
			if d.Observations[i].At == last {
				if v != 0 {
					c.present++
				}
				if code := int(v); c.lastCode != nil && code >= 0 && code < len(c.lastCode) {
					c.lastCode[code]++
				}
			}
		}
	}
}

// findings draws the conclusions.
func (l *linter) findings() []Finding {
	var out []Finding
	warn := func(check, subject, format string, args ...any) {
		out = append(out, Finding{"warning", check, subject, fmt.Sprintf(format, args...)})
	}
	for _, a := range l.engine.Set().Attributes {
		switch {
		case a.History && l.changing[a.Name] == 0:
			out = append(out, Finding{"error", "unknown attribute", a.Name, fmt.Sprintf("no row of the attributes table says what %q is: is it spelled as in the data?", a.Name)})
		case !a.History && l.attributes[a.Name] == 0:
			out = append(out, Finding{"error", "unknown attribute", a.Name, fmt.Sprintf("no customer has an attribute %q: is it spelled as in the data?", a.Name)})
		}
	}
	if l.seen == 0 {
		warn("no rows", "snapshots", "no customer is observed at any snapshot: the features were not looked at; check the definition of churn")
		return append(out, l.timing()...)
	}
	equal := map[uint64]string{}
	for j, f := range l.engine.Features() {
		c := &l.columns[j]
		switch {
		case c.missing == l.seen:
			warn("always missing", f.Name, "%s is missing in all %d rows", f.Name, l.seen)
		case c.low == c.high && c.missing == 0:
			warn("constant", f.Name, "%s is %s in all %d rows", f.Name, f.Format(c.low), l.seen)
		case equal[c.hash] != "":
			warn("equal", f.Name, "%s equals %s in all %d rows", f.Name, equal[c.hash], l.seen)
		default:
			equal[c.hash] = f.Name
		}
		for code, n := range c.lastCode {
			if n == 0 {
				warn("level gone", f.Name, "%s: level %q does not occur at the last snapshot", f.Name, f.Levels[code])
			}
		}
	}
	return append(append(out, l.levels()...), l.timing()...)
}

// levels tells of levels with features of their own that none of them sees at
// the last snapshot.
func (l *linter) levels() []Finding {
	list, err := l.engine.Set().List()
	if err != nil {
		return nil // it was compiled
	}
	type level struct{ from, by, text string }
	var order []level
	alive := map[level]bool{}
	for j := range list {
		if list[j].By == "" {
			continue
		}
		k := level{list[j].From, list[j].By, list[j].Level}
		if _, known := alive[k]; !known {
			order = append(order, k)
		}
		alive[k] = alive[k] || l.columns[j].present > 0
	}
	var out []Finding
	for _, k := range order {
		if !alive[k] {
			out = append(out, Finding{"warning", "level gone", k.from + "." + k.by, fmt.Sprintf(
				"%s %q of %s does not occur within the windows before the last snapshot", k.by, k.text, k.from)})
		}
	}
	return out
}

// timing holds windows against the length of the history, and looks for times
// of recording that are not there.
func (l *linter) timing() []Finding {
	var out []Finding
	warn := func(check, subject, format string, args ...any) {
		out = append(out, Finding{"warning", check, subject, fmt.Sprintf(format, args...)})
	}
	windows := map[string][]event.Duration{}
	for _, d := range l.engine.Set().Features {
		if d.By != "" && len(d.Levels) == 0 {
			continue // no features came of it
		}
		windows[d.From] = append(windows[d.From], d.Windows...)
	}
	for _, stream := range sortedNames(windows) {
		s := l.streams[stream]
		switch {
		case s == nil: // the customer, or an expression
			continue
		case s.events == 0:
			warn("no events", stream, "there are no events of %s, which features are made from", stream)
			continue
		case s.least == s.most && s.most == 0:
			warn("no recorded time", stream, "every event of %s is recorded when it happened: without recorded_at, what came in late is taken as known at once; give recorded_at or a lag", stream)
		case s.least == s.most:
			warn("no recorded time", stream, "every event of %s is recorded %s after it happened: a lag stands in for recorded_at", stream, s.most)
		}
		var short []string
		slices.Sort(windows[stream])
		for _, w := range slices.Compact(windows[stream]) {
			n := 0
			for _, t := range l.times {
				if t.Sub(s.first) < w {
					n++
				}
			}
			if n > 0 {
				short = append(short, fmt.Sprintf("%s at %d", w, n))
			}
		}
		if short != nil {
			warn("window", stream, "windows over %s reach beyond its first event, %s, at some of the %d snapshots: %s", stream, s.first, len(l.times), strings.Join(short, ", "))
		}
	}
	return out
}
