package event

import "encoding/binary"

// appendTimeline writes a history, for a temporary file as the codec does.
func (w *words) appendTimeline(b []byte, tl *Timeline) []byte {
	var last Time
	at := func(t Time) {
		b = binary.AppendVarint(b, int64(t-last))
		last = t
	}
	begin := func(n int) {
		b = binary.AppendUvarint(b, uint64(n))
		last = 0
	}
	item := func(when, recorded, superseded Time, has bool) {
		at(when)
		b = binary.AppendVarint(b, int64(recorded-when))
		flags := byte(0)
		if has {
			flags |= 1
		}
		if superseded != 0 {
			flags |= 2
		}
		if b = append(b, flags); superseded != 0 {
			b = binary.AppendVarint(b, int64(superseded))
		}
	}
	phase := func(when, recorded Time) { // differences wrap around, so Never needs no case of its own
		b = binary.AppendVarint(b, int64(when-last))
		b = binary.AppendVarint(b, int64(recorded-when))
	}
	b = appendCustomer(b, &tl.Customer)
	b = binary.AppendUvarint(b, uint64(tl.Orphans))
	begin(len(tl.Engagements))
	for i := range tl.Engagements {
		e := &tl.Engagements[i]
		item(e.At, e.Recorded, e.Superseded, e.HasValue)
		b = w.append(b, e.Kind)
		b = binary.AppendVarint(b, int64(e.Value))
	}
	begin(len(tl.Complaints))
	for i := range tl.Complaints {
		c := &tl.Complaints[i]
		item(c.At, c.Recorded, c.Superseded, c.HasSeverity)
		phase(c.ResolvedAt, c.ResolvedKnown)
		b = w.append(w.append(appendText(b, c.ID), c.Category), c.Channel)
		b = binary.AppendVarint(b, int64(c.Severity))
		b = binary.AppendVarint(b, int64(c.Satisfaction))
		has := byte(0)
		if c.HasSatisfaction {
			has = 1
		}
		b = append(b, has)
	}
	begin(len(tl.Payments))
	for i := range tl.Payments {
		p := &tl.Payments[i]
		item(p.At, p.Recorded, p.Superseded, false)
		phase(p.PaidAt, p.PaidKnown)
		phase(p.FailedAt, p.FailedKnown)
		phase(p.RefundedAt, p.RefundedKnown)
		b = w.append(appendText(b, p.ID), p.Currency)
		b = binary.AppendVarint(b, int64(p.Amount))
	}
	begin(len(tl.Contacts))
	for i := range tl.Contacts {
		c := &tl.Contacts[i]
		item(c.At, c.Recorded, c.Superseded, false)
		for _, s := range [...]string{c.Action, c.Channel, c.Arm, c.Outcome} {
			b = w.append(b, s)
		}
		b = binary.AppendVarint(b, int64(c.Cost))
	}
	begin(len(tl.Changes))
	for i := range tl.Changes {
		c := &tl.Changes[i]
		item(c.At, c.Recorded, c.Superseded, false)
		b = w.append(w.append(b, c.Name), c.Value)
	}
	return b
}

// timeline reads what appendTimeline wrote.
func (d *decoder) timeline(customer string) *Timeline {
	tl := &Timeline{Customer: Customer{ID: customer}}
	var last Time
	begin := func() int {
		last = 0
		n := d.uvarint()
		if n > uint64(len(d.data)) { // each has some bytes
			d.data, d.err = nil, errCodec
			return 0
		}
		return int(n)
	}
	item := func() (at, recorded, superseded Time, has bool) {
		at = last + Time(d.varint())
		last = at
		recorded = at + Time(d.varint())
		flags := d.byte()
		if flags&2 != 0 {
			superseded = Time(d.varint())
		}
		return at, recorded, superseded, flags&1 != 0
	}
	phase := func() (at, recorded Time) {
		at = last + Time(d.varint())
		return at, at + Time(d.varint())
	}
	d.customer(&tl.Customer)
	tl.Orphans = int(d.uvarint())
	tl.Engagements = room[EngagementEvent](begin())
	for i := range tl.Engagements {
		e := &tl.Engagements[i]
		e.At, e.Recorded, e.Superseded, e.HasValue = item()
		e.Kind, e.Value = d.word(), Amount(d.varint())
	}
	tl.Complaints = room[ComplaintCase](begin())
	for i := range tl.Complaints {
		c := &tl.Complaints[i]
		c.At, c.Recorded, c.Superseded, c.HasSeverity = item()
		c.ResolvedAt, c.ResolvedKnown = phase()
		c.ID, c.Category, c.Channel = d.text(), d.word(), d.word()
		c.Severity, c.Satisfaction = Amount(d.varint()), Amount(d.varint())
		c.HasSatisfaction = d.byte() == 1
	}
	tl.Payments = room[PaymentCase](begin())
	for i := range tl.Payments {
		p := &tl.Payments[i]
		p.At, p.Recorded, p.Superseded, _ = item()
		p.PaidAt, p.PaidKnown = phase()
		p.FailedAt, p.FailedKnown = phase()
		p.RefundedAt, p.RefundedKnown = phase()
		p.ID, p.Currency, p.Amount = d.text(), d.word(), Amount(d.varint())
	}
	tl.Contacts = room[ContactEvent](begin())
	for i := range tl.Contacts {
		c := &tl.Contacts[i]
		c.At, c.Recorded, c.Superseded, _ = item()
		c.Action, c.Channel, c.Arm, c.Outcome = d.word(), d.word(), d.word(), d.word()
		c.Cost = Amount(d.varint())
	}
	tl.Changes = room[AttributeChange](begin())
	for i := range tl.Changes {
		c := &tl.Changes[i]
		c.At, c.Recorded, c.Superseded, _ = item()
		c.Name, c.Value = d.word(), d.word()
	}
	return tl
}

// room for n items; nil for none.
func room[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}
