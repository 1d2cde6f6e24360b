package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"churn/features"
)

// decode reads a project file over the values of c.
func decode(b []byte, c *config) error {
	if blank(b) {
		return nil // all defaults; the library would set zeros
	}
	err := features.UnmarshalYAML(b, c)
	if err != nil {
		err = atLine(b, err)
	}
	return err
}

// blank tells whether a file has nothing but comments.
func blank(b []byte) bool {
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && string(line) != "---" {
			return false
		}
	}
	return true
}

// atLine adds the line to an error in a text such as 30d, for which the library
// knows no position: it is the first line with which the error appears.
func atLine(b []byte, err error) error {
	const maxLines = 1000 // each is tried
	var positioned yaml.Error
	if errors.As(err, &positioned) || strings.HasPrefix(err.Error(), "line ") {
		return err
	}
	n, end := 0, 0
	for line := range bytes.Lines(b) {
		n, end = n+1, end+len(line)
		c := defaultConfig()
		if e := features.UnmarshalYAML(b[:end], &c); e != nil && e.Error() == err.Error() {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if n == maxLines {
			break
		}
	}
	return err
}

// whole is a whole number. The library would take 1.5 for 1.
type whole uint64

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *whole) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil {
		return fmt.Errorf("%q is not a whole number from 0 on", b)
	}
	*w = whole(n)
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler. No bytes need no unit.
func (b *byteSize) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*b = 0
		return nil
	}
	return b.Set(string(text))
}
