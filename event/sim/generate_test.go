package sim

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"churn/event"
)

func small(t *testing.T, variant string, customers int) World {
	t.Helper()
	w, err := DefaultWorld().Variant(variant)
	if err != nil {
		t.Fatal(err)
	}
	w.Customers = customers
	return w
}

// files reads a directory, unpacked.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		name, packed := strings.CutSuffix(e.Name(), ".gz")
		if packed {
			zr, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if b, err = io.ReadAll(zr); err != nil {
				t.Fatal(err)
			}
		}
		all[name] = string(b)
	}
	return all
}

// TestDeterminism: the same seed gives the same bytes, whatever the number of
// processors, packed or not; another seed gives others.
func TestDeterminism(t *testing.T) {
	w := small(t, "outreach", 300)
	write := func(procs int, gz bool) map[string]string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		dir := filepath.Join(t.TempDir(), "world")
		calls, last := 0, 0
		if _, err := w.WriteDir(context.Background(), dir, gz, func(done, total int) {
			if done <= last || total != w.Customers {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			calls, last = calls+1, done
		}); err != nil {
			t.Fatal(err)
		}
		if last != w.Customers || calls < 2 {
			t.Errorf("progress ended at %d after %d calls", last, calls)
		}
		return files(t, dir)
	}
	one, four := write(1, false), write(4, true)
	for _, name := range []string{"customers.csv", "engagement.csv", "complaints.csv", "payments.csv", "contacts.csv", "oracle.csv", "truth.json"} {
		if one[name] == "" || one[name] != four[name] {
			t.Errorf("%s: %d bytes on one processor, others or none on four", name, len(one[name]))
		}
	}
	w.Seed++
	if other := write(4, false); other["engagement.csv"] == one["engagement.csv"] {
		t.Error("another seed gives the same events")
	}
	var truth Truth
	w.Seed--
	if err := json.Unmarshal([]byte(one["truth.json"]), &truth); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(truth.World, w) {
		t.Error("truth.json does not give the world back")
	}
	if truth.Summary.Customers != w.Customers || truth.Summary.Contacts == 0 || truth.Summary.AUC < 0.6 {
		t.Errorf("summary %+v", truth.Summary)
	}
}

// TestRoundTrip reads the files back with the reader of the product and finds
// the timelines that were made.
func TestRoundTrip(t *testing.T) {
	for _, variant := range Variants() {
		w := small(t, variant, 40)
		dir := t.TempDir()
		if _, err := w.WriteDir(context.Background(), dir, false, nil); err != nil {
			t.Fatal(err)
		}
		customers, events := map[string]event.Customer{}, map[string][]event.Event{}
		for _, s := range event.Streams() {
			name := s.String() + ".csv"
			if s == event.Attributes {
				if w.Switch.Name == "" {
					continue
				}
				name = s.String() + "." + w.Switch.Name + ".csv"
			}
			f, err := os.Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			r, err := event.NewReader(f, name, s, event.Mapping{})
			if err != nil {
				t.Fatal(err)
			}
			for {
				rec, err := r.Read()
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if rec.Customer != nil {
					customers[rec.Customer.ID] = *rec.Customer
				}
				for _, e := range rec.Events {
					events[e.Customer] = append(events[e.Customer], e)
				}
			}
			f.Close()
		}
		if err := w.Timelines(func(want *event.Timeline, _ []Score) bool {
			id := want.Customer.ID
			if got := event.NewTimeline(customers[id], events[id]); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %s: got\n%+v\nwant\n%+v", variant, id, got, want)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOrderOfThings: nothing happens before sign-up or after leaving, nothing
// is known before it happens or after the extract.
func TestOrderOfThings(t *testing.T) {
	for _, variant := range Variants() {
		w := small(t, variant, 150)
		late := 0
		_, err := w.Generate(context.Background(), SinkFunc(func(c *Customer) error {
			tl := c.Timeline
			if err := tl.Customer.Validate(); err != nil {
				t.Fatal(err)
			}
			end := min(tl.Customer.ChurnedAt, w.End)
			check := func(what string, from, at, known event.Time) {
				if at == event.Never && known == event.Never {
					return
				}
				if at < from || at >= end || known < at || known >= w.End {
					t.Fatalf("%s: %s of %s: from %s, at %s, known %s, end %s", variant, what, tl.Customer.ID, from, at, known, end)
				}
				if known > at {
					late++
				}
			}
			in := tl.Customer.SignedUpAt
			for _, e := range tl.Engagements {
				check("engagement", in, e.At, e.Recorded)
			}
			for _, e := range tl.Complaints {
				check("complaint", in, e.At, e.Recorded)
				check("resolution", e.At, e.ResolvedAt, e.ResolvedKnown)
			}
			for _, e := range tl.Payments {
				check("payment", in, e.At, e.Recorded)
				check("money", e.At, e.PaidAt, e.PaidKnown)
				check("failure", e.At, e.FailedAt, e.FailedKnown)
				check("refund", e.PaidAt, e.RefundedAt, e.RefundedKnown)
			}
			for _, e := range tl.Contacts {
				check("contact", in, e.At, e.Recorded)
			}
			return nil
		}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if late == 0 {
			t.Errorf("%s: nothing is recorded late", variant)
		}
	}
}

// TestLeak: in the leaky world both marks give the outcome away, and all else
// is as in the plain one.
func TestLeak(t *testing.T) {
	w := small(t, "leak", 1500)
	var marked []Score
	if err := w.Timelines(func(tl *event.Timeline, scores []Score) bool {
		if yes := tl.Customer.Attributes["account_closed"] == "yes"; yes != (tl.Customer.ChurnedAt != event.Never) {
			t.Fatalf("%s: account_closed is %v", tl.Customer.ID, yes)
		}
		for _, s := range scores {
			s.Probability = 0
			for _, e := range tl.Engagements {
				if e.Kind == leakKind && e.At < s.AsOf {
					s.Probability = 1
				}
			}
			marked = append(marked, s)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if a := rank(marked, func(s Score) float64 { return s.Probability }); a < 0.97 {
		t.Errorf("cancel_page alone has AUC %v", a)
	}

	plain, leaky := t.TempDir(), t.TempDir()
	for dir, variant := range map[string]string{plain: "plain", leaky: "leak"} {
		w := small(t, variant, 100)
		if _, err := w.WriteDir(context.Background(), dir, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	a, b := files(t, plain), files(t, leaky)
	for _, name := range []string{"complaints.csv", "payments.csv", "contacts.csv", "oracle.csv"} {
		if a[name] != b[name] {
			t.Errorf("%s differs between the plain and the leaky world", name)
		}
	}
	if strings.Contains(a["engagement.csv"], leakKind) || strings.Contains(a["customers.csv"], "account_closed") {
		t.Error("the plain world leaks")
	}
}

// TestEffects compares treated and control customers, by type, with what was
// planted: p(1-save) + (1-p)harm of the treated leave within 30 days where p
// of the control do.
func TestEffects(t *testing.T) {
	w := small(t, "plain", 40_000)
	w.Snapshots = nil
	for z := range w.Types { // fewer words, more power
		w.Types[z].Engagement = PerState{}
		w.Types[z].Hazard = PerState{0.002, 0.006, 0.02}
	}
	w.Contacts = Experiment{Share: 1, Treated: 0.5, Every: 30, Actions: []Action{
		{"strong", "phone", 5, []float64{0.8, 0.6, 0.4, 0.2, 0, 0.5}, []float64{0, 0.02, 0, 0.05, 0.1, 0.01}},
		{"useless", "email", 1, []float64{0, 0, 0, 0, 0, 0}, []float64{0, 0, 0, 0, 0, 0}},
	}}
	type count struct{ n, left float64 }
	var treated, control [2][6]count
	_, err := w.Generate(context.Background(), SinkFunc(func(c *Customer) error {
		for _, e := range c.Timeline.Contacts {
			day := w.day(e.At)
			if day+EffectDays > w.Days() {
				continue
			}
			a := slices.IndexFunc(w.Contacts.Actions, func(a Action) bool { return a.Name == e.Action })
			k := &control[a][c.Type]
			if e.Arm == ArmTreat {
				k = &treated[a][c.Type]
			}
			k.n++
			if c.Timeline.Customer.ChurnedAt < w.midnight(day+EffectDays) {
				k.left++
			}
		}
		return nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for a, action := range w.Contacts.Actions {
		for z, typ := range w.Types {
			x, y := treated[a][z], control[a][z]
			p, got := y.left/y.n, x.left/x.n
			want := p*(1-action.Save[z]) + (1-p)*action.Harm[z]
			slope := 1 - action.Save[z] - action.Harm[z]
			se := math.Sqrt(want*(1-want)/x.n + slope*slope*p*(1-p)/y.n)
			t.Logf("%s on %s: control %.4f, treated %.4f, planted %.4f (s.e. %.4f)", action.Name, typ.Name, p, got, want, se)
			if math.Abs(got-want) > 4*se || x.n < 300 || y.n < 300 {
				t.Errorf("%s on %s: %v of %v treated left, %.4f planted (s.e. %.4f)", action.Name, typ.Name, x.left, x.n, want, se)
			}
		}
	}
}

// TestDrift: the share who leave rises from the day of the drift on.
func TestDrift(t *testing.T) {
	w := small(t, "drift", 2000)
	w.Snapshots = nil
	var days, left [2]float64
	_, err := w.Generate(context.Background(), SinkFunc(func(c *Customer) error {
		in, out := w.day(c.Timeline.Customer.SignedUpAt), w.Days()-1
		if c.Timeline.Customer.ChurnedAt != event.Never {
			out = w.day(c.Timeline.Customer.ChurnedAt)
			k := 0
			if out >= w.Drift.Day {
				k = 1
			}
			left[k]++
		}
		for d := in; d <= out; d++ {
			if d < w.Drift.Day {
				days[0]++
			} else {
				days[1]++
			}
		}
		return nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if ratio := left[1] / days[1] / (left[0] / days[0]); ratio < 1.2 || ratio > 1.7 {
		t.Errorf("hazard rises by %v", ratio)
	}
}

// TestGenerateStreams: the customers are not held in memory. They would take
// about 100 MB.
func TestGenerateStreams(t *testing.T) {
	w := small(t, "plain", 4000)
	w.Snapshots = nil
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, peak, size := 0, uint64(0), 0
	_, err := w.Generate(context.Background(), SinkFunc(func(c *Customer) error {
		tl := c.Timeline
		size += 72*len(tl.Engagements) + 160*len(tl.Complaints) + 128*len(tl.Payments)
		if n++; n%400 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
		return nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	held := (float64(peak) - float64(before.HeapAlloc)) / 1e6
	t.Logf("%.0f MB made, %.1f MB held at most", float64(size)/1e6, held)
	if float64(size) < 60e6 || held > 25 {
		t.Errorf("%.1f MB held of %.0f MB made", held, float64(size)/1e6)
	}
}

func TestGenerateStops(t *testing.T) {
	w := small(t, "plain", 2000)
	enough := errors.New("enough")
	n := 0
	_, err := w.Generate(context.Background(), SinkFunc(func(*Customer) error {
		if n++; n == 100 {
			return enough
		}
		return nil
	}), nil)
	if !errors.Is(err, enough) || n != 100 {
		t.Errorf("sink's error: got %v after %d customers", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	_, err = w.WriteDir(ctx, dir, false, func(done, _ int) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("an interrupted run left %d files", len(left))
	}
	if err := os.WriteFile(filepath.Join(dir, "payments.csv"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteDir(context.Background(), dir, false, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("directory in use: got %v", err)
	}
	if left := files(t, dir); len(left) != 1 || left["payments.csv"] != "mine" {
		t.Errorf("directory in use: now holds %v", left)
	}
	n = 0
	if err := w.Timelines(func(*event.Timeline, []Score) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("Timelines stopped after %d: %v", n, err)
	}
	none := small(t, "plain", 0)
	if sum, err := none.Generate(context.Background(), SinkFunc(func(*Customer) error { return enough }), nil); err != nil || sum.Customers != 0 {
		t.Errorf("no customers: %+v, %v", sum, err)
	}
}

func TestValidate(t *testing.T) {
	for _, variant := range Variants() {
		w := small(t, variant, 1)
		if err := w.Validate(); err != nil {
			t.Errorf("%s: %v", variant, err)
		}
	}
	if _, err := DefaultWorld().Variant("flat"); err == nil || !strings.Contains(err.Error(), "no-signal") {
		t.Errorf("unknown variant: %v", err)
	}
	for name, change := range map[string]func(w *World){
		"customers":       func(w *World) { w.Customers = -1 },
		"start":           func(w *World) { w.Start++ },
		"end":             func(w *World) { w.End = w.Start },
		"too long":        func(w *World) { w.End = w.Start.Add(30_000 * event.Day) },
		"horizon":         func(w *World) { w.Horizon = 36 * event.Hour },
		"endless":         func(w *World) { w.Horizon = 1e6 * event.Day },
		"first wave":      func(w *World) { w.FirstWaveDays = 0 },
		"no types":        func(w *World) { w.Types = nil },
		"no name":         func(w *World) { w.Types[0].Name = "" },
		"type shares":     func(w *World) { w.Types[0].Share += 0.1 },
		"rate shares":     func(w *World) { w.Rates = w.Rates[1:] },
		"rate too high":   func(w *World) { w.Rates = []Rate{{"", 200, 1}} },
		"rate NaN":        func(w *World) { w.Rates = []Rate{{"", math.NaN(), 1}} },
		"hazard":          func(w *World) { w.Types[1].Hazard[0] = 1.5 },
		"hazard NaN":      func(w *World) { w.Types[1].Hazard[0] = math.NaN() },
		"drifting hazard": func(w *World) { w.Types[1].Hazard[0] = 0.9; w.Drift = Drift{Day: 9, Hazard: 2, Engagement: 1} },
		"step":            func(w *World) { w.Types[1].Step[2][1] = 0 },
		"start state":     func(w *World) { w.Types[1].Start[1] = 0.9 },
		"mix":             func(w *World) { w.Types[1].Mix[0] = []float64{1} },
		"payment":         func(w *World) { w.Types[1].Payment[0][0] = 0 },
		"setup":           func(w *World) { w.Types[1].Setup = -1 },
		"engagement":      func(w *World) { w.Types[1].Engagement[0] = -1 },
		"categories":      func(w *World) { w.Types[1].Categories = nil },
		"attributes":      func(w *World) { w.Types[1].Attributes = nil },
		"attribute":       func(w *World) { w.Types[1].Attributes = [][]float64{{1}, nil, nil, nil, nil} },
		"prices":          func(w *World) { w.Prices = nil },
		"price":           func(w *World) { w.Prices = []float64{1, 2, math.Inf(1)} },
		"severity":        func(w *World) { w.Severity[0][0] = 0.9 },
		"snapshot":        func(w *World) { w.Snapshots = []event.Time{w.Start + 1} },
		"snapshots":       func(w *World) { slices.Reverse(w.Snapshots) },
		"lag":             func(w *World) { w.Lags.Complaints.Max = 999 },
		"lag mean":        func(w *World) { w.Lags.Complaints.Mean = 0 },
		"season":          func(w *World) { w.SeasonSwing = 1 },
		"resolution":      func(w *World) { w.ResolveMean = -1 },
		"drift":           func(w *World) { w.Drift = Drift{Day: -1} },
		"rounds":          func(w *World) { w.Contacts = Experiment{Share: 1, Every: 7, Actions: DefaultActions()} },
		"no actions":      func(w *World) { w.Contacts = Experiment{Share: 1, Every: 30} },
		"effects":         func(w *World) { w.Contacts.Actions = []Action{{Name: "a"}}; w.Contacts.Share, w.Contacts.Every = 1, 30 },
		"effect": func(w *World) {
			w.Contacts = Experiment{Share: 1, Every: 30, Actions: DefaultActions()}
			w.Contacts.Actions[0].Save[0] = 0.999
		},
	} {
		w := small(t, "plain", 1)
		change(&w)
		if err := w.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := w.Generate(context.Background(), SinkFunc(func(*Customer) error { return nil }), nil); err == nil {
			t.Errorf("%s: generated", name)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, variant := range []string{"plain", "late"} {
		b.Run(variant, func(b *testing.B) {
			w, err := DefaultWorld().Variant(variant)
			if err != nil {
				b.Fatal(err)
			}
			w.Customers = b.N
			b.ResetTimer()
			if _, err := w.WriteDir(context.Background(), filepath.Join(b.TempDir(), "world"), false, nil); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "customers/s")
		})
	}
}

// TestDirChanges: a timeline with changes of attributes is written, a file each.
func TestDirChanges(t *testing.T) {
	w := small(t, Variants()[0], 1)
	dir := t.TempDir()
	d, err := w.CreateDir(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	c := &Customer{Timeline: &event.Timeline{Customer: event.Customer{ID: "a", SignedUpAt: w.Start, ChurnedAt: event.Never},
		Changes: []event.AttributeChange{{At: w.Start, Recorded: w.Start, Name: "tier", Value: "1"}, {At: w.Start, Recorded: w.Start, Name: "city", Value: "x"},
			{At: w.Start.Add(event.Day), Recorded: w.Start.Add(event.Day), Name: "tier"}}}}
	if err := errors.Join(d.Take(c), d.Finish(&Summary{})); err != nil {
		t.Fatal(err)
	}
	var got []string
	inputs, err := event.FindInputs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		if in.Stream != event.Attributes {
			continue
		}
		r, err := in.Reader(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := r.Read(); err != io.EOF; rec, err = r.Read() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rec.Events[0].ID+"="+rec.Events[0].Outcome)
		}
		r.Close()
	}
	if want := []string{"a-a00002/city=x", "a-a00001/tier=1", "a-a00003/tier="}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
