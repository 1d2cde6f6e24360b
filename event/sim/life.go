package sim

import (
	"math"
	"math/rand/v2"
)

// Each customer has generators of its own, derived from seed and number, one
// for each part of its life: a world that differs in one part keeps the rest.
const (
	partHidden = iota + 1
	partEvents
	partProfile
	partContacts
	partLeak
	partSwitch
)

func newRand(seed uint64, customer, part int) *rand.Rand {
	a := mix64(seed + uint64(part)*0x9e3779b97f4a7c15)
	return rand.New(rand.NewPCG(a, mix64(a^uint64(customer))))
}

// mix64 is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring
// numbers become unrelated seeds.
func mix64(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// life is the hidden truth of one customer. Days count from the start of the
// world.
type life struct {
	kind    int // type
	rate    int
	first   int // day of sign-up
	last    int // day of leaving, or the last of the world
	left    bool
	states  []State // by day from first
	contact []round
}

// round is a customer's part in one round of the experiment.
type round struct {
	day     int
	action  int
	treated bool
}

func (l *life) state(day int) State { return l.states[day-l.first] }

// effect is what a treatment does to one customer.
type effect uint8

const (
	unmoved effect = iota
	saved          // stays for EffectDays
	harmed         // leaves within EffectDays
	effects
)

// live draws a life: type, rate, sign-up, and the path through the chain.
//
// To leave or to stay is drawn apart from how a treatment works, so that Save
// and Harm are exactly the shares among those who would leave and those who
// would stay: with one uniform number u the customer is saved if u < Save,
// harmed if u >= 1-Harm. Who is harmed leaves on an even draw of the days, or
// earlier by the usual hazard.
func (m *tables) live(customer int) *life {
	w := m.world
	r := newRand(w.Seed, customer, partHidden)
	l := &life{kind: pickType(r, w.Types), rate: pickRate(r, w.Rates)}
	if r.Float64() < w.FirstWave {
		l.first = r.IntN(w.FirstWaveDays)
	} else {
		l.first = r.IntN(m.days - 1)
	}
	t := &w.Types[l.kind]
	x := State(pick(r, t.Start[:]))
	rc := newRand(w.Seed, customer, partContacts)
	now, since := unmoved, 0
	for d := l.first; d < m.days; d++ {
		l.last = d
		l.states = append(l.states, x)
		if now != unmoved && d == since+EffectDays {
			now = unmoved
		}
		if m.round(d) && d > l.first {
			enrolled, action, treated, u := rc.Float64(), rc.IntN(len(w.Contacts.Actions)), rc.Float64(), rc.Float64()
			if enrolled < w.Contacts.Share {
				l.contact = append(l.contact, round{d, action, treated < w.Contacts.Treated})
				if a := w.Contacts.Actions[action]; treated < w.Contacts.Treated {
					switch since = d; {
					case u < a.Save[l.kind]:
						now = saved
					case u >= 1-a.Harm[l.kind]:
						now = harmed
					}
				}
			}
		}
		leave, push := r.Float64(), r.Float64()
		hazard := m.hazard(l.kind, x, d)
		gone := leave < hazard
		switch now {
		case saved:
			gone = false
		case harmed:
			gone = gone || push < 1/float64(EffectDays-(d-since))
		}
		next := State(pick(r, t.Step[x][:]))
		if gone {
			l.left = true
			break
		}
		x = next
	}
	return l
}

// pick draws an index with the given probabilities, which add to 1 within
// rounding.
func pick(r *rand.Rand, p []float64) int {
	u := r.Float64()
	last := 0
	for i, v := range p {
		if v == 0 {
			continue
		}
		if u < v {
			return i
		}
		u -= v
		last = i
	}
	return last
}

func pickType(r *rand.Rand, types []Type) int {
	p := make([]float64, len(types))
	for i := range types {
		p[i] = types[i].Share
	}
	return pick(r, p)
}

func pickRate(r *rand.Rand, rates []Rate) int {
	p := make([]float64, len(rates))
	for i := range rates {
		p[i] = rates[i].Share
	}
	return pick(r, p)
}

// poisson draws by counting how many uniform numbers multiply to exp(-mean).
// A large mean is taken in pieces, for exp would underflow.
func poisson(r *rand.Rand, mean float64) int {
	n := 0
	for mean > 0 {
		piece := min(mean, 16)
		mean -= piece
		for p := r.Float64(); p > math.Exp(-piece); p *= r.Float64() {
			n++
		}
	}
	return n
}

// delay draws nights to wait from a distribution as lagShares gives it.
func delay(r *rand.Rand, shares []float64) int {
	if len(shares) == 1 {
		return 0
	}
	return pick(r, shares)
}
