package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
	"churn/model"
)

// Pairs at one snapshot only, by hand: at the first a churner above one stayer
// and below another, at the second one tied: (1 + 0 + 0.5) of 3.
func TestWithin(t *testing.T) {
	d := &Data{Observations: []Observation{{At: 1, Churned: true}, {At: 1}, {At: 1}, {At: 2, Churned: true}, {At: 2}}}
	got, se := within([]float64{5, 3, 9, 7, 7}, d)
	if got != 0.5 || !near(se, math.Sqrt(2*4/12.0+1*3/12.0)/3) {
		t.Errorf("%v ± %v", got, se)
	}
	// Without snapshots apart it is the AUC.
	r := rand.New(rand.NewPCG(2, 2))
	one := &Data{}
	var score []float64
	for range 300 {
		one.Observations = append(one.Observations, Observation{Churned: r.IntN(3) == 0})
		score = append(score, float64(r.IntN(20)))
	}
	if got, _ := within(score, one); !near(got, auc(score, one.Labels())) {
		t.Errorf("%v, want %v", got, auc(score, one.Labels()))
	}
}

func TestOrders(t *testing.T) {
	table := func(id func(i int) string, churned func(r *rand.Rand, i int) bool) *Data {
		r := rand.New(rand.NewPCG(4, 4))
		d := &Data{}
		for i := range 600 {
			d.Observations = append(d.Observations, Observation{Customer: id(i), At: event.Never, Churned: churned(r, i)})
		}
		return d
	}
	number := func(i int) string { return fmt.Sprint(i + 1) } // "10" comes after "9"
	hashed := func(i int) string { return fmt.Sprintf("%08x", spread(fmt.Sprint(i), 9)>>32) }
	chance := func(r *rand.Rand, _ int) bool { return r.IntN(4) == 0 }
	late := func(r *rand.Rand, i int) bool { return r.IntN(700) < i/2 }
	for _, test := range []struct {
		name  string
		d     *Data
		table bool
		want  string // subjects
	}{
		{"chance", table(number, chance), true, ""},
		{"in order of id", table(number, late), false, "the order of the ids"},
		{"in order of id and row", table(number, late), true, "the order of the ids, the order of the rows"},
		{"in order of row", table(hashed, late), true, "the order of the rows"},
		{"in order of row, of histories", table(hashed, late), false, ""},
		{"too few to tell", table(number, func(_ *rand.Rand, i int) bool { return i == 500 || i == 550 }), true, ""},
	} {
		var subjects []string
		for _, f := range orders(test.d, test.table) {
			subjects = append(subjects, f.Subject)
			if f.Severity != "warning" {
				t.Errorf("%s: %+v", test.name, f)
			}
		}
		if got := strings.Join(subjects, ", "); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A cancel page seen in the last days before leaving predicts those who leave
// soon, and not those who leave later.
func TestLongerGap(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	d := &Data{Matrix: features.Matrix{Features: []features.Feature{{Name: "silence"}, {Name: "cancel_page"}, {Name: "fewer"}, {Name: "noise"}}}}
	for i := range 2000 {
		o := Observation{Customer: fmt.Sprint(i), At: day(100), Churned: i%4 == 0, LeftAt: event.Never}
		x := d.Matrix.Grow()
		x[0], x[3] = float32(r.NormFloat64()), float32(r.NormFloat64())
		if o.Churned {
			o.LeftAt = day(107 + r.IntN(30))
			x[0]++
			if o.LeftAt < day(121) && r.IntN(4) > 0 {
				x[1], x[2] = 1, -1
			}
		}
		d.Observations = append(d.Observations, o)
	}
	def := model.Definition{Kind: "contract", Gap: 7 * days, Horizon: 30 * days}
	got := findings(longerGap(d, &def, 2))
	if len(got) != 2 || !strings.Contains(got["cancel_page"].Text, "falls from 0.6") || got["fewer"].Severity != "warning" {
		t.Errorf("%+v", got)
	}
	silence := def
	silence.Kind = "inactivity"
	unknown := &Data{Matrix: d.Matrix}
	for _, o := range d.Observations {
		o.LeftAt = event.Never
		unknown.Observations = append(unknown.Observations, o)
	}
	if a, b := longerGap(d, &silence, 1), longerGap(unknown, &def, 1); a != nil || b != nil {
		t.Errorf("%v, %v", a, b)
	}
	// A payment counts as not coming so long after it was due.
	paying := def
	paying.Kind, paying.UnpaidFor = "payment", 20*days
	for i := range d.Observations {
		if o := &d.Observations[i]; o.Churned {
			o.LeftAt = o.LeftAt.Add(paying.UnpaidFor)
		}
	}
	if again := findings(longerGap(d, &paying, 1)); len(again) != 2 || again["cancel_page"].Text != got["cancel_page"].Text {
		t.Errorf("%+v", again)
	}
}

// Of streams whose times are days, by hand.
func TestClocks(t *testing.T) {
	c := newClocks()
	tl := &event.Timeline{}
	for i := range 200 {
		tl.Engagements = append(tl.Engagements, event.EngagementEvent{At: day(i) + event.Time(i)*7*event.Time(event.Minute)})
		tl.Payments = append(tl.Payments, bill(day(i), event.Never)) // due on days, and not paid
		at := day(i-100) + event.Time(4+i%2)*event.Time(event.Hour)
		tl.Contacts = append(tl.Contacts, event.ContactEvent{At: at})
		if i < 99 {
			tl.Complaints = append(tl.Complaints, event.ComplaintCase{At: day(i)}) // too few to tell
		}
	}
	tl.Contacts[0].Superseded = day(300)
	c.add(tl)
	got := c.findings()
	if len(got) != 1 || got[0].Subject != "contacts" || !strings.HasPrefix(got[0].Text, "199 of 199 times of contacts are at 05:00 or 04:00 UTC: they are days") {
		t.Errorf("%+v", got)
	}
	if len(c.begins) != 3 || c.begins["engagement"] != day(0) || c.begins["contacts"] != day(-99)+5*event.Time(event.Hour) || c.begins["complaints"] != day(0) {
		t.Errorf("%v", c.begins)
	}
}
