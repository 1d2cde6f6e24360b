package event

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter puts any number of records in the order of their keys, those of one
// key in the order in which they came. What does not fit into memory goes to
// files in runs, which are merged.
type sorter struct {
	dir    string
	limit  int // bytes of records in memory, and those of their index
	chunks [][]byte
	used   int // chunks in use
	bytes  int // in them
	index  []place
	levels [][]*os.File // runs in the order of their records from the last level to the first
	fan    int          // runs merged at a time, and at most of a level
	buffer int          // read ahead of each
}

// place is a record in the chunks, with the head of its key.
type place struct {
	head       uint64
	chunk, pos uint32
}

const (
	sorterChunk  = 1 << 18
	sorterBuffer = 1 << 16 // at most, of a run that is merged
	placeBytes   = 16
)

// newSorter takes about limit bytes of memory.
func newSorter(dir string, limit int) *sorter {
	s := &sorter{dir: dir, limit: limit, buffer: sorterBuffer}
	s.fan = min(max(limit/s.buffer, 8), 256)
	s.buffer = max(min(s.buffer, limit/s.fan), 1<<12)
	return s
}

// add keeps a copy of a record.
func (s *sorter) add(key, value []byte) error {
	n := len(key) + len(value) + 2*binary.MaxVarintLen32
	if s.bytes+n+placeBytes*(len(s.index)+1) > s.limit && len(s.index) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.used == 0 || cap(s.chunks[s.used-1])-len(s.chunks[s.used-1]) < n {
		if s.used == len(s.chunks) || cap(s.chunks[s.used]) < n {
			// A record that is longer than a chunk has one of its own.
			s.chunks = slices.Insert(s.chunks, s.used, make([]byte, 0, max(n, min(sorterChunk, s.limit))))
		}
		s.chunks[s.used] = s.chunks[s.used][:0]
		s.used++
	}
	c := &s.chunks[s.used-1]
	var head [8]byte
	copy(head[:], key)
	s.index = append(s.index, place{binary.BigEndian.Uint64(head[:]), uint32(s.used - 1), uint32(len(*c))})
	before := len(*c)
	*c = appendRecord(*c, key, value)
	s.bytes += len(*c) - before
	return nil
}

func appendRecord(b, key, value []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(append(b, key...), value...)
}

// record returns a record in memory: its bytes as they are in a file, and what
// is in them.
func (s *sorter) record(p place) (raw, key, value []byte) {
	b := s.chunks[p.chunk][p.pos:]
	k, i := binary.Uvarint(b)
	v, j := binary.Uvarint(b[i:])
	start := i + j
	end := start + int(k) + int(v)
	return b[:end], b[start : start+int(k)], b[start+int(k) : end]
}

func (s *sorter) sort() {
	slices.SortFunc(s.index, func(a, b place) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		_, x, _ := s.record(a)
		_, y, _ := s.record(b)
		return cmp.Or(bytes.Compare(x, y), cmp.Compare(a.chunk, b.chunk), cmp.Compare(a.pos, b.pos))
	})
}

// spill writes what is in memory as a run. When a level is full its runs become
// one of the next, so that few files are open.
func (s *sorter) spill() error {
	s.sort()
	err := s.write(0, func(w *bufio.Writer) error {
		for _, p := range s.index {
			raw, _, _ := s.record(p)
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	})
	s.index, s.used, s.bytes = s.index[:0], 0, 0
	for level := 0; err == nil && len(s.levels[level]) == s.fan; level++ {
		err = s.collapse(level)
	}
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

// merge ends the adding and returns all records in order. The memory is free
// for others once the iterator is.
func (s *sorter) merge() (*merged, error) {
	if len(s.levels) == 0 {
		s.sort()
		return &merged{memory: s}, nil
	}
	if len(s.index) > 0 {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	s.chunks, s.index = nil, nil
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

func (s *sorter) openRuns(runs []*os.File) (*merged, error) {
	m := &merged{}
	for i, f := range runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r := &runReader{in: bufio.NewReaderSize(f, s.buffer), order: i}
		more, err := r.next()
		if err != nil {
			return nil, err
		}
		if more {
			m.heap = append(m.heap, r)
		}
	}
	heap.Init(&m.heap)
	return m, nil
}

// close lets go of files and memory.
func (s *sorter) close() {
	for _, f := range s.open() {
		f.Close()
	}
	s.levels, s.chunks, s.index = nil, nil, nil
}

// merged gives the records of all runs in order.
type merged struct {
	memory *sorter // all there is, or
	at     int
	heap   runHeap
	begun  bool
}

// next returns a record, good until the next call, or io.EOF.
func (m *merged) next() (key, value []byte, err error) {
	if m.memory != nil {
		if m.at == len(m.memory.index) {
			return nil, nil, io.EOF
		}
		_, key, value = m.memory.record(m.memory.index[m.at])
		m.at++
		return key, value, nil
	}
	if m.begun {
		more, err := m.heap[0].next()
		switch {
		case err != nil:
			return nil, nil, err
		case more:
			heap.Fix(&m.heap, 0)
		default:
			heap.Pop(&m.heap)
		}
	}
	m.begun = len(m.heap) > 0
	if !m.begun {
		return nil, nil, io.EOF
	}
	return m.heap[0].key, m.heap[0].value, nil
}

func (m *merged) copy(w *bufio.Writer) error {
	var b []byte
	for {
		key, value, err := m.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		b = appendRecord(b[:0], key, value)
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
}

// runReader reads a file of records.
type runReader struct {
	in         *bufio.Reader
	order      int
	data       []byte
	key, value []byte
}

var errRun = errors.New("sorting: a temporary file is damaged")

func (r *runReader) next() (more bool, err error) {
	k, err := binary.ReadUvarint(r.in)
	if err == io.EOF {
		return false, nil
	}
	v, err2 := binary.ReadUvarint(r.in)
	if err := errors.Join(err, err2); err != nil {
		return false, errors.Join(errRun, err)
	}
	if k > MaxRowBytes || v > 1<<40 {
		return false, errRun
	}
	n := int(k + v)
	if cap(r.data) < n || cap(r.data) > sorterBuffer && n < sorterBuffer {
		r.data = make([]byte, n)
	}
	r.data = r.data[:n]
	if _, err := io.ReadFull(r.in, r.data); err != nil {
		return false, errors.Join(errRun, err)
	}
	r.key, r.value = r.data[:k], r.data[k:]
	return true, nil
}

// runHeap has the run with the least key on top, of equal ones the first.
type runHeap []*runReader

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	return cmp.Or(bytes.Compare(h[i].key, h[j].key), cmp.Compare(h[i].order, h[j].order)) < 0
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*runReader)) }
func (h *runHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
