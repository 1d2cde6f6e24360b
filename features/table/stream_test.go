package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"churn/event"
)

// streamTypes are the types that the columns of a test stream have.
var streamTypes = map[string]arrow.DataType{
	"customer_id": arrow.BinaryTypes.String, "type": arrow.BinaryTypes.String, "event_id": arrow.BinaryTypes.String,
	"occurred_at": arrow.FixedWidthTypes.Timestamp_us, "recorded_at": arrow.FixedWidthTypes.Timestamp_us,
	"kind": arrow.BinaryTypes.String, "channel": arrow.BinaryTypes.String,
	"value": &arrow.Decimal128Type{Precision: 18, Scale: 6}, "arm": arrow.BinaryTypes.String, "outcome": arrow.BinaryTypes.String,
	"signed_up_at": arrow.FixedWidthTypes.Timestamp_us, "churned_at": arrow.FixedWidthTypes.Timestamp_us,
	"churn_reason": arrow.BinaryTypes.String, "attributes": arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String),
}

// eventStream writes batches, each a JSON array of rows, as a stream; types
// replace those of streamTypes.
func eventStream(t testing.TB, types map[string]arrow.DataType, options []ipc.Option, batches ...string) []byte {
	t.Helper()
	var fields []arrow.Field
	for i := range streamColumns {
		name := streamColumns[i].name
		of := streamTypes[name]
		if other, changed := types[name]; changed {
			of = other
		}
		if of != nil {
			fields = append(fields, arrow.Field{Name: name, Type: of, Nullable: true})
		}
	}
	for name, of := range types {
		if streamTypes[name] == nil {
			fields = append(fields, arrow.Field{Name: name, Type: of, Nullable: true})
		}
	}
	schema := arrow.NewSchema(fields, nil)
	var out bytes.Buffer
	w := ipc.NewWriter(&out, append(options, ipc.WithSchema(schema))...)
	for _, rows := range batches {
		b, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readStream gives the histories of a stream.
func readStream(stream []byte, maxEvents int) ([]*event.Timeline, StreamCounts, error) {
	s := NewEventStream("in", bytes.NewReader(stream), maxEvents)
	var list []*event.Timeline
	err := s.Timelines(context.Background(), func(tl *event.Timeline) error {
		list = append(list, tl)
		return nil
	})
	return list, s.Counts(), err
}

// Two customers: every type of event, a record, one without.
const (
	rowsOfA = `{"customer_id": "a", "type": "customer", "signed_up_at": "2025-01-01T00:00:00Z", "churned_at": "2025-06-01T00:00:00Z", "churn_reason": "price", "attributes": [{"key": "plan", "value": "basic"}, {"key": "seats", "value": null}]},
{"customer_id": "a", "type": "engagement", "event_id": null, "occurred_at": "2025-01-02T00:00:00.000001Z", "kind": "session", "value": "1.5"},
{"customer_id": "a", "type": "engagement", "event_id": null, "occurred_at": "2025-01-02T00:00:00.000001Z", "kind": "session", "value": "1.5"},
{"customer_id": "a", "type": "complaint_opened", "event_id": "k", "occurred_at": "2025-01-03T00:00:00Z", "recorded_at": "2025-01-04T00:00:00Z", "kind": "billing", "channel": "phone", "value": "4"},
{"customer_id": "a", "type": "payment_due", "event_id": "p", "occurred_at": "2025-01-05T00:00:00Z", "recorded_at": "2025-01-01T00:00:00Z", "kind": "EUR", "value": "9.99"}`
	rowsOfAToo = `{"customer_id": "a", "type": "payment_paid", "event_id": "p", "occurred_at": "2025-01-06T00:00:00Z", "kind": "EUR", "value": "9.99"},
{"customer_id": "a", "type": "complaint_resolved", "event_id": "k", "occurred_at": "2025-01-07T00:00:00Z", "value": "2"},
{"customer_id": "a", "type": "payment_refunded", "event_id": "p", "occurred_at": "2025-01-08T00:00:00Z"}`
	rowsOfB = `{"customer_id": "b", "type": "contact", "event_id": "n", "occurred_at": "2025-01-08T00:00:00Z", "kind": "call", "channel": "phone", "value": "2", "arm": "policy", "outcome": "reached"},
{"customer_id": "b", "type": "payment_failed", "event_id": "q", "occurred_at": "2025-01-09T00:00:00Z"},
{"customer_id": "b", "type": "attribute_set", "occurred_at": "2025-01-10T00:00:00Z", "recorded_at": "2025-01-03T00:00:00Z", "kind": "plan", "outcome": "plus"},
{"customer_id": "b", "type": "attribute_set", "event_id": "z", "occurred_at": "2025-01-11T00:00:00Z", "kind": "plan"}`
)

func timeOf(t testing.TB, text string) event.Time {
	t.Helper()
	at, err := event.ParseTime(text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The histories are those that package event makes of the same events, whatever
// the types of the columns, the batches and the packing.
func TestEventStream(t *testing.T) {
	at := func(day int) event.Time { return timeOf(t, fmt.Sprintf("2025-01-%02d", day)) }
	session := event.Event{Customer: "a", Type: event.Engagement, At: at(2) + 1, Recorded: at(2) + 1, Kind: "session", Value: 3 * event.Unit / 2, HasValue: true}
	first, second := session, session
	first.ID, second.ID = event.ContentID(&session, 0), event.ContentID(&session, 1)
	a := event.NewTimeline(event.Customer{ID: "a", SignedUpAt: at(1), ChurnedAt: timeOf(t, "2025-06-01"), ChurnReason: "price", Attributes: map[string]string{"plan": "basic"}},
		[]event.Event{first, second,
			{ID: "k", Customer: "a", Type: event.ComplaintOpened, At: at(3), Recorded: at(4), Kind: "billing", Channel: "phone", Value: 4 * event.Unit, HasValue: true},
			{ID: "k", Customer: "a", Type: event.ComplaintResolved, At: at(7), Recorded: at(7), Value: 2 * event.Unit, HasValue: true},
			{ID: "p", Customer: "a", Type: event.PaymentDue, At: at(5), Recorded: at(1), Kind: "EUR", Value: 9_990_000, HasValue: true},
			{ID: "p", Customer: "a", Type: event.PaymentPaid, At: at(6), Recorded: at(6), Kind: "EUR", Value: 9_990_000, HasValue: true},
			{ID: "p", Customer: "a", Type: event.PaymentRefunded, At: at(8), Recorded: at(8)}})
	b := event.NewTimeline(event.Customer{ID: "b", SignedUpAt: event.Never, ChurnedAt: event.Never}, []event.Event{
		{ID: "n", Customer: "b", Type: event.Contact, At: at(8), Recorded: at(8), Kind: "call", Channel: "phone", Value: 2 * event.Unit, HasValue: true, Arm: "policy", Outcome: "reached"},
		{ID: "q", Customer: "b", Type: event.PaymentFailed, At: at(9), Recorded: at(9)},
		{ID: "y", Customer: "b", Type: event.AttributeSet, At: at(10), Recorded: at(3), Kind: "plan", Outcome: "plus"},
		{ID: "z", Customer: "b", Type: event.AttributeSet, At: at(11), Recorded: at(11), Kind: "plan"}})
	want := []*event.Timeline{a, b}
	counts := StreamCounts{Rows: 12, Customers: 2, Stored: 12, Orphans: 1}

	all := "[" + rowsOfA + "," + rowsOfAToo + "," + rowsOfB + "]"
	text := arrow.BinaryTypes.String
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: text}
	for _, test := range []struct {
		name    string
		types   map[string]arrow.DataType
		options []ipc.Option
		batches []string
	}{
		{"one batch", nil, nil, []string{all}},
		{"a customer over two batches, and an empty one", nil, nil, []string{"[" + rowsOfA + "]", "[]", "[" + rowsOfAToo + "," + rowsOfB + "]"}},
		{"lz4", nil, []ipc.Option{ipc.WithLZ4()}, []string{all}},
		{"zstd", nil, []ipc.Option{ipc.WithZstd()}, []string{"[" + rowsOfA + "]", "[" + rowsOfAToo + "," + rowsOfB + "]"}},
		{"large texts and views", map[string]arrow.DataType{"customer_id": arrow.BinaryTypes.LargeString, "type": arrow.BinaryTypes.StringView, "kind": arrow.BinaryTypes.StringView,
			"attributes": arrow.MapOf(arrow.BinaryTypes.LargeString, arrow.BinaryTypes.LargeString)}, nil, []string{all}},
		{"dictionaries", map[string]arrow.DataType{"customer_id": dictionary, "type": dictionary, "event_id": dictionary, "kind": &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint32, ValueType: text}},
			[]ipc.Option{ipc.WithZstd()}, []string{"[" + rowsOfA + "]", "[" + rowsOfAToo + "," + rowsOfB + "]"}},
		{"dictionaries that go on", map[string]arrow.DataType{"type": dictionary},
			[]ipc.Option{ipc.WithDictionaryDeltas(true)}, []string{"[" + rowsOfA + "]", "[" + rowsOfAToo + "," + rowsOfB + "]"}},
		{"nanoseconds without a zone", map[string]arrow.DataType{"occurred_at": &arrow.TimestampType{Unit: arrow.Nanosecond}, "recorded_at": &arrow.TimestampType{Unit: arrow.Second},
			"signed_up_at": &arrow.TimestampType{Unit: arrow.Second}, "churned_at": &arrow.TimestampType{Unit: arrow.Millisecond}}, nil, []string{strings.ReplaceAll(all, "Z\"", "\"")}},
		{"another zone", map[string]arrow.DataType{"recorded_at": &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "Asia/Tokyo"}}, nil, []string{all}},
		{"floats", map[string]arrow.DataType{"value": arrow.PrimitiveTypes.Float64}, nil, []string{all}},
		{"few decimals", map[string]arrow.DataType{"value": &arrow.Decimal128Type{Precision: 38, Scale: 2}}, nil, []string{all}},
	} {
		got, n, err := readStream(eventStream(t, test.types, test.options, test.batches...), 100)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", test.name, got, want)
		}
		if n != counts {
			t.Errorf("%s: counted %+v, want %+v", test.name, n, counts)
		}
	}
}

// Whole numbers are microseconds and units; before 1970 time is cut downwards.
func TestEventStreamNumbers(t *testing.T) {
	types := map[string]arrow.DataType{"occurred_at": arrow.PrimitiveTypes.Int64, "recorded_at": &arrow.TimestampType{Unit: arrow.Nanosecond}, "value": arrow.PrimitiveTypes.Int64}
	got, _, err := readStream(eventStream(t, types, nil, `[{"customer_id": "a", "type": "engagement", "occurred_at": -2, "recorded_at": "1969-12-31T23:59:59.999998001", "kind": "x", "value": -7}]`), 9)
	if err != nil {
		t.Fatal(err)
	}
	if e := got[0].Engagements[0]; e.At != -2 || e.Recorded != -2 || e.Value != -7*event.Unit {
		t.Errorf("got %+v", e)
	}
}

// A stream of nobody is one.
func TestEventStreamEmpty(t *testing.T) {
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	for _, batches := range [][]string{nil, {"[]"}} {
		list, n, err := readStream(eventStream(t, map[string]arrow.DataType{"type": dictionary}, nil, batches...), 1)
		if len(list) != 0 || n != (StreamCounts{}) || err != nil {
			t.Errorf("%d batches: %d histories, %+v, error %v", len(batches), len(list), n, err)
		}
	}
}

// What an import does with events that are there already.
func TestEventStreamIdentity(t *testing.T) {
	got, n, err := readStream(eventStream(t, nil, nil, `[
{"customer_id": "a", "type": "customer", "signed_up_at": "2025-01-01T00:00:00Z"},
{"customer_id": "a", "type": "customer", "attributes": [{"key": "plan", "value": "basic"}]},
{"customer_id": "a", "type": "customer", "churned_at": "2024-01-01T00:00:00Z"},
{"customer_id": "a", "type": "engagement", "event_id": "1", "occurred_at": "2025-01-02T00:00:00Z", "kind": "x"},
{"customer_id": "a", "type": "engagement", "event_id": "1", "occurred_at": "2025-01-02T00:00:00Z", "recorded_at": "2025-02-02T00:00:00Z", "kind": "x"},
{"customer_id": "a", "type": "engagement", "event_id": "1", "occurred_at": "2025-01-02T00:00:00Z", "kind": "y"},
{"customer_id": "a", "type": "contact", "event_id": "1", "occurred_at": "2025-01-02T00:00:00Z", "kind": "y"},
{"customer_id": "b", "type": "engagement", "event_id": "1", "occurred_at": "2025-01-01T00:00:00Z", "kind": "x"}]`), 2)
	if err != nil {
		t.Fatal(err)
	}
	if n != (StreamCounts{Rows: 8, Customers: 2, Stored: 5, Duplicate: 1, Conflict: 2}) {
		t.Errorf("counted %+v", n)
	}
	if a := got[0]; a.Customer.Attributes["plan"] != "basic" || a.Customer.SignedUpAt == event.Never || a.Customer.ChurnedAt != event.Never ||
		len(a.Engagements) != 1 || a.Engagements[0].Kind != "x" || len(a.Contacts) != 1 {
		t.Errorf("got %+v", a)
	}
}

// Rows that are not as they should be end the reading, by batch, row and column.
func TestEventStreamRefuses(t *testing.T) {
	const head = `{"customer_id": "b", "type": "engagement", "event_id": "1", "occurred_at": "2025-01-02T00:00:00Z", "kind": "x"}`
	row := func(changes ...string) string {
		cells := map[string]string{"customer_id": `"b"`, "type": `"engagement"`, "event_id": `"2"`, "occurred_at": `"2025-01-02T00:00:00Z"`, "kind": `"x"`}
		for i := 0; i < len(changes); i += 2 {
			cells[changes[i]] = changes[i+1]
		}
		var parts []string
		for k, v := range cells {
			parts = append(parts, fmt.Sprintf("%q: %s", k, v))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	for _, test := range []struct{ row, want string }{
		{row("customer_id", `"a"`), `column "customer_id": not in order, or a customer who was there before`},
		{row("customer_id", "null"), `column "customer_id": empty`},
		{row("customer_id", `" x"`), `column "customer_id": begins or ends with a space`},
		{row("type", "null"), `column "type": missing`},
		{row("type", `"login"`), `column "type": unknown: use customer, engagement, complaint_opened,`},
		{row("occurred_at", "null"), `column "occurred_at": null`},
		{row("occurred_at", `"2025-01-01T00:00:00Z"`), `column "occurred_at": earlier than in a row before`},
		{row("occurred_at", `"1815-01-01T00:00:00Z"`), `column "occurred_at": time outside the years`},
		{row("recorded_at", `"2025-01-01T00:00:00Z"`), `column "recorded_at": earlier than occurred_at`},
		{row("type", `"payment_failed"`, "recorded_at", `"2025-01-01T00:00:00Z"`), `column "recorded_at": earlier than occurred_at`},
		{row("kind", "null"), `column "kind": empty`},
		{row("event_id", "null", "type", `"payment_due"`), `column "event_id": null`},
		{row("event_id", `"\u0007"`), `column "event_id": contains the invisible character`},
		{row("type", `"payment_due"`), `column "value": missing`},
		{row("type", `"payment_due"`, "value", `"-1"`), `column "value": negative`},
		{row("value", `"1000000001"`), `column "value": number larger than`},
		{row("type", `"attribute_set"`, "value", `"1"`), `column "value": not null in a row of type attribute_set`},
		{row("arm", `"policy"`), `column "arm": not null in a row of type engagement`},
		{row("signed_up_at", `"2025-01-02T00:00:00Z"`), `column "signed_up_at": not null in a row of type engagement`},
		{row("type", `"customer"`), `column "event_id": not null in a row of type customer`},
		{`{"customer_id": "b", "type": "customer", "signed_up_at": "2025-01-02T00:00:00Z", "churned_at": "2025-01-01T00:00:00Z"}`, `column "churned_at": earlier than signed_up_at`},
		{`{"customer_id": "b", "type": "customer", "churned_at": "1815-01-01T00:00:00Z"}`, `column "churned_at": time outside`},
		{`{"customer_id": "b", "type": "customer", "attributes": [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]}`, `column "attributes": a name is there twice`},
		{`{"customer_id": "b", "type": "customer", "attributes": [{"key": "k\u0007", "value": "1"}]}`, `column "attributes": k`},
	} {
		_, n, err := readStream(eventStream(t, nil, nil, "["+head+"]", "["+head+","+test.row+"]"), 100)
		if err == nil || !strings.Contains(err.Error(), "in: batch 2, row 2: "+test.want) {
			t.Errorf("%s: error %v, want %s", test.row, err, test.want)
		}
		if n.Rows != 2 {
			t.Errorf("%s: %d rows", test.row, n.Rows)
		}
	}
	if _, _, err := readStream(eventStream(t, nil, nil, "["+head+","+row("event_id", `"1"`)+","+row()+"]"), 1); err == nil ||
		!strings.Contains(err.Error(), "row 3: column \"customer_id\": more than 1 events of one customer") {
		t.Errorf("a customer too large: error %v", err)
	}
}

// Columns are known by name and type, or refused.
func TestEventStreamSchema(t *testing.T) {
	for _, test := range []struct {
		name string
		of   arrow.DataType
		want string
	}{
		{"note", arrow.BinaryTypes.String, `in: column "note" is not known: leave it out; there are customer_id, type,`},
		{"type", nil, `in: no column "type"`},
		{"customer_id", arrow.PrimitiveTypes.Int64, `column "customer_id" is of type int64: make it utf8`},
		{"occurred_at", arrow.BinaryTypes.String, `column "occurred_at" is of type utf8: make it a timestamp`},
		{"value", &arrow.Decimal128Type{Precision: 38, Scale: 18}, `make it decimal128 with at most 6 decimals`},
		{"attributes", arrow.StructOf(arrow.Field{Name: "plan", Type: arrow.BinaryTypes.String}), `make it a map`},
	} {
		_, _, err := readStream(eventStream(t, map[string]arrow.DataType{test.name: test.of}, nil), 1)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: error %v, want %s", test.name, test.of, err, test.want)
		}
	}
}

// A stream that was cut off anywhere, or goes on after its end, is an error;
// one byte at a time is as good as all at once.
func TestEventStreamCut(t *testing.T) {
	whole := eventStream(t, nil, nil, "["+rowsOfA+"]", "["+rowsOfAToo+","+rowsOfB+"]")
	for n := range whole {
		if _, _, err := readStream(whole[:n], 100); err == nil || strings.Contains(err.Error(), "damaged") {
			t.Fatalf("%d of %d bytes: error %v", n, len(whole), err)
		}
	}
	for _, test := range []struct {
		stream []byte
		want   string
	}{
		{nil, "in: there is nothing: not even a schema"},
		{[]byte("customer_id,type\n"), "in: not an Arrow IPC stream"},
		{[]byte("ARROW1\x00\x00…"), "in: an Arrow file and not a stream"},
		{slices.Concat(whole, whole), "more follows after its end"},
		{whole[:len(whole)-8], "it ends without the mark of its end"},
	} {
		if _, _, err := readStream(test.stream, 100); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
	s := NewEventStream("in", &slowly{whole}, 100)
	if err := s.Timelines(context.Background(), func(*event.Timeline) error { return nil }); err != nil || s.Counts().Rows != 12 {
		t.Errorf("a byte at a time: %+v, error %v", s.Counts(), err)
	}
	stop := errors.New("stop")
	s = NewEventStream("in", bytes.NewReader(whole), 100)
	if err := s.Timelines(context.Background(), func(*event.Timeline) error { return stop }); err != stop {
		t.Errorf("the error of the caller became %v", err)
	}
}

// slowly reads a byte at a time.
type slowly struct{ data []byte }

func (s *slowly) Read(b []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	b[0], s.data = s.data[0], s.data[1:]
	return 1, nil
}

// What is held does not grow with the rows, nor is a long stream of dictionaries
// taken for a large one.
func TestEventStreamMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 200,000 rows")
	}
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{{Name: "customer_id", Type: dictionary}, {Name: "type", Type: dictionary}, {Name: "occurred_at", Type: arrow.PrimitiveTypes.Int64},
		{Name: "kind", Type: arrow.BinaryTypes.String}}, nil)
	r, w := io.Pipe()
	const batches, size = 100, 2000
	go func() {
		out := ipc.NewWriter(w, ipc.WithSchema(schema), ipc.WithZstd())
		err := error(nil)
		for k := 0; k < batches && err == nil; k++ {
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			for i := range size {
				b.Field(0).(*array.BinaryDictionaryBuilder).AppendString(fmt.Sprintf("%s%09d", strings.Repeat("x", 200), k*size+i))
				b.Field(1).(*array.BinaryDictionaryBuilder).AppendString("engagement")
				b.Field(2).(*array.Int64Builder).Append(int64(k))
				b.Field(3).(*array.StringBuilder).Append(fmt.Sprint("kind ", k*size+i))
			}
			err = out.Write(b.NewRecordBatch())
		}
		w.CloseWithError(errors.Join(err, out.Close()))
	}()
	s := NewEventStream("in", r, 10)
	var peak uint64
	err := s.Timelines(context.Background(), func(*event.Timeline) error {
		if s.counts.Customers%20_000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		return nil
	})
	if err != nil || s.Counts().Customers != batches*size {
		t.Fatalf("%+v, error %v", s.Counts(), err)
	}
	// 25 MB with what writes it, as measured; 42 MB of dictionaries go through.
	if peak > 45<<20 {
		t.Errorf("%d MB in use", peak>>20)
	}
}

// Heads that ask for more than there is are refused before the library sees
// them.
func TestHostileHeads(t *testing.T) {
	whole := eventStream(t, nil, nil, "["+rowsOfA+"]")
	size := binary.LittleEndian.Uint32(whole[4:])
	head := whole[8 : 8+size]
	if _, err := checkMessage(head); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := range len(head) - 3 {
		for _, v := range []uint32{0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFFFFF, 1 << 28} {
			changed := slices.Clone(head)
			binary.LittleEndian.PutUint32(changed[at:], v)
			if _, err := checkMessage(changed); err != nil {
				refused++
				continue
			}
			stream := slices.Concat(whole[:8], changed, whole[8+size:])
			readStream(stream, 100) // must come back
		}
	}
	if refused < 500 {
		t.Errorf("only %d changed heads are refused", refused)
	}
	// A body larger than any batch, and one that is not there.
	var m messages
	m.in, m.memory = strings.NewReader(""), &bounded{}
	if _, err := m.fill(nil, maxBody); err != errCut || cap(m.body) > 1<<20 {
		t.Errorf("error %v, room for %d bytes", err, cap(m.body))
	}
	defer func() {
		if recover() != errUnpacked {
			t.Error("a batch may unpack to any size")
		}
	}()
	(&bounded{Allocator: memory.DefaultAllocator}).Allocate(maxBody + 1)
}

// Whatever comes in, there is a history or an error.
func FuzzEventStream(f *testing.F) {
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	rows := "[" + rowsOfA + "," + rowsOfAToo + "," + rowsOfB + "]"
	f.Add(eventStream(f, nil, nil, rows))
	f.Add(eventStream(f, map[string]arrow.DataType{"type": dictionary, "kind": arrow.BinaryTypes.StringView}, nil, rows))
	f.Add(eventStream(f, map[string]arrow.DataType{"type": dictionary}, []ipc.Option{ipc.WithLZ4()}, "["+rowsOfA+"]", "["+rowsOfAToo+"]"))
	f.Add(eventStream(f, nil, []ipc.Option{ipc.WithZstd()}, "["+rowsOfA+"]"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		list, n, err := readStream(stream, 50)
		if len(list) != n.Customers || err == nil && n.Stored+n.Duplicate+n.Conflict != n.Rows {
			t.Errorf("%d histories, %+v, error %v", len(list), n, err)
		}
	})
}
