package sim

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"churn/event"
)

// Truth is what truth.json holds: the world with all its parameters, and what
// came of it.
type Truth struct {
	World   World
	Summary *Summary
}

// Dir is a Sink that writes a directory:
//
//	customers.csv engagement.csv complaints.csv payments.csv contacts.csv
//	attributes.NAME.csv, where a timeline has changes of that attribute
//	oracle.csv    customer_id,as_of,probability,gap_probability,churned,churned_in_gap
//	truth.json    written last, by Finish: a directory without it is not whole
//
// In oracle.csv churned is 1 if the customer left within [as_of+gap,
// as_of+gap+horizon), 0 if not, and empty if the extract ends before that;
// churned_in_gap is 1 if they left before as_of+gap, which training drops.
type Dir struct {
	path    string
	world   *World
	gz      bool
	tables  map[event.Stream]*event.Writer
	changes map[string]*event.Writer // by attribute
	oracle  *bufio.Writer
	closers []io.Closer // innermost last
	created []string    // names of the files
	row     []byte
	id      []byte
}

// CreateDir makes the directory if there is none and creates the files in it,
// with the ending .gz if they are to be packed. Files that are already there
// are not overwritten.
func (w *World) CreateDir(path string, gz bool) (*Dir, error) {
	if err := w.Validate(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	d := &Dir{path: path, world: w, gz: gz, tables: map[event.Stream]*event.Writer{}, changes: map[string]*event.Writer{}}
	for _, s := range event.Streams()[:event.Attributes] { // the last one when there is a change
		f, err := d.create(s.String()+".csv", gz)
		if err != nil {
			return nil, errors.Join(err, d.Abandon())
		}
		var attributes []string
		if s == event.Customers {
			attributes = w.attributes()
		}
		if d.tables[s], err = event.NewWriter(f, s, attributes); err != nil {
			return nil, errors.Join(err, d.Abandon())
		}
	}
	f, err := d.create("oracle.csv", gz)
	if err != nil {
		return nil, errors.Join(err, d.Abandon())
	}
	d.oracle = bufio.NewWriterSize(f, 1<<16)
	d.oracle.WriteString("customer_id,as_of,probability,gap_probability,churned,churned_in_gap\n") // fits the buffer
	return d, nil
}

// attributes are the columns of the customers table beyond the contract.
func (w *World) attributes() []string {
	var names []string
	for _, a := range w.Attributes {
		names = append(names, a.Name)
	}
	if w.RateName != "" {
		names = append(names, w.RateName)
	}
	names = append(names, "price")
	if w.Leak {
		names = append(names, "account_closed")
	}
	return names
}

func (d *Dir) create(name string, gz bool) (io.Writer, error) {
	if gz {
		name += ".gz"
	}
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%w: give a new directory", err)
	} else if err != nil {
		return nil, err
	}
	d.closers, d.created = append(d.closers, f), append(d.created, f.Name())
	if !gz {
		return f, nil
	}
	zw, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, zw)
	return zw, nil
}

// Take writes one customer.
func (d *Dir) Take(c *Customer) error {
	tl := c.Timeline
	id := tl.Customer.ID
	d.tables[event.Customers].WriteCustomer(&tl.Customer)
	for i := range tl.Engagements {
		d.tables[event.Engagements].WriteEngagement(d.number(id, "-e", i), id, &tl.Engagements[i])
	}
	for i := range tl.Complaints {
		d.tables[event.Complaints].WriteComplaint(id, &tl.Complaints[i])
	}
	for i := range tl.Payments {
		d.tables[event.Payments].WritePayment(id, &tl.Payments[i])
	}
	for i := range tl.Contacts {
		d.tables[event.Contacts].WriteContact(d.number(id, "-n", i), id, &tl.Contacts[i])
	}
	var err error
	for i := range tl.Changes {
		var w *event.Writer
		if w, err = d.changesOf(tl.Changes[i].Name); err != nil {
			return err
		}
		if err := w.WriteAttribute(d.number(id, "-a", i), id, &tl.Changes[i]); err != nil {
			return err
		}
	}
	for _, s := range c.Scores {
		d.row = append(append(d.row[:0], id...), ',')
		d.row = append(append(d.row, s.AsOf.String()...), ',')
		d.row = append(strconv.AppendFloat(d.row, s.Probability, 'f', 9, 64), ',')
		d.row = append(strconv.AppendFloat(d.row, s.GapProbability, 'f', 9, 64), ',')
		d.row = append(append(d.row, [...]string{Stayed: "0,0", Left: "1,0", LeftInGap: "0,1", Censored: ","}[s.Outcome]...), '\n')
		_, err = d.oracle.Write(d.row)
	}
	// Writers keep their first error, and stop writing.
	for _, s := range event.Streams()[:event.Attributes] {
		if e := d.tables[s].Err(); e != nil {
			return e
		}
	}
	return err
}

// changesOf is the writer of an attribute, which also is the name of its file.
func (d *Dir) changesOf(attribute string) (*event.Writer, error) {
	if w := d.changes[attribute]; w != nil {
		return w, nil
	}
	if attribute != filepath.Base(attribute) {
		return nil, fmt.Errorf("attribute %q cannot name a file", attribute)
	}
	f, err := d.create(event.Attributes.String()+"."+attribute+".csv", d.gz)
	if err != nil {
		return nil, err
	}
	w, err := event.NewWriter(f, event.Attributes, []string{attribute})
	if err == nil {
		d.changes[attribute] = w
	}
	return w, err
}

// number makes an event id such as C0000001-e00012, padded so that ids order
// like numbers.
func (d *Dir) number(customer, mark string, i int) string {
	d.id = append(append(d.id[:0], customer...), mark...)
	for n := 10_000; n > 1 && i+1 < n; n /= 10 {
		d.id = append(d.id, '0')
	}
	return string(strconv.AppendInt(d.id, int64(i+1), 10))
}

// Finish writes out what is left, closes the files and then writes truth.json.
func (d *Dir) Finish(sum *Summary) error {
	var errs []error
	for _, s := range event.Streams()[:event.Attributes] {
		errs = append(errs, d.tables[s].Flush())
	}
	for _, name := range slices.Sorted(maps.Keys(d.changes)) {
		errs = append(errs, d.changes[name].Flush())
	}
	errs = append(errs, d.oracle.Flush(), d.close())
	if err := errors.Join(errs...); err != nil {
		return err
	}
	b, err := json.MarshalIndent(Truth{*d.world, sum}, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(d.path, "truth.json")
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o666); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// Abandon closes the files and removes those that were created.
func (d *Dir) Abandon() error {
	errs := []error{d.close()}
	for _, name := range d.created {
		errs = append(errs, os.Remove(name))
	}
	d.created = nil
	return errors.Join(errs...)
}

// close closes every file; once, for Finish and for giving up.
func (d *Dir) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i].Close())
	}
	d.closers = nil
	return errors.Join(errs...)
}

// WriteDir generates the world into a directory; see Dir and Generate. An error
// or an end of ctx leaves no files behind.
func (w World) WriteDir(ctx context.Context, path string, gz bool, progress func(done, total int)) (*Truth, error) {
	d, err := w.CreateDir(path, gz)
	if err != nil {
		return nil, err
	}
	sum, err := w.Generate(ctx, d, progress)
	if err != nil {
		return nil, errors.Join(err, d.Abandon())
	}
	if err := d.Finish(sum); err != nil {
		return nil, errors.Join(fmt.Errorf("simulate: %w", err), d.Abandon())
	}
	return &Truth{w, sum}, nil
}
