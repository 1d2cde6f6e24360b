package training

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// Finding is a sign that the data knows the future, or that it is not what it
// seems.
type Finding struct {
	// Severity is error (the gate fails, the data is not fit), warning, or
	// advice: what could be better.
	Severity string `json:"severity"`
	Check    string `json:"check"`
	Subject  string `json:"subject"` // feature, kind or column
	Text     string `json:"text"`
}

// bySeverity puts errors first and advice last, and leaves the rest in order.
func bySeverity(list []Finding) {
	rank := []string{"error", "warning", "advice"}
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Compare(slices.Index(rank, a.Severity), slices.Index(rank, b.Severity))
	})
}

// Limits of the checks.
const (
	leakAUC         = 0.95  // an error above
	suspiciousAUC   = 0.90  // a warning above
	ruleMargin      = 0.005 // by which a feature may exceed the rule's AUC
	leakLift        = 20.0  // how many times as often as usual
	leakShare       = 0.05  // of those who leave; rarer kinds are not looked at
	leakDays        = 14 * event.Day
	minLeakChurners = 20
)

// singleFeature looks for a feature that alone predicts too well, by its value
// or by its being missing, on training rows. Where churn is inactivity, the
// length of the silence may predict very well and know nothing of the future:
// what is no better than the rule is a warning at most.
func singleFeature(data *Data, d *model.Definition, workers int) []Finding {
	if data.Positives() < minLeakChurners {
		return nil
	}
	y := data.Labels()
	m := &data.Matrix
	limit := leakAUC
	if rule := fitRule(m, workers); rule != nil && d.Kind == "inactivity" {
		limit = max(limit, auc(rule.margins(m, workers), y)+ruleMargin)
	}
	findings := make([]*Finding, len(m.Features))
	parallel(workers, len(findings), func(j int) { findings[j] = lookAlone(m, j, y, limit) })
	var out []Finding
	for _, f := range findings {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// lookAlone is singleFeature for feature j, an error above limit; nil finds
// nothing.
func lookAlone(m *features.Matrix, j int, y []bool, limit float64) *Finding {
	score := make([]float64, m.Rows())
	var n, missing [2]float64 // rows that stayed, rows that churned
	for i := range score {
		k := 0
		if y[i] {
			k = 1
		}
		n[k]++
		if score[i] = float64(m.Row(i)[j]); math.IsNaN(score[i]) {
			missing[k]++
			score[i] = math.Inf(-1)
		}
	}
	if m.Features[j].Kind == features.Category {
		levelRates(score, y)
	}
	best, what := eitherWay(auc(score, y)), "its value"
	// A ranking of two values has (1 + rate among churners - rate among others)/2.
	if a := eitherWay((1 + missing[1]/n[1] - missing[0]/n[0]) / 2); a >= best {
		best, what = a, "whether it is missing"
	}
	if !(best > suspiciousAUC) {
		return nil
	}
	f := &Finding{Severity: "warning", Check: "single feature", Subject: m.Features[j].Name}
	if best > limit {
		f.Severity = "error"
	}
	f.Text = fmt.Sprintf("%s alone has AUC %.3f (%s): does it know the outcome? Drop it from the features, or from the data if it was filled in afterwards", f.Subject, best, what)
	return f
}

// eitherWay is the AUC of a ranking or of its opposite, whichever is better.
func eitherWay(auc float64) float64 { return max(auc, 1-auc) }

// levelRates replaces category codes by the churn rate of their level. Levels
// of few rows all have the overall rate: each by itself would match its own
// outcomes, and a column of many rare levels look like a leak.
func levelRates(score []float64, y []bool) {
	type cell struct{ n, pos float64 }
	cells := map[float64]cell{}
	var all cell
	for i, v := range score {
		c := cells[v]
		c.n++
		all.n++
		if y[i] {
			c.pos++
			all.pos++
		}
		cells[v] = c
	}
	for i, v := range score {
		c := cells[v]
		if c.n < minLevelRows {
			c = all
		}
		score[i] = c.pos / c.n
	}
}

// auc is NaN where all outcomes are the same.
func auc(score []float64, y []bool) float64 {
	m, err := measure.Scores(score, y, nil)
	if err != nil {
		return math.NaN()
	}
	return float64(m.AUC)
}

// historyCheck looks through whole histories for marks of the outcome: it is
// fed every customer once. Who left is told by churned_at; where no customer
// has one, only the checks that need no outcome are made.
type historyCheck struct {
	set        *features.Set
	through    event.Time
	customers  int
	churners   float64
	attributes map[string]map[string]*[2]float64 // by attribute and value: customers, churners
	// By kind of engagement: churners with it in their last days, and stretches
	// of as many days with it among all customers; and the number of stretches.
	before, stretches map[string]float64
	allStretches      float64
	afterChurn        int
	future            int
	orphans           int
	clocks            *clocks
}

func newHistoryCheck(set *features.Set, through event.Time) *historyCheck {
	return &historyCheck{set: set, through: through, attributes: map[string]map[string]*[2]float64{},
		before: map[string]float64{}, stretches: map[string]float64{}, clocks: newClocks()}
}

// maxAttributeValues bounds the values counted of an attribute: with more it
// is an identifier.
const maxAttributeValues = 10_000

// add looks at one customer.
func (h *historyCheck) add(tl *event.Timeline) {
	churnedAt := tl.Customer.ChurnedAt
	churned := churnedAt != event.Never
	h.customers++
	h.orphans += tl.Orphans
	if churned {
		h.churners++
	}
	for _, a := range h.set.Attributes {
		if a.History { // as known at each instant
			continue
		}
		m := h.attributes[a.Name]
		if m == nil {
			m = map[string]*[2]float64{}
			h.attributes[a.Name] = m
		}
		v := tl.Customer.Attributes[a.Name]
		if m[v] == nil {
			if len(m) >= maxAttributeValues {
				continue
			}
			m[v] = new([2]float64)
		}
		m[v][0]++
		if churned {
			m[v][1]++
		}
	}
	h.countFuture(tl)
	h.clocks.add(tl)
	// Stretches are counted back from the end, which is churn if there was any:
	// the first of them is that of the last days.
	end := min(churnedAt, h.through)
	seen := map[string]bool{}
	last, stretch := event.Duration(-1), event.Duration(0)
	for i := len(tl.Engagements) - 1; i >= 0; i-- {
		e := &tl.Engagements[i]
		if e.Superseded != 0 {
			continue
		}
		if e.At >= end {
			if churned && e.At < h.through {
				h.afterChurn++
			}
			continue
		}
		// Half-open like every window: 14 days before the end is still in.
		if stretch = (end.Sub(e.At) - 1) / leakDays; stretch != last {
			last = stretch
			clear(seen)
		}
		if seen[e.Kind] {
			continue
		}
		seen[e.Kind] = true
		h.stretches[e.Kind]++
		if churned && stretch == 0 {
			h.before[e.Kind]++
		}
	}
	h.allStretches += float64(stretch + 1) // back to the first engagement, at least one
}

// countFuture counts what happened after the end of the data. A due date may
// lie ahead, nothing else.
func (h *historyCheck) countFuture(tl *event.Timeline) {
	late := func(superseded event.Time, times ...event.Time) {
		for _, t := range times {
			if t >= h.through && t != event.Never && superseded == 0 {
				h.future++
			}
		}
	}
	for i := range tl.Engagements {
		late(tl.Engagements[i].Superseded, tl.Engagements[i].At)
	}
	for i := range tl.Complaints {
		late(tl.Complaints[i].Superseded, tl.Complaints[i].At, tl.Complaints[i].ResolvedAt)
	}
	for i := range tl.Payments {
		p := &tl.Payments[i]
		late(p.Superseded, p.PaidAt, p.FailedAt, p.RefundedAt)
	}
}

// findings draws the conclusions.
func (h *historyCheck) findings() []Finding {
	var out []Finding
	if h.churners >= minLeakChurners {
		for _, a := range h.set.Attributes {
			if v := attributeAUC(h.attributes[a.Name]); !a.History && v > leakAUC {
				out = append(out, Finding{"error", "attribute", a.Name, fmt.Sprintf(
					"attribute %s separates customers who ever left from those who did not (AUC %.3f), whatever the time: it was filled in after the outcome; drop it", a.Name, v)})
			}
		}
		for _, kind := range sortedNames(h.before) {
			share := h.before[kind] / h.churners
			// Usual is every other stretch of a customer's time; counting one
			// more keeps a kind that is never seen there comparable.
			usual := (h.stretches[kind] - h.before[kind] + 1) / (h.allStretches - h.churners + 1)
			if lift := share / usual; share > leakShare && lift > leakLift {
				out = append(out, Finding{"warning", "last days", kind, fmt.Sprintf(
					"engagement %q occurs in the last 14 days of %.0f%% of those who leave, %.0f times as often as usual: it may be part of leaving (a cancel page, an exit survey) and help no one in advance", kind, 100*share, lift)})
			}
		}
	}
	if h.afterChurn > 0 {
		out = append(out, Finding{"warning", "after churn", "engagement", fmt.Sprintf(
			"%d engagement events happened after their customer's churned_at: are both times of the same clock?", h.afterChurn)})
	}
	if h.future > 0 {
		out = append(out, Finding{"error", "future", "events", fmt.Sprintf(
			"%d events lie at or after the end of the data, %s: their times are wrong, or the end is", h.future, h.through)})
	}
	if h.orphans > 0 {
		out = append(out, Finding{"warning", "orphans", "events", fmt.Sprintf(
			"%d resolutions, failures or refunds belong to no known complaint or payment and are not used", h.orphans)})
	}
	return append(out, h.clocks.findings()...)
}

// attributeAUC is the AUC of the churn rate of each value, over customers; NaN
// where all left or none did. Values of few customers have the overall rate, or
// an identifier would look perfect.
func attributeAUC(m map[string]*[2]float64) float64 {
	type cell struct{ rate, n, pos float64 }
	var cells []cell
	var rest, all cell
	for _, c := range m {
		all.n += c[0]
		all.pos += c[1]
		if c[0] < minLevelRows {
			rest.n += c[0]
			rest.pos += c[1]
			continue
		}
		cells = append(cells, cell{c[1] / c[0], c[0], c[1]})
	}
	if rest.n > 0 {
		rest.rate = all.pos / all.n
		cells = append(cells, rest)
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.rate, b.rate), cmp.Compare(a.n, b.n), cmp.Compare(a.pos, b.pos))
	})
	var below, area float64
	for i := 0; i < len(cells); {
		var n, pos float64 // cells of one rate are tied
		for r := cells[i].rate; i < len(cells) && cells[i].rate == r; i++ {
			n += cells[i].n
			pos += cells[i].pos
		}
		neg := n - pos
		area += float64(pos * (below + neg/2))
		below += neg
	}
	return area / (all.pos * (all.n - all.pos))
}

// sortedNames lists the keys of a map in order.
func sortedNames[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
