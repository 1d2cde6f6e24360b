package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxFooter bounds the table of contents of a Parquet file: 5,000 columns in
// some hundred row groups.
const maxFooter = 64 << 20

// checkFooter looks at the table of contents of a Parquet file before the
// library does, which believes the numbers in it: a count of four billion
// children, or a schema as deep as the file is long, would end the program
// and not only the reading.
func checkFooter(f io.ReaderAt, size int64) error {
	var tail, head [8]byte
	if size < 12 {
		return errors.New("too short for a Parquet file")
	}
	if _, err := f.ReadAt(head[:4], 0); err != nil {
		return err
	}
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if string(head[:4]) != "PAR1" || string(tail[4:]) != "PAR1" {
		if string(tail[4:]) == "PARE" {
			return errors.New("the file is encrypted")
		}
		return errors.New("not a Parquet file, or one that was not written to its end")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if n > maxFooter || n+12 > size {
		return fmt.Errorf("a table of contents of %d bytes in a file of %d", n, size)
	}
	footer := make([]byte, n)
	if _, err := f.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	w := thrift{data: footer}
	w.structure(1, func(id int, kind byte) bool {
		if id == 2 && kind == thriftList {
			w.schema()
			return true
		}
		return false
	})
	return w.err
}

// thrift walks over a value in the compact protocol of Apache Thrift.
type thrift struct {
	data []byte
	err  error
}

// Kinds of values that are told apart here.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13

	maxThriftDepth = 16
	maxSchemaDepth = 64
)

var errFooter = errors.New("the table of contents is damaged")

func (w *thrift) take(n uint64) []byte {
	if w.err != nil || n > uint64(len(w.data)) {
		w.err = errFooter
		return nil
	}
	b := w.data[:n]
	w.data = w.data[n:]
	return b
}

func (w *thrift) byte() byte {
	if b := w.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (w *thrift) varint() uint64 {
	v, n := binary.Uvarint(w.data)
	if n <= 0 || w.err != nil {
		w.err = errFooter
		return 0
	}
	w.data = w.data[n:]
	return v
}

// integer is a varint in zigzag.
func (w *thrift) integer() int64 {
	v := w.varint()
	return int64(v>>1) ^ -int64(v&1)
}

// structure walks over fields. field returns whether it has read the value.
func (w *thrift) structure(depth int, field func(id int, kind byte) bool) {
	for id := 0; w.err == nil; {
		b := w.byte()
		if b == 0 {
			return
		}
		if delta := int(b >> 4); delta > 0 {
			id += delta
		} else {
			id = int(int16(w.integer()))
		}
		if field == nil || !field(id, b&15) {
			w.value(b&15, depth)
		}
	}
}

// list reads the head of a list: every element takes a byte at least.
func (w *thrift) list() (n uint64, kind byte) {
	b := w.byte()
	if n = uint64(b >> 4); n == 15 {
		n = w.varint()
	}
	if n > uint64(len(w.data)) {
		w.err = errFooter
	}
	return n, b & 15
}

func (w *thrift) value(kind byte, depth int) {
	if depth > maxThriftDepth {
		w.err = errFooter
		return
	}
	switch {
	case kind == thriftTrue, kind == thriftFalse:
	case kind == thriftByte:
		w.byte()
	case kind > thriftByte && kind <= thriftI64:
		w.varint()
	case kind == thriftDouble:
		w.take(8)
	case kind == thriftBinary:
		w.take(w.varint())
	case kind == thriftList, kind == thriftSet:
		n, of := w.list()
		for ; n > 0 && w.err == nil; n-- {
			w.element(of, depth)
		}
	case kind == thriftMap:
		n := w.varint()
		if n == 0 {
			return
		}
		of := w.byte()
		for ; n > 0 && w.err == nil; n-- {
			w.element(of>>4, depth)
			w.element(of&15, depth)
		}
	case kind == thriftStruct:
		w.structure(depth+1, nil)
	case kind == thriftUUID:
		w.take(16)
	default:
		w.err = errFooter
	}
}

// element is a value in a list or map, where a flag takes a byte.
func (w *thrift) element(kind byte, depth int) {
	if kind == thriftTrue || kind == thriftFalse {
		w.byte()
		return
	}
	w.value(kind, depth+1)
}

// schema walks over the list of schema elements, a tree with the parents
// first, and checks that it is one.
func (w *thrift) schema() {
	n, of := w.list()
	if of != thriftStruct {
		w.err = errFooter
	}
	if n > 4*MaxColumns {
		w.err = fmt.Errorf("more than %d columns", MaxColumns)
	}
	var open []int64 // children to come, by depth
	for i := range n {
		if w.err != nil {
			return
		}
		children := int64(0)
		w.structure(2, func(id int, kind byte) bool {
			if id != 5 || kind < thriftByte || kind > thriftI64 || kind == thriftByte {
				return false
			}
			children = w.integer()
			return true
		})
		for len(open) > 0 && open[len(open)-1] == 0 {
			open = open[:len(open)-1]
		}
		switch {
		case children < 0, uint64(children) >= n-i, i > 0 && len(open) == 0 && w.err == nil:
			w.err = errFooter
			return
		case len(open) > 0:
			open[len(open)-1]--
		}
		if children > 0 {
			open = append(open, children)
		}
		if len(open) > maxSchemaDepth {
			w.err = fmt.Errorf("columns nested more than %d deep", maxSchemaDepth)
		}
	}
}
