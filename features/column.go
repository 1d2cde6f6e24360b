package features

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// columnReader reads a text as a number or a category code.
type columnReader struct {
	name  string
	kind  Kind
	codes map[string]float64
}

func (e *Engine) addColumn(c Column, prefix string) error {
	owner := fmt.Sprintf("column %q", c.Name)
	said, err := e.tell(owner, wording{c.Family, c.Unit, c.Text, c.Zero, c.Missing})
	if err != nil {
		return fmt.Errorf("%s: %w", owner, err)
	}
	r := columnReader{name: c.Name}
	f := Feature{Name: e.free(prefix + SafeName(c.Name)), Family: c.Family, Unit: c.Unit, said: said}
	switch c.Type {
	case "number":
		if c.Levels != nil {
			return fmt.Errorf("column %q: a number has no levels", c.Name)
		}
	case "category":
		if c.Levels == nil {
			return fmt.Errorf("column %q: levels are not frozen", c.Name)
		}
		if c.Zero != "" {
			return fmt.Errorf("column %q: a category has no zero", c.Name)
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
		return fmt.Errorf("column %q: type %q: use number or category", c.Name, c.Type)
	}
	e.columns = append(e.columns, r)
	return e.add(f, step{attribute: &r})
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

// read turns a text into a number or code. An empty text is missing. ok is
// false for a text that is no number, and for a level that is not known.
func (r *columnReader) read(text string) (v float64, ok bool) {
	if strings.TrimSpace(text) == "" {
		return nan, true
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
		return nan, true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) || math.IsInf(float64(float32(v)), 0) {
		return nan, false
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
