package training

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"churn/event"
	"churn/features"
	"churn/model"
)

// Table is a wide table: one row a customer, columns as they are.
type Table struct {
	Columns []string
	Rows    [][]string
	IDs     []string
	Labels  []bool // nil without a label
	// Fingerprint is the SHA-256 of the bytes read, in hex.
	Fingerprint string
}

// TableOptions say how to read a wide table.
type TableOptions struct {
	ID string // column of the customer's id; empty numbers the rows from 1
	// Label is Column=value: rows with the value churned. Empty for none.
	Label string
	Drop  []string // columns to leave out
}

const maxTableColumns = 5000

// ReadTable reads CSV with a header. name is for errors, which carry line and
// column.
func ReadTable(r io.Reader, name string, o TableOptions) (*Table, error) {
	h := sha256.New()
	br := bufio.NewReader(io.TeeReader(r, h))
	if mark, _ := br.Peek(3); string(mark) == "\ufeff" {
		br.Discard(3)
	}
	cr := csv.NewReader(br)
	head, err := cr.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("%s:1: the file is empty; the first line must name the columns", name)
	}
	if err != nil {
		return nil, lineError(name, err, 0)
	}
	find := func(column, what string) (int, error) {
		i := slices.Index(head, column)
		if i < 0 {
			return -1, fmt.Errorf("%s:1: no column %q for the %s; the header has %s", name, column, what, strings.Join(head[:min(len(head), 40)], ", "))
		}
		return i, nil
	}
	if len(head) > maxTableColumns {
		return nil, fmt.Errorf("%s:1: more than %d columns", name, maxTableColumns)
	}
	seen := map[string]bool{}
	for _, c := range head {
		if seen[c] {
			return nil, fmt.Errorf("%s:1: column %q appears twice", name, c)
		}
		if err := event.CheckID("header", c); err != nil {
			return nil, fmt.Errorf("%s:1: %w", name, err)
		}
		seen[c] = true
	}
	id, label, value := -1, -1, ""
	if o.ID != "" {
		if id, err = find(o.ID, "id"); err != nil {
			return nil, err
		}
	}
	if o.Label != "" {
		column, v, ok := strings.Cut(o.Label, "=")
		if !ok {
			return nil, fmt.Errorf("label %q: write Column=value, such as Churn=Yes", o.Label)
		}
		value = strings.TrimSpace(v)
		if label, err = find(strings.TrimSpace(column), "label"); err != nil {
			return nil, err
		}
	}
	drop := map[int]bool{id: true, label: true}
	for _, c := range o.Drop {
		i, err := find(c, "column to drop")
		if err != nil {
			return nil, err
		}
		drop[i] = true
	}
	t := &Table{}
	var keep []int
	for i, c := range head {
		if !drop[i] {
			keep = append(keep, i)
			t.Columns = append(t.Columns, c)
		}
	}
	cr.ReuseRecord = true
	ids := map[string]int{}
	values := map[string]bool{} // of the label, for an error
	for {
		cells, err := cr.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, lineError(name, err, len(head))
		}
		line, _ := cr.FieldPos(0)
		who := strconv.Itoa(len(t.Rows) + 1)
		if id >= 0 {
			who = strings.TrimSpace(cells[id])
			if err := event.CheckID(o.ID, who); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, line, err)
			}
			if first, dup := ids[who]; dup {
				return nil, fmt.Errorf("%s:%d: %s: the id was on line %d already; a wide table has one row a customer", name, line, o.ID, first)
			}
			ids[who] = line
		}
		if label >= 0 {
			v := strings.TrimSpace(cells[label])
			if v == "" {
				return nil, fmt.Errorf("%s:%d: %s: the label is empty", name, line, head[label])
			}
			t.Labels = append(t.Labels, v == value)
			if len(values) < 1000 {
				values[strings.Clone(v)] = true
			}
		}
		row := make([]string, len(keep))
		for k, i := range keep {
			row[k] = strings.TrimSpace(strings.Clone(cells[i]))
		}
		t.Rows = append(t.Rows, row)
		t.IDs = append(t.IDs, who)
	}
	if len(t.Rows) == 0 {
		return nil, fmt.Errorf("%s: a header and no rows", name)
	}
	if label >= 0 && !slices.Contains(t.Labels, true) {
		return nil, fmt.Errorf("%s: no row has %s; the column has %s", name, o.Label, strings.Join(sortedNames(values)[:min(len(values), 10)], ", "))
	}
	t.Fingerprint = hex.EncodeToString(h.Sum(nil))
	return t, nil
}

// lineError puts file and line before an error of the CSV reader.
func lineError(name string, err error, columns int) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if errors.Is(p.Err, csv.ErrFieldCount) {
		return fmt.Errorf("%s:%d: the row does not have %d columns as the header has", name, p.Line, columns)
	}
	return fmt.Errorf("%s:%d: %w", name, p.Line, p.Err)
}

// InferColumns declares a feature for each column: a number if every text that
// is not missing is one, else a category. Columns of words in which nearly
// every row differs are names or ids, and columns with one value say nothing;
// both are left out and returned by reason.
func (t *Table) InferColumns() (set *features.Set, left map[string]string) {
	set = &features.Set{Version: 1}
	left = map[string]string{}
	for k, name := range t.Columns {
		numbers, some, known := true, false, 0
		distinct := map[string]int{}
		for _, row := range t.Rows {
			s := row[k]
			if s == "" {
				continue
			}
			known++
			distinct[s]++
			if numbers && !missingText(s) {
				v, err := strconv.ParseFloat(s, 64)
				numbers = err == nil && !math.IsInf(v, 0)
				some = some || numbers
			}
		}
		switch {
		case len(distinct) < 2:
			left[name] = "has one value only"
		case numbers && some:
			set.Columns = append(set.Columns, features.Column{Name: name, Type: "number"})
		case len(distinct) > known/2 && len(distinct) > 50:
			left[name] = "differs in nearly every row: a name or an id"
		default:
			set.Columns = append(set.Columns, features.Column{Name: name, Type: "category"})
		}
	}
	return set, left
}

// missingText tells whether a text among numbers stands for none, as package
// features reads it. Among words it may be one: NA is a continent.
func missingText(s string) bool {
	return strings.EqualFold(s, "na") || strings.EqualFold(s, "nan") || strings.EqualFold(s, "null")
}

// values gives a row by column name.
func (t *Table) values(i int, dst map[string]string) {
	for k, c := range t.Columns {
		dst[c] = t.Rows[i][k]
	}
}

// Data computes the rows of a table for an engine of a wide table, with the
// columns whose texts were odd and how often. A column that the engine needs
// and the table lacks is an error.
func (t *Table) Data(e *features.Engine) (*Data, map[string]int, error) {
	for _, c := range e.Set().Columns {
		if !slices.Contains(t.Columns, c.Name) {
			return nil, nil, fmt.Errorf("the table has no column %q, which the model needs", c.Name)
		}
	}
	d := &Data{Matrix: features.Matrix{Features: e.Features()}}
	odd := map[string]int{}
	values := map[string]string{}
	for i := range t.Rows {
		t.values(i, values)
		for _, c := range e.Values(d.Matrix.Grow(), values) {
			odd[c]++
		}
		ob := Observation{Customer: t.IDs[i], At: event.Never}
		if t.Labels != nil {
			ob.Churned = t.Labels[i]
		}
		d.Observations = append(d.Observations, ob)
	}
	return d, odd, nil
}

// TrainTable fits a model on a wide table with labels. Without times the split
// is by customer only, and the report says so: whether the columns were known
// before the customer left cannot be checked.
func TrainTable(ctx context.Context, t *Table, p Plan) (*model.Model, *Report, error) {
	p.Through = event.Never
	if err := p.defaults(); err != nil {
		return nil, nil, err
	}
	if p.Definition.Kind != "label" || t.Labels == nil {
		return nil, nil, fmt.Errorf("a wide table needs a label, such as Churn=Yes")
	}
	set, left := t.InferColumns()
	if p.Features != nil {
		set = p.Features
	}
	// A fifth of the customers calibrates, a fifth tests, by hash.
	group := func(id string) int {
		switch {
		case heldOut(id, p.Seed, 0.2):
			return 2
		case heldOut(id, p.Seed+2, 0.25):
			return 1
		}
		return 0
	}
	census := features.NewCensus(set)
	values := map[string]string{}
	for i := range t.Rows {
		if group(t.IDs[i]) == 0 {
			t.values(i, values)
			census.AddValues(values)
		}
	}
	engine, err := set.Lock(census).Compile()
	if err != nil {
		return nil, nil, err
	}
	data, _, err := t.Data(engine)
	if err != nil {
		return nil, nil, err
	}
	part := func(g int) *Data {
		return data.Rows(func(o *Observation) bool { return group(o.Customer) == g })
	}
	r := &Report{Customers: len(t.Rows), DataFingerprint: t.Fingerprint, Findings: []Finding{{"warning", "no times", "table",
		"a wide table has no times: the split is by customer, and nothing shows that its columns were known before customers left"}}}
	for _, c := range t.Columns {
		if why, ok := left[c]; ok && p.Features == nil {
			r.Findings = append(r.Findings, Finding{"warning", "column left out", c, fmt.Sprintf("column %q %s; it is left out", c, why)})
		}
	}
	return p.finish(ctx, engine, parts{train: part(0), calibration: part(1), test: part(2)}, r)
}
