package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
	"churn/model"
)

func parse(t *testing.T, text string) config {
	t.Helper()
	c := defaultConfig()
	if err := parseConfig([]byte(text), &c); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// TestParseConfigDefaults says that a key, a section or everything may be left
// out or empty.
func TestParseConfigDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n# nothing\n", "model:\n", "model: ~\n", "sources:\nimport:\nchurn:\ntraining:\noutreach:\nserver:\n",
		"training: {}\nchurn: {}\n", "sources: {payments: }\n"} {
		got, want := parse(t, text), defaultConfig()
		if len(got.Sources) == 0 || len(got.Sources["payments"]) == 0 {
			got.Sources = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"modle: x", `[1:1] unknown field "modle"`},
		{"model: x\nmodel: y", "[2:1] mapping key"},
		{"sources:\n  payments:\n    - path: p.csv\n      colums: {}", `[4:7] unknown field "colums"`},
		{"attributes:\n  - {name: plan, kind: category}", `[2:18] unknown field "kind"`},
		{"outreach:\n  economics: {margin: 0.3}", `[2:15] unknown field "margin"`},
		{"training:\n  # a comment\n  every: 3 weeks", "line 3: "},
		{"churn:\n  kind: contract\n  gap: -1d\n", "line 3: "},
		{"training: {replicates: -1}", "line 1: "},
		{"training:\n  seed: 1.5", "line 2: "},
		{"outreach:\n  quiet_from: \"25:00\"", "line 2: "},
		{"outreach:\n  assume_consent: email", "[2:19] "},
		{"sources:\n  payments: p.csv", "[2:13] "},
		{"sources: {payments: [{path: p.csv, lag: -2d}]}", "line 1: "},
		{"sources: {customers: [{path: c.csv, delimiter: tab}]}", "sources.customers[0]: delimiter"},
		{"sources: {engagement: [{path: c.csv, time_zone: Mars/Olympus}]}", "sources.engagement[0]: "},
		{"training:\n  bands: deciles", `line 2: training.bands: use quantiles, profit, or two probabilities such as {medium: 0.1, high: 0.3}, not "deciles"`},
		{"training: {capacity: 0}", "line 1: training.capacity: use a number of customers such as 500, or a share such as 10%"},
		{"training: {capacity: 101%}", "line 1: training.capacity: use"},
		{"training: {capacity: nan%}", "line 1: training.capacity: use"},
		{"training: {capacity: 0.1}", "line 1: training.capacity: use"},
		{"training: {checks: slow}", `training.checks: "slow": use full, or quick`},
		{"training: {bands: [0.1, 0.3]}", "line 1: training.bands: use quantiles, profit, or"},
		{"training: {bands: 0.1}", "line 1: training.bands: use quantiles, profit, or"},
		{"training: {bands: {medium: 0.1}}", "line 1: training.bands: use quantiles, profit, or"},
		{"training: {bands: {medium: 0.1, high: 0.3, hihg: 0.3}}", "line 1: training.bands: use quantiles, profit, or"},
		{"training: {bands: {medium: 0.1, high: x}}", "line 1: training.bands: use quantiles, profit, or"},
		{"training: {bands: {medium: 0.4, high: 0.3}}", "line 1: training.bands: medium 0.4 and high 0.3: use two probabilities above 0 and below 1"},
		{"training: {bands: {medium: 0, high: 0.3}}", "medium 0 and"},
		{"training: {bands: {medium: 0.1, high: 1}}", "high 1: use"},
		{"training: {bands: {medium: .nan, high: 0.3}}", "medium NaN"},
		{"churn: {kind: payment}", "unpaid_for"},
		{"churn: {kind: inactivity, horizon: 0d}", "horizon"},
		{"churn: {kind: inactivity, streams: [complaints]}", "complaints"},
		{"churn: {kind: label}", "label"},
		{"churn: {kind: decline, measure: spend, drop: .nan, least: 1}", "line 1: "},
		{"churn:\n  kind: decline\n  measure: spend\n  drop: 50%\n  least: 1", "line 4: "},
		{"churn: {kind: decline, measure: spend, drop: 50, least: 1}", "above 0 to 1"},
		{"churn: {drop: 0.5}", "of kind decline"},
		{"churn: {kinds: voluntary}", "[1:"},
		{"churn: {kinds: [payment]}", `kinds: "payment"`},
		{"churn: {involuntary_reasons: []}", "name one at least"},
		{"import: {max_bad_share: .nan}", "import.max_bad_share"},
		{"import: {max_bad_share: -0.1}", "import.max_bad_share"},
		{"outreach: {time_zone: Mars/Olympus}", "outreach.time_zone"},
		{"server: {shadow_share: 1.5}", "server.shadow_share"},
		{"server: {cache: 256 parsecs}", "line 1: "},
		{"server: {cache: -1}", "line 1: "},
		{"server: {cache: 99999999999999GB}", "line 1: "},
		{"server: {shadow_share: .nan}", "server.shadow_share"},
		{"model: Üben", "model: "},
		{"trusted_keys: [{id: a b, public: x}]", "trusted_keys[0]: id"},
		{"trusted_keys: [{id: a}]", "trusted_keys[0]: public is missing"},
		{"trusted_keys: [{id: a, public: x}, {id: a, public: y}]", `trusted_keys[1]: id "a" occurs twice`},
		{"- model: x", "[1:1] "},
		{"model: x\n---\nmodel: y", "line 2: "},
		{"model: &a x\ndatabase: *a", "line 1: "},
		{"model: " + strings.Repeat("[", 100_000), "line 1: "},
	} {
		conf := defaultConfig()
		err := parseConfig([]byte(c.text), &conf)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestParseConfigBands(t *testing.T) {
	for text, want := range map[string]bandsConfig{
		"":                             {by: "quantiles"},
		"training: {bands: }":          {by: "quantiles"},
		"training: {bands: quantiles}": {by: "quantiles"},
		"training: {bands: profit}":    {by: "profit"},
		"training: {bands: {high: 0.3, medium: 0.1}}":            {by: "probabilities", medium: 0.1, high: 0.3},
		"training:\n  bands:\n    medium: 0.2\n    high: 2e-1\n": {by: "probabilities", medium: 0.2, high: 0.2},
	} {
		if got := parse(t, text).Training.Bands; got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// TestPolicy says that what only serving uses is checked, too.
func TestParseConfigCache(t *testing.T) {
	for text, want := range map[string]byteSize{"": 256 << 20, "server: {cache: 0}": 0, "server: {cache: 2GB}": 2 << 30} {
		if got := parse(t, text).Server.Cache; got != want {
			t.Errorf("%q is %d bytes, want %d", text, got, want)
		}
	}
}

func TestPolicy(t *testing.T) {
	for text, want := range map[string]string{
		"":                                         "",
		"outreach: {explore: 1}":                   "explore",
		"outreach: {holdout: {share: 1.2}}":        "share",
		"outreach: {holdout: {salt: ''}}":          "salt",
		"outreach: {assume_consent: [pigeon]}":     "assume_consent[0]",
		"outreach: {playbook: nowhere.yaml}":       "nowhere.yaml",
		"outreach: {economics: {margin_rate: 30}}": "margin_rate",
	} {
		c := parse(t, text)
		c.dir = t.TempDir()
		_, err := c.policy()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// projects are what init and simulate may write.
func projects() map[string]project {
	return map[string]project{
		"empty": {churn: model.Definition{Kind: "contract", Horizon: 30 * event.Day}, every: 30 * event.Day, snapshots: 12},
		"simulated": {
			note:  "A world: with \"quotes\", # signs and {braces}.",
			clock: "2026-04-01T00:00:00Z",
			churn: model.Definition{Kind: "contract", Gap: 7 * event.Day, Horizon: 30 * event.Day, Grace: 12 * event.Hour},
			every: 30 * event.Day, snapshots: 12,
			sources:    map[event.Stream][]string{event.Customers: {"customers.csv.gz"}, event.Payments: {"payments.csv", "payments/*.csv"}},
			attributes: []features.Column{{Name: "plan", Type: "category"}, {Name: "seats", Type: "number"}},
		},
		"strange names": {
			churn: model.Definition{Kind: "inactivity", Horizon: 90 * event.Minute, ActiveWithin: 36 * event.Hour, MinTenure: 45 * event.Second},
			every: 14 * event.Day, snapshots: 16,
			sources: map[event.Stream][]string{event.Engagements: {"dir with: colon/# engagement.csv"}},
			columns: map[event.Stream][]string{event.Engagements: event.Columns(event.Engagements)},
			attributes: []features.Column{{Name: `say "hi" \ there: {x}`, Type: "category"}, {Name: "Größe, 中", Type: "number"},
				{Name: "true", Type: "category"}, {Name: "1.5", Type: "number"}, {Name: "- a # b", Type: "category"}, {Name: "a'b", Type: "category"}},
			proposed: []features.Column{{Name: "two\nlines", Type: "category"}, {Name: "# c", Type: "number"}},
		},
	}
}

// TestProjectParsesBack writes a project file and reads it: the values that
// were meant, and the defaults everywhere else.
func TestProjectParsesBack(t *testing.T) {
	for name, p := range projects() {
		t.Run(name, func(t *testing.T) {
			text := string(p.yaml())
			got, want := parse(t, text), defaultConfig()
			want.Clock, want.Churn, want.Attributes = p.clock, p.churn, p.attributes
			want.Training.Every, want.Training.Snapshots = p.every, whole(p.snapshots)
			want.Sources = map[string][]source{}
			for s, paths := range p.sources {
				for _, path := range paths {
					want.Sources[s.String()] = append(want.Sources[s.String()], source{Path: path})
				}
			}
			plain(reflect.ValueOf(&got).Elem())
			plain(reflect.ValueOf(&want).Elem())
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v\nfrom\n%s", got, want, text)
			}
			// What is proposed is valid once the comment sign is taken away.
			if len(p.proposed) > 0 {
				taken := parse(t, strings.ReplaceAll(text, "#  - {name", "  - {name"))
				if got := taken.Attributes[len(p.attributes):]; len(got) != len(p.proposed) || got[1].Name != p.proposed[1].Name {
					t.Errorf("proposed attributes are read as %+v", got)
				}
			}
		})
	}
}

// plain makes empty lists and maps nil, to compare by content.
func plain(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				plain(f)
			}
		}
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			v.SetZero()
		}
	}
}

// TestConfigurationDocument holds docs/configuration.md against the configuration
// itself: a row for every key, and no other.
func TestConfigurationDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for line := range strings.Lines(string(doc)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			key, _, _ := strings.Cut(rest, "`")
			described[key] = true
		}
	}
	known := keys("", reflect.TypeFor[config]())
	for _, key := range known {
		if !described[key] {
			t.Errorf("docs/configuration.md has no row for `%s`", key)
		}
	}
	for key := range described {
		if !slices.Contains(known, key) {
			t.Errorf("docs/configuration.md describes `%s`, which is no key", key)
		}
	}
	// The example at its end is a project file.
	_, example, ok := strings.Cut(string(doc), "```yaml\n")
	example, _, ok2 := strings.Cut(example, "```")
	if !ok || !ok2 {
		t.Fatal("docs/configuration.md has no example")
	}
	parse(t, example)
}

// keys lists the paths of all keys: sections by dots, lists by [].
func keys(prefix string, t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag, inline := strings.CutSuffix(f.Tag.Get("yaml"), ",inline")
		name, _, _ := strings.Cut(tag, ",")
		if inline {
			out = append(out, keys(prefix, f.Type)...)
			continue
		}
		if !f.IsExported() {
			continue
		}
		path, ft := prefix+name, f.Type
		switch {
		case ft.Kind() == reflect.Map && ft.Elem().Kind() == reflect.Slice && ft.Elem().Elem().Kind() == reflect.Struct:
			out = append(out, keys(path+".TABLE[].", ft.Elem().Elem())...)
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct:
			out = append(out, keys(path+"[].", ft.Elem())...)
		case ft == reflect.TypeFor[bandsConfig](), ft == reflect.TypeFor[capacityConfig](): // a word or two numbers
			out = append(out, path)
		case ft.Kind() == reflect.Struct:
			out = append(out, keys(path+".", ft)...)
		default:
			out = append(out, path)
		}
	}
	return out
}

// FuzzParseConfig: no text panics, and one that is taken means the same when
// read again and has what everything needs.
func FuzzParseConfig(f *testing.F) {
	for _, p := range projects() {
		f.Add(p.yaml())
	}
	shipped, err := filepath.Glob("../../testdata/*/churn.yaml")
	if err != nil || len(shipped) == 0 {
		f.Fatal("no project file is shipped", err)
	}
	for _, path := range shipped {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{"", "# x", "model: a\n---\nmodel: b", "clock: 1e309", "training: {seed: 18446744073709551615}",
		"sources: {payments: [{path: a, columns: {amount: 'a * b'}, values: {status: {x: paid}}, skip: {n: ['C*']}, time_format: unix | 02.01.2006}]}",
		"churn: {kind: payment, unpaid_for: 30d}", "churn: {kind: decline, measure: value, usage_kinds: [a], drop: 1e-6, least: .5, baseline: 9d, kinds: [declined, lapsed]}", "training: {bands: {medium: 0.1, high: .3}}", "training: {bands: profit}", "a: &a [*a]", "? [a]: b", "!!binary x", "outreach: {quiet_from: 1:2, economics: ~}",
		"server:\n  keys:\n  - id: crm\n    sha256: 00\n    scopes: [read]", "churn: {horizon: 9999999999999d}", "model: \"\\x00\\u0000\\U0010FFFF\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return // the library takes time by the square
		}
		c := defaultConfig()
		if err := parseConfig(b, &c); err != nil {
			return
		}
		again := defaultConfig()
		if err := parseConfig(bytes.Clone(b), &again); err != nil {
			t.Fatalf("taken once and then not: %v", err)
		}
		// As text, in which not a number is equal to itself.
		if one, two := fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", again); one != two {
			t.Fatalf("read as %s and then as %s", one, two)
		}
		if c.Model == "" || c.Churn.Horizon <= 0 && c.Churn.Kind != "label" {
			t.Fatalf("taken without a model or horizon: %+v", c)
		}
	})
}
