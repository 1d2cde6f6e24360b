package event

import (
	"encoding/binary"
	"io"
	"slices"
)

// gatherer sorts rows by customer. Ids are unique among all customers: if the
// same one turns up with two of them, which is rare, the rows are gone through
// again to find who used it first.
type gatherer struct {
	dir    string
	memory int
	rows   *sorter
	row    uint64 // of all inputs, from 1
	words  *words
	value  []byte
}

func newGatherer(dir string, memory int) *gatherer {
	return &gatherer{dir: dir, memory: memory, rows: newSorter(dir, memory/4), words: newWords()}
}

func (g *gatherer) close() { g.rows.close() }

// add keeps a record of the input with the given number.
func (g *gatherer) add(input int, rec *Record) error {
	g.row++
	b := binary.AppendUvarint(g.value[:0], uint64(input))
	b = binary.AppendUvarint(b, uint64(rec.Line))
	b = binary.AppendUvarint(b, g.row)
	b = binary.AppendUvarint(b, uint64(len(rec.Events)))
	if c := rec.Customer; c != nil {
		g.value = appendCustomer(b, c)
		return g.rows.add(viewBytes(c.ID), g.value)
	}
	for i := range rec.Events {
		b = g.words.appendEvent(b, &rec.Events[i])
	}
	g.value = b
	return g.rows.add(viewBytes(rec.Events[0].Customer), b)
}

// strays sorts the events whose id another customer used first by customer,
// among those whose ids have one of the hashes; nil is all of them.
func (g *gatherer) strays(suspects map[uint64]bool) (*sorter, error) {
	ids := newSorter(g.dir, g.memory/16)
	defer ids.close()
	rows, err := g.rows.merge()
	if err != nil {
		return nil, err
	}
	keep := newKeeper()
	var r gatheredRow
	var id []byte
	for {
		key, value, err := rows.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = r.decode(&decoder{data: value, keep: &keep, words: g.words.list}, string(key))
		}
		if err != nil {
			return nil, err
		}
		for i := range r.events {
			e := &r.events[i]
			if e.ID == "" || suspects != nil && !suspects[e.hash()] {
				continue // without an id it will have one of the customer's own
			}
			id = binary.BigEndian.AppendUint16(append(id[:0], byte(e.Type)), uint16(len(e.ID)))
			id = binary.BigEndian.AppendUint64(append(id, e.ID...), r.row)
			id = append(binary.BigEndian.AppendUint32(id, uint32(i)), 0)
			if e.Cancelled {
				id[len(id)-1] = 1
			}
			if err := ids.add(id, key); err != nil {
				return nil, err
			}
		}
	}
	uses, err := ids.merge() // of one id those in the order of the rows
	if err != nil {
		return nil, err
	}
	stray := newSorter(g.dir, g.memory/32)
	var last, owner []byte
	owned := false
	for {
		key, customer, err := uses.next()
		if err == io.EOF {
			return stray, nil
		}
		if err == nil {
			n := len(key)
			id, row, cancelled := key[:n-13], key[n-13:n-1], key[n-1] == 1
			if string(id) != string(last) {
				last, owned = append(last[:0], id...), false
			}
			switch {
			case !owned && cancelled: // of what is not there yet, be it anyone's
			case !owned:
				owner, owned = append(owner[:0], customer...), true
			case string(customer) != string(owner):
				err = stray.add(customer, row)
			}
		}
		if err != nil {
			stray.close()
			return nil, err
		}
	}
}

// strayEvent is an event by its row and its place in it.
type strayEvent struct {
	row   uint64
	place uint32
}

// gatheredRow is a row as it was read.
type gatheredRow struct {
	input    int
	line     int
	row      uint64
	customer *Customer
	events   []Event
}

func (g *gatheredRow) decode(d *decoder, customer string) error {
	*g = gatheredRow{input: int(d.uvarint()), line: int(d.uvarint()), row: d.uvarint(), events: g.events}
	n := int(d.uvarint())
	if n == 0 {
		g.customer = &Customer{ID: customer}
		d.customer(g.customer)
	}
	g.events = slices.Grow(g.events[:0], n)[:n]
	for i := range g.events {
		d.event(&g.events[i])
		g.events[i].Customer = customer
	}
	return d.err
}
