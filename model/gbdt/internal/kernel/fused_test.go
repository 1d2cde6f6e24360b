package kernel

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The compiler may fuse a product and a sum into one operation, which rounds
// once instead of twice, where the machine has such instructions. The code of
// this package forbids it by conversions; that none has been forgotten shows
// in what the compiler makes for such machines.
func TestNothingFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the package for other machines")
	}
	// Reading the sources ties go test's cache to them, not only to what they
	// compile to for this machine.
	if err := fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			_, err = os.ReadFile(path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
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
		if !regexp.MustCompile(`gradient\.go.*\tV?F?MULS`).Match(assembly) {
			t.Errorf("%v: no products found in the compiler's output, which has %d bytes", machine, len(assembly))
		}
		for _, line := range fused.FindAllString(string(assembly), -1) {
			t.Errorf("%v: %s", machine, line)
		}
	}
}
