package training

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/model"
)

// Whatever the steps, the parts are ordered, a part begins only when every
// label of the one before is known, and every snapshot is in one place.
func TestSplitByTimeProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	split := 0
	for range 2000 {
		d := model.Definition{Kind: "contract", Gap: event.Duration(r.IntN(20)) * days,
			Horizon: event.Duration(1+r.IntN(60)) * days, Grace: event.Duration(r.IntN(2)*r.IntN(30)) * days}
		if r.IntN(3) == 0 {
			d.Kind, d.UnpaidFor = "payment", event.Duration(1+r.IntN(40))*days
		}
		var all []event.Time
		at := day(r.IntN(1000))
		for range 3 + r.IntN(30) {
			all = append(all, at)
			at = at.Add(event.Duration(1+r.IntN(45)) * days)
		}
		s, err := SplitByTime(&d, all)
		if err != nil {
			continue
		}
		split++
		for _, parts := range [][2][]event.Time{{s.Train, s.Calibration}, {s.Calibration, s.Test}} {
			last, next := parts[0][len(parts[0])-1], parts[1][0]
			if last.Add(span(&d)) > next {
				t.Fatalf("a label of %s is known %s later, and the next part begins at %s", last, span(&d), next)
			}
		}
		got := slices.Concat(s.Train, s.Calibration, s.Test, s.Purged)
		slices.Sort(got)
		if !slices.Equal(got, all) {
			t.Fatalf("parts hold %v of %v", got, all)
		}
		// All whose labels are known when the test begins, and no other.
		known := slices.DeleteFunc(slices.Clone(all), func(t event.Time) bool { return t.Add(span(&d)) > s.Test[0] })
		if before := s.BeforeTest(); !slices.Equal(before, known) {
			t.Fatalf("before the test %v, known %v", before, known)
		}
		for _, part := range [][]event.Time{s.Train, s.Calibration, s.Test, s.Purged} {
			if !slices.IsSorted(part) {
				t.Fatalf("part %v is out of order", part)
			}
		}
	}
	if split < 500 {
		t.Errorf("only %d of 2000 could be split: the property was hardly tested", split)
	}
}

// Twelve snapshots 30 days apart, 37 days until a label is known: two to test,
// one purged, two to calibrate, one purged, six to train.
func TestSplitByTimeByHand(t *testing.T) {
	d := model.Definition{Kind: "contract", Gap: 7 * days, Horizon: 30 * days}
	var all []event.Time
	for i := range 12 {
		all = append(all, day(30*i))
	}
	s, err := SplitByTime(&d, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		name      string
		got, want []event.Time
	}{{"train", s.Train, all[:6]}, {"calibration", s.Calibration, all[7:9]}, {"test", s.Test, all[10:]},
		{"purged", s.Purged, []event.Time{all[6], all[9]}}} {
		if !slices.Equal(part.got, part.want) {
			t.Errorf("%s %v, want %v", part.name, part.got, part.want)
		}
	}
	// With 30 days nothing is purged: a label is known as the next part begins.
	d.Gap = 0
	if s, err = SplitByTime(&d, all); err != nil || len(s.Purged) != 0 || len(s.Train) != 8 {
		t.Errorf("gap 0: %+v, %v", s, err)
	}
}

func TestSplitByTimeNeedsHistory(t *testing.T) {
	d := model.Definition{Kind: "contract", Gap: 7 * days, Horizon: 60 * days}
	for _, all := range [][]event.Time{nil, {day(0)}, {day(0), day(90)}, {day(0), day(10), day(20), day(30), day(40)}} {
		if _, err := SplitByTime(&d, all); err == nil || !strings.Contains(err.Error(), "not enough history") ||
			!strings.Contains(err.Error(), "67d") {
			t.Errorf("%d snapshots: error %v", len(all), err)
		}
	}
	if _, err := SplitByTime(&d, []event.Time{day(0), day(67), day(134)}); err != nil {
		t.Errorf("three snapshots 67 days apart are enough: %v", err)
	}
}
