package kernel

// addRows is histogram for n of the rows, at least one; last is the last of
// all rows. sparse tells whether the rows lie far apart. Both are for
// prefetching only.
//
//go:noescape
func addRows(hist *TileHistogram, tile *uint8, q *uint64, rows, last *int32, n, width int, sparse bool)

// addRange is histogramAll for n rows, at least one.
//
//go:noescape
func addRange(hist *TileHistogram, tile *uint8, q *uint64, n, width int)

func histogram(hist *TileHistogram, tile []uint8, q []uint64, rows []int32, width int) {
	if level == Plain {
		histogramPlain(hist, tile, q, rows, width)
		return
	}
	if len(rows) == 0 || width == 0 {
		return
	}
	// Assembly checks nothing. See at least that the first and the last row,
	// between which the others are, and the columns exist.
	first, last := rows[0], &rows[len(rows)-1]
	_, _ = q[first], (*[TileWidth]uint8)(tile[int(first)*TileWidth:])
	_, _ = q[*last], (*[TileWidth]uint8)(tile[int(*last)*TileWidth:])[:width]
	for len(rows) > 0 {
		n := min(len(rows), maxChunk)
		sparse := int(rows[n-1]-rows[0]) >= 3*n
		addRows(hist, &tile[0], &q[0], &rows[0], last, n, width, sparse)
		rows = rows[n:]
	}
}

func histogramAll(hist *TileHistogram, tile []uint8, q []uint64, width int) {
	if level == Plain {
		histogramAllPlain(hist, tile, q, width)
		return
	}
	if len(q) == 0 || width == 0 {
		return
	}
	_ = (*[TileWidth]uint8)(tile[(len(q)-1)*TileWidth:])[:width]
	for len(q) > 0 {
		n := min(len(q), maxChunk)
		addRange(hist, &tile[0], &q[0], n, width)
		tile, q = tile[n*TileWidth:], q[n:]
	}
}
