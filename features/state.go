package features

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strings"

	"churn/event"
)

// State is the history of one customer and takes further events as they come.
// In whatever order they do, it is the history that event.NewTimeline makes of
// all of them. What it has given out does not change any more. It is for one
// goroutine at a time.
//
// An engagement is put in its place: at once if that is the end, or behind all
// that was given out; else with others when the history is next asked for, which
// copies the engagements. The events of the other streams, of which there are
// few, are paired anew then.
type State struct {
	tl   event.Timeline
	ids  []string      // of the engagements: the last word on their order
	late []event.Event // engagements to be put among those given out, in order
	rest []event.Event // of the other streams, in order
	// closed is a history that takes no events: see NewState.
	closed bool
	paired bool // tl has the rest
	lent   int  // engagements in front that were given out

	texts int // bytes of texts
	// Engagements before since were forgotten, so that only instants from known
	// on are right.
	since, known event.Time
}

// NewState takes over a history and the events that it was made of. A history
// that is more than event.NewTimeline makes of them, such as one with
// corrections, takes no further events.
func NewState(tl *event.Timeline, events []event.Event) *State {
	s := &State{tl: *tl, paired: true, since: math.MinInt64, known: math.MinInt64}
	slices.SortFunc(events, inOrder)
	for i := range events {
		switch e := &events[i]; {
		case !observable(e.Type):
			s.closed = true
		case e.Type == event.Engagement:
			s.ids = append(s.ids, e.ID)
			s.texts += len(e.ID)
		default:
			s.rest = append(s.rest, *e)
			s.rest[len(s.rest)-1].Customer = tl.Customer.ID // kept once
			s.texts += textBytes(e)
		}
	}
	if s.closed = s.closed || len(s.ids) != len(tl.Engagements) || corrected(tl); s.closed {
		s.ids, s.rest = nil, nil
	}
	s.tl.Engagements, s.ids = slices.Clone(tl.Engagements), slices.Clone(s.ids) // without room to spare
	kinds := map[string]string{}
	for i := range s.tl.Engagements {
		e := &s.tl.Engagements[i]
		if _, ok := kinds[e.Kind]; !ok {
			kinds[e.Kind] = e.Kind
			s.texts += len(e.Kind)
		}
		e.Kind = kinds[e.Kind]
	}
	for k, v := range tl.Customer.Attributes {
		s.texts += len(k) + len(v) + 4*int(textSize) // and its place in the map
	}
	return s
}

// inOrder is the order of event.NewTimeline.
func inOrder(a, b event.Event) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded),
		cmp.Compare(a.ID, b.ID), cmp.Compare(a.Type, b.Type))
}

// observable says whether a type is one that Observe knows how to take.
func observable(t event.Type) bool { return event.Engagement <= t && t <= event.AttributeSet }

// corrected says whether an item of a history was superseded.
func corrected(tl *event.Timeline) bool {
	return slices.ContainsFunc(tl.Engagements, func(e event.EngagementEvent) bool { return e.Superseded != 0 }) ||
		slices.ContainsFunc(tl.Complaints, func(c event.ComplaintCase) bool { return c.Superseded != 0 }) ||
		slices.ContainsFunc(tl.Payments, func(p event.PaymentCase) bool { return p.Superseded != 0 }) ||
		slices.ContainsFunc(tl.Contacts, func(c event.ContactEvent) bool { return c.Superseded != 0 }) ||
		slices.ContainsFunc(tl.Changes, func(c event.AttributeChange) bool { return c.Superseded != 0 })
}

// Observe takes an event of the customer; one that it has already changes
// nothing. As in a store, id and type are unique, and an event that came twice
// is the one that came first. It reports false if the history cannot take the
// event and has to be read anew.
func (s *State) Observe(e *event.Event) bool {
	switch {
	case s.closed || !observable(e.Type):
		return false
	case e.Type == event.Engagement:
		s.engagement(e)
	default:
		s.other(e)
	}
	return true
}

func (s *State) engagement(e *event.Event) {
	all := s.tl.Engagements
	at := len(all)
	if at > 0 && s.compare(at-1, e) >= 0 {
		at = sort.Search(at, func(i int) bool { return s.compare(i, e) >= 0 })
		if s.compare(at, e) == 0 {
			return
		}
	}
	if at < s.lent { // somebody looks at what is to be moved
		s.wait(at, e)
		return
	}
	s.tl.Engagements = slices.Insert(all, at, event.EngagementEvent{At: e.At, Recorded: e.Recorded,
		Kind: s.kind(at, e.Kind), Value: e.Value, HasValue: e.HasValue})
	s.ids = slices.Insert(s.ids, at, strings.Clone(e.ID))
	s.texts += len(e.ID)
}

// wait lets an engagement that belongs at a place wait for the next merge.
func (s *State) wait(at int, e *event.Event) {
	i, found := slices.BinarySearchFunc(s.late, *e, inOrder)
	if found {
		return
	}
	kept := event.Event{ID: strings.Clone(e.ID), Type: e.Type, At: e.At, Recorded: e.Recorded, Kind: s.kind(at, e.Kind), Value: e.Value, HasValue: e.HasValue}
	s.late = slices.Insert(s.late, i, kept)
	s.texts += len(e.ID)
	const most = 64
	if len(s.late) == most {
		s.merge()
	}
}

// merge puts the engagements that wait in their places, in a copy.
func (s *State) merge() {
	k := len(s.late)
	if k == 0 {
		return
	}
	i := len(s.ids) - 1
	n := len(s.ids) + k
	all := append(make([]event.EngagementEvent, 0, n+n/8), s.tl.Engagements...)[:n]
	s.ids = slices.Grow(s.ids, k)[:n]
	for to := n - 1; k > 0; to-- { // from behind, so that nothing is written over
		if i >= 0 && s.compare(i, &s.late[k-1]) > 0 {
			all[to], s.ids[to] = all[i], s.ids[i]
			i--
			continue
		}
		k--
		e := &s.late[k]
		all[to], s.ids[to] = event.EngagementEvent{At: e.At, Recorded: e.Recorded, Kind: e.Kind, Value: e.Value, HasValue: e.HasValue}, e.ID
	}
	s.tl.Engagements, s.late, s.lent = all, nil, 0
}

// compare compares an engagement with one that comes.
func (s *State) compare(i int, e *event.Event) int {
	k := &s.tl.Engagements[i]
	return cmp.Or(cmp.Compare(k.At, e.At), cmp.Compare(k.Recorded, e.Recorded), cmp.Compare(s.ids[i], e.ID))
}

// kind returns a text that one of the engagements around a place already has,
// or a copy: those that come may share memory with much else.
func (s *State) kind(at int, kind string) string {
	const around = 8
	for i := max(0, at-around); i < min(at+around, len(s.tl.Engagements)); i++ {
		if k := s.tl.Engagements[i].Kind; k == kind {
			return k
		}
	}
	s.texts += len(kind)
	return strings.Clone(kind)
}

func (s *State) other(e *event.Event) {
	at, found := slices.BinarySearchFunc(s.rest, *e, inOrder)
	if found {
		return
	}
	kept := *e
	kept.Customer = s.tl.Customer.ID
	for _, text := range []*string{&kept.ID, &kept.Kind, &kept.Channel, &kept.Arm, &kept.Outcome} {
		*text = strings.Clone(*text)
	}
	s.rest = slices.Insert(s.rest, at, kept)
	s.texts += textBytes(e)
	s.paired = false
}

// pair brings the history up to date.
func (s *State) pair() {
	s.merge()
	if s.paired {
		return
	}
	tl := event.NewTimeline(s.tl.Customer, s.rest)
	s.tl.Complaints, s.tl.Payments, s.tl.Contacts, s.tl.Changes, s.tl.Orphans = tl.Complaints, tl.Payments, tl.Contacts, tl.Changes, tl.Orphans
	s.paired = true
}

// Timeline returns the history as it is now. It stays so; do not change it.
// Where Forget dropped something, the old engagements are not there.
func (s *State) Timeline() *event.Timeline {
	s.pair()
	s.lent = len(s.tl.Engagements)
	tl := s.tl
	// Without room behind, in which an append would meet ours.
	tl.Engagements, tl.Complaints = slices.Clip(tl.Engagements), slices.Clip(tl.Complaints)
	tl.Payments, tl.Contacts, tl.Changes = slices.Clip(tl.Payments), slices.Clip(tl.Contacts), slices.Clip(tl.Changes)
	return &tl
}

// Row writes the row as of t to dst, like Engine.Row of the whole history. It
// is an error if that would need what Forget dropped.
func (s *State) Row(e *Engine, dst []float32, t event.Time) error {
	if from := t.Add(-e.Reach("engagement")); t < s.known || from < s.since {
		return fmt.Errorf("the row as of %s needs engagements since %s, and those before %s were forgotten: read the history anew", t, from, s.since)
	}
	s.pair()
	e.Row(dst, &s.tl, t)
	return nil
}

// Reach says how far back from t a row looks at a stream, apart from the one
// item before that which some aggregates look at as well.
func (e *Engine) Reach(stream string) event.Duration {
	for i := range e.plan.streams {
		if st := &e.plan.streams[i]; st.name == stream {
			return st.reach
		}
	}
	return 0
}

// Forget bounds the memory of a customer: it drops the engagements that no
// window of the engine reaches from t on, once they are a quarter of all. Of
// other streams there is too little for it to matter, and their open cases are
// to be seen however old. What is left is enough for every row as of t or later
// of this engine, and of others that reach no further back.
func (s *State) Forget(e *Engine, t event.Time) {
	if s.closed {
		return // to be read anew anyway
	}
	s.merge()
	all, from := s.tl.Engagements, t.Add(-e.Reach("engagement"))
	n := sort.Search(len(all), func(i int) bool { return all[i].At >= from })
	var keep []int
	last := n - 1 // what is before the window, for whoever asks
	for last >= 0 && all[last].Recorded >= t {
		last--
	}
	for i := range n {
		if i == last || all[i].Recorded >= t { // to be seen later
			keep = append(keep, i)
		}
	}
	if dropped := n - len(keep); dropped == 0 || 4*dropped < len(all) {
		return
	}
	left := len(keep) + len(all) - n
	engagements, ids := make([]event.EngagementEvent, 0, left), make([]string, 0, left)
	for _, i := range keep {
		engagements, ids = append(engagements, all[i]), append(ids, s.ids[i])
	}
	for _, id := range s.ids[:n] {
		s.texts -= len(id)
	}
	for _, id := range ids {
		s.texts += len(id)
	}
	s.tl.Engagements, s.ids = append(engagements, all[n:]...), append(ids, s.ids[n:]...)
	s.lent, s.since, s.known = 0, max(s.since, from), max(s.known, t)
}

// Sizes in memory.
var (
	stateSize      = int(reflect.TypeFor[State]().Size())
	engagementSize = int(reflect.TypeFor[event.EngagementEvent]().Size())
	complaintSize  = int(reflect.TypeFor[event.ComplaintCase]().Size())
	paymentSize    = int(reflect.TypeFor[event.PaymentCase]().Size())
	contactSize    = int(reflect.TypeFor[event.ContactEvent]().Size())
	changeSize     = int(reflect.TypeFor[event.AttributeChange]().Size())
	eventSize      = int(reflect.TypeFor[event.Event]().Size())
	textSize       = int(reflect.TypeFor[string]().Size())
)

// Size estimates the memory of the state in bytes.
func (s *State) Size() int {
	return stateSize + s.texts + cap(s.tl.Engagements)*engagementSize + cap(s.ids)*textSize + (cap(s.late)+cap(s.rest))*eventSize +
		cap(s.tl.Complaints)*complaintSize + cap(s.tl.Payments)*paymentSize + cap(s.tl.Contacts)*contactSize + cap(s.tl.Changes)*changeSize
}

// textBytes counts the texts of an event.
func textBytes(e *event.Event) int {
	return len(e.ID) + len(e.Kind) + len(e.Channel) + len(e.Arm) + len(e.Outcome)
}
