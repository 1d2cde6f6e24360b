package registry

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"churn/model"
)

// key makes a key pair of an id; the same id gives the same key.
func key(id string) (Key, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%-32s", id)))
	return Key{id, private.Public().(ed25519.PublicKey)}, private
}

// trusting opens the same directory with the keys trusted.
func trusting(t testing.TB, r *Registry, ids ...string) *Registry {
	t.Helper()
	var keys []Key
	for _, id := range ids {
		k, _ := key(id)
		keys = append(keys, k)
	}
	r, err := Open(r.Dir(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sign(t testing.TB, r *Registry, version, id string) {
	t.Helper()
	_, private := key(id)
	if err := r.Sign("m", version, id, private); err != nil {
		t.Fatal(err)
	}
}

// refuses checks that nothing takes a version into use.
func refuses(t testing.TB, r *Registry, version, want string) {
	t.Helper()
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrSignature) || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a refused signature and %q", what, err, want)
		}
	}
	_, err := r.Get("m", version)
	check("get", err)
	_, err = r.Signers("m", version)
	check("signers", err)
	before := fmt.Sprint(champion(t, r), checkLog(t, r, -1))
	_, err = r.Promote("m", Champion, version, Change{Force: true, Reason: "all the same"})
	check("promote", err)
	if fmt.Sprint(champion(t, r), checkLog(t, r, -1)) != before {
		t.Error("a refused promotion changed the registry")
	}
}

func TestSignature(t *testing.T) {
	open, versions := open(t, 2)
	r := trusting(t, open, "ops", "backup")
	refuses(t, r, versions[0], "is not signed; sign it with churn models sign")
	if _, err := open.Get("m", versions[0]); err != nil {
		t.Error("without trusted keys:", err)
	}

	sign(t, r, versions[0], "stranger")
	refuses(t, r, versions[0], "signed by stranger only")
	sign(t, r, versions[0], "backup")
	promote(t, r, versions[0])
	sign(t, r, versions[0], "ops")
	sign(t, r, versions[0], "ops") // in place of the first
	ids, err := r.Signers("m", Champion)
	if err != nil || fmt.Sprint(ids) != "[backup ops]" {
		t.Errorf("%v, %v", ids, err)
	}
	file := filepath.Join(r.Dir(), "m", versions[0]+".churn")
	text, err := os.ReadFile(file + ".sig")
	if err != nil || bytes.Count(text, []byte("\n")) != 3 {
		t.Errorf("%s, %v", text, err)
	}
	loose := func() ([]string, error) {
		k, _ := key("ops")
		return VerifyFile(file, file+".sig", []Key{k})
	}
	if ids, err := loose(); err != nil || fmt.Sprint(ids) != "[ops]" {
		t.Errorf("loose: %v, %v", ids, err)
	}

	// A signature is of one file: it does not fit another version.
	write(t, filepath.Join(r.Dir(), "m", versions[1]+".churn.sig"), string(text))
	refuses(t, r, versions[1], "the signature of backup, ops is not of this file and key")

	// Whoever changes the file has to sign it again, even if all else fits.
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		if i%97 == 0 || i == len(b)-1 {
			b[i] ^= 1
			write(t, file, string(b))
			if _, err := r.Get("m", versions[0]); !errors.Is(err, ErrSignature) {
				t.Errorf("byte %d changed: %v", i, err)
			}
			if _, err := loose(); !errors.Is(err, ErrSignature) {
				t.Errorf("byte %d changed, loose: %v", i, err)
			}
			b[i] ^= 1
		}
	}
	write(t, file, string(b))
	if _, err := r.Get("m", versions[0]); err != nil {
		t.Error(err)
	}
	if entries, err := r.List(); err != nil || len(entries) != 2 || fmt.Sprint(entries[0].SignedBy, entries[1].SignedBy) != "[backup ops] []" &&
		fmt.Sprint(entries[0].SignedBy, entries[1].SignedBy) != "[] [backup ops]" {
		t.Errorf("%+v, %v", entries, err)
	}
	// Storing again what is there and signed leaves the signature alone.
	put(t, r, testModel(t, "m", 1))
	if _, err := r.Get("m", versions[0]); err != nil {
		t.Error(err)
	}
}

// TestSignatureFiles: files of signatures that nobody should write.
func TestSignatureFiles(t *testing.T) {
	open, versions := open(t, 1)
	r := trusting(t, open, "ops")
	sign(t, r, versions[0], "ops")
	path := filepath.Join(r.Dir(), "m", versions[0]+".churn.sig")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	zero := base64.StdEncoding.EncodeToString(make([]byte, 64))
	many := func(n int) (text string) {
		for i := range n {
			text += fmt.Sprintf("k%d %s\n", i, zero)
		}
		return text
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "is not signed"},
		{"empty line", "\n" + good, ".sig:1: "},
		{"behind a good one", good + "x\n", ".sig:2: "},
		{"two blanks", strings.Replace(good, " ", "  ", 1), ".sig:1: "},
		{"carriage return", strings.Replace(good, "\n", "\r\n", 1), ".sig:1: "},
		{"comment", "# a comment\n" + good, ".sig:1: "},
		{"short", "ops " + zero[:84] + "\n", ".sig:1: "},
		{"long", "ops " + base64.StdEncoding.EncodeToString(make([]byte, 66)) + "\n", ".sig:1: "},
		{"loose bits", strings.Replace("ops "+zero+"\n", "A==", "B==", 1), ".sig:1: "},
		{"path as id", "../ops " + zero + "\n", ".sig:1: "},
		{"zeros", "ops " + zero + "\n", "the signature of ops is not of this file"},
		{"id of another", strings.Replace(good, "ops", "pos", 1), "signed by pos only"},
		{"twice", "ops " + zero + "\n" + good, ".sig:2: no valid signature of a trusted key: key ops occurs twice"},
		{"too many", many(maxSignatures) + good, "more than 64 signatures"},
		{"too long", strings.Repeat("x", maxSignatureBytes+1), "at most 16384 bytes"},
	} {
		write(t, path, c.text)
		t.Run(c.name, func(t *testing.T) { refuses(t, r, versions[0], c.want) })
	}
	for _, text := range []string{good, strings.TrimSuffix(good, "\n"), many(maxSignatures-1) + good} {
		write(t, path, text)
		if _, err := r.Get("m", versions[0]); err != nil {
			t.Errorf("%.60q…: %v", text, err)
		}
	}
	_, private := key("more")
	if err := r.Sign("m", versions[0], "more", private); err == nil || !strings.Contains(err.Error(), "64 signatures already") {
		t.Errorf("a 65th signature: %v", err)
	}

	// Links and what is no file.
	outside := filepath.Join(t.TempDir(), "outside.sig")
	write(t, outside, good)
	replace := func(f func() error) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(path), f()); err != nil {
			t.Fatal(err)
		}
	}
	replace(func() error { return os.Symlink(outside, path) })
	refuses(t, r, versions[0], "path escapes")
	replace(func() error { return syscall.Mkfifo(path, 0o644) })
	refuses(t, r, versions[0], "not a regular file")
	replace(func() error { return os.Mkdir(path, 0o755) })
	refuses(t, r, versions[0], "not a regular file")
	replace(func() error { return os.Symlink("inside", path) })
	write(t, filepath.Join(r.Dir(), "m", "inside"), good)
	if _, err := r.Get("m", versions[0]); err != nil {
		t.Error("a link within the directory:", err)
	}
}

func TestSignRefuses(t *testing.T) {
	r, versions := open(t, 2)
	_, private := key("ops")
	for _, c := range []struct {
		name, version, id string
		want              error
	}{
		{"m", "20260501-000000000000", "ops", ErrNotFound}, {"gone", versions[0], "ops", ErrNotFound},
		{"../m", versions[0], "ops", ErrNotFound}, {"m", Champion, "ops", ErrNotFound},
	} {
		if err := r.Sign(c.name, c.version, c.id, private); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, id := range []string{"", "a b", "a\nb", "-x", strings.Repeat("x", 65)} {
		if err := r.Sign("m", versions[0], id, private); err == nil {
			t.Errorf("signed as %q", id)
		}
	}
	write(t, filepath.Join(r.Dir(), "m", versions[0]+".churn"), "damaged")
	if err := r.Sign("m", versions[0], "ops", private); !errors.Is(err, model.ErrFormat) {
		t.Errorf("signed a damaged file: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(r.Dir(), "m", versions[1]+".churn"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(r.Dir(), "m", versions[0]+".churn"), string(b))
	if err := r.Sign("m", versions[0], "ops", private); !errors.Is(err, model.ErrFormat) {
		t.Errorf("signed a file under another's name: %v", err)
	}
	if files := tree(t, r); strings.Contains(files, ".sig") {
		t.Errorf("a signature was left: %s", files)
	}
}

// TestLiveSignature: a server keeps what it has when the next version is not
// signed, counts that once, and takes it when it is.
func TestLiveSignature(t *testing.T) {
	open, versions := open(t, 3)
	r := trusting(t, open, "ops")
	sign(t, r, versions[0], "ops")
	promote(t, r, versions[0])
	l := NewLive(r, "m", Champion)
	reload(t, l, true, nil)
	promote(t, open, versions[1]) // by someone who does not look
	for range 3 {
		reload(t, l, false, ErrSignature)
		state(t, l, 1, 1, 1, ErrSignature)
	}

	// A start at which the champion is not signed serves the version before.
	fresh := NewLive(r, "m", Champion)
	reload(t, fresh, false, ErrSignature)
	if v, err := fresh.LoadPrevious(); err != nil || v != versions[0] {
		t.Errorf("%s, %v, want %s", v, err, versions[0])
	}

	sign(t, r, versions[1], "ops")
	reload(t, l, true, nil)
	state(t, l, 2, 2, 1, nil)
}

// TestRollbackSignature: unsigned versions are passed over, for good.
func TestRollbackSignature(t *testing.T) {
	open, versions := open(t, 4)
	r := trusting(t, open, "ops")
	for i, v := range versions {
		if i != 1 && i != 2 {
			sign(t, r, v, "ops")
		}
		promote(t, open, v)
	}
	p, err := r.Rollback("m", Champion, Change{})
	if err != nil || p.To != versions[0] || p.From != versions[3] {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := open.Rollback("m", Champion, Change{}); !errors.Is(err, ErrNoPrevious) {
		t.Errorf("what was passed over came back: %v", err)
	}
	checkLog(t, r, 5)

	// Going back is not to where it is.
	promote(t, open, versions[2])
	promote(t, r, versions[0])
	if p, err := r.Rollback("m", Champion, Change{}); !errors.Is(err, ErrNoPrevious) {
		t.Errorf("%+v, %v", p, err)
	}

	promote(t, open, versions[2])
	promote(t, r, versions[3])
	if p, err := r.Rollback("m", Champion, Change{}); err != nil || p.To != versions[0] {
		t.Errorf("%+v, %v", p, err)
	}
	promote(t, r, versions[3])
	if err := os.Remove(filepath.Join(r.Dir(), "m", versions[0]+".churn.sig")); err != nil {
		t.Fatal(err)
	}
	if p, err := r.Rollback("m", Champion, Change{}); !errors.Is(err, ErrNoPrevious) || !errors.Is(err, ErrSignature) {
		t.Errorf("nothing is signed: %+v, %v", p, err)
	}
}

// FuzzSignatures: no file of signatures makes the reader panic, and what it
// takes is within its limits.
func FuzzSignatures(f *testing.F) {
	f.Add([]byte("ops " + base64.StdEncoding.EncodeToString(make([]byte, 64)) + "\n"))
	k, _ := key("ops")
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseSignatures("x", b)
		if err != nil {
			if !errors.Is(err, ErrSignature) {
				t.Fatal(err)
			}
			return
		}
		if len(list) > maxSignatures || len(b) > maxSignatureBytes {
			t.Fatalf("%d signatures of %d bytes", len(list), len(b))
		}
		if ids, err := signers([]byte("file"), list, []Key{k}); err == nil {
			t.Fatalf("%q passes for a signature of %v", b, ids)
		}
	})
}
