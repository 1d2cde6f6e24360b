package event

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Input is one source of rows and how to read it.
type Input struct {
	Stream  Stream
	Path    string // of the file, or what else names the source in errors
	Mapping Mapping
	// Open opens the source; nil takes Path for a file of CSV or NDJSON, plain
	// or gzipped.
	Open func(ctx context.Context) (Rows, error)
}

// Reader opens the input. Close the reader.
func (in *Input) Reader(ctx context.Context) (*Reader, error) {
	open := in.Open
	if open == nil {
		open = in.text
	}
	rows, err := open(ctx)
	if err != nil {
		return nil, err
	}
	r, err := NewRowReader(rows, in.Path, in.Stream, in.Mapping)
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return r, nil
}

// text opens a file of text.
func (in *Input) text(context.Context) (Rows, error) {
	f, err := Open(in.Path)
	if err != nil {
		return nil, err
	}
	rows, err := TextRows(f, in.Path, in.Stream, in.Mapping)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return fileRows{rows, f.Close}, nil
}

// fileRows are rows with the file below them.
type fileRows struct {
	Rows
	close func() error
}

func (f fileRows) Close() error { return f.close() }

func (f fileRows) Has(column int) bool { return Has(f.Rows, column) }

// Has asks the rows whether they have the column, for those that wrap others.
func Has(rows Rows, column int) bool {
	h, ok := rows.(interface{ Has(int) bool })
	return !ok || h.Has(column)
}

// FindInputs lists the input files of a directory by their names: a file, or a
// directory of files, called after a table, such as payments.csv.gz or
// payments/part-0.csv. Customers come first, each table's files in name order.
func FindInputs(dir string) ([]Input, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var inputs []Input
	for _, s := range Streams() {
		for _, e := range entries {
			name := e.Name()
			switch {
			case e.IsDir() && name == s.String():
				parts, err := Parts(filepath.Join(dir, name))
				if err != nil {
					return nil, err
				}
				for _, p := range parts {
					inputs = append(inputs, Input{Stream: s, Path: p})
				}
			case !e.IsDir() && isTable(name) && stem(name) == s.String():
				inputs = append(inputs, Input{Stream: s, Path: filepath.Join(dir, name)})
			}
		}
	}
	if len(inputs) == 0 {
		return nil, fmt.Errorf("%s: no input files; name them after their tables: customers.csv, engagement.csv, complaints.csv, payments.csv, contacts.csv, attributes.csv (.ndjson, .parquet, .gz, .zst too)", dir)
	}
	return inputs, nil
}

// Parts lists the files of a directory and those below it, in the order of
// their names: shard=003/part-1.parquet. What a directory is called says
// nothing of the rows in it. Files with other endings than those of a table,
// and whatever begins with a dot or an underscore, are passed over, as the
// programs do that write such directories.
func Parts(dir string) ([]string, error) {
	var parts []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
		switch {
		case err != nil:
			return err
		case hidden && path != dir && d.IsDir():
			return filepath.SkipDir
		case !hidden && !d.IsDir() && isTable(d.Name()):
			parts = append(parts, path)
		}
		return nil
	})
	return parts, err
}

var tableEndings = []string{".csv", ".ndjson", ".jsonl", ".parquet", ".pq"}

func isTable(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	return slices.ContainsFunc(tableEndings, func(e string) bool {
		return len(name) > len(e) && strings.HasSuffix(name, e)
	})
}

func stem(name string) string {
	for i := range name {
		if name[i] == '.' {
			return name[:i]
		}
	}
	return name
}

// TableOf tells the table of a file by its name, as FindInputs does.
func TableOf(path string) (Stream, error) {
	name := filepath.Base(path)
	if isTable(name) {
		if s, err := ParseStream(stem(name)); err == nil {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%s: the name does not tell the table: call it customers.csv, engagement.csv, complaints.csv, payments.csv, contacts.csv or attributes.csv (.ndjson, .parquet, .gz, .zst too), or list it in the project file", path)
}
