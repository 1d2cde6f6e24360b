package outreach

import (
	"fmt"
	"math"
	"testing"

	"churn/event"
)

// TestPropensity draws many salts and customers and compares how often each
// action is taken with what was logged, by a χ² test. The seed is fixed: the
// test cannot fail by chance, only by a change. Critical value: χ²(1) at
// 0.001 is 10.83 (R 4.3, qchisq).
func TestPropensity(t *testing.T) {
	const n = 60_000
	owed := "id: owed, when: 'true', channels: [email], save: 0.1, holdout: exempt"
	gift := "id: gift, when: 'true', channels: [email], save: 0.5"
	for _, c := range []struct {
		name     string
		actions  []string
		expected map[string]float64
	}{
		// h = 0.05 and e = 0.02: 0.95·0.98 = 0.931 (by hand).
		{"offer", []string{gift}, map[string]float64{"gift": 0.931, Nothing: 0.069}},
		{"offer and duty", []string{owed, gift}, map[string]float64{"gift": 0.931, "owed": 0.069}},
		{"duty", []string{owed}, map[string]float64{"owed": 1}},
		{"nothing", []string{"id: no, when: 'false', channels: [email], save: 0.5"}, map[string]float64{Nothing: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			book := playbookOf(t, c.actions...)
			taken, arms := map[string]int{}, map[Arm]int{}
			var r *Recommender
			for i := range n {
				if i%600 == 0 { // a new salt
					r = recommender(t, func(p *Policy) {
						p.Playbook, p.Holdout, p.Explore = book, Holdout{0.05, fmt.Sprint("salt", i)}, 0.02
					})
				}
				k := happyCandidate()
				k.Customer.ID = fmt.Sprint("c", i%20)
				k.At = k.At.Add(event.Duration(i%600) * event.Day)
				if i%2 == 0 {
					k.Customer.ID = fmt.Sprint("d", i)
				}
				d := r.Decide(k)
				taken[d.Action]++
				arms[d.Arm]++
				if !near(d.Propensity, c.expected[d.Action], 1e-12) {
					t.Fatalf("%s with %v, want %v", d.Action, d.Propensity, c.expected[d.Action])
				}
				if (d.Ghost != "") != (d.Arm != ArmPolicy) || d.Ghost != "" && d.Ghost != d.Options[0].Action {
					t.Fatalf("ghost %q in %s", d.Ghost, d.Arm)
				}
				if d.Action == "owed" && (len(d.Warnings) == 0 || d.Warnings[len(d.Warnings)-1] != "effect not measured: owed is exempt from the holdout") {
					t.Fatalf("warnings %v", d.Warnings)
				}
			}
			chi := 0.0
			for action, p := range c.expected {
				chi += square(float64(taken[action])-n*p) / (n * p)
			}
			if len(taken) != len(c.expected) || chi > 10.83 {
				t.Errorf("χ² %.2f: taken %v, expected %v", chi, taken, c.expected)
			}
			// Of the holdout customers with several days each only so many are
			// independent, so the arms are held to 4 standard errors of 1000
			// customers, not of 60,000 decisions.
			for arm, p := range map[Arm]float64{ArmHoldout: 0.05, ArmExplore: 0.95 * 0.02, ArmPolicy: 0.95 * 0.98} {
				if got := float64(arms[arm]) / n; math.Abs(got-p) > 4*math.Sqrt(p*(1-p)/1000) {
					t.Errorf("%s: share %v, want %v", arm, got, p)
				}
			}
		})
	}
}

func square(x float64) float64 { return x * x }

// TestHoldout: who is held out depends on household and salt alone.
func TestHoldout(t *testing.T) {
	h := Holdout{Share: 0.05, Salt: "2026"}
	r := recommender(t, func(p *Policy) { p.Holdout = h })
	other := recommender(t, func(p *Policy) { p.Holdout, p.Playbook.Actions = h, p.Playbook.Actions[:5] })
	if r.Fingerprint() == other.Fingerprint() {
		t.Error("two policies share a fingerprint")
	}
	held, moved := 0, 0
	for i := range 20_000 {
		id := fmt.Sprint("customer-", i)
		in := h.InHoldout(id)
		if in {
			held++
		}
		if in != (Holdout{Share: 0.05, Salt: "2027"}).InHoldout(id) {
			moved++
		}
		if in && !(Holdout{Share: 0.1, Salt: "2026"}).InHoldout(id) {
			t.Fatal("a larger share let somebody go")
		}
		if i < 300 {
			c := happyCandidate()
			c.Customer.ID, c.Household = fmt.Sprint("member-", i), id
			for _, r := range []*Recommender{r, other} {
				c.At = c.At.Add(event.Day)
				if got := r.Decide(c).Arm == ArmHoldout; got != in {
					t.Fatalf("%s: held out %v, want %v", id, got, in)
				}
			}
		}
	}
	// 4 standard errors of 20,000 draws are 0.0062.
	if share := float64(held) / 20_000; math.Abs(share-0.05) > 0.0062 {
		t.Errorf("share %v", share)
	}
	if share := float64(moved) / 20_000; share < 0.08 { // 2·0.05·0.95 = 0.095
		t.Errorf("a new salt moved only %v", share)
	}
}

// TestExploreIsIndependentOfHoldout: the draw of a decision says nothing about
// the holdout.
func TestExploreIsIndependentOfHoldout(t *testing.T) {
	both, n := 0, 40_000
	for i := range n {
		id := fmt.Sprint("c", i)
		in := Holdout{Share: 0.3, Salt: "s"}.InHoldout(id)
		if in && generator(decisionID(id, now, "p", "m")).Float64() < 0.3 {
			both++
		}
	}
	// Expected 0.09; 4 standard errors are 0.0057.
	if share := float64(both) / float64(n); math.Abs(share-0.09) > 0.0057 {
		t.Errorf("both %v, want 0.09", share)
	}
}
