package table

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"churn/event"
)

// BenchmarkEvents reads engagement from Parquet; MB are of the same rows as CSV.
func BenchmarkEvents(b *testing.B) {
	const rows = 20_000
	v := []Values{{Texts: make([]string, rows)}, {Texts: make([]string, rows)}, {Instants: make([]event.Time, rows)}, {Texts: make([]string, rows)}, {Numbers: make([]float64, rows)}}
	size := 0
	for i := range rows {
		v[0].Texts[i], v[1].Texts[i] = fmt.Sprintf("e%07d", i), fmt.Sprintf("C%05d", i*7919%5000)
		v[2].Instants[i] = event.Time(event.Day)*20500 + event.Time(i)*event.Time(event.Minute)
		v[3].Texts[i], v[4].Numbers[i] = []string{"visit", "order", "login"}[i%3], float64(i%90)+0.5
		size += len(fmt.Sprintf("%s,%s,%s,%s,%g\n", v[0].Texts[i], v[1].Texts[i], v[2].Instants[i], v[3].Texts[i], v[4].Numbers[i]))
	}
	path := filepath.Join(b.TempDir(), "e.parquet")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w, err := NewWriter(f, []Field{{"event_id", Text}, {"customer_id", Text}, {"occurred_at", Instant}, {"kind", Text}, {"value", Number}})
	if err == nil {
		err = w.Write(rows, v)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil || f.Close() != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		r, err := OpenEvents(path, event.Engagements, event.Mapping{})
		if err != nil {
			b.Fatal(err)
		}
		rd, err := event.NewRowReader(r, path, event.Engagements, event.Mapping{})
		n := 0
		for err == nil {
			if _, err = rd.Read(); err == nil {
				n++
			}
		}
		if err != io.EOF || n != rows {
			b.Fatal(n, err)
		}
		rd.Close()
	}
}
