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

//go:noescape
func spreadAsm(totals *[1 << 16]float64, cells [][Width]uint32, rows [][8]float64, owners [][Width][8]uint16)

func spread(totals *[1 << 16]float64, cells [][Width]uint32, rows [][8]float64, owners [][Width][8]uint16) {
	if level == Plain {
		spreadGo(totals, cells, rows, owners)
		return
	}
	for len(owners) > 0 {
		n := min(len(owners), maxGroups)
		spreadAsm(totals, cells, rows, owners[:n])
		cells, owners = cells[n:], owners[n:]
	}
}
