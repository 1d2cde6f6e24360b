package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-json-experiment/json"
)

// bodies is the corpus of broken bodies: none may be scored or stored, and
// "canary" must not come back.
var bodies = []struct {
	name, body string
	status     int
}{
	{"empty", "", 400},
	{"null", "null", 400},
	{"array for object", "[]", 400},
	{"text", `"x"`, 400},
	{"trailing text", `{"customers":[{"customer_id":"a"}]} x`, 400},
	{"two objects", `{"customers":[{"customer_id":"a"}]}{}`, 400},
	{"duplicate name", `{"customers":[],"customers":[{"customer_id":"a"}]}`, 400},
	{"duplicate name, escaped", `{"customers":[],"custo\u006ders":[{"customer_id":"a"}]}`, 400},
	{"duplicate name in a row", `{"customers":[{"customer_id":"a","customer_id":"b"}]}`, 400},
	{"name in another case", `{"Customers":[{"customer_id":"a"}]}`, 400},
	{"unknown field", `{"customers":[{"customer_id":"a"}],"colour":"canary"}`, 400},
	{"null for required", `{"customers":null}`, 400},
	{"deep array", `{"customers":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, 400},
	{"deep unknown field", `{"customers":[],"x":` + strings.Repeat(`{"a":`, 9990) + "1" + strings.Repeat("}", 9990) + `}`, 400},
	{"truncated", `{"customers":[{"customer_id":"canary`, 400},
	{"byte order mark", "\ufeff" + `{"customers":[{"customer_id":"a"}]}`, 400},
	{"UTF-16", string(utf16le(`{"customers":[{"customer_id":"a"}]}`)), 400},
	{"comment", `{"customers":[{"customer_id":"a"}]/* canary */}`, 400},
	{"single quotes", `{'customers':[{'customer_id':'canary'}]}`, 400},
	{"trailing comma", `{"customers":[{"customer_id":"a"},]}`, 400},
	{"NaN", `{"customers":[{"customer_id":"a","features":{"eng_n_30":NaN}}]}`, 400},
	{"Infinity", `{"customers":[{"customer_id":"a","features":{"eng_n_30":-Infinity}}]}`, 400},
	{"hexadecimal", `{"customers":[{"customer_id":"a","features":{"eng_n_30":0x10}}]}`, 400},
	{"octal", `{"customers":[{"customer_id":"a","features":{"eng_n_30":010}}]}`, 400},
	{"decimal comma", `{"customers":[{"customer_id":"a","features":{"eng_n_30":1,5}}]}`, 400},
	{"plus sign", `{"customers":[{"customer_id":"a","features":{"eng_n_30":+1}}]}`, 400},
	{"invalid UTF-8", "{\"customers\":[{\"customer_id\":\"a\xff\xfe\"}]}", 400},
	{"lone surrogate", `{"customers":[{"customer_id":"a\ud800canary"}]}`, 400},
	{"raw NUL", "{\"customers\":[{\"customer_id\":\"a\x00\"}]}", 400},
	{"raw line feed", "{\"customers\":[{\"customer_id\":\"a\n\"}]}", 400},
	{"empty batch", `{"customers":[]}`, 422},
	{"object for array", `{"customers":{}}`, 400},
	{"reasons below 0", `{"customers":[{"customer_id":"a"}],"reasons":-1}`, 400},
	{"reasons above the limit", `{"customers":[{"customer_id":"a"}],"reasons":21}`, 400},
	{"reasons with decimals", `{"customers":[{"customer_id":"a"}],"reasons":1.5}`, 400},
	{"reasons 1e1", `{"customers":[{"customer_id":"a"}],"reasons":1e1}`, 400},
	{"reasons as text", `{"customers":[{"customer_id":"a"}],"reasons":"5"}`, 400},
	{"reasons 2^63", `{"customers":[{"customer_id":"a"}],"reasons":9223372036854775808}`, 400},
	{"as_of without a zone", `{"customers":[{"customer_id":"a"}],"as_of":"2026-01-01T00:00:00"}`, 400},
	{"as_of as a number", `{"customers":[{"customer_id":"a"}],"as_of":1780000000}`, 400},
	{"as_of tomorrow", `{"customers":[{"customer_id":"a"}],"as_of":"2026-06-16T12:00:00Z"}`, 422},
	{"too many", `{"customers":[` + strings.Repeat(`{"customer_id":"a"},`, 50) + `{"customer_id":"a"}]}`, 413},
	{"too large", `{"customers":[{"customer_id":"` + strings.Repeat("a", 1<<20) + `"}]}`, 413},
	{"100,000 names", `{"customers":[],` + manyNames(20_000) + `}`, 400},
}

func utf16le(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"n%d":1`, i)
	}
	return b.String()
}

// TestBadBodies sends the corpus to every endpoint that takes a body, with the
// name of its list.
func TestBadBodies(t *testing.T) {
	w := newWorld(t, withModels(1), func(_ *world, c *Config, _ *Deps) { c.MaxBatchBody, c.MaxBody, c.MaxBatch = 1<<20, 1<<20, 50 })
	for _, tt := range bodies {
		for path, list := range map[string]string{"/v1/scores": "customers", "/v1/events": "events", "/v1/recommendations": "customer_ids",
			"/v1/outcomes": "decision_id", "/v1/models/rollback": "reason"} {
			body := strings.Replace(tt.body, "customers", list, -1)
			rec := w.request("POST", path, "application/json", []byte(body))
			text := rec.Body.String()
			var p Problem
			switch {
			case path == "/v1/scores" && rec.Code != tt.status:
				t.Errorf("%s: %s: status %d, want %d: %.300s", tt.name, path, rec.Code, tt.status, text)
			case rec.Code == 200 && path == "/v1/events":
				var a eventsAnswer // the records themselves are no good
				if err := json.Unmarshal([]byte(text), &a); err != nil || a.Counts.Stored > 0 {
					t.Errorf("%s: %s: %.300s", tt.name, path, text)
				}
				continue
			case rec.Code < 400 || rec.Code >= 500:
				t.Errorf("%s: %s: status %d: %.300s", tt.name, path, rec.Code, text)
			}
			err := json.Unmarshal([]byte(text), &p, json.RejectUnknownMembers(true))
			if err != nil || rec.Header().Get("Content-Type") != "application/problem+json" || p.Status != rec.Code || p.RequestID == "" || p.Detail == "" {
				t.Errorf("%s: %s: not a problem: %v %.300s", tt.name, path, err, text)
			}
			if strings.Contains(text, "canary") || len(text) > 20_000 {
				t.Errorf("%s: %s: a value is echoed, or %d bytes are: %.300s", tt.name, path, len(text), text)
			}
		}
	}
	if got := w.summary(); got != "0 0 0" {
		t.Errorf("the store holds %s", got)
	}
	w.healthy()
}

func TestMediaTypes(t *testing.T) {
	w := newWorld(t, withModels(1))
	body := []byte(`{"customers":[{"customer_id":"a","features":{}}]}`)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(make([]byte, 1<<20))
	z.Close()
	for _, tt := range []struct {
		contentType string
		headers     []string
		body        []byte
		status      int
	}{
		{"application/json", nil, body, 200},
		{"application/json; charset=UTF-8", nil, body, 200},
		{"APPLICATION/JSON", nil, body, 200},
		{"application/json", []string{"Content-Encoding", "identity"}, body, 200},
		{"", nil, body, 415},
		{"text/plain", nil, body, 415},
		{"application/json; charset=utf-16", nil, body, 415},
		{"application/x-www-form-urlencoded", nil, body, 415},
		{"application/x-ndjson", nil, body, 415}, // events alone take lines
		{"application/json", []string{"Content-Type", "text/plain"}, body, 415},
		{";;;", nil, body, 415},
		{"application/json", []string{"Content-Encoding", "gzip"}, zipped.Bytes(), 415},
		{"application/json", []string{"Content-Encoding", "gzip, gzip"}, zipped.Bytes(), 415},
		{"application/json", []string{"Content-Encoding", "bogus"}, body, 415},
	} {
		rec := w.request("POST", "/v1/scores", tt.contentType, tt.body, tt.headers...)
		if rec.Code != tt.status {
			t.Errorf("%s %v: %d, want %d", tt.contentType, tt.headers, rec.Code, tt.status)
		}
	}
}

func TestUnknownRoutes(t *testing.T) {
	w := newWorld(t, withModels(1))
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 404}, {"GET", "/v1", 404}, {"GET", "/v1/scores/", 404}, {"GET", "/v2/models", 404}, {"GET", "/../etc/passwd", 404},
		{"GET", "/debug/pprof/", 404}, {"FOO", "/v1/nothing", 404},
		{"GET", "/v1/scores", 405}, {"FOO", "/v1/scores", 405}, {"PUT", "/v1/customers/a", 405}, {"POST", "/v1/models", 405}, {"HEAD", "/v1/models", 405},
		{"OPTIONS", "/v1/scores", 405}, {"TRACE", "/v1/scores", 405},
		{"POST", "/v1/models//promote", 400}, {"GET", "/v1/customers//score", 400},
	} {
		rec := w.request(tt.method, tt.path, "application/json", []byte("{}"))
		if rec.Code != tt.status || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s, want %d", tt.method, tt.path, rec.Code, rec.Header().Get("Content-Type"), tt.status)
		}
		if tt.status == 405 && rec.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", tt.method, tt.path)
		}
	}
	for _, q := range []string{"reasons=x", "reasons=-1", "reasons=1e9", "as_of=yesterday", "as_of=2027-01-01T00:00:00Z", "recommend=1", "x=1", "%zz=1", "reasons=1&reasons=2"} {
		w.call(400, "GET", "/v1/customers/a/score?"+q, "", nil)
	}
	w.healthy()
}

// TestWire speaks to a listening server in ways that no client library would.
func TestWire(t *testing.T) {
	w := newWorld(t, withModels(1))
	server := httptest.NewUnstartedServer(w.server.Handler())
	server.Config.MaxHeaderBytes = 16 << 10
	server.Start()
	defer server.Close()
	host := server.Listener.Addr().String()
	score := `{"customers":[{"customer_id":"a","features":{}}]}`
	for _, tt := range []struct {
		name, text string
		status     int
	}{
		{"good", "POST /v1/scores HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nContent-Length: " + fmt.Sprint(len(score)) + "\r\n\r\n" + score, 200},
		{"two hosts", "GET /livez HTTP/1.1\r\nHost: " + host + "\r\nHost: localhost\r\n\r\n", 400},
		{"no host", "GET /livez HTTP/1.1\r\n\r\n", 400},
		{"foreign host", "GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
		{"two lengths", "POST /v1/scores HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + score, 400},
		{"bad length", "POST /v1/scores HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: -5\r\n\r\n", 400},
		{"2 MB header", "GET /livez HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", 431},
		{"NUL in path", "GET /v1/customers/a\x00b HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 400},
		{"unknown method", "FOO /v1/scores HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 405},
		{"bad chunk", "POST /v1/scores HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{"not HTTP", "hello\r\n\r\n", 400},
	} {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		go c.Write([]byte(tt.text))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if resp.StatusCode != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
		c.Close()
	}
	w.healthy()
}
