package features

import (
	"cmp"
	"slices"

	"churn/event"
)

// view lists what of a stream could be known at an instant, oldest first.
//
// A payment that was made before its due date came, or before the bill was
// recorded, is until then what it is to whoever has not seen the bill: a
// purchase when it was paid.
type view struct {
	at    []event.Time // when each item happened
	items []item       // themselves, but for engagements, of which there are many:
	entry []int32      // their places in the history
	of    []event.EngagementEvent
	one   item // the engagement that was last asked for
	// settled counts the items in front that stay as they are: those of the
	// history, without one that is recorded later or will be superseded. dead
	// are the superseded ones among them, which are no items any more.
	settled, dead int
	skipped       int // engagements in front that are left out
	most          int // items there ever were
}

// item returns what is at a place. An engagement is good until the next one.
func (v *view) item(place int32) *item {
	if v.of == nil {
		return &v.items[place]
	}
	e := &v.of[v.entry[place]]
	v.one.at, v.one.known, v.one.engagement = e.At, e.Recorded, e
	return &v.one
}

// skip leaves out what no window can reach from t on. Of streams other than
// engagement there is too little for it to matter.
func (v *view) skip(tl *event.Timeline, st *streamPlan, t event.Time) {
	if st.name != "engagement" {
		return
	}
	all, from := tl.Engagements, t.Add(-st.reach)
	n, _ := slices.BinarySearchFunc(all, from, func(e event.EngagementEvent, from event.Time) int { return cmp.Compare(e.At, from) })
	for st.earlier && n > 0 {
		if n--; all[n].Recorded < t && all[n].Superseded == 0 {
			break
		}
	}
	v.skipped = n
}

// look moves the view to t, which is not before the last one. It returns how
// many items in front are still the same.
func (v *view) look(tl *event.Timeline, stream string, t event.Time) (same int) {
	same = v.settled
	v.at = v.at[:same]
	if stream == "engagement" {
		v.engagements(tl.Engagements[v.skipped:], t)
		return same
	}
	v.items = v.items[:same]
	switch from := v.settled + v.dead; stream {
	case "complaints":
		for i := from; i < len(tl.Complaints) && tl.Complaints[i].At < t; i++ {
			if c := &tl.Complaints[i]; c.Recorded < t && v.stands(i, c.Superseded, t) {
				v.add(item{at: c.At, known: c.Recorded, complaint: c})
			}
		}
	case "payments":
		same = v.payments(tl.Payments, t)
	case "contacts":
		for i := from; i < len(tl.Contacts) && tl.Contacts[i].At < t; i++ {
			if c := &tl.Contacts[i]; c.Recorded < t && v.stands(i, c.Superseded, t) {
				v.add(item{at: c.At, known: c.Recorded, contact: c})
			}
		}
	case "attributes":
		same = 0
		v.changes(tl.Changes, t)
	}
	v.most = max(v.most, len(v.items))
	return same
}

func (v *view) engagements(all []event.EngagementEvent, t event.Time) {
	at, entry := v.at, v.entry[:v.settled]
	for i := v.settled + v.dead; i < len(all) && all[i].At < t; i++ {
		if e := &all[i]; e.Recorded < t && v.stands(i, e.Superseded, t) {
			at, entry = append(at, e.At), append(entry, int32(i))
		}
	}
	v.of, v.at, v.entry = all, at, entry
}

// stands tells whether entry i of the history, which is known, was not
// superseded before t. It then is the next item.
func (v *view) stands(i int, superseded, t event.Time) bool {
	next := v.settled+v.dead == i
	if !event.Stands(superseded, t) {
		if next {
			v.dead++
		}
		return false
	}
	if next && superseded == 0 {
		v.settled++
	}
	return true
}

func (v *view) add(it item) { v.at, v.items = append(v.at, it.at), append(v.items, it) }

// changes lists, anew for every instant, what says another thing of an
// attribute than what was known to come before it. A table of states says most
// of them again in every row.
func (v *view) changes(all []event.AttributeChange, t event.Time) {
	v.at, v.items = v.at[:0], v.items[:0]
	for i := 0; i < len(all) && all[i].At < t; i++ {
		c := &all[i]
		if c.Recorded >= t || !event.Stands(c.Superseded, t) {
			continue
		}
		n := len(v.items) - 1
		for n >= 0 && v.items[n].change.Name != c.Name {
			n--
		}
		if n < 0 || v.items[n].change.Value != c.Value {
			v.add(item{at: c.At, known: c.Recorded, change: c})
		}
	}
}

// payments adds what is due, and puts what was paid early where it belongs.
func (v *view) payments(all []event.PaymentCase, t event.Time) (same int) {
	same = v.settled
	first := len(all) // place of the earliest of those paid early
	for i := same + v.dead; i < len(all); i++ {
		p := &all[i]
		if event.Visible(p.At, p.Recorded, t) {
			if v.stands(i, p.Superseded, t) {
				v.add(item{at: p.At, known: p.Recorded, payment: p})
			}
		} else if event.Visible(p.PaidAt, p.PaidKnown, t) && event.Stands(p.Superseded, t) {
			it := item{at: p.PaidAt, known: p.PaidKnown, payment: p}
			place, _ := slices.BinarySearchFunc(v.items[:v.settled], it, func(a, b item) int {
				return cmp.Or(byPayment(a, b), -1) // after its equals
			})
			first = min(first, place)
			v.add(it)
		}
	}
	if first < len(v.items) {
		slices.SortStableFunc(v.items[first:], byPayment)
		for i := first; i < len(v.items); i++ {
			v.at[i] = v.items[i].at
		}
		if v.settled > first && v.dead > 0 { // which of them came before first is not known
			v.settled, v.dead = 0, 0
		}
		v.settled = min(v.settled, first)
	}
	return min(same, first)
}

func byPayment(a, b item) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.known, b.known), cmp.Compare(a.payment.ID, b.payment.ID))
}

// forget lets go of the history.
func (v *view) forget() {
	clear(v.items[:v.most])
	*v = view{at: v.at[:0], items: v.items[:0], entry: v.entry[:0]}
}
