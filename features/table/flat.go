package table

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds of what the head of a message may ask for.
const (
	maxFields     = 1024 // of a schema, nested ones included
	maxFieldDepth = 8
)

// Kinds of messages of an Arrow stream.
const (
	schemaMessage     = 1
	dictionaryMessage = 2
	batchMessage      = 3
)

// Types of a field that are looked into.
const (
	timestampField = 10
	unionField     = 14
	binaryViews    = 23
	textViews      = 24
)

var errFlat = errors.New("the head of a message is damaged")

// flatMessage is what the head of a message says.
type flatMessage struct {
	kind  int
	body  int64
	delta bool // a dictionary goes on
	views int  // columns of a schema, or counts of buffers for them in a batch
}

// checkMessage looks at the head of a message before the library does, which
// believes the counts in it and follows its offsets: a schema of four billion
// fields, or one that contains itself, would end the program and not only the
// reading.
func checkMessage(head []byte) (flatMessage, error) {
	f := flat{data: head}
	root := f.follow(0)
	m := flatMessage{kind: int(f.byte(f.slot(root, 1))), body: int64(f.u64(f.slot(root, 3)))}
	f.pairs(root, 4)
	at := f.table(root, 2)
	switch m.kind {
	case schemaMessage:
		f.fieldList(at, 1, 0)
		f.pairs(at, 2)
		m.views = f.views
	case dictionaryMessage:
		m.delta = f.byte(f.slot(at, 2)) != 0
		m.views = f.batch(f.table(at, 1))
	case batchMessage:
		m.views = f.batch(at)
	}
	if f.err == nil && m.body < 0 {
		f.err = errFlat
	}
	return m, f.err
}

// flat walks over a message in FlatBuffers. The first error stays, and what is
// read after it is 0. Place 0 is never that of a value: it stands for one that
// is not given.
type flat struct {
	data   []byte
	fields int
	views  int
	text   int // bytes of all texts seen
	err    error
}

func (f *flat) take(at, n int) []byte {
	if f.err != nil || at < 0 || at > len(f.data)-n {
		f.fail()
		return make([]byte, n)
	}
	return f.data[at : at+n]
}

func (f *flat) fail() {
	if f.err == nil {
		f.err = errFlat
	}
}

func (f *flat) u32(at int) int { return int(binary.LittleEndian.Uint32(f.take(at, 4))) }

func (f *flat) byte(at int) byte {
	if at == 0 {
		return 0
	}
	return f.take(at, 1)[0]
}

func (f *flat) u64(at int) uint64 {
	if at == 0 {
		return 0
	}
	return binary.LittleEndian.Uint64(f.take(at, 8))
}

// follow gives the place that an offset means. It always lies further on, so
// nothing contains itself.
func (f *flat) follow(at int) int {
	n := f.u32(at)
	if f.err != nil || n == 0 || n >= len(f.data)-at {
		f.fail()
		return 0
	}
	return at + n
}

// slot gives the place of a field of the table, 0 if it is not given.
func (f *flat) slot(table, i int) int {
	back := int(int32(f.u32(table)))
	named := table - back
	size := int(binary.LittleEndian.Uint16(f.take(named, 2)))
	if f.err != nil || 4+2*i >= size {
		return 0
	}
	off := int(binary.LittleEndian.Uint16(f.take(named+4+2*i, 2)))
	if f.err != nil || off == 0 {
		return 0
	}
	return table + off
}

// table gives the place of a table that must be given.
func (f *flat) table(table, slot int) int {
	at := f.slot(table, slot)
	if at == 0 {
		f.fail()
		return 0
	}
	return f.follow(at)
}

// vector gives the place of the first of n items of a size.
func (f *flat) vector(table, slot, size int) (first, n int) {
	at := f.slot(table, slot)
	if at == 0 {
		return 0, 0
	}
	at = f.follow(at)
	n = f.u32(at)
	if f.err != nil || n > (len(f.data)-at-4)/size {
		f.fail()
		return 0, 0
	}
	return at + 4, n
}

// string counts the bytes of a text, which will be copied as often as it is
// named.
func (f *flat) string(table, slot int) {
	_, n := f.vector(table, slot, 1)
	if f.text += n; f.text > maxHead {
		f.fail()
	}
}

// pairs checks metadata.
func (f *flat) pairs(table, slot int) {
	first, n := f.vector(table, slot, 4)
	for i := 0; i < n && f.err == nil; i++ {
		pair := f.follow(first + 4*i)
		f.string(pair, 0)
		f.string(pair, 1)
	}
}

func (f *flat) fieldList(table, slot, depth int) {
	first, n := f.vector(table, slot, 4)
	if f.fields += n; f.fields > maxFields || n > 0 && depth >= maxFieldDepth {
		if f.err == nil {
			f.err = fmt.Errorf("more than %d columns, or columns nested deeper than %d", maxFields, maxFieldDepth)
		}
		return
	}
	for i := 0; i < n && f.err == nil; i++ {
		field := f.follow(first + 4*i)
		f.string(field, 0)
		switch f.byte(f.slot(field, 2)) {
		case timestampField:
			if of := f.slot(field, 3); of != 0 {
				f.string(f.follow(of), 1)
			}
		case binaryViews, textViews:
			f.views++
		case unionField:
			f.fail()
		}
		f.pairs(field, 6)
		f.fieldList(field, 5, depth+1)
	}
}

// batch checks how many buffers views say they have, and tells how many say so.
// The library reads on behind the last of them.
func (f *flat) batch(table int) (views int) {
	_, buffers := f.vector(table, 2, 16)
	first, views := f.vector(table, 4, 8)
	for i := 0; i < views && f.err == nil; i++ {
		k := f.u64(first + 8*i)
		if k > uint64(buffers) {
			f.fail()
			return
		}
		buffers -= int(k)
	}
	return views
}
