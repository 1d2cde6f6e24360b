package api

import (
	"math"
	"strings"
	"testing"

	"churn/event"
)

// token is a key as a caller has it.
func token(id string) string { return "ck_" + id + "_" + strings.Repeat("s", 43) }

func withKeys(scopes map[string][]Scope) change {
	return func(_ *world, c *Config, _ *Deps) {
		for _, id := range []string{"read", "write", "admin", "all"} {
			if s, ok := scopes[id]; ok {
				c.Keys = append(c.Keys, Key{ID: id, SHA256: HashKey(token(id)), Scopes: s})
			}
		}
	}
}

var oneScopeEach = map[string][]Scope{"read": {Read}, "write": {Write}, "admin": {Admin}}

// scopes is the policy, written down apart from the code. A route that is not
// here fails the test.
var scopes = map[string]Scope{
	"POST /v1/scores": Read, "GET /v1/customers/:id/score": Read, "GET /v1/customers/:id": Read,
	"GET /v1/customers/:id/timeline": Read, "GET /v1/effects": Read, "GET /v1/models": Read, "GET /metrics": Read,
	"POST /v1/events": Write, "POST /v1/recommendations": Write, "POST /v1/outcomes": Write,
	"DELETE /v1/customers/:id": Admin, "POST /v1/models/:version/promote": Admin, "POST /v1/models/rollback": Admin,
	"GET /openapi.json": "", "GET /docs": "", "GET /livez": "", "GET /readyz": "",
}

func TestScopes(t *testing.T) {
	w := newWorld(t, withModels(1), withKeys(oneScopeEach))
	routes := w.server.engine.Routes()
	if len(routes) != len(scopes) {
		t.Errorf("%d routes, %d in the policy", len(routes), len(scopes))
	}
	for _, r := range routes {
		name := r.Method + " " + r.Path
		scope, listed := scopes[name]
		if !listed {
			t.Errorf("%s is not in the policy", name)
			continue
		}
		path := strings.NewReplacer(":id", "nobody", ":version", w.versions[0]).Replace(r.Path)
		try := func(kind string, denied int, headers ...string) {
			t.Helper()
			code := w.request(r.Method, path, "application/json", []byte(`{`), headers...).Code
			if scope == "" {
				denied = 0
			}
			switch {
			case denied != 0 && code != denied:
				t.Errorf("%s with %s: %d, want %d", name, kind, code, denied)
			case denied == 0 && (code == 401 || code == 403 || code >= 500):
				t.Errorf("%s with %s: %d, want to pass", name, kind, code)
			}
		}
		good := func(id string) []string { return []string{"Authorization", "Bearer " + token(id)} }
		try("no key", 401)
		try("an empty key", 401, "Authorization", "Bearer ")
		try("another scheme", 401, "Authorization", "Basic "+token("all"))
		try("a wrong secret", 401, "Authorization", "Bearer ck_read_wrong")
		try("an unknown id", 401, "Authorization", "Bearer "+token("other"))
		try("a hash for a key", 401, "Authorization", "Bearer ck_read_"+HashKey(token("read")))
		try("two keys", 401, "Authorization", "Bearer "+token("read"), "Authorization", "Bearer "+token("write"))
		for _, id := range []string{"read", "write", "admin"} {
			if string(scope) == id {
				try("the key "+id, 0, good(id)...)
			} else {
				try("the key "+id, 403, good(id)...)
			}
		}
	}
	rec := w.request("GET", "/v1/models?key="+token("read"), "", nil)
	if rec.Code != 401 || rec.Header().Get("WWW-Authenticate") == "" || strings.Contains(rec.Body.String(), "sss") {
		t.Errorf("key in the query: %d %s", rec.Code, rec.Body)
	}
	if w.scrape()["churn_auth_failures_total"] == 0 {
		t.Error("failures are not counted")
	}
}

func TestConfig(t *testing.T) {
	key := Key{ID: "a", SHA256: HashKey("x"), Scopes: []Scope{Read}}
	for addr, ok := range map[string]bool{"127.0.0.1:80": true, "localhost:80": true, "[::1]:80": true, "127.9.9.9:1": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "192.168.0.1:80": false, "example.com:80": false, "[::ffff:127.0.0.1]:80": true} {
		if err := (Config{}).CheckListen(addr); (err == nil) != ok {
			t.Errorf("%s without keys: %v", addr, err)
		}
		if err := (Config{Keys: []Key{key}}).CheckListen(addr); err != nil {
			t.Errorf("%s with keys: %v", addr, err)
		}
	}
	if err := (Config{}).CheckListen("80"); err == nil {
		t.Error("no port: no error")
	}
	for _, c := range []Config{
		{Keys: []Key{{ID: "a_b", SHA256: key.SHA256, Scopes: key.Scopes}}},
		{Keys: []Key{{ID: "a", SHA256: "00", Scopes: key.Scopes}}},
		{Keys: []Key{{ID: "a", SHA256: key.SHA256}}},
		{Keys: []Key{{ID: "a", SHA256: key.SHA256, Scopes: []Scope{"root"}}}},
		{Keys: []Key{key, key}}, {MaxBody: -1}, {ShadowShare: -0.1}, {ShadowShare: 1.1}, {ShadowShare: math.NaN()}, {RatePerKey: -1}, {ReadTimeout: -1},
	} {
		if err := c.complete(); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("without anything: no error")
	}
}

func TestRateLimit(t *testing.T) {
	w := newWorld(t, withModels(1), withKeys(oneScopeEach), func(_ *world, c *Config, _ *Deps) { c.RatePerKey = 2 })
	get := func(id, ip string) int {
		return w.request("GET", "/v1/models", "", nil, "Authorization", "Bearer "+token(id), "X-Forwarded-For", ip).Code
	}
	for i, want := range []int{200, 200, 429, 429} {
		if code := get("read", string(rune('1'+i))+".1.1.1"); code != want {
			t.Errorf("request %d: %d, want %d", i, code, want)
		}
	}
	if code := get("write", "1.1.1.1"); code != 403 { // has tokens of its own
		t.Errorf("%d", code)
	}
	w.pass(event.Second / 2)
	if a, b := get("read", ""), get("read", ""); a != 200 || b != 429 {
		t.Errorf("after half a second: %d %d", a, b)
	}
	if code := w.request("GET", "/livez", "", nil).Code; code != 200 {
		t.Errorf("livez: %d", code)
	}
}

func TestBrowsers(t *testing.T) {
	w := newWorld(t, withModels(1), func(_ *world, c *Config, _ *Deps) { c.Hosts = []string{"churn.example"} })
	body := []byte(`{"customers":[{"customer_id":"x","features":{}}]}`)
	for _, tt := range []struct {
		headers []string
		status  int
	}{
		{nil, 200},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Origin", "http://evil.example"}, 403},
		{[]string{"Origin", "http://localhost"}, 200},
	} {
		rec := w.request("POST", "/v1/scores", "application/json", body, tt.headers...)
		if rec.Code != tt.status {
			t.Errorf("%v: %d, want %d", tt.headers, rec.Code, tt.status)
		}
		for _, h := range []string{"X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy", "Referrer-Policy", "X-Request-Id"} {
			if rec.Header().Get(h) == "" {
				t.Errorf("%v: no %s", tt.headers, h)
			}
		}
	}
	for host, ok := range map[string]bool{"localhost": true, "127.0.0.1:8080": true, "[::1]:8080": true, "churn.example": true,
		"evil.example": false, "": false, "localhost.evil.example:80": false, "10.0.0.1": false} {
		if w.server.addressed(host) != ok {
			t.Errorf("host %q", host)
		}
	}
}
