package gbdt

import "strconv"

// parsed is a tree, or nil if there is something wrong with it, and the number
// of lines it takes.
type parsed struct {
	tree  *Tree
	lines int
}

// ahead reads the trees that follow in the text, of these sizes, by several
// workers. A tree is there only if reading in turn gives the very same: its
// block ends where its size says, and nothing is wrong with it. The others,
// and all behind a size that cannot be, are left to [textReader.forest], which
// says what is wrong; so errors do not depend on the workers either.
func (t *textReader) ahead(sizes []string, features int) []parsed {
	if t.workers == 0 {
		return nil
	}
	var ends []int
	end := t.pos
	for _, s := range sizes {
		size, err := strconv.Atoi(s)
		if err != nil || size <= 0 || size > len(t.text)-end {
			break
		}
		end += size
		ends = append(ends, end)
	}
	trees := make([]parsed, len(ends))
	p := newPool(t.workers)
	defer p.close()
	p.blocks(len(ends), 16, func(_, from, to, _ int) {
		block := textReader{limits: t.limits}
		start := t.pos
		if from > 0 {
			start = ends[from-1]
		}
		for i := from; i < to; i++ {
			block.text, block.pos, block.line = t.text[start:ends[i]], 0, 0
			tree, err := block.tree(i)
			if err != nil || block.pos != len(block.text) || block.check(tree, features) != nil {
				return
			}
			trees[i] = parsed{tree, block.line}
			start = ends[i]
		}
	})
	return trees
}
