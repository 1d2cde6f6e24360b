package event

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
)

func (s *sorter) openRuns(runs []*os.File) (*merged, error) {
	m := &merged{}
	for i, f := range runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r := &runReader{in: bufio.NewReaderSize(f, s.buffer), order: i}
		more, err := r.group()
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

// merged gives the records of all runs in order.
type merged struct {
	memory *sorter // all there is, or
	at     int     // group of memory
	block  block   // of which records are left
	left   []byte  // nil at the head of a group
	heap   runHeap
}

// next returns a record, good until the next call, or io.EOF.
func (m *merged) next() (key, value []byte, err error) {
	if m.memory != nil {
		return m.nextInMemory()
	}
	for len(m.heap) > 0 {
		r := m.heap[0]
		if r.left > 0 {
			value, err = r.record()
			return r.key, value, err
		}
		if err := m.advance(); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, io.EOF
}

// advance goes on to the next group of the first run.
func (m *merged) advance() error {
	more, err := m.heap[0].group()
	switch {
	case err != nil:
		return err
	case more:
		heap.Fix(&m.heap, 0)
	default:
		heap.Pop(&m.heap)
	}
	return nil
}

func (m *merged) nextInMemory() (key, value []byte, err error) {
	for m.at < len(m.memory.groups) {
		g := &m.memory.groups[m.at]
		switch {
		case m.left == nil:
			m.block = g.first
		case len(m.left) > 0:
			n, k := binary.Uvarint(m.left)
			value, m.left = m.left[k:k+int(n)], m.left[k+int(n):]
			return viewBytes(g.key), value, nil
		case m.block == g.last:
			m.left = nil
			m.at++
			continue
		default:
			_, m.block = m.memory.records(g, m.block)
		}
		m.left, _ = m.memory.records(g, m.block)
	}
	return nil, nil, io.EOF
}

// copy writes all groups.
func (m *merged) copy(w *bufio.Writer) error {
	for len(m.heap) > 0 {
		r := m.heap[0]
		if err := writeHead(w, viewString(r.key), r.left); err != nil {
			return err
		}
		if n, err := io.CopyN(w, r.in, r.left); err != nil {
			return errors.Join(errRun, err)
		} else if r.left -= n; r.left > 0 {
			return errRun
		}
		if err := m.advance(); err != nil {
			return err
		}
	}
	return nil
}

// runReader reads a file of groups.
type runReader struct {
	in    *bufio.Reader
	order int
	key   []byte
	left  int64  // bytes of records of the group
	taken int    // bytes of in that are used and not passed over yet
	long  []byte // a record longer than what is read ahead
}

var errRun = errors.New("sorting: a temporary file is damaged")

// number reads the number in front and tells how long it is.
func (r *runReader) number(at int) (v uint64, n int, err error) {
	b, err := r.in.Peek(at + binary.MaxVarintLen64)
	if len(b) <= at {
		return 0, 0, err
	}
	if v, n = binary.Uvarint(b[at:]); n <= 0 {
		return 0, 0, errors.Join(errRun, err)
	}
	return v, n, nil
}

func (r *runReader) pass() { r.in.Discard(r.taken); r.taken = 0 } // they are in the buffer

// group reads the head of the next group; false is the end.
func (r *runReader) group() (bool, error) {
	r.pass()
	k, n, err := r.number(0)
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, errors.Join(errRun, err)
	}
	size, m, err := r.number(n)
	if err != nil || k > MaxRowBytes || size == 0 || size > 1<<50 {
		return false, errors.Join(errRun, err)
	}
	r.in.Discard(n + m)
	r.key = slices.Grow(r.key[:0], int(k))[:k]
	if _, err := io.ReadFull(r.in, r.key); err != nil {
		return false, errors.Join(errRun, err)
	}
	r.left = int64(size)
	return true, nil
}

// record returns the next record of the group, good until the next call.
func (r *runReader) record() ([]byte, error) {
	r.pass()
	v, n, err := r.number(0)
	if err != nil || v > uint64(r.left) {
		return nil, errors.Join(errRun, err)
	}
	r.left -= int64(n) + int64(v)
	if r.left < 0 {
		return nil, errRun
	}
	if n+int(v) <= r.in.Size() {
		b, err := r.in.Peek(n + int(v))
		if err != nil {
			return nil, errors.Join(errRun, err)
		}
		r.taken = len(b)
		return b[n:], nil
	}
	r.in.Discard(n)
	r.long = slices.Grow(r.long[:0], int(v))[:v]
	if _, err := io.ReadFull(r.in, r.long); err != nil {
		return nil, errors.Join(errRun, err)
	}
	return r.long, nil
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
