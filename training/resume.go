package training

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"churn/model"
	"churn/model/gbdt"
)

// This file keeps finished members in a directory, so that a training that was
// stopped, by whatever, goes on from there. A member depends on nothing but the
// rows, the setting, the fold and the seed: what is found again is what would be
// fitted again.

// fitRevision is raised when the same rows, setting, fold and seed would give
// another member than before.
const fitRevision = 1

// kept is a member in a file.
type kept struct {
	Linear *model.Linear
	Forest *gbdt.Forest
}

// rowsSum identifies the training rows.
func (l *ladder) rowsSum() []byte {
	h := sha256.New()
	m := &l.train.Matrix
	for j := range m.Features {
		f := &m.Features[j]
		fmt.Fprintf(h, "%q %d %q\n", f.Name, f.Kind, f.Levels)
	}
	var b []byte
	for i := range l.y {
		b = b[:0]
		for _, v := range m.Row(i) {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		y := byte(0)
		if l.y[i] {
			y = 1
		}
		b = append(b, y, byte(l.fold[i]))
		h.Write(b)
	}
	return h.Sum(nil)
}

// path of the file of a member.
func (l *ladder) path(s setting, fold int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %d %d\n", fitRevision, s.name, fold, l.plan.Seed)
	h.Write(l.sum())
	return filepath.Join(l.plan.Resume, hex.EncodeToString(h.Sum(nil)[:16])+".fit")
}

// resumed returns a member that was finished before. A file that is cut short
// or damaged is none: it is fitted again.
func (l *ladder) resumed(s setting, fold int) (m member, ok bool, err error) {
	if l.plan.Resume == "" {
		return m, false, nil
	}
	b, err := os.ReadFile(l.path(s, fold))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("resuming: %w", err)
	}
	n := len(b) - sha256.Size
	if n < 0 || !bytes.Equal(sumOf(sha256.New(), b[:n]), b[n:]) {
		return m, false, nil
	}
	var k kept
	if err := gob.NewDecoder(bytes.NewReader(b[:n])).Decode(&k); err != nil || (k.Linear == nil) == (k.Forest == nil) {
		return m, false, nil
	}
	if k.Linear != nil && k.Linear.Terms == nil { // gob has no empty lists
		k.Linear.Terms = []model.Term{}
	}
	return member{k.Linear, k.Forest}, true, nil
}

func sumOf(h hash.Hash, b []byte) []byte {
	h.Write(b)
	return h.Sum(nil)
}

// remember keeps a finished member: all of it or nothing.
func (l *ladder) remember(s setting, fold int, m member) error {
	if l.plan.Resume == "" {
		return nil
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(kept{m.linear, m.forest})
	if err == nil {
		b.Write(sumOf(sha256.New(), b.Bytes()))
		err = os.MkdirAll(l.plan.Resume, 0o755)
	}
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(l.plan.Resume, "*.tmp")
	}
	if err == nil {
		_, err = f.Write(b.Bytes())
		if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
			err = os.Rename(f.Name(), l.path(s, fold))
		}
	}
	if err != nil {
		return fmt.Errorf("keeping a fit to resume from: %w", err)
	}
	return nil
}
