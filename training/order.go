package training

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"churn/event"
	"churn/features"
	"churn/model"
)

const (
	orderAUC   = 0.6            // of an order that should not matter: a warning above
	laterGap   = 14 * event.Day // by which the gap is made longer
	gapFall    = 0.10           // by which an AUC may fall with it
	minGapRows = 50             // churners that are left
)

// orders looks whether the order of the ids, or of the rows of a wide table,
// tells who leaves. Rows are compared within their snapshot.
func orders(d *Data, table bool) []Finding {
	var out []Finding
	look := func(subject string, score []float64, text string) {
		a, err := within(score, d)
		if a = eitherWay(a); a > orderAUC && a-0.5 > 3*err {
			out = append(out, Finding{"warning", "order", subject, fmt.Sprintf(
				"%s tells who leaves with AUC %.3f: %s", subject, a, text)})
		}
	}
	look("the order of the ids", idOrder(d), "are ids given out in the order of sign-up, or anew to those who left?")
	if table {
		rows := make([]float64, len(d.Observations))
		for i := range rows {
			rows[i] = float64(i)
		}
		look("the order of the rows", rows, "was the table put together from those who left and those who did not?")
	}
	return out
}

// idOrder is the place of each row's customer in the order of the ids, which is
// that of the numbers if all of them are numbers.
func idOrder(d *Data) []float64 {
	score := make([]float64, len(d.Observations))
	numbers := true
	for i := range d.Observations {
		n, err := strconv.ParseInt(d.Observations[i].Customer, 10, 64)
		if numbers = numbers && err == nil; !numbers {
			break
		}
		score[i] = float64(n)
	}
	if numbers {
		return score
	}
	ids := d.Customers()
	slices.Sort(ids)
	ids = slices.Compact(ids)
	place := make(map[string]float64, len(ids))
	for i, id := range ids {
		place[id] = float64(i)
	}
	for i := range score {
		score[i] = place[d.Observations[i].Customer]
	}
	return score
}

// within is the AUC of pairs of a churner and a stayer at the same snapshot, and
// its standard error where the score says nothing (of Mann and Whitney's
// statistic, summed over the snapshots).
func within(score []float64, d *Data) (auc, standardError float64) {
	groups := map[event.Time][]int{}
	for i := range d.Observations {
		at := d.Observations[i].At
		groups[at] = append(groups[at], i)
	}
	var u, pairs, variance float64
	for _, at := range sortedTimes(groups) {
		rows := groups[at]
		slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(score[a], score[b]) })
		var below, pos float64
		for start := 0; start < len(rows); {
			var p, n float64
			end := start
			for ; end < len(rows) && score[rows[end]] == score[rows[start]]; end++ {
				if d.Observations[rows[end]].Churned {
					p++
				} else {
					n++
				}
			}
			u += float64(p * (below + n/2))
			below, pos, start = below+n, pos+p, end
		}
		pairs += float64(pos * below)
		variance += float64(pos*below*(pos+below+1)) / 12
	}
	return u / pairs, math.Sqrt(variance) / pairs
}

func sortedTimes(m map[event.Time][]int) []event.Time {
	var times []event.Time
	for t := range m {
		times = append(times, t)
	}
	slices.Sort(times)
	return times
}

// longerGap looks for features that predict the churn of the first two weeks of
// the window much better than the rest of it: what is recorded when somebody is
// leaving already helps no one in advance. It is not asked where churn is
// inactivity, which silence predicts by definition, nor where the moment of
// leaving is not known.
func longerGap(d *Data, def *model.Definition, workers int) []Finding {
	if def.Kind != "contract" && def.Kind != "payment" {
		return nil
	}
	var late []int
	churners := 0
	for i := range d.Observations {
		o := &d.Observations[i]
		stays := !o.Churned || o.LeftAt != event.Never && o.LeftAt >= o.At.Add(def.Gap+laterGap+lateness(def))
		if stays {
			late = append(late, i)
			if o.Churned {
				churners++
			}
		}
	}
	if churners < minGapRows {
		return nil
	}
	rest := &Data{Matrix: *d.Matrix.Select(late)}
	for _, i := range late {
		rest.Observations = append(rest.Observations, d.Observations[i])
	}
	y, yRest := d.Labels(), rest.Labels()
	noise := math.Sqrt((1/float64(churners) + 1/float64(len(late)-churners)) / 12)
	texts := make([]string, len(d.Matrix.Features))
	parallel(workers, len(texts), func(j int) {
		f := &d.Matrix.Features[j]
		if f.Kind == features.Category {
			return
		}
		a, b := auc(column(d, j), y), auc(column(rest, j), yRest)
		if a < 0.5 {
			a, b = 1-a, 1-b
		}
		if a-b > gapFall+2*noise {
			texts[j] = fmt.Sprintf("the AUC of %s alone falls from %.3f to %.3f when those who leave in the first 14 days are left out: it may be part of leaving, and help no one in advance; a longer gap shows it", f.Name, a, b)
		}
	})
	var out []Finding
	for j, text := range texts {
		if text != "" {
			out = append(out, Finding{"warning", "longer gap", d.Matrix.Features[j].Name, text})
		}
	}
	return out
}

// lateness is how long after its cause a moment of leaving is: a payment counts
// as not coming so long after it was due.
func lateness(def *model.Definition) event.Duration {
	if def.Kind == "payment" {
		return def.UnpaidFor
	}
	return 0
}

// column takes a feature out of the rows; what is missing is below everything.
func column(d *Data, j int) []float64 {
	out := make([]float64, d.Matrix.Rows())
	for i := range out {
		if out[i] = float64(d.Matrix.Row(i)[j]); math.IsNaN(out[i]) {
			out[i] = math.Inf(-1)
		}
	}
	return out
}
