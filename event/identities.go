package event

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"os"
	"runtime"
	"sync"
)

// hash of an identity. Equal ones have the same; two others with a chance of
// one in 2^64, so that whoever finds the same hash has to look again.
func (e *Event) hash() uint64 {
	const m0, m1 = 0xa0761d6478bd642f, 0xe7037ed1a0b428db
	b := viewBytes(e.ID)
	h := uint64(e.Type)*m1 ^ uint64(len(b))
	mix := func(x, y uint64) {
		hi, lo := bits.Mul64(x^m0, y^h^m1)
		h = hi ^ lo
	}
	for ; len(b) > 16; b = b[16:] {
		mix(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
	}
	var tail [16]byte
	copy(tail[:], b)
	mix(binary.LittleEndian.Uint64(tail[:]), binary.LittleEndian.Uint64(tail[8:]))
	mix(h, m0)
	return h
}

// identities find the events of one customer by their identity.
type identities struct {
	slots []identitySlot
	round uint32 // slots of other rounds are empty
	used  int
}

type identitySlot struct {
	hash  uint64
	round uint32
	at    int32
}

// reset forgets all events.
func (s *identities) reset() {
	s.used = 0
	if s.round++; s.round == 0 { // after four billion customers
		clear(s.slots)
		s.round = 1
	}
}

// find returns the place among events of the one with the identity of e, or
// puts down that its place is next, unless it cancels.
func (s *identities) find(e *Event, events []Event, next int) (at int, found bool) {
	if s.round == 0 {
		s.reset()
	}
	if 2*s.used >= len(s.slots) {
		s.grow()
	}
	hash := e.hash()
	for i := hash & uint64(len(s.slots)-1); ; i = (i + 1) & uint64(len(s.slots)-1) {
		slot := &s.slots[i]
		if slot.round != s.round {
			if !e.Cancelled {
				*slot = identitySlot{hash, s.round, int32(next)}
				s.used++
			}
			return next, false
		}
		if kept := &events[slot.at]; slot.hash == hash && kept.Type == e.Type && kept.ID == e.ID {
			return int(slot.at), true
		}
	}
}

func (s *identities) grow() {
	old := s.slots
	s.slots = make([]identitySlot, max(64, 2*len(old)))
	for _, slot := range old {
		if slot.round != s.round {
			continue
		}
		i := slot.hash & uint64(len(s.slots)-1)
		for s.slots[i].round == s.round {
			i = (i + 1) & uint64(len(s.slots)-1)
		}
		s.slots[i] = slot
	}
}

// hashes finds those that were added twice, of any number. They are parted by
// their first bits; what does not fit into memory goes to a file.
type hashes struct {
	dir   string
	limit int // bytes in memory
	parts [256][]uint64
	held  int
	file  *os.File
	end   int64
	runs  [256][]hashRun // in the file
}

type hashRun struct{ from, n int64 }

func (h *hashes) add(hash uint64) error {
	p := &h.parts[hash>>56]
	*p = append(*p, hash)
	if h.held++; 16*h.held > h.limit { // as much room again for growing
		return h.spill()
	}
	return nil
}

// spill moves all to the file.
func (h *hashes) spill() error {
	if h.file == nil {
		var err error
		if h.file, err = tempFile(h.dir); err != nil {
			return err
		}
	}
	var b []byte
	for i, p := range h.parts {
		h.runs[i] = append(h.runs[i], hashRun{h.end + int64(len(b)), int64(len(p))})
		for _, v := range p {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		h.parts[i] = p[:0]
	}
	h.held = 0
	_, err := h.file.WriteAt(b, h.end)
	h.end += int64(len(b))
	if err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	return nil
}

// twice returns the hashes that were added more than once.
func (h *hashes) twice() (map[uint64]bool, error) {
	found := map[uint64]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	parts := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var table []uint64
			for i := range parts {
				list, err := h.part(i)
				var more []uint64
				table, more = repeated(list, table)
				mu.Lock()
				if err != nil {
					failed = err
				}
				for _, v := range more {
					found[v] = true
				}
				mu.Unlock()
			}
		})
	}
	for i := range h.parts {
		parts <- i
	}
	close(parts)
	wg.Wait()
	return found, failed
}

// part returns all hashes that begin alike.
func (h *hashes) part(i int) ([]uint64, error) {
	list := h.parts[i]
	for _, r := range h.runs[i] {
		b := make([]byte, 8*r.n)
		if _, err := h.file.ReadAt(b, r.from); err != nil && (err != io.EOF || len(b) > 0) {
			return nil, fmt.Errorf("sorting: %w", err)
		}
		for ; len(b) > 0; b = b[8:] {
			list = append(list, binary.LittleEndian.Uint64(b))
		}
	}
	h.parts[i], h.runs[i] = nil, nil
	return list, nil
}

// repeated returns what is in the list more than once. It takes, and returns,
// memory to work with.
func repeated(list, table []uint64) (_, more []uint64) {
	size := 1 << bits.Len(uint(2*len(list)))
	if cap(table) < size {
		table = make([]uint64, size)
	}
	table = table[:size]
	clear(table)
	zeros := 0
	for _, v := range list {
		if v == 0 { // stands for an empty place
			if zeros++; zeros == 2 {
				more = append(more, v)
			}
			continue
		}
		i := v & uint64(size-1)
		for table[i] != 0 && table[i] != v {
			i = (i + 1) & uint64(size-1)
		}
		if table[i] == v {
			more = append(more, v)
		}
		table[i] = v
	}
	return table, more
}

func (h *hashes) close() {
	if h.file != nil {
		h.file.Close()
	}
}
