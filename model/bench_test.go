package model

import (
	"math/rand/v2"
	"testing"
)

// benchRows are random rows and the scorer of a model over them.
func benchRows(b *testing.B, m *Model) (*Scorer, [][]float32) {
	b.Helper()
	return compile(b, m), randomRows(rand.New(rand.NewPCG(15, 16)), 256)
}

// benchForest has 100 trees of 32 leaves.
func benchForest(b *testing.B) *Model {
	forest := randomForest(rand.New(rand.NewPCG(17, 18)), testForest().FeatureNames, 100, 5)
	return finish(b, &Model{Forest: forest, Manifest: Manifest{Weights: Weights{Forest: 1}}})
}

func BenchmarkScoreLinear(b *testing.B) {
	s, rows := benchRows(b, linearModel(b))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Score(rows[i%len(rows)], nil)
	}
}

func BenchmarkScoreForest(b *testing.B) {
	s, rows := benchRows(b, benchForest(b))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Score(rows[i%len(rows)], nil)
	}
}

// BenchmarkReasons scores with contributions and writes the five largest.
func BenchmarkReasons(b *testing.B) {
	for _, c := range []struct {
		name  string
		model *Model
	}{{"linear", linearModel(b)}, {"forest", benchForest(b)}} {
		b.Run(c.name, func(b *testing.B) {
			s, rows := benchRows(b, c.model)
			phi := make([]float64, testColumns)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				row := rows[i%len(rows)]
				s.Score(row, phi)
				s.Reasons(row, phi, 5)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	file := fileOf(b, benchForest(b))
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := Read(file); err != nil {
			b.Fatal(err)
		}
	}
}
