package training

import (
	"sync"
	"sync/atomic"
)

// parallel calls f(0) to f(n-1) over so many workers and waits. Results go by
// index, so that they do not depend on who did what.
func parallel(workers, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(max(workers, 1), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
