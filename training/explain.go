package training

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// Driver is a feature, or a whole family, with its mean absolute contribution in
// log-odds. What a family's features contribute to one score is summed first.
type Driver struct {
	Feature string        `json:"feature,omitempty"`
	Family  string        `json:"family"`
	Mean    measure.Float `json:"mean_abs_contribution"`
	// Direction of a number: raises or lowers the risk the higher it is, mixed
	// where neither holds. Families and categories have none.
	Direction string `json:"direction,omitempty"`
	// Raises and Lowers say in words what raised and lowered the risk of a row,
	// more than it did of nineteen in twenty of those where it did.
	Raises string `json:"raises,omitempty"`
	Lowers string `json:"lowers,omitempty"`
}

// Explained is what a feature contributed to the scores of some rows of the test:
// what the report's pictures of reasons are drawn from.
type Explained struct {
	Feature string   `json:"feature"`
	Kind    string   `json:"kind"` // number or category
	Unit    string   `json:"unit,omitempty"`
	Levels  []string `json:"levels,omitempty"` // of a category
	// Values are rounded to four digits; null is missing. Of a category they are
	// places in Levels, below 0 of a level that training did not know.
	Values        []measure.Float `json:"values"`
	Contributions []measure.Float `json:"contributions"` // log-odds, to three decimals
}

const (
	explainedRows = 500
	topDrivers    = 20
	topExplained  = 12
	// A number has a direction where its rank correlation with what it
	// contributes is at least this.
	directed = 0.5
)

// explain ranks features, and families, by mean absolute contribution over at
// most 500 rows; the first 20 of each, and the rows of the first features.
func (r *Report) explain(s *model.Scorer, m *features.Matrix, workers int) {
	step := max(1, (m.Rows()+explainedRows-1)/explainedRows)
	x := explained{scorer: s, m: m, step: step, phi: make([][]float64, (m.Rows()+step-1)/step)}
	parallel(workers, len(x.phi), func(k int) {
		x.phi[k] = make([]float64, len(m.Features))
		s.Score(x.row(k), x.phi[k])
	})
	type column struct {
		Driver
		members []int
	}
	var single, families []column
	place := map[string]int{}
	for j, f := range m.Features {
		k, ok := place[f.Family]
		if !ok {
			k = len(families)
			place[f.Family] = k
			families = append(families, column{Driver: Driver{Family: f.Family}})
		}
		families[k].members = append(families[k].members, j)
		single = append(single, column{Driver{Feature: f.Name, Family: f.Family}, []int{j}})
	}
	top := func(all []column) []column {
		for i := range all {
			all[i].Mean = x.meanSize(all[i].members)
		}
		all = slices.DeleteFunc(all, func(c column) bool { return !(c.Mean > 0) })
		slices.SortStableFunc(all, func(a, b column) int { return cmp.Compare(b.Mean, a.Mean) })
		return all[:min(len(all), topDrivers)]
	}
	r.Drivers, r.Families, r.Explained = []Driver{}, []Driver{}, []Explained{}
	for i, c := range top(single) {
		j := c.members[0]
		c.Direction = x.direction(j)
		if high, low := x.examples(c.members); high >= 0 || low >= 0 {
			c.Raises, c.Lowers = x.sentence(high, j), x.sentence(low, j)
		}
		r.Drivers = append(r.Drivers, c.Driver)
		if i < topExplained {
			r.Explained = append(r.Explained, x.column(j))
		}
	}
	for _, c := range top(families) {
		high, low := x.examples(c.members)
		c.Raises, c.Lowers = x.reason(high, c.Family), x.reason(low, c.Family)
		r.Families = append(r.Families, c.Driver)
	}
}

// explained is rows, each step-th of a matrix, with their contributions.
type explained struct {
	scorer *model.Scorer
	m      *features.Matrix
	step   int
	phi    [][]float64
}

func (x *explained) row(k int) []float32 { return x.m.Row(k * x.step) }

func (x *explained) sum(k int, columns []int) (sum float64) {
	for _, j := range columns {
		sum += x.phi[k][j]
	}
	return sum
}

// meanSize is the mean absolute sum of some columns, 0 without rows.
func (x *explained) meanSize(columns []int) measure.Float {
	total := 0.0
	for k := range x.phi {
		total += math.Abs(x.sum(k, columns))
	}
	return measure.Float(total / float64(max(len(x.phi), 1)))
}

// examples are rows whose risk the columns raise, and lower, by much and not by
// most: what is extreme is odd too. -1 where there is none.
func (x *explained) examples(columns []int) (high, low int) {
	rows := make([]int, len(x.phi))
	sums := make([]float64, len(x.phi))
	for k := range rows {
		rows[k], sums[k] = k, x.sum(k, columns)
	}
	slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(sums[a], sums[b]) })
	high, low = -1, -1
	negative, _ := slices.BinarySearchFunc(rows, 0.0, func(k int, v float64) int { return cmp.Compare(sums[k], v) })
	if negative > 0 {
		low = rows[negative/20]
	}
	positive := slices.IndexFunc(rows, func(k int) bool { return sums[k] > 0 })
	if positive >= 0 {
		high = rows[len(rows)-1-(len(rows)-positive)/20]
	}
	return high, low
}

// sentence says in words what a row has in a column.
func (x *explained) sentence(k, j int) string {
	if k < 0 {
		return ""
	}
	return x.scorer.Engine().Sentence(j, x.row(k))
}

// reason says in words what a family means for a row.
func (x *explained) reason(k int, family string) string {
	if k < 0 {
		return ""
	}
	for _, reason := range x.scorer.Reasons(x.row(k), x.phi[k], len(x.m.Features)) {
		if reason.Family == family {
			return reason.Text
		}
	}
	return ""
}

// direction tells whether a number raises or lowers the risk.
func (x *explained) direction(j int) string {
	if x.m.Features[j].Kind == features.Category {
		return ""
	}
	var value, phi []float64
	for k := range x.phi {
		if v := float64(x.row(k)[j]); v == v {
			value, phi = append(value, v), append(phi, x.phi[k][j])
		}
	}
	switch c := correlation(ranks(value), ranks(phi)); {
	case c >= directed:
		return "raises"
	case c <= -directed:
		return "lowers"
	case len(value) == 0:
		return ""
	}
	return "mixed"
}

// column is what the pictures are drawn from.
func (x *explained) column(j int) Explained {
	f := &x.m.Features[j]
	e := Explained{Feature: f.Name, Kind: f.Kind.String(), Unit: f.Unit, Levels: f.Levels}
	for k := range x.phi {
		e.Values = append(e.Values, digits(float64(x.row(k)[j]), 4))
		e.Contributions = append(e.Contributions, measure.Float(math.Round(x.phi[k][j]*1000)/1000))
	}
	return e
}

// digits rounds to so many digits.
func digits(v float64, n int) measure.Float {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', n-1, 64), 64)
	if err != nil {
		return measure.Float(v)
	}
	return measure.Float(rounded)
}

// ranks are those of values, equal ones sharing theirs.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	out := make([]float64, len(values))
	for start := 0; start < len(order); {
		end := start
		for end < len(order) && values[order[end]] == values[order[start]] {
			end++
		}
		for _, i := range order[start:end] {
			out[i] = float64(start+end-1) / 2
		}
		start = end
	}
	return out
}

// correlation is Pearson's; of ranks it is Spearman's. NaN where either is
// constant.
func correlation(a, b []float64) float64 {
	var ma, mb float64
	for i := range a {
		ma += a[i] / float64(len(a))
		mb += b[i] / float64(len(b))
	}
	var ab, aa, bb float64
	for i := range a {
		ab += float64((a[i] - ma) * (b[i] - mb))
		aa += float64((a[i] - ma) * (a[i] - ma))
		bb += float64((b[i] - mb) * (b[i] - mb))
	}
	return ab / math.Sqrt(float64(aa*bb))
}
