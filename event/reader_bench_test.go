package event

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkRead reads payments and engagement as they come out of a system:
// with ids, sorted by nothing, times with a zone.
func BenchmarkRead(b *testing.B) {
	var engagement, bare, payments strings.Builder
	engagement.WriteString("event_id,customer_id,occurred_at,kind,value,recorded_at\n")
	bare.WriteString("customer_id,occurred_at,kind,value\n")
	payments.WriteString("event_id,customer_id,due_at,amount,currency,status,paid_at,status_at,recorded_at,paid_recorded_at\n")
	for i := range 20_000 {
		c, day, s := i*7919%5000, 1+i%28, i%60
		fmt.Fprintf(&engagement, "e%07d,C%05d,2026-03-%02dT10:%02d:17Z,%s,%d.5,\n", i, c, day, s, []string{"visit", "order", "login"}[i%3], i%90)
		fmt.Fprintf(&bare, "C%05d,2026-03-%02d 10:%02d:17,%s,%d.5\n", c, day, s, []string{"visit", "order", "login"}[i%3], i%90)
		fmt.Fprintf(&payments, "p%07d,C%05d,2026-03-%02d,%d.99,EUR,paid,2026-04-%02dT08:%02d:00Z,,,\n", i, c, day, 10+i%90, day, s)
	}
	for _, tt := range []struct {
		name string
		s    Stream
		text string
	}{{"engagement", Engagements, engagement.String()}, {"without-ids", Engagements, bare.String()}, {"payments", Payments, payments.String()}} {
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(tt.text)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := NewReader(strings.NewReader(tt.text), "e.csv", tt.s, Mapping{})
				if err != nil {
					b.Fatal(err)
				}
				rows := 0
				for {
					_, err := r.Read()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					rows++
				}
				if rows != 20_000 {
					b.Fatal(rows)
				}
			}
		})
	}
}
