package table

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"churn/event"
)

// streamKind is what a column of a stream of events holds.
type streamKind uint8

const (
	streamText streamKind = iota
	streamTime
	streamAmount
	streamTexts // by name
)

// expected says which types of Arrow a kind may have.
func (k streamKind) expected() string {
	switch k {
	case streamTime:
		return "a timestamp, or int64 microseconds since 1970"
	case streamAmount:
		return "decimal128 with at most 6 decimals, float64 or int64"
	case streamTexts:
		return "a map of utf8 to utf8"
	}
	return "utf8, large_utf8, utf8_view or a dictionary of one of the first two"
}

// takes tells whether a type of Arrow is one of the kind.
func (k streamKind) takes(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.StringType, *arrow.LargeStringType, *arrow.StringViewType:
		return k == streamText
	case *arrow.DictionaryType:
		// Of plain texts: messages checks the views of batches only.
		return k == streamText && (t.ValueType.ID() == arrow.STRING || t.ValueType.ID() == arrow.LARGE_STRING)
	case *arrow.TimestampType:
		return k == streamTime
	case *arrow.Int64Type:
		return k == streamTime || k == streamAmount
	case *arrow.Float64Type:
		return k == streamAmount
	case *arrow.Decimal128Type:
		return k == streamAmount && t.Scale >= 0 && t.Scale <= 6
	case *arrow.MapType:
		return k == streamTexts && streamText.takes(t.KeyType()) && streamText.takes(t.ItemType())
	}
	return false
}

// streamColumn reads the cells of a column of the batch at hand. Texts are views
// of its memory.
type streamColumn struct {
	name  string
	kind  streamKind
	index int // in the schema; -1: not there
	cells arrow.Array
	texts textCells // of a text, or of the values of a map
	names textCells // of a map
	scale int64     // of a number or time: what a stored one is multiplied by
	parts int64     // or divided by
}

// set takes the column of the next batch.
func (c *streamColumn) set(cells arrow.Array) {
	c.cells, c.scale, c.parts = cells, 1, 1
	switch a := cells.(type) {
	case *array.Timestamp:
		switch cells.DataType().(*arrow.TimestampType).Unit {
		case arrow.Second:
			c.scale = 1_000_000
		case arrow.Millisecond:
			c.scale = 1000
		case arrow.Nanosecond:
			c.parts = 1000
		}
	case *array.Int64:
		if c.kind == streamAmount {
			c.scale = int64(event.Unit)
		}
	case *array.Decimal128:
		for range 6 - cells.DataType().(*arrow.Decimal128Type).Scale {
			c.scale *= 10
		}
	case *array.Map:
		c.names, c.texts = textsOf(a.Keys()), textsOf(a.Items())
	default:
		if c.kind == streamText {
			c.texts = textsOf(cells)
		}
	}
}

// null tells whether there is no value.
func (c *streamColumn) null(i int) bool {
	switch {
	case c.index < 0:
		return true
	case c.kind == streamText:
		return c.texts.null(i)
	}
	return c.cells.IsNull(i)
}

// text is empty for null.
func (c *streamColumn) text(i int) string {
	if c.null(i) {
		return ""
	}
	return c.texts.value(i)
}

var errTime = errors.New("time outside the years 1900 to 2199: wrong unit or placeholder?")

var (
	firstTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	endOfTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
)

// time is Never for null. Below a microsecond it is cut, as everywhere.
func (c *streamColumn) time(i int) (event.Time, error) {
	if c.null(i) {
		return event.Never, nil
	}
	var v int64
	switch a := c.cells.(type) {
	case *array.Timestamp:
		v = int64(a.Value(i))
	case *array.Int64:
		v = a.Value(i)
	}
	if v > math.MaxInt64/c.scale || v < math.MinInt64/c.scale {
		return 0, errTime
	}
	v *= c.scale
	if rest := v % c.parts; rest < 0 {
		v -= c.parts
	}
	if v /= c.parts; v < firstTime || v >= endOfTime {
		return 0, errTime
	}
	return event.Time(v), nil
}

var errAmount = fmt.Errorf("number larger than %d: wrong unit?", event.MaxAmount/event.Unit)

// amount also tells whether there is one.
func (c *streamColumn) amount(i int) (event.Amount, bool, error) {
	if c.null(i) {
		return 0, false, nil
	}
	var v int64
	switch a := c.cells.(type) {
	case *array.Float64:
		f, err := event.FromFloat(a.Value(i))
		return f, true, err
	case *array.Int64:
		v = a.Value(i)
	case *array.Decimal128:
		n := a.Value(i)
		if v = int64(n.LowBits()); n.HighBits() != v>>63 {
			return 0, false, errAmount
		}
	}
	if limit := int64(event.MaxAmount) / c.scale; v > limit || v < -limit {
		return 0, false, errAmount
	}
	return event.Amount(v * c.scale), true, nil
}

// pairs are those of a map, nil for null; names without a value are left out.
func (c *streamColumn) pairs(i int) (map[string]string, error) {
	if c.null(i) {
		return nil, nil
	}
	from, to := c.cells.(*array.Map).ValueOffsets(i)
	if to-from > event.MaxAttributes {
		return nil, fmt.Errorf("more than %d", event.MaxAttributes)
	}
	out := map[string]string{}
	for k := int(from); k < int(to); k++ {
		if c.texts.null(k) {
			continue
		}
		name := strings.Clone(c.names.value(k))
		if _, twice := out[name]; twice {
			return nil, errors.New("a name is there twice")
		}
		out[name] = strings.Clone(c.texts.value(k))
	}
	return out, nil
}

// textCells are the texts of an array, by whatever means it holds them.
type textCells struct {
	cells  arrow.Array
	codes  *array.Dictionary // nil: the values themselves
	values interface{ Value(int) string }
}

func textsOf(cells arrow.Array) textCells {
	t := textCells{cells: cells}
	if d, ok := cells.(*array.Dictionary); ok {
		t.codes, cells = d, d.Dictionary()
	}
	t.values, _ = cells.(interface{ Value(int) string })
	return t
}

func (t *textCells) null(i int) bool {
	return t.cells.IsNull(i) || t.codes != nil && t.codes.Dictionary().IsNull(t.codes.GetValueIndex(i))
}

func (t *textCells) value(i int) string {
	if t.codes != nil {
		i = t.codes.GetValueIndex(i)
	}
	return t.values.Value(i)
}
