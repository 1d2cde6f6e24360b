//go:build !amd64

package kernel

func detect() Level { return Plain }

func histogram(hist *TileHistogram, tile []uint8, q []uint64, rows []int32, width int) {
	histogramPlain(hist, tile, q, rows, width)
}

func histogramAll(hist *TileHistogram, tile []uint8, q []uint64, width int) {
	histogramAllPlain(hist, tile, q, width)
}

func subtract(a, b []uint64) { subtractGo(a, b) }

func bestGain(hist []uint64, start uint64, leaf *Leaf) float64 {
	return bestGainGo(hist, start, leaf)
}

func addGains(sums []float64, hist []uint64, start uint64, leaf *Leaf, none float64) {
	addGainsGo(sums, hist, start, leaf, none)
}

func gradients(g, h []float32, score []float64, sign, weight []float32) (sumG, sumH float64) {
	return gradientsGo(g, h, score, sign, weight)
}

func quantise(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32) {
	quantiseGo(q, g, h, gScale, hScale, first, seed)
}

func bins(out []uint8, x []float32, bounds *Bounds, missing uint8) {
	binsGo(out, x, bounds, missing)
}

func partition(rows, right []int32, column []uint8, left *[256]uint8) int {
	return partitionGo(rows, right, column, left)
}

func walk(nodes []uint64, values []float64, roots [][Width]uint32, keys *Keys, sum float64) float64 {
	return walkGo(nodes, values, roots, keys, sum)
}

func cellsOf(cells [][Width]uint32, groups []CellGroup, scores []float64, keys *Keys, sum float64) float64 {
	return cellsGo(cells, groups, scores, keys, sum)
}

func path(t *PathTree, points *Points, all bool, keys *Keys, s *PathScratch) {
	pathGo(t, points, 0, keys, s)
	if all {
		pathGo(t, points, PathLanes/2, keys, s)
	}
}

func spread(totals *[1 << 16]float64, cells [][Width]uint32, rows [][8]float64, owners [][Width][8]uint16) {
	spreadGo(totals, cells, rows, owners)
}
