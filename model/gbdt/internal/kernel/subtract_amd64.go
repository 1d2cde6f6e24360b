package kernel

// n is a multiple of 32 and greater than 0.

//go:noescape
func subtractAVX2(a, b *uint64, n int)

//go:noescape
func subtractAVX512(a, b *uint64, n int)

func subtract(a, b []uint64) {
	const turn, chunk = 32, 1 << 16
	b = b[:len(a)]
	for level != Plain && len(a) >= turn {
		n := min(len(a)&^(turn-1), chunk)
		if level == AVX512 {
			subtractAVX512(&a[0], &b[0], n)
		} else {
			subtractAVX2(&a[0], &b[0], n)
		}
		a, b = a[n:], b[n:]
	}
	subtractGo(a, b)
}
