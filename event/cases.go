package event

import "slices"

// This file makes the versions of a case of which any phase was corrected or
// cancelled. Each such time closes a version of the case and opens the next,
// of which nothing was known before it.

// revised lists the cases among the events of which a phase was superseded, in
// the order of their first event, with all their phases.
func revised(events []Event) (cases [][]Event, in map[caseKey]int) {
	for i := range events {
		e := &events[i]
		if e.Superseded == 0 {
			continue
		}
		if key, ok := caseOf(e); ok {
			if _, there := in[key]; !there {
				if in == nil {
					in = map[caseKey]int{}
				}
				in[key] = len(cases)
				cases = append(cases, nil)
			}
		}
	}
	if in == nil {
		return nil, nil
	}
	for i := range events {
		if key, ok := caseOf(&events[i]); ok {
			if k, there := in[key]; there {
				cases[k] = append(cases[k], events[i])
			}
		}
	}
	return cases, in
}

// caseKey is a complaint or a payment.
type caseKey struct {
	id string
	of Stream
}

func caseOf(e *Event) (caseKey, bool) {
	s := e.Type.Stream()
	return caseKey{e.ID, s}, s == Complaints || s == Payments
}

// span is a time within which no phase of a case was corrected or cancelled.
type span struct {
	phases []Event
	from   Time // with begun: what was known before counts as known since then
	begun  bool
	to     Time // Never at the end
}

// spans cuts a case where a phase was superseded or came again.
func spans(phases []Event) []span {
	var cuts []Time
	for i := range phases {
		p := &phases[i]
		if p.Superseded != 0 {
			cuts = append(cuts, p.Superseded)
		}
		if slices.ContainsFunc(phases, func(q Event) bool { return q.Type == p.Type && q.Recorded < p.Recorded }) {
			cuts = append(cuts, p.Recorded)
		}
	}
	slices.Sort(cuts)
	all := []span{{phases: phases, to: Never}}
	for _, c := range slices.Compact(cuts) {
		all[len(all)-1].to = c
		all = append(all, span{phases, c, true, Never})
	}
	return all
}

// phase is what was known of a phase in the span, or nil.
func (s *span) phase(t Type) *Event {
	for i := range s.phases {
		if p := &s.phases[i]; p.Type == t && p.Recorded < s.to && (p.Superseded == 0 || p.Superseded >= s.to) {
			return p
		}
	}
	return nil
}

// begins tells whether a phase was ever known before the end of the span.
func (s *span) begins(t Type) bool {
	return slices.ContainsFunc(s.phases, func(p Event) bool { return p.Type == t && p.Recorded < s.to })
}

func (s *span) known(p *Event) Time {
	if s.begun {
		return max(p.Recorded, s.from)
	}
	return p.Recorded
}

// until is what Superseded is of a version that stood in the span.
func (s *span) until() Time {
	if s.to == Never {
		return 0
	}
	return s.to
}

func (tl *Timeline) complaint(phases []Event) {
	if !slices.ContainsFunc(phases, func(p Event) bool { return p.Type == ComplaintOpened }) {
		tl.Orphans++
		return
	}
	for _, s := range spans(phases) {
		opened := s.phase(ComplaintOpened)
		if opened == nil {
			continue
		}
		c := newComplaint(opened)
		c.Recorded, c.Superseded = s.known(opened), s.until()
		if p := s.phase(ComplaintResolved); p != nil {
			c.resolve(p)
			c.ResolvedKnown = s.known(p)
		}
		tl.Complaints = append(tl.Complaints, c)
	}
}

func (tl *Timeline) payment(phases []Event) {
	has := func(t Type) bool { return slices.ContainsFunc(phases, func(p Event) bool { return p.Type == t }) }
	if !has(PaymentDue) && !has(PaymentPaid) {
		for _, t := range [...]Type{PaymentFailed, PaymentRefunded} {
			if has(t) {
				tl.Orphans++
			}
		}
		return
	}
	for _, s := range spans(phases) {
		first := s.phase(PaymentDue)
		if first == nil && !s.begins(PaymentDue) { // paid on the spot, as far as known
			first = s.phase(PaymentPaid)
		}
		if first == nil {
			continue
		}
		p := newPayment(first)
		p.Recorded, p.Superseded = s.known(first), s.until()
		for _, to := range [...]struct {
			of        Type
			at, known *Time
		}{
			{PaymentPaid, &p.PaidAt, &p.PaidKnown}, {PaymentFailed, &p.FailedAt, &p.FailedKnown},
			{PaymentRefunded, &p.RefundedAt, &p.RefundedKnown},
		} {
			if e := s.phase(to.of); e != nil {
				*to.at, *to.known = e.At, s.known(e)
			}
		}
		tl.Payments = append(tl.Payments, p)
	}
}
