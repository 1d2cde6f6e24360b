package gbdt

import "encoding/binary"

func load64(b []uint8) uint64     { return binary.LittleEndian.Uint64(b) }
func store64(b []uint8, w uint64) { binary.LittleEndian.PutUint64(b, w) }

// transpose mirrors a square of eight by eight bytes, a row being a word, by
// swapping halves of ever smaller squares (Warren, Hacker's Delight, 7-3).
func transpose(s *[8]uint64) {
	swap := func(i, j int, shift uint, mask uint64) {
		t := (s[i]>>shift ^ s[j]) & mask
		s[j] ^= t
		s[i] ^= t << shift
	}
	for i := range 4 {
		swap(i, i+4, 32, 0x00000000FFFFFFFF)
	}
	for _, i := range [4]int{0, 1, 4, 5} {
		swap(i, i+2, 16, 0x0000FFFF0000FFFF)
	}
	for i := 0; i < 8; i += 2 {
		swap(i, i+1, 8, 0x00FF00FF00FF00FF)
	}
}
