package measure

import "math"

// Curves is what the report draws of one model, or of one rule.
type Curves struct {
	Name            string   `json:"name"`
	BaseRate        Float    `json:"base_rate"`
	ROC             []Point  `json:"roc"`
	PrecisionRecall []Point  `json:"precision_recall"`
	Calibration     []Bin    `json:"calibration"`
	Deciles         []Decile `json:"deciles"`
}

// Point is a point of a curve: what is reached by taking all rows with at
// least the threshold's score for churners.
type Point struct {
	X         Float `json:"x"`
	Y         Float `json:"y"`
	Threshold Float `json:"threshold"` // null: none are taken
}

// Bin is one of ten of equal weight in order of probability: on a calibrated
// model Predicted and Observed agree.
type Bin struct {
	Predicted Float `json:"predicted"` // mean probability
	Observed  Float `json:"observed"`  // churn rate
	Lowest    Float `json:"lowest"`    // probability
	Highest   Float `json:"highest"`
	Rows      Float `json:"rows"` // by weight; not whole where a cut fell in a row
}

// Decile is a tenth of the rows, 1 having the highest scores.
type Decile struct {
	Decile         int   `json:"decile"`
	Rows           Float `json:"rows"`            // by weight
	Positives      Float `json:"positives"`       // churners, expected where a cut fell among equal scores
	Rate           Float `json:"rate"`            // churners over rows
	Lift           Float `json:"lift"`            // Rate over that of all
	CumulativeGain Float `json:"cumulative_gain"` // share of all churners in this decile and above
	CumulativeLift Float `json:"cumulative_lift"` // lift of this decile and above
	LowestScore    Float `json:"lowest_score"`
}

// maxPoints bounds the points of a curve. A curve with more is thinned evenly
// by rank, keeping both ends: more cannot be seen in a drawing.
const maxPoints = 200

// Curves works out every curve that the rows allow; the others are empty.
func (s *Sample) Curves(name string) Curves {
	return Curves{Name: name, BaseRate: s.Under(s.weight).BaseRate, ROC: s.ROC(),
		PrecisionRecall: s.PrecisionRecall(), Calibration: s.Calibration(), Deciles: s.Deciles()}
}

// ROC returns the false positive rate (X) and true positive rate (Y) from
// (0, 0) to (1, 1), at most 200 points. It is empty where all outcomes are
// the same.
func (s *Sample) ROC() []Point {
	total, positives := s.sums(s.weight)
	negatives := total - positives
	if positives == 0 || negatives == 0 {
		return nil
	}
	points := []Point{{Threshold: Float(math.Inf(1))}}
	s.thresholds(func(threshold, pos, neg float64) {
		points = append(points, Point{Float(neg / negatives), Float(pos / positives), Float(threshold)})
	})
	return thin(points)
}

// PrecisionRecall returns recall (X) and precision (Y) from the highest
// threshold to all rows, at most 200 points. It is empty where nobody churned.
func (s *Sample) PrecisionRecall() []Point {
	_, positives := s.sums(s.weight)
	if positives == 0 {
		return nil
	}
	var points []Point
	s.thresholds(func(threshold, pos, neg float64) {
		points = append(points, Point{Float(pos / positives), Float(pos / (pos + neg)), Float(threshold)})
	})
	return thin(points)
}

// thresholds visits the distinct scores that have weight, from the highest,
// with the weight of the churners and stayers at it and above.
func (s *Sample) thresholds(visit func(threshold, pos, neg float64)) {
	var pos, neg float64
	start := 0
	for _, end := range s.ends {
		p, n := s.run(s.weight, start, end)
		pos += p
		neg += n
		if p+n > 0 {
			visit(s.score[start], pos, neg)
		}
		start = end
	}
}

// Calibration returns ten bins from the lowest probabilities to the highest.
// It is empty where there are no rows or the scores are not probabilities.
func (s *Sample) Calibration() []Bin {
	total, _ := s.sums(s.weight)
	if total == 0 || s.logLoss == nil {
		return nil
	}
	tenths := s.tenths(s.weight, total)
	bins := make([]Bin, 0, len(tenths))
	for i := len(tenths) - 1; i >= 0; i-- {
		t := tenths[i]
		bins = append(bins, Bin{Predicted: Float(t.score / t.weight), Observed: Float(t.positives / t.weight),
			Lowest: Float(t.lowest), Highest: Float(t.highest), Rows: Float(t.weight)})
	}
	return bins
}

// Deciles returns the ten deciles, 1 first. It is empty where there are no
// rows; lifts and gains are NaN where nobody churned.
func (s *Sample) Deciles() []Decile {
	total, positives := s.sums(s.weight)
	if total == 0 {
		return nil
	}
	tenths := s.tenths(s.weight, total)
	deciles := make([]Decile, 0, len(tenths))
	var pos, weight float64
	for i, t := range tenths {
		pos += t.positives
		weight += t.weight
		deciles = append(deciles, Decile{Decile: i + 1, Rows: Float(t.weight), Positives: Float(t.positives),
			Rate:           Float(t.positives / t.weight),
			Lift:           Float(t.positives / t.weight / (positives / total)),
			CumulativeGain: Float(pos / positives),
			CumulativeLift: Float(pos / weight / (positives / total)),
			LowestScore:    Float(t.lowest)})
	}
	return deciles
}

func thin(points []Point) []Point {
	n := len(points)
	if n <= maxPoints {
		return points
	}
	kept := make([]Point, maxPoints)
	for i := range kept {
		kept[i] = points[i*(n-1)/(maxPoints-1)]
	}
	return kept
}
