package gbdt

import (
	"cmp"
	"slices"

	"churn/model/gbdt/internal/kernel"
)

// A table is a Dataset in bins, one byte per column and row.
//
// Features of few bins share a column: their bins are the digits of the byte
// in a mixed radix, so that a histogram of the column holds those of all its
// features, as margins. Sums of packed words are exact, and so are the
// margins.
type table struct {
	rows     int
	features []feature
	columns  []column
	bytes    [][]uint8 // per column, per row
	place    []place   // per feature
}

// A column holds one feature or several.
type column struct {
	features []int
	bins     int // product of the bins of the features
}

// place is where a feature is found: its bin is the byte of the column,
// divided by unit, modulo its number of bins.
type place struct{ column, unit int }

// maxDigit bounds the bins of a feature that shares a column, maxBundle those
// of a column that is shared.
const maxDigit, maxBundle = 64, 256

// bundle assigns features to columns: those of few bins by first fit, the
// greatest first (Johnson 1973), each of the others to its own. It is not
// LightGBM's exclusive feature bundling, which needs features that are not
// zero in the same row.
func (t *table) bundle() {
	order := make([]int, len(t.features))
	for f := range order {
		order[f] = f
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(t.features[b].bins, t.features[a].bins) })
	t.place = make([]place, len(t.features))
	for _, f := range order {
		bins := t.features[f].bins
		if bins < 2 {
			continue // nothing to split
		}
		c := len(t.columns)
		if bins <= maxDigit {
			for i := range t.columns {
				if t.columns[i].bins*bins <= maxBundle {
					c = i
					break
				}
			}
		}
		if c == len(t.columns) {
			t.columns = append(t.columns, column{bins: 1})
		}
		col := &t.columns[c]
		t.place[f] = place{column: c, unit: col.bins}
		col.features = append(col.features, f)
		col.bins *= bins
	}
}

// newTable puts d into bins.
func newTable(d *Dataset, p *Params, workers *pool, prior float64) *table {
	t := &table{rows: d.Rows()}
	found := make([][]feature, len(d.Names)) // per column of d
	extra := make([][][]float32, len(d.Names))
	sorters := make([]sorter, workers.workers)
	workers.run(len(d.Names), func(f, worker int) {
		if len(d.Categorical) == 0 || !d.Categorical[f] {
			found[f] = []feature{numericFeature(d, p, f, d.hasMissing(f), &sorters[worker])}
			return
		}
		found[f] = []feature{categoricalFeature(d, p, f)}
		levels := len(found[f][0].binOf)
		few := p.TargetLevels
		if p.Grower == Symmetric {
			few = p.OneHotLevels // symmetric trees have no splits by sets found in a leaf
		}
		if found[f][0].bins-1 <= few || p.TargetOrders == 0 {
			return
		}
		features, values := encodedFeatures(d, p, f, levels, prior)
		for i := range features {
			s := &sorters[worker]
			sorted := s.sort(every(values[i], (t.rows+sampleRows-1)/sampleRows))
			features[i].bounds = bounds(sorted, p.Bins, p.MinInBin)
			features[i].bins = len(features[i].bounds) + 1
		}
		found[f] = append(found[f], features...)
		extra[f] = values
	})
	for f := range found {
		t.features = append(t.features, found[f]...)
	}
	t.bundle()
	t.bytes = make([][]uint8, len(t.columns))
	for c := range t.bytes {
		t.bytes[c] = make([]uint8, t.rows)
	}
	t.fill(d, extra, workers)
	return t
}

// every returns a copy of every k-th value.
func every(values []float32, k int) []float32 {
	out := make([]float32, 0, len(values)/k+1)
	for i := 0; i < len(values); i += k {
		out = append(out, values[i])
	}
	return out
}

// fillRows is the number of rows filled at a time: their values stay in the
// cache while one feature after the other picks its own.
const fillRows = 256

// fill computes the bytes of all columns.
func (t *table) fill(d *Dataset, extra [][][]float32, workers *pool) {
	search := make([]*kernel.Bounds, len(t.features))
	for f := range t.features {
		if t.features[f].kind != categorical {
			search[f] = kernel.NewBounds(t.features[f].bounds)
		}
	}
	width := len(d.Names)
	workers.blocks(t.rows, 64*fillRows, func(_, from, to, _ int) {
		var values [fillRows]float32
		var bins [fillRows]uint8
		for at := from; at < to; at += fillRows {
			n := min(fillRows, to-at)
			for f := range t.features {
				feat := &t.features[f]
				if feat.bins < 2 {
					continue
				}
				x := values[:n]
				if feat.kind == encoded {
					first := f
					for t.features[first].kind == encoded {
						first--
					}
					x = extra[feat.source][f-first-1][at : at+n]
				} else {
					for i, j := 0, at*width+feat.source; i < n; i, j = i+1, j+width {
						x[i] = d.X[j]
					}
				}
				bytes := t.bytes[t.place[f].column][at : at+n]
				out := bins[:n]
				shared := len(t.columns[t.place[f].column].features) > 1
				if !shared {
					out = bytes
				}
				if feat.kind == categorical {
					for i, v := range x {
						out[i] = feat.bin(v)
					}
				} else {
					kernel.Bins(out, x, search[f], uint8(feat.bins-1))
				}
				if shared {
					unit := uint8(t.place[f].unit)
					for i, b := range out {
						bytes[i] += b * unit
					}
				}
			}
		}
	})
}

// bin returns the bin of a category.
func (f *feature) bin(code float32) uint8 {
	if code == code && int(code) < len(f.binOf) {
		return f.binOf[int(code)]
	}
	return 0
}

// A tile is up to kernel.TileWidth columns, row by row, and the layout of
// their histograms.
type tile struct {
	columns []int
	data    []uint8 // row r has its bytes at [r*kernel.TileWidth, ...)

	// The features to be split, in order, the position of their columns among
	// columns, and where each has its histogram within that of the tile:
	// [at[i], at[i+1]), a multiple of 8 words.
	features []int
	position []int
	at       []int
	first    int // where the histogram of the tile starts in that of a leaf
}

func (t *tile) words() int { return t.at[len(t.at)-1] }

// pack puts the columns that hold a feature in use into tiles of nearly equal
// width, their number a multiple of workers if that leaves them wide enough
// to be worth a pass over the rows. It reuses the memory of old tiles.
func (t *table) pack(use []bool, old []tile, workers *pool) []tile {
	var columns []int
	for c := range t.columns {
		if slices.ContainsFunc(t.columns[c].features, func(f int) bool { return use[f] }) {
			columns = append(columns, c)
		}
	}
	if len(columns) == 0 {
		return nil
	}
	number := (len(columns) + kernel.TileWidth - 1) / kernel.TileWidth
	if more := (number + workers.workers - 1) / workers.workers * workers.workers; len(columns)/more >= kernel.TileWidth/2 {
		number = more
	}
	tiles := make([]tile, number)
	first := 0
	for i := range tiles {
		tl := &tiles[i]
		tl.first = first
		tl.columns = columns[i*len(columns)/number : (i+1)*len(columns)/number]
		t.layOut(tl, use)
		if i < len(old) {
			tl.data = old[i].data
		} else {
			tl.data = make([]uint8, t.rows*kernel.TileWidth)
		}
		t.copyRows(tl, workers)
		first += tl.words()
	}
	return tiles
}

// layOut decides which features of a tile have their histograms where.
func (t *table) layOut(tl *tile, use []bool) {
	position := map[int]int{}
	for i, c := range tl.columns {
		for _, f := range t.columns[c].features {
			if use[f] {
				tl.features = append(tl.features, f)
				position[f] = i
			}
		}
	}
	slices.Sort(tl.features)
	tl.at = []int{0}
	for _, f := range tl.features {
		tl.position = append(tl.position, position[f])
		tl.at = append(tl.at, tl.words()+(t.features[f].bins+7)/8*8)
	}
}

// copyRows copies the bytes of the tile's columns to its rows, in squares of
// eight by eight bytes.
func (t *table) copyRows(tl *tile, workers *pool) {
	workers.blocks(t.rows, 1<<14, func(_, from, to, _ int) {
		for c0 := 0; c0 < len(tl.columns); c0 += 8 {
			n := min(8, len(tl.columns)-c0)
			r := from
			for ; n == 8 && r+8 <= to; r += 8 {
				var square [8]uint64
				for i := range square {
					square[i] = load64(t.bytes[tl.columns[c0+i]][r:])
				}
				transpose(&square)
				for i, w := range square {
					store64(tl.data[(r+i)*kernel.TileWidth+c0:], w)
				}
			}
			for ; r < to; r++ {
				for i := range n {
					tl.data[r*kernel.TileWidth+c0+i] = t.bytes[tl.columns[c0+i]][r]
				}
			}
		}
	})
}

// unpack turns the histograms of the columns of tl into those of its
// features.
func (t *table) unpack(features []uint64, columns *kernel.TileHistogram, tl *tile) {
	for i, f := range tl.features {
		to := features[tl.at[i]:tl.at[i+1]]
		c, bins, unit := tl.position[i], t.features[f].bins, t.place[f].unit
		from := columns[c*kernel.Stride : c*kernel.Stride+t.columns[tl.columns[c]].bins]
		if len(from) == bins {
			clear(to[copy(to, from):])
			continue
		}
		clear(to)
		for len(from) > 0 {
			for bin := range bins {
				sum := to[bin]
				for _, w := range from[:unit] {
					sum += w
				}
				to[bin] = sum
				from = from[unit:]
			}
		}
	}
}
