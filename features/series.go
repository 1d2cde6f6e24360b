package features

import (
	"math"
	"math/big"
	"math/bits"
	"slices"

	"churn/event"
)

// series holds the items of one source in columns, oldest first. Of a source
// with a field it holds the known values alone: that of item i of the parent is
// value known[i-start], if known[i-start+1] is one more.
type series struct {
	*seriesPlan
	stream *stream
	parent *series // nil for all items of the stream
	all    *series // that has the value for every item of the stream; or nil

	at    []event.Time
	item  []int32 // its place in the view
	known []int32 // how many values items of the parent before each have
	// value of the field, or the gap since the item before; 0 for the first.
	value []int64
	// sum[i] and square[i] are over the first i values. Squares are cut to 128
	// bits, and peak, the largest size of a value, tells whether that matters.
	sum, square []int128
	peak        uint64

	kept  int // items, or values, that are still the same as at the instant before
	start int // items of the parent that are too old
}

// keep drops what came from later places of the view.
func (s *series) keep(places int) {
	n := len(s.at)
	for n > 0 && int(s.item[n-1]) >= places {
		n--
	}
	s.cut(n)
}

// cut drops all but the first n items.
func (s *series) cut(n int) {
	if s.kept = n; n == s.length() {
		return
	}
	if s.field.get == nil {
		s.at, s.item = s.at[:n], s.item[:n]
	}
	if s.value != nil {
		s.value = s.value[:n]
	}
	if s.sum != nil {
		s.sum = s.sum[:n+1]
	}
	if s.square != nil {
		s.square = s.square[:n+1]
	}
	if n == 0 {
		s.peak = 0 // or one large value would slow down all later histories
	}
}

// grow brings a series that only grows to t.
func (s *series) grow(same int, t event.Time) {
	if s.field.get == nil {
		s.keep(same)
		s.choose(s.parent.kept, t)
		return
	}
	s.known = s.known[:s.parent.kept+1]
	s.cut(int(s.known[s.parent.kept]))
	s.measure(s.parent.kept, t)
}

// redo makes a series anew as of t.
func (s *series) redo(t event.Time) {
	s.cut(0)
	at, from := s.parent.at, t.Add(-s.reach)
	s.start = min(s.start, s.parent.kept)
	for s.start < len(at) && at[s.start] < from {
		s.start++
	}
	if s.field.get == nil {
		s.choose(s.start, t)
		return
	}
	s.known = s.known[:1]
	s.measure(s.start, t)
}

// choose takes the items of the parent, from one on, for which the condition
// holds.
func (s *series) choose(from int, t event.Time) {
	v, holds, at, item := &s.stream.view, s.holds, s.at, s.item
	for _, place := range s.parent.item[from:] {
		if it := v.item(place); holds(it, t) {
			at, item = append(at, it.at), append(item, place)
		}
	}
	s.at, s.item = at, item
	s.fill()
}

// measure takes the values of the items of the parent from one on.
func (s *series) measure(from int, t event.Time) {
	v, all, get, value, known := &s.stream.view, s.all, s.field.get, s.value, s.known
	for _, place := range s.parent.item[from:] {
		if all == nil {
			if x, ok := get(v.item(place), t); ok {
				value = append(value, x)
			}
		} else if k := all.known[place]; k < all.known[place+1] {
			value = append(value, all.value[k])
		}
		known = append(known, int32(len(value)))
	}
	s.value, s.known = value, known
	s.fill()
}

// fill brings the other columns to the length of at.
func (s *series) fill() {
	from := s.kept
	if s.needs&ofGaps != 0 && from < len(s.at) {
		value, before := s.value, s.at[max(from-1, 0)]
		for _, at := range s.at[from:] {
			value, before = append(value, int64(at.Sub(before))), at
		}
		s.value = value
	}
	if s.sum != nil {
		sums, sum := s.sum, s.sum[from]
		for _, v := range s.value[from:] {
			sum = sum.plus(wide(v))
			sums = append(sums, sum)
		}
		s.sum = sums
	}
	if s.square != nil {
		squares, square, peak := s.square, s.square[from], s.peak
		for _, v := range s.value[from:] {
			square = square.plus(product(v, v))
			squares = append(squares, square)
			peak = max(peak, size(v))
		}
		s.square, s.peak = squares, peak
	}
}

// length counts the items, or values.
func (s *series) length() int {
	if s.known == nil {
		return len(s.at)
	}
	return len(s.value)
}

// from is where the items, or values, from a place of an edge on begin.
func (s *series) from(i int) int {
	if s.known == nil {
		return i
	}
	return int(s.known[i-s.start])
}

// place is that of an item in the view.
func (s *series) place(i int) int32 {
	if s.field.get == nil {
		return s.item[i]
	}
	k, _ := slices.BinarySearch(s.known, int32(i+1)) // the first k items have the value
	return s.parent.item[s.start+k-1]
}

// size is |v|, also of the smallest number.
func size(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// seek returns the first place from i on that is not before an instant, given
// that all before i are.
func (s *series) seek(i int, from event.Time) int {
	at := s.at
	step := 1
	for i+step <= len(at) && at[i+step-1] < from {
		i += step
		step *= 2
	}
	for step /= 2; step > 0; step /= 2 {
		if i+step > len(at) {
			continue
		}
		before := 0
		if at[i+step-1] < from {
			before = 1
		}
		i += step & -before // a branch would be guessed wrong half the time
	}
	return i
}

// total is the sum of values first to end.
func (s *series) total(first, end int) float64 {
	return s.sum[end].minus(s.sum[first]).float()
}

// deviation is the sample standard deviation (n-1) of values first to end, from
// exact sums: (nΣx² - (Σx)²) / (n(n-1)).
func (s *series) deviation(first, end int) float64 {
	n := int64(end - first)
	if n < 2 {
		return nan
	}
	var top float64
	if hi, lo := bits.Mul64(uint64(n), s.peak); hi == 0 && lo <= math.MaxInt64 { // the root of nΣx² at most
		sum := int64(s.sum[end].minus(s.sum[first]).lo)
		top = s.square[end].minus(s.square[first]).times(n).minus(product(sum, sum)).float()
	} else {
		top = spread(s.value[first:end])
	}
	return math.Sqrt(top / (float64(n) * float64(n-1)))
}

// spread is nΣx² - (Σx)² where 128 bits do not hold it.
func spread(v []int64) float64 {
	var sum, squares, x big.Int
	for _, a := range v {
		x.SetInt64(a)
		sum.Add(&sum, &x)
		squares.Add(&squares, x.Mul(&x, &x))
	}
	squares.Mul(&squares, x.SetInt64(int64(len(v))))
	squares.Sub(&squares, sum.Mul(&sum, &sum))
	f, _ := new(big.Float).SetInt(&squares).Float64()
	return f
}
