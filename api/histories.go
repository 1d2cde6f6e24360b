package api

import (
	"container/list"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"churn/event"
	"churn/features"
	"churn/store"
)

// histories keeps the histories of customers who were scored lately, whole, so
// that they serve every model and every instant. A history is read from the
// store once, takes the events that are stored, and is read again after
// anything else that changes it. What has been acknowledged, here or by another
// process that writes to the same database, is in every history that is asked
// for afterwards:
//
//   - a write is told to it after the commit and before the answer;
//   - a history that is being read then, perhaps without that write, goes to
//     those who asked before and is not kept;
//   - before each use the store is asked for writes of others, after which
//     nothing is kept.
type histories struct {
	store  Store
	seed   maphash.Seed
	shards [shardCount]shard

	mu      sync.Mutex // held while all is dropped
	foreign atomic.Uint64

	hits, misses                     prometheus.Counter
	evicted, changed, others, toobig prometheus.Counter
}

// A history is kept if it takes no more than a quarter of its shard.
const (
	shardCount   = 16
	largestShare = 4
)

// shard holds some of the customers.
type shard struct {
	mu     sync.Mutex
	kept   map[string]*kept
	recent list.List // of *kept that are read, the one used last in front
	bytes  int
	limit  int
}

// kept is one customer. Of the locks, that of the shard comes first.
type kept struct {
	id    string
	ready chan struct{} // closed when state or err is there
	place *list.Element // nil while the history is being read
	size  int

	mu    sync.Mutex
	state *features.State
	err   error
}

// newHistories keeps so many bytes.
func newHistories(s Store, bytes int64, m *Metrics) *histories {
	h := &histories{store: s, seed: maphash.MakeSeed(),
		hits: m.lookups.WithLabelValues("hit"), misses: m.lookups.WithLabelValues("miss"),
		evicted: m.dropped.WithLabelValues("evicted"), changed: m.dropped.WithLabelValues("changed"),
		others: m.dropped.WithLabelValues("foreign_write"), toobig: m.dropped.WithLabelValues("too_large")}
	for i := range h.shards {
		h.shards[i].limit = int(bytes / shardCount)
		h.shards[i].kept = map[string]*kept{}
	}
	return h
}

func (h *histories) shard(id string) *shard {
	return &h.shards[maphash.String(h.seed, id)%shardCount]
}

// timeline returns the history of a customer. It is shared: do not change it.
func (h *histories) timeline(ctx context.Context, id string) (*event.Timeline, error) {
	if err := h.sync(ctx); err != nil {
		return nil, err
	}
	s := h.shard(id)
	s.mu.Lock()
	k := s.kept[id]
	if k == nil {
		k = &kept{id: id, ready: make(chan struct{})}
		s.kept[id] = k
		s.mu.Unlock()
		h.misses.Inc()
		h.read(ctx, s, k)
		return k.timeline()
	}
	if k.place != nil {
		s.recent.MoveToFront(k.place)
	}
	s.mu.Unlock()
	h.hits.Inc()
	select {
	case <-k.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	tl, err := k.timeline()
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotFound) {
		return h.store.Timeline(ctx, id) // who read may have given up, or not waited long enough
	}
	return tl, err
}

func (k *kept) timeline() (*event.Timeline, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state == nil {
		return nil, k.err
	}
	return k.state.Timeline(), nil
}

// read reads a history for all who wait for it.
func (h *histories) read(ctx context.Context, s *shard, k *kept) {
	k.err = errors.New("reading the history was broken off") // by a panic
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		defer close(k.ready)
		switch {
		case s.kept[k.id] != k: // something was written meanwhile
		case k.state == nil:
			delete(s.kept, k.id)
		default:
			k.place = s.recent.PushFront(k)
			h.resize(s, k)
		}
	}()
	tl, events, err := h.store.History(ctx, k.id)
	if k.err = err; err == nil {
		k.state = features.NewState(tl, events)
	}
}

// resize accounts for a history that is read or has grown. It holds the shard.
func (h *histories) resize(s *shard, k *kept) {
	k.mu.Lock()
	size := len(k.id) + keptSize + k.state.Size()
	k.mu.Unlock()
	s.bytes += size - k.size
	k.size = size
	if size > s.limit/largestShare {
		h.toobig.Inc()
		s.remove(k)
	}
	for s.bytes > s.limit {
		h.evicted.Inc()
		s.remove(s.recent.Back().Value.(*kept))
	}
}

// keptSize is about what a customer takes beside the state.
const keptSize = 300

// remove forgets a customer. What was read by then stays good for who has it.
func (s *shard) remove(k *kept) {
	delete(s.kept, k.id)
	if k.place != nil {
		s.recent.Remove(k.place)
		s.bytes -= k.size
	}
}

// sync drops everything if another process has written.
func (h *histories) sync(ctx context.Context) error {
	n, err := h.store.ForeignWrites(ctx)
	if err != nil || n <= h.foreign.Load() {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if n <= h.foreign.Load() {
		return nil
	}
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		h.others.Add(float64(len(s.kept)))
		clear(s.kept)
		s.recent.Init()
		s.bytes = 0
		s.mu.Unlock()
	}
	h.foreign.Store(n)
	return nil
}

// stored is told what became of events. After an error nobody knows.
func (h *histories) stored(events []event.Event, results []store.Result, err error) {
	for i := range events {
		switch {
		case h == nil || unchanged(results, i, err):
		case err == nil && results[i].Status == event.Stored:
			h.observe(&events[i])
		default:
			h.forget(events[i].Customer)
		}
	}
}

// described is told what became of records of customers.
func (h *histories) described(customers []event.Customer, results []store.Result, err error) {
	for i := range customers {
		if !unchanged(results, i, err) {
			h.forget(customers[i].ID)
		}
	}
}

func unchanged(results []store.Result, i int, err error) bool {
	return err == nil && slices.Contains([]event.Status{event.Duplicate, event.Conflict, event.Refused}, results[i].Status)
}

// observe takes an event that was stored.
func (h *histories) observe(e *event.Event) {
	s := h.shard(e.Customer)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[e.Customer]
	if k == nil {
		return
	}
	if k.place != nil {
		k.mu.Lock()
		taken := k.state.Observe(e)
		k.mu.Unlock()
		if taken {
			h.resize(s, k)
			return
		}
	}
	h.changed.Inc()
	s.remove(k)
}

// forget drops a customer of whom more has changed than an event, or perhaps.
func (h *histories) forget(id string) {
	if h == nil {
		return
	}
	s := h.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kept[id]; k != nil {
		h.changed.Inc()
		s.remove(k)
	}
}

// size says how many histories are kept, and their bytes.
func (h *histories) size() (customers, bytes int) {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		customers += s.recent.Len()
		bytes += s.bytes
		s.mu.Unlock()
	}
	return customers, bytes
}
