package outreach

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/event"
)

// Candidate is a customer about whom to decide.
type Candidate struct {
	Customer event.Customer // id and consent are used
	// Household shares one assignment to the holdout; the customer's own id
	// where it is empty.
	Household string
	// At is when the contact would be made; quiet hours, caps and cool-downs
	// are counted at it.
	At event.Time
	// Risk is the calibrated P(churn within HorizonDays), NaN when there is
	// none, as for customers who left.
	Risk        float64
	HorizonDays int
	Model       string // version of the model that gave Risk
	Facts       Facts
	Value       Value
	// Contacts were made; Earlier were decided and may or may not be among
	// them yet. Both count towards caps and cool-downs.
	Contacts     []event.ContactEvent
	Earlier      []Contact
	DoNotContact bool
	Suppressed   []string // channels not to be used, such as a bouncing address
	Exhausted    []string // actions whose CapacityDay is used up
}

// Contact is a contact that was decided upon.
type Contact struct {
	At      event.Time
	Action  string
	Channel string
}

// Option is an action that passed every gate, over the first of its channels
// that did. Money is in units of Economics.Currency.
type Option struct {
	Action           string  `json:"action"`
	Channel          string  `json:"channel,omitempty"`
	ExpectedNetValue float64 `json:"expected_net_value"` // τ·L − c
	ExpectedCost     float64 `json:"expected_cost"`      // c, contact and incentive
	Tau              float64 `json:"tau"`                // change of P(stays), or of P(returns)
	HarmProbability  float64 `json:"harm_probability"`   // (1−p)·η: leaves because of the action
	Exempt           bool    `json:"exempt,omitempty"`   // never withheld, effect not measured
}

// Decision is what to do, and what the log needs to learn from it later.
//
// Its Propensity is the probability, over the salt of the holdout and the draw
// of the decision, that this customer gets the action that was chosen. With h
// and e the shares of holdout and exploration, an action of the policy has
// (1−h)·(1−e), and what is done where it is withheld has 1 − (1−h)·(1−e): in
// general nothing, else the best action exempt from the holdout. Where both
// are the same, as when nothing is the best, it is 1. Holdout and exploration
// share one propensity because they lead to the same action; Arm tells them
// apart.
type Decision struct {
	ID         string     `json:"decision_id"`
	Customer   string     `json:"customer_id"`
	At         event.Time `json:"at"`
	Action     string     `json:"action"` // Nothing, or the id of an action
	Channel    string     `json:"channel,omitempty"`
	Arm        Arm        `json:"arm"`
	Ghost      string     `json:"ghost_action,omitempty"` // in holdout and explore: what the policy would have done
	Propensity float64    `json:"propensity"`             // above 0 to 1
	Value      Value      `json:"value"`

	ExpectedNetValue float64 `json:"expected_net_value"`
	ExpectedCost     float64 `json:"expected_cost"`
	Tau              float64 `json:"tau"`
	HarmProbability  float64 `json:"harm_probability"`
	Basis            string  `json:"basis"` // where the effect comes from

	Options  []Option  `json:"options"` // best first; Nothing is always among them
	Blocked  []Blocked `json:"blocked"` // in the order of the playbook
	Warnings []string  `json:"warnings"`
	Policy   string    `json:"policy"` // fingerprint
	Model    string    `json:"model"`
}

// BasisPrior marks numbers that rest on the playbook's priors alone.
const BasisPrior = "prior"

// Decide chooses an action, or nothing. It never fails: a candidate about whom
// too little is known gets nothing, and Blocked and Warnings say why.
func (r *Recommender) Decide(c Candidate) Decision {
	d := Decision{
		ID:       decisionID(c.Customer.ID, c.At, r.fingerprint, c.Model),
		Customer: c.Customer.ID, At: c.At, Value: c.Value, Basis: BasisPrior,
		Options: []Option{{Action: Nothing}}, Blocked: []Blocked{}, Warnings: []string{},
		Policy: r.fingerprint, Model: c.Model,
	}
	r.prepare(&c, &d)
	history := newContactHistory(&c)
	for i := range r.policy.Playbook.Actions {
		a := &r.policy.Playbook.Actions[i]
		block := func(channel string, code Code, reason string) {
			d.Blocked = append(d.Blocked, Blocked{a.ID, channel, code, reason})
		}
		code, reason := r.eligible(i, &c)
		if code == "" {
			code, reason = actionGate(a, &c, history)
		}
		if code == "" {
			code, reason = appraisable(a, &c)
		}
		if code != "" {
			block("", code, reason)
			continue
		}
		open := ""
		for _, channel := range a.Channels {
			if code, reason := r.channelGate(a, channel, &c, history); code != "" {
				block(channel, code, reason)
			} else if open == "" {
				open = channel
			}
		}
		if open == "" {
			continue
		}
		// An action that drives customers away is not an option even where
		// losing them would save money.
		if o := r.appraise(a, open, &c); o.Tau > 0 {
			d.Options = append(d.Options, o)
		} else {
			block("", Harmful, fmt.Sprintf("expected to lose at least as many customers as it keeps: effect %.4f", o.Tau))
		}
	}
	r.choose(&c, &d)
	return d
}

// prepare fills in the facts that Decide knows and makes what it was given
// safe to compute with.
func (r *Recommender) prepare(c *Candidate, d *Decision) {
	warn := func(format string, args ...any) { d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...)) }
	if c.Customer.ID == "" {
		warn("the candidate has no customer id: nothing is done")
		c.DoNotContact = true
	}
	if c.At == event.Never {
		warn("the candidate has no time: nothing is done")
		c.DoNotContact = true
	}
	if c.Household == "" {
		c.Household = c.Customer.ID
	}
	switch {
	case math.IsNaN(c.Risk):
	case c.Risk < 0 || c.Risk > 1:
		warn("risk %v is not a probability and was ignored", c.Risk)
		c.Risk = math.NaN()
	case c.HorizonDays <= 0:
		warn("the risk has no horizon and was ignored")
		c.Risk = math.NaN()
	}
	// These two have one source, whatever the caller put there.
	c.Facts.forget("risk", "rv")
	if !math.IsNaN(c.Risk) {
		c.Facts.Risk = c.Risk
		c.Facts.learn("risk")
	}
	v := &c.Value
	if v.Known && (math.IsNaN(v.Residual) || math.IsInf(v.Residual, 0) || math.IsNaN(v.Monthly) || math.IsInf(v.Monthly, 0)) {
		warn("the value is not a finite number and was ignored")
		*v = Value{Basis: "not a finite number"}
	}
	if !v.Known {
		*v = Value{Basis: v.Basis}
	} else {
		c.Facts.RV = v.Residual
		c.Facts.learn("rv")
		if v.Basis == "default" {
			warn("no payments are known: the value rests on the configured default")
		}
		if core := r.policy.Economics.CoreValue; core > 0 && !c.Facts.Known("is_core") {
			c.Facts.IsCore = v.Residual >= core
			c.Facts.learn("is_core")
		}
	}
	d.Value = *v
}

// eligible applies the action's target and condition.
func (r *Recommender) eligible(i int, c *Candidate) (Code, string) {
	a := &r.policy.Playbook.Actions[i]
	left := c.Customer.ChurnedAt < c.At || c.Facts.Known("lifecycle") && c.Facts.Lifecycle == "churned"
	switch {
	case a.Target == Active && left:
		return WrongTarget, "the customer has left"
	case a.Target == Churned && !left:
		return WrongTarget, "the customer has not left"
	}
	result, missing, err := r.conditions[i].eval(&c.Facts)
	switch {
	case err != nil:
		return ConditionFailed, "the condition could not be evaluated: " + expressionError(err).reason
	case result == unknown:
		return UnknownFact, "unknown fact: " + strings.Join(missing.names(), ", ")
	case result == no:
		return NotEligible, "does not hold: " + a.When
	}
	return "", ""
}

// appraisable says whether the net value of an action can be computed.
func appraisable(a *Action, c *Candidate) (Code, string) {
	switch {
	case a.Target == Active && math.IsNaN(c.Risk):
		return RiskUnknown, "churn probability unknown"
	case !c.Value.Known && c.Value.Basis == "":
		return ValueUnknown, "residual value unknown"
	case !c.Value.Known:
		return ValueUnknown, "residual value unknown: " + c.Value.Basis
	}
	return "", ""
}

// appraise computes the numbers of an action; see the package comment.
func (r *Recommender) appraise(a *Action, channel string, c *Candidate) Option {
	p, save, harm, life := c.Risk, a.Save, a.Harm.Mean, c.Value.Residual
	if a.Target == Churned {
		p, harm = 1, 0 // gone already: saved means returned, now
	} else {
		// Saved means still there at the end of the horizon, with survival
		// starting at 1 again; the margin of the horizon itself is not
		// counted, for most of it would have come anyway.
		life *= math.Pow(1+r.policy.Economics.DiscountMonthly, -float64(c.HorizonDays)/monthDays)
	}
	saved := float64(p * save)
	harmed := float64((1 - p) * harm)
	tau := saved - harmed
	cost := a.Cost + float64(a.Offer*(saved+float64((1-p)*a.TakeupStayers)))
	return Option{
		Action: a.ID, Channel: channel, Exempt: a.HoldoutExempt,
		ExpectedNetValue: float64(tau*life) - cost,
		ExpectedCost:     cost,
		Tau:              tau,
		HarmProbability:  harmed,
	}
}

// choose orders the options and assigns one of them.
func (r *Recommender) choose(c *Candidate, d *Decision) {
	// Nothing comes first among equals, then the cheaper, then the earlier.
	slices.SortStableFunc(d.Options, func(a, b Option) int {
		return cmp.Or(cmp.Compare(b.ExpectedNetValue, a.ExpectedNetValue), cmp.Compare(a.ExpectedCost, b.ExpectedCost))
	})
	best := &d.Options[0]
	withheld := &d.Options[slices.IndexFunc(d.Options, func(o Option) bool { return o.Exempt || o.Action == Nothing })]
	d.Arm = r.policy.arm(c.Household, d.ID)
	chosen, propensity := r.policy.assign(d.Arm, best, withheld)
	if d.Arm != ArmPolicy {
		d.Ghost = best.Action
	}
	d.Action, d.Channel, d.Propensity = chosen.Action, chosen.Channel, propensity
	d.ExpectedNetValue, d.ExpectedCost = chosen.ExpectedNetValue, chosen.ExpectedCost
	d.Tau, d.HarmProbability = chosen.Tau, chosen.HarmProbability
	if chosen.Exempt {
		d.Warnings = append(d.Warnings, "effect not measured: "+chosen.Action+" is exempt from the holdout")
	}
}

// Rank orders decisions by the money they are expected to add, most first, and
// not by risk; equal ones by customer.
func Rank(decisions []Decision) {
	slices.SortStableFunc(decisions, func(a, b Decision) int {
		return cmp.Or(cmp.Compare(b.ExpectedNetValue, a.ExpectedNetValue), cmp.Compare(a.Customer, b.Customer))
	})
}
