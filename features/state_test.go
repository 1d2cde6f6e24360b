package features

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"churn/event"
)

// snapshot is what a state gave out, and what it was then.
type snapshot struct{ given, was *event.Timeline }

// TestState: in whatever order events come, some of them twice, the state is
// the history of those there are, what it has given out stays as it was, and
// the rows are those of the whole history, whatever was forgotten.
func TestState(t *testing.T) {
	trials := 1500
	if testing.Short() {
		trials = 150
	}
	r := rand.New(rand.NewPCG(21, 22))
	usual, all := learned(t, Default()), learned(t, everything())
	short := shortSet(t)
	refused, dropped := 0, 0
	for trial := range trials {
		engines := []*Engine{usual, all, short, short, wildSet(t, r)}
		e, forgets := engines[trial%len(engines)], trial%2 == 0
		who, events := wildHistory(r, "c")
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		n := r.IntN(len(events) + 1)
		seen := slices.Clone(events[:n])
		s := NewState(event.NewTimeline(who, slices.Clone(seen)), slices.Clone(seen))
		var lent []snapshot
		latest := base.Add(-20 * event.Day)
		for i := n; ; i++ {
			if r.IntN(3) == 0 { // as of a later instant, or of one before it
				latest = latest.Add(event.Duration(r.IntN(4)) * 12 * event.Hour)
				at := latest.Add(-event.Duration(max(0, r.IntN(6)-3)) * event.Day)
				x := []*Engine{e, e, short}[r.IntN(3)]
				got := make([]float32, len(x.Features()))
				switch err := s.Row(x, got, at); {
				case err == nil:
					same(t, fmt.Sprint("trial ", trial), x, got, row(x, who, seen, at))
				case !forgets || at >= latest && x == e:
					t.Fatalf("trial %d: %v", trial, err)
				default:
					refused++
				}
			}
			if forgets && r.IntN(4) == 0 {
				before := len(s.tl.Engagements)
				s.Forget(e, latest)
				dropped += before - len(s.tl.Engagements)
			}
			if !forgets && r.IntN(3) == 0 {
				given, want := s.Timeline(), event.NewTimeline(who, slices.Clone(seen))
				if !reflect.DeepEqual(given, want) {
					t.Fatalf("trial %d: the history is\n%+v\nwant\n%+v", trial, given, want)
				}
				lent = append(lent, snapshot{given, want})
			}
			if i == len(events) {
				break
			}
			seen = append(seen, events[i])
			for _, e := range []event.Event{events[i], seen[r.IntN(len(seen))]} { // one of them again
				if !forgets || e == events[i] {
					if !s.Observe(&e) {
						t.Fatalf("trial %d: %+v is not taken", trial, e)
					}
				}
			}
		}
		for i, l := range lent {
			if !reflect.DeepEqual(l.given, l.was) {
				t.Fatalf("trial %d: snapshot %d was changed to\n%+v\nfrom\n%+v", trial, i, l.given, l.was)
			}
		}
	}
	t.Log(refused, "rows refused,", dropped, "engagements forgotten")
	if refused == 0 || dropped == 0 {
		t.Errorf("%d rows refused, %d engagements forgotten: the test does not reach that", refused, dropped)
	}
}

// TestStateLate: engagements that belong before what was given out, more of them
// than wait, each of them twice.
func TestStateLate(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	events := observed(r, 700)
	seen, rest := []event.Event{events[0], events[len(events)-1]}, events[1:len(events)-1]
	r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	s, size := stateOf(seen), 0
	for n := 0; len(rest) > 0; n = min(n*2+1, len(rest)) {
		given := s.Timeline()
		was := event.NewTimeline(given.Customer, slices.Clone(seen))
		for _, e := range rest[:n] {
			for range 2 {
				if !s.Observe(&e) {
					t.Fatalf("%+v is not taken", e)
				}
			}
		}
		if !reflect.DeepEqual(given, was) {
			t.Fatalf("what was given out with %d events changed", len(seen))
		}
		if n > 0 && s.Size() <= size {
			t.Errorf("%d bytes, and %d with %d events more", size, s.Size(), n)
		}
		size = s.Size()
		seen, rest = append(seen, rest[:n]...), rest[n:]
	}
	if want := event.NewTimeline(s.tl.Customer, slices.Clone(seen)); !reflect.DeepEqual(s.Timeline(), want) {
		t.Errorf("the history is another than that of all %d events", len(seen))
	}
}

// TestStateForgets: memory is bounded by what the windows reach, the row stays
// that of the whole history, and earlier instants are refused.
func TestStateForgets(t *testing.T) {
	e := mustCompile(t, mustParse(t, `version: 1
features:
- {name: n, from: engagement, agg: count, windows: [30d]}
- {name: gap, from: engagement, agg: gap_max, windows: [7d]}
`))
	who := event.Customer{ID: "c", SignedUpAt: event.Never, ChurnedAt: event.Never}
	s := NewState(event.NewTimeline(who, nil), nil)
	var events []event.Event
	largest := 0
	for i := range 3000 { // six a day: 180 in 30 days
		at := base.Add(event.Duration(i) * 4 * event.Hour)
		ev := event.Event{ID: fmt.Sprint(i), Customer: "c", Type: event.Engagement, At: at, Recorded: at, Kind: "x"}
		events = append(events, ev)
		s.Observe(&ev)
		s.Forget(e, at)
		largest = max(largest, len(s.tl.Engagements))
	}
	if largest > 180*4/3+2 {
		t.Errorf("%d engagements are kept where windows hold 180", largest)
	}
	now := events[len(events)-1].At.Add(1)
	got := make([]float32, 2)
	if err := s.Row(e, got, now); err != nil {
		t.Fatal(err)
	}
	same(t, "now", e, got, row(e, who, events, now))
	if got[0] != 180 {
		t.Errorf("%v in 30 days, want 180", got[0])
	}
	if err := s.Row(e, got, now.Add(-90*event.Day)); err == nil {
		t.Error("a row that needs what was forgotten")
	}
	further := mustCompile(t, mustParse(t, `{version: 1, features: [{name: n, from: engagement, agg: count, windows: [90d]}]}`))
	if err := s.Row(further, got[:1], now); err == nil {
		t.Error("a row of an engine that reaches further back than what was kept")
	}
}

// TestStateForgetsUnseen: of what is before the window, the last that can be
// seen is kept, and what will be seen later.
func TestStateForgetsUnseen(t *testing.T) {
	gaps := func(window string) *Engine {
		return mustCompile(t, mustParse(t, `{version: 1, features: [{name: gap, from: engagement, agg: gap_max, windows: [`+window+`]}]}`))
	}
	day := func(n int) event.Time { return base.Add(event.Duration(n) * event.Day) }
	var events []event.Event
	for _, days := range [][2]int{{1, 1}, {2, 2}, {5, 5}, {10, 30}, {12, 50}, {40, 40}} { // happened, recorded
		events = append(events, event.Event{ID: fmt.Sprint(days), Customer: "c", Type: event.Engagement, At: day(days[0]), Recorded: day(days[1]), Kind: "x"})
	}
	s := stateOf(events)
	s.Forget(gaps("7d"), day(41))
	if n := len(s.tl.Engagements); n != 3 {
		t.Fatalf("%d engagements are left, want those of day 10, 12 and 40", n)
	}
	for _, tt := range []struct {
		window string
		at     int
		want   float32
	}{{"7d", 41, 30}, {"7d", 45, 30}, {"14d", 51, 28}} { // from day 40 back to 10, and to 12 once that is known
		got := make([]float32, 1)
		if err := s.Row(gaps(tt.window), got, day(tt.at)); err != nil || got[0] != tt.want {
			t.Errorf("day %d: the gap is %v, want %v: %v", tt.at, got[0], tt.want, err)
		}
	}
	// On day 36 what was before it was that of day 5.
	if err := s.Row(gaps("1d"), make([]float32, 1), day(36)); err == nil {
		t.Error("a row of an instant before the one from which on the rest was forgotten")
	}
}

// TestStateClosed: what the state cannot keep up to date it does not take.
func TestStateClosed(t *testing.T) {
	who := event.Customer{ID: "c"}
	visit := event.Event{ID: "e", Customer: "c", Type: event.Engagement, At: base, Recorded: base, Kind: "x"}
	more := visit
	more.ID = "f"
	corrected := event.NewTimeline(who, []event.Event{visit})
	corrected.Engagements[0].Superseded = base + 1
	unknown := visit
	unknown.Type = event.AttributeSet + 1
	for name, s := range map[string]*State{
		"corrected":          NewState(corrected, []event.Event{visit}),
		"more than its list": NewState(event.NewTimeline(who, []event.Event{visit}), nil),
		"of a new type":      NewState(event.NewTimeline(who, nil), []event.Event{unknown}),
	} {
		if s.Observe(&more) {
			t.Errorf("%s: took an event", name)
		}
	}
	s := NewState(event.NewTimeline(who, []event.Event{visit}), []event.Event{visit})
	if s.Observe(&unknown) || !s.Observe(&more) || len(s.Timeline().Engagements) != 2 {
		t.Errorf("%+v", s)
	}
}

// TestStateSize compares the estimate with what the heap says.
func TestStateSize(t *testing.T) {
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	r := rand.New(rand.NewPCG(3, 3))
	events := make([][]event.Event, 200)
	for i := range events {
		events[i] = observed(r, 1000)
	}
	states := make([]*State, len(events))
	before, size := heap(), 0
	for i, list := range events {
		states[i] = NewState(event.NewTimeline(event.Customer{ID: "c"}, nil), nil)
		for k := range list {
			states[i].Observe(&list[k])
		}
		states[i].pair()
		size += states[i].Size()
	}
	if grown := heap() - before; float64(size) < 0.8*float64(grown) || float64(size) > 1.2*float64(grown) {
		t.Errorf("the states take %d bytes, and say %d", grown, size)
	}
	runtime.KeepAlive(events)
	runtime.KeepAlive(states)
}
