package api

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
)

var update = flag.Bool("update", false, "write the answers of this run into docs/api.md")

const guide = "../docs/api.md"

// example is a command in the guide and the answer below it.
var example = regexp.MustCompile("(?s)```sh\n(curl .*?)```\n\n```(json|text)\n(.*?)```")

var (
	decisionPattern = regexp.MustCompile(`\bd[0-9a-f]{32}\b`)
	decisionStand   = "d0000000000000000000000000000001"
	policyPattern   = regexp.MustCompile(`"policy": "[0-9a-f]{64}"`)
	// The last digits of exp differ between processors.
	digitsPattern = regexp.MustCompile(`-?\d+\.\d{8,}`)
	bytesPattern  = regexp.MustCompile(`"bytes": \d+`)
)

// TestGuide runs the commands of docs/api.md, in their order, against one
// server and compares the answers.
func TestGuide(t *testing.T) {
	w := newWorld(t, withModels(2), decisive(5))
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	// What depends on every byte of a model or policy is shown by stand-ins.
	stand := []string{w.versions[0], "20260601-000000000001", w.versions[1], "20260601-000000000002"}
	shown, meant := strings.NewReplacer(stand...), strings.NewReplacer(stand[1], stand[0], stand[3], stand[2])
	routes := map[string]bool{}
	decision, refused := "", 0
	got := example.ReplaceAllFunc(text, func(b []byte) []byte {
		m := example.FindSubmatch(b)
		method, path, contentType, body := command(t, meant.Replace(strings.ReplaceAll(string(m[1]), decisionStand, decision)))
		rec := w.request(method, path, contentType, []byte(body))
		routes[method+" "+strings.SplitN(path, "?", 2)[0]] = true
		w.pass(event.Second)
		if rec.Code >= 400 {
			refused++
		}
		answer := rec.Body.Bytes()
		if v := jsontext.Value(answer); string(m[2]) == "json" {
			if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
				t.Fatalf("%s: %v: %s", m[1], err, answer)
			}
			if id := decisionPattern.FindString(string(v)); id != "" {
				decision = id
			}
			text := decisionPattern.ReplaceAllString(shown.Replace(string(v)), decisionStand)
			text = policyPattern.ReplaceAllString(text, `"policy": "`+strings.Repeat("0", 64)+`"`)
			text = digitsPattern.ReplaceAllStringFunc(text, func(s string) string {
				f, err := strconv.ParseFloat(s, 64)
				if err != nil {
					t.Fatal(err)
				}
				return strconv.FormatFloat(f, 'g', 8, 64)
			})
			answer = []byte(bytesPattern.ReplaceAllString(text, `"bytes": 4000`))
		} else if len(answer) == 0 {
			answer = []byte("204 No Content")
		}
		return bytes.Replace(b, append(append([]byte("```"+string(m[2])+"\n"), m[3]...), "```"...),
			append(append([]byte("```"+string(m[2])+"\n"), answer...), "\n```"...), 1)
	})
	if *update {
		if err := os.WriteFile(guide, got, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(got, text) {
		t.Errorf("docs/api.md shows other answers than this run: go test ./api -run Guide -update\n%s", firstDifference(string(text), string(got)))
	}
	if refused != 1 { // the one that shows a problem
		t.Errorf("%d commands were refused", refused)
	}
	// Every JSON endpoint has an example.
	for _, e := range w.server.endpoints() {
		if e.raw != nil && e.path != "/readyz" {
			continue
		}
		pattern := regexp.MustCompile("^" + e.method + " " + regexp.MustCompile(`:\w+`).ReplaceAllString(e.path, "[^/]+") + "$")
		found := false
		for r := range routes {
			found = found || pattern.MatchString(r)
		}
		if !found {
			t.Errorf("docs/api.md has no example of %s %s", e.method, e.path)
		}
	}
}

// command reads a curl command of the guide: -X, -H, -d and the address.
func command(t *testing.T, text string) (method, path, contentType, body string) {
	t.Helper()
	method = "GET"
	text = strings.ReplaceAll(text, "\\\n", " ")
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(text, -1)
	for i := 1; i < len(words); i++ {
		word := strings.Trim(words[i], "'")
		switch word {
		case "-X", "-H", "-d":
			i++
			value := strings.Trim(words[i], "'")
			switch word {
			case "-X":
				method = value
			case "-d":
				body = value
			case "-H":
				contentType = strings.TrimPrefix(value, "Content-Type: ")
			}
		default:
			path = strings.TrimPrefix(word, "localhost:8080")
		}
	}
	if body != "" && method == "GET" {
		method = "POST"
	}
	return method, path, contentType, body
}

func firstDifference(a, b string) string {
	want, got := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range want {
		if i >= len(got) || want[i] != got[i] {
			return "want " + want[i] + "\ngot  " + strings.Join(got[min(i, len(got)):min(i+1, len(got))], "")
		}
	}
	return ""
}
