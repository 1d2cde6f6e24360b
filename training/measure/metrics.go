package measure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Float is a float64 that JSON can carry: a value that was not measured (NaN)
// or has no number (an infinite threshold) is null.
type Float float64

// MarshalJSON implements json.Marshaler.
func (f Float) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// UnmarshalJSON implements json.Unmarshaler; null becomes NaN.
func (f *Float) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*f = Float(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(f))
}

// Metrics says how good scores are. What the rows do not allow to measure is
// NaN: everything but the counts for no rows; AUC, AveragePrecision and
// TopDecileLift where all outcomes are the same; LogLoss, Brier and ECE where
// the scores are not probabilities (days of silence, say).
type Metrics struct {
	// AUC is the area under the ROC curve: the share of pairs of a churner and
	// a stayer in which the churner has the higher score, ties counting half.
	AUC Float `json:"auc"`
	// AveragePrecision sums precision times the step in recall over the
	// distinct scores, from the highest; no interpolation.
	AveragePrecision Float `json:"average_precision"`
	// LogLoss is the mean of -ln of the probability given to what happened.
	// Probabilities are held within [2^-52, 1-2^-52] first, so that one
	// certain and wrong row costs 36 and not infinity.
	LogLoss Float `json:"log_loss"`
	// Brier is the mean squared distance of probability and outcome.
	Brier Float `json:"brier"`
	// ECE is the expected calibration error: the mean distance between mean
	// probability and churn rate over ten bins of equal weight. Sampling alone
	// makes it larger than 0: compare it between models on the same rows.
	ECE Float `json:"ece"`
	// TopDecileLift is the churn rate of the tenth with the highest scores
	// over that of all.
	TopDecileLift Float `json:"top_decile_lift"`
	BaseRate      Float `json:"base_rate"` // share of churners, by weight
	Rows          int   `json:"rows"`
	Positives     int   `json:"positives"`
}

// Scores returns the metrics of scores against outcomes. Weights may be nil.
// It is NewSample followed by Metrics, for who needs nothing else.
func Scores(score []float64, label []bool, weight []float64) (Metrics, error) {
	s, err := NewSample(score, label, weight)
	if err != nil {
		return Metrics{}, err
	}
	return s.Metrics(), nil
}

// Sample is scored rows with their outcomes, sorted once for all that is
// measured on them. It is safe for concurrent use.
//
// Rows with equal scores have no order. Where a cut falls among them (the top
// decile, a bin, the first k), each side gets its share of their churners:
// the expected value over random orders. So no result depends on the order
// in which rows came.
type Sample struct {
	// In falling order of score, ties in the order given.
	score, weight []float64
	label         []bool
	logLoss, sqr  []float64 // per row; nil unless the scores are probabilities
	row           []int     // place of the sorted row in what was given
	ends          []int     // where each run of equal scores ends
	given         []float64 // weights in the order given
}

// NewSample takes one score and one outcome (true: churned) a row, and weights
// or nil. Scores may be any numbers, infinite ones too, and higher means more
// likely to churn.
func NewSample(score []float64, label []bool, weight []float64) (*Sample, error) {
	n := len(score)
	if len(label) != n || weight != nil && len(weight) != n {
		return nil, fmt.Errorf("metrics: %d scores, %d outcomes, %d weights: give one of each a row", n, len(label), len(weight))
	}
	s := &Sample{
		score: make([]float64, n), weight: make([]float64, n), label: make([]bool, n),
		row: make([]int, n), given: make([]float64, n),
	}
	probabilities := true
	for i, v := range score {
		if math.IsNaN(v) {
			return nil, fmt.Errorf("metrics: the score of row %d is not a number", i)
		}
		probabilities = probabilities && v >= 0 && v <= 1
		s.row[i], s.given[i] = i, 1
		if weight != nil {
			if w := weight[i]; !(w >= 0) || math.IsInf(w, 0) {
				return nil, fmt.Errorf("metrics: the weight of row %d is %v: give a finite number, not below 0", i, w)
			}
			s.given[i] = weight[i]
		}
	}
	slices.SortFunc(s.row, func(a, b int) int {
		return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(a, b))
	})
	for i, r := range s.row {
		s.score[i], s.label[i], s.weight[i] = score[r], label[r], s.given[r]
		if i > 0 && s.score[i] != s.score[i-1] {
			s.ends = append(s.ends, i)
		}
	}
	if n > 0 {
		s.ends = append(s.ends, n)
	}
	if probabilities {
		s.loseRows()
	}
	return s, nil
}

// loseRows works out what each row adds to the log loss and the Brier score,
// which resampling does not change.
func (s *Sample) loseRows() {
	const eps = 1.0 / (1 << 52)
	s.logLoss, s.sqr = make([]float64, len(s.score)), make([]float64, len(s.score))
	for i, p := range s.score {
		d, q := p, 1-min(max(p, eps), 1-eps)
		if s.label[i] {
			d, q = 1-p, 1-q
		}
		s.logLoss[i], s.sqr[i] = -math.Log(q), float64(d*d)
	}
}

// Metrics measures everything.
func (s *Sample) Metrics() Metrics {
	m := s.Under(s.weight)
	m.Rows = len(s.label)
	for _, y := range s.label {
		if y {
			m.Positives++
		}
	}
	return m
}

// Under is Metrics without the counts, under other weights than the sample's. It
// is linear in the rows: the bootstrap's inner loop.
func (s *Sample) Under(w Drawn) Metrics {
	nan := Float(math.NaN())
	m := Metrics{AUC: nan, AveragePrecision: nan, LogLoss: nan, Brier: nan, ECE: nan, TopDecileLift: nan, BaseRate: nan}
	total, positives := s.sums(w)
	if total == 0 {
		return m
	}
	m.BaseRate = Float(positives / total)
	tenths := s.tenths(w, total)
	if s.logLoss != nil {
		var loss, sqr, ece float64
		for i, v := range w {
			loss += float64(v * s.logLoss[i])
			sqr += float64(v * s.sqr[i])
		}
		for _, t := range tenths {
			ece += math.Abs(t.score - t.positives)
		}
		m.LogLoss, m.Brier, m.ECE = Float(loss/total), Float(sqr/total), Float(ece/total)
	}
	if positives == 0 || positives == total {
		return m
	}
	m.TopDecileLift = Float(tenths[0].positives / tenths[0].weight / (positives / total))
	var auc, ap, pos, neg float64 // pos, neg: above the run
	start := 0
	for _, end := range s.ends {
		p, n := s.run(w, start, end)
		auc += float64(n * (pos + float64(p/2)))
		pos += p
		neg += n
		if p > 0 {
			ap += float64(p * (pos / (pos + neg)))
		}
		start = end
	}
	m.AUC, m.AveragePrecision = Float(auc/(pos*neg)), Float(ap/pos)
	return m
}

func (s *Sample) sums(w []float64) (total, positives float64) {
	for i, v := range w {
		total += v
		if s.label[i] {
			positives += v
		}
	}
	return total, positives
}

// run sums the weights of churners and stayers of one run of equal scores.
func (s *Sample) run(w []float64, start, end int) (pos, neg float64) {
	for i := start; i < end; i++ {
		if s.label[i] {
			pos += w[i]
		} else {
			neg += w[i]
		}
	}
	return pos, neg
}

// tenth is a tenth of the rows by weight.
type tenth struct {
	weight, positives float64
	score             float64 // weighted sum
	highest, lowest   float64 // score
}

// tenths cuts the rows, highest scores first, into ten of equal weight. A run
// of equal scores, and a single row too, may be shared by several.
func (s *Sample) tenths(w []float64, total float64) [10]tenth {
	var t [10]tenth
	b, start, lo := 0, 0, 0.0
	for _, end := range s.ends {
		p, n := s.run(w, start, end)
		for hi := lo + (p + n); lo < hi; {
			edge := hi // the last tenth takes what rounding left
			if b < 9 {
				edge = total * float64(b+1) / 10
			}
			take := min(hi, edge) - lo
			if t[b].weight == 0 {
				t[b].highest = s.score[start]
			}
			t[b].lowest = s.score[start]
			t[b].weight += take
			t[b].positives += float64(p * (take / (p + n)))
			t[b].score += float64(s.score[start] * take)
			lo = min(hi, edge)
			if lo >= edge && b < 9 {
				b++
			}
		}
		start = end
	}
	return t
}

// Top returns precision and recall when the k rows with the highest scores
// (rows by weight, k up to all of them) are taken for churners: what a team
// with capacity for k contacts gets. Both are NaN for k not above 0 or no
// rows, recall also where nobody churned.
func (s *Sample) Top(k float64) (precision, recall float64) {
	total, positives := s.sums(s.weight)
	k = min(k, total)
	if !(k > 0) {
		return math.NaN(), math.NaN()
	}
	found := s.found(s.weight, k)
	return found / k, found / positives // 0/0 is NaN
}

// found is how many churners are among the k rows with the highest scores, under
// weights in sorted order.
func (s *Sample) found(w []float64, k float64) (found float64) {
	var taken float64
	start := 0
	for _, end := range s.ends {
		p, n := s.run(w, start, end)
		start = end
		if p+n == 0 {
			continue
		}
		take := min(p+n, k-taken)
		found += float64(p * (take / (p + n)))
		taken += take
		if taken >= k {
			break
		}
	}
	return found
}

// Drawn is weights of the rows of a sample in the sample's own order, which is
// not that of the rows as they were given: [Sample.Draw] makes them.
type Drawn []float64

// Weights are those the sample was made with.
func (s *Sample) Weights() Drawn { return s.weight }

// Draw brings weights of rows in the order given, times their own, into the order
// of the sample. It uses the memory of to.
func (s *Sample) Draw(to Drawn, weight []float64) Drawn {
	to = slices.Grow(to[:0], len(s.row))[:len(s.row)]
	for i, r := range s.row {
		to[i] = float64(s.weight[i] * weight[r])
	}
	return to
}
