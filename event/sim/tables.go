package sim

import (
	"math"

	"churn/event"
)

// tables hold what follows from a world alone. They are not changed once made
// and are shared by all customers.
type tables struct {
	world *World
	days  int
	types int
	rates int
	cells int // types x rates x states, in this order

	prior   []float64 // by cell, of the first day
	regimes [2]regime // before and after the drift

	// act gives, for each day, the rate of engagement of every cell and the
	// probability of a day on which nothing is seen of a customer. Days that
	// do not differ share one table.
	act []*activity

	engagementLag, complaintLag, paymentLag []float64 // share by nights
	resolve                                 []float64 // share by days
	noSetup                                 []float64 // exp(-setup), by type
	settle                                  [settlements][]float64
	unpaid                                  [settlements][]float64 // probability to be unpaid as seen, by age in days
	maxLag                                  int                    // of engagement and complaints
}

// regime is the chain of every type in one part of time.
type regime struct {
	hazard []float64 // by type and state
	// move is what becomes of who is in state x on the next day, by type, from
	// and to, leaving not included: with the usual hazard, and with none.
	move, hold [][states]PerState
}

type activity struct {
	rate  []float64 // by cell
	quiet []float64 // exp(-rate)
	idle  []float64 // quiet, and no complaint
}

const leakKind = "cancel_page"

func newTables(w *World) *tables {
	m := &tables{world: w, days: w.Days(), types: len(w.Types), rates: len(w.Rates)}
	m.cells = m.types * m.rates * states
	for z := range w.Types {
		m.noSetup = append(m.noSetup, math.Exp(-w.Types[z].Setup))
		for _, r := range w.Rates {
			for x := range states {
				m.prior = append(m.prior, w.Types[z].Share*r.Share*w.Types[z].Start[x])
			}
		}
	}
	for i, factor := range [2]float64{1, w.Drift.Hazard} {
		m.regimes[i] = newRegime(w, factor)
	}
	m.act = make([]*activity, m.days)
	var shared [2]*activity
	seasonal := false
	for z := range w.Types {
		seasonal = seasonal || w.Types[z].Seasonal
	}
	for d := range m.days {
		i := m.part(d)
		if shared[i] == nil || seasonal {
			shared[i] = m.newActivity(d)
		}
		m.act[d] = shared[i]
	}
	m.engagementLag, m.complaintLag, m.paymentLag = lagShares(w.Lags.Engagement), lagShares(w.Lags.Complaints), lagShares(w.Lags.Payments)
	m.maxLag = max(w.Lags.Engagement.Max, w.Lags.Complaints.Max)
	m.resolve = lagShares(Lag{Mean: w.ResolveMean, Max: int(6 * w.ResolveMean)})
	m.settle = [settlements][]float64{
		OnTime: {0.6, 0.25, 0.15},
		Late:   append(make([]float64, 4), even(17)...),
		Failed: append(make([]float64, 2), even(14)...), // those who pay after all
	}
	for s := range m.unpaid {
		m.unpaid[s] = unpaid(m.settle[s], m.paymentLag)
	}
	return m
}

func newRegime(w *World, factor float64) regime {
	var g regime
	for _, t := range w.Types {
		var move [states]PerState
		for x := range states {
			h := t.Hazard[x] * factor
			g.hazard = append(g.hazard, h)
			for y := range states {
				move[x][y] = (1 - h) * t.Step[x][y]
			}
		}
		g.move, g.hold = append(g.move, move), append(g.hold, t.Step)
	}
	return g
}

func (m *tables) newActivity(day int) *activity {
	a := new(activity)
	for z := range m.world.Types {
		t := &m.world.Types[z]
		for g := range m.rates {
			for x := range states {
				rate := m.engagement(z, g, State(x), day)
				quiet := math.Exp(-rate)
				a.rate = append(a.rate, rate)
				a.quiet = append(a.quiet, quiet)
				a.idle = append(a.idle, quiet*(1-t.Complaint[x]))
			}
		}
	}
	return a
}

// part is 1 from the day of the drift on.
func (m *tables) part(day int) int {
	if m.world.Drift.Day > 0 && day >= m.world.Drift.Day {
		return 1
	}
	return 0
}

func (m *tables) hazard(kind int, x State, day int) float64 {
	return m.regimes[m.part(day)].hazard[kind*states+int(x)]
}

// engagement is the mean number of engagement events on a day.
func (m *tables) engagement(kind, rate int, x State, day int) float64 {
	w := m.world
	t := &w.Types[kind]
	mean := w.Rates[rate].PerDay * t.Engagement[x]
	if t.Seasonal {
		mean *= m.season(day)
	}
	if m.part(day) == 1 {
		mean *= w.Drift.Engagement
	}
	return mean
}

func (m *tables) season(day int) float64 {
	dayOfYear := float64(m.world.midnight(day)/event.Time(event.Day)) - m.world.SeasonPeak
	return 1 + float64(m.world.SeasonSwing*math.Cos(2*math.Pi*dayOfYear/365.25))
}

// round tells whether a round of the experiment starts on the day.
func (m *tables) round(day int) bool {
	e := &m.world.Contacts
	return e.Share > 0 && day > 0 && day%e.Every == 0
}

// sinceRound is how many days before the day the latest round started, or
// EffectDays where no effect is left.
func (m *tables) sinceRound(day int) int {
	e := &m.world.Contacts
	if e.Share == 0 || day < e.Every {
		return EffectDays
	}
	return min(day%e.Every, EffectDays)
}

// lagShares is the distribution of a lag.
func lagShares(l Lag) []float64 {
	if l.Max == 0 || l.Mean == 0 {
		return []float64{1}
	}
	q := l.Mean / (1 + l.Mean)
	p := make([]float64, l.Max+1)
	total, v := 0.0, 1.0
	for i := range p {
		p[i] = v
		total += v
		v *= q
	}
	for i := range p {
		p[i] /= total
	}
	return p
}

func even(n int) []float64 {
	p := make([]float64, n)
	for i := range p {
		p[i] = 1 / float64(n)
	}
	return p
}

// within is the probability of a lag of at most n nights.
func within(shares []float64, n int) float64 {
	if n >= len(shares)-1 {
		return 1
	}
	total := 0.0
	for i := 0; i <= n; i++ {
		total += shares[i]
	}
	return total
}

// unpaid is the probability that a payment of this settlement is not seen as
// paid so many days after the day it was due. It ends where nothing is open.
func unpaid(settle, lag []float64) []float64 {
	if settle == nil {
		return []float64{1} // never paid
	}
	p := make([]float64, len(settle)+len(lag)-1)
	for age := range p {
		p[age] = 1
		for days, v := range settle {
			if days <= age {
				p[age] -= float64(v * within(lag, age-days))
			}
		}
		p[age] = max(p[age], 0)
	}
	p[len(p)-1] = 0
	return p
}
