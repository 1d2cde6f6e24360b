package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// TestMain registers the program itself: in scripts, and for every test that
// looks on PATH, churn is this test binary, which then is main.
func TestMain(m *testing.M) {
	testscript.Main(cleanup{m}, map[string]func(){"churn": main})
}

// cleanup removes the project that tests share.
type cleanup struct{ m *testing.M }

func (c cleanup) Run() int {
	defer func() { os.RemoveAll(sharedDir) }()
	return c.m.Run()
}

// TestScript runs the scripts of testdata/script. Beside the commands of
// testscript they have
//
//	exits CODE COMMAND...   run and check the exit code
//	jsonok FILE|stdout      one JSON value
//	ndjsonok FILE|stdout    one JSON value a line
//	arrowevents DIR FILE    the tables of a directory as an Arrow stream
//	samechecksum FILE MATRIX   of a line that tells it, and of a matrix
//	project DIR             a copy of the shared project; see sharedProject
//
// and the variables TESTDATA (that of the repository), V1 and V2 (versions in
// the shared project, of which V1 is the champion).
func TestScript(t *testing.T) {
	testdata, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TESTDATA", testdata)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "jsonok": jsonOK, "ndjsonok": ndjsonOK, "project": copyProject,
			"arrowevents": arrowEvents, "samechecksum": sameChecksum,
		},
		RequireUniqueNames: true,
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func jsonOK(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jsonok FILE|stdout")
	}
	if text := ts.ReadFile(args[0]); !json.Valid([]byte(text)) {
		ts.Fatalf("not one JSON value: %.500s", text)
	}
}

func ndjsonOK(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ndjsonok FILE|stdout")
	}
	text := ts.ReadFile(args[0])
	if text == "" {
		ts.Fatalf("no lines")
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("line %d is not JSON: %.500s", i+1, line)
		}
	}
}

func copyProject(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: project DIR")
	}
	p, err := sharedProject()
	ts.Check(err)
	ts.Check(os.CopyFS(ts.MkAbs(args[0]), os.DirFS(p.dir)))
	ts.Setenv("V1", p.v1)
	ts.Setenv("V2", p.v2)
}

// shared is a project with data and two versions of a model.
type shared struct {
	dir    string
	v1, v2 string
}

// copy copies the project for a test to change and returns its project file.
func (s *shared) copy(t *testing.T) (projectFile string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "churn.yaml")
}

var sharedDir string

// smallFeatures keep training short.
const smallFeatures = `version: 1
features:
- {name: "eng_n_{w}", from: engagement, agg: count, windows: [7d, 30d, 90d], family: engagement volume}
- {name: eng_rec, from: engagement, agg: recency, windows: [365d], family: silence, text: "no engagement for {value} days"}
- {name: cmp_n_90, from: complaints, agg: count, windows: [90d], family: complaints}
- {name: pay_rec, from: payments, agg: recency, windows: [365d], family: payment silence}
- {name: pay_fail_n_90, from: payments, agg: count, where: failed, windows: [90d], family: failed payment}
- {name: act_rec, expr: "least(eng_rec, pay_rec)", family: silence, unit: days}
`

// sharedProject makes, once, a simulated world of 200 customers, imports it and
// trains on it with two seeds. So small a world passes no gate: both versions
// are promoted by force, the second first.
var sharedProject = sync.OnceValues(func() (*shared, error) {
	dir, err := os.MkdirTemp("", "churn-project")
	if err != nil {
		return nil, err
	}
	sharedDir = dir
	project := filepath.Join(dir, "churn.yaml")
	if _, err := churn("simulate", "--out", dir, "--customers", "200"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "features.yaml"), []byte(smallFeatures), 0o644); err != nil {
		return nil, err
	}
	p := &shared{dir: dir}
	if err := edit(project, `features: ""`, "features: features.yaml", "replicates: 500", "replicates: 20"); err != nil {
		return nil, err
	}
	if _, err := churn("import", "--config", project); err != nil {
		return nil, err
	}
	if p.v2, err = p.train("seed: 1", "seed: 2"); err != nil {
		return nil, err
	}
	if p.v1, err = p.train("seed: 2", "seed: 1"); err != nil {
		return nil, err
	}
	if p.v1 == p.v2 {
		return nil, fmt.Errorf("both seeds gave %s", p.v1)
	}
	return p, nil
})

// train changes the project file, trains, promotes and returns the version.
func (s *shared) train(old, new string) (version string, err error) {
	project := filepath.Join(s.dir, "churn.yaml")
	if err := edit(project, old, new); err != nil {
		return "", err
	}
	out, err := churn("train", "--config", project, "--promote", "--force", "--reason", "a test", "--json")
	if err != nil {
		return "", err
	}
	var result struct {
		Version string `json:"version"`
	}
	err = json.Unmarshal(out, &result)
	return result.Version, err
}

// edit replaces texts in a file, those that are there.
func edit(path string, pairs ...string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := 0; i < len(pairs); i += 2 {
		b = bytes.ReplaceAll(b, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	return os.WriteFile(path, b, 0o644)
}

// churn runs the program in this process and returns what it prints.
func churn(args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	if code := run(context.Background(), args, strings.NewReader(""), &out, &errs); code != exitOK {
		return out.Bytes(), fmt.Errorf("churn %s: exit code %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.Bytes(), nil
}

// TestHelp checks what every command says of itself: a description, and an
// example whose commands and flags there are.
func TestHelp(t *testing.T) {
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" {
			return // cobra's own
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: no description or no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			fields := strings.Fields(line)
			if len(fields) < 2 || fields[0] != "churn" {
				t.Errorf("%s: example %q does not call churn", c.CommandPath(), line)
				continue
			}
			fresh := (&app{}).command()
			found, rest, err := fresh.Find(fields[1:])
			if err != nil || found == fresh {
				t.Errorf("%s: example %q: no such command", c.CommandPath(), line)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(a.command())
}
