package features

import (
	"math"
	"strconv"
	"strings"
)

// Input is a column of a table that holds rows as they are, without events:
// of a wide table, or of a matrix of the features of histories. Input i is
// value i of a row.
type Input struct {
	Name string // of the column
	read columnReader
}

// Inputs lists the columns that a table needs for this engine, in the order of
// a row: for wide tables as the set names them, else by the names of features.
func (e *Engine) Inputs() []Input {
	inputs := make([]Input, len(e.features))
	for i := range e.features {
		f := &e.features[i]
		r := columnReader{name: f.Name, kind: f.Kind, missing: nan}
		if e.OfTable() {
			r = e.columns[i]
		} else if f.Kind == Category {
			r.codes = make(map[string]float64, len(f.Levels))
			for code, l := range f.Levels {
				r.codes[l] = float64(code)
			}
		}
		inputs[i] = Input{r.name, r}
	}
	return inputs
}

// Kind says whether the column holds numbers or categories.
func (in *Input) Kind() Kind { return in.read.kind }

// Verdict says what became of a cell.
type Verdict uint8

const (
	Fine Verdict = iota
	// Odd is a text that is no number, now missing, or a level that is not
	// known, now -1.
	Odd
	// Beyond is an infinity, or a number beyond those of a row. It is no value.
	Beyond
)

// Text reads a cell as Engine.Values does, but tells numbers that are too large
// from texts that are no numbers. It does not keep the text.
func (in *Input) Text(text string) (float32, Verdict) {
	text = strings.TrimSpace(text)
	if in.read.kind == Number && plainNumber(text) {
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return in.Number(v)
		}
	}
	v, ok := in.read.read(text)
	switch {
	case ok:
		return finite(v), Fine
	case in.read.kind == Category:
		return finite(v), Odd
	}
	if v, _ := strconv.ParseFloat(text, 64); math.IsInf(v, 0) || v != 0 {
		return float32(nan), Beyond // a number, and still refused
	}
	return finite(v), Odd
}

// Number takes a value of a column of numbers. NaN is missing.
func (in *Input) Number(v float64) (float32, Verdict) {
	f := float32(v)
	if math.IsInf(float64(f), 0) {
		return float32(nan), Beyond
	}
	if v != v {
		v = in.read.missing
	}
	return finite(v), Fine
}

// plainNumber tells whether a text has only what most numbers have, to be
// tried without looking for words first.
func plainNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != 'e' && c != '+' {
			return false
		}
	}
	return s != ""
}
