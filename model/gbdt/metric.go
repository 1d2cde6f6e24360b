package gbdt

import (
	"cmp"
	"math"
	"slices"
)

// evaluate returns the metric of scores in log-odds, and whether more is
// better. weights may be nil.
func (m Metric) evaluate(scores []float64, labels, weights []float32) float64 {
	switch m {
	case AUC:
		return rankMetric(scores, labels, weights, areaUnderROC)
	case AveragePrecision:
		return rankMetric(scores, labels, weights, averagePrecision)
	}
	return logLoss(scores, labels, weights)
}

// better reports whether a is a better value of the metric than b.
func (m Metric) better(a, b float64) bool {
	if m == LogLoss {
		return a < b
	}
	return a > b
}

// logLoss is the weighted mean of log(1+exp(-score)) of rows with label 1 and
// log(1+exp(score)) of the others.
func logLoss(scores []float64, labels, weights []float32) float64 {
	sum, total := 0.0, 0.0
	for i, s := range scores {
		if labels[i] == 1 {
			s = -s
		}
		w := weightOf(weights, i)
		sum += float64(w * (max(s, 0) + log(1+exp(-math.Abs(s)))))
		total += w
	}
	return sum / total
}

func weightOf(weights []float32, i int) float64 {
	if len(weights) == 0 {
		return 1
	}
	return float64(weights[i])
}

// rankMetric hands area the groups of rows with equal scores, from the highest
// down, as the weights of their negative and positive rows.
func rankMetric(scores []float64, labels, weights []float32, area func(groups [][2]float64) float64) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b)) })
	var groups [][2]float64 // negative, positive
	for i, row := range order {
		if i == 0 || scores[row] != scores[order[i-1]] {
			groups = append(groups, [2]float64{})
		}
		groups[len(groups)-1][int(labels[row])] += weightOf(weights, row)
	}
	return area(groups)
}

// areaUnderROC is the probability that a positive row scores higher than a
// negative one, equal scores counting half (Mann and Whitney 1947).
func areaUnderROC(groups [][2]float64) float64 {
	sum, positive, negative := 0.0, 0.0, 0.0
	for _, g := range groups {
		sum += float64(g[0] * (positive + g[1]/2))
		negative += g[0]
		positive += g[1]
	}
	return sum / (positive * negative)
}

// averagePrecision is the sum of precision at each score, weighted by the
// gain in recall there, as scikit-learn's average_precision_score.
func averagePrecision(groups [][2]float64) float64 {
	sum, positive, all := 0.0, 0.0, 0.0
	for _, g := range groups {
		positive += g[1]
		all += g[0] + g[1]
		if all > 0 {
			sum += float64(g[1] * (positive / all))
		}
	}
	return sum / positive
}
