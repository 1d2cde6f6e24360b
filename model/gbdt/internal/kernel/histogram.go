package kernel

// TileWidth is the number of columns of a tile: the bytes of a row of a tile
// lie side by side and fill half a cache line.
const TileWidth = 32

// Stride is the distance between the histograms of neighbouring columns of a
// tile, in words. It is more than 256, so that columns do not fall on the
// same cache sets: with a stride of 2,048 bytes the same loop takes over twice
// as long.
const Stride = 264

// A TileHistogram is the histograms of the columns of a tile: column c has
// its bins at [c*Stride, c*Stride+256).
type TileHistogram [TileWidth * Stride]uint64

// maxChunk bounds the rows one call of assembly works through: it cannot be
// preempted, and a garbage collection waits for it.
const maxChunk = 1 << 12

// Histogram adds the words q of the given rows to the first width columns of
// the tile, in which row r has its bins at [r*TileWidth, (r+1)*TileWidth).
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

// Subtract takes b from a, word by word. Both have the same length.
func Subtract(a, b []uint64) {
	subtract(a, b[:len(a)])
}

func subtractGo(a, b []uint64) {
	for i, w := range b[:len(a)] {
		a[i] -= w
	}
}
