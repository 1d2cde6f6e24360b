package figure

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"churn/training/measure"
)

// Gains draws the share of the churners found against the share of the rows
// taken, the riskiest first.
func Gains(series ...measure.Curves) (string, error) {
	f := newFigure("Gains", "Share of the rows taken, riskiest first", "Share of the churners found")
	f.axes(1, 1)
	f.reference("chance", 0, 0, 1, 1)
	for i, c := range series {
		taken := make([]measure.Point, len(c.ROC))
		for k, p := range c.ROC {
			b := c.BaseRate
			taken[k] = measure.Point{X: measure.Float(float64(b*p.Y)) + measure.Float(float64((1-b)*p.X)), Y: p.Y}
		}
		f.line(i, c.Name, finite(taken))
	}
	return f.svg(len(series))
}

// Line is a series of points.
type Line struct {
	Name   string
	Points []measure.Point
}

// Profit draws profit against the share of the rows contacted.
func Profit(lines ...Line) (string, error) {
	f := newFigure("Profit", "Share of the rows contacted, riskiest first", "Profit per 1,000 rows")
	low, high := 0.0, 0.0
	for _, l := range lines {
		for _, p := range finite(l.Points) {
			low, high = min(low, p.Y), max(high, p.Y)
		}
	}
	f.axes(1, 1)
	between(&f.plot.Y, low, high+float64((high-low)/20), 6)
	f.reference("nobody is contacted", 0, 0, 1, 0)
	for i, l := range lines {
		f.line(i, l.Name, finite(l.Points))
	}
	return f.svg(len(lines))
}

// Steps is an estimate at each of several steps, such as months.
type Steps struct {
	Name      string
	Estimates []measure.Estimate
}

// Trend draws estimates with their intervals, one a label, in the order given.
// What was not measured is left out.
func Trend(title, x, y string, labels []string, series ...Steps) (string, error) {
	f := newFigure(title, x, y)
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		if len(s.Estimates) != len(labels) {
			return "", fmt.Errorf("plot %q: %d estimates of %q for %d labels", title, len(s.Estimates), s.Name, len(labels))
		}
		for _, e := range s.Estimates {
			for _, v := range []measure.Float{e.Low, e.Value, e.High} {
				if !math.IsNaN(float64(v - v)) {
					low, high = min(low, float64(v)), max(high, float64(v))
				}
			}
		}
	}
	if low > high {
		low, high = 0, 1
	}
	margin := (high - low) / 20
	between(&f.plot.Y, low-margin, high+margin, 6)
	f.plot.X.Min, f.plot.X.Max = -0.5, float64(max(len(labels), 1))-0.5
	var t plot.ConstantTicks
	every := 1 + (len(labels)-1)/5 // so many dates have room
	for i, l := range labels {
		tick := plot.Tick{Value: float64(i)}
		if i%every == 0 {
			tick.Label = cut(l, 12)
		}
		t = append(t, tick)
	}
	f.plot.X.Tick.Marker = t
	for i, s := range series {
		var points plotter.XYs
		bars := intervals{colour: palette[i%len(palette)]}
		shift := float64((float64(i) - float64(len(series)-1)/2) * 0.08)
		for k, e := range s.Estimates {
			if v := float64(e.Value); !math.IsNaN(v - v) {
				points = append(points, plotter.XY{X: float64(k) + shift, Y: v})
				if lo, hi := float64(e.Low), float64(e.High); !math.IsNaN(lo - hi) {
					bars.at = append(bars.at, [3]float64{float64(k) + shift, lo, hi})
				}
			}
		}
		f.plot.Add(bars)
		if f.line(i, s.Name, points) != nil {
			p := &plotter.Scatter{XYs: points}
			p.GlyphStyle = draw.GlyphStyle{Color: bars.colour, Radius: 2.5, Shape: draw.CircleGlyph{}}
			f.plot.Add(p)
		}
	}
	return f.svg(len(series))
}

// intervals are upright lines from low to high.
type intervals struct {
	at     [][3]float64 // x, low, high
	colour color.Color
}

// Plot implements plot.Plotter.
func (v intervals) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, i := range v.at {
		c.StrokeLine2(draw.LineStyle{Color: v.colour, Width: 1}, x(i[0]), y(i[1]), x(i[0]), y(i[2]))
	}
}
