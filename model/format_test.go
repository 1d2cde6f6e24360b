package model

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/features"
)

// schema lists the fields of a type as they are called in the file.
func schema(t reflect.Type, tag, path string) (lines []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
		return []string{path}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get(tag), ",")
		switch {
		case !f.IsExported() || name == "-":
		case strings.Contains(options, "inline"):
			lines = append(lines, schema(f.Type, tag, path)...)
		default:
			lines = append(lines, schema(f.Type, tag, path+"."+name)...)
		}
	}
	return lines
}

// TestFrozen: the fields of the members are those of the newest format, and none
// of an earlier one is gone. Renaming or dropping one breaks old files; a new one
// is a new format version.
func TestFrozen(t *testing.T) {
	var got []string
	for _, l := range layout {
		got = append(got, l.name)
	}
	for _, part := range []struct {
		member, tag string
		value       any
	}{
		{manifestMember, "json", Manifest{}}, {featuresMember, "yaml", features.Set{}}, {linearMember, "json", Linear{}},
		{calibrationMember, "json", Calibration{}}, {referenceMember, "json", Reference{}}, {goldenMember, "json", []GoldenRow{}},
	} {
		got = append(got, schema(reflect.TypeOf(part.value), part.tag, part.member)...)
	}
	slices.Sort(got)
	text := strings.Join(got, "\n") + "\n"
	file := filepath.Join(oldModels, fmt.Sprintf("format-%d.txt", FormatVersion))
	want, err := os.ReadFile(file)
	if *update && errors.Is(err, os.ErrNotExist) {
		want, err = []byte(text), os.WriteFile(file, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the model file now has\n%s\nwhere %s has\n%s\nA format is frozen once it is released: for something new raise FormatVersion, "+
			"add it to additions, to the history in docs/model-file.md and to the old files", text, file, want)
	}
}

func TestFieldsStay(t *testing.T) {
	var before []string
	for v := 1; v <= FormatVersion; v++ {
		b, err := os.ReadFile(filepath.Join(oldModels, fmt.Sprintf("format-%d.txt", v)))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Split(string(b), "\n")
		for _, f := range before {
			if !slices.Contains(fields, f) {
				t.Errorf("format %d has no %s", v, f)
			}
		}
		before = fields
	}
}

// TestAdditions: what came later raises the version of the files that use it
// and of no others, and a file cannot have it under an older version.
func TestAdditions(t *testing.T) {
	linear, forest := fileOf(t, linearModel(t)), fileOf(t, forestModel(t))
	defer func(before []addition) { additions = before }(additions)
	const next = FormatVersion + 1
	additions = []addition{
		{next, "linear part", func(m *Model) bool { return m.Linear != nil }},
		{next + 1, "nothing at all", func(*Model) bool { return false }},
	}

	if again := fileOf(t, forestModel(t)); !bytes.Equal(again, forest) {
		t.Error("a model without the addition is written in another way")
	}
	if _, err := Read(linear); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), fmt.Sprintf("format version 1 has no linear part, which came with %d", next)) {
		t.Errorf("a file of format 1 with the addition: %v", err)
	}
	// This program does not read the next format: it stands for an older one here.
	if err := Write(&bytes.Buffer{}, linearModel(t)); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "use a newer program") {
		t.Errorf("a model with the addition: %v", err)
	}
}

// TestHistory: every addition has a version that this program reads.
func TestHistory(t *testing.T) {
	newest := 1
	for _, a := range additions {
		if a.version < 2 || a.what == "" || a.used == nil {
			t.Errorf("%+v", a)
		}
		newest = max(newest, a.version)
	}
	if newest != FormatVersion {
		t.Errorf("additions end at format version %d, the program at %d", newest, FormatVersion)
	}
}
