package event

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"unsafe"
)

// This file writes records for temporary files: they are read by the program
// that wrote them and by no other.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// words number texts that come again and again, so that they are written and
// read as a number. 0 stands before a text that is written out.
type words struct {
	list []string // from 1 on; the first is empty
	at   map[string]uint64
	memo [64]struct { // of those that were asked for last
		text string
		at   uint64
	}
}

func newWords() *words {
	return &words{list: []string{"", ""}, at: map[string]uint64{"": 1}}
}

// reset forgets all words, forget where they were.
func (w *words) reset() {
	clear(w.at)
	w.at[""], w.list = 1, w.list[:2]
	w.forget()
}

func (w *words) forget() { clear(w.memo[:]) }

// appendList writes the words, and how many bytes are written with them.
func (w *words) appendList(b []byte, size int) []byte {
	b = binary.AppendUvarint(b, uint64(len(w.list)-2))
	for _, s := range w.list[2:] {
		b = appendText(b, s)
	}
	return binary.AppendUvarint(b, uint64(size))
}

func (w *words) append(b []byte, s string) []byte {
	n := uint64(1)
	if s != "" {
		n = w.number(s)
	}
	if b = binary.AppendUvarint(b, n); n == 0 {
		b = appendText(b, s)
	}
	return b
}

func (w *words) number(s string) uint64 {
	// The same word mostly has the same place in memory.
	m := &w.memo[uintptr(unsafe.Pointer(unsafe.StringData(s)))>>4%64]
	if unsafe.StringData(m.text) == unsafe.StringData(s) && len(m.text) == len(s) {
		return m.at
	}
	n, ok := w.at[s]
	if !ok {
		if len(w.list) >= maxWords || len(s) > MaxIDLength {
			return 0
		}
		s = strings.Clone(s)
		n = uint64(len(w.list))
		w.list, w.at[s] = append(w.list, s), n
	}
	m.text, m.at = s, n
	return n
}

func (w *words) appendEvent(b []byte, e *Event) []byte {
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
	b = appendText(b, e.ID)
	for _, s := range [...]string{e.Kind, e.Channel, e.Arm, e.Outcome} {
		b = w.append(b, s)
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
	data  []byte
	keep  *keeper
	words []string
	err   error
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
	if len(d.data) > 0 && d.data[0] < 0x80 { // most are short, and need no call
		v := d.data[0]
		d.data = d.data[1:]
		return uint64(v)
	}
	return d.long()
}

func (d *decoder) long() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.data, d.err = nil, errCodec
		return 0
	}
	d.data = d.data[n:]
	return v
}

// fixed reads a number of eight bytes.
func (d *decoder) fixed() uint64 {
	if len(d.data) < 8 {
		d.data, d.err = nil, errCodec
		return 0
	}
	v := binary.LittleEndian.Uint64(d.data)
	d.data = d.data[8:]
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

// list reads what words.appendList wrote, and what follows.
func (d *decoder) list() (more decoder) {
	more = decoder{keep: d.keep, words: append(d.words[:0], "", "")}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		more.words = append(more.words, d.keep.wordOf(d.view()))
	}
	d.words, more.data = more.words, d.view()
	return more
}

// word reads what words.append wrote.
func (d *decoder) word() string {
	n := d.uvarint()
	switch {
	case n == 0:
		return d.text()
	case n >= uint64(len(d.words)):
		d.data, d.err = nil, errCodec
		return ""
	}
	return d.words[n]
}

// text reads a text that is written out.
func (d *decoder) text() string { return d.keep.text(viewString(d.view())) }

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
	e.ID = d.text()
	e.Kind, e.Channel, e.Arm, e.Outcome = d.word(), d.word(), d.word(), d.word()
}

func (d *decoder) customer(c *Customer) {
	c.SignedUpAt, c.ChurnedAt, c.ChurnReason = Time(d.varint()), Time(d.varint()), d.keep.wordOf(d.view())
	if n := d.count(); n > 0 {
		c.Attributes = make(map[string]string, n)
		for range n {
			k := d.keep.wordOf(d.view())
			c.Attributes[k] = d.keep.wordOf(d.view())
		}
	}
	if n := d.count(); n >= 0 {
		c.Consent = make([]string, n)
		for i := range n {
			c.Consent[i] = d.keep.wordOf(d.view())
		}
	}
}

// viewString looks at bytes as a text. Whoever keeps it has to know that the
// bytes stay as they are.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// viewBytes looks at a text as bytes, which nobody may change.
func viewBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
