package event

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Time is an instant in microseconds since 1970-01-01T00:00:00 UTC. Whole
// numbers, so that ages and gaps are exact and do not depend on the machine.
type Time int64

// Duration is a length of time in microseconds.
type Duration int64

// Lengths of time. A day is always 24 hours: see the interval rule.
const (
	Microsecond Duration = 1
	Second               = 1_000_000 * Microsecond
	Minute               = 60 * Second
	Hour                 = 60 * Minute
	Day                  = 24 * Hour
)

// Never stands for an instant that is unknown or has not come: a complaint
// that is still open is resolved at Never. It is later than every real time,
// so "x < t" is false for it without a special case.
const Never Time = math.MaxInt64

// Earliest and latest time a row may carry: anything outside is a typing
// error, a unit error (milliseconds read as seconds) or an unset field.
var (
	minTime = FromTime(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))
	maxTime = FromTime(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
)

// FromTime converts a time.Time, cutting below a microsecond.
func FromTime(t time.Time) Time { return Time(t.UnixMicro()) }

// Time converts to a time.Time in UTC. Never has no counterpart; it gives the
// zero time.Time.
func (t Time) Time() time.Time {
	if t == Never {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// Add returns t+d; Never stays Never.
func (t Time) Add(d Duration) Time {
	if t == Never {
		return Never
	}
	return t + Time(d)
}

// Sub returns t-u.
func (t Time) Sub(u Time) Duration { return Duration(t - u) }

// String formats as RFC 3339 in UTC, with as many decimals as are needed;
// Never is the empty string.
func (t Time) String() string {
	if t == Never {
		return ""
	}
	return t.Time().Format(time.RFC3339Nano)
}

// MarshalText implements encoding.TextMarshaler (RFC 3339, UTC).
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes RFC 3339 with a
// zone only: the wire format leaves nothing to guess.
func (t *Time) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*t = Never
		return nil
	}
	v, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return fmt.Errorf("not an RFC 3339 time with a zone, such as 2026-01-31T14:05:00Z")
	}
	u, err := inRange(v)
	if err != nil {
		return err
	}
	*t = u
	return nil
}

func inRange(v time.Time) (Time, error) {
	// Compare as time.Time: the year 9999 would not fit in a Time comparison
	// made after an overflow.
	if v.Before(minTime.Time()) || !v.Before(maxTime.Time()) {
		return Never, fmt.Errorf("time outside the years 1900 to 2199: wrong unit or placeholder?")
	}
	return FromTime(v), nil
}

// layouts are tried in this order when a mapping names no format. Day-first
// and month-first dates look the same and are therefore not among them.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"2006-01-02",
}

// timeParser turns the text of a cell into a Time.
type timeParser struct {
	layouts []string
	given   bool // by the mapping
	loc     *time.Location
	unit    int64 // microseconds per unit for unix, unix_ms, unix_us; else 0
	// last is the layout that fitted the previous cell. It is tried first, but
	// only among our own layouts: of those no two fit the same text. Layouts of
	// a mapping are tried in their order, or the meaning of a cell would depend
	// on the row before it.
	last int
}

// newTimeParser takes the format and time zone of a mapping. A format is a Go
// layout, or unix, unix_ms, unix_us; several are separated by " | ".
func newTimeParser(format, zone string) (*timeParser, error) {
	p := &timeParser{layouts: layouts, loc: time.UTC}
	if zone != "" {
		loc, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" { // what is local depends on the machine
			return nil, fmt.Errorf("time_zone %q is not known: use an IANA name such as Europe/Berlin", zone)
		}
		p.loc = loc
	}
	switch format {
	case "":
	case "unix":
		p.unit = int64(Second)
	case "unix_ms":
		p.unit = 1000
	case "unix_us":
		p.unit = 1
	default:
		p.layouts, p.given = strings.Split(format, " | "), true
		for _, l := range p.layouts {
			if !strings.Contains(l, "06") {
				return nil, fmt.Errorf("time_format %q has no year: write it as a Go layout such as 02-01-2006 15:04, or unix, unix_ms, unix_us", l)
			}
		}
	}
	return p, nil
}

func (p *timeParser) parse(s string) (Time, error) {
	if !p.given && p.unit == 0 {
		if t, ok := parseISO(s, p.loc == time.UTC); ok {
			return t, nil
		}
	}
	if p.unit != 0 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return Never, fmt.Errorf("not a whole number of time units")
		}
		if n > math.MaxInt64/p.unit || n < math.MinInt64/p.unit {
			return Never, fmt.Errorf("time out of range: wrong unit?")
		}
		return inRange(time.UnixMicro(n * p.unit).UTC())
	}
	for i := range p.layouts {
		k := (p.last + i) % len(p.layouts)
		if v, err := time.ParseInLocation(p.layouts[k], s, p.loc); err == nil {
			if !p.given {
				p.last = k
			}
			return inRange(v)
		}
	}
	return Never, fmt.Errorf("not a time: expected %s", strings.Join(p.layouts, " or "))
}

// parseISO reads what nearly every cell has: a date, or a date and a time of
// day with or without a zone, as our own layouts would. It declines whatever
// else it meets, and what is out of range. Without a zone a time is UTC, if
// that is the zone that stands for none.
func parseISO(s string, utc bool) (Time, bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	year, a := digits(s[0:4])
	month, b := digits(s[5:7])
	day, c := digits(s[8:10])
	if !a || !b || !c || year < 1900 || year >= 2200 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) {
		return 0, false
	}
	t := Time(daysSinceEpoch(year, month, day)) * Time(Day)
	if s = s[10:]; s == "" {
		return t, utc
	}
	if len(s) < 9 || s[0] != 'T' && s[0] != ' ' || s[3] != ':' || s[6] != ':' {
		return 0, false
	}
	hour, a := digits(s[1:3])
	minute, b := digits(s[4:6])
	second, c := digits(s[7:9])
	if !a || !b || !c || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	t += Time(hour)*Time(Hour) + Time(minute)*Time(Minute) + Time(second)*Time(Second)
	s = s[9:]
	if len(s) > 1 && s[0] == '.' { // decimals of a second, cut below a microsecond
		n, i := 0, 1
		for scale := 100_000; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			n += int(s[i]-'0') * scale
			scale /= 10
		}
		if i == 1 || i > 10 {
			return 0, false
		}
		t += Time(n)
		s = s[i:]
	}
	switch {
	case s == "":
		return t, utc
	case s == "Z":
		return t, true
	case len(s) == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':':
		hour, a := digits(s[1:3])
		minute, b := digits(s[4:6])
		if !a || !b || hour > 23 || minute > 59 {
			return 0, false
		}
		offset := Time(hour)*Time(Hour) + Time(minute)*Time(Minute)
		if s[0] == '-' {
			offset = -offset
		}
		t -= offset
		return t, t >= minTime && t < maxTime
	}
	return 0, false
}

func digits(s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int(d)
	}
	return n, true
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts from 1970-01-01. The year begins in March, so that the
// odd day is at its end.
func daysSinceEpoch(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

// ParseTime reads a time given on a command line or in a configuration file:
// RFC 3339, or a date and optional time, taken as UTC.
func ParseTime(s string) (Time, error) {
	p := timeParser{layouts: layouts, loc: time.UTC}
	return p.parse(s)
}

// ParseDuration reads a length such as 30d, 12h, 90m or 45s. The empty string
// is 0.
func ParseDuration(s string) (Duration, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	unit := map[byte]Duration{'d': Day, 'h': Hour, 'm': Minute, 's': Second}[s[len(s)-1]]
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
	if unit == 0 || err != nil || n < 0 || n > math.MaxInt64/int64(unit)/2 {
		return 0, fmt.Errorf("%q is not a length of time: write a whole number and d, h, m or s, such as 30d", s)
	}
	return Duration(n) * unit, nil
}

// String formats in the largest unit that divides it, as ParseDuration reads.
func (d Duration) String() string {
	for _, u := range []struct {
		n    Duration
		name string
	}{{Day, "d"}, {Hour, "h"}, {Minute, "m"}} {
		if d%u.n == 0 {
			return strconv.FormatInt(int64(d/u.n), 10) + u.name
		}
	}
	return strconv.FormatFloat(float64(d)/float64(Second), 'f', -1, 64) + "s"
}

// Days returns the length in days.
func (d Duration) Days() float64 { return float64(d) / float64(Day) }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalYAML reads a text. Without it the YAML library would write out the
// whole document again for every length in it, to have its text.
func (d *Duration) UnmarshalYAML(unmarshal func(any) error) error {
	var s string
	if err := unmarshal(&s); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(s))
}

// UnmarshalText implements encoding.TextUnmarshaler; see ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	*d = v
	return err
}
