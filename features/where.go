package features

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"churn/event"
)

// condition tells whether an item counts, as of t; holds is nil where all do.
type condition struct {
	holds func(it *item, t event.Time) bool
	dated bool // what holds may be another answer at another t
}

var comparison = regexp.MustCompile(`^([a-z_]+)\s*(==|!=|>=|<=|>|<)\s*(.+)$`)

// parseWhere reads terms joined by " and ": a state of the stream ("open",
// "late", "failed"), possibly after "not", or a comparison of a field with a
// number or a quoted text. No text is no condition.
func parseWhere(stream, text string) (condition, error) {
	if text == "" {
		return condition{}, nil
	}
	var terms []condition
	dated := false
	for _, term := range splitTerms(text) {
		c, err := parseTerm(stream, strings.TrimSpace(term))
		if err != nil {
			return condition{}, fmt.Errorf("where %q: %w", text, err)
		}
		terms = append(terms, c)
		dated = dated || c.dated
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return condition{func(it *item, t event.Time) bool {
		for i := range terms {
			if !terms[i].holds(it, t) {
				return false
			}
		}
		return true
	}, dated}, nil
}

// splitTerms splits at the word and, which may also be part of a quoted text.
func splitTerms(text string) []string {
	var terms []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], " and "):
			terms = append(terms, text[start:i])
			start = i + len(" and ")
			i = start - 1
		}
	}
	return append(terms, text[start:])
}

func parseTerm(stream, term string) (condition, error) {
	if name, ok := strings.CutPrefix(term, "not "); ok {
		c, err := parseTerm(stream, strings.TrimSpace(name))
		if err != nil {
			return condition{}, err
		}
		return condition{func(it *item, t event.Time) bool { return !c.holds(it, t) }, c.dated}, nil
	}
	if s := states[stream][term]; s != nil {
		return condition{s, true}, nil
	}
	m := comparison.FindStringSubmatch(term)
	if m == nil {
		return condition{}, fmt.Errorf("%q is neither a state of %s (%s) nor a comparison such as severity >= 4",
			term, stream, names(states[stream]))
	}
	name, op, literal := m[1], m[2], m[3]
	if get := textFields[stream][name]; get != nil {
		want, err := strconv.Unquote(literal)
		if err != nil || literal[0] != '"' || op != "==" && op != "!=" {
			return condition{}, fmt.Errorf("%s is a text: compare it as %s == %q", name, name, "text")
		}
		return condition{func(it *item, _ event.Time) bool { return (get(it) == want) == (op == "==") }, false}, nil
	}
	f, ok := fields[stream][name]
	if !ok {
		return condition{}, fmt.Errorf("%s has no field %q; it has %s, %s", stream, name, names(fields[stream]), names(textFields[stream]))
	}
	number, err := event.ParseAmount(literal)
	if err != nil {
		return condition{}, fmt.Errorf("%q: %w", literal, err)
	}
	// Both sides in whole sub-units, so that the comparison is exact. A
	// millionth of an hour or day is a whole number of those too.
	per := f.per / perUnit
	if number > event.Amount(math.MaxInt64/per) || number < event.Amount(math.MinInt64/per) {
		return condition{}, fmt.Errorf("%q is out of range", literal)
	}
	want := int64(number) * per
	return condition{func(it *item, t event.Time) bool {
		v, ok := f.get(it, t)
		if !ok {
			return false
		}
		switch op {
		case "==":
			return v == want
		case "!=":
			return v != want
		case ">=":
			return v >= want
		case "<=":
			return v <= want
		case ">":
			return v > want
		}
		return v < want
	}, f.dated}, nil
}
