package outreach

import (
	"math"
	"strings"
	"testing"
	"time"
)

func defaultPlaybookOf(t testing.TB) *Playbook {
	t.Helper()
	p, err := DefaultPlaybook()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefaultPlaybook(t *testing.T) {
	p := defaultPlaybookOf(t)
	ids := "onboarding_help check_in_call service_recovery payment_help personal_offer loyalty_tier " +
		"usage_coaching bundle survey winback occasion_note vip_manager"
	var got []string
	for _, a := range p.Actions {
		got = append(got, a.ID)
		if a.Source == "" || a.Text == "" {
			t.Errorf("%s: no source or no text", a.ID)
		}
		if (a.ID == "winback") != (a.Target == Churned) {
			t.Errorf("%s: target %s", a.ID, a.Target)
		}
		if (a.ID == "service_recovery") != a.HoldoutExempt {
			t.Errorf("%s: exempt %v", a.ID, a.HoldoutExempt)
		}
	}
	if strings.Join(got, " ") != ids {
		t.Errorf("actions %v", got)
	}
	b := p.Actions[7]
	if b.Harm != (Prior{0.02, 100}) || b.Kappa != 10 || b.CooldownDays != 120 || b.Cap30d != 3 ||
		b.CapChannel7d != 1 || b.CapacityDay != 0 || b.Purpose != "marketing" || b.TakeupStayers != 0.5 {
		t.Errorf("bundle with defaults: %+v", b)
	}
	if q := p.Actions[3]; q.Purpose != "service" || q.CooldownDays != 3 || q.Harm != (Prior{0.01, 100}) {
		t.Errorf("payment_help: %+v", q)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

const minimal = `version: 1
actions:
- id: call
  when: 'risk > 0.2'
  channels: [phone]
  cost: 5
  save: 0.1
`

func TestFingerprintIsOfMeaning(t *testing.T) {
	parse := func(text string) string {
		t.Helper()
		p, err := ParsePlaybook([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p.Fingerprint()
	}
	want := parse(minimal)
	if len(want) != 64 {
		t.Errorf("fingerprint %q", want)
	}
	same := `# a comment
version: 1
defaults: {cooldown_days: 30, harm: {mean: 0.01}}
actions: [{save: 1e-1, cost: 5.0, id: call, channels: ["phone"], when: " risk > 0.2 ", holdout: included, target: active}]
`
	if got := parse(same); got != want {
		t.Error("order, quoting, comments and spelled-out defaults changed the fingerprint")
	}
	for _, edit := range [][2]string{{"0.2", "0.3"}, {"phone", "email"}, {"cost: 5", "cost: 6"}, {"save: 0.1", "save: 0.1\n  text: hi"}} {
		if parse(strings.Replace(minimal, edit[0], edit[1], 1)) == want {
			t.Errorf("%s for %s left the fingerprint as it was", edit[1], edit[0])
		}
	}
}

func TestParsePlaybookErrors(t *testing.T) {
	edit := func(from, to string) string {
		if !strings.Contains(minimal, from) {
			t.Fatalf("%q is not in the minimal playbook", from)
		}
		return strings.Replace(minimal, from, to, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"comment only", "# nothing\n", "empty"},
		{"scalar", "hello", "line 1, column 1"},
		{"no version", edit("version: 1\n", ""), "version: missing"},
		{"other version", edit("version: 1", "version: 2"), "line 1, column 10: version: is 2, this program reads 1"},
		{"unknown key", edit("cost: 5", "costs: 5"), `line 6, column 3: unknown field "costs"`},
		{"unknown top key", "budget: 3\n" + minimal, `line 1, column 1: unknown field "budget"`},
		{"repeated key", edit("cost: 5", "cost: 5\n  cost: 6"), `line 7, column 3: mapping key "cost" already defined`},
		{"repeated id", minimal + "- {id: call, when: 'true', channels: [email], save: 0.1}\n", `line 8, column 8: actions[1].id: "call" is also the id of actions[0]`},
		{"nothing as id", edit("id: call", "id: nothing"), "line 3, column 7: actions[0].id"},
		{"bad id", edit("id: call", "id: Call me"), "not an id"},
		{"no id", edit("id: call", "text: call"), "line 3, column 3: actions[0].id: missing"},
		{"no save", edit("  save: 0.1\n", ""), "actions[0].save: missing"},
		{"save above 1", edit("save: 0.1", "save: 1.1"), "line 7, column 9: actions[0].save: is 1.1: use a number from 0 to 1"},
		{"save nan", edit("save: 0.1", "save: .nan"), "actions[0].save: is NaN"},
		{"negative cost", edit("cost: 5", "cost: -5"), "line 6, column 9: actions[0].cost: is -5"},
		{"negative offer", edit("cost: 5", "offer: -.inf"), "actions[0].offer: is -Inf"},
		{"cost as text", edit("cost: 5", "cost: five"), "line 6, column 9"},
		{"negative cool-down", edit("cost: 5", "cooldown_days: -1"), "actions[0].cooldown_days: is -1"},
		{"cap 0", edit("cost: 5", "cap_30d: 0"), "actions[0].cap_30d: is 0: use a number from 1"},
		{"fractional days", edit("cost: 5", "cooldown_days: 1.5"), "line 6, column 18: actions[0].cooldown_days: is 1.5: use a whole number"},
		{"fractional version", edit("version: 1", "version: 1.5"), "line 1, column 10: version: is 1.5: use a whole number"},
		{"huge count", edit("cost: 5", "cap_30d: 1e300"), "actions[0].cap_30d: is 1e+300: use a whole number"},
		{"list for text", edit("id: call", "id: [call]"), "line 3, column 7"},
		{"text for list", edit("[phone]", "phone"), "line 5, column 13"},
		{"heavy prior", edit("cost: 5", "kappa: 21"), "actions[0].kappa: is 21: use a number above 0 and at most 20"},
		{"harm above 1", edit("cost: 5", "harm: {mean: 2}"), "line 6, column 16: actions[0].harm.mean: is 2"},
		{"harm in defaults", edit("actions:", "defaults: {harm: {mean: -1}}\nactions:"), "line 2, column 25: defaults.harm.mean: is -1"},
		{"unknown channel", edit("[phone]", "[phone, pigeon]"), `line 5, column 21: actions[0].channels[1]: unknown channel "pigeon": use one of email`},
		{"channel twice", edit("[phone]", "[phone, phone]"), "there twice"},
		{"no channel", edit("[phone]", "[]"), "actions[0].channels: missing"},
		{"unknown target", edit("cost: 5", "target: everyone"), "line 6, column 11: actions[0].target"},
		{"unknown holdout", edit("cost: 5", "holdout: maybe"), "line 6, column 12: actions[0].holdout"},
		{"bad purpose", edit("cost: 5", "purpose: 'a:b'"), "actions[0].purpose"},
		{"unknown fact", edit("'risk > 0.2'", "'rv > 1 && riskk > 0.2'"), "line 4, column 20: actions[0].when: character 11: unknown fact riskk"},
		{"text for number", edit("'risk > 0.2'", `'risk > "x"'`), "line 4, column 15: actions[0].when: character 6: invalid operation"},
		{"not a condition", edit("'risk > 0.2'", "risk"), "actions[0].when: expected bool"},
		{"syntax", edit("'risk > 0.2'", "'risk >'"), "actions[0].when: character"},
		{"no condition", edit("'risk > 0.2'", "''"), "actions[0].when: missing"},
		{"anchor", edit("[phone]", "&a [phone]"), "line 5, column 13: anchors"},
		{"alias", edit("[phone]", "*a"), "anchors, aliases"},
		{"tag", edit("cost: 5", "cost: !!float 5"), "tags are not allowed"},
		{"two documents", minimal + "---\n" + minimal, "line 9, column 1: a second document"},
		{"deep flow", edit("[phone]", strings.Repeat("[", 30_000)), "nested too deeply"},
		{"deep block", strings.Repeat("- ", 30_000) + "a", "nested too deeply"},
		{"deep keys", strings.Repeat("? ", 30_000) + "a", "not allowed"},
		{"unclosed quote", edit("'risk > 0.2'", "'risk > 0.2"), "line"},
		{"tab", edit("  cost: 5", "\tcost: 5"), "line 6"},
		{"too large", minimal + strings.Repeat("#", MaxPlaybookSize), "larger than"},
		{"too many", "version: 1\nactions:\n" + strings.Repeat("- {id: a, when: 'true', channels: [email], save: 0}\n", MaxActions+1), "more than 200"},
		{"many list entries", strings.Repeat("-\n", MaxPlaybookSize/2), "is this a playbook?"},
		{"many list entries, just allowed", strings.Repeat("-\n", maxTokens-1), "sequence"},
		{"long text", edit("cost: 5", "text: "+strings.Repeat("x", 1025)), "longer than 1024 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := ParsePlaybook([]byte(c.text))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "playbook: ") {
				t.Errorf("error %q\nwant     %q", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error takes several lines: %q", err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestValidateByHand: a playbook built in Go is held to the same rules.
func TestValidateByHand(t *testing.T) {
	p := defaultPlaybookOf(t)
	p.Actions[2].Save = math.NaN()
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "actions[2].save") {
		t.Errorf("error %v", err)
	}
	if _, err := New(Policy{Playbook: p, Economics: DefaultEconomics()}); err == nil {
		t.Error("New took a playbook that Validate refuses")
	}
}

func FuzzParsePlaybook(f *testing.F) {
	f.Add(DefaultPlaybookYAML())
	for _, s := range []string{
		"", minimal, "version: 1\nactions: []\n", "actions: *a", "&a [*a]", "? [", "- - - -",
		"version: 1\ndefaults: {harm: {mean: .nan}}", strings.Replace(minimal, "risk > 0.2", "!(risk in [1, 2.5]) || lifecycle == \"x\"", 1),
		strings.Replace(minimal, "risk > 0.2", "min(risk, 1/0) > 1e400", 1), "version: 1\n---\nversion: 1", "%YAML 1.2\n", "\xff", "a: |\n  b", "version: !!int 1",
		"|\n 0\n:", // a key of two lines, found by fuzzing
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePlaybook(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error takes several lines: %q", err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("parsed, but not valid: %v", err)
		}
		r, err := New(Policy{Playbook: p, Economics: DefaultEconomics()})
		if err != nil {
			t.Fatalf("parsed, but does not compile: %v", err)
		}
		for _, c := range []Candidate{{}, happyCandidate()} {
			d := r.Decide(c)
			if math.IsNaN(d.ExpectedNetValue) || d.ExpectedNetValue < 0 {
				t.Errorf("decided %+v", d)
			}
		}
	})
}
