package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"churn/event"
	"churn/event/sim"
	"churn/features"
	"churn/model"
)

func TestHeldOut(t *testing.T) {
	const n = 20_000
	id := func(i int) string { return fmt.Sprintf("C%07d", i) }
	for _, share := range []float64{0.05, 0.25, 0.5} {
		got := 0
		for i := range n {
			out := heldOut(id(i), 7, share)
			if out {
				got++
			}
			if out && !heldOut(id(i), 7, share+0.1) {
				t.Fatalf("%s is held out of %v and not of %v", id(i), share, share+0.1)
			}
		}
		// Four standard deviations of a binomial.
		if d := math.Abs(float64(got)/n - share); d > 4*math.Sqrt(share*(1-share)/n) {
			t.Errorf("held out %d of %d, want a share of %v", got, n, share)
		}
	}
	// Groups by neighbouring seeds have nothing to do with each other.
	both := 0
	for i := range n {
		if heldOut(id(i), 7, 0.5) && heldOut(id(i), 8, 0.5) {
			both++
		}
	}
	if d := math.Abs(float64(both)/n - 0.25); d > 4*math.Sqrt(0.25*0.75/n) {
		t.Errorf("two halves share %d of %d, want a quarter", both, n)
	}
}

// Whom the hash holds out is a promise to models already stored: evaluation
// finds their test customers by it. Computed once by this code.
func TestHeldOutStays(t *testing.T) {
	var got []int
	for i := range 30 {
		if heldOut(fmt.Sprint("customer ", i), 1, 0.25) {
			got = append(got, i)
		}
	}
	if want := []int{0, 6, 9, 11, 12, 14, 24, 28}; !slices.Equal(got, want) {
		t.Errorf("held out %v, want %v", got, want)
	}
}

func TestSnapshots(t *testing.T) {
	d := model.Definition{Kind: "contract", Gap: 7 * days, Horizon: 30 * days}
	got := Snapshots(&d, day(137)+5, 30*days, 3)
	if want := []event.Time{day(40), day(70), day(100)}; !slices.Equal(got, want) {
		t.Errorf("snapshots %v, want %v", got, want)
	}
	for _, through := range []event.Time{day(137), day(138) - 1, day(138), -day(500), -day(500) + 1, -day(500) - 1} {
		last := Snapshots(&d, through, days, 2)[1]
		known := last.Add(span(&d))
		if last%event.Time(event.Day) != 0 || known > through || known.Add(days) <= through {
			t.Errorf("through %d: the latest snapshot is %d", through, last)
		}
	}
}

func TestObserve(t *testing.T) {
	d := model.Definition{Kind: "contract", Gap: 7 * days, Horizon: 30 * days}
	o := &Observer{Definition: d, Snapshots: []event.Time{day(-1), day(40), day(70), day(100), day(130)}, Through: day(150), HeldOut: 0.25, Seed: 1}
	c := customer(day(110))
	c.ChurnReason = "moved"
	counts := Counts{}
	var got []Observation
	o.Observe(&event.Timeline{Customer: c, Engagements: engaged(day(50))}, counts, func(ob Observation) { got = append(got, ob) })
	out := heldOut("c", 1, 0.25)
	want := []Observation{{"c", day(40), false, out, "", "", event.Never}, {"c", day(70), false, out, "", "", event.Never}, {"c", day(100), true, out, "moved", "voluntary", day(110)}}
	if !slices.Equal(got, want) {
		t.Errorf("observations %v, want %v", got, want)
	}
	if len(counts) != 3 || counts["stayed"] != 2 || counts["churned"] != 1 || counts["not eligible"] != 2 {
		t.Errorf("counts %v", counts)
	}
}

// tinyWorld is the default world with few customers, without the best scores.
func tinyWorld(customers int) sim.World {
	w := sim.DefaultWorld()
	w.Customers, w.Snapshots = customers, nil
	return w
}

// Rows do not depend on workers, nor on which other customers there are.
func TestComputeDoesNotDependOnWorkers(t *testing.T) {
	w := tinyWorld(600) // more than two blocks
	src := newWorldSource(t, w)
	p := worldPlan(&w)
	o := &Observer{Definition: p.Definition, Snapshots: Snapshots(&p.Definition, p.Through, 90*days, 3),
		Through: p.Through, HeldOut: 0.25, Seed: 1}
	census := features.NewCensus(p.Features)
	for _, tl := range src.timelines {
		census.Add(tl, o.Snapshots[0])
	}
	engine, err := p.Features.Lock(census).Compile()
	if err != nil {
		t.Fatal(err)
	}
	run := func(src Source, workers int) (*Data, Counts) {
		t.Helper()
		seen := 0
		d, counts, err := compute(context.Background(), src, o, engine, workers, func(n int) { seen = n })
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, n := range counts {
			total += n
		}
		if total != seen*len(o.Snapshots) || len(d.Observations) != counts["stayed"]+counts["churned"] || d.Matrix.Rows() != len(d.Observations) {
			t.Errorf("%d verdicts on %d customers; %d observations, %d rows: %v", total, seen, len(d.Observations), d.Matrix.Rows(), counts)
		}
		return d, counts
	}
	one, counts := run(src, 1)
	four, counts4 := run(src, 4)
	if !sameBits(one.Matrix.Data, four.Matrix.Data) || !slices.Equal(one.Observations, four.Observations) || fmt.Sprint(counts) != fmt.Sprint(counts4) {
		t.Error("one worker and four give different rows")
	}
	odd := &worldSource{}
	for i, tl := range src.timelines {
		if i%2 == 1 {
			odd.timelines = append(odd.timelines, tl)
		}
	}
	part, _ := run(odd, 2)
	mine := map[string]bool{}
	for _, tl := range odd.timelines {
		mine[tl.Customer.ID] = true
	}
	want := one.Rows(func(ob *Observation) bool { return mine[ob.Customer] })
	if !sameBits(part.Matrix.Data, want.Matrix.Data) || !slices.Equal(part.Observations, want.Observations) {
		t.Error("the rows of a customer depend on who else is there")
	}
}

// sameBits compares values, where two missing ones are alike.
func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// brokenSource fails after a few histories.
type brokenSource struct {
	*worldSource
	after int
	err   error
}

func (s *brokenSource) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	for _, tl := range s.timelines[:s.after] {
		if err := fn(tl); err != nil {
			return err
		}
	}
	return s.err
}

func TestTrainPassesOnReadErrors(t *testing.T) {
	w := tinyWorld(50)
	bad := errors.New("disk on fire")
	_, _, err := Train(context.Background(), &brokenSource{newWorldSource(t, w), 20, bad}, worldPlan(&w))
	if !errors.Is(err, bad) {
		t.Errorf("error %v, want the source's", err)
	}
}

func TestDataRows(t *testing.T) {
	d := &Data{Matrix: features.Matrix{Features: make([]features.Feature, 2), Data: []float32{0, 1, 2, 3, 4, 5}},
		Observations: []Observation{{Customer: "a", Churned: true}, {Customer: "b"}, {Customer: "a"}}}
	if d.Positives() != 1 || !slices.Equal(d.Labels(), []bool{true, false, false}) || !slices.Equal(d.Customers(), []string{"a", "b", "a"}) {
		t.Errorf("%d churners, labels %v, customers %v", d.Positives(), d.Labels(), d.Customers())
	}
	a := d.Rows(func(o *Observation) bool { return o.Customer == "a" })
	if !slices.Equal(a.Matrix.Data, []float32{0, 1, 4, 5}) || len(a.Observations) != 2 {
		t.Errorf("rows %v of %v", a.Matrix.Data, a.Observations)
	}
	none := d.Rows(func(*Observation) bool { return false })
	if none.Matrix.Rows() != 0 || none.Positives() != 0 {
		t.Errorf("no rows: %+v", none)
	}
}
