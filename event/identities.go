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
	limit int      // bytes in memory
	held  []uint64 // not in the file
	file  *os.File
	end   int64
	runs  [256][]hashRun // in the file
}

type hashRun struct{ from, n int64 }

func (h *hashes) add(list []uint64) error {
	h.held = append(h.held, list...)
	if 24*len(h.held) > h.limit { // with the room for parting and writing them
		return h.spill()
	}
	return nil
}

// parted returns the hashes by their first bits, and where each part ends.
func parted(list []uint64) (parts []uint64, ends [256]int) {
	var at [257]int
	for _, v := range list {
		at[v>>56+1]++
	}
	for i := range ends {
		at[i+1] += at[i]
	}
	parts = make([]uint64, len(list))
	for _, v := range list {
		parts[at[v>>56]] = v
		at[v>>56]++
	}
	copy(ends[:], at[:]) // each now is where the next part begins
	return parts, ends
}

// spill moves all to the file.
func (h *hashes) spill() error {
	if h.file == nil {
		var err error
		if h.file, err = tempFile(h.dir); err != nil {
			return err
		}
	}
	parts, ends := parted(h.held)
	b := make([]byte, 0, 8*len(parts))
	from := 0
	for i, end := range ends {
		h.runs[i] = append(h.runs[i], hashRun{h.end + int64(len(b)), int64(end - from)})
		for _, v := range parts[from:end] {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		from = end
	}
	h.held = h.held[:0]
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
	held, ends := parted(h.held)
	h.held = nil
	parts := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var table []uint64
			for i := range parts {
				from := 0
				if i > 0 {
					from = ends[i-1]
				}
				list, err := h.part(i, held[from:ends[i]:ends[i]])
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
	for i := range ends {
		parts <- i
	}
	close(parts)
	wg.Wait()
	return found, failed
}

// part returns all hashes that begin alike: some, and those in the file.
func (h *hashes) part(i int, list []uint64) ([]uint64, error) {
	for _, r := range h.runs[i] {
		b := make([]byte, 8*r.n)
		if _, err := h.file.ReadAt(b, r.from); err != nil && (err != io.EOF || len(b) > 0) {
			return nil, fmt.Errorf("sorting: %w", err)
		}
		for ; len(b) > 0; b = b[8:] {
			list = append(list, binary.LittleEndian.Uint64(b))
		}
	}
	h.runs[i] = nil
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
