package features

import (
	"math"
	"math/bits"
)

// int128 is a whole number in two's complement. Sums of 64-bit numbers fit,
// however many there are: those of the ages of a few thousand old events would
// not fit in 64 bits.
type int128 struct {
	hi int64
	lo uint64
}

func (a int128) plus(b int128) int128 {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(uint64(a.hi), uint64(b.hi), carry)
	return int128{int64(hi), lo}
}

func (a int128) minus(b int128) int128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(uint64(a.hi), uint64(b.hi), borrow)
	return int128{int64(hi), lo}
}

// wide is v in 128 bits.
func wide(v int64) int128 { return int128{v >> 63, uint64(v)} }

// product is exact for all x and y.
func product(x, y int64) int128 {
	hi, lo := bits.Mul64(uint64(x), uint64(y))
	hi -= uint64(x>>63)&uint64(y) + uint64(y>>63)&uint64(x)
	return int128{int64(hi), lo}
}

// times is a·n, cut to 128 bits.
func (a int128) times(n int64) int128 {
	p := product(int64(a.lo), n)
	if int64(a.lo) < 0 { // a.lo has no sign
		p.hi += n
	}
	p.hi += a.hi * n
	return p
}

// float rounds once, to the nearest, ties to even.
func (a int128) float() float64 {
	if a.hi == int64(a.lo)>>63 {
		return float64(int64(a.lo))
	}
	negative := a.hi < 0
	if negative {
		a = int128{}.minus(a)
	}
	// The 64 leading bits, the last of which stands for all that follow: a
	// float64 takes 53 of them.
	zeros := bits.LeadingZeros64(uint64(a.hi))
	if zeros == 64 {
		zeros = 63 // a.lo fills 64 bits and has no room for a sign
	}
	shift := 64 - zeros
	top := uint64(a.hi)<<zeros | a.lo>>shift
	if a.lo<<zeros != 0 {
		top |= 1
	}
	f := math.Ldexp(float64(top), shift)
	if negative {
		return -f
	}
	return f
}
