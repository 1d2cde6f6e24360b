package training

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"churn/event"
	"churn/features"
	"churn/features/table"
	"churn/model"
)

// Build says which rows a matrix has.
type Build struct {
	Plan // as for training: definition, features, snapshots, held-out customers
	// At are snapshots to observe at, instead of those of training. Levels are
	// frozen as for training all the same.
	At []event.Time
	// AsOf instead makes a row of every customer who has not left, as churn
	// score does, whether or not a label could be known.
	AsOf   []event.Time
	Labels bool
	// Shard of Shards: the customers whose hash falls there. 0 of 0 is all.
	Shard, Shards int
}

// MatrixFormat is the version of MatrixInfo. 1: the first. 2: kinds of leaving.
const MatrixFormat = 2

// MatrixInfo is what the file of a matrix says of itself.
type MatrixInfo struct {
	Format int `json:"format"`
	// Rows of this file, and the sum of their fingerprints, in hex: see
	// features.RowFingerprint. A stream does not have what is known only at its
	// end, nor what only a whole or a shard of it has.
	Rows     int    `json:"rows,omitzero"`
	Checksum string `json:"checksum,omitzero"`
	// Observations tells rows that training makes from rows as of AsOf.
	Observations bool             `json:"observations"`
	Labels       bool             `json:"labels"`
	Definition   model.Definition `json:"definition"`
	Through      event.Time       `json:"through"`
	Snapshots    []event.Time     `json:"snapshots"`
	HeldOut      float64          `json:"held_out"`
	Seed         uint64           `json:"seed"`
	// Shard, from 1, of Shards.
	Shard  int `json:"shard,omitzero"`
	Shards int `json:"shards,omitzero"`
	// Customers and Findings are of all the data, Counts of this file.
	Customers int `json:"customers,omitzero"`
	// Begins and Economics are for the report of who trains on the matrix.
	Begins             map[string]event.Time `json:"begins,omitempty"`
	Economics          *Economics            `json:"economics,omitempty"`
	Counts             Counts                `json:"counts,omitempty"`
	Findings           []Finding             `json:"findings,omitempty"`
	DataFingerprint    string                `json:"data_fingerprint,omitzero"`
	FeatureFingerprint string                `json:"feature_fingerprint"`
	// DeclaredFingerprint is of the set before its levels were frozen.
	DeclaredFingerprint string `json:"declared_fingerprint"`
	// Features is the set with its levels frozen, as YAML.
	Features string         `json:"features"`
	Columns  []MatrixColumn `json:"columns"`
}

// MatrixColumn describes a feature.
type MatrixColumn struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Unit     string   `json:"unit,omitempty"`
	Family   string   `json:"family"`
	Window   float64  `json:"window_days,omitempty"`
	Computed string   `json:"computed"`
	Text     string   `json:"text,omitempty"`
	Levels   []string `json:"levels,omitempty"`
}

func matrixColumns(e *features.Engine) ([]MatrixColumn, error) {
	list, err := e.Set().List()
	if err != nil {
		return nil, err
	}
	out := make([]MatrixColumn, len(list))
	for i := range list {
		l := &list[i]
		out[i] = MatrixColumn{l.Name, l.Kind.String(), l.Unit, l.Family, l.Window.Days(), l.Computed, l.Text, l.Levels}
	}
	return out, nil
}

// shardSeed keeps shards apart from the customers that training holds out.
const shardSeed = math.MaxUint64

// in tells whether a customer is in the shard.
func (b *Build) in(customer string) bool {
	return b.Shards <= 1 || int(spread(customer, shardSeed)%uint64(b.Shards)) == b.Shard-1
}

// instants gives the snapshots of the rows, ascending, and the split by which
// levels are frozen.
func (b *Build) instants() ([]event.Time, Split, error) {
	usual := Snapshots(&b.Definition, b.Through, b.Every, b.Plan.Snapshots)
	split, err := SplitByTime(&b.Definition, usual)
	times := slices.Sorted(slices.Values(append(slices.Clone(b.At), b.AsOf...)))
	if len(times) == 0 {
		return usual, split, err
	}
	if err != nil { // too little history to train on
		split = Split{Train: times[:1]}
	}
	return slices.Compact(times), split, nil
}

// Freeze gives the engine of the plan's features, with the levels that Train
// would freeze. It reads the histories only if there are levels to freeze.
func Freeze(ctx context.Context, src Source, p Plan) (*features.Engine, error) {
	if e, err := p.Features.Compile(); err == nil {
		return e, nil
	}
	b := Build{Plan: p, AsOf: []event.Time{p.Through}}
	if err := b.defaults(); err != nil {
		return nil, err
	}
	_, split, err := b.instants()
	if err != nil {
		return nil, err
	}
	e, _, err := prepare(ctx, src, &b.Plan, split, &Observer{HeldOut: b.HeldOut, Seed: b.Seed})
	return e, err
}

func (b *Build) check() error {
	if err := b.defaults(); err != nil {
		return err
	}
	switch {
	case b.Definition.Kind == "label":
		return fmt.Errorf("a definition of kind label is for a wide table: it needs no matrix")
	case b.Features == nil || b.Through == event.Never:
		return fmt.Errorf("a matrix needs a feature set and the end of the data")
	case len(b.At) > 0 && len(b.AsOf) > 0:
		return fmt.Errorf("a matrix has observations or rows as of an instant, not both")
	case b.Shards < 0 || b.Shards > 1<<16 || b.Shards > 0 && (b.Shard < 1 || b.Shard > b.Shards):
		return fmt.Errorf("shard %d/%d: count from 1 to their number, at most 65536", b.Shard, b.Shards)
	}
	return nil
}

// info is what is known of a matrix before its rows.
func (b *Build) info(e *features.Engine, times []event.Time) (*MatrixInfo, error) {
	m := &MatrixInfo{Format: MatrixFormat, Observations: len(b.AsOf) == 0, Labels: b.Labels, Definition: b.Definition,
		Through: b.Through, Snapshots: times, HeldOut: b.HeldOut, Seed: b.Seed, FeatureFingerprint: e.Fingerprint()}
	set, err := e.Set().Marshal()
	if err != nil {
		return nil, err
	}
	m.Features = string(set)
	if m.Columns, err = matrixColumns(e); err != nil {
		return nil, err
	}
	m.DeclaredFingerprint, err = b.Features.Fingerprint()
	return m, err
}

// BuildMatrix writes rows of features with what they are, as Parquet: one block
// of customers after the other, in memory that does not grow with their number.
// The levels are frozen as Train freezes them, on all customers whatever the
// shard.
func BuildMatrix(ctx context.Context, src Source, w io.Writer, b Build) (*MatrixInfo, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	times, split, err := b.instants()
	if err != nil {
		return nil, err
	}
	o := &Observer{Definition: b.Definition, Snapshots: times, Through: b.Through, HeldOut: b.HeldOut, Seed: b.Seed}
	engine, checks, err := prepare(ctx, src, &b.Plan, split, o)
	if err != nil {
		return nil, err
	}
	m, err := b.info(engine, times)
	if err != nil {
		return nil, err
	}
	m.Shard, m.Shards, m.Customers, m.Findings = max(b.Shard, 1), max(b.Shards, 1), checks.customers, checks.findings()
	m.Begins, m.Economics = checks.clocks.begins, b.Economics
	if m.DataFingerprint, err = src.Fingerprint(ctx); err != nil {
		return nil, err
	}
	out, err := table.NewMatrixWriter(w, engine.Features(), b.Labels)
	if err != nil {
		return nil, err
	}
	if err := b.write(ctx, src, out, o, engine, m); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return m, cmp.Or(out.Say(table.MatrixKey, string(text)), out.Close())
}

// Histories are those of a Source, or of a part of its customers.
type Histories interface {
	// Timelines is as of a Source, but may be called once only.
	Timelines(ctx context.Context, fn func(*event.Timeline) error) error
}

// rowWriter is where rows of a matrix go.
type rowWriter interface {
	WriteRows(rows *table.MatrixRows) error
}

// maxBlockEvents is after how many events a block is full, if not of customers.
const maxBlockEvents = 1 << 18

// write observes customers and writes their rows in blocks. It counts them in
// m.
func (b *Build) write(ctx context.Context, src Histories, out rowWriter, o *Observer, e *features.Engine, m *MatrixInfo) (err error) {
	block := make(someHistories, 0, 256)
	rows := &table.MatrixRows{}
	width := len(e.Features())
	done, size, sum := 0, 0, uint64(0)
	m.Counts = Counts{}
	flush := func() error {
		rows.Clear()
		if m.Observations {
			data, counts, err := compute(ctx, block, o, e, b.Workers, nil)
			if err != nil {
				return err
			}
			addObservations(rows, data)
			for v, n := range counts {
				m.Counts[v] += n
			}
		} else {
			b.asOf(rows, block, o, e, m.Counts)
		}
		prints := make([]uint64, len(rows.Customers))
		parallel(b.Workers, len(prints), func(i int) {
			prints[i] = features.RowFingerprint(rows.Customers[i], rows.AsOf[i], rows.Values[i*width:(i+1)*width])
		})
		for _, print := range prints {
			sum += print
		}
		m.Rows += len(rows.Customers)
		done += len(block)
		b.Progress("computing features", done, m.Customers)
		block, size = block[:0], 0
		return out.WriteRows(rows)
	}
	err = src.Timelines(ctx, func(tl *event.Timeline) error {
		if !b.in(tl.Customer.ID) {
			return ctx.Err()
		}
		size += len(tl.Engagements) + len(tl.Complaints) + len(tl.Payments) + len(tl.Contacts) + len(tl.Changes)
		if block = append(block, tl); len(block) == cap(block) || size >= maxBlockEvents {
			return flush()
		}
		return ctx.Err()
	})
	if err == nil && len(block) > 0 {
		err = flush()
	}
	m.Checksum = fmt.Sprintf("%016x", sum)
	return err
}

// someHistories is a source of those at hand.
type someHistories []*event.Timeline

func (h someHistories) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	for _, tl := range h {
		if err := fn(tl); err != nil {
			return err
		}
	}
	return nil
}

func (someHistories) Fingerprint(context.Context) (string, error) { return "", nil }

func addObservations(rows *table.MatrixRows, d *Data) {
	for i := range d.Observations {
		ob := &d.Observations[i]
		rows.Customers = append(rows.Customers, ob.Customer)
		rows.AsOf = append(rows.AsOf, ob.At)
		rows.HeldOut = append(rows.HeldOut, ob.HeldOut)
		label := uint8(table.No)
		if ob.Churned {
			label = table.Yes
		}
		rows.Churned = append(rows.Churned, label)
		rows.Reasons = append(rows.Reasons, ob.Reason)
		rows.Kinds = append(rows.Kinds, ob.Kind)
		rows.LeftAt = append(rows.LeftAt, ob.LeftAt)
	}
	rows.Values = append(rows.Values, d.Matrix.Data...)
}

// asOf makes rows of all who have not left, with labels that are known.
func (b *Build) asOf(rows *table.MatrixRows, block someHistories, o *Observer, e *features.Engine, counts Counts) {
	first := make([]int, 0, len(block)+1) // row of each history
	for _, tl := range block {
		first = append(first, len(rows.Customers))
		out := heldOut(tl.Customer.ID, b.Seed, b.HeldOut)
		for _, t := range o.Snapshots {
			if tl.Customer.ChurnedAt < t {
				continue
			}
			v, kind := verdict(&b.Definition, tl, t, b.Through)
			counts[v.String()]++
			label, reason, left := uint8(table.Unknown), "", event.Never
			switch v {
			case Stayed:
				label = table.No
			case Churned:
				if label, left = table.Yes, leavesAt(&b.Definition, tl, t); kind != model.Declined {
					reason = tl.Customer.ChurnReason
				}
			}
			rows.Customers = append(rows.Customers, tl.Customer.ID)
			rows.AsOf = append(rows.AsOf, t)
			rows.HeldOut = append(rows.HeldOut, out)
			rows.Churned = append(rows.Churned, label)
			rows.Reasons = append(rows.Reasons, reason)
			rows.Kinds = append(rows.Kinds, kind)
			rows.LeftAt = append(rows.LeftAt, left)
		}
	}
	first = append(first, len(rows.Customers))
	width := len(e.Features())
	rows.Values = slices.Grow(rows.Values, len(rows.Customers)*width)[:len(rows.Customers)*width]
	parallel(b.Workers, len(block), func(i int) {
		from, to := first[i], first[i+1]
		e.Rows(rows.Values[from*width:to*width], block[i], rows.AsOf[from:to], nil)
	})
}
