package features

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"churn/event"
)

func mustParse(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return s
}

func mustCompile(t testing.TB, s *Set) *Engine {
	t.Helper()
	e, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// featureNames lists the names of an engine's columns.
func featureNames(e *Engine) (list []string) {
	for _, f := range e.Features() {
		list = append(list, f.Name)
	}
	return list
}

// TestDefault pins the number of features in the default catalogue, counted
// from the file by a script: windows of each line, and three lines by kind; two lines by attribute would add
// to them.
func TestDefault(t *testing.T) {
	s := Default()
	e := mustCompile(t, s.Lock(NewCensus(s)))
	if got, want := len(e.Features()), 135; got != want {
		t.Errorf("%d features without kinds, want %d", got, want)
	}
	c := NewCensus(s)
	tl := &event.Timeline{}
	for i := range 10 {
		for range 20 - i {
			tl.Engagements = append(tl.Engagements, event.EngagementEvent{Kind: fmt.Sprintf("kind %d", i)})
		}
	}
	c.Add(tl, 1)
	e = mustCompile(t, s.Lock(c))
	if got, want := len(e.Features()), 135+8*3; got != want {
		t.Errorf("%d features with eight kinds, want %d", got, want)
	}
	if _, ok := e.Index("eng_kind_7_n_90"); !ok {
		t.Error("the eighth kind is not there")
	}
	if _, ok := e.Index("eng_kind_8_n_90"); ok {
		t.Error("the ninth kind is there")
	}
	for _, f := range e.Features() {
		if f.Family == "" || f.Unit == "" {
			t.Errorf("%s: family %q, unit %q", f.Name, f.Family, f.Unit)
		}
	}
	if !bytes.Equal(DefaultYAML(), defaultYAML) {
		t.Error("DefaultYAML is another text")
	}
}

// TestParseErrors lists declarations that must be refused, and by which words.
func TestParseErrors(t *testing.T) {
	const one = "version: 1\nfeatures:\n- "
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "version 0 is not known"},
		{"no version", "features: []", "version 0 is not known"},
		{"later version", "version: 2", "version 2 is not known; this program reads version 1"},
		{"no features", "version: 1", "no features"},
		{"unknown key", "version: 1\nfeature: []", `unknown field "feature"`},
		{"unknown key of a feature", one + "{name: n, from: engagement, agg: count, window: 30d}", `unknown field "window"`},
		{"equal keys", "version: 1\nversion: 1", "already defined"},
		{"two documents", "version: 1\n---\nversion: 1", "line 2: more than one document"},
		{"not YAML", "\x00{", "feature set: "},
		{"list", "- 1", "feature set: "},
		{"anchor", "version: &v 1\nfeatures: []", "anchors, aliases, tags"},
		{"alias", "version: *v", "anchors, aliases, tags"},
		{"tag", "features: !!a !!a", "anchors, aliases, tags"},
		{"merge", "version: 1\n<<: {a: 1}", "anchors, aliases, tags"},
		{"deep list", "features: " + strings.Repeat("[", 200_000), "nested too deeply"},
		{"deep entries", strings.Repeat("- ", 200_000), "nested too deeply"},
		{"deep mapping", deepMapping(400), "nested too deeply"},
		{"too large", "version: 1\n#" + strings.Repeat("x", maxSetBytes), "larger than 1048576 bytes"},

		{"no name", one + "{from: engagement, agg: count, windows: [30d]}", `name ""`},
		{"name with a space", one + `{name: "a b", from: engagement, agg: count, windows: [30d]}`, `name "a b": use letters`},
		{"name that begins with a digit", one + "{name: 7d, from: engagement, agg: count, windows: [7d]}", `name "7d": use letters`},
		{"long name", one + "{name: " + strings.Repeat("n", 256) + ", from: engagement, agg: count, windows: [7d]}", "at most 255"},
		{"bad name around a level", one + `{name: "a b {by}", from: engagement, agg: count, windows: [7d], by: kind, top: 3}`, "use letters"},
		{"one name for two windows", one + "{name: n, from: engagement, agg: count, windows: [7d, 30d]}", `name "n" is declared twice`},
		{"equal windows", one + `{name: "n_{w}", from: engagement, agg: count, windows: [24h, 1d]}`, `name "n_1" is declared twice`},
		{"equal names", one + "{name: n, from: engagement, agg: count, windows: [7d]}\n- {name: n, from: contacts, agg: count, windows: [7d]}", "declared twice"},
		{"no stream", one + "{name: n, agg: count, windows: [7d]}", `from "": use one of attributes, complaints, contacts, engagement, payments`},
		{"unknown stream", one + "{name: n, from: orders, agg: count, windows: [7d]}", `from "orders"`},
		{"unknown aggregate", one + "{name: n, from: engagement, agg: mode, windows: [7d]}", `agg "mode" is not known; there are active_weeks, anniversary`},
		{"no aggregate", one + "{name: n, from: engagement, windows: [7d]}", `agg "" is not known`},
		{"no field", one + "{name: n, from: engagement, agg: sum, windows: [7d]}", "sum needs a field of engagement: age_days, hour, value, weekday"},
		{"field of another stream", one + "{name: n, from: engagement, agg: sum, field: severity, windows: [7d]}", "sum needs a field of engagement"},
		{"field for a count", one + "{name: n, from: engagement, agg: count, field: value, windows: [7d]}", "count takes no field"},
		{"unknown field for a count", one + "{name: n, from: engagement, agg: count, field: x, windows: [7d]}", "count takes no field"},
		{"no windows", one + "{name: n, from: engagement, agg: count}", "windows are missing, such as [30d, 90d]"},
		{"window without a unit", one + "{name: n, from: engagement, agg: count, windows: [30]}", "is not a length of time"},
		{"short window", one + "{name: n, from: engagement, agg: count, windows: [59m]}", "window 59m: between 1h and 7300d"},
		{"long window", one + "{name: n, from: engagement, agg: count, windows: [7301d]}", "window 7301d: between 1h and 7300d"},
		{"negative window", one + "{name: n, from: engagement, agg: count, windows: [-1d]}", "is not a length of time"},
		{"slope over broken days", one + "{name: n, from: engagement, agg: slope, windows: [36h]}", "window 36h: slope counts by 1d"},
		{"slope over one day", one + "{name: n, from: engagement, agg: slope, windows: [1d]}", "two or more"},
		{"weeks over 30 days", one + "{name: n, from: engagement, agg: down_weeks, windows: [30d]}", "window 30d: down_weeks counts by 7d"},
		{"empty weeks over 365 days", one + "{name: n, from: engagement, agg: empty_weeks, windows: [365d]}", "empty_weeks counts by 7d"},
		{"rate of everything", one + "{name: n, from: payments, agg: rate, windows: [7d]}", "rate needs a where"},
		{"tenure with a window", one + "{name: n, from: customer, agg: tenure, windows: [7d]}", "tenure is of the customer"},
		{"tenure of a stream", one + "{name: n, from: payments, agg: tenure}", "tenure is of the customer"},
		{"count of customers", one + "{name: n, from: customer, agg: count, windows: [7d]}", `from "customer": use one of`},

		{"unknown state", one + "{name: n, from: engagement, agg: count, where: open, windows: [7d]}", `where "open": "open" is neither a state of engagement`},
		{"unknown comparison", one + "{name: n, from: complaints, agg: count, where: severity = 4, windows: [7d]}", "is neither a state of complaints (open, resolved) nor a comparison"},
		{"where with an unknown field", one + "{name: n, from: complaints, agg: count, where: amount > 4, windows: [7d]}", `complaints has no field "amount"; it has age_days`},
		{"text without quotes", one + "{name: n, from: complaints, agg: count, where: category == billing, windows: [7d]}", `category is a text: compare it as category == "text"`},
		{"text in order", one + `{name: n, from: complaints, agg: count, where: 'category > "a"', windows: [7d]}`, "category is a text"},
		{"text in back quotes", one + "{name: n, from: complaints, agg: count, where: 'category == `a`', windows: [7d]}", "category is a text"},
		{"comparison with a text", one + `{name: n, from: complaints, agg: count, where: 'severity > "4"', windows: [7d]}`, "not a finite decimal number"},
		{"comparison with NaN", one + "{name: n, from: complaints, agg: count, where: severity > NaN, windows: [7d]}", "not a finite decimal number"},
		{"comparison out of range", one + "{name: n, from: complaints, agg: count, where: severity > 1e10, windows: [7d]}", "number larger than"},
		{"days out of range", one + "{name: n, from: complaints, agg: count, where: age_days > 999999999, windows: [7d]}", "is out of range"},
		{"empty term", one + `{name: n, from: complaints, agg: count, where: "open and ", windows: [7d]}`, "is neither a state"},
		{"and twice", one + `{name: n, from: complaints, agg: count, where: "open and and open", windows: [7d]}`, "is neither a state"},
		{"or", one + `{name: n, from: complaints, agg: count, where: "open or resolved", windows: [7d]}`, "is neither a state"},

		{"by without top", one + `{name: "n_{by}", from: engagement, agg: count, by: kind, windows: [7d]}`, "by needs levels, or top"},
		{"negative top", one + `{name: "n_{by}", from: engagement, agg: count, by: kind, top: -1, windows: [7d]}`, "1 to 254"},
		{"large top", one + `{name: "n_{by}", from: engagement, agg: count, by: kind, top: 255, windows: [7d]}`, "1 to 254"},
		{"top without by", one + "{name: n, from: engagement, agg: count, top: 3, windows: [7d]}", "top and levels need by"},
		{"levels without by", one + "{name: n, from: engagement, agg: count, levels: [a], windows: [7d]}", "top and levels need by"},
		{"by a number", one + `{name: "n_{by}", from: engagement, agg: count, by: value, top: 3, windows: [7d]}`, `by "value": engagement has kind`},
		{"by without {by}", one + "{name: n, from: engagement, agg: count, by: kind, top: 3, windows: [7d]}", "the name needs {by}"},
		{"equal levels", one + `{name: "n_{by}", from: engagement, agg: count, by: kind, levels: [a, a], windows: [7d]}`, `level "a" appears twice`},
		{"empty level", one + `{name: "n_{by}", from: engagement, agg: count, by: kind, levels: [""], windows: [7d]}`, "a level is empty"},
		{"many features", one + `{name: "n_{by}_{w}", from: engagement, agg: count, by: kind, top: 254, windows: [1d,2d,3d,4d,5d,6d,7d,8d,9d,10d,11d,12d,13d,14d,15d,16d,17d,18d,19d,20d]}`, "more than 5000 features"},

		{"no call", one + "{name: n, expr: a + b}", "write one call such as ratio(a, b); functions: coalesce"},
		{"nested call", one + "{name: n, expr: 'log1p(diff(1, 2))'}", "write one call"},
		{"unknown function", one + "{name: n, expr: 'sqrt(1)'}", `no function "sqrt"`},
		{"number of arguments", one + "{name: n, expr: 'ratio(1)'}", "ratio takes 2 arguments"},
		{"undeclared argument", one + "{name: n, expr: 'log1p(m)'}", `no feature "m" is declared before it`},
		{"itself", one + "{name: n, expr: 'log1p(n)'}", `no feature "n" is declared before it`},
		{"argument without a window", one + "{name: t, from: customer, agg: tenure}\n- {name: n, expr: per_day(t)}", "t has no window"},
		{"constant without a window", one + "{name: n, expr: per_day(3)}", `no feature "3"`},
		{"long window first", one + "{name: 'a_{w}', from: engagement, agg: count, windows: [7d, 30d]}\n- {name: n, expr: 'rate_ratio(a_30, a_7)'}", "the first window must be the shorter one"},
		{"a category", "version: 1\nattributes: [{name: plan, type: category}]\nfeatures:\n- {name: n, expr: 'log1p(cus_plan)'}", "cus_plan is a category"},
		{"expr and agg", one + "{name: n, agg: count, expr: 'log1p(1)'}", "expr stands alone"},
		{"expr and where", one + "{name: n, where: open, expr: 'log1p(1)'}", "expr stands alone"},
		{"expr and levels", one + "{name: n, levels: [a], expr: 'log1p(1)'}", "expr stands alone"},

		{"type", "version: 1\nattributes: [{name: plan, type: text}]", `column "plan": type "text": use number or category`},
		{"levels of a number", "version: 1\nattributes: [{name: age, type: number, levels: [a]}]", `column "age": a number has no levels`},
		{"equal levels of a column", "version: 1\ncolumns: [{name: plan, type: category, levels: [a, a]}]", `column "plan": level "a" appears twice`},
		{"many levels", "version: 1\ncolumns: [{name: plan, type: category, levels: [" + manyLevels(255) + "]}]", "more than 254 levels"},
		{"unknown placeholder", one + "{name: n, from: engagement, agg: count, windows: [7d], text: '{value} of {m}'}", `feature "n": text: {m}: no feature of this name`},
		{"placeholder in zero", one + "{name: n, from: engagement, agg: count, windows: [7d], zero: '{m}'}", `feature "n": zero: {m}: no feature`},
		{"placeholder in missing", "version: 1\ncolumns: [{name: a, type: number, missing: '{m}'}]", `column "a": missing: {m}: no feature`},
		{"placeholder of a level", one + `{name: "n_{by}", from: engagement, agg: count, by: kind, top: 1, windows: [7d]}` + "\n- {name: m, expr: 'log1p(1)', text: '{n_level_0}'}", "those made by level cannot be named"},
		{"open brace", one + "{name: n, from: engagement, agg: count, windows: [7d], text: 'a {value'}", `feature "n": text: "{value": in braces stands value`},
		{"closing brace", one + "{name: n, from: engagement, agg: count, windows: [7d], text: 'value}'}", `in braces stands`},
		{"semicolon in braces", one + "{name: n, from: engagement, agg: count, windows: [7d], text: '{value a;b|c}'}", "in braces stands"},
		{"one word", one + "{name: n, from: engagement, agg: count, windows: [7d], text: '{value days}'}", "as in {value day|days}"},
		{"three words", one + "{name: n, from: engagement, agg: count, windows: [7d], text: '{value a|b|c}'}", "as in {value day|days}"},
		{"w without windows", one + "{name: n, expr: 'log1p(1)', text: '{w}'}", "{w}: w needs windows"},
		{"w with words", one + "{name: n, from: engagement, agg: count, windows: [7d], text: '{w day|days}'}", "{w}: w needs windows"},
		{"by without by", one + "{name: n, from: engagement, agg: count, windows: [7d], text: '{by}'}", "{by}: w needs windows, by needs levels"},
		{"words for a category", "version: 1\ncolumns: [{name: a, type: category, text: '{value x|y}'}]", "{value}: a category is no number"},
		{"per cent of a category", "version: 1\ncolumns: [{name: a, type: category}, {name: b, type: number, text: '{a %}'}]", `column "b": text: {a}: a category is no number`},
		{"zero of a category", "version: 1\ncolumns: [{name: a, type: category, zero: none}]", "a category has no zero"},
		{"long text", one + "{name: n, expr: 'log1p(1)', text: '" + strings.Repeat("x", 1001) + "'}", "text: longer than 1000 bytes"},
		{"long family", one + "{name: n, expr: 'log1p(1)', family: '" + strings.Repeat("x", 101) + "'}", "family or unit is longer than 100 bytes"},
		{"long unit", "version: 1\ncolumns: [{name: a, type: number, unit: '" + strings.Repeat("x", 101) + "'}]", `column "a": family or unit is longer`},
		{"two kinds of set", "version: 1\ncolumns: [{name: a, type: number}]\nattributes: [{name: b, type: number}]", "do not mix"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.400v, want an error with %q", err, tt.want)
			}
		})
	}
}

func deepMapping(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyLevels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "l%d,", i)
	}
	return b.String()
}

// TestParseAccepts lists what must not be refused.
func TestParseAccepts(t *testing.T) {
	const one = "version: 1\nfeatures:\n- "
	for _, text := range []string{
		"# a comment\n---\nversion: 1\nattributes: [{name: a, type: number}]",
		one + `{name: "n_{w}", from: engagement, agg: count, windows: [1h, 36h, 7300d]}`,
		one + "{name: " + strings.Repeat("n", 255) + ", from: engagement, agg: count, windows: [7d]}",
		one + `{name: n, from: complaints, agg: count, where: 'not not  open  and category != "bed and \"break and fast\""', windows: [7d]}`,
		one + "{name: n, expr: 'ratio(1, 2)'}",
		one + "{name: n, from: engagement, agg: down_weeks, windows: [14d]}",
		"version: 1\ncolumns:\n- name: " + `"1 [a] {b} * & !"` + "\n  type: number\n  text: 'a: {value} # %; or {value thing (1)|things} of {_1_a_b}'",
	} {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

func TestCompileNeedsLock(t *testing.T) {
	for _, text := range []string{
		"version: 1\nattributes: [{name: plan, type: category}]",
		"version: 1\ncolumns: [{name: plan, type: category}]",
		"version: 1\nfeatures:\n- {name: '{by}', from: engagement, agg: count, by: kind, top: 1, windows: [7d]}",
	} {
		if _, err := mustParse(t, text).Compile(); err == nil || !strings.Contains(err.Error(), "not frozen") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestLock chooses levels from what was visible, ties in alphabetical order.
func TestLock(t *testing.T) {
	s := mustParse(t, `
version: 1
attributes:
- {name: plan, type: category}
- {name: region, type: category, levels: [north]}
- {name: age, type: number}
features:
- {name: "e_{by}_{w}", from: engagement, agg: count, by: kind, top: 2, windows: [7d, 30d]}
- {name: "c_{by}", from: complaints, agg: count, by: channel, top: 2, windows: [7d]}
- {name: "p_{by}", from: payments, agg: count, by: currency, levels: [EUR], windows: [7d]}
`)
	kinds := func(names ...string) (out []event.EngagementEvent) {
		for i, n := range names {
			out = append(out, event.EngagementEvent{At: event.Time(i), Recorded: event.Time(i), Kind: n})
		}
		return out
	}
	c := NewCensus(s)
	c.Add(&event.Timeline{Customer: event.Customer{Attributes: map[string]string{"plan": "pro", "region": "south"}},
		Engagements: kinds("z", "b", "a", "z")}, 100)
	c.Add(&event.Timeline{Customer: event.Customer{Attributes: map[string]string{"plan": "basic"}},
		// What comes after the last training instant must not choose levels; nor
		// may what was recorded after it.
		Engagements: append(kinds("b", "late", "late", "late"), event.EngagementEvent{At: 0, Recorded: 9, Kind: "late"})}, 1)
	locked := s.Lock(c)
	e := mustCompile(t, locked)
	want := []string{"cus_plan", "cus_region", "cus_age", "e_b_7", "e_z_7", "e_b_30", "e_z_30", "p_EUR"}
	if got := featureNames(e); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := e.Features()[0].Levels; !slices.Equal(got, []string{"basic", "pro"}) {
		t.Errorf("plans %q", got)
	}
	if got := e.Features()[1].Levels; !slices.Equal(got, []string{"north"}) {
		t.Errorf("regions %q", got)
	}
	if s.Features[0].Levels != nil || s.Attributes[0].Levels != nil {
		t.Error("Lock changed the set it was called on")
	}
	// No channel was seen: that is an answer, and it survives a file.
	b, err := locked.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back := mustCompile(t, mustParse(t, string(b)))
	if !slices.Equal(featureNames(back), want) || back.Fingerprint() != e.Fingerprint() {
		t.Errorf("after a file: %q, %s\n%s", featureNames(back), back.Fingerprint(), b)
	}
	// Locking again learns nothing new.
	again := locked.Lock(NewCensus(locked))
	if f, err := again.Fingerprint(); err != nil || f != e.Fingerprint() {
		t.Errorf("locked twice: %s, %v", f, err)
	}
}

// TestNames makes names of texts that look alike, or like something else.
func TestNames(t *testing.T) {
	long := strings.Repeat("x", 300)
	s := mustParse(t, `
version: 1
attributes:
- {name: tenure, type: number}
- {name: "plan (old)", type: number}
- {name: "plan-old", type: number}
- {name: "plan old", type: number}
- {name: "`+long+`", type: number}
features:
- {name: "eng_{by}_{w}", from: engagement, agg: count, by: kind, top: 9, windows: [7d]}
- {name: eng_days_7, from: engagement, agg: days, windows: [7d]}
- {name: cus_tenure, from: customer, agg: tenure}
`)
	c := NewCensus(s)
	for i, kind := range []string{"log in", "log_in", "log/in", "days", "登录", "見る", "log_in_2", long, long + "y"} {
		tl := &event.Timeline{}
		for range 100 - i {
			tl.Engagements = append(tl.Engagements, event.EngagementEvent{Kind: kind})
		}
		c.Add(tl, 1)
	}
	e := mustCompile(t, s.Lock(c))
	x := long[:200]
	want := []string{"cus_tenure_2", "cus_plan_old", "cus_plan-old", "cus_plan_old_2", "cus_" + x,
		"eng_log_in_7", "eng_log_in_7_2", "eng_log_in_7_3", "eng_days_7_2", "eng___7", "eng___7_2", "eng_log_in_2_7", "eng_" + x + "_7", "eng_" + x + "_7_2",
		"eng_days_7", "cus_tenure"}
	if got := featureNames(e); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	for i, name := range want {
		if got, ok := e.Index(name); !ok || got != i {
			t.Errorf("Index(%s) = %d, %v, want %d", name, got, ok, i)
		}
	}
	// The names of a wide table's columns.
	e = mustCompile(t, mustParse(t, `{version: 1, columns: [{name: "2020 sales", type: number}, {name: "-x", type: number}, {name: "%", type: number}]}`))
	if got, want := featureNames(e), []string{"_2020_sales", "_-x", "_"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// oddTexts are levels that a YAML library may take for something else.
var oddTexts = strings.Split("1|true|null|~|2026-01-01| a|a |a: b|#x|a #b|1e3|0x1|yes|no|on|y|.inf|.nan|-.inf|+.inf|12:30:45|0o7|<<|=|- a|-|?|? b|%a|@a|`a|>|&a|*a|!a|!!str a|{a|[a|]|}|'|\"|''|a'b|a\"b|\\|a\\nb|é|日本|\u00a0a|0|00|1_000|+1|1.|---|...|:|a:|:a|,|a, b|None|NaN|Inf|🙂|${x}|e\u0301|\ufffd|\x7f|a\tb|\t|\n|a\r\nb|\r|\u2028|<&>|\\u0041", "|")

func TestRoundTrip(t *testing.T) {
	s := &Set{Version: 1,
		Attributes: []Column{{Name: "a: [b]", Type: "category", Levels: oddTexts, Text: "{value}: # 'x'"}},
		Features: []Definition{
			{Name: "{by}_{w}", From: "engagement", Agg: "count", By: "kind", Levels: oddTexts, Windows: []event.Duration{event.Hour, 36 * event.Hour}},
			{Name: "n", From: "complaints", Agg: "count", Where: `category == "a and b: #"`, Windows: []event.Duration{event.Day}, Family: "no", Unit: "1e3", Text: ".inf"},
		}}
	want, err := s.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		s = mustParse(t, string(b))
		if got, _ := s.Fingerprint(); got != want {
			t.Fatalf("the fingerprint changed\n%s", b)
		}
		if !slices.Equal(s.Attributes[0].Levels, oddTexts) || !slices.Equal(s.Features[0].Levels, oddTexts) {
			t.Fatalf("got %q\nwant %q", s.Features[0].Levels, oddTexts)
		}
	}
	mustCompile(t, s)
}

// TestFingerprint pins one: it stands in model files. Should a new version of
// the YAML library write other bytes, this fails, and not every model at load.
func TestFingerprint(t *testing.T) {
	const text = "version: 1\nfeatures:\n- {name: 'n_{w}', from: engagement, agg: count, windows: [7d, 36h], text: '{value} in {w}'}\n- {name: t, from: customer, agg: tenure}\n"
	s := mustParse(t, text)
	b, err := s.Marshal()
	const want = `version: 1
features:
- name: "n_{w}"
  from: engagement
  agg: count
  windows:
  - 7d
  - 36h
  text: "{value} in {w}"
- name: t
  from: customer
  agg: tenure
`
	if err != nil || string(b) != want {
		t.Errorf("got\n%s%v\nwant\n%s", b, err, want)
	}
	// sha256sum of "operators 1\n" and the text above, by GNU coreutils 9.1.
	if got, _ := s.Fingerprint(); got != "cdf05365b10f063199128aa1eb1378f06e0acebf86f93f9f19a3490ffaa4d74f" {
		t.Errorf("got %s", got)
	}
	other := mustParse(t, strings.Replace(text, "36h", "48h", 1))
	if a, _ := s.Fingerprint(); a == mustCompile(t, other).Fingerprint() {
		t.Error("another window has the same fingerprint")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"version: 1\nattributes: [{name: plan, type: category, levels: [a, b]}]",
		"version: 1\ncolumns:\n- {name: a, type: number}\n- {name: b, type: category}\n",
		"version: 1\nfeatures:\n- {name: '{by}_{w}', from: engagement, agg: count, by: kind, top: 3, where: 'kind != \"a and b\"', windows: [1h, 7d]}\n- {name: n, expr: 'ratio(1, 2)'}",
		"version: 1\nfeatures:\n- {name: n, from: complaints, agg: mean, field: hours_to_resolve, where: not open and severity >= 1.5, windows: [90d]}",
		"version: 1\nfeatures:\n- {name: '{by}_{w}', from: engagement, agg: count, by: kind, top: 2, windows: [1d], text: '{by} {value a|b};{c %} in {w}', zero: '{by}', missing: none, family: f}\n- {name: c, expr: 'ratio(1, 2)', text: '{c}'}",
		"features: !!a !!a", "version: &a 1", "version: 1\n---\n", "? a", "{", "- - - -", "version: 1\nfeatures: |\n  x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		locked := s.Lock(NewCensus(s))
		e, err := locked.Compile()
		if err != nil && err.Error() != "feature set: no features" {
			t.Fatalf("parsed, but does not compile: %v\n%q", err, b)
		}
		text, err := locked.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(text)
		if e == nil {
			return // only levels that were never seen: a set of nothing
		}
		if err != nil {
			t.Fatalf("%q\nbecomes\n%s\n%v", b, text, err)
		}
		if got, err := back.Fingerprint(); err != nil || got != e.Fingerprint() {
			t.Fatalf("%q\nbecomes\n%s\nwith another fingerprint, %v", b, text, err)
		}
		if len(e.Features()) < 500 {
			row := make([]float32, len(e.Features()))
			e.Row(row, &event.Timeline{}, 0)
			for i := range row {
				e.Sentence(i, row)
			}
		}
	})
}
