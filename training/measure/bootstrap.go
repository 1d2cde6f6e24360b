package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Bootstrap says how to find out how far metrics would move on other
// customers. Whole customers are drawn, not rows: the snapshots of one
// customer are alike, and intervals from drawn rows would be too narrow.
type Bootstrap struct {
	Replicates int     // drawn samples; default 500
	Level      float64 // share of them within the interval; default 0.95
	Seed       uint64
}

// DefaultBootstrap returns 500 replicates at level 0.95.
func DefaultBootstrap(seed uint64) Bootstrap {
	return Bootstrap{Replicates: 500, Level: 0.95, Seed: seed}
}

// Estimate is a value measured on all rows with its percentile interval. The
// interval is NaN where more than one replicate in twenty could not be
// measured, which is where there are a few churners only.
type Estimate struct {
	Value Float `json:"value"`
	Low   Float `json:"low"`
	High  Float `json:"high"`
}

// Estimates has an estimate for each of Metrics, or for the difference of two.
type Estimates struct {
	AUC              Estimate `json:"auc"`
	AveragePrecision Estimate `json:"average_precision"`
	LogLoss          Estimate `json:"log_loss"`
	Brier            Estimate `json:"brier"`
	ECE              Estimate `json:"ece"`
	TopDecileLift    Estimate `json:"top_decile_lift"`
	BaseRate         Estimate `json:"base_rate,omitzero"` // left out of a difference, where it is 0
	Customers        int      `json:"customers"`
	Replicates       int      `json:"replicates"`
	Level            Float    `json:"level"`
}

// Intervals returns the metrics of s with intervals. The customers are those
// of the rows, in the order in which NewSample got them.
func (b Bootstrap) Intervals(s *Sample, customers []string) (Estimates, error) {
	return b.MeanIntervals([]*Sample{s}, customers)
}

// MeanIntervals is the mean of Intervals over samples, such as fits with several
// seeds, all on the same rows in the same order; see MeanDifference.
func (b Bootstrap) MeanIntervals(samples []*Sample, customers []string) (Estimates, error) {
	if len(samples) == 0 {
		return Estimates{}, fmt.Errorf("bootstrap: no samples: give at least one")
	}
	return b.run(customers, len(samples), samples...)
}

// Difference returns the metrics of s minus those of other, both on the same
// rows in the same order, with intervals from the same draws for both: much
// narrower than the two intervals apart suggest. An interval that excludes 0
// is a difference that other customers would show too.
func (b Bootstrap) Difference(s, other *Sample, customers []string) (Estimates, error) {
	return b.MeanDifference([]*Sample{s}, []*Sample{other}, customers)
}

// MeanDifference is the mean of Difference over pairs, such as fits with several
// seeds, all on the same rows in the same order. A replicate draws pairs as well
// as customers: the interval is what other customers and other seeds would show.
// With three seeds or so it tells little of them, but not nothing.
func (b Bootstrap) MeanDifference(samples, others []*Sample, customers []string) (Estimates, error) {
	if len(samples) == 0 || len(samples) != len(others) {
		return Estimates{}, fmt.Errorf("bootstrap: %d samples and %d others: give pairs", len(samples), len(others))
	}
	return b.run(customers, len(samples), slices.Concat(samples, others)...)
}

// run measures so many samples, or as many pairs if there are twice as many.
func (b Bootstrap) run(customers []string, pairs int, samples ...*Sample) (Estimates, error) {
	if err := b.check(); err != nil {
		return Estimates{}, err
	}
	for _, s := range samples[1:] {
		if len(s.row) != len(samples[0].row) || !slices.Equal(s.given, samples[0].given) || !slices.Equal(s.outcomes(), samples[0].outcomes()) {
			return Estimates{}, fmt.Errorf("bootstrap: the samples differ in rows, outcomes or weights: score the same rows in the same order with all")
		}
	}
	if n := len(samples[0].row); len(customers) != n {
		return Estimates{}, fmt.Errorf("bootstrap: %d customers for %d rows: give the customer of each row", len(customers), n)
	}
	owner, count := NumberCustomers(customers)
	even := slices.Repeat([]float64{1 / float64(pairs)}, pairs)
	return b.estimates(values(samples, nil, even), b.draw(samples, pairs, owner, count), count), nil
}

func (b Bootstrap) check() error {
	if b.Replicates < 1 || b.Replicates > 1_000_000 {
		return fmt.Errorf("bootstrap: %d replicates: give 1 to 1000000", b.Replicates)
	}
	if !(b.Level > 0 && b.Level < 1) {
		return fmt.Errorf("bootstrap: level %v: give a share between 0 and 1, such as 0.95", b.Level)
	}
	return nil
}

// Of estimates anything that can be measured on weighted rows: so many values,
// written to out. The weight of a row is how often its customer was drawn, and
// 1 for the value itself. worker is called once for each goroutine, so that what
// it returns may have memory of its own. The draws are those of Intervals: what
// is measured in one call, or by the same bootstrap on the same rows, is paired.
func (b Bootstrap) Of(customers []string, values int, worker func() func(weight, out []float64)) ([]Estimate, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	owner, count := NumberCustomers(customers)
	value := make([]float64, values)
	worker()(slices.Repeat([]float64{1}, len(customers)), value)
	draws := b.replicates(count, values, func() func(*rand.Rand, []float64, []float64) {
		measure, weight := worker(), make([]float64, len(owner))
		return func(_ *rand.Rand, times, out []float64) {
			for i, k := range owner {
				weight[i] = times[k]
			}
			measure(weight, out)
		}
	})
	out := make([]Estimate, values)
	for j := range out {
		out[j] = b.estimate(value[j], draws, j)
	}
	return out, nil
}

// Unmeasured is an estimate of what was not.
func Unmeasured() Estimate {
	nan := Float(math.NaN())
	return Estimate{nan, nan, nan}
}

// metricCount is the number of metrics that have an interval.
const metricCount = 7

// values measures the samples under the drawn weights, or as they are where
// drawn is nil: metrics minus those of the pair's other, if there is one, times
// the share of the pair.
func values(samples []*Sample, drawn [][]float64, share []float64) [metricCount]float64 {
	measured := func(k int) [metricCount]Float {
		w := samples[k].weight
		if drawn != nil {
			w = drawn[k]
		}
		m := samples[k].Under(w)
		return [metricCount]Float{m.AUC, m.AveragePrecision, m.LogLoss, m.Brier, m.ECE, m.TopDecileLift, m.BaseRate}
	}
	var sum [metricCount]float64
	for pair, part := range share {
		if part == 0 {
			continue
		}
		v := measured(pair)
		if other := pair + len(share); other < len(samples) {
			for j, x := range measured(other) {
				v[j] -= x
			}
		}
		for j, x := range v {
			sum[j] += float64(part * float64(x))
		}
	}
	return sum
}

// draw returns the values of every replicate: customers are drawn, then pairs.
func (b Bootstrap) draw(samples []*Sample, pairs int, owner []int, count int) [][]float64 {
	return b.replicates(count, metricCount, func() func(*rand.Rand, []float64, []float64) {
		share := make([]float64, pairs) // how much of the mean each pair has
		drawn := make([][]float64, len(samples))
		for k, s := range samples {
			drawn[k] = make([]float64, len(s.row))
		}
		return func(r *rand.Rand, times, out []float64) {
			clear(share)
			for range pairs {
				share[r.IntN(pairs)] += 1 / float64(pairs)
			}
			for k, s := range samples {
				if share[k%pairs] == 0 {
					continue
				}
				for j, row := range s.row {
					drawn[k][j] = float64(s.weight[j] * times[owner[row]])
				}
			}
			v := values(samples, drawn, share)
			copy(out, v[:])
		}
	})
}

// replicates measures so many values on every replicate, of which it hands over
// how often each customer was drawn. Each replicate has its own generator, seeded
// here in order, so that it does not matter who works on it.
func (b Bootstrap) replicates(count, values int, worker func() func(r *rand.Rand, times, out []float64)) [][]float64 {
	seeds := rand.NewPCG(b.Seed, 0)
	generators := make([]rand.PCG, b.Replicates)
	for i := range generators {
		generators[i].Seed(seeds.Uint64(), seeds.Uint64())
	}
	all := make([]float64, b.Replicates*values)
	out := make([][]float64, b.Replicates)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), b.Replicates) {
		wg.Go(func() {
			measure := worker()
			times := make([]float64, count) // how often each customer was drawn
			for {
				i := int(next.Add(1)) - 1
				if i >= len(out) {
					return
				}
				r := rand.New(&generators[i])
				clear(times)
				for range count {
					times[r.IntN(count)]++
				}
				out[i] = all[i*values : (i+1)*values]
				measure(r, times, out[i])
			}
		})
	}
	wg.Wait()
	return out
}

func (b Bootstrap) estimates(value [metricCount]float64, draws [][]float64, customers int) Estimates {
	e := Estimates{Customers: customers, Replicates: b.Replicates, Level: Float(b.Level)}
	for j, to := range [metricCount]*Estimate{&e.AUC, &e.AveragePrecision, &e.LogLoss, &e.Brier, &e.ECE, &e.TopDecileLift, &e.BaseRate} {
		*to = b.estimate(value[j], draws, j)
	}
	return e
}

// estimate is a value with the interval of what the replicates have in column j.
func (b Bootstrap) estimate(value float64, draws [][]float64, j int) Estimate {
	column := make([]float64, 0, len(draws))
	for _, d := range draws {
		if !math.IsNaN(d[j]) {
			column = append(column, d[j])
		}
	}
	e := Unmeasured()
	e.Value = Float(value)
	if 20*(len(draws)-len(column)) <= len(draws) && !math.IsNaN(value) {
		slices.Sort(column)
		tail := float64((1 - b.Level) / 2)
		e.Low, e.High = Float(Quantile(column, tail)), Float(Quantile(column, 1-tail))
	}
	return e
}

// Quantile interpolates linearly between the order statistics, as numpy's
// default and R's type 7 do.
func Quantile(sorted []float64, q float64) float64 {
	at := float64(q * float64(len(sorted)-1))
	i := min(int(at), len(sorted)-1)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + float64((at-float64(i))*(sorted[i+1]-sorted[i]))
}

// NumberCustomers numbers the customers in order of appearance.
func NumberCustomers(customers []string) (owner []int, count int) {
	owner = make([]int, len(customers))
	numbers := make(map[string]int)
	for i, c := range customers {
		k, ok := numbers[c]
		if !ok {
			k = len(numbers)
			numbers[c] = k
		}
		owner[i] = k
	}
	return owner, len(numbers)
}

// Scores returns the scores in the order given.
func (s *Sample) Scores() []float64 {
	out := make([]float64, len(s.row))
	for i, r := range s.row {
		out[r] = s.score[i]
	}
	return out
}

// outcomes returns the labels in the order given.
func (s *Sample) outcomes() []bool {
	y := make([]bool, len(s.row))
	for i, r := range s.row {
		y[r] = s.label[i]
	}
	return y
}
