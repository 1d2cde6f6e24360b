package kernel

//go:noescape
func cellsAsm(cells [][Width]uint32, groups []CellGroup, scores []float64, keys *Keys, sum float64) float64

func cellsOf(cells [][Width]uint32, groups []CellGroup, scores []float64, keys *Keys, sum float64) float64 {
	if level == Plain {
		return cellsGo(cells, groups, scores, keys, sum)
	}
	for len(groups) > 0 {
		n := min(len(groups), maxGroups)
		sum = cellsAsm(cells[:n], groups[:n], scores, keys, sum)
		cells, groups = cells[n:], groups[n:]
	}
	return sum
}
