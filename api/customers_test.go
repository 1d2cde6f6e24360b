package api

import (
	"fmt"
	"strings"
	"testing"
)

func TestCustomer(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	var c customerAnswer
	w.call(200, "GET", "/v1/customers/ada", "", &c)
	if c.CustomerID != "ada" || *c.SignedUpAt != at(t, "2025-01-01T00:00:00Z") || c.ChurnedAt != nil || c.Attributes["plan"] != "pro" ||
		c.Counts != (streamCounts{2, 1, 1, 0, 0}) || len(*c.Consent) != 2 || c.ChurnReason != nil {
		t.Errorf("%+v", c)
	}
	w.post(`{"type":"engagement","customer_id":"bob","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`)
	text := w.call(200, "GET", "/v1/customers/bob", "", nil)
	if !strings.Contains(text, `"consent":null`) || !strings.Contains(text, `"signed_up_at":null`) || !strings.Contains(text, `"attributes":{}`) {
		t.Errorf("what is not known must be null: %s", text)
	}
	w.call(404, "GET", "/v1/customers/nobody", "", nil)
	w.call(400, "GET", "/v1/customers/ada?fields=all", "", nil)
}

func TestErasure(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	w.call(200, "POST", "/v1/recommendations", `{"customer_ids":["ada"]}`, nil)
	w.call(204, "DELETE", "/v1/customers/ada", "", nil)
	w.call(204, "DELETE", "/v1/customers/ada", "", nil) // sent again
	w.call(404, "DELETE", "/v1/customers/nobody", "", nil)
	for _, path := range []string{"", "/score", "/timeline"} {
		w.call(404, "GET", "/v1/customers/ada"+path, "", nil)
	}
	a := w.post(`{"type":"engagement","customer_id":"ada","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`)
	if a.Counts != (eventCounts{Refused: 1}) {
		t.Errorf("%+v", a)
	}
	if got := w.summary(); got != "0 0 0" {
		t.Errorf("the store holds %s", got)
	}
}

// TestTimeline walks the pages; an event that comes in meanwhile does not
// disturb them.
func TestTimeline(t *testing.T) {
	w := newWorld(t)
	var records []string
	for i := range 25 {
		records = append(records, fmt.Sprintf(`{"type":"engagement","customer_id":"a","event_id":"e%d","occurred_at":"2026-06-%02dT00:00:00Z","kind":"x","value":%d.5}`, i, 1+i/3, i))
	}
	w.post(records...)
	seen := map[string]bool{}
	last, path := "", "/v1/customers/a/timeline?limit=7"
	for pages := 0; ; pages++ {
		var a timelineAnswer
		text := w.call(200, "GET", path, "", &a)
		for _, e := range a.Events {
			if seen[e.EventID] {
				t.Errorf("%s twice", e.EventID)
			}
			seen[e.EventID] = true
			if s := e.OccurredAt.String(); last != "" && s > last {
				t.Errorf("%s after %s", s, last)
			}
			last = e.OccurredAt.String()
		}
		if pages == 0 && (!strings.Contains(text, `"value":24.5`) || !strings.Contains(text, `"channel":null`)) {
			t.Error(text)
		}
		if a.NextCursor == nil {
			if pages != 3 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
		w.post(fmt.Sprintf(`{"type":"engagement","customer_id":"a","event_id":"late%d","occurred_at":"2026-06-14T00:00:00Z","kind":"x"}`, pages))
		path = "/v1/customers/a/timeline?limit=7&cursor=" + *a.NextCursor
	}
	if len(seen) != 25 {
		t.Errorf("%d events of 25", len(seen))
	}
	for _, q := range []string{"limit=-1", "limit=0", "limit=1000000000", "limit=x", "cursor=forged", "cursor=e30", "cursor=%00", "page=2", "limit=1&limit=2"} {
		w.call(400, "GET", "/v1/customers/a/timeline?"+q, "", nil)
	}
	w.call(404, "GET", "/v1/customers/nobody/timeline", "", nil)
}

// TestIDsInPaths: what was stored under an id is found under it.
func TestIDsInPaths(t *testing.T) {
	w := newWorld(t)
	for id, path := range map[string]string{
		"a/b": "a%2Fb", "a+b": "a+b", "50%": "50%25", "%2e": "%252e", "..": "%2e%2e", "../x": "..%2Fx", `..\`: `..%5C`, "ä ö": "%C3%A4%20%C3%B6",
		"İ": "%C4%B0", "'; DROP TABLE events": "'%3B%20DROP%20TABLE%20events", "=HYPERLINK(1)": "=HYPERLINK(1)", "a?b#c": "a%3Fb%23c",
		"<script>alert(1)</script>": "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "e\u0301": "e%CC%81", "\u00e9": "%C3%A9",
	} {
		quoted := strings.ReplaceAll(id, `\`, `\\`)
		w.post(`{"type":"customer","customer_id":"` + quoted + `"}`)
		var c customerAnswer
		rec := w.request("GET", "/v1/customers/"+path, "", nil)
		if rec.Code != 404 && rec.Code != 200 {
			t.Errorf("%s: %d", path, rec.Code)
		}
		w.call(200, "GET", "/v1/customers/"+path+"/timeline", "", nil)
		w.call(200, "GET", "/v1/customers/"+path, "", &c)
		if c.CustomerID != id {
			t.Errorf("%s: got %q, want %q", path, c.CustomerID, id)
		}
	}
	for _, path := range []string{"a%00", "%ff%fe", "a%0d%0a", "%20", "a%E2%80%AEb", strings.Repeat("a", 257)} {
		w.call(400, "GET", "/v1/customers/"+path, "", nil)
	}
}
