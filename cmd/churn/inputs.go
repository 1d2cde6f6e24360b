package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"churn/event"
	tables "churn/features/table"
	"churn/store"
)

// source is where rows of one table come from: a file, a pattern of files or
// directories of them, or a query on a database.
type source struct {
	Path   string `yaml:"path"`
	Query  string `yaml:"query"`
	Driver string `yaml:"driver"`
	DSN    string `yaml:"dsn"`
	// DSNFrom names the environment variable that holds the DSN.
	DSNFrom       string `yaml:"dsn_from"`
	event.Mapping `yaml:",inline"`
}

func (s *source) validate(of event.Stream) error {
	if s.Query == "" {
		switch {
		case s.Path == "":
			return errors.New("path is missing")
		case s.Driver != "" || s.DSN != "" || s.DSNFrom != "":
			return errors.New("driver, dsn and dsn_from are of a query: give one, or leave them out")
		}
		return s.Validate(of)
	}
	switch {
	case s.Path != "":
		return errors.New("path and query are both given: make them two sources")
	case s.Format != "" || s.Delimiter != "":
		return errors.New("format and delimiter are of files: a query has neither")
	case (s.DSN == "") == (s.DSNFrom == ""):
		return errors.New("a query needs either dsn, or dsn_from with the name of an environment variable")
	}
	if err := store.CheckSource(s.Driver, s.DSN); err != nil {
		return err
	}
	return s.Validate(of)
}

// chooseInputs takes the files named, else the directory, else the sources.
func (c *config) chooseInputs(from string, files []string) ([]event.Input, error) {
	switch {
	case len(files) > 0 && from != "":
		return nil, usagef("give either files or --from")
	case len(files) > 0:
		var inputs []event.Input
		for _, f := range files {
			s, err := event.TableOf(f)
			if err != nil {
				return nil, usageError{err}
			}
			inputs = append(inputs, fileInput(s, f, event.Mapping{}))
		}
		return inputs, nil
	case from != "":
		return findInputs(from)
	case len(c.Sources) == 0:
		return nil, usagef("nothing to read: name files, give --from, or list sources in the project file")
	}
	return c.inputs()
}

func findInputs(dir string) ([]event.Input, error) {
	inputs, err := event.FindInputs(dir)
	for i, in := range inputs {
		inputs[i] = fileInput(in.Stream, in.Path, in.Mapping)
	}
	return inputs, err
}

// fileInput is a file of any format.
func fileInput(s event.Stream, path string, m event.Mapping) event.Input {
	return event.Input{Stream: s, Path: path, Mapping: m,
		Open: func(context.Context) (event.Rows, error) { return tables.OpenEvents(path, s, m) }}
}

// inputs lists the files and queries of the sources, tables in order of import.
func (c *config) inputs() ([]event.Input, error) {
	var inputs []event.Input
	for _, s := range event.Streams() {
		for i, f := range c.Sources[s.String()] {
			if f.Query != "" {
				in, err := c.queryInput(s, fmt.Sprintf("sources.%s[%d]", s, i), f)
				if err != nil {
					return nil, err
				}
				inputs = append(inputs, in)
				continue
			}
			paths, err := c.match(f.Path)
			if err != nil || len(paths) == 0 {
				return nil, fmt.Errorf("sources.%s: no file matches %s", s, c.path(f.Path))
			}
			n := len(inputs)
			for _, p := range paths {
				parts := []string{p}
				if info, err := os.Stat(p); err == nil && info.IsDir() {
					if parts, err = event.Parts(p); err != nil {
						return nil, fmt.Errorf("sources.%s: %w", s, err)
					}
				}
				for _, p := range parts {
					inputs = append(inputs, fileInput(s, p, f.Mapping))
				}
			}
			if len(inputs) == n {
				return nil, fmt.Errorf("sources.%s: no .csv, .ndjson or .parquet file in %s", s, c.path(f.Path))
			}
		}
	}
	return inputs, nil
}

// queryInput is a query on a database. Errors name its place in the project
// file, and never the DSN, which may hold a password.
func (c *config) queryInput(s event.Stream, name string, f source) (event.Input, error) {
	dsn := f.DSN
	if f.DSNFrom != "" {
		if dsn = os.Getenv(f.DSNFrom); dsn == "" {
			return event.Input{}, fmt.Errorf("%s: the environment variable %s is empty: set it to the DSN of the database", name, f.DSNFrom)
		}
	}
	if f.Driver == "sqlite" {
		dsn = c.sqlitePath(dsn)
	}
	return event.Input{Stream: s, Path: name, Mapping: f.Mapping, Open: func(ctx context.Context) (event.Rows, error) {
		return store.OpenQuery(ctx, name, f.Driver, dsn, f.Query)
	}}, nil
}

// sqlitePath makes the file of a DSN of SQLite, file:crm.db or crm.db, relative
// to the project file, as all paths in it are.
func (c *config) sqlitePath(dsn string) string {
	path, uri := strings.CutPrefix(dsn, "file:")
	if !uri {
		return c.path(dsn)
	}
	path, query, _ := strings.Cut(path, "?")
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	u := url.URL{Path: filepath.ToSlash(c.path(path))}
	return "file:" + u.EscapedPath() + "?" + query
}

// match lists the files that a path or pattern of the project file means. A
// file of just that name comes first, and the directory is no pattern.
func (c *config) match(p string) ([]string, error) {
	if _, err := os.Stat(c.path(p)); err == nil {
		return []string{c.path(p)}, nil
	}
	if filepath.IsAbs(p) {
		return filepath.Glob(p)
	}
	dir := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(c.dir)
	return filepath.Glob(filepath.Join(dir, p))
}
