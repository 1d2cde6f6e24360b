package gbdt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// A ubjsonSource reads Universal Binary JSON (https://ubjson.org, draft 12) as
// far as XGBoost writes it. A value is a marker, a byte that says of what kind
// it is, and its bytes, the most significant first; '{' and '[' are followed
// by members. Arrays may state their number of values, "[#L" and 8 bytes, and
// with it the marker of all of them, "[$d#L", which then stands nowhere else.
type ubjsonSource struct {
	doc  string
	pos  int
	open []ubjsonFrame // objects and arrays that were entered
}

// A ubjsonFrame is an object or array that was entered.
type ubjsonFrame struct {
	object bool
	marker byte  // of all values; 0: each has its own
	left   int64 // values that were not yet announced; -1: until the closing bracket
}

// ubjsonSizes are the bytes of a value after its marker.
var ubjsonSizes = [256]int{'i': 1, 'U': 1, 'I': 2, 'l': 4, 'L': 8, 'd': 4, 'D': 8}

func (s *ubjsonSource) position() int { return s.pos }

func (s *ubjsonSource) bytes(n int) (string, error) {
	if n > len(s.doc)-s.pos {
		return "", io.ErrUnexpectedEOF
	}
	s.pos += n
	return s.doc[s.pos-n : s.pos], nil
}

// marker reads the marker of the next value.
func (s *ubjsonSource) marker() (byte, error) {
	if n := len(s.open); n > 0 && s.open[n-1].marker != 0 {
		return s.open[n-1].marker, nil
	}
	b, err := s.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (s *ubjsonSource) next() (valueKind, error) {
	pos := s.pos
	m, err := s.marker()
	s.pos = pos
	switch {
	case err != nil:
		return 0, err
	case m == '{':
		return kindObject, nil
	case m == '[':
		return kindArray, nil
	case m == 'S':
		return kindText, nil
	case m == 'T' || m == 'F' || m == 'Z' || ubjsonSizes[m] > 0:
		return kindScalar, nil
	}
	return 0, fmt.Errorf("marker %q is not that of a value", m)
}

func (s *ubjsonSource) enter() error {
	m, err := s.marker()
	if err != nil {
		return err
	}
	f := ubjsonFrame{object: m == '{', left: -1}
	rest := s.doc[s.pos:]
	if !f.object && len(rest) >= 2 && rest[0] == '$' {
		f.marker = rest[1]
		if ubjsonSizes[f.marker] == 0 {
			return fmt.Errorf("marker %q is not that of a number, and so not of the values of an array", f.marker)
		}
		if !strings.HasPrefix(rest[2:], "#") {
			return errors.New("array states the marker of its values, but not their number")
		}
		s.pos += 2
		rest = rest[2:]
	}
	if !f.object && strings.HasPrefix(rest, "#") {
		s.pos++
		if f.left, err = s.length(max(1, ubjsonSizes[f.marker])); err != nil {
			return err
		}
	}
	s.open = append(s.open, f)
	return nil
}

// length reads a number of items of which each takes at least size bytes. It
// does not let through a number for which the document is too short.
func (s *ubjsonSource) length(size int) (int64, error) {
	b, err := s.bytes(1)
	if err != nil {
		return 0, err
	}
	n, err := s.whole(b[0])
	if err != nil {
		return 0, fmt.Errorf("reading a length: %w", err)
	}
	if left := len(s.doc) - s.pos; n < 0 || n > int64(left/size) {
		return 0, fmt.Errorf("length %d does not fit into the %d bytes that are left", n, left)
	}
	return n, nil
}

func (s *ubjsonSource) more() (bool, error) {
	last := len(s.open) - 1
	f := &s.open[last]
	switch {
	case f.left > 0:
		f.left--
		return true, nil
	case f.left == 0:
		s.open = s.open[:last]
		return false, nil
	}
	closing := byte(']')
	if f.object {
		closing = '}'
	}
	if s.pos == len(s.doc) {
		return false, io.ErrUnexpectedEOF
	}
	if s.doc[s.pos] != closing {
		return true, nil
	}
	s.pos++
	s.open = s.open[:last]
	return false, nil
}

// key reads a string without marker.
func (s *ubjsonSource) key() (string, error) {
	n, err := s.length(1)
	if err != nil {
		return "", err
	}
	t, err := s.bytes(int(n))
	if err != nil {
		return "", err
	}
	if !utf8.ValidString(t) {
		return "", fmt.Errorf("%q is not UTF-8", shorten(t))
	}
	return t, nil
}

func (s *ubjsonSource) text() (string, error) {
	m, err := s.marker()
	if err != nil {
		return "", err
	}
	if m != 'S' {
		return "", fmt.Errorf("found marker %q, want a string", m)
	}
	t, err := s.key()
	return strings.Clone(t), err // do not keep the document in memory
}

func (s *ubjsonSource) integer() (int64, error) {
	m, err := s.marker()
	if err != nil {
		return 0, err
	}
	return s.whole(m)
}

// whole reads the bytes of a whole number after its marker.
func (s *ubjsonSource) whole(marker byte) (int64, error) {
	if marker == 'd' || marker == 'D' || ubjsonSizes[marker] == 0 {
		return 0, fmt.Errorf("found marker %q, want a whole number", marker)
	}
	b, err := s.bytes(ubjsonSizes[marker])
	if err != nil {
		return 0, err
	}
	switch marker {
	case 'U':
		return int64(b[0]), nil
	case 'i':
		return int64(int8(b[0])), nil
	case 'I':
		return int64(int16(binary.BigEndian.Uint16([]byte(b)))), nil
	case 'l':
		return int64(int32(binary.BigEndian.Uint32([]byte(b)))), nil
	}
	return int64(binary.BigEndian.Uint64([]byte(b))), nil
}

func (s *ubjsonSource) float() (float32, error) {
	m, err := s.marker()
	if err != nil {
		return 0, err
	}
	if m != 'd' {
		return 0, fmt.Errorf("found marker %q, want a float of 32 bits", m)
	}
	b, err := s.bytes(4)
	if err != nil {
		return 0, err
	}
	return math.Float32frombits(binary.BigEndian.Uint32([]byte(b))), nil
}

func (s *ubjsonSource) drop() error {
	m, err := s.marker()
	if err != nil {
		return err
	}
	if m == 'S' {
		_, err = s.key()
		return err
	}
	_, err = s.bytes(ubjsonSizes[m])
	return err
}

func (s *ubjsonSource) end() error {
	if s.pos != len(s.doc) {
		return errors.New("something follows the model")
	}
	return nil
}
