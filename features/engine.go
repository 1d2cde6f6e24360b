package features

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"churn/event"
)

// Engine computes rows. It is immutable and safe for concurrent use. This is
// the obvious engine: it selects the items of each feature anew and hands them
// to the aggregate. A faster one must give the same bits.
type Engine struct {
	set         *Set
	features    []Feature
	index       map[string]int
	declared    map[string]bool // names that the declaration itself gives
	steps       []step
	columns     []columnReader
	told        []told // until Compile is done
	fingerprint string
}

// step fills one column of a row from events.
type step struct {
	stream    string
	agg       aggregate
	field     field
	where     condition
	window    event.Duration
	level     func(it *item) bool // nil for every level
	attribute *columnReader
	expr      *expression
}

// columnReader reads a text as a number or a category code.
type columnReader struct {
	name  string
	kind  Kind
	codes map[string]float64
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

func (e *Engine) addColumn(c Column, prefix string) error {
	owner := fmt.Sprintf("column %q", c.Name)
	said, err := e.tell(owner, wording{c.Family, c.Unit, c.Text, c.Zero, c.Missing})
	if err != nil {
		return fmt.Errorf("%s: %w", owner, err)
	}
	r := columnReader{name: c.Name}
	f := Feature{Name: e.free(prefix + SafeName(c.Name)), Family: c.Family, Unit: c.Unit, said: said}
	switch c.Type {
	case "number":
		if c.Levels != nil {
			return fmt.Errorf("column %q: a number has no levels", c.Name)
		}
	case "category":
		if c.Levels == nil {
			return fmt.Errorf("column %q: levels are not frozen", c.Name)
		}
		if c.Zero != "" {
			return fmt.Errorf("column %q: a category has no zero", c.Name)
		}
		if len(c.Levels) > maxLevels {
			return fmt.Errorf("column %q: more than %d levels", c.Name, maxLevels)
		}
		if err := checkLevels(c.Levels); err != nil {
			return fmt.Errorf("column %q: %w", c.Name, err)
		}
		r.kind, f.Kind, f.Levels = Category, Category, c.Levels
		r.codes = make(map[string]float64, len(c.Levels))
		for i, l := range c.Levels {
			r.codes[l] = float64(i)
		}
	default:
		return fmt.Errorf("column %q: type %q: use number or category", c.Name, c.Type)
	}
	e.columns = append(e.columns, r)
	return e.add(f, step{attribute: &r})
}

func checkLevels(levels []string) error {
	seen := map[string]bool{}
	for _, l := range levels {
		switch {
		case l == "":
			return fmt.Errorf("a level is empty: an empty text is missing")
		case !utf8.ValidString(l):
			return fmt.Errorf("level %q is not valid UTF-8", l)
		case seen[l]:
			return fmt.Errorf("level %q appears twice", l)
		}
		seen[l] = true
	}
	return nil
}

func (e *Engine) addDefinition(d *Definition) error {
	said, err := e.tell(fmt.Sprintf("feature %q", d.Name), wording{d.Family, d.Unit, d.Text, d.Zero, d.Missing})
	if err != nil {
		return err
	}
	f := Feature{Family: d.Family, Unit: d.Unit, said: said}
	if d.Expr != "" {
		if d.From != "" || d.Agg != "" || d.Field != "" || d.Where != "" || len(d.Windows) > 0 || d.By != "" || d.Top != 0 || d.Levels != nil {
			return fmt.Errorf("expr stands alone: drop from, agg, field, where, windows, by, top and levels")
		}
		x, err := parseExpr(d.Expr, e.index, e.features)
		if err != nil {
			return err
		}
		f.Name = d.Name
		if f.Unit == "" {
			f.Unit = x.fn.unit
		}
		return e.add(f, step{expr: x})
	}
	a, ok := aggregates[d.Agg]
	if !ok {
		return fmt.Errorf("agg %q is not known; there are %s", d.Agg, names(aggregates))
	}
	st := step{stream: d.From, agg: a}
	if a.customer {
		if d.From != "customer" || d.Field != "" || d.Where != "" || d.By != "" || d.Top != 0 || d.Levels != nil || len(d.Windows) > 0 {
			return fmt.Errorf("%s is of the customer: from: customer, without field, where, by, top, levels and windows", d.Agg)
		}
		f.Name, f.Unit = d.Name, orElse(d.Unit, a.unit)
		return e.add(f, st)
	}
	if fields[d.From] == nil {
		return fmt.Errorf("from %q: use one of %s", d.From, names(fields))
	}
	if st.field, ok = fields[d.From][d.Field]; a.field && !ok {
		return fmt.Errorf("%s needs a field of %s: %s", d.Agg, d.From, names(fields[d.From]))
	}
	if !a.field && d.Field != "" {
		return fmt.Errorf("%s takes no field", d.Agg)
	}
	if st.where, err = parseWhere(d.From, d.Where); err != nil {
		return err
	}
	if d.Agg == "rate" && d.Where == "" {
		return fmt.Errorf("rate needs a where: the share of what?")
	}
	f.Unit = orElse(d.Unit, orElse(a.unit, st.field.unit))
	if len(d.Windows) == 0 {
		return fmt.Errorf("windows are missing, such as [30d, 90d]")
	}
	for _, w := range d.Windows {
		if w < event.Hour || w > maxWindow {
			return fmt.Errorf("window %s: between 1h and %s", w, maxWindow)
		}
		if a.bucket > 0 && (w%a.bucket != 0 || w < 2*a.bucket) {
			return fmt.Errorf("window %s: %s counts by %s: give a whole number of them, two or more", w, d.Agg, a.bucket)
		}
		st.window, f.Window = w, w
		if err := e.addLevels(d, f, st); err != nil {
			return err
		}
	}
	return nil
}

// addLevels adds the feature itself, or one for each level of By.
func (e *Engine) addLevels(d *Definition, f Feature, st step) error {
	name := d.name(f.Window)
	f.window = inDays(f.Window)
	if d.By == "" {
		if d.Top != 0 || d.Levels != nil {
			return fmt.Errorf("top and levels need by")
		}
		f.Name = name
		return e.add(f, st)
	}
	get := textFields[d.From][d.By]
	if get == nil {
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
		st.level = func(it *item) bool { return get(it) == level }
		f.Name = e.free(strings.ReplaceAll(name, "{by}", SafeName(level)))
		f.level = shown(level)
		if err := e.add(f, st); err != nil {
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

// Row writes the row of a customer as of t to dst, which has room for one
// value per feature.
func (e *Engine) Row(dst []float32, tl *event.Timeline, t event.Time) {
	streams := map[string][]item{}
	row := make([]float64, len(e.steps))
	for i := range e.steps {
		st := &e.steps[i]
		switch {
		case st.expr != nil:
			row[i] = st.expr.eval(row)
		case st.attribute != nil:
			// A text that is not a number is missing here; the reader of a wide
			// table reports it, see Values.
			row[i], _ = st.attribute.read(tl.Customer.Attributes[st.attribute.name])
		default:
			items, ok := streams[st.stream]
			if !ok {
				items = visible(tl, st.stream, t)
				streams[st.stream] = items
			}
			row[i] = st.eval(tl, items, t)
		}
	}
	for i, v := range row {
		dst[i] = finite(v)
	}
}

// finite rounds to float32. What is no number there is missing, always with
// the same bits: processors differ in those of 0/0.
func finite(v float64) float32 {
	f := float32(v)
	if f != f || math.IsInf(float64(f), 0) {
		return float32(nan)
	}
	return f
}

// eval selects the items of one feature and aggregates them.
func (st *step) eval(tl *event.Timeline, items []item, t event.Time) float64 {
	w := window{t: t, from: t.Add(-st.window), field: st.field, tl: tl}
	if st.agg.customer {
		return st.agg.fn(&w)
	}
	start, _ := slices.BinarySearchFunc(items, w.from, func(it item, from event.Time) int {
		return int(max(-1, min(1, it.at-from)))
	})
	keep := func(in []item) []item {
		if st.level == nil && st.where == nil {
			return in // every item counts
		}
		out := make([]item, 0, len(in))
		for i := range in {
			if (st.level == nil || st.level(&in[i])) && (st.where == nil || st.where(&in[i], t)) {
				out = append(out, in[i])
			}
		}
		return out
	}
	w.items = keep(items[start:])
	if st.agg.before {
		w.before = keep(items[:start])
	}
	for i := start; i < len(items); i++ {
		if st.level == nil || st.level(&items[i]) {
			w.total++
		}
	}
	return st.agg.fn(&w)
}

// read turns a text into a number or code. An empty text is missing. ok is
// false for a text that is no number, and for a level that is not known.
func (r *columnReader) read(text string) (v float64, ok bool) {
	if strings.TrimSpace(text) == "" {
		return nan, true
	}
	if r.kind == Category {
		if code, ok := r.codes[text]; ok {
			return code, true
		}
		return -1, false
	}
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "true", "yes":
		return 1, true
	case "false", "no":
		return 0, true
	case "na", "nan", "null":
		return nan, true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) || math.IsInf(float64(float32(v)), 0) {
		return nan, false
	}
	return v, true
}

// Values writes a row from the texts of a wide table's columns, by column
// name. It returns the columns whose text is no number or an unknown level;
// they became missing or code -1.
func (e *Engine) Values(dst []float32, values map[string]string) (odd []string) {
	for i := range e.columns {
		v, ok := e.columns[i].read(values[e.columns[i].name])
		if !ok {
			odd = append(odd, e.columns[i].name)
		}
		dst[i] = finite(v)
	}
	return odd
}
