package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"

	"churn/event"
	"churn/model"
)

// Change is who does something to an alias, when and why.
type Change struct {
	At     event.Time
	Actor  string
	Reason string
	// Force promotes past a gate that said no; it needs a reason.
	Force bool
	// Compared says how the model does beside the champion, for the log, and
	// Refused, if not empty, that it must not take its place.
	Compared, Refused string
}

// maxReason bounds the length of a reason and of an actor in bytes.
const maxReason = 4096

func (c *Change) check(alias string) error {
	if !model.NamePattern.MatchString(alias) || model.VersionPattern.MatchString(alias) {
		return fmt.Errorf("alias %.80q: use a-z, 0-9, '_', '-', and not the form of a version", alias)
	}
	if len(c.Reason) > maxReason || len(c.Actor) > maxReason || len(c.Compared) > maxReason {
		return fmt.Errorf("reason, actor and comparison can have %d bytes", maxReason)
	}
	return nil
}

// Promote points an alias at a version. The model is loaded and tested first;
// as the champion, one that did not pass its gate or the comparison is refused
// with ErrGate unless forced. A challenger is there to be measured, so it needs no gate.
func (r *Registry) Promote(name, alias, version string, c Change) (Promotion, error) {
	if err := c.check(alias); err != nil {
		return Promotion{}, err
	}
	if c.Force && strings.TrimSpace(c.Reason) == "" {
		return Promotion{}, fmt.Errorf("%w: forcing it needs a reason", ErrGate)
	}
	m, err := r.Get(name, version)
	if err != nil {
		return Promotion{}, err
	}
	if _, err := m.Compile(); err != nil {
		return Promotion{}, fmt.Errorf("%s %s: %w", name, version, err)
	}
	var no []string
	if gate := m.Manifest.Gate; !gate.Passed {
		no = append(no, gate.Reasons...)
	}
	if c.Refused != "" {
		no = append(no, c.Refused)
	}
	refused := alias == Champion && (!m.Manifest.Gate.Passed || c.Refused != "")
	if refused && !c.Force {
		return Promotion{}, fmt.Errorf("%w: %s", ErrGate, strings.Join(no, "; "))
	}
	p := Promotion{At: c.At, Actor: c.Actor, Alias: alias, Name: name, To: m.Manifest.Version,
		Reason: c.Reason, Compared: c.Compared, Forced: refused, Metrics: m.Manifest.Metrics}
	if err := r.locked(name, func(root *os.Root) error { return record(root, &p) }); err != nil {
		return Promotion{}, err
	}
	return p, nil
}

// Rollback points an alias back at the version that was promoted before the
// current one. Rolling back again goes one further. Versions that lack a
// signature of a trusted key are passed over.
func (r *Registry) Rollback(name, alias string, c Change) (Promotion, error) {
	if err := c.check(alias); err != nil {
		return Promotion{}, err
	}
	p := Promotion{At: c.At, Actor: c.Actor, Alias: alias, Name: name, Reason: c.Reason, Rollback: true}
	if p.Reason == "" {
		p.Reason = "rollback"
	}
	err := r.locked(name, func(root *os.Root) error {
		log, err := readLog(root, name)
		if err != nil {
			return err
		}
		history := stack(log, alias)
		if len(history) < 2 {
			return fmt.Errorf("%w: %s has no %s before the current one", ErrNoPrevious, name, alias)
		}
		// The file must still be good before anything points at it.
		m, err := r.previous(root, name, history)
		if err != nil {
			return err
		}
		p.To = m.Manifest.Version
		if _, err := m.Compile(); err != nil {
			return fmt.Errorf("%s %s: %w", name, p.To, err)
		}
		p.Metrics = m.Manifest.Metrics
		return record(root, &p)
	})
	if err != nil {
		return Promotion{}, err
	}
	return p, nil
}

// Retire takes an alias away; the model file stays. The champion cannot be
// retired, which is ErrChampion.
func (r *Registry) Retire(name, alias string, c Change) (Promotion, error) {
	if err := c.check(alias); err != nil {
		return Promotion{}, err
	}
	if alias == Champion {
		return Promotion{}, ErrChampion
	}
	p := Promotion{At: c.At, Actor: c.Actor, Alias: alias, Name: name, Reason: c.Reason}
	if p.Reason == "" {
		p.Reason = "retired"
	}
	err := r.locked(name, func(root *os.Root) error {
		aliases, err := readAliases(root, name)
		if err != nil {
			return err
		}
		if aliases[alias] == "" {
			return fmt.Errorf("%w: %s has no %.80q to retire", ErrNotFound, name, alias)
		}
		return record(root, &p)
	})
	if err != nil {
		return Promotion{}, err
	}
	return p, nil
}

// previous loads the version before the last one: of those that have a trusted
// signature, where one is needed.
func (r *Registry) previous(root *os.Root, name string, history []string) (*model.Model, error) {
	var unsigned error
	current := len(history) - 1
	for i := current - 1; i >= 0; i-- {
		if history[i] == history[current] {
			continue // what lay between was passed over
		}
		m, err := load(root, name, history[i], r.trusted)
		if !errors.Is(err, ErrSignature) {
			return m, err
		}
		unsigned = errors.Join(unsigned, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrNoPrevious, unsigned)
}

// stack replays the log: a promotion pushes a version, a rollback pops one and
// those that it passed over, and a retirement takes all: what was in use before
// it is no longer gone back to. A version promoted twice in a row is there once.
func stack(log []Promotion, alias string) []string {
	var s []string
	for _, p := range log {
		switch n := len(s); {
		case p.Alias != alias:
		case p.Rollback:
			s = s[:max(n-1, 0)]
			for i := len(s) - 1; i >= 0; i-- {
				if s[i] == p.To {
					s = s[:i+1]
					break
				}
			}
		case p.To == "":
			s = nil
		case n == 0 || s[n-1] != p.To:
			s = append(s, p.To)
		}
	}
	return s
}

// Promotions returns the log of a name, oldest first. A last line cut short by
// a crash is not an entry.
func (r *Registry) Promotions(name string) ([]Promotion, error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return readLog(root, name)
}

func readLog(root *os.Root, name string) ([]Promotion, error) {
	path, b, err := readFile(root, name, "promotions.ndjson", maxFile)
	if err != nil {
		return nil, err
	}
	var log []Promotion
	for line := range bytes.Lines(b[:bytes.LastIndexByte(b, '\n')+1]) {
		var p Promotion
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, len(log)+1, err)
		}
		log = append(log, p)
	}
	return log, nil
}

// readAliases reads aliases.json; a missing file is no aliases.
func readAliases(root *os.Root, name string) (map[string]string, error) {
	path, b, err := readFile(root, name, "aliases.json", maxFile)
	if err != nil {
		return nil, err
	}
	aliases := map[string]string{}
	if b == nil {
		return aliases, nil
	}
	if err := json.Unmarshal(b, &aliases); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for alias, version := range aliases {
		if !model.VersionPattern.MatchString(version) {
			return nil, fmt.Errorf("%s: %.80q points at %.80q, which is no version", path, alias, version)
		}
	}
	if aliases == nil { // null
		return nil, fmt.Errorf("%s: not an object", path)
	}
	return aliases, nil
}

// record appends to the log, then points the alias, or takes it away. A crash between the two is
// mended by the next change; until then the old version stays in use.
func record(root *os.Root, p *Promotion) error {
	log, err := readLog(root, p.Name)
	if err != nil {
		return err
	}
	aliases, err := readAliases(root, p.Name)
	if err != nil {
		return err
	}
	p.Seq, p.From = len(log)+1, aliases[p.Alias]
	var b bytes.Buffer
	for _, e := range append(log, *p) {
		line, err := json.Marshal(&e, json.Deterministic(true))
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	if err := writeFile(root, p.Name+"/promotions.ndjson", b.Bytes()); err != nil {
		return err
	}
	if aliases[p.Alias] = p.To; p.To == "" {
		delete(aliases, p.Alias)
	}
	text, err := json.Marshal(aliases, json.Deterministic(true))
	if err != nil {
		return err
	}
	return writeFile(root, p.Name+"/aliases.json", append(text, '\n'))
}

// locked runs f while no other process changes the aliases of the name.
func (r *Registry) locked(name string, f func(root *os.Root) error) error {
	if !model.NamePattern.MatchString(name) {
		return fmt.Errorf("%w: %.80q", ErrNotFound, name)
	}
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	lock, err := root.OpenFile(name+"/.lock", os.O_CREATE|os.O_RDWR, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	if err != nil {
		return err
	}
	defer lock.Close() // releases the lock
	err = syscall.EINTR
	for err == syscall.EINTR { // a signal is no reason to give up
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return f(root)
}
