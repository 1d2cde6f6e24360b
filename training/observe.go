package training

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"churn/event"
	"churn/features"
	"churn/model"
)

// Source gives the histories of all customers, always in the same order, as
// often as it is asked.
type Source interface {
	// Timelines hands over one history a customer. It is fn's to keep.
	Timelines(ctx context.Context, fn func(*event.Timeline) error) error
	// Fingerprint identifies the content of all histories.
	Fingerprint(ctx context.Context) (string, error)
}

// Observation is one customer at one snapshot.
type Observation struct {
	Customer string
	At       event.Time
	Churned  bool
	// HeldOut customers are never trained on.
	HeldOut bool
	// Reason the customer gave for leaving, if churned and known. A decline has
	// none: who declined is still there.
	Reason string
	// Kind of leaving, if churned: see model.Kinds.
	Kind string
	// LeftAt is the moment of leaving if churned, Never where it is not known.
	LeftAt event.Time
}

// Counts of verdicts, by name.
type Counts map[string]int

// Snapshots lists instants a step apart, ascending, the last one being the
// latest midnight (UTC) whose labels are known at through.
func Snapshots(d *model.Definition, through event.Time, every event.Duration, count int) []event.Time {
	last := through.Add(-span(d))
	day := event.Time(event.Day)
	last -= (last%day + day) % day // the midnight before, also before 1970
	times := make([]event.Time, count)
	for i := range times {
		times[count-1-i] = last.Add(-event.Duration(i) * every)
	}
	return times
}

// heldOut puts a customer into the held-out group by a hash of the id, so that
// the group does not depend on who else is in the data. The seed turns the
// wheel.
func heldOut(customer string, seed uint64, share float64) bool {
	return float64(spread(customer, seed)>>11)/(1<<53) < share
}

// spread is a hash of the id.
func spread(customer string, seed uint64) uint64 {
	h := fnv.New64a()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	h.Write([]byte(customer))
	// FNV's high bits mix poorly over short ids; finish as splitmix64 does.
	x := h.Sum64()
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Observer decides which observations there are.
type Observer struct {
	Definition model.Definition
	Snapshots  []event.Time
	Through    event.Time
	HeldOut    float64 // share of customers never trained on
	Seed       uint64
}

// Observe judges a customer at every snapshot; fn receives those that become
// observations.
func (o *Observer) Observe(tl *event.Timeline, counts Counts, fn func(Observation)) {
	out := heldOut(tl.Customer.ID, o.Seed, o.HeldOut)
	for _, t := range o.Snapshots {
		v, kind := verdict(&o.Definition, tl, t, o.Through)
		counts[v.String()]++
		if v != Stayed && v != Churned {
			continue
		}
		ob := Observation{Customer: tl.Customer.ID, At: t, Churned: v == Churned, HeldOut: out, Kind: kind, LeftAt: event.Never}
		if ob.Churned {
			ob.LeftAt = leavesAt(&o.Definition, tl, t)
		}
		if ob.Churned && kind != model.Declined {
			ob.Reason = tl.Customer.ChurnReason
		}
		fn(ob)
	}
}

// Data is a matrix with what its rows are.
type Data struct {
	Matrix       features.Matrix
	Observations []Observation
}

// Rows returns the part of the data that the predicate keeps.
func (d *Data) Rows(keep func(*Observation) bool) *Data {
	var rows []int
	out := &Data{}
	for i := range d.Observations {
		if keep(&d.Observations[i]) {
			rows = append(rows, i)
			out.Observations = append(out.Observations, d.Observations[i])
		}
	}
	out.Matrix = *d.Matrix.Select(rows)
	return out
}

// Labels returns which rows churned.
func (d *Data) Labels() []bool {
	y := make([]bool, len(d.Observations))
	for i := range y {
		y[i] = d.Observations[i].Churned
	}
	return y
}

// Customers returns the customer of each row.
func (d *Data) Customers() []string {
	c := make([]string, len(d.Observations))
	for i := range c {
		c[i] = d.Observations[i].Customer
	}
	return c
}

// Positives counts the churned rows.
func (d *Data) Positives() int {
	n := 0
	for i := range d.Observations {
		if d.Observations[i].Churned {
			n++
		}
	}
	return n
}

// compute observes all customers and computes their rows, a block of customers
// at a time over workers. The order of rows is that of customers and
// snapshots, whatever the number of workers. progress may be nil.
func compute(ctx context.Context, src Source, o *Observer, e *features.Engine, workers int, progress func(customers int)) (*Data, Counts, error) {
	data := &Data{Matrix: features.Matrix{Features: e.Features()}}
	counts := Counts{}
	block := make([]*event.Timeline, 0, 256)
	done := 0
	flush := func() {
		parts := make([]Data, len(block))
		verdicts := make([]Counts, len(block))
		parallel(workers, len(block), func(i int) {
			p, times := &parts[i], make([]event.Time, 0, len(o.Snapshots))
			verdicts[i] = Counts{}
			o.Observe(block[i], verdicts[i], func(ob Observation) {
				p.Observations = append(p.Observations, ob)
				times = append(times, ob.At)
			})
			p.Matrix.Data = make([]float32, len(times)*len(e.Features()))
			e.Rows(p.Matrix.Data, block[i], times, nil)
		})
		for i := range parts {
			data.Matrix.Data = append(data.Matrix.Data, parts[i].Matrix.Data...)
			data.Observations = append(data.Observations, parts[i].Observations...)
			for v, n := range verdicts[i] {
				counts[v] += n
			}
		}
		done += len(block)
		block = block[:0]
		if progress != nil {
			progress(done)
		}
	}
	err := src.Timelines(ctx, func(tl *event.Timeline) error {
		if block = append(block, tl); len(block) == cap(block) {
			flush()
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading histories: %w", err)
	}
	flush()
	return data, counts, nil
}
