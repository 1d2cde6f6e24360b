package event

import "encoding/binary"

// What an item has.
const (
	hasNumber = 1 << iota
	hasSecond
	notZero
	recordedLater
	isSuperseded
)

func flag(is bool, flag byte) byte {
	if is {
		return flag
	}
	return 0
}

// appendTimeline writes a history, for a temporary file as the codec does. What
// nearly all items have is written in eight bytes, which takes no time to read.
func (w *words) appendTimeline(b []byte, tl *Timeline) []byte {
	var last Time
	begin := func(n int) { b = binary.AppendUvarint(b, uint64(n)) }
	item := func(at, recorded, superseded Time, flags byte) {
		if recorded != at {
			flags |= recordedLater
		}
		if superseded != 0 {
			flags |= isSuperseded
		}
		b = binary.LittleEndian.AppendUint64(append(b, flags), uint64(at))
		if recorded != at {
			b = binary.AppendVarint(b, int64(recorded-at))
		}
		if superseded != 0 {
			b = binary.AppendVarint(b, int64(superseded))
		}
		last = at
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
		flags := flag(e.HasValue, hasNumber)
		item(e.At, e.Recorded, e.Superseded, flags|flag(e.Value != 0, notZero))
		if b = w.append(b, e.Kind); e.Value != 0 {
			b = binary.LittleEndian.AppendUint64(b, uint64(e.Value))
		}
	}
	begin(len(tl.Complaints))
	for i := range tl.Complaints {
		c := &tl.Complaints[i]
		item(c.At, c.Recorded, c.Superseded, flag(c.HasSeverity, hasNumber)|flag(c.HasSatisfaction, hasSecond))
		phase(c.ResolvedAt, c.ResolvedKnown)
		b = w.append(w.append(appendText(b, c.ID), c.Category), c.Channel)
		b = binary.AppendVarint(b, int64(c.Severity))
		b = binary.AppendVarint(b, int64(c.Satisfaction))
	}
	begin(len(tl.Payments))
	for i := range tl.Payments {
		p := &tl.Payments[i]
		item(p.At, p.Recorded, p.Superseded, 0)
		phase(p.PaidAt, p.PaidKnown)
		phase(p.FailedAt, p.FailedKnown)
		phase(p.RefundedAt, p.RefundedKnown)
		b = w.append(appendText(b, p.ID), p.Currency)
		b = binary.AppendVarint(b, int64(p.Amount))
	}
	begin(len(tl.Contacts))
	for i := range tl.Contacts {
		c := &tl.Contacts[i]
		item(c.At, c.Recorded, c.Superseded, 0)
		for _, s := range [...]string{c.Action, c.Channel, c.Arm, c.Outcome} {
			b = w.append(b, s)
		}
		b = binary.AppendVarint(b, int64(c.Cost))
	}
	begin(len(tl.Changes))
	for i := range tl.Changes {
		c := &tl.Changes[i]
		item(c.At, c.Recorded, c.Superseded, 0)
		b = w.append(w.append(b, c.Name), c.Value)
	}
	return b
}

// timeline reads what appendTimeline wrote.
func (d *decoder) timeline(customer string) *Timeline {
	tl := &Timeline{Customer: Customer{ID: customer}}
	var last Time
	begin := func() int {
		n := d.uvarint()
		if n > uint64(len(d.data)) { // each has some bytes
			d.data, d.err = nil, errCodec
			return 0
		}
		return int(n)
	}
	item := func() (at, recorded, superseded Time, flags byte) {
		flags = d.byte()
		at = Time(d.fixed())
		if last, recorded = at, at; flags&recordedLater != 0 {
			recorded += Time(d.varint())
		}
		if flags&isSuperseded != 0 {
			superseded = Time(d.varint())
		}
		return at, recorded, superseded, flags
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
		var flags byte
		e.At, e.Recorded, e.Superseded, flags = item()
		if e.Kind, e.HasValue = d.word(), flags&hasNumber != 0; flags&notZero != 0 {
			e.Value = Amount(d.fixed())
		}
	}
	tl.Complaints = room[ComplaintCase](begin())
	for i := range tl.Complaints {
		c := &tl.Complaints[i]
		var flags byte
		c.At, c.Recorded, c.Superseded, flags = item()
		c.HasSeverity, c.HasSatisfaction = flags&hasNumber != 0, flags&hasSecond != 0
		c.ResolvedAt, c.ResolvedKnown = phase()
		c.ID, c.Category, c.Channel = d.text(), d.word(), d.word()
		c.Severity, c.Satisfaction = Amount(d.varint()), Amount(d.varint())
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
