package event

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// This file writes records for temporary files: they are read by the program
// that wrote them and by no other.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendEvent(b []byte, e *Event) []byte {
	has := byte(0)
	for i, flag := range [...]bool{e.HasValue, e.Cancelled, e.Superseded != 0} {
		if flag {
			has |= 1 << i
		}
	}
	b = append(b, byte(e.Type), has)
	if e.Superseded != 0 {
		b = binary.AppendVarint(b, int64(e.Superseded))
	}
	b = binary.AppendVarint(b, int64(e.At))
	b = binary.AppendVarint(b, int64(e.Recorded)-int64(e.At))
	b = binary.AppendVarint(b, int64(e.Value))
	for _, s := range [...]string{e.ID, e.Kind, e.Channel, e.Arm, e.Outcome} {
		b = appendText(b, s)
	}
	return b
}

func appendCustomer(b []byte, c *Customer) []byte {
	b = binary.AppendVarint(b, int64(c.SignedUpAt))
	b = binary.AppendVarint(b, int64(c.ChurnedAt))
	b = appendText(b, c.ChurnReason)
	b = binary.AppendVarint(b, int64(len(c.Attributes)))
	for _, k := range slices.Sorted(maps.Keys(c.Attributes)) {
		b = appendText(appendText(b, k), c.Attributes[k])
	}
	if c.Consent == nil { // unknown is not the same as none
		return binary.AppendVarint(b, -1)
	}
	b = binary.AppendVarint(b, int64(len(c.Consent)))
	for _, s := range c.Consent {
		b = appendText(b, s)
	}
	return b
}

var errCodec = errors.New("a temporary file is damaged")

// decoder reads what the functions above wrote. The first error stays.
type decoder struct {
	data []byte
	keep *keeper
	err  error
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.err = errCodec
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.data, d.err = nil, errCodec
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// count reads how many items follow, of at least a byte each.
func (d *decoder) count() int {
	n := d.varint()
	if n > int64(len(d.data)) {
		d.err = errCodec
		return 0
	}
	return int(n)
}

func (d *decoder) view() []byte {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.data, d.err = nil, errCodec
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) word() string { return d.keep.wordOf(d.view()) }

func (d *decoder) event(e *Event) {
	*e = Event{Type: Type(d.byte())}
	has := d.byte()
	e.HasValue, e.Cancelled = has&1 != 0, has&2 != 0
	if has&4 != 0 {
		e.Superseded = Time(d.varint())
	}
	e.At = Time(d.varint())
	e.Recorded = Time(int64(e.At) + d.varint())
	e.Value = Amount(d.varint())
	e.ID = string(d.view())
	e.Kind, e.Channel, e.Arm, e.Outcome = d.word(), d.word(), d.word(), d.word()
}

func (d *decoder) customer(c *Customer) {
	c.SignedUpAt, c.ChurnedAt, c.ChurnReason = Time(d.varint()), Time(d.varint()), d.word()
	if n := d.count(); n > 0 {
		c.Attributes = make(map[string]string, n)
		for range n {
			k := d.word()
			c.Attributes[k] = d.word()
		}
	}
	if n := d.count(); n >= 0 {
		c.Consent = make([]string, n)
		for i := range n {
			c.Consent[i] = d.word()
		}
	}
}
