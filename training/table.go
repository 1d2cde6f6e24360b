package training

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"churn/event"
	"churn/features"
	"churn/features/table"
	"churn/model"
)

// Table is a wide table: one row a customer, columns as they are.
type Table struct {
	Columns []string
	Rows    [][]string
	IDs     []string
	Named   bool   // the ids are of a column, and not the numbers of the rows
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

// ReadTable reads CSV with a header, or NDJSON if the name says so. name is for
// errors, which carry line and column.
func ReadTable(r io.Reader, name string, o TableOptions) (*Table, error) {
	h := sha256.New()
	in, err := table.New(io.TeeReader(r, h), name)
	if err != nil {
		return nil, err
	}
	return readTable(in, h, o)
}

// OpenTable reads a file: CSV, NDJSON or Parquet by its name.
func OpenTable(path string, o TableOptions) (t *Table, err error) {
	h := sha256.New()
	in, err := table.Open(path, h)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return readTable(in, h, o)
}

// tableColumns say which columns of a table are what.
type tableColumns struct {
	TableOptions
	id, label int
	value     string // of the label
	drop      map[string]bool
	keep      []int
	seen      int // columns looked at
}

// resolve finds the columns that are named. Those of NDJSON may yet come.
func (o TableOptions) resolve(in *table.Reader) (*tableColumns, error) {
	c := &tableColumns{TableOptions: o, id: -1, label: -1, drop: map[string]bool{}}
	column, value, ok := strings.Cut(o.Label, "=")
	column, c.value = strings.TrimSpace(column), strings.TrimSpace(value)
	var named []string
	if o.ID != "" {
		named = append(named, o.ID)
	}
	if ok && column != o.ID {
		named = append(named, column)
	}
	in.Want(named...)
	find := func(column, what string) (int, error) {
		i := slices.Index(in.Columns(), column)
		if i < 0 {
			return -1, fmt.Errorf("%s:1: no column %q for the %s; the header has %s", in.Name(), column, what, table.Names(in.Columns()))
		}
		return i, nil
	}
	var err error
	if o.ID != "" {
		if c.id, err = find(o.ID, "id"); err != nil {
			return nil, err
		}
	}
	if o.Label != "" {
		if !ok {
			return nil, fmt.Errorf("label %q: write Column=value, such as Churn=Yes", o.Label)
		}
		if c.label, err = find(column, "label"); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Drop {
		if c.drop[name] = true; in.Fixed() {
			if _, err := find(name, "column to drop"); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// grow takes in the columns that are new.
func (c *tableColumns) grow(t *Table, columns []string) {
	for ; c.seen < len(columns); c.seen++ {
		if c.seen != c.id && c.seen != c.label && !c.drop[columns[c.seen]] {
			c.keep = append(c.keep, c.seen)
			t.Columns = append(t.Columns, columns[c.seen])
		}
	}
}

func readTable(in *table.Reader, h hash.Hash, o TableOptions) (*Table, error) {
	c, err := o.resolve(in)
	if err != nil {
		return nil, err
	}
	t := &Table{Named: c.id >= 0}
	name := in.Name()
	ids := map[string]int{}
	values := map[string]bool{} // of the label, for an error
	for {
		cells, line, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		c.grow(t, in.Columns())
		who := strconv.Itoa(len(t.Rows) + 1)
		if c.id >= 0 {
			who = strings.TrimSpace(string(cells[c.id]))
			if err := event.CheckID(o.ID, who); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, line, err)
			}
			if first, dup := ids[who]; dup {
				return nil, fmt.Errorf("%s:%d: %s: the id was on line %d already; a wide table has one row a customer", name, line, o.ID, first)
			}
			ids[who] = line
		}
		if c.label >= 0 {
			v := strings.TrimSpace(string(cells[c.label]))
			if v == "" {
				return nil, fmt.Errorf("%s:%d: %s: the label is empty", name, line, in.Columns()[c.label])
			}
			t.Labels = append(t.Labels, v == c.value)
			if len(values) < 1000 {
				values[v] = true
			}
		}
		row := make([]string, len(c.keep))
		for k, i := range c.keep {
			row[k] = strings.TrimSpace(string(cells[i]))
		}
		t.Rows = append(t.Rows, row)
		t.IDs = append(t.IDs, who)
	}
	if len(t.Rows) == 0 {
		return nil, fmt.Errorf("%s: a header and no rows", name)
	}
	for i, row := range t.Rows { // of NDJSON, before a column appeared
		for len(row) < len(t.Columns) {
			row = append(row, "")
		}
		t.Rows[i] = row
	}
	for _, d := range o.Drop {
		if !slices.Contains(in.Columns(), d) {
			return nil, fmt.Errorf("%s: no column %q for the column to drop; there are %s", name, d, table.Names(in.Columns()))
		}
	}
	if c.label >= 0 && !slices.Contains(t.Labels, true) {
		return nil, fmt.Errorf("%s: no row has %s; the column has %s", name, o.Label, strings.Join(sortedNames(values)[:min(len(values), 10)], ", "))
	}
	t.Fingerprint = hex.EncodeToString(h.Sum(nil))
	return t, nil
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
		ob := Observation{Customer: t.IDs[i], At: event.Never, LeftAt: event.Never}
		if t.Labels != nil {
			ob.Churned = t.Labels[i]
		}
		d.Observations = append(d.Observations, ob)
	}
	return d, odd, nil
}

// TrainTable fits a model on a wide table with labels. Without times the split
// is by customer only, and the report says so: whether the columns were known
// before the customer left cannot be checked. With a table to test on, all
// customers of the other are trained on.
func TrainTable(ctx context.Context, t *Table, p Plan) (*model.Model, *Report, error) {
	engine, pt, r, err := p.table(t)
	if err != nil {
		return nil, nil, err
	}
	pt.rowsOf = fromTable(t, engine, tableTest)
	if p.TestOn != nil {
		pt.rowsOf = fromTable(p.TestOn, engine, 1)
	}
	return p.finish(ctx, engine, pt, r)
}

// tableTest is the share of the customers of a wide table that test, by hash,
// where there is no table to test on.
const tableTest = 0.2

// table divides the rows of wide tables, and begins the report.
func (p *Plan) table(t *Table) (*features.Engine, parts, *Report, error) {
	p.Through = event.Never
	if err := cmp.Or(p.defaults(), p.checkBacktest("wide table")); err != nil {
		return nil, parts{}, nil, err
	}
	test := p.TestOn
	if p.Definition.Kind != "label" || t.Labels == nil || test != nil && test.Labels == nil {
		return nil, parts{}, nil, fmt.Errorf("a wide table needs a label, such as Churn=Yes")
	}
	set, left := t.InferColumns()
	if p.Features != nil {
		set = p.Features
	}
	tests := func(id string) bool { return test == nil && heldOut(id, p.Seed, tableTest) }
	census := features.NewCensus(set)
	values := map[string]string{}
	for i := range t.Rows {
		if !tests(t.IDs[i]) {
			t.values(i, values)
			census.AddValues(values)
		}
	}
	engine, err := set.Lock(census).Compile()
	if err != nil {
		return nil, parts{}, nil, err
	}
	data, _, err := t.Data(engine)
	if err != nil {
		return nil, parts{}, nil, err
	}
	r := &Report{Customers: len(t.Rows), DataFingerprint: t.Fingerprint, Findings: []Finding{{"warning", "no times", "table",
		"a wide table has no times: the split is by customer, and nothing shows that its columns were known before customers left"}}}
	for _, c := range t.Columns {
		if why, ok := left[c]; ok && p.Features == nil {
			r.Findings = append(r.Findings, Finding{"warning", "column left out", c, fmt.Sprintf("column %q %s; it is left out", c, why)})
		}
	}
	pt := parts{train: data, test: data}
	if test == nil {
		part := func(of bool) *Data { return data.Rows(func(o *Observation) bool { return tests(o.Customer) == of }) }
		pt.train, pt.test = part(false), part(true)
		return engine, pt, r, nil
	}
	shared, err := p.testTable(t, test, engine, &pt)
	if shared > 0 {
		r.Findings = append(r.Findings, Finding{"warning", "trained and tested", "table", fmt.Sprintf(
			"%d customers of the test are in the training table too: the figures are better than they will be on others", shared)})
	}
	r.TestFingerprint = test.Fingerprint
	return engine, pt, r, err
}

// testTable makes the test part of a table of its own, and counts the customers
// whose ids are in both.
func (p *Plan) testTable(t, test *Table, e *features.Engine, pt *parts) (shared int, err error) {
	data, _, err := test.Data(e)
	if err != nil {
		return 0, fmt.Errorf("the table to test on: %w", err)
	}
	pt.test = data
	if !t.Named || !test.Named {
		return 0, nil
	}
	known := map[string]bool{}
	for _, id := range t.IDs {
		known[id] = true
	}
	for _, id := range test.IDs {
		if known[id] {
			shared++
		}
	}
	return shared, nil
}
