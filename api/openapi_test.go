package api

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// document is openapi.json as plain values.
func document(t testing.TB) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func dig(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// TestRoutesAreDocumented: the router and the document name the same
// operations, with the same scopes.
func TestRoutesAreDocumented(t *testing.T) {
	w := newWorld(t)
	paths := dig(document(t), "paths").(map[string]any)
	documented := map[string]string{}
	for path, operations := range paths {
		for method, op := range operations.(map[string]any) {
			scope, _ := dig(op, "x-scope").(string)
			documented[strings.ToUpper(method)+" "+path] = scope
			if dig(op, "summary") == nil || dig(op, "operationId") == nil {
				t.Errorf("%s %s has no summary or operationId", method, path)
			}
		}
	}
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, e := range w.server.endpoints() {
		name := e.method + " " + parameter.ReplaceAllString(e.path, "{$1}")
		scope, ok := documented[name]
		if !ok || scope != string(e.scope) {
			t.Errorf("%s: scope %q, documented %v with scope %q", name, e.scope, ok, scope)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("%s is documented, but there is no such route", name)
	}
}

// TestReferences: what the document refers to is there, and all there is is
// referred to.
func TestReferences(t *testing.T) {
	doc := document(t)
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`"\$ref": "#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(string(openAPI), -1) {
		if dig(doc, "components", m[1], m[2]) == nil {
			t.Errorf("%s is not there", m[0])
		}
		used[m[2]] = true
	}
	for name := range dig(doc, "components", "schemas").(map[string]any) {
		if !used[name] {
			t.Errorf("schema %s is not used", name)
		}
	}
}

// TestAnswersFitSchemas compares real answers, good and bad, with the schemas
// of the document.
func TestAnswersFitSchemas(t *testing.T) {
	w := newWorld(t, withModels(2), decisive(5), withShadow(1))
	w.challenge(w.versions[1])
	w.ada()
	var decided answered
	w.call(200, "POST", "/v1/recommendations", `{"customer_ids":["ada"]}`, &decided)
	outcome := fmt.Sprintf(`{"decision_id":%q,"event":"accepted","at":%q}`, decided.Results[0].Decision.ID, w.now())
	for _, tt := range []struct{ method, path, route, body string }{
		{"POST", "/v1/scores", "", `{"recommend":true,"customers":[{"customer_id":"ada"},{"customer_id":"x","features":{"eng_n_30":1}},{"customer_id":"nobody"},{}]}`},
		{"POST", "/v1/scores", "", `{"customers":[]}`},
		{"GET", "/v1/customers/ada/score?recommend=true", "/v1/customers/{id}/score", ""},
		{"GET", "/v1/customers/nobody/score", "/v1/customers/{id}/score", ""},
		{"POST", "/v1/events", "", `{"events":[{"type":"customer","customer_id":"b"},{"type":"x"},{"type":"engagement","customer_id":"ada","event_id":"e1","occurred_at":"2026-06-01T00:00:00Z","kind":"other"}]}`},
		{"GET", "/v1/customers/ada", "/v1/customers/{id}", ""},
		{"GET", "/v1/customers/b", "/v1/customers/{id}", ""},
		{"GET", "/v1/customers/ada/timeline?limit=3", "/v1/customers/{id}/timeline", ""},
		{"POST", "/v1/recommendations", "", `{"customer_ids":["ada","b","nobody"],"ranked":true}`},
		{"POST", "/v1/recommendations", "", `{"customer_ids":["ada"],"dry_run":true,"as_of":"2026-06-01T00:00:00Z"}`},
		{"POST", "/v1/outcomes", "", outcome},
		{"GET", "/v1/effects", "", ""},
		{"GET", "/v1/models", "", ""},
		{"POST", "/v1/models/" + w.versions[1] + "/promote", "/v1/models/{version}/promote", `{"reason":"test"}`},
		{"POST", "/v1/models/rollback", "", `{"reason":"test","actor":"me"}`},
		{"POST", "/v1/models/rollback", "", `{"reason":"test"}`},
		{"GET", "/livez", "", ""},
		{"GET", "/readyz", "", ""},
	} {
		contentType := ""
		if tt.body != "" {
			contentType = "application/json"
		}
		rec := w.request(tt.method, tt.path, contentType, []byte(tt.body))
		doc := document(t)
		route := tt.route
		if route == "" {
			route = tt.path
		}
		route, _, _ = strings.Cut(route, "?")
		op := dig(doc, "paths", route, strings.ToLower(tt.method))
		answer := dig(op, "responses", fmt.Sprint(rec.Code))
		if answer == nil {
			answer = dig(doc, "components", "responses", "Problem")
		}
		schema := dig(answer, "content", rec.Header().Get("Content-Type"), "schema")
		if schema == nil {
			t.Errorf("%s %s: %d %s is not documented: %s", tt.method, tt.path, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
			continue
		}
		var v any
		if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		c := checker{doc: doc}
		c.check("", schema.(map[string]any), v)
		for _, e := range c.errors {
			t.Errorf("%s %s: %s", tt.method, tt.path, e)
		}
		if tt.body != "" && rec.Code == 200 { // the request must fit as well
			var v any
			if err := json.Unmarshal([]byte(tt.body), &v); err != nil {
				t.Fatal(err)
			}
			// A batch with bad items is meant not to fit.
			if schema := dig(op, "requestBody", "content", "application/json", "schema"); !strings.Contains(tt.body, "{}") && !strings.Contains(tt.body, `"type":"x"`) {
				c := checker{doc: doc}
				c.check("request", schema.(map[string]any), v)
				for _, e := range c.errors {
					t.Errorf("%s %s: %s", tt.method, tt.path, e)
				}
			}
		}
	}
}

// checker compares values with the part of JSON Schema that the document uses.
// A keyword it does not know is an error.
type checker struct {
	doc    map[string]any
	errors []string
}

func (c *checker) fail(at, format string, args ...any) {
	c.errors = append(c.errors, at+": "+fmt.Sprintf(format, args...))
}

func (c *checker) check(at string, schema map[string]any, v any) {
	if ref, ok := schema["$ref"].(string); ok {
		c.check(at, dig(c.doc, strings.Split(ref, "/")[1:]...).(map[string]any), v)
		return
	}
	for keyword, want := range schema {
		switch keyword {
		case "description", "default", "properties", "items":
		case "type":
			if !slices.ContainsFunc(types(want), func(t string) bool { return is(t, v) }) {
				c.fail(at, "%v is not of type %v", v, want)
			}
		case "enum":
			if !slices.Contains(want.([]any), v) {
				c.fail(at, "%v is none of %v", v, want)
			}
		case "const":
			if v != want {
				c.fail(at, "%v is not %v", v, want)
			}
		case "minimum":
			if n, ok := v.(float64); ok && n < want.(float64) {
				c.fail(at, "%v is below %v", n, want)
			}
		case "maximum":
			if n, ok := v.(float64); ok && n > want.(float64) {
				c.fail(at, "%v is above %v", n, want)
			}
		case "minLength":
			if s, ok := v.(string); ok && float64(len(s)) < want.(float64) {
				c.fail(at, "%q is too short", s)
			}
		case "maxLength":
			if s, ok := v.(string); ok && float64(len(s)) > want.(float64) {
				c.fail(at, "%q is too long", s)
			}
		case "format":
			if s, ok := v.(string); ok && want == "date-time" {
				if _, err := time.Parse(time.RFC3339, s); err != nil {
					c.fail(at, "%v", err)
				}
			}
		case "oneOf":
			fits := 0
			for _, s := range want.([]any) {
				alternative := checker{doc: c.doc}
				if alternative.check(at, s.(map[string]any), v); len(alternative.errors) == 0 {
					fits++
				}
			}
			if fits != 1 {
				c.fail(at, "%v fits %d alternatives", v, fits)
			}
		case "required":
			m, _ := v.(map[string]any)
			for _, name := range want.([]any) {
				if _, ok := m[name.(string)]; m != nil && !ok {
					c.fail(at, "%v is missing", name)
				}
			}
		case "additionalProperties":
			m, _ := v.(map[string]any)
			for name, e := range m {
				if dig(schema, "properties", name) != nil {
					continue
				}
				if s, ok := want.(map[string]any); ok {
					c.check(at+"/"+name, s, e)
				} else if want == false {
					c.fail(at, "%s is not in the schema", name)
				}
			}
		default:
			c.fail(at, "the test does not know the keyword %s", keyword)
		}
	}
	if list, ok := v.([]any); ok && schema["items"] != nil {
		for i, e := range list {
			c.check(fmt.Sprint(at, "/", i), schema["items"].(map[string]any), e)
		}
	}
	if m, ok := v.(map[string]any); ok {
		for name, e := range m {
			if s, ok := dig(schema, "properties", name).(map[string]any); ok {
				c.check(at+"/"+name, s, e)
			}
		}
	}
}

func types(v any) (list []string) {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	for _, e := range v.([]any) {
		list = append(list, e.(string))
	}
	return list
}

func is(t string, v any) bool {
	switch v := v.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "boolean"
	case string:
		return t == "string"
	case float64:
		return t == "number" || t == "integer" && v == math.Trunc(v)
	case []any:
		return t == "array"
	}
	return t == "object"
}

func TestDocsPage(t *testing.T) {
	w := newWorld(t)
	rec := w.request("GET", "/docs", "", nil)
	page := rec.Body.String()
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") || !strings.Contains(rec.Header().Get("Content-Security-Policy"), "style-src 'sha256-") {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	for path := range dig(document(t), "paths").(map[string]any) {
		if !strings.Contains(page, " "+path+"<") {
			t.Errorf("%s is not on the page", path)
		}
	}
	for _, k := range kinds {
		if !strings.Contains(page, `id="`+k.name+`"`) {
			t.Errorf("problem %s is not on the page", k.name)
		}
	}
	if regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(page) || strings.Contains(page, "<script") {
		t.Error("the page loads something from elsewhere")
	}
	if rec := w.request("GET", "/openapi.json", "", nil); rec.Code != 200 || rec.Body.String() != string(openAPI) {
		t.Errorf("openapi.json: %d", rec.Code)
	}
}
