package training

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"churn/event"
	"churn/features"
	"churn/model"
)

// Finding is a sign that the data knows the future, or that it is not what it
// seems.
type Finding struct {
	// Severity is error (the gate fails) or warning.
	Severity string `json:"severity"`
	Check    string `json:"check"`
	Subject  string `json:"subject"` // feature, kind or column
	Text     string `json:"text"`
}

// Limits of the checks (AUC, lift).
const (
	leakAUC         = 0.95
	suspiciousAUC   = 0.90
	leakLift        = 20.0
	leakDays        = 14 * event.Day
	minLeakChurners = 20
)

// singleFeature looks for a feature that alone predicts too well, by its value
// or by its being missing, on training rows.
func singleFeature(data *Data) []Finding {
	y := data.Labels()
	var out []Finding
	report := func(name, what string, auc float64) {
		auc = max(auc, 1-auc)
		f := Finding{Severity: "warning", Check: "single feature", Subject: name}
		switch {
		case math.IsNaN(auc) || auc <= suspiciousAUC:
			return
		case auc > leakAUC:
			f.Severity = "error"
		}
		f.Text = fmt.Sprintf("%s alone has AUC %.3f (%s): does it know the outcome? Drop it from the features, or from the data if it was filled in afterwards", name, auc, what)
		out = append(out, f)
	}
	if data.Positives() < minLeakChurners {
		return nil
	}
	m := &data.Matrix
	score := make([]float64, m.Rows())
	for j := range m.Features {
		f := &m.Features[j]
		missing := 0
		for i := range score {
			score[i] = float64(m.Row(i)[j])
			if math.IsNaN(score[i]) {
				missing++
				score[i] = math.Inf(-1)
			}
		}
		if f.Kind == features.Category {
			levelRates(score, y)
		}
		report(f.Name, "its value", auc(score, y))
		if missing > 0 && missing < len(score) {
			for i := range score {
				score[i] = 0
				if math.IsNaN(float64(m.Row(i)[j])) {
					score[i] = 1
				}
			}
			report(f.Name, "whether it is missing", auc(score, y))
		}
	}
	return out
}

// levelRates replaces category codes by the churn rate of their level.
func levelRates(score []float64, y []bool) {
	sum, n := map[float64]float64{}, map[float64]float64{}
	for i, v := range score {
		n[v]++
		if y[i] {
			sum[v]++
		}
	}
	for i, v := range score {
		score[i] = sum[v] / n[v]
	}
}

func auc(score []float64, y []bool) float64 {
	m, err := Measure(score, y, nil)
	if err != nil {
		return math.NaN()
	}
	return float64(m.AUC)
}

// historyCheck looks through whole histories for marks of the outcome: it is
// fed every customer once.
type historyCheck struct {
	definition model.Definition
	set        *features.Set
	// attribute value -> customers, churners; by attribute
	attributes map[string]map[string]*[2]float64
	churners   float64
	customers  float64
	// kind of engagement -> churners with it in their last days, and 14-day
	// stretches with it among all customers.
	before      map[string]float64
	stretches   map[string]float64
	allDays     float64
	afterChurn  map[string]int
	future      int
	orphans     int
	untilFuture event.Time
}

func newHistoryCheck(d model.Definition, set *features.Set, through event.Time) *historyCheck {
	h := &historyCheck{definition: d, set: set, attributes: map[string]map[string]*[2]float64{},
		before: map[string]float64{}, stretches: map[string]float64{}, afterChurn: map[string]int{}, untilFuture: through}
	return h
}

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
		m := h.attributes[a.Name]
		if m == nil {
			m = map[string]*[2]float64{}
			h.attributes[a.Name] = m
		}
		v := tl.Customer.Attributes[a.Name]
		if m[v] == nil {
			if len(m) >= 10_000 {
				continue // an identifier, not an attribute
			}
			m[v] = new([2]float64)
		}
		m[v][0]++
		if churned {
			m[v][1]++
		}
	}
	// Kinds by 14-day stretch, and in the last 14 days before churn.
	seen := map[string]bool{}
	last := event.Time(math.MinInt64)
	for i := range tl.Engagements {
		e := &tl.Engagements[i]
		if e.At >= h.untilFuture {
			h.future++
			continue
		}
		if churned && e.At >= churnedAt {
			h.afterChurn[e.Kind]++
		}
		if stretch := e.At / event.Time(leakDays); stretch != last {
			last = stretch
			clear(seen)
		}
		if !seen[e.Kind] {
			seen[e.Kind] = true
			h.stretches[e.Kind]++
		}
	}
	if n := len(tl.Engagements); n > 0 {
		h.allDays += float64(tl.Engagements[n-1].At.Sub(tl.Engagements[0].At))/float64(leakDays) + 1
	}
	if churned {
		clear(seen)
		for i := range tl.Engagements {
			e := &tl.Engagements[i]
			if e.At >= churnedAt.Add(-leakDays) && e.At < churnedAt && !seen[e.Kind] {
				seen[e.Kind] = true
				h.before[e.Kind]++
			}
		}
	}
}

// findings draws the conclusions.
func (h *historyCheck) findings() []Finding {
	var out []Finding
	if h.churners >= minLeakChurners {
		for _, a := range h.set.Attributes {
			if v := attributeAUC(h.attributes[a.Name]); v > leakAUC {
				out = append(out, Finding{"error", "attribute", a.Name, fmt.Sprintf(
					"attribute %s separates customers who ever left from those who did not (AUC %.3f), whatever the time: it was filled in after the outcome; drop it", a.Name, v)})
			}
		}
		for _, kind := range sortedNames(h.before) {
			share := h.before[kind] / h.churners
			usual := h.stretches[kind] / max(h.allDays, 1)
			if lift := share / max(usual, 1e-9); share > 0.05 && lift > leakLift {
				out = append(out, Finding{"warning", "last days", kind, fmt.Sprintf(
					"engagement %q occurs in the last 14 days of %.0f%% of those who leave, %.0f times as often as usual: it may be part of leaving (a cancel page, an exit survey) and help no one in advance", kind, 100*share, lift)})
			}
		}
	}
	total := 0
	for _, kind := range sortedNames(h.afterChurn) {
		total += h.afterChurn[kind]
	}
	if total > 0 {
		out = append(out, Finding{"warning", "after churn", "engagement", fmt.Sprintf(
			"%d engagement events happened after their customer's churned_at: are both times of the same clock?", total)})
	}
	if h.future > 0 {
		out = append(out, Finding{"error", "future", "engagement", fmt.Sprintf(
			"%d engagement events lie after the end of the data", h.future)})
	}
	if h.orphans > 0 {
		out = append(out, Finding{"warning", "orphans", "events", fmt.Sprintf(
			"%d resolutions, failures or refunds belong to no known complaint or payment and are not used", h.orphans)})
	}
	return out
}

// attributeAUC is the AUC of the churn rate of each value, over customers. A
// value of few customers counts with the overall rate, or an identifier would
// look perfect.
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

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
