package training

import (
	"math"
	"strings"
	"sync"
	"testing"
)

// Reckoned by hand from the constants.
func TestPhases(t *testing.T) {
	// Rungs: two rules, two groups, and the blend of both.
	w := work{settings: []setting{{group: "logistic", name: "a", cost: 1}, {group: "logistic", name: "b", cost: 3}, {group: "symmetric trees", name: "c", cost: 2}},
		fits: 12, train: 40_000, calibration: 10_000, before: 60_000, test: 4000, columns: 100, replicates: 500, ends: 3}
	want := map[string]float64{
		// Two of mean cost 2 are fitted twice in the first fold, then one four times
		// more: 6 fits of 2. And 5 of the other.
		"search":      (12 + 10) / 2.,
		"calibrating": 3.5e-6 * 5 * 50_000 / 2, // 0.4375
		"checking":    1.25e-6 * 20_000 * 100 / 2,
		"evaluating":  6.5e-8 * 5 * 500 * 4000 / 2,
		"again":       5 * 2 * 1.5 / 2.,
		"backtest":    3 * 5 * 2 * 1.5 / 2.,
	}
	phases := w.phases(2)
	if len(phases) != len(want) {
		t.Errorf("%d phases, want %d", len(phases), len(want))
	}
	total := 0.0
	for _, p := range phases {
		if math.Abs(float64(p.Seconds)-want[p.Name]) > 1e-9 {
			t.Errorf("%s: %v s, want %v", p.Name, p.Seconds, want[p.Name])
		}
		total += want[p.Name]
	}
	// Reading is as long as it took, once more for each end.
	o := Outline{Phases: phases, Ends: 3, Workers: 2}
	o.Reading(7)
	if got := float64(o.Seconds); math.Abs(got-(total+4*7)) > 1e-9 || o.Phases[0].Name != "reading" {
		t.Errorf("%v s in all, want %v; %+v", got, total+28, o.Phases)
	}
	for _, line := range []string{"\nreading     about 7.0 s; as it took now", "\nchecking    about 1.2 s\n", "\nbacktest    about 44 s; 3 ends", "\nin all      about 71 s on 2 processors"} {
		if !strings.Contains(o.String(), line) {
			t.Errorf("no %q in:\n%s", line, o.String())
		}
	}
	w.ends, w.quick, w.before = 0, true, 0
	if phases = w.phases(1); len(phases) != 4 || math.Abs(float64(phases[2].Seconds)-1.25) > 1e-9 {
		t.Errorf("quick checks without a backtest: %+v", phases)
	}
}

// Progress knows from the first how many fits there will be.
func TestProgressOfFits(t *testing.T) {
	p := championPlan()
	var o *Outline
	p.Start = func(out *Outline) error { o = out; return nil }
	last := 0
	var mu sync.Mutex
	p.Progress = func(stage string, done, total int) {
		mu.Lock()
		defer mu.Unlock()
		if stage == "fitting models" {
			if total != 15 || done < last { // 7 strengths, 4, 2, 1 and 1
				t.Errorf("%d of %d fits, after %d of 15", done, total, last)
			}
			last = done
		}
	}
	trained(t, championTable(1), p)
	if o.Fits != 15 || last != 15 {
		t.Errorf("%d fits of %d that were outlined", last, o.Fits)
	}
}
