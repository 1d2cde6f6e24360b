package outreach

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is all that decides, apart from the customer.
type Policy struct {
	Playbook *Playbook
	Holdout  Holdout
	// Explore is the share of decisions outside the holdout that are turned
	// into nothing at random, 0 to below 1. 0.02 is usual.
	Explore float64
	// AssumeConsent lists what the operator asserts for customers of whose
	// consent nothing is known, as purpose:channel, or channel for every
	// purpose. What a customer did say is never widened by it.
	AssumeConsent []string
	QuietHours    QuietHours
	Location      *time.Location // of quiet hours; nil is UTC
	Economics     Economics
}

// Holdout is the share of customers for whom nothing is done, so that there is
// something to compare with. Who belongs to it depends on the salt and the
// household only; a new salt, once a year, draws new ones.
type Holdout struct {
	Share float64 // 0 to below 1; 0.05 is usual
	Salt  string  // needed unless Share is 0
}

// DefaultPolicy has the default playbook, 5 % holdout, 2 % exploration, quiet
// hours from 20:00 to 09:00 UTC and [DefaultEconomics].
func DefaultPolicy(salt string) (Policy, error) {
	p, err := DefaultPlaybook()
	return Policy{
		Playbook:   p,
		Holdout:    Holdout{Share: 0.05, Salt: salt},
		Explore:    0.02,
		QuietHours: QuietHours{From: 20 * 60, To: 9 * 60},
		Economics:  DefaultEconomics(),
	}, err
}

// Validate reports the first thing wrong with the policy.
func (p *Policy) Validate() error {
	if p.Playbook == nil {
		return errors.New("policy: no playbook")
	}
	if err := p.Playbook.check(); err != nil {
		return fmt.Errorf("policy: playbook: %w", err)
	}
	// The negated comparison also catches NaN.
	if !(p.Holdout.Share >= 0 && p.Holdout.Share < 1) {
		return fmt.Errorf("policy: holdout.share is %v: use a number from 0 to below 1", p.Holdout.Share)
	}
	if p.Holdout.Share > 0 && p.Holdout.Salt == "" {
		return errors.New("policy: holdout.salt is empty: choose any text, and a new one when the holdout is to be drawn again")
	}
	if !(p.Explore >= 0 && p.Explore < 1) {
		return fmt.Errorf("policy: explore is %v: use a number from 0 to below 1", p.Explore)
	}
	for i, item := range p.AssumeConsent {
		if err := checkConsent(item); err != nil {
			return fmt.Errorf("policy: assume_consent[%d]: %w", i, err)
		}
	}
	if err := p.QuietHours.validate(); err != nil {
		return fmt.Errorf("policy: quiet_hours: %w", err)
	}
	if err := p.Economics.Validate(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

func checkConsent(item string) error {
	purpose, channel, ok := strings.Cut(item, ":")
	if !ok {
		purpose, channel = "any", item
	}
	if !namePattern.MatchString(purpose) || !slices.Contains(channels, channel) {
		return fmt.Errorf("%q: write purpose:channel or channel, with one of %s", item, strings.Join(channels, ", "))
	}
	return nil
}

// QuietHours are the hours of the day, local to Policy.Location, in which
// nobody is contacted: from From to before To, over midnight where From is the
// later. Equal ends mean no quiet hours.
type QuietHours struct {
	From, To ClockTime
}

// ClockTime is a time of day in minutes after midnight.
type ClockTime int

// ParseClockTime reads a time of day such as 09:00 or 21:30.
func ParseClockTime(s string) (ClockTime, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of day: write it like 09:00 or 21:30", s)
	}
	return ClockTime(t.Hour()*60 + t.Minute()), nil
}

// String formats as 21:30.
func (c ClockTime) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// MarshalText implements encoding.TextMarshaler.
func (c ClockTime) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; see [ParseClockTime].
func (c *ClockTime) UnmarshalText(b []byte) error {
	v, err := ParseClockTime(string(b))
	*c = v
	return err
}

func (q QuietHours) validate() error {
	for _, c := range []ClockTime{q.From, q.To} {
		if c < 0 || c >= 24*60 {
			return fmt.Errorf("%d minutes is not a time of day", int(c))
		}
	}
	return nil
}

// hold says whether local is a time at which nobody is contacted.
func (q QuietHours) hold(local time.Time) bool {
	now := ClockTime(local.Hour()*60 + local.Minute())
	if q.From <= q.To {
		return q.From <= now && now < q.To
	}
	return now >= q.From || now < q.To
}

// Recommender decides under one policy. It never changes and may be used from
// several goroutines.
type Recommender struct {
	policy      Policy
	location    *time.Location
	conditions  []*condition // of the playbook's actions
	fingerprint string
}

// New compiles a policy. Later changes to p or its playbook have no effect.
func New(p Policy) (*Recommender, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	book := *p.Playbook
	book.Actions = slices.Clone(book.Actions)
	r := &Recommender{location: p.Location}
	if r.location == nil {
		r.location = time.UTC
	}
	for i := range book.Actions {
		a := &book.Actions[i]
		a.Channels = slices.Clone(a.Channels)
		c, err := compileCondition(a.When)
		if err != nil { // Validate compiled it
			return nil, fmt.Errorf("policy: action %s: %s", a.ID, err.reason)
		}
		r.conditions = append(r.conditions, c)
	}
	p.Playbook = &book
	p.AssumeConsent = slices.Clone(p.AssumeConsent)
	r.policy = p
	r.fingerprint = fingerprint([]any{
		p.Playbook, p.Holdout, p.Explore, p.AssumeConsent, p.QuietHours, r.location.String(), p.Economics,
	})
	return r, nil
}

// Fingerprint is the SHA-256, in hex, of the whole policy.
func (r *Recommender) Fingerprint() string { return r.fingerprint }
