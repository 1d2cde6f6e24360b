package training

import (
	"maps"
	"math"
	"slices"

	"churn/event"
	"churn/training/measure"
)

// TableReport says what one input table is fit for.
type TableReport struct {
	Table string `json:"table"`
	// Events that stand: those corrected count once, those cancelled not at all.
	// Of the table of customers, the customers who have a record.
	Events int `json:"events"`
	// Versions are those that no longer stand.
	Versions int `json:"versions_replaced"`
	// Customers with any event, and their share of all customers.
	Customers     int           `json:"customers"`
	CustomerShare measure.Float `json:"customer_share"`
	// First and Last event before the end of the data; Ahead counts the others.
	First event.Time `json:"first,omitzero"`
	Last  event.Time `json:"last,omitzero"`
	Ahead int        `json:"ahead"`
	// GapDays is the longest run of days (UTC) between the first and the last
	// event without any, from GapFrom on; ActiveDays are those with some.
	GapDays    int        `json:"gap_days"`
	GapFrom    event.Time `json:"gap_from,omitzero"`
	ActiveDays int        `json:"active_days"`
	// PerMonth is the median number of events in a month (30 days) of a customer
	// who has any, counted from the sign-up or the first event on.
	PerMonth measure.Float `json:"events_per_customer_month"`
	// Late counts events recorded after they happened. OutOfOrder counts those
	// recorded before one that had happened before them. Of both, only first
	// versions that can be told, which are Timed, are looked at.
	Timed      int           `json:"timed"`
	Late       int           `json:"recorded_late"`
	LagMedian  measure.Float `json:"lag_median_days"`
	LagLongest measure.Float `json:"lag_longest_days"`
	OutOfOrder int           `json:"recorded_out_of_order"`
	// Midnight counts events at midnight (UTC), as dates without a time are.
	Midnight int `json:"midnight"`
	// OneInstant is the instant with the most events, at least so many.
	OneInstant *InstantCount `json:"one_instant,omitempty"`
	// Repeats are events equal to another of the same customer in all but the id.
	Repeats int `json:"repeats"`
	// BeforeSignUp of OfSignedUp events, those of customers whose sign-up is
	// known; SignUpDay of them lie less than a day before it. AfterChurn of
	// OfChurned, of customers who left.
	OfSignedUp   int `json:"of_signed_up"`
	BeforeSignUp int `json:"before_sign_up"`
	SignUpDay    int `json:"within_a_day_before_sign_up"`
	OfChurned    int `json:"of_churned"`
	AfterChurn   int `json:"after_churn"`

	Columns []ColumnReport `json:"columns,omitempty"`

	afterGap, beforeGap int // events on either side of the gap
	recent, former      int // events in the last 28 days of data, and in the 28 before
	lags                *numbers
}

// InstantCount is an instant at which many events lie.
type InstantCount struct {
	At     event.Time `json:"at"`
	Events int        `json:"events"`
}

// streamLook looks at the times of one stream as histories pass.
type streamLook struct {
	stream    event.Stream
	through   event.Time
	r         TableReport
	days      map[int64]int // events by day
	perMonth  *numbers
	hitters   heavy
	scratch   []moment
	months    map[int64]int
	firstLast *instants
}

func newStreamLook(s event.Stream, through event.Time) *streamLook {
	return &streamLook{stream: s, through: through, days: map[int64]int{}, perMonth: newNumbers(), months: map[int64]int{},
		hitters: heavy{counts: map[event.Time]int{}}, firstLast: newInstants(), r: TableReport{Table: s.String(), lags: newNumbers()}}
}

const month = 30 * event.Day

func dayOf(t event.Time) int64 {
	day := int64(event.Day)
	d := int64(t) / day
	if int64(t)%day < 0 {
		d--
	}
	return d
}

// add looks at one customer.
func (s *streamLook) add(tl *event.Timeline) {
	s.scratch = moments(s.scratch[:0], tl, s.stream)
	if len(s.scratch) == 0 {
		return
	}
	r, c := &s.r, &tl.Customer
	start := c.SignedUpAt
	latest := event.Time(math.MinInt64) // recorded so far
	standing := 0
	for i := range s.scratch {
		m := &s.scratch[i]
		if !m.revised {
			s.recorded(m, &latest)
		}
		if !m.stands {
			r.Versions++
			continue
		}
		standing++
		r.Events++
		if c.SignedUpAt != event.Never {
			if r.OfSignedUp++; m.at < c.SignedUpAt {
				r.BeforeSignUp++
				if c.SignedUpAt.Sub(m.at) < event.Day {
					r.SignUpDay++
				}
			}
		}
		if c.ChurnedAt != event.Never {
			if r.OfChurned++; m.at >= c.ChurnedAt {
				r.AfterChurn++
			}
		}
		if m.at >= s.through {
			r.Ahead++
			continue
		}
		start = min(start, m.at)
		s.firstLast.add(m.at)
		s.days[dayOf(m.at)]++
		s.hitters.add(m.at)
	}
	if standing > 0 {
		r.Customers++
	}
	s.countMonths(start, min(c.ChurnedAt, s.through))
}

// recorded looks at when the first version of an event was recorded.
func (s *streamLook) recorded(m *moment, latest *event.Time) {
	r := &s.r
	r.Timed++
	if m.recorded > m.at {
		r.Late++
	}
	r.lags.add(m.recorded.Sub(m.at).Days(), 1)
	if m.recorded < *latest {
		r.OutOfOrder++
	}
	*latest = max(*latest, m.recorded)
}

// countMonths counts the events of each whole month of the customer, those with
// none as well.
func (s *streamLook) countMonths(start, end event.Time) {
	whole := int64(0)
	if end > start && start != event.Never {
		whole = int64(end.Sub(start) / month)
	}
	if whole == 0 {
		return
	}
	clear(s.months)
	for i := range s.scratch {
		if m := &s.scratch[i]; m.stands && m.at >= start && m.at < end {
			if k := int64(m.at.Sub(start) / month); k < whole {
				s.months[k]++
			}
		}
	}
	for _, n := range s.months {
		s.perMonth.add(float64(n), 1)
	}
	s.perMonth.add(0, int(whole)-len(s.months))
}

// report draws the sums.
func (s *streamLook) report(customers int) TableReport {
	r := s.r
	r.CustomerShare = ratio(r.Customers, customers)
	r.PerMonth = measure.Float(s.perMonth.quantile(0.5))
	r.LagMedian, r.LagLongest = measure.Float(r.lags.quantile(0.5)), measure.Float(math.NaN())
	if r.lags.n > 0 {
		r.LagLongest = measure.Float(r.lags.high)
	}
	r.Midnight = s.firstLast.midnight
	if s.firstLast.filled == 0 {
		return r
	}
	r.First, r.Last = s.firstLast.first, s.firstLast.last
	if at, n := s.hitters.most(); n > 0 {
		r.OneInstant = &InstantCount{at, n}
	}
	days := slices.Sorted(maps.Keys(s.days))
	r.ActiveDays = len(days)
	seen := 0
	last := dayOf(s.through - 1)
	for i, d := range days {
		if i > 0 && int(d-days[i-1]-1) > r.GapDays {
			r.GapDays, r.GapFrom = int(d-days[i-1]-1), event.Time(days[i-1]+1)*event.Time(event.Day)
			r.beforeGap, r.afterGap = seen, s.firstLast.filled-seen
		}
		seen += s.days[d]
		switch {
		case d > last-28:
			r.recent += s.days[d]
		case d > last-56:
			r.former += s.days[d]
		}
	}
	return r
}

// heavy finds the instants that hold more than a thousandth of all, by the
// method of Misra and Gries: counts are at most a thousandth of all too low.
type heavy struct {
	counts map[event.Time]int
}

const heavyCounters = 1000

func (h *heavy) add(t event.Time) {
	if _, known := h.counts[t]; known || len(h.counts) < heavyCounters {
		h.counts[t]++
		return
	}
	for k := range h.counts {
		if h.counts[k]--; h.counts[k] == 0 {
			delete(h.counts, k)
		}
	}
}

// most gives the instant with the highest count, the first of equal ones.
func (h *heavy) most() (event.Time, int) {
	best, n := event.Never, 0
	for t, c := range h.counts {
		if c > n || c == n && t < best {
			best, n = t, c
		}
	}
	return best, n
}
