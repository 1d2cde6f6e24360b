package training

import (
	"fmt"
	"slices"

	"churn/event"
	"churn/model"
	"churn/training/measure"
)

// spans are the lengths in days that are held against the data, of silence and
// of horizons.
var spans = []int{7, 14, 30, 60, 90, 180, 365}

// Limits of the proposals.
const (
	minSilent  = 20  // customers from whom a share of returns is told
	lapseShare = 0.1 // of them who come back, from which on silence is no end
)

// SilenceReport says what became of customers who were silent for so long. Each
// customer counts once, by the first such silence, and only if the data goes on
// for as long again after it.
type SilenceReport struct {
	Days     int `json:"days"`
	Silent   int `json:"silent"`
	Returned int `json:"returned"`
	// Share of returns; null where fewer than 20 were silent.
	Share measure.Float `json:"share"`
}

// Silences counts the silences of customers. The zero value counts none: see
// NewSilences.
type Silences struct {
	through event.Time
	list    []SilenceReport
}

// NewSilences counts silences of the usual lengths and of others, in days, up
// to the end of the data.
func NewSilences(through event.Time, others ...int) *Silences {
	s := &Silences{through: through}
	days := append(slices.Clone(spans), others...)
	slices.Sort(days)
	for _, d := range slices.Compact(days) {
		if d > 0 {
			s.list = append(s.list, SilenceReport{Days: d})
		}
	}
	return s
}

// Add looks at one customer, whose times of activity ascend.
func (s *Silences) Add(activity []event.Time) {
	for k := range s.list {
		r := &s.list[k]
		w := event.Duration(r.Days) * event.Day
		for i, t := range activity {
			if t.Add(2*w) > s.through {
				break // nor will later ones have time enough
			}
			if i+1 < len(activity) && activity[i+1].Sub(t) <= w {
				continue
			}
			r.Silent++
			if i+1 < len(activity) {
				r.Returned++
			}
			break
		}
	}
}

// Report tells the shares.
func (s *Silences) Report() []SilenceReport {
	out := slices.Clone(s.list)
	for i := range out {
		of := out[i].Silent
		if of < minSilent {
			of = 0
		}
		out[i].Share = ratio(out[i].Returned, of)
	}
	return out
}

// Propose gives the shortest usual silence after which fewer than one in ten
// came back, in days; 0 if there is none.
func (s *Silences) Propose() int {
	for _, r := range s.Report() {
		if slices.Contains(spans, r.Days) && float64(r.Share) < lapseShare { // not of NaN
			return r.Days
		}
	}
	return 0
}

// activityOf lists when the customer did something that qualifies, ascending.
func activityOf(d *model.Definition, tl *event.Timeline, times []event.Time) []event.Time {
	times = times[:0]
	if d.Qualifies("engagement") {
		for i := range tl.Engagements {
			if e := &tl.Engagements[i]; e.Superseded == 0 {
				times = append(times, e.At)
			}
		}
	}
	if d.Qualifies("payments") {
		for i := range tl.Payments {
			if p := &tl.Payments[i]; p.Superseded == 0 && p.PaidAt != event.Never {
				times = append(times, p.PaidAt)
			}
		}
	}
	slices.Sort(times)
	return times
}

// silence holds the definition against the silences.
func (x *doctor) silence() {
	r := &x.proposal
	x.out.Silences = x.silences.Report()
	r.InactivityDays = x.silences.Propose()
	if r.InactivityDays > 0 {
		i := slices.IndexFunc(x.out.Silences, func(s SilenceReport) bool { return s.Days == r.InactivityDays })
		s := x.out.Silences[i]
		r.say("inactivity of %d days: of %d customers silent for so long, %d came back (%s)", s.Days, s.Silent, s.Returned, percent(s.Share))
	} else {
		r.say("no length of inactivity: at none of those looked at fewer than 10 %% came back, of at least %d customers with time to", minSilent)
	}
	d := &x.in.Definition
	if d.Kind != "inactivity" {
		return
	}
	own := int(d.Horizon / event.Day)
	i := slices.IndexFunc(x.out.Silences, func(s SilenceReport) bool { return s.Days == own })
	if i < 0 {
		return // less than a day
	}
	s := x.out.Silences[i]
	switch {
	case s.Silent < minSilent:
		x.find("advice", "inactivity", "horizon", "only %d customers were silent for %dd with as much data after it: whether such a silence is an end cannot be told", s.Silent, own)
	case float64(s.Share) >= lapseShare && r.InactivityDays > own:
		x.find("advice", "inactivity", "horizon", "%s of %d customers silent for %dd came back: churn so defined is a lapse rather than an end; after %dd fewer than 10 %% do: consider horizon: %dd",
			percent(s.Share), s.Silent, own, r.InactivityDays, r.InactivityDays)
	case float64(s.Share) >= lapseShare:
		x.find("advice", "inactivity", "horizon", "%s of %d customers silent for %dd came back: churn so defined is a lapse rather than an end, and so is every silence that the data is long enough for",
			percent(s.Share), s.Silent, own)
	case r.InactivityDays > 0 && r.InactivityDays < own:
		x.find("advice", "inactivity", "horizon", "after %dd of silence fewer than 10 %% come back already: with horizon: %dd instead of %dd a label is known %d days earlier",
			r.InactivityDays, r.InactivityDays, own, own-r.InactivityDays)
	}
	if d.ActiveWithin == 0 || d.ActiveWithin > d.Horizon {
		within := "any time"
		if d.ActiveWithin > 0 {
			within = d.ActiveWithin.String()
		}
		x.find("advice", "definition", "active_within", "who was active within %s may be silent for longer than %s already, and is counted as leaving once more at each snapshot: consider active_within: %s",
			within, d.Horizon, d.Horizon)
	}
}

// percent writes a share.
func percent(f measure.Float) string {
	switch v := 100 * float64(f); {
	case v != v:
		return "not measured"
	case v > 0 && v < 0.1, v > 99.9 && v < 100:
		return fmt.Sprintf("%.2f %%", v)
	case v < 10:
		return fmt.Sprintf("%.1f %%", v)
	default:
		return fmt.Sprintf("%.0f %%", v)
	}
}
