package training

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"churn/event"
	"churn/features"
)

// clock is what is known of the times of a stream.
type clock struct {
	events  int
	minutes [24 * 60]int // events by minute of the day
}

const (
	minClockEvents = 100
	dayShare       = 0.99 // of the events at one minute, or two: the times are days
)

// clocks looks at when things happened, in one pass over all histories.
type clocks struct {
	begins  map[string]event.Time // by stream
	streams map[string]*clock
}

func newClocks() *clocks {
	return &clocks{begins: map[string]event.Time{}, streams: map[string]*clock{}}
}

// add looks at one customer.
func (c *clocks) add(tl *event.Timeline) {
	// Of a payment due, the due date is a day in any data.
	note := func(stream string, at, superseded event.Time) {
		if superseded != 0 || at == event.Never {
			return
		}
		s := c.streams[stream]
		if s == nil {
			s = &clock{}
			c.streams[stream], c.begins[stream] = s, at
		}
		c.begins[stream] = min(c.begins[stream], at)
		s.events++
		day := event.Time(event.Day)
		s.minutes[(at%day+day)%day/event.Time(event.Minute)]++
	}
	for i := range tl.Engagements {
		note("engagement", tl.Engagements[i].At, tl.Engagements[i].Superseded)
	}
	for i := range tl.Complaints {
		note("complaints", tl.Complaints[i].At, tl.Complaints[i].Superseded)
	}
	for i := range tl.Payments {
		note("payments", tl.Payments[i].PaidAt, tl.Payments[i].Superseded)
	}
	for i := range tl.Contacts {
		note("contacts", tl.Contacts[i].At, tl.Contacts[i].Superseded)
	}
	for i := range tl.Changes {
		note("attributes", tl.Changes[i].At, tl.Changes[i].Superseded)
	}
}

// findings tells of streams whose times are days: at one minute of the day, or at
// two where a local midnight moves with summer time.
func (c *clocks) findings() []Finding {
	var out []Finding
	for _, stream := range sortedNames(c.streams) {
		s := c.streams[stream]
		if stream == "attributes" || s.events < minClockEvents {
			continue
		}
		order := make([]int, len(s.minutes))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.minutes[b], s.minutes[a]) })
		most, at := 0, []string{}
		for _, minute := range order[:2] {
			if n := s.minutes[minute]; n > 0 {
				most += n
				at = append(at, fmt.Sprintf("%02d:%02d", minute/60, minute%60))
			}
		}
		if float64(most) < dayShare*float64(s.events) {
			continue
		}
		out = append(out, Finding{"warning", "times are days", stream, fmt.Sprintf(
			"%d of %d times of %s are at %s UTC: they are days, and what happened on the day of a snapshot may count as known before it; give times, or a lag",
			most, s.events, stream, strings.Join(at, " or "))})
	}
	return out
}

// timeFeatures are the columns that are time itself: they differ between two
// periods whatever the customers do.
type timeFeatures struct {
	columns []bool
	unknown string // why they cannot be told, or nothing
}

// timeFeaturesOf finds them: tenure, dates, the calendar, windows that reach back
// beyond the first event of their stream at the first snapshot of training, and
// expressions of any of these.
func timeFeaturesOf(set *features.Set, begins map[string]event.Time, first event.Time) (timeFeatures, error) {
	list, err := set.List()
	if err != nil {
		return timeFeatures{}, err
	}
	t := timeFeatures{columns: make([]bool, len(list))}
	named := map[string]bool{}
	for j := range list {
		l := &list[j]
		begin, known := begins[l.From]
		switch {
		case l.From == "calendar":
			t.columns[j] = true
		case l.Window > 0:
			t.columns[j] = known && first.Sub(begin) < l.Window
		}
	}
	for j, c := range set.Attributes { // these come first
		t.columns[j] = t.columns[j] || c.Type == "date"
	}
	for _, d := range set.Features {
		if d.From == "customer" && d.Agg == "tenure" {
			named[d.Name] = true
		}
	}
	formulas := map[string]string{}
	for _, d := range set.Features {
		if d.Expr != "" {
			formulas[d.Name] = d.Expr
		}
	}
	for j := range list { // an expression comes after what it is made of
		name := list[j].Name
		if t.columns[j] = t.columns[j] || named[name] || mentions(formulas[name], named); t.columns[j] {
			named[name] = true
		}
	}
	return t, nil
}

// mentions tells whether a formula has one of the names in it.
func mentions(formula string, names map[string]bool) bool {
	letter := func(c byte) bool {
		return c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for i := 0; i < len(formula); i++ {
		start := i
		for i < len(formula) && letter(formula[i]) {
			i++
		}
		if names[formula[start:i]] {
			return true
		}
	}
	return false
}
