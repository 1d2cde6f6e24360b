package event

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestProblems imports rows with every kind of problem and asks for the name
// under which each is counted.
func TestProblems(t *testing.T) {
	latest := writtenAt(t, "2026-06-01T00:00:00Z")
	customers := Input{Stream: Customers, Path: file(t, "customers.csv", "customer_id,signed_up_at\na,2026-01-01\n")}
	for _, tt := range []struct {
		s          Stream
		head, row  string
		m          Mapping
		want, more string // problems; unknown texts
	}{
		{Payments, "customer_id,paid_at,amount", "a,2026-06-02,5", Mapping{}, "future 1", ""},
		{Payments, "customer_id,due_at,amount", "a,2026-06-02,5", Mapping{}, "", ""},
		{Payments, "customer_id,paid_at,amount", "a,2026-05-01,-5", Mapping{}, "negative 1", ""},
		{Complaints, "customer_id,opened_at,resolved_after_hours", "a,2026-05-01,-5", Mapping{}, "negative 1", ""},
		{Complaints, "customer_id,opened_at,resolved_at", "a,2026-05-02,2026-05-01", Mapping{}, "order 1", ""},
		{Engagements, "customer_id,occurred_at,kind,recorded_at", "a,2026-05-02,visit,2026-05-01", Mapping{}, "order 1", ""},
		{Customers, "customer_id,signed_up_at,churned_at", "b,2026-05-02,2026-05-01", Mapping{}, "order 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,9999-12-31,5", Mapping{}, "absurd 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,99999999999999999,5", Mapping{TimeFormat: "unix"}, "absurd 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,2026-05-01,1e12", Mapping{}, "absurd 1", ""},
		{Engagements, "customer_id,occurred_at,kind", "a,2026-05-01," + strings.Repeat("k", 2000), Mapping{}, "absurd 1", ""},
		{Payments, "customer_id,paid_at,amount", ",2026-05-01,5", Mapping{}, "missing 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,,5", Mapping{}, "missing 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,2026-05-01,", Mapping{}, "missing 1", ""},
		{Engagements, "customer_id,occurred_at,kind", "a,2026-05-01,", Mapping{}, "missing 1", ""},
		{Engagements, "customer_id,occurred_at,kind", "a,,visit", Mapping{}, "missing 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,soon,5", Mapping{}, "unreadable 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,2026-05-01,five", Mapping{}, "unreadable 1", ""},
		{Payments, "customer_id,paid_at,amount,status", "a,2026-05-01,5,done", Mapping{}, "unreadable 1", ""},
		{Payments, "customer_id,paid_at,amount", "a\u200b,2026-05-01,5", Mapping{}, "unreadable 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,2026-05-01", Mapping{}, "shape 1", ""},
		{Payments, "customer_id,paid_at,amount,event_id", "a,2026-05-01,5,x\na,2026-05-01,6,x\na,2026-05-01,5,x", Mapping{}, "conflict 1", ""},
		{Payments, "customer_id,due_at,amount,status", "a,2026-05-01,5,failed", Mapping{}, "untimed_status 1", ""},
		{Payments, "customer_id,paid_at,amount", "a,2025-05-01,5", Mapping{}, "before_sign_up 1", ""},
		{Payments, "customer_id,paid_at,amount", "z,2026-05-01,5", Mapping{}, "unknown_customer 1", ""},
		{Payments, "customer_id,paid_at,amount,currency", "a,2026-05-01,5,EUR\na,2026-05-01,5,Euro\na,2026-05-02,5,Euro\na,2026-05-02,5,", Mapping{}, "unknown_value 2", "currency Euro 2"},
		{Payments, "customer_id,paid_at,amount,currency", "a,2026-05-01,5,points", Mapping{Known: map[string][]string{"currency": {"points"}}}, "", ""},
		{Engagements, "customer_id,occurred_at,kind", "a,2026-05-01,visit\na,2026-05-01,vist", Mapping{Known: map[string][]string{"kind": {"visit"}}}, "unknown_value 1", "kind vist 1"},
		{Engagements, "customer_id,occurred_at,kind", "a,2026-05-01,vist", Mapping{}, "", ""},
	} {
		in := Input{Stream: tt.s, Path: file(t, "t.csv", tt.head+"\n"+tt.row+"\n"), Mapping: tt.m}
		o := ImportOptions{MaxBadShare: 1, Latest: latest}
		imported, err := Import(context.Background(), []Input{customers, in}, newMemory(), o)
		if err != nil {
			t.Fatal(err)
		}
		h, gathered, err := Gather(context.Background(), []Input{customers, in}, GatherOptions{ImportOptions: o, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		h.Close()
		for _, r := range []FileReport{imported[1], gathered[1]} {
			var got, more []string
			for _, p := range r.Problems() {
				got = append(got, fmt.Sprint(p.Name, " ", p.Rows))
			}
			for text, n := range r.Unknown {
				more = append(more, fmt.Sprint(text, " ", n))
			}
			if strings.Join(got, ", ") != tt.want || strings.Join(more, ", ") != tt.more {
				t.Errorf("%s %.60q: %q, %q; want %q, %q; reasons %v", tt.s, tt.row, got, more, tt.want, tt.more, r.Reasons)
			}
		}
	}
	bad := Mapping{Known: map[string][]string{"amount": {"5"}}}
	if err := bad.Validate(Payments); err == nil || !strings.Contains(err.Error(), "known.amount: give known texts for") {
		t.Errorf("known amounts: %v", err)
	}
}
