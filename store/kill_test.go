package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"churn/event"
)

// The test binary is its own victim: with this variable it opens the database
// and writes until it is killed.
const (
	victimEnv = "CHURN_KILL_VICTIM" // path and a number for fresh ids
	cyclesEnv = "CHURN_KILL_CYCLES" // how often to kill; default 3
)

func TestMain(m *testing.M) {
	if v := os.Getenv(victimEnv); v != "" {
		path, cycle, _ := strings.Cut(v, "|")
		if err := victim(path, cycle); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// victim appends with eight clients and prints the ids that were acknowledged,
// one line a batch.
func victim(path, cycle string) error {
	db, err := Open(ctx, path, Options{Now: ticking()})
	if err != nil {
		return err
	}
	errs := make(chan error)
	var printing sync.Mutex
	for client := range 8 {
		go func() {
			r := rand.New(rand.NewPCG(uint64(client), 3))
			for n := 0; ; n++ {
				batch := make([]event.Event, 1+r.IntN(20))
				var line strings.Builder
				for i := range batch {
					id := fmt.Sprintf("%s-%d-%d-%d", cycle, client, n, i)
					batch[i] = engagement(id, fmt.Sprint("c", r.IntN(50)), day(float64(r.IntN(90))))
					line.WriteString(id + " ")
				}
				customer := event.Customer{ID: fmt.Sprintf("new-%s-%d-%d", cycle, client, n), SignedUpAt: day(0), ChurnedAt: event.Never}
				if _, err := db.Append(ctx, batch); err != nil {
					errs <- err
					return
				}
				if _, err := db.PutCustomers(ctx, []event.Customer{customer}); err != nil {
					errs <- err
					return
				}
				printing.Lock()
				fmt.Println(line.String() + customer.ID)
				printing.Unlock()
			}
		}()
	}
	return <-errs
}

// TestKill kills a writing process at random moments. What it acknowledged
// must be there, whole and once.
func TestKill(t *testing.T) {
	cycles := 3
	if v := os.Getenv(cyclesEnv); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s=%s: %v", cyclesEnv, v, err)
		}
		cycles = n
	}
	path := filepath.Join(t.TempDir(), "churn.db")
	acknowledged := map[string]bool{}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 4)) // the moments need not repeat
	for cycle := range cycles {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", victimEnv, path, cycle))
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// Half of the time shortly after the first acknowledgement, else at
		// any moment, the opening and migrating included.
		kill := func(most time.Duration) {
			time.AfterFunc(time.Duration(r.Int64N(int64(most))), func() { child.Process.Kill() })
		}
		if cycle%2 == 1 {
			kill(200 * time.Millisecond)
		}
		lines := bufio.NewReader(out)
		for first := true; ; first = false {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // a line cut off was not wholly read by us either
			}
			if first && cycle%2 == 0 {
				kill(200 * time.Millisecond)
			}
			for _, id := range strings.Fields(line) {
				acknowledged[id] = true
			}
		}
		if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("cycle %d: the victim ended by itself: %v", cycle, err)
		}
		checkAcknowledged(t, path, acknowledged)
		if t.Failed() {
			t.Fatalf("after cycle %d", cycle)
		}
	}
	t.Logf("%d kills, %d acknowledged", cycles, len(acknowledged))
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged: the test shows nothing")
	}
}

func checkAcknowledged(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	db := openAt(t, path)
	defer db.Close()
	integrity(t, db)
	seen := map[string]int{}
	err := db.Timelines(ctx, func(tl *event.Timeline) error {
		seen[tl.Customer.ID]++
		events, err := db.Events(ctx, tl.Customer.ID)
		for _, e := range events {
			seen[e.ID]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if seen[id] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", id, seen[id])
		}
	}
}
