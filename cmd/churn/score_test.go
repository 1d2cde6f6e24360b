package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
	tables "churn/features/table"
	"churn/model"
)

// wideScorer is a model, written by hand, of columns n0, n1, … and one of
// categories.
func wideScorer(t testing.TB, numbers int) *model.Scorer {
	t.Helper()
	set := &features.Set{Version: 1, Columns: []features.Column{{Name: "plan", Type: "category", Levels: []string{"basic", "pro, yearly"}}}}
	linear := &model.Linear{Intercept: -1, Terms: []model.Term{{Feature: "plan", Levels: []float64{0.25, -0.5}, Other: 0.125, Missing: 0.0625}}}
	matrix := &features.Matrix{}
	for i := range numbers {
		name := fmt.Sprint("n", i)
		set.Columns = append(set.Columns, features.Column{Name: name, Type: "number"})
		linear.Terms = append(linear.Terms, model.Term{Feature: name, Knots: []float64{-1, 1}, Values: []float64{-0.5, 1 / float64(i+1)}, Missing: 0.1})
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	matrix.Features = e.Features()
	matrix.Grow()
	m := &model.Model{Features: set, Linear: linear, Calibration: model.Calibration{Kind: "platt", Slope: 1},
		Reference: model.NewReference(matrix, []float64{0.5}, nil),
		Manifest: model.Manifest{Name: "wide", Version: "v1", Weights: model.Weights{Linear: 1}, Bands: model.Bands{Medium: 0.25, High: 0.5},
			FeatureFingerprint: e.Fingerprint()}}
	s, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wideRows generates CSV of some rows, and does not hold it.
type wideRows struct {
	numbers, rows, row int
	rest               []byte
	watch              func()
}

func (g *wideRows) Read(p []byte) (int, error) {
	for len(g.rest) == 0 {
		if g.row > g.rows {
			return 0, io.EOF
		}
		b := g.rest[:0:cap(g.rest)]
		if g.row == 0 {
			b = append(b, "id,plan"...)
			for i := range g.numbers {
				b = fmt.Appendf(b, ",n%d", i)
			}
		} else {
			b = fmt.Appendf(b, "C%d,%s", g.row, []string{"basic", `"pro, yearly"`, "", "none"}[g.row%4])
			for i := range g.numbers {
				b = strconv.AppendInt(append(b, ','), int64(g.row*(i+7)%5-2), 10)
				b = strconv.AppendInt(append(b, '.'), int64(g.row%1000), 10)
			}
		}
		g.rest = append(b, '\n')
		if g.row++; g.watch != nil && g.row%20000 == 0 {
			g.watch()
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// scoreWide scores a table to w.
func scoreWide(s *model.Scorer, in *tables.Reader, w io.Writer, format string, reasons, workers int) (*scoring, error) {
	sc := &scoring{scorer: s, asOf: event.Never, reasons: reasons, format: format, stop: true, progress: &progress{}}
	source, err := sc.tableSource(in, tableFlags{path: "t", id: "id"})
	if err != nil {
		return sc, err
	}
	return sc, sc.run(context.Background(), source, w, workers)
}

func newTable(t testing.TB, r io.Reader, name string) *tables.Reader {
	t.Helper()
	in, err := tables.New(r, name)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestScoreAnyWorkers(t *testing.T) {
	s := wideScorer(t, 20)
	for _, format := range []string{"csv", "ndjson", "parquet"} {
		var one []byte
		for _, workers := range []int{1, 2, 7} {
			var out bytes.Buffer
			sc, err := scoreWide(s, newTable(t, &wideRows{numbers: 20, rows: 30000}, "t.csv"), &out, format, 2, workers)
			if err != nil || sc.tally.scored != 30000 {
				t.Fatal(sc.tally.scored, err)
			}
			if workers == 1 {
				one = bytes.Clone(out.Bytes())
			} else if !bytes.Equal(out.Bytes(), one) {
				t.Errorf("%s: %d workers write other bytes than one", format, workers)
			}
		}
	}
}

// The formats that are written by hand are those of the standard library.
func TestScoreFormats(t *testing.T) {
	for _, id := range []string{"a", `q"x`, "a,b", " lead", "\u00a0x", "=1+1", "-5", "-x", "<b>&", "ä\u2028", "line\nend", `\.`, `back\slash`} {
		for _, v := range []float64{0, 1, -1e-7, 0.25, 1e21, 123456.5, 1e-300} {
			sc := model.Score{Probability: 0.125, Percentile: v, Band: "low", Margin: v}
			r := &scored{customer: id, score: sc, asOf: event.Never, version: "v1", columns: 1,
				reasons: []model.Reason{{Feature: "f", Value: "1", Contribution: v, Direction: "raises", Text: id}}}
			number := func(v float64) string { return fmt.Sprint(v) }
			var want bytes.Buffer
			w := csv.NewWriter(&want)
			w.Write([]string{safeCell(id), "0.125", number(v), "low", number(v), "", "v1", "", "", safeCell(id + " (raises)")})
			w.Flush()
			if got := appendCSVRow(nil, r); string(got) != want.String() {
				t.Errorf("CSV %q, want %q", got, want.String())
			}
			b, err := json.Marshal(struct {
				Customer    string         `json:"customer_id"`
				Probability float64        `json:"churn_probability"`
				Percentile  float64        `json:"percentile"`
				Band        string         `json:"risk_band"`
				Margin      float64        `json:"margin"`
				Version     string         `json:"model_version"`
				Low         *float64       `json:"churn_probability_low"`
				High        *float64       `json:"churn_probability_high"`
				Reasons     []model.Reason `json:"reasons"`
			}{id, 0.125, v, "low", v, "v1", nil, nil, r.reasons})
			if err != nil {
				t.Fatal(err)
			}
			if got := appendJSONRow(nil, r); string(got) != string(b)+"\n" {
				t.Errorf("JSON %s, want %s", got, b)
			}
		}
	}
}

// CSV, NDJSON and Parquet of the same rows get the same scores.
func TestScoreFormatsOfTables(t *testing.T) {
	s := wideScorer(t, 2)
	dir := t.TempDir()
	ndjson, parquet := filepath.Join(dir, "t.ndjson"), filepath.Join(dir, "t.parquet")
	text := "id,plan,n0,n1\n"
	lines := ""
	v := []tables.Values{{}, {}, {}, {}}
	for i := range 5000 {
		plan := []string{"basic", "pro, yearly", "", "none"}[i%4]
		x, y := float64(i)/7-300, math.NaN()
		ys, yj := "", "null"
		if i%3 > 0 {
			y = float64(i % 5)
			ys = fmt.Sprint(y)
			yj = ys
		}
		text += fmt.Sprintf("C%d,%q,%v,%s\n", i, plan, x, ys)
		lines += fmt.Sprintf(`{"n0":%v,"id":"C%d","plan":%q,"n1":%s}`+"\n", x, i, plan, yj)
		v[0].Texts, v[1].Texts = append(v[0].Texts, fmt.Sprint("C", i)), append(v[1].Texts, plan)
		v[2].Numbers, v[3].Numbers = append(v[2].Numbers, x), append(v[3].Numbers, y)
	}
	if err := os.WriteFile(ndjson, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(parquet)
	if err != nil {
		t.Fatal(err)
	}
	w, err := tables.NewWriter(f, []tables.Field{{Name: "id"}, {Name: "plan"}, {Name: "n0", Type: tables.Number}, {Name: "n1", Type: tables.Number}})
	if err := errors.Join(err, w.Write(5000, v), w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if _, err := scoreWide(s, newTable(t, strings.NewReader(text), "t.csv"), &want, "csv", 3, 2); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{ndjson, parquet} {
		in, err := tables.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := scoreWide(s, in, &got, "csv", 3, 2); err != nil || got.String() != want.String() {
			t.Errorf("%s: other scores than CSV (%v)", filepath.Base(path), err)
		}
		in.Close()
	}
}

func TestScoreAllocations(t *testing.T) {
	s := wideScorer(t, 10)
	for _, format := range []string{"csv", "ndjson", "parquet"} {
		sc := &scoring{scorer: s, asOf: event.Never, format: format}
		in := newTable(t, &wideRows{numbers: 10, rows: 5000}, "t.csv")
		plan, err := in.Plan(s.Engine().Inputs(), "id", nil)
		if err != nil {
			t.Fatal(err)
		}
		b := &batch{table: plan.NewChunk()}
		if err := b.table.Read(); err != nil {
			t.Fatal(err)
		}
		w := newScratch(sc)
		first, next := make(chan int, 1), make(chan int, 1)
		b.first, b.next = first, next
		n := testing.AllocsPerRun(5, func() {
			first <- 1
			if err := w.score(b); err != nil || b.out.rows != 5000 {
				t.Fatal(b.out.rows, err)
			}
			<-next
		})
		if n > 10 {
			t.Errorf("%s: %v allocations for 5,000 rows", format, n)
		}
	}
}

// A table of 300 MB goes through a pipe in the memory of a few chunks.
func TestScoreConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("streams 300 MB")
	}
	s := wideScorer(t, 50)
	var peak uint64
	watch := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
	}
	runtime.GC()
	r, w := io.Pipe()
	const rows = 1_000_000
	go func() {
		_, err := io.Copy(w, &wideRows{numbers: 50, rows: rows, watch: watch})
		w.CloseWithError(err)
	}()
	sc, err := scoreWide(s, newTable(t, r, "pipe.csv"), io.Discard, "csv", 0, 2)
	if err != nil || sc.tally.scored != rows {
		t.Fatal(sc.tally.scored, err)
	}
	if peak > 80<<20 {
		t.Errorf("%d MB of heap at the peak", peak>>20)
	}
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestScoreErrors(t *testing.T) {
	s := wideScorer(t, 2)
	for _, format := range []string{"csv", "parquet"} {
		if _, err := scoreWide(s, newTable(t, &wideRows{numbers: 2, rows: 300000}, "t.csv"), &brokenWriter{1000}, format, 0, 3); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("%s: error %v", format, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sc := &scoring{scorer: s, asOf: event.Never, format: "csv", stop: true, progress: &progress{}}
	source, err := sc.tableSource(newTable(t, &wideRows{numbers: 2, rows: 300000}, "t.csv"), tableFlags{path: "t", id: "id"})
	if err != nil {
		t.Fatal(err)
	}
	if err := sc.run(ctx, source, io.Discard, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	for _, test := range []struct{ name, text, want string }{
		{"t.csv", "id,plan,n0,n1\na,basic,1,2\nb,basic,1e99,2\n", "t.csv:3: n0: an infinity"},
		{"t.csv", "id,plan,n0,n1\n", "t.csv: a header and no rows"},
		{"t.ndjson", `{"id":"a","plan":"basic","n0":1}`, `t.ndjson: the table has no column "n1", which the model needs`},
		{"t.ndjson", "", "t.ndjson: a header and no rows"},
	} {
		if _, err := scoreWide(s, newTable(t, strings.NewReader(test.text), test.name), io.Discard, "csv", 0, 2); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}

func TestOutput(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.csv")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{false, true} {
		o, err := createOutput(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(o, "new"); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
			t.Errorf("while it is written the file is %q, %v", b, err)
		}
		if keep {
			if err := o.keep(); err != nil {
				t.Fatal(err)
			}
		}
		o.abandon()
		want := map[bool]string{false: "old", true: "new"}[keep]
		b, err := os.ReadFile(path)
		info, serr := os.Stat(path)
		entries, derr := os.ReadDir(dir)
		if err := errors.Join(err, serr, derr); err != nil || string(b) != want || len(entries) != 1 || info.Mode().Perm() != 0o640 {
			t.Errorf("keep %v: %q, %v, %v, %v", keep, b, entries, info.Mode(), err)
		}
	}
	if _, err := createOutput(filepath.Join(dir, "none", "out.csv"), nil); err == nil {
		t.Error("a directory that is not there is made")
	}
}
