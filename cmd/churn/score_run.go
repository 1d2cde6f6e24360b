package main

import (
	"context"
	"io"
	"sync"

	"churn/event"
	tables "churn/features/table"
	"churn/model"
	"churn/store"
)

// scoring is one run of churn score: one goroutine reads batches of customers,
// as many as there are processors score them, and one writes them in the order
// they were read. Batches are used again, so that memory does not grow with
// the file, and cut alike on every machine, so that the output does not depend
// on who scored what.
type scoring struct {
	scorer   *model.Scorer
	asOf     event.Time // Never: of a table
	reasons  int
	format   string
	stop     bool // at the first row that is refused
	rejects  *rejects
	save     *store.DB // nil: not
	progress *progress
	tally    tally
}

// batch is some customers on their way.
type batch struct {
	table     *tables.Chunk // of a table, or
	timelines []*event.Timeline
	out       scores
	save      []store.Score
	err       error
	first     <-chan int // number of the first row, known when the batch before was read
	next      chan<- int
	done      chan struct{}
}

// stream takes batches from whoever has written them to whoever scores them.
type stream struct {
	ctx   context.Context
	free  chan *batch
	work  chan *batch
	order chan *batch
	first chan int // of the batch to be sent next
}

// take returns a batch to fill.
func (st *stream) take() (*batch, error) {
	select {
	case b := <-st.free:
		return b, nil
	case <-st.ctx.Done():
		return nil, st.ctx.Err()
	}
}

// send hands a batch on.
func (st *stream) send(b *batch) error {
	next := make(chan int, 1)
	b.first, b.next, b.done = st.first, next, make(chan struct{})
	st.first = next
	st.order <- b // has room for all there are
	select {
	case st.work <- b:
		return nil
	case <-st.ctx.Done():
		return st.ctx.Err()
	}
}

// run scores what source reads and writes it to w.
func (w *scoring) run(ctx context.Context, source func(context.Context, *stream) error, to io.Writer, workers int) error {
	sink, err := newSink(to, w.format, w.reasons)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	n := 2*workers + 2
	st := &stream{ctx: ctx, free: make(chan *batch, n), work: make(chan *batch), order: make(chan *batch, n), first: make(chan int, 1)}
	st.first <- 1
	for range n {
		st.free <- &batch{}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var read error
	wg.Go(func() {
		read = source(ctx, st)
		close(st.work)
		close(st.order)
	})
	for range workers {
		wg.Go(func() {
			sc := newScratch(w)
			for b := range st.work {
				b.err = sc.score(b)
				close(b.done)
			}
		})
	}
	for b := range st.order {
		select {
		case <-b.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := w.write(ctx, sink, b); err != nil {
			return err
		}
		clear(b.timelines) // not to be kept alive
		b.timelines = b.timelines[:0]
		st.free <- b
	}
	if read != nil && read != io.EOF {
		return read
	}
	if err := w.tally.absent(); err != nil {
		return err
	}
	return sink.close()
}

// write is done by one goroutine, batch by batch.
func (w *scoring) write(ctx context.Context, sink *sink, b *batch) error {
	if b.err != nil {
		return b.err
	}
	if b.table != nil {
		for _, bad := range b.table.Refused {
			if w.stop {
				return bad
			}
			if err := w.rejects.add(bad); err != nil {
				return err
			}
		}
		w.tally.add(b.table)
	}
	if err := sink.write(&b.out); err != nil {
		return err
	}
	w.tally.scored += b.out.rows
	w.progress.show("scoring", w.tally.scored, 0)
	if len(b.save) == 0 {
		return nil
	}
	_, err := w.save.SaveScores(ctx, b.save)
	return err
}

// scratch is what one worker needs.
type scratch struct {
	*scoring
	row []float32
}

func newScratch(w *scoring) *scratch {
	return &scratch{scoring: w, row: make([]float32, len(w.scorer.Engine().Features()))}
}

// score makes rows of a batch, scores them and writes them as they will be in
// the file. Without reasons it allocates nothing for a row of a table.
func (sc *scratch) score(b *batch) error {
	b.out.reset()
	b.save = b.save[:0]
	if b.table == nil {
		b.next <- <-b.first // numbers are of tables
		for _, tl := range b.timelines {
			sc.scorer.Engine().Row(sc.row, tl, sc.asOf)
			sc.one(b, tl.Customer.ID, sc.asOf, sc.row)
		}
		return nil
	}
	err := b.table.Parse()
	first := <-b.first
	b.next <- first + b.table.Rows
	if err != nil {
		return err
	}
	if !b.table.HasIDs() {
		b.table.NumberFrom(first)
	}
	for i := range b.table.Len() {
		sc.one(b, b.table.ID(i), b.table.AsOf(i), b.table.Row(i))
	}
	return nil
}

func (sc *scratch) one(b *batch, id string, asOf event.Time, row []float32) {
	s, reasons := sc.scorer.Explain(row, sc.reasons)
	m := sc.scorer.Manifest()
	b.out.add(sc.format, &scored{customer: id, score: s, asOf: asOf, version: m.Version, reasons: reasons, columns: sc.reasons})
	if sc.save != nil {
		b.save = append(b.save, store.Score{CustomerID: id, AsOf: asOf, Model: m.Name, Version: m.Version, Probability: s.Probability, Margin: s.Margin})
	}
}
