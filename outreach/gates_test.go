package outreach

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"churn/event"
)

func TestGates(t *testing.T) {
	tokyo := time.FixedZone("+09", 9*3600)
	contact := func(days float64, action, channel string) event.ContactEvent {
		return event.ContactEvent{At: ago(days), Recorded: ago(days), Action: action, Channel: channel}
	}
	for _, c := range []struct {
		name   string
		change func(*Policy, *Candidate)
		action string // what is asked about
		on     string // channel, "" for all
		want   Code   // "" for not blocked
	}{
		{"open", func(*Policy, *Candidate) {}, "personal_offer", "email", ""},
		{"consent unknown", func(_ *Policy, c *Candidate) { c.Customer.Consent = nil }, "personal_offer", "email", NoConsent},
		{"consent to nothing", func(_ *Policy, c *Candidate) { c.Customer.Consent = []string{} }, "personal_offer", "email", NoConsent},
		{"consent to another channel", func(_ *Policy, c *Candidate) { c.Customer.Consent = []string{"phone"} }, "personal_offer", "email", NoConsent},
		{"consent to another purpose", func(_ *Policy, c *Candidate) { c.Customer.Consent = []string{"service:email"} }, "personal_offer", "email", NoConsent},
		{"consent to the purpose", func(_ *Policy, c *Candidate) { c.Customer.Consent = []string{"marketing:email"} }, "personal_offer", "email", ""},
		{"consent assumed", func(p *Policy, c *Candidate) { c.Customer.Consent, p.AssumeConsent = nil, []string{"marketing:email"} }, "personal_offer", "email", ""},
		{"assumed for another purpose", func(p *Policy, c *Candidate) { c.Customer.Consent, p.AssumeConsent = nil, []string{"service:email"} }, "personal_offer", "email", NoConsent},
		{"assumption does not widen what was said", func(p *Policy, c *Candidate) {
			c.Customer.Consent, p.AssumeConsent = []string{"phone"}, []string{"email"}
		}, "personal_offer", "email", NoConsent},
		{"do not contact", func(_ *Policy, c *Candidate) { c.DoNotContact = true }, "personal_offer", "", DoNotContact},
		{"suppressed", func(_ *Policy, c *Candidate) { c.Suppressed = []string{"email"} }, "personal_offer", "email", Suppressed},
		{"other channel suppressed", func(_ *Policy, c *Candidate) { c.Suppressed = []string{"email"} }, "personal_offer", "phone", ""},
		{"opted out long ago", func(_ *Policy, c *Candidate) {
			e := contact(900, "old", "Email")
			e.Outcome = "unsubscribed"
			c.Contacts = []event.ContactEvent{e}
		}, "personal_offer", "email", OptedOut},
		{"opted out of all", func(_ *Policy, c *Candidate) {
			e := contact(900, "old", "")
			e.Outcome = "Opted_Out"
			c.Contacts = []event.ContactEvent{e}
		}, "personal_offer", "phone", OptedOut},
		{"capacity", func(_ *Policy, c *Candidate) { c.Exhausted = []string{"vip_manager"} }, "vip_manager", "", NoCapacity},
		{"cool-down", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(180, "personal_offer", "email")}
		}, "personal_offer", "", Cooldown},
		{"cool-down of a contact that was none", func(_ *Policy, c *Candidate) {
			e := contact(180, "personal_offer", "email")
			e.Superseded = ago(100)
			c.Contacts = []event.ContactEvent{e}
		}, "personal_offer", "email", ""},
		{"cool-down over", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(180.01, "personal_offer", "email")}
		}, "personal_offer", "email", ""},
		{"cool-down of a decision", func(_ *Policy, c *Candidate) { c.Earlier = []Contact{{ago(100), "personal_offer", "email"}} }, "personal_offer", "", Cooldown},
		{"nothing is no contact", func(_ *Policy, c *Candidate) {
			c.Earlier = []Contact{{ago(3), Nothing, ""}, {ago(2), Nothing, ""}, {ago(1), Nothing, ""}}
		}, "personal_offer", "email", ""},
		{"cap", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(30, "a", "sms"), contact(20, "b", "sms"), contact(9, "c", "sms")}
		}, "personal_offer", "", CapTotal},
		{"cap not reached", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(30.01, "a", "sms"), contact(20, "b", "sms"), contact(9, "c", "sms")}
		}, "personal_offer", "email", ""},
		{"a decision and its contact are one", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(20, "a", "sms"), contact(9, "a", "SMS")}
			c.Earlier = []Contact{{ago(9.5), "a", "sms"}, {ago(21), "a", "sms"}}
		}, "personal_offer", "email", ""},
		{"a decision not yet carried out counts", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(20, "a", "sms"), contact(9, "a", "sms")}
			c.Earlier = []Contact{{ago(2), "a", "sms"}}
		}, "personal_offer", "", CapTotal},
		{"two decisions, one contact", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(20, "b", "sms"), contact(9, "a", "sms")}
			c.Earlier = []Contact{{ago(10), "a", "sms"}, {ago(11), "a", "sms"}}
		}, "personal_offer", "", CapTotal},
		{"channel cap", func(_ *Policy, c *Candidate) { c.Contacts = []event.ContactEvent{contact(7, "a", "email")} }, "personal_offer", "email", CapChannel},
		{"channel cap of the other channel", func(_ *Policy, c *Candidate) { c.Contacts = []event.ContactEvent{contact(7, "a", "email")} }, "personal_offer", "phone", ""},
		{"channel unknown", func(_ *Policy, c *Candidate) { c.Contacts = []event.ContactEvent{contact(1, "a", "")} }, "personal_offer", "phone", CapChannel},
		{"contact this instant", func(_ *Policy, c *Candidate) { c.Contacts = []event.ContactEvent{contact(0, "a", "email")} }, "personal_offer", "email", CapChannel},
		{"contact in the future", func(_ *Policy, c *Candidate) {
			c.Contacts = []event.ContactEvent{contact(-1, "personal_offer", "email")}
		}, "personal_offer", "email", ""},
		// now is 12:00 UTC, 21:00 in Tokyo.
		{"quiet hours", func(p *Policy, _ *Candidate) { p.QuietHours = QuietHours{12 * 60, 13 * 60} }, "personal_offer", "email", Quiet},
		{"quiet hours end", func(p *Policy, _ *Candidate) { p.QuietHours = QuietHours{11 * 60, 12 * 60} }, "personal_offer", "email", ""},
		{"over midnight", func(p *Policy, _ *Candidate) { p.QuietHours, p.Location = QuietHours{21 * 60, 9 * 60}, tokyo }, "personal_offer", "email", Quiet},
		{"over midnight, by day", func(p *Policy, _ *Candidate) { p.QuietHours = QuietHours{21 * 60, 9 * 60} }, "personal_offer", "email", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Policy{Playbook: defaultPlaybookOf(t), Economics: DefaultEconomics()}
			k := happyCandidate()
			c.change(&p, &k)
			r, err := New(p)
			if err != nil {
				t.Fatal(err)
			}
			d := r.Decide(k)
			got := blocked(d, c.action, c.on)
			if got.Code != c.want || c.want != "" && got.Reason == "" {
				t.Errorf("blocked %+v, want %q", got, c.want)
			}
			if _, ok := option(d, c.action); c.want == "" && !ok {
				t.Errorf("not an option: %+v", d.Blocked)
			}
		})
	}
}

// TestGatesHold: whatever the playbook, the customer and the history, a
// contact never breaks a gate. The rules are written out again here, slowly
// and from the text.
func TestGatesHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	pick := func(from []string, share float64) (some []string) {
		for _, s := range from {
			if rng.Float64() < share {
				some = append(some, s)
			}
		}
		return some
	}
	contacts := 0
	for range 500 {
		var actions []string
		ids := []string{"a", "b", "c", "d"}
		for _, id := range ids[:1+rng.IntN(4)] {
			chs := pick(channels, 0.5)
			if chs == nil {
				chs = channels[:1]
			}
			actions = append(actions, fmt.Sprintf(
				"id: %s, when: '%s', channels: [%s], cost: %.2f, save: %.2f, cooldown_days: %d, cap_30d: %d, cap_channel_7d: %d, purpose: %s, holdout: %s, target: %s",
				id, []string{"true", "risk > 0.1", "silent || rv > 1"}[rng.IntN(3)], strings.Join(chs, ", "),
				rng.Float64(), 0.5+rng.Float64()/2, rng.IntN(60), 1+rng.IntN(4), 1+rng.IntN(3),
				[]string{"marketing", "service"}[rng.IntN(2)], []string{"exempt", "included"}[rng.IntN(2)], []string{"active", "churned"}[rng.IntN(8)/7]))
		}
		p := Policy{Playbook: playbookOf(t, actions...), Economics: DefaultEconomics(),
			Holdout: Holdout{Share: 0.3, Salt: fmt.Sprint(rng.Uint64())}, Explore: 0.2,
			QuietHours: QuietHours{ClockTime(rng.IntN(24 * 60)), ClockTime(rng.IntN(24 * 60))},
			Location:   time.FixedZone("", rng.IntN(24)*3600-12*3600)}
		consents := slices.Concat(channels, []string{"marketing:email", "service:phone", "marketing:sms", "service:in_app"})
		p.AssumeConsent = pick(consents, 0.5)
		r, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			c := happyCandidate()
			c.At = now.Add(event.Duration(rng.Int64N(int64(event.Day))))
			c.Customer.Consent = pick(consents, 0.7)
			if rng.IntN(2) == 0 {
				c.Customer.Consent = nil
			}
			c.DoNotContact = rng.IntN(10) == 0
			c.Suppressed = pick(channels, 0.1)
			c.Exhausted = pick(ids, 0.1)
			if rng.IntN(3) == 0 {
				c.Facts.Lifecycle = "churned"
			}
			for range rng.IntN(6) {
				e := event.ContactEvent{At: c.At.Add(-event.Duration(rng.Int64N(int64(70 * event.Day)))),
					Action: ids[rng.IntN(4)], Channel: channels[rng.IntN(len(channels))]}
				if rng.IntN(8) == 0 {
					e.Outcome = "opted_out"
				}
				c.Contacts = append(c.Contacts, e)
				if rng.IntN(2) == 0 { // decided earlier, carried out or not
					c.Earlier = append(c.Earlier, Contact{e.At.Add(-event.Hour), e.Action, e.Channel})
				}
				if rng.IntN(4) == 0 {
					c.Earlier = append(c.Earlier, Contact{e.At.Add(-20 * event.Day), e.Action, e.Channel})
				}
			}
			d := r.Decide(c)
			for _, o := range d.Options {
				if o.Action == Nothing {
					continue
				}
				contacts++
				if broken := brokenGate(&p, &c, o); broken != "" {
					t.Fatalf("%s over %s breaks %s\n%s\n%+v", o.Action, o.Channel, broken, strings.Join(actions, "\n"), c)
				}
			}
			if !slices.ContainsFunc(d.Options, func(o Option) bool { return o.Action == d.Action && o.Channel == d.Channel }) {
				t.Fatalf("decided %s over %s, not an option", d.Action, d.Channel)
			}
			for _, a := range p.Playbook.Actions { // what is no option says why
				if _, ok := option(d, a.ID); !ok && blocked(d, a.ID, "").Code == "" {
					for _, ch := range a.Channels {
						if blocked(d, a.ID, ch).Reason == "" {
							t.Fatalf("%s over %s: neither option nor blocked", a.ID, ch)
						}
					}
				}
			}
		}
	}
	if contacts < 1000 {
		t.Errorf("only %d contacts: the test says little", contacts)
	}
}

func brokenGate(p *Policy, c *Candidate, o Option) string {
	k := slices.IndexFunc(p.Playbook.Actions, func(a Action) bool { return a.ID == o.Action })
	a := p.Playbook.Actions[k]
	given := c.Customer.Consent
	if given == nil {
		given = p.AssumeConsent
	}
	if !slices.Contains(given, o.Channel) && !slices.Contains(given, a.Purpose+":"+o.Channel) {
		return "consent"
	}
	if c.DoNotContact || slices.Contains(c.Suppressed, o.Channel) || slices.Contains(c.Exhausted, o.Action) {
		return "suppression"
	}
	if (a.Target == Churned) != (c.Facts.Lifecycle == "churned") {
		return "target"
	}
	month, week := 0, 0
	for _, e := range c.Contacts {
		age := c.At.Sub(e.At)
		if age <= 30*event.Day {
			month++
		}
		if age <= 7*event.Day && e.Channel == o.Channel {
			week++
		}
		if e.Action == a.ID && a.CooldownDays > 0 && age <= event.Duration(a.CooldownDays)*event.Day {
			return "cool-down"
		}
		if e.Outcome == "opted_out" && e.Channel == o.Channel {
			return "opt-out"
		}
	}
	for _, e := range c.Earlier {
		if e.Action == a.ID && a.CooldownDays > 0 && c.At.Sub(e.At) <= event.Duration(a.CooldownDays)*event.Day {
			// Unless it was carried out, and so counted by its contact: only
			// then may it be within the cool-down by less than the delay.
			if !slices.ContainsFunc(c.Contacts, func(k event.ContactEvent) bool {
				return k.Action == e.Action && k.Channel == e.Channel && k.At >= e.At && k.At < e.At.Add(7*event.Day)
			}) {
				return "cool-down of a decision"
			}
		}
	}
	if month >= a.Cap30d || week >= a.CapChannel7d {
		return "cap"
	}
	local := c.At.Time().In(p.Location)
	for m := p.QuietHours.From; m != p.QuietHours.To; m = (m + 1) % (24 * 60) {
		if int(m) == local.Hour()*60+local.Minute() {
			return "quiet hours"
		}
	}
	return ""
}

func TestPolicyErrors(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Policy)
	}{
		{"no playbook", func(p *Policy) { p.Playbook = nil }},
		{"playbook: actions[0].cost", func(p *Policy) { p.Playbook.Actions[0].Cost = -1 }},
		{"holdout.share is 1", func(p *Policy) { p.Holdout.Share = 1 }},
		{"holdout.share is NaN", func(p *Policy) { p.Holdout.Share = nan }},
		{"holdout.salt is empty", func(p *Policy) { p.Holdout.Salt = "" }},
		{"explore is -0.1", func(p *Policy) { p.Explore = -0.1 }},
		{"assume_consent[1]", func(p *Policy) { p.AssumeConsent = []string{"email", "e-mail"} }},
		{"assume_consent[0]", func(p *Policy) { p.AssumeConsent = []string{":email"} }},
		{"quiet_hours", func(p *Policy) { p.QuietHours.To = 1440 }},
		{"economics.margin_rate", func(p *Policy) { p.Economics.MarginRate = 0 }},
		{"economics.discount_monthly", func(p *Policy) { p.Economics.DiscountMonthly = nan }},
		{"economics.default_monthly_value", func(p *Policy) { p.Economics.DefaultMonthlyValue = -1 }},
	} {
		p, err := DefaultPolicy("salt")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&p)
		if _, err := New(p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

func TestClockTime(t *testing.T) {
	for s, want := range map[string]ClockTime{"00:00": 0, "09:05": 545, "23:59": 1439} {
		var got ClockTime
		if err := got.UnmarshalText([]byte(s)); err != nil || got != want || got.String() != s {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "9:00", "24:00", "12:60", "12", "noon"} {
		if _, err := ParseClockTime(s); err == nil {
			t.Errorf("%s: no error", s)
		}
	}
}
