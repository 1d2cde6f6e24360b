package api

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"churn/event"
)

// BenchmarkScoreByID answers GET of one of a hundred customers' scores with five
// reasons, without the network, of four features: the history from memory or
// from the store.
func BenchmarkScoreByID(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		for name, cache := range map[string]int64{"kept": 1 << 30, "store": -1} {
			b.Run(fmt.Sprintf("%s, %d events", name, n), func(b *testing.B) {
				w := newWorld(b, withModels(1), func(_ *world, c *Config, _ *Deps) { c.Cache = cache })
				customers := 100
				if n > 1000 {
					customers = 10
				}
				var paths []string
				for c := range customers {
					id := fmt.Sprint("c", c)
					var events []event.Event
					for i := range n {
						at := w.now().Add(-event.Duration(i) * 700 * event.Day / event.Duration(n)).Add(-1)
						events = append(events, event.Event{ID: fmt.Sprintf("%s.%032d", id, i), Customer: id, Type: event.Engagement, At: at, Recorded: at, Kind: "visit"})
					}
					if _, err := w.store.Append(context.Background(), events); err != nil {
						b.Fatal(err)
					}
					paths = append(paths, "/v1/customers/"+id+"/score")
				}
				for _, path := range paths {
					w.call(200, "GET", path, "", nil)
				}
				b.ReportAllocs()
				var took []float64
				for i := 0; b.Loop(); i++ {
					before := b.Elapsed()
					if rec := w.request("GET", paths[i%len(paths)], "", nil); rec.Code != 200 {
						b.Fatal(rec.Body)
					}
					took = append(took, float64((b.Elapsed()-before).Nanoseconds())/1000)
				}
				slices.Sort(took)
				b.ReportMetric(took[len(took)*99/100], "p99-µs")
			})
		}
	}
}
