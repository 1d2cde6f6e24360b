package outreach

import (
	"slices"
	"time"

	"churn/event"
)

// Spans of the facts, in days.
const (
	recentDays     = 180 // payments and complaints that still matter
	onboardingDays = 60
	lapsedDays     = 90
	trendDays      = 30
	usualDays      = 365
	firstWeeks     = 8
	trendChange    = 0.3
)

// FactsOf computes what the history of a customer tells at t. Only what
// happened before t and was known before t counts ([event.Visible]); windows
// follow the interval rule of package event. Name the streams that are not
// collected at all: a count over them would be a zero nobody observed, so the
// facts that need them stay unknown.
func FactsOf(tl *event.Timeline, t event.Time, absent ...event.Stream) Facts {
	h := &history{Timeline: tl, t: t}
	for _, s := range event.Streams() {
		h.has[s] = !slices.Contains(absent, s)
	}
	h.start, h.hasStart = h.tenureStart()
	var f Facts
	h.customer(&f)
	if h.has[event.Complaints] {
		f.OpenComplaints = float64(h.openComplaints())
		f.learn("open_complaints")
	}
	if h.has[event.Payments] {
		h.payments(&f)
	}
	if h.has[event.Engagements] {
		h.engagement(&f)
	}
	h.survey(&f)
	h.lifecycle(&f)
	return f
}

// history is a timeline seen at t.
type history struct {
	*event.Timeline
	t        event.Time
	has      [event.Attributes + 1]bool // by stream
	start    event.Time                 // of tenure
	hasStart bool
}

// within says whether at lies in the window of so many days at t.
func (h *history) within(at event.Time, days int) bool {
	return at < h.t && at >= h.t.Add(-event.Duration(days)*event.Day)
}

func (h *history) days(since event.Time) float64 { return h.t.Sub(since).Days() }

// tenureStart is the sign-up or else the first thing the customer did.
func (h *history) tenureStart() (event.Time, bool) {
	if at := h.Customer.SignedUpAt; at < h.t {
		return at, true
	}
	first := event.Never
	see := func(at, recorded event.Time) {
		if event.Visible(at, recorded, h.t) {
			first = min(first, at)
		}
	}
	for i := range h.Engagements {
		see(h.Engagements[i].At, h.Engagements[i].Recorded)
	}
	for i := range h.Complaints {
		see(h.Complaints[i].At, h.Complaints[i].Recorded)
	}
	for i := range h.Payments {
		see(h.Payments[i].At, h.Payments[i].Recorded)
	}
	return first, first != event.Never
}

// customer tells what the customers table knows.
func (h *history) customer(f *Facts) {
	if h.hasStart {
		f.TenureDays = h.days(h.start)
		f.learn("tenure_days")
	}
	if at := h.Customer.ChurnedAt; at < h.t {
		f.DaysSinceChurn = h.days(at)
		f.learn("days_since_churn")
	}
	today := h.t.Time()
	if at := h.Customer.SignedUpAt; at < h.t {
		day := at.Time()
		f.IsAnniversary = sameDay(day.Month(), day.Day(), today) && today.Year() > day.Year()
		f.learn("is_anniversary")
	}
	for _, layout := range []string{time.DateOnly, "01-02"} {
		// Parse reads a day without a year into year 0, which was a leap year.
		if day, err := time.Parse(layout, h.Attribute("birthday", h.t)); err == nil {
			f.IsBirthday = sameDay(day.Month(), day.Day(), today)
			f.learn("is_birthday")
		}
	}
}

// sameDay says whether a yearly day falls on today.
func sameDay(month time.Month, day int, today time.Time) bool {
	if month == time.February && day == 29 {
		leap := time.Date(today.Year(), time.February, 29, 0, 0, 0, 0, time.UTC).Day() == 29
		if !leap {
			day = 28
		}
	}
	return today.Month() == month && today.Day() == day
}

func (h *history) openComplaints() int {
	n := 0
	for i := range h.Complaints {
		c := &h.Complaints[i]
		if event.Visible(c.At, c.Recorded, h.t) && !event.Visible(c.ResolvedAt, c.ResolvedKnown, h.t) {
			n++
		}
	}
	return n
}

func (h *history) payments(f *Facts) {
	for i := range h.Payments {
		p := &h.Payments[i]
		if !event.Visible(p.At, p.Recorded, h.t) || !h.within(p.At, recentDays) ||
			event.Visible(p.PaidAt, p.PaidKnown, h.t) || event.Visible(p.RefundedAt, p.RefundedKnown, h.t) {
			continue
		}
		f.OverduePayments++
		if event.Visible(p.FailedAt, p.FailedKnown, h.t) {
			f.FailedPayments++
		}
	}
	f.learn("failed_payments", "overdue_payments")
}

func (h *history) engagement(f *Facts) {
	last, now, before := event.Never, 0, 0
	var weeks [firstWeeks]bool
	begun := firstWeeks
	if h.hasStart {
		begun = min(begun, int(h.t.Sub(h.start)/(7*event.Day))+1)
	}
	var active []int // days back from t with an engagement, descending
	for i := range h.Engagements {
		e := &h.Engagements[i]
		if !event.Visible(e.At, e.Recorded, h.t) {
			continue
		}
		last = e.At
		switch {
		case h.within(e.At, trendDays):
			now++
		case h.within(e.At, 2*trendDays):
			before++
		}
		if h.within(e.At, usualDays) {
			// The window of n days holds t-n*Day and not t, hence the -1.
			day := int((h.t.Sub(e.At) - 1) / event.Day)
			if len(active) == 0 || active[len(active)-1] != day {
				active = append(active, day)
			}
		}
		if h.hasStart && e.At >= h.start {
			if w := int(e.At.Sub(h.start) / (7 * event.Day)); w < begun {
				weeks[w] = true
			}
		}
	}
	if last != event.Never {
		f.DaysSinceEngagement = h.days(last)
		f.learn("days_since_engagement")
	}
	if h.hasStart {
		n := 0
		for _, w := range weeks[:begun] {
			if w {
				n++
			}
		}
		f.Activation = float64(n) / float64(begun)
		f.learn("activation")
		if h.days(h.start) >= 2*trendDays {
			f.UsageTrend = float64(now-before) / float64(max(1, before))
			f.learn("usage_trend")
		}
	}
	if usual, ok := medianGap(active); ok && h.has[event.Complaints] {
		f.Silent = h.days(last) > 2*usual && !h.complained()
		f.learn("silent")
	}
}

// medianGap is the median of the gaps between days in descending order.
func medianGap(days []int) (float64, bool) {
	if len(days) < 4 {
		return 0, false
	}
	gaps := make([]int, len(days)-1)
	for i := range gaps {
		gaps[i] = days[i] - days[i+1]
	}
	slices.Sort(gaps)
	n := len(gaps)
	return float64(gaps[(n-1)/2]+gaps[n/2]) / 2, true
}

// complained says whether a complaint is open or was opened recently.
func (h *history) complained() bool {
	for i := range h.Complaints {
		c := &h.Complaints[i]
		if event.Visible(c.At, c.Recorded, h.t) && h.within(c.At, recentDays) {
			return true
		}
	}
	return h.openComplaints() > 0
}

func (h *history) survey(f *Facts) {
	if !h.has[event.Contacts] || !h.hasStart {
		return
	}
	last := h.start
	for i := range h.Contacts {
		c := &h.Contacts[i]
		if c.Action == "survey" && event.Visible(c.At, c.Recorded, h.t) {
			last = max(last, c.At)
		}
	}
	f.DaysSinceSurvey = h.days(last)
	f.learn("days_since_survey")
}

// lifecycle is computed last: it builds on the other facts.
func (h *history) lifecycle(f *Facts) {
	if f.Known("days_since_churn") {
		f.Lifecycle = "churned"
		f.learn("lifecycle")
		return
	}
	if !h.hasStart || !h.has[event.Engagements] && !h.has[event.Payments] {
		return
	}
	done, lately := h.activity()
	switch {
	case !done:
		f.Lifecycle = "prospect"
	case f.TenureDays < onboardingDays:
		f.Lifecycle = "onboarding"
	case !lately:
		f.Lifecycle = "lapsed"
	case f.UsageTrend >= trendChange: // 0 while unknown
		f.Lifecycle = "growing"
	case f.UsageTrend <= -trendChange:
		f.Lifecycle = "declining"
	default:
		f.Lifecycle = "active"
	}
	f.learn("lifecycle")
}

// activity says whether the customer ever engaged or paid, and whether lately.
func (h *history) activity() (ever, lately bool) {
	see := func(at, recorded event.Time) {
		if event.Visible(at, recorded, h.t) {
			ever = true
			lately = lately || h.within(at, lapsedDays)
		}
	}
	for i := range h.Engagements {
		see(h.Engagements[i].At, h.Engagements[i].Recorded)
	}
	for i := range h.Payments {
		see(h.Payments[i].PaidAt, h.Payments[i].PaidKnown)
	}
	return ever, lately
}
