package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/training"
)

func (a *app) initCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Look at a directory of input files and write its churn.yaml",
		Long: `Init reads the input files of a directory (named after their tables: payments.csv,
complaints.csv.gz, …), proposes a definition of churn from what it finds, and
writes churn.yaml with a comment at every key. It changes nothing else.`,
		Example: `  churn init exports/
  churn import --config exports/churn.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.initProject(cmd.Context(), append(args, ".")[0], force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "write over a churn.yaml that is there")
	return cmd
}

func (a *app) initProject(ctx context.Context, dir string, force bool) error {
	path := filepath.Join(dir, "churn.yaml")
	if _, err := os.Stat(path); err == nil && !force {
		return fmt.Errorf("%s is there already: --force writes over it", path)
	}
	inputs, err := findInputs(dir)
	if err != nil {
		return err
	}
	p := a.progress()
	defer p.finish()
	l := newLook()
	for i, in := range inputs {
		p.show("reading "+in.Path, 0, 0)
		if in.Stream == event.Attributes {
			if in.Mapping, err = recognise(ctx, in); err != nil {
				return err
			}
			in = fileInput(in.Stream, in.Path, in.Mapping)
			inputs[i] = in
		}
		if err := l.file(ctx, in); err != nil {
			return err
		}
	}
	p.finish()
	pr := l.propose()
	for _, in := range inputs {
		rel, err := filepath.Rel(dir, in.Path)
		if err != nil {
			return err
		}
		if d, _, parts := strings.Cut(filepath.ToSlash(rel), "/"); parts {
			rel = d
		}
		if !slices.Contains(pr.sources[in.Stream], rel) {
			pr.sources[in.Stream] = append(pr.sources[in.Stream], rel)
			if len(in.Mapping.Columns)+len(in.Mapping.Drop) > 0 {
				pr.mappings[rel] = in.Mapping
			}
		}
	}
	if err := os.WriteFile(path, pr.yaml(), 0o644); err != nil {
		return err
	}
	for _, note := range l.notes {
		fmt.Fprintln(a.stdout, note)
	}
	_, err = fmt.Fprintf(a.stdout, "wrote %s: churn is %s\nnext: churn import --config %s\n", path, pr.churn.String(), path)
	return err
}

// look gathers what a proposal needs while reading the files once.
type look struct {
	customers, churned int
	attributes         map[string]map[string]bool // distinct values, up to a limit
	numbers            map[string]bool            // attributes that are numbers so far
	history            map[string]bool            // attributes with changes
	columns            map[event.Stream][]string  // headers that do not fit
	activity           map[string][]event.Time    // by customer
	last               event.Time
	notes              []string
}

func newLook() *look {
	return &look{attributes: map[string]map[string]bool{}, numbers: map[string]bool{}, history: map[string]bool{},
		columns: map[event.Stream][]string{}, activity: map[string][]event.Time{}}
}

// file reads one input. A header that does not fit is a note and not an error:
// the project file is where the mapping goes.
func (l *look) file(ctx context.Context, in event.Input) error {
	r, err := in.Reader(ctx)
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return err
	}
	if err != nil {
		l.notes = append(l.notes, fmt.Sprintf("%v: map the columns in churn.yaml", err))
		l.columns[in.Stream] = event.Columns(in.Stream)
		return nil
	}
	defer r.Close()
	bad := 0
	for {
		rec, err := r.Read()
		var re *event.RowError
		switch {
		case err == io.EOF:
			if bad > 0 {
				l.notes = append(l.notes, fmt.Sprintf("%s: %d rows cannot be read; import tells which", in.Path, bad))
			}
			return ctx.Err()
		case errors.As(err, &re):
			bad++
			continue
		case err != nil:
			return err
		}
		if rec.Customer != nil {
			l.customer(rec.Customer)
		}
		for _, e := range rec.Events {
			if e.Type == event.Engagement || e.Type == event.PaymentPaid {
				l.activity[e.Customer] = append(l.activity[e.Customer], e.At)
			}
			if e.Type == event.AttributeSet {
				l.history[e.Kind] = true
				l.attribute(e.Kind, e.Outcome)
			}
			if !e.Type.Ahead() {
				l.last = max(l.last, e.At)
			}
		}
	}
}

// maxLook bounds the distinct values of an attribute that are remembered.
const maxLook = 1000

func (l *look) customer(c *event.Customer) {
	l.customers++
	if c.ChurnedAt != event.Never {
		l.churned++
		l.last = max(l.last, c.ChurnedAt)
	}
	for name, v := range c.Attributes {
		l.attribute(name, v)
	}
}

func (l *look) attribute(name, v string) {
	values := l.attributes[name]
	if values == nil {
		values = map[string]bool{}
		l.attributes[name] = values
		l.numbers[name] = true
	}
	if v == "" { // withdrawn
		return
	}
	if len(values) < maxLook {
		values[v] = true
	}
	l.numbers[name] = l.numbers[name] && isNumber(v)
}

// What the columns of a table are called that keeps every state of a row (a
// slowly changing dimension of type 2): since when a row holds, and what is
// filled in later or is no attribute.
var (
	startNames = []string{"dbt_valid_from", "effective_from", "effective_date", "effective_at", "valid_since", "start_date", "starts_at",
		"start_at", "from_date", "date_from", "changed_at"}
	rowNames = []string{"valid_to", "valid_until", "dbt_valid_to", "effective_to", "effective_until", "end_date", "ends_at", "end_at",
		"to_date", "date_to", "expired_at", "is_current", "current", "is_active_row", "dbt_scd_id", "dbt_updated_at", "surrogate_key", "version"}
)

// recognise proposes a mapping for a file of attributes.
func recognise(ctx context.Context, in event.Input) (m event.Mapping, err error) {
	rows, err := in.Open(ctx)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return m, err
		}
		return m, nil // reading it tells
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if event.IsNDJSON(in.Path) {
		rows.Next() // names the columns; what is wrong with it comes again
	}
	have := map[string]string{} // by the name in small letters
	for i, name := range rows.Columns() {
		if event.Has(rows, i) {
			have[strings.ToLower(name)] = name
		}
	}
	if have["valid_from"] != "valid_from" {
		for _, name := range append([]string{"valid_from"}, startNames...) {
			if have[name] != "" {
				m.Columns = map[string]string{"valid_from": have[name]}
				break
			}
		}
	}
	for _, name := range rowNames {
		if have[name] != "" {
			m.Drop = append(m.Drop, have[name])
		}
	}
	return m, nil
}

// propose makes a project of what was seen.
func (l *look) propose() project {
	p := project{every: 30 * event.Day, snapshots: 12, sources: map[event.Stream][]string{}, columns: l.columns, mappings: map[string]event.Mapping{}}
	p.churn = model.Definition{Kind: "contract", Gap: 7 * event.Day, Horizon: 30 * event.Day, Grace: 0}
	if len(l.activity) > 0 { // else nobody has been active
		p.churn.NeverActivated = "exclude"
	}
	if l.churned == 0 {
		days, table := l.silence()
		p.churn = model.Definition{Kind: "inactivity", Horizon: event.Duration(days) * event.Day,
			ActiveWithin: event.Duration(days) * event.Day, MinTenure: 30 * event.Day}
		p.note = table
		p.every = 14 * event.Day
		p.snapshots = 16
	}
	for _, name := range slices.Sorted(maps.Keys(l.attributes)) {
		values, list := l.attributes[name], &p.proposed
		if l.history[name] {
			list = &p.history
		}
		switch {
		case l.numbers[name] && len(values) > 0:
			*list = append(*list, features.Column{Name: name, Type: "number"})
		case len(values) < maxLook && len(values) > 1:
			*list = append(*list, features.Column{Name: name, Type: "category"})
		}
	}
	return p
}

// silence proposes the shortest length of silence after which fewer than one
// in ten customers came back, and tells the shares.
func (l *look) silence() (days int, table string) {
	s := training.NewSilences(l.last)
	for _, times := range l.activity {
		slices.Sort(times)
		s.Add(times)
	}
	var b strings.Builder
	b.WriteString("Share of customers silent for N days who came back within the data:")
	for _, r := range s.Report() {
		if math.IsNaN(float64(r.Share)) {
			fmt.Fprintf(&b, " %dd insufficient;", r.Days)
			continue
		}
		fmt.Fprintf(&b, " %dd %.0f%%;", r.Days, 100*r.Share)
	}
	if days = s.Propose(); days == 0 {
		b.WriteString(" none is below 10 %: a silence here is a lapse rather than an end.")
		days = 30
	}
	return days, b.String()
}
