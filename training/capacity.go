package training

import (
	"fmt"
	"slices"

	"churn/event"
	"churn/training/measure"
)

// Capacity is how many customers can be contacted at each snapshot: a number of
// them, or a share of those observed.
type Capacity struct {
	Customers int     `json:"customers,omitzero"`
	Share     float64 `json:"share,omitzero"`
}

func (c Capacity) check() error {
	// The negated comparison also catches NaN.
	if c.Customers < 0 || !(c.Share >= 0 && c.Share <= 1) || c.Customers > 0 && c.Share > 0 {
		return fmt.Errorf("capacity of %d customers and a share of %v: give a number of customers, or a share from 0 to 1", c.Customers, c.Share)
	}
	return nil
}

func (c Capacity) String() string {
	if c.Customers > 0 {
		return fmt.Sprintf("%d customers a snapshot", c.Customers)
	}
	return decimal("%.3g %% of the customers", 100*c.Share)
}

// AtCapacity is what is found when the riskiest customers of each snapshot are
// contacted, as many as there is capacity for.
type AtCapacity struct {
	Capacity  Capacity         `json:"capacity"`
	Contacted measure.Float    `json:"contacted"` // share of the rows
	Precision measure.Estimate `json:"precision"`
	Recall    measure.Estimate `json:"recall"`
	Lift      measure.Estimate `json:"lift"`
	// The inactivity rule with the same capacity, and Recall less its recall.
	RulePrecision    measure.Estimate `json:"rule_precision"`
	RuleRecall       measure.Estimate `json:"rule_recall"`
	RecallDifference measure.Estimate `json:"recall_difference"`
	// Notice is empty, and NoticeNotMeasured says why, where the moment of
	// leaving is not known.
	Notice            []Notice `json:"notice,omitempty"`
	NoticeNotMeasured string   `json:"notice_not_measured,omitempty"`
}

// Notice is catchable churn: of the customers who left, the share contacted at
// some snapshot of the test at least so many days before.
type Notice struct {
	Days     int              `json:"days"`
	Churners int              `json:"churners"` // customers, each counted once
	Recall   measure.Estimate `json:"recall"`
	Rule     measure.Estimate `json:"rule_recall"`
	// Possible is the share that was observed so early at all: nobody could catch
	// more on this test. Where it is 0 nothing was measured.
	Possible measure.Float `json:"possible"`
}

// noticeDays are the days of notice that are reported.
var noticeDays = [...]int{0, 7, 14, 30, 60}

// minGroup is how many churners, and how many stayers, a figure needs.
const minGroup = 20

// contacts picks rows by capacity. Rows are grouped by snapshot.
type contacts struct {
	capacity Capacity
	groups   [][]int
	share    []float64 // of each group
	churned  []bool
	// Rows of those who left, by customer.
	leavers [][]noticed
}

// noticed is a row of a customer who left.
type noticed struct {
	row  int
	days float64 // from the row to the moment of leaving
}

// newContacts groups the rows of a test. population is how many customers each
// snapshot has in all, of whom the rows are a part: a number of contacts is
// shared out by it. nil takes the rows for all.
func newContacts(c Capacity, d *Data, population map[event.Time]int) *contacts {
	s := &contacts{capacity: c, churned: d.Labels()}
	place := map[event.Time]int{}
	for i := range d.Observations {
		at := d.Observations[i].At
		k, ok := place[at]
		if !ok {
			k = len(s.groups)
			place[at] = k
			s.groups = append(s.groups, nil)
		}
		s.groups[k] = append(s.groups[k], i)
	}
	s.share = make([]float64, len(s.groups))
	for at, k := range place {
		s.share[k] = c.Share
		if c.Customers > 0 {
			n := len(s.groups[k])
			if population != nil {
				n = max(n, population[at])
			}
			s.share[k] = min(1, float64(c.Customers)/float64(n))
		}
	}
	s.findLeavers(d)
	return s
}

// findLeavers lists those whose moment of leaving is known. Of several moments,
// as of payments missed, the first counts.
func (s *contacts) findLeavers(d *Data) {
	left := map[string]event.Time{}
	for i := range d.Observations {
		if o := &d.Observations[i]; o.Churned && o.LeftAt != event.Never {
			if first, ok := left[o.Customer]; !ok || o.LeftAt < first {
				left[o.Customer] = o.LeftAt
			}
		}
	}
	place := map[string]int{}
	for i := range d.Observations {
		o := &d.Observations[i]
		at, ok := left[o.Customer]
		if !ok {
			continue
		}
		k, ok := place[o.Customer]
		if !ok {
			k = len(s.leavers)
			place[o.Customer] = k
			s.leavers = append(s.leavers, nil)
		}
		s.leavers[k] = append(s.leavers[k], noticed{i, at.Sub(o.At).Days()})
	}
}

// ranked are the rows of each group, the riskiest first.
func (s *contacts) ranked(score []float64) [][]int {
	out := make([][]int, len(s.groups))
	for g, rows := range s.groups {
		out[g] = slices.Clone(rows)
		slices.SortStableFunc(out[g], func(a, b int) int {
			switch {
			case score[a] > score[b]:
				return -1
			case score[a] < score[b]:
				return 1
			}
			return 0
		})
	}
	return out
}

// pick writes to out how likely each row is among those contacted: 1 or 0, and a
// share where the cut falls among equal scores.
func (s *contacts) pick(score []float64, ranked [][]int, weight, out []float64) {
	for g, rows := range ranked {
		total := 0.0
		for _, i := range rows {
			total += weight[i]
		}
		left := float64(s.share[g] * total)
		for start := 0; start < len(rows); {
			end, run := start, 0.0
			for ; end < len(rows) && score[rows[end]] == score[rows[start]]; end++ {
				run += weight[rows[end]]
			}
			part := 0.0
			if left > 0 {
				part = 1
				if run > left {
					part = left / run
				}
			}
			for _, i := range rows[start:end] {
				out[i] = part
			}
			left -= run
			start = end
		}
	}
}

// caught is the share of those who left who were contacted at least so many days
// before.
func (s *contacts) caught(days int, weight, picked []float64) float64 {
	var all, found float64
	for _, rows := range s.leavers {
		missed := 1.0
		for _, r := range rows {
			if r.days >= float64(days) {
				missed *= 1 - picked[r.row]
			}
		}
		w := weight[rows[0].row]
		all += w
		found += float64(w * (1 - missed))
	}
	return found / all
}

// possible is the share of those who left who were observed at least so many
// days before.
func (s *contacts) possible(days int) float64 {
	n := 0
	for _, rows := range s.leavers {
		if slices.ContainsFunc(rows, func(r noticed) bool { return r.days >= float64(days) }) {
			n++
		}
	}
	return float64(n) / float64(len(s.leavers))
}

// measure is what the capacity finds with the scores of the model, and with
// those of the rule.
func (s *contacts) measure(model, rule []float64, customers []string, boot measure.Bootstrap) (*AtCapacity, error) {
	byModel, byRule := s.ranked(model), s.ranked(rule)
	notice := len(noticeDays)
	if len(s.leavers) < minGroup {
		notice = 0
	}
	const apart, contacted = 6, 7 // after precision, recall and lift of both
	got, err := boot.Of(customers, contacted+1+2*notice, func() func(weight, out []float64) {
		picked := make([]float64, len(customers))
		return func(weight, out []float64) {
			for k, ranked := range [][][]int{byModel, byRule} {
				score := model
				if k == 1 {
					score = rule
				}
				s.pick(score, ranked, weight, picked)
				var n, pos, taken, found float64
				for i, w := range weight {
					n += w
					taken += float64(w * picked[i])
					if s.churned[i] {
						pos += w
						found += float64(w * picked[i])
					}
				}
				out[3*k], out[3*k+1], out[3*k+2] = found/taken, found/pos, found/taken/(pos/n)
				if k == 0 {
					out[contacted] = taken / n
				}
				for j, days := range noticeDays[:notice] {
					out[contacted+1+2*j+k] = s.caught(days, weight, picked)
				}
			}
			out[apart] = out[1] - out[4]
		}
	})
	if err != nil {
		return nil, err
	}
	a := &AtCapacity{Capacity: s.capacity, Contacted: got[contacted].Value, Precision: got[0], Recall: got[1], Lift: got[2],
		RulePrecision: got[3], RuleRecall: got[4], RecallDifference: got[apart]}
	for j, days := range noticeDays[:notice] {
		n := Notice{Days: days, Churners: len(s.leavers), Recall: got[contacted+1+2*j], Rule: got[contacted+2+2*j], Possible: measure.Float(s.possible(days))}
		if n.Possible == 0 {
			n.Recall, n.Rule = measure.Unmeasured(), measure.Unmeasured()
		}
		a.Notice = append(a.Notice, n)
	}
	if notice == 0 {
		a.NoticeNotMeasured = fmt.Sprintf("insufficient data: the moment of leaving is known of %d customers who left in the test, %d are needed", len(s.leavers), minGroup)
		if len(s.leavers) == 0 {
			a.NoticeNotMeasured = "the moment of leaving is not known"
		}
	}
	return a, nil
}

// picked is which rows the scores contact, each with weight 1.
func (s *contacts) picked(score []float64) []float64 {
	weight, out := make([]float64, len(score)), make([]float64, len(score))
	for i := range weight {
		weight[i] = 1
	}
	s.pick(score, s.ranked(score), weight, out)
	return out
}

// populationOf is how many rows each snapshot has in several parts together.
func populationOf(parts ...*Data) map[event.Time]int {
	n := map[event.Time]int{}
	for _, d := range parts {
		if d == nil {
			continue
		}
		for i := range d.Observations {
			n[d.Observations[i].At]++
		}
	}
	return n
}
