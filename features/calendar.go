package features

import (
	"math"
	"time"

	"churn/event"
)

// Calendars are those of UTC. Days elsewhere are 24 hours counted back from t.

// hour of the day, 0 to 23.
func hour(t event.Time) int64 {
	const day = int64(event.Day)
	return ((int64(t)%day + day) % day) / int64(event.Hour)
}

// weekday is 1 for Monday to 7 for Sunday (ISO 8601).
func weekday(t event.Time) int64 {
	const day = int64(event.Day)
	days := int64(t) / day
	if int64(t)%day < 0 {
		days--
	}
	return ((days+3)%7+7)%7 + 1 // 1970-01-01 was a Thursday
}

// signedUp passes on the day of sign-up, where it is known and has come.
func (w *window) signedUp(fn func(at event.Time) float64) float64 {
	at := w.workspace.timeline.Customer.SignedUpAt
	if at >= w.t { // unknown, or signed up later
		return nan
	}
	return fn(at)
}

// cohort is the month of sign-up, counted from January 1970, which is 0.
func cohort(at event.Time) float64 {
	d := at.Time()
	return float64((d.Year()-1970)*12 + int(d.Month()) - 1)
}

// anniversary is how many days there are from t to the next anniversary of the
// day of sign-up, 0 on the day itself. Who signed up on 29 February has theirs
// on 1 March of most years.
func anniversary(at, t event.Time) float64 {
	up, now := at.Time(), t.Time()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	next := time.Date(now.Year(), up.Month(), up.Day(), 0, 0, 0, 0, time.UTC)
	if next.Before(today) {
		next = time.Date(now.Year()+1, up.Month(), up.Day(), 0, 0, 0, 0, time.UTC)
	}
	return float64(next.Sub(today) / (24 * time.Hour))
}

// season is the sine of the time of the year as an angle, so much of a turn
// later. A year has 365.2425 days, and the first began with 1970.
func season(t event.Time, turn float64) float64 {
	const year = 31556952 * int64(event.Second)
	part := float64((int64(t)%year+year)%year) / float64(year)
	return sine(part + turn)
}

// sine of x turns, 0 <= x < 2, with the same bits on every machine: the
// standard library's has products and sums that compilers for some of them
// fuse. It is the Taylor series within a quarter of a turn.
func sine(x float64) float64 {
	x -= math.Floor(x)
	sign := 1.0
	if x > 0.5 {
		x, sign = x-0.5, -1
	}
	if x > 0.25 {
		x = 0.5 - x
	}
	a := x * (2 * math.Pi)
	square := a * a
	sum := 1.0
	for n := 20.0; n > 0; n -= 2 { // 1 - a²/2·3 (1 - a²/4·5 (…))
		sum = 1 - float64(float64(square*sum)/(n*(n+1)))
	}
	return sign * a * sum
}
