package store

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"churn/event"
)

// benchEvents gives n events as they come in from many customers: ids in the
// order of time, customers in no order.
func benchEvents(from, n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		k := from + i
		events[i] = engagement(fmt.Sprintf("019388f2-7c3a-7000-8000-%012d", k), fmt.Sprintf("customer-%05d", k*7919%10007),
			day0.Add(event.Duration(k)*event.Second))
	}
	return events
}

func reportRate(b *testing.B, events int) {
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppend writes one batch after the other.
func BenchmarkAppend(b *testing.B) {
	for _, synchronous := range []string{"full", "normal"} {
		for _, batch := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/batch=%d", synchronous, batch), func(b *testing.B) {
				db := openTemp(b, func(o *Options) { o.Synchronous = synchronous })
				n := 0
				for b.Loop() {
					if _, err := db.Append(ctx, benchEvents(n, batch)); err != nil {
						b.Fatal(err)
					}
					n += batch
				}
				reportRate(b, n)
			})
		}
	}
}

// BenchmarkClients has 64 clients append one event at a time: sharing
// transactions, and for comparison each with a transaction of its own.
func BenchmarkClients(b *testing.B) {
	run := func(b *testing.B, add func(*event.Event) error) {
		var n atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for {
					k := int(n.Add(1))
					if k > b.N {
						return
					}
					if err := add(&benchEvents(k, 1)[0]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		reportRate(b, b.N)
	}
	b.Run("group", func(b *testing.B) {
		db := openTemp(b)
		b.ResetTimer()
		run(b, func(e *event.Event) error {
			_, err := db.Append(ctx, []event.Event{*e})
			return err
		})
	})
	b.Run("naive", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "naive.db")
		openAt(b, path).Close() // for the schema
		o := Options{Now: ticking()}
		if err := o.complete(); err != nil {
			b.Fatal(err)
		}
		_, pool, err := openWriter(path, o)
		if err != nil {
			b.Fatal(err)
		}
		defer pool.Close()
		b.ResetTimer()
		run(b, func(e *event.Event) error {
			t, err := pool.BeginTx(context.Background(), nil)
			if err != nil {
				return err
			}
			defer t.Rollback()
			if _, err := (&tx{hot: t}).append(e); err != nil {
				return err
			}
			return t.Commit()
		})
	})
}

// BenchmarkTimelines reads 200,000 events of 10,007 customers.
func BenchmarkTimelines(b *testing.B) {
	db := openTemp(b, func(o *Options) { o.Synchronous = "normal" })
	const events = 200_000
	for n := 0; n < events; n += 5000 {
		if _, err := db.Append(ctx, benchEvents(n, 5000)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("Timelines", func(b *testing.B) {
		for b.Loop() {
			if err := db.Timelines(ctx, func(*event.Timeline) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		reportRate(b, b.N*events)
	})
	b.Run("Summary", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Summary(ctx); err != nil {
				b.Fatal(err)
			}
		}
		reportRate(b, b.N*events)
	})
}
