// Package sim makes up customers of whom the truth is known.
//
// A [World] is a mixture of customer types: regular ones, silent leavers who
// use less and less and never complain, complainers who stay, customers whose
// payments fail, sign-ups that never get going, seasonal users. Each customer
// goes day by day through a hidden chain of three states, engaged, drifting
// and at risk, and may leave on any day with the hazard of type and state.
// What the company sees follows from type and state: engagement events (a
// Poisson number a day, of several kinds), complaints with resolution and
// satisfaction, a payment every 30 days that is on time, late, missed or
// failed, and attributes that say a little about the type. Complaints and
// payments are recorded some days after they happen.
//
// Outreach may be planted too: each 30 days a share of the customers is drawn
// into an experiment, half of it treated. An action has two effects for each
// type, in the words of the outreach package: who would leave within 30 days
// is saved with probability Save, and who would stay leaves with probability
// Harm.
//
// The steps are
//
//  1. [DefaultWorld], and [World.Variant] for one with a leak, without signal,
//     with late records, with drift, or with outreach;
//  2. [World.Generate] hands every customer to a [Sink], in order, or
//     [World.WriteDir] writes the input tables, truth.json and oracle.csv;
//  3. [NewOracle] computes the best score that any model could give.
//
// # The best possible score
//
// Days are the steps of the chain. A customer who is there at the start of a
// day acts through the day according to the state of that day; then leaves
// with the hazard of the day, at an hour of that day; who stays moves on to
// the state of the next day. So the probability of (type, own rate, state)
// given all that happened before a midnight t is a forward filter over a
// finite chain, and the probability to leave within [t+gap, t+gap+horizon) a
// sum over it. Both are exact for the world they are made for, given what was
// visible at t on both clocks in the sense of package event: a complaint not
// yet recorded is summed over, not looked up. Outreach before t is seen;
// outreach after t is averaged over by the known chances of the experiment.
//
// # What it leaves out
//
// One seed gives the same bytes whatever the number of processors. Within a
// day the hour says nothing: there is no daily or weekly rhythm. Severity,
// satisfaction and the kinds of engagement speak of the state; the values of
// engagement events, prices, regions and refunds are noise.
package sim
