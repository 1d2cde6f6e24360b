package features

// Matrix holds rows of features: row i is Data[i*len(Features):][:len(Features)].
type Matrix struct {
	Features []Feature
	Data     []float32
}

// Rows returns the number of rows.
func (m *Matrix) Rows() int {
	if len(m.Features) == 0 {
		return 0
	}
	return len(m.Data) / len(m.Features)
}

// Row returns row i, sharing memory with the matrix.
func (m *Matrix) Row(i int) []float32 {
	n := len(m.Features)
	return m.Data[i*n : (i+1)*n : (i+1)*n]
}

// Grow adds an empty row and returns it.
func (m *Matrix) Grow() []float32 {
	n := len(m.Data)
	for range m.Features {
		m.Data = append(m.Data, 0)
	}
	return m.Data[n:]
}

// Select returns a matrix of the given rows, copied.
func (m *Matrix) Select(rows []int) *Matrix {
	out := &Matrix{Features: m.Features, Data: make([]float32, 0, len(rows)*len(m.Features))}
	for _, r := range rows {
		out.Data = append(out.Data, m.Row(r)...)
	}
	return out
}
