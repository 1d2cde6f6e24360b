package features

import (
	"cmp"
	"slices"
	"strings"

	"churn/event"
)

// Census counts texts in training data, so that Lock can freeze levels. Add
// it only histories of training customers, cut at the last training instant:
// a level chosen with later data would be a leak.
type Census struct {
	set    *Set
	counts map[string]map[string]int
}

// NewCensus prepares counting for the set.
func NewCensus(s *Set) *Census { return &Census{set: s, counts: map[string]map[string]int{}} }

func (c *Census) count(key, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	m := c.counts[key]
	if m == nil {
		m = map[string]int{}
		c.counts[key] = m
	}
	m[text]++
}

// Add counts what was visible of a customer at t.
func (c *Census) Add(tl *event.Timeline, t event.Time) {
	for _, col := range c.set.Attributes {
		if col.Type == "category" {
			r := columnReader{name: col.Name, history: col.History}
			c.count("attribute "+col.Name, r.text(tl, t))
		}
	}
	done := map[string]bool{}
	for _, d := range c.set.Features {
		key := d.From + "." + d.By
		if d.By == "" || done[key] {
			continue
		}
		done[key] = true
		text := textFields[d.From][d.By]
		if text == nil {
			continue
		}
		var v view
		v.look(tl, d.From, t)
		for i := range v.at {
			c.count(key, text(v.item(int32(i))))
		}
	}
}

// AddValues counts one row of a wide table.
func (c *Census) AddValues(values map[string]string) {
	for _, col := range c.set.Columns {
		if col.Type == "category" {
			c.count("column "+col.Name, values[col.Name])
		}
	}
}

// top returns the n most frequent texts, ties in alphabetical order; never
// nil.
func (c *Census) top(key string, n int) []string {
	m := c.counts[key]
	texts := make([]string, 0, len(m))
	for t := range m {
		texts = append(texts, t)
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	return texts[:min(len(texts), max(n, 0))]
}

// maxLevels bounds the levels of a category; rarer texts share code -1.
const maxLevels = 254

// Lock returns a copy of the set with every level frozen. Levels that the
// declaration already names are kept.
func (s *Set) Lock(c *Census) *Set {
	out := &Set{Version: s.Version}
	lock := func(kind string, cols []Column) (locked []Column) {
		for _, col := range cols {
			if col.Type == "category" && col.Levels == nil {
				col.Levels = c.top(kind+" "+col.Name, maxLevels)
			}
			locked = append(locked, col)
		}
		return locked
	}
	out.Attributes = lock("attribute", s.Attributes)
	out.Columns = lock("column", s.Columns)
	for _, d := range s.Features {
		if d.By != "" && d.Levels == nil {
			// Never nil: "no level seen" is an answer too.
			d.Levels = c.top(d.From+"."+d.By, d.Top)
			d.Top = 0
		}
		out.Features = append(out.Features, d)
	}
	return out
}
