package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"churn/event"
	tables "churn/features/table"
	"churn/model"
)

// notMeasured stands where there is no number: empty in CSV, null elsewhere.
var notMeasured = math.NaN()

// scored is one row of output.
type scored struct {
	customer string
	score    model.Score // by value: a pointer in here would be on the heap
	asOf     event.Time  // Never: a table has none
	version  string
	reasons  []model.Reason
	columns  int // reasons that there may be
}

// Columns in front of the reasons, in all formats but that of JSON the same.
var scoreColumns = []tables.Field{
	{Name: "customer_id"}, {Name: "churn_probability", Type: tables.Number}, {Name: "percentile", Type: tables.Number},
	{Name: "risk_band"}, {Name: "margin", Type: tables.Number}, {Name: "as_of", Type: tables.Instant}, {Name: "model_version"},
	{Name: "churn_probability_low", Type: tables.Number}, {Name: "churn_probability_high", Type: tables.Number},
}

// scores is the output of one batch: text, or columns of Parquet.
type scores struct {
	rows    int
	text    []byte
	columns []tables.Values
}

func (o *scores) reset() {
	o.rows, o.text = 0, o.text[:0]
	for i := range o.columns {
		c := &o.columns[i]
		clear(c.Texts)
		c.Texts, c.Numbers, c.Instants = c.Texts[:0], c.Numbers[:0], c.Instants[:0]
	}
}

func (o *scores) add(format string, r *scored) {
	o.rows++
	switch format {
	case "csv":
		o.text = appendCSVRow(o.text, r)
	case "ndjson":
		o.text = appendJSONRow(o.text, r)
	default:
		o.addColumns(r)
	}
}

func appendCSVRow(dst []byte, r *scored) []byte {
	s := &r.score
	low, high := interval(s)
	dst = append(appendCell(dst, safeCell(r.customer)), ',')
	dst = append(appendNumber(dst, round(s.Probability)), ',')
	dst = append(appendNumber(dst, s.Percentile), ',')
	dst = append(appendCell(dst, s.Band), ',')
	dst = append(appendNumber(dst, s.Margin), ',')
	dst = append(appendAsOf(dst, r.asOf), ',')
	dst = append(appendCell(dst, r.version), ',')
	dst = append(appendNumber(dst, round(low)), ',')
	dst = appendNumber(dst, round(high))
	for i := range r.columns {
		dst = append(dst, ',')
		if i < len(r.reasons) {
			dst = appendCell(dst, safeCell(sentence(&r.reasons[i])))
		}
	}
	return append(dst, '\n')
}

func sentence(r *model.Reason) string {
	if r.Unstable {
		return r.Text + " (" + r.Direction + ", unstable)"
	}
	return r.Text + " (" + r.Direction + ")"
}

// appendNumber writes a number as CSV has it.
func appendNumber(dst []byte, v float64) []byte {
	if v != v {
		return dst
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

func appendAsOf(dst []byte, t event.Time) []byte {
	if t == event.Never {
		return dst
	}
	return append(dst, t.String()...)
}

// appendCell quotes where encoding/csv would.
func appendCell(dst []byte, s string) []byte {
	first, _ := utf8.DecodeRuneInString(s)
	if s == "" || s != `\.` && !strings.ContainsAny(s, ",\"\r\n") && !unicode.IsSpace(first) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			return append(append(dst, s...), '"')
		}
		dst = append(append(dst, s[:i]...), `""`...)
		s = s[i+1:]
	}
}

// round keeps what is meaningful of a probability.
func round(p float64) float64 { return math.Round(p*1e6) / 1e6 }

// safeCell keeps a spreadsheet from taking a text for a formula.
func safeCell(s string) string {
	if s != "" && (s[0] == '=' || s[0] == '+' || s[0] == '@' || s[0] == '\t' || s[0] == '-' && !isNumber(s)) {
		return "'" + s
	}
	return s
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func appendJSONRow(dst []byte, r *scored) []byte {
	s := &r.score
	low, high := interval(s)
	dst = appendJSONText(append(dst, `{"customer_id":`...), r.customer)
	dst = appendJSONNumber(append(dst, `,"churn_probability":`...), round(s.Probability))
	dst = appendJSONNumber(append(dst, `,"percentile":`...), s.Percentile)
	dst = appendJSONText(append(dst, `,"risk_band":`...), s.Band)
	dst = appendJSONNumber(append(dst, `,"margin":`...), s.Margin)
	if r.asOf != event.Never {
		dst = append(appendAsOf(append(dst, `,"as_of":"`...), r.asOf), '"')
	}
	dst = appendJSONText(append(dst, `,"model_version":`...), r.version)
	dst = appendJSONNumber(append(dst, `,"churn_probability_low":`...), round(low))
	dst = appendJSONNumber(append(dst, `,"churn_probability_high":`...), round(high))
	dst = append(dst, `,"reasons":[`...)
	for i := range r.reasons {
		if i > 0 {
			dst = append(dst, ',')
		}
		b, err := json.Marshal(&r.reasons[i])
		if err != nil { // texts and a finite number: there is nothing to fail
			panic(err)
		}
		dst = append(dst, b...)
	}
	return append(dst, "]}\n"...)
}

// appendJSONText writes a text as encoding/json does.
func appendJSONText(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || strings.IndexByte(`"\<>&`, c) >= 0 {
			b, _ := json.Marshal(s) // a text is always one of JSON
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// appendJSONNumber writes a number as encoding/json does, null if there is none.
func appendJSONNumber(dst []byte, v float64) []byte {
	if v != v {
		return append(dst, "null"...)
	}
	if a := math.Abs(v); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-09 is e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// scoreFields are the columns of Parquet. Each reason has its sentence, its
// feature and its contribution.
func scoreFields(reasons int) []tables.Field {
	fields := append([]tables.Field{}, scoreColumns...)
	for i := range reasons {
		name := fmt.Sprintf("reason_%d", i+1)
		fields = append(fields, tables.Field{Name: name}, tables.Field{Name: name + "_feature"},
			tables.Field{Name: name + "_contribution", Type: tables.Number})
	}
	return fields
}

func (o *scores) addColumns(r *scored) {
	if o.columns == nil {
		o.columns = make([]tables.Values, len(scoreColumns)+3*r.columns)
	}
	k := 0
	text := func(s string) { o.columns[k].Texts = append(o.columns[k].Texts, s); k++ }
	number := func(v float64) { o.columns[k].Numbers = append(o.columns[k].Numbers, v); k++ }
	s := &r.score
	low, high := interval(s)
	text(r.customer)
	number(round(s.Probability))
	number(s.Percentile)
	text(s.Band)
	number(s.Margin)
	o.columns[k].Instants = append(o.columns[k].Instants, r.asOf)
	k++
	text(r.version)
	number(round(low))
	number(round(high))
	for i := range r.columns {
		if i < len(r.reasons) {
			text(sentence(&r.reasons[i]))
			text(r.reasons[i].Feature)
			number(r.reasons[i].Contribution)
		} else {
			text("")
			text("")
			number(notMeasured)
		}
	}
}

// sink is where batches go in the end.
type sink struct {
	w       io.Writer
	parquet *tables.Writer
}

func newSink(w io.Writer, format string, reasons int) (*sink, error) {
	s := &sink{w: w}
	switch format {
	case "parquet":
		p, err := tables.NewWriter(w, scoreFields(reasons))
		s.parquet = p
		return s, err
	case "csv":
		var head []byte
		for i, c := range scoreColumns {
			if i > 0 {
				head = append(head, ',')
			}
			head = append(head, c.Name...)
		}
		for i := range reasons {
			head = fmt.Appendf(head, ",reason_%d", i+1)
		}
		_, err := w.Write(append(head, '\n'))
		return s, err
	}
	return s, nil
}

func (s *sink) write(o *scores) error {
	if s.parquet != nil {
		return s.parquet.Write(o.rows, o.columns)
	}
	_, err := s.w.Write(o.text)
	return err
}

func (s *sink) close() error {
	if s.parquet != nil {
		return s.parquet.Close()
	}
	return nil
}
