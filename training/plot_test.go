package training

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

var plots = []struct {
	name string
	draw func(...Curves) (string, error)
}{
	{"ROC", PlotROC}, {"precision and recall", PlotPrecisionRecall}, {"calibration", PlotCalibration}, {"lift", PlotLift},
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
	series := []Curves{scored(t, 0, 2000).Curves("champion <b>&amp;</b>"), scored(t, 12, 2000).Curves("rule")}
	for _, p := range plots {
		svg, err := p.draw(series...)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		root := wellFormed(t, svg)
		if root.Name.Local != "svg" || !strings.HasPrefix(svg, "<svg xmlns=") || !strings.Contains(svg, `viewBox="0 0 420 `) || !strings.Contains(svg, `width="100%"`) {
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
	nan, inf := Float(math.NaN()), Float(math.Inf(1))
	odd := []Curves{
		{Name: "nothing", BaseRate: nan},
		{Name: "a\x00b\xff" + strings.Repeat("long ", 50),
			ROC: []Point{{nan, 0, 0}, {inf, 1, 0}}, PrecisionRecall: []Point{{0, 0, 0}, {nan, nan, nan}},
			Calibration: []Bin{{nan, nan, nan, nan, 0}}, Deciles: []Decile{{Lift: nan}, {Lift: 2}}},
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
