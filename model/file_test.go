package model

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"churn/event"
	"churn/features"
)

// TestRoundTrip: what is read is what was written, and scores the same bits.
func TestRoundTrip(t *testing.T) {
	for name, m := range testModels(t) {
		t.Run(name, func(t *testing.T) {
			b := fileOf(t, m)
			got, err := Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Manifest, m.Manifest) {
				t.Errorf("manifest %+v, want %+v", got.Manifest, m.Manifest)
			}
			for what, pair := range map[string][2]any{
				"linear": {got.Linear, m.Linear}, "calibration": {got.Calibration, m.Calibration},
				"reference": {got.Reference, m.Reference}, "golden": {got.Golden, m.Golden},
				"report": {got.ReportJSON, m.ReportJSON}, "page": {got.ReportHTML, m.ReportHTML},
			} {
				if !reflect.DeepEqual(pair[0], pair[1]) {
					t.Errorf("%s %+v, want %+v", what, pair[0], pair[1])
				}
			}
			a, z := compile(t, m), compile(t, got)
			r := rand.New(rand.NewPCG(3, 4))
			for _, row := range randomRows(r, 500) {
				pa, pz := make([]float64, testColumns), make([]float64, testColumns)
				if sa, sz := a.Score(row, pa), z.Score(row, pz); sa != sz || !reflect.DeepEqual(pa, pz) {
					t.Fatalf("row %v: %+v %v after reading, %+v %v before", row, sz, pz, sa, pa)
				}
			}
			if again := fileOf(t, got); !bytes.Equal(again, b) {
				t.Error("writing what was read gives other bytes")
			}
		})
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	for name := range testModels(t) {
		first := fileOf(t, testModels(t)[name])
		for range 5 {
			if !bytes.Equal(fileOf(t, testModels(t)[name]), first) {
				t.Errorf("%s: the same model gives other bytes", name)
			}
		}
	}
}

// TestVersion: the version changes when anything does, and only then.
func TestVersion(t *testing.T) {
	base := blendModel(t)
	fileOf(t, base)
	version := base.Manifest.Version
	if !VersionPattern.MatchString(version) || !strings.HasPrefix(version, "20260401-") {
		t.Fatalf("version %q", version)
	}
	seen := map[string]string{version: "nothing"}
	for name, change := range map[string]func(*Model){
		"name":        func(m *Model) { m.Manifest.Name = "other" },
		"kind":        func(m *Model) { m.Manifest.Kind = "other" },
		"seed":        func(m *Model) { m.Manifest.Seed++ },
		"through":     func(m *Model) { m.Manifest.Through++ },
		"no through":  func(m *Model) { m.Manifest.Through = event.Never },
		"definition":  func(m *Model) { m.Manifest.Definition.Grace = event.Day },
		"weights":     func(m *Model) { m.Manifest.Weights.Forest += 1e-16 },
		"bands":       func(m *Model) { m.Manifest.Bands.High = 0.51 },
		"data":        func(m *Model) { m.Manifest.DataFingerprint += "." },
		"metric":      func(m *Model) { m.Manifest.Metrics["auc"] += 1e-15 },
		"less metric": func(m *Model) { delete(m.Manifest.Metrics, "auc") },
		"gate":        func(m *Model) { m.Manifest.Gate.Passed = false },
		"reasons":     func(m *Model) { m.Manifest.Gate.Reasons = nil },
		"features":    func(m *Model) { m.Features.Features[0].Text += "." },
		"linear":      func(m *Model) { m.Linear.Terms[0].Missing += 1e-15 },
		"no linear":   func(m *Model) { m.Linear = nil },
		"forest":      func(m *Model) { m.Forest.Trees[0].LeafValue[0] += 1e-15 },
		"no forest":   func(m *Model) { m.Forest = nil },
		"calibration": func(m *Model) { m.Calibration.Slope += 1e-15 },
		"reference":   func(m *Model) { m.Reference.Rows++ },
		"golden":      func(m *Model) { m.Golden = m.Golden[1:] },
		"report":      func(m *Model) { m.ReportJSON = append(m.ReportJSON, ' ') },
		"page":        func(m *Model) { m.ReportHTML = nil },
	} {
		m := blendModel(t)
		change(m)
		fileOf(t, m)
		if same, dup := seen[m.Manifest.Version]; dup {
			t.Errorf("%s: version %s as with %s changed", name, m.Manifest.Version, same)
		}
		seen[m.Manifest.Version] = name
		if name == "no through" && !strings.HasPrefix(m.Manifest.Version, "00000000-") {
			t.Errorf("version without a time is %s", m.Manifest.Version)
		}
	}

	// What Write fills in itself does not count.
	m := blendModel(t)
	m.Manifest.Version, m.Manifest.Format, m.Manifest.SHA256 = "x", 9, map[string]string{"x": "y"}
	if fileOf(t, m); m.Manifest.Version != version || m.Manifest.Format != 1 || len(m.Manifest.SHA256) != 8 {
		t.Errorf("manifest %+v, want version %s", m.Manifest, version)
	}
}

// TestWriteRefuses what Read would, writing nothing and changing nothing.
func TestWriteRefuses(t *testing.T) {
	for name, change := range map[string]func(*Model){
		"name":              func(m *Model) { m.Manifest.Name = "../x" },
		"no features":       func(m *Model) { m.Features = nil },
		"metric":            func(m *Model) { m.Manifest.Metrics["auc"] = math.NaN() },
		"definition":        func(m *Model) { m.Manifest.Definition.Horizon = 0 },
		"part of a second":  func(m *Model) { m.Manifest.Definition.Gap = 1500 * 1000 },
		"year":              func(m *Model) { m.Manifest.Through = event.Never - 1 },
		"text":              func(m *Model) { m.Manifest.Kind = "\xff" },
		"forest":            func(m *Model) { m.Forest.Trees[0].LeafCount = nil },
		"margin":            func(m *Model) { m.Golden[0].Margin = math.Inf(1) },
		"slope":             func(m *Model) { m.Calibration.Slope = math.NaN() },
		"too many objects":  func(m *Model) { m.Golden = make([]GoldenRow, maxObjects+1) },
		"manifest too long": func(m *Model) { m.Manifest.Gate.Reasons = []string{strings.Repeat("x", 1<<20)} },
	} {
		m := blendModel(t)
		change(m)
		before := m.Manifest
		var b bytes.Buffer
		if err := Write(&b, m); err == nil || b.Len() > 0 {
			t.Errorf("%s: error %v, %d bytes written", name, err, b.Len())
		}
		if m.Manifest.Version != before.Version || m.Manifest.SHA256 != nil {
			t.Errorf("%s: the manifest was changed", name)
		}
	}
	if err := Write(failing{}, blendModel(t)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a failing writer gives %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestTampered: a file of which any byte was changed, or that was cut short or
// added to, is refused.
func TestTampered(t *testing.T) {
	good := fileOf(t, linearModel(t))
	refused := func(b []byte, what string, i int) {
		t.Helper()
		if m, err := Read(b); !errors.Is(err, ErrFormat) || errors.Is(err, ErrVersion) || m != nil {
			t.Errorf("%s %d of %d: %v", what, i, len(good), err)
		}
	}
	b := bytes.Clone(good)
	for i := range b {
		for _, bits := range []byte{0x01, 0x80, 0xff} {
			b[i] ^= bits
			refused(b, "byte", i)
			b[i] ^= bits
		}
	}
	for i := range good {
		refused(good[:i], "cut at", i)
		if i > 0 {
			refused(good[i:], "without the first", i)
		}
	}
	refused(append(bytes.Clone(good), 0), "one byte more", 0)
	refused(append([]byte{'#'}, good...), "one byte before", 0)
	refused(append(bytes.Clone(good), good...), "twice", 0)
	if _, err := Read(good); err != nil {
		t.Fatal(err) // or the test would prove nothing
	}
}

// rewritten returns a file in which a member was replaced and every hash, the
// version and the seal were made to fit again, as a forger would.
func rewritten(t testing.TB, file []byte, name string, change func([]byte) []byte) []byte {
	t.Helper()
	content := contentOf(t, file)
	if name != manifestMember {
		old := hash(content[name])
		content[name] = change(content[name])
		content[manifestMember] = bytes.Replace(content[manifestMember], []byte(old), []byte(hash(content[name])), 1)
	} else {
		content[name] = change(content[name])
	}
	content[manifestMember] = reversioned(content[manifestMember])
	b, err := pack(content)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var versionMember = regexp.MustCompile(`"version": "([0-9]{8})[^"]*"`)

// reversioned puts the version that follows into the text of a manifest.
func reversioned(manifest []byte) []byte {
	day := versionMember.FindSubmatch(manifest)
	if day == nil {
		return manifest
	}
	blank := bytes.Replace(manifest, day[0], []byte(`"version": ""`), 1)
	return bytes.Replace(manifest, day[0], []byte(`"version": "`+string(day[1])+"-"+hash(blank)[:12]+`"`), 1)
}

// contentOf unpacks without any check.
func contentOf(t testing.TB, file []byte) map[string][]byte {
	t.Helper()
	content := map[string][]byte{}
	for _, f := range zipOf(t, file).File {
		b, err := unpackMember(f, MaxFileBytes)
		if err != nil {
			t.Fatal(err)
		}
		content[f.Name] = b
	}
	return content
}

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(old)) {
			panic("the test replaces what is not there: " + old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
}

// TestForged: a file whose hashes fit but whose members do not make sense is
// an error that says where.
func TestForged(t *testing.T) {
	blend, isotonic := fileOf(t, blendModel(t)), fileOf(t, forestModel(t))
	for _, c := range []struct {
		name   string
		file   []byte
		member string
		change func([]byte) []byte
		want   string // in the error
	}{
		{"nothing", blend, goldenMember, func(b []byte) []byte { return b }, ""},
		{"manifest not JSON", blend, manifestMember, func([]byte) []byte { return []byte("{") }, "manifest.json"},
		{"manifest empty", blend, manifestMember, func([]byte) []byte { return nil }, "manifest.json"},
		{"manifest null", blend, manifestMember, func([]byte) []byte { return []byte("null") }, "format version 0"},
		{"format 0", blend, manifestMember, replace(`"format": 1`, `"format": 0`), "format version 0"},
		{"format -1", blend, manifestMember, replace(`"format": 1`, `"format": -1`), "format version -1"},
		{"format twice", blend, manifestMember, replace(`"format": 1`, `"format": 1, "format": 2`), "duplicate"},
		{"unknown field", blend, manifestMember, replace(`"seed"`, `"sead"`), "sead"},
		{"case", blend, manifestMember, replace(`"seed"`, `"Seed"`), "Seed"},
		{"name", blend, manifestMember, replace(`"name": "test"`, `"name": "../test"`), "../test"},
		{"version", blend, manifestMember, replace(`"version": "`, `"version": "x`), "does not follow"},
		{"trailing data", blend, manifestMember, func(b []byte) []byte { return append(b, "{}"...) }, "manifest.json"},
		{"seed", blend, manifestMember, replace(`"seed": 7`, `"seed": -7`), "seed"},
		{"time", blend, manifestMember, replace("2026-04-01T", "9999-04-01T"), "1900 to 2199"},
		{"definition", blend, manifestMember, replace(`"kind": "contract"`, `"kind": "x"`), "definition: kind"},
		{"horizon", blend, manifestMember, replace(`"horizon": "30d"`, `"horizon": "-30d"`), "length of time"},
		{"features not YAML", blend, featuresMember, func([]byte) []byte { return []byte("[") }, "features.yaml"},
		{"features empty", blend, featuresMember, func([]byte) []byte { return nil }, "features.yaml"},
		{"features long", blend, featuresMember, func([]byte) []byte { return bytes.Repeat([]byte("#\n"), 1<<19+1) }, "features.yaml: unpacks to more"},
		{"aggregate", blend, featuresMember, replace("agg: count", "agg: kount"), "kount"},
		{"other features", blend, featuresMember, replace(`"{value} engagements`, `"{value}  engagements`), "feature fingerprint"},
		{"forest text", blend, forestMember, replace("num_leaves=3", "num_leaves=4"), "forest.txt: reading forest: line"},
		{"forest empty", blend, forestMember, func([]byte) []byte { return nil }, "forest.txt"},
		{"forest names", blend, forestMember, replace("feature_names=cus_plan eng_n_30", "feature_names=cus_plan eng_n_31"), `forest: feature 1 is "eng_n_31"`},
		{"forest leaf", blend, forestMember, replace("0.125", "1e300"), "tree 2"},
		{"linear not JSON", blend, linearMember, func([]byte) []byte { return []byte("[]") }, "linear.json"},
		{"linear field", blend, linearMember, replace(`"missing"`, `"misses"`), "misses"},
		{"linear number", blend, linearMember, replace("2.5", "NaN"), "linear.json"},
		{"linear overflow", blend, linearMember, replace("2.5", "1e999"), "linear.json"},
		{"linear huge", blend, linearMember, replace("2.5", "2.5e7"), "eng_rec"},
		{"term", blend, linearMember, replace("cus_plan", "cus_plam"), `term "cus_plam": no such feature`},
		{"term twice", blend, linearMember, replace("cus_plan", "eng_rec"), `term "eng_rec" appears twice`},
		{"calibration kind", blend, calibrationMember, replace("platt", "plott"), `kind "plott"`},
		{"calibration slope", blend, calibrationMember, replace("1.25", "-1.25"), "slope -1.25 must be positive"},
		{"calibration no slope", blend, calibrationMember, replace("1.25", "0"), "slope 0 must be positive"},
		{"calibration order", isotonic, calibrationMember, replace("0.7", "0.1"), "knot 2 does not ascend"},
		{"calibration range", isotonic, calibrationMember, replace("0.7", "1.1"), "knot 2 is out of range"},
		{"calibration knots", isotonic, calibrationMember, replace("1.5", "1.5, 2"), "4 margins and 3 probabilities"},
		{"golden margin", blend, goldenMember, replace(`"margin": `, `"margin": 9`), "golden row 0: margin"},
		{"golden probability", blend, goldenMember, replace(`"probability": 0`, `"probability": 1`), "golden row 0: probability"},
		{"golden width", blend, goldenMember, func([]byte) []byte { return []byte(`[{"values":[1],"margin":0,"probability":0}]`) }, "golden row 0 has 1 values"},
		{"golden range", blend, goldenMember, func([]byte) []byte { return []byte(`[{"values":[1e39],"margin":0,"probability":0}]`) }, "golden.json"},
		{"golden rows", blend, goldenMember, func([]byte) []byte { return []byte("[" + strings.Repeat("{},", maxGolden) + "{}]") }, "65 golden rows"},
		{"objects", blend, goldenMember, func([]byte) []byte { return []byte("[" + strings.Repeat("{},", maxObjects) + "{}]") }, "more than 20000 objects"},
		{"depth", blend, goldenMember, func([]byte) []byte { return bytes.Repeat([]byte("["), 1<<20) }, "golden.json"},
		{"quantiles", blend, referenceMember, replace(`"quantiles": [`, `"quantiles": [0,`), "102 quantiles"},
		{"reference name", blend, referenceMember, replace("pay_amt_90", "pay_amt_91"), `reference: feature 2, "pay_amt_91"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Read(rewritten(t, c.file, c.member, c.change))
			if err == nil {
				_, err = m.Compile()
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestMemberHashes: no member can be changed without its hash, nor a hash
// without the version.
func TestMemberHashes(t *testing.T) {
	good := fileOf(t, blendModel(t))
	for _, l := range layout[1:] {
		content := contentOf(t, good)
		content[l.name] = append(content[l.name], '\n')
		b, err := pack(content)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(b); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), l.name+" does not have the hash") {
			t.Errorf("%s: %v", l.name, err)
		}
		content[manifestMember] = bytes.Replace(content[manifestMember], []byte(hash(content[l.name][:len(content[l.name])-1])), []byte(hash(content[l.name])), 1)
		if b, err = pack(content); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(b); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "does not follow from the content") {
			t.Errorf("%s: %v", l.name, err)
		}
	}
}

// TestNewer: a file of a later format is told apart from a damaged one,
// whatever else is new in it.
func TestNewer(t *testing.T) {
	good := fileOf(t, linearModel(t))
	next := fmt.Sprintf(`"format": %d`, FormatVersion+1)
	for name, b := range map[string][]byte{
		"version only":  rewritten(t, good, manifestMember, replace(`"format": 1`, next)),
		"new field":     rewritten(t, good, manifestMember, replace(`"format": 1`, next+`, "new": {"a": 1}`)),
		"other members": zipWith(t, entry{name: manifestMember, data: []byte(`{` + next + `}`)}, entry{name: "new.bin"}),
		"field moved":   zipWith(t, entry{name: "first"}, entry{name: manifestMember, data: []byte(`{"x": [1], "format": 99}`)}),
	} {
		if _, err := Read(b); !errors.Is(err, ErrVersion) || errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	good := fileOf(t, linearModel(t))
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, b := range map[string][]byte{"good": good, "empty": {}, "cut": good[:len(good)/2]} {
		if err := os.WriteFile(path(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	huge, err := os.Create(path("huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(huge.Truncate(MaxFileBytes+1), huge.Close()); err != nil { // a hole, not bytes
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "good", "loop": "loop", "nowhere": "gone", "to pipe": "pipe", "to dir": "."} {
		if err := os.Symlink(to, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]error{
		"good": nil, "link": nil,
		"empty": ErrFormat, "cut": ErrFormat, "pipe": ErrFormat, "huge": ErrFormat, ".": ErrFormat,
		"to pipe": ErrFormat, "to dir": ErrFormat, "loop": syscall.ELOOP,
		"nowhere": os.ErrNotExist, "gone": os.ErrNotExist, "good/x": syscall.ENOTDIR, "no\x00ne": syscall.EINVAL,
	} {
		m, err := Load(path(name))
		if !errors.Is(err, want) || (err == nil) != (m != nil) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if errors.Is(err, ErrFormat) && !strings.Contains(err.Error(), path(name)) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
	}
}

// TestWideTable: a model of a wide table, without times and without a report.
func TestWideTable(t *testing.T) {
	set, err := features.Parse([]byte("version: 1\ncolumns:\n- {name: Fee, type: number}\n- {name: Plan, type: category, levels: []}\n"))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{
		Manifest: Manifest{Name: "t", Through: event.Never, Definition: Definition{Kind: "label", Label: "Churn=Yes"},
			Weights: Weights{Linear: 1}, FeatureFingerprint: engine.Fingerprint()},
		Features: set,
		// A category of which no level was seen has no contributions but these.
		Linear:      &Linear{Terms: []Term{{Feature: "Plan", Other: 1, Missing: -1}}},
		Calibration: Calibration{Kind: "platt", Slope: 1},
		Reference:   NewReference(&features.Matrix{Features: engine.Features()}, nil, nil),
	}
	m, err = Read(fileOf(t, m))
	if err != nil {
		t.Fatal(err)
	}
	s := compile(t, m)
	for _, c := range []struct {
		plan   float32
		margin float64
	}{{-1, 1}, {0, 1}, {nan, -1}} {
		got := s.Score([]float32{1, c.plan}, nil)
		if got.Margin != c.margin || !math.IsNaN(got.Percentile) {
			t.Errorf("plan %v: %+v, want margin %v and no percentile", c.plan, got, c.margin)
		}
	}
}
