package measure

import "math"

// ProfitPoint is the profit when the riskiest share of the rows is contacted.
type ProfitPoint struct {
	Share  Float `json:"share"`
	Profit Float `json:"profit"`
}

// Above is the profit a row of contacting those with at least the probability,
// and their share. Both are NaN where the scores are no probabilities.
func (s *Sample) Above(w Drawn, probability float64, k Stakes, gamma float64) (profit, share float64) {
	total, _ := s.sums(w)
	if s.logLoss == nil || total == 0 {
		return math.NaN(), math.NaN()
	}
	var pos, neg float64
	for i, v := range s.score {
		if v < probability {
			break
		}
		if s.label[i] {
			pos += w[i]
		} else {
			neg += w[i]
		}
	}
	return k.Profit(gamma, pos, neg) / total, (pos + neg) / total
}

// ProfitAt is the profit a row of contacting the riskiest share.
func (s *Sample) ProfitAt(share float64, k Stakes, gamma float64) float64 {
	total, _ := s.sums(s.weight)
	found := s.found(s.weight, float64(share*total))
	return k.Profit(gamma, found, float64(share*total)-found) / total
}

// MostProfit is the share whose contact brings most, possibly none.
func (s *Sample) MostProfit(k Stakes, gamma float64) ProfitPoint {
	total, _ := s.sums(s.weight)
	var best ProfitPoint
	s.thresholds(func(_, pos, neg float64) {
		if v := Float(k.Profit(gamma, pos, neg) / total); v > best.Profit {
			best = ProfitPoint{Share: Float((pos + neg) / total), Profit: v}
		}
	})
	return best
}
