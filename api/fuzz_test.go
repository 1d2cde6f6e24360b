package api

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// fuzz sends bodies to a path: the server may refuse, never fail, and always
// answers in JSON.
func fuzz(f *testing.F, path, contentType string) {
	for _, b := range bodies {
		if len(b.body) < 1<<12 {
			f.Add([]byte(b.body))
		}
	}
	w := newWorld(f, withModels(1))
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := w.request("POST", path, contentType, body)
		if rec.Code >= 500 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if !jsontext.Value(rec.Body.Bytes()).IsValid() {
			t.Errorf("not JSON: %s", rec.Body)
		}
	})
}

func FuzzScoresBody(f *testing.F) {
	for _, s := range []string{
		`{"customers":[{"customer_id":"a"},{"customer_id":"b","features":{"eng_n_30":1.5,"cus_plan":"pro"}}],"reasons":3,"as_of":"2026-01-01T00:00:00Z"}`,
		`{"customers":[{"customer_id":"a","events":[{"type":"payment","due_at":"2026-05-01T00:00:00Z","paid_at":"2026-05-03T00:00:00Z","amount":60}]}],"recommend":true}`,
		`{"customers":[{"customer_id":"a","events":[{"type":"customer","churned_at":"2026-05-01T00:00:00Z","attributes":{"plan":"x"}},{"type":"contact","occurred_at":"2026-05-01T00:00:00Z"}]}]}`,
	} {
		f.Add([]byte(s))
	}
	fuzz(f, "/v1/scores", "application/json")
}

func FuzzEventsBody(f *testing.F) {
	for _, s := range []string{
		`{"events":[{"type":"engagement","customer_id":"a","occurred_at":"2026-06-01T00:00:00Z","kind":"x","value":1e2}]}`,
		`{"events":[{"type":"complaint","customer_id":"a","opened_at":"2026-06-01T00:00:00Z","resolved_after_hours":5,"satisfaction":4}]}`,
		`{"events":[{"type":"payment","customer_id":"a","due_at":"2026-06-01T00:00:00Z","amount":5,"status":"refunded","status_at":"2026-06-02T00:00:00Z"}]}`,
		`{"events":[{"type":"contact","customer_id":"a","occurred_at":"2026-06-01T00:00:00Z","action":"call","cost":1}]}`,
		`{"events":[{"type":"customer","customer_id":"a","consent":["email"],"attributes":{"n":1,"t":true}}]}`,
	} {
		f.Add([]byte(s))
	}
	fuzz(f, "/v1/events", "application/json")
}

func FuzzEventLines(f *testing.F) {
	f.Add([]byte("{\"type\":\"engagement\",\"customer_id\":\"a\",\"occurred_at\":\"2026-06-01T00:00:00Z\",\"kind\":\"x\"}\n{\n"))
	fuzz(f, "/v1/events", "application/x-ndjson")
}
