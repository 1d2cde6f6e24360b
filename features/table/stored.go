package table

import (
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/parquet"

	"churn/event"
)

// storable tells whether values can be read as they are stored.
func (c *parquetColumn) storable() bool {
	switch c.descr.PhysicalType() {
	case parquet.Types.Int32, parquet.Types.Int64, parquet.Types.Double:
		return true
	}
	return false
}

// readStored reads whole numbers or floats of 64 bits as they are.
func (p *parquetFile) readStored(w *wanted, out *column, rows int) error {
	out.ints, out.floats = out.ints[:0], out.floats[:0]
	null := sized(&out.null, rows)
	top, b := w.descr.MaxDefinitionLevel(), &p.values
	for done := 0; done < rows; {
		n := rows - done
		defs := sized(&p.levels, n)
		total, some, _, err := b.batch(w.chunk, n, defs)
		switch {
		case err != nil:
			return err
		case total <= 0 || total > n || some > total:
			return fmt.Errorf("it has fewer values than the file has rows")
		}
		k := 0
		for i := range total {
			null[done+i] = top > 0 && defs[i] != top
			if !null[done+i] {
				k++
			}
		}
		if k > some {
			return fmt.Errorf("it has fewer values than the file has rows")
		}
		switch w.descr.PhysicalType() {
		case parquet.Types.Int32:
			out.ints = spread(out.ints, null[done:done+total], b.i32, w.int32)
		case parquet.Types.Int64:
			if k == total {
				out.ints = append(out.ints, b.i64[:k]...)
			} else {
				out.ints = spread(out.ints, null[done:done+total], b.i64, func(v int64) int64 { return v })
			}
		default:
			if k == total {
				out.floats = append(out.floats, b.f64[:k]...)
			} else {
				out.floats = spread(out.floats, null[done:done+total], b.f64, func(f float64) float64 { return f })
			}
		}
		done += total
	}
	return nil
}

// spread adds values with 0 where one is missing.
func spread[T, V any](to []T, null []bool, values []V, of func(V) T) []T {
	for _, missing := range null {
		var v T
		if !missing {
			v, values = of(values[0]), values[1:]
		}
		to = append(to, v)
	}
	return to
}

// append writes a stored value as text.
func (c *column) append(dst []byte, i int, w *layout) []byte {
	switch {
	case c.null[i]:
		return dst
	case len(c.floats) > 0:
		return appendFloat(dst, c.floats[i], 64)
	}
	return w.integer(dst, c.ints[i])
}

// stored is a column that is as it was stored, or nil, and what that stands for.
func (e *eventRows) stored(i int) (*column, *layout) {
	k := e.at[i]
	if k < 0 || !e.r.parquet.wanted[k].stored {
		return nil, nil
	}
	return &e.columns[k], &e.r.parquet.columns[i].layout
}

// Earliest and latest time that needs no second look.
var (
	earliest = event.FromTime(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))
	latest   = event.FromTime(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
)

// Time returns a time as it is stored.
func (e *eventRows) Time(i int) (t event.Time, zoned, ok bool) {
	c, l := e.stored(i)
	if c == nil || l.kind != instant {
		return 0, false, false
	}
	row := e.row - 1
	if c.null[row] {
		return event.Never, true, true
	}
	v := c.ints[row]
	switch l.perS {
	case 1e3:
		if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
			return 0, false, false
		}
		v *= 1e3
	case 1e9:
		below := v % 1e3
		if v /= 1e3; below < 0 {
			v-- // cut as a text is
		}
	}
	t = event.Time(v)
	return t, l.utc, t >= earliest && t < latest
}

// Amount returns a number as it is stored, if that is without doubt the amount
// that its text would give.
func (e *eventRows) Amount(i int) (a event.Amount, has, ok bool) {
	c, l := e.stored(i)
	if c == nil {
		return 0, false, false
	}
	row := e.row - 1
	if c.null[row] {
		return 0, false, true
	}
	if len(c.floats) > 0 {
		if l.kind != plain {
			return 0, false, false
		}
		f := c.floats[row] * float64(event.Unit)
		whole := math.Round(f)
		if !(math.Abs(f) <= float64(event.MaxAmount)) || math.Abs(f-whole) > 0.25 {
			return 0, false, false
		}
		return event.Amount(whole), true, true
	}
	v, unit := c.ints[row], event.Unit
	switch {
	case l.kind == decimal && l.scale >= 0 && l.scale <= 6:
		for range l.scale {
			unit /= 10
		}
	case l.kind != plain && l.kind != unsigned || v < 0 && l.kind == unsigned:
		return 0, false, false
	}
	if most := int64(event.MaxAmount / unit); v > most || v < -most {
		return 0, false, false
	}
	return event.Amount(v) * unit, true, true
}
