package features

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"churn/event"
)

// columnReader reads a text as a number or a category code.
type columnReader struct {
	name  string
	kind  Kind
	codes map[string]float64
	// moves tells that the value is another one at each instant: an attribute
	// with a history, a date, or both.
	moves, history, date bool
	missing              float64 // what stands for no value
}

func (e *Engine) addColumn(c Column, prefix string) error {
	owner := fmt.Sprintf("column %q", c.Name)
	said, err := e.tell(owner, wording{c.Family, c.Unit, c.Text, c.Zero, c.Missing})
	if err != nil {
		return fmt.Errorf("%s: %w", owner, err)
	}
	fill, err := filled(c.Fill)
	if err != nil {
		return fmt.Errorf("%s: %w", owner, err)
	}
	r := columnReader{name: c.Name, history: c.History, date: c.Type == "date", missing: nan}
	if fill.fills {
		r.missing = fill.fill
	}
	r.moves = r.history || r.date
	f := Feature{Name: e.free(prefix + SafeName(c.Name)), Family: c.Family, Unit: c.Unit, said: said}
	if r.moves && prefix == "" {
		return fmt.Errorf("%s: a wide table has no history and no dates: make days of them", owner)
	}
	switch c.Type {
	case "number", "date":
		if c.Levels != nil {
			return fmt.Errorf("column %q: a %s has no levels", c.Name, c.Type)
		}
		if r.date {
			f.Unit = orElse(f.Unit, "days")
		}
	case "category":
		if c.Levels == nil {
			return fmt.Errorf("column %q: levels are not frozen", c.Name)
		}
		if c.Zero != "" || c.Fill != nil {
			return fmt.Errorf("column %q: a category has no zero and no fill", c.Name)
		}
		if len(c.Levels) > maxLevels {
			return fmt.Errorf("column %q: more than %d levels", c.Name, maxLevels)
		}
		if err := checkLevels(c.Levels); err != nil {
			return fmt.Errorf("column %q: %w", c.Name, err)
		}
		r.kind, f.Kind, f.Levels = Category, Category, c.Levels
		r.codes = make(map[string]float64, len(c.Levels))
		for i, l := range c.Levels {
			r.codes[l] = float64(i)
		}
	default:
		return fmt.Errorf("column %q: type %q: use number or category, or date for an attribute", c.Name, c.Type)
	}
	e.columns = append(e.columns, r)
	return e.add(f, step{attribute: &r})
}

// asOf reads an attribute as it was known at t.
func (r *columnReader) asOf(tl *event.Timeline, t event.Time) float64 {
	text := r.text(tl, t)
	if !r.date {
		v, _ := r.read(text)
		return v
	}
	at, err := event.ParseTime(strings.TrimSpace(text))
	if err != nil {
		return r.missing
	}
	return scale(int64(at.Sub(t)), perDay)
}

// text is what an attribute was at t.
func (r *columnReader) text(tl *event.Timeline, t event.Time) string {
	if !r.history {
		return tl.Customer.Attributes[r.name]
	}
	if c := r.change(tl, t); c != nil {
		return c.Value
	}
	return ""
}

// change is the last change of an attribute that had come and was known at t.
func (r *columnReader) change(tl *event.Timeline, t event.Time) *event.AttributeChange {
	for i := len(tl.Changes) - 1; i >= 0; i-- {
		if c := &tl.Changes[i]; c.Name == r.name && event.Visible(c.At, c.Recorded, t) && event.Stands(c.Superseded, t) {
			return c
		}
	}
	return nil
}

func checkLevels(levels []string) error {
	seen := map[string]bool{}
	for _, l := range levels {
		switch {
		case l == "":
			return fmt.Errorf("a level is empty: an empty text is missing")
		case !utf8.ValidString(l):
			return fmt.Errorf("level %q is not valid UTF-8", l)
		case seen[l]:
			return fmt.Errorf("level %q appears twice", l)
		}
		seen[l] = true
	}
	return nil
}

// read turns a text into a number or code. An empty text is no value. ok is
// false for a text that is no number, and for a level that is not known.
func (r *columnReader) read(text string) (v float64, ok bool) {
	if strings.TrimSpace(text) == "" {
		return r.missing, true
	}
	if r.kind == Category {
		if code, ok := r.codes[text]; ok {
			return code, true
		}
		return -1, false
	}
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "true", "yes":
		return 1, true
	case "false", "no":
		return 0, true
	case "na", "nan", "null":
		return r.missing, true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) || math.IsInf(float64(float32(v)), 0) {
		return r.missing, false
	}
	return v, true
}

// Values writes a row from the texts of a wide table's columns, by column
// name. It returns the columns whose text is no number or an unknown level;
// they became missing or code -1.
func (e *Engine) Values(dst []float32, values map[string]string) (odd []string) {
	for i := range e.columns {
		v, ok := e.columns[i].read(values[e.columns[i].name])
		if !ok {
			odd = append(odd, e.columns[i].name)
		}
		dst[i] = finite(v)
	}
	return odd
}
