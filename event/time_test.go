package event

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// TestTimeParser lists what a cell may hold. Instants are written in RFC 3339.
func TestTimeParser(t *testing.T) {
	for _, tt := range []struct {
		name, format, zone, text, want string // want: an instant, or the beginning of an error after "!"
	}{
		{"RFC 3339", "", "", "2026-01-31T14:05:00Z", "2026-01-31T14:05:00Z"},
		{"offset", "", "", "2026-01-31T14:05:00+02:00", "2026-01-31T12:05:00Z"},
		{"own offset beats zone", "", "Europe/Berlin", "2026-01-31T14:05:00Z", "2026-01-31T14:05:00Z"},
		{"no zone is UTC", "", "", "2026-01-31T14:05:00", "2026-01-31T14:05:00Z"},
		{"zone", "", "Europe/Berlin", "2026-01-31 14:05", "2026-01-31T13:05:00Z"},
		{"summer time", "", "Europe/Berlin", "2026-07-31 14:05", "2026-07-31T12:05:00Z"},
		{"PostgreSQL", "", "", "2026-01-31 14:05:00.123456+00:00", "2026-01-31T14:05:00.123456Z"},
		{"fraction", "", "", "2026-01-31 14:05:00.5", "2026-01-31T14:05:00.5Z"},
		{"below a microsecond", "", "", "2026-01-31T14:05:00.1234569Z", "2026-01-31T14:05:00.123456Z"},
		{"date", "", "", "2026-01-31", "2026-01-31T00:00:00Z"},
		{"leap day", "", "", "2024-02-29", "2024-02-29T00:00:00Z"},
		{"before 1970", "", "", "1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"},
		// An hour that the clocks passed over is read with the offset before.
		{"gap of summer time", "", "Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30:00Z"},
		{"day first", "02-01-2006", "", "31-01-2026", "2026-01-31T00:00:00Z"},
		{"second layout", "02-01-2006 15:04 | 02-01-2006", "", "31-01-2026", "2026-01-31T00:00:00Z"},
		{"unix", "unix", "", "1769868300", "2026-01-31T14:05:00Z"},
		{"unix_ms", "unix_ms", "", "1769868300123", "2026-01-31T14:05:00.123Z"},
		{"unix_us", "unix_us", "", "1769868300123456", "2026-01-31T14:05:00.123456Z"},
		{"unix before 1970", "unix", "", "-1", "1969-12-31T23:59:59Z"},

		{"year 0", "", "", "0000-01-01", "!time outside"},
		{"placeholder", "", "", "9999-12-31", "!time outside"},
		{"too early", "", "", "1899-12-31T23:59:59Z", "!time outside"},
		{"too late", "", "", "2200-01-01", "!time outside"},
		{"30 February", "", "", "2026-02-30", "!not a time"},
		{"29 February", "", "", "2026-02-29", "!not a time"},
		{"second 60", "", "", "2016-12-31T23:59:60Z", "!not a time"},
		{"hour 24", "", "", "2026-01-31T24:00:00Z", "!not a time"},
		{"day first or month first", "", "", "01/02/2026", "!not a time"},
		{"text", "", "", "yesterday", "!not a time"},
		{"number", "", "", "1769868300", "!not a time"},
		{"ms read as s", "unix", "", "1769868300000", "!time outside"},
		{"us read as ms", "unix_ms", "", "1769868300000000", "!time outside"},
		{"overflow", "unix", "", "9223372036854775807", "!time out of range"},
		{"negative overflow", "unix_ms", "", "-9223372036854775808", "!time out of range"},
		{"beyond 64 bits", "unix_us", "", "9223372036854775808", "!not a whole number"},
		{"fraction of a second", "unix", "", "1769868300.5", "!not a whole number"},
		{"float", "unix", "", "1.7698683e9", "!not a whole number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := newTimeParser(tt.format, tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.parse(tt.text)
			if want, bad := strings.CutPrefix(tt.want, "!"); bad {
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("got %v, %v, want an error that begins with %q", got, err, want)
				}
			} else if err != nil || got.String() != tt.want {
				t.Errorf("got %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// TestTimeParserForgets reads a text that fits two layouts after one that fits
// the second only: the row before must not matter.
func TestTimeParserForgets(t *testing.T) {
	p, err := newTimeParser("01/02/2006 | 02/01/2006", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, want string }{
		{"03/04/2026", "2026-03-04T00:00:00Z"}, {"31/01/2026", "2026-01-31T00:00:00Z"}, {"03/04/2026", "2026-03-04T00:00:00Z"},
	} {
		if got, err := p.parse(tt.text); err != nil || got.String() != tt.want {
			t.Errorf("%s: got %v, %v, want %s", tt.text, got, err, tt.want)
		}
	}
}

// TestLayoutsExclude proves what trying the last layout first relies on.
func TestLayoutsExclude(t *testing.T) {
	noon := time.Date(2026, 1, 31, 12, 30, 15, 123456000, time.FixedZone("", 3600))
	for i, write := range layouts {
		for j, read := range layouts {
			if _, err := time.Parse(read, noon.Format(write)); err == nil && i != j {
				t.Errorf("%s fits %s too", noon.Format(write), read)
			}
		}
	}
}

func TestTimeParserDeclarations(t *testing.T) {
	for _, tt := range []struct{ format, zone, want string }{
		{"DD-MM-YYYY", "", "has no year"}, {"15:04", "", "has no year"}, {"%Y-%m-%d", "", "has no year"},
		{"2006-01-02 | ", "", "has no year"}, {"", "Mars/Olympus", "is not known"},
		{"", "Local", "is not known"}, {"", "../zone", "is not known"},
	} {
		if _, err := newTimeParser(tt.format, tt.zone); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("format %q zone %q: got %v, want an error with %q", tt.format, tt.zone, err, tt.want)
		}
	}
}

func TestTimeRoundTrip(t *testing.T) {
	if err := quick.Check(func(n uint64) bool {
		want := minTime + Time(n%uint64(maxTime-minTime))
		b, _ := want.MarshalText()
		var got Time
		err := got.UnmarshalText(b)
		back, err2 := ParseTime(want.String())
		return err == nil && err2 == nil && got == want && back == want && FromTime(want.Time()) == want
	}, nil); err != nil {
		t.Error(err)
	}
	var got Time
	if err := got.UnmarshalText(nil); err != nil || got != Never || Never.String() != "" || !Never.Time().IsZero() {
		t.Errorf("Never does not survive: %v, %v", got, err)
	}
	for _, s := range []string{"2026-01-31", "2026-01-31T14:05:00", "null", "9999-01-01T00:00:00Z"} {
		if err := got.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("UnmarshalText(%q) gives %v, want an error", s, got)
		}
	}
	if Never.Add(Day) != Never || Time(5).Add(-Day) != 5-Time(Day) {
		t.Error("Add")
	}
}

func TestDuration(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Duration
		back string
	}{
		{"", 0, "0d"}, {"0", 0, "0d"}, {"30d", 30 * Day, "30d"}, {"24h", Day, "1d"}, {"36h", 36 * Hour, "36h"},
		{"90m", 90 * Minute, "90m"}, {"120s", 2 * Minute, "2m"}, {"45s", 45 * Second, "45s"},
	} {
		if got, err := ParseDuration(tt.text); err != nil || got != tt.want || got.String() != tt.back {
			t.Errorf("ParseDuration(%q) = %v, %v, want %s", tt.text, got, err, tt.back)
		}
	}
	for _, s := range []string{"30", "d", "-1d", "1.5d", "30 d", "1w", "1d12h", "9223372036854775807s", "1e3d"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", s, got)
		}
	}
	if err := quick.Check(func(n uint16, unit uint8) bool {
		want := Duration(n) * [...]Duration{Second, Minute, Hour, Day}[unit%4]
		got, err := ParseDuration(want.String())
		return err == nil && got == want
	}, nil); err != nil {
		t.Error(err)
	}
	if d := (36 * Hour).Days(); d != 1.5 {
		t.Errorf("36h is %v days", d)
	}
}

// TestVisible states the two-clock rule at its edges.
func TestVisible(t *testing.T) {
	for _, tt := range []struct {
		at, recorded, t Time
		want            bool
	}{
		{9, 9, 10, true}, {10, 10, 10, false}, {9, 10, 10, false}, {9, 11, 10, false}, {10, 9, 10, false},
		{Never, Never, math.MaxInt64, false},
	} {
		if got := Visible(tt.at, tt.recorded, tt.t); got != tt.want {
			t.Errorf("Visible(%d, %d, %d) = %v", tt.at, tt.recorded, tt.t, got)
		}
	}
}

// The quick way through a time agrees with the layouts tried in turn, or
// declines.
func TestParseISO(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	check := func(s string) (taken bool) {
		for _, loc := range []*time.Location{time.UTC, berlin} {
			got, ok := parseISO(s, loc == time.UTC)
			taken = taken || ok
			want, found := Never, false
			for _, l := range layouts {
				if v, err := time.ParseInLocation(l, s, loc); err == nil && !found {
					want, err = inRange(v)
					found = err == nil
				}
			}
			if ok && (!found || got != want) {
				t.Fatalf("%q in %s: %s, %v; the layouts give %s, %v", s, loc, got, ok, want, found)
			}
		}
		return taken
	}
	rng := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for range 200_000 {
		at := time.Unix(rng.Int64N(9_460_000_000)-2_230_000_000, rng.Int64N(1e9)).In([]*time.Location{time.UTC, berlin}[rng.IntN(2)])
		b := []byte(at.Format(layouts[rng.IntN(len(layouts))]))
		if rng.IntN(2) == 0 { // damage it
			b[rng.IntN(len(b))] = "0123456789-:TZ+. "[rng.IntN(17)]
		}
		if check(string(b)) {
			taken++
		}
	}
	for d := minTime; d < maxTime; d += Time(Day) {
		if !check(d.Time().Format("2006-01-02")) {
			t.Fatalf("%s is not taken", d)
		}
	}
	for _, s := range []string{"2026-01-31T10:00:00.", "2026-01-31T10:00:00.1234567891Z", "2026-01-31T24:00:00Z", "2026-01-31T10:00:60Z", "1900-01-01T00:00:00+01:00"} {
		check(s)
	}
	if taken < 100_000 {
		t.Errorf("only %d of 200000 were taken", taken)
	}
}
