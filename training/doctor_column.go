package training

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"churn/event"
	"churn/training/measure"
)

// maxDistinct bounds the values of a column that are kept apart. With more, the
// number of values is told as more than that, and quantiles are those of
// buckets no wider than 1/128 of their value.
const maxDistinct = 10_000

// ColumnReport is what is known of one column of a table.
type ColumnReport struct {
	Column string `json:"column"`
	// Kind is number, text or time.
	Kind   string `json:"kind"`
	Rows   int    `json:"rows"`
	Filled int    `json:"filled"`
	// Distinct values; of those beyond 10,000, 10,000 with More.
	Distinct int  `json:"distinct"`
	More     bool `json:"more_distinct,omitzero"`
	// Least, Median, P99 (which 99 of 100 do not exceed) and Greatest are of
	// numbers. About says that Median and P99 are those of a bucket.
	Least    measure.Float `json:"least"`
	Median   measure.Float `json:"median"`
	P99      measure.Float `json:"p99"`
	Greatest measure.Float `json:"greatest"`
	About    bool          `json:"about,omitzero"`
	// First and Last are of times.
	First event.Time `json:"first,omitzero"`
	Last  event.Time `json:"last,omitzero"`
	// Midnight counts times at midnight (UTC).
	Midnight int `json:"midnight,omitzero"`
	// Top are the most frequent texts.
	Top []ValueCount `json:"top,omitempty"`

	// ofNumbers counts the texts of a text column that are numbers, odd is one
	// that is not, and whole tells that all numbers are.
	ofNumbers int
	odd       string
	whole     bool
	greatest  int // rows with the greatest number, 0 if that was not kept
}

// ValueCount is how often a value occurs.
type ValueCount struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// Share is that of the rows in which the column is filled; not measured
// without rows.
func (c *ColumnReport) Share() measure.Float { return ratio(c.Filled, c.Rows) }

func ratio(n, of int) measure.Float {
	if of == 0 {
		return nan
	}
	return measure.Float(float64(n) / float64(of))
}

// numbers counts values in bounded memory.
type numbers struct {
	n           int
	low, high   float64
	exact       map[float64]int // nil once there are too many
	buckets     map[int64]int   // instead
	wholeNumber bool
}

func newNumbers() *numbers {
	return &numbers{low: math.Inf(1), high: math.Inf(-1), exact: map[float64]int{}, wholeNumber: true}
}

// bucketShift keeps the sign, the exponent and 7 bits of the fraction.
const bucketShift = 52 - 7

// bucketOf numbers the bucket of a value so that buckets are in the order of
// their values.
func bucketOf(v float64) int64 {
	b := int64(math.Float64bits(math.Abs(v)) >> bucketShift)
	if v < 0 {
		return -b - 1
	}
	return b
}

// middleOf is the middle of a bucket.
func middleOf(b int64) float64 {
	sign := 1.0
	if b < 0 {
		b, sign = -b-1, -1
	}
	if b == 0 {
		return 0 // and whatever is next to it
	}
	low := math.Float64frombits(uint64(b) << bucketShift)
	return sign * (low + math.Float64frombits(uint64(b+1)<<bucketShift)) / 2
}

// add counts a value times over.
func (s *numbers) add(v float64, times int) {
	if times == 0 {
		return
	}
	s.n += times
	s.low, s.high = min(s.low, v), max(s.high, v)
	s.wholeNumber = s.wholeNumber && v == math.Trunc(v)
	if s.exact == nil {
		s.buckets[bucketOf(v)] += times
		return
	}
	if s.exact[v] += times; len(s.exact) > maxDistinct {
		s.buckets = map[int64]int{}
		for v, n := range s.exact {
			s.buckets[bucketOf(v)] += n
		}
		s.exact = nil
	}
}

// quantile is the least value that a share q of the values does not exceed; NaN
// of none.
func (s *numbers) quantile(q float64) float64 {
	if s.n == 0 {
		return math.NaN()
	}
	left := max(1, int(math.Ceil(q*float64(s.n))))
	if s.exact != nil {
		for _, v := range slices.Sorted(maps.Keys(s.exact)) {
			if left -= s.exact[v]; left <= 0 {
				return v
			}
		}
	}
	for _, b := range slices.Sorted(maps.Keys(s.buckets)) {
		if left -= s.buckets[b]; left <= 0 {
			return min(max(middleOf(b), s.low), s.high)
		}
	}
	return s.high
}

func (s *numbers) report(name string, rows int) ColumnReport {
	c := ColumnReport{Column: name, Kind: "number", Rows: rows, Filled: s.n, Distinct: len(s.exact), whole: s.wholeNumber,
		Least: measure.Float(s.low), Greatest: measure.Float(s.high), Median: measure.Float(s.quantile(0.5)), P99: measure.Float(s.quantile(0.99)), greatest: s.exact[s.high], About: s.exact == nil}
	if s.exact == nil {
		c.Distinct, c.More = maxDistinct, true
	}
	return c
}

// texts counts words in bounded memory, and as numbers those that are.
type texts struct {
	filled int
	counts map[string]int
	more   bool
	values *numbers
	odd    string // the first that is no number
}

func newTexts() *texts { return &texts{counts: map[string]int{}, values: newNumbers()} }

// add counts a text; one of spaces is none.
func (s *texts) add(text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	s.filled++
	if _, known := s.counts[text]; known || len(s.counts) < maxDistinct {
		if !known {
			text = strings.Clone(text) // it may be a part of something large
		}
		s.counts[text]++
	} else {
		s.more = true
	}
	// What starts like a word is not looked at further: kinds of engagement are
	// many rows.
	if text[0] >= 'A' && s.odd != "" {
		return
	}
	if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(v, 0) && v == v {
		s.values.add(v, 1)
	} else if s.odd == "" {
		s.odd = strings.Clone(text)
	}
}

// top lists the most frequent texts, at most n.
func (s *texts) top(n int) []ValueCount {
	var list []ValueCount
	for v, c := range s.counts {
		list = append(list, ValueCount{v, c})
	}
	slices.SortFunc(list, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return list[:min(n, len(list))]
}

func (s *texts) report(name string, rows int) ColumnReport {
	if s.filled > 0 && s.values.n == s.filled {
		c := s.values.report(name, rows)
		c.ofNumbers = c.Filled
		return c
	}
	return ColumnReport{Column: name, Kind: "text", Rows: rows, Filled: s.filled, Distinct: len(s.counts), More: s.more,
		Least: nan, Median: nan, P99: nan, Greatest: nan, Top: s.top(5),
		ofNumbers: s.values.n, odd: s.odd}
}

// instants counts times.
type instants struct {
	filled, midnight int
	first, last      event.Time
}

func newInstants() *instants { return &instants{first: event.Never, last: math.MinInt64} }

// add counts a time; Never is none.
func (s *instants) add(t event.Time) {
	if t == event.Never {
		return
	}
	s.filled++
	s.first, s.last = min(s.first, t), max(s.last, t)
	if t%event.Time(event.Day) == 0 {
		s.midnight++
	}
}

func (s *instants) report(name string, rows int) ColumnReport {
	c := ColumnReport{Column: name, Kind: "time", Rows: rows, Filled: s.filled, Midnight: s.midnight, Least: nan, Median: nan, P99: nan, Greatest: nan}
	if s.filled > 0 {
		c.First, c.Last = s.first, s.last
	}
	return c
}

// looksLikeID tells whether a column names rows rather than describes them:
// more than 50 values, and nearly every row has its own. Numbers do so only if
// they are whole, as measurements differ as well.
func (c *ColumnReport) looksLikeID() bool {
	if c.Filled <= 50 || c.Kind == "time" {
		return false
	}
	if c.Kind == "number" {
		return c.whole && !c.More && c.Distinct == c.Filled
	}
	return c.More || c.Distinct > c.Filled/2 && c.Distinct > 50
}
