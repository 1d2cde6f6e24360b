package api

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"churn/model"
	"churn/model/registry"
)

// shadow scores customers with the challenger once the champion has scored
// them, and counts how the two differ. It is kept apart from the requests:
// nothing of it is in an answer, a customer waits in a queue with the history
// that the champion saw, and one that does not fit is dropped and counted. It
// takes at most a quarter of the processors, or one.
type shadow struct {
	live    *registry.Live // nil: no challenger is followed
	share   float64        // of customers
	metrics *Metrics
	caught  func(any) // a panic

	mu      sync.Mutex
	queue   chan shadowJob // sent and received under mu; not empty only while there are workers
	workers int
	closed  bool
	idle    chan struct{} // closed when the last worker of a closed shadow ends
}

// maxShadowQueue is how many customers may wait, each with a history.
const maxShadowQueue = 1024

// shadowJob is a customer that the champion has scored.
type shadowJob struct {
	challenger *model.Scorer
	subject    *subject
	row        []float32 // the champion's, or nil if the challenger has features of its own
	score      model.Score
	counts     *challengerMetrics
}

func newShadow(live *registry.Live, share float64, metrics *Metrics, caught func(any)) *shadow {
	return &shadow{live: live, share: share, metrics: metrics, caught: caught,
		queue: make(chan shadowJob, maxShadowQueue), idle: make(chan struct{})}
}

// challenger returns the one that is loaded, or nil.
func (s *shadow) challenger() *model.Scorer {
	if s.live == nil {
		return nil
	}
	return s.live.Scorer()
}

// offer hands over a customer with the champion's score. It never waits.
func (s *shadow) offer(champion *model.Scorer, sub *subject, score model.Score) {
	challenger := s.challenger()
	if challenger == nil || !s.sampled(sub.customer) {
		return
	}
	job := shadowJob{challenger: challenger, subject: sub, score: score, counts: s.metrics.ofChallenger(challenger)}
	switch {
	case challenger.Manifest().Version == champion.Manifest().Version: // there is nothing to compare
		job.counts.skipped.Inc()
		return
	case challenger.Engine().Fingerprint() == champion.Engine().Fingerprint():
		job.row = sub.row
	case sub.timeline == nil || challenger.Engine().OfTable(): // a row cannot be had
		job.counts.skipped.Inc()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.queue) == cap(s.queue) {
		job.counts.dropped.Inc()
		return
	}
	s.queue <- job
	if s.workers < max(1, runtime.GOMAXPROCS(0)/4) {
		s.workers++
		go s.work()
	}
}

// sampled says whether a customer is one of the share. It always says the same
// of a customer.
func (s *shadow) sampled(customer string) bool {
	if s.share >= 1 {
		return true
	}
	sum := sha256.Sum256([]byte("shadow\x00" + customer))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11)/(1<<53) < s.share
}

// work scores what waits, and ends when nothing does.
func (s *shadow) work() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			if s.workers--; s.workers == 0 && s.closed {
				close(s.idle)
			}
			s.mu.Unlock()
			return
		}
		job := <-s.queue
		s.mu.Unlock()
		s.score(&job)
	}
}

func (s *shadow) score(job *shadowJob) {
	defer func() {
		if v := recover(); v != nil {
			s.caught(v)
			job.counts.failed.Inc()
		}
	}()
	row := job.row
	if row == nil {
		row = job.challenger.Row(job.subject.timeline, job.subject.asOf)
	}
	score := job.challenger.Score(row, nil)
	s.metrics.compared(&job.score, &score)
	job.counts.ok.Inc()
}

// drain takes no more and waits for what is under way. What still waits when
// ctx ends is dropped and counted; drain returns how many that were.
func (s *shadow) drain(ctx context.Context) (dropped int) {
	s.mu.Lock()
	s.closed = true
	busy := s.workers > 0
	s.mu.Unlock()
	if !busy {
		return 0
	}
	select {
	case <-s.idle:
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		for ; len(s.queue) > 0; dropped++ {
			job := <-s.queue
			job.counts.dropped.Inc()
		}
	}
	return dropped
}

// challengerMetrics are the counters of one challenger, with their labels
// resolved.
type challengerMetrics struct {
	scorer                       *model.Scorer
	ok, failed, skipped, dropped prometheus.Counter
}

// ofChallenger returns the counters of a challenger.
func (m *Metrics) ofChallenger(s *model.Scorer) *challengerMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.challenger != nil && m.challenger.scorer == s {
		return m.challenger
	}
	version := s.Manifest().Version
	m.challengers = noteVersion(m.challengers, version, m.shadowed)
	m.challenger = &challengerMetrics{scorer: s,
		ok:      m.shadowed.WithLabelValues(version, "ok"),
		failed:  m.shadowed.WithLabelValues(version, "error"),
		skipped: m.shadowed.WithLabelValues(version, "skipped"),
		dropped: m.shadowed.WithLabelValues(version, "dropped")}
	return m.challenger
}

// compared counts two scores of one customer as of one instant.
func (m *Metrics) compared(champion, challenger *model.Score) {
	m.shadowScore.Observe(challenger.Probability)
	m.difference.Observe(math.Abs(challenger.Probability - champion.Probability))
	m.bands.WithLabelValues(champion.Band, challenger.Band).Inc()
}
