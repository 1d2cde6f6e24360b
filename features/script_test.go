package features

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/event"
)

// TestScripts runs testdata/*.test; testdata/README.md is the grammar.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.test")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".test"), func(t *testing.T) {
			s := script{t: t, path: path, used: map[string]bool{}, who: nobody}
			s.run(readLines(t, path))
		})
	}
}

// script is the state of one file: the set and history in force.
type script struct {
	t      *testing.T
	path   string
	line   int
	set    *Set
	err    error // of the declaration, until expect error asks for it
	census *Census
	events []event.Event
	// Attributes that change, and corrections of them.
	changes []event.AttributeChange
	who     event.Customer
	used    map[string]bool
}

// nobody is a customer of whom nothing is known.
var nobody = event.Customer{ID: "c", SignedUpAt: event.Never, ChurnedAt: event.Never}

func readLines(t testing.TB, path string) (lines []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		lines = append(lines, in.Text())
	}
	return lines
}

func (s *script) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s", s.path, s.line, fmt.Sprintf(format, args...))
}

// run reads commands. The indented lines after a command are its body.
func (s *script) run(lines []string) {
	for i := 0; i < len(lines); {
		s.line = i + 1
		head := strings.TrimSpace(comment.ReplaceAllString(lines[i], ""))
		i++
		if head == "" {
			continue
		}
		word, rest, _ := strings.Cut(head, " ")
		if word == "features" {
			from := i
			for i < len(lines) && lines[i] != "end" {
				i++
			}
			if i == len(lines) {
				s.fatal("features without end")
			}
			s.declare(strings.Join(lines[from:i], "\n"))
			i++
			continue
		}
		var body []string
		from := i
		for i < len(lines) && (strings.HasPrefix(lines[i], " ") || strings.HasPrefix(lines[i], "#")) {
			body = append(body, strings.TrimSpace(comment.ReplaceAllString(lines[i], "")))
			i++
		}
		if s.err != nil && word != "expect" {
			s.fatal("the declaration before is wrong: %v", s.err)
		}
		switch word {
		case "clear":
			s.events, s.changes, s.who, s.census = nil, nil, nobody, nil
		case "load":
			for k, l := range body {
				s.line = from + k + 1
				s.load(l)
			}
		case "lock":
			s.census = NewCensus(s.set)
			s.census.Add(s.timeline(), s.instant(strings.TrimPrefix(rest, "at ")))
		case "eval":
			s.eval(s.instant(strings.TrimPrefix(rest, "at ")), body, from)
		case "expect":
			s.expect(rest)
		default:
			s.fatal("unknown command %q", word)
		}
	}
	if s.err != nil {
		s.t.Errorf("%s: %v", s.path, s.err)
	}
}

var comment = regexp.MustCompile(`(^|\s)#.*$`)

func (s *script) declare(text string) {
	if s.err != nil {
		s.fatal("the declaration before is wrong: %v", s.err)
	}
	s.set, s.err = Parse([]byte(text))
	s.census = nil
	if s.err == nil {
		record(s.used, s.set)
	}
}

func (s *script) expect(rest string) {
	word, rest, _ := strings.Cut(rest, " ")
	switch word {
	case "error":
		if s.err == nil || !strings.Contains(s.err.Error(), rest) {
			s.fatal("got %v, want an error with %q", s.err, rest)
		}
		s.err = nil
	case "names":
		if got := strings.Join(featureNames(s.engine()), " "); got != rest {
			s.fatal("got %s, want %s", got, rest)
		}
	default:
		s.fatal("expect what?")
	}
}

// base is the instant that scripts count from, in the middle of a day.
var base = func() event.Time {
	t, err := event.ParseTime("2026-01-01T14:35:00Z")
	if err != nil {
		panic(err)
	}
	return t
}()

var offset = regexp.MustCompile(`([+-]?)(\d+)(us|[dhms])`)

// instant reads a sum of lengths such as -30d+1us, counted from base.
func (s *script) instant(text string) event.Time {
	if text == "0" {
		return base
	}
	t := base
	if offset.ReplaceAllString(text, "") != "" || text == "" {
		s.fatal("%q is no time", text)
	}
	for _, m := range offset.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			s.fatal("%q: %v", text, err)
		}
		d := event.Duration(n) * map[string]event.Duration{"us": 1, "s": event.Second, "m": event.Minute, "h": event.Hour, "d": event.Day}[m[3]]
		if m[1] == "-" {
			d = -d
		}
		t = t.Add(d)
	}
	return t
}

// load adds what one line says, as the events an import would store.
func (s *script) load(line string) {
	if line == "" {
		return
	}
	words := strings.Fields(line)
	f := map[string]string{}
	for _, w := range words[1:] {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			s.fatal("%q is not key=value", w)
		}
		f[k] = v
	}
	take := func(key string) string {
		v := f[key]
		delete(f, key)
		return v
	}
	id := fmt.Sprint(words[0], len(s.events))
	amount := func(key string) (event.Amount, bool) {
		v := take(key)
		if v == "" {
			return 0, false
		}
		a, err := event.ParseAmount(v)
		if err != nil {
			s.fatal("%s: %v", key, err)
		}
		return a, true
	}
	// phase adds an event, known when known says so, else no earlier than after.
	phase := func(typ event.Type, key, known string, after event.Time) *event.Event {
		at := take(key)
		if at == "" {
			return nil
		}
		e := event.Event{ID: id, Customer: "c", Type: typ, At: s.instant(at)}
		e.Recorded = max(e.At, after)
		if k := take(known); k != "" {
			e.Recorded = s.instant(k)
		}
		s.events = append(s.events, e)
		return &s.events[len(s.events)-1]
	}
	const none = math.MinInt64
	switch words[0] {
	case "engagement":
		e := phase(event.Engagement, "at", "recorded", none)
		e.Kind = take("kind")
		e.Value, e.HasValue = amount("value")
	case "complaint":
		e := phase(event.ComplaintOpened, "at", "recorded", none)
		e.Kind, e.Channel = take("category"), take("channel")
		e.Value, e.HasValue = amount("severity")
		known := e.Recorded
		if e := phase(event.ComplaintResolved, "resolved", "resolved_recorded", known); e != nil {
			e.Value, e.HasValue = amount("satisfaction")
		}
	case "payment":
		value, ok := amount("amount")
		kind := take("currency")
		for _, p := range []struct {
			typ        event.Type
			key, known string
		}{
			{event.PaymentDue, "due", "recorded"}, {event.PaymentPaid, "paid", "paid_recorded"},
			{event.PaymentFailed, "failed", "failed_recorded"}, {event.PaymentRefunded, "refunded", "refunded_recorded"},
		} {
			if e := phase(p.typ, p.key, p.known, none); e != nil {
				e.Value, e.HasValue, e.Kind = value, ok, kind
			}
		}
	case "contact":
		e := phase(event.Contact, "at", "recorded", none)
		e.Kind, e.Channel, e.Arm, e.Outcome = take("action"), take("channel"), take("arm"), take("outcome")
		e.Value, e.HasValue = amount("cost")
	case "change":
		c := event.AttributeChange{At: s.instant(take("at")), Name: take("attribute"), Value: take("value")}
		c.Recorded = c.At
		if k := take("recorded"); k != "" {
			c.Recorded = s.instant(k)
		}
		if k := take("superseded"); k != "" {
			c.Superseded = s.instant(k)
		}
		s.changes = append(s.changes, c)
	case "customer":
		if v := take("signed_up"); v != "" {
			s.who.SignedUpAt = s.instant(v)
		}
		s.who.Attributes = f
		f = nil
	default:
		s.fatal("%q is no stream", words[0])
	}
	if len(f) > 0 {
		s.fatal("left over: %v", f)
	}
}

func (s *script) timeline() *event.Timeline {
	tl := event.NewTimeline(s.who, slices.Clone(s.events))
	tl.Changes = s.changes
	return tl
}

func (s *script) engine() *Engine {
	if s.set == nil {
		s.fatal("no features")
	}
	census := s.census
	if census == nil {
		census = NewCensus(s.set)
	}
	e, err := s.set.Lock(census).Compile()
	if err != nil {
		s.fatal("%v", err)
	}
	return e
}

// eval compares a row with the values by name. It also checks that the row
// is the same without everything that happened or was recorded later.
func (s *script) eval(t event.Time, want []string, from int) {
	e := s.engine()
	row := make([]float32, len(e.Features()))
	e.Row(row, s.timeline(), t)
	cut := make([]float32, len(row))
	known := event.NewTimeline(s.who, before(s.events, t))
	for _, c := range s.changes {
		if !event.Visible(c.At, c.Recorded, t) {
			continue
		}
		if c.Superseded >= t {
			c.Superseded = 0
		}
		known.Changes = append(known.Changes, c)
	}
	e.Row(cut, known, t)
	for i := range row {
		if math.Float32bits(row[i]) != math.Float32bits(cut[i]) {
			s.t.Errorf("%s:%d: %s is %v, without later events %v", s.path, s.line, e.Features()[i].Name, row[i], cut[i])
		}
	}
	for k, line := range want {
		s.line = from + k + 1
		name, value, ok := strings.Cut(line, " ")
		if line == "" {
			continue
		}
		i, found := e.Index(name)
		if !ok || !found {
			s.fatal("no feature %q; there are %s", name, featureNames(e))
		}
		if w := float32(s.number(strings.TrimSpace(value))); row[i] != w && !(row[i] != row[i] && w != w) {
			s.t.Errorf("%s:%d: %s is %v, want %s = %v", s.path, s.line, name, row[i], value, w)
		}
	}
}

var call = regexp.MustCompile(`^(sqrt|log1p)\((.*)\)$`)

// number reads missing, a number, a fraction, or sqrt or log1p of one.
func (s *script) number(text string) float64 {
	if m := call.FindStringSubmatch(text); m != nil {
		return map[string]func(float64) float64{"sqrt": math.Sqrt, "log1p": math.Log1p}[m[1]](s.number(m[2]))
	}
	if text == "missing" {
		return nan
	}
	num, den, fraction := strings.Cut(text, "/")
	a, err := strconv.ParseFloat(num, 64)
	if err != nil {
		s.fatal("%q is no number", text)
	}
	if !fraction {
		return a
	}
	b, err := strconv.ParseFloat(den, 64)
	if err != nil {
		s.fatal("%q is no number", text)
	}
	return a / b
}

// before keeps what had happened and was known at t. A due date may lie ahead.
func before(events []event.Event, t event.Time) (out []event.Event) {
	for _, e := range events {
		if event.Visible(e.At, e.Recorded, t) {
			out = append(out, e)
		}
	}
	return out
}

// record notes which parts of the language a set uses.
func record(used map[string]bool, s *Set) {
	for _, d := range s.Features {
		if d.Agg != "" {
			used["agg "+d.Agg] = true
		}
		if d.Field != "" {
			used["field "+d.From+" "+d.Field] = true
		}
		if d.By != "" {
			used["text "+d.From+" "+d.By] = true
		}
		if name, _, ok := strings.Cut(d.Expr, "("); ok {
			used["function "+name] = true
		}
		for _, term := range splitTerms(d.Where) {
			for strings.HasPrefix(strings.TrimSpace(term), "not ") {
				term = strings.TrimPrefix(strings.TrimSpace(term), "not ")
			}
			term = strings.TrimSpace(term)
			used["state "+d.From+" "+term] = true
			if m := comparison.FindStringSubmatch(term); m != nil {
				used["operator "+m[2]] = true
				used["text "+d.From+" "+m[1]] = true
			}
		}
	}
}

// TestScriptsCover fails when an operator has no script: whoever adds a row to
// a table adds a script for it.
func TestScriptsCover(t *testing.T) {
	used := map[string]bool{}
	paths, _ := filepath.Glob("testdata/*.test")
	for _, path := range paths {
		lines := readLines(t, path)
		for i, l := range lines {
			if l != "features" {
				continue
			}
			end := i + slices.Index(lines[i:], "end")
			if s, err := Parse([]byte(strings.Join(lines[i+1:end], "\n"))); err == nil {
				record(used, s)
			}
		}
	}
	var all []string
	for name := range aggregates {
		all = append(all, "agg "+name)
	}
	for name := range functions {
		all = append(all, "function "+name)
	}
	for stream := range fields {
		for name := range fields[stream] {
			all = append(all, "field "+stream+" "+name)
		}
		for name := range states[stream] {
			all = append(all, "state "+stream+" "+name)
		}
		for name := range textFields[stream] {
			all = append(all, "text "+stream+" "+name)
		}
	}
	for _, op := range []string{"==", "!=", ">=", "<=", ">", "<"} {
		all = append(all, "operator "+op)
	}
	slices.Sort(all)
	for _, name := range all {
		if !used[name] {
			t.Errorf("no script uses %s", name)
		}
	}
}
