package features

import (
	"math"
	"testing"

	"churn/event"
)

// TestSine compares with package math.
func TestSine(t *testing.T) {
	for i := range 20000 {
		x := float64(i) / 10000
		if got, want := sine(x), math.Sin(2*math.Pi*x); math.Abs(got-want) > 2e-15 {
			t.Fatalf("sine of %v turns is %v, package math has %v", x, got, want)
		}
	}
}

// TestCalendar compares with package time, before and after 1970.
func TestCalendar(t *testing.T) {
	for i := -40_000; i < 40_000; i++ {
		at := event.Time(i)*event.Time(event.Hour)*7 + event.Time(i%3)
		civil := at.Time()
		if got := hour(at); got != int64(civil.Hour()) {
			t.Fatalf("hour of %s is %d", at, got)
		}
		if got := weekday(at); got != int64(civil.Weekday()+6)%7+1 {
			t.Fatalf("weekday of %s is %d", at, got)
		}
	}
}
