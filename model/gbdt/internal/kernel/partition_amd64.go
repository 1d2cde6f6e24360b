package kernel

// partitionAVX2 parts n rows, a multiple of 8 greater than 0, and returns how
// many stay. It writes at most n rows from stay on, which may be at or before
// rows, and from leave on.
//
//go:noescape
func partitionAVX2(rows, stay, leave *int32, column *uint8, left *[256]uint8, n int, together *[256]uint64) int

// partitionAVX512 is the same for a multiple of 16; safe is the length of the
// column less 128.
//
//go:noescape
func partitionAVX512(rows, stay, leave *int32, column *uint8, left *[256]uint8, n, safe int) int

// together[mask] has the numbers of the bits set in mask, a byte each: the
// shuffle that moves such lanes of a register together.
var together = func() (table [256]uint64) {
	for mask := range table {
		at := 0
		for bit := range 8 {
			if mask>>bit&1 == 1 {
				table[mask] |= uint64(bit) << (8 * at)
				at++
			}
		}
	}
	return table
}()

func partition(rows, right []int32, column []uint8, left *[256]uint8) int {
	const turn, chunk = 16, 1 << 15
	if level == Plain || len(rows) < turn {
		return partitionGo(rows, right, column, left)
	}
	// Assembly checks nothing. See at least that the first and the last row,
	// between which the others are, exist, and that there is room.
	_, _ = column[rows[0]], column[rows[len(rows)-1]]
	_ = right[len(rows)-1]
	stay, read := 0, 0
	for len(rows)-read >= turn {
		n := min((len(rows)-read)&^(turn-1), chunk)
		if level == AVX512 {
			stay += partitionAVX512(&rows[read], &rows[stay], &right[read-stay], &column[0], left, n, len(column)-128)
		} else {
			stay += partitionAVX2(&rows[read], &rows[stay], &right[read-stay], &column[0], left, n, &together)
		}
		read += n
	}
	rest := rows[read:]
	n := partitionGo(rest, right[read-stay:], column, left)
	return stay + copy(rows[stay:], rest[:n])
}
