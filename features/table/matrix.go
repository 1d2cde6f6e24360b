package table

import (
	"fmt"
	"io"
	"math"
	"slices"

	"churn/event"
	"churn/features"
)

// Columns of a matrix of features beside the features themselves.
const (
	CustomerColumn = "customer_id"
	AsOfColumn     = "as_of"
	HeldOutColumn  = "held_out"
	ChurnedColumn  = "churned"      // only with labels; null is not known
	ReasonColumn   = "churn_reason" // only with labels
	KindColumn     = "churn_kind"   // only with labels: how who churned left
	LeftColumn     = "left_at"      // only with labels: when who churned left
)

// MatrixKey is where a matrix says what it is, as JSON.
const MatrixKey = "churn"

// MatrixColumns are the columns that are not features.
var MatrixColumns = []string{CustomerColumn, AsOfColumn, HeldOutColumn, ChurnedColumn, ReasonColumn, KindColumn, LeftColumn}

// MatrixRows are rows of a matrix with what they are. Churned, Reasons, Kinds and LeftAt
// are nil without labels.
type MatrixRows struct {
	Customers []string
	AsOf      []event.Time
	HeldOut   []bool
	Churned   []uint8 // No, Yes or Unknown
	Reasons   []string
	Kinds     []string
	LeftAt    []event.Time // event.Never where it is not known
	Values    []float32    // row by row
}

// Clear empties the rows and keeps their memory.
func (m *MatrixRows) Clear() {
	*m = MatrixRows{m.Customers[:0], m.AsOf[:0], m.HeldOut[:0], m.Churned[:0], m.Reasons[:0], m.Kinds[:0], m.LeftAt[:0], m.Values[:0]}
}

// otherLevel is the text of a category that is none of its levels.
func otherLevel(levels []string) string {
	other := "other"
	for slices.Contains(levels, other) {
		other += "_"
	}
	return other
}

// MatrixWriter writes a matrix as Parquet: a column of 32 bits for each number,
// a text for each category, where missing is null and a text that is none of
// the levels is other.
type MatrixWriter struct {
	*Writer
	matrixColumns
	rows int // in the columns, until there are enough for a row group
}

// NewMatrixWriter begins a file.
func NewMatrixWriter(w io.Writer, list []features.Feature, labels bool) (*MatrixWriter, error) {
	m, fields, err := newMatrixColumns(list, labels)
	if err != nil {
		return nil, err
	}
	out, err := NewWriter(w, fields)
	return &MatrixWriter{Writer: out, matrixColumns: m}, err
}

// matrixColumns turns rows of a matrix into the columns that are written.
type matrixColumns struct {
	features []features.Feature
	labels   bool
	columns  []Values
}

func newMatrixColumns(list []features.Feature, labels bool) (matrixColumns, []Field, error) {
	fields := []Field{{CustomerColumn, Text}, {AsOfColumn, Instant}, {HeldOutColumn, Flag}}
	if labels {
		fields = append(fields, Field{ChurnedColumn, Flag}, Field{ReasonColumn, Text}, Field{KindColumn, Text}, Field{LeftColumn, Instant})
	}
	for i := range list {
		f := Field{list[i].Name, Single}
		if list[i].Kind == features.Category {
			f.Type = Text
		}
		if slices.Contains(MatrixColumns, f.Name) {
			return matrixColumns{}, nil, fmt.Errorf("feature %q has the name of another column of a matrix: call it something else", f.Name)
		}
		fields = append(fields, f)
	}
	return matrixColumns{list, labels, make([]Values, len(fields))}, fields, nil
}

// WriteRows adds rows, and keeps none of the slices.
func (m *MatrixWriter) WriteRows(rows *MatrixRows) error {
	group := m.groupRows()
	for from, n := 0, len(rows.Customers); from < n; {
		to := min(n, from+group-m.rows)
		m.add(rows, from, to)
		m.rows += to - from
		if from = to; m.rows == group {
			if err := m.writeGroup(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close writes what is left, and the end of the file.
func (m *MatrixWriter) Close() error {
	if err := m.writeGroup(); err != nil {
		return err
	}
	return m.Writer.Close()
}

// writeGroup writes the rows at hand.
func (m *MatrixWriter) writeGroup() error {
	err := m.Write(m.rows, m.columns)
	m.rows = 0
	m.clear()
	return err
}

// of turns rows into columns, which are good until the next call.
func (m *matrixColumns) of(rows *MatrixRows) []Values {
	m.clear()
	m.add(rows, 0, len(rows.Customers))
	return m.columns
}

// clear empties the columns and keeps their memory.
func (m *matrixColumns) clear() {
	for i := range m.columns {
		c := &m.columns[i]
		*c = Values{c.Texts[:0], c.Numbers[:0], c.Instants[:0], c.Singles[:0], c.Flags[:0]}
	}
}

// add turns some rows into columns, behind those that are there.
func (m *matrixColumns) add(rows *MatrixRows, from, to int) {
	c := m.columns
	c[0].Texts = append(c[0].Texts, rows.Customers[from:to]...)
	c[1].Instants = append(c[1].Instants, rows.AsOf[from:to]...)
	for _, out := range rows.HeldOut[from:to] {
		flag := uint8(No)
		if out {
			flag = Yes
		}
		c[2].Flags = append(c[2].Flags, flag)
	}
	first := 3
	if m.labels {
		c[3].Flags = append(c[3].Flags, rows.Churned[from:to]...)
		c[4].Texts = append(c[4].Texts, rows.Reasons[from:to]...)
		c[5].Texts = append(c[5].Texts, rows.Kinds[from:to]...)
		c[6].Instants = append(c[6].Instants, rows.LeftAt[from:to]...)
		first = 7
	}
	width := len(m.features)
	_ = everyColumn(width, func(j int) error { // none fails
		m.turn(rows.Values[from*width:to*width], j, &c[first+j])
		return nil
	})
}

// turn adds to the column of a feature.
func (m *matrixColumns) turn(values []float32, j int, col *Values) {
	f, width := &m.features[j], len(m.features)
	if f.Kind == features.Number {
		for ; len(values) > 0; values = values[width:] {
			col.Singles = append(col.Singles, values[j])
		}
		return
	}
	other := otherLevel(f.Levels)
	for ; len(values) > 0; values = values[width:] {
		switch v := values[j]; {
		case v != v:
			col.Texts = append(col.Texts, "")
		case v < 0:
			col.Texts = append(col.Texts, other)
		default:
			col.Texts = append(col.Texts, f.Levels[int(v)])
		}
	}
}

// Said returns what a Parquet file says under a key; empty if nothing.
func (r *Reader) Said(key string) string {
	if r.parquet == nil {
		return ""
	}
	if s := r.parquet.r.MetaData().KeyValueMetadata().FindValue(key); s != nil {
		return *s
	}
	return ""
}

// MatrixReader reads what a MatrixWriter has written, bit by bit.
type MatrixReader struct {
	r        *Reader
	features []features.Feature
	labels   bool
	codes    []map[string]float32 // of the levels of each category
	columns  []column
}

// Matrix prepares to read a matrix of these features. It does not read more
// than it is asked for; a column that is not there is an error.
func (r *Reader) Matrix(list []features.Feature, labels bool) (*MatrixReader, error) {
	if r.parquet == nil {
		return nil, fmt.Errorf("%s: not a Parquet file", r.name)
	}
	m := &MatrixReader{r: r, features: list, labels: labels, codes: make([]map[string]float32, len(list))}
	names := []string{CustomerColumn, AsOfColumn, HeldOutColumn}
	if labels {
		names = append(names, ChurnedColumn, ReasonColumn, KindColumn, LeftColumn)
	}
	numbers := make([]bool, len(names)+len(list))
	for j := range list {
		f := &list[j]
		names = append(names, f.Name)
		if f.Kind == features.Number {
			numbers[len(names)-1] = true
			continue
		}
		m.codes[j] = map[string]float32{"": float32(math.NaN()), otherLevel(f.Levels): -1}
		for code, level := range f.Levels {
			m.codes[j][level] = float32(code)
		}
	}
	var at []int
	for k, name := range names {
		i := slices.Index(r.columns, name)
		if i < 0 {
			return nil, fmt.Errorf("%s: no column %q; there are %s", r.name, name, Names(r.columns))
		}
		if c := &r.parquet.columns[i]; numbers[k] && !c.numeric() {
			return nil, fmt.Errorf("%s: column %q: not a number", r.name, name)
		}
		at = append(at, i)
	}
	m.columns = make([]column, len(at))
	return m, r.parquet.want(at, numbers)
}

// Rows is how many there are, as the file says.
func (m *MatrixReader) Rows() int64 { return m.r.parquet.r.NumRows() }

// Read adds the next rows, some thousand, or returns io.EOF.
func (m *MatrixReader) Read(rows *MatrixRows) error {
	first := m.r.parquet.row + 1
	n, err := m.r.parquet.next(m.columns)
	if err != nil {
		return err
	}
	fail := func(i, k int, what string) error {
		return fmt.Errorf("%s:%d: column %q: %s", m.r.name, first+i, m.r.parquet.wanted[k].name, what)
	}
	flag := func(k, i int) uint8 {
		switch string(m.columns[k].cell(i)) {
		case "true":
			return Yes
		case "false":
			return No
		}
		return Unknown
	}
	for i := range n {
		who := string(m.columns[0].cell(i))
		if err := event.CheckID(CustomerColumn, who); err != nil {
			return fmt.Errorf("%s:%d: %w", m.r.name, first+i, err)
		}
		if k := len(rows.Customers) - 1; k >= 0 && rows.Customers[k] == who {
			who = rows.Customers[k] // one text for all rows of a customer
		}
		rows.Customers = append(rows.Customers, who)
		t, err := event.ParseTime(string(m.columns[1].cell(i)))
		if err != nil {
			return fail(i, 1, err.Error())
		}
		rows.AsOf = append(rows.AsOf, t)
		out := flag(2, i)
		if out == Unknown {
			return fail(i, 2, "neither true nor false")
		}
		rows.HeldOut = append(rows.HeldOut, out == Yes)
		if m.labels {
			rows.Churned = append(rows.Churned, flag(3, i))
			rows.Reasons = append(rows.Reasons, string(m.columns[4].cell(i)))
			rows.Kinds = append(rows.Kinds, string(m.columns[5].cell(i)))
			left := event.Never
			if len(m.columns[6].cell(i)) > 0 {
				if left, err = event.ParseTime(string(m.columns[6].cell(i))); err != nil {
					return fail(i, 6, err.Error())
				}
			}
			rows.LeftAt = append(rows.LeftAt, left)
		}
	}
	return m.values(rows, n, fail)
}

// values puts the columns where they belong in the rows.
func (m *MatrixReader) values(rows *MatrixRows, n int, fail func(i, k int, what string) error) error {
	width := len(m.features)
	from := len(rows.Values)
	rows.Values = slices.Grow(rows.Values, n*width)[:from+n*width]
	for j := range m.features {
		k := len(m.columns) - width + j
		c, to := &m.columns[k], rows.Values[from+j:]
		for i := range n {
			if m.codes[j] != nil {
				code, known := m.codes[j][string(c.cell(i))]
				if !known {
					return fail(i, k, fmt.Sprintf("%.80q is no level of the feature", c.cell(i)))
				}
				to[i*width] = code
				continue
			}
			v := c.numbers[i]
			if v != v {
				v = math.NaN() // always with the same bits
			}
			if to[i*width] = float32(v); math.IsInf(float64(to[i*width]), 0) {
				return fail(i, k, beyond)
			}
		}
	}
	return nil
}
