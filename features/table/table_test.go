package table

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"churn/event"
	"churn/features"
)

// engine reads a number n and a category c with the levels x and y.
func engine(t testing.TB) *features.Engine {
	t.Helper()
	set := &features.Set{Version: 1, Columns: []features.Column{{Name: "n", Type: "number"}, {Name: "c", Type: "category", Levels: []string{"x", "y"}}}}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// result is what chunks of a table come to.
type result struct {
	rows, refused []string
	odd, missing  []int
	unused        []string
}

// chunks reads a table with an engine, as rows of id and values.
func chunks(t testing.TB, r *Reader, e *features.Engine, id string) (result, error) {
	t.Helper()
	p, err := r.Plan(e.Inputs(), id, nil)
	if err != nil {
		return result{}, err
	}
	out := result{odd: make([]int, len(e.Inputs())), missing: make([]int, len(e.Inputs())), unused: p.Unused}
	c := p.NewChunk()
	first := 1
	for {
		err := c.Read()
		if err == io.EOF {
			return out, nil
		}
		if err == nil {
			err = c.Parse()
		}
		if err != nil {
			return out, err
		}
		if !c.HasIDs() {
			c.NumberFrom(first)
		}
		first += c.Rows
		for i := range c.Len() {
			out.rows = append(out.rows, fmt.Sprintf("%s %v", c.ID(i), c.Row(i)))
		}
		for _, bad := range c.Refused {
			out.refused = append(out.refused, bad.Error())
		}
		for i := range out.odd {
			out.odd[i] += c.Odd[i]
			out.missing[i] += c.Missing[i]
		}
		out.unused = append(out.unused, c.Unused...)
	}
}

func open(t testing.TB, name, text string) *Reader {
	t.Helper()
	r, err := New(strings.NewReader(text), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestChunks(t *testing.T) {
	text := "id,c,extra,n\n" +
		"a, x ,1,1.5\n" +
		"\"b,\"\"2\"\"\",y,\"two\nlines\",NA\n" +
		"c,z,,many\n" +
		"d,,,\n" +
		",x,,1\n" +
		"e,x,,Inf\n" +
		"f,x,,-1e39\n" +
		"g,x,,1e400\n" +
		"h,x\n" +
		"i,x,a \" quote,1\n" +
		"j,y,,yes\n"
	got, err := chunks(t, open(t, "t.csv", text), engine(t), "id")
	if err != nil {
		t.Fatal(err)
	}
	want := result{
		rows: []string{"a [1.5 0]", `b,"2" [NaN 1]`, "c [NaN -1]", "d [NaN NaN]", "j [1 1]"},
		refused: []string{"t.csv:7: id: empty", "t.csv:8: n: " + beyond, "t.csv:9: n: " + beyond, "t.csv:10: n: " + beyond,
			"t.csv:11: the row does not have 4 columns as the header has", `t.csv:12: bare " in non-quoted-field`},
		odd: []int{1, 1}, missing: []int{3, 1}, unused: []string{"extra"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	// Without ids rows are numbered, those refused too.
	got, err = chunks(t, open(t, "t.csv", "n,c\n1,x\n2\n3,y\n"), engine(t), "")
	if err != nil || !slices.Equal(got.rows, []string{"1 [1 0]", "3 [3 1]"}) {
		t.Errorf("rows %v, %v", got.rows, err)
	}
	for _, test := range []struct{ text, id, want string }{
		{"id,c\na,x\n", "id", `the table has no column "n", which the model needs`},
		{"id\na\n", "id", `the table has no columns "n", "c", which the model needs`},
		{"n,c\n1,x\n", "key", `t.csv:1: no column "key"; the header has n, c`},
	} {
		if _, err := chunks(t, open(t, "t.csv", test.text), engine(t), test.id); err == nil || err.Error() != test.want {
			t.Errorf("%q: error %v, want %s", test.text, err, test.want)
		}
	}
}

func TestChunksOfObjects(t *testing.T) {
	text := `{"id":"a","n":1.5,"c":"x"}` + "\n\n" +
		`{"id":7,"c":"z","more":[1]}` + "\n" +
		`{"id":"b","n":"many","c":null,"extra":1}` + "\n" +
		`{"id":"c","n":1e400}` + "\n" +
		`{"n":1}` + "\n"
	got, err := chunks(t, open(t, "t.ndjson", text), engine(t), "id")
	want := result{
		rows:    []string{"a [1.5 0]", "b [NaN NaN]"},
		refused: []string{`t.ndjson:3: key "more" holds a nested value; rows are flat`, "t.ndjson:5: n: " + beyond, "t.ndjson:6: id: empty"},
		odd:     []int{1, 0}, missing: []int{1, 1}, unused: []string{"extra"},
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
}

// A matrix has a column for each feature of histories.
func TestChunksOfMatrix(t *testing.T) {
	set, err := features.Parse([]byte("version: 1\nattributes: [{name: plan type, type: category, levels: [basic, plus]}]\n" +
		"features: [{name: n_30, from: engagement, agg: count, windows: [30d]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	got, err := chunks(t, open(t, "t.csv", "n_30,cus_plan_type\n4,plus\n,other\n"), e, "")
	if err != nil || !slices.Equal(got.rows, []string{"1 [1 4]", "2 [-1 NaN]"}) {
		t.Errorf("rows %v, %v", got.rows, err)
	}
}

func TestPacked(t *testing.T) {
	text := []byte("n,c\n1,x\n")
	var gz, zst bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(text)
	g.Close()
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(text)
	z.Close()
	for name, data := range map[string][]byte{"t.csv": text, "t.csv.gz": gz.Bytes(), "t.csv.zst": zst.Bytes()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var copied bytes.Buffer
		r, err := Open(path, &copied)
		if err != nil {
			t.Fatal(err)
		}
		got, err := chunks(t, r, engine(t), "")
		if err != nil || !slices.Equal(got.rows, []string{"1 [1 0]"}) || !bytes.Equal(copied.Bytes(), text) {
			t.Errorf("%s: rows %v, %v, copied %q", name, got.rows, err, copied.Bytes())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if name != "t.csv" { // cut off: an error, and not fewer rows
			if err := os.WriteFile(path, data[:len(data)-6], 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := Open(path, nil); err == nil {
				if got, err := chunks(t, r, engine(t), ""); err == nil {
					t.Errorf("%s cut off gives %v", name, got.rows)
				}
			}
		}
	}
}

// wild makes CSV of random cells: what is right, written in every way.
func wild(rng *rand.Rand, rows int) string {
	cells := []string{"1", "-2.5", "x", "", " y ", `"a,b"`, `"say ""x"""`, "\"two\nlines\"", "\"\"", "\"r\r\nn\"", "NA", "ä"}
	var b strings.Builder
	b.WriteString("n,c,e\n")
	for range rows {
		for k := range 3 {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(cells[rng.IntN(len(cells))])
		}
		b.WriteString([]string{"\n", "\r\n", "\n\n"}[rng.IntN(3)])
	}
	return b.String()
}

// texts reads all rows through Next.
func texts(r *Reader) (rows [][]string, lines []int, err error) {
	for {
		cells, line, err := r.Next()
		if err == io.EOF {
			return rows, lines, nil
		}
		if err != nil {
			return rows, lines, err
		}
		var row []string
		for _, c := range cells {
			row = append(row, string(c))
		}
		rows, lines = append(rows, row), append(lines, line)
	}
}

// However the file is cut, rows and lines are those of encoding/csv.
func TestCSVIsThatOfEncodingCSV(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := wild(rng, 1+rng.IntN(40))
		o := csv.NewReader(strings.NewReader(text))
		var want [][]string
		var wantLines []int
		for {
			row, err := o.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			line, _ := o.FieldPos(0)
			want, wantLines = append(want, row), append(wantLines, line)
		}
		r := open(t, "t.csv", text)
		r.blocks.size = 1 + rng.IntN(100)
		got, lines, err := texts(r)
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want[1:]) || !slices.Equal(lines, wantLines[1:]) {
			t.Fatalf("%q:\n%q, lines %v, %v\nwant\n%q, lines %v", text, got, lines, err, want[1:], wantLines[1:])
		}
	}
}

// A quote that is never closed names the row and does not take the file with it.
func TestOpenQuote(t *testing.T) {
	text := "n,c\n1,x\n2,\"y\n" + strings.Repeat("3,x\n", event.MaxRowBytes/2)
	r := open(t, "t.csv", text)
	got, err := chunks(t, r, engine(t), "")
	if err != nil || len(got.refused) == 0 || !strings.HasPrefix(got.refused[0], "t.csv:3: ") || !strings.Contains(got.refused[0], "is a quote not closed?") {
		t.Errorf("%d rows, refused %.200v, %v", len(got.rows), got.refused, err)
	}
	if n := cap(r.blocks.rest) + cap(r.walk.block.data); n > 4*event.MaxRowBytes {
		t.Errorf("%d bytes are held", n)
	}
	// Nor does a line without an end.
	if _, err := chunks(t, open(t, "t.ndjson", `{"n":"`+strings.Repeat("x", 2*event.MaxRowBytes)), engine(t), ""); err == nil || !strings.Contains(err.Error(), "t.ndjson:1: row longer than") {
		t.Errorf("error %v", err)
	}
}

func TestChunkAllocations(t *testing.T) {
	var b strings.Builder
	b.WriteString("id,n,c\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "C%d,%v,\"y\"\n", i, float64(i)/8)
	}
	r := open(t, "t.csv", b.String())
	p, err := r.Plan(engine(t).Inputs(), "id", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := p.NewChunk()
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(10, func() {
		if err := c.Parse(); err != nil || c.Len() != 2000 {
			t.Fatal(c.Len(), err)
		}
	})
	if n > 2 { // the ids, as one text
		t.Errorf("%v allocations for 2,000 rows", n)
	}
}

func TestInputText(t *testing.T) {
	in := engine(t).Inputs()
	nan := float32(math.NaN())
	for _, test := range []struct {
		input   int
		text    string
		want    float32
		verdict features.Verdict
	}{
		{0, " 1.5 ", 1.5, features.Fine}, {0, "1E3", 1000, features.Fine}, {0, "", nan, features.Fine}, {0, "null", nan, features.Fine},
		{0, "No", 0, features.Fine}, {0, "1,5", nan, features.Odd}, {0, "-", nan, features.Odd}, {0, "3.5e38", nan, features.Beyond},
		{0, "-Infinity", nan, features.Beyond}, {0, "1e-400", 0, features.Fine}, {1, " y", 1, features.Fine}, {1, "Inf", -1, features.Odd},
	} {
		got, verdict := in[test.input].Text(test.text)
		if math.Float32bits(got) != math.Float32bits(test.want) || verdict != test.verdict {
			t.Errorf("%q: %v, %v; want %v, %v", test.text, got, verdict, test.want, test.verdict)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("n,c\n1,x\n", 3)
	f.Add("n,c\n\"1\"\"\",\"x\r\ny\"\r\n\n2,\"y", 5)
	f.Fuzz(func(t *testing.T, text string, size int) {
		r, err := New(strings.NewReader(text), "t.csv")
		if err != nil {
			return
		}
		r.blocks.size = 1 + int(uint(size)%64)
		got, _, err := texts(r)
		o := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
		want, oerr := o.ReadAll()
		if (err == nil) != (oerr == nil) {
			t.Fatalf("error %v, encoding/csv %v", err, oerr)
		}
		if err == nil && fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want[1:]) {
			t.Fatalf("%q, encoding/csv %q", got, want[1:])
		}
	})
}

func FuzzObjects(f *testing.F) {
	f.Add(`{"id":"a","n":1,"c":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := New(strings.NewReader(text), "t.ndjson")
		if err != nil {
			return
		}
		got, err := chunks(t, r, engine(t), "id")
		if err == nil && len(got.rows)+len(got.refused) > 1+strings.Count(text, "\n") {
			t.Fatalf("%d rows of %q", len(got.rows), text)
		}
	})
}
