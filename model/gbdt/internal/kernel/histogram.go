package kernel

// TileWidth is the number of columns of a tile: the bytes of a row of a tile
// lie side by side and fill half a cache line.
const TileWidth = 32

// Stride is the distance between the histograms of neighbouring columns of a
// tile, in words. It is more than 256, so that columns do not fall on the
// same cache sets: with a stride of 2,048 bytes the same loop took 1.3 to 1.6
// times as long on Zen 4.
const Stride = 264

// A TileHistogram is the histograms of the columns of a tile: column c has
// its bins at [c*Stride, c*Stride+256).
type TileHistogram [TileWidth * Stride]uint64

// maxChunk bounds the rows one call of assembly works through: it cannot be
// preempted, and a garbage collection waits for it.
const maxChunk = 1 << 12

// Histogram adds the words q of the given rows, which rise, to the first width
// columns of the tile, in which row r has its bins at
// [r*TileWidth, (r+1)*TileWidth).
func Histogram(hist *TileHistogram, tile []uint8, q []uint64, rows []int32, width int) {
	histogram(hist, tile, q, rows, width)
}

// HistogramAll is Histogram for all rows [first, first+n).
func HistogramAll(hist *TileHistogram, tile []uint8, q []uint64, first, n, width int) {
	histogramAll(hist, tile[first*TileWidth:(first+n)*TileWidth], q[first:first+n], width)
}

func histogramGo(hist *TileHistogram, tile []uint8, q []uint64, rows []int32, width int) {
	for _, r := range rows {
		word := q[r]
		row := tile[int(r)*TileWidth : int(r)*TileWidth+width]
		for c, bin := range row {
			hist[c*Stride+int(bin)] += word
		}
	}
}

func histogramAllGo(hist *TileHistogram, tile []uint8, q []uint64, width int) {
	for r, word := range q {
		for c, bin := range tile[r*TileWidth : r*TileWidth+width] {
			hist[c*Stride+int(bin)] += word
		}
	}
}

// plainBlock is the number of rows whose bins the plain kernels have at hand
// while they go from columns to columns.
const plainBlock = 64

// histogramPlain is histogramGo for machines without assembly. It first copies
// the bins of a block of rows, a loop so short that the processor looks many
// rows ahead, which for sparse lists is three to five times as fast.
func histogramPlain(hist *TileHistogram, tile []uint8, q []uint64, rows []int32, width int) {
	var bins [plainBlock * TileWidth]uint8
	var words [plainBlock]uint64
	for len(rows) > 0 {
		n := min(len(rows), plainBlock)
		for i, r := range rows[:n] {
			words[i] = q[r]
			*(*[TileWidth]uint8)(bins[i*TileWidth:]) = [TileWidth]uint8(tile[int(r)*TileWidth:])
		}
		histogramAllPlain(hist, bins[:n*TileWidth], words[:n], width)
		rows = rows[n:]
	}
}

// histogramAllPlain is histogramAllGo, eight columns at a time: their bounds
// need no checks, which makes it half as fast again.
func histogramAllPlain(hist *TileHistogram, tile []uint8, q []uint64, width int) {
	for len(q) > 0 {
		n := min(len(q), plainBlock)
		c := 0
		for ; c+8 <= width; c += 8 {
			h := (*[8 * Stride]uint64)(hist[c*Stride:])
			for r, word := range q[:n] {
				bins := (*[8]uint8)(tile[r*TileWidth+c:])
				h[0*Stride+int(bins[0])] += word
				h[1*Stride+int(bins[1])] += word
				h[2*Stride+int(bins[2])] += word
				h[3*Stride+int(bins[3])] += word
				h[4*Stride+int(bins[4])] += word
				h[5*Stride+int(bins[5])] += word
				h[6*Stride+int(bins[6])] += word
				h[7*Stride+int(bins[7])] += word
			}
		}
		for ; c < width; c++ {
			h := (*[Stride]uint64)(hist[c*Stride:])
			for r, word := range q[:n] {
				h[tile[r*TileWidth+c]] += word
			}
		}
		tile, q = tile[n*TileWidth:], q[n:]
	}
}

// Subtract takes b from a, word by word. Both have the same length.
func Subtract(a, b []uint64) {
	subtract(a, b[:len(a)])
}

func subtractGo(a, b []uint64) {
	for i, w := range b[:len(a)] {
		a[i] -= w
	}
}
