package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"churn/event"
)

// TestServe: at the end readyz says no first, a request under way finishes,
// and then the door is closed.
func TestServe(t *testing.T) {
	w := newWorld(t, withModels(1), func(_ *world, c *Config, _ *Deps) { c.DrainDelay = 300 * time.Millisecond })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, l) }()
	url := "http://" + l.Addr().String()
	get := func(path string) int {
		t.Helper()
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := get("/readyz"); code != 200 {
		t.Errorf("readyz %d", code)
	}
	// A request whose body takes its time.
	r, body := io.Pipe()
	slow := make(chan string, 1)
	go func() {
		resp, err := http.Post(url+"/v1/scores", "application/json", r)
		if err != nil {
			slow <- err.Error()
			return
		}
		resp.Body.Close()
		slow <- resp.Status
	}()
	io.WriteString(body, `{"customers":[`)
	stop()
	for deadline := time.Now().Add(5 * time.Second); !w.server.draining.Load(); {
		if time.Now().After(deadline) {
			t.Fatal("does not drain")
		}
		time.Sleep(time.Millisecond)
	}
	if code := get("/readyz"); code != 503 {
		t.Errorf("readyz while draining: %d", code)
	}
	if code := get("/livez"); code != 200 {
		t.Errorf("livez while draining: %d", code)
	}
	io.WriteString(body, `{"customer_id":"a","features":{}}]}`)
	body.Close()
	if status := <-slow; status != "200 OK" {
		t.Errorf("request under way: %s", status)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url + "/livez"); err == nil {
		t.Error("still answers")
	}
}

// panicking panics on reading a history.
type panicking struct{ Store }

func (panicking) Timeline(context.Context, string) (*event.Timeline, error) { panic("canary") }
func (panicking) History(context.Context, string) (*event.Timeline, []event.Event, error) {
	panic("canary")
}

// TestPanic: a defect is a problem of one request, or of one row, and is
// counted.
func TestPanic(t *testing.T) {
	w := newWorld(t, withModels(1), func(_ *world, _ *Config, d *Deps) { d.Store = panicking{d.Store} })
	for _, path := range []string{"/v1/customers/a", "/v1/customers/a/score"} {
		if text := w.call(500, "GET", path, "", nil); strings.Contains(text, "canary") {
			t.Error(text)
		}
	}
	var a rows
	w.call(200, "POST", "/v1/scores", `{"customers":[{"customer_id":"x","features":{}},{"customer_id":"y"},{"customer_id":"z","features":{}}]}`, &a)
	if a.Scored != 2 || a.Results[1].Error == nil || a.Results[1].Error.Status != 500 {
		t.Errorf("%+v", a)
	}
	w.call(200, "POST", "/v1/recommendations", `{"customer_ids":["a"]}`, nil)
	if n := w.scrape()["churn_panics_total"]; n != 4 {
		t.Errorf("%v panics counted", n)
	}
}

// TestLog: a line a request, with the template of the route, and nothing of
// customers.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, withModels(1), withKeys(map[string][]Scope{"all": {Read, Write, Admin}}), func(_ *world, _ *Config, d *Deps) {
		d.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	key := []string{"Authorization", "Bearer " + token("all")}
	for _, path := range []string{"/v1/customers/canary/score?as_of=canary", "/v1/canary", "/v1/customers/canary"} {
		w.request("GET", path, "", nil, append(key, "X-Request-Id", "req-1", "User-Agent", "canary")...)
	}
	w.request("POST", "/v1/scores", "application/json", []byte(`{"customers":[{"customer_id":"canary"}],"canary":1}`), append(key, "X-Request-Id", "can ary\n")...)
	text := log.String()
	if strings.Contains(text, "canary") || strings.Contains(text, "sss") || strings.Contains(text, "can ary") {
		t.Error(text)
	}
	if strings.Count(text, "\n") != 4 || strings.Count(text, "request_id=req-1") != 3 || !strings.Contains(text, "route=/v1/customers/:id ") || !strings.Contains(text, "key=all") {
		t.Error(text)
	}
}

func TestRequestID(t *testing.T) {
	w := newWorld(t, withModels(1))
	a := w.request("GET", "/livez", "", nil).Header().Get("X-Request-Id")
	b := w.request("GET", "/livez", "", nil, "X-Request-Id", "<script>").Header().Get("X-Request-Id")
	c := w.request("GET", "/livez", "", nil, "X-Request-Id", "mine.1").Header().Get("X-Request-Id")
	if !requestIDPattern.MatchString(a) || !requestIDPattern.MatchString(b) || a == b || c != "mine.1" {
		t.Errorf("%q %q %q", a, b, c)
	}
}

// TestUnencodable: an answer that JSON cannot hold is a problem, not an empty
// 200.
func TestUnencodable(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.server.engine.GET("/test", w.server.answer(func(*gin.Context) (any, error) { return map[string]any{"x": func() {}}, nil }))
	rec := w.request("GET", "/test", "", nil)
	if rec.Code != 500 || !strings.Contains(rec.Body.String(), "could not be encoded") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestTimeout: work that takes too long is given up.
func TestTimeout(t *testing.T) {
	w := newWorld(t, withModels(1), func(_ *world, c *Config, _ *Deps) { c.RequestTimeout = time.Nanosecond })
	w.call(503, "POST", "/v1/scores", `{"customers":[{"customer_id":"x","features":{}}]}`, nil)
}
