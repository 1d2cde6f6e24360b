package registry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"churn/model"
)

// TestStack is the meaning of promoting and rolling back: +A promotes, - rolls
// back.
func TestStack(t *testing.T) {
	r, versions := open(t, 3)
	name := map[string]string{"": ""}
	for i, v := range versions {
		name[v] = string(rune('A' + i))
	}
	for _, c := range []struct{ steps, want string }{
		{"+A", "A"},
		{"-", "none"},
		{"+A -", "A none"},
		{"+A +B", "A B"},
		{"+A +B +C - - - -", "A B C B A none none"},
		{"+A +B +C - +C -", "A B C B C B"},
		{"+A +B +C - - +C -", "A B C B A C A"},
		{"+A +B - +B -", "A B A B A"},
		// Promoting what was there before is a promotion too: back is to B.
		{"+A +B +A - - -", "A B A B A none"},
		{"+A +A +A -", "A A A none"},
		{"+A +B +B -", "A B B A"},
		{"+A +B - - +A -", "A B A none A none"},
	} {
		t.Run(c.steps, func(t *testing.T) {
			if err := errors.Join(os.RemoveAll(filepath.Join(r.Dir(), "m", "promotions.ndjson")), os.RemoveAll(filepath.Join(r.Dir(), "m", "aliases.json"))); err != nil {
				t.Fatal(err)
			}
			var got []string
			done := 0
			for _, step := range strings.Fields(c.steps) {
				var p Promotion
				var err error
				from := champion(t, r)
				if step == "-" {
					p, err = r.Rollback("m", Champion, Change{At: day(4), Actor: "bob"})
				} else {
					p, err = r.Promote("m", Champion, versions[step[1]-'A'], Change{At: day(3), Actor: "ann", Reason: "better"})
				}
				if errors.Is(err, ErrNoPrevious) {
					got = append(got, "none")
					if p.Seq != 0 || champion(t, r) != from {
						t.Errorf("a refused rollback gave %+v and changed the alias", p)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				done++
				got = append(got, name[p.To])
				if p.Seq != done || p.From != from || champion(t, r) != p.To || p.Rollback != (step == "-") {
					t.Errorf("%s: %+v, alias from %s to %s", step, p, from, champion(t, r))
				}
				if p.Rollback && (p.Reason != "rollback" || p.Actor != "bob" || p.At != day(4) || p.Metrics["margin"] == 0) {
					t.Errorf("rollback %+v", p)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
			checkLog(t, r, done)
		})
	}
}

// TestStackOfAnyLog: a log that no program wrote is no reason to fail.
func TestStackOfAnyLog(t *testing.T) {
	back := Promotion{Alias: Champion, Rollback: true}
	if got := stack([]Promotion{back, {Alias: Champion, To: "a"}, back, back, {Alias: Champion, To: "b"}, {Alias: "x", To: "c"}}, Champion); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%v, want b", got)
	}
}

// TestAliasesApart: one alias does not move another, and one log numbers all.
func TestAliasesApart(t *testing.T) {
	r, versions := open(t, 2)
	promote(t, r, versions[0])
	if p, err := r.Promote("m", "challenger", versions[1], Change{}); err != nil || p.Seq != 2 || p.From != "" {
		t.Errorf("%+v, %v", p, err)
	}
	// An alias may say what to promote.
	if p, err := r.Promote("m", Champion, "challenger", Change{}); err != nil || p.Seq != 3 || p.From != versions[0] || p.To != versions[1] {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := r.Rollback("m", "challenger", Change{}); !errors.Is(err, ErrNoPrevious) {
		t.Error(err)
	}
	if p, err := r.Rollback("m", Champion, Change{Reason: "worse"}); err != nil || p.Seq != 4 || p.To != versions[0] || p.Reason != "worse" {
		t.Errorf("%+v, %v", p, err)
	}
	if v, err := r.Resolve("m", "challenger"); err != nil || v != versions[1] {
		t.Errorf("challenger is %s, %v", v, err)
	}
}

// TestRetire: +A promotes a challenger, - rolls back, x retires. A rollback
// does not reach across a retirement.
func TestRetire(t *testing.T) {
	r, versions := open(t, 2)
	name := map[string]string{"": "nobody", versions[0]: "A", versions[1]: "B"}
	promote(t, r, versions[0])
	challenger := func() string {
		v, err := r.Resolve("m", Challenger)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		return v
	}
	seq := 1
	for _, c := range []struct{ steps, want string }{
		{"x", "missing"},
		{"+A x x", "A nobody missing"},
		{"+A +B x", "A B nobody"},
		{"+A +B x -", "A B nobody none"},
		{"+A +B x +B - x", "A B nobody B none nobody"},
		{"+A x +A +B - - x", "A nobody A B A none nobody"},
	} {
		var got []string
		for _, step := range strings.Fields(c.steps) {
			var p Promotion
			var err error
			from := challenger()
			switch step {
			case "x":
				p, err = r.Retire("m", Challenger, Change{At: day(4), Actor: "bob"})
			case "-":
				p, err = r.Rollback("m", Challenger, Change{At: day(4), Actor: "bob"})
			default:
				p, err = r.Promote("m", Challenger, versions[step[1]-'A'], Change{At: day(3), Actor: "ann", Reason: "to measure"})
			}
			switch {
			case errors.Is(err, ErrNoPrevious):
				got = append(got, "none")
			case errors.Is(err, ErrNotFound):
				got = append(got, "missing")
			case err != nil:
				t.Fatal(err)
			default:
				seq++
				got = append(got, name[p.To])
				if p.Seq != seq || p.From != from || p.To != challenger() || p.Forced {
					t.Errorf("%s: %s: %+v, alias from %s to %s", c.steps, step, p, from, challenger())
				}
				if step == "x" && (p.Reason != "retired" || p.Actor != "bob" || p.At != day(4) || p.Rollback || p.Metrics != nil) {
					t.Errorf("retired %+v", p)
				}
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.steps, got, c.want)
		}
		if challenger() != "" { // for the next case
			if _, err := r.Retire("m", Challenger, Change{}); err != nil {
				t.Fatal(err)
			}
			seq++
		}
	}
	// The champion is another matter, and stays.
	for _, c := range []struct {
		name, alias string
		want        error
	}{{"m", Champion, ErrChampion}, {"m", "nobody", ErrNotFound}, {"gone", Challenger, ErrNotFound}} {
		if p, err := r.Retire(c.name, c.alias, Change{Reason: "x"}); !errors.Is(err, c.want) || p.Seq != 0 {
			t.Errorf("%s of %s: %+v, %v, want %v", c.alias, c.name, p, err, c.want)
		}
	}
	if _, err := r.Retire("m", "No alias", Change{}); err == nil || errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if log, err := r.Promotions("m"); err != nil || len(log) != seq || champion(t, r) != versions[0] {
		t.Errorf("%d entries, %v, champion %s", len(log), err, champion(t, r))
	}
}

// TestRetireCrash: the log was written and the alias not. Retiring again
// mends it.
func TestRetireCrash(t *testing.T) {
	r, versions := open(t, 1)
	if _, err := r.Promote("m", Challenger, versions[0], Change{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.Dir(), "m", "aliases.json")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		p, err := r.Retire("m", Challenger, Change{})
		if err != nil || p.Seq != i+2 || p.From != versions[0] {
			t.Errorf("%+v, %v", p, err)
		}
		if i == 0 {
			write(t, path, string(before))
		}
	}
	if v, err := r.Resolve("m", Challenger); !errors.Is(err, ErrNotFound) {
		t.Errorf("challenger is %s, %v", v, err)
	}
}

// TestGateOfChallengers: what is there to be measured needs no gate, and no
// force is logged; to answer, it needs one.
func TestGateOfChallengers(t *testing.T) {
	r, _ := open(t, 0)
	m := testModel(t, "m", 1)
	m.Manifest.Gate = model.Gate{Reasons: []string{"worse than the rule"}}
	version := put(t, r, m)
	if p, err := r.Promote("m", Challenger, version, Change{Reason: "to measure", Refused: "worse than the champion"}); err != nil || p.Forced || p.To != version {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := r.Promote("m", Champion, Challenger, Change{Reason: "it won"}); !errors.Is(err, ErrGate) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestGate(t *testing.T) {
	r, _ := open(t, 0)
	m := testModel(t, "m", 1)
	m.Manifest.Gate = model.Gate{Reasons: []string{"worse than the rule", "a leak"}}
	version := put(t, r, m)
	passed := put(t, r, testModel(t, "m", 2))
	for _, c := range []struct {
		name    string
		version string
		change  Change
		want    string // of the error
	}{
		{"not passed", version, Change{Reason: "please"}, "worse than the rule; a leak"},
		{"force without reason", version, Change{Force: true}, "needs a reason"},
		{"force with a blank reason", version, Change{Force: true, Reason: " \n\t"}, "needs a reason"},
		{"force without reason, passed", passed, Change{Force: true}, "needs a reason"},
	} {
		p, err := r.Promote("m", Champion, c.version, c.change)
		if !errors.Is(err, ErrGate) || !strings.Contains(err.Error(), c.want) || p.Seq != 0 {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
	}
	if champion(t, r) != "" {
		t.Error("a refused model is in use")
	}
	p, err := r.Promote("m", Champion, version, Change{At: day(5), Actor: "ann", Reason: "no other", Force: true})
	if err != nil || !p.Forced || p.Reason != "no other" {
		t.Errorf("forced: %+v, %v", p, err)
	}
	// Forcing what passed is no exception and is not logged as one.
	if p, err := r.Promote("m", Champion, passed, Change{Reason: "sure", Force: true}); err != nil || p.Forced {
		t.Errorf("%+v, %v", p, err)
	}
	// Nor may one that is worse than the champion, but by force.
	worse := put(t, r, testModel(t, "m", 3))
	beside := Change{Reason: "please", Compared: "log loss +0.1", Refused: "worse than the champion"}
	if p, err := r.Promote("m", Champion, worse, beside); !errors.Is(err, ErrGate) || !strings.HasSuffix(err.Error(), ": worse than the champion") {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := r.Promote("m", Champion, version, beside); err == nil || !strings.HasSuffix(err.Error(), "a leak; worse than the champion") {
		t.Error(err)
	}
	beside.Force = true
	if p, err := r.Promote("m", Champion, worse, beside); err != nil || !p.Forced || p.Compared != "log loss +0.1" {
		t.Errorf("%+v, %v", p, err)
	}
	log := checkLog(t, r, 3)
	want := Promotion{Seq: 1, At: day(5), Actor: "ann", Alias: Champion, Name: "m", To: version, Reason: "no other", Forced: true,
		Metrics: map[string]float64{"margin": 1}}
	if !reflect.DeepEqual(log[0], want) {
		t.Errorf("%+v, want %+v", log[0], want)
	}
}

// TestPromoteTests: what does not load, or fails its own test, is not
// promoted, and not gone back to.
func TestPromoteTests(t *testing.T) {
	r, versions := open(t, 2)
	float := func(v float32) *float32 { return &v }
	bad := testModel(t, "m", 9)
	bad.Golden = []model.GoldenRow{{Values: []*float32{float(1)}, Margin: 8, Probability: 0.5}}
	wrong := put(t, r, bad) // well-formed, but not what it promises
	for version, want := range map[string]error{
		wrong: model.ErrFormat, "20260501-000000000000": ErrNotFound, "challenger": ErrNotFound,
	} {
		if _, err := r.Promote("m", Champion, version, Change{Force: true, Reason: "x"}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", version, err, want)
		}
	}
	if _, err := r.Promote("gone", Champion, versions[0], Change{}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := r.Rollback("gone", Champion, Change{}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	promote(t, r, versions[0])
	promote(t, r, versions[1])
	write(t, filepath.Join(r.Dir(), "m", versions[0]+".churn"), "damaged")
	if _, err := r.Rollback("m", Champion, Change{}); !errors.Is(err, model.ErrFormat) {
		t.Error(err)
	}
	if champion(t, r) != versions[1] {
		t.Error("the alias moved to a damaged model")
	}
	checkLog(t, r, 2)
}

// TestLog: entries are only ever added; a last line that a crash cut short is
// none; a line that was damaged is an error with its number.
func TestLog(t *testing.T) {
	r, versions := open(t, 2)
	if log, err := r.Promotions("m"); log != nil || err != nil {
		t.Errorf("%v, %v", log, err)
	}
	path := filepath.Join(r.Dir(), "m", "promotions.ndjson")
	text := func() string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	nasty := "line\nbreak \"quoted\" \u2028 ü"
	before := ""
	for i := range 4 {
		if _, err := r.Promote("m", Champion, versions[i%2], Change{At: day(i + 1), Actor: "ann", Reason: nasty}); err != nil {
			t.Fatal(err)
		}
		after := text()
		if !strings.HasPrefix(after, before) || strings.Count(after, "\n") != i+1 {
			t.Errorf("the log was %q, now %q", before, after)
		}
		before = after
	}
	if log := checkLog(t, r, 4); log[3].Reason != nasty || log[3].At != day(4) {
		t.Errorf("%+v", log[3])
	}
	lines := strings.SplitAfter(before, "\n")
	last := lines[3]
	for i := range len(last) { // cut short at every byte
		write(t, path, strings.TrimSuffix(before, last)+last[:i])
		if log, err := r.Promotions("m"); err != nil || len(log) != 3 {
			t.Fatalf("cut %d bytes into the last line: %d entries, %v", i, len(log), err)
		}
	}
	if p := promote(t, r, versions[0]); p.Seq != 4 {
		t.Errorf("after a line cut short: %+v", p)
	}
	if got := text(); !strings.HasPrefix(got, strings.TrimSuffix(before, last)) || strings.Count(got, "\n") != 4 {
		t.Errorf("the log is %q", got)
	}

	write(t, path, lines[0]+"damaged\n"+lines[2])
	if _, err := r.Promotions("m"); err == nil || !strings.Contains(err.Error(), "promotions.ndjson:2:") {
		t.Error(err)
	}
	if _, err := r.Promote("m", Champion, versions[1], Change{}); err == nil {
		t.Error("promoted with a damaged log")
	}
	if text() != lines[0]+"damaged\n"+lines[2] {
		t.Error("a damaged log was written over")
	}
	// A later release may note more.
	write(t, path, strings.Replace(lines[0], "{", `{"new":[1],`, 1))
	checkLog(t, r, -1)
}

// TestLongReasons: what is accepted can be read again.
func TestLongReasons(t *testing.T) {
	r, versions := open(t, 2)
	long := strings.Repeat("\x01", maxReason) // six bytes each in JSON
	if _, err := r.Promote("m", Champion, versions[0], Change{Reason: long, Actor: long}); err != nil {
		t.Error(err)
	}
	for _, c := range []Change{{Reason: long + "x"}, {Actor: long + "x"}} {
		if _, err := r.Promote("m", Champion, versions[1], c); err == nil {
			t.Error("promoted with an endless reason or actor")
		}
		if _, err := r.Rollback("m", Champion, c); err == nil || errors.Is(err, ErrNoPrevious) {
			t.Error("rolled back with an endless reason or actor")
		}
	}
	if _, err := r.Promote("m", Champion, versions[1], Change{Reason: "\xff"}); err == nil {
		t.Error("promoted with a reason that JSON cannot hold")
	}
	promote(t, r, versions[1])
	checkLog(t, r, 2)
}

// TestCrashBeforeAlias: the log was written and the alias not. The old version
// stays in use, and the next change mends it.
func TestCrashBeforeAlias(t *testing.T) {
	r, versions := open(t, 3)
	promote(t, r, versions[0])
	path := filepath.Join(r.Dir(), "m", "aliases.json")
	aliases, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	promote(t, r, versions[1])
	write(t, path, string(aliases))
	if champion(t, r) != versions[0] {
		t.Fatal("the test did not take the alias back")
	}
	if p := promote(t, r, versions[2]); p.Seq != 3 || p.From != versions[0] {
		t.Errorf("%+v", p)
	}
	if champion(t, r) != versions[2] {
		t.Error("not mended")
	}
}

// TestRacingGoroutines and TestRacingProcesses: no entry is lost, numbers have
// no gaps, and each entry begins where the one before ended.
func TestRacingGoroutines(t *testing.T) {
	r, versions := open(t, 4)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 5 {
				if _, err := r.Promote("m", Champion, versions[(g+i)%4], Change{Actor: fmt.Sprint(g)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	by := map[string]int{}
	for _, p := range checkLog(t, r, 40) {
		by[p.Actor]++
	}
	for g := range 8 {
		if n := by[fmt.Sprint(g)]; n != 5 {
			t.Errorf("goroutine %d has %d entries, want 5", g, n)
		}
	}
}

func TestRacingProcesses(t *testing.T) {
	r, versions := open(t, 3)
	const each = 30
	children := []interface{ Wait() error }{child(t, each, r, versions...), child(t, each, r, versions[2], versions[0])}
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	by := map[string]int{}
	for _, p := range checkLog(t, r, 2*each) {
		by[p.Actor]++
	}
	if len(by) != 2 {
		t.Errorf("entries by process: %v, want %d of each", by, each)
	}
	if left, err := filepath.Glob(filepath.Join(r.Dir(), "m", ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("temporary files %v, %v", left, err)
	}
}

// TestKilled: a process that is killed while it promotes leaves a registry
// that is whole.
func TestKilled(t *testing.T) {
	r, versions := open(t, 2)
	random := rand.New(rand.NewPCG(1, 2))
	entries := 0
	for range 10 {
		c := child(t, -1, r, versions...)
		for start := time.Now(); time.Since(start) < 10*time.Second; { // it has begun
			if log, err := r.Promotions("m"); err != nil || len(log) > entries {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}
		log := checkLogAfterKill(t, r)
		if len(log) <= entries {
			t.Errorf("%d entries, %d before", len(log), entries)
		}
		entries = len(log)
		if v := champion(t, r); !slices.Contains(versions, v) {
			t.Errorf("champion is %q", v)
		}
		if _, err := r.Get("m", Champion); err != nil {
			t.Error(err)
		}
	}
	p := promote(t, r, versions[0])
	if p.Seq != entries+1 || champion(t, r) != versions[0] {
		t.Errorf("%+v after %d entries", p, entries)
	}
}

// checkLogAfterKill: an entry whose alias was not written any more begins the
// next one where it began itself.
func checkLogAfterKill(t *testing.T, r *Registry) []Promotion {
	t.Helper()
	log, err := r.Promotions("m")
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range log {
		if p.Seq != i+1 {
			t.Errorf("entry %d has number %d", i+1, p.Seq)
		}
		if i > 0 && p.From != log[i-1].To && p.From != log[i-1].From {
			t.Errorf("entry %d begins at %s, after %+v", i+1, p.From, log[i-1])
		}
	}
	return log
}
