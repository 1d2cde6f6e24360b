package event

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
)

// fill merges the rows into histories and counts what becomes of them.
func (h *Histories) fill(ctx context.Context, im *importer, reports []FileReport) error {
	f, err := h.attempt(ctx, im, reports, nil)
	if err != nil {
		return err
	}
	suspects, err := f.hashes.twice()
	f.hashes.close()
	if err != nil {
		f.close()
		return err
	}
	if len(suspects) > 0 {
		f.close()
		if len(suspects) > maxSuspects {
			suspects = nil
		}
		stray, err := im.gather.strays(suspects)
		if err != nil {
			return err
		}
		defer stray.close()
		if f, err = h.attempt(ctx, im, reports, stray); err != nil {
			return err
		}
		f.hashes.close()
	}
	copy(reports, f.reports)
	h.file, h.pieces, h.customers, h.last = f.file, f.pieces, f.customers, f.last
	h.words, h.fingerprint = im.gather.words.list, f.digest.Sum()
	return f.keepRejects(im)
}

// maxSuspects is how many ids are remembered to look at again.
const maxSuspects = 1 << 20

// filling is an attempt to make histories of rows: it comes to an end only if
// no id turns out to be used by two customers, or it is known by whom first.
type filling struct {
	file      *os.File
	w         *bufio.Writer
	size      int64 // of the file
	pieces    []piece
	customers int
	last      Time
	digest    *Digest
	hashes    hashes
	reports   []FileReport
	rejected  *os.File // rows for the rejects file
	im        *importer
}

func (f *filling) close() {
	f.file.Close()
	if f.rejected != nil {
		f.rejected.Close()
	}
}

// keepRejects moves refused rows to where they belong.
func (f *filling) keepRejects(im *importer) error {
	if f.rejected == nil {
		return nil
	}
	defer f.rejected.Close()
	if err := errors.Join(f.im.flushRejects(), im.flushRejects()); err != nil {
		return err
	}
	if _, err := f.rejected.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(im.o.Rejects, f.rejected)
	return err
}

func (h *Histories) attempt(ctx context.Context, im *importer, reports []FileReport, stray *sorter) (_ *filling, err error) {
	g := im.gather
	f := &filling{digest: NewDigest(), last: Never, hashes: hashes{dir: h.dir, limit: g.memory / 16}, im: &importer{}}
	for _, r := range reports {
		r.Reasons, r.RefusedFor, r.Unknown = maps.Clone(r.Reasons), maps.Clone(r.RefusedFor), maps.Clone(r.Unknown)
		r.Examples = slices.Clone(r.Examples)
		f.reports = append(f.reports, r)
	}
	if f.file, err = tempFile(h.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
			f.hashes.close()
		}
	}()
	f.w = bufio.NewWriterSize(f.file, 1<<18)
	if im.rejects != nil {
		if f.rejected, err = tempFile(h.dir); err != nil {
			return nil, err
		}
		f.im.rejects = csv.NewWriter(f.rejected)
	}
	from := &grouping{words: g.words.list}
	if from.rows, err = newCursor(g.rows); err != nil {
		return nil, err
	}
	if stray != nil {
		if from.strays, err = newCursor(stray); err != nil {
			return nil, err
		}
	}
	var idle sync.Pool
	err = ordered(ctx, from.next, func(in *rowBlock) (*historyBlock, error) {
		out, _ := idle.Get().(*historyBlock)
		if out == nil {
			out = &historyBlock{keep: newKeeper(), page: make([]byte, 0, 1<<15), words: g.words.closed(), folder: folder{records: g.records,
				reports: make([]FileReport, len(reports)), seen: map[[16]byte]uint64{}}}
		}
		return out, out.make(in)
	}, func(out *historyBlock) error {
		err := f.add(out)
		out.clear()
		idle.Put(out)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err = f.w.Flush(); err != nil {
		return nil, fmt.Errorf("sorting: %w", err)
	}
	return f, nil
}

// add keeps the histories of a block, the next one in order.
func (f *filling) add(out *historyBlock) error {
	f.customers += out.customers
	f.digest.hash.Write(out.digest)
	for i := range f.reports {
		f.reports[i].add(&out.reports[i])
	}
	for _, c := range out.conflicts {
		f.im.report = &f.reports[c.input]
		f.im.conflict(&Event{Type: c.of}, c.line)
	}
	if out.last != Never && (f.last == Never || out.last > f.last) {
		f.last = out.last
	}
	for _, hash := range out.hashes {
		if err := f.hashes.add(hash); err != nil {
			return err
		}
	}
	n := int64(len(out.data))
	if k := len(f.pieces) - 1; k >= 0 && f.pieces[k].size < pieceBytes {
		f.pieces[k].size += n
	} else {
		f.pieces = append(f.pieces, piece{f.size, n})
	}
	f.size += n
	if _, err := f.w.Write(out.data); err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	return nil
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

// rowBlock is all rows of some customers, as they were gathered.
type rowBlock struct {
	words     []string
	data      []byte // of each row its length and its bytes
	customers []rowsOf
}

type rowsOf struct {
	customer string
	end      int // in the data
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
	customers int
	data      []byte // of the file
	digest    []byte
	keep      keeper
	page      []byte // for texts of one customer
	words     *words
	rows      []gatheredRow
}

func (out *historyBlock) clear() {
	out.customers, out.data, out.digest = 0, out.data[:0], out.digest[:0]
	out.conflicts, out.hashes = out.conflicts[:0], out.hashes[:0]
	clear(out.reports)
}

func (out *historyBlock) make(in *rowBlock) error {
	out.last = Never
	d := Digest{buffer: out.digest}
	from := 0
	for _, of := range in.customers {
		rows := decoder{data: in.data[from:of.end], keep: &out.keep, words: in.words}
		from = of.end
		out.keep.page = out.page[:0]
		n := 0
		for ; len(rows.data) > 0; n++ {
			if n == len(out.rows) {
				out.rows = append(out.rows, gatheredRow{})
			}
			row := decoder{data: rows.view(), keep: &out.keep, words: in.words}
			if err := out.rows[n].decode(&row, of.customer); err != nil {
				return err
			}
		}
		if rows.err != nil {
			return rows.err
		}
		out.strays = of.strays
		c, events := out.fold(of.customer, out.rows[:n])
		if c == nil {
			continue
		}
		out.customers++
		d.Add(c, events)
		out.data = out.words.appendTimeline(appendText(out.data, c.ID), NewTimeline(*c, events))
	}
	out.digest = d.buffer
	return nil
}
