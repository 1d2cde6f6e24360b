package gbdt

import (
	"sync"
	"sync/atomic"
)

// A pool runs tasks on a fixed number of goroutines, the caller's being
// worker 0. The others live as long as the pool: waking one costs a few
// microseconds, starting one more.
type pool struct {
	workers int
	wake    chan *job
}

// A job is one call of run.
type job struct {
	f     func(task, worker int)
	tasks int64
	next  atomic.Int64 // next task to be taken
	id    atomic.Int64 // next worker number to be given
	done  sync.WaitGroup
}

func newPool(workers int) *pool {
	p := &pool{workers: workers, wake: make(chan *job)}
	for range workers - 1 {
		go func() {
			for j := range p.wake {
				j.work(int(j.id.Add(1)))
				j.done.Done()
			}
		}()
	}
	return p
}

func (p *pool) close() { close(p.wake) }

// run calls f for every task from 0 on and returns when all are done. Tasks
// run in any order, those of one worker one after the other.
func (p *pool) run(tasks int, f func(task, worker int)) {
	j := &job{f: f, tasks: int64(tasks)}
	others := min(p.workers, tasks) - 1
	j.done.Add(max(others, 0))
	for range others {
		p.wake <- j
	}
	j.work(0)
	j.done.Wait()
}

func (j *job) work(worker int) {
	for {
		task := j.next.Add(1) - 1
		if task >= j.tasks {
			return
		}
		j.f(int(task), worker)
	}
}

// blocks runs f for the blocks of size rows that make up rows.
func (p *pool) blocks(rows, size int, f func(block, from, to, worker int)) {
	p.run((rows+size-1)/size, func(block, worker int) {
		f(block, block*size, min((block+1)*size, rows), worker)
	})
}
