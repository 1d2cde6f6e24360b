package kernel

//go:noescape
func bestGainAVX512(hist []uint64, start uint64, leaf *Leaf) float64

//go:noescape
func bestGainAVX2(hist []uint64, start uint64, leaf *Leaf) float64

//go:noescape
func addGainsAVX512(sums []float64, hist []uint64, start uint64, leaf *Leaf, none float64)

//go:noescape
func addGainsAVX2(sums []float64, hist []uint64, start uint64, leaf *Leaf, none float64)

// vectorGain reports whether the assembly takes a histogram of n words: whole
// groups of words, and not so many that a call would take long.
func vectorGain(n int) bool { return n%8 == 0 && n <= maxChunk }

func bestGain(hist []uint64, start uint64, leaf *Leaf) float64 {
	switch {
	case level == AVX512 && vectorGain(len(hist)):
		return bestGainAVX512(hist, start, leaf)
	case level == AVX2 && vectorGain(len(hist)):
		return bestGainAVX2(hist, start, leaf)
	}
	return bestGainGo(hist, start, leaf)
}

func addGains(sums []float64, hist []uint64, start uint64, leaf *Leaf, none float64) {
	sums = sums[:len(hist)]
	switch {
	case level == AVX512 && vectorGain(len(hist)):
		addGainsAVX512(sums, hist, start, leaf, none)
	case level == AVX2 && vectorGain(len(hist)):
		addGainsAVX2(sums, hist, start, leaf, none)
	default:
		addGainsGo(sums, hist, start, leaf, none)
	}
}
