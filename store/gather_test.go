package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"churn/event"
)

// messy writes inputs with everything that identities are about: rows with and
// without ids, given twice, with another body, under an id of somebody else,
// second phases in a later file, customers in several rows.
func messy(t *testing.T, seed uint64, customers, rows int) []event.Input {
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	who := func() string { return fmt.Sprintf("c%d", rng.IntN(customers)) }
	day := func() string { return fmt.Sprintf("2026-0%d-%02d", 1+rng.IntN(6), 1+rng.IntN(28)) }
	tables := []struct {
		s    event.Stream
		head string
		row  func() string
	}{
		{event.Customers, "customer_id,signed_up_at,churned_at,churn_reason,consent,plan,region", func() string {
			churned := ""
			if rng.IntN(3) == 0 {
				churned = day()
			}
			return strings.Join([]string{who(), []string{"", day()}[rng.IntN(2)], churned, "", []string{"", "none", "mail;sms", "sms;mail;sms"}[rng.IntN(4)],
				[]string{"", "a", "b"}[rng.IntN(3)], []string{"", "x"}[rng.IntN(2)]}, ",")
		}},
		{event.Engagements, "customer_id,occurred_at,kind,value", func() string { return fmt.Sprintf("%s,%s,visit,%d", who(), day(), rng.IntN(2)) }},
		{event.Engagements, "customer_id,occurred_at,kind,value,event_id", func() string {
			return fmt.Sprintf("%s,%s,visit,%d,%s", who(), day(), rng.IntN(2), []string{"", fmt.Sprint("e", rng.IntN(rows))}[rng.IntN(2)])
		}},
		{event.Complaints, "customer_id,opened_at,severity,resolved_at,event_id", func() string {
			return fmt.Sprintf("%s,2026-01-%02d,%d,%s,%s", who(), 1+rng.IntN(3), rng.IntN(2), []string{"", "2026-03-01"}[rng.IntN(2)],
				[]string{"", fmt.Sprint("k", rng.IntN(rows/2))}[rng.IntN(2)])
		}},
		{event.Payments, "customer_id,due_at,amount,status,paid_at,status_at,event_id", func() string {
			return fmt.Sprintf("%s,%s,%d,%s,,%s,%s", who(), day(), rng.IntN(3)-rng.IntN(2), []string{"paid", "failed", "refunded", "open"}[rng.IntN(4)], "2026-06-28",
				[]string{"", fmt.Sprint("p", rng.IntN(rows/2))}[rng.IntN(2)])
		}},
		{event.Contacts, "customer_id,occurred_at,action,cost", func() string { return fmt.Sprintf("%s,%s,call,%d", who(), day(), rng.IntN(2)) }},
		{event.Attributes, "customer_id,valid_from,plan,region,event_id", func() string {
			return fmt.Sprintf("%s,%s,%d,%s,%s", who(), day(), rng.IntN(3), []string{"", "x"}[rng.IntN(2)], []string{"", fmt.Sprint("a", rng.IntN(rows))}[rng.IntN(2)])
		}},
	}
	var inputs []event.Input
	for i, tb := range tables {
		for part := range 2 {
			var b strings.Builder
			b.WriteString(tb.head + "\n")
			last := ""
			for range rows {
				if last == "" || rng.IntN(4) > 0 {
					last = tb.row()
				}
				b.WriteString(last + "\n")
			}
			path := filepath.Join(dir, fmt.Sprintf("t%d-%d.csv", i, part))
			if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			inputs = append(inputs, event.Input{Stream: tb.s, Path: path})
		}
	}
	return inputs
}

// timelines reads all histories.
func timelines(t *testing.T, source interface {
	Timelines(context.Context, func(*event.Timeline) error) error
}) (all []*event.Timeline) {
	t.Helper()
	if err := source.Timelines(context.Background(), func(tl *event.Timeline) error { all = append(all, tl); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// Histories gathered straight from files are those of a database into which
// the files were imported, and so is the report, whatever the memory.
func TestGatheredAsImported(t *testing.T) {
	rows := 2500
	if testing.Short() {
		rows = 200
	}
	inputs := messy(t, 1, 60, rows)
	db := openTemp(t)
	o := event.ImportOptions{MaxBadShare: 1}
	want, err := event.Import(context.Background(), inputs, db.Sink(), o)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := db.Fingerprint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	conflicts := 0
	for i := range want {
		conflicts += want[i].Conflict
		// The database is filled row by row, and a file that knows the sign-up
		// may come later: gathering knows it from the beginning.
		want[i].BeforeSignUp, want[i].Examples = 0, nil
	}
	if conflicts < rows/2 {
		t.Errorf("only %d conflicts: the test has lost its point", conflicts)
	}
	for _, memory := range []int64{event.MinMemory, 1 << 30} {
		h, got, err := event.Gather(context.Background(), inputs, event.GatherOptions{ImportOptions: o, Memory: memory, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].BeforeSignUp, got[i].Examples = 0, nil
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%d bytes: %+v\nimported %+v", memory, got[i], want[i])
			}
		}
		if f, err := h.Fingerprint(context.Background()); err != nil || f != fingerprint {
			t.Errorf("%d bytes: fingerprint %s, %v, of the database %s", memory, f, err, fingerprint)
		}
		if !reflect.DeepEqual(timelines(t, h), timelines(t, db)) {
			t.Errorf("%d bytes: other histories than those of the database", memory)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}
