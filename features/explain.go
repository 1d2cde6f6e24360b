package features

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"churn/event"
)

// Explanation says where a value comes from.
type Explanation struct {
	Feature
	Value    float32
	Sentence string
	Computed string
	// Attribute is the text that a feature of an attribute was read from.
	Attribute string
	// Arguments are the features that an expression is computed from.
	Arguments []Argument
	// Items went into the value, those of arguments included, oldest first.
	Items []Item
	// Without is the value if the last of the items had not been; Value where
	// there are none.
	Without float32
}

// Argument is a feature that another one is computed from.
type Argument struct {
	Name     string
	Value    float32
	Computed string
}

// Item is an event that went into a value.
type Item struct {
	Stream             string
	Occurred, Recorded event.Time
	// What it is, in words: its kind, and what was known of it.
	What string
	// Value of the field that is aggregated, as a number in its unit; nil
	// without a field.
	Value *float64
	// Why it counts, by feature.
	Why []Reason

	item item
}

// Reason says why an item counts in a feature.
type Reason struct{ Feature, Text string }

// Explain computes one column of the row of a customer as of t, with what it
// is made of. It is for people: it takes its time.
func (e *Engine) Explain(column int, tl *event.Timeline, t event.Time) *Explanation {
	row := make([]float32, len(e.features))
	e.Row(row, tl, t)
	x := &Explanation{Feature: e.features[column], Value: row[column], Without: row[column],
		Sentence: e.Sentence(column, row), Computed: e.Computed(column)}
	if a := e.steps[column].attribute; a != nil {
		x.Attribute = a.text(tl, t)
		if c := a.change(tl, t); a.history && c != nil {
			it := item{at: c.At, known: c.Recorded, change: c}
			x.Items = append(x.Items, Item{Stream: "attributes", Occurred: c.At, Recorded: c.Recorded, What: it.describe(t),
				Why: []Reason{{x.Name, "the last change that was known"}}, item: it})
		}
	}
	e.collect(x, column, column, row, tl, t)
	slices.SortStableFunc(x.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Occurred, b.Occurred), cmp.Compare(a.Recorded, b.Recorded))
	})
	if n := len(x.Items); n > 0 {
		e.Row(row, without(tl, &x.Items[n-1].item), t)
		x.Without = row[column]
	}
	return x
}

// collect adds what a column is made of, and for an expression what its
// arguments are.
func (e *Engine) collect(x *Explanation, column, of int, row []float32, tl *event.Timeline, t event.Time) {
	st := &e.steps[column]
	if st.expr != nil {
		for _, c := range st.expr.columns {
			if c < 0 || slices.ContainsFunc(x.Arguments, func(a Argument) bool { return a.Name == e.features[c].Name }) {
				continue
			}
			x.Arguments = append(x.Arguments, Argument{e.features[c].Name, row[c], e.Computed(c)})
			e.collect(x, c, of, row, tl, t)
		}
		return
	}
	if st.window == 0 { // of the customer
		return
	}
	w := new(Workspace)
	w.begin(e, tl)
	w.skip(t)
	w.look(t)
	for _, it := range w.windows[st.window].explain(&e.declarations()[column]) {
		it.Why[0].Feature = e.features[column].Name
		same := slices.IndexFunc(x.Items, func(o Item) bool { return o.item == it.item })
		if same < 0 {
			x.Items = append(x.Items, it)
		} else {
			x.Items[same].Why = append(x.Items[same].Why, it.Why[0])
		}
	}
}

// explain lists the items that a feature of the window looks at, with the
// reasons.
func (w *window) explain(d *declaration) []Item {
	a, all := aggregates[d.Agg], w
	if a.share != ofNothing {
		all = w.whole
	}
	counted := map[int32]bool{}
	for i := w.first; i < w.end; i++ {
		counted[w.place(i)] = true
	}
	var items []Item
	for i := all.first; i < all.end; i++ {
		why, in := "in the window", counted[all.place(i)]
		if d.By != "" && (in || a.share != ofLevel) {
			why += fmt.Sprintf(", %s is %q", d.By, d.level)
		}
		if d.Where != "" && (in || a.share != ofCondition) {
			why += ", " + d.Where
		}
		switch {
		case in:
		case a.share == ofCondition:
			why += ", not " + d.Where + ": counts in the whole only"
		default:
			why += fmt.Sprintf(", %s is not %q: counts in the whole only", d.By, d.level)
		}
		items = append(items, all.told(i, a.field, why))
	}
	if w.first == w.end {
		return items
	}
	for i := range w.first {
		switch {
		case a.earlier && i == w.first-1:
			items = append(items, w.told(i, false, "the last before the window: the first gap begins here"))
		case a.back > 0 && w.at[w.first].Sub(w.at[i]) <= a.back:
			items = append(items, w.told(i, false, "before the window: one of its kind within 90 days is a repeat"))
		}
	}
	return items
}

// told tells item i of a series.
func (w *window) told(i int, value bool, why string) Item {
	it := *w.stream.view.item(w.place(i))
	x := Item{Stream: w.stream.name, Occurred: it.at, Recorded: it.known, What: it.describe(w.t), Why: []Reason{{Text: why}}, item: it}
	if value {
		f := scale(w.value[i], w.field.per)
		x.Value = &f
	}
	return x
}

// describe tells an item as it was known at t.
func (it *item) describe(t event.Time) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	text := func(s string) {
		if s != "" {
			add("%s", shown(s))
		}
	}
	switch {
	case it.engagement != nil:
		text(it.engagement.Kind)
		if it.engagement.HasValue {
			add("value %s", it.engagement.Value)
		}
	case it.complaint != nil:
		c := it.complaint
		text(c.Category)
		text(c.Channel)
		if c.HasSeverity {
			add("severity %s", c.Severity)
		}
		if resolved(it, t) {
			add("resolved %s", c.ResolvedAt)
		} else {
			add("open")
		}
	case it.payment != nil:
		p := it.payment
		add("%s", strings.TrimSpace(p.Amount.String()+" "+shown(p.Currency)))
		if paid(it, t) {
			add("paid %s", p.PaidAt)
		} else {
			add("unpaid")
		}
		if event.Visible(p.FailedAt, p.FailedKnown, t) {
			add("failed %s", p.FailedAt)
		}
		if event.Visible(p.RefundedAt, p.RefundedKnown, t) {
			add("refunded %s", p.RefundedAt)
		}
	case it.change != nil:
		text(it.change.Name)
		add("now %q", shown(it.change.Value))
	default:
		text(it.contact.Action)
		text(it.contact.Channel)
	}
	return strings.Join(parts, ", ")
}

// without copies a history and leaves one item out.
func without(tl *event.Timeline, it *item) *event.Timeline {
	out := *tl
	switch {
	case it.engagement != nil:
		out.Engagements = drop(tl.Engagements, it.engagement)
	case it.complaint != nil:
		out.Complaints = drop(tl.Complaints, it.complaint)
	case it.payment != nil:
		out.Payments = drop(tl.Payments, it.payment)
	case it.change != nil:
		out.Changes = drop(tl.Changes, it.change)
	default:
		out.Contacts = drop(tl.Contacts, it.contact)
	}
	return &out
}

func drop[E any](s []E, p *E) []E {
	out := make([]E, 0, len(s))
	for i := range s {
		if &s[i] != p {
			out = append(out, s[i])
		}
	}
	return out
}
