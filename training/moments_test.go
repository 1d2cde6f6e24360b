package training

import (
	"slices"
	"testing"

	"churn/event"
)

// An event that was corrected twice, one that was cancelled, and one recorded
// just when another was corrected: three events that stand, of six items.
func TestMoments(t *testing.T) {
	c := event.Customer{ID: "a", SignedUpAt: event.Never, ChurnedAt: event.Never}
	e := func(id string, at, recorded, superseded int) event.Event {
		ev := event.Event{ID: id, Customer: "a", Type: event.Engagement, Kind: "visit", At: day(at), Recorded: day(recorded)}
		if superseded > 0 {
			ev.Superseded = day(superseded)
		}
		return ev
	}
	tl := event.NewTimeline(c, []event.Event{
		e("x", 1, 1, 5), e("x", 2, 5, 7), e("x", 3, 7, 0),
		e("y", 4, 4, 6),
		e("z", 5, 5, 0), // with the first correction of x
		e("w", 8, 8, 0),
	})
	got := moments(nil, tl, event.Engagements)
	want := []moment{
		{day(1), day(1), false, false}, {day(2), day(5), false, true}, {day(3), day(7), true, true},
		{day(4), day(4), false, false}, {day(5), day(5), true, true}, {day(8), day(8), true, false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	l := &linter{streams: map[string]*lintStream{}, attributes: map[string]int{}, changing: map[string]int{}}
	for _, s := range event.Streams()[1:] {
		l.streams[s.String()] = &lintStream{first: event.Never, least: 1 << 62}
	}
	l.history(tl)
	if s := l.streams["engagement"]; s.events != 3 || s.first != day(3) || s.least != 0 || s.most != 0 {
		t.Errorf("versions count as events: %+v", s)
	}
}
