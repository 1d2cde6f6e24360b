package sim

import (
	"fmt"
	"math"
	"slices"

	"churn/event"
)

// State is a hidden state of a customer.
type State uint8

// The states of the chain. Having left is not among them.
const (
	Engaged State = iota
	Drifting
	AtRisk

	states = 3
)

// PerState gives a number for each State.
type PerState [states]float64

// World is what customers are drawn from. Probabilities and rates are those of
// one day unless said otherwise.
type World struct {
	Seed      uint64     // default 1
	Customers int        // default 20000
	Start     event.Time // first midnight, UTC
	End       event.Time // the extract: what was recorded before this midnight

	// FirstWave is the share of customers who sign up within the first
	// FirstWaveDays; the rest comes evenly over all days but the last.
	FirstWave     float64
	FirstWaveDays int

	// Snapshots are the midnights at which the best score is written,
	// ascending, between Start and End.
	Snapshots []event.Time
	Gap       event.Duration // whole days; default 7d
	Horizon   event.Duration // whole days; default 30d

	Types      []Type      // the mixture
	Rates      []Rate      // a customer's own rate of engagement is one of these
	RateName   string      // attribute that tells the rate by its label; empty keeps it hidden
	Kinds      []Kind      // of engagement
	Categories []string    // of complaints
	Attributes []Attribute // known of customers from sign-up
	Prices     []float64   // a payment, by value of the first attribute

	SetupKind string // kind of the events of the first SetupDays; see Type.Setup
	SetupDays int

	Severity        [5]PerState // probability of severity 1 to 5, by state
	Satisfaction    [5]PerState // probability of satisfaction 1 to 5, by state at resolution
	SatisfactionSet float64     // share of resolutions with a satisfaction
	ResolveMean     float64     // mean days to the resolution of a complaint

	Lags  Lags
	Drift Drift
	// SeasonSwing is how far the engagement of seasonal types swings about
	// its mean over the year, below 1; SeasonPeak is the day of the year.
	SeasonSwing float64
	SeasonPeak  float64

	Contacts Experiment
	Switch   Switch `json:",omitzero"`
	Leak     bool   // plant marks of the outcome; see Variant
}

// Type is one kind of customer. The company does not know which it has.
type Type struct {
	Name   string
	Share  float64 // of all sign-ups
	Reason string  // churn_reason of those who leave

	Start  PerState         // state at sign-up
	Step   [states]PerState // state of the next day, by state, of those who stay
	Hazard PerState         // probability to leave

	Engagement PerState            // multiplies the customer's own rate
	Mix        [states][]float64   // share of each kind, by state
	Seasonal   bool                // engagement follows the season
	Setup      float64             // events of World.SetupKind in the first days
	Complaint  PerState            // probability of a complaint
	Categories []float64           // share of each category
	Payment    [states]Settlements // what becomes of a payment due, by state
	Attributes [][]float64         // share of each value, by attribute; nil for even shares
}

// Settlement is what becomes of a payment.
type Settlement uint8

// A payment is paid within two days, 4 to 20 days late, never, or it fails at
// once, in which case half are paid in the end.
const (
	OnTime Settlement = iota
	Late
	Missed
	Failed

	settlements = 4
)

// Settlements gives the probability of each Settlement.
type Settlements [settlements]float64

// Rate is a rate of engagement that a customer may have for good.
type Rate struct {
	Label  string // value of the attribute World.RateName
	PerDay float64
	Share  float64
}

// Kind is a kind of engagement. Values are exponential with mean Value,
// rounded to hundredths; none are given where it is 0.
type Kind struct {
	Name  string
	Value float64
}

// Attribute is something known of a customer from the start.
type Attribute struct {
	Name   string
	Values []string
}

// Lag is the number of nightly loads (03:00) an event waits for before it is
// recorded: 0 to Max days, with geometrically falling probability. Max 0 means
// recorded at once.
type Lag struct {
	Mean float64 // of the geometric distribution before it is cut at Max
	Max  int
}

// Lags by stream. A resolution waits like a complaint; of a payment the
// arrival of the money waits.
type Lags struct {
	Engagement, Complaints, Payments Lag
}

// Drift changes the world from a day on. Day 0 means never.
type Drift struct {
	Day        int     // counted from Start
	Hazard     float64 // multiplies every hazard
	Engagement float64 // multiplies every rate of engagement
}

// Experiment is outreach at random. Every so many days each customer of at
// least a day is drawn into it with probability Share and given one action,
// all equally likely, in arm treat with probability Treated and else in arm
// control, where nothing is done.
type Experiment struct {
	Share   float64 // 0 for no outreach
	Treated float64
	Every   int // days between rounds, not below EffectDays
	Actions []Action
}

// EffectDays is how long an action has an effect: the day of the contact and
// those that follow, 30 in all.
const EffectDays = 30

// Action is one kind of outreach and its truth.
type Action struct {
	Name    string
	Channel string
	Cost    float64
	// Save is P(stays | would have left within EffectDays), Harm is P(leaves |
	// would have stayed), by type. A save holds for EffectDays, after which
	// the customer's own hazard is back.
	Save, Harm []float64
}

// Names of the arms in the contacts table.
const (
	ArmTreat   = "treat"
	ArmControl = "control"
)

// Days is the length of the world.
func (w *World) Days() int { return w.day(w.End) }

// day numbers the day that t falls on, from 0 for that of Start.
func (w *World) day(t event.Time) int { return int(t.Sub(w.Start) / event.Day) }

func (w *World) midnight(day int) event.Time {
	return w.Start.Add(event.Duration(day) * event.Day)
}

// Validate reports the first thing that makes the world impossible.
func (w *World) Validate() error {
	switch {
	case w.Customers < 0:
		return fmt.Errorf("customers: %d is negative", w.Customers)
	case !whole(w.Start) || !whole(w.End) || w.End <= w.Start:
		return fmt.Errorf("start and end must be midnights (UTC), the end after the start")
	case w.Days() < 2 || w.Days() > 20_000:
		return fmt.Errorf("end: the world lasts %d days; give 2 to 20000", w.Days())
	case w.Gap < 0 || w.Horizon <= 0 || w.Gap%event.Day != 0 || w.Horizon%event.Day != 0:
		return fmt.Errorf("gap and horizon must be whole days, the horizon at least one")
	case w.Gap+w.Horizon > 3660*event.Day:
		return fmt.Errorf("gap and horizon are longer than ten years")
	case !probability(w.FirstWave) || w.FirstWaveDays < 1 || w.FirstWaveDays >= w.Days():
		return fmt.Errorf("first wave: share within 0 to 1, days from 1 to the length of the world")
	case len(w.Types) == 0 || len(w.Rates) == 0:
		return fmt.Errorf("a world needs at least one type and one rate")
	case len(w.Kinds) > 250 || len(w.Types) > 250:
		return fmt.Errorf("more than 250 kinds or types")
	case w.SeasonSwing < 0 || w.SeasonSwing >= 1:
		return fmt.Errorf("season swing %v: give 0 to below 1", w.SeasonSwing)
	case !probability(w.SatisfactionSet) || !(w.ResolveMean >= 0) || w.ResolveMean > 1000:
		return fmt.Errorf("resolution: satisfaction share within 0 to 1, mean days within 0 to 1000")
	case w.Drift.Day < 0 || w.Drift.Day > 0 && !(w.Drift.Hazard >= 0 && w.Drift.Engagement >= 0):
		return fmt.Errorf("drift: day and factors must not be negative")
	case len(w.Attributes) > 0 && len(w.Prices) != len(w.Attributes[0].Values):
		return fmt.Errorf("prices: one for each value of the first attribute")
	case len(w.Attributes) == 0 && len(w.Prices) != 1:
		return fmt.Errorf("prices: one, as there are no attributes")
	}
	for i, t := range w.Snapshots {
		if !whole(t) || t < w.Start || t > w.End || i > 0 && t <= w.Snapshots[i-1] {
			return fmt.Errorf("snapshot %d: not a midnight (UTC) within the world, or not after the one before it", i+1)
		}
	}
	for _, p := range w.Prices {
		if !(p >= 0 && p <= 1e6) {
			return fmt.Errorf("prices: %v is not within 0 to 1000000", p)
		}
	}
	for _, l := range []Lag{w.Lags.Engagement, w.Lags.Complaints, w.Lags.Payments} {
		if l.Max < 0 || l.Max > 365 || l.Max > 0 && !(l.Mean > 0 && l.Mean <= 365) {
			return fmt.Errorf("lags: at most 365 days, with a mean above 0")
		}
	}
	if err := w.Switch.validate(); err != nil {
		return err
	}
	return w.validateMixture()
}

func (w *World) validateMixture() error {
	shares, rates := make([]float64, 0, len(w.Types)), make([]float64, 0, len(w.Rates))
	for i := range w.Types {
		t := &w.Types[i]
		if t.Name == "" {
			return fmt.Errorf("type %d has no name", i+1)
		}
		if err := w.validateType(t); err != nil {
			return fmt.Errorf("type %s: %w", t.Name, err)
		}
		shares = append(shares, t.Share)
	}
	for _, r := range w.Rates {
		rates = append(rates, r.Share)
		for i := range w.Types {
			if peak := r.PerDay * slices.Max(w.Types[i].Engagement[:]) * (1 + w.SeasonSwing) * max(1, w.Drift.Engagement); !(r.PerDay > 0 && peak <= maxRate) {
				return fmt.Errorf("rates: %v events a day are %v at most for type %s; keep it above 0 and up to %d", r.PerDay, peak, w.Types[i].Name, maxRate)
			}
		}
	}
	if !sums(shares) || !sums(rates) {
		return fmt.Errorf("the shares of types, and of rates, must each add to 1")
	}
	for x := range states {
		var sev, sat []float64
		for v := range 5 {
			sev, sat = append(sev, w.Severity[v][x]), append(sat, w.Satisfaction[v][x])
		}
		if !sums(sev) || !sums(sat) {
			return fmt.Errorf("severity and satisfaction must each add to 1 in every state")
		}
	}
	e := &w.Contacts
	if e.Share == 0 {
		return nil
	}
	if !probability(e.Share) || !probability(e.Treated) || e.Every < EffectDays || len(e.Actions) == 0 {
		return fmt.Errorf("contacts: shares within 0 to 1, at least %d days between rounds, at least one action", EffectDays)
	}
	for _, a := range e.Actions {
		if a.Name == "" || len(a.Save) != len(w.Types) || len(a.Harm) != len(w.Types) || !(a.Cost >= 0 && a.Cost <= 1e6) {
			return fmt.Errorf("action %q: needs a name, a cost, and save and harm for each type", a.Name)
		}
		for z := range w.Types {
			if !probability(a.Save[z]) || !probability(a.Harm[z]) || a.Save[z]+a.Harm[z] > 1 {
				return fmt.Errorf("action %s, type %s: save and harm must be within 0 to 1, also together", a.Name, w.Types[z].Name)
			}
		}
	}
	return nil
}

func (w *World) validateType(t *Type) error {
	if !sums(t.Start[:]) {
		return fmt.Errorf("start must add to 1")
	}
	hazard := 1.0
	if w.Drift.Day > 0 {
		hazard = max(1, w.Drift.Hazard)
	}
	for x := range states {
		switch {
		case !sums(t.Step[x][:]):
			return fmt.Errorf("step must add to 1 in every state")
		case !probability(t.Hazard[x]) || !probability(t.Hazard[x]*hazard) || !probability(t.Complaint[x]):
			return fmt.Errorf("hazard and complaint must be within 0 to 1")
		case !(t.Engagement[x] >= 0):
			return fmt.Errorf("engagement must not be negative")
		case len(t.Mix[x]) != len(w.Kinds) || !sums(t.Mix[x]):
			return fmt.Errorf("mix must give a share for each kind and add to 1 in every state")
		case !sums(t.Payment[x][:]):
			return fmt.Errorf("payment must add to 1 in every state")
		}
	}
	if !(t.Setup >= 0 && t.Setup <= maxRate) {
		return fmt.Errorf("setup must be within 0 to %d", maxRate)
	}
	if len(t.Categories) != len(w.Categories) || !sums(t.Categories) {
		return fmt.Errorf("categories must give a share for each category and add to 1")
	}
	if len(t.Attributes) != len(w.Attributes) {
		return fmt.Errorf("attributes: %d given, the world has %d", len(t.Attributes), len(w.Attributes))
	}
	for i, a := range w.Attributes {
		if t.Attributes[i] != nil && (len(t.Attributes[i]) != len(a.Values) || !sums(t.Attributes[i])) {
			return fmt.Errorf("attribute %s must give a share for each value and add to 1", a.Name)
		}
	}
	return nil
}

// maxRate keeps the likelihood of a day, exp(-rate) times rate to the number
// of events, within what a float64 holds.
const maxRate = 50

func whole(t event.Time) bool { return t%event.Time(event.Day) == 0 }

func probability(p float64) bool { return p >= 0 && p <= 1 }

// sums tells whether shares are probabilities that add to 1.
func sums(p []float64) bool {
	total := 0.0
	for _, v := range p {
		if !probability(v) {
			return false
		}
		total += v
	}
	return math.Abs(total-1) < 1e-9
}
