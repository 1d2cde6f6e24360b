package table

import (
	"fmt"
	"slices"

	"churn/event"
)

// AsOf makes rows know their instant, from a column of a Parquet file. It must
// be called before a chunk is made.
func (p *Plan) AsOf(column string) error {
	i := slices.Index(p.r.columns, column)
	if p.r.parquet == nil || i < 0 {
		return fmt.Errorf("%s: no column %q of instants", p.r.name, column)
	}
	if c := &p.r.parquet.columns[i]; c.nested || c.layout.kind != instant {
		return fmt.Errorf("%s: column %q: not instants", p.r.name, column)
	}
	p.asOf = len(p.r.parquet.wanted)
	p.r.parquet.wanted = append(p.r.parquet.wanted, wanted{parquetColumn: &p.r.parquet.columns[i]})
	return nil
}

// AsOf returns the instant of a row; event.Never if the table has none.
func (c *Chunk) AsOf(i int) event.Time {
	if c.plan.asOf == 0 {
		return event.Never
	}
	return c.asOf[i]
}

// instant reads that of row i of a batch of Parquet.
func (c *Chunk) instant(i int) (event.Time, error) {
	if c.plan.asOf == 0 {
		return event.Never, nil
	}
	return event.ParseTime(text(c.columns[c.plan.asOf].cell(i)))
}
