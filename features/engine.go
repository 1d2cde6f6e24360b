package features

import (
	"fmt"
	"math"
	"strings"
	"sync"

	"churn/event"
)

// Engine computes rows. It is immutable and safe for concurrent use.
type Engine struct {
	set         *Set
	features    []Feature
	index       map[string]int
	declared    map[string]bool // names that the declaration itself gives
	steps       []step
	columns     []columnReader
	told        []told // until Compile is done
	plan        plan
	idle        sync.Pool // of *Workspace
	fingerprint string
}

// step fills one column of a row: from a window, an attribute, or columns
// before it.
type step struct {
	fn        func(w *window) float64
	window    int // of the plan; none for an aggregate of the customer
	attribute *columnReader
	expr      *expression
	fills     bool // where it is missing, with:
	fill      float64
}

// Compile checks the set and resolves its names. A set whose levels are not
// frozen is an error.
func (s *Set) Compile() (*Engine, error) {
	e := &Engine{set: s, index: map[string]int{}, declared: map[string]bool{}}
	if len(s.Columns) > 0 && len(s.Features)+len(s.Attributes) > 0 {
		return nil, fmt.Errorf("feature set: columns of a wide table and features of events do not mix")
	}
	for _, d := range s.Features {
		for _, w := range d.Windows {
			e.declared[d.name(w)] = true
		}
		e.declared[d.Name] = true
	}
	for _, c := range s.Columns {
		if err := e.addColumn(c, ""); err != nil {
			return nil, err
		}
	}
	for _, c := range s.Attributes {
		if err := e.addColumn(c, "cus_"); err != nil {
			return nil, err
		}
	}
	for i := range s.Features {
		if err := e.addDefinition(&s.Features[i]); err != nil {
			return nil, fmt.Errorf("feature %q: %w", s.Features[i].Name, err)
		}
	}
	if len(e.features) == 0 {
		return nil, fmt.Errorf("feature set: no features")
	}
	err := e.resolve()
	if err != nil {
		return nil, err
	}
	e.fingerprint, err = s.Fingerprint()
	return e, err
}

// name fills in the window.
func (d *Definition) name(w event.Duration) string {
	return strings.ReplaceAll(d.Name, "{w}", windowName(w))
}

// free makes a name of a text that comes from data, where two texts may look
// alike once made safe, or like a name that is declared. The second gets _2.
// Levels are locked in their order, so that names stay as they are.
func (e *Engine) free(name string) string {
	name = name[:min(len(name), maxName-6)]
	if !namePattern.MatchString(name) {
		name = "_" + name // it begins with a digit
	}
	for i, base := 2, name; ; i++ {
		if _, taken := e.index[name]; !taken && !e.declared[name] {
			return name
		}
		name = fmt.Sprintf("%s_%d", base, i)
	}
}

func (e *Engine) add(f Feature, st step) error {
	if !namePattern.MatchString(f.Name) {
		return fmt.Errorf("name %q: use letters, digits, '_', '.', '-', at most %d", f.Name, maxName)
	}
	if _, dup := e.index[f.Name]; dup {
		return fmt.Errorf("name %q is declared twice", f.Name)
	}
	if len(e.features) >= maxFeatures {
		return fmt.Errorf("more than %d features", maxFeatures)
	}
	if f.Family == "" {
		f.Family = f.Name
	}
	e.index[f.Name] = len(e.features)
	e.features = append(e.features, f)
	e.steps = append(e.steps, st)
	return nil
}

func (e *Engine) addDefinition(d *Definition) error {
	said, err := e.tell(fmt.Sprintf("feature %q", d.Name), wording{d.Family, d.Unit, d.Text, d.Zero, d.Missing})
	if err != nil {
		return err
	}
	f := Feature{Family: d.Family, Unit: d.Unit, said: said, offset: d.Offset}
	st, err := filled(d.Fill)
	if err != nil {
		return err
	}
	if d.Expr != "" {
		if d.From != "" || d.Agg != "" || d.selects() {
			return fmt.Errorf("expr stands alone: drop from, agg, field, where, windows, offset, by, top and levels")
		}
		x, err := parseExpr(d.Expr, e.index, e.features)
		if err != nil {
			return err
		}
		f.Name = d.Name
		if f.Unit == "" {
			f.Unit = x.fn.unit
		}
		st.expr = x
		return e.add(f, st)
	}
	a, ok := aggregates[d.Agg]
	if !ok {
		return fmt.Errorf("agg %q is not known; there are %s", d.Agg, names(aggregates))
	}
	st.fn = a.fn
	if a.of != "" {
		if d.From != a.of || d.selects() {
			return fmt.Errorf("%s is of the %s: from: %[2]s, without field, where, by, top, levels, offset and windows", d.Agg, a.of)
		}
		f.Name, f.Unit = d.Name, orElse(d.Unit, a.unit)
		return e.add(f, st)
	}
	if fields[d.From] == nil {
		return fmt.Errorf("from %q: use one of %s", d.From, names(fields))
	}
	field, err := d.field(a)
	if err != nil {
		return err
	}
	where, err := parseWhere(d.From, d.Where)
	if err != nil {
		return err
	}
	switch {
	case a.share == ofCondition && d.Where == "":
		return fmt.Errorf("%s needs a where: the share of what?", d.Agg)
	case a.share == ofLevel && d.By == "":
		return fmt.Errorf("%s needs a by: the share of what?", d.Agg)
	}
	f.Unit = orElse(d.Unit, orElse(a.unit, field.unit))
	if len(d.Windows) == 0 {
		return fmt.Errorf("windows are missing, such as [30d, 90d]")
	}
	if d.Offset < 0 || d.Offset > maxWindow {
		return fmt.Errorf("offset %s: between 0 and %s", d.Offset, maxWindow)
	}
	for _, w := range d.Windows {
		if w < event.Hour || w > maxWindow {
			return fmt.Errorf("window %s: between 1h and %s", w, maxWindow)
		}
		if a.bucket > 0 && (w%a.bucket != 0 || w < 2*a.bucket) {
			return fmt.Errorf("window %s: %s counts by %s: give a whole number of them, two or more", w, d.Agg, a.bucket)
		}
		f.Window = w
		if err := e.addLevels(d, f, a, where, st); err != nil {
			return err
		}
	}
	return nil
}

// selects tells whether items are chosen, which is for aggregates of a stream.
func (d *Definition) selects() bool {
	return d.Field != "" || d.Where != "" || len(d.Windows) > 0 || d.Offset != 0 || d.By != "" || d.Top != 0 || d.Levels != nil
}

// field returns the number that an aggregate works on, if it works on one.
func (d *Definition) field(a aggregate) (field, error) {
	number, ok := fields[d.From][d.Field]
	switch {
	case a.field && !ok:
		return field{}, fmt.Errorf("%s needs a field of %s: %s", d.Agg, d.From, names(fields[d.From]))
	case a.text && d.Field != "" && textFields[d.From][d.Field] == nil:
		return field{}, fmt.Errorf("%s takes a text as field, %s or none: %s has %s", d.Agg, kindField[d.From], d.From, names(textFields[d.From]))
	case !a.field && !a.text && d.Field != "":
		return field{}, fmt.Errorf("%s takes no field", d.Agg)
	}
	return number, nil
}

// filled begins a step whose missing value is another one.
func filled(fill *float64) (step, error) {
	switch {
	case fill == nil:
		return step{}, nil
	case math.IsNaN(float64(finite(*fill))):
		return step{}, fmt.Errorf("fill: not a number of 32 bits")
	}
	return step{fills: true, fill: *fill}, nil
}

// addLevels adds the feature itself, or one for each level of By.
func (e *Engine) addLevels(d *Definition, f Feature, a aggregate, where condition, st step) error {
	name := d.name(f.Window)
	add := func(level string) error {
		from, text := source{d.From, d.Where, d.By, level, d.Field}, ""
		if a.text {
			from.field, text = "", orElse(d.Field, kindField[d.From])
		}
		st.window = e.plan.window(from, where, f.Window, d.Offset, text, a)
		return e.add(f, st)
	}
	f.window = inDays(f.Window)
	if d.By == "" {
		if d.Top != 0 || d.Levels != nil {
			return fmt.Errorf("top and levels need by")
		}
		f.Name = name
		return add("")
	}
	if textFields[d.From][d.By] == nil {
		return fmt.Errorf("by %q: %s has %s", d.By, d.From, names(textFields[d.From]))
	}
	if d.Levels == nil {
		return fmt.Errorf("levels of by: %s are not frozen", d.By)
	}
	if !strings.Contains(d.Name, "{by}") {
		return fmt.Errorf("the name needs {by}, or every level would have the same")
	}
	if len(d.Levels) > maxLevels {
		return fmt.Errorf("more than %d levels", maxLevels)
	}
	if err := checkLevels(d.Levels); err != nil {
		return err
	}
	// What the declaration itself writes must be right; what comes from data is
	// made so.
	if around := strings.ReplaceAll(name, "{by}", "x"); !namePattern.MatchString(around) {
		return fmt.Errorf("name %q: use letters, digits, '_', '.', '-', at most %d", d.Name, maxName)
	}
	for _, level := range d.Levels {
		f.Name = e.free(strings.ReplaceAll(name, "{by}", SafeName(level)))
		f.level = shown(level)
		if err := add(level); err != nil {
			return err
		}
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// Features describes the columns of a row, in order. Do not change it.
func (e *Engine) Features() []Feature { return e.features }

// Index returns the column of a feature by name.
func (e *Engine) Index(name string) (int, bool) {
	i, ok := e.index[name]
	return i, ok
}

// Set returns the compiled declaration. Do not change it.
func (e *Engine) Set() *Set { return e.set }

// Fingerprint identifies declaration, levels and operators; see
// Set.Fingerprint.
func (e *Engine) Fingerprint() string { return e.fingerprint }

// OfTable tells whether rows come from the columns of a wide table.
func (e *Engine) OfTable() bool { return len(e.set.Columns) > 0 }
