package kernel

//go:noescape
func gradientsAVX512(sums *laneSums, g, h []float32, score []float64, sign, weight []float32, constants *[13][8]float32)

//go:noescape
func gradientsAVX2(sums *laneSums, g, h []float32, score []float64, sign, weight []float32, constants *[13][8]float32)

// gradientConstants are the constants of exp and 1, each eight times over, as
// a vector is read.
var gradientConstants = func() (table [13][8]float32) {
	constants := [len(table)]float32{
		expMin, expMax, log2e, roundMagic, ln2High, ln2Low,
		p0, p1, p2, p3, p4, p5, 1,
	}
	for i, c := range constants {
		for lane := range table[i] {
			table[i][lane] = c
		}
	}
	return table
}()

// gradients gives whole groups of rows to the assembly and the rest to Go,
// which goes on in the same lanes.
func gradients(g, h []float32, score []float64, sign, weight []float32) (sumG, sumH float64) {
	if weight != nil {
		weight = weight[:len(score)]
	}
	var sums laneSums
	n := 0
	switch level {
	case AVX512:
		n = len(score) &^ 15
		gradientsAVX512(&sums, g[:n], h[:n], score[:n], sign[:n], weight, &gradientConstants)
	case AVX2:
		n = len(score) &^ 7
		gradientsAVX2(&sums, g[:n], h[:n], score[:n], sign[:n], weight, &gradientConstants)
	}
	if weight != nil {
		weight = weight[n:]
	}
	gradientRows(&sums, g[n:], h[n:], score[n:], sign[n:], weight)
	return sum8(&sums.g), sum8(&sums.h)
}
