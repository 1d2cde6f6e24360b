package table

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"churn/event"
)

// payments reads a file as payments, each event and refused row as a text.
func payments(t testing.TB, path string, m event.Mapping) (got []string, err error) {
	t.Helper()
	in := event.Input{Stream: event.Payments, Path: path, Mapping: m}
	rows, err := OpenEvents(path, in.Stream, m)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r, err := event.NewRowReader(rows, "f", in.Stream, m)
	if err != nil {
		return nil, err
	}
	for {
		rec, err := r.Read()
		var bad *event.RowError
		switch {
		case err == io.EOF:
			return got, nil
		case errors.As(err, &bad):
			got = append(got, bad.Error()+" "+strings.Join(bad.Row, ","))
		case err != nil:
			return got, err
		}
		for _, e := range rec.Events {
			got = append(got, fmt.Sprintf("%d %s %s %s %s", rec.Line, e.Customer, e.Type, e.At, e.Value))
		}
	}
}

// What is in the files stands in testdata/make.py, which pyarrow 26.0.1 ran.
func TestEventsInParquet(t *testing.T) {
	for _, tt := range []struct {
		name, paid, amount, format, zone string
		want                             []string
	}{
		{"nanoseconds and a decimal, rounded half up", "paid_ns", "money", "", "", []string{
			"1 a payment_paid 2026-04-01T12:00:00.123457Z 1.000001", "2 b payment_paid 2026-07-01T00:00:00Z 999999999.999999",
			"f:3: due_at: neither due_at nor paid_at is given c,,,,,,-0.01,,,,,,"}},
		{"milliseconds with a zone, whatever time_format and time_zone are", "paid_ms", "cents", "02.01.2006", "America/New_York", []string{
			"1 a payment_paid 2026-04-01T12:00:00.123Z 12.3", "2 b payment_paid 2026-07-01T00:00:00.123Z 100",
			"f:3: due_at: neither due_at nor paid_at is given c,,,,,,,0.05,,,,,"}},
		{"without a zone", "paid_local", "double", "", "Europe/Berlin", []string{
			"1 a payment_paid 2026-04-01T10:00:00.123457Z 0.1", "2 b payment_paid 2026-06-30T22:00:00Z 1000000",
			"f:3: due_at: neither due_at nor paid_at is given c,,,,,,,,,,,,"}},
		{"numbers of seconds", "paid_unix", "whole", "unix", "", []string{
			"1 a payment_paid 2026-04-01T12:00:00Z 7",
			"f:2: amount: number larger than 1000000000: wrong unit? b,,,,,1782864000,,,,2147483648,,,",
			"f:3: due_at: neither due_at nor paid_at is given c,,,,,,,,,,,,"}},
		{"dates", "due", "money", "", "", []string{
			"1 a payment_paid 2026-03-31T00:00:00Z 1.000001", "2 b payment_paid 2026-06-30T00:00:00Z 999999999.999999",
			"f:3: amount: negative: give a refund as status refunded c,2026-06-01,,,,,-0.01,,,,,,"}},
	} {
		for _, file := range []string{"events", "events96"} {
			zone := tt.zone
			if file == "events96" && tt.paid != "paid_local" && tt.paid != "due" && tt.zone != "" {
				continue // INT96 does not say that its times are UTC
			}
			m := event.Mapping{Columns: map[string]string{"customer_id": "who", "paid_at": tt.paid, "amount": tt.amount}, TimeFormat: tt.format, TimeZone: zone}
			got, err := payments(t, "testdata/"+file+".parquet", m)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s:\n got %q, %v\nwant %q", tt.name, file, got, err, tt.want)
			}
		}
	}
	// Columns that nobody asks for may be of any type.
	for column, want := range map[string]string{
		"clock": `testdata/events.parquet: column "clock": values of type Time`,
		"none":  `no column "none"`,
	} {
		m := event.Mapping{Columns: map[string]string{"customer_id": "who", "paid_at": "paid_ns", "amount": column}}
		if _, err := payments(t, "testdata/events.parquet", m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", column, err)
		}
	}
	for _, drop := range []string{"tags.list.element", "clock"} {
		m := event.Mapping{Columns: map[string]string{"customer_id": "who"}, Drop: []string{drop}}
		rows, err := OpenEvents("testdata/events.parquet", event.Customers, m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := event.NewRowReader(rows, "f", event.Customers, m); err == nil || !strings.Contains(err.Error(), `testdata/events.parquet: column "`) {
			t.Errorf("an attribute that cannot be read, without %s: %v", drop, err)
		}
		rows.Close()
	}
}

func TestEventsPacked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.csv.zst")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(z, "customer_id;paid_at;amount\na;2026-04-01;5\n")
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := payments(t, path, event.Mapping{Delimiter: ";"})
	if err != nil || !slices.Equal(got, []string{"2 a payment_paid 2026-04-01T00:00:00Z 5"}) {
		t.Errorf("%q, %v", got, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)-4], 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := payments(t, path, event.Mapping{Delimiter: ";"}); err == nil {
		t.Errorf("cut off: %q", got)
	}
}

// The text of a decimal is the number, digit by digit.
func TestAppendDecimal(t *testing.T) {
	for _, tt := range []struct {
		digits string
		scale  int
		want   string
	}{{"125", 2, "1.25"}, {"-350", 2, "-3.5"}, {"-5", 3, "-0.005"}, {"0", 5, "0"}, {"1200", 0, "1200"}, {"100", 2, "1"},
		{"1000000000000000000000000000000000001", 36, "1.000000000000000000000000000000000001"}} {
		if got := string(appendDecimal(nil, tt.digits, tt.scale)); got != tt.want {
			t.Errorf("%s at %d: %s, want %s", tt.digits, tt.scale, got, tt.want)
		}
	}
}

// FuzzEvents reads what may be anything as a table of events.
func FuzzEvents(f *testing.F) {
	for _, name := range []string{"events", "events96"} {
		b, err := os.ReadFile("testdata/" + name + ".parquet")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	path := filepath.Join(f.TempDir(), "f.parquet")
	m := event.Mapping{Columns: map[string]string{"customer_id": "who", "paid_at": "paid_ns", "due_at": "due", "amount": "money"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<16 {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			rows, err := OpenEvents(path, event.Payments, m)
			if err != nil {
				return
			}
			defer rows.Close()
			r, err := event.NewRowReader(rows, path, event.Payments, m)
			for n := 0; err == nil && n < 1000; n++ {
				_, err = r.Read()
			}
		}
	})
}
