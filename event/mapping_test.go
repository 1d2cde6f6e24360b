package event

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// phases writes events one a line: type, customer, kind, value, at, recorded.
// Times are cut to the minute.
func phases(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		value := "-"
		if e.HasValue {
			value = e.Value.String()
		}
		stamp := func(t Time) string { return t.Time().Format("2006-01-02T15:04") }
		fmt.Fprintf(&b, "%s %s %q %s %s %s\n", e.Type, e.Customer, e.Kind, value, stamp(e.At), stamp(e.Recorded))
	}
	return b.String()
}

// TestMappings reads foreign files; what each row means is written by hand.
func TestMappings(t *testing.T) {
	for _, tt := range []struct {
		name    string
		stream  Stream
		m       Mapping
		text    string
		want    string
		bad     string // all refusals, one a line
		skipped int
		untimed int
	}{
		{name: "rename, product, constant, skip", stream: Payments, m: Mapping{
			Columns:   map[string]string{"customer_id": "Customer ID", "paid_at": "InvoiceDate", "amount": "Quantity * UnitPrice"},
			Constants: map[string]string{"currency": "GBP"},
			Skip:      map[string][]string{"Customer ID": {""}, "InvoiceNo": {"C*", "A563185"}},
		}, text: `InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,Customer ID
536365,85123A,6,2010-12-01 08:26:00,2.55,17850.0
C536379,D,-1,2010-12-01 09:41:00,27.5,14527.0
A563185,B,1,2011-08-12 14:50:00,11062.06,12346.0
536544,DOT,1,2010-12-01 14:32:00,569.77,
536366,22633,6,2010-12-01 08:28:00,0,17850.0
536367,22633,-2,2010-12-01 08:28:00,1.85,17850.0
536368,22633,2,2010-12-01 08:28:00,,17850.0
536369,22633,two,2010-12-01 08:28:00,1.85,17850.0
536370,22633,1000000,2010-12-01 08:28:00,1000000,17850.0
`, want: `payment_paid 17850.0 "GBP" 15.3 2010-12-01T08:26 2010-12-01T08:26
payment_paid 17850.0 "GBP" 0 2010-12-01T08:28 2010-12-01T08:28
`, bad: `f.csv:7: amount: negative: give a refund as status refunded
f.csv:8: amount: missing
f.csv:9: amount: column "Quantity": not a finite decimal number
f.csv:10: amount: number larger than 1000000000: wrong unit?
`, skipped: 3},
		{name: "only", stream: Complaints, m: Mapping{
			Columns:   map[string]string{"customer_id": "c", "opened_at": "at"},
			Constants: map[string]string{"category": "return"},
			Only:      map[string][]string{"no": {"C*", "D1"}, "c": {"*"}},
		}, text: "no,c,at\nC1,a,2026-01-01\n2,a,2026-01-01\nD1,a,2026-01-02\nD12,a,2026-01-02\n C3 ,a,2026-01-03\n",
			want: `complaint_opened a "return" - 2026-01-01T00:00 2026-01-01T00:00
complaint_opened a "return" - 2026-01-02T00:00 2026-01-02T00:00
complaint_opened a "return" - 2026-01-03T00:00 2026-01-03T00:00
`, skipped: 2},
		{name: "values, hours to a resolution, zone", stream: Complaints, m: Mapping{
			Columns:  map[string]string{"customer_id": "user", "opened_at": "date", "severity": "priority", "resolved_after_hours": "hours", "satisfaction": "score"},
			Values:   map[string]map[string]string{"severity": {"Low": "1", "High": "4", "": "2"}},
			TimeZone: "Europe/Berlin",
		}, text: `user,date,category,priority,hours,score
a,2026-01-10,Billing,High,35.5,3
a,2026-07-10,Billing,Low,,
a,2026-01-11,Other,,,5
a,2026-01-12,Billing,Urgent,1,
a,2026-01-13,Billing,3,-1,
a,2026-01-14,Billing,3,175201,
a,2026-01-15,Billing,3,0,1
`, want: `complaint_opened a "Billing" 4 2026-01-09T23:00 2026-01-09T23:00
complaint_resolved a "" 3 2026-01-11T10:30 2026-01-11T10:30
complaint_opened a "Billing" 1 2026-07-09T22:00 2026-07-09T22:00
complaint_opened a "Other" 2 2026-01-10T23:00 2026-01-10T23:00
complaint_opened a "Billing" 3 2026-01-14T23:00 2026-01-14T23:00
complaint_resolved a "" 1 2026-01-14T23:00 2026-01-14T23:00
`, bad: `f.csv:5: severity: not a finite decimal number
f.csv:6: resolved_after_hours: negative or longer than 20 years
f.csv:7: resolved_after_hours: negative or longer than 20 years
`, untimed: 1},
		{name: "clocks of a complaint", stream: Complaints, text: `customer_id,opened_at,resolved_at,recorded_at,resolved_recorded_at
a,2026-01-01,2026-01-05,2026-01-02,2026-01-07
a,2026-01-01,2026-01-05,,
a,2026-01-01,2026-01-05,2026-01-09,
a,2026-01-01,2026-01-05,2025-12-31,
a,2026-01-01,2026-01-05,,2026-01-04
a,2026-01-05,2026-01-01,,
`, want: `complaint_opened a "" - 2026-01-01T00:00 2026-01-02T00:00
complaint_resolved a "" - 2026-01-05T00:00 2026-01-07T00:00
complaint_opened a "" - 2026-01-01T00:00 2026-01-01T00:00
complaint_resolved a "" - 2026-01-05T00:00 2026-01-05T00:00
complaint_opened a "" - 2026-01-01T00:00 2026-01-09T00:00
complaint_resolved a "" - 2026-01-05T00:00 2026-01-09T00:00
`, bad: `f.csv:5: recorded_at: earlier than opened_at: nothing can be known before it happened
f.csv:6: resolved_recorded_at: earlier than resolved_at: nothing can be known before it happened
f.csv:7: resolved_at: earlier than opened_at
`},
		{name: "lag stands in for recorded_at", stream: Engagements, m: Mapping{
			Columns: map[string]string{"occurred_at": "month", "value": "hours"}, Constants: map[string]string{"kind": "watched"},
			Lag: 30 * Day, TimeFormat: "02-01-2006",
		}, text: "customer_id,month,hours,recorded_at\na,01-01-2026,2.5,\na,01-01-2026,0,02-01-2026\n",
			want: `engagement a "watched" 2.5 2026-01-01T00:00 2026-01-31T00:00
engagement a "watched" 0 2026-01-01T00:00 2026-01-02T00:00
`},
		{name: "unix seconds", stream: Engagements, m: Mapping{TimeFormat: "unix"}, text: "customer_id,occurred_at,kind\na,1769868300,view\na,1769868300000,view\n",
			want: "engagement a \"view\" - 2026-01-31T14:05 2026-01-31T14:05\n",
			bad:  "f.csv:3: occurred_at: time outside the years 1900 to 2199: wrong unit or placeholder?\n"},
		{name: "phases of a payment", stream: Payments, text: `customer_id,due_at,amount,currency,status,paid_at,status_at,recorded_at,paid_recorded_at
a,2026-01-10,9.99,EUR,,2026-01-08,,2026-01-01,
a,2026-01-10,9.99,EUR,open,,,,
a,2026-01-10,9.99,EUR,Late,2026-01-20,,,2026-01-21
a,2026-01-10,9.99,EUR,failed,,2026-01-11,,
a,2026-01-10,9.99,EUR,refunded,2026-01-10,2026-02-01,,
a,,9.99,EUR,paid,2026-01-10,,,
a,,9.99,EUR,,2026-01-10,,,2026-01-12
a,2026-01-10,9.99,EUR,paid,,2026-01-12,,
a,2026-01-10,9.99,EUR,failed,,,,
a,2026-01-10,9.99,EUR,paid,,,,
a,,9.99,EUR,paid,,,,
a,2026-01-10,9.99,EUR,cancelled,,,,
a,2026-01-10,,EUR,,,,,
a,2026-01-10,9.99,EUR,,2026-01-08,,,2026-01-07
`, want: `payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-01T00:00
payment_paid a "EUR" 9.99 2026-01-08T00:00 2026-01-08T00:00
payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_paid a "EUR" 9.99 2026-01-20T00:00 2026-01-21T00:00
payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_failed a "EUR" 9.99 2026-01-11T00:00 2026-01-11T00:00
payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_paid a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_refunded a "EUR" 9.99 2026-02-01T00:00 2026-02-01T00:00
payment_paid a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_paid a "EUR" 9.99 2026-01-10T00:00 2026-01-12T00:00
payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_paid a "EUR" 9.99 2026-01-12T00:00 2026-01-12T00:00
payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
payment_due a "EUR" 9.99 2026-01-10T00:00 2026-01-10T00:00
`, bad: `f.csv:12: due_at: neither due_at nor paid_at is given
f.csv:13: status: not one of paid, late, failed, refunded, open: translate it under values
f.csv:14: amount: missing
f.csv:15: paid_recorded_at: earlier than paid_at: nothing can be known before it happened
`, untimed: 2},
		{name: "drop a column of another meaning", stream: Payments, m: Mapping{
			Columns: map[string]string{"paid_at": "billing_date", "amount": "price"}, Drop: []string{"status"},
		}, text: "customer_id,price,billing_date,status\na,9.99,2026-01-10,churned\n",
			want: "payment_paid a \"\" 9.99 2026-01-10T00:00 2026-01-10T00:00\n"},
		{name: "contacts", stream: Contacts, text: "customer_id,occurred_at,action,cost,arm\na,2026-01-10,call,1.5,policy\na,2026-01-10,mail,,holdout\n",
			want: "contact a \"call\" 1.5 2026-01-10T00:00 2026-01-10T00:00\ncontact a \"mail\" - 2026-01-10T00:00 2026-01-10T00:00\n"},
		{name: "a column whose name is a product", stream: Payments, m: Mapping{Columns: map[string]string{"amount": "a * b"}},
			text: "customer_id,paid_at,a * b\na,2026-01-10,7\n", want: "payment_paid a \"\" 7 2026-01-10T00:00 2026-01-10T00:00\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := read(t, strings.NewReader(tt.text), "f.csv", tt.stream, tt.m)
			if o.err != nil {
				t.Fatal(o.err)
			}
			if got := phases(o.events()); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			var bad strings.Builder
			for _, b := range o.bad {
				fmt.Fprintln(&bad, b)
			}
			if bad.String() != tt.bad {
				t.Errorf("refused\n%swant\n%s", bad.String(), tt.bad)
			}
			untimed := 0
			for _, r := range o.records {
				if r.Untimed {
					untimed++
				}
			}
			if o.skipped != tt.skipped || untimed != tt.untimed {
				t.Errorf("skipped %d, untimed %d, want %d, %d", o.skipped, untimed, tt.skipped, tt.untimed)
			}
		})
	}
}

func TestCustomers(t *testing.T) {
	const text = "customer_id,signed_up_at,churned_at,churn_reason,consent,plan,,note\n" +
		"a,2026-01-01,2026-03-01,price,marketing:email; sms,pro,x,\n" +
		"b,,,,none,,x,long\n" +
		"c,2026-03-01,2026-01-01,,,,x,\n" +
		"d,,,,;,basic,x,\"two\nlines\"\n"
	for _, tt := range []struct {
		name string
		m    Mapping
		want string
		bad  string
	}{
		{"every column left is an attribute", Mapping{}, `a 2026-01-01T00:00:00Z 2026-03-01T00:00:00Z price [marketing:email sms] map[plan:pro]
b    [] map[note:long]
`, "f.csv:4: churned_at: earlier than signed_up_at\nf.csv:5: note: contains the invisible character U+000A\n"},
		{"drop", Mapping{Drop: []string{"note", "churned_at"}}, `a 2026-01-01T00:00:00Z  price [marketing:email sms] map[plan:pro]
b    [] map[]
c 2026-03-01T00:00:00Z   [] map[]
d    [] map[plan:basic]
`, ""},
		{"attributes", Mapping{Attributes: []string{"churn_reason", "plan"}, Drop: []string{"churned_at"}}, `a 2026-01-01T00:00:00Z  price [marketing:email sms] map[churn_reason:price plan:pro]
b    [] map[]
c 2026-03-01T00:00:00Z   [] map[]
d    [] map[plan:basic]
`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := read(t, strings.NewReader(text), "f.csv", Customers, tt.m)
			var got, bad strings.Builder
			for _, r := range o.records {
				c := r.Customer
				fmt.Fprintln(&got, c.ID, c.SignedUpAt, c.ChurnedAt, c.ChurnReason, c.Consent, c.Attributes)
			}
			for _, b := range o.bad {
				fmt.Fprintln(&bad, b)
			}
			if got.String() != tt.want || bad.String() != tt.bad || o.err != nil {
				t.Errorf("got\n%s%s%v\nwant\n%s%s", got.String(), bad.String(), o.err, tt.want, tt.bad)
			}
		})
	}
	// Consent that is known to be none differs from consent that is unknown.
	o := read(t, strings.NewReader(text), "f.csv", Customers, Mapping{Drop: []string{"note", "churned_at"}})
	if b, c := o.records[1].Customer, o.records[2].Customer; b.Consent == nil || c.Consent != nil {
		t.Errorf("consent %#v, %#v", b.Consent, c.Consent)
	}
}

func TestMappingValidate(t *testing.T) {
	for _, tt := range []struct {
		stream Stream
		m      Mapping
		want   string
	}{
		{Payments, Mapping{Columns: map[string]string{"kind": "x"}}, `columns.kind: the payments table has no column "kind"; it has customer_id, due_at`},
		{Payments, Mapping{Constants: map[string]string{"kind": "x"}}, "constants.kind: "},
		{Payments, Mapping{Values: map[string]map[string]string{"kind": nil}}, "values.kind: "},
		{Payments, Mapping{Columns: map[string]string{"z": "", "y": ""}}, "columns.y: "}, // always the first
		{Payments, Mapping{Columns: map[string]string{"currency": "x"}, Constants: map[string]string{"currency": "EUR"}}, "currency is both"},
		{Payments, Mapping{Constants: map[string]string{"currency": ""}}, "constants.currency is empty"},
		{Payments, Mapping{Constants: map[string]string{"status": "ok"}, Values: map[string]map[string]string{"status": {"ok": "paid"}}}, "translates nothing"},
		{Payments, Mapping{Attributes: []string{"x"}}, "attributes are for the customers and the attributes table only"},
		{Payments, Mapping{Delimiter: ";;"}, `delimiter ";;": give one character`},
		{Payments, Mapping{Format: "xlsx"}, `format "xlsx": use csv, ndjson or parquet`},
		{Payments, Mapping{TimeFormat: "dd.mm.yyyy"}, "has no year"},
		{Payments, Mapping{TimeZone: "CEST?"}, "is not known"},
		{Payments, Mapping{Lag: -Day}, "lag -1d: nothing can be known before it happened"},
	} {
		if err := tt.m.Validate(tt.stream); err == nil || !strings.HasPrefix(err.Error(), tt.want) && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %s", tt.m, err, tt.want)
		}
	}
	for _, s := range Streams() {
		if err := (&Mapping{}).Validate(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if got, err := ParseStream(s.String()); err != nil || got != s {
			t.Errorf("ParseStream(%s) = %v, %v", s, got, err)
		}
	}
	if _, err := ParseStream("orders"); err == nil {
		t.Error("an unknown table has a stream")
	}
}

// ids lists the distinct ids of what a file of a table gives, in order.
func ids(t *testing.T, s Stream, text string) (list []string) {
	t.Helper()
	o := read(t, strings.NewReader(text), "f.csv", s, Mapping{})
	if o.err != nil || len(o.bad) > 0 {
		t.Fatalf("%v, %v", o.bad, o.err)
	}
	for _, r := range o.records {
		for _, e := range r.Events {
			if e.ID != r.Events[0].ID {
				t.Errorf("phases of one row have the ids %s and %s", r.Events[0].ID, e.ID)
			}
		}
		list = append(list, r.Events[0].ID)
	}
	return list
}

func TestContentIDs(t *testing.T) {
	const head = "customer_id,opened_at,category,severity,resolved_at,satisfaction\n"
	first := ids(t, Complaints, head+"a,2026-01-01,billing,3,,\na,2026-01-01,billing,3,,\nb,2026-01-01,billing,3,,\n")
	if first[0] == first[1] || first[0] == first[2] {
		t.Errorf("different complaints share an id: %v", first)
	}
	// A later extract, in which the second phase has come.
	if later := ids(t, Complaints, head+"a,2026-01-01,billing,3,2026-01-05,4\na,2026-01-01,billing,3,,\nb,2026-01-01,billing,3,2026-02-01,\n"); !slices.Equal(first, later) {
		t.Errorf("the resolution changed the ids: %v, %v", first, later)
	}
	// What identifies the first phase changes the id.
	for _, row := range []string{"c,2026-01-01,billing,3,,", "a,2026-01-02,billing,3,,", "a,2026-01-01,quality,3,,", "a,2026-01-01,billing,,,", "a,2026-01-01,billing,0,,"} {
		if other := ids(t, Complaints, head+row+"\n"); slices.Contains(first, other[0]) {
			t.Errorf("%s has the id of another complaint", row)
		}
	}
	// An id of the source is kept, also beside rows that have none.
	if got := ids(t, Engagements, "event_id,customer_id,occurred_at,kind\ne1,a,2026-01-01,view\n,a,2026-01-01,view\n"); got[0] != "e1" || !strings.HasPrefix(got[1], "c") || len(got[1]) != 33 {
		t.Errorf("got %v", got)
	}
	// The length of each text is part of the hash: ab+c is not a+bc.
	a, b := Event{Customer: "ab", Kind: "c", Type: Engagement}, Event{Customer: "a", Kind: "bc", Type: Engagement}
	if ContentID(&a, 0) == ContentID(&b, 0) {
		t.Error("texts run together")
	}
	// Ids are kept in databases: this one may never change. Computed with
	// Python 3.11 hashlib and struct from the description of ContentID.
	e := Event{Customer: "a", Type: PaymentDue, At: 1_769_868_300_000_000, Kind: "EUR", Value: 9_990_000, HasValue: true}
	if got, want := ContentID(&e, 0), "c3a2e63ad1a30dfd9d7a317e02b8df253"; got != want {
		t.Errorf("ContentID = %s, want %s", got, want)
	}
}

func TestEventValidate(t *testing.T) {
	good := Event{ID: "e", Customer: "a", Type: PaymentDue, At: 0, Recorded: 0, Value: Unit, HasValue: true}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		change func(e *Event)
		want   string
	}{
		{func(e *Event) { e.Customer = "" }, "customer_id: empty"},
		{func(e *Event) { e.Customer = " a" }, "customer_id: begins or ends with a space"},
		{func(e *Event) { e.ID = "a\u00a0" }, "event_id: begins or ends with a space"},
		{func(e *Event) { e.Type = 0 }, "type: unknown type 0"},
		{func(e *Event) { e.Type = 10 }, "type: unknown type 10"},
		{func(e *Event) { e.Type, e.Kind = AttributeSet, "" }, "attribute: empty"},
		{func(e *Event) { e.Type, e.Kind, e.Outcome = AttributeSet, "plan", "\x00" }, "plan: contains the invisible character U+0000"},
		{func(e *Event) { e.At = Never }, "due_at: missing or out of range"},
		{func(e *Event) { e.At = minTime - 1 }, "due_at: missing or out of range"},
		{func(e *Event) { e.At, e.Type = maxTime, Contact }, "occurred_at: missing or out of range"},
		{func(e *Event) { e.Recorded = Never }, "recorded_at: missing or out of range"},
		{func(e *Event) { e.Recorded, e.Type = maxTime, PaymentPaid }, "paid_recorded_at: missing or out of range"},
		{func(e *Event) { e.Recorded, e.Type = -1, PaymentPaid }, "paid_recorded_at: earlier than paid_at: nothing can be known before it happened"},
		{func(e *Event) { e.HasValue = false }, "amount: missing"},
		{func(e *Event) { e.Value = -1 }, "amount: negative: give a refund as status refunded"},
		{func(e *Event) { e.Value = MaxAmount + 1 }, "amount: out of range"},
		{func(e *Event) { e.Value, e.Type = -MaxAmount-1, ComplaintResolved }, "satisfaction: out of range"},
		{func(e *Event) { e.Kind = "\x00" }, "currency: contains the invisible character U+0000"},
		{func(e *Event) { e.Type = Engagement }, "kind: empty: say what the customer did"},
	} {
		e := good
		tt.change(&e)
		if err := e.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	good.Recorded = -1 // a due date is known in advance
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
