package training

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/training/measure"
)

// Two snapshots, and half of each can be contacted: of four the first two, of
// three one and a half, which is shared by the two with equal scores.
func TestCapacityByHand(t *testing.T) {
	ob := func(who string, at int, left event.Time) Observation {
		return Observation{Customer: who, At: day(at), Churned: left != event.Never, LeftAt: left}
	}
	d := &Data{Observations: []Observation{
		ob("a", 0, event.Never), ob("a", 30, event.Never),
		ob("b", 0, day(10)),
		ob("c", 0, event.Never), ob("c", 30, day(40)),
		ob("d", 0, event.Never), ob("d", 30, event.Never),
	}}
	score := []float64{0.9, 0.7, 0.8, 0.5, 0.7, 0.1, 0.2}
	c := newContacts(Capacity{Share: 0.5}, d, nil)
	picked := c.picked(score)
	if want := []float64{1, 0.75, 1, 0, 0.75, 0, 0}; !slices.Equal(picked, want) {
		t.Fatalf("picked %v, want %v", picked, want)
	}
	ones := slices.Repeat([]float64{1}, 7)
	for _, test := range []struct {
		days             int
		caught, possible float64
	}{{0, (1 + 0.75) / 2, 1}, {10, (1 + 0.75) / 2, 1}, {11, 0, 0.5}, {40, 0, 0.5}, {41, 0, 0}} {
		if got, possible := c.caught(test.days, ones, picked), c.possible(test.days); got != test.caught || possible != test.possible {
			t.Errorf("%d days: %v of %v, want %v of %v", test.days, got, possible, test.caught, test.possible)
		}
	}
	a, err := c.measure(score, score, d.Customers(), measure.Bootstrap{Replicates: 10, Level: 0.9, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a.Contacted != 0.5 || a.Precision.Value != 0.5 || a.Recall.Value != 1.75/2 || a.Lift.Value != 1.75 || a.RecallDifference.Value != 0 {
		t.Errorf("%+v", a)
	}
	if a.Notice != nil || !strings.Contains(a.NoticeNotMeasured, "known of 2 customers who left in the test, 20 are needed") {
		t.Errorf("notice %+v, %q", a.Notice, a.NoticeNotMeasured)
	}
	// One customer a snapshot, of whom the rows are a part: a quarter of 4, and a
	// thirtieth of 30.
	c = newContacts(Capacity{Customers: 1}, d, map[event.Time]int{day(0): 4, day(30): 30})
	if want := []float64{1, 0.05, 0, 0, 0.05, 0, 0}; !slices.EqualFunc(c.picked(score), want, near) {
		t.Errorf("picked %v, want %v", c.picked(score), want)
	}
	for _, bad := range []Capacity{{Customers: -1}, {Share: 1.1}, {Share: math.NaN()}, {Customers: 3, Share: 0.1}} {
		if bad.check() == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// Against the slow way: sort each snapshot, take the first, look who left later.
func TestCapacityAgainstSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	d := &Data{}
	var score []float64
	for i := range 400 {
		left := day(30 + r.IntN(120))
		for _, at := range []event.Time{day(0), day(30), day(60)} {
			if left < at {
				break
			}
			o := Observation{Customer: fmt.Sprint(i), At: at, LeftAt: event.Never}
			if o.Churned = left < at.Add(45*days); o.Churned {
				o.LeftAt = left
			}
			d.Observations = append(d.Observations, o)
			score = append(score, r.Float64()-float64(left-at)/float64(day(100)))
		}
	}
	a, err := newContacts(Capacity{Share: 0.25}, d, nil).measure(score, slices.Repeat([]float64{0}, len(score)), d.Customers(), measure.Bootstrap{Replicates: 40, Level: 0.95, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	contacted := map[int]bool{}
	whole := 0.0 // contacts, with the part of one that is left over at each snapshot
	for _, at := range []event.Time{day(0), day(30), day(60)} {
		var rows []int
		for i := range score {
			if d.Observations[i].At == at {
				rows = append(rows, i)
			}
		}
		slices.SortFunc(rows, func(a, b int) int { return cmp.Compare(score[b], score[a]) })
		whole += float64(len(rows)) / 4
		for _, i := range rows[:len(rows)/4] {
			contacted[i] = true
		}
	}
	left := map[string]event.Time{}
	churners, found := 0.0, 0.0
	for i, o := range d.Observations {
		if o.Churned {
			churners++
			if at, ok := left[o.Customer]; !ok || o.LeftAt < at {
				left[o.Customer] = o.LeftAt
			}
			if contacted[i] {
				found++
			}
		}
	}
	// Up to one row a snapshot is contacted in part.
	if math.Abs(float64(a.Recall.Value)-found/churners) > 3/churners || math.Abs(float64(a.Precision.Value)-found/whole) > 3/whole {
		t.Errorf("recall %v, precision %v; want %v, %v", a.Recall.Value, a.Precision.Value, found/churners, found/whole)
	}
	if got := float64(a.Recall.Value - a.RuleRecall.Value); got != float64(a.RecallDifference.Value) || math.Abs(float64(a.RuleRecall.Value)-0.25) > 1e-9 {
		t.Errorf("a rule that says nothing finds %v, difference %v", a.RuleRecall.Value, a.RecallDifference)
	}
	for k, days := range []int{0, 7, 14, 30, 60} {
		caught, possible := map[string]bool{}, map[string]bool{}
		for i, o := range d.Observations {
			if at, ok := left[o.Customer]; ok && at.Sub(o.At).Days() >= float64(days) {
				possible[o.Customer] = true
				if contacted[i] {
					caught[o.Customer] = true
				}
			}
		}
		n := float64(len(left))
		if got := a.Notice[k]; got.Days != days || got.Churners != len(left) || math.Abs(float64(got.Recall.Value)-float64(len(caught))/n) > 3/n || float64(got.Possible) != float64(len(possible))/n {
			t.Errorf("%d days: %+v, want %v of %v", days, got, float64(len(caught))/n, float64(len(possible))/n)
		}
	}
}

// Nobody was observed 60 days before leaving: that is not a recall of 0.
func TestNoticeThatIsNotPossible(t *testing.T) {
	d := &Data{}
	var score []float64
	for i := range 60 {
		o := Observation{Customer: fmt.Sprint(i), At: day(0), LeftAt: event.Never}
		if o.Churned = i < 30; o.Churned {
			o.LeftAt = day(20)
		}
		d.Observations = append(d.Observations, o)
		score = append(score, float64(i))
	}
	a, err := newContacts(Capacity{Share: 0.6}, d, nil).measure(score, score, d.Customers(), measure.Bootstrap{Replicates: 10, Level: 0.9, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n := a.Notice[2]; n.Recall.Value != 0.2 || n.Possible != 1 { // 36 of 60, of whom 30 stay
		t.Errorf("14 days: %+v", n)
	}
	if n := a.Notice[3]; !math.IsNaN(float64(n.Recall.Value)) || n.Possible != 0 {
		t.Errorf("30 days: %+v", n)
	}
}

// Snapshot on day 100, gap 7 days, horizon 30; all moments by hand.
func TestLeavesAt(t *testing.T) {
	gone := event.Timeline{Customer: customer(day(120))}
	silent := event.Timeline{Customer: customer(event.Never), Engagements: engaged(day(80), day(95)+tick, day(106), day(150)),
		Payments: []event.PaymentCase{bill(day(60), day(101)), bill(day(104), event.Never)}}
	silent.Engagements[2].Superseded = day(110)
	unpaid := event.Timeline{Customer: customer(event.Never), Payments: []event.PaymentCase{
		bill(day(106), event.Never), bill(day(107), day(110)), bill(day(125), event.Never), bill(day(115), day(200)), bill(day(116), event.Never)}}
	unpaid.Payments[3].Superseded = day(130)
	inactive := contract
	inactive.Kind, inactive.Gap = "inactivity", 7*days
	using := inactive
	using.Streams = []string{"engagement"}
	paying := contract
	paying.Kind, paying.Gap, paying.UnpaidFor = "payment", 7*days, 20*days
	label := contract
	label.Kind = "label"
	for _, test := range []struct {
		name string
		tl   *event.Timeline
		want event.Time
		got  event.Time
	}{
		{"contract", &gone, day(120), leavesAt(&contract, &gone, day(100))},
		{"silent since a payment", &silent, day(131), leavesAt(&inactive, &silent, day(100))},
		{"silent since an engagement", &silent, day(125) + tick, leavesAt(&using, &silent, day(100))},
		{"never active", &gone, event.Never, leavesAt(&inactive, &gone, day(100))},
		{"the first of two unpaid", &unpaid, day(136), leavesAt(&paying, &unpaid, day(100))},
		{"label", &gone, event.Never, leavesAt(&label, &gone, day(100))},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
}
