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
	bytes    [][]uint8    // per column, per row
	place    []place      // per feature
	digit    [][256]uint8 // per feature, its bin for each byte of its column
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
	t.digit = make([][256]uint8, len(t.features))
	for f, p := range t.place {
		if p.unit > 0 {
			for b := range t.digit[f] {
				t.digit[f][b] = uint8(b / p.unit % t.features[f].bins)
			}
		}
	}
}

// newTable puts d into bins. prior is the mean label.
func newTable(d *Dataset, p *Params, s *seen, workers *pool, prior float64) *table {
	t := &table{rows: d.Rows()}
	found := make([][]feature, len(d.Names)) // per column of d
	encoded := make([][][]float32, len(d.Names))
	step := (t.rows + sampleRows - 1) / sampleRows
	type scratch struct {
		sorter
		sample [][]float32
	}
	room := make([]scratch, workers.workers)
	workers.run((len(d.Names)+line-1)/line, func(group, worker int) {
		first := group * line
		mine := &room[worker]
		for len(mine.sample) < min(line, len(d.Names)) {
			mine.sample = append(mine.sample, make([]float32, (t.rows+step-1)/step))
		}
		sample := mine.sample[:min(line, len(d.Names)-first)]
		d.gather(sample, first, 0, step)
		for i, values := range sample {
			f := first + i
			if p.ignores(f) {
				found[f] = []feature{{kind: numeric, source: f, bins: 1}}
			} else if len(d.Categorical) == 0 || !d.Categorical[f] {
				found[f] = []feature{numericFeature(p, f, values, s.missing[f], &mine.sorter)}
			} else {
				found[f], encoded[f] = categoricalFeatures(d, p, f, prior, &mine.sorter)
			}
		}
	})
	for f := range found {
		t.features = append(t.features, found[f]...)
	}
	t.bundle()
	t.bytes = make([][]uint8, len(t.columns))
	for c := range t.bytes {
		t.bytes[c] = make([]uint8, t.rows)
	}
	t.fill(d, encoded, workers)
	return t
}

// fillRows is the number of rows filled at a time: so many values of a few
// columns stay in the cache until they are used.
const fillRows = 256

// fill computes the bytes of all columns. encoded has the values of encoded
// features per column of d.
func (t *table) fill(d *Dataset, encoded [][][]float32, workers *pool) {
	search := make([]*kernel.Bounds, len(t.features))
	of := make([][]int, len(d.Names)) // features per column of d
	for f := range t.features {
		feat := &t.features[f]
		of[feat.source] = append(of[feat.source], f)
		if feat.kind != categorical {
			search[f] = kernel.NewBounds(feat.bounds)
		}
	}
	workers.blocks(t.rows, 16*fillRows, func(_, from, to, _ int) {
		var room [line][fillRows]float32
		var columns [line][]float32
		for at := from; at < to; at += fillRows {
			n := min(fillRows, to-at)
			for first := 0; first < len(of); first += line {
				values := columns[:min(line, len(of)-first)]
				for i := range values {
					values[i] = room[i][:n]
				}
				d.gather(values, first, at, 1)
				for i, x := range values {
					for j, f := range of[first+i] {
						if j > 0 {
							x = encoded[first+i][j-1][at : at+n]
						}
						t.fillFeature(f, at, x, search[f])
					}
				}
			}
		}
	})
}

// fillFeature computes the bins of feature f for rows from at on, which have
// values x, at most fillRows.
func (t *table) fillFeature(f, at int, x []float32, bounds *kernel.Bounds) {
	feat := &t.features[f]
	if feat.bins < 2 {
		return
	}
	bytes := t.bytes[t.place[f].column][at : at+len(x)]
	var room [fillRows]uint8
	bins := room[:len(x)]
	shared := len(t.columns[t.place[f].column].features) > 1
	if !shared {
		bins = bytes
	}
	if feat.kind == categorical {
		for i, v := range x {
			bins[i] = feat.bin(v)
		}
	} else {
		kernel.Bins(bins, x, bounds, uint8(feat.bins-1))
	}
	if shared {
		unit := uint8(t.place[f].unit)
		for i, b := range bins {
			bytes[i] += b * unit
		}
	}
}

// bin returns the bin of a category.
func (f *feature) bin(code float32) uint8 {
	if code == code && int(code) < len(f.binOf) {
		return f.binOf[int(code)]
	}
	return 0
}

// A tile is up to kernel.TileWidth columns, row by row, and the layout of
// their histograms: those of the columns, as kernel.Histogram wants them, then
// those of the features that share a column. A feature with a column of its
// own has its histogram there.
type tile struct {
	columns []int   // those of one feature first
	alone   int     // how many of them are of one feature
	data    []uint8 // row r has its bytes at [r*kernel.TileWidth, ...)

	// The features to be split, in order, and where each has its histogram
	// within that of the tile: [at[i], at[i]+size[i]), a multiple of 8 words.
	features []int
	at, size []int
	shared   []sharer
	bundles  []bundle // the columns they share
	words    int      // of the histogram of the tile
	first    int      // where it starts in that of a leaf
}

// A sharer is a feature that shares a column.
type sharer struct {
	feature  int
	position int // of the column in the tile
	at, size int // of the feature's histogram
}

// A bundle is a column that features share: for each byte, the places of the
// bins of its features in the histogram of the tile, side by side.
type bundle struct {
	position, features int
	words              []uint16
}

// of returns the part of a leaf's histogram that is the tile's.
func (t *tile) of(histogram []uint64) []uint64 { return histogram[t.first : t.first+t.words] }

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
		first += tl.words
	}
	return tiles
}

// layOut decides which features of a tile have their histograms where.
func (t *table) layOut(tl *tile, use []bool) {
	tl.columns = slices.Clone(tl.columns)
	slices.SortStableFunc(tl.columns, func(a, b int) int {
		return cmp.Compare(min(len(t.columns[a].features), 2), min(len(t.columns[b].features), 2))
	})
	position := map[int]int{}
	for i, c := range tl.columns {
		if len(t.columns[c].features) == 1 {
			tl.alone = i + 1
		}
		for _, f := range t.columns[c].features {
			if use[f] {
				tl.features = append(tl.features, f)
				position[f] = i
			}
		}
	}
	slices.Sort(tl.features)
	tl.words = kernel.TileWidth * kernel.Stride
	for _, f := range tl.features {
		column := position[f] * kernel.Stride
		size := (t.features[f].bins + 7) / 8 * 8
		tl.size = append(tl.size, size)
		if position[f] < tl.alone {
			tl.at = append(tl.at, column)
			continue
		}
		tl.at = append(tl.at, tl.words)
		tl.shared = append(tl.shared, sharer{feature: f, position: position[f], at: tl.words, size: size})
		tl.words += size
	}
	for i := tl.alone; i < len(tl.columns); i++ {
		b := bundle{position: i}
		for _, s := range tl.shared {
			if s.position == i {
				b.features++
			}
		}
		for byte := range 256 {
			for _, s := range tl.shared {
				if s.position == i {
					b.words = append(b.words, uint16(s.at+int(t.digit[s.feature][byte])))
				}
			}
		}
		tl.bundles = append(tl.bundles, b)
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

// marginRows is the number of rows below which counting the bins of features
// that share a column is faster than adding up the histogram of the column.
const marginRows = 150

// margins computes, in the histogram of a tile, those of features that share
// a column from that of the column or, where these are few, from the rows it
// was counted from and their words q.
func (t *table) margins(histogram []uint64, tl *tile, rows []int32, q []uint64) {
	clear(histogram[kernel.TileWidth*kernel.Stride:])
	if len(rows) < marginRows {
		// One feature after the other would wait for the bin before, which
		// often is the same.
		for _, r := range rows {
			bytes := tl.data[int(r)*kernel.TileWidth:][:kernel.TileWidth]
			word := q[r]
			for i := range tl.bundles {
				b := &tl.bundles[i]
				first := int(bytes[b.position]) * b.features
				for _, at := range b.words[first : first+b.features] {
					histogram[at] += word
				}
			}
		}
		return
	}
	for i := range tl.shared {
		s := &tl.shared[i]
		bins, unit := t.features[s.feature].bins, t.place[s.feature].unit
		to := histogram[s.at : s.at+s.size]
		from := histogram[s.position*kernel.Stride:][:t.columns[tl.columns[s.position]].bins]
		if unit == 1 { // the lowest digit: add up stretches
			for ; len(from) > 0; from = from[bins:] {
				for bin, w := range from[:bins] {
					to[bin] += w
				}
			}
			continue
		}
		for bin := 0; len(from) > 0; from = from[unit:] {
			sum := to[bin]
			for _, w := range from[:unit] {
				sum += w
			}
			to[bin] = sum
			if bin++; bin == bins {
				bin = 0
			}
		}
	}
}

// subtract takes the histogram of one child from that of the parent, which
// becomes that of the other child.
func (t *tile) subtract(parent, child []uint64) {
	alone := t.alone * kernel.Stride
	kernel.Subtract(parent[:alone], child[:alone])
	const shared = kernel.TileWidth * kernel.Stride
	kernel.Subtract(parent[shared:], child[shared:])
}
