package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Bounds of one message of an Arrow stream.
const (
	maxHead = 16 << 20
	maxBody = 256 << 20 // as it comes, and again unpacked
)

// continued begins every message of an Arrow stream.
const continued = 0xFFFFFFFF

// messages cuts a stream into messages and checks their heads. The library's
// own reader has no bounds in a stream, and takes one that was cut off between
// two messages for a whole one.
type messages struct {
	in     io.Reader
	memory *bounded
	body   []byte // of the last batch, whose memory is used again
	batch  int    // number of batches so far
	deltas int    // bytes of dictionaries that go on
	grows  bool   // the last message was such a one
	opened bool
	views  int   // columns of the schema that are of views
	failed error // told as it is; the library says more around it
}

// Message returns the next one, or io.EOF at the end of the stream.
func (m *messages) Message() (*ipc.Message, error) {
	next, err := m.next()
	if err != nil && err != io.EOF {
		m.failed = err
	}
	return next, err
}

func (m *messages) next() (*ipc.Message, error) {
	if m.grows {
		if m.deltas += m.memory.used; m.deltas > maxBody {
			return nil, fmt.Errorf("dictionaries grow beyond %d bytes: write the texts themselves", maxBody)
		}
	}
	m.grows, m.memory.used = false, 0
	head, err := m.head()
	if err != nil {
		return nil, err
	}
	f, err := checkMessage(head)
	if err != nil {
		return nil, err
	}
	if f.body > maxBody {
		return nil, fmt.Errorf("a batch of %d bytes: write batches of at most %d, some ten thousand rows", f.body, maxBody)
	}
	var body []byte
	switch {
	case f.kind == schemaMessage:
		m.views = f.views
	case f.kind == batchMessage && f.views < m.views:
		return nil, errFlat
	}
	if f.kind == batchMessage {
		m.batch++
		m.body, err = m.fill(m.body[:0], int(f.body))
		body = m.body
	} else {
		body, err = m.fill(nil, int(f.body))
		m.grows = f.delta
		m.memory.used += len(body)
	}
	if err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(head), memory.NewBufferBytes(body)), nil
}

// head reads the head of the next message.
func (m *messages) head() ([]byte, error) {
	var b [8]byte
	n, err := io.ReadFull(m.in, b[:])
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, err
	case !m.opened && n == 0:
		return nil, errors.New("there is nothing: not even a schema")
	case !m.opened && bytes.HasPrefix(b[:], []byte("ARROW1")):
		return nil, errors.New("an Arrow file and not a stream: write it as a stream")
	case n >= 4 && binary.LittleEndian.Uint32(b[:]) != continued:
		if !m.opened {
			return nil, errors.New("not an Arrow IPC stream")
		}
		return nil, errors.New("what follows is not a message of Arrow")
	case n == 0:
		return nil, errors.New("it ends without the mark of its end: what wrote it did not come to an end")
	case n < len(b):
		return nil, errCut
	}
	m.opened = true
	size := binary.LittleEndian.Uint32(b[4:])
	if size == 0 {
		switch n, err := io.ReadFull(m.in, b[:1]); {
		case n > 0:
			return nil, errors.New("more follows after its end: give one stream at a time")
		case err != io.EOF:
			return nil, err
		}
		return nil, io.EOF
	}
	if size > maxHead {
		return nil, fmt.Errorf("a message with a head of %d bytes, more than %d", size, maxHead)
	}
	return m.fill(nil, int(size))
}

var errCut = errors.New("it ends in the middle of a message")

// fill reads n bytes. It does not make room for all of them before it has seen
// some.
func (m *messages) fill(b []byte, n int) ([]byte, error) {
	for len(b) < n {
		k := min(n, max(cap(b), 2*len(b), 1<<20))
		if k > cap(b) {
			grown := make([]byte, len(b), k)
			copy(grown, b)
			b = grown
		}
		from := len(b)
		b = b[:k]
		if _, err := io.ReadFull(m.in, b[from:]); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = errCut
			}
			return b[:0], err
		}
	}
	return b, nil
}

// Retain and Release are not needed: there is nothing to give back.
func (m *messages) Retain()  {}
func (m *messages) Release() {}

// bounded gives memory for what a message unpacks to.
type bounded struct {
	memory.Allocator
	used int // by the message
}

var errUnpacked = fmt.Errorf("a batch unpacks to more than %d bytes: write smaller ones", maxBody)

func (b *bounded) take(n int) {
	if n < 0 || n > maxBody-b.used {
		panic(errUnpacked)
	}
	b.used += n
}

// Allocate implements memory.Allocator; the library makes an error of a panic.
func (b *bounded) Allocate(n int) []byte {
	b.take(n)
	return b.Allocator.Allocate(n)
}

// Reallocate implements memory.Allocator.
func (b *bounded) Reallocate(n int, old []byte) []byte {
	if more := n - len(old); more > 0 {
		b.take(more)
	}
	return b.Allocator.Reallocate(n, old)
}
