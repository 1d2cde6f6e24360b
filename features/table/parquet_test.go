package table

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
)

func openFile(t testing.TB, path string) *Reader {
	t.Helper()
	r, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// numbers declares columns of numbers, and of one category with level x.
func numbers(t testing.TB, category string, names ...string) *features.Engine {
	t.Helper()
	set := &features.Set{Version: 1}
	for _, n := range names {
		set.Columns = append(set.Columns, features.Column{Name: n, Type: "number"})
	}
	if category != "" {
		set.Columns = append(set.Columns, features.Column{Name: category, Type: "category", Levels: []string{"x", "3"}})
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What is in the files stands in testdata/make.py, which pyarrow 26.0.1 ran.
func TestParquetTypes(t *testing.T) {
	for _, file := range []string{"testdata/types.parquet", "testdata/plain.parquet"} {
		e := numbers(t, "text", "i8", "i64", "u32", "u64", "f32", "flag", "dec", "inner.x")
		got, err := chunks(t, openFile(t, file), e, "id")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"a [-1 1 0 0 0.1 1 1.25 1 0]",
			"b [NaN 9.007199e+15 4.2949673e+09 1.8446744e+19 NaN 0 -3.5 NaN NaN]",
			"c [3 NaN NaN NaN NaN NaN NaN NaN NaN]",
		}
		if !slices.Equal(got.rows, want) || !slices.Equal(got.missing, []int{1, 1, 1, 1, 2, 1, 1, 2, 2}) || got.refused != nil {
			t.Errorf("%s: %v", file, got)
		}
		// A number beyond float32, an infinity, and a text that is no number.
		got, err = chunks(t, openFile(t, file), numbers(t, "i8", "f64", "coded"), "")
		want = []string{"1 [1.5 NaN -1]"}
		if err != nil || !slices.Equal(got.rows, want) || !slices.Equal(got.refused, []string{file + ":2: f64: " + beyond, file + ":3: f64: " + beyond}) ||
			!slices.Equal(got.odd, []int{0, 2, 1}) {
			t.Errorf("%s: %v, %v", file, got, err)
		}
	}
	_, err := chunks(t, openFile(t, "testdata/types.parquet"), numbers(t, "", "list.list.element"), "")
	if err == nil || !strings.Contains(err.Error(), `column "list.list.element" is a list`) {
		t.Errorf("a list: %v", err)
	}
}

func TestParquetTexts(t *testing.T) {
	rows, lines, err := texts(openFile(t, "testdata/plain.parquet"))
	want := [][]string{
		{"a", "-1", "1", "0", "0", "0.1", "1.5", "true", "1.25", "x", "x", "2026-04-01", "2026-04-01T12:00:00Z", "1"},
		{"b", "", "9007199254740992", "4294967295", "18446744073709551615", "", "1e+300", "false", "-3.5", "", "y", "1969-12-31", "", ""},
		{"c", "3", "", "", "", "", "-Inf", "", "", "", "", "", "", ""},
	}
	if err != nil || !reflect.DeepEqual(rows, want) || !slices.Equal(lines, []int{1, 2, 3}) {
		t.Errorf("%q, %v, %v", rows, lines, err)
	}
}

func TestWriteParquet(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, []Field{{"id", Text}, {"n", Number}, {"at", Instant}})
	if err != nil {
		t.Fatal(err)
	}
	at, _ := event.ParseTime("2026-04-01T12:00:00.000001Z")
	rows := rowGroup/2 + 1 // three times: two row groups
	v := []Values{{Texts: make([]string, rows)}, {Numbers: make([]float64, rows)}, {Instants: make([]event.Time, rows)}}
	for i := range rows {
		v[0].Texts[i], v[1].Numbers[i], v[2].Instants[i] = fmt.Sprint("C", i), float64(i)/4, at
	}
	v[0].Texts[1], v[1].Numbers[2], v[2].Instants[3] = "", math.NaN(), event.Never
	for range 3 {
		if err := w.Write(rows, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "t.parquet")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _, err := texts(openFile(t, path))
	if err != nil || len(got) != 3*rows {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for k, row := range got {
		i := k % rows
		want := []string{fmt.Sprint("C", i), string(appendFloat(nil, float64(i)/4, 64)), "2026-04-01T12:00:00.000001Z"}
		if i >= 1 && i <= 3 {
			want[i-1] = ""
		}
		if !slices.Equal(row, want) {
			t.Fatalf("row %d: %q, want %q", k, row, want)
		}
	}
}

// damaged reads a file that may be anything, all of it both ways.
func damaged(t testing.TB, data []byte) {
	t.Helper()
	p, err := newParquet(bytes.NewReader(data), int64(len(data)), "t.parquet")
	if err != nil {
		return
	}
	r := &Reader{name: "t.parquet", parquet: p}
	for _, c := range p.columns {
		r.columns = append(r.columns, c.name)
	}
	if r.checkColumns() != nil {
		return
	}
	for range 1000 { // a page of nulls may stand for billions of rows
		if _, _, err := r.Next(); err != nil {
			break
		}
	}
}

// Whatever byte is wrong, the file is read or refused.
func TestDamagedParquet(t *testing.T) {
	good, err := os.ReadFile("testdata/plain.parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	step := 5
	if testing.Short() {
		step = 61
	}
	for i := 0; i < len(good); i += step {
		for _, flip := range []byte{1, 0x80, 0xff} {
			bad := slices.Clone(good)
			bad[i] ^= flip
			damaged(t, bad)
		}
		damaged(t, good[:i])
	}
	for _, test := range []struct{ text, want string }{
		{"", "too short"}, {"id,n\n1,2\n3,4\n", "not a Parquet file"}, {"PAR1\xff\xff\xff\x00PAR1", "table of contents of 16777215 bytes"},
	} {
		if _, err := newParquet(strings.NewReader(test.text), int64(len(test.text)), "t.parquet"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %s", test.text, err, test.want)
		}
	}
}

// A schema that says it has more children than there are bytes, or that is
// deeper than any stack, never reaches the library.
func TestFooterBounds(t *testing.T) {
	footer := func(schema []byte) []byte {
		b := append([]byte("PAR1"), 0x15, 2, 0x19) // version 1, then the list of the schema
		b = append(append(b, schema...), 0)
		n := len(b) - 4
		return append(append(b, byte(n), byte(n>>8), byte(n>>16), 0), "PAR1"...)
	}
	element := []byte{0x55, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0} // num_children 2147483647
	deep := []byte{0xfc, 0xe8, 0x07}                         // 1,000 structs
	for range 999 {
		deep = append(deep, 0x55, 2, 0) // one child each
	}
	deep = append(deep, 0)
	for name, schema := range map[string][]byte{"children": append([]byte{0x1c}, element...), "deep": deep, "long list": {0xfc, 0xff, 0xff, 0xff, 0x7f}} {
		data := footer(schema)
		if err := checkFooter(bytes.NewReader(data), int64(len(data))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParquet(f *testing.F) {
	for _, name := range []string{"types", "plain"} {
		b, err := os.ReadFile("testdata/" + name + ".parquet")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<16 {
			damaged(t, data)
		}
	})
}
