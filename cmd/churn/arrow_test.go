package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/rogpeppe/go-internal/testscript"

	"churn/event"
	tables "churn/features/table"
	"churn/training"
)

// streamSchema is that of the streams of events in tests.
var streamSchema = arrow.NewSchema([]arrow.Field{
	{Name: "customer_id", Type: arrow.BinaryTypes.String}, {Name: "type", Type: arrow.BinaryTypes.String},
	{Name: "event_id", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "occurred_at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
	{Name: "recorded_at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
	{Name: "kind", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "channel", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "value", Type: &arrow.Decimal128Type{Precision: 18, Scale: 6}, Nullable: true},
	{Name: "arm", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "outcome", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "signed_up_at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
	{Name: "churned_at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
	{Name: "churn_reason", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "attributes", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String), Nullable: true},
}, nil)

// streamRows are the rows of a stream of one customer.
type streamRows struct {
	id   string
	rows []map[string]any
}

// streamOf reads the tables of a directory as rows of streams, in order.
func streamOf(dir string) ([]streamRows, error) {
	inputs, err := event.FindInputs(dir)
	if err != nil {
		return nil, err
	}
	records := map[string][]map[string]any{}
	events := map[string][]event.Event{}
	for _, in := range inputs {
		r, err := in.Reader(context.Background())
		if err != nil {
			return nil, err
		}
		for {
			rec, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			for _, e := range rec.Events {
				events[e.Customer] = append(events[e.Customer], e)
			}
			if c := rec.Customer; c != nil {
				row := map[string]any{"customer_id": c.ID, "type": "customer"}
				if c.SignedUpAt != event.Never {
					row["signed_up_at"] = c.SignedUpAt
				}
				if c.ChurnedAt != event.Never {
					row["churned_at"] = c.ChurnedAt
				}
				if c.ChurnReason != "" {
					row["churn_reason"] = c.ChurnReason
				}
				pairs := []any{}
				for k, v := range c.Attributes {
					pairs = append(pairs, map[string]any{"key": k, "value": v})
				}
				row["attributes"] = pairs
				records[c.ID] = append(records[c.ID], row)
			}
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	var out []streamRows
	for id, rows := range records {
		list := events[id]
		slices.SortStableFunc(list, func(a, b event.Event) int { return cmp.Compare(a.At, b.At) })
		for i := range list {
			e := &list[i]
			row := map[string]any{"customer_id": id, "type": e.Type.String(), "event_id": e.ID, "occurred_at": e.At, "recorded_at": e.Recorded}
			for name, text := range map[string]string{"kind": e.Kind, "channel": e.Channel, "arm": e.Arm, "outcome": e.Outcome} {
				if text != "" && (name != "channel" || e.Type == event.ComplaintOpened || e.Type == event.Contact) {
					row[name] = text
				}
			}
			if e.HasValue {
				row["value"] = e.Value.String()
			}
			rows = append(rows, row)
		}
		out = append(out, streamRows{id, rows})
	}
	slices.SortFunc(out, func(a, b streamRows) int { return strings.Compare(a.id, b.id) })
	return out, nil
}

// arrowStream writes rows in batches of a size.
func arrowStream(customers []streamRows, size int) ([]byte, error) {
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(streamSchema))
	var rows []map[string]any
	for _, c := range customers {
		rows = append(rows, c.rows...)
	}
	for batch := range slices.Chunk(rows, size) {
		text, err := json.Marshal(batch)
		if err != nil {
			return nil, err
		}
		b, _, err := array.RecordFromJSON(memory.DefaultAllocator, streamSchema, bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		if err := w.Write(b); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func arrowEvents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: arrowevents DIR FILE")
	}
	customers, err := streamOf(ts.MkAbs(args[0]))
	ts.Check(err)
	stream, err := arrowStream(customers, 500)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), stream, 0o666))
}

func sameChecksum(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: samechecksum FILE MATRIX")
	}
	var line streamed
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &line))
	in, err := tables.Open(ts.MkAbs(args[1]), nil)
	ts.Check(err)
	m, err := training.MatrixInfoOf(in)
	ts.Check(errors.Join(err, in.Close()))
	if line.Checksum != m.Checksum || line.Rows != m.Rows || m.Rows == 0 {
		ts.Fatalf("%d rows with checksum %s, the matrix has %d with %s", line.Rows, line.Checksum, m.Rows, m.Checksum)
	}
}

// matrixOfStream reads what build --arrow wrote into rows as of a matrix.
func matrixOfStream(stream []byte, rows *tables.MatrixRows) (*arrow.Schema, error) {
	r, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	var m training.MatrixInfo
	meta := r.Schema().Metadata()
	if said, ok := meta.GetValue(tables.MatrixKey); !ok || json.Unmarshal([]byte(said), &m) != nil {
		return nil, errors.New("the stream does not say what it is")
	}
	for r.Next() {
		b := r.RecordBatch()
		column := func(name string) arrow.Array { return b.Column(b.Schema().FieldIndices(name)[0]) }
		text := func(a arrow.Array, i int) string {
			if a.IsNull(i) {
				return ""
			}
			return a.(*array.String).Value(i)
		}
		for i := range int(b.NumRows()) {
			rows.Customers = append(rows.Customers, text(column(tables.CustomerColumn), i))
			rows.AsOf = append(rows.AsOf, event.Time(column(tables.AsOfColumn).(*array.Timestamp).Value(i)))
			rows.HeldOut = append(rows.HeldOut, column(tables.HeldOutColumn).(*array.Boolean).Value(i))
			churned := uint8(tables.Unknown)
			if c := column(tables.ChurnedColumn).(*array.Boolean); !c.IsNull(i) {
				churned = tables.No
				if c.Value(i) {
					churned = tables.Yes
				}
			}
			rows.Churned = append(rows.Churned, churned)
			rows.Reasons = append(rows.Reasons, text(column(tables.ReasonColumn), i))
			rows.Kinds = append(rows.Kinds, text(column(tables.KindColumn), i))
			left := event.Never
			if c := column(tables.LeftColumn).(*array.Timestamp); !c.IsNull(i) {
				left = event.Time(c.Value(i))
			}
			rows.LeftAt = append(rows.LeftAt, left)
			for _, c := range m.Columns {
				v := float32(math.NaN())
				switch a := column(c.Name).(type) {
				case *array.Float32:
					if !a.IsNull(i) {
						v = a.Value(i)
					}
				case *array.String:
					if !a.IsNull(i) {
						v = float32(slices.Index(c.Levels, a.Value(i)))
					}
				}
				rows.Values = append(rows.Values, v)
			}
		}
	}
	return r.Schema(), r.Err()
}

// writeShard copies the rows of some customers from the CSV files of a directory
// to Parquet, a directory for each table.
func writeShard(t *testing.T, from, to string, in func(customer string) bool) {
	t.Helper()
	for _, s := range event.Streams()[:event.Attributes] {
		f, err := os.Open(filepath.Join(from, s.String()+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		id := slices.Index(rows[0], "customer_id")
		fields := make([]tables.Field, len(rows[0]))
		columns := make([]tables.Values, len(fields))
		n := 0
		for i, row := range rows {
			if i > 0 && !in(row[id]) {
				continue
			}
			for k, cell := range row {
				if i == 0 {
					fields[k].Name = cell
				} else {
					columns[k].Texts = append(columns[k].Texts, cell)
				}
			}
			n += min(i, 1)
		}
		var out bytes.Buffer
		w, err := tables.NewWriter(&out, fields)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, s.String(), "part-0.parquet")
		if err := errors.Join(w.Write(n, columns), w.Close(), os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, out.Bytes(), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}
