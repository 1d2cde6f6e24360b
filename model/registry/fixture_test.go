package registry

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"churn/event"
	"churn/features"
	"churn/model"
)

// testModel has one feature, and gives every row the same margin, by which
// versions are told apart.
func testModel(t testing.TB, name string, margin float64) *model.Model {
	t.Helper()
	set, err := features.Parse([]byte("version: 1\ncolumns:\n- {name: x, type: number}\n"))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return &model.Model{
		Manifest: model.Manifest{Name: name, Kind: "test", Through: day(1), FeatureFingerprint: engine.Fingerprint(),
			Definition: model.Definition{Kind: "label", Label: "y=1"}, Weights: model.Weights{Linear: 1},
			Metrics: map[string]float64{"margin": margin}, Gate: model.Gate{Passed: true}},
		Features:    set,
		Linear:      &model.Linear{Intercept: margin},
		Calibration: model.Calibration{Kind: "platt", Slope: 1},
		Reference:   model.NewReference(&features.Matrix{Features: engine.Features()}, nil, nil),
	}
}

// day is midnight of a day in May 2026.
func day(n int) event.Time {
	return event.FromTime(time.Date(2026, 5, n, 0, 0, 0, 0, time.UTC))
}

// open makes a registry with models of margins 1, 2, …, and returns their
// versions.
func open(t testing.TB, models int) (*Registry, []string) {
	t.Helper()
	r, err := Open(filepath.Join(t.TempDir(), "models"))
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for i := range models {
		versions = append(versions, put(t, r, testModel(t, "m", float64(i+1))))
	}
	return r, versions
}

func put(t testing.TB, r *Registry, m *model.Model) (version string) {
	t.Helper()
	path, err := r.Put(m)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(r.Dir(), m.Manifest.Name, m.Manifest.Version+".churn"); path != want {
		t.Fatalf("stored as %s, want %s", path, want)
	}
	return m.Manifest.Version
}

func promote(t testing.TB, r *Registry, version string) Promotion {
	t.Helper()
	p, err := r.Promote("m", Champion, version, Change{At: day(2), Actor: "ann", Reason: "better"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// champion returns the version that is in use, or none.
func champion(t testing.TB, r *Registry) string {
	t.Helper()
	v, err := r.Resolve("m", Champion)
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	return v
}

// tree lists the files of a registry with their content, without locks.
func tree(t testing.TB, r *Registry) string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(r.Dir(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".lock" {
			return err
		}
		b, err := os.ReadFile(path)
		files = append(files, fmt.Sprintf("%s %q", path, b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(files, "\n")
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkLog verifies that the log has n entries, numbered without gaps, each of
// which begins where the one before ended, and that the alias is at its end.
func checkLog(t testing.TB, r *Registry, n int) []Promotion {
	t.Helper()
	log, err := r.Promotions("m")
	if err != nil {
		t.Fatal(err)
	}
	if n >= 0 && len(log) != n {
		t.Errorf("%d entries in the log, want %d", len(log), n)
	}
	from := ""
	for i, p := range log {
		if p.Seq != i+1 || p.From != from {
			t.Errorf("entry %d: %+v, want it to begin at %q", i+1, p, from)
		}
		from = p.To
	}
	if v := champion(t, r); n >= 0 && v != from {
		t.Errorf("the alias is at %s, the log ends at %s", v, from)
	}
	return log
}

// childVariable makes the test binary a process that promotes the versions
// given to it, over and over, instead of running tests.
const childVariable = "CHURN_REGISTRY_TEST_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childVariable); args != "" {
		words := strings.Split(args, " ")
		r, err := Open(words[1])
		for i := 0; err == nil && fmt.Sprint(i) != words[0]; i++ {
			_, err = r.Promote("m", Champion, words[2+i%len(words[2:])], Change{At: day(3), Actor: fmt.Sprint(os.Getpid())})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child starts a process that makes a number of promotions, or goes on for
// ever if that is negative.
func child(t testing.TB, promotions int, r *Registry, versions ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	words := slices.Concat([]string{fmt.Sprint(promotions), r.Dir()}, versions)
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(words, " "))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}
