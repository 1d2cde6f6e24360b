package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"churn/event"
)

// asTexts has the cells of Parquet as texts only.
type asTexts struct{ rows *eventRows }

func (a asTexts) Columns() []string       { return a.rows.Columns() }
func (a asTexts) Want(used []bool) error  { return a.rows.Want(used) }
func (a asTexts) IsTime(i int) bool       { return a.rows.IsTime(i) }
func (a asTexts) Place() (int, int)       { return a.rows.Place() }
func (a asTexts) Row() []string           { return a.rows.Row() }
func (a asTexts) Close() error            { return a.rows.Close() }
func (a asTexts) Next() ([]string, error) { _, err := a.rows.Next(); return a.text(err) }

func (a asTexts) text(err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	return a.rows.Texts(), nil
}

// records reads a file of events, with what is refused.
func records(t *testing.T, path string, m event.Mapping, texts bool) (out []string) {
	t.Helper()
	in := event.Input{Stream: event.Engagements, Path: path, Mapping: m, Open: func(context.Context) (event.Rows, error) {
		rows, err := OpenEvents(path, event.Engagements, m)
		if err == nil && texts {
			return asTexts{rows.(*eventRows)}, nil
		}
		return rows, err
	}}
	rd, err := in.Reader(context.Background())
	if err != nil {
		return []string{err.Error()}
	}
	defer rd.Close()
	for {
		rec, err := rd.Read()
		var bad *event.RowError
		switch {
		case err == io.EOF:
			return out
		case errors.As(err, &bad):
			out = append(out, fmt.Sprint(bad, bad.Row))
		case err != nil:
			return append(out, err.Error())
		default:
			out = append(out, fmt.Sprintf("%d %+v", rec.Line, rec.Events))
		}
	}
}

// Numbers and times as they are stored give the records that their texts give.
func TestStored(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	n := 20_000
	v := []Values{{Texts: make([]string, n)}, {Instants: make([]event.Time, n)}, {Numbers: make([]float64, n)}}
	for i := range n {
		v[0].Texts[i] = fmt.Sprint("c", i/100)
		v[1].Instants[i] = event.Time(rng.Int64N(8e15) - 2.5e15) // some before 1900, and after 2200
		x := math.Round(rng.NormFloat64()*1e6) / 1e3
		switch rng.IntN(8) {
		case 0:
			x = (math.Floor(rng.Float64()*1e6) + 0.5) / 1e6 // half a millionth, about
		case 1:
			x = math.Float64frombits(rng.Uint64()) // anything
		case 2:
			x = rng.Float64() * 2e9
		case 3:
			x = math.NaN()
		}
		v[2].Numbers[i] = x
	}
	for i, x := range []float64{math.Inf(1), 1e9, -1e9, math.Nextafter(1e9, 2e9), 1.0000005, 0.0000005, math.Copysign(0, -1)} {
		v[2].Numbers[i] = x
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, []Field{{"customer_id", Text}, {"occurred_at", Instant}, {"value", Number}})
	if err == nil {
		err = errors.Join(w.Write(n, v), w.Close())
	}
	path := filepath.Join(t.TempDir(), "engagement.parquet")
	if err := errors.Join(err, os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	files := map[string]event.Mapping{}
	for _, zone := range []string{"", "America/New_York"} {
		m := event.Mapping{Constants: map[string]string{"kind": "visit"}, TimeZone: zone}
		if got, want := records(t, path, m, false), records(t, path, m, true); !reflect.DeepEqual(got, want) {
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%s, of texts %s", got[i], want[i])
				}
			}
		}
		// Every column of every type as a time, and as a number.
		plain := "testdata/plain.parquet"
		r := openFile(t, plain)
		for _, at := range r.Columns() {
			for _, value := range r.Columns() {
				files[zone+at+value] = event.Mapping{Constants: map[string]string{"kind": "visit", "customer_id": "a"}, TimeZone: zone,
					Columns: map[string]string{"occurred_at": at, "value": value}}
			}
		}
		for name, m := range files {
			if got, want := records(t, plain, m, false), records(t, plain, m, true); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %q, of texts %q", name, got, want)
			}
		}
	}
}
