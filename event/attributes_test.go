package event

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// set is an event of an attribute.
func set(id, name, value string, at, recorded Time) Event {
	return Event{ID: id, Customer: "a", Type: AttributeSet, At: at, Recorded: recorded, Kind: name, Outcome: value}
}

func TestReadAttributes(t *testing.T) {
	jan, feb := writtenAt(t, "2026-01-01"), writtenAt(t, "2026-02-01")
	for _, tt := range []struct {
		name, file, text string
		m                Mapping
		want             []Event
	}{
		{"a type 2 dimension", "f.csv", "customer_id,valid_from,plan,region,event_id,valid_to\na,2026-01-01,pro,,7,2026-02-01\n", Mapping{Drop: []string{"valid_to"}},
			[]Event{set("7/plan", "plan", "pro", jan, jan), set("7/region", "region", "", jan, jan)}},
		{"what an object lacks is not withdrawn", "f.ndjson",
			`{"customer_id":"a","valid_from":"2026-01-01","event_id":"1","plan":"pro"}` + "\n" +
				`{"customer_id":"a","valid_from":"2026-02-01","event_id":"2","region":"x","plan":null}` + "\n" +
				`{"customer_id":"a","valid_from":"2026-02-01","event_id":"3","region":""}`, Mapping{},
			[]Event{set("1/plan", "plan", "pro", jan, jan), set("2/plan", "plan", "", feb, feb), set("2/region", "region", "x", feb, feb),
				set("3/region", "region", "", feb, feb)}},
		{"listed, under other names, with a lag", "f.csv", "c;since;plan;region;id\na;2026-01-01; pro ;x;7\n",
			Mapping{Delimiter: ";", Columns: map[string]string{"customer_id": "c", "valid_from": "since", "event_id": "id"},
				Attributes: []string{"plan"}, Lag: 31 * Day}, []Event{set("7/plan", "plan", "pro", jan, feb)}},
		{"known ahead", "f.csv", "customer_id,valid_from,recorded_at,plan,event_id\na,2026-02-01,2026-01-01,pro,7\n", Mapping{},
			[]Event{set("7/plan", "plan", "pro", feb, jan)}},
	} {
		o := read(t, strings.NewReader(tt.text), tt.file, Attributes, tt.m)
		if o.err != nil || len(o.bad) > 0 || !reflect.DeepEqual(o.events(), tt.want) {
			t.Errorf("%s: %v %v\ngot  %+v\nwant %+v", tt.name, o.err, o.bad, o.events(), tt.want)
		}
	}
	for text, want := range map[string]string{
		"customer_id,valid_from\na,2026-01-01\n":                             "f.csv:2: says nothing of any attribute",
		"customer_id,valid_from,plan\na,,pro\n":                              "f.csv:2: valid_from: missing",
		"customer_id,valid_from,plan\na,2026-01-01,a\u200bb\n":               "f.csv:2: plan: contains the invisible character",
		"customer_id,valid_from,plan\n,2026-01-01,pro\n":                     "f.csv:2: customer_id: empty",
		"customer_id,valid_from,plan,event_id\na,2026-01-01,pro,a\u200bb\n":  "f.csv:2: event_id: contains",
		"customer_id,valid_from,plan,recorded_at\na,2026-01-01,pro,monday\n": "f.csv:2: recorded_at: ",
	} {
		if o := read(t, strings.NewReader(text), "f.csv", Attributes, Mapping{}); len(o.bad) != 1 || !strings.HasPrefix(o.bad[0].Error(), want) {
			t.Errorf("%q: %v %v, want %s", text, o.err, o.bad, want)
		}
	}
}

// Without an id, what a row says of an attribute is the same in an extract with
// more columns, and the same said twice is said once.
func TestAttributeContentIDs(t *testing.T) {
	of := func(text string) map[string]string {
		byName := map[string]string{}
		for _, e := range (func() []Event {
			o := read(t, strings.NewReader(text), "f.csv", Attributes, Mapping{})
			return o.events()
		})() {
			if former, ok := byName[e.Kind+e.Outcome]; ok && former != e.ID {
				t.Errorf("%s has the ids %s and %s", e.Kind, former, e.ID)
			}
			byName[e.Kind+e.Outcome] = e.ID
		}
		return byName
	}
	one := of("customer_id,valid_from,plan\na,2026-01-01,pro\na,2026-01-01,pro\na,2026-01-01,basic\n")
	two := of("customer_id,valid_from,region,plan\na,2026-01-01,x,pro\n")
	if one["planpro"] != two["planpro"] || one["planpro"] == one["planbasic"] || two["regionx"] == two["planpro"] {
		t.Errorf("%v %v", one, two)
	}
}

func TestTimelineAttributes(t *testing.T) {
	c := Customer{ID: "a", Attributes: map[string]string{"plan": "static", "region": "x"}}
	tl := NewTimeline(c, []Event{
		set("3", "plan", "", 30, 35), set("1", "plan", "basic", 10, 10), set("9", "plan", "b", 20, 22), set("2", "plan", "c", 20, 22),
		set("4", "plan", "ahead", 50, 5),
	})
	want := []AttributeChange{{10, 10, "plan", "basic", 0}, {20, 22, "plan", "b", 0}, {20, 22, "plan", "c", 0},
		{30, 35, "plan", "", 0}, {50, 5, "plan", "ahead", 0}}
	if !reflect.DeepEqual(tl.Changes, want) {
		t.Errorf("got %+v, want %+v", tl.Changes, want)
	}
	for at, want := range map[Time]string{10: "static", 11: "basic", 22: "basic", 23: "c", 35: "c", 36: "", 50: "", 51: "ahead"} {
		if got := tl.Attribute("plan", at); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	if got := tl.Attribute("region", 60); got != "x" {
		t.Errorf("without changes: %q", got)
	}
}

// Rows of very many attributes are gathered, and each of them is a stray where
// another customer has used its id before.
func TestGatherManyAttributes(t *testing.T) {
	const n = 300
	var head, cells strings.Builder
	for i := range n {
		fmt.Fprintf(&head, ",a%d", i)
		fmt.Fprintf(&cells, ",%d", i)
	}
	inputs := []Input{
		{Stream: Attributes, Path: file(t, "attributes.one.csv", "customer_id,valid_from,event_id,a7\nb,2026-01-01,1,x\n")},
		{Stream: Attributes, Path: file(t, "attributes.csv", "customer_id,valid_from,event_id"+head.String()+"\na,2026-01-01,1"+cells.String()+"\n")},
	}
	h, reports, err := Gather(context.Background(), inputs, GatherOptions{Memory: MinMemory, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var names []string
	err = h.Timelines(context.Background(), func(tl *Timeline) error {
		for _, c := range tl.Changes {
			if tl.Customer.ID == "a" {
				names = append(names, c.Name)
			}
		}
		return nil
	})
	if err != nil || len(names) != n-1 || slices.Contains(names, "a7") || reports[1].Conflict != 1 || reports[1].Stored != n-1 {
		t.Errorf("%v: %d attributes, %+v", err, len(names), reports[1])
	}
	if h.Last() != Never {
		t.Errorf("the data ends at %s, where there are attributes only", h.Last())
	}
}

// An attribute may be known ahead, and older than the customer.
func TestImportAttributes(t *testing.T) {
	sink := newMemory()
	reports, err := Import(context.Background(), []Input{
		{Stream: Customers, Path: file(t, "customers.csv", "customer_id,signed_up_at\na,2026-01-01\n")},
		{Stream: Attributes, Path: file(t, "attributes.csv", "customer_id,valid_from,plan\na,1950-01-01,x\na,2027-01-01,y\nb,2026-01-01,z\n")},
	}, sink, ImportOptions{Latest: writtenAt(t, "2026-06-01")})
	if err != nil {
		t.Fatal(err)
	}
	if r := reports[1]; r.Stored != 3 || r.BeforeSignUp != 0 || r.UnknownCustomer != 1 || r.Rejected != 0 {
		t.Errorf("%+v", r)
	}
}
