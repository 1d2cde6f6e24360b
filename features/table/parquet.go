package table

import (
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// Bounds of what a Parquet file may ask for.
const (
	maxPage       = 64 << 20 // bytes of a page, unpacked
	maxBatchText  = 64 << 20 // bytes of the texts of one batch
	batchCells    = 1 << 18  // rows of a batch times its columns
	maxBatchRows  = 4096
	parquetBuffer = 1 << 16 // read ahead, by column
)

// parquetFile reads the columns of a Parquet file row group by row group.
type parquetFile struct {
	name    string
	size    int64
	r       *file.Reader
	columns []parquetColumn
	wanted  []wanted
	batch   int   // rows of a batch
	group   int   // to open next
	left    int64 // rows of the open group
	row     int   // of the file, read so far
	levels  []int16
	values  buffers
}

// parquetColumn is a column of the schema.
type parquetColumn struct {
	name   string
	leaf   int
	nested bool // in a list: it has no one value a row
	descr  *schema.Column
	layout layout
}

// wanted is a column that is read, as numbers or as texts.
type wanted struct {
	*parquetColumn
	number bool
	stored bool // as it is stored: see column
	chunk  file.ColumnChunkReader
}

// layout says what the stored values stand for.
type layout struct {
	kind  layoutKind
	scale int32  // of a decimal
	perS  int64  // of a time: units in a second
	utc   bool   // of a time: written with a zone
	text  string // the type, of values that are no times, numbers or texts
}

type layoutKind uint8

const (
	plain layoutKind = iota
	unsigned
	decimal
	date
	instant
	unreadable
)

// column is the values of a column in a batch: numbers with NaN for missing,
// or texts, empty for missing; or else whole numbers or floats as they are
// stored, with what is missing.
type column struct {
	numbers []float64
	text    []byte
	ends    []int
	ints    []int64
	floats  []float64
	null    []bool
}

func (c *column) cell(i int) []byte {
	start := 0
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.text[start:c.ends[i]]
}

// guard makes an error of a panic of the library about a damaged file.
func guard(name string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: the Parquet file is damaged: %v", name, v)
		}
	}()
	return fn()
}

func newParquet(f parquet.ReaderAtSeeker, size int64, name string) (*parquetFile, error) {
	if err := checkFooter(f, size); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &parquetFile{name: name, size: size}
	err := guard(name, func() error {
		props := parquet.NewReaderProperties(nil)
		props.BufferedStreamEnabled = true
		props.BufferSize = parquetBuffer
		props.MaxCompressedPageSize, props.MaxUncompressedPageSize = maxPage, maxPage
		var err error
		if p.r, err = file.NewParquetReader(f, file.WithReadProps(props)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s := p.r.MetaData().Schema
		for i := range s.NumColumns() {
			d := s.Column(i)
			p.columns = append(p.columns, parquetColumn{name: d.Path(), leaf: i, nested: d.MaxRepetitionLevel() > 0, descr: d, layout: layoutOf(d)})
		}
		return nil
	})
	return p, err
}

// layoutOf looks at the logical type, or the older converted type, which the
// library makes a logical one of.
func layoutOf(d *schema.Column) layout {
	switch t := d.LogicalType().(type) {
	case schema.DecimalLogicalType:
		return layout{kind: decimal, scale: t.Scale()}
	case *schema.DecimalLogicalType:
		return layout{kind: decimal, scale: t.Scale()}
	case schema.DateLogicalType:
		return layout{kind: date}
	case schema.TimestampLogicalType:
		return timestamp(&t)
	case *schema.TimestampLogicalType:
		return timestamp(t)
	case schema.IntLogicalType:
		return integers(t.IsSigned())
	case *schema.IntLogicalType:
		return integers(t.IsSigned())
	case schema.TimeLogicalType:
		return layout{text: t.String()}
	case *schema.TimeLogicalType:
		return layout{text: t.String()}
	case schema.Float16LogicalType, *schema.Float16LogicalType, schema.UUIDLogicalType, *schema.UUIDLogicalType,
		schema.IntervalLogicalType, *schema.IntervalLogicalType:
		return layout{kind: unreadable, text: t.String()}
	}
	if d.PhysicalType() == parquet.Types.Int96 {
		return layout{kind: instant, perS: 1e9}
	}
	return layout{}
}

func timestamp(t *schema.TimestampLogicalType) layout {
	per := map[schema.TimeUnitType]int64{schema.TimeUnitMillis: 1e3, schema.TimeUnitMicros: 1e6, schema.TimeUnitNanos: 1e9}[t.TimeUnit()]
	if per == 0 {
		return layout{kind: unreadable, text: t.String()}
	}
	return layout{kind: instant, perS: per, utc: t.IsAdjustedToUTC()}
}

func integers(signed bool) layout {
	if signed {
		return layout{}
	}
	return layout{kind: unsigned}
}

// want chooses the columns to read, by their place in columns.
func (p *parquetFile) want(columns []int, number []bool) error {
	p.wanted = p.wanted[:0]
	for k, i := range columns {
		c := &p.columns[i]
		if c.nested {
			return fmt.Errorf("%s: column %q is a list; a table has one value a cell", p.name, c.name)
		}
		if c.layout.kind == unreadable {
			return fmt.Errorf("%s: column %q: values of type %s are not read; write it as a number or a text", p.name, c.name, c.layout.text)
		}
		p.wanted = append(p.wanted, wanted{parquetColumn: c, number: number[k]})
	}
	p.batch = max(16, min(maxBatchRows, batchCells/max(1, len(columns))))
	return nil
}

// numeric tells whether the values are numbers as they are stored.
func (c *parquetColumn) numeric() bool {
	t := c.descr.PhysicalType()
	return c.layout.kind < date && (t != parquet.Types.ByteArray && t != parquet.Types.FixedLenByteArray && t != parquet.Types.Int96)
}

// next reads a batch into columns, one for each that is wanted, and returns its
// rows, or io.EOF.
func (p *parquetFile) next(columns []column) (rows int, err error) {
	err = guard(p.name, func() error {
		for p.left == 0 {
			if err := p.open(); err != nil {
				return err
			}
		}
		rows = int(min(p.left, int64(p.batch)))
		text := 0
		for k := range p.wanted {
			if err := p.read(&p.wanted[k], &columns[k], rows, &text); err != nil {
				return fmt.Errorf("%s:%d: column %q: %w", p.name, p.row+1, p.wanted[k].name, err)
			}
		}
		p.left -= int64(rows)
		p.row += rows
		return nil
	})
	return rows, err
}

// open begins the next row group.
func (p *parquetFile) open() error {
	if p.group >= p.r.NumRowGroups() {
		return io.EOF
	}
	g := p.r.RowGroup(p.group)
	p.group++
	if p.left = g.NumRows(); p.left < 0 {
		return fmt.Errorf("%s: a row group of %d rows", p.name, p.left)
	}
	if len(p.wanted) == 0 || p.left == 0 {
		return nil
	}
	for k := range p.wanted {
		w := &p.wanted[k]
		meta, err := g.MetaData().ColumnChunk(w.leaf)
		if err == nil {
			err = p.inside(meta)
		}
		if err == nil {
			w.chunk, err = g.Column(w.leaf)
		}
		if err != nil {
			return fmt.Errorf("%s: column %q: %w", p.name, w.name, err)
		}
	}
	return nil
}

// inside refuses a column whose bytes would not be in the file.
func (p *parquetFile) inside(m *metadata.ColumnChunkMetaData) error {
	start := m.DataPageOffset()
	if m.HasDictionaryPage() && m.DictionaryPageOffset() > 0 {
		start = min(start, m.DictionaryPageOffset())
	}
	if n := m.TotalCompressedSize(); start < 4 || n < 0 || start > p.size || n > p.size-start {
		return fmt.Errorf("its bytes are not within the file")
	}
	return nil
}

// buffers hold the values of a column as they are stored.
type buffers struct {
	flags []bool
	i32   []int32
	i64   []int64
	i96   []parquet.Int96
	f32   []float32
	f64   []float64
	bytes []parquet.ByteArray
	fixed []parquet.FixedLenByteArray
}

// sized returns a slice of n elements, reusing s.
func sized[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n)
	}
	*s = (*s)[:n]
	return *s
}

// read reads the values of one column, page by page, because texts lie in
// their page. text counts the bytes of texts of the batch.
func (p *parquetFile) read(w *wanted, out *column, rows int, text *int) error {
	if w.stored {
		return p.readStored(w, out, rows)
	}
	out.numbers, out.text, out.ends = out.numbers[:0], out.text[:0], out.ends[:0]
	top := w.descr.MaxDefinitionLevel()
	for done := 0; done < rows; {
		n := rows - done
		defs := sized(&p.levels, n)
		total, some, value, err := p.values.batch(w.chunk, n, defs)
		switch {
		case err != nil:
			return err
		case total <= 0 || total > n || some > total:
			return fmt.Errorf("it has fewer values than the file has rows")
		}
		if some == total && w.isText() {
			if err := out.texts(p.values.bytes[:some], text); err != nil {
				return fmt.Errorf("%w in %d rows", err, rows)
			}
			done += total
			continue
		}
		k := 0
		for i := range total {
			null := top > 0 && defs[i] != top
			if null {
				out.missing(w.number && w.numeric())
				continue
			}
			if k >= some {
				return fmt.Errorf("it has fewer values than the file has rows")
			}
			if w.number && w.numeric() {
				out.numbers = append(out.numbers, w.float(&p.values, k))
			} else {
				before := len(out.text)
				out.text = value(out.text, k, w)
				out.ends = append(out.ends, len(out.text))
				if *text += len(out.text) - before; *text > maxBatchText {
					return fmt.Errorf("%w in %d rows", errText, rows)
				}
			}
			k++
		}
		done += total
	}
	return nil
}

var errText = fmt.Errorf("texts of more than %d bytes", maxBatchText)

// isText tells whether values are texts as they are stored.
func (c *parquetColumn) isText() bool {
	return c.descr.PhysicalType() == parquet.Types.ByteArray && c.layout.kind != decimal
}

// texts adds texts none of which is missing.
func (c *column) texts(list []parquet.ByteArray, text *int) error {
	for _, b := range list {
		if *text += len(b); *text > maxBatchText {
			return errText
		}
		c.text = append(c.text, b...)
		c.ends = append(c.ends, len(c.text))
	}
	return nil
}

func (c *column) missing(number bool) {
	if number {
		c.numbers = append(c.numbers, math.NaN())
	} else {
		c.ends = append(c.ends, len(c.text))
	}
}

// batch reads values of one page. value writes one of them as text.
func (b *buffers) batch(chunk file.ColumnChunkReader, n int, defs []int16) (total, some int, value func([]byte, int, *wanted) []byte, err error) {
	var levels int64
	switch c := chunk.(type) {
	case *file.BooleanColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.flags, n), defs, nil)
		value = func(dst []byte, i int, _ *wanted) []byte { return strconv.AppendBool(dst, b.flags[i]) }
	case *file.Int32ColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.i32, n), defs, nil)
		value = func(dst []byte, i int, w *wanted) []byte { return w.layout.integer(dst, w.int32(b.i32[i])) }
	case *file.Int64ColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.i64, n), defs, nil)
		value = func(dst []byte, i int, w *wanted) []byte { return w.layout.integer(dst, b.i64[i]) }
	case *file.Int96ColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.i96, n), defs, nil)
		value = func(dst []byte, i int, _ *wanted) []byte { return appendTime(dst, b.i96[i].ToTime(), false) }
	case *file.Float32ColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.f32, n), defs, nil)
		value = func(dst []byte, i int, _ *wanted) []byte { return appendFloat(dst, float64(b.f32[i]), 32) }
	case *file.Float64ColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.f64, n), defs, nil)
		value = func(dst []byte, i int, _ *wanted) []byte { return appendFloat(dst, b.f64[i], 64) }
	case *file.ByteArrayColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.bytes, n), defs, nil)
		value = func(dst []byte, i int, w *wanted) []byte { return w.layout.bytes(dst, b.bytes[i]) }
	case *file.FixedLenByteArrayColumnChunkReader:
		levels, some, err = c.ReadBatchInPage(int64(n), sized(&b.fixed, n), defs, nil)
		value = func(dst []byte, i int, w *wanted) []byte { return w.layout.bytes(dst, b.fixed[i]) }
	default:
		err = fmt.Errorf("values of an unknown type")
	}
	return int(levels), some, value, err
}

// int32 widens a value.
func (c *parquetColumn) int32(v int32) int64 {
	if c.layout.kind == unsigned {
		return int64(uint32(v))
	}
	return int64(v)
}

// float gives value i of a numeric column.
func (c *parquetColumn) float(b *buffers, i int) float64 {
	var v int64
	switch c.descr.PhysicalType() {
	case parquet.Types.Boolean:
		if b.flags[i] {
			return 1
		}
		return 0
	case parquet.Types.Float:
		return float64(b.f32[i])
	case parquet.Types.Double:
		return b.f64[i]
	case parquet.Types.Int32:
		v = c.int32(b.i32[i])
	default:
		if v = b.i64[i]; c.layout.kind == unsigned {
			return float64(uint64(v))
		}
	}
	if c.layout.scale != 0 {
		return float64(v) / math.Pow10(int(c.layout.scale))
	}
	return float64(v)
}

// integer writes a stored whole number as what it stands for.
func (l *layout) integer(dst []byte, v int64) []byte {
	switch l.kind {
	case unsigned:
		return strconv.AppendUint(dst, uint64(v), 10)
	case decimal:
		return appendDecimal(dst, strconv.FormatInt(v, 10), int(l.scale))
	case date:
		return time.Unix(v*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case instant:
		s, rest := v/l.perS, v%l.perS
		return appendTime(dst, time.Unix(s, rest*(1e9/l.perS)), l.utc)
	}
	return strconv.AppendInt(dst, v, 10)
}

// bytes writes a stored text, or a decimal in the bytes of a whole number.
func (l *layout) bytes(dst, b []byte) []byte {
	if l.kind != decimal {
		return append(dst, b...)
	}
	v := new(big.Int).SetBytes(b[:min(len(b), 64)])
	if len(b) > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*min(len(b), 64))))
	}
	return appendDecimal(dst, v.String(), int(l.scale))
}

// appendDecimal sets the point in a whole number, without zeros at the end.
func appendDecimal(dst []byte, digits string, scale int) []byte {
	if scale <= 0 || scale > 200 { // the format has none below 0
		return append(dst, digits...)
	}
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	if short := scale + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	whole, part := digits[:len(digits)-scale], strings.TrimRight(digits[len(digits)-scale:], "0")
	dst = append(dst, whole...)
	if part != "" {
		dst = append(append(dst, '.'), part...)
	}
	return dst
}

func appendTime(dst []byte, t time.Time, zone bool) []byte {
	if zone {
		return t.UTC().AppendFormat(dst, time.RFC3339Nano)
	}
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999999")
}

// appendFloat writes a number as a CSV would have it: whole ones without a
// point, none for NaN.
func appendFloat(dst []byte, v float64, bits int) []byte {
	if v != v {
		return dst
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e15 && (v != 0 || !math.Signbit(v)) {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, bits)
}
