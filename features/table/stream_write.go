package table

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"churn/event"
	"churn/features"
)

// streamWriter writes columns as a stream of Arrow, in the types that a reader
// of Parquet gives those of a Writer.
type streamWriter struct {
	w       io.Writer
	out     *ipc.Writer
	schema  *arrow.Schema
	fields  []Field
	builder *array.RecordBuilder
	valid   []bool
	times   []arrow.Timestamp
	flags   []bool
}

func newStreamWriter(w io.Writer, fields []Field, said map[string]string) *streamWriter {
	var list []arrow.Field
	for _, f := range fields {
		var t arrow.DataType
		switch f.Type {
		case Text:
			t = arrow.BinaryTypes.String
		case Number:
			t = arrow.PrimitiveTypes.Float64
		case Instant:
			t = arrow.FixedWidthTypes.Timestamp_us
		case Single:
			t = arrow.PrimitiveTypes.Float32
		case Flag:
			t = arrow.FixedWidthTypes.Boolean
		}
		list = append(list, arrow.Field{Name: f.Name, Type: t, Nullable: true})
	}
	meta := arrow.MetadataFrom(said)
	schema := arrow.NewSchema(list, &meta)
	return &streamWriter{w: w, out: ipc.NewWriter(w, ipc.WithSchema(schema)), schema: schema, fields: fields,
		builder: array.NewRecordBuilder(memory.NewGoAllocator(), schema)}
}

// write adds rows, in batches that do not grow with their number.
func (s *streamWriter) write(rows int, columns []Values) error {
	size := max(1, min(maxBatchRows, batchCells/len(s.fields)))
	for from := 0; from < rows; from += size {
		to := min(from+size, rows)
		for k := range s.fields {
			s.column(k, &columns[k], from, to)
		}
		batch := s.builder.NewRecordBatch()
		err := s.out.Write(batch)
		batch.Release()
		if err != nil {
			return fmt.Errorf("writing the stream: %w", err)
		}
	}
	return nil
}

func (s *streamWriter) column(k int, v *Values, from, to int) {
	valid := sized(&s.valid, to-from)
	switch b := s.builder.Field(k).(type) {
	case *array.StringBuilder:
		texts := v.Texts[from:to]
		for i, t := range texts {
			valid[i] = t != ""
		}
		b.AppendValues(texts, valid)
	case *array.Float64Builder:
		numbers := v.Numbers[from:to]
		for i, x := range numbers {
			valid[i] = x == x
		}
		b.AppendValues(numbers, valid)
	case *array.Float32Builder:
		singles := v.Singles[from:to]
		for i, x := range singles {
			valid[i] = x == x
		}
		b.AppendValues(singles, valid)
	case *array.TimestampBuilder:
		times := sized(&s.times, to-from)
		for i, t := range v.Instants[from:to] {
			times[i], valid[i] = arrow.Timestamp(t), t != event.Never
		}
		b.AppendValues(times, valid)
	case *array.BooleanBuilder:
		flags := sized(&s.flags, to-from)
		for i, f := range v.Flags[from:to] {
			flags[i], valid[i] = f == Yes, f == Yes || f == No
		}
		b.AppendValues(flags, valid)
	}
}

// MatrixStream writes a matrix as a stream of Arrow: the columns of a
// MatrixWriter.
type MatrixStream struct {
	matrixColumns
	out   *streamWriter
	begun bool
}

// NewMatrixStream begins a stream, which says what it is under MatrixKey.
// Nothing is written before the first rows, or Close.
func NewMatrixStream(w io.Writer, list []features.Feature, labels bool, said string) (*MatrixStream, error) {
	m, fields, err := newMatrixColumns(list, labels)
	if err != nil {
		return nil, err
	}
	return &MatrixStream{matrixColumns: m, out: newStreamWriter(w, fields, map[string]string{MatrixKey: said})}, nil
}

// WriteRows adds rows.
func (m *MatrixStream) WriteRows(rows *MatrixRows) error {
	m.begun = m.begun || len(rows.Customers) > 0
	return m.out.write(len(rows.Customers), m.of(rows))
}

// Close writes the mark of the end, without which a stream is not whole. It
// leaves the writer below open.
func (m *MatrixStream) Close() error { return m.out.out.Close() }

// Abandon ends a stream that is not whole in the middle of a message. Readers
// take one that just stops after a batch for whole.
func (m *MatrixStream) Abandon() error {
	if !m.begun {
		return nil // nothing is no stream either
	}
	_, err := m.out.w.Write([]byte{0xFF, 0xFF, 0xFF, 0xFF})
	return err
}
