package figure

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/training/measure"
)

// scored are the curves of made up scores that know something, of so many levels
// or, with 0, all different.
func scored(t *testing.T, name string, levels float64) measure.Curves {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	score, label := make([]float64, 2000), make([]bool, 2000)
	for i := range score {
		if score[i] = math.Pow(r.Float64(), 3); levels > 0 {
			score[i] = math.Floor(score[i]*levels) / levels
		}
		label[i] = r.Float64() < 0.6*score[i]+0.05
	}
	s, err := measure.NewSample(score, label, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Curves(name)
}

var plots = []struct {
	name string
	draw func(...measure.Curves) (string, error)
}{
	{"ROC", ROC}, {"precision and recall", PrecisionRecall}, {"calibration", Calibration}, {"lift", Lift}, {"gains", Gains},
}

// wellFormed returns the root element, having read the whole document.
func wellFormed(t *testing.T, svg string) xml.StartElement {
	t.Helper()
	var root xml.StartElement
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && root.Name.Local == "" {
			root = e.Copy()
		}
	}
}

func TestPlots(t *testing.T) {
	series := []measure.Curves{scored(t, "champion <b>&amp;</b>", 0), scored(t, "rule", 12)}
	for _, p := range plots {
		svg, err := p.draw(series...)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		root := wellFormed(t, svg)
		if root.Name.Local != "svg" || !strings.HasPrefix(svg, "<svg xmlns=") || !strings.Contains(svg, `viewBox="0 0 380 `) || !strings.Contains(svg, `width="100%"`) {
			t.Errorf("%s: root is %v", p.name, root)
		}
		for _, want := range []string{"champion &lt;b&gt;&amp;amp;&lt;/b&gt;", ">rule<", "#0072B2", "#D55E00"} {
			if !strings.Contains(svg, want) {
				t.Errorf("%s: no %q", p.name, want)
			}
		}
		for _, unwanted := range []string{"<b>", "NaN", "Inf", "href", "<script", "not measured"} {
			if strings.Contains(svg, unwanted) {
				t.Errorf("%s: has %q", p.name, unwanted)
			}
		}
		if again, err := p.draw(series...); err != nil || again != svg {
			t.Errorf("%s: drawn again it differs, error %v", p.name, err)
		}
		if len(svg) > 40_000 {
			t.Errorf("%s: %d bytes", p.name, len(svg))
		}
	}
}

func TestPlotsOfWhatCannotBeMeasured(t *testing.T) {
	nan, inf := measure.Float(math.NaN()), measure.Float(math.Inf(1))
	odd := []measure.Curves{
		{Name: "nothing", BaseRate: nan},
		{Name: "a\x00b\xff" + strings.Repeat("long ", 50),
			ROC: []measure.Point{{X: nan}, {X: inf, Y: 1}}, PrecisionRecall: []measure.Point{{}, {X: nan, Y: nan, Threshold: nan}},
			Calibration: []measure.Bin{{Predicted: nan, Observed: nan, Lowest: nan, Highest: nan}}, Deciles: []measure.Decile{{Lift: nan}, {Lift: 2}}},
	}
	for _, p := range plots {
		svg, err := p.draw(odd...)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		wellFormed(t, svg)
		if !strings.Contains(svg, "nothing (not measured)") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: %s", p.name, svg)
		}
		if _, err := p.draw(); err == nil || !strings.Contains(err.Error(), "no series") {
			t.Errorf("%s without series: error %v", p.name, err)
		}
	}
}
