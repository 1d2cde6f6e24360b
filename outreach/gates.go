package outreach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"churn/event"
)

// Code says in one word why something was blocked; there are few, so that they
// can be counted.
type Code string

// Why an action, or an action over one channel, was not an option.
const (
	NotEligible     Code = "not_eligible"     // its condition does not hold
	UnknownFact     Code = "unknown_fact"     // its condition depends on something unknown
	ConditionFailed Code = "condition_failed" // its condition could not be evaluated
	WrongTarget     Code = "wrong_target"     // the customer has left, or has not
	NoCapacity      Code = "no_capacity"      // its daily capacity is used up
	Cooldown        Code = "cooldown"         // done too recently
	CapTotal        Code = "cap_total"        // contacted too often
	CapChannel      Code = "cap_channel"      // contacted too often over the channel
	DoNotContact    Code = "do_not_contact"   // the customer is not to be contacted
	Suppressed      Code = "suppressed"       // the channel is not to be used
	OptedOut        Code = "opted_out"        // the customer declined further contacts
	NoConsent       Code = "no_consent"       // consent is missing or unknown
	Quiet           Code = "quiet_hours"      // not at this time of day
	RiskUnknown     Code = "risk_unknown"     // no churn probability
	ValueUnknown    Code = "value_unknown"    // no residual value
	Harmful         Code = "harmful"          // expected to lose at least as many customers as it keeps
)

// Blocked is an action that was not an option, and why. An empty channel
// stands for all of the action's channels.
type Blocked struct {
	Action  string `json:"action"`
	Channel string `json:"channel,omitempty"`
	Code    Code   `json:"code"`
	Reason  string `json:"reason"`
}

// optOuts are the outcomes of a contact by which a customer declines more.
var optOuts = []string{"opted_out", "unsubscribed"}

// contactHistory is what the gates need to know of earlier contacts. Contacts
// up to and including the instant of the decision count, whenever they were
// recorded: a gate that errs shall err towards silence. Of those corrected the
// last version counts, and those cancelled never were. A window of n days
// holds t-n*Day and t.
type contactHistory struct {
	at      event.Time
	past    []Contact
	optOuts []string // channels; "" for all
}

// newContactHistory merges reported contacts with earlier decisions. A
// decision that was carried out comes in both: each reported contact stands
// for at most one decision of the week before it.
func newContactHistory(c *Candidate) *contactHistory {
	h := &contactHistory{at: c.At}
	for _, e := range c.Contacts {
		if e.At > c.At || e.Action == Nothing || e.Superseded != 0 {
			continue
		}
		h.past = append(h.past, Contact{At: e.At, Action: e.Action, Channel: e.Channel})
		if slices.Contains(optOuts, strings.ToLower(e.Outcome)) {
			h.optOuts = append(h.optOuts, e.Channel)
		}
	}
	reported := h.past
	used := make([]bool, len(reported))
	earlier := slices.SortedFunc(slices.Values(c.Earlier), func(a, b Contact) int { return cmp.Compare(a.At, b.At) })
	for _, d := range earlier {
		if d.At > c.At || d.Action == Nothing {
			continue
		}
		carriedOut := func(k int) bool {
			p := reported[k]
			return !used[k] && p.Action == d.Action && strings.EqualFold(p.Channel, d.Channel) &&
				p.At >= d.At && p.At < d.At.Add(7*event.Day)
		}
		k := 0
		for k < len(reported) && !carriedOut(k) {
			k++
		}
		if k < len(reported) {
			used[k] = true
			continue
		}
		h.past = append(h.past, d)
	}
	return h
}

// count counts contacts of the last days for which match holds.
func (h *contactHistory) count(days int, match func(Contact) bool) int {
	from := h.at.Add(-event.Duration(days) * event.Day)
	n := 0
	for _, p := range h.past {
		if p.At >= from && match(p) {
			n++
		}
	}
	return n
}

// actionGate applies the gates that do not depend on the channel. An empty
// code lets the action pass.
func actionGate(a *Action, c *Candidate, h *contactHistory) (Code, string) {
	switch {
	case c.DoNotContact:
		return DoNotContact, "the customer is not to be contacted"
	case slices.Contains(c.Exhausted, a.ID):
		return NoCapacity, "the capacity of the day is used up"
	case a.CooldownDays > 0 && h.count(a.CooldownDays, func(p Contact) bool { return p.Action == a.ID }) > 0:
		return Cooldown, fmt.Sprintf("done within the last %d days", a.CooldownDays)
	}
	if n := h.count(30, func(Contact) bool { return true }); n >= a.Cap30d {
		return CapTotal, fmt.Sprintf("%d contacts in 30 days, the cap is %d", n, a.Cap30d)
	}
	return "", ""
}

// channelGate applies the gates of one channel.
func (r *Recommender) channelGate(a *Action, channel string, c *Candidate, h *contactHistory) (Code, string) {
	// A contact whose channel is not known may have used any.
	same := func(other string) bool { return other == "" || strings.EqualFold(other, channel) }
	if slices.ContainsFunc(c.Suppressed, same) {
		return Suppressed, channel + " is suppressed for the customer"
	}
	if slices.ContainsFunc(h.optOuts, same) {
		return OptedOut, "the customer opted out of " + channel
	}
	if code, why := r.consentGate(a.Purpose, channel, c.Customer.Consent); code != "" {
		return code, why
	}
	if n := h.count(7, func(p Contact) bool { return same(p.Channel) }); n >= a.CapChannel7d {
		return CapChannel, fmt.Sprintf("%d contacts over %s in 7 days, the cap is %d", n, channel, a.CapChannel7d)
	}
	if local := c.At.Time().In(r.location); r.policy.QuietHours.hold(local) {
		q := r.policy.QuietHours
		return Quiet, fmt.Sprintf("%s lies in the quiet hours from %s to %s", local.Format("15:04"), q.From, q.To)
	}
	return "", ""
}

func (r *Recommender) consentGate(purpose, channel string, given []string) (Code, string) {
	agreed := given
	if given == nil {
		agreed = r.policy.AssumeConsent
	}
	if slices.Contains(agreed, purpose+":"+channel) || slices.Contains(agreed, channel) {
		return "", ""
	}
	if given == nil {
		return NoConsent, fmt.Sprintf("consent to %s over %s is not known", purpose, channel)
	}
	return NoConsent, fmt.Sprintf("no consent to %s over %s", purpose, channel)
}
