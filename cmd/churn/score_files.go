package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"churn/event"
	"churn/features"
	tables "churn/features/table"
	"churn/model"
)

// output is a file that has its name only when it is complete, or a pipe.
type output struct {
	io.Writer
	f          *os.File // nil: standard output
	path, temp string   // temp is empty where there is nothing to rename
	mode       os.FileMode
}

func createOutput(path string, stdout io.Writer) (*output, error) {
	if path == "-" {
		return &output{Writer: stdout}, nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the link stays one
	}
	o := &output{path: path}
	var err error
	if info, serr := os.Stat(path); serr == nil && !info.Mode().IsRegular() {
		o.f, err = os.OpenFile(path, os.O_WRONLY, 0)
	} else {
		if serr == nil {
			o.mode = info.Mode().Perm()
		}
		o.temp = filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.part", filepath.Base(path), os.Getpid()))
		o.f, err = os.OpenFile(o.temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	}
	o.Writer = o.f
	return o, err
}

// keep gives the file its name.
func (o *output) keep() error {
	if o.f == nil {
		return nil
	}
	f := o.f
	o.f = nil
	if o.temp == "" {
		return f.Close()
	}
	err := f.Sync()
	if o.mode != 0 {
		err = errors.Join(err, f.Chmod(o.mode))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(o.temp, o.path)
	}
	if err != nil {
		os.Remove(o.temp)
	}
	return err
}

// abandon removes a file that was not kept.
func (o *output) abandon() {
	if o.f == nil {
		return
	}
	o.f.Close()
	if o.temp != "" {
		os.Remove(o.temp)
	}
}

// rejects keeps rows that were refused: file, line, column, reason and the
// cells, as churn import does.
type rejects struct {
	file *lazyFile
	csv  *csv.Writer
}

func newRejects(path string) *rejects {
	f := &lazyFile{path: path}
	return &rejects{f, csv.NewWriter(f)}
}

func (r *rejects) add(e *event.RowError) error {
	return r.csv.Write(append([]string{e.File, strconv.Itoa(e.Line), e.Column, e.Reason}, e.Row...))
}

func (r *rejects) close() error {
	r.csv.Flush()
	return errors.Join(r.csv.Error(), r.file.Close())
}

// tally counts what there is to say at the end.
type tally struct {
	name         string
	inputs       []features.Input
	rows, scored int
	refused      map[string]int
	odd, missing []int
	present      []bool
	unused       []string
}

func (t *tally) begin(in *tables.Reader, inputs []features.Input, unused []string) {
	t.name, t.inputs, t.unused, t.refused = in.Name(), inputs, unused, map[string]int{}
	t.odd, t.missing, t.present = make([]int, len(inputs)), make([]int, len(inputs)), make([]bool, len(inputs))
}

func (t *tally) add(c *tables.Chunk) {
	t.rows += c.Rows
	for _, e := range c.Refused {
		reason := e.Reason
		if e.Column != "" {
			reason = e.Column + ": " + reason
		}
		if _, known := t.refused[reason]; !known && len(t.refused) >= 20 {
			reason = "other reasons"
		}
		t.refused[reason]++
	}
	for i := range t.inputs {
		t.odd[i] += c.Odd[i]
		t.missing[i] += c.Missing[i]
		t.present[i] = t.present[i] || c.Present[i]
	}
	for _, name := range c.Unused {
		if !slices.Contains(t.unused, name) {
			t.unused = append(t.unused, name)
		}
	}
}

// absent is an error if there are no rows, or if none of NDJSON has a column
// that the model needs.
func (t *tally) absent() error {
	if t.inputs != nil && t.rows == 0 {
		return fmt.Errorf("%s: a header and no rows", t.name)
	}
	var lacking []string
	for i, present := range t.present {
		if !present && t.scored > 0 {
			lacking = append(lacking, t.inputs[i].Name)
		}
	}
	if lacking != nil {
		return fmt.Errorf("%s: %w", t.name, &tables.LackingError{Columns: lacking})
	}
	return nil
}

// farMissing is by how much the share of missing values may exceed that of the
// reference population until it is told.
const farMissing = 0.2

// print says what was odd, and unless quiet how much there was.
func (t *tally) print(w io.Writer, quiet bool, s *model.Scorer, rejects *rejects) {
	if t.inputs == nil {
		return
	}
	if !quiet {
		fmt.Fprintf(w, "%s: %d rows scored\n", t.name, t.scored)
	}
	reasons := slices.Collect(maps.Keys(t.refused))
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(t.refused[b]-t.refused[a], cmp.Compare(a, b)) })
	for _, r := range reasons {
		fmt.Fprintf(w, "refused: %d rows: %s\n", t.refused[r], r)
	}
	if len(reasons) > 0 {
		fmt.Fprintf(w, "refused rows are in %s\n", rejects.file.path)
	}
	reference := s.Reference().Features
	for i := range t.inputs {
		in := &t.inputs[i]
		switch {
		case t.odd[i] == 0:
		case in.Kind() == features.Category:
			fmt.Fprintf(w, "warning: column %q: %d values that the model does not know; they count as other\n", in.Name, t.odd[i])
		default:
			fmt.Fprintf(w, "warning: column %q: %d texts that are no numbers; they count as missing\n", in.Name, t.odd[i])
		}
		share := float64(t.missing[i]) / float64(max(t.scored, 1))
		if i < len(reference) && share > reference[i].Missing+farMissing {
			fmt.Fprintf(w, "warning: column %q: missing in %.0f %% of the rows, where the model was tested on %.0f %%\n", in.Name, 100*share, 100*reference[i].Missing)
		}
	}
	if len(t.unused) > 0 {
		fmt.Fprintf(w, "warning: columns of the table that the model does not use: %s\n", tables.Names(t.unused))
	}
}
