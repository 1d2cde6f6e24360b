package event

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// pieces are rows that can be handed out in parts. A part may be read, and
// closed, in another goroutine while the next ones are handed out. errNoPiece tells that
// what follows has to be read from the rows themselves.
type pieces interface {
	Piece() (Rows, error)
}

var errNoPiece = errors.New("not to be parted")

// readBatch is some records of a file, or the rows that they are read from.
// Texts of the records lie in it, so it stays as it is until all who hold it
// have let go.
type readBatch struct {
	rows    Rows // nil: they are read
	list    []readRow
	runs    []run // of the list
	skipped int   // after the last of them
	err     error // what ended reading
	keep    keeper
	events  []Event
	page    []byte
	held    atomic.Int32
	idle    *sync.Pool
}

// readRow is a record or why there is none.
type readRow struct {
	rec     Record
	bad     *RowError
	skipped int // before it
}

// run is rows of one customer one after the other, up to an end. Rows that are
// bad are in any.
type run struct {
	customer string
	end      int
}

// batchRows is how many rows are handed on at a time.
const batchRows = 1 << 12

func (b *readBatch) hold() { b.held.Add(1) }

func (b *readBatch) release() {
	if b.held.Add(-1) == 0 {
		b.rows, b.list, b.runs, b.skipped, b.err = nil, b.list[:0], b.runs[:0], 0, nil
		b.idle.Put(b)
	}
}

// gatherFile reads a file and sorts what it says.
func (im *importer) gatherFile(ctx context.Context, in Input) error {
	err := im.batches(ctx, in, im.width, func(b *readBatch) error {
		defer b.release()
		return im.take(b)
	})
	if err != nil {
		return err
	}
	return im.tooMany(1)
}

// batches reads a file, a number of batches at a time where that can be done,
// and hands them out in order, held once.
func (im *importer) batches(ctx context.Context, in Input, width int, done func(*readBatch) error) error {
	rd, err := in.Reader(ctx)
	if err != nil {
		return err
	}
	defer rd.Close()
	rd.seen = nil // rows are numbered when they are in order
	source, parted := rd.rows.(pieces)
	ended := false
	var idle sync.Pool
	next := func() (*readBatch, error) {
		b, _ := idle.Get().(*readBatch)
		if b == nil {
			b = &readBatch{keep: newKeeper(), idle: &idle, page: make([]byte, 0, 1<<17)}
			if in.Stream != Customers {
				b.events = make([]Event, batchRows)
			}
		}
		b.hold()
		if parted {
			var err error
			if b.rows, err = source.Piece(); err != errNoPiece {
				return b, err
			}
			parted = false
		}
		if ended {
			return nil, io.EOF
		}
		im.read(rd, b)
		ended = b.err != nil
		return b, nil
	}
	return ordered(ctx, width, next, func(b *readBatch) (*readBatch, error) {
		if b.rows == nil {
			return b, nil
		}
		im.read(rd.of(b.rows), b)
		return b, b.rows.Close()
	}, done)
}

// of reads rows that are a part of those of the reader.
func (r *Reader) of(rows Rows) *Reader {
	plan := *r.plan
	times, iso := *plan.times, *plan.isoTimes // they remember what they found
	plan.times, plan.isoTimes = &times, &iso
	part := &Reader{file: r.file, rows: rows, plan: &plan, mapping: r.mapping, stream: r.stream}
	part.ask()
	return part
}

// read fills a batch. All texts of its records lie in it.
func (im *importer) read(rd *Reader, b *readBatch) {
	b.keep.events, b.keep.page, b.keep.last = b.events, b.page[:0], ""
	rd.keep = b.keep
	for len(b.list) < batchRows || b.rows != nil {
		before := rd.Skipped()
		b.list = append(b.list, readRow{})
		row := &b.list[len(b.list)-1]
		err := rd.read(&row.rec)
		row.skipped = rd.Skipped() - before
		switch bad, refused := err.(*RowError); {
		case refused:
			row.bad = bad
		case err != nil:
			b.skipped, b.err, b.list = row.skipped, err, b.list[:len(b.list)-1]
			return
		default:
			row.bad = im.future(rd, &row.rec)
		}
		if row.bad != nil {
			continue
		}
		customer := row.rec.customer()
		if k := len(b.runs) - 1; k >= 0 && b.runs[k].customer == customer {
			b.runs[k].end = len(b.list)
		} else {
			b.runs = append(b.runs, run{customer, len(b.list)})
		}
	}
}

// take counts the rows of a batch, and sorts what they say if that is to be
// done.
func (im *importer) take(b *readBatch) error {
	for i := range b.list {
		row := &b.list[i]
		im.report.Skipped += row.skipped
		im.report.Rows += row.skipped + 1
		if row.bad != nil {
			im.reject(row.bad)
			if err := im.tooMany(1000); err != nil {
				return err
			}
			continue
		}
		im.count(&row.rec)
		if im.gather != nil {
			if err := im.gather.add(im.input, &row.rec); err != nil {
				return err
			}
		}
	}
	im.report.Skipped += b.skipped
	im.report.Rows += b.skipped
	if b.err != io.EOF {
		return b.err
	}
	return nil
}

// pieceOfText is about how long a part of a text is.
const pieceOfText = 1 << 18

// Piece hands out lines without quotes. At the first quote it ends: whether a
// line end is one of a row takes reading all rows before.
func (c *csvRows) Piece() (Rows, error) {
	for {
		data := c.data[c.pos:]
		end := len(data)
		if c.ended == nil {
			end = bytes.LastIndexByte(data, '\n') + 1
		}
		switch {
		case c.ended == nil && (end == 0 || len(data) < pieceOfText):
			if len(data) > pieceOfText {
				return nil, c.unparted()
			}
			c.least = 2 * pieceOfText
			c.data = append(make([]byte, 0, c.least), data...) // those handed out are read by others
			c.pos = 0
			if err := c.fill(); err != nil {
				return nil, err
			}
			continue
		case c.ended != nil && c.ended != io.EOF || bytes.IndexByte(data[:end], '"') >= 0:
			return nil, c.unparted()
		case end == 0:
			return nil, io.EOF
		}
		part := &csvRows{CSV: &CSV{name: c.name, comma: c.comma}, head: c.head}
		part.Reset(data[:end:end], c.line)
		c.pos += end
		c.line += bytes.Count(data[:end], []byte{'\n'})
		return part, nil
	}
}

// unparted goes on without handing out parts, whose bytes others still read.
func (c *csvRows) unparted() error {
	c.data, c.pos = bytes.Clone(c.data[c.pos:]), 0
	return errNoPiece
}

// Piece is that of the rows in the file.
func (f fileRows) Piece() (Rows, error) { return PieceOf(f.Rows) }

// PieceOf parts rows that may be such as can be parted.
func PieceOf(rows Rows) (Rows, error) {
	if p, ok := rows.(pieces); ok {
		return p.Piece()
	}
	return nil, errNoPiece
}
