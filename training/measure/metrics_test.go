package measure

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// made returns rows by a recipe of whole numbers that Python follows too:
// x = (1103515245 x + 12345) mod 2^31 from 7, floor(x/256)/2^23 three times a
// row for a, b, c. The probability is a³, or with levels floor(a·levels) /
// levels / 2 + 0.03; churn is b < 0.6 p + 0.05; the weight 1 + floor(4 c).
func made(n, levels int) (p []float64, y []bool, w []float64) {
	x := uint64(7)
	next := func() float64 {
		x = (x*1103515245 + 12345) % (1 << 31)
		return float64(x>>8) / (1 << 23)
	}
	for range n {
		a, b, c := next(), next(), next()
		v := a * a * a
		if levels > 0 {
			v = math.Floor(a*float64(levels))/float64(levels)*0.5 + 0.03
		}
		p, y, w = append(p, v), append(y, b < 0.6*v+0.05), append(w, 1+math.Floor(c*4))
	}
	return p, y, w
}

func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-12 || math.IsNaN(a) && math.IsNaN(b)
}

func TestMetricsAgreeWithScikitLearn(t *testing.T) {
	// scikit-learn 1.9.1: roc_auc_score, average_precision_score, log_loss,
	// brier_score_loss. ECE and lift of the first: numpy 2.4.6, sorted rows
	// reshaped to ten.
	tests := []struct {
		name                        string
		levels                      int
		weighted                    bool
		positives                   int
		auc, ap, loss, brier, base  float64
		ece, lift, precision, found float64 // 0: not compared
	}{
		{"distinct", 0, false, 190, 0.759447693307342, 0.415247978610315, 0.525724952250429, 0.152842093874411, 0.19,
			0.100080257051413, 2.789473684210527, 0.53, 0.278947368421053},
		{"distinct, weighted", 0, true, 190, 0.749709903842253, 0.405381468090691, 0.539858013145174, 0.159294070110765, 0.195843325339728, 0, 0, 0, 0},
		{"tied", 12, false, 193, 0.628134008770409, 0.259742240629259, 0.494468456474074, 0.160998541666667, 0.193,
			0, 0, 0.304, 0.157512953367876},
		{"tied, weighted", 12, true, 193, 0.618066488512646, 0.261249578671820, 0.506458147673901, 0.166013353761435, 0.201039168665068, 0, 0, 0, 0},
	}
	for _, test := range tests {
		p, y, w := made(1000, test.levels)
		if !test.weighted {
			w = nil
		}
		s, err := NewSample(p, y, w)
		if err != nil {
			t.Fatal(err)
		}
		m := s.Metrics()
		precision, found := s.Top(100)
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"AUC", float64(m.AUC), test.auc}, {"average precision", float64(m.AveragePrecision), test.ap},
			{"log loss", float64(m.LogLoss), test.loss}, {"Brier", float64(m.Brier), test.brier},
			{"base rate", float64(m.BaseRate), test.base}, {"ECE", float64(m.ECE), test.ece},
			{"lift", float64(m.TopDecileLift), test.lift}, {"precision", precision, test.precision}, {"recall", found, test.found},
		} {
			if c.want != 0 && !near(c.got, c.want) {
				t.Errorf("%s: %s is %.15f, want %.15f", test.name, c.name, c.got, c.want)
			}
		}
		if m.Rows != 1000 || m.Positives != test.positives {
			t.Errorf("%s: %d rows, %d positives, want 1000, %d", test.name, m.Rows, m.Positives, test.positives)
		}
	}
}

func TestMetricsByHand(t *testing.T) {
	nan := Float(math.NaN())
	tests := []struct {
		name  string
		score []float64
		label []bool
		want  Metrics
	}{
		{"no rows", nil, nil, Metrics{nan, nan, nan, nan, nan, nan, nan, 0, 0}},
		{"one churner", []float64{0.5}, []bool{true},
			Metrics{nan, nan, Float(math.Ln2), 0.25, 0.5, nan, 1, 1, 1}},
		{"nobody churns", []float64{0.5, 0}, []bool{false, false},
			Metrics{nan, nan, Float(math.Ln2 / 2), 0.125, 0.25, nan, 0, 2, 0}},
		// The top decile is a tenth of 4 rows: 0.4 of the first, all churn.
		{"perfect", []float64{1, 0, 0, 0}, []bool{true, false, false, false},
			Metrics{1, 1, Float(-math.Log(1 - 1.0/(1<<52))), 0, 0, 4, 0.25, 4, 1}},
		{"all alike", []float64{0.5, 0.5, 0.5, 0.5}, []bool{true, false, false, false},
			Metrics{0.5, 0.25, Float(math.Ln2), 0.25, 0.25, 1, 0.25, 4, 1}},
		// A certain and wrong row costs 52 ln 2.
		{"perfectly wrong", []float64{0, 1}, []bool{true, false},
			Metrics{0, 0.5, Float(52 * math.Ln2), 1, 1, 0, 0.5, 2, 1}},
		{"a rule's days, infinite for never", []float64{math.Inf(1), 40, 7, math.Inf(-1)}, []bool{true, false, true, false},
			Metrics{0.75, Float((1 + 2.0/3) / 2), nan, nan, nan, 2, 0.5, 4, 2}},
	}
	for _, test := range tests {
		m, err := Scores(test.score, test.label, nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got := [...]Float{m.AUC, m.AveragePrecision, m.LogLoss, m.Brier, m.ECE, m.TopDecileLift, m.BaseRate, Float(m.Rows), Float(m.Positives)}
		w := test.want
		want := [...]Float{w.AUC, w.AveragePrecision, w.LogLoss, w.Brier, w.ECE, w.TopDecileLift, w.BaseRate, Float(w.Rows), Float(w.Positives)}
		for i := range got {
			if !near(float64(got[i]), float64(want[i])) {
				t.Errorf("%s: %+v, want %+v", test.name, m, test.want)
				break
			}
		}
	}
}

func TestMetricsDoNotDependOnOrderOfRows(t *testing.T) {
	p, y, _ := made(997, 9) // a prime, so that every cut falls within a row or a tie
	want, err := Scores(p, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		r.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i]; y[i], y[j] = y[j], y[i] })
		got, err := Scores(p, y, nil)
		if err != nil || !near(float64(got.ECE), float64(want.ECE)) || !near(float64(got.LogLoss), float64(want.LogLoss)) ||
			got.AUC != want.AUC || got.TopDecileLift != want.TopDecileLift || got.AveragePrecision != want.AveragePrecision {
			t.Fatalf("shuffled: %+v, want %+v, error %v", got, want, err)
		}
	}
}

func TestWeightIsRepetition(t *testing.T) {
	p, y, w := made(300, 20)
	w[3], w[4] = 0, 0
	var rp []float64
	var ry []bool
	for i := range p {
		for range int(w[i]) {
			rp, ry = append(rp, p[i]), append(ry, y[i])
		}
	}
	a, errA := NewSample(p, y, w)
	b, errB := NewSample(rp, ry, nil)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	va, vb := values([]*Sample{a}, nil, []float64{1}), values([]*Sample{b}, nil, []float64{1})
	for i := range va {
		if !near(va[i], vb[i]) {
			t.Errorf("metric %d: weighted %v, repeated %v", i, va[i], vb[i])
		}
	}
	pa, ra := a.Top(50)
	pb, rb := b.Top(50)
	if !near(pa, pb) || !near(ra, rb) {
		t.Errorf("top 50: weighted %v %v, repeated %v %v", pa, ra, pb, rb)
	}
}

func TestTop(t *testing.T) {
	s, err := NewSample([]float64{0.9, 0.5, 0.5, 0.5, 0.1}, []bool{true, true, false, false, false}, nil)
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for _, test := range []struct{ k, precision, recall float64 }{
		{1, 1, 0.5},
		{2, (1 + 1.0/3) / 2, (1 + 1.0/3) / 2}, // one of three alike, one of which churns
		{4, 0.5, 1},
		{99, 0.4, 1},
		{0, nan, nan}, {-1, nan, nan}, {nan, nan, nan},
	} {
		if p, r := s.Top(test.k); !near(p, test.precision) || !near(r, test.recall) {
			t.Errorf("Top(%v) = %v, %v, want %v, %v", test.k, p, r, test.precision, test.recall)
		}
	}
}

func TestNewSampleRefuses(t *testing.T) {
	for _, test := range []struct {
		score  []float64
		label  []bool
		weight []float64
		want   string
	}{
		{[]float64{1, 2}, []bool{true}, nil, "2 scores, 1 outcomes"},
		{[]float64{1}, []bool{true}, []float64{}, "0 weights"},
		{[]float64{0, math.NaN()}, []bool{true, false}, nil, "score of row 1"},
		{[]float64{0}, []bool{true}, []float64{-1}, "weight of row 0 is -1"},
		{[]float64{0}, []bool{true}, []float64{math.Inf(1)}, "weight of row 0 is +Inf"},
		{[]float64{0}, []bool{true}, []float64{math.NaN()}, "weight of row 0 is NaN"},
	} {
		if _, err := NewSample(test.score, test.label, test.weight); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewSample(%v, %v, %v): error %v, want one with %q", test.score, test.label, test.weight, err, test.want)
		}
	}
}

func TestExtremeWeightsDoNotPanic(t *testing.T) {
	for _, w := range [][]float64{{0, 0, 0}, {5e-324, 5e-324, 0}, {1.7e308, 1.7e308, 1}, {1e300, 1e-300, 1}} {
		s, err := NewSample([]float64{0.2, 0.8, 0.8}, []bool{true, false, true}, w)
		if err != nil {
			t.Fatal(err)
		}
		s.Metrics()
		s.Curves("any")
		s.Top(1)
	}
}

func TestMetricsJSON(t *testing.T) {
	m, err := Scores([]float64{40, 7}, []bool{true, true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(m)
	want := `{"auc":null,"average_precision":null,"log_loss":null,"brier":null,"ece":null,"top_decile_lift":null,"base_rate":1,"rows":2,"positives":2}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, error %v, want %s", b, err, want)
	}
	var back Metrics
	if err := json.Unmarshal(b, &back); err != nil || !math.IsNaN(float64(back.AUC)) || back.BaseRate != 1 {
		t.Errorf("read back %+v, error %v", back, err)
	}
}
