package measure

import "math"

// Stakes is what one contact is about, in money. A churner who is contacted is
// kept with a probability γ of the distribution Beta(Alpha, Beta).
type Stakes struct {
	Gain        float64 // a churner kept: the value less the incentive
	Churner     float64 // contacting a churner costs
	Stayer      float64 // contacting a stayer costs
	Alpha, Beta float64 // of γ; both above 0
}

// Profit is that of contacting so many churners and stayers, when each churner
// is kept with probability γ.
func (k Stakes) Profit(gamma, churners, stayers float64) float64 {
	return float64(churners*(float64(gamma*k.Gain)-k.Churner)) - float64(k.Stayer*stayers)
}

// Threshold is the churn probability from which a contact is expected to pay at
// γ; above 1 where none does.
func (k Stakes) Threshold(gamma float64) float64 {
	won := float64(gamma*k.Gain) - k.Churner
	if !(won > 0) {
		return math.Inf(1)
	}
	return k.Stayer / (won + k.Stayer)
}

// EMPC is the expected maximum profit a row (Verbraken, Verbeke, Baesens 2013),
// and the share of the rows contacted for it: at each γ the threshold is the one
// that pays most, which is a corner of the convex hull of the ROC curve, and the
// profits are averaged over γ. With the stakes
//
//	Gain V−d, Churner f, Stayer d+f
//
// it is the measure as published. It is NaN where all outcomes are the same.
func (s *Sample) EMPC(w []float64, k Stakes) (profit, share float64) {
	total, positives := s.sums(w)
	if positives == 0 || positives == total {
		return math.NaN(), math.NaN()
	}
	hull := s.hull(w)
	low, lowBelow, lowMean := 0.0, 0.0, 0.0
	for i, at := range hull {
		high := 1.0
		if i+1 < len(hull) { // from here on the next corner pays more
			next := hull[i+1]
			pos, neg := next[0]-at[0], next[1]-at[1]
			high = min(1, (float64(pos*k.Churner)+float64(neg*k.Stayer))/float64(pos*k.Gain))
			if !(high > low) { // also where there is nothing to gain
				if k.Gain > 0 {
					continue
				}
				high = 1
			}
		}
		below, mean := betaCDF(k.Alpha, k.Beta, high), float64(k.Alpha/(k.Alpha+k.Beta)*betaCDF(k.Alpha+1, k.Beta, high))
		profit += float64(at[0]*k.Gain*(mean-lowMean)) - float64((float64(at[0]*k.Churner)+float64(at[1]*k.Stayer))*(below-lowBelow))
		share += float64((at[0] + at[1]) * (below - lowBelow))
		if high == 1 {
			break
		}
		low, lowBelow, lowMean = high, below, mean
	}
	return profit / total, share / total
}

// hull is the upper convex hull of the ROC curve as churners and stayers taken,
// from none to all.
func (s *Sample) hull(w []float64) [][2]float64 {
	hull := [][2]float64{{0, 0}}
	var pos, neg float64
	start := 0
	for _, end := range s.ends {
		p, n := s.run(w, start, end)
		start = end
		if p+n == 0 {
			continue
		}
		pos, neg = pos+p, neg+n
		for len(hull) > 1 {
			a, b := hull[len(hull)-2], hull[len(hull)-1]
			// b stays where the curve bends to the right at it.
			if float64((b[0]-a[0])*(neg-b[1])) > float64((pos-b[0])*(b[1]-a[1])) {
				break
			}
			hull = hull[:len(hull)-1]
		}
		hull = append(hull, [2]float64{pos, neg})
	}
	return hull
}

// betaCDF is the regularised incomplete beta function, the probability that a
// Beta(a, b) is at most x, by its continued fraction (Abramowitz and Stegun
// 26.5.8) with Lentz's algorithm.
func betaCDF(a, b, x float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2): // where the other tail converges faster
		return 1 - betaCDF(b, a, 1-x)
	}
	const tiny, enough, most = 1e-300, 1e-15, 10_000
	c, d := 1.0, 1-float64((a+b)*x/(a+1))
	if math.Abs(d) < tiny {
		d = tiny
	}
	d = 1 / d
	f := d
	step := func(term float64) float64 {
		if d = 1 + float64(term*d); math.Abs(d) < tiny {
			d = tiny
		}
		if c = 1 + term/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		f *= d * c
		return d * c
	}
	for m := 1.0; m < most; m++ {
		step(m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m)))
		if change := step(-(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))); math.Abs(change-1) < enough {
			break
		}
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return math.Exp(lab-la-lb+float64(a*math.Log(x))+float64(b*math.Log1p(-x))) * f / a
}
