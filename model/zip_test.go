package model

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func zipOf(t testing.TB, b []byte) *zip.Reader {
	t.Helper()
	zr, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return zr
}

// entry is a member of a zip made for a test.
type entry struct {
	name   string
	data   []byte
	mode   os.FileMode
	change func(*zip.FileHeader)
	raw    bool // data is compressed already
}

// zipWith packs entries and seals the file.
func zipWith(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		create := zw.CreateHeader
		if e.raw {
			create = zw.CreateRaw
		}
		if e.change != nil {
			e.change(h)
		}
		w, err := create(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(zw.SetComment(sealText+hash(nil)), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return reseal(b.Bytes())
}

// reseal makes the seal fit again.
func reseal(b []byte) []byte {
	n := len(b) - len(hash(nil))
	return append(b[:n:n], hash(b[:n])...)
}

// edited changes a header of a member in place: the record before the name,
// which has a signature and a length.
func edited(t testing.TB, b []byte, signature string, record int, name string, change func(header []byte)) []byte {
	t.Helper()
	b = bytes.Clone(b)
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], []byte(signature))
		if i < 0 {
			t.Fatalf("no header of %s", name)
		}
		if at += i; bytes.HasPrefix(b[at+record:], []byte(name)) {
			change(b[at : at+record])
			return reseal(b)
		}
	}
}

const (
	localHeader, localLength         = "PK\x03\x04", 30
	directoryHeader, directoryLength = "PK\x01\x02", 46
)

// TestHostileZip: archives that other tools make, or that nobody makes, with
// the right seal.
func TestHostileZip(t *testing.T) {
	good := fileOf(t, linearModel(t))
	content := contentOf(t, good)
	var valid []entry
	for _, l := range layout {
		if b, ok := content[l.name]; ok {
			valid = append(valid, entry{name: l.name, data: b})
		}
	}
	with := func(more ...entry) []byte { return zipWith(t, append(slices.Clone(valid), more...)...) }
	without := func(name string) []byte {
		return zipWith(t, slices.DeleteFunc(slices.Clone(valid), func(e entry) bool { return e.name == name })...)
	}
	swapped := slices.Clone(valid)
	slices.Reverse(swapped)
	if _, err := Read(zipWith(t, swapped...)); err != nil {
		t.Fatal("the order of the members does not matter, but", err)
	}
	directory := func(name string, change func([]byte)) []byte {
		return edited(t, good, directoryHeader, directoryLength, name, change)
	}
	local := func(name string, change func([]byte)) []byte {
		return edited(t, good, localHeader, localLength, name, change)
	}
	size := func(n uint32) func([]byte) {
		return func(h []byte) { binary.LittleEndian.PutUint32(h[24:], n) } // uncompressed size
	}
	linked := slices.Clone(valid)
	linked[1].mode = os.ModeSymlink | 0o777

	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"no bytes", nil, "zip"},
		{"no zip", []byte(strings.Repeat("x", 1000)), "zip"},
		{"no members", zipWith(t), "manifest.json is missing"},
		{"no seal", bytes.Replace(good, []byte(sealText), []byte(strings.ToUpper(sealText)), 1), "changed after writing"},
		{"no manifest", without(manifestMember), "manifest.json is missing"},
		{"no features", without(featuresMember), "hashes for"},
		{"no linear", without(linearMember), "hashes for"},
		{"same member twice", with(valid[3]), `unexpected member "calibration.json"`},
		{"manifest twice", with(valid[0]), `unexpected member "manifest.json"`},
		{"unknown member", with(entry{name: "x"}), `unexpected member "x"`},
		{"forest not promised", with(entry{name: forestMember, data: []byte("tree\n")}), "7 hashes for 8 members"},
		{"way out", with(entry{name: "../../etc/passwd"}), "unexpected member"},
		{"absolute", with(entry{name: "/features.yaml"}), "unexpected member"},
		{"other slash", with(entry{name: `..\features.yaml`}), "unexpected member"},
		{"dot", with(entry{name: "./features.yaml"}), "unexpected member"},
		{"capitals", with(entry{name: "Features.yaml"}), "unexpected member"},
		{"NUL", with(entry{name: "features.yaml\x00"}), "unexpected member"},
		{"directory", with(entry{name: "features.yaml/"}), "unexpected member"},
		{"no name", with(entry{name: ""}), `unexpected member ""`},
		{"long name", with(entry{name: strings.Repeat("x", 60_000)}), "unexpected member"},
		{"encrypted", directory(featuresMember, func(h []byte) { h[8] |= 1 }), "features.yaml is encrypted"},
		{"encrypted manifest", directory(manifestMember, func(h []byte) { h[8] |= 1 }), "manifest.json is encrypted"},
		{"method", directory(goldenMember, func(h []byte) { h[10] = 99 }), "golden.json: zip: unsupported compression"},
		{"size too small", directory(goldenMember, size(1)), "golden.json: zip"},
		{"size too large", directory(goldenMember, size(1<<30)), "golden.json: unexpected EOF"},
		{"size of 4 GiB", directory(goldenMember, size(math.MaxUint32-1)), "golden.json: unexpected EOF"},
		{"packed size of 4 GiB", directory(goldenMember, func(h []byte) { binary.LittleEndian.PutUint32(h[20:], math.MaxUint32-1) }), "golden.json: larger than the file"},
		{"checksum", directory(goldenMember, func(h []byte) { h[16]++ }), "golden.json: zip: checksum"},
		{"local header gone", local(goldenMember, func(h []byte) { h[0] = 'X' }), "golden.json"},
		{"offset", directory(goldenMember, func(h []byte) { binary.LittleEndian.PutUint32(h[42:], 0xfffffff0) }), "golden.json: EOF"},
		{"too many members", with(slices.Repeat([]entry{{name: "x"}}, maxDirectory+1)...), "more than 1000 entries"},
		{"stored garbage", zipWith(t, entry{name: manifestMember, raw: true, data: []byte("garbage"), change: func(h *zip.FileHeader) {
			h.CompressedSize64, h.UncompressedSize64, h.CRC32 = 7, 7, 1
		}}), "manifest.json"},
		{"larger than any file", make([]byte, MaxFileBytes+1), "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Read(c.b); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error with %q", err, c.want)
			}
		})
	}

	// Nothing is ever unpacked to disk, so what kind of file a member says it
	// is does not matter.
	if _, err := Read(zipWith(t, linked...)); err != nil {
		t.Error(err)
	}
}

// TestBombs: files of some kilobytes that stand for gigabytes are refused
// within bounds of time and memory.
func TestBombs(t *testing.T) {
	good := contentOf(t, fileOf(t, blendModel(t)))
	// A mebibyte of spaces, compressed; as many as wanted may follow each other.
	var spaces bytes.Buffer
	fw, err := flate.NewWriter(&spaces, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fw.Write(bytes.Repeat([]byte{' '}, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := fw.Flush(); err != nil {
		t.Fatal(err)
	}
	const lastBlock = "\x01\x00\x00\xff\xff"
	bomb := func(name string, size int) []byte {
		var entries []entry
		for _, l := range layout {
			if l.name == name {
				data := append(bytes.Repeat(spaces.Bytes(), size>>20), lastBlock...)
				entries = append(entries, entry{name: name, raw: true, data: data, change: func(h *zip.FileHeader) {
					h.CompressedSize64, h.UncompressedSize64 = uint64(len(data)), uint64(size)
				}})
			} else {
				entries = append(entries, entry{name: l.name, data: good[l.name]})
			}
		}
		return zipWith(t, entries...)
	}
	// A hundred thousand names for one member's bytes.
	overlap := func() []byte {
		var b bytes.Buffer
		record := make([]byte, directoryLength+1)
		copy(record, directoryHeader)
		record[28], record[directoryLength] = 1, 'x'
		for range 100_000 {
			b.Write(record)
		}
		end := make([]byte, 22)
		copy(end, "PK\x05\x06")
		binary.LittleEndian.PutUint16(end[8:], 100_000%(1<<16))
		binary.LittleEndian.PutUint16(end[10:], 100_000%(1<<16))
		binary.LittleEndian.PutUint32(end[12:], uint32(b.Len()))
		b.Write(end)
		return b.Bytes()
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"manifest", bomb(manifestMember, 1<<30), "manifest.json: unpacks to more than 1048576 bytes"},
		{"forest", bomb(forestMember, 1<<30), "forest.txt: unpacks to more than"},
		{"report", bomb(htmlMember, 1<<30), "report.html: unpacks to more than"},
		{"directory", overlap(), "more than 1000 entries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := Read(c.b)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error with %q", err, c.want)
			}
			// The buffer doubles as it grows, so that it allocates four times the limit in all.
			if used := after.TotalAlloc - before.TotalAlloc; took > 10*time.Second || used > 6*128<<20 {
				t.Errorf("%d bytes of file took %v and %d bytes of memory", len(c.b), took, used)
			}
		})
	}
}

// TestSeal is what model-file.md tells people to check by hand.
func TestSeal(t *testing.T) {
	b := fileOf(t, linearModel(t))
	zr := zipOf(t, b)
	if want := fmt.Sprintf("%s%s", sealText, hash(b[:len(b)-64])); zr.Comment != want {
		t.Errorf("comment %q, want %q", zr.Comment, want)
	}
	var names []string
	for _, f := range zr.File {
		names = append(names, f.Name)
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Error(f.Name, err)
		}
		if !f.Modified.IsZero() && f.Modified.Year() > 1980 {
			t.Errorf("%s has a time, %v", f.Name, f.Modified)
		}
	}
	if want := []string{"manifest.json", "features.yaml", "linear.json", "calibration.json", "reference.json", "report.json", "report.html", "golden.json"}; !slices.Equal(names, want) {
		t.Errorf("members %v, want %v", names, want)
	}
}
