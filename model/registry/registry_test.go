package registry

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"churn/model"
)

func TestPut(t *testing.T) {
	r, versions := open(t, 2)
	before := tree(t, r)
	if again := put(t, r, testModel(t, "m", 1)); again != versions[0] {
		t.Errorf("stored again as %s, before %s", again, versions[0])
	}
	if after := tree(t, r); after != before {
		t.Errorf("storing the same model again changed the registry:\n%s\nbefore\n%s", after, before)
	}
	m, err := r.Get("m", versions[1])
	if err != nil || m.Linear.Intercept != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	info, err := os.Stat(filepath.Join(r.Dir(), "m", versions[0]+".churn"))
	if err != nil || info.Mode().Perm()&0o444 == 0 {
		t.Errorf("%v, %v: others cannot read it", info.Mode(), err)
	}
}

// TestPutHeals: a stored file that is damaged is replaced by a good one.
func TestPutHeals(t *testing.T) {
	r, versions := open(t, 1)
	path := filepath.Join(r.Dir(), "m", versions[0]+".churn")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := testModel(t, "m", 9)
	var b bytes.Buffer
	if err := model.Write(&b, other); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]string{"empty": "", "cut": string(good[:100]), "another model": b.String()} {
		write(t, path, damage)
		if _, err := r.Get("m", versions[0]); !errors.Is(err, model.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
		put(t, r, testModel(t, "m", 1))
		if _, err := r.Get("m", versions[0]); err != nil {
			t.Errorf("%s, after storing again: %v", name, err)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	r, _ := open(t, 0)
	for _, name := range []string{"", "..", "../x", "a/b", "a\x00", "A"} {
		m := testModel(t, name, 1)
		if path, err := r.Put(m); err == nil {
			t.Errorf("name %q: stored as %s", name, path)
		}
	}
	if files := tree(t, r); files != "" {
		t.Errorf("files were left: %s", files)
	}
	if _, err := Open("/dev/null/x"); err == nil {
		t.Error("opened a directory in a file")
	}
}

// TestCrash: what a crash leaves between the temporary file and the renaming
// is the old state, and is not in the way of the next change.
func TestCrash(t *testing.T) {
	r, versions := open(t, 2)
	promote(t, r, versions[0])
	for i, half := range []string{"", `{"champion":"`, "PK\x03\x04"} {
		write(t, filepath.Join(r.Dir(), "m", ".tmp-"+string(rune('0'+i))), half)
	}
	write(t, filepath.Join(r.Dir(), "m", ".tmp-9.churn"), "half a model")
	if v := champion(t, r); v != versions[0] {
		t.Errorf("champion is %s, want %s", v, versions[0])
	}
	entries, err := r.List()
	if len(entries) != 2 || err == nil || !strings.Contains(err.Error(), ".tmp-9.churn") {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	put(t, r, testModel(t, "m", 3))
	promote(t, r, versions[1])
	checkLog(t, r, 2)
	left, err := filepath.Glob(filepath.Join(r.Dir(), "m", ".tmp-*"))
	if err != nil || len(left) != 4 {
		t.Errorf("temporary files %v, want only those that the crash left", left)
	}
}

// TestFailedWrite leaves nothing behind.
func TestFailedWrite(t *testing.T) {
	r, versions := open(t, 1)
	// A directory cannot be replaced by a file.
	if err := os.MkdirAll(filepath.Join(r.Dir(), "m", "aliases.json", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Promote("m", Champion, versions[0], Change{}); err == nil {
		t.Error("promoted over a directory")
	}
	root, err := os.OpenRoot(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := writeFile(root, "m/aliases.json", []byte("{}")); err == nil {
		t.Error("wrote over a directory")
	}
	if err := writeFile(root, "gone/aliases.json", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("wrote into a directory that is not there: %v", err)
	}
	if files := tree(t, r); strings.Contains(files, ".tmp") {
		t.Errorf("temporary files were left: %s", files)
	}
}

func TestGet(t *testing.T) {
	r, versions := open(t, 2)
	promote(t, r, versions[1])
	other := put(t, r, testModel(t, "other", 7))
	for _, c := range []struct {
		name, version string
		want          error
	}{
		{"m", versions[0], nil}, {"m", Champion, nil}, {"other", other, nil},
		{"m", other, ErrNotFound}, {"other", versions[0], ErrNotFound}, {"other", Champion, ErrNotFound},
		{"m", "challenger", ErrNotFound}, {"m", "20260501-000000000000", ErrNotFound}, {"gone", versions[0], ErrNotFound},
	} {
		m, err := r.Get(c.name, c.version)
		if !errors.Is(err, c.want) || (err == nil) != (m != nil) {
			t.Errorf("%s %s: %v, want %v", c.name, c.version, err, c.want)
		}
	}
	if m, err := r.Get("m", Champion); err != nil || m.Manifest.Version != versions[1] {
		t.Errorf("the champion is %+v, %v", m, err)
	}
}

// TestNamesStayInside: no name, version or alias reaches outside.
func TestNamesStayInside(t *testing.T) {
	r, versions := open(t, 1)
	promote(t, r, versions[0])
	outside := filepath.Join(r.Dir(), "..", versions[0]+".churn")
	b, err := os.ReadFile(filepath.Join(r.Dir(), "m", versions[0]+".churn"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, outside, string(b))
	before := tree(t, r)
	for _, bad := range []string{
		"", ".", "..", "../x", "../models/m", "m/../m", "m/", "/m", "%2e%2e", "%2e", "a/b", `..\x`, "m\x00", "m\n", "M", "é", " m", ".lock", "aliases.json",
		strings.Repeat("m", 65), "/etc/passwd", "../" + versions[0],
	} {
		if _, err := r.Get(bad, versions[0]); !errors.Is(err, ErrNotFound) {
			t.Errorf("name %q: %v", bad, err)
		}
		if _, err := r.Get("m", bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("version %q: %v", bad, err)
		}
		if _, err := r.Resolve(bad, Champion); !errors.Is(err, ErrNotFound) {
			t.Errorf("resolving in %q: %v", bad, err)
		}
		if _, err := r.Promotions(bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("log of %q: %v", bad, err)
		}
		if _, err := r.Promote(bad, Champion, versions[0], Change{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("promoting in %q: %v", bad, err)
		}
		if _, err := r.Promote("m", bad, versions[0], Change{}); err == nil {
			t.Errorf("alias %q was accepted", bad)
		}
		if _, err := r.Rollback(bad, Champion, Change{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("rolling back in %q: %v", bad, err)
		}
		if _, err := r.Rollback("m", bad, Change{}); err == nil {
			t.Errorf("rolling back alias %q", bad)
		}
		if s, err := NewLive(r, bad, Champion).Reload(); s || err == nil {
			t.Errorf("following %q: %v", bad, err)
		}
	}
	if _, err := r.Promote("m", versions[0], versions[0], Change{}); err == nil {
		t.Error("an alias of the form of a version was accepted: it could never be resolved")
	}
	if after := tree(t, r); after != before {
		t.Errorf("the registry changed:\n%s", after)
	}
}

// TestLinks: a symbolic link within the directory is followed, as volumes of
// container platforms have them; one that leads outside is not.
func TestLinks(t *testing.T) {
	r, versions := open(t, 1)
	outside := t.TempDir()
	b, err := os.ReadFile(filepath.Join(r.Dir(), "m", versions[0]+".churn"))
	if err != nil {
		t.Fatal(err)
	}
	file := versions[0] + ".churn"
	write(t, filepath.Join(outside, file), string(b))
	write(t, filepath.Join(outside, "aliases.json"), `{"champion":"`+versions[0]+`"}`)
	link := func(to, name string) {
		t.Helper()
		path := filepath.Join(r.Dir(), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	link("m", "inside")
	link(outside, "absolute")
	relative, err := filepath.Rel(r.Dir(), outside)
	if err != nil {
		t.Fatal(err)
	}
	link(relative, "relative")
	link(filepath.Join(outside, file), "files/"+file)
	link(filepath.Join(outside, "aliases.json"), "files/aliases.json")
	link(filepath.Join(outside, "promotions.ndjson"), "files/promotions.ndjson")
	link("loop", "loop")

	// Its name is m, whatever it is filed under, but the bytes were read.
	if _, err := r.Get("inside", versions[0]); !errors.Is(err, model.ErrFormat) || !strings.Contains(err.Error(), "it is m") {
		t.Errorf("a link to a directory beside: %v", err)
	}
	for _, name := range []string{"absolute", "relative", "files", "loop"} {
		if _, err := r.Get(name, versions[0]); err == nil || errors.Is(err, model.ErrFormat) {
			t.Errorf("%s: %v, want it not even read", name, err)
		}
		if _, err := r.Resolve(name, Champion); err == nil {
			t.Errorf("%s: an alias was read", name)
		}
		if _, err := r.Promotions(name); err == nil {
			t.Errorf("%s: a log was read", name)
		}
		if _, err := r.Rollback(name, Champion, Change{}); err == nil {
			t.Errorf("%s: rolled back", name)
		}
		if name == "files" {
			continue // there a file can be made, in place of the link
		}
		if _, err := r.Put(testModel(t, name, 5)); err == nil {
			t.Errorf("%s: a model was stored", name)
		}
	}
	if entries, err := r.List(); len(entries) != 1 || err == nil {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 2 {
		t.Errorf("outside there is %v, %v, want what was there before", left, err)
	}

	// The directory itself may be a link: that is how one is swapped as a whole.
	alias := filepath.Join(outside, "models")
	if err := os.Symlink(r.Dir(), alias); err != nil {
		t.Fatal(err)
	}
	linked, err := Open(alias)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := linked.Get("m", versions[0]); err != nil {
		t.Error(err)
	}
}

// TestOddFiles: what is no file is an error and does not block.
func TestOddFiles(t *testing.T) {
	r, versions := open(t, 1)
	at := func(name string) string { return filepath.Join(r.Dir(), "odd", name) }
	if err := os.MkdirAll(at(versions[0]+".churn"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aliases.json", "promotions.ndjson", "20260501-000000000000.churn"} {
		if err := syscall.Mkfifo(at(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{versions[0], "20260501-000000000000"} {
		if _, err := r.Get("odd", version); !errors.Is(err, model.ErrFormat) {
			t.Errorf("%s: %v", version, err)
		}
	}
	if _, err := r.Resolve("odd", Champion); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	if _, err := r.Promotions("odd"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}

func TestAliasesFile(t *testing.T) {
	r, versions := open(t, 1)
	path := filepath.Join(r.Dir(), "m", "aliases.json")
	for text, want := range map[string]string{
		``: "aliases.json", `{`: "aliases.json", `null`: "not an object", `[]`: "aliases.json", `{"champion":1}`: "aliases.json",
		`{"champion":"../x"}`: "which is no version", `{"champion":"champion"}`: "which is no version",
		`{"champion":"` + versions[0] + `","champion":"` + versions[0] + `"}`: "duplicate",
	} {
		write(t, path, text)
		if _, err := r.Resolve("m", Champion); err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
		if _, err := r.Promote("m", Champion, versions[0], Change{}); err == nil {
			t.Errorf("%s: promoted", text)
		}
		if log, err := r.Promotions("m"); len(log) != 0 || err != nil {
			t.Errorf("%s: log %v, %v", text, log, err)
		}
	}
	write(t, path, "{}")
	promote(t, r, versions[0])
}

func TestList(t *testing.T) {
	// A name that is a pattern to Glob.
	r, err := Open(filepath.Join(t.TempDir(), "[models]*"))
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := r.List(); err != nil || len(entries) != 0 {
		t.Errorf("empty: %v, %v", entries, err)
	}
	old := testModel(t, "m", 1)
	young := testModel(t, "m", 2)
	young.Manifest.Through = day(20)
	v1, v2, other := put(t, r, old), put(t, r, young), put(t, r, testModel(t, "a", 1))
	promote(t, r, v2)
	if _, err := r.Promote("m", "challenger", v1, Change{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Promote("m", "backup", v1, Change{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m/notes.txt", "m/.hidden", "README"} {
		write(t, filepath.Join(r.Dir(), name), "not ours")
	}
	if err := os.Mkdir(filepath.Join(r.Dir(), "lost+found"), 0o755); err != nil {
		t.Fatal(err)
	}
	list := func() (got [][]string, err error) {
		entries, err := r.List()
		for _, e := range entries {
			got = append(got, append([]string{e.Manifest.Name, e.Manifest.Version}, e.Aliases...))
			if e.Bytes < 1000 || e.Aliases == nil {
				t.Errorf("%+v", e)
			}
		}
		return got, err
	}
	want := [][]string{{"a", other}, {"m", v2, "champion"}, {"m", v1, "backup", "challenger"}}
	if got, err := list(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}

	// What is damaged is told, and does not hide the rest.
	write(t, filepath.Join(r.Dir(), "m", v2+".churn"), "damaged")
	write(t, filepath.Join(r.Dir(), "m", "copy.churn"), "a copy")
	write(t, filepath.Join(r.Dir(), "a", "aliases.json"), "damaged")
	got, err := list()
	if !reflect.DeepEqual(got, [][]string{want[0], want[2]}) {
		t.Errorf("%v beside damaged files", got)
	}
	for _, name := range []string{v2 + ".churn", "m/copy.churn", "aliases.json"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("problems do not tell of %s: %v", name, err)
		}
	}
}
