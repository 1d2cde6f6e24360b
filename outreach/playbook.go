package outreach

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Playbook is the list of actions that may be taken. Its values are final:
// what an action did not set was filled in from the defaults.
type Playbook struct {
	Version int      `json:"version"` // format of the file, FormatVersion
	Actions []Action `json:"actions"` // in the order of the file; ties go to the first
}

// FormatVersion is the version of the playbook format this package reads.
//
//	1: first
const FormatVersion = 1

// Action is one thing that can be done for a customer. Money is in units of
// [Economics.Currency].
type Action struct {
	ID       string   `json:"id"`
	When     string   `json:"when"`     // condition over Facts
	Target   Target   `json:"target"`   // whom it is for
	Channels []string `json:"channels"` // in order of preference; see Channels
	Cost     float64  `json:"cost"`     // of one contact
	Offer    float64  `json:"offer"`    // incentive, spent on who takes it
	// Save is the prior mean of P(saved | would have left), for target churned
	// of P(returns), and Kappa the number of customers it weighs as much as.
	Save          float64 `json:"save"`
	Kappa         float64 `json:"kappa"`
	Harm          Prior   `json:"harm"`           // P(leaves because of it | would have stayed)
	TakeupStayers float64 `json:"takeup_stayers"` // share of stayers who take the offer
	CooldownDays  int     `json:"cooldown_days"`  // before the same action is repeated
	Cap30d        int     `json:"cap_30d"`        // contacts by any action in 30 days
	CapChannel7d  int     `json:"cap_channel_7d"` // contacts by any action over the channel in 7 days
	CapacityDay   int     `json:"capacity_day"`   // how often a day it can be done; 0: no limit
	Purpose       string  `json:"purpose"`        // what consent must cover
	// HoldoutExempt actions are owed to the customer: they are never withheld,
	// and so their effect is never measured.
	HoldoutExempt bool   `json:"holdout_exempt"`
	Source        string `json:"source"` // where Save comes from
	Text          string `json:"text"`   // what to do, for people
}

// Target says whom an action is for.
type Target string

// An action is for customers who are there or for those who left, never both:
// only the former have a churn probability.
const (
	Active  Target = "active"
	Churned Target = "churned"
)

// Prior is a Beta distribution by mean and weight: Beta(κm, κ(1−m)).
type Prior struct {
	Mean  float64 `json:"mean"`
	Kappa float64 `json:"kappa"`
}

// Channels lists the channels an action may use.
func Channels() []string { return slices.Clone(channels) }

var channels = []string{"email", "phone", "sms", "mail", "in_app", "push"}

// Nothing is the id of the option that is always there.
const Nothing = "nothing"

// Limits on a playbook; more is an error.
const (
	MaxPlaybookSize = 1 << 20 // bytes
	MaxActions      = 200
	maxSaveKappa    = 20 // a heavier prior would outvote the first outcomes
	maxHarmKappa    = 10_000
	maxMoney        = 1e9
	maxDays         = 3650
	maxCount        = 1_000_000_000
	maxText         = 1024 // bytes
)

//go:embed playbook.yaml
var defaultPlaybook string

// DefaultPlaybookYAML returns the default playbook as a file to start from.
func DefaultPlaybookYAML() []byte { return []byte(defaultPlaybook) }

// DefaultPlaybook parses the default playbook.
func DefaultPlaybook() (*Playbook, error) { return ParsePlaybook([]byte(defaultPlaybook)) }

// Fingerprint is the SHA-256, in hex, of the playbook in canonical form: the
// final values as JSON in the order of the struct. Comments, the order of keys,
// and whether a value was set or came from the defaults do not matter.
func (p *Playbook) Fingerprint() string { return fingerprint(p) }

// fingerprint hashes the JSON of v, which must be made of plain finite values.
func fingerprint(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // not a finite number: no valid value comes here
		b = []byte(err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Validate reports the first thing wrong with the playbook, conditions
// included.
func (p *Playbook) Validate() error {
	if err := p.check(); err != nil {
		return err
	}
	return nil
}

// fieldError names a value of a playbook by its path, such as actions[3].when,
// and, within a condition, the character.
type fieldError struct {
	path   string
	char   int // from 0; -1 for the whole value
	reason string
}

func (e *fieldError) Error() string {
	if e.char >= 0 {
		return fmt.Sprintf("%s: character %d: %s", e.path, e.char+1, e.reason)
	}
	return e.path + ": " + e.reason
}

func wrong(path, format string, args ...any) *fieldError {
	return &fieldError{path, -1, fmt.Sprintf(format, args...)}
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

const nameRule = "use a lower-case letter, then up to 63 lower-case letters, digits and _"

func (p *Playbook) check() *fieldError {
	if p.Version != FormatVersion {
		return wrong("version", "is %d, this program reads %d", p.Version, FormatVersion)
	}
	if len(p.Actions) > MaxActions {
		return wrong("actions", "more than %d", MaxActions)
	}
	seen := map[string]int{}
	for i := range p.Actions {
		path := fmt.Sprintf("actions[%d]", i)
		a := &p.Actions[i]
		if k, ok := seen[a.ID]; ok && a.ID != "" {
			return wrong(path+".id", "%q is also the id of actions[%d]: rename one", a.ID, k)
		}
		seen[a.ID] = i
		if err := a.check(path); err != nil {
			return err
		}
	}
	return nil
}

func (a *Action) check(path string) *fieldError {
	switch {
	case a.ID == "":
		return wrong(path+".id", "missing")
	case a.ID == Nothing:
		return wrong(path+".id", "%q is always an option and cannot be an action", Nothing)
	case !namePattern.MatchString(a.ID):
		return wrong(path+".id", "%q is not an id: %s", a.ID, nameRule)
	case a.When == "":
		return wrong(path+".when", "missing: write true for every customer")
	case a.Target != Active && a.Target != Churned:
		return wrong(path+".target", "%q is unknown: use active or churned", a.Target)
	case len(a.Channels) == 0:
		return wrong(path+".channels", "missing: name at least one of %s", strings.Join(channels, ", "))
	case !namePattern.MatchString(a.Purpose):
		return wrong(path+".purpose", "%q is not a purpose: %s", a.Purpose, nameRule)
	case len(a.Source) > maxText:
		return wrong(path+".source", "longer than %d bytes", maxText)
	case len(a.Text) > maxText:
		return wrong(path+".text", "longer than %d bytes", maxText)
	}
	for i, ch := range a.Channels {
		at := fmt.Sprintf("%s.channels[%d]", path, i)
		if !slices.Contains(channels, ch) {
			return wrong(at, "unknown channel %q: use one of %s", ch, strings.Join(channels, ", "))
		}
		if slices.Contains(a.Channels[:i], ch) {
			return wrong(at, "%q is there twice", ch)
		}
	}
	for _, c := range []struct {
		name         string
		v, low, high float64
	}{
		{"cost", a.Cost, 0, maxMoney},
		{"offer", a.Offer, 0, maxMoney},
		{"save", a.Save, 0, 1},
		{"kappa", a.Kappa, math.SmallestNonzeroFloat64, maxSaveKappa},
		{"harm.mean", a.Harm.Mean, 0, 1},
		{"harm.kappa", a.Harm.Kappa, math.SmallestNonzeroFloat64, maxHarmKappa},
		{"takeup_stayers", a.TakeupStayers, 0, 1},
		{"cooldown_days", float64(a.CooldownDays), 0, maxDays},
		{"cap_30d", float64(a.Cap30d), 1, maxCount},
		{"cap_channel_7d", float64(a.CapChannel7d), 1, maxCount},
		{"capacity_day", float64(a.CapacityDay), 0, maxCount},
	} {
		if err := checkRange(path+"."+c.name, c.v, c.low, c.high); err != nil {
			return err
		}
	}
	if _, err := compileCondition(a.When); err != nil {
		return &fieldError{path + ".when", err.char, err.reason}
	}
	return nil
}

func checkRange(path string, v, low, high float64) *fieldError {
	switch {
	case v >= low && v <= high: // false for NaN
		return nil
	case low == math.SmallestNonzeroFloat64:
		return wrong(path, "is %v: use a number above 0 and at most %v", v, high)
	}
	return wrong(path, "is %v: use a number from %v to %v", v, low, high)
}
