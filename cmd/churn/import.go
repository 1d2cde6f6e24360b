package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"churn/event"
)

func (a *app) importCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "import [FILE...]",
		Short: "Import customers, engagement, complaints, payments, contacts and attributes",
		Long: `Import reads the sources of the project file, a directory (--from), or the files
named, whose names tell their tables (payments.csv, complaints.ndjson.gz).
Importing twice changes nothing. A row that cannot be read is reported with
file, line and column and kept in the rejects file; more than max_bad_share of
them stops the import. What is reported as stored is on disk.`,
		Example: `  churn import --config churn.yaml
  churn import --from exports/ --db churn.db`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.importData(cmd.Context(), from, args) },
	}
	cmd.Flags().StringVar(&from, "from", "", "directory of input files named after their tables")
	return cmd
}

func (a *app) importData(ctx context.Context, from string, files []string) (err error) {
	c, err := a.config()
	if err != nil {
		return err
	}
	inputs, err := c.chooseInputs(from, files)
	if err != nil {
		return err
	}
	db, err := a.openStore(ctx, c, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := a.progress()
	defer p.finish()
	return a.withRejects(c, func(o event.ImportOptions) error {
		o.Progress = func(path string, rows int) { p.show("importing "+path, rows, 0) }
		reports, err := event.Import(ctx, inputs, db.Sink(), o)
		p.finish()
		return errors.Join(err, a.printImport(reports))
	})
}

// withRejects runs an import with what the project file says of bad rows, and
// tells where they are.
func (a *app) withRejects(c *config, run func(event.ImportOptions) error) (err error) {
	now, err := c.now()
	if err != nil {
		return err
	}
	rejects := &lazyFile{path: c.path(c.Import.Rejects)}
	defer func() { err = errors.Join(err, rejects.Close()) }()
	err = run(event.ImportOptions{
		// Import takes 0 for its default; here it means none.
		MaxBadShare: max(c.Import.MaxBadShare, math.SmallestNonzeroFloat64),
		Rejects:     rejects,
		// Five minutes of clock difference are forgiven.
		Latest: now().Add(5 * event.Minute),
	})
	if rejects.f != nil {
		fmt.Fprintf(a.stderr, "refused rows are in %s\n", rejects.path)
	}
	return err
}

func (a *app) printImport(reports []event.FileReport) error {
	if a.json {
		return writeJSON(a.stdout, reports)
	}
	rows := [][]string{{"file", "rows", "stored", "duplicate", "conflict", "skipped", "refused"}}
	for _, r := range reports {
		n := func(v int) string { return fmt.Sprint(v) }
		rows = append(rows, []string{r.Path, n(r.Rows), n(r.Stored), n(r.Duplicate), n(r.Conflict), n(r.Skipped), n(r.Rejected + r.Refused)})
	}
	if err := table(a.stdout, rows); err != nil {
		return err
	}
	for _, r := range reports {
		printRefused(a.stdout, &r)
	}
	return nil
}

// printRefused tells what was refused of a file, and what was kept and not used.
func printRefused(w io.Writer, r *event.FileReport) {
	for _, e := range r.Examples {
		fmt.Fprintln(w, "refused:", e)
	}
	for _, p := range r.Problems() {
		fmt.Fprintf(w, "%s: %d %s (%s)\n", r.Path, p.Rows, p.Name, p.Rule)
	}
	for _, text := range slices.Sorted(maps.Keys(r.Unknown)) {
		fmt.Fprintf(w, "%s: unknown: %s in %d rows\n", r.Path, text, r.Unknown[text])
	}
}

// lazyFile is made when the first byte is written, so that no rejects means no
// file.
type lazyFile struct {
	path string
	f    *os.File
}

var _ io.WriteCloser = (*lazyFile)(nil)

func (l *lazyFile) Write(b []byte) (int, error) {
	if l.f == nil {
		f, err := os.Create(l.path)
		if err != nil {
			return 0, err
		}
		l.f = f
	}
	return l.f.Write(b)
}

func (l *lazyFile) Close() error {
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}
