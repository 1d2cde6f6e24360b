package model

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// seeds are the kinds of model and the old files.
func seeds(f *testing.F) [][]byte {
	files := [][]byte{fileOf(f, linearModel(f)), fileOf(f, forestModel(f)), fileOf(f, blendModel(f)), fileOf(f, betaModel(f)), fileOf(f, tailModel(f))}
	old, err := filepath.Glob(filepath.Join(oldModels, "*.churn"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range old {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		files = append(files, b)
	}
	return files
}

// tryFile reads bytes: an error of the package or a model that compiles, or
// not, and if so gives probabilities.
func tryFile(t *testing.T, b []byte) {
	m, err := Read(b)
	if err != nil {
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrVersion) || m != nil {
			t.Fatalf("%v wraps neither error", err)
		}
		return
	}
	var again bytes.Buffer
	if err := Write(&again, m); err != nil {
		t.Fatal("what was read cannot be written:", err)
	}
	s, err := m.Compile()
	if err != nil {
		if !errors.Is(err, ErrFormat) {
			t.Fatalf("%v does not wrap ErrFormat", err)
		}
		return
	}
	r := rand.New(rand.NewPCG(1, 1))
	width := len(s.Engine().Features())
	row, phi := make([]float32, width), make([]float64, width)
	for range 20 {
		for j := range row {
			row[j] = randomRows(r, 1)[0][r.IntN(testColumns)]
		}
		got := s.Score(row, phi)
		if !(got.Probability > 0 && got.Probability < 1) || !within(1e15, got.Margin, got.BaseMargin) || !within(1e15, phi...) {
			t.Fatalf("%v: %+v with %v", row, got, phi)
		}
		s.Reasons(row, phi, 5)
	}
}

// FuzzRead takes any bytes, and tries them a second time with a seal that
// fits, to get past it.
func FuzzRead(f *testing.F) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, b := range seeds(f) {
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(b[len(b)/2:])
		for range 10 {
			mutated := bytes.Clone(b)
			for range 1 + r.IntN(4) {
				mutated[r.IntN(len(mutated))] ^= byte(1 << r.IntN(8))
			}
			f.Add(mutated)
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		tryFile(t, b)
		if len(b) > len(sealText)+len(hash(nil)) {
			b = bytes.Clone(b)
			copy(b[len(b)-len(hash(nil))-len(sealText):], sealText)
			tryFile(t, reseal(b))
		}
	})
}

// FuzzMember replaces one member of a good file by any bytes and makes hashes,
// version and seal fit, to reach the decoders behind them.
func FuzzMember(f *testing.F) {
	files := seeds(f)
	for i, b := range files {
		for j, l := range layout {
			if content, ok := contentOf(f, b)[l.name]; ok {
				f.Add(i, j, content)
			}
		}
	}
	f.Fuzz(func(t *testing.T, file, member int, content []byte) {
		if file < 0 || file >= len(files) || member < 0 || member >= len(layout) {
			return
		}
		name := layout[member].name
		if _, ok := contentOf(t, files[file])[name]; ok {
			tryFile(t, rewritten(t, files[file], name, func([]byte) []byte { return content }))
		}
	})
}
