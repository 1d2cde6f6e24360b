package gbdt

import (
	"errors"
	"fmt"
	"strconv"
)

// A source hands out the values of a document, JSON or UBJSON, one by one in
// the order of the text. It keeps nothing of them, so that memory is the
// reader's decision and never that of a number in the text.
type source interface {
	// next says what comes next, without moving on.
	next() (valueKind, error)
	// enter goes into the object or array that comes next.
	enter() error
	// more says whether the object or array that was entered last has a
	// further member, and goes behind it if not.
	more() (bool, error)
	// key reads the key of the member of an object that comes next; its
	// value follows.
	key() (string, error)
	text() (string, error)
	integer() (int64, error)
	// float reads a number as the float32 that is nearest to it.
	float() (float32, error)
	// drop passes over a value that is neither object nor array.
	drop() error
	// end returns an error if anything follows.
	end() error
	// position is that of the next byte.
	position() int
}

// valueKind is the kind of a value in a document.
type valueKind int

const (
	kindScalar valueKind = iota // number, truth value or null
	kindText
	kindArray
	kindObject
)

func (k valueKind) String() string {
	return [...]string{"a number", "a string", "an array", "an object"}[k]
}

// maxNesting bounds how deep objects and arrays lie within each other. The
// models of XGBoost need nine levels.
const maxNesting = 32

// A document reads the values of a source into Go variables.
type document struct {
	source
	depth int
}

// members says where the values of an object go, by key: into a string, an
// int (a whole number, which XGBoost writes as a string) or a slice of
// numbers; to a function, which reads the value itself; or nowhere, if nil.
type members map[string]any

// taken stands in members for a key that was already read.
type taken struct{}

// object reads an object. A key that is not among the members, or that occurs
// twice, is an error; one that is missing leaves its variable as it is.
func (d *document) object(m members) error {
	if err := d.open(kindObject); err != nil {
		return err
	}
	for {
		if more, err := d.inside(); !more {
			return err
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		to, known := m[key]
		if !known {
			return fmt.Errorf("field %q is not known", shorten(key))
		}
		m[key] = taken{}
		if err := d.value(to); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
}

// each reads an object by calling member for each key, which reads the value.
// The same key may come again.
func (d *document) each(member func(key string) error) error {
	if err := d.open(kindObject); err != nil {
		return err
	}
	for {
		if more, err := d.inside(); !more {
			return err
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		if err := member(key); err != nil {
			return fmt.Errorf("%s: %w", shorten(key), err)
		}
	}
}

// array reads an array by calling member for each of its values, with the
// number of those before it.
func (d *document) array(member func(i int) error) error {
	if err := d.open(kindArray); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if more, err := d.inside(); !more {
			return err
		}
		if err := member(i); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
}

// open enters an object or array.
func (d *document) open(want valueKind) error {
	have, err := d.next()
	if err != nil {
		return err
	}
	if have != want {
		return fmt.Errorf("found %v, want %v", have, want)
	}
	if d.depth++; d.depth > maxNesting {
		return fmt.Errorf("more than %d objects and arrays lie within each other", maxNesting)
	}
	return d.enter()
}

// inside is more, keeping count of the depth.
func (d *document) inside() (bool, error) {
	more, err := d.more()
	if err != nil {
		return false, err
	}
	if !more {
		d.depth--
	}
	return more, nil
}

// value reads a value to where members says.
func (d *document) value(to any) (err error) {
	switch to := to.(type) {
	case nil:
		return d.skip()
	case taken:
		return errors.New("occurs twice")
	case func() error:
		return to()
	case *string:
		*to, err = d.text()
	case *int:
		*to, err = d.count()
	case *[]float32:
		*to, err = readList(d, d.float)
	case *[]int64:
		*to, err = readList(d, d.integer)
	case *[]int32:
		*to, err = readList(d, d.int32)
	default:
		err = fmt.Errorf("cannot read into %T", to)
	}
	return err
}

// readList reads an array of values of one kind.
func readList[T any](d *document, read func() (T, error)) (values []T, err error) {
	err = d.array(func(int) error {
		v, err := read()
		values = append(values, v)
		return err
	})
	return values, err
}

func (d *document) int32() (int32, error) {
	v, err := d.integer()
	if err == nil && int64(int32(v)) != v {
		return 0, fmt.Errorf("%d has more than 32 bits", v)
	}
	return int32(v), err
}

// count reads a whole number written as a string.
func (d *document) count() (int, error) {
	s, err := d.text()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is not a number of 31 bits", shorten(s))
	}
	return int(v), nil
}

// skip passes over a value of any kind.
func (d *document) skip() error {
	k, err := d.next()
	if err != nil {
		return err
	}
	if k != kindObject && k != kindArray {
		return d.drop()
	}
	if err := d.open(k); err != nil {
		return err
	}
	for {
		if more, err := d.inside(); !more {
			return err
		}
		if k == kindObject {
			if _, err := d.key(); err != nil {
				return err
			}
		}
		if err := d.skip(); err != nil {
			return err
		}
	}
}
