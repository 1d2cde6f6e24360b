package features

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"churn/event"
)

// Limits of what is written for people.
const (
	maxSentence = 1000 // bytes of a declared sentence
	maxWords    = 100  // bytes of a family or unit
	maxShown    = 80   // characters of a text that comes from data
)

// sentences tell a value. The features of one declaration share them.
type sentences struct{ text, zero, missing sentence }

type keyed struct {
	key string
	*sentence
}

// keyed lists the sentences with the keys they are declared by.
func (s *sentences) keyed() [3]keyed {
	return [3]keyed{{"text", &s.text}, {"zero", &s.zero}, {"missing", &s.missing}}
}

// sentence is a text cut at its semicolons.
type sentence []clause

type clause []part

// part is a literal or a placeholder.
type part struct {
	literal   string
	name      string // in the braces; empty for a literal
	column    int    // of the feature that name is, or one of those below
	percent   bool
	one, many string // what follows the number 1, and any other
}

// What a part is when it is no other feature.
const (
	literalPart = -1 - iota
	valuePart   // {value}
	windowPart  // {w}
	levelPart   // {by}
)

var placeholder = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_.\-]*)(?: (%)| ([^{}| ][^{}|]*)\|([^{}|]+))?\}`)

// parseSentence reads a declared text. Texts that come from data are put in
// when the sentence is written, so braces in them mean nothing.
func parseSentence(text string) (sentence, error) {
	if len(text) > maxSentence {
		return nil, fmt.Errorf("longer than %d bytes", maxSentence)
	}
	if text == "" {
		return nil, nil
	}
	var s sentence
	for rest := range strings.SplitSeq(text, ";") {
		var c clause
		for rest != "" {
			i := strings.IndexAny(rest, "{}")
			if i < 0 {
				i = len(rest)
			}
			if i > 0 {
				c = append(c, part{literal: rest[:i], column: literalPart})
				rest = rest[i:]
				continue
			}
			m := placeholder.FindStringSubmatch(rest)
			if m == nil {
				return nil, fmt.Errorf("%.40q: in braces stands value, w, by or the name of a feature, alone or as in {value day|days} or {value %%}", rest)
			}
			c = append(c, part{name: m[1], percent: m[2] != "", one: m[3], many: m[4]})
			rest = rest[len(m[0]):]
		}
		s = append(s, c)
	}
	return s, nil
}

// wording is what a declaration says about telling its values.
type wording struct{ family, unit, text, zero, missing string }

// tell compiles the sentences of a declaration. The features they name may be
// declared later: see resolve.
func (e *Engine) tell(owner string, w wording) (*sentences, error) {
	if len(w.family) > maxWords || len(w.unit) > maxWords {
		return nil, fmt.Errorf("family or unit is longer than %d bytes", maxWords)
	}
	s := &sentences{}
	for i, k := range s.keyed() {
		var err error
		if *k.sentence, err = parseSentence([3]string{w.text, w.zero, w.missing}[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", k.key, err)
		}
	}
	e.told = append(e.told, told{owner, s})
	return s, nil
}

// told is the sentences of a declaration whose names are not resolved yet.
type told struct {
	owner string
	*sentences
}

// resolve finds the features that sentences name, once all are declared.
func (e *Engine) resolve() error {
	said := map[*sentences]*Feature{}
	for i := range e.features {
		said[e.features[i].said] = &e.features[i]
	}
	for _, t := range e.told {
		f := said[t.sentences]
		if f == nil {
			f = &Feature{Window: 1, level: " "} // no level was seen: there is nothing to tell
		}
		for _, k := range t.keyed() {
			for _, c := range *k.sentence {
				for i := range c {
					if err := e.find(&c[i], f); err != nil {
						return fmt.Errorf("%s: %s: %w", t.owner, k.key, err)
					}
				}
			}
		}
	}
	e.told = nil
	return nil
}

// find resolves one placeholder in a sentence of f.
func (e *Engine) find(p *part, f *Feature) error {
	g := f
	switch p.name {
	case "":
		return nil
	case "w", "by":
		p.column = windowPart
		if p.name == "by" {
			p.column = levelPart
		}
		if p.column == windowPart && f.Window == 0 || p.column == levelPart && f.level == "" || p.percent || p.many != "" {
			return fmt.Errorf("{%s}: w needs windows, by needs levels, and both stand alone", p.name)
		}
		return nil
	case "value":
		p.column = valuePart
	default:
		i, ok := e.index[p.name]
		// What levels there are is known after training only.
		if !ok || e.features[i].level != "" {
			return fmt.Errorf("{%s}: no feature of this name is declared; those made by level cannot be named", p.name)
		}
		p.column, g = i, &e.features[i]
	}
	if g.Kind == Category && (p.percent || p.many != "") {
		return fmt.Errorf("{%s}: a category is no number", p.name)
	}
	return nil
}

// Sentence says in words what a row has in a column. It may tell of other
// columns beside; a clause after a semicolon is left out if one of them is
// missing.
func (e *Engine) Sentence(column int, row []float32) string {
	var buf [256]byte
	f, x := &e.features[column], row[column]
	s, missing := f.said.text, x != x
	switch {
	case missing:
		s = f.said.missing
	case f.said.zero != nil && string(f.append(buf[:0], x)) == "0":
		s = f.said.zero
	}
	if s == nil {
		out := append(buf[:0], strings.ReplaceAll(f.Name, "_", " ")...)
		out = f.append(append(out, ": "...), x)
		if f.Unit != "" && !missing {
			out = append(append(out, ' '), f.Unit...)
		}
		return string(out)
	}
	out := buf[:0]
	for i, c := range s {
		if i > 0 {
			if c.unknown(row) {
				continue
			}
			out = append(out, ';')
		}
		for j := range c {
			switch p := &c[j]; p.column {
			case literalPart:
				out = append(out, p.literal...)
			case windowPart:
				out = append(out, f.window...)
			case levelPart:
				out = append(out, f.level...)
			case valuePart:
				out = p.append(out, f, x)
			default:
				out = p.append(out, &e.features[p.column], row[p.column])
			}
		}
	}
	return string(out)
}

// unknown tells whether a clause names another feature that is missing.
func (c clause) unknown(row []float32) bool {
	for i := range c {
		if j := c[i].column; j >= 0 && row[j] != row[j] {
			return true
		}
	}
	return false
}

// append writes a value as the placeholder wants it.
func (p *part) append(out []byte, f *Feature, x float32) []byte {
	if x != x {
		return append(out, unknown...)
	}
	if p.percent {
		return append(appendShort(out, 100*float64(x)), '%')
	}
	from := len(out)
	out = f.append(out, x)
	if p.many == "" {
		return out
	}
	word := p.many
	if string(out[from:]) == "1" {
		word = p.one
	}
	return append(append(out, ' '), word...)
}

const unknown = "unknown"

// Format writes a value of the feature for people.
func (f *Feature) Format(x float32) string {
	var buf [64]byte
	return string(f.append(buf[:0], x))
}

func (f *Feature) append(out []byte, x float32) []byte {
	v := float64(x)
	size := math.Abs(v)
	switch {
	case v != v:
		return append(out, unknown...)
	case f.Kind == Category:
		if v >= 0 && v < float64(len(f.Levels)) {
			return append(out, shown(f.Levels[int(v)])...)
		}
		return append(out, "other"...)
	case size >= 1e15: // infinite too
		return strconv.AppendFloat(out, v, 'g', 3, 64)
	case f.Unit == "days" || f.Unit == "hours":
		return appendShort(out, v)
	case v == 0:
		return append(out, '0') // and not -0
	case v == math.Trunc(v) && size < 1e9, size >= 100:
		return strconv.AppendFloat(out, v, 'f', 0, 64)
	case size >= 1e-6 && size < 1e-4:
		return strconv.AppendFloat(out, v, 'f', 6, 64) // people do not read 1e-05
	}
	return strconv.AppendFloat(out, v, 'g', 3, 64)
}

// appendShort writes whole numbers from 10 on and at most one decimal below.
func appendShort(out []byte, v float64) []byte {
	if math.Abs(v) >= 1e15 {
		return strconv.AppendFloat(out, v, 'g', 3, 64)
	}
	if tenths := math.Round(v*10) / 10; math.Abs(tenths) < 10 && tenths != math.Trunc(tenths) {
		return strconv.AppendFloat(out, tenths, 'f', 1, 64)
	}
	v = math.Round(v)
	if v == 0 {
		return append(out, '0')
	}
	return strconv.AppendFloat(out, v, 'f', 0, 64)
}

// inDays writes a window for people.
func inDays(w event.Duration) string {
	if w == event.Day {
		return "1 day"
	}
	return windowName(w) + " days"
}

// shown cuts a text that comes from data and blanks its control characters,
// which could turn a terminal or a table upside down.
func shown(s string) string {
	if cut := runes(s, maxShown); cut < len(s) {
		s = s[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

// runes returns the length in bytes of the first n characters.
func runes(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at
}
