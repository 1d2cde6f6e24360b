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
	s.kept = n
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

// add takes the item at a place of the view.
func (s *series) add(place int) {
	s.at = append(s.at, s.stream.view.items[place].at)
	s.item = append(s.item, int32(place))
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
	items := s.stream.view.items
	for _, place := range s.parent.item[from:] {
		if it := &items[place]; s.holds(it, t) {
			s.at = append(s.at, it.at)
			s.item = append(s.item, place)
		}
	}
	s.fill()
}

// measure takes the values of the items of the parent from one on.
func (s *series) measure(from int, t event.Time) {
	items := s.stream.view.items
	for _, place := range s.parent.item[from:] {
		if v, ok := s.field.get(&items[place], t); ok {
			s.value = append(s.value, v)
		}
		s.known = append(s.known, int32(len(s.value)))
	}
	s.fill()
}

// fill brings the other columns to the length of at.
func (s *series) fill() {
	from := s.kept
	if s.needs&ofGaps != 0 {
		for i := from; i < len(s.at); i++ {
			s.value = append(s.value, int64(s.at[i].Sub(s.at[max(i-1, 0)])))
		}
	}
	if s.sum != nil {
		sum := s.sum[from]
		for _, v := range s.value[from:] {
			sum = sum.plus(wide(v))
			s.sum = append(s.sum, sum)
		}
	}
	if s.square != nil {
		square := s.square[from]
		for _, v := range s.value[from:] {
			square = square.plus(product(v, v))
			s.square = append(s.square, square)
			s.peak = max(s.peak, size(v))
		}
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
	for end := min(i+step-1, len(at)); i < end; {
		if half := int(uint(i+end) / 2); at[half] < from {
			i = half + 1
		} else {
			end = half
		}
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
