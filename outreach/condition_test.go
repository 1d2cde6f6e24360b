package outreach

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
)

// knownFacts is a customer of whom everything is known.
func knownFacts() Facts {
	return Facts{
		Risk: 0.3, RV: 200, TenureDays: 400, Activation: 0.75, OpenComplaints: 1, FailedPayments: 0,
		OverduePayments: 2, OnDiscount: false, NextTierGap: 0.1, UsageTrend: -0.5, Products: 1, Silent: true,
		DaysSinceSurvey: 200, Lifecycle: "declining", DaysSinceChurn: 0, IsBirthday: false,
		IsAnniversary: true, IsCore: true, DaysSinceEngagement: 40,
		known: 1<<len(factNames) - 1,
	}
}

func TestCondition(t *testing.T) {
	for _, c := range []struct {
		text    string
		unknown string // facts made unknown
		want    truth
		missing string
	}{
		{"true", "", yes, ""},
		{"risk > 0.2", "", yes, ""},
		{"risk > 0.3", "", no, ""},
		{"risk >= 0.3 and not on_discount", "", yes, ""},
		{"1 - risk < 0.8 && abs(usage_trend) == 0.5", "", yes, ""},
		{`lifecycle in ["active", "declining"]`, "", yes, ""},
		{`lifecycle not in ["active", "declining"]`, "", no, ""},
		{"products in [2, 3]", "", no, ""},
		{"min(risk, next_tier_gap) == 0.1 && max(products, 2) == 2", "", yes, ""},
		{"is_core ? rv > 100 : rv > 1000", "", yes, ""},
		{"open_complaints == 1 && products == 1.0", "", yes, ""},
		{"!(risk > 0.2 || silent)", "", no, ""},
		{"-risk < 0 && rv / 0 > 1", "", yes, ""},

		// Three-valued logic: an unknown fact is neither true, false nor 0.
		{"next_tier_gap < 0.2", "next_tier_gap", unknown, "next_tier_gap"},
		{"next_tier_gap >= 0.2", "next_tier_gap", unknown, "next_tier_gap"},
		{"!on_discount", "on_discount", unknown, "on_discount"},
		{"risk > 0.2 && !on_discount", "on_discount", unknown, "on_discount"},
		{"risk > 0.9 && !on_discount", "on_discount", no, ""},
		{"!on_discount && risk > 0.9", "on_discount", no, ""},
		{"is_birthday || is_anniversary", "is_birthday", yes, ""},
		{"is_birthday || !is_anniversary", "is_birthday", unknown, "is_birthday"},
		{"rv > 1 && risk > 0.1", "risk rv", unknown, "risk, rv"},
		{`lifecycle == "churned" && days_since_churn < 180`, "days_since_churn", no, ""},
		{`lifecycle != ""`, "lifecycle", unknown, "lifecycle"},
		{"risk - risk == 0", "risk", unknown, "risk"},
		{"is_core ? true : risk > 0.1", "risk", unknown, "risk"},
		{"risk > 0.1 || risk <= 0.1", "risk", unknown, "risk"}, // each side alone is unknown
	} {
		compiled, err := compileCondition(c.text)
		if err != nil {
			t.Errorf("%s: %+v", c.text, err)
			continue
		}
		f := knownFacts()
		f.forget(strings.Fields(c.unknown)...)
		got, missing, evalErr := compiled.eval(&f)
		if evalErr != nil || got != c.want || strings.Join(missing.names(), ", ") != c.missing {
			t.Errorf("%s without %q: %v, missing %v, error %v; want %v, missing %q",
				c.text, c.unknown, got, missing.names(), evalErr, c.want, c.missing)
		}
	}
}

// TestConditionLanguage: what a condition has no need for does not compile.
func TestConditionLanguage(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "unexpected token"},
		{"risk", "expected bool"},
		{"risk > true", "invalid operation"},
		{"Risk > 1", "unknown fact Risk"},
		{"known > 1", "unknown fact known"},
		{"nil == nil", "not allowed here"},
		{"now() > date('2020-01-01')", "function now is not allowed"},
		{"all([1, 2], # > 0)", "function all is not allowed"},
		{"len(lifecycle) > 3", "function len is not allowed"},
		{"Known('risk')", "not allowed here"},
		{"Set('risk', 1)", "not allowed here"},
		{"$env.risk > 0.1", "not allowed here"},
		{`$env["risk"] > 0.1`, "not allowed here"},
		{"lifecycle[0:1] == 'a'", "not allowed here"},
		{"lifecycle matches '(a+)+$'", "operator matches is not allowed"},
		{"1..1000000000 == 3", "operator .. is not allowed"},
		{"2 ** 1000000 > 1", "operator ** is not allowed"},
		{"(risk ?? 0) > 1", "operator ?? is not allowed"},
		{"let x = risk; x > 1", "not allowed here"},
		{"{'a': 1} == risk", "not allowed here"},
		{"[1, 2] == [1, 2]", "a list may stand only to the right of in"},
		{"risk in [[1], [2]]", "a list may stand only to the right of in"},
		{"risk > 1; risk > 2", "not allowed here"},
		{"risk > 1 | abs()", ""},
		{"risk > 0" + strings.Repeat(" || risk > 0", 100), "exceeds maximum allowed nodes"},
		{strings.Repeat("(", 3000), "longer than"},
		{strings.Repeat("!", 1999) + "silent", "longer than"},
		{strings.Repeat("!", 1000) + "silent", ""},
		{strings.Repeat("(", 900) + "silent" + strings.Repeat(")", 900), "accepted"},
	} {
		_, err := compileCondition(c.text)
		switch {
		case c.want == "accepted" && err != nil:
			t.Errorf("%.40s: %+v", c.text, err)
		case c.want == "accepted":
		case err == nil:
			t.Errorf("%.40s: compiled", c.text)
		case !strings.Contains(err.reason, c.want):
			t.Errorf("%.40s: %q, want %q", c.text, err.reason, c.want)
		}
	}
}

// TestConditionAgreesWithExpr: with every fact known, the pieces together say
// what the expression says as a whole.
func TestConditionAgreesWithExpr(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	atoms := []string{"risk > 0.2", "silent", "on_discount", "products == 1", "rv / 3 > 60", "true", "false",
		`lifecycle in ["declining"]`, `lifecycle == "a\"b"`, "(silent ? risk : rv) > 0.2", "-usage_trend > +1e-1",
		"(is_core == silent)", "next_tier_gap * 1e22 < 5", "1 - (2 - 3) == risk"}
	var grow func(depth int) string
	grow = func(depth int) string {
		if depth == 0 || rng.IntN(4) == 0 {
			return atoms[rng.IntN(len(atoms))]
		}
		a, b := grow(depth-1), grow(depth-1)
		switch rng.IntN(5) {
		case 0:
			return "!(" + a + ")"
		case 1:
			return "not (" + a + ")"
		case 2:
			return "(" + a + " && " + b + ")"
		case 3:
			return "(" + a + ") or " + b
		}
		return a + " || " + b
	}
	f := knownFacts()
	for range 300 {
		text := grow(3)
		c, cerr := compileCondition(text)
		if cerr != nil {
			continue // mixed operators need brackets
		}
		program, err := compile(text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := expr.Run(program, &f)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := c.eval(&f); err != nil || (got == yes) != want.(bool) {
			t.Errorf("%s: %v, error %v, want %v", text, got, err, want)
		}
	}
}

// TestUnknownIsMonotone: a condition that holds or fails without some facts
// holds or fails whatever those facts turn out to be.
func TestUnknownIsMonotone(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, a := range defaultPlaybookOf(t).Actions {
		c, cerr := compileCondition(a.When)
		if cerr != nil {
			t.Fatal(cerr)
		}
		for range 200 {
			f := knownFacts()
			f.Risk, f.RV, f.TenureDays = rng.Float64(), 300*rng.Float64(), 400*rng.Float64()
			f.OnDiscount, f.Silent, f.IsBirthday = rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(2) == 0
			f.Lifecycle = []string{"churned", "active"}[rng.IntN(2)]
			whole, _, _ := c.eval(&f)
			g := f
			g.known = factSet(rng.Uint64()) & f.known
			if part, missing, _ := c.eval(&g); part != unknown && part != whole || part == unknown && missing == 0 {
				t.Fatalf("%s: %v with everything known, %v with %v", a.When, whole, part, g.known.names())
			}
		}
	}
}

func TestFactsSet(t *testing.T) {
	if len(factNames) > 64 {
		t.Fatalf("%d facts do not fit a set", len(factNames))
	}
	var f Facts
	for _, c := range []struct {
		name  string
		value any
		want  string
	}{
		{"risk", 0.5, ""}, {"products", 2, ""}, {"silent", true, ""}, {"lifecycle", "active", ""},
		{"rissk", 0.5, "unknown fact"}, {"known", 1, "unknown fact"},
		{"rv", "12", "takes a number, not a string"}, {"rv", true, "takes a number"}, {"is_core", 1, "takes a bool"},
		{"rv", nil, "takes a number"}, {"rv", nan, "leave it out"}, {"rv", inf, "not a finite number"},
	} {
		err := f.Set(c.name, c.value)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Set(%s, %v): %v, want %q", c.name, c.value, err, c.want)
		}
	}
	if f.Risk != 0.5 || f.Products != 2 || !f.Silent || f.Lifecycle != "active" || !f.Known("risk") || f.Known("rv") {
		t.Errorf("facts %+v", f)
	}
	for _, c := range []struct{ name, text, want string }{
		{"next_tier_gap", "0.15", ""}, {"on_discount", "TRUE", ""}, {"is_core", "0", ""}, {"lifecycle", "lapsed", ""},
		{"next_tier_gap", "0,15", "takes a number"}, {"next_tier_gap", "NaN", "leave it out"}, {"on_discount", "yes", "takes true or false"}, {"x", "1", "unknown fact"},
	} {
		err := f.SetText(c.name, c.text)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("SetText(%s, %s): %v, want %q", c.name, c.text, err, c.want)
		}
	}
	if f.NextTierGap != 0.15 || !f.OnDiscount || f.IsCore || !f.Known("is_core") || f.Lifecycle != "lapsed" {
		t.Errorf("facts %+v", f)
	}
}
