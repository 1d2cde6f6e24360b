package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"churn/model"
)

// Live follows an alias and holds the scorer it points at. A change is loaded
// and tested beside the current scorer and then swapped in one step; a file
// that fails leaves the current one in place. An alias other than the champion
// may point nowhere: then there is no scorer, and that is no error.
type Live struct {
	registry    *Registry
	name, alias string
	current     atomic.Pointer[model.Scorer]
	mu          sync.Mutex // serialises reloads
	lastErr     atomic.Pointer[error]
	reloads     atomic.Int64
	failures    atomic.Int64
}

// NewLive prepares following an alias of a name. Nothing is loaded yet.
func NewLive(r *Registry, name, alias string) *Live {
	return &Live{registry: r, name: name, alias: alias}
}

// Scorer returns the current scorer, or nil before the first good load and
// while the alias points nowhere. A request takes it once and so is answered by
// exactly one version.
func (l *Live) Scorer() *model.Scorer { return l.current.Load() }

// Err returns why the last reload failed, or nil.
func (l *Live) Err() error {
	if p := l.lastErr.Load(); p != nil {
		return *p
	}
	return nil
}

// Reloads and Failures count models swapped in and refused candidates since the
// start.
func (l *Live) Reloads() int64  { return l.reloads.Load() }
func (l *Live) Failures() int64 { return l.failures.Load() }

// Name of the model that is followed.
func (l *Live) Name() string { return l.name }

// Reload looks where the alias points and swaps if that is another version. It
// reports whether it did.
func (l *Live) Reload() (swapped bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	version, err := l.registry.pointed(l.name, l.alias)
	if err == nil && version == "" {
		if l.alias != Champion {
			l.lastErr.Store(nil)
			return l.current.Swap(nil) != nil, nil
		}
		err = fmt.Errorf("%w: %s has no champion", ErrNotFound, l.name)
	}
	if err == nil {
		if cur := l.current.Load(); cur != nil && cur.Manifest().Version == version {
			l.lastErr.Store(nil)
			return false, nil
		}
		var s *model.Scorer
		if s, err = l.load(version); err == nil {
			l.current.Store(s)
			l.lastErr.Store(nil)
			l.reloads.Add(1)
			return true, nil
		}
	}
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w (train and promote a model, or check --models)", err)
	}
	if prev := l.lastErr.Load(); prev == nil || (*prev).Error() != err.Error() {
		l.failures.Add(1) // a file that stays bad is one failure, not one a second
	}
	l.lastErr.Store(&err)
	return false, err
}

func (l *Live) load(version string) (*model.Scorer, error) {
	m, err := l.registry.Get(l.name, version)
	if err != nil {
		return nil, err
	}
	s, err := m.Compile()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", l.name, version, err)
	}
	return s, nil
}

// LoadPrevious loads the newest earlier version of the alias that still is
// good, for a start at which the current one is not: serving a known older
// model beats serving none. It reports what it loaded.
func (l *Live) LoadPrevious() (version string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log, err := l.registry.Promotions(l.name)
	if err != nil {
		return "", err
	}
	history := stack(log, l.alias)
	for i := len(history) - 1; i >= 0; i-- {
		if s, err := l.load(history[i]); err == nil {
			l.current.Store(s)
			return history[i], nil
		}
	}
	return "", fmt.Errorf("%w: no earlier version of %s is readable", ErrNotFound, l.name)
}

// Follow reloads at every tick until ctx or the ticks end. onSwap, if not nil,
// is called with the new scorer after each swap, nil if the alias was retired,
// and onError with each new problem.
func (l *Live) Follow(ctx context.Context, tick <-chan time.Time, onSwap func(*model.Scorer), onError func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-tick:
			if !ok {
				return
			}
		}
		before := l.Failures()
		swapped, err := l.Reload()
		if swapped && onSwap != nil {
			onSwap(l.Scorer())
		}
		if err != nil && l.Failures() > before && onError != nil {
			onError(err)
		}
	}
}
