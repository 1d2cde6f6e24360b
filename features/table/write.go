package table

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"churn/event"
)

// rowGroup is how many rows of a file are held in memory until they are
// written, packed as they will be; fewer of many columns.
const (
	rowGroup      = 1 << 17
	rowGroupCells = 1 << 21
)

// Field is a column to write.
type Field struct {
	Name string
	Type FieldType
}

// FieldType is the type of a column to write.
type FieldType uint8

const (
	Text    FieldType = iota // empty is null
	Number                   // 64 bits; NaN is null
	Instant                  // microseconds of UTC; event.Never is null
	Single                   // 32 bits; NaN is null
	Flag                     // see Yes
)

// A flag is Yes or No, or else null.
const (
	No = iota
	Yes
	Unknown
)

// Values are those of one column, in the slice of its type.
type Values struct {
	Texts    []string
	Numbers  []float64
	Instants []event.Time
	Singles  []float32
	Flags    []uint8
}

// Writer writes Parquet, packed by zstd.
type Writer struct {
	fields []Field
	w      *file.Writer
	group  file.BufferedRowGroupWriter
	rows   int
	idle   sync.Pool // of *encoder
}

// encoder holds the values of one column on their way into a file.
type encoder struct {
	defs   []int16
	texts  []parquet.ByteArray
	floats []float64
	times  []int64
	single []float32
	flags  []bool
}

// NewWriter begins a file. Every column may be null.
func NewWriter(w io.Writer, fields []Field) (*Writer, error) {
	var nodes schema.FieldList
	for _, f := range fields {
		var n schema.Node
		var err error
		switch f.Type {
		case Text:
			n, err = schema.NewPrimitiveNodeLogical(f.Name, parquet.Repetitions.Optional, schema.StringLogicalType{}, parquet.Types.ByteArray, -1, -1)
		case Number:
			n, err = schema.NewPrimitiveNode(f.Name, parquet.Repetitions.Optional, parquet.Types.Double, -1, -1)
		case Instant:
			n, err = schema.NewPrimitiveNodeLogical(f.Name, parquet.Repetitions.Optional, schema.NewTimestampLogicalType(true, schema.TimeUnitMicros), parquet.Types.Int64, -1, -1)
		case Single:
			n, err = schema.NewPrimitiveNode(f.Name, parquet.Repetitions.Optional, parquet.Types.Float, -1, -1)
		case Flag:
			n, err = schema.NewPrimitiveNode(f.Name, parquet.Repetitions.Optional, parquet.Types.Boolean, -1, -1)
		}
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return nil, err
	}
	// Hidden, or it would be closed by the library.
	out, err := file.NewParquetWriterWithError(struct{ io.Writer }{w}, root, file.WithWriterProps(parquet.NewWriterProperties(
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1), parquet.WithCreatedBy("churn"))))
	return &Writer{fields: fields, w: out}, err
}

// groupRows is how many rows a row group has, at least.
func (w *Writer) groupRows() int { return max(1, min(rowGroup, rowGroupCells/len(w.fields))) }

// Write adds rows: a value of each column. The columns are encoded in parallel,
// so that many rows at a time are best.
func (w *Writer) Write(rows int, columns []Values) (err error) {
	defer failed(&err)
	if rows == 0 {
		return nil
	}
	first := w.group == nil
	if first {
		if w.group, err = w.w.AppendBufferedRowGroupChecked(); err != nil {
			return err
		}
	}
	w.rows += rows
	full := w.rows >= w.groupRows()
	err = everyColumn(len(w.fields), func(k int) error {
		c, err := w.group.Column(k)
		if err != nil {
			return err
		}
		e, _ := w.idle.Get().(*encoder)
		if e == nil {
			e = &encoder{}
		}
		defer w.idle.Put(e)
		if err := e.column(c, rows, &columns[k], first); err != nil {
			return err
		}
		// The page is packed here and not when the columns are written one by
		// one. Where pages filled up by themselves there may be none left.
		if f, ok := c.(*file.Float32ColumnChunkWriter); ok && full && 4*int64(w.rows) < f.Properties().DataPageSize() {
			err = f.FlushCurrentPage()
		}
		return err
	})
	if err == nil && full {
		err = w.flush()
	}
	return err
}

// everyColumn calls fn for n columns on all processors.
func everyColumn(n int, fn func(k int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				errs[k] = func() (err error) {
					defer failed(&err)
					return fn(k)
				}()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) flush() error {
	g := w.group
	w.group, w.rows = nil, 0
	if g == nil {
		return nil
	}
	return g.Close()
}

// maxDistinct is how many numbers a column may have to be written by their
// places in a dictionary. Looking up those of many costs more than all the rest.
const maxDistinct = 1 << 10

// many tells whether a column has too many numbers for a dictionary, by a look
// at some of them.
func many[F float32 | float64](values []F) bool {
	var seen [4 * maxDistinct]F
	var used [4 * maxDistinct]bool
	distinct := 0
	for _, v := range values[:min(len(values), 8*maxDistinct)] {
		i := math.Float64bits(float64(v)) * 0x9e3779b97f4a7c15 >> 52 % uint64(len(seen))
		for used[i] && seen[i] != v {
			i = (i + 1) % uint64(len(seen))
		}
		if !used[i] {
			used[i], seen[i] = true, v
			if distinct++; distinct > maxDistinct {
				return true
			}
		}
	}
	return false
}

// column writes values. first tells that they are the first of a row group.
func (e *encoder) column(chunk file.ColumnChunkWriter, rows int, v *Values, first bool) (err error) {
	defs := sized(&e.defs, rows)
	set := func(i int, known bool) bool {
		defs[i] = 0
		if known {
			defs[i] = 1
		}
		return known
	}
	switch c := chunk.(type) {
	case *file.ByteArrayColumnChunkWriter:
		e.texts = e.texts[:0]
		for i, s := range v.Texts[:rows] {
			if set(i, s != "") {
				e.texts = append(e.texts, parquet.ByteArray(s))
			}
		}
		_, err = c.WriteBatch(e.texts, defs, nil)
	case *file.Float64ColumnChunkWriter:
		e.floats = e.floats[:0]
		for i, x := range v.Numbers[:rows] {
			if set(i, x == x) {
				e.floats = append(e.floats, x)
			}
		}
		if first && many(e.floats) {
			c.FallbackToPlain()
		}
		_, err = c.WriteBatch(e.floats, defs, nil)
	case *file.Int64ColumnChunkWriter:
		e.times = e.times[:0]
		for i, t := range v.Instants[:rows] {
			if set(i, t != event.Never) {
				e.times = append(e.times, int64(t))
			}
		}
		_, err = c.WriteBatch(e.times, defs, nil)
	case *file.Float32ColumnChunkWriter:
		e.single = e.single[:0]
		for i, x := range v.Singles[:rows] {
			if set(i, x == x) {
				e.single = append(e.single, x)
			}
		}
		if first && many(e.single) {
			c.FallbackToPlain()
		}
		_, err = c.WriteBatch(e.single, defs, nil)
	case *file.BooleanColumnChunkWriter:
		e.flags = e.flags[:0]
		for i, f := range v.Flags[:rows] {
			if set(i, f == Yes || f == No) {
				e.flags = append(e.flags, f == Yes)
			}
		}
		_, err = c.WriteBatch(e.flags, defs, nil)
	}
	return err
}

// Say keeps a text in the file itself, under a key, until Close.
func (w *Writer) Say(key, text string) error { return w.w.AppendKeyValueMetadata(key, text) }

// Close writes the end of the file, without which it is none. It leaves the
// writer below open.
func (w *Writer) Close() (err error) {
	defer failed(&err)
	if err := w.flush(); err != nil {
		return err
	}
	return w.w.Close()
}

// failed makes an error of a panic of the library, such as at a full disk.
func failed(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("writing Parquet: %v", v)
	}
}
