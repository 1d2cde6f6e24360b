package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// owners gives every customer the given number of consecutive rows.
func owners(n, each int) []string {
	c := make([]string, n)
	for i := range c {
		c[i] = fmt.Sprint("c", i/each)
	}
	return c
}

func TestReplicatesAreResampledCustomers(t *testing.T) {
	p, y, w := made(400, 30)
	s, err := NewSample(p, y, w)
	if err != nil {
		t.Fatal(err)
	}
	customers := owners(400, 3)
	owner, count := NumberCustomers(customers)
	b := Bootstrap{Replicates: 3, Level: 0.9, Seed: 5}
	draws := b.draw([]*Sample{s}, 1, owner, count)

	// The obvious way: draw customers, copy their rows, measure the copies.
	seeds := rand.NewPCG(5, 0)
	for i, got := range draws {
		hi, lo := seeds.Uint64(), seeds.Uint64()
		r := rand.New(rand.NewPCG(hi, lo))
		var rp, rw []float64
		var ry []bool
		for range count {
			k := r.IntN(count)
			for j, o := range owner {
				if o == k {
					rp, ry, rw = append(rp, p[j]), append(ry, y[j]), append(rw, w[j])
				}
			}
		}
		copied, err := NewSample(rp, ry, rw)
		if err != nil {
			t.Fatal(err)
		}
		want := values([]*Sample{copied}, nil, []float64{1})
		for j := range want {
			if !near(got[j], want[j]) {
				t.Errorf("replicate %d, metric %d: %v, want %v", i, j, got[j], want[j])
			}
		}
	}
}

func TestBootstrapSameWhateverGOMAXPROCS(t *testing.T) {
	s, customers := scored(t, 0, 600), owners(600, 4)
	b := DefaultBootstrap(1)
	b.Replicates = 60
	want, err := b.Intervals(s, customers)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, n := range []int{1, 3, 8} {
		runtime.GOMAXPROCS(n)
		if got, err := b.Intervals(s, customers); err != nil || got != want {
			t.Errorf("GOMAXPROCS %d: %+v, want %+v, error %v", n, got, want, err)
		}
	}
	b.Seed = 2
	if got, _ := b.Intervals(s, customers); got == want {
		t.Error("another seed gives the same intervals")
	}
}

func TestBootstrapCountsCustomersNotRows(t *testing.T) {
	// Every row four times over, all four of one customer: nothing was
	// learned, so the interval must not narrow.
	p, y, _ := made(500, 0)
	var rp []float64
	var ry []bool
	for i := range p {
		for range 4 {
			rp, ry = append(rp, p[i]), append(ry, y[i])
		}
	}
	once, err := NewSample(p, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	often, err := NewSample(rp, ry, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := DefaultBootstrap(3)
	a, errA := b.Intervals(once, owners(500, 1))
	c, errC := b.Intervals(often, owners(2000, 4))
	rows, errR := b.Intervals(often, owners(2000, 1))
	if errA != nil || errC != nil || errR != nil {
		t.Fatal(errA, errC, errR)
	}
	if !near(float64(a.AUC.Low), float64(c.AUC.Low)) || !near(float64(a.AUC.High), float64(c.AUC.High)) || c.Customers != 500 {
		t.Errorf("once %+v, four times %+v", a.AUC, c.AUC)
	}
	if wide, narrow := a.AUC.High-a.AUC.Low, rows.AUC.High-rows.AUC.Low; narrow > 0.65*wide {
		t.Errorf("drawing rows: width %v, drawing customers: %v", narrow, wide)
	}
	if a.AUC.Value < a.AUC.Low || a.AUC.Value > a.AUC.High || a.AUC.High-a.AUC.Low > 0.2 {
		t.Errorf("interval %+v", a.AUC)
	}
}

func TestIntervalCovers(t *testing.T) {
	// Scores and outcomes of chance: the true AUC is 0.5. Of 200 intervals at
	// level 0.9 about 180 hold it; 160 is 4.7 standard errors below.
	r := rand.New(rand.NewPCG(9, 9))
	held := 0
	for trial := range 200 {
		var p []float64
		var y []bool
		for range 300 {
			p, y = append(p, r.Float64()), append(y, r.Float64() < 0.3)
		}
		s, err := NewSample(p, y, nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Bootstrap{Replicates: 100, Level: 0.9, Seed: uint64(trial)}.Intervals(s, owners(300, 1))
		if err != nil {
			t.Fatal(err)
		}
		if e.AUC.Low <= 0.5 && 0.5 <= e.AUC.High {
			held++
		}
	}
	if held < 160 || held > 197 {
		t.Errorf("%d of 200 intervals hold the true AUC, want about 180", held)
	}
}

func TestDifference(t *testing.T) {
	p, y, _ := made(2000, 0)
	worse := make([]float64, len(p))
	r := rand.New(rand.NewPCG(4, 4))
	for i := range p {
		worse[i] = 0.5*p[i] + 0.5*r.Float64()
	}
	a, errA := NewSample(p, y, nil)
	b, errB := NewSample(worse, y, nil)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	boot, customers := DefaultBootstrap(1), owners(2000, 2)
	d, err := boot.Difference(a, b, customers)
	if err != nil {
		t.Fatal(err)
	}
	if want := a.Metrics().AUC - b.Metrics().AUC; d.AUC.Value != want || d.AUC.Low <= 0 {
		t.Errorf("AUC differs by %+v, want %v, above 0", d.AUC, want)
	}
	single, err := boot.Intervals(a, customers)
	if err != nil {
		t.Fatal(err)
	}
	if d.AUC.High-d.AUC.Low > single.AUC.High-single.AUC.Low {
		t.Errorf("paired %+v is wider than single %+v", d.AUC, single.AUC)
	}
	same, err := boot.Difference(a, a, customers)
	if err != nil || same.AUC != (Estimate{}) || same.LogLoss != (Estimate{}) {
		t.Errorf("a model against itself: %+v, error %v", same, err)
	}
}

// The mean over pairs, and an interval over draws of them: where every row of a
// sample has the same loss, drawing customers changes nothing, and of two pairs
// a replicate draws one of them twice half of the time.
func TestMeanDifference(t *testing.T) {
	_, y, _ := made(200, 0)
	sure := func(right float64) *Sample {
		p := make([]float64, len(y))
		for i := range p {
			if p[i] = 1 - right; y[i] {
				p[i] = right
			}
		}
		s, err := NewSample(p, y, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, c := sure(0.9), sure(0.8), sure(0.6)
	boot, customers := DefaultBootstrap(1), owners(200, 2)
	d, err := boot.MeanDifference([]*Sample{b, c}, []*Sample{a, a}, customers)
	if err != nil {
		t.Fatal(err)
	}
	low, high := math.Log(0.9/0.8), math.Log(0.9/0.6)
	if e := d.LogLoss; !near(float64(e.Value), (low+high)/2) || !near(float64(e.Low), low) || !near(float64(e.High), high) {
		t.Errorf("log loss differs by %+v, want %v [%v, %v]", e, (low+high)/2, low, high)
	}
	same, err := boot.MeanDifference([]*Sample{a, b, c}, []*Sample{a, b, c}, customers)
	if err != nil || same.AUC != (Estimate{}) || same.LogLoss != (Estimate{}) {
		t.Errorf("three samples against themselves: %+v, error %v", same, err)
	}
	if _, err := boot.MeanDifference([]*Sample{a, b}, []*Sample{c}, customers); err == nil || !strings.Contains(err.Error(), "2 samples and 1 others") {
		t.Errorf("no pairs: error %v", err)
	}
}

func TestFewChurnersHaveNoInterval(t *testing.T) {
	// Two churners: (1-2/50)^50 = 13 % of draws hold neither.
	p, y := make([]float64, 50), make([]bool, 50)
	for i := range p {
		p[i] = float64(i) / 100
	}
	y[40], y[20] = true, true
	s, err := NewSample(p, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := DefaultBootstrap(1).Intervals(s, owners(50, 1))
	if err != nil {
		t.Fatal(err)
	}
	if math.IsNaN(float64(e.AUC.Value)) || !math.IsNaN(float64(e.AUC.Low)) || math.IsNaN(float64(e.Brier.Low)) {
		t.Errorf("AUC %+v, Brier %+v", e.AUC, e.Brier)
	}
	empty, err := NewSample(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := DefaultBootstrap(1).Intervals(empty, nil); err != nil || !math.IsNaN(float64(e.AUC.Value)) || !math.IsNaN(float64(e.AUC.High)) {
		t.Errorf("no rows: %+v, error %v", e, err)
	}
}

func TestBootstrapRefuses(t *testing.T) {
	s, other := scored(t, 0, 10), scored(t, 12, 10)
	other.label[0] = !other.label[0]
	for _, test := range []struct {
		b         Bootstrap
		customers []string
		want      string
	}{
		{Bootstrap{0, 0.95, 1}, owners(10, 1), "0 replicates"},
		{Bootstrap{10, 1, 1}, owners(10, 1), "level 1"},
		{Bootstrap{10, math.NaN(), 1}, owners(10, 1), "level NaN"},
		{Bootstrap{10, 0.9, 1}, owners(9, 1), "9 customers for 10 rows"},
	} {
		if _, err := test.b.Intervals(s, test.customers); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want one with %q", test.b, err, test.want)
		}
	}
	if _, err := DefaultBootstrap(1).Difference(s, other, owners(10, 1)); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("other outcomes: error %v", err)
	}
}

func TestQuantile(t *testing.T) {
	// numpy 2.4.6: np.quantile([1, 2, 4, 8], q).
	for _, test := range []struct{ q, want float64 }{{0, 1}, {0.1, 1.3}, {0.5, 3}, {0.9, 6.8}, {1, 8}} {
		if got := Quantile([]float64{1, 2, 4, 8}, test.q); !near(got, test.want) {
			t.Errorf("quantile %v is %v, want %v", test.q, got, test.want)
		}
	}
}

func BenchmarkBootstrap(b *testing.B) {
	s, customers := scored(b, 0, 20_000), owners(20_000, 5)
	for b.Loop() {
		if _, err := DefaultBootstrap(1).Intervals(s, customers); err != nil {
			b.Fatal(err)
		}
	}
}

// Of draws as Intervals does, so that what both measure has the same interval.
func TestOfDrawsAsIntervals(t *testing.T) {
	p, y, _ := made(400, 30)
	s, err := NewSample(p, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := Bootstrap{Replicates: 50, Level: 0.9, Seed: 5}
	customers := owners(400, 3)
	want, err := b.Intervals(s, customers)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Of(customers, 2, func() func(weight, out []float64) {
		return func(weight, out []float64) {
			m := s.Under(s.Draw(nil, weight))
			out[0], out[1] = float64(m.AUC), float64(m.LogLoss)
		}
	})
	if err != nil || got[0] != want.AUC || got[1] != want.LogLoss {
		t.Errorf("%+v, want %+v and %+v; error %v", got, want.AUC, want.LogLoss, err)
	}
	if _, err := (Bootstrap{Replicates: 1, Level: 1}).Of(customers, 1, nil); err == nil {
		t.Error("level 1: no error")
	}
}
