package table

import (
	"fmt"
	"io"

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

// Write adds rows: a value of each column.
func (w *Writer) Write(rows int, columns []Values) (err error) {
	defer failed(&err)
	if rows == 0 {
		return nil
	}
	if w.group == nil {
		if w.group, err = w.w.AppendBufferedRowGroupChecked(); err != nil {
			return err
		}
	}
	for k := range w.fields {
		c, err := w.group.Column(k)
		if err != nil {
			return err
		}
		if err := w.column(c, rows, &columns[k]); err != nil {
			return err
		}
	}
	if w.rows += rows; w.rows >= max(1, min(rowGroup, rowGroupCells/len(w.fields))) {
		return w.flush()
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

func (w *Writer) column(chunk file.ColumnChunkWriter, rows int, v *Values) (err error) {
	defs := sized(&w.defs, rows)
	set := func(i int, known bool) bool {
		defs[i] = 0
		if known {
			defs[i] = 1
		}
		return known
	}
	switch c := chunk.(type) {
	case *file.ByteArrayColumnChunkWriter:
		w.texts = w.texts[:0]
		for i, s := range v.Texts[:rows] {
			if set(i, s != "") {
				w.texts = append(w.texts, parquet.ByteArray(s))
			}
		}
		_, err = c.WriteBatch(w.texts, defs, nil)
	case *file.Float64ColumnChunkWriter:
		w.floats = w.floats[:0]
		for i, x := range v.Numbers[:rows] {
			if set(i, x == x) {
				w.floats = append(w.floats, x)
			}
		}
		_, err = c.WriteBatch(w.floats, defs, nil)
	case *file.Int64ColumnChunkWriter:
		w.times = w.times[:0]
		for i, t := range v.Instants[:rows] {
			if set(i, t != event.Never) {
				w.times = append(w.times, int64(t))
			}
		}
		_, err = c.WriteBatch(w.times, defs, nil)
	case *file.Float32ColumnChunkWriter:
		w.single = w.single[:0]
		for i, x := range v.Singles[:rows] {
			if set(i, x == x) {
				w.single = append(w.single, x)
			}
		}
		_, err = c.WriteBatch(w.single, defs, nil)
	case *file.BooleanColumnChunkWriter:
		w.flags = w.flags[:0]
		for i, f := range v.Flags[:rows] {
			if set(i, f == Yes || f == No) {
				w.flags = append(w.flags, f == Yes)
			}
		}
		_, err = c.WriteBatch(w.flags, defs, nil)
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
