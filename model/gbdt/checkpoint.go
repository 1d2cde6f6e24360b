package gbdt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// checkpointVersion changes with the state, and with anything that makes the
// same parameters and data give other trees.
const checkpointVersion = 1

// A state is what a training run knows beside its data. On file it is a gob
// followed by its SHA-256.
type state struct {
	Fingerprint [32]byte // of parameters and data
	Trees       []Tree
	Score       []float64 // per training row
	ValidScore  []float64 // per validation row
	Valid       []float64 // History.Valid
	Best        int
}

// save writes the state to Params.Checkpoint: to a file beside it first, so
// that a crash leaves the old state or the new one.
func (b *booster) save() (err error) {
	defer b.grow.timed("checkpoint")()
	path := b.p.Checkpoint
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("checkpoint: %w", err)
		}
	}()
	sum := sha256.New()
	s := state{b.fingerprint(), b.trees, b.score, b.validScore, b.history.Valid, b.history.Best}
	if err := gob.NewEncoder(io.MultiWriter(f, sum)).Encode(&s); err != nil {
		return err
	}
	if _, err := f.Write(sum.Sum(nil)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// resume takes up the state in Params.Checkpoint, if there is one.
func (b *booster) resume() error {
	path := b.p.Checkpoint
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	body := max(len(data)-sha256.Size, 0)
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:], data[body:]) {
		return fmt.Errorf("checkpoint %s is damaged: delete it to train from the start", path)
	}
	var s state
	if err := gob.NewDecoder(bytes.NewReader(data[:body])).Decode(&s); err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	if s.Fingerprint != b.fingerprint() {
		return fmt.Errorf("checkpoint %s is of other parameters, other data or another version: delete it or name another file", path)
	}
	if len(s.Trees) > b.p.Trees {
		return fmt.Errorf("checkpoint %s has %d trees already, more than the %d to be trained", path, len(s.Trees), b.p.Trees)
	}
	b.trees, b.score, b.validScore = s.Trees, s.Score, s.ValidScore
	b.history.Valid, b.history.Best = s.Valid, s.Best
	return nil
}

// fingerprint is a hash of all that decides what the trees will be, but for
// their number and when to stop: a run may go on longer than was planned.
func (b *booster) fingerprint() [32]byte {
	if b.print != [32]byte{} {
		return b.print
	}
	h := sha256.New()
	p := b.p
	p.Trees, p.Patience = 0, 0
	fmt.Fprintln(h, checkpointVersion, p.notes(), p.Grower, p.Monotone, p.TargetLevels, p.TargetPrior, p.TargetOrders)
	if len(p.Ignore) != 0 {
		fmt.Fprintln(h, p.Ignore)
	}
	for _, d := range []*Dataset{b.train, b.valid} {
		if d == nil {
			continue
		}
		fmt.Fprintf(h, "%q %v %d %d\n", d.Names, d.Categorical, d.Rows(), len(d.Weights))
		for _, values := range [][]float32{d.X, d.Labels, d.Weights} {
			hashValues(h, values)
		}
	}
	h.Sum(b.print[:0])
	return b.print
}

func hashValues(w io.Writer, values []float32) {
	var buf [1 << 14]byte
	for len(values) > 0 {
		n := min(len(values), len(buf)/4)
		for i, v := range values[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		w.Write(buf[:4*n]) // a hash does not fail
		values = values[n:]
	}
}
