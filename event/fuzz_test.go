package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// fuzzMappings are the mappings the fuzz targets read with.
var fuzzMappings = []Mapping{
	{},
	{Columns: map[string]string{"customer_id": "c", "occurred_at": "t", "opened_at": "t", "paid_at": "t", "signed_up_at": "t",
		"amount": "q * p", "kind": "k", "resolved_after_hours": "h"}, TimeFormat: "unix", Lag: Day},
	{Delimiter: ";", Skip: map[string][]string{"kind": {"x*", ""}}, TimeZone: "Europe/Berlin"},
}

// checkReading reads arbitrary bytes as every table and checks what comes out.
func checkReading(t *testing.T, b []byte, name string) {
	for _, s := range Streams() {
		for _, m := range fuzzMappings {
			if m.Columns != nil {
				m.Columns = map[string]string{}
				for k, v := range fuzzMappings[1].Columns {
					if slices.Contains(Columns(s), k) {
						m.Columns[k] = v
					}
				}
			}
			o := read(t, bytes.NewReader(b), name, s, m)
			for _, r := range o.records {
				if (r.Customer != nil) == (len(r.Events) > 0) || (r.Customer != nil) != (s == Customers) {
					t.Fatalf("%s: neither a customer nor events, or both: %+v", s, r)
				}
				if r.Customer != nil {
					if err := r.Customer.Validate(); err != nil {
						t.Fatalf("%+v: %v", r.Customer, err)
					}
				}
				for i := range r.Events {
					if err := r.Events[i].Validate(); err != nil || r.Events[i].Type.Stream() != s {
						t.Fatalf("%+v: %v", r.Events[i], err)
					}
				}
			}
			for _, bad := range o.bad {
				if bad.Line < 1 || bad.Lines < 1 || bad.Reason == "" || bad.File != name {
					t.Fatalf("%#v", bad)
				}
			}
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	for _, s := range []string{
		engagementCSV("a,2026-01-31,view,1", `"b,2026-01-31,view,1`),
		"c,t,q,p,h,k\na,1769868300,2,3.5,4,view\n,,,,,\n",
		"customer_id;opened_at;resolved_at;kind\na;2026-01-31;2026-01-30;x\n",
		"customer_id,due_at,amount,status\na,2026-01-31,1,failed\na,2026-01-31,1,paid\n",
		"customer_id,valid_from,plan,recorded_at\na,2026-01-31,pro,2026-02-01\na,2026-02-28,,\n",
		"customer_id,,plan\na,1,\"x\r\ny\"\n", "\ufeffcustomer_id\n", "\xff\xfe", "PK\x03\x04", "\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkReading(t, b, "f.csv") })
}

// FuzzReadNDJSON also holds the reading token by token against the checker of
// encoding/json.
func FuzzReadNDJSON(f *testing.F) {
	for _, s := range []string{
		`{"customer_id":"a","occurred_at":"2026-01-31","kind":"view","value":1.5}`,
		`{"c":"a","t":1769868300,"q":2,"p":3.5,"h":4,"k":"view"}` + "\n{}",
		`{"customer_id":"a","due_at":"2026-01-31","amount":1,"status":"refunded"}` + "\n" + `{"customer_id":"a","paid_at":"2026-01-31","amount":"2"}`,
		`{"customer_id":"a","valid_from":"2026-01-31","plan":"x"}` + "\n" + `{"customer_id":"a","valid_from":"2026-02-28","plan":null,"region":"y"}`,
		`{"a":"\ud83d\ude00","b":"\ud800"}`, `{"a":{}}`, `{"a":1,"a":2}`, `[]`, "{\"\":1}\n\n", `{"a":1} {"b":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkReading(t, b, "f.ndjson")
		line := bytes.TrimSpace(b)
		if rows := newNDJSON(nil, "", nil); rows.object(line) == nil && !json.Valid(line) {
			t.Fatalf("%q is not JSON, but was read", line)
		}
	})
}
