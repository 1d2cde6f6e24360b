package event

import (
	"context"
	"io"
	"sync"
)

// ordered has every piece that next gives worked on, several at a time, and
// calls done with the results one after the other in the order of the pieces.
// The first error, of next other than io.EOF, of work or of done, ends it.
//
// next, work and done run in goroutines of their own, next and done in one each;
// width pieces are worked on at a time, and as many wait.
func ordered[P, R any](ctx context.Context, width int, next func() (P, error), work func(P) (R, error), done func(R) error) error {
	type result struct {
		made R
		err  error
	}
	type job struct {
		piece P
		made  chan result
	}
	ctx, cancel := context.WithCancel(ctx)
	jobs, queue := make(chan job), make(chan chan result, width)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(jobs)
		defer close(queue)
		for {
			j := job{made: make(chan result, 1)}
			var err error
			if j.piece, err = next(); err == io.EOF {
				return
			}
			select {
			case queue <- j.made:
			case <-ctx.Done():
				return
			}
			if err != nil {
				j.made <- result{err: err}
				return
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return
			}
		}
	})
	for range width {
		wg.Go(func() {
			for j := range jobs {
				made, err := work(j.piece)
				j.made <- result{made, err}
			}
		})
	}
	for made := range queue {
		select {
		case r := <-made:
			if r.err != nil {
				return r.err
			}
			if err := done(r.made); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
