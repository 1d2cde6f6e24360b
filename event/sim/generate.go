package sim

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"churn/event"
)

// Customer is a simulated customer: what the company sees, the best scores at
// the snapshots of the world, and part of what is hidden.
type Customer struct {
	Timeline *event.Timeline
	Scores   []Score
	Type     int // index into World.Types
	Rate     int // index into World.Rates
}

// Sink takes customers one after the other, in the order of their numbers. The
// customer is the sink's to keep.
type Sink interface {
	Take(*Customer) error
}

// SinkFunc makes a Sink of a function.
type SinkFunc func(*Customer) error

// Take calls f.
func (f SinkFunc) Take(c *Customer) error { return f(c) }

// block is how many customers are made in one piece.
const block = 64

// Generate makes the customers of the world, in parallel, and hands them to
// the sink in order, from one goroutine; only a few blocks of them exist at a
// time. progress may be nil; it is called from the same goroutine with the
// number of customers done.
func (w World) Generate(ctx context.Context, sink Sink, progress func(done, total int)) (*Summary, error) {
	if err := w.Validate(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	m := newTables(&w)
	o := newOracle(m)
	ctx, cancel := context.WithCancel(ctx)
	workers := runtime.GOMAXPROCS(0)
	type job struct {
		first int
		done  chan []*Customer
	}
	jobs, ordered := make(chan job), make(chan job, 2*workers)
	failed := make(chan error, workers) // room for one error of each worker
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(jobs)
		defer close(ordered)
		for i := 0; i < w.Customers; i += block {
			j := job{i, make(chan []*Customer, 1)}
			select {
			case ordered <- j:
			case <-ctx.Done():
				return
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return
			}
		}
	})
	for range workers {
		wg.Go(func() {
			for j := range jobs {
				customers := make([]*Customer, 0, block)
				for i := j.first; i < min(j.first+block, w.Customers); i++ {
					c, err := o.customer(i)
					if err != nil {
						failed <- err
						return
					}
					customers = append(customers, c)
				}
				j.done <- customers
			}
		})
	}
	sum := newSummary(&w)
	done := 0
	for j := range ordered {
		select {
		case customers := <-j.done:
			for _, c := range customers {
				if err := sink.Take(c); err != nil {
					return nil, fmt.Errorf("simulate: customer %s: %w", c.Timeline.Customer.ID, err)
				}
				sum.add(c)
			}
			if done += len(customers); progress != nil {
				progress(done, w.Customers)
			}
		case err := <-failed:
			return nil, fmt.Errorf("simulate: %w", err)
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("simulate: stopped after %d of %d customers: %w", done, w.Customers, err)
		}
	}
	if done < w.Customers {
		return nil, fmt.Errorf("simulate: stopped after %d of %d customers: %w", done, w.Customers, context.Cause(ctx))
	}
	sum.finish()
	return sum, nil
}

// Timelines makes the customers in memory, one at a time, until yield returns
// false.
func (w World) Timelines(yield func(*event.Timeline, []Score) bool) error {
	if err := w.Validate(); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	o := newOracle(newTables(&w))
	for i := range w.Customers {
		c, err := o.customer(i)
		if err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
		if !yield(c.Timeline, c.Scores) {
			return nil
		}
	}
	return nil
}

func (o *Oracle) customer(i int) (*Customer, error) {
	l := o.live(i)
	c := &Customer{Timeline: o.timeline(i, l), Type: l.kind, Rate: l.rate}
	var err error
	c.Scores, err = o.Scores(c.Timeline, o.world.Snapshots)
	return c, err
}
