package training

import "churn/event"

// moment is when an item of a history happened and became known.
type moment struct {
	at, recorded event.Time
	// stands is an item that was neither corrected nor cancelled: each event has
	// one at most, however many versions there are of it.
	stands bool
	// revised may be a later version of another item, as something was
	// superseded when it was recorded: its time of recording is then that of the
	// correction, which says nothing of when the event became known.
	revised bool
}

// moments appends those of a stream of a history, in its order.
func moments(m []moment, tl *event.Timeline, stream event.Stream) []moment {
	from := len(m)
	revisions := map[event.Time]bool(nil)
	add := func(at, recorded, superseded event.Time) {
		if superseded != 0 {
			if revisions == nil {
				revisions = map[event.Time]bool{}
			}
			revisions[superseded] = true
		}
		m = append(m, moment{at: at, recorded: recorded, stands: superseded == 0})
	}
	switch stream {
	case event.Engagements:
		for i := range tl.Engagements {
			add(tl.Engagements[i].At, tl.Engagements[i].Recorded, tl.Engagements[i].Superseded)
		}
	case event.Complaints:
		for i := range tl.Complaints {
			add(tl.Complaints[i].At, tl.Complaints[i].Recorded, tl.Complaints[i].Superseded)
		}
	case event.Payments:
		for i := range tl.Payments {
			add(tl.Payments[i].At, tl.Payments[i].Recorded, tl.Payments[i].Superseded)
		}
	case event.Contacts:
		for i := range tl.Contacts {
			add(tl.Contacts[i].At, tl.Contacts[i].Recorded, tl.Contacts[i].Superseded)
		}
	case event.Attributes:
		for i := range tl.Changes {
			add(tl.Changes[i].At, tl.Changes[i].Recorded, tl.Changes[i].Superseded)
		}
	}
	if revisions != nil {
		for i := from; i < len(m); i++ {
			m[i].revised = revisions[m[i].recorded]
		}
	}
	return m
}
