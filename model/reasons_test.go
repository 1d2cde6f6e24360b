package model

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/features"
)

// tell lists reasons as text.
func tell(reasons []Reason) string {
	out := []string{}
	for _, r := range reasons {
		out = append(out, fmt.Sprintf("%s %s by %v; %s=%s %q by %v (%s)",
			r.Family, r.Direction, r.Contribution, r.Feature, r.Value, r.Unit, r.FeatureContribution, r.Text))
	}
	return strings.Join(out, "\n")
}

// Without families declared each feature is its own.
func TestReasons(t *testing.T) {
	s := compile(t, linearModel(t))
	row := []float32{-1, 12, 99.5, nan}
	plan := `cus_plan lowers by -0.5; cus_plan=other "" by -0.5 (cus plan: other)`
	count := `eng_n_30 raises by 0.5; eng_n_30=12 "events" by 0.5 (12 engagements in 30 days)`
	amount := `pay_amt_90 raises by 2; pay_amt_90=99.5 "money" by 2 (pay amt 90: 99.5 money)` // no text of its own
	recency := `eng_rec lowers by -1; eng_rec=unknown "days" by -1 (eng rec: unknown)`
	for _, c := range []struct {
		name string
		n    int
		phi  []float64
		want []string
	}{
		{"by size, ties by column", 9, []float64{-0.5, 0.5, 2, -1}, []string{amount, recency, plan, count}},
		{"the largest", 2, []float64{-0.5, 0.5, 2, -1}, []string{amount, recency}},
		{"without what contributes nothing", 9, []float64{0, 0.5, 0, math.Copysign(0, -1)}, []string{count}},
		{"nothing", 9, []float64{0, 0, 0, 0}, nil},
		{"none asked for", 0, []float64{1, 1, 1, 1}, nil},
		{"fewer than none", -1, []float64{1, 1, 1, 1}, nil},
		{"no contributions", 5, nil, nil},
	} {
		if got, want := tell(s.Reasons(row, c.phi, c.n)), strings.Join(c.want, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
	// Enough ties that a sort without the column would mix them, and more
	// families than there is room for without allocating.
	wide := scorerOf(compileSet(t, manyColumns))
	many := make([]float64, 40)
	for i := range many {
		many[i] = float64(1 + i%2)
	}
	for i, r := range wide.Reasons(make([]float32, 40), many, 40) {
		if want := fmt.Sprintf("c%d", (2*i+1)%40-i/20); r.Feature != want {
			t.Errorf("reason %d of ties is %s, want %s", i, r.Feature, want)
		}
	}
	if s.Reasons(row, make([]float64, testColumns), 3) == nil {
		t.Error("no reasons are nil: JSON would say null")
	}
}

var manyColumns = func() string {
	text := "version: 1\ncolumns:\n"
	for i := range 40 {
		text += fmt.Sprintf("- {name: c%d, type: number}\n", i)
	}
	return text
}()

// scorerOf has what reasons need of a scorer.
func scorerOf(e *features.Engine) *Scorer {
	return &Scorer{engine: e, families: newFamilies(e.Features())}
}

// familySet has two families of three, mixed, and one column on its own.
const familySet = `
version: 1
columns:
- {name: a1, type: number, family: a, unit: days}
- {name: b1, type: number, family: b}
- {name: a2, type: number, family: a, text: "{value week|weeks}; {a1}", unit: weeks}
- {name: own, type: category, levels: [x, y]}
- {name: b2, type: number, family: b}
- {name: a3, type: number, family: a}
- {name: b3, type: number, family: b}
`

// Sums and the features that tell them, by hand.
func TestFamilies(t *testing.T) {
	s := scorerOf(compileSet(t, familySet))
	row := []float32{2.5, 4, 1, 1, 6, 7, 8}
	for _, c := range []struct {
		name string
		phi  []float64 // a1 b1 a2 own b2 a3 b3
		want []string
	}{
		{"sums are ranked, not features", []float64{1, 2, 1, 0.5, -2.5, 1, 0}, []string{
			`a raises by 3; a1=2.5 "days" by 1 (a1: 2.5 days)`, // the first of equal ones
			`b lowers by -0.5; b2=6 "" by -2.5 (b2: 6)`,
			`own raises by 0.5; own=y "" by 0.5 (own: y)`}},
		{"told by the sign of the sum", []float64{-2, 0, 1.5, 0, 0, 1, 0}, []string{
			`a raises by 0.5; a2=1 "weeks" by 1.5 (1 week; 2.5)`}},
		{"cancelled", []float64{1, 0, -1, 0, 0, 0, 0}, nil},
		// 0.1 + 0.2 - 0.3 is 5.6e-17 in binary.
		{"cancelled up to rounding", []float64{0.1, 0, 0.2, 0, 0, -0.3, 0}, nil},
		{"small is not cancelled", []float64{0, 0, 0, 0, 0, 1e-300, 0}, []string{`a raises by 1e-300; a3=7 "" by 1e-300 (a3: 7)`}},
	} {
		if got, want := tell(s.Reasons(row, c.phi, 9)), strings.Join(c.want, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

// TestFamiliesAddUp: base margin and all families give the margin, whatever
// the row.
func TestFamiliesAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for name, m := range testModels(t) {
		for i := range m.Features.Features { // eng_n_30, pay_amt_90, eng_rec
			m.Features.Features[i].Family = []string{"engagement", "spend", "engagement"}[i]
		}
		s := compile(t, finish(t, m))
		if s.families.count != 3 {
			t.Fatalf("%d families", s.families.count)
		}
		phi := make([]float64, testColumns)
		for _, row := range randomRows(r, 300) {
			sc := s.Score(row, phi)
			sum, reasons := sc.BaseMargin, s.Reasons(row, phi, 99)
			for _, r := range reasons {
				sum += r.Contribution
			}
			if !near(sum, sc.Margin) {
				t.Errorf("%s %v: base margin and %d families give %v, the margin is %v", name, row, len(reasons), sum, sc.Margin)
			}
		}
	}
}

// TestFamiliesAgainstOracle compares with sums in exact arithmetic, one family
// after the other.
func TestFamiliesAgainstOracle(t *testing.T) {
	s := scorerOf(compileSet(t, familySet))
	feats := s.engine.Features()
	row := make([]float32, len(feats))
	r := rand.New(rand.NewPCG(23, 24))
	for range 2000 {
		phi := make([]float64, len(feats))
		for i := range phi {
			if r.IntN(3) > 0 { // in eighths, so that sums tie and cancel
				phi[i] = float64(r.IntN(17)-8) / 8
			}
		}
		type want struct {
			family, feature string
			sum             float64
		}
		var wants []want
		for _, family := range []string{"a", "b", "own"} {
			sum := new(big.Rat)
			for i, f := range feats {
				if f.Family == family {
					sum.Add(sum, new(big.Rat).SetFloat64(phi[i]))
				}
			}
			best := -1
			for i, f := range feats {
				same := f.Family == family && sum.Sign() != 0 && (sum.Sign() > 0) == (phi[i] > 0) && phi[i] != 0
				if same && (best < 0 || math.Abs(phi[i]) > math.Abs(phi[best])) {
					best = i
				}
			}
			if best >= 0 {
				v, _ := sum.Float64()
				wants = append(wants, want{family, feats[best].Name, v})
			}
		}
		slices.SortStableFunc(wants, func(a, b want) int {
			return new(big.Float).SetFloat64(math.Abs(b.sum)).Cmp(new(big.Float).SetFloat64(math.Abs(a.sum)))
		})
		var got []want
		for _, r := range s.Reasons(row, phi, 9) {
			got = append(got, want{r.Family, r.Feature, r.Contribution})
			if (r.Direction == "raises") != (r.Contribution > 0) || r.Contribution*r.FeatureContribution <= 0 {
				t.Errorf("%+v contradicts itself", r)
			}
		}
		if !reflect.DeepEqual(got, wants) {
			t.Fatalf("%v:\n%v\nwant\n%v", phi, got, wants)
		}
	}
}

// TestMarkUnstable: a family is unstable where a member says the opposite.
func TestMarkUnstable(t *testing.T) {
	s := scorerOf(compileSet(t, familySet))
	row := make([]float32, 7)
	phi := []float64{1, -1, 1, 0.5, -1, 0, 0} // a raises by 2, b lowers by 2, own raises by 0.5
	for _, c := range []struct {
		name    string
		members [][]float64
		want    []string
	}{
		{"no members", nil, nil},
		{"all agree", [][]float64{phi, {3, -3, 0, 9, 0, 0, 0}}, nil},
		{"features disagree, the family does not", [][]float64{{-1, 1, 3, 1, -4, 0, 0}}, nil},
		{"one of three", [][]float64{phi, {1, 2, 0, 1, -1, 0, 0}, phi}, []string{"b"}},
		{"each another", [][]float64{{-1, -1, 0, 1, 0, 0, 0}, {1, -1, 0, -1, 0, 0, 0}}, []string{"a", "own"}},
		{"nothing is no sign", [][]float64{{0, 0, 0, 0, 0, 0, 0}}, nil},
		{"nor is rounding", [][]float64{{-0.1, 0, -0.2, 1, 0, 0.3, 0}}, nil}, // -5.6e-17
	} {
		reasons := s.Reasons(row, phi, 9)
		s.markUnstable(reasons, c.members)
		var got []string
		for _, r := range reasons {
			if r.Unstable {
				got = append(got, r.Family)
			}
		}
		if len(reasons) != 3 || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q are unstable, want %q", c.name, got, c.want)
		}
	}
}

// What a request needs: the list, and two texts for each reason.
func TestReasonsAllocate(t *testing.T) {
	s := scorerOf(compileSet(t, familySet))
	row, phi := []float32{2.5, 4, 1, 1, 6, 7, 8}, []float64{1, 2, 1, 0.5, -2.5, 1, 0}
	if got := testing.AllocsPerRun(100, func() { s.Reasons(row, phi, 3) }); got > 1+2*3 {
		t.Errorf("%v allocations for 3 reasons", got)
	}
	reasons := s.Reasons(row, phi, 3)
	members := [][]float64{phi, phi, phi}
	if got := testing.AllocsPerRun(100, func() { s.markUnstable(reasons, members) }); got != 0 {
		t.Errorf("markUnstable allocates %v times", got)
	}
}
