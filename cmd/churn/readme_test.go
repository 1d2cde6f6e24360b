package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notRun marks a block of README.md that .ci/run runs itself.
const notRun = "<!-- not run: .ci/run does it -->"

// TestReadme runs the shell commands of README.md in order, in a copy of what
// they need, with the program freshly built as bin/churn.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models")
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "churn"), ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	testdata, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(testdata, filepath.Join(dir, "testdata")); err != nil {
		t.Fatal(err)
	}
	// Blocks share one shell, so that a server started in one answers the next;
	// it ends with the shell.
	script := "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
	blocks, skipped := 0, 0
	parts := strings.Split(string(text), "```sh\n")
	for i, part := range parts[1:] {
		if strings.HasSuffix(strings.TrimSpace(parts[i]), notRun) {
			skipped++
			if command, _, _ := strings.Cut(part, "\n"); !slices.Contains([]string{"make run", "make test"}, command) {
				t.Errorf("README.md has %q not run, which .ci/run does not run either", command)
			}
			continue
		}
		block, _, ok := strings.Cut(part, "```")
		if !ok {
			t.Fatal("a block of README.md does not end")
		}
		blocks++
		script += block
	}
	if blocks < 5 || skipped != 2 {
		t.Fatalf("%d blocks to run and %d not; did the README change its form?", blocks, skipped)
	}
	// Another port than the README's, which may be in use.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	script = strings.ReplaceAll(script, "127.0.0.1:8099", l.Addr().String())
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"churn_probability", `"stored"`, "decision_id", "churn_model_loaded 1", "customer_id,churn_probability", "wrote own/churn.yaml"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the commands of README.md did not print %s", want)
		}
	}
	if bytes.Contains(out, []byte(`"status":4`)) || bytes.Contains(out, []byte(`"status":5`)) {
		t.Error("a request of README.md was refused")
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

var link = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)

// TestLinks looks for the files that the documents name.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md", "../../ARCHITECTURE.md", "../../CHANGELOG.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
