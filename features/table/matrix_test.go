package table

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
)

var matrixFeatures = []features.Feature{
	{Name: "n", Kind: features.Number},
	{Name: "plan", Kind: features.Category, Levels: []string{"basic", "other"}},
	{Name: "none", Kind: features.Category},
}

// matrixOf writes rows into a file.
func matrixOf(t *testing.T, rows *MatrixRows, list []features.Feature) string {
	t.Helper()
	var out bytes.Buffer
	w, err := NewMatrixWriter(&out, list, rows.Churned != nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteRows(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Say(MatrixKey, `{"a": "ü"}`); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.parquet")
	if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func smallMatrix() *MatrixRows {
	missing := float32(math.NaN())
	return &MatrixRows{
		Customers: []string{"a", "a", "ü"}, AsOf: []event.Time{-1, 1_700_000_000_000_001, 0}, HeldOut: []bool{false, false, true},
		Churned: []uint8{No, Yes, Unknown}, Reasons: []string{"", "price, \"too\" high", ""}, Kinds: []string{"", "voluntary", ""},
		LeftAt: []event.Time{event.Never, 1_700_000_000_000_002, event.Never},
		Values: []float32{1.5, 0, -1, missing, 1, -1, float32(math.Copysign(0, -1)), -1, missing},
	}
}

// What is read back is what was written, to the bit; a level called other is
// not the text of those that are no level.
func TestMatrixRoundTrip(t *testing.T) {
	want := smallMatrix()
	path := matrixOf(t, want, matrixFeatures)
	in, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if said := in.Said(MatrixKey); said != `{"a": "ü"}` || in.Said("else") != "" {
		t.Errorf("the file says %q", said)
	}
	m, err := in.Matrix(matrixFeatures, true)
	if err != nil {
		t.Fatal(err)
	}
	var got MatrixRows
	for err == nil {
		err = m.Read(&got)
	}
	if err != io.EOF || m.Rows() != 3 {
		t.Fatalf("error %v, %d rows", err, m.Rows())
	}
	if !slices.Equal(got.Customers, want.Customers) || !slices.Equal(got.AsOf, want.AsOf) || !slices.Equal(got.HeldOut, want.HeldOut) ||
		!slices.Equal(got.Churned, want.Churned) || !slices.Equal(got.Reasons, want.Reasons) || !slices.Equal(got.Kinds, want.Kinds) || !slices.Equal(got.LeftAt, want.LeftAt) {
		t.Errorf("got %+v", got)
	}
	if !slices.EqualFunc(got.Values, want.Values, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
		t.Errorf("values %v, want %v", got.Values, want.Values)
	}
	// As texts, for everybody else.
	in, err = Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var lines []string
	for {
		cells, _, err := in.Next()
		if err != nil {
			break
		}
		lines = append(lines, string(bytes.Join(cells, []byte("|"))))
	}
	if got, want := strings.Join(lines, "\n"), "a|1969-12-31T23:59:59.999999Z|false|false||||1.5|basic|other\n"+
		"a|2023-11-14T22:13:20.000001Z|false|true|price, \"too\" high|voluntary|2023-11-14T22:13:20.000002Z||other|other\n"+"ü|1970-01-01T00:00:00Z|true|||||-0|other_|"; got != want {
		t.Errorf("texts\n%s\nwant\n%s", got, want)
	}
}

// A matrix of other features, or with rows that are none, is refused.
func TestMatrixReaderRefuses(t *testing.T) {
	text := matrixFeatures[1]
	text.Levels = []string{"basic"}
	for _, test := range []struct {
		name   string
		change func(m *MatrixRows)
		list   []features.Feature
		want   string
	}{
		{"a feature that is not there", nil, append(slices.Clone(matrixFeatures), features.Feature{Name: "more"}), `no column "more"`},
		{"a number that is a text", nil, []features.Feature{{Name: "plan"}}, `column "plan": not a number`},
		{"another level", nil, []features.Feature{text, {Name: "n"}}, `:3: column "plan": "other_" is no level`},
		{"no id", func(m *MatrixRows) { m.Customers[1] = "" }, matrixFeatures, ":2: customer_id: empty"},
		{"no instant", func(m *MatrixRows) { m.AsOf[1] = event.Never }, matrixFeatures, `:2: column "as_of"`},
		{"an infinity", func(m *MatrixRows) { m.Values[0] = float32(math.Inf(1)) }, matrixFeatures, `:1: column "n": an infinity`},
	} {
		rows := smallMatrix()
		if test.change != nil {
			test.change(rows)
		}
		in, err := Open(matrixOf(t, rows, matrixFeatures), nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := in.Matrix(test.list, true)
		if err == nil {
			err = m.Read(&MatrixRows{})
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", test.name, err, test.want)
		}
		in.Close()
	}
	if _, err := NewMatrixWriter(io.Discard, []features.Feature{{Name: HeldOutColumn}}, false); err == nil {
		t.Error("a feature called held_out: no error")
	}
}

// Rows of a chunk know their instants, those refused left out.
func TestAsOf(t *testing.T) {
	rows := smallMatrix()
	rows.Customers[1] = ""
	in, err := Open(matrixOf(t, rows, matrixFeatures[:2]), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	set, err := features.Parse([]byte("version: 1\ncolumns: [{name: n, type: number}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.Plan(e.Inputs(), CustomerColumn, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AsOf("n"); err == nil {
		t.Error("instants of a column of numbers: no error")
	}
	if err := p.AsOf(AsOfColumn); err != nil {
		t.Fatal(err)
	}
	c := p.NewChunk()
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	if err := c.Parse(); err != nil {
		t.Fatal(err)
	}
	if c.Len() != 2 || c.ID(0) != "a" || c.AsOf(0) != -1 || c.ID(1) != "ü" || c.AsOf(1) != 0 || len(c.Refused) != 1 {
		t.Errorf("%d rows, %d refused: %s as of %s, …", c.Len(), len(c.Refused), c.ID(0), c.AsOf(0))
	}
}

// What is held in memory while a matrix is written does not grow with its rows.
func TestMatrixMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 8 million values")
	}
	list := make([]features.Feature, 100)
	for i := range list {
		list[i].Name = fmt.Sprint("f", i)
	}
	w, err := NewMatrixWriter(io.Discard, list, false)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var rows MatrixRows
	var peak uint64
	const blocks, size = 40, 2048
	for k := range blocks {
		rows.Clear()
		for i := range size {
			rows.Customers = append(rows.Customers, fmt.Sprint(k, "-", i))
			rows.AsOf, rows.HeldOut = append(rows.AsOf, event.Time(k)), append(rows.HeldOut, false)
			for range list {
				rows.Values = append(rows.Values, r.Float32())
			}
		}
		if err := w.WriteRows(&rows); err != nil {
			t.Fatal(err)
		}
		if k%4 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// 1.2 MB a column as measured; 4 MB where a group has eight times the rows.
	if peak > 200<<20 {
		t.Errorf("%d MB in use for 100 columns", peak>>20)
	}
}
