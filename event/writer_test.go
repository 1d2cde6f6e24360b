package event

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func writtenAt(t *testing.T, s string) Time {
	t.Helper()
	v, err := ParseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWriterRows compares whole files, written out by hand from the column
// contract.
func TestWriterRows(t *testing.T) {
	jan, feb := writtenAt(t, "2026-01-31T14:05:00Z"), writtenAt(t, "2026-02-01T00:00:00.25Z")
	for _, tt := range []struct {
		stream     Stream
		attributes []string
		write      func(w *Writer)
		want       string
	}{
		{Customers, []string{"plan", "note"}, func(w *Writer) {
			w.WriteCustomer(&Customer{ID: "a", SignedUpAt: jan, ChurnedAt: feb, ChurnReason: "voluntary",
				Consent: []string{"marketing:email", "sms"}, Attributes: map[string]string{"note": `says "no, thanks"`, "plan": "basic"}})
			w.WriteCustomer(&Customer{ID: "b", SignedUpAt: Never, ChurnedAt: Never, Consent: []string{}})
			w.WriteCustomer(&Customer{ID: "c", SignedUpAt: jan, ChurnedAt: Never, Attributes: map[string]string{"note": " x"}})
		}, "customer_id,signed_up_at,churned_at,churn_reason,consent,plan,note\n" +
			"a,2026-01-31T14:05:00Z,2026-02-01T00:00:00.25Z,voluntary,marketing:email;sms,basic,\"says \"\"no, thanks\"\"\"\n" +
			"b,,,,none,,\n" +
			"c,2026-01-31T14:05:00Z,,,,,\" x\"\n"},
		{Engagements, nil, func(w *Writer) {
			w.WriteEngagement("e1", "a", &EngagementEvent{At: jan, Recorded: jan, Kind: "session", Value: -1_500_000, HasValue: true})
			w.WriteEngagement("", "a", &EngagementEvent{At: jan, Recorded: feb, Kind: "order", Value: 0, HasValue: true})
			w.WriteEngagement("e3", "a", &EngagementEvent{At: jan, Recorded: jan, Kind: "view", Value: 7})
		}, "event_id,customer_id,occurred_at,kind,value,recorded_at\n" +
			"e1,a,2026-01-31T14:05:00Z,session,-1.5,\n" +
			",a,2026-01-31T14:05:00Z,order,0,2026-02-01T00:00:00.25Z\n" +
			"e3,a,2026-01-31T14:05:00Z,view,,\n"},
		{Complaints, nil, func(w *Writer) {
			w.WriteComplaint("a", &ComplaintCase{ID: "k1", At: jan, Recorded: jan, Category: "billing", Channel: "phone",
				Severity: 3 * Unit, HasSeverity: true, ResolvedAt: feb, ResolvedKnown: feb, Satisfaction: 4 * Unit, HasSatisfaction: true})
			w.WriteComplaint("a", &ComplaintCase{ID: "k2", At: jan, Recorded: feb, Category: "billing",
				ResolvedAt: jan, ResolvedKnown: feb})
			w.WriteComplaint("a", &ComplaintCase{ID: "k3", At: jan, Recorded: jan, ResolvedAt: Never, ResolvedKnown: Never})
		}, "event_id,customer_id,opened_at,category,severity,channel,resolved_at,satisfaction,recorded_at,resolved_recorded_at\n" +
			"k1,a,2026-01-31T14:05:00Z,billing,3,phone,2026-02-01T00:00:00.25Z,4,,\n" +
			"k2,a,2026-01-31T14:05:00Z,billing,,,2026-01-31T14:05:00Z,,2026-02-01T00:00:00.25Z,2026-02-01T00:00:00.25Z\n" +
			"k3,a,2026-01-31T14:05:00Z,,,,,,,\n"},
		{Payments, nil, func(w *Writer) {
			p := PaymentCase{ID: "p1", At: jan, Recorded: jan, Amount: 9_990_000, Currency: "EUR", PaidAt: feb, PaidKnown: feb,
				FailedAt: Never, FailedKnown: Never, RefundedAt: Never, RefundedKnown: Never}
			w.WritePayment("a", &p)
			p.ID, p.FailedAt, p.FailedKnown, p.RefundedAt, p.RefundedKnown = "p2", jan, jan, feb, feb
			w.WritePayment("a", &p)
			p = PaymentCase{ID: "p3", At: jan, Recorded: jan, Amount: 5, PaidAt: Never, PaidKnown: Never,
				FailedAt: Never, FailedKnown: Never, RefundedAt: Never, RefundedKnown: Never}
			w.WritePayment("a", &p)
		}, "event_id,customer_id,due_at,amount,currency,status,paid_at,status_at,recorded_at,paid_recorded_at\n" +
			"p1,a,2026-01-31T14:05:00Z,9.99,EUR,paid,2026-02-01T00:00:00.25Z,,,\n" +
			"p2,a,2026-01-31T14:05:00Z,9.99,EUR,failed,2026-02-01T00:00:00.25Z,2026-01-31T14:05:00Z,,\n" +
			"p2,a,2026-01-31T14:05:00Z,9.99,EUR,refunded,2026-02-01T00:00:00.25Z,2026-02-01T00:00:00.25Z,,\n" +
			"p3,a,2026-01-31T14:05:00Z,0.000005,,open,,,,\n"},
		{Contacts, nil, func(w *Writer) {
			w.WriteContact("n1", "a", &ContactEvent{At: jan, Recorded: jan, Action: "survey", Channel: "email",
				Cost: 300_000, Arm: "treat", Outcome: "answered"})
		}, "event_id,customer_id,occurred_at,action,channel,cost,arm,outcome,recorded_at\n" +
			"n1,a,2026-01-31T14:05:00Z,survey,email,0.3,treat,answered,\n"},
		{Attributes, []string{"plan"}, func(w *Writer) {
			w.WriteAttribute("1", "a", &AttributeChange{At: jan, Recorded: jan, Name: "plan", Value: "pro, big"})
			w.WriteAttribute("2", "a", &AttributeChange{At: feb, Recorded: jan, Name: "plan"}) // known ahead
		}, "event_id,customer_id,valid_from,recorded_at,plan\n" +
			"1,a,2026-01-31T14:05:00Z,,\"pro, big\"\n" +
			"2,a,2026-02-01T00:00:00.25Z,2026-01-31T14:05:00Z,\n"},
	} {
		t.Run(tt.stream.String(), func(t *testing.T) {
			var b bytes.Buffer
			w, err := NewWriter(&b, tt.stream, tt.attributes)
			if err != nil {
				t.Fatal(err)
			}
			tt.write(w)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if _, err := csv.NewReader(&b).ReadAll(); err != nil {
				t.Errorf("encoding/csv: %v", err)
			}
			// The written columns are columns that are read.
			for _, name := range written[tt.stream] {
				if !slices.Contains(Columns(tt.stream), name) {
					t.Errorf("column %s is not among those a Reader knows", name)
				}
			}
		})
	}
}

// TestWriterRoundTrip reads back what was written, quotes and lags included.
func TestWriterRoundTrip(t *testing.T) {
	jan, feb, mar := writtenAt(t, "2026-01-31T14:05:00.000001Z"), writtenAt(t, "2026-02-01"), writtenAt(t, "2026-03-01")
	want := Timeline{
		Customer: Customer{ID: `a,"b"`, SignedUpAt: jan, ChurnedAt: mar, Consent: []string{"email"},
			Attributes: map[string]string{"plan": "größer, besser"}},
		Engagements: []EngagementEvent{{jan, feb, "session", 1_234_567, true, 0}, {mar, mar, "view", 0, false, 0}},
		Complaints: []ComplaintCase{{"k", jan, mar, "billing", "phone", 2 * Unit, true, feb, mar, Unit, true, 0},
			{"l", feb, feb, "", "", 0, false, Never, Never, 0, false, 0}},
		Payments: []PaymentCase{{"p", jan, jan, 9_990_000, "EUR", mar, mar, feb, feb, mar, mar, 0},
			{"q", feb, feb, Unit, "EUR", jan, feb, Never, Never, Never, Never, 0}},
		Contacts: []ContactEvent{{feb, mar, "survey", "email", 300_000, "control", "", 0}},
		Changes:  []AttributeChange{{jan, feb, "plan", "a", 0}, {feb, feb, "plan", "", 0}, {mar, feb, "plan", `"b"`, 0}},
	}
	write := map[Stream]func(w *Writer){
		Customers: func(w *Writer) { w.WriteCustomer(&want.Customer) },
		Engagements: func(w *Writer) {
			for i, id := range []string{"e1", "e2"} {
				w.WriteEngagement(id, want.Customer.ID, &want.Engagements[i])
			}
		},
		Complaints: func(w *Writer) {
			for i := range want.Complaints {
				w.WriteComplaint(want.Customer.ID, &want.Complaints[i])
			}
		},
		Payments: func(w *Writer) {
			for i := range want.Payments {
				w.WritePayment(want.Customer.ID, &want.Payments[i])
			}
		},
		Contacts: func(w *Writer) { w.WriteContact("n", want.Customer.ID, &want.Contacts[0]) },
		Attributes: func(w *Writer) {
			for i, id := range []string{"1", "2", "3"} {
				w.WriteAttribute(id, want.Customer.ID, &want.Changes[i])
			}
		},
	}
	var customer Customer
	var events []Event
	seen := map[string]bool{}
	for _, s := range Streams() {
		var attributes []string
		if s == Customers || s == Attributes {
			attributes = []string{"plan"}
		}
		var b bytes.Buffer
		w, err := NewWriter(&b, s, attributes)
		if err != nil {
			t.Fatal(err)
		}
		write[s](w)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(&b, s.String()+".csv", s, Mapping{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			rec, err := r.Read()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if rec.Customer != nil {
				customer = *rec.Customer
			}
			for _, e := range rec.Events { // the second row of a payment repeats its phases
				if key := e.ID + e.Type.String(); !seen[key] {
					seen[key] = true
					events = append(events, e)
				}
			}
		}
	}
	if got := NewTimeline(customer, events); !reflect.DeepEqual(*got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *got, want)
	}
}

func TestWriterErrors(t *testing.T) {
	day := writtenAt(t, "2026-01-31")
	ok := EngagementEvent{At: day, Recorded: day, Kind: "view"}
	for _, tt := range []struct {
		name   string
		stream Stream
		write  func(w *Writer) error
		want   string
	}{
		{"wrong table", Customers, func(w *Writer) error { return w.WriteEngagement("e", "a", &ok) }, "row of table engagement"},
		{"no customer", Engagements, func(w *Writer) error { return w.WriteEngagement("e", "", &ok) }, "row 1: customer_id: empty"},
		{"second row", Engagements, func(w *Writer) error {
			w.WriteEngagement("e", "a", &ok)
			return w.WriteEngagement("e", "a", &EngagementEvent{At: Never, Recorded: Never, Kind: "view"})
		}, "row 2: occurred_at"},
		{"known too early", Engagements, func(w *Writer) error {
			return w.WriteEngagement("e", "a", &EngagementEvent{At: day, Recorded: day - 1, Kind: "view"})
		}, "recorded_at"},
		{"lost attribute", Customers, func(w *Writer) error {
			return w.WriteCustomer(&Customer{ID: "a", SignedUpAt: Never, ChurnedAt: Never, Attributes: map[string]string{"z": "1", "b": "2"}})
		}, "row 1: b: no such column"},
		{"consent", Customers, func(w *Writer) error {
			return w.WriteCustomer(&Customer{ID: "a", SignedUpAt: Never, ChurnedAt: Never, Consent: []string{"a;b"}})
		}, "consent"},
		{"late failure", Payments, func(w *Writer) error {
			return w.WritePayment("a", &PaymentCase{ID: "p", At: day, Recorded: day, PaidAt: Never, PaidKnown: Never,
				FailedAt: day, FailedKnown: day + 1, RefundedAt: Never, RefundedKnown: Never})
		}, "status_at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			w, err := NewWriter(&b, tt.stream, nil)
			if err != nil {
				t.Fatal(err)
			}
			first := tt.write(w)
			if first == nil || !strings.Contains(first.Error(), tt.want) {
				t.Fatalf("got error %v, want one with %q", first, tt.want)
			}
			if err := w.Flush(); err != first {
				t.Errorf("Flush gives %v, not the first error", err)
			}
		})
	}
	for _, attributes := range [][]string{{"customer_id"}, {"plan", "plan"}, {""}} {
		if _, err := NewWriter(io.Discard, Customers, attributes); err == nil {
			t.Errorf("attributes %q: no error", attributes)
		}
	}
	if _, err := NewWriter(io.Discard, Payments, []string{"plan"}); err == nil {
		t.Error("attributes of payments: no error")
	}
	if _, err := NewWriter(io.Discard, Stream(9), nil); err == nil {
		t.Error("unknown stream: no error")
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestWriterKeepsError looks at Flush alone, after far more than a buffer.
func TestWriterKeepsError(t *testing.T) {
	w, err := NewWriter(full{}, Engagements, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		w.WriteEngagement("e", "a", &EngagementEvent{At: 0, Recorded: 0, Kind: "view"})
	}
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("Flush gives %v", err)
	}
}

func TestAppendAmount(t *testing.T) {
	for _, a := range []Amount{0, 1, -1, 10, 999_999, Unit, -Unit, 1_500_000, 123_456_789, MaxAmount, -MaxAmount} {
		if got := string(appendAmount(nil, a)); got != a.String() {
			t.Errorf("%d: got %s, want %s", int64(a), got, a)
		}
	}
}

func BenchmarkWriteEngagement(b *testing.B) {
	w, err := NewWriter(io.Discard, Engagements, nil)
	if err != nil {
		b.Fatal(err)
	}
	e := EngagementEvent{At: 1_769_868_300_123_456, Recorded: 1_769_868_300_123_456, Kind: "session", Value: 12_500_000, HasValue: true}
	b.ReportAllocs()
	for b.Loop() {
		w.WriteEngagement("C0000001-e12", "C0000001", &e)
	}
}
