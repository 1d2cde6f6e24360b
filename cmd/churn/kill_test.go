package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"churn/event"
	"churn/store"
)

// killCycles is how often a process is killed: CHURN_KILL_CYCLES, default 2.
func killCycles(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("CHURN_KILL_CYCLES"))
	if os.Getenv("CHURN_KILL_CYCLES") == "" {
		return 2
	}
	if err != nil {
		t.Fatalf("CHURN_KILL_CYCLES: %v", err)
	}
	return n
}

func openDB(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), path, store.Options{Now: func() event.Time { return event.FromTime(time.Now()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// An import that is killed at any moment loses nothing: importing again gives
// the same data as an undisturbed import.
func TestKillImport(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("churn", "simulate", "--out", filepath.Join(dir, "w"), "--customers", "150").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	from := filepath.Join(dir, "w")
	start := time.Now()
	if out, err := exec.Command("churn", "import", "--from", from, "--db", filepath.Join(dir, "want.db")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(start)
	want, err := openDB(t, filepath.Join(dir, "want.db")).Fingerprint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(uint64(start.UnixNano()), 1)) // the moments need not repeat
	for i := range killCycles(t) {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		for range 2 { // the second time into what the first left
			cmd := exec.Command("churn", "import", "--from", from, "--db", path)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(r.Int64N(int64(took))))
			cmd.Process.Kill()
			cmd.Wait()
		}
		if out, err := exec.Command("churn", "import", "--from", from, "--db", path).CombinedOutput(); err != nil {
			t.Fatalf("cycle %d: importing again: %v\n%s", i, err, out)
		}
		checkIntegrity(t, path)
		if got, err := openDB(t, path).Fingerprint(context.Background()); err != nil || got != want {
			t.Fatalf("cycle %d: data differ from an undisturbed import: %v", i, err)
		}
	}
}

// checkIntegrity has SQLite look through the whole file.
func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		t.Fatalf("integrity of %s: %s %v", path, answer, err)
	}
}

// A server that is killed has every event that it acknowledged: the next one
// answers with it, and the database holds it once.
func TestKillIngestion(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "churn.db")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2)) // the moments need not repeat
	acknowledged := map[string][]string{}                        // event ids by customer; a cycle has its own
	customer := func(i int) string { return fmt.Sprint("c", i) }
	const clients = 4
	cycles, total := killCycles(t), 0
	for i := range cycles {
		s, process := spawn(t, "--db", path, "--models", filepath.Join(dir, "models"))
		if i > 0 {
			checkTimeline(t, s, customer(i-1), acknowledged[customer(i-1)])
		}
		done := make(chan []string)
		for c := range clients {
			go func() { done <- post(s.url, customer(i), fmt.Sprint("client", c)) }()
		}
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		process.Kill()
		for range clients {
			ids := <-done
			acknowledged[customer(i)] = append(acknowledged[customer(i)], ids...)
			total += len(ids)
		}
		s.stop() // reaps it
	}
	if total == 0 {
		t.Fatal("nothing was acknowledged: the test shows nothing")
	}
	s, _ := spawn(t, "--db", path, "--models", filepath.Join(dir, "models"))
	checkTimeline(t, s, customer(cycles-1), acknowledged[customer(cycles-1)])
	if code := s.stop(); code != exitOK {
		t.Errorf("the last server stopped with code %d: %s", code, s.stderr)
	}
	checkIntegrity(t, path)
	db := openDB(t, path)
	kept := 0
	for id, ids := range acknowledged {
		events, err := db.Events(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		kept += len(events)
		seen := map[string]int{}
		for _, e := range events {
			seen[e.ID]++
		}
		for _, e := range ids {
			if seen[e] != 1 {
				t.Errorf("acknowledged event %s is there %d times", e, seen[e])
			}
		}
	}
	t.Logf("%d kills, %d events acknowledged, %d kept", cycles, total, kept)
}

// checkTimeline pages through the timeline of a customer.
func checkTimeline(t *testing.T, s *server, customer string, acknowledged []string) {
	t.Helper()
	if len(acknowledged) == 0 {
		return
	}
	seen := map[string]bool{}
	for cursor := ""; ; {
		var page struct {
			Events []struct {
				EventID string `json:"event_id"`
			} `json:"events"`
			NextCursor string `json:"next_cursor"`
		}
		b := s.expect(t, 200, "GET", "/v1/customers/"+customer+"/timeline?limit=1000"+cursor, "")
		if err := json.Unmarshal(b, &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			seen[e.EventID] = true
		}
		if page.NextCursor == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(page.NextCursor)
	}
	for _, id := range acknowledged {
		if !seen[id] {
			t.Errorf("acknowledged event %s is not in the timeline after a restart", id)
		}
	}
}

// post sends batches until the server is gone and returns what it acknowledged.
func post(url, customer, name string) (ids []string) {
	for n := 0; ; n++ {
		var items []string
		var sent []string
		for k := range 20 {
			id := fmt.Sprintf("%s-%s-%d-%d", customer, name, n, k)
			sent = append(sent, id)
			items = append(items, fmt.Sprintf(`{"type":"engagement","event_id":%q,"customer_id":%q,"occurred_at":"2026-01-01T00:00:00Z","kind":"k"}`, id, customer))
		}
		resp, err := http.Post(url+"/v1/events", "application/json", strings.NewReader(`{"events":[`+strings.Join(items, ",")+`]}`))
		if err != nil {
			return ids
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		var answer struct {
			Results []struct {
				Status string `json:"status"`
			} `json:"results"`
		}
		if err != nil || json.Unmarshal(body, &answer) != nil || len(answer.Results) != len(sent) {
			return ids
		}
		for k, r := range answer.Results {
			if r.Status == "stored" {
				ids = append(ids, sent[k])
			}
		}
	}
}
