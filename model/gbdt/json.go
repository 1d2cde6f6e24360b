package gbdt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A jsonSource reads JSON as XGBoost writes it, that is with the numbers NaN,
// Infinity and -Infinity, which encoding/json refuses.
type jsonSource struct {
	doc   string
	pos   int
	open  []byte // closing brackets of the objects and arrays that were entered
	first bool   // nothing of the innermost was read
}

func (s *jsonSource) position() int { return s.pos }

// peek returns the next byte that is not white space, 0 at the end.
func (s *jsonSource) peek() byte {
	for ; s.pos < len(s.doc); s.pos++ {
		if c := s.doc[s.pos]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// unexpected is the error for the next byte not being what is wanted.
func (s *jsonSource) unexpected(want string) error {
	if s.peek(); s.pos == len(s.doc) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("found %q, want %s", s.doc[s.pos], want)
}

func (s *jsonSource) next() (valueKind, error) {
	switch c := s.peek(); c {
	case '{':
		return kindObject, nil
	case '[':
		return kindArray, nil
	case '"':
		return kindText, nil
	default:
		if !inNumber(c) {
			return 0, s.unexpected("a value")
		}
		return kindScalar, nil
	}
}

func (s *jsonSource) enter() error {
	s.open = append(s.open, s.doc[s.pos]+2) // '{'+2 is '}', '['+2 is ']'
	s.pos++
	s.first = true
	return nil
}

func (s *jsonSource) more() (bool, error) {
	last := len(s.open) - 1
	c := s.peek()
	first := s.first
	s.first = false
	switch {
	case c == s.open[last]:
		s.pos++
		s.open = s.open[:last]
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, s.unexpected("a comma or the end of the object or array")
	}
	s.pos++
	return true, nil
}

func (s *jsonSource) key() (string, error) {
	key, err := s.text()
	if err != nil {
		return "", err
	}
	if s.peek() != ':' {
		return "", s.unexpected("a colon")
	}
	s.pos++
	return key, nil
}

func (s *jsonSource) text() (string, error) {
	quoted, err := s.quoted()
	if err != nil {
		return "", err
	}
	var t string
	if !utf8.ValidString(quoted) || json.Unmarshal([]byte(quoted), &t) != nil {
		return "", fmt.Errorf("%s is not a string in JSON", shorten(quoted))
	}
	return t, nil
}

// quoted returns a string with its quotes and everything escaped in it.
func (s *jsonSource) quoted() (string, error) {
	if s.peek() != '"' {
		return "", s.unexpected("a string")
	}
	for i := s.pos + 1; i < len(s.doc); i++ {
		switch s.doc[i] {
		case '\\':
			i++
		case '"':
			quoted := s.doc[s.pos : i+1]
			s.pos = i + 1
			return quoted, nil
		}
	}
	return "", io.ErrUnexpectedEOF
}

// inNumber reports whether c may be part of a number, a truth value or null.
func inNumber(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// number returns the characters of a number, a truth value or null.
func (s *jsonSource) number() (string, error) {
	if !inNumber(s.peek()) {
		return "", s.unexpected("a number")
	}
	from := s.pos
	for s.pos < len(s.doc) && inNumber(s.doc[s.pos]) {
		s.pos++
	}
	return s.doc[from:s.pos], nil
}

func (s *jsonSource) integer() (int64, error) {
	n, err := s.number()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", shorten(n))
	}
	return v, nil
}

func (s *jsonSource) float() (float32, error) {
	n, err := s.number()
	if err != nil {
		return 0, err
	}
	switch n {
	case "NaN", "Infinity", "-Infinity": // ParseFloat takes these
	default: // and more, which is not JSON
		if strings.Trim(n, "0123456789+-.eE") != "" {
			return 0, fmt.Errorf("%q is not a number", shorten(n))
		}
	}
	v, err := strconv.ParseFloat(n, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of 32 bits", shorten(n))
	}
	return float32(v), nil
}

func (s *jsonSource) drop() error {
	if s.peek() == '"' {
		_, err := s.quoted()
		return err
	}
	_, err := s.number()
	return err
}

func (s *jsonSource) end() error {
	if s.peek(); s.pos != len(s.doc) {
		return errors.New("something follows the model")
	}
	return nil
}
