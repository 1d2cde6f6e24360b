package sim

import (
	"context"
	"math"
	"reflect"
	"slices"
	"testing"

	"churn/event"
)

// TestScoresTruncated scores histories cut down to what was visible: the same
// numbers to the last bit, so nothing later has a part in them.
func TestScoresTruncated(t *testing.T) {
	for _, name := range []string{"late", "outreach"} {
		w, err := DefaultWorld().Variant(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Customers = 60
		o, err := NewOracle(w)
		if err != nil {
			t.Fatal(err)
		}
		err = w.Timelines(func(tl *event.Timeline, scores []Score) bool {
			for _, want := range scores {
				got, err := o.Scores(truncate(tl, want.AsOf), []event.Time{want.AsOf})
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != 1 || got[0].Probability != want.Probability || got[0].GapProbability != want.GapProbability {
					t.Fatalf("%s: %s at %s: cut history gives %v, whole one %v", name, tl.Customer.ID, want.AsOf, got, want)
				}
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// truncate keeps what happened and was recorded before t.
func truncate(tl *event.Timeline, t event.Time) *event.Timeline {
	c := &event.Timeline{Customer: tl.Customer}
	c.Customer.ChurnedAt = event.Never
	for _, e := range tl.Engagements {
		if event.Visible(e.At, e.Recorded, t) {
			c.Engagements = append(c.Engagements, e)
		}
	}
	for _, e := range tl.Complaints {
		if !event.Visible(e.At, e.Recorded, t) {
			continue
		}
		if !event.Visible(e.ResolvedAt, e.ResolvedKnown, t) {
			e.ResolvedAt, e.ResolvedKnown, e.Satisfaction, e.HasSatisfaction = event.Never, event.Never, 0, false
		}
		c.Complaints = append(c.Complaints, e)
	}
	for _, e := range tl.Payments {
		if !event.Visible(e.At, e.Recorded, t) {
			continue
		}
		for _, p := range []struct{ at, known *event.Time }{{&e.PaidAt, &e.PaidKnown}, {&e.FailedAt, &e.FailedKnown}, {&e.RefundedAt, &e.RefundedKnown}} {
			if !event.Visible(*p.at, *p.known, t) {
				*p.at, *p.known = event.Never, event.Never
			}
		}
		c.Payments = append(c.Payments, e)
	}
	for _, e := range tl.Contacts {
		if event.Visible(e.At, e.Recorded, t) {
			c.Contacts = append(c.Contacts, e)
		}
	}
	return c
}

// observe generates a world and returns the scores of all observations, with
// who they are of.
func observe(t *testing.T, w World) (scores []Score, types []int, sum *Summary) {
	t.Helper()
	sum, err := w.Generate(context.Background(), SinkFunc(func(c *Customer) error {
		for _, s := range c.Scores {
			if s.Outcome != Censored {
				scores, types = append(scores, s), append(types, c.Type)
			}
		}
		return nil
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return scores, types, sum
}

// TestCalibration: of all observations with a score near p, a share p leaves.
// Windows of one customer do not overlap, so the number who leave among given
// observations has variance sum p(1-p) at most; 4 standard errors allowed.
func TestCalibration(t *testing.T) {
	for _, tt := range []struct {
		name      string
		customers int
	}{{"plain", 4000}, {"late", 1000}, {"drift", 1500}, {"outreach", 2000}} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := DefaultWorld().Variant(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			w.Customers = tt.customers
			scores, _, sum := observe(t, w)
			slices.SortFunc(scores, func(a, b Score) int {
				switch {
				case a.Probability < b.Probability:
					return -1
				case a.Probability > b.Probability:
					return 1
				}
				return 0
			})
			for k := range 10 {
				part := scores[k*len(scores)/10 : (k+1)*len(scores)/10]
				var left, want, variance, inGap, wantGap, gapVariance float64
				for _, s := range part {
					want += s.Probability
					variance += s.Probability * (1 - s.Probability)
					wantGap += s.GapProbability
					gapVariance += s.GapProbability * (1 - s.GapProbability)
					switch s.Outcome {
					case Left:
						left++
					case LeftInGap:
						inGap++
					}
				}
				n := float64(len(part))
				t.Logf("decile %2d: predicted %.4f, left %.4f", k+1, want/n, left/n)
				if math.Abs(left-want) > 4*math.Sqrt(variance)+1 {
					t.Errorf("decile %d: %.1f expected to leave, %.0f left (s.e. %.1f)", k+1, want, left, math.Sqrt(variance))
				}
				if math.Abs(inGap-wantGap) > 4*math.Sqrt(gapVariance)+1 {
					t.Errorf("decile %d: %.1f expected to leave in the gap, %.0f left (s.e. %.1f)", k+1, wantGap, inGap, math.Sqrt(gapVariance))
				}
			}
			t.Logf("AUC %.4f, log loss %.4f (base %.4f), base rate %.4f", sum.AUC, sum.LogLoss, sum.BaseLogLoss, sum.BaseRate)
		})
	}
}

// rank is the AUC by counting pairs, ties half.
func rank(scores []Score, value func(Score) float64) float64 {
	s := slices.DeleteFunc(slices.Clone(scores), func(s Score) bool { return s.Outcome != Left && s.Outcome != Stayed })
	slices.SortFunc(s, func(a, b Score) int {
		switch d := value(a) - value(b); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
	below, wins, left := 0.0, 0.0, 0.0
	for i := 0; i < len(s); {
		j, tiedLeft, tiedStayed := i, 0.0, 0.0
		for ; j < len(s) && value(s[j]) == value(s[i]); j++ {
			if s[j].Outcome == Left {
				tiedLeft++
			} else {
				tiedStayed++
			}
		}
		wins += tiedLeft * (below + tiedStayed/2)
		below += tiedStayed
		left += tiedLeft
		i = j
	}
	return wins / left / below
}

// TestDefaultWorld holds the default world to what it is meant to be.
func TestDefaultWorld(t *testing.T) {
	w := DefaultWorld()
	w.Customers = 4000
	scores, types, sum := observe(t, w)
	auc := rank(scores, Score.Conditional)
	t.Logf("AUC %.4f (summary %.4f), log loss %.4f, base %.4f", auc, sum.AUC, sum.LogLoss, sum.BaseLogLoss)
	if math.Abs(auc-sum.AUC) > 2e-4 {
		t.Errorf("summary says AUC %v, counting pairs %v", sum.AUC, auc)
	}
	if auc < 0.78 || auc > 0.84 {
		t.Errorf("AUC %v", auc)
	}
	if sum.BaseRate < 0.045 || sum.BaseRate > 0.06 {
		t.Errorf("base rate %v", sum.BaseRate)
	}
	if n := float64(sum.Engagements+sum.Complaints+sum.Payments) / float64(sum.Customers); n < 100 || n > 230 {
		t.Errorf("%v events a customer", n)
	}
	var silent []Score
	for i, s := range scores {
		if w.Types[types[i]].Name == "silent_leaver" {
			silent = append(silent, s)
		}
	}
	if a := rank(silent, Score.Conditional); a < 0.70 {
		t.Errorf("AUC among silent leavers %v", a)
	}

	// An oracle that does not look at engagement does much worse.
	blind := w
	blind.Types = slices.Clone(w.Types)
	for z := range blind.Types {
		k := &blind.Types[z]
		k.Engagement, k.Seasonal, k.Setup = PerState{1, 1, 1}, false, 0.1
		k.Mix = [states][]float64{k.Mix[0], k.Mix[0], k.Mix[0]}
	}
	o, err := NewOracle(blind)
	if err != nil {
		t.Fatal(err)
	}
	w.Customers = 2000
	scores = scores[:0]
	if err := w.Timelines(func(tl *event.Timeline, _ []Score) bool {
		s, err := o.Scores(tl, w.Snapshots)
		if err != nil {
			t.Fatal(err)
		}
		scores = append(scores, s...)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	without := rank(scores, Score.Conditional)
	t.Logf("AUC without engagement %.4f", without)
	if without > auc-0.04 {
		t.Errorf("AUC without engagement %v, with it %v", without, auc)
	}
}

func TestNoSignal(t *testing.T) {
	w, err := DefaultWorld().Variant("no-signal")
	if err != nil {
		t.Fatal(err)
	}
	w.Customers = 1000
	scores, _, sum := observe(t, w)
	for _, s := range scores {
		// By pocket calculator: 1-(1-0.0017)^7 and (1-0.0017)^7 * (1-(1-0.0017)^30).
		if math.Abs(s.GapProbability-0.011839482) > 1e-9 || math.Abs(s.Probability-0.049173407) > 1e-9 {
			t.Fatalf("score %v", s)
		}
	}
	if a := rank(scores, func(s Score) float64 { return math.Round(s.Probability * 1e9) }); a != 0.5 || sum.AUC != 0.5 {
		t.Errorf("AUC %v, summary %v", a, sum.AUC)
	}
}

func TestScoresRefuse(t *testing.T) {
	w := DefaultWorld()
	w.Customers = 1
	o, err := NewOracle(w)
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *event.Timeline { return o.timeline(0, o.live(0)) }
	for name, change := range map[string]func(tl *event.Timeline){
		"kind":      func(tl *event.Timeline) { tl.Engagements[0].Kind = "other" },
		"attribute": func(tl *event.Timeline) { delete(tl.Customer.Attributes, "plan") },
		"rate":      func(tl *event.Timeline) { tl.Customer.Attributes["seats"] = "3" },
		"outside":   func(tl *event.Timeline) { tl.Customer.SignedUpAt = w.Start - 1 },
		"order":     func(tl *event.Timeline) { slices.Reverse(tl.Engagements) },
		"early":     func(tl *event.Timeline) { tl.Engagements[0].At = w.Start - 1 },
		"payment":   func(tl *event.Timeline) { tl.Payments[1].At = tl.Payments[0].At },
		"contact":   func(tl *event.Timeline) { tl.Contacts = []event.ContactEvent{{At: w.midnight(300), Action: "call"}} },
		"complaint": func(tl *event.Timeline) { tl.Complaints = []event.ComplaintCase{{At: tl.Customer.SignedUpAt}} },
		"unaligned": nil,
	} {
		tl := fresh()
		at := w.Snapshots
		if change == nil {
			at = []event.Time{w.Start + 1}
		} else {
			change(tl)
		}
		if _, err := o.Scores(tl, at); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	a, err := o.Scores(fresh(), w.Snapshots)
	b, err2 := o.Scores(fresh(), w.Snapshots)
	if err != nil || err2 != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("twice the same customer: %v %v", err, err2)
	}
}
