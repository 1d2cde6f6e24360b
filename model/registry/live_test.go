package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"churn/model"
)

// margin scores the only feature there is.
func margin(s *model.Scorer) float64 { return s.Score([]float32{0}, nil).Margin }

// state checks a live model: which margin it gives (0 for no model), how many
// swaps and failures there were, and its last error.
func state(t testing.TB, l *Live, want float64, reloads, failures int64, err error) {
	t.Helper()
	got := 0.0
	if s := l.Scorer(); s != nil {
		got = margin(s)
	}
	if got != want || l.Reloads() != reloads || l.Failures() != failures || !errors.Is(l.Err(), err) || (err == nil) != (l.Err() == nil) {
		t.Errorf("margin %v, %d reloads, %d failures, %v; want margin %v, %d, %d, %v", got, l.Reloads(), l.Failures(), l.Err(), want, reloads, failures, err)
	}
}

func reload(t testing.TB, l *Live, swapped bool, want error) {
	t.Helper()
	if got, err := l.Reload(); got != swapped || !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Errorf("swapped %v, %v; want %v, %v", got, err, swapped, want)
	}
}

func TestLive(t *testing.T) {
	r, versions := open(t, 2)
	l := NewLive(r, "m", Champion)
	if l.Name() != "m" {
		t.Errorf("name %s", l.Name())
	}
	state(t, l, 0, 0, 0, nil)
	reload(t, l, false, ErrNotFound) // nothing was promoted
	state(t, l, 0, 0, 1, ErrNotFound)

	promote(t, r, versions[0])
	reload(t, l, true, nil)
	state(t, l, 1, 1, 1, nil)
	first := l.Scorer()
	reload(t, l, false, nil)
	if l.Scorer() != first {
		t.Error("the same version was loaded again")
	}

	promote(t, r, versions[1])
	state(t, l, 1, 1, 1, nil) // not before it reloads
	reload(t, l, true, nil)
	state(t, l, 2, 2, 1, nil)
	if margin(first) != 1 {
		t.Error("who holds the old scorer got another one")
	}

	if _, err := r.Rollback("m", Champion, Change{}); err != nil {
		t.Fatal(err)
	}
	reload(t, l, true, nil)
	state(t, l, 1, 3, 1, nil)

	// Another alias is another matter.
	if _, err := r.Promote("m", "challenger", versions[1], Change{}); err != nil {
		t.Fatal(err)
	}
	reload(t, l, false, nil)
	challenger := NewLive(r, "m", "challenger")
	reload(t, challenger, true, nil)
	state(t, challenger, 2, 1, 0, nil)
}

// TestLiveKeeps: whatever is wrong with the candidate, the current scorer goes
// on, and one problem is counted once.
func TestLiveKeeps(t *testing.T) {
	r, versions := open(t, 3)
	promote(t, r, versions[0])
	l := NewLive(r, "m", Champion)
	reload(t, l, true, nil)

	promote(t, r, versions[1])
	path := filepath.Join(r.Dir(), "m", versions[1]+".churn")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(good[:len(good)-1]))
	for range 5 {
		reload(t, l, false, model.ErrFormat)
		state(t, l, 1, 1, 1, model.ErrFormat)
	}
	if err := os.Remove(path); err != nil { // another problem
		t.Fatal(err)
	}
	for range 3 {
		reload(t, l, false, ErrNotFound)
		state(t, l, 1, 1, 2, ErrNotFound)
	}
	aliases := filepath.Join(r.Dir(), "m", "aliases.json")
	pointing, err := os.ReadFile(aliases)
	if err != nil {
		t.Fatal(err)
	}
	write(t, aliases, "damaged")
	if swapped, err := l.Reload(); swapped || err == nil {
		t.Errorf("swapped %v, %v", swapped, err)
	}
	if l.Failures() != 3 || margin(l.Scorer()) != 1 {
		t.Errorf("%d failures", l.Failures())
	}
	write(t, aliases, string(pointing))

	write(t, path, string(good)) // mended
	reload(t, l, true, nil)
	state(t, l, 2, 2, 3, nil)

	// Bad again, and then taken back: no problem is left.
	promote(t, r, versions[2])
	write(t, filepath.Join(r.Dir(), "m", versions[2]+".churn"), "")
	reload(t, l, false, model.ErrFormat)
	if _, err := r.Rollback("m", Champion, Change{}); err != nil {
		t.Fatal(err)
	}
	reload(t, l, false, nil)
	state(t, l, 2, 2, 4, nil)
}

// TestLiveOptional: every alias but the champion may point nowhere, which is no
// problem; what is damaged is one.
func TestLiveOptional(t *testing.T) {
	r, versions := open(t, 2)
	l := NewLive(r, "m", Challenger)
	reload(t, l, false, nil)
	state(t, l, 0, 0, 0, nil)
	reload(t, NewLive(r, "gone", Challenger), false, nil)
	for i, v := range versions {
		if _, err := r.Promote("m", Challenger, v, Change{}); err != nil {
			t.Fatal(err)
		}
		reload(t, l, true, nil)
		state(t, l, float64(i+1), int64(i+1), 0, nil)
	}
	// Damaged is not retired.
	aliases := filepath.Join(r.Dir(), "m", "aliases.json")
	write(t, aliases, "damaged")
	if swapped, err := l.Reload(); swapped || err == nil || l.Failures() != 1 || margin(l.Scorer()) != 2 {
		t.Errorf("swapped %v, %v, %d failures", swapped, err, l.Failures())
	}
	write(t, aliases, `{"challenger":"`+versions[0]+`"}`)
	path := filepath.Join(r.Dir(), "m", versions[0]+".churn")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	reload(t, l, false, ErrNotFound)
	state(t, l, 2, 2, 2, ErrNotFound)

	if _, err := r.Retire("m", Challenger, Change{}); err != nil {
		t.Fatal(err)
	}
	reload(t, l, true, nil)
	state(t, l, 0, 2, 2, nil)
	reload(t, l, false, nil)
}

// TestLiveCandidates: whatever was done to the candidate's file, the current
// model goes on, the problem is counted once, and the file mended is taken.
func TestLiveCandidates(t *testing.T) {
	r, versions := open(t, 2)
	promote(t, r, versions[0])
	l := NewLive(r, "m", Champion)
	reload(t, l, true, nil)
	promote(t, r, versions[1])
	path := filepath.Join(r.Dir(), "m", versions[1]+".churn")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	other, err := os.ReadFile(filepath.Join(r.Dir(), "m", versions[0]+".churn"))
	if err != nil {
		t.Fatal(err)
	}
	failures := int64(0)
	refused := func(what string) {
		t.Helper()
		failures++ // what was wrong before was mended in between
		for range 2 {
			if swapped, err := l.Reload(); swapped || !errors.Is(err, model.ErrFormat) {
				t.Fatalf("%s: swapped %v, %v", what, swapped, err)
			}
		}
		state(t, l, 1, 1, failures, model.ErrFormat)
		l.lastErr.Store(nil)
	}
	for n := 0; n < len(good); n += 97 {
		write(t, path, good[:n])
		refused(fmt.Sprint("cut to ", n, " bytes"))
	}
	for i := range len(good) {
		flipped := []byte(good)
		flipped[i] ^= 1 << (i % 8)
		write(t, path, string(flipped))
		refused(fmt.Sprint("a bit of byte ", i, " flipped"))
	}
	write(t, path, string(other))
	refused("another version's file")

	// Whole, but with features that are not those it was trained on.
	m := testModel(t, "m", 3)
	m.Manifest.FeatureFingerprint = strings.Repeat("0", 64)
	wrong := put(t, r, m)
	aliases := filepath.Join(r.Dir(), "m", "aliases.json")
	pointing, err := os.ReadFile(aliases)
	if err != nil {
		t.Fatal(err)
	}
	write(t, aliases, `{"champion":"`+wrong+`"}`)
	refused("wrong fingerprint")
	write(t, aliases, string(pointing))

	write(t, path, good)
	reload(t, l, true, nil)
	state(t, l, 2, 2, failures, nil)
}

// TestLoadPrevious: a start at which the current file is damaged.
func TestLoadPrevious(t *testing.T) {
	r, versions := open(t, 3)
	if v, err := NewLive(r, "m", Champion).LoadPrevious(); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing was promoted: %s, %v", v, err)
	}
	for _, v := range versions {
		promote(t, r, v)
	}
	damage := func(version string) {
		t.Helper()
		write(t, filepath.Join(r.Dir(), "m", version+".churn"), "damaged")
	}
	damage(versions[2])
	l := NewLive(r, "m", Champion)
	reload(t, l, false, model.ErrFormat)
	if v, err := l.LoadPrevious(); err != nil || v != versions[1] {
		t.Errorf("%s, %v, want %s", v, err, versions[1])
	}
	state(t, l, 2, 0, 1, model.ErrFormat) // still known to be wrong
	reload(t, l, false, model.ErrFormat)
	state(t, l, 2, 0, 1, model.ErrFormat)

	damage(versions[1])
	if v, err := NewLive(r, "m", Champion).LoadPrevious(); err != nil || v != versions[0] {
		t.Errorf("%s, %v, want %s", v, err, versions[0])
	}
	damage(versions[0])
	if v, err := l.LoadPrevious(); !errors.Is(err, ErrNotFound) {
		t.Errorf("%s, %v", v, err)
	}
	state(t, l, 2, 0, 1, model.ErrFormat) // what is loaded stays
	write(t, filepath.Join(r.Dir(), "m", "promotions.ndjson"), "damaged\n")
	if v, err := l.LoadPrevious(); err == nil {
		t.Errorf("%s from a damaged log", v)
	}

	put(t, r, testModel(t, "m", 3)) // mended
	reload(t, l, true, nil)
	state(t, l, 3, 1, 1, nil)
}

// TestSwapUnderLoad: during 100 swaps every answer is of exactly one version.
func TestSwapUnderLoad(t *testing.T) {
	r, versions := open(t, 2)
	want := map[string]float64{versions[0]: 1, versions[1]: 2}
	promote(t, r, versions[0])
	l := NewLive(r, "m", Champion)
	reload(t, l, true, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			phi := make([]float64, 1)
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := l.Scorer()
				got := s.Score([]float32{1}, phi)
				if got.Margin != want[s.Manifest().Version] || got.BaseMargin != got.Margin {
					t.Errorf("version %s: %+v", s.Manifest().Version, got)
					return
				}
			}
		})
	}
	wg.Go(func() { // someone else asks for a reload at the same time
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := l.Reload(); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 100 {
		promote(t, r, versions[(i+1)%2])
		if _, err := l.Reload(); err != nil {
			t.Error(err)
		}
		if v := l.Scorer().Manifest().Version; v != versions[(i+1)%2] {
			t.Errorf("after swap %d: %s", i, v)
		}
	}
	close(stop)
	wg.Wait()
	state(t, l, 1, 101, 0, nil)
	checkLog(t, r, 101)
}

func TestFollow(t *testing.T) {
	r, versions := open(t, 2)
	promote(t, r, versions[0])
	l := NewLive(r, "m", Champion)
	ctx, cancel := context.WithCancel(t.Context())
	tick := make(chan time.Time)
	swaps, problems := make(chan float64, 10), make(chan error, 10)
	done := make(chan struct{})
	go func() {
		l.Follow(ctx, tick, func(s *model.Scorer) { swaps <- margin(s) }, func(err error) { problems <- err })
		close(done)
	}()
	// A tick is taken only when the one before was dealt with.
	ticks := func(n int) {
		for range n {
			tick <- time.Time{}
		}
	}
	expect := func(what string, wantSwaps, wantProblems int) {
		t.Helper()
		if len(swaps) != wantSwaps || len(problems) != wantProblems {
			t.Errorf("%s: %d swaps and %d problems told, want %d and %d", what, len(swaps), len(problems), wantSwaps, wantProblems)
		}
		for len(swaps) > 0 {
			<-swaps
		}
		for len(problems) > 0 {
			<-problems
		}
	}
	if l.Scorer() != nil {
		t.Error("loaded before the first tick")
	}
	ticks(3)
	expect("first load", 1, 0)
	promote(t, r, versions[1])
	path := filepath.Join(r.Dir(), "m", versions[1]+".churn")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "damaged")
	ticks(5)
	expect("damaged", 0, 1)
	write(t, path, string(good))
	ticks(3)
	expect("mended", 1, 0)
	if margin(l.Scorer()) != 2 {
		t.Error("follows another version")
	}
	cancel()
	<-done

	// A retirement is told as a swap to nothing.
	if _, err := r.Promote("m", Challenger, versions[0], Change{}); err != nil {
		t.Fatal(err)
	}
	retired := make(chan time.Time)
	var told []*model.Scorer
	end := make(chan struct{})
	go func() {
		defer close(end)
		NewLive(r, "m", Challenger).Follow(t.Context(), retired, func(s *model.Scorer) { told = append(told, s) }, nil)
	}()
	retired <- time.Time{}
	retired <- time.Time{} // taken when the first was dealt with
	if _, err := r.Retire("m", Challenger, Change{}); err != nil {
		t.Fatal(err)
	}
	retired <- time.Time{}
	close(retired)
	<-end
	if len(told) != 2 || margin(told[0]) != 1 || told[1] != nil {
		t.Errorf("told of %v", told)
	}

	// Nobody needs to listen, and the end of the ticks is an end.
	closed := make(chan time.Time, 2)
	closed <- time.Time{}
	close(closed)
	NewLive(r, "m", "nobody").Follow(t.Context(), closed, nil, nil)
	other := NewLive(r, "m", Champion)
	again := make(chan time.Time, 2)
	again <- time.Time{}
	close(again)
	other.Follow(t.Context(), again, nil, nil)
	state(t, other, 2, 1, 0, nil)
}

// BenchmarkReload is what following costs when nothing changed.
func BenchmarkReload(b *testing.B) {
	r, versions := open(b, 1)
	promote(b, r, versions[0])
	l := NewLive(r, "m", Champion)
	for b.Loop() {
		if _, err := l.Reload(); err != nil {
			b.Fatal(err)
		}
	}
}
