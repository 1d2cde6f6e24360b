package features

import "churn/event"

// daysPlan is of the days of the items of a series, counted back from where
// windows end: so long before t, and whole days before that.
type daysPlan struct {
	series int
	before event.Duration
	edge   int // where the longest window begins
}

// days numbers the days of the items of a series, so that windows count them
// without looking at the items. Instants that are whole days apart have the
// same days: then only new items are looked at.
type days struct {
	*series
	before event.Duration
	dawn   event.Time // of one of the days
	base   int        // items before are in no window
	upTo   []tally    // over no item, the first one from base, the first two, …
}

// tally counts the different days of items, and adds up the numbers of the days
// of all of them.
type tally struct{ days, numbers int64 }

// look brings the days to t. No window begins before item first.
func (d *days) look(t event.Time, first int) {
	dawn := t.Add(-d.before) % event.Time(event.Day)
	if dawn == d.dawn && d.base < d.kept {
		d.upTo = d.upTo[:min(len(d.upTo), d.kept-d.base+1)]
	} else {
		d.dawn, d.base, d.upTo = dawn, first, append(d.upTo[:0], tally{})
	}
	next := d.base + len(d.upTo) - 1
	if next >= len(d.at) {
		return
	}
	n, last := d.upTo[len(d.upTo)-1], d.number(d.at[max(next-1, d.base)])
	for _, at := range d.at[next:] {
		day := d.number(at)
		if day != last {
			n.days++
		}
		n.numbers, last = n.numbers+day, day
		d.upTo = append(d.upTo, n)
	}
}

// number is that of the day of an instant; 0 is some day of 1969 or 1970.
func (d *days) number(at event.Time) int64 {
	since := int64(at - d.dawn)
	n := since / perDay
	return n + (since-n*perDay)>>63 // rounded down
}

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
	today := int64(t-d.dawn)/perDay - 1
	return int64(end-first)*today - d.upTo[end-d.base].numbers + d.upTo[first-d.base].numbers
}
