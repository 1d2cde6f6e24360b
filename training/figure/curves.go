package figure

import (
	"math"
	"strconv"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"churn/training/measure"
)

// Figures of curves take one measure.Curves a series, the model of interest
// first; a series without values is named in the legend as not measured.

// ROC draws the true against the false positive rate.
func ROC(series ...measure.Curves) (string, error) {
	f := newFigure("ROC", "False positive rate", "True positive rate (recall)")
	f.axes(1, 1)
	f.reference("chance", 0, 0, 1, 1)
	for i, c := range series {
		f.line(i, c.Name, finite(c.ROC))
	}
	return f.svg(len(series))
}

// PrecisionRecall draws precision against recall in the steps that
// average precision sums.
func PrecisionRecall(series ...measure.Curves) (string, error) {
	f := newFigure("Precision and recall", "Recall (share of churners found)", "Precision (share of found who churn)")
	f.axes(1, 1)
	if len(series) > 0 && !math.IsNaN(float64(series[0].BaseRate)) {
		b := float64(series[0].BaseRate)
		f.reference("base rate "+strconv.FormatFloat(b, 'f', 3, 64), 0, b, 1, b)
	}
	for i, c := range series {
		if l := f.line(i, c.Name, steps(finite(c.PrecisionRecall))); l != nil {
			l.StepStyle = plotter.PreStep
		}
	}
	return f.svg(len(series))
}

// Calibration draws the churn rate against the mean probability of ten
// bins of equal weight.
func Calibration(series ...measure.Curves) (string, error) {
	f := newFigure("Calibration", "Mean probability (ten bins of equal size)", "Churn rate")
	top := 0.05
	bins := make([]plotter.XYs, len(series))
	for i, c := range series {
		points := make([]measure.Point, len(c.Calibration))
		for j, b := range c.Calibration {
			points[j] = measure.Point{X: b.Predicted, Y: b.Observed}
		}
		bins[i] = finite(points)
		for _, p := range bins[i] {
			top = max(top, p.X, p.Y)
		}
	}
	top = min(math.Ceil(top*20)/20, 1)
	f.axes(top, top)
	f.reference("perfectly calibrated", 0, 0, top, top)
	for i, c := range series {
		if f.line(i, c.Name, bins[i]) != nil {
			s := &plotter.Scatter{XYs: bins[i]}
			s.GlyphStyle = draw.GlyphStyle{Color: palette[i%len(palette)], Radius: 2.5, Shape: draw.CircleGlyph{}}
			f.plot.Add(s)
		}
	}
	return f.svg(len(series))
}

// Lift draws the lift of each decile.
func Lift(series ...measure.Curves) (string, error) {
	f := newFigure("Lift by decile", "Decile by score (1: highest)", "Churn rate over that of all")
	top := 1.0
	for _, c := range series {
		for _, d := range c.Deciles {
			if v := float64(d.Lift); !math.IsNaN(v) && !math.IsInf(v, 0) {
				top = max(top, v)
			}
		}
	}
	f.axes(10.5, math.Ceil(top*2)/2)
	f.plot.X.Min = 0.5
	f.plot.X.Tick.Marker = ticks(1, 10, 1, 0)
	width := vg.Points(26 / float64(max(len(series), 1)))
	for i, c := range series {
		lifts := make(plotter.Values, 0, len(c.Deciles))
		for _, d := range c.Deciles {
			if v := float64(d.Lift); !math.IsNaN(v) && !math.IsInf(v, 0) {
				lifts = append(lifts, v)
			}
		}
		if len(lifts) < 10 {
			f.unmeasured(c.Name)
			continue
		}
		bars, err := plotter.NewBarChart(lifts, width)
		if err != nil {
			f.fail(err)
			continue
		}
		bars.XMin, bars.Color, bars.LineStyle.Width = 1, palette[i%len(palette)], 0
		bars.Offset = width * vg.Length(float64(2*i-len(series)+1)) / 2
		f.plot.Add(bars)
		f.entry(c.Name, bars)
	}
	f.reference("all customers", 0.5, 1, 10.5, 1) // over the bars
	return f.svg(len(series))
}

// steps begins at recall 0 and leaves out the thresholds that find no further
// churner: average precision does not count them, and drawn they are spikes.
func steps(points plotter.XYs) plotter.XYs {
	var s plotter.XYs
	recall := 0.0
	for _, p := range points {
		if p.X <= recall {
			continue
		}
		if len(s) == 0 {
			s = append(s, plotter.XY{X: 0, Y: p.Y})
		}
		s = append(s, p)
		recall = p.X
	}
	return s
}

// finite leaves out points that cannot be drawn.
func finite(points []measure.Point) plotter.XYs {
	xy := make(plotter.XYs, 0, len(points))
	for _, p := range points {
		x, y := float64(p.X), float64(p.Y)
		if !math.IsNaN(x-x) && !math.IsNaN(y-y) { // Inf-Inf is NaN
			xy = append(xy, plotter.XY{X: x, Y: y})
		}
	}
	return xy
}
