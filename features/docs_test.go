package features

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// These tests hold the tables of docs/features.md against the tables of the code.

// chapter returns what the document says under a heading, up to the next one.
func chapter(t *testing.T, heading string) string {
	t.Helper()
	doc, err := os.ReadFile("../docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(doc), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/features.md has no heading %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n#")
	return text
}

// tables lists the tables of a chapter as cells, without their heads.
func tables(text string) (all [][][]string) {
	inside := false
	for line := range strings.Lines(text) {
		line, is := strings.CutPrefix(strings.TrimSpace(line), "|")
		switch {
		case !is:
			inside = false
		case !inside: // the head
			all, inside = append(all, nil), true
		case strings.HasPrefix(line, "---"):
		default:
			cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all[len(all)-1] = append(all[len(all)-1], cells)
		}
	}
	return all
}

var code = regexp.MustCompile("`([^`]*)`")

// quoted lists what stands in backticks.
func quoted(cell string) (names []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	return names
}

// agree compares what the document lists with what there is, in any order.
func agree[V any](t *testing.T, what string, documented []string, code map[string]V) {
	t.Helper()
	slices.Sort(documented)
	if got, want := strings.Join(documented, ", "), names(code); got != want {
		t.Errorf("docs/features.md has these %s:\n%s\nthe code:\n%s", what, got, want)
	}
}

func TestDocumentKeys(t *testing.T) {
	for heading, of := range map[string]reflect.Type{
		"## What can be declared": reflect.TypeFor[Definition](), "### Attributes": reflect.TypeFor[Column](),
	} {
		keys := map[string]bool{}
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ",")
			keys[name] = true
		}
		var documented []string
		for _, row := range tables(chapter(t, heading))[0] {
			documented = append(documented, quoted(row[0])...)
		}
		agree(t, "keys under "+heading, documented, keys)
	}
	_, example, _ := strings.Cut(chapter(t, "## What can be declared"), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := Parse([]byte(example)); err != nil {
		t.Errorf("the example of docs/features.md: %v", err)
	}
}

func TestDocumentAggregates(t *testing.T) {
	all := tables(chapter(t, "## Aggregates"))
	if len(all) != 2 {
		t.Fatalf("%d tables, want two", len(all))
	}
	var documented []string
	for k, rows := range all {
		for _, row := range rows {
			name := quoted(row[0])[0]
			documented = append(documented, name)
			a := aggregates[name]
			unit, takes, empty := orElse(a.unit, "of the field"), a.of, a.empty
			switch {
			case k == 1 && empty == "of t":
				empty = "never"
			case k == 1: // where it is missing
				empty = "without a sign-up"
			case a.field:
				takes = "number"
			case a.text:
				takes = "text"
			}
			if row[1] != takes || !strings.HasPrefix(row[3], empty) || row[4] != unit {
				t.Errorf("docs/features.md: %s takes %q, %q, unit %q; want %q, %q, %q", name, row[1], row[3], row[4], takes, empty, unit)
			}
		}
	}
	agree(t, "aggregates", documented, aggregates)
	words := map[string]bool{}
	for name := range aggregateWords {
		words[name] = true
	}
	agree(t, "aggregates", documented, words)
}

func TestDocumentFields(t *testing.T) {
	all := tables(chapter(t, "## Fields, texts, states"))
	if len(all) != 3 {
		t.Fatalf("%d tables, want three", len(all))
	}
	numbers, texts, holds := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for _, row := range all[0] {
		streams := []string{row[0]}
		if row[0] == "every one" {
			streams = strings.Split(names(fields), ", ")
		}
		for _, stream := range streams {
			name := quoted(row[1])[0]
			numbers[stream] = append(numbers[stream], name)
			if f := fields[stream][name]; f.unit != row[2] || f.dated != (row[3] == "yes") {
				t.Errorf("docs/features.md: %s of %s has unit %q, of t %q; want %q, %v", name, stream, row[2], row[3], f.unit, f.dated)
			}
		}
	}
	for _, row := range all[1] {
		texts[row[0]] = quoted(row[1])
		if texts[row[0]][0] != kindField[row[0]] {
			t.Errorf("docs/features.md: the first text of %s is not its kind, %s", row[0], kindField[row[0]])
		}
	}
	for _, row := range all[2] {
		holds[row[0]] = append(holds[row[0]], quoted(row[1])...)
	}
	for stream := range fields {
		agree(t, "fields of "+stream, numbers[stream], fields[stream])
		agree(t, "texts of "+stream, texts[stream], textFields[stream])
		agree(t, "states of "+stream, holds[stream], states[stream])
	}
}

func TestDocumentFunctions(t *testing.T) {
	var documented []string
	for _, row := range tables(chapter(t, "## Functions"))[0] {
		call := quoted(row[0])[0]
		name, arguments, _ := strings.Cut(call, "(")
		documented = append(documented, name)
		if f := functions[name]; row[1] != functionWords[name] || row[2] != f.unit || strings.Count(arguments, ",")+1 != f.args {
			t.Errorf("docs/features.md: %s is %q, unit %q; want %q, %q, of %d", call, row[1], row[2], functionWords[name], f.unit, f.args)
		}
	}
	agree(t, "functions", documented, functions)
	agree(t, "functions", documented, functionWords)
}
