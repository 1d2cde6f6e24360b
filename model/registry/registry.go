// Package registry keeps model files by name and version, says which version
// is in use, and remembers who decided so.
//
// A registry is a directory:
//
//	<name>/<version>.churn   immutable model files
//	<name>/<version>.churn.sig  signatures of it, if it has any
//	<name>/aliases.json      alias -> version: champion, challenger
//	<name>/promotions.ndjson who pointed which alias where, when and why
//
// The steps are [Open], [Registry.Put] a trained model, [Registry.Promote] it,
// and [Registry.Rollback] if it disappoints; a server follows an alias with
// [Live]. A challenger is promoted to its own alias, to be measured beside the
// champion, and taken away by [Registry.Retire].
//
// The champion is the alias that answers: its model must have passed the gate,
// and there is always one once there was one. Other aliases may point at any
// version that loads, or nowhere.
//
// Every write is a temporary file, flushed, renamed, and the directory
// flushed, so a crash leaves the old state or the new one. Nothing is read or
// written outside the directory, even where a symbolic link leads there.
//
// A registry that is opened with trusted keys takes no model into use without
// a signature of one of them: a file that lacks it is like a damaged one. Keys
// say who made a file. Which of the signed files is in use they do not say:
// who can write to the directory can go back to an older one.
//
// The promotion log is the truth; aliases.json is the end of it, kept apart so
// that a reader needs one small file. What the package leaves out: deleting
// models, remote storage, making keys, and the clock.
package registry

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"churn/event"
	"churn/model"
)

// Errors of the registry.
var (
	ErrNotFound   = errors.New("no such model")
	ErrNoPrevious = errors.New("nothing to roll back to")
	// ErrGate: the model did not pass its gate and no reason to force it was
	// given.
	ErrGate = errors.New("the model did not pass its gate")
	// ErrChampion: something must answer.
	ErrChampion = errors.New("the champion cannot be retired: promote another version or roll back")
)

const extension = ".churn"

// Aliases that a server follows.
const (
	Champion   = "champion"   // answers
	Challenger = "challenger" // is scored beside it and measured
)

// Promotion is one entry of the log.
type Promotion struct {
	Seq      int                `json:"seq"` // from 1, without gaps
	At       event.Time         `json:"at"`
	Actor    string             `json:"actor"`
	Alias    string             `json:"alias"`
	Name     string             `json:"name"`
	From     string             `json:"from"` // version before; empty for the first
	To       string             `json:"to"`   // empty when the alias was retired
	Reason   string             `json:"reason"`
	Compared string             `json:"compared,omitempty"` // how it did beside From
	Forced   bool               `json:"forced,omitzero"`    // past a gate that said no
	Rollback bool               `json:"rollback,omitzero"`  // back to what was before From
	Metrics  map[string]float64 `json:"metrics,omitempty"`
}

// Entry is one stored model.
type Entry struct {
	Manifest model.Manifest `json:"manifest"`
	Aliases  []string       `json:"aliases"`
	Bytes    int64          `json:"bytes"`
	// SignedBy are the trusted keys with a valid signature.
	SignedBy []string `json:"signed_by,omitempty"`
}

// Registry is a directory of model files. Its methods may be called from
// several goroutines and processes.
type Registry struct {
	dir     string
	trusted []Key
}

// Open makes the directory if it is not there. Given trusted keys, models that
// none of them signed can be stored and listed, and nothing else.
func Open(dir string, trusted ...Key) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("model registry: %w", err)
	}
	return &Registry{dir, trusted}, nil
}

// Dir returns the directory.
func (r *Registry) Dir() string { return r.dir }

// file returns the path of a model within the directory. The patterns allow
// no separator and no dot.
func file(name, version string) (string, error) {
	if !model.NamePattern.MatchString(name) || !model.VersionPattern.MatchString(version) {
		return "", fmt.Errorf("%w: %.80q %.80q", ErrNotFound, name, version)
	}
	return name + "/" + version + extension, nil
}

// Put stores a model and fills in its version. Storing the same model again
// changes nothing, but for a stored file that is damaged: it is replaced.
func (r *Registry) Put(m *model.Model) (path string, err error) {
	var b bytes.Buffer
	if err := model.Write(&b, m); err != nil {
		return "", err
	}
	name, version := m.Manifest.Name, m.Manifest.Version
	file, err := file(name, version)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	path = filepath.Join(r.dir, filepath.FromSlash(file))
	if _, err := load(root, name, version, nil); err == nil {
		return path, nil // the version is the content
	}
	if err = root.Mkdir(name, 0o755); err == nil {
		err = syncDir(root, ".")
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return path, writeFile(root, file, b.Bytes())
}

// Get loads a model by name and version; an alias may stand for the version.
func (r *Registry) Get(name, version string) (*model.Model, error) {
	version, err := r.Resolve(name, version)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return load(root, name, version, r.trusted)
}

// load reads a model. If there are trusted keys one of them must have signed
// it: nothing else of the file is looked at before.
func load(root *os.Root, name, version string, trusted []Key) (*model.Model, error) {
	path, b, err := readModel(root, name, version)
	if err != nil {
		return nil, err
	}
	if len(trusted) > 0 {
		if _, err := signedBy(root, path, name, version, b, trusted); err != nil {
			return nil, err
		}
	}
	return parse(path, b, name, version)
}

// parse decodes a model and checks that it is the one it is filed as.
func parse(path string, b []byte, name, version string) (*model.Model, error) {
	m, err := model.Read(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Manifest.Name != name || m.Manifest.Version != version {
		return nil, fmt.Errorf("%s: %w: it is %s %s inside", path, model.ErrFormat, m.Manifest.Name, m.Manifest.Version)
	}
	return m, nil
}

// readModel returns the bytes of a model file and its path for people.
func readModel(root *os.Root, name, version string) (full string, b []byte, err error) {
	path, err := file(name, version)
	if err != nil {
		return "", nil, err
	}
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // see model.Load
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("%w: %s %s", ErrNotFound, name, version)
	}
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	b, err = model.ReadBytes(f)
	return f.Name(), b, err
}

// Resolve turns an alias into a version; a version stays as it is.
func (r *Registry) Resolve(name, version string) (string, error) {
	if model.VersionPattern.MatchString(version) {
		return version, nil
	}
	v, err := r.pointed(name, version)
	if err == nil && v == "" {
		err = fmt.Errorf("%w: %s has no %.80q; promote a version first", ErrNotFound, name, version)
	}
	return v, err
}

// pointed returns the version that an alias points at, or "" if there is no
// such alias.
func (r *Registry) pointed(name, alias string) (string, error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	aliases, err := readAliases(root, name)
	return aliases[alias], err
}

// List returns every stored model of every name, newest first within a name.
// Files that cannot be read are returned as errors beside the others.
func (r *Registry) List() ([]Entry, error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var entries []Entry
	var problems error
	for _, d := range names {
		if !model.NamePattern.MatchString(d.Name()) {
			continue // not ours
		}
		list, err := r.listName(root, d.Name())
		entries = append(entries, list...)
		problems = errors.Join(problems, err)
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Manifest.Name, b.Manifest.Name), cmp.Compare(b.Manifest.Version, a.Manifest.Version))
	})
	return entries, problems
}

// listName returns the stored models of one name, and what is wrong there.
func (r *Registry) listName(root *os.Root, name string) (entries []Entry, problems error) {
	info, err := root.Stat(name)
	if err != nil || !info.IsDir() {
		return nil, err
	}
	files, err := fs.ReadDir(root.FS(), name)
	if err != nil {
		return nil, err
	}
	aliases, problems := readAliases(root, name)
	for _, f := range files {
		version, ok := strings.CutSuffix(f.Name(), extension)
		if !ok {
			continue
		}
		if !model.VersionPattern.MatchString(version) {
			problems = errors.Join(problems, fmt.Errorf("%s/%s: a model file is named by its version", name, f.Name()))
			continue
		}
		m, err := load(root, name, version, nil)
		if err != nil {
			problems = errors.Join(problems, err)
			continue
		}
		info, err := root.Stat(name + "/" + f.Name())
		if err != nil {
			problems = errors.Join(problems, err)
			continue
		}
		e := Entry{Manifest: m.Manifest, Aliases: []string{}, Bytes: info.Size()}
		if len(r.trusted) > 0 {
			e.SignedBy, _ = r.Signers(name, version) // why not, tells who takes it into use
		}
		for a, v := range aliases {
			if v == version {
				e.Aliases = append(e.Aliases, a)
			}
		}
		slices.Sort(e.Aliases)
		entries = append(entries, e)
	}
	return entries, problems
}
