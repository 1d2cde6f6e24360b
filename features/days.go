package features

import "churn/event"

// daysPlan is of the days of the items of a series, counted back from where
// windows end: so long before t, and whole days before that.
type daysPlan struct {
	series int
	before event.Duration
	edge   int // where the longest window begins
}

// days numbers the days of the items of a series, so that windows count them,
// and weeks, without looking at the items. Instants that are whole days apart
// have the same days: then only new items are looked at.
type days struct {
	*series
	before event.Duration
	dawn   event.Time // of one of the days
	base   int        // items before are in no window
	upTo   []tally    // over no item, the first one from base, the first two, …
	origin int64      // the day of the first one
	busy   []uint64   // a bit for each day from then on: whether it has items
}

// tally counts the different days of items, and adds up the numbers of the days
// of all of them.
type tally struct{ days, numbers int64 }

// look brings the days to t. No window begins before item first.
func (d *days) look(t event.Time, first int) {
	t = t.Add(-d.before)
	if dawn := t % event.Time(event.Day); dawn != d.dawn || d.kept <= d.base {
		d.dawn, d.base, d.upTo, d.busy = dawn, first, append(d.upTo[:0], tally{}), d.busy[:0]
		if first == len(d.at) {
			return
		}
		d.origin = d.number(d.at[first])
	} else if n := d.kept - d.base; n < len(d.upTo)-1 {
		d.upTo = d.upTo[:n+1]
		d.forget(d.number(d.at[d.kept-1]) + 1)
	}
	upTo, next := d.upTo, d.base+len(d.upTo)-1
	n, day, until := upTo[len(upTo)-1], int64(0), d.at[d.base]
	if next > d.base {
		day = d.number(d.at[next-1])
		until = d.end(day)
	}
	for _, at := range d.at[next:] {
		if at >= until {
			day = d.number(at)
			until = d.end(day)
			n.days++
			d.extend(day)
			d.busy[(day-d.origin)>>6] |= 1 << ((day - d.origin) & 63)
		}
		n.numbers += day
		upTo = append(upTo, n)
	}
	d.upTo = upTo
	d.extend(d.today(t))
}

// extend makes room for a day, and the week after it.
func (d *days) extend(day int64) {
	for int64(len(d.busy)) < (day-d.origin)>>6+2 {
		d.busy = append(d.busy, 0)
	}
}

// forget lets a day and those after it be without items.
func (d *days) forget(day int64) {
	i := day - d.origin
	d.busy = d.busy[:i>>6+1]
	d.busy[i>>6] &= 1<<(i&63) - 1
}

// number is that of the day of an instant; 0 is some day of 1969 or 1970.
func (d *days) number(at event.Time) int64 {
	since := int64(at - d.dawn)
	n := since / perDay
	return n + (since-n*perDay)>>63 // rounded down
}

// end is where a day ends.
func (d *days) end(day int64) event.Time { return d.dawn + event.Time((day+1)*perDay) }

// today is the day that ends with t.
func (d *days) today(t event.Time) int64 { return int64(t-d.dawn)/perDay - 1 }

// count counts the different days of items first to end.
func (d *days) count(first, end int) int64 {
	if first == end {
		return 0
	}
	// Whether the first item begins a day is told of the one before it.
	return d.upTo[end-d.base].days - d.upTo[first+1-d.base].days + 1
}

// ages adds up how many days before t the days of items first to end are, 0
// for the last one.
func (d *days) ages(t event.Time, first, end int) int64 {
	return int64(end-first)*d.today(t) - d.upTo[end-d.base].numbers + d.upTo[first-d.base].numbers
}

// week tells whether there are items on a day and the six before it, all of which
// lie behind the first item from base.
func (d *days) week(day int64) bool {
	i := day - 6 - d.origin
	return (d.busy[i>>6]>>(i&63)|d.busy[i>>6+1]<<(64-i&63))&0x7f != 0
}

// oldest is the number of the week, counted back from t, of the first item. Week
// 0 ends at t, and what is exactly a week before t belongs to it.
func (w *window) oldest() int64 { return int64(w.t-w.at[w.first]-1) / int64(week) }

// weeks counts the weeks with an item.
func (w *window) weeks() int {
	if w.n() == 0 {
		return 0
	}
	n, today := 1, w.days.today(w.t) // that of the first item, which may have begun before the window
	for i := range w.oldest() {
		if w.days.week(today - 7*i) {
			n++
		}
	}
	return n
}

// activeWeeks counts the weeks in a row, up to t, with an item.
func (w *window) activeWeeks() int64 {
	if w.n() == 0 {
		return 0
	}
	oldest, today := w.oldest(), w.days.today(w.t)
	for i := range oldest {
		if !w.days.week(today - 7*i) {
			return i
		}
	}
	return oldest + 1
}
