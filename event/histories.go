package event

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// Histories are the histories of all customers of some inputs, put in order in
// a temporary file and not in a database. It is a source of training.
type Histories struct {
	dir         string
	file        *os.File
	pieces      []piece
	fingerprint string
	customers   int
	last        Time
	width       int // pieces that are worked on at a time
}

// piece is a part of the file with the whole histories of some customers.
type piece struct{ from, size int64 }

// pieceBytes is the least size of a piece, but for the last.
const pieceBytes = 1 << 18

// GatherOptions tunes Gather.
type GatherOptions struct {
	ImportOptions // Batch is not used
	// Memory is about how many bytes to take, at least MinMemory; default 1 GB.
	// One customer's events must fit into it as well.
	Memory int64
	// Dir is where a temporary directory is made, readable for its owner only.
	// It needs the room of the unpacked inputs twice.
	Dir string
}

// workerBytes is about what a processor needs that reads files, or makes or reads
// histories.
const workerBytes = 16 << 20

// MinMemory is the least that Gather works with.
const MinMemory = 1 << 20

// Gather reads the inputs as Import does and puts what they say in order of
// customer, in memory that does not grow with them. Files that are in that order
// already, by the bytes of the ids, are not sorted. Identities, duplicates and conflicts
// are judged as by a database that had no events before, except that nobody
// was erased; the report is that of an import. Close the histories.
func Gather(ctx context.Context, inputs []Input, o GatherOptions) (_ *Histories, _ []FileReport, err error) {
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	if o.Memory < MinMemory {
		return nil, nil, fmt.Errorf("memory of %d bytes: give at least %d", o.Memory, MinMemory)
	}
	h := &Histories{last: Never, width: max(1, min(runtime.GOMAXPROCS(0), int(o.Memory/workerBytes)))}
	if h.dir, err = os.MkdirTemp(o.Dir, "churn-"); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	f, reports, err := h.direct(ctx, inputs, o)
	if f == nil && err == nil {
		g := newGatherer(h.dir, int(o.Memory))
		defer g.close()
		im := newImporter(nil, o.ImportOptions)
		im.gather, im.width = g, h.width
		if reports, err = im.files(ctx, inputs); err == nil {
			f, err = h.sorted(ctx, g, inputs, o.Rejects != nil)
		}
	}
	if err == nil {
		err = h.fill(f, reports, o.ImportOptions)
	}
	if err != nil {
		return nil, reports, err
	}
	return h, reports, nil
}

// Close removes the temporary file.
func (h *Histories) Close() error {
	var err error
	if h.file != nil {
		err = h.file.Close()
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// Fingerprint identifies the content, as that of a database with the same does.
func (h *Histories) Fingerprint(context.Context) (string, error) { return h.fingerprint, nil }

// Customers counts the histories.
func (h *Histories) Customers() int { return h.customers }

// Last is when the last event happened, those left out that may be known
// ahead, or Never.
func (h *Histories) Last() Time { return h.last }

// Timelines calls fn with the history of every customer in the order of their
// ids. The first error of fn ends the reading and is returned as it is.
func (h *Histories) Timelines(ctx context.Context, fn func(*Timeline) error) error {
	next := 0
	return ordered(ctx, h.width, func() (piece, error) {
		if next == len(h.pieces) {
			return piece{}, io.EOF
		}
		next++
		return h.pieces[next-1], nil
	}, h.read, func(some []*Timeline) error {
		for _, tl := range some {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(tl); err != nil {
				return err
			}
		}
		return nil
	})
}

// read reads a piece.
func (h *Histories) read(p piece) (some []*Timeline, err error) {
	data := make([]byte, p.size)
	if _, err := io.ReadFull(io.NewSectionReader(h.file, p.from, p.size), data); err != nil {
		return nil, fmt.Errorf("sorting: %w", err)
	}
	keep := newKeeper()
	d := decoder{data: data, keep: &keep}
	for len(d.data) > 0 && d.err == nil {
		block := d.list()
		for len(block.data) > 0 {
			some = append(some, block.timeline(block.text()))
		}
		if block.err != nil {
			return nil, block.err
		}
	}
	return some, d.err
}
