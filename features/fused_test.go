package features

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The compiler may fuse a product and a sum into one operation, which rounds
// once instead of twice, where the machine has such instructions: a row would
// depend on the machine. Formulas here have no such pair, or a conversion
// between the two; that none has been forgotten shows in what the compiler
// makes for such machines.
func TestNothingFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the package for other machines")
	}
	// Reading the sources ties go test's cache to them, not only to what they
	// compile to for this machine.
	sources, err := filepath.Glob("*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources", err)
	}
	for _, path := range sources {
		if _, err := fs.ReadFile(os.DirFS("."), path); err != nil {
			t.Fatal(err)
		}
	}

	fused := regexp.MustCompile(`(?m)^.*\tV?FN?M(ADD|SUB)[0-9]*S?[SD]\t.*$`)
	for _, machine := range [][]string{
		{"GOARCH=arm64"},
		{"GOARCH=amd64", "GOAMD64=v3"},
	} {
		build := exec.Command("go", "build", "-gcflags=-S", ".")
		build.Env = append(append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0"), machine...)
		assembly, err := build.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%.1000s", machine, err, assembly)
		}
		if !regexp.MustCompile(`series\.go.*\tF?MULS?D`).Match(assembly) {
			t.Errorf("%v: no products found in the compiler's output, which has %d bytes", machine, len(assembly))
		}
		for _, line := range fused.FindAllString(string(assembly), -1) {
			t.Errorf("%v: %s", machine, line)
		}
	}
}
