package event

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestBadNDJSON is the corpus of lines that must be refused; good lines stand
// before and after.
func TestBadNDJSON(t *testing.T) {
	const good = `{"customer_id":"a","occurred_at":"2026-01-31","kind":"view"}`
	for _, tt := range []struct{ name, line, want string }{
		{"null", "null", "2: not a JSON object"},
		{"array", "[]", "2: not a JSON object"},
		{"string", `"x"`, "2: not a JSON object"},
		{"text", "customer_id,occurred_at", "2: not a JSON object"},
		{"BOM in the middle", "\ufeff" + good, "2: not a JSON object"},
		{"cut off", good[:20], "2: broken JSON: "},
		{"no closing brace", good[:len(good)-1], "2: broken JSON: "},
		{"comma at the end", good[:len(good)-1] + ",}", "2: broken JSON: "},
		{"no colon", `{"customer_id" "a"}`, "2: broken JSON: "},
		{"single quotes", `{'customer_id':'a'}`, "2: broken JSON: "},
		{"comment", good[:len(good)-1] + "/* x */}", "2: broken JSON: "},
		{"NaN", `{"customer_id":"a","occurred_at":"2026-01-31","kind":"view","value":NaN}`, "2: broken JSON: "},
		{"leading zero", `{"value":007}`, "2: broken JSON: "},
		{"trailing text", good + " x", "2: more than one JSON value on the line"},
		{"two objects", good + good, "2: more than one JSON value on the line"},
		{"equal keys", `{"customer_id":"a","customer_id":"b"}`, `2: key "customer_id" appears twice`},
		{"equal keys, escaped", `{"kind":"a","\u006bind":"b"}`, `2: key "kind" appears twice`},
		{"nested object", `{"customer_id":{"id":"a"}}`, `2: key "customer_id" holds a nested value; rows are flat`},
		{"nested array", `{"note":[1]}`, `2: key "note" holds a nested value; rows are flat`},
		{"deep", `{"note":` + strings.Repeat("[", 100_000), `2: key "note" holds a nested value; rows are flat`},
		{"other case", `{"Customer_ID":"a","occurred_at":"2026-01-31","kind":"view"}`, "2: customer_id: empty"},
		{"null customer", `{"customer_id":null,"occurred_at":"2026-01-31","kind":"view"}`, "2: customer_id: empty"},
		{"empty object", "{}", "2: customer_id: empty"},
		{"not UTF-8", "{\"customer_id\":\"a\xff\",\"occurred_at\":\"2026-01-31\",\"kind\":\"view\"}", "2: not valid UTF-8"},
		{"high half", `{"customer_id":"a\ud800","occurred_at":"2026-01-31","kind":"view"}`, "2: contains half of a surrogate pair"},
		{"low half", `{"customer_id":"a\uDC00x","occurred_at":"2026-01-31","kind":"view"}`, "2: contains half of a surrogate pair"},
		{"two high halves", `{"customer_id":"\ud83d\ud83d"}`, "2: contains half of a surrogate pair"},
		{"half and an escape", `{"customer_id":"\ud83d\n"}`, "2: contains half of a surrogate pair"},
		{"escaped NUL", `{"customer_id":"a\u0000","occurred_at":"2026-01-31","kind":"view"}`, "2: customer_id: contains the invisible character U+0000"},
		{"empty key", `{"":"a"}`, `2: key "" cannot be a column`},
		{"number too large", `{"customer_id":"a","occurred_at":"2026-01-31","kind":"view","value":1e400}`, "2: value: not a finite decimal number"},
		{"flag as value", `{"customer_id":"a","occurred_at":"2026-01-31","kind":"view","value":true}`, "2: value: not a finite decimal number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := read(t, strings.NewReader(good+"\n"+tt.line+"\n"+good+"\n"), "e.ndjson", Engagements, Mapping{})
			if o.err != nil || len(o.bad) != 1 || !strings.HasPrefix(o.bad[0].Error(), "e.ndjson:"+tt.want) {
				t.Fatalf("got %.300v, %v, want e.ndjson:%s", o.bad, o.err, tt.want)
			}
			if len(o.records) != 2 || o.records[1].Line != 3 {
				t.Errorf("the lines around it gave %+v", o.records)
			}
			if row := o.bad[0].Row; len(row) != 1 || row[0] != strings.ToValidUTF8(tt.line, "\uFFFD") {
				t.Errorf("the line is lost: %.100q", row)
			}
		})
	}
}

func TestNDJSON(t *testing.T) {
	text := "\ufeff" + `{"customer_id":"a","occurred_at":"2026-01-31","kind":"view"}` + "\r\n\n" +
		`  {"kind":"order","value":12.5,"occurred_at":"2026-02-01","customer_id":42,"extra":null}` + "\n" +
		`{"customer_id":"\ud83d\ude00 \\ud800","occurred_at":"2026-02-01","kind":"view","value":"1e1","flag":false}`
	o := read(t, strings.NewReader(text), "e.jsonl", Engagements, Mapping{})
	if o.err != nil || len(o.bad) > 0 {
		t.Fatalf("%v, %v", o.bad, o.err)
	}
	var got []string
	for _, r := range o.records {
		e := r.Events[0]
		got = append(got, fmt.Sprintf("%d %s %s %v %v", r.Line, e.Customer, e.Kind, e.Value, e.HasValue))
	}
	// The second row's value must not be kept for the third, nor be missing
	// because the first row had no such key.
	want := []string{"1 a view 0 false", "3 42 order 12.5 true", `4 😀 \ud800 view 10 true`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNDJSONLateKeys maps and skips by keys that the first row lacks.
func TestNDJSONLateKeys(t *testing.T) {
	m := Mapping{
		Columns: map[string]string{"customer_id": "user", "opened_at": "at", "resolved_at": "closed"},
		Skip:    map[string][]string{"test": {"true"}},
	}
	text := `{"user":"a","at":"2026-01-01"}` + "\n" +
		`{"user":"b","at":"2026-01-01","closed":"2026-01-02"}` + "\n" +
		`{"user":"c","at":"2026-01-01","test":true}` + "\n" +
		`{"user":"d","at":"2026-01-01"}` + "\n"
	o := read(t, strings.NewReader(text), "c.ndjson", Complaints, m)
	if o.err != nil || len(o.bad) > 0 || len(o.records) != 3 || o.skipped != 1 {
		t.Fatalf("got %+v", o)
	}
	for i, want := range []int{1, 2, 1} {
		if got := len(o.records[i].Events); got != want {
			t.Errorf("row %d has %d phases, want %d", i+1, got, want)
		}
	}
	// Attributes appear as they are met.
	o = read(t, strings.NewReader(`{"customer_id":"a"}`+"\n"+`{"customer_id":"b","plan":"pro"}`), "c.ndjson", Customers, Mapping{})
	if len(o.records) != 2 || o.records[0].Customer.Attributes != nil || o.records[1].Customer.Attributes["plan"] != "pro" {
		t.Errorf("got %+v", o)
	}
	// Junk keys are bounded.
	var b strings.Builder
	for i := range 1100 {
		fmt.Fprintf(&b, "{\"customer_id\":\"a\",\"k%d\":1}\n", i)
	}
	if o = read(t, strings.NewReader(b.String()), "c.ndjson", Customers, Mapping{}); len(o.bad) < 100 || o.err != nil {
		t.Errorf("%d refused, %v", len(o.bad), o.err)
	}
}
