package event

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

// This file makes histories of inputs that are in order of customer already:
// each is read on its own, and the rows of one customer after the other are
// taken from all of them. Whatever is not as it should be ends the attempt: then
// the inputs are sorted, and whoever sorts tells what is wrong with them.

// errUnordered ends an attempt.
var errUnordered = errors.New("not in order of customer")

const (
	// batchBytes is about what a batch takes with the events in it.
	batchBytes = 3 << 19
	// blockRows is the least number of rows of a block, but for the last.
	blockRows = 1 << 11
)

// direct tries to make histories without sorting. It returns nil if that cannot
// be done.
func (h *Histories) direct(ctx context.Context, inputs []Input, o GatherOptions) (*filling, []FileReport, error) {
	// Half of the memory is for batches: of each input one that is used, one
	// that is handed out, and for each that is worked on one that waits.
	each := int(o.Memory) / 2 / batchBytes / max(1, len(inputs))
	width := min((each-3)/2, h.width)
	if width < 1 {
		return nil, nil, nil
	}
	for _, in := range inputs {
		// A query, or what comes through a pipe, is not read twice.
		if info, err := os.Stat(in.Path); err != nil || !info.Mode().IsRegular() {
			return nil, nil, nil
		}
	}
	f, err := h.newFilling(inputs, int(o.Memory), o.Rejects != nil)
	if err != nil {
		return nil, nil, err
	}
	reports := make([]FileReport, len(inputs))
	from := &merging{lanes: make([]*lane, len(inputs))}
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i, in := range inputs {
		reports[i] = newReport(in)
		l := &lane{im: newImporter(nil, o.ImportOptions), input: i, out: make(chan *readBatch)}
		l.im.rejects, l.im.report = nil, &reports[i]
		if o.Rejects != nil {
			l.rejects.dir = h.dir
			l.im.rejects = csv.NewWriter(&l.rejects)
		}
		from.lanes[i] = l
		wg.Go(func() { l.read(inner, in, width) })
	}
	err = f.run(inner, from.next)
	cancel()
	wg.Wait()
	defer func() {
		for _, l := range from.lanes {
			l.rejects.close()
		}
	}()
	if err == nil {
		err = f.complete(from)
	}
	if err != nil {
		f.close()
		return nil, reports, ctx.Err() // any other comes again, if it is one
	}
	for _, l := range from.lanes {
		if err := l.rejects.copy(o.Rejects); err != nil {
			f.close()
			return nil, reports, err
		}
	}
	return f, reports, nil
}

// complete ends an attempt that has gone well up to here.
func (f *filling) complete(from *merging) error {
	suspects, err := f.hashes.twice()
	if err == nil && len(suspects) > 0 {
		err = errUnordered // the rows themselves tell who used the id first
	}
	for _, l := range from.lanes {
		if err == nil {
			err = l.im.flushRejects()
		}
	}
	return err
}

// lane is an input that is read ahead.
type lane struct {
	im      *importer
	input   int
	rejects tempWriter
	out     chan *readBatch
	err     error // what ended reading, before out is closed
	batch   *readBatch
	run     int    // of the batch, which comes next
	from    int    // row of it
	last    string // customer of the batch before
	ended   bool
}

func (l *lane) read(ctx context.Context, in Input, width int) {
	defer close(l.out)
	l.err = l.im.batches(ctx, in, width, func(b *readBatch) error {
		select {
		case l.out <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// fill sees to it that there is a run, or the end.
func (l *lane) fill() error {
	for !l.ended && (l.batch == nil || l.run == len(l.batch.runs)) {
		if b := l.batch; b != nil {
			if len(b.runs) > 0 {
				l.last = strings.Clone(b.runs[len(b.runs)-1].customer)
			}
			l.batch = nil
			b.release()
		}
		b, more := <-l.out
		if !more {
			if l.err != nil {
				return l.err
			}
			l.ended = true
			return l.im.tooMany(1)
		}
		if err := l.im.take(b); err != nil {
			return err
		}
		last := l.last
		for _, r := range b.runs {
			if r.customer < last {
				return errUnordered
			}
			last = r.customer
		}
		l.batch, l.run, l.from = b, 0, 0
	}
	return nil
}

// merging takes customers from all lanes.
type merging struct{ lanes []*lane }

// next returns all rows of the next customers.
func (m *merging) next() (*rowBlock, error) {
	b := &rowBlock{}
	for n := 0; n < blockRows; {
		var first *lane
		for _, l := range m.lanes {
			if err := l.fill(); err != nil {
				return nil, err
			}
			if !l.ended && (first == nil || l.customer() < first.customer()) {
				first = l
			}
		}
		if first == nil {
			break
		}
		of := rowsOf{customer: first.customer()}
		for _, l := range m.lanes {
			for !l.ended && l.customer() == of.customer {
				r := l.batch.runs[l.run]
				b.stretches = append(b.stretches, stretch{l.batch, l.input, l.from, r.end})
				l.batch.hold()
				n += r.end - l.from
				l.run, l.from = l.run+1, r.end
				if err := l.fill(); err != nil {
					return nil, err
				}
			}
		}
		of.end = len(b.stretches)
		b.customers = append(b.customers, of)
	}
	if len(b.customers) == 0 {
		return nil, io.EOF
	}
	return b, nil
}

func (l *lane) customer() string { return l.batch.runs[l.run].customer }

// stretch is rows of one customer in a batch, which is held.
type stretch struct {
	batch    *readBatch
	input    int
	from, to int
}

// appendRows adds the rows that are not bad.
func (s *stretch) appendRows(rows []gatheredRow) []gatheredRow {
	for i := s.from; i < s.to; i++ {
		if row := &s.batch.list[i]; row.bad == nil {
			rows = append(rows, gatheredRow{input: s.input, line: row.rec.Line, customer: row.rec.Customer, events: row.rec.Events})
		}
	}
	return rows
}

// tempWriter is a temporary file that is made when something is written.
type tempWriter struct {
	dir  string
	file *os.File
}

func (w *tempWriter) Write(b []byte) (n int, err error) {
	if w.file == nil {
		if w.file, err = tempFile(w.dir); err != nil {
			return 0, err
		}
	}
	return w.file.Write(b)
}

// copy writes what was written.
func (w *tempWriter) copy(to io.Writer) error {
	if w.file == nil {
		return nil
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(to, w.file)
	return err
}

func (w *tempWriter) close() {
	if w.file != nil {
		w.file.Close()
	}
}
