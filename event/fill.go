package event

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// fill takes the histories of an attempt that has come to its end.
func (h *Histories) fill(f *filling, reports []FileReport, o ImportOptions) error {
	defer f.hashes.close()
	if err := f.end(reports, o); err != nil {
		f.close()
		return err
	}
	h.file, h.pieces, h.customers, h.last, h.fingerprint = f.file, f.pieces, f.customers, f.last, f.digest.Sum()
	return nil
}

// sorted makes histories of what was gathered.
func (h *Histories) sorted(ctx context.Context, g *gatherer, inputs []Input, rejects bool) (*filling, error) {
	f, err := h.attempt(ctx, g, inputs, rejects, nil)
	if err != nil {
		return nil, err
	}
	suspects, err := f.hashes.twice()
	if err == nil && len(suspects) == 0 {
		return f, nil
	}
	f.close()
	if err != nil {
		return nil, err
	}
	if len(suspects) > maxSuspects {
		suspects = nil
	}
	stray, err := g.strays(suspects)
	if err != nil {
		return nil, err
	}
	defer stray.close()
	return h.attempt(ctx, g, inputs, rejects, stray)
}

// maxSuspects is how many ids are remembered to look at again.
const maxSuspects = 1 << 20

func (h *Histories) attempt(ctx context.Context, g *gatherer, inputs []Input, rejects bool, stray *sorter) (*filling, error) {
	from := &grouping{words: g.words.list}
	var err error
	if from.rows, err = newCursor(g.rows); err != nil {
		return nil, err
	}
	if stray != nil {
		if from.strays, err = newCursor(stray); err != nil {
			return nil, err
		}
	}
	f, err := h.newFilling(inputs, g.memory, rejects)
	if err != nil {
		return nil, err
	}
	if err := f.run(ctx, from.next); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// filling is an attempt to make histories of rows: it comes to an end only if
// no id turns out to be used by two customers, or it is known by whom first.
type filling struct {
	width     int
	file      *os.File
	w         *bufio.Writer
	size      int64 // of the file
	pieces    []piece
	customers int
	records   bool // whether any customer has one
	last      Time
	digest    *Digest
	hashes    hashes
	reports   []FileReport // what the histories add to those of reading
	conflicts [][]*RowError
	refused   tempWriter // rows for the rejects file
	rejects   *csv.Writer
}

func (h *Histories) newFilling(inputs []Input, memory int, rejects bool) (f *filling, err error) {
	f = &filling{width: h.width, digest: NewDigest(), last: Never, hashes: hashes{dir: h.dir, limit: memory / 16},
		reports: make([]FileReport, len(inputs)), conflicts: make([][]*RowError, len(inputs)), refused: tempWriter{dir: h.dir}}
	for i, in := range inputs {
		f.reports[i].Path = in.Path
	}
	if rejects {
		f.rejects = csv.NewWriter(&f.refused)
	}
	if f.file, err = tempFile(h.dir); err != nil {
		return nil, err
	}
	f.w = bufio.NewWriterSize(f.file, 1<<18)
	return f, nil
}

func (f *filling) close() {
	f.file.Close()
	f.refused.close()
	f.hashes.close()
}

// run makes histories of all blocks.
func (f *filling) run(ctx context.Context, next func() (*rowBlock, error)) error {
	var idle sync.Pool
	err := ordered(ctx, f.width, next, func(in *rowBlock) (*historyBlock, error) {
		out, _ := idle.Get().(*historyBlock)
		if out == nil {
			out = &historyBlock{keep: newKeeper(), page: make([]byte, 0, 1<<15), words: newWords(),
				folder: folder{reports: make([]FileReport, len(f.reports)), seen: map[[16]byte]uint64{}}}
		}
		return out, out.make(in)
	}, func(out *historyBlock) error {
		err := f.add(out)
		out.clear()
		idle.Put(out)
		return err
	})
	if err != nil {
		return err
	}
	if err := f.w.Flush(); err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	return nil
}

// add keeps the histories of a block, the next one in order.
func (f *filling) add(out *historyBlock) error {
	f.customers += out.customers
	f.records = f.records || out.records
	f.digest.hash.Write(out.digest)
	for i := range f.reports {
		f.reports[i].add(&out.reports[i])
	}
	for _, c := range out.conflicts {
		f.conflict(c)
	}
	if out.last != Never && (f.last == Never || out.last > f.last) {
		f.last = out.last
	}
	if err := f.hashes.add(out.hashes); err != nil {
		return err
	}
	out.head = out.words.appendList(out.head[:0], len(out.data))
	n := int64(len(out.head) + len(out.data))
	if k := len(f.pieces) - 1; k >= 0 && f.pieces[k].size < pieceBytes {
		f.pieces[k].size += n
	} else {
		f.pieces = append(f.pieces, piece{f.size, n})
	}
	f.size += n
	f.w.Write(out.head) // an error comes again
	if _, err := f.w.Write(out.data); err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	return nil
}

// conflict notes an event that was not kept. There are few types of an input:
// the first of each is kept, and counts them.
func (f *filling) conflict(c conflict) {
	list, bad := f.conflicts[c.input], conflictError(f.reports[c.input].Path, c.line, c.of)
	if f.rejects != nil {
		writeReject(f.rejects, bad)
	}
	for _, first := range list {
		if first.Reason == bad.Reason {
			first.Lines++
			return
		}
	}
	f.conflicts[c.input] = append(list, bad)
}

// end adds to the reports what became of the rows, and writes those that were
// not kept to where they belong.
func (f *filling) end(reports []FileReport, o ImportOptions) error {
	for i := range reports {
		if !f.records { // then they are unknown to nobody
			f.reports[i].UnknownCustomer = 0
		}
		reports[i].add(&f.reports[i])
		for _, bad := range f.conflicts[i] {
			reports[i].note(bad)
		}
	}
	defer f.refused.close()
	if f.rejects == nil {
		return nil
	}
	f.rejects.Flush()
	if err := f.rejects.Error(); err != nil {
		return err
	}
	return f.refused.copy(o.Rejects)
}

// cursor is a sorted list with its current record.
type cursor struct {
	from       *merged
	key, value []byte
	more       bool
}

func newCursor(s *sorter) (*cursor, error) {
	m, err := s.merge()
	if err != nil {
		return nil, err
	}
	c := &cursor{from: m}
	return c, c.next()
}

func (c *cursor) next() (err error) {
	c.key, c.value, err = c.from.next()
	if c.more = err == nil; err == io.EOF {
		err = nil
	}
	return err
}

// rowBlock is all rows of some customers, as they were gathered or in the
// batches in which they were read.
type rowBlock struct {
	words     []string
	data      []byte // of each row its length and its bytes
	stretches []stretch
	customers []rowsOf
}

type rowsOf struct {
	customer string
	end      int // in the data or stretches
	strays   map[strayEvent]bool
}

// grouping reads all rows customer by customer.
type grouping struct {
	rows, strays *cursor // strays: nil or of events
	words        []string
}

// blockBytes is the least size of a block, but for the last.
const blockBytes = 1 << 16

func (g *grouping) next() (*rowBlock, error) {
	b := &rowBlock{words: g.words, data: make([]byte, 0, blockBytes+blockBytes/4)}
	for g.rows.more && len(b.data) < blockBytes {
		of := rowsOf{customer: string(g.rows.key)}
		for g.rows.more && string(g.rows.key) == of.customer {
			b.data = append(binary.AppendUvarint(b.data, uint64(len(g.rows.value))), g.rows.value...)
			if err := g.rows.next(); err != nil {
				return nil, err
			}
		}
		of.end = len(b.data)
		for g.strays != nil && g.strays.more && string(g.strays.key) == of.customer {
			if of.strays == nil {
				of.strays = map[strayEvent]bool{}
			}
			v := g.strays.value
			of.strays[strayEvent{binary.BigEndian.Uint64(v), binary.BigEndian.Uint32(v[8:])}] = true
			if err := g.strays.next(); err != nil {
				return nil, err
			}
		}
		b.customers = append(b.customers, of)
	}
	if len(b.customers) == 0 {
		return nil, io.EOF
	}
	return b, nil
}

// historyBlock is what becomes of a block of rows.
type historyBlock struct {
	folder
	customers  int
	head, data []byte // of the file
	digest     []byte
	keep       keeper
	page       []byte // for texts of one customer
	words      *words
	rows       []gatheredRow
	timeline   Timeline
}

func (out *historyBlock) clear() {
	out.customers, out.data, out.digest = 0, out.data[:0], out.digest[:0]
	out.conflicts, out.hashes, out.records = out.conflicts[:0], out.hashes[:0], false
	out.words.reset()
	clear(out.reports)
}

func (out *historyBlock) make(in *rowBlock) error {
	defer in.release()
	out.last = Never
	d := Digest{buffer: out.digest}
	from := 0
	for _, of := range in.customers {
		out.words.forget() // texts of the customer before are written over
		out.rows = out.rows[:0]
		if in.stretches != nil {
			for i := range in.stretches[from:of.end] {
				out.rows = in.stretches[from+i].appendRows(out.rows)
			}
		} else if err := out.decode(in, in.data[from:of.end], of.customer); err != nil {
			return err
		}
		from = of.end
		out.strays = of.strays
		c, events := out.fold(of.customer, out.rows)
		if c == nil {
			continue
		}
		out.customers++
		d.Add(c, events)
		out.timeline.make(*c, events)
		out.data = out.words.appendTimeline(appendText(out.data, c.ID), &out.timeline)
	}
	out.digest = d.buffer
	return nil
}

// decode reads the rows of a customer as they were gathered.
func (out *historyBlock) decode(in *rowBlock, data []byte, customer string) error {
	rows := decoder{data: data, keep: &out.keep, words: in.words}
	out.keep.page = out.page[:0]
	for n := 0; len(rows.data) > 0; n++ {
		out.rows = slices.Grow(out.rows, 1)[:n+1] // with the room for events that was there
		row := decoder{data: rows.view(), keep: &out.keep, words: in.words}
		if err := out.rows[n].decode(&row, customer); err != nil {
			return err
		}
	}
	return rows.err
}

// release lets go of the rows.
func (b *rowBlock) release() {
	for i := range b.stretches {
		b.stretches[i].batch.release()
	}
}
