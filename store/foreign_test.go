package store

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"churn/event"
)

func foreignWrites(t testing.TB, db *DB) uint64 {
	t.Helper()
	n, err := db.ForeignWrites(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestForeignWrites: a write of another is seen, whoever asks or writes next;
// our own are none, however the log is carried over meanwhile.
func TestForeignWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db, other := openAt(t, path), openAt(t, path)
	last := foreignWrites(t, db)
	same := func(what string) {
		t.Helper()
		if n := foreignWrites(t, db); n != last {
			t.Errorf("%s: %d, want %d", what, n, last)
		}
		last = foreignWrites(t, db)
	}
	more := func(what string) {
		t.Helper()
		n := foreignWrites(t, db)
		if n <= last {
			t.Errorf("%s is not seen", what)
		}
		last = n
		// The same write is seen again at our next commit at most.
		appendAll(t, db, engagement(what, "mine", day(1)))
		last = foreignWrites(t, db)
		same("nothing since")
	}
	for i := range 30 { // the log is carried over and begins anew
		var events []event.Event
		for k := range 3000 {
			events = append(events, engagement(fmt.Sprint(i, ".", k), fmt.Sprint("c", k), day(2)))
		}
		appendAll(t, db, events...)
		same("our own writes")
	}
	if err := db.DeleteCustomer(ctx, "c7"); err != nil {
		t.Fatal(err)
	}
	last = foreignWrites(t, db) // emptying the log may look like a write
	same("nothing since the erasure")

	appendAll(t, other, engagement("x1", "theirs", day(1)))
	more("a write of another")
	if _, err := other.PutCustomers(ctx, []event.Customer{{ID: "theirs", SignedUpAt: day(0), ChurnedAt: event.Never}}); err != nil {
		t.Fatal(err)
	}
	appendAll(t, db, engagement("y1", "mine", day(1)))
	more("a write of another before one of ours")
	if err := other.DeleteCustomer(ctx, "theirs"); err != nil {
		t.Fatal(err)
	}
	more("an erasure by another")
	if _, err := other.writerPool.Exec("DELETE FROM events WHERE customer_id = 'mine'"); err != nil {
		t.Fatal(err)
	}
	more("a write of another program")
}

// TestForeignWritesRace writes from two handles at once. Whoever keeps what was
// read, and reads anew only when the number grows or after its own write, never
// misses what either has acknowledged.
func TestForeignWritesRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db, other := openAt(t, path), openAt(t, path)
	var ours, theirs, ownWrites atomic.Int64 // acknowledged
	var stop atomic.Bool
	var writers, readers sync.WaitGroup
	write := func(db *DB, customer string, count *atomic.Int64, n int) {
		for i := range n {
			appendAll(t, db, engagement(fmt.Sprint(customer, i), customer, day(float64(i))))
			if db != other {
				ownWrites.Add(1)
			}
			count.Add(1)
		}
	}
	writers.Go(func() { write(db, "ours", &ours, 300) })
	writers.Go(func() { write(other, "theirs", &theirs, 100) })
	for range 3 {
		readers.Go(func() {
			kept, number, own := map[string]int{}, uint64(0), int64(-1)
			for !stop.Load() {
				least := map[string]int64{"theirs": theirs.Load(), "ours": ours.Load()}
				w := ownWrites.Load()
				n, err := db.ForeignWrites(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if n != number {
					clear(kept)
					number = n
				}
				if w != own {
					delete(kept, "ours")
					own = w
				}
				for customer, want := range least {
					if _, ok := kept[customer]; !ok {
						events, err := db.Events(ctx, customer)
						if err != nil {
							t.Error(err)
							return
						}
						kept[customer] = len(events)
					}
					if int64(kept[customer]) < want {
						t.Errorf("%s: %d events are kept where %d were acknowledged", customer, kept[customer], want)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
}

func TestStreams(t *testing.T) {
	db := openTemp(t)
	want := func(streams ...event.Stream) {
		t.Helper()
		if got, err := db.Streams(ctx, event.Streams()...); err != nil || !slices.Equal(got, streams) {
			t.Errorf("%v, want %v: %v", got, streams, err)
		}
	}
	want()
	paid := engagement("p", "a", day(1))
	paid.Type, paid.HasValue = event.PaymentPaid, true
	appendAll(t, db, paid)
	want(event.Payments)
	if got, err := db.Streams(ctx, event.Complaints, event.Contacts); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	resolved, contact := engagement("r", "a", day(1)), engagement("n", "a", day(1))
	resolved.Type, contact.Type = event.ComplaintResolved, event.Contact
	appendAll(t, db, resolved, contact, engagement("e", "a", day(1)))
	want(event.Engagements, event.Complaints, event.Payments, event.Contacts)
}

// BenchmarkForeignWrites asks while nobody writes.
func BenchmarkForeignWrites(b *testing.B) {
	db := openTemp(b)
	b.ReportAllocs()
	for b.Loop() {
		foreignWrites(b, db)
	}
}
