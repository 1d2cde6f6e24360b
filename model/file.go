package model

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
	"churn/features"
	"churn/model/gbdt"
)

// Errors of a file. Both say what to do in their text.
var (
	// ErrFormat: the file is damaged, or is no model file.
	ErrFormat = errors.New("not a valid model file")
	// ErrVersion: the file is newer than this program.
	ErrVersion = errors.New("model file is of a newer format")
)

// Model is the content of a model file.
type Model struct {
	Manifest    Manifest
	Features    *features.Set // locked
	Forest      *gbdt.Forest  // nil without one
	Linear      *Linear       // nil without one
	Calibration Calibration
	Reference   Reference
	Golden      []GoldenRow
	ReportJSON  []byte
	ReportHTML  []byte
}

// GoldenRow is a row with its known score; null is a missing value.
type GoldenRow struct {
	Values      []*float32 `json:"values"`
	Margin      float64    `json:"margin"`
	Probability float64    `json:"probability"`
}

// Limits on what Read will take, far above any model of use.
const (
	MaxFileBytes = 256 << 20
	// maxObjects bounds the objects of one JSON member: three bytes, {}, and
	// a comma, can stand for a hundred in memory.
	maxObjects = 20_000
	// maxDirectory bounds the records of the zip's directory, which are read
	// before their number can be checked.
	maxDirectory = 1000
)

// Members of the file. forest.txt or linear.json may be missing, not both.
const (
	manifestMember    = "manifest.json"
	featuresMember    = "features.yaml"
	forestMember      = "forest.txt"
	linearMember      = "linear.json"
	calibrationMember = "calibration.json"
	referenceMember   = "reference.json"
	reportMember      = "report.json"
	htmlMember        = "report.html"
	goldenMember      = "golden.json"
)

// member is a name and the most bytes that it may unpack to.
type member struct {
	name  string
	limit int
}

// layout lists the members in the order they are written.
var layout = []member{
	{manifestMember, 1 << 20}, {featuresMember, 1 << 20}, {forestMember, 128 << 20}, {linearMember, 32 << 20},
	{calibrationMember, 32 << 20}, {referenceMember, 32 << 20}, {reportMember, 64 << 20}, {htmlMember, 64 << 20},
	{goldenMember, 32 << 20},
}

// sealText begins the comment of the archive; the SHA-256 of every byte before
// the digits follows. The hashes in the manifest cover the content; the seal
// covers what lies around it in a zip, and shows at once a file cut short.
const sealText = "sha256 of the file up to here: "

// jsonOptions write the same bytes for the same value, in lines for people.
var jsonOptions = json.JoinOptions(json.Deterministic(true), jsontext.WithIndent(" "))

// Write writes the file of a model and fills in its manifest: format, hashes
// of the members, and the version, which follows from them. Equal models give
// equal bytes. A model that Read would refuse is an error, with nothing
// written and the manifest as it was.
func Write(w io.Writer, m *Model) error {
	content, err := m.members()
	if err != nil {
		return err
	}
	f := m.Manifest
	f.Format, _ = m.format()
	f.Version = ""
	f.SHA256 = map[string]string{}
	for name, b := range content {
		f.SHA256[name] = hash(b)
	}
	nameless, err := json.Marshal(&f, jsonOptions)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	f.Version = versionOf(nameless, f.Through)
	if content[manifestMember], err = json.Marshal(&f, jsonOptions); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	b, err := pack(content)
	if err != nil {
		return err
	}
	if _, err := Read(b); err != nil {
		return fmt.Errorf("the model cannot be written: %w", err)
	}
	m.Manifest = f
	_, err = w.Write(b)
	return err
}

// pack makes a sealed zip of the members.
func pack(content map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for _, l := range layout {
		data, ok := content[l.name]
		if !ok {
			continue
		}
		// No time stamp: the same model gives the same bytes.
		h := &zip.FileHeader{Name: l.name, Method: zip.Deflate}
		if l.name == forestMember {
			// Half the size, but as long to unpack as to read the trees.
			h.Method = zip.Store
		}
		f, err := zw.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(data); err != nil {
			return nil, err
		}
	}
	if err := zw.SetComment(sealText + hash(nil)); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	n := b.Len() - len(hash(nil))
	return append(b.Bytes()[:n], hash(b.Bytes()[:n])...), nil
}

// sealed reports whether the file is as it was written.
func sealed(b []byte) bool {
	n := max(0, len(b)-len(hash(nil)))
	return bytes.HasSuffix(b[:n], []byte(sealText)) && string(b[n:]) == hash(b[:n])
}

// hash is SHA-256 in hex.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// versionOf derives the version from the manifest, written with an empty
// version: the day through which the model saw data, and the first digits of
// the hash of the manifest, which holds the hashes of the other members.
func versionOf(manifest []byte, through event.Time) string {
	day := "00000000" // a wide table has no times
	if through != event.Never {
		day = through.Time().Format("20060102")
	}
	return day + "-" + hash(manifest)[:12]
}

// members encodes everything but the manifest.
func (m *Model) members() (map[string][]byte, error) {
	content := map[string][]byte{reportMember: m.ReportJSON, htmlMember: m.ReportHTML}
	if m.Features == nil {
		return nil, errors.New("features: the model has no feature set")
	}
	yaml, err := m.Features.Marshal()
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	content[featuresMember] = yaml
	if m.Forest != nil {
		var b bytes.Buffer
		if err := m.Forest.WriteText(&b); err != nil {
			return nil, fmt.Errorf("forest: %w", err)
		}
		content[forestMember] = b.Bytes()
	}
	for _, part := range m.parts() {
		if content[part.name], err = json.Marshal(part.value, jsonOptions); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return content, nil
}

// part is a member in JSON and what it is decoded into.
type part struct {
	name  string
	value any
}

func (m *Model) parts() []part {
	p := []part{{calibrationMember, &m.Calibration}, {referenceMember, &m.Reference}, {goldenMember, &m.Golden}}
	if m.Linear != nil {
		p = append(p, part{linearMember, m.Linear})
	}
	return p
}

// Load reads the model file at path. Only regular files are read.
func Load(path string) (*Model, error) {
	// Without NONBLOCK, opening a named pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := ReadBytes(f)
	if err != nil {
		return nil, err
	}
	m, err := Read(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ReadBytes returns the content of an open file, which must be a regular one
// of a size that a model can have. Nothing of it is checked.
func ReadBytes(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxFileBytes {
		return nil, fmt.Errorf("%s: %w: not a regular file of at most %d bytes", f.Name(), ErrFormat, MaxFileBytes)
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return b, nil
}

// Read decodes a model file. It trusts nothing: sizes are bounded before
// anything is allocated, members are known names that occur once, hashes must
// match. Compile checks that the parts fit each other. Every problem is an
// error wrapping ErrFormat, or ErrVersion.
func Read(b []byte) (*Model, error) {
	m, err := read(b)
	if err != nil {
		if !errors.Is(err, ErrVersion) {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return nil, err
	}
	return m, nil
}

// forestLimits are those of gbdt with less leaves: no model of use has more.
var forestLimits = gbdt.Limits{Leaves: 1 << 14}

// open returns the members of a sealed file of a format that this program
// reads.
func open(b []byte) (map[string][]byte, error) {
	if len(b) > MaxFileBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxFileBytes)
	}
	if bytes.Count(b, []byte("PK\x01\x02")) > maxDirectory {
		return nil, fmt.Errorf("more than %d entries in the directory", maxDirectory)
	}
	zr, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	// First of all the version: a newer file may differ in everything else.
	if err := checkFormat(zr); err != nil {
		return nil, err
	}
	if !sealed(b) {
		return nil, errors.New("the file was cut short or changed after writing; copy it again")
	}
	return unpack(zr, uint64(len(b)))
}

func read(b []byte) (*Model, error) {
	content, err := open(b)
	if err != nil {
		return nil, err
	}
	var m Model
	if err := decode(content, manifestMember, &m.Manifest); err != nil {
		return nil, err
	}
	if err := m.Manifest.check(content); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestMember, err)
	}
	if m.Features, err = features.Parse(content[featuresMember]); err != nil {
		return nil, fmt.Errorf("%s: %w", featuresMember, err)
	}
	if text, ok := content[forestMember]; ok {
		if m.Forest, err = gbdt.ReadText(bytes.NewReader(text), forestLimits); err != nil {
			return nil, fmt.Errorf("%s: %w", forestMember, err)
		}
	}
	if _, ok := content[linearMember]; ok {
		m.Linear = new(Linear)
	}
	for _, part := range m.parts() {
		if err := decode(content, part.name, part.value); err != nil {
			return nil, err
		}
	}
	m.ReportJSON, m.ReportHTML = content[reportMember], content[htmlMember]
	if version, what := m.format(); version > m.Manifest.Format {
		// To a program of that format it would be damaged, so it is to all.
		return nil, fmt.Errorf("%s: format version %d has no %s, which came with %d", manifestMember, m.Manifest.Format, what, version)
	}
	return &m, nil
}

// checkFormat reads the format version and nothing else.
func checkFormat(zr *zip.Reader) error {
	i := slices.IndexFunc(zr.File, func(f *zip.File) bool { return f.Name == manifestMember })
	if i < 0 {
		return fmt.Errorf("%s is missing", manifestMember)
	}
	b, err := unpackMember(zr.File[i], 1<<20)
	if err != nil {
		return err
	}
	var f struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("%s: %w", manifestMember, err)
	}
	switch {
	case f.Format > FormatVersion:
		return fmt.Errorf("%w: version %d, this program reads up to %d; use a newer program", ErrVersion, f.Format, FormatVersion)
	case f.Format < 1:
		return fmt.Errorf("%s: format version %d", manifestMember, f.Format)
	}
	return nil
}

// unpack returns the members of a file of so many bytes by name.
func unpack(zr *zip.Reader, size uint64) (map[string][]byte, error) {
	content := map[string][]byte{}
	for _, f := range zr.File {
		i := slices.IndexFunc(layout, func(l member) bool { return l.name == f.Name })
		if _, dup := content[f.Name]; dup || i < 0 {
			return nil, fmt.Errorf("unexpected member %.60q", f.Name)
		}
		if f.CompressedSize64 > size {
			return nil, fmt.Errorf("%s: larger than the file", f.Name)
		}
		data, err := unpackMember(f, layout[i].limit)
		if err != nil {
			return nil, err
		}
		content[f.Name] = data
	}
	return content, nil
}

// maxRatio is how many bytes one byte of deflate can stand for.
const maxRatio = 1032

// unpackMember unpacks at most limit bytes. The size that the directory
// declares is not believed: the limit holds while unpacking, and no more room
// is made at once than the packed bytes could fill.
func unpackMember(f *zip.File, limit int) ([]byte, error) {
	if f.Flags&1 != 0 {
		return nil, fmt.Errorf("%s is encrypted", f.Name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	defer r.Close()
	var b bytes.Buffer
	room := min(f.UncompressedSize64, f.CompressedSize64*maxRatio, uint64(limit))
	b.Grow(int(room) + bytes.MinRead) // or the end would make it grow once more
	if _, err := b.ReadFrom(io.LimitReader(r, int64(limit)+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if b.Len() > limit {
		return nil, fmt.Errorf("%s: unpacks to more than %d bytes", f.Name, limit)
	}
	return b.Bytes(), nil
}

// decode decodes a member in strict JSON.
func decode(content map[string][]byte, name string, v any) error {
	b, ok := content[name]
	if !ok {
		return fmt.Errorf("%s is missing", name)
	}
	if bytes.Count(b, []byte("{")) > maxObjects {
		return fmt.Errorf("%s: more than %d objects", name, maxObjects)
	}
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// check verifies the manifest and, by its hashes, the other members.
func (f *Manifest) check(content map[string][]byte) error {
	if !NamePattern.MatchString(f.Name) {
		return fmt.Errorf("name %.80q: use a-z, 0-9, '_', '-', at most 64", f.Name)
	}
	// The bytes as they were written are hashed, so that a later release,
	// which may write more fields, still finds the same version.
	nameless := bytes.Replace(content[manifestMember], []byte(`"version": "`+f.Version+`"`), []byte(`"version": ""`), 1)
	if versionOf(nameless, f.Through) != f.Version {
		return fmt.Errorf("version %.80q does not follow from the content: it was changed after writing", f.Version)
	}
	if err := f.Definition.Validate(); err != nil {
		return err
	}
	if len(f.SHA256) != len(content)-1 {
		return fmt.Errorf("%d hashes for %d members", len(f.SHA256), len(content)-1)
	}
	for _, l := range layout {
		b, ok := content[l.name]
		if ok && l.name != manifestMember && f.SHA256[l.name] != hash(b) {
			return fmt.Errorf("%s does not have the hash that the manifest promises", l.name)
		}
	}
	return nil
}
