package sim

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"churn/event"
)

// loadHour is when the nightly load records what waited for it.
const loadHour = 3 * event.Hour

// diary writes down what a life shows to the company.
type diary struct {
	*tables
	*life
	r       *rand.Rand
	tl      *event.Timeline
	signUp  event.Time
	leaveAt event.Time // or Never
	price   event.Amount
}

// timeline draws what is seen of a life. It is the customer's alone and may be
// kept.
func (m *tables) timeline(customer int, l *life) *event.Timeline {
	w := m.world
	p := &diary{tables: m, life: l, r: newRand(w.Seed, customer, partProfile), tl: new(event.Timeline), leaveAt: event.Never}
	p.profile(customer)
	p.r = newRand(w.Seed, customer, partEvents)
	complaints, payments := 0, 0
	for d := l.first; d <= l.last; d++ {
		x := l.state(d)
		t := &w.Types[l.kind]
		for range poisson(p.r, m.engagement(l.kind, l.rate, x, d)) {
			p.engage(d, pick(p.r, t.Mix[x]))
		}
		if t.Setup > 0 && d < l.first+w.SetupDays {
			for range poisson(p.r, t.Setup) {
				p.engage(d, -1)
			}
		}
		if p.r.Float64() < t.Complaint[x] {
			complaints++
			p.complain(d, x, complaints)
		}
		if (d-l.first)%30 == 0 {
			payments++
			p.pay(d, x, payments)
		}
	}
	for _, c := range l.contact {
		p.contact(c)
	}
	if w.Leak {
		p.leak(newRand(w.Seed, customer, partLeak))
	}
	p.turn(customer)
	slices.SortStableFunc(p.tl.Engagements, func(a, b event.EngagementEvent) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Recorded, b.Recorded))
	})
	return p.tl
}

// profile draws what is known from sign-up, and the hours of sign-up and
// leaving.
func (p *diary) profile(customer int) {
	w, t := p.world, &p.world.Types[p.kind]
	c := &p.tl.Customer
	c.ID = fmt.Sprintf("C%07d", customer+1)
	c.Attributes = make(map[string]string, len(w.Attributes)+3)
	p.signUp = p.midnight(p.first).Add(event.Duration(p.r.IntN(20*3600)) * event.Second)
	c.SignedUpAt, c.ChurnedAt = p.signUp, event.Never
	lo := p.midnight(p.last).Add(6 * event.Hour)
	if p.last == p.first {
		lo = p.signUp.Add(event.Hour)
	}
	hour := lo.Add(event.Duration(p.r.Int64N(int64(p.midnight(p.last+1).Sub(lo)/event.Second))) * event.Second)
	if p.left {
		p.leaveAt, c.ChurnedAt, c.ChurnReason = hour, hour, t.Reason
	}
	tier := 0
	for i, a := range w.Attributes {
		var k int
		if shares := t.Attributes[i]; shares != nil {
			k = pick(p.r, shares)
		} else {
			k = p.r.IntN(len(a.Values))
		}
		c.Attributes[a.Name] = a.Values[k]
		if i == 0 {
			tier = k
		}
	}
	if w.RateName != "" {
		c.Attributes[w.RateName] = w.Rates[p.rate].Label
	}
	price := w.Prices[tier]
	if p.r.IntN(3) == 0 { // an old contract
		price *= 0.8
	}
	p.price = money(price)
	c.Attributes["price"] = p.price.String()
	if w.Leak {
		c.Attributes["account_closed"] = "no"
		if p.left {
			c.Attributes["account_closed"] = "yes"
		}
	}
	if u := p.r.Float64(); u >= 0.05 { // of some nothing is known
		c.Consent = []string{}
		for _, k := range []struct {
			name  string
			share float64
		}{{"service:email", 0.95}, {"in_app", 0.9}, {"marketing:email", 0.75}, {"marketing:phone", 0.5}, {"marketing:sms", 0.4}} {
			if p.r.Float64() < k.share && u >= 0.07 {
				c.Consent = append(c.Consent, k.name)
			}
		}
	}
}

// at places something within the part of a day on which the customer was
// there, evenly.
func (p *diary) at(day int) event.Time {
	lo, hi := p.midnight(day), p.midnight(day+1)
	if day == p.first {
		lo = p.signUp
	}
	if p.left && day == p.last {
		hi = p.leaveAt
	}
	return lo.Add(event.Duration(p.r.Int64N(int64(hi.Sub(lo)/event.Second))) * event.Second)
}

// after is at, but on the day of another time not before it.
func (p *diary) after(t event.Time, day int) event.Time { return max(t, p.at(day)) }

// known is when something of a day is recorded after so many nights.
func (p *diary) known(at event.Time, day, nights int) event.Time {
	if nights == 0 {
		return at
	}
	return p.midnight(day + nights).Add(loadHour)
}

func (m *tables) midnight(day int) event.Time { return m.world.midnight(day) }

// engage adds an event of a kind, or a step of setting up for -1.
func (p *diary) engage(day, kind int) {
	e := event.EngagementEvent{At: p.at(day), Kind: p.world.SetupKind}
	if kind >= 0 {
		k := &p.world.Kinds[kind]
		e.Kind = k.Name
		if k.Value > 0 {
			e.Value, e.HasValue = money(k.Value*p.r.ExpFloat64()), true
		}
	}
	e.Recorded = p.known(e.At, day, delay(p.r, p.engagementLag))
	if e.Recorded < p.world.End {
		p.tl.Engagements = append(p.tl.Engagements, e)
	}
}

func (p *diary) complain(day int, x State, number int) {
	w, t := p.world, &p.world.Types[p.kind]
	c := event.ComplaintCase{ID: p.tl.Customer.ID + "-k" + strconv.Itoa(number), At: p.at(day),
		Category: w.Categories[pick(p.r, t.Categories)], Channel: []string{"email", "phone", "chat"}[p.r.IntN(3)],
		Severity: grade(p.r, &w.Severity, x), HasSeverity: true,
		ResolvedAt: event.Never, ResolvedKnown: event.Never}
	wait := delay(p.r, p.complaintLag)
	c.Recorded = p.known(c.At, day, wait)
	done, doneWait, asked := day+pick(p.r, p.resolve), delay(p.r, p.complaintLag), p.r.Float64() < w.SatisfactionSet
	if done <= p.last {
		at := p.after(c.At, done)
		// A case is in the books before its resolution is.
		known := max(p.known(at, done, doneWait), c.Recorded)
		satisfaction := grade(p.r, &w.Satisfaction, p.state(done))
		if known < w.End {
			c.ResolvedAt, c.ResolvedKnown = at, known
			if asked {
				c.Satisfaction, c.HasSatisfaction = satisfaction, true
			}
		}
	}
	if c.Recorded < w.End {
		p.tl.Complaints = append(p.tl.Complaints, c)
	}
}

// grade draws 1 to 5.
func grade(r *rand.Rand, table *[5]PerState, x State) event.Amount {
	var p [5]float64
	for v := range p {
		p[v] = table[v][x]
	}
	return event.Amount(pick(r, p[:])+1) * event.Unit
}

func (p *diary) pay(day int, x State, number int) {
	at := p.at(day)
	c := event.PaymentCase{ID: p.tl.Customer.ID + "-p" + strconv.Itoa(number), At: at, Recorded: at, Amount: p.price, Currency: "EUR",
		PaidAt: event.Never, PaidKnown: event.Never, FailedAt: event.Never, FailedKnown: event.Never,
		RefundedAt: event.Never, RefundedKnown: event.Never}
	s := Settlement(pick(p.r, p.world.Types[p.kind].Payment[x][:]))
	pays := s == OnTime || s == Late || s == Failed && p.r.IntN(2) == 0
	if s == Failed {
		c.FailedAt, c.FailedKnown = at, at
	}
	if pays {
		paid := day + pick(p.r, p.settle[s])
		nights := delay(p.r, p.paymentLag)
		if paid <= p.last {
			if t := p.after(at, paid); p.known(t, paid, nights) < p.world.End {
				c.PaidAt, c.PaidKnown = t, p.known(t, paid, nights)
			}
		}
	}
	// One payment in a hundred is given back, for no reason that matters.
	if refund, back := p.r.Float64() < 0.01, day+25+p.r.IntN(10); refund && s == OnTime && c.PaidAt != event.Never && back <= p.last {
		t := p.at(back)
		c.RefundedAt, c.RefundedKnown = t, t
	}
	p.tl.Payments = append(p.tl.Payments, c)
}

func (p *diary) contact(c round) {
	a := &p.world.Contacts.Actions[c.action]
	at := p.at(c.day)
	e := event.ContactEvent{At: at, Recorded: at, Action: a.Name, Channel: a.Channel, Arm: ArmControl}
	if c.treated {
		e.Arm, e.Cost, e.Outcome = ArmTreat, money(a.Cost), "delivered"
	}
	p.tl.Contacts = append(p.tl.Contacts, e)
}

// leak enters what can only be known afterwards, dated back so that it lies
// before every snapshot the leaving counts for (gap and horizon of 37 days).
func (p *diary) leak(r *rand.Rand) {
	back := event.Duration(r.IntN(8)) * event.Day
	if !p.left {
		return
	}
	at := max(p.leaveAt.Add(-p.world.Gap-p.world.Horizon-event.Day-back), p.signUp)
	p.tl.Engagements = append(p.tl.Engagements, event.EngagementEvent{At: at, Recorded: at, Kind: leakKind})
}

// money rounds to hundredths.
func money(f float64) event.Amount {
	return event.Amount(math.Round(f*100)) * event.Unit / 100
}
