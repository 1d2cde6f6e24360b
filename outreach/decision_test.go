package outreach

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"churn/event"
)

// happyCandidate is a customer for whom every gate is open and every fact
// known.
func happyCandidate() Candidate {
	return Candidate{
		Customer: event.Customer{ID: "c1", ChurnedAt: event.Never, Consent: Channels()},
		At:       now, Risk: 0.3, HorizonDays: 90, Model: "m1",
		Facts: knownFacts(), Value: Value{Monthly: 30, Residual: 300, Known: true, Basis: "payments"},
	}
}

func recommender(t testing.TB, change func(*Policy)) *Recommender {
	t.Helper()
	p := Policy{Playbook: defaultPlaybookOf(t), Economics: DefaultEconomics()}
	if change != nil {
		change(&p)
	}
	r, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// playbookOf has one action a line, in flow style without the braces.
func playbookOf(t testing.TB, actions ...string) *Playbook {
	t.Helper()
	text := "version: 1\nactions:\n"
	for _, a := range actions {
		text += "- {" + a + "}\n"
	}
	p, err := ParsePlaybook([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func option(d Decision, action string) (Option, bool) {
	k := slices.IndexFunc(d.Options, func(o Option) bool { return o.Action == action })
	if k < 0 {
		return Option{}, false
	}
	return d.Options[k], true
}

func blocked(d Decision, action, channel string) Blocked {
	for _, b := range d.Blocked {
		if b.Action == action && b.Channel == channel {
			return b
		}
	}
	return Blocked{}
}

// TestNetValue: numbers by hand. The horizon of 90 days discounts 300 by
// 1.01³ = 1.030301 to L = 291.177.
func TestNetValue(t *testing.T) {
	r := recommender(t, func(p *Policy) {
		p.Playbook = playbookOf(t,
			"id: offer, when: 'true', channels: [email], cost: 0.1, offer: 15, save: 0.15",
			"id: call, when: 'true', channels: [phone], cost: 6, save: 0.06, harm: {mean: 0.02}",
			"id: back, when: 'true', target: churned, channels: [mail], cost: 0.5, offer: 30, save: 0.1, harm: {mean: 0.5}",
		)
	})
	d := r.Decide(happyCandidate())
	for _, want := range []Option{
		// τ = .3·.15 − .7·.01 = .038; c = .1 + 15(.045 + .35) = 6.025
		{Action: "offer", Channel: "email", Tau: 0.038, ExpectedCost: 6.025, ExpectedNetValue: 5.0397276864, HarmProbability: 0.007},
		// τ = .018 − .014 = .004; c = 6
		{Action: "call", Channel: "phone", Tau: 0.004, ExpectedCost: 6, ExpectedNetValue: -4.8352918225, HarmProbability: 0.014},
		{Action: Nothing},
	} {
		got, ok := option(d, want.Action)
		if !ok || got.Channel != want.Channel || !near(got.Tau, want.Tau, 1e-12) || !near(got.ExpectedCost, want.ExpectedCost, 1e-12) ||
			!near(got.ExpectedNetValue, want.ExpectedNetValue, 1e-9) || !near(got.HarmProbability, want.HarmProbability, 1e-12) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	if d.Action != "offer" || d.Basis != "prior" || d.Propensity != 1 || d.Options[0].Action != "offer" || d.Options[1].Action != Nothing {
		t.Errorf("decided %+v", d)
	}
	if b := blocked(d, "back", ""); b.Code != WrongTarget {
		t.Errorf("win-back of who is there: %+v", d.Blocked)
	}

	// p = 1, η = 0, L undiscounted: τ = .1; c = .5 + 30·.1 = 3.5; NV = 30 − 3.5.
	c := happyCandidate()
	c.Customer.ChurnedAt, c.Facts.Lifecycle, c.Risk = ago(20), "churned", nan
	d = r.Decide(c)
	got, _ := option(d, "back")
	if d.Action != "back" || !near(got.Tau, 0.1, 1e-12) || !near(got.ExpectedCost, 3.5, 1e-12) ||
		!near(got.ExpectedNetValue, 26.5, 1e-9) || got.HarmProbability != 0 || d.Channel != "mail" {
		t.Errorf("win-back %+v", d)
	}
	if b := blocked(d, "offer", ""); b.Code != WrongTarget || b.Reason != "the customer has left" {
		t.Errorf("offer to who left: %+v", b)
	}
}

// TestNetValueIsEMPC: with η = 0 and ψ = 1 the net value is the profit of the
// expected maximum profit measure: a churner brings γ(L−d) − f, anybody else
// −d − f.
func TestNetValueIsEMPC(t *testing.T) {
	r := recommender(t, func(p *Policy) {
		p.Playbook = playbookOf(t, "id: a, when: 'true', channels: [email], cost: 1, offer: 10, save: 0.3, harm: {mean: 0}, takeup_stayers: 1")
	})
	for _, p := range []float64{0.01, 0.1, 0.5, 1} {
		c := happyCandidate()
		c.Risk = p
		o, _ := option(r.Decide(c), "a")
		life := 300 / (1.01 * 1.01 * 1.01)
		want := p*(0.3*(life-10)-1) + (1-p)*(-10-1)
		if !near(o.ExpectedNetValue, want, 1e-9) {
			t.Errorf("p %v: %v, want %v", p, o.ExpectedNetValue, want)
		}
	}
}

// TestSleepingDogs: risk alone moves nobody.
func TestSleepingDogs(t *testing.T) {
	r := recommender(t, nil)
	c := happyCandidate()
	c.Facts.forget("on_discount") // unknown: no offer
	c.Risk, c.Value = 0.9, Value{Monthly: 0.5, Residual: 2, Known: true, Basis: "payments"}
	if d := r.Decide(c); d.Action != Nothing || d.ExpectedNetValue != 0 || d.ExpectedCost != 0 {
		t.Errorf("high risk, low value: %s, %v", d.Action, d.ExpectedNetValue)
	}
	// An action that harms more than it helps is never chosen, however much
	// the customer is worth.
	r = recommender(t, func(p *Policy) {
		p.Playbook = playbookOf(t, "id: wake, when: 'true', channels: [email], save: 0.05, harm: {mean: 0.05}")
	})
	for risk := 0.0; risk < 0.5; risk += 0.01 {
		c := happyCandidate()
		c.Risk, c.Value.Residual = risk, 1e6
		if d := r.Decide(c); d.Action != Nothing {
			t.Errorf("risk %v: %s, tau %v", risk, d.Action, d.Tau)
		}
	}
	// Who costs money is left in peace.
	c = happyCandidate()
	c.Value.Residual = -500
	if d := recommender(t, nil).Decide(c); d.Action != Nothing {
		t.Errorf("negative value: %s", d.Action)
	}
}

func TestUnknownsBlock(t *testing.T) {
	r := recommender(t, nil)
	c := happyCandidate()
	c.Facts = Facts{}
	d := r.Decide(c)
	if b := blocked(d, "loyalty_tier", ""); b.Code != UnknownFact || b.Reason != "unknown fact: next_tier_gap" {
		t.Errorf("loyalty_tier: %+v", b)
	}
	if b := blocked(d, "bundle", ""); b.Reason != "unknown fact: tenure_days, products" {
		t.Errorf("bundle: %+v", b)
	}
	if _, ok := option(d, "check_in_call"); !ok { // risk and rv are always given
		t.Errorf("check_in_call is no option: %+v", blocked(d, "check_in_call", ""))
	}

	c = happyCandidate()
	c.Value = Value{Basis: "no payments"}
	d = r.Decide(c)
	if d.Action != Nothing || blocked(d, "survey", "").Reason != "residual value unknown: no payments" ||
		blocked(d, "check_in_call", "").Reason != "unknown fact: rv" {
		t.Errorf("value unknown: %s, %+v", d.Action, d.Blocked)
	}
	c.Value = Value{}
	if got := blocked(r.Decide(c), "survey", "").Reason; got != "residual value unknown" {
		t.Errorf("value unknown without a reason: %q", got)
	}
	c = happyCandidate()
	c.Risk = nan
	d = r.Decide(c)
	if d.Action != Nothing || blocked(d, "survey", "").Code != RiskUnknown || blocked(d, "personal_offer", "").Reason != "unknown fact: risk" {
		t.Errorf("risk unknown: %s, %+v", d.Action, d.Blocked)
	}

	for name, change := range map[string]func(*Candidate){
		"risk 7 is not a probability":      func(c *Candidate) { c.Risk = 7 },
		"the risk has no horizon":          func(c *Candidate) { c.HorizonDays = 0 },
		"the value is not a finite number": func(c *Candidate) { c.Value.Residual = inf },
		"no customer id":                   func(c *Candidate) { c.Customer.ID = "" },
		"no time":                          func(c *Candidate) { c.At = event.Never },
	} {
		c := happyCandidate()
		change(&c)
		d := r.Decide(c)
		if d.Action != Nothing || !strings.Contains(strings.Join(d.Warnings, "; "), name) {
			t.Errorf("%s: %s, warnings %v", name, d.Action, d.Warnings)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c = happyCandidate()
	c.Value.Basis = "default"
	if d := r.Decide(c); len(d.Warnings) == 0 || !strings.Contains(d.Warnings[0], "configured default") {
		t.Errorf("warnings %v", d.Warnings)
	}
}

// TestConditionFails: the language leaves no way to write a condition that
// fails when evaluated, so one is smuggled past the check.
func TestConditionFails(t *testing.T) {
	r := recommender(t, func(p *Policy) { p.Playbook = playbookOf(t, "id: a, when: silent, channels: [email], save: 0.9") })
	program, err := compile("(silent ? 1 : 2) % (silent ? 0 : 1) == 1")
	if err != nil {
		t.Fatal(err)
	}
	r.conditions[0].program = program
	if d := r.Decide(happyCandidate()); d.Action != Nothing || blocked(d, "a", "").Code != ConditionFailed {
		t.Errorf("decided %s, blocked %+v", d.Action, d.Blocked)
	}
}

func TestCoreFromPolicy(t *testing.T) {
	for core, want := range map[float64]Code{0: UnknownFact, 299: "", 301: NotEligible} {
		r := recommender(t, func(p *Policy) { p.Economics.CoreValue = core })
		c := happyCandidate()
		c.Facts.forget("is_core")
		if got := blocked(r.Decide(c), "vip_manager", "").Code; got != want {
			t.Errorf("core value %v: blocked %q, want %q", core, got, want)
		}
	}
}

// TestDayOne: with the default policy, a history and no outcomes at all,
// customers come out ranked by money, labelled as priors.
func TestDayOne(t *testing.T) {
	p, err := DefaultPolicy("2026")
	if err != nil {
		t.Fatal(err)
	}
	p.AssumeConsent = []string{"email", "service:phone"}
	r, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	var decisions []Decision
	actions := map[string]int{}
	for i := range 300 {
		tl := &event.Timeline{Customer: event.Customer{ID: fmt.Sprint("c", i), SignedUpAt: ago(300), ChurnedAt: event.Never}}
		risk := float64(i%10) / 20
		for d := 290.0; d > 0; d -= 30 {
			tl.Payments = append(tl.Payments, paid(d, int64(10+i)))
			tl.Engagements = append(tl.Engagements, engagements(d)...)
		}
		f := FactsOf(tl, now)
		if err := f.SetText("on_discount", "false"); err != nil {
			t.Fatal(err)
		}
		decisions = append(decisions, r.Decide(Candidate{
			Customer: tl.Customer, At: now, Risk: risk, HorizonDays: 90, Model: "m1",
			Facts: f, Value: p.Economics.Value(tl, now, risk, 90), Contacts: tl.Contacts,
		}))
	}
	Rank(decisions)
	for i, d := range decisions {
		actions[d.Action]++
		if i > 0 && d.ExpectedNetValue > decisions[i-1].ExpectedNetValue {
			t.Errorf("rank %d is worth more than the one before", i)
		}
		if d.Basis != "prior" || d.Propensity <= 0 || d.Propensity > 1 || d.Policy == "" || d.Model != "m1" {
			t.Errorf("decision %+v", d)
		}
		if d.Action != Nothing && d.ExpectedNetValue <= 0 {
			t.Errorf("%s for %v", d.Action, d.ExpectedNetValue)
		}
	}
	if actions["personal_offer"] < 50 || actions[Nothing] < 50 {
		t.Errorf("actions %v", actions)
	}
}

func TestRankByValueNotRisk(t *testing.T) {
	r := recommender(t, nil)
	poor, rich := happyCandidate(), happyCandidate()
	poor.Customer.ID, poor.Risk, poor.Value.Residual = "poor", 0.9, 1
	rich.Customer.ID, rich.Risk, rich.Value.Residual = "rich", 0.3, 3000
	ds := []Decision{r.Decide(poor), r.Decide(rich)}
	Rank(ds)
	if ds[0].Customer != "rich" || ds[1].Action != Nothing {
		t.Errorf("first %s, last %s", ds[0].Customer, ds[1].Action)
	}
}

// TestDecideIsPure: the same input gives the same bytes, from several
// goroutines at once, and neither input nor policy is changed or kept.
func TestDecideIsPure(t *testing.T) {
	p, err := DefaultPolicy("s")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	c := happyCandidate()
	encode := func() string {
		b, err := json.Marshal(r.Decide(c))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	want := encode()
	p.Playbook.Actions[0].When, p.Playbook.Actions[1].Cost = "false", 1e6
	p.Playbook.Actions[2].Channels[0] = "sms"
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				if got := encode(); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
			}
		})
	}
	wait.Wait()
	if got := fmt.Sprint(c); got != fmt.Sprint(happyCandidate()) {
		t.Error("the candidate was changed")
	}
}

func TestDecisionID(t *testing.T) {
	base := decisionID("c", at("2026-03-01T00:00:00Z"), "p", "m")
	if got := decisionID("c", at("2026-03-01T23:59:59Z"), "p", "m"); got != base || len(got) != 33 {
		t.Errorf("same day: %s, %s", got, base)
	}
	for _, other := range []string{
		decisionID("c", at("2026-03-02T00:00:00Z"), "p", "m"), decisionID("c", at("2026-02-28T23:59:59Z"), "p", "m"),
		decisionID("d", at("2026-03-01T00:00:00Z"), "p", "m"), decisionID("c", at("2026-03-01T00:00:00Z"), "q", "m"),
		decisionID("c", at("2026-03-01T00:00:00Z"), "p", "n"), decisionID("c", at("2026-03-01T00:00:00Z"), "pm", ""),
	} {
		if other == base {
			t.Error("two decisions share an id")
		}
	}
	if decisionID("c", at("1969-12-31T12:00:00Z"), "", "") == decisionID("c", at("1970-01-01T00:00:00Z"), "", "") {
		t.Error("the days around 1970 share an id")
	}
}

func BenchmarkDecide(b *testing.B) {
	r, c := recommender(b, nil), happyCandidate()
	b.ReportAllocs()
	for b.Loop() {
		r.Decide(c)
	}
}
