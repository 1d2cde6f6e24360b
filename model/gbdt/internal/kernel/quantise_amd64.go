package kernel

//go:noescape
func quantiseAVX512(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32)

//go:noescape
func quantiseAVX2(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32)

// quantise gives whole groups of rows to the assembly and the rest to Go.
func quantise(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32) {
	g, h = g[:len(q)], h[:len(q)]
	for level != Plain && len(q) >= 16 {
		n := min(len(q), maxChunk) &^ 15
		if level == AVX512 {
			quantiseAVX512(q[:n], g, h, gScale, hScale, first, seed)
		} else {
			quantiseAVX2(q[:n], g, h, gScale, hScale, first, seed)
		}
		q, g, h, first = q[n:], g[n:], h[n:], first+uint32(n)
	}
	quantiseGo(q, g, h, gScale, hScale, first, seed)
}
