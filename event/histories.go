package event

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Histories are the histories of all customers of some inputs, put in order in
// a temporary file and not in a database. It is a source of training.
type Histories struct {
	dir         string
	file        *os.File
	size        int64
	fingerprint string
	customers   int
	last        Time
}

// GatherOptions tunes Gather.
type GatherOptions struct {
	ImportOptions // Batch is not used
	// Memory is about how many bytes to take, at least MinMemory; default 1 GB.
	// One customer's events must fit into it as well.
	Memory int64
	// Dir is where a temporary directory is made, readable for its owner only.
	// It needs the room of the unpacked inputs twice.
	Dir string
}

// MinMemory is the least that Gather works with.
const MinMemory = 1 << 20

// Gather reads the inputs as Import does and sorts what they say by customer,
// in memory that does not grow with them. Identities, duplicates and conflicts
// are judged as by a database that had no events before, except that nobody
// was erased; the report is that of an import. Close the histories.
func Gather(ctx context.Context, inputs []Input, o GatherOptions) (_ *Histories, _ []FileReport, err error) {
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	if o.Memory < MinMemory {
		return nil, nil, fmt.Errorf("memory of %d bytes: give at least %d", o.Memory, MinMemory)
	}
	h := &Histories{last: Never}
	if h.dir, err = os.MkdirTemp(o.Dir, "churn-"); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	g := newGatherer(h.dir, int(o.Memory))
	defer g.close()
	im := newImporter(nil, o.ImportOptions)
	im.gather = g
	reports, err := im.files(ctx, inputs)
	if err != nil {
		return nil, reports, err
	}
	if err := h.fill(ctx, im, reports); err != nil {
		return nil, reports, err
	}
	return h, reports, nil
}

// Close removes the temporary file.
func (h *Histories) Close() error {
	var err error
	if h.file != nil {
		err = h.file.Close()
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// Fingerprint identifies the content, as that of a database with the same does.
func (h *Histories) Fingerprint(context.Context) (string, error) { return h.fingerprint, nil }

// Customers counts the histories.
func (h *Histories) Customers() int { return h.customers }

// Last is when the last event happened, those left out that may be known
// ahead, or Never.
func (h *Histories) Last() Time { return h.last }

// Timelines calls fn with the history of every customer in the order of their
// ids. The first error of fn ends the reading and is returned as it is.
func (h *Histories) Timelines(ctx context.Context, fn func(*Timeline) error) error {
	r := runReader{in: bufio.NewReaderSize(io.NewSectionReader(h.file, 0, h.size), 1<<18)}
	keep := newKeeper()
	var events []Event
	for {
		more, err := r.next()
		if err != nil || !more {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		d := decoder{data: r.value, keep: &keep}
		c := Customer{ID: string(r.key)}
		d.customer(&c)
		n := d.count()
		events = slices.Grow(events[:0], n)[:n]
		for i := range events {
			d.event(&events[i])
			events[i].Customer = c.ID
		}
		if d.err != nil {
			return d.err
		}
		if err := fn(NewTimeline(c, events)); err != nil {
			return err
		}
	}
}

// gatherer sorts rows by customer. Ids are unique among all customers, and what
// another customer's first use of an id leaves over is found by two more sorts:
// of all ids, and of the events found there by customer.
type gatherer struct {
	rows, ids, stray *sorter
	row              uint64 // of all inputs, from 1
	records          bool   // whether any customer has a record
	key, value       []byte
}

func newGatherer(dir string, memory int) *gatherer {
	return &gatherer{rows: newSorter(dir, memory/4), ids: newSorter(dir, memory/16), stray: newSorter(dir, memory/32)}
}

func (g *gatherer) close() {
	for _, s := range []*sorter{g.rows, g.ids, g.stray} {
		s.close()
	}
}

// add keeps a record of the input with the given number.
func (g *gatherer) add(input int, rec *Record) error {
	g.row++
	b := binary.AppendUvarint(g.value[:0], uint64(input))
	b = binary.AppendUvarint(b, uint64(rec.Line))
	b = binary.AppendUvarint(b, g.row)
	b = binary.AppendUvarint(b, uint64(len(rec.Events)))
	if c := rec.Customer; c != nil {
		g.records = true
		g.value = appendCustomer(b, c)
		return g.rows.add([]byte(c.ID), g.value)
	}
	for i := range rec.Events {
		b = appendEvent(b, &rec.Events[i])
	}
	g.value = b
	if err := g.rows.add([]byte(rec.Events[0].Customer), g.value); err != nil {
		return err
	}
	for i := range rec.Events {
		e := &rec.Events[i]
		if e.ID == "" {
			continue // it will be one of the customer's own
		}
		g.key = append(append(g.key[:0], byte(e.Type)), e.ID...)
		if err := g.ids.add(g.key, append(binary.AppendUvarint(binary.AppendUvarint(g.value[:0], g.row), uint64(i)), e.Customer...)); err != nil {
			return err
		}
	}
	return nil
}

// strays sorts the events whose id another customer used first by customer.
func (g *gatherer) strays() (*merged, error) {
	ids, err := g.ids.merge()
	if err != nil {
		return nil, err
	}
	var last, owner []byte
	for {
		key, value, err := ids.next()
		if err == io.EOF {
			g.ids.close()
			return g.stray.merge()
		}
		if err != nil {
			return nil, err
		}
		_, n := binary.Uvarint(value)
		_, k := binary.Uvarint(value[n:])
		customer := value[n+k:]
		switch {
		case string(key) != string(last):
			last, owner = append(last[:0], key...), append(owner[:0], customer...)
		case string(customer) != string(owner):
			// The row, and the place of the event in it.
			g.value = append(g.value[:0], value[:n+k]...)
			if err := g.stray.add(customer, g.value); err != nil {
				return nil, err
			}
		}
	}
}

// strayEvent is an event by its row and its place in it.
type strayEvent struct{ row, place uint64 }

// gatheredRow is a row as it was read.
type gatheredRow struct {
	input    int
	line     int
	row      uint64
	customer *Customer
	events   []Event
}

func (g *gatheredRow) decode(d *decoder, customer string) error {
	*g = gatheredRow{input: int(d.uvarint()), line: int(d.uvarint()), row: d.uvarint()}
	n := int(d.uvarint())
	if n == 0 {
		g.customer = &Customer{ID: customer}
		d.customer(g.customer)
	}
	g.events = make([]Event, n)
	for i := range g.events {
		d.event(&g.events[i])
		g.events[i].Customer = customer
	}
	return d.err
}

// fill merges the rows into histories and counts what becomes of them.
func (h *Histories) fill(ctx context.Context, im *importer, reports []FileReport) error {
	g := im.gather
	strays, err := g.strays()
	if err != nil {
		return err
	}
	stray := cursor{from: strays}
	rows, err := g.rows.merge()
	if err != nil {
		return err
	}
	if h.file, err = tempFile(h.dir); err != nil {
		return err
	}
	w := bufio.NewWriterSize(h.file, 1<<18)
	f := folder{im: im, reports: reports, digest: NewDigest(), h: h}
	if err := stray.next(); err != nil {
		return err
	}
	next := cursor{from: rows}
	if err := next.next(); err != nil {
		return err
	}
	keep := newKeeper()
	var customer string
	var list []gatheredRow
	var buffer, record []byte
	for next.more {
		if err := ctx.Err(); err != nil {
			return err
		}
		customer, list = string(next.key), list[:0]
		for next.more && string(next.key) == customer {
			list = append(list, gatheredRow{})
			if err := list[len(list)-1].decode(&decoder{data: next.value, keep: &keep}, customer); err != nil {
				return err
			}
			if err := next.next(); err != nil {
				return err
			}
		}
		f.strays = nil
		for stray.more && string(stray.key) == customer {
			if f.strays == nil {
				f.strays = map[strayEvent]bool{}
			}
			row, n := binary.Uvarint(stray.value)
			place, _ := binary.Uvarint(stray.value[n:])
			f.strays[strayEvent{row, place}] = true
			if err := stray.next(); err != nil {
				return err
			}
		}
		c, events := f.fold(customer, list)
		if c == nil {
			continue
		}
		h.customers++
		f.digest.Add(c, events)
		buffer = binary.AppendVarint(appendCustomer(buffer[:0], c), int64(len(events)))
		for i := range events {
			buffer = appendEvent(buffer, &events[i])
		}
		record = appendRecord(record[:0], []byte(customer), buffer)
		h.size += int64(len(record))
		if _, err := w.Write(record); err != nil {
			return fmt.Errorf("sorting: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	h.fingerprint = f.digest.Sum()
	return im.flushRejects()
}

// cursor is a sorted list with its current record.
type cursor struct {
	from       *merged
	key, value []byte
	more       bool
}

func (c *cursor) next() (err error) {
	c.key, c.value, err = c.from.next()
	if c.more = err == nil; err == io.EOF {
		err = nil
	}
	return err
}

// folder makes a history of the rows of one customer, as a database would of
// the same rows in the same order.
type folder struct {
	im      *importer
	reports []FileReport
	digest  *Digest
	h       *Histories
	strays  map[strayEvent]bool
}

// fold returns nil for a customer of whom nothing is kept.
func (f *folder) fold(id string, rows []gatheredRow) (*Customer, []Event) {
	c := &Customer{ID: id, SignedUpAt: Never, ChurnedAt: Never}
	recorded := false
	type identity struct {
		id string
		of Type
	}
	at := map[identity]int{}
	var events []Event
	seen, seenOf := map[[16]byte]uint64{}, -1
	for i := range rows {
		r := &rows[i]
		report := &f.reports[r.input]
		if r.customer != nil {
			if !recorded {
				recorded = true
				*c = *r.customer
				c.Consent = SortConsent(c.Consent)
				report.Stored++
				continue
			}
			report.count(c.Merge(r.customer))
			continue
		}
		if seenOf != r.input { // identical rows are numbered in their file
			clear(seen)
			seenOf = r.input
		}
		identify(r.events, seen)
		for k := range r.events {
			e := &r.events[k]
			status := Stored
			if f.strays != nil && f.strays[strayEvent{r.row, uint64(k)}] {
				status = Conflict
			} else if kept, there := at[identity{e.ID, e.Type}]; !there {
				at[identity{e.ID, e.Type}] = len(events)
				events = append(events, *e)
			} else if status = Duplicate; len(e.Differs(&events[kept])) > 0 {
				status = Conflict
			}
			report.count(status)
			if status == Conflict {
				f.im.report = report
				f.im.conflict(e, r.line)
			}
			if status == Stored && !e.Type.Ahead() && (f.h.last == Never || e.At > f.h.last) {
				f.h.last = e.At
			}
		}
	}
	f.signUps(c, recorded, rows)
	if !recorded && len(events) == 0 {
		return nil, nil
	}
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Type, b.Type))
	})
	return c, events
}

// signUps counts rows from before the customer signed up, and those of
// customers without a record where others have one.
func (f *folder) signUps(c *Customer, recorded bool, rows []gatheredRow) {
	for i := range rows {
		r := &rows[i]
		if len(r.events) == 0 {
			continue
		}
		report := &f.reports[r.input]
		if !recorded && f.im.gather.records {
			report.UnknownCustomer++
		} else if e := &r.events[0]; c.SignedUpAt != Never && e.At < c.SignedUpAt && e.Type != AttributeSet {
			report.BeforeSignUp++
		}
	}
}
