package event

import (
	"cmp"
	"slices"
)

// folder makes a history of the rows of one customer, as a database would of
// the same rows in the same order.
type folder struct {
	records bool         // whether any customer had a record
	reports []FileReport // what is counted
	// conflicts are events that were not kept, last is when the last event
	// happened, hashes are those of the ids that were given.
	conflicts []conflict
	last      Time
	hashes    []uint64
	strays    map[strayEvent]bool
	ledger    Ledger
	seen      map[[16]byte]uint64
	sorted    []Event
	order     []placed
	spare     []placed
}

// conflict is an event that is not kept, of a line of an input.
type conflict struct {
	input, line int
	of          Type
}

// fold returns nil for a customer of whom nothing is kept.
func (f *folder) fold(id string, rows []gatheredRow) (*Customer, []Event) {
	c := &Customer{ID: id, SignedUpAt: Never, ChurnedAt: Never}
	recorded := false
	f.ledger.Reset()
	seenOf := -1
	for i := range rows {
		r := &rows[i]
		report := &f.reports[r.input]
		if r.customer != nil {
			if !recorded {
				recorded, f.records = true, true
				*c = *r.customer
				c.Consent = SortConsent(c.Consent)
				report.Stored++
				continue
			}
			report.count(c.Merge(r.customer))
			continue
		}
		if seenOf != r.input { // identical rows are numbered in their file
			clear(f.seen)
			seenOf = r.input
		}
		given := len(r.events) > 0 && r.events[0].ID != ""
		identify(r.events, f.seen)
		for k := range r.events {
			e := &r.events[k]
			status := Stored
			if f.strays != nil && f.strays[strayEvent{r.row, uint32(k)}] {
				status = Conflict
			} else {
				var fresh bool
				if status, _, fresh = f.ledger.add(e); fresh && given {
					f.hashes = append(f.hashes, e.hash())
				}
			}
			report.count(status)
			if status == Conflict {
				f.conflicts = append(f.conflicts, conflict{r.input, r.line, e.Type})
			}
			kept := status == Stored || status == Corrected || status == Cancelled
			if kept && !e.Cancelled && !e.Type.Ahead() && (f.last == Never || e.At > f.last) {
				f.last = e.At
			}
		}
	}
	f.signUps(c, recorded, rows)
	if !recorded && f.ledger.Empty() {
		return nil, nil
	}
	if events := f.ledger.revised(); events != nil {
		return c, events
	}
	return c, f.sort(f.ledger.first)
}

// placed is the place of an event with what mostly tells its order.
type placed struct {
	at Time
	i  int
}

// sort puts events in order of time, id and type.
func (f *folder) sort(events []Event) []Event {
	f.order = f.order[:0]
	for i := range events {
		f.order = append(f.order, placed{events[i].At, i})
	}
	if f.merge(func(x, y placed) int {
		if x.at != y.at {
			return cmp.Compare(x.at, y.at)
		}
		a, b := &events[x.i], &events[y.i]
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Type, b.Type))
	}) {
		return events
	}
	f.sorted = f.sorted[:0]
	for _, p := range f.order {
		f.sorted = append(f.sorted, events[p.i])
	}
	return f.sorted
}

// merge sorts the order, and tells whether that was done already. Rows mostly
// come in few stretches that are in order, of one file each; more of them than
// that are sorted from scratch.
func (f *folder) merge(compare func(x, y placed) int) (already bool) {
	var ends [9]int
	n := 0
	for i := 1; i < len(f.order); i++ {
		if compare(f.order[i-1], f.order[i]) > 0 {
			if n == len(ends)-1 {
				slices.SortFunc(f.order, compare)
				return false
			}
			ends[n] = i
			n++
		}
	}
	ends[n] = len(f.order)
	for k := 1; k <= n; k++ { // the first stretch is the longest as a rule
		a, b := ends[k-1], ends[k]
		f.spare = append(f.spare[:0], f.order[a:b]...)
		i, j := a-1, len(f.spare)-1
		for to := b - 1; j >= 0; to-- {
			if i >= 0 && compare(f.order[i], f.spare[j]) > 0 {
				f.order[to] = f.order[i]
				i--
			} else {
				f.order[to] = f.spare[j]
				j--
			}
		}
	}
	return n == 0
}

// signUps counts rows from before the customer signed up, and those of
// customers without a record.
func (f *folder) signUps(c *Customer, recorded bool, rows []gatheredRow) {
	for i := range rows {
		r := &rows[i]
		if len(r.events) == 0 {
			continue
		}
		report := &f.reports[r.input]
		if !recorded {
			report.UnknownCustomer++
		} else if e := &r.events[0]; c.SignedUpAt != Never && e.At < c.SignedUpAt && e.Type != AttributeSet && !e.Cancelled {
			report.BeforeSignUp++
		}
	}
}

// add counts what another report of the same file has counted.
func (r *FileReport) add(more *FileReport) {
	r.Stored += more.Stored
	r.Duplicate += more.Duplicate
	r.Conflict += more.Conflict
	r.Refused += more.Refused
	r.Corrected += more.Corrected
	r.Cancelled += more.Cancelled
	r.BeforeSignUp += more.BeforeSignUp
	r.UnknownCustomer += more.UnknownCustomer
}
