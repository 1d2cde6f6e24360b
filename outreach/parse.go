package outreach

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The file as written; a nil pointer is a key that is not there.
type playbookFile struct {
	Version  *float64     `yaml:"version"`
	Defaults fileDefaults `yaml:"defaults"`
	Actions  []fileAction `yaml:"actions"`
}

type fileDefaults struct {
	Kappa         *float64   `yaml:"kappa"`
	Harm          *filePrior `yaml:"harm"`
	Cap30d        *float64   `yaml:"cap_30d"`
	CapChannel7d  *float64   `yaml:"cap_channel_7d"`
	CooldownDays  *float64   `yaml:"cooldown_days"`
	CapacityDay   *float64   `yaml:"capacity_day"`
	Purpose       *string    `yaml:"purpose"`
	TakeupStayers *float64   `yaml:"takeup_stayers"`
}

type filePrior struct {
	Mean  *float64 `yaml:"mean"`
	Kappa *float64 `yaml:"kappa"`
}

type fileAction struct {
	ID            string     `yaml:"id"`
	When          string     `yaml:"when"`
	Target        *string    `yaml:"target"`
	Channels      []string   `yaml:"channels"`
	Cost          float64    `yaml:"cost"`
	Offer         float64    `yaml:"offer"`
	Save          *float64   `yaml:"save"`
	Kappa         *float64   `yaml:"kappa"`
	Harm          *filePrior `yaml:"harm"`
	TakeupStayers *float64   `yaml:"takeup_stayers"`
	CooldownDays  *float64   `yaml:"cooldown_days"`
	Cap30d        *float64   `yaml:"cap_30d"`
	CapChannel7d  *float64   `yaml:"cap_channel_7d"`
	CapacityDay   *float64   `yaml:"capacity_day"`
	Purpose       *string    `yaml:"purpose"`
	Holdout       *string    `yaml:"holdout"`
	Source        string     `yaml:"source"`
	Text          string     `yaml:"text"`
}

// builtinDefaults stand in for keys that the file's defaults leave out.
var builtinDefaults = Action{
	Target: Active, Kappa: 10, Harm: Prior{Mean: 0.01, Kappa: 100}, TakeupStayers: 0.5,
	CooldownDays: 30, Cap30d: 3, CapChannel7d: 1, Purpose: "marketing",
}

// ParsePlaybook reads a playbook in YAML. Unknown and repeated keys, anchors,
// tags, a second document, values out of range, unknown channels and
// conditions that do not compile are errors that name line and column.
func ParsePlaybook(data []byte) (*Playbook, error) {
	if len(data) > MaxPlaybookSize {
		return nil, fmt.Errorf("playbook: larger than %d bytes", MaxPlaybookSize)
	}
	if err := checkTokens(string(data)); err != nil {
		return nil, fmt.Errorf("playbook: %w", err)
	}
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fmt.Errorf("playbook: %w", yamlError(err))
	}
	root, err := body(doc)
	if err != nil {
		return nil, fmt.Errorf("playbook: %w", err)
	}
	var f playbookFile
	if err := yaml.NodeToValue(root, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("playbook: %w", yamlError(err))
	}
	p, ferr := f.playbook()
	if ferr == nil {
		ferr = p.check()
	}
	if ferr != nil {
		return nil, fmt.Errorf("playbook: %s%w", position(root, ferr), ferr)
	}
	return p, nil
}

// maxTokens is twice what a full playbook takes. The YAML package takes time
// quadratic in the number of entries of a list or mapping: a mebibyte of "-"
// lines took it 100 seconds.
const maxTokens = 40_000

// checkTokens refuses what a playbook has no use for and a hostile file
// would: anchors and aliases (a short file that unfolds into a huge one), tags,
// and deep nesting, which recursive parsers pay for with their stack.
func checkTokens(text string) error {
	const maxDepth = 8
	flow, line, entries := 0, 0, 0
	tokens := lexer.Tokenize(text)
	if len(tokens) > maxTokens {
		return fmt.Errorf("more than %d keys, values and marks: is this a playbook?", maxTokens)
	}
	for _, tk := range tokens {
		pos := tk.Position
		if pos.Line != line {
			line, entries = pos.Line, 0
		}
		what := ""
		switch tk.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			what = "anchors, aliases and merge keys are not allowed: write the value out"
		case token.TagType:
			what = "tags are not allowed: remove it"
		case token.DirectiveType:
			what = "directives are not allowed: remove the line"
		case token.MappingKeyType:
			what = "complex keys (?) are not allowed"
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow > maxDepth {
				what = "nested too deeply"
			}
		case token.SequenceEndType, token.MappingEndType:
			flow = max(flow-1, 0)
		case token.SequenceEntryType:
			if entries++; entries > 2 {
				what = "nested too deeply"
			}
		}
		if what == "" && flow == 0 && pos.IndentNum > 100 && tk.Type != token.CommentType {
			what = "indented too deeply"
		}
		if what != "" {
			return fmt.Errorf("line %d, column %d: %s", pos.Line, pos.Column, what)
		}
	}
	return nil
}

// body returns the only document of the file.
func body(f *ast.File) (ast.Node, error) {
	var root ast.Node
	for _, d := range f.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			return nil, fmt.Errorf("%sa second document: keep one", place(d.Body, -1, false))
		}
		root = d.Body
	}
	if root == nil {
		return nil, errors.New("empty: it needs at least version and actions")
	}
	return root, nil
}

// yamlError reduces an error of the YAML package, which quotes the source over
// several lines, to one line with its position.
func yamlError(err error) error {
	// A message may hold a key, and a key may hold line breaks.
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	var y yaml.Error
	if !errors.As(err, &y) {
		return errors.New(oneLine(err.Error()))
	}
	if tk := y.GetToken(); tk != nil && tk.Position != nil {
		return fmt.Errorf("line %d, column %d: %s", tk.Position.Line, tk.Position.Column, oneLine(y.GetMessage()))
	}
	return errors.New(oneLine(y.GetMessage()))
}

// position says where the value is that an error speaks of, or the nearest
// value around it that is in the file.
func position(root ast.Node, e *fieldError) string {
	for path := e.path; ; {
		p, err := yaml.PathString("$." + path)
		if err == nil {
			if n, err := p.FilterNode(root); err == nil && n != nil && n.GetToken() != nil {
				return place(n, e.char, path == e.path)
			}
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return ""
		}
		path = path[:cut]
	}
}

func place(n ast.Node, char int, exact bool) string {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key // the token of a mapping is its first colon
	}
	tk := n.GetToken()
	column := tk.Position.Column
	if s, ok := n.(*ast.StringNode); ok && exact && char > 0 && !strings.Contains(tk.Origin, "\\") {
		if tk.Type == token.SingleQuoteType || tk.Type == token.DoubleQuoteType {
			column++
		}
		if !strings.ContainsRune(strings.TrimSpace(tk.Origin), '\n') && char <= len(s.Value) {
			column += char
		}
	}
	return fmt.Sprintf("line %d, column %d: ", tk.Position.Line, column)
}

func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

func (p *filePrior) fill(dst *Prior) {
	if p != nil {
		set(&dst.Mean, p.Mean)
		set(&dst.Kappa, p.Kappa)
	}
}

// whole converts the number of a key, nil for not there. The YAML package would
// cut 1.5 down to 1 without a word.
func whole(dst *int, v *float64, path string) *fieldError {
	switch {
	case v == nil:
		return nil
	case *v != math.Trunc(*v) || math.Abs(*v) > maxCount: // true for NaN
		return wrong(path, "is %v: use a whole number", *v)
	}
	*dst = int(*v)
	return nil
}

// limits are the keys that hold whole numbers.
type limits struct {
	CooldownDays, Cap30d, CapChannel7d, CapacityDay *float64
}

func (l limits) fill(a *Action, path string) *fieldError {
	for _, k := range []struct {
		name string
		dst  *int
		v    *float64
	}{
		{"cooldown_days", &a.CooldownDays, l.CooldownDays},
		{"cap_30d", &a.Cap30d, l.Cap30d},
		{"cap_channel_7d", &a.CapChannel7d, l.CapChannel7d},
		{"capacity_day", &a.CapacityDay, l.CapacityDay},
	} {
		if err := whole(k.dst, k.v, path+"."+k.name); err != nil {
			return err
		}
	}
	return nil
}

// playbook fills in the defaults.
func (f *playbookFile) playbook() (*Playbook, *fieldError) {
	if f.Version == nil {
		return nil, wrong("version", "missing: write version: %d", FormatVersion)
	}
	p := &Playbook{Actions: make([]Action, len(f.Actions))}
	if err := whole(&p.Version, f.Version, "version"); err != nil {
		return nil, err
	}
	base, err := f.Defaults.action()
	if err != nil {
		return nil, err
	}
	for i := range f.Actions {
		p.Actions[i] = base
		if err := f.Actions[i].fill(&p.Actions[i], fmt.Sprintf("actions[%d]", i)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// action is what every action starts from. It is checked as part of a sound
// action, so that an error points at the defaults and not at the first action
// that inherits it.
func (d *fileDefaults) action() (Action, *fieldError) {
	base := builtinDefaults
	set(&base.Kappa, d.Kappa)
	set(&base.Purpose, d.Purpose)
	set(&base.TakeupStayers, d.TakeupStayers)
	d.Harm.fill(&base.Harm)
	if err := (limits{d.CooldownDays, d.Cap30d, d.CapChannel7d, d.CapacityDay}).fill(&base, "defaults"); err != nil {
		return base, err
	}
	sound := base
	sound.ID, sound.When, sound.Channels = "defaults", "true", channels
	return base, sound.check("defaults")
}

func (f *fileAction) fill(a *Action, path string) *fieldError {
	a.ID, a.When, a.Channels = f.ID, strings.TrimSpace(f.When), f.Channels
	a.Cost, a.Offer, a.Source, a.Text = f.Cost, f.Offer, f.Source, f.Text
	if f.Save == nil {
		return wrong(path+".save", "missing: say how likely the action keeps a customer who would leave")
	}
	a.Save = *f.Save
	if f.Target != nil {
		a.Target = Target(*f.Target)
	}
	set(&a.Kappa, f.Kappa)
	set(&a.Purpose, f.Purpose)
	set(&a.TakeupStayers, f.TakeupStayers)
	f.Harm.fill(&a.Harm)
	if f.Holdout != nil {
		switch *f.Holdout {
		case "exempt":
			a.HoldoutExempt = true
		case "included":
		default:
			return wrong(path+".holdout", "%q is unknown: use exempt or included", *f.Holdout)
		}
	}
	return limits{f.CooldownDays, f.Cap30d, f.CapChannel7d, f.CapacityDay}.fill(a, path)
}
