package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
)

// Digest hashes histories so that no two records give the same bytes: numbers
// in eight bytes, texts after their length.
type Digest struct {
	hash   hash.Hash // nil: all stays in the buffer
	buffer []byte
}

// NewDigest begins with no history.
func NewDigest() *Digest {
	d := &Digest{hash: sha256.New()}
	d.text("churn data 1")
	d.flush()
	return d
}

// Add takes the next customer in the order of their ids, with the events
// ordered by time of occurrence, id, type and time of recording, those
// superseded among them.
func (d *Digest) Add(c *Customer, events []Event) {
	d.customer(c)
	d.number(int64(len(events)))
	for i := range events {
		d.event(&events[i])
	}
	d.flush()
}

// flush hashes what is in the buffer, which is faster than piece by piece.
func (d *Digest) flush() {
	if d.hash != nil {
		d.hash.Write(d.buffer)
		d.buffer = d.buffer[:0]
	}
}

// Sum returns the SHA-256, in hexadecimal, of what was added.
func (d *Digest) Sum() string { return hex.EncodeToString(d.hash.Sum(nil)) }

func (d *Digest) number(n int64) {
	d.buffer = binary.LittleEndian.AppendUint64(d.buffer, uint64(n))
}

func (d *Digest) text(s string) {
	d.buffer = append(binary.LittleEndian.AppendUint64(d.buffer, uint64(len(s))), s...)
}

func (d *Digest) customer(c *Customer) {
	d.text(c.ID)
	d.number(int64(c.SignedUpAt))
	d.number(int64(c.ChurnedAt))
	d.text(c.ChurnReason)
	d.number(int64(len(c.Attributes)))
	for _, k := range slices.Sorted(maps.Keys(c.Attributes)) {
		d.text(k)
		d.text(c.Attributes[k])
	}
	if c.Consent == nil { // unknown is not the same as none
		d.number(-1)
		return
	}
	d.number(int64(len(c.Consent)))
	for _, s := range c.Consent {
		d.text(s)
	}
}

func (d *Digest) event(e *Event) {
	from := len(d.buffer)
	// Room for all at once; what is not needed is cut off.
	d.buffer = slices.Grow(d.buffer, 12*8+len(e.ID)+len(e.Kind)+len(e.Channel)+len(e.Arm)+len(e.Outcome))
	b := d.buffer[from:cap(d.buffer)]
	n := 0
	number := func(v int64) {
		binary.LittleEndian.PutUint64(b[n:], uint64(v))
		n += 8
	}
	text := func(s string) {
		number(int64(len(s)))
		n += copy(b[n:], s)
	}
	text(e.ID)
	number(int64(e.Type))
	number(int64(e.At))
	number(int64(e.Recorded))
	text(e.Kind)
	text(e.Channel)
	text(e.Arm)
	text(e.Outcome)
	has := int64(0)
	if e.HasValue {
		has = 1
	}
	if e.Superseded != 0 {
		has += 2
	}
	number(has)
	if e.HasValue {
		number(int64(e.Value))
	}
	if e.Superseded != 0 {
		number(int64(e.Superseded))
	}
	d.buffer = d.buffer[:from+n]
}
