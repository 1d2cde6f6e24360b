package outreach_test

import (
	"fmt"

	"churn/event"
	"churn/outreach"
)

func Example() {
	book, err := outreach.ParsePlaybook([]byte(`
version: 1
actions:
- id: personal_offer
  when: risk > 0.2 && !on_discount
  channels: [email, phone]
  cost: 0.1
  offer: 15
  save: 0.15
- id: loyalty_tier
  when: next_tier_gap < 0.2
  channels: [email]
  save: 0.05
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := outreach.Policy{Playbook: book, Economics: outreach.DefaultEconomics()}
	recommender, err := outreach.New(policy)
	if err != nil {
		fmt.Println(err)
		return
	}

	// A customer who pays 100 a month and agreed to calls.
	now, _ := event.ParseTime("2026-03-01T12:00:00Z")
	history := &event.Timeline{Customer: event.Customer{
		ID: "c1", SignedUpAt: now.Add(-300 * event.Day), ChurnedAt: event.Never, Consent: []string{"phone"},
	}}
	for days := event.Duration(290); days > 0; days -= 30 {
		at := now.Add(-days * event.Day)
		history.Payments = append(history.Payments, event.PaymentCase{
			At: at, Recorded: at, PaidAt: at, PaidKnown: at, Amount: 100 * event.Unit, RefundedAt: event.Never,
		})
	}
	facts := outreach.FactsOf(history, now)
	if err := facts.Set("on_discount", false); err != nil {
		fmt.Println(err)
		return
	}
	d := recommender.Decide(outreach.Candidate{
		Customer: history.Customer, At: now, Risk: 0.271, HorizonDays: 90, Model: "7",
		Facts: facts, Value: policy.Economics.Value(history, now, 0.271, 90),
	})

	fmt.Printf("%s by %s, worth %.2f (%s), residual value %.2f\n", d.Action, d.Channel, d.ExpectedNetValue, d.Basis, d.Value.Residual)
	for _, b := range d.Blocked {
		fmt.Println(b.Action, b.Channel, b.Reason)
	}
	// Output:
	// personal_offer by phone, worth 1.77 (prior), residual value 245.45
	// personal_offer email no consent to marketing over email
	// loyalty_tier  unknown fact: next_tier_gap
}
