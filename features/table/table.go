// Package table reads wide tables of any size: CSV, NDJSON and Parquet, in
// pieces, as texts or as rows of an engine.
//
// A Reader cuts a file into chunks, which is cheap and done by one goroutine; a
// Chunk makes rows of its piece, which any goroutine may do while the next
// piece is read. What a chunk holds does not depend on who does it.
//
// OpenEvents opens a file of events, of any of these formats, as rows for
// package event: the one place where a file of any kind is opened.
//
// Text is cut where no quote is open, by counting quotes. In a file with stray
// quotes that may be within a quoted text; encoding/csv decides on every row
// that is not plainly right, and names the line.
//
// Parquet is read column by column through arrow-go, in the calling goroutine,
// so that a panic about a hostile file ends in an error here. Pages, columns,
// cells and batches are bounded. Not here: nested columns, encrypted files,
// predicates, parallel reading of one file, times of rows.
package table

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"churn/event"
)

// MaxColumns is how many columns a table may have.
const MaxColumns = 5000

// Reader reads one table.
type Reader struct {
	name    string
	columns []string // in the file, of NDJSON those met
	ndjson  bool
	blocks  *blocks      // of CSV and NDJSON
	parquet *parquetFile // or this
	walk    walk
	close   func() error
}

// Name is that of the file, for errors.
func (r *Reader) Name() string { return r.name }

// Columns names the columns of the table. Those of NDJSON appear as rows are
// read.
func (r *Reader) Columns() []string { return r.columns }

// Fixed tells whether Columns are all there are, before any row is read.
func (r *Reader) Fixed() bool { return !r.ndjson }

// Close closes the file.
func (r *Reader) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

// Open opens a file by its name: .parquet, .ndjson or .jsonl, else CSV; text
// may be packed with gzip or zstd, which its first bytes tell. copyTo, unless
// nil, is given the unpacked bytes of text, or a Parquet file as a whole.
func Open(path string, copyTo io.Writer) (*Reader, error) {
	if IsParquet(path) {
		return openParquet(path, copyTo)
	}
	in, done, err := openText(path)
	if err != nil {
		return nil, err
	}
	if copyTo != nil {
		in = io.TeeReader(in, copyTo)
	}
	r, err := New(in, path)
	if err != nil {
		return nil, errors.Join(err, done())
	}
	r.close = done
	return r, nil
}

// openText opens a file and unpacks it if it is packed with gzip or zstd.
func openText(path string) (io.Reader, func() error, error) {
	f, err := event.Open(path)
	if err != nil {
		return nil, nil, err
	}
	in, unpack, err := unzstd(f)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: damaged zstd header: %w", path, err), f.Close())
	}
	return in, func() error { unpack(); return f.Close() }, nil
}

// IsParquet tells whether a file is Parquet by its name.
func IsParquet(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".parquet") || strings.HasSuffix(name, ".pq")
}

// unzstd unpacks zstd. A window of 128 MB is the largest that its own
// program takes without being asked to.
func unzstd(f io.Reader) (io.Reader, func(), error) {
	br := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := br.Peek(4); !bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return br, func() {}, nil
	}
	z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}

// New reads CSV, or NDJSON if the name says so.
func New(in io.Reader, name string) (*Reader, error) {
	br, err := event.Text(in)
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	r := &Reader{name: name, blocks: &blocks{name: name, in: br, line: 1, size: blockSize}}
	if event.IsNDJSON(name) {
		r.ndjson = true
		return r, nil
	}
	r.blocks.cut = cutCSV
	if r.columns, err = r.blocks.header(); err != nil {
		return nil, err
	}
	return r, r.checkColumns()
}

func (r *Reader) checkColumns() error {
	if len(r.columns) > MaxColumns {
		return fmt.Errorf("%s:1: more than %d columns", r.name, MaxColumns)
	}
	seen := map[string]bool{}
	for _, c := range r.columns {
		if seen[c] {
			return fmt.Errorf("%s:1: column %q appears twice", r.name, c)
		}
		if err := event.CheckID("header", c); err != nil {
			return fmt.Errorf("%s:1: %w", r.name, err)
		}
		seen[c] = true
	}
	return nil
}

// openParquet opens a file that must be there as a whole: its table of
// contents is at the end.
func openParquet(path string, copyTo io.Writer) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{name: path, close: f.Close}
	if info, serr := f.Stat(); serr != nil {
		err = serr
	} else if !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: Parquet is read from a file only, not from a pipe or a directory", path)
	} else if r.parquet, err = newParquet(f, info.Size(), path); err == nil {
		for _, c := range r.parquet.columns {
			r.columns = append(r.columns, c.name)
		}
		err = r.checkColumns()
	}
	if err == nil && copyTo != nil {
		_, err = io.Copy(copyTo, io.NewSectionReader(f, 0, 1<<62))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}
