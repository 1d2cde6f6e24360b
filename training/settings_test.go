package training

import (
	"strings"
	"testing"

	"churn/event"
)

// What the size of the data allows, by the table of docs/training.md.
func TestSettingsBySize(t *testing.T) {
	groups := func(n size, rungs ...string) string {
		var out []string
		for _, s := range planOf(t, rungs...).settings(n) {
			if len(out) == 0 || out[len(out)-1] != s.group {
				out = append(out, s.group)
			}
		}
		return strings.Join(out, ", ")
	}
	for _, test := range []struct {
		n    size
		want string
	}{
		{size{5000, 20, 29, true}, ""},
		{size{5000, 20, 29, false}, "logistic"},
		{size{5000, 20, 59, true}, "logistic"},
		{size{5000, 20, 60, true}, "logistic, forest, symmetric trees, leaf-wise trees"},
		{size{5_000_000, 200, 90_000, true}, "logistic, forest, symmetric trees, leaf-wise trees"},
	} {
		if got := groups(test.n); got != test.want {
			t.Errorf("%+v: %q, want %q", test.n, got, test.want)
		}
	}
	if got := groups(size{5000, 20, 500, true}, "forest"); got != "forest" {
		t.Errorf("the forest alone: %q", got)
	}
}

// A budget leaves out or adds, the first of each group stays, and no name comes
// twice.
func TestBudget(t *testing.T) {
	n := size{7000, 20, 1800, false}
	p := planOf(t)
	base := p.settings(n)
	for _, budget := range []event.Duration{event.Microsecond, 3 * event.Second, event.Minute, 10 * event.Minute} {
		p.Budget = budget
		some := p.settings(n)
		names, groups := map[string]bool{}, map[string]int{}
		for _, s := range some {
			if names[s.name] {
				t.Errorf("%s comes twice", s.name)
			}
			names[s.name] = true
			groups[s.group]++
		}
		for _, s := range base {
			if groups[s.group] == 0 {
				t.Errorf("%s: nothing of %s", budget, s.group)
			}
		}
		seconds, cost := float64(budget)/float64(event.Second), searchCost(some)/float64(p.Workers)
		switch {
		case budget == event.Microsecond && len(some) != 4:
			t.Errorf("%d settings within no time", len(some))
		case budget > event.Microsecond && cost > seconds:
			t.Errorf("%s: %.1f s", budget, cost)
		case budget == 10*event.Minute && (len(some) < len(base)+20 || groups["symmetric trees"] < 10):
			t.Errorf("%d settings in ten minutes", len(some))
		}
	}
	// Five compete: 5, 3, 2, 1 and 1 fits; one alone is fitted five times.
	five := make([]setting, 6)
	for i := range five {
		five[i] = setting{group: "a", cost: 2}
	}
	five[5] = setting{group: "b", cost: 1}
	if got := searchCost(five); got != 2*12+5 {
		t.Errorf("cost %v", got)
	}
}
