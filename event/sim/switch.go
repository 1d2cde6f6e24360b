package sim

import (
	"fmt"

	"churn/event"
)

// Switch is an attribute with a history that customers turn off and on again
// themselves, such as automatic renewal: from sign-up it is On, and on each day
// after that it is turned, and recorded at once, with a probability that depends
// on the hidden state. Without a name there is none.
type Switch struct {
	Name    string
	On, Off string // its values
	TurnOff PerState
	TurnOn  PerState
}

func (s *Switch) validate() error {
	if s.Name == "" {
		return nil
	}
	if s.On == "" || s.Off == "" || s.On == s.Off {
		return fmt.Errorf("switch %s: needs two values", s.Name)
	}
	for x := range states {
		if !probability(s.TurnOff[x]) || !probability(s.TurnOn[x]) {
			return fmt.Errorf("switch %s: probabilities must be within 0 to 1", s.Name)
		}
	}
	return nil
}

// turn draws the switch of a life, apart from all else, so that a world without
// one has the same customers.
func (p *diary) turn(customer int) {
	s := &p.world.Switch
	if s.Name == "" {
		return
	}
	p.r = newRand(p.world.Seed, customer, partSwitch)
	set := func(at event.Time, value string) {
		p.tl.Changes = append(p.tl.Changes, event.AttributeChange{At: at, Recorded: at, Name: s.Name, Value: value})
	}
	set(p.signUp, s.On)
	on := true
	for d := p.first + 1; d <= p.last; d++ {
		chance, next := s.TurnOff, s.Off
		if !on {
			chance, next = s.TurnOn, s.On
		}
		if p.r.Float64() < chance[p.state(d)] {
			set(p.at(d), next)
			on = !on
		}
	}
}

// turned is what is seen of the switch on a day.
type turned uint8

const (
	unseen turned = iota // sign-up, or no switch
	stayOn
	stayOff
	turnOff
	turnOn
)

// switches sorts the changes into days.
func (s *sight) switches() error {
	w := &s.world.Switch
	s.turned = make([]turned, len(s.days))
	if w.Name == "" {
		if len(s.tl.Changes) > 0 {
			return fmt.Errorf("attribute %s changes, and this world has no switch", s.tl.Changes[0].Name)
		}
		return nil
	}
	i, on := 0, false
	for d := range s.days {
		before := i
		for ; i < len(s.tl.Changes) && s.world.day(s.tl.Changes[i].At)-s.first <= d; i++ {
			if c := &s.tl.Changes[i]; c.Name != w.Name || i > before || (c.Value == w.On) == on || c.Recorded != c.At {
				return fmt.Errorf("change of %s at %s cannot be of this world", c.Name, c.At)
			}
			on = !on
		}
		switch {
		case d == 0:
			if !on {
				return fmt.Errorf("%s is not %s at sign-up", w.Name, w.On)
			}
		case i > before && on:
			s.turned[d] = turnOn
		case i > before:
			s.turned[d] = turnOff
		case on:
			s.turned[d] = stayOn
		default:
			s.turned[d] = stayOff
		}
	}
	return nil
}

// chance is the probability of what is seen of the switch in a state.
func (s *Switch) chance(what turned, x int) float64 {
	switch what {
	case stayOn:
		return 1 - s.TurnOff[x]
	case stayOff:
		return 1 - s.TurnOn[x]
	case turnOff:
		return s.TurnOff[x]
	case turnOn:
		return s.TurnOn[x]
	}
	return 1
}
