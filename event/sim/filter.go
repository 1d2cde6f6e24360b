package sim

import (
	"errors"
	"math"

	"churn/event"
)

// belief returns what is known at the start of a day. Days must not descend
// from call to call.
//
// What happened on the last days may not all be recorded, and a payment may
// yet come: the likelihood of such a day changes with the day it is looked at
// from. The filter is therefore kept at the last day that can no longer
// change, and what follows is done again for every snapshot.
func (s *sight) belief(now int) (*belief, error) {
	final := max(min(now-s.maxLag, s.openPayment(now)), s.settled.day)
	for d := s.settled.day; d < final; d++ {
		s.advance(&s.settled, now)
	}
	b := s.settled.clone()
	for b.day < now {
		s.advance(&b, now)
	}
	b.endEffects()
	if total := b.total(); !(total > 0) {
		return nil, errors.New("a history that this world cannot bring forth")
	}
	return &b, nil
}

// openPayment is the day of the earliest payment that is not seen as settled
// and may still be paid, or now.
func (s *sight) openPayment(now int) int {
	t := s.world.midnight(now)
	longest := max(len(s.unpaid[OnTime]), len(s.unpaid[Late]))
	for d := max(s.settled.day, now-longest); d < now; d++ {
		i := s.days[d-s.first].payment
		if i == 0 {
			continue
		}
		p := &s.tl.Payments[i-1]
		if !event.Visible(p.PaidAt, p.PaidKnown, t) && !event.Visible(p.FailedAt, p.FailedKnown, t) {
			return d
		}
	}
	return now
}

// advance takes the belief over one day: the treatment, if there is one, what
// was seen by the start of day now, that the customer did not leave, and the
// step to the next day's state.
func (s *sight) advance(b *belief, now int) {
	d := b.day
	rows := &s.days[d-s.first]
	b.endEffects()
	if rows.contact != 0 && s.world.midnight(now) > s.tl.Contacts[rows.contact-1].At {
		if c := &s.tl.Contacts[rows.contact-1]; c.Arm == ArmTreat {
			b.treat(&s.world.Contacts.Actions[s.actions[c.Action]])
		}
	}
	likely := s.likelihood(d, now)
	g := &s.regimes[s.part(d)]
	total := s.step(b.weight[unmoved], likely, g.move)
	if b.moved {
		total += s.step(b.weight[saved], likely, g.hold) + s.step(b.weight[harmed], likely, g.move)
		stay := 1 - 1/float64(EffectDays-s.sinceRound(d))
		for i := range b.weight[harmed] {
			b.weight[harmed][i] *= stay
		}
	}
	b.day++
	if total > 0x1p200 || total < 0x1p-200 {
		b.rescale(total)
	}
}

// step multiplies by the likelihood, moves one day on, and adds up.
func (m *tables) step(weight, likely []float64, move [][states]PerState) float64 {
	total := 0.0
	n := m.rates * states
	for z := range move {
		k := &move[z]
		for i := z * n; i < (z+1)*n; i += states {
			w, l := weight[i:i+states:i+states], likely[i:i+states:i+states]
			a, b, c := float64(w[0]*l[0]), float64(w[1]*l[1]), float64(w[2]*l[2])
			w[0] = float64(a*k[0][0]) + float64(b*k[1][0]) + float64(c*k[2][0])
			w[1] = float64(a*k[0][1]) + float64(b*k[1][1]) + float64(c*k[2][1])
			w[2] = float64(a*k[0][2]) + float64(b*k[1][2]) + float64(c*k[2][2])
			total += w[0] + w[1] + w[2]
		}
	}
	return total
}

// likelihood is the probability, by cell and up to a factor common to all, of
// what is seen of day d at the start of day now. The result holds until the
// next call.
func (s *sight) likelihood(d, now int) []float64 {
	w, t := s.world, s.world.midnight(now)
	rows, age := &s.days[d-s.first], now-1-d
	from, to := s.acts[d-s.first], s.acts[d-s.first+1]
	setup := d < s.first+w.SetupDays
	if from == to && rows.complaint == 0 && rows.payment == 0 && rows.satisfaction == 0 && !setup && age >= s.maxLag && s.turned[d-s.first] == unseen {
		return s.act[d].idle
	}
	typed := s.typed
	for i := range typed {
		typed[i] = 1
	}
	s.complaint(typed, rows, age, t)
	s.payment(typed, rows, d, age, t)
	for i := rows.satisfaction; i != 0; i = s.days[w.day(s.tl.Complaints[i-1].At)-s.first].next {
		c := &s.tl.Complaints[i-1]
		if !event.Visible(c.ResolvedAt, c.ResolvedKnown, t) || !event.Visible(c.At, c.Recorded, t) {
			continue
		}
		p := &w.Satisfaction[gradeOf(c.Satisfaction)]
		for j := range typed {
			typed[j] *= p[j%states]
		}
	}
	if what := s.turned[d-s.first]; what != unseen { // recorded at once
		for j := range typed {
			typed[j] *= w.Switch.chance(what, j%states)
		}
	}
	seen := within(s.engagementLag, age) // share of the day's events recorded by now
	n, steps := s.mix(typed, int(from), int(to), t)
	if setup {
		for z := range w.Types {
			p := s.noSetup[z]
			if seen < 1 {
				p = math.Exp(-float64(w.Types[z].Setup * seen))
			}
			for range steps {
				p *= w.Types[z].Setup
			}
			for x := range states {
				typed[z*states+x] *= p
			}
		}
	}
	act := s.act[d]
	if seen < 1 {
		for i, rate := range act.rate {
			s.likely[i] = math.Exp(-float64(rate * seen))
		}
	} else {
		copy(s.likely, act.quiet)
	}
	for range n { // the share seen to the power n is common to all cells
		for i, rate := range act.rate {
			s.likely[i] *= rate
		}
	}
	i := 0
	for z := range w.Types {
		p := typed[z*states : z*states+states : z*states+states]
		for range s.rates {
			l := s.likely[i : i+states : i+states]
			l[0], l[1], l[2] = l[0]*p[0], l[1]*p[1], l[2]*p[2]
			i += states
		}
	}
	return s.likely
}

// mix multiplies by the probability of the kinds seen, and counts the events
// and the steps of setting up.
func (s *sight) mix(typed []float64, from, to int, t event.Time) (n, steps int) {
	w := s.world
	for i := from; i < to; i++ {
		e := &s.tl.Engagements[i]
		if !event.Visible(e.At, e.Recorded, t) {
			continue
		}
		switch k := s.kind[i]; k {
		case ignored:
		case -1:
			steps++
		default:
			n++
			for z := range w.Types {
				for x := range states {
					typed[z*states+x] *= w.Types[z].Mix[x][k]
				}
			}
		}
	}
	return n, steps
}

func (s *sight) complaint(typed []float64, rows *dayRows, age int, t event.Time) {
	w := s.world
	if i := rows.complaint; i != 0 {
		c := &s.tl.Complaints[i-1]
		if event.Visible(c.At, c.Recorded, t) {
			severity, category := &w.Severity[gradeOf(c.Severity)], s.categories[c.Category]
			for z := range w.Types {
				k := &w.Types[z]
				for x := range states {
					typed[z*states+x] *= float64(k.Complaint[x]*k.Categories[category]) * severity[x]
				}
			}
			return
		}
	}
	seen := within(s.complaintLag, age)
	for z := range w.Types {
		for x := range states {
			typed[z*states+x] *= 1 - float64(w.Types[z].Complaint[x]*seen)
		}
	}
}

func (s *sight) payment(typed []float64, rows *dayRows, d, age int, t event.Time) {
	if rows.payment == 0 {
		return
	}
	p := &s.tl.Payments[rows.payment-1]
	var share [settlements]float64 // P(what is seen | settlement)
	switch {
	case event.Visible(p.FailedAt, p.FailedKnown, t):
		share[Failed] = 1
	case event.Visible(p.PaidAt, p.PaidKnown, t):
		if s.world.day(p.PaidAt)-d < len(s.settle[OnTime]) {
			share[OnTime] = 1
		} else {
			share[Late] = 1
		}
	default:
		for _, k := range []Settlement{OnTime, Late, Missed} {
			share[k] = s.unpaid[k][min(age, len(s.unpaid[k])-1)]
		}
	}
	for z := range s.world.Types {
		for x := range states {
			sum := 0.0
			for k, v := range s.world.Types[z].Payment[x] {
				sum += float64(v * share[k])
			}
			typed[z*states+x] *= sum
		}
	}
}

func (b *belief) clone() belief {
	c := *b
	for f := range b.weight {
		if f == 0 || b.moved {
			c.weight[f] = append([]float64(nil), b.weight[f]...)
		}
	}
	return c
}

// treat splits the belief by what the treatment does.
func (b *belief) treat(a *Action) {
	m := b.tables
	b.moved = true
	b.weight[saved], b.weight[harmed] = make([]float64, m.cells), make([]float64, m.cells)
	for i, v := range b.weight[unmoved] {
		z := i / (m.rates * states)
		b.weight[saved][i] = v * a.Save[z]
		b.weight[harmed][i] = v * a.Harm[z]
		b.weight[unmoved][i] = v * (1 - a.Save[z] - a.Harm[z])
	}
}

// endEffects makes customers whose treatment no longer works like all others.
func (b *belief) endEffects() {
	if !b.moved {
		return
	}
	if since := b.tables.sinceRound(b.day); since > 0 && since < EffectDays {
		return
	}
	for i := range b.weight[unmoved] {
		b.weight[unmoved][i] += b.weight[saved][i] + b.weight[harmed][i]
	}
	b.moved = false
}

// rescale keeps numbers from vanishing or running away; a power of two changes
// no digits.
func (b *belief) rescale(total float64) {
	if !(total > 0) {
		return
	}
	_, exponent := math.Frexp(total)
	scale := math.Ldexp(1, -exponent)
	for f := range b.weight {
		if f == 0 || b.moved {
			for i := range b.weight[f] {
				b.weight[f][i] *= scale
			}
		}
	}
}

func (b *belief) total() float64 {
	total := 0.0
	for f := range b.weight {
		if f == 0 || b.moved {
			for _, v := range b.weight[f] {
				total += v
			}
		}
	}
	return total
}

// expect averages an outlook over the belief.
func (b *belief) expect(v *outlook) float64 {
	m := b.tables
	sum := 0.0
	for f := range b.weight {
		if f == 0 || b.moved {
			for i, p := range b.weight[f] {
				sum += float64(p * v[f][i/(m.rates*states)][i%states])
			}
		}
	}
	return sum / b.total()
}
