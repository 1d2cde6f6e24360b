package event

import (
	"cmp"
	"slices"
)

// An event that is given again with another body is corrected, and one given as
// Cancelled is void, from the time on at which that was recorded. What an event
// was known to be is therefore a function of the set of its versions, each told
// by when it was recorded and whether it cancels, and not of the order in which
// they came: one recorded earlier than those that are kept is an older version
// that arrives late, and a cancellation may come before what it cancels.

// maxRepeats bounds how many versions of the same body are kept. A repetition
// says nothing new, but would if a version from between came later; a source
// that records everything anew each night must not fill the database with them.
const maxRepeats = 4

// Revision is what becomes of another version of an event.
type Revision struct {
	Status Status
	Keep   bool // whether it belongs to the versions from now on
	// Differs names the columns in which a conflicting version differs from the
	// one in its way, without their values.
	Differs []string
}

// Revise judges another version of an event of which some are kept, in any
// order. It is
//
//   - a Conflict, and not kept, if the event is of another customer or
//     attribute; if another body was recorded at the same time; or if it
//     happened at another time and was recorded just as long after it, which is
//     a source that does not say when it was recorded;
//   - a Duplicate if it repeats the version that was in force when it was
//     recorded, or if Arrived is set and it repeats any: an older message that
//     was delivered again;
//   - Cancelled if it cancels, or if nothing but cancellations of it is kept; and
//     else Corrected.
func Revise(kept []Event, e *Event) Revision {
	var force *Event // the version in force when e was recorded
	repeats, bodies := 0, 0
	for i := range kept {
		k := &kept[i]
		same := e.sameBody(k)
		switch {
		case k.Customer != e.Customer, !k.Cancelled && !e.Cancelled && e.Type == AttributeSet && k.Kind != e.Kind:
			return Revision{Status: Conflict, Differs: e.Differs(k)}
		case k.Recorded == e.Recorded && k.Cancelled == e.Cancelled:
			if same {
				return Revision{Status: Duplicate}
			}
			return Revision{Status: Conflict, Differs: e.Differs(k)}
		case !k.Cancelled && !e.Cancelled && k.At != e.At && k.Recorded-k.At == e.Recorded-e.At:
			return Revision{Status: Conflict, Differs: e.Differs(k)}
		}
		if same {
			repeats++
		}
		if !k.Cancelled {
			bodies++
		}
		if k.before(e) && (force == nil || force.before(k)) {
			force = k
		}
	}
	switch {
	case e.Arrived && repeats > 0:
		return Revision{Status: Duplicate}
	case force != nil && e.sameBody(force):
		return Revision{Status: Duplicate, Keep: repeats < maxRepeats}
	case e.Cancelled || bodies == 0:
		return Revision{Status: Cancelled, Keep: true}
	}
	return Revision{Status: Corrected, Keep: true}
}

// before orders versions: of those recorded at the same time a cancellation
// comes last, and so wins.
func (e *Event) before(f *Event) bool {
	return e.Recorded < f.Recorded || e.Recorded == f.Recorded && !e.Cancelled && f.Cancelled
}

func (e *Event) sameBody(f *Event) bool {
	return e.Cancelled == f.Cancelled && (e.Cancelled || e.At == f.At && e.Kind == f.Kind && e.Channel == f.Channel &&
		e.HasValue == f.HasValue && (!e.HasValue || e.Value == f.Value) && e.Arm == f.Arm && e.Outcome == f.Outcome)
}

// known makes of the versions of one event what it was known to be, and until
// when. A cancellation recorded before the event itself voids it from the
// beginning: then it is superseded at the instant it was recorded.
func known(versions []Event) []Event {
	first := Never
	for i := range versions {
		if !versions[i].Cancelled {
			first = min(first, versions[i].Recorded)
		}
	}
	if first == Never {
		return nil
	}
	for i := range versions {
		versions[i].Recorded = max(versions[i].Recorded, first)
	}
	slices.SortFunc(versions, func(a, b Event) int {
		switch {
		case a.before(&b):
			return -1
		case b.before(&a):
			return 1
		}
		return 0
	})
	out := versions[:0:0]
	for i := range versions {
		v := &versions[i]
		if i > 0 && v.sameBody(&versions[i-1]) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Superseded == 0 {
			out[n-1].Superseded = v.Recorded
		}
		if !v.Cancelled {
			out = append(out, *v)
		}
	}
	return out
}

// identity is what tells events apart.
type identity struct {
	id string
	of Type
}

// Revised makes the history of a customer of the first version that came of
// each event and of more versions of some: each version with the time until
// which it stood, ordered by At, ID, Type and Recorded. The first list may be
// written over.
func Revised(events, more []Event) []Event {
	if len(more) == 0 {
		return events
	}
	versions := map[identity][]Event{}
	for i := range more {
		key := identity{more[i].ID, more[i].Type}
		versions[key] = append(versions[key], more[i])
	}
	out := events[:0]
	for i := range events {
		key := identity{events[i].ID, events[i].Type}
		if list, ok := versions[key]; ok {
			versions[key] = append(list, events[i])
		} else {
			out = append(out, events[i])
		}
	}
	for _, list := range versions {
		out = append(out, known(list)...)
	}
	slices.SortFunc(out, byKey)
	return out
}

// byKey is the order in which a Digest takes events.
func byKey(a, b Event) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Recorded, b.Recorded))
}

// Ledger keeps the events of one customer as a database does. The zero Ledger
// is empty.
type Ledger struct {
	first []Event // versions that came first, none of them a cancellation
	// Ids that ascend differ from all before. While those of a type do, which
	// they mostly do, the last one is all there is to find.
	last  [len(typeTable)]string
	found [len(typeTable)]bool // whether they have not, and at has them all
	at    identities
	more  map[identity][]Event
}

// Len counts the versions that came first.
func (l *Ledger) Len() int { return len(l.first) }

// Reset empties the ledger and keeps its memory.
func (l *Ledger) Reset() {
	l.first = l.first[:0]
	l.at.reset()
	clear(l.last[:])
	clear(l.found[:])
	clear(l.more)
}

// Add keeps an event and says what became of it. Differs is of a conflict.
func (l *Ledger) Add(e *Event) (s Status, differs []string) {
	s, differs, _ = l.add(e)
	return s, differs
}

// find returns the place of the event with the identity of e, or puts down that
// it will be the next, unless it cancels.
func (l *Ledger) find(e *Event) (i int, there bool) {
	t := int(e.Type) % len(l.last) // types that share one would do no harm
	switch {
	case l.found[t]:
		return l.at.find(e, l.first, len(l.first))
	case e.ID > l.last[t]:
		if !e.Cancelled {
			l.last[t] = e.ID
		}
		return len(l.first), false
	}
	for i := range l.first {
		if int(l.first[i].Type)%len(l.last) == t {
			l.at.find(&l.first[i], l.first, i)
		}
	}
	l.found[t] = true
	return l.at.find(e, l.first, len(l.first))
}

// add also tells whether the identity was not there before.
func (l *Ledger) add(e *Event) (s Status, differs []string, fresh bool) {
	i, there := l.find(e)
	key := identity{e.ID, e.Type}
	kept := l.more[key] // of no map as a rule, which costs nothing
	switch {
	case there:
		kept = append([]Event{l.first[i]}, kept...)
	case !e.Cancelled:
		l.first = append(l.first, *e)
		if len(kept) > 0 {
			return Cancelled, nil, true
		}
		return Stored, nil, true
	case len(kept) == 0:
		l.keep(key, e)
		return Cancelled, nil, true
	}
	r := Revise(kept, e)
	if r.Keep {
		l.keep(key, e)
	}
	return r.Status, r.Differs, !there
}

func (l *Ledger) keep(key identity, e *Event) {
	if l.more == nil {
		l.more = map[identity][]Event{}
	}
	l.more[key] = append(l.more[key], *e)
}

// Empty tells whether nothing but cancellations was added.
func (l *Ledger) Empty() bool { return len(l.first) == 0 }

// Events returns the history, as Revised does. It may be changed, and is good
// until Reset, before which nothing can be added.
func (l *Ledger) Events() []Event {
	if events := l.revised(); events != nil {
		return events
	}
	slices.SortFunc(l.first, byKey)
	return l.first
}

// revised is nil where every event has one version.
func (l *Ledger) revised() []Event {
	var more []Event
	for _, list := range l.more {
		more = append(more, list...)
	}
	if len(more) == 0 {
		return nil
	}
	return Revised(l.first, more)
}
