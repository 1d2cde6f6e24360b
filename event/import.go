package event

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Status is what a sink did with one item.
type Status uint8

const (
	Stored    Status = iota // new, and kept
	Duplicate               // there already, the same
	Conflict                // there already under this id, with another body, and this is no correction; nothing changed
	Refused                 // of a customer who was erased
	Corrected               // another version of what is there, which holds from when it was recorded
	Cancelled               // void from when that was recorded, be it that this came before
)

var statusNames = [...]string{"stored", "duplicate", "conflict", "refused", "corrected", "cancelled"}

func (s Status) String() string { return statusNames[s] }

// Sink keeps records. Both methods return one status an item and only once
// the items are durable: acknowledged means on disk. They do not keep the
// slice. A customer may come in several rows, of several files: what a row
// leaves unknown stays as it is.
type Sink interface {
	Append(ctx context.Context, events []Event) ([]Status, error)
	PutCustomers(ctx context.Context, customers []Customer) ([]Status, error)
}

// ImportOptions tunes Import. The zero value is ready to use.
type ImportOptions struct {
	// Batch is the number of events or customers in one transaction; default
	// 2000.
	Batch int
	// MaxBadShare stops the import when more than this share of a file's rows,
	// those skipped left out, is refused; default 0.05. It is checked from 1000
	// rows on and at the end.
	MaxBadShare float64
	// Rejects receives refused rows as CSV: file, line, column, reason, and
	// the cells; nil keeps none.
	Rejects io.Writer
	// Latest refuses events that happened after it, as future events; Never
	// accepts all.
	Latest Time
	// Progress is called after every durable batch with the rows of the
	// current file that are done.
	Progress func(path string, rows int)
}

// FileReport counts what became of the rows of one file. Rows is their number
// without the header (of a row that a stray quote has made of many, the
// lines); Stored and so on count events (a row with two phases gives two) or
// customers.
type FileReport struct {
	Path      string `json:"path"`
	Table     string `json:"table"`
	Rows      int    `json:"rows"`
	Skipped   int    `json:"skipped"`
	Rejected  int    `json:"rejected"`
	Stored    int    `json:"stored"`
	Duplicate int    `json:"duplicate"`
	Conflict  int    `json:"conflict"`
	Refused   int    `json:"refused"`
	Corrected int    `json:"corrected"`
	Cancelled int    `json:"cancelled"`
	// Untimed counts rows with a status but not its time; see Record.
	Untimed int `json:"untimed_status"`
	// BeforeSignUp and UnknownCustomer count rows whose customer signed up only
	// after them (attributes may well be older), or is none of those imported
	// before them in the same run. The rows are kept; many of them say that a
	// mapping or the data is wrong.
	BeforeSignUp    int `json:"before_sign_up"`
	UnknownCustomer int `json:"unknown_customer"`
	// RefusedFor counts the rows refused by their problem, Reasons by all that
	// is told of it. Unknown counts texts that are none of those known, as
	// "currency EURO"; the rows are kept.
	RefusedFor map[string]int `json:"refused_for,omitempty"`
	Unknown    map[string]int `json:"unknown,omitempty"`
	Reasons    map[string]int `json:"reasons,omitempty"`
	Examples   []string       `json:"examples,omitempty"` // first refusal of each reason
}

func newReport(in Input) FileReport {
	return FileReport{Path: in.Path, Table: in.Stream.String(), Reasons: map[string]int{}, RefusedFor: map[string]int{}, Unknown: map[string]int{}}
}

// ErrTooManyBadRows stops an import. What was stored stays; importing again
// after mending the file or the mapping stores the rest.
var ErrTooManyBadRows = errors.New("too many bad rows")

// Import carries the rows of the inputs to the sink in order. The report holds
// what was done also when an error is returned.
func Import(ctx context.Context, inputs []Input, sink Sink, o ImportOptions) ([]FileReport, error) {
	return newImporter(sink, o).files(ctx, inputs)
}

func newImporter(sink Sink, o ImportOptions) *importer {
	if o.Batch <= 0 {
		o.Batch = 2000
	}
	if o.MaxBadShare <= 0 {
		o.MaxBadShare = 0.05
	}
	if o.Latest == 0 {
		o.Latest = Never
	}
	im := &importer{sink: sink, o: o, signedUp: map[string]Time{}}
	if o.Rejects != nil {
		im.rejects = csv.NewWriter(o.Rejects)
	}
	return im
}

// files carries the inputs in order.
func (im *importer) files(ctx context.Context, inputs []Input) ([]FileReport, error) {
	var reports []FileReport
	for i, in := range inputs {
		reports = append(reports, newReport(in))
		im.report, im.input = &reports[i], i
		file := im.file
		if im.gather != nil {
			file = im.gatherFile
		}
		err := file(ctx, in)
		if err := errors.Join(err, im.flushRejects()); err != nil {
			return reports, err
		}
	}
	return reports, nil
}

func (im *importer) flushRejects() error {
	if im.rejects == nil {
		return nil
	}
	im.rejects.Flush()
	return im.rejects.Error()
}

// importer carries one file at a time.
type importer struct {
	sink      Sink
	o         ImportOptions
	rejects   *csv.Writer
	gather    *gatherer // sorts instead, where there is no sink
	width     int       // batches that are read at a time then
	report    *FileReport
	input     int // number of the file
	events    []Event
	customers []Customer
	lines     []int           // of the file, of each event
	signedUp  map[string]Time // of the customers of this run, by id
}

func (im *importer) file(ctx context.Context, in Input) error {
	im.clear()
	rd, err := in.Reader(ctx)
	if err != nil {
		return err
	}
	defer rd.Close()
	for {
		rec, err := rd.Read()
		im.report.Rows += rd.Skipped() - im.report.Skipped
		im.report.Skipped = rd.Skipped()
		var bad *RowError
		switch {
		case errors.As(err, &bad):
		case err == io.EOF:
			if err := im.flush(ctx); err != nil {
				return err
			}
			return im.tooMany(1)
		case err != nil:
			return errors.Join(im.flush(ctx), err)
		default:
			bad = im.future(rd, &rec)
		}
		im.report.Rows++
		if bad != nil {
			im.reject(bad)
			if err := im.tooMany(1000); err != nil {
				return errors.Join(im.flush(ctx), err)
			}
			continue
		}
		im.add(&rec)
		if len(im.events)+len(im.customers) >= im.o.Batch {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// future refuses a record in which something happened after the latest time.
// What may be known ahead may lie there.
func (im *importer) future(rd *Reader, rec *Record) *RowError {
	for i := range rec.Events {
		e := &rec.Events[i]
		if e.Cancelled && e.Recorded > im.o.Latest {
			return rd.refuse(&FieldError{e.cancelColumn(), "lies in the future: check the time zone and unit"})
		}
		if !e.Type.Ahead() && e.At > im.o.Latest {
			return rd.refuse(&FieldError{fieldTable[e.Type].at, "lies in the future: check the time zone and unit"})
		}
	}
	return nil
}

// count counts what a record says beside its events, and shows how far it is.
func (im *importer) count(rec *Record) {
	if rec.Untimed {
		im.report.Untimed++
	}
	for _, u := range rec.Unknown {
		if len(im.report.Unknown) >= 100 && im.report.Unknown[u] == 0 {
			u = "other"
		}
		im.report.Unknown[u]++
	}
	if im.sink == nil && im.o.Progress != nil && im.report.Rows%im.o.Batch == 0 {
		im.o.Progress(im.report.Path, im.report.Rows)
	}
}

func (im *importer) add(rec *Record) {
	im.count(rec)
	if c := rec.Customer; c != nil {
		im.customers = append(im.customers, *c)
		if at, ok := im.signedUp[c.ID]; !ok || at == Never {
			im.signedUp[strings.Clone(c.ID)] = c.SignedUpAt // the id alone, not its row
		}
		return
	}
	im.events = append(im.events, rec.Events...)
	for range rec.Events {
		im.lines = append(im.lines, rec.Line)
	}
	first := rec.Events[0]
	if at, ok := im.signedUp[first.Customer]; !ok && len(im.signedUp) > 0 {
		im.report.UnknownCustomer++
	} else if ok && at != Never && first.At < at && first.Type != AttributeSet && !first.Cancelled {
		im.report.BeforeSignUp++
	}
}

func (im *importer) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var all []Status
	if len(im.customers) > 0 {
		st, err := im.sink.PutCustomers(ctx, im.customers)
		if err != nil {
			return fmt.Errorf("%s: %w", im.report.Path, err)
		}
		all = append(all, st...)
	}
	if len(im.events) > 0 {
		st, err := im.sink.Append(ctx, im.events)
		if err != nil {
			return fmt.Errorf("%s: %w", im.report.Path, err)
		}
		all = append(all, st...)
		for i, s := range st {
			if s == Conflict {
				im.conflict(&im.events[i], im.lines[i])
			}
		}
	}
	for _, s := range all {
		im.report.count(s)
	}
	im.clear()
	if im.o.Progress != nil {
		im.o.Progress(im.report.Path, im.report.Rows)
	}
	return nil
}

// count adds what became of an event or customer.
func (r *FileReport) count(s Status) {
	switch s {
	case Stored:
		r.Stored++
	case Duplicate:
		r.Duplicate++
	case Conflict:
		r.Conflict++
	case Refused:
		r.Refused++
	case Corrected:
		r.Corrected++
	case Cancelled:
		r.Cancelled++
	}
}

// conflict notes an event that was not kept.
func (im *importer) conflict(e *Event, line int) {
	im.note(conflictError(im.report.Path, line, e.Type))
}

func conflictError(path string, line int, t Type) *RowError {
	return &RowError{File: path, Line: line, Lines: 1, Column: "event_id",
		Reason: t.String() + " of this id is there already, with other content: to correct it, give a later recorded_at"}
}

func (im *importer) clear() {
	im.events, im.customers, im.lines = im.events[:0], im.customers[:0], im.lines[:0]
}

// reject counts a row that could not be read.
func (im *importer) reject(bad *RowError) {
	im.report.Rejected += bad.Lines
	im.report.RefusedFor[problemOf(bad)] += bad.Lines
	im.report.Rows += bad.Lines - 1
	im.note(bad)
}

// note keeps what was not stored, and why, for the report and the rejects
// file.
func (im *importer) note(bad *RowError) {
	im.report.note(bad)
	if im.rejects != nil {
		writeReject(im.rejects, bad)
	}
}

func (r *FileReport) note(bad *RowError) {
	reason := bad.Reason
	if bad.Column != "" {
		reason = bad.Column + ": " + reason
	}
	if len(r.Reasons) >= 100 && r.Reasons[reason] == 0 {
		reason = "other" // a hundred kinds of error tell enough
	}
	if r.Reasons[reason] == 0 && len(r.Examples) < 20 {
		r.Examples = append(r.Examples, bad.Error())
	}
	r.Reasons[reason] += bad.Lines
}

func writeReject(w *csv.Writer, bad *RowError) {
	w.Write(append([]string{bad.File, strconv.Itoa(bad.Line), bad.Column, bad.Reason}, bad.Row...))
}

func (im *importer) tooMany(from int) error {
	r := im.report
	rows := r.Rows - r.Skipped
	if rows < from || float64(r.Rejected) <= im.o.MaxBadShare*float64(rows) {
		return nil
	}
	return fmt.Errorf("%s: %w: %d of %d refused (limit %g); first: %s", r.Path, ErrTooManyBadRows,
		r.Rejected, rows, im.o.MaxBadShare, r.Examples[0])
}
