package event

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// sorter puts any number of records in the order of their keys, those of one
// key in the order in which they came. Records of one key are kept together, so
// that only keys are compared. What does not fit into memory goes to files in
// runs, which are merged.
type sorter struct {
	dir    string
	limit  int // bytes of records in memory, and of what finds them
	groups []group
	at     map[string]int32 // groups by key
	last   int32            // of groups: that of the record before
	chunks [][]byte         // blocks of records
	used   int              // chunks in use
	keys   []byte           // room for those of groups
	bytes  int
	levels [][]*os.File // runs in the order of their records from the last level to the first
	fan    int          // runs merged at a time, and at most of a level
	buffer int          // read ahead of each
}

// group is the records of one key in memory: blocks of which each names the
// next. A record is its length and its bytes.
type group struct {
	key         string
	size        int // of all records
	first, last block
	at, end     uint32 // where the next record goes in the last block, and where that ends
}

// block is a place in the chunks. It begins with its successor and with where
// its records end.
type block struct{ chunk, pos uint32 }

const (
	sorterChunk  = 1 << 18
	sorterBuffer = 1 << 16 // at most, of a run that is merged
	blockHead    = 12
	leastBlock   = 64
	mostBlock    = 1 << 12
	groupBytes   = 150 // of a group and its place in the map, about
)

// newSorter takes about limit bytes of memory.
func newSorter(dir string, limit int) *sorter {
	s := &sorter{dir: dir, limit: limit, buffer: sorterBuffer, at: map[string]int32{}}
	s.fan = min(max(limit/s.buffer, 8), 256)
	s.buffer = max(min(s.buffer, limit/s.fan), 1<<12)
	return s
}

// add keeps a copy of a record.
func (s *sorter) add(key, value []byte) error {
	n := len(value) + binary.MaxVarintLen32
	if s.bytes+n+blockHead+len(key)+groupBytes > s.limit && len(s.groups) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	g := s.group(key)
	if int(g.end-g.at) < n {
		s.extend(g, n)
	}
	c := s.chunks[g.last.chunk]
	i := int(g.at)
	i += binary.PutUvarint(c[i:], uint64(len(value)))
	i += copy(c[i:], value)
	g.size += i - int(g.at)
	g.at = uint32(i)
	return nil
}

// group finds or makes that of a key.
func (s *sorter) group(key []byte) *group {
	if len(s.groups) > 0 && s.groups[s.last].key == string(key) {
		return &s.groups[s.last]
	}
	i, ok := s.at[string(key)]
	if !ok {
		if cap(s.keys)-len(s.keys) < len(key) {
			s.keys = make([]byte, 0, max(1<<14, len(key)))
		}
		start := len(s.keys)
		s.keys = append(s.keys, key...)
		i = int32(len(s.groups))
		s.groups = append(s.groups, group{key: viewString(s.keys[start:])})
		s.at[s.groups[i].key] = i
		s.bytes += groupBytes + len(key)
	}
	s.last = i
	return &s.groups[i]
}

// extend gives a group a block for at least n bytes more.
func (s *sorter) extend(g *group, n int) {
	n = blockHead + max(n, min(max(g.size, leastBlock), mostBlock))
	if s.used == 0 || cap(s.chunks[s.used-1])-len(s.chunks[s.used-1]) < n {
		if s.used == len(s.chunks) || cap(s.chunks[s.used]) < n {
			// A record that is longer than a chunk has one of its own.
			s.chunks = slices.Insert(s.chunks, s.used, make([]byte, 0, max(n, min(sorterChunk, s.limit))))
		}
		s.chunks[s.used] = s.chunks[s.used][:0]
		s.used++
	}
	c := &s.chunks[s.used-1]
	at := block{uint32(s.used - 1), uint32(len(*c))}
	*c = (*c)[:len(*c)+n]
	if g.size == 0 {
		g.first = at
	} else {
		head := s.chunks[g.last.chunk][g.last.pos:]
		binary.LittleEndian.PutUint32(head, at.chunk)
		binary.LittleEndian.PutUint32(head[4:], at.pos)
		binary.LittleEndian.PutUint32(head[8:], g.at)
	}
	g.last, g.at, g.end = at, at.pos+blockHead, at.pos+uint32(n)
	s.bytes += n
}

// records returns those of a group in a block, and the block after it.
func (s *sorter) records(g *group, b block) (records []byte, next block) {
	c := s.chunks[b.chunk]
	if b == g.last {
		return c[b.pos+blockHead : g.at], b
	}
	head := c[b.pos:]
	next = block{binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])}
	return c[b.pos+blockHead : binary.LittleEndian.Uint32(head[8:])], next
}

// sort puts the groups in order. They cannot be found by key any more.
func (s *sorter) sort() {
	clear(s.at)
	byKey := func(a, b group) int { return strings.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(s.groups, byKey) {
		slices.SortFunc(s.groups, byKey)
	}
}

// spill writes what is in memory as a run. When a level is full its runs become
// one of the next, so that few files are open.
func (s *sorter) spill() error {
	s.sort()
	err := s.write(0, func(w *bufio.Writer) error {
		for i := range s.groups {
			g := &s.groups[i]
			if err := writeHead(w, g.key, int64(g.size)); err != nil {
				return err
			}
			for b := g.first; ; {
				records, next := s.records(g, b)
				if _, err := w.Write(records); err != nil {
					return err
				}
				if next == b {
					break
				}
				b = next
			}
		}
		return nil
	})
	s.groups, s.keys, s.used, s.bytes = s.groups[:0], nil, 0, 0
	for level := 0; err == nil && len(s.levels[level]) == s.fan; level++ {
		err = s.collapse(level)
	}
	return err
}

// writeHead writes what comes before the records of a group: the lengths of its
// key and of all records, and the key.
func writeHead(w *bufio.Writer, key string, size int64) error {
	var head [2 * binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(key)))
	n += binary.PutUvarint(head[n:], uint64(size))
	if _, err := w.Write(head[:n]); err != nil {
		return err
	}
	_, err := w.WriteString(key)
	return err
}

// collapse merges the runs of a level into one of the next.
func (s *sorter) collapse(level int) error {
	runs := s.levels[level]
	m, err := s.openRuns(runs)
	if err == nil {
		err = s.write(level+1, m.copy)
	}
	if err != nil {
		return err
	}
	for _, f := range runs {
		f.Close()
	}
	s.levels[level] = nil
	return nil
}

// write adds a run to a level.
func (s *sorter) write(level int, fill func(*bufio.Writer) error) error {
	f, err := tempFile(s.dir)
	if err != nil {
		return err
	}
	if level == len(s.levels) {
		s.levels = append(s.levels, nil)
	}
	s.levels[level] = append(s.levels[level], f)
	w := bufio.NewWriterSize(f, sorterBuffer)
	if err := errors.Join(fill(w), w.Flush()); err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	return nil
}

// tempFile makes a file that is gone when it is closed, or at the latest with
// its directory.
func tempFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "run-")
	if err != nil {
		return nil, fmt.Errorf("sorting: %w", err)
	}
	_ = os.Remove(f.Name()) // some systems do not let go of an open file: then the directory goes
	return f, nil
}

// merge ends the adding and returns all records in order; called again, it
// returns them from the first on.
func (s *sorter) merge() (*merged, error) {
	if len(s.levels) == 0 {
		s.sort()
		return &merged{memory: s}, nil
	}
	if len(s.groups) > 0 {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	s.chunks, s.groups = nil, nil
	// The lower levels first: they are short.
	for level := 0; level < len(s.levels)-1; level++ {
		if len(s.open()) <= s.fan {
			break
		}
		if err := s.collapse(level); err != nil {
			return nil, err
		}
	}
	return s.openRuns(s.open())
}

// open lists all runs in the order of their records.
func (s *sorter) open() (runs []*os.File) {
	for _, level := range slices.Backward(s.levels) {
		runs = append(runs, level...)
	}
	return runs
}

// close lets go of files and memory.
func (s *sorter) close() {
	for _, f := range s.open() {
		f.Close()
	}
	s.levels, s.chunks, s.groups, s.at, s.keys = nil, nil, nil, nil, nil
}
