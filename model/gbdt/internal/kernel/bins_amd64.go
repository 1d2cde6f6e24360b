package kernel

//go:noescape
func binsAVX512(out []uint8, x []float32, bounds *Bounds, missing uint8)

//go:noescape
func binsAVX2(out []uint8, x []float32, bounds *Bounds, missing uint8)

// bins gives whole groups of 8 values to the assembly and the rest to Go.
func bins(out []uint8, x []float32, bounds *Bounds, missing uint8) {
	out = out[:len(x)]
	for level != Plain && len(x) >= 8 {
		n := min(len(x), maxChunk) &^ 7
		if level == AVX512 {
			binsAVX512(out[:n], x, bounds, missing)
		} else {
			binsAVX2(out[:n], x, bounds, missing)
		}
		out, x = out[n:], x[n:]
	}
	binsGo(out, x, bounds, missing)
}
