// Package outreach decides whether to contact a customer, about what, and
// over which channel.
//
// A high probability of churn is not a reason to act: a contact may do
// nothing, cost more than it saves, or wake up somebody who would have stayed.
// So every action is judged by the money it is expected to add, doing nothing
// is always one of the options, and every action carries a chance of harm. The
// steps of [Recommender.Decide] are
//
//  1. [FactsOf] says what is known of the customer at an instant, and
//     [Economics.Value] what the customer is still expected to bring;
//  2. each action of the [Playbook] is tested against its own condition over
//     those facts; an unknown fact never passes for zero or false;
//  3. hard gates outside the conditions: consent by purpose and channel,
//     opt-out, suppression, quiet hours, cool-down, rolling caps, capacity.
//     What is not known is not allowed, and whatever was blocked says why;
//  4. the expected net value of what is left, and the best of it, or nothing;
//  5. a fixed share of customers (holdout) and a random share of decisions
//     (explore) get nothing instead, so that effects can be measured later.
//     The probability of what was decided is logged with it.
//
// # Net value
//
// With p = P(churn within the horizon | no action), γ = P(saved | would have
// left), η = P(leaves because of the action | would have stayed), ψ = share of
// stayers who take the incentive, f the cost of a contact, d the incentive and
// L the value, seen from now, of a customer who is still there at the end of
// the horizon,
//
//	τ  = p·γ − (1−p)·η
//	c  = f + d·(p·γ + (1−p)·ψ)
//	NV = τ·L − c
//
// An action for customers who already left has p = 1 and η = 0, and γ is the
// probability that they return. With η = 0 and ψ = 1 this is the profit of the
// expected maximum profit measure (Verbraken, Verbeke, Baesens 2013).
//
// # What it leaves out
//
// The package does no input or output, reads no clock and keeps no state: the
// same candidate and policy give the same decision, byte for byte. γ and η are
// the playbook's priors, and every decision says so (basis "prior"); nothing
// here learns from outcomes, and no budget is shared out between customers.
package outreach
