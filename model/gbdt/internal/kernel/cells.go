package kernel

// A CellGroup is Width trees of which each asks the same few questions of
// every row: the answers are the binary number of a cell, 1 for left, the
// first question highest.
type CellGroup struct {
	Tests [][Width]Test // of each question, one for each tree
	First [Width]uint32 // number of each tree's cell 0 among those of all trees
}

// Cells sets cells to the cells a row falls into and adds their scores to sum,
// tree after tree.
func Cells(cells [][Width]uint32, groups []CellGroup, scores []float64, keys *Keys, sum float64) float64 {
	return cellsOf(cells[:len(groups)], groups, scores, keys, sum)
}

func cellsGo(cells [][Width]uint32, groups []CellGroup, scores []float64, keys *Keys, sum float64) float64 {
	for i := range groups {
		group := &groups[i]
		var a, b, c, d, e, f, g, h uint64
		for j := range group.Tests {
			q := &group.Tests[j]
			a, b, c, d = a<<1|keys.below(q[0]), b<<1|keys.below(q[1]), c<<1|keys.below(q[2]), d<<1|keys.below(q[3])
			e, f, g, h = e<<1|keys.below(q[4]), f<<1|keys.below(q[5]), g<<1|keys.below(q[6]), h<<1|keys.below(q[7])
		}
		out := &cells[i]
		for j, cell := range [Width]uint64{a, b, c, d, e, f, g, h} {
			out[j] = group.First[j] + uint32(cell)
			sum += scores[out[j]]
		}
	}
	return sum
}

// CellsAhead is how many groups of cells Spread looks ahead: cells must have as
// many more than there are owners.
const CellsAhead = 2

// Spread adds the numbers in the row of each cell to the totals of their owners.
func Spread(totals *[1 << 16]float64, cells [][Width]uint32, rows [][8]float64, owners [][Width][8]uint16) {
	spread(totals, cells[:len(owners)+CellsAhead], rows, owners)
}

func spreadGo(totals *[1 << 16]float64, cells [][Width]uint32, rows [][8]float64, owners [][Width][8]uint16) {
	for i := range owners {
		for j, cell := range &cells[i] {
			v, o := &rows[cell], &owners[i][j]
			totals[o[0]] += v[0]
			totals[o[1]] += v[1]
			totals[o[2]] += v[2]
			totals[o[3]] += v[3]
			totals[o[4]] += v[4]
			totals[o[5]] += v[5]
			totals[o[6]] += v[6]
			totals[o[7]] += v[7]
		}
	}
}
