package training

import (
	"fmt"
	"slices"

	"churn/event"
	"churn/model"
)

// Split gives the snapshots of each part. Parts follow each other in time, and
// a part begins only when the last label of the one before is known.
type Split struct {
	Train       []event.Time `json:"train"`
	Calibration []event.Time `json:"calibration"`
	Test        []event.Time `json:"test"`
	// Purged snapshots lie between the parts and belong to none.
	Purged []event.Time `json:"purged"`
}

// SplitByTime divides ascending snapshots: about a sixth at the end to test, a
// sixth before to calibrate, the rest to train on, and between the parts every
// snapshot whose labels reach into the next part is purged:
//
//	max(t of a part) + gap + horizon (+ grace) <= min(t of the next part)
func SplitByTime(d *model.Definition, snapshots []event.Time) (Split, error) {
	var s Split
	part := max(1, len(snapshots)/6)
	known := span(d)
	rest := snapshots
	// take cuts n snapshots off the end, then purges what reaches into them.
	take := func(n int) []event.Time {
		if len(rest) < n {
			return nil
		}
		cut := rest[len(rest)-n:]
		rest = rest[:len(rest)-n]
		for len(rest) > 0 && rest[len(rest)-1].Add(known) > cut[0] {
			s.Purged = append([]event.Time{rest[len(rest)-1]}, s.Purged...)
			rest = rest[:len(rest)-1]
		}
		return cut
	}
	s.Test = take(part)
	s.Calibration = take(part)
	s.Train = rest
	if len(s.Train) == 0 || len(s.Calibration) == 0 {
		return s, fmt.Errorf("not enough history to train, calibrate and test one after the other: "+
			"%d snapshots, and a label is known %s after its snapshot; use more or closer snapshots, a shorter horizon, or more history", len(snapshots), known)
	}
	return s, nil
}

// BeforeTest lists the snapshots whose labels are known when the test begins:
// those of training and calibration, and what was purged between them.
func (s *Split) BeforeTest() []event.Time {
	out := slices.Clone(s.Train)
	for _, t := range s.Purged {
		if t < s.Calibration[0] {
			out = append(out, t)
		}
	}
	return append(out, s.Calibration...)
}

// contains tells whether t is one of the instants.
func contains(times []event.Time, t event.Time) bool {
	for _, u := range times {
		if u == t {
			return true
		}
	}
	return false
}
