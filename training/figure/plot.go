package figure

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"

	"churn/training/measure"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figures of curves take one measure.Curves a series, the model of interest
// first; a series without values is named in the legend as not measured.

// ROC draws the true against the false positive rate.
func ROC(series ...measure.Curves) (string, error) {
	f := newFigure("ROC: churners found against false alarms", "False positive rate", "True positive rate (recall)")
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
	f := newFigure("Calibration: probability given and churn seen", "Mean probability (ten bins of equal size)", "Churn rate")
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

// palette is Okabe and Ito's, which people with colour blindness can tell
// apart; its yellow, too pale on white, and black are left out. The lines of
// several series differ in their dashes too.
var (
	palette = []color.Color{
		color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
		color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	}
	dashes = [][]vg.Length{nil, {6, 2}, {2, 2}, {8, 2, 2, 2}}
	ink    = color.Gray{0x33}
	pale   = color.Gray{0xe4}
	grey   = color.Gray{0x80}
)

// Sizes in points.
const (
	figureWidth  = 420
	figureHeight = 300 // without the legend, which has its own rows below
	legendRow    = 15
	legendIndent = 40
)

// figure is a drawing under way. The first error stays until svg.
type figure struct {
	plot    *plot.Plot
	legend  plot.Legend
	title   string
	entries int
	err     error

	last     plot.Thumbnailer // the reference line, named below the series
	lastName string
}

func sans(size vg.Length, bold bool) font.Font {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = 3 // bold, in golang.org/x/image/font
	}
	return f
}

func newFigure(title, x, y string) *figure {
	f := &figure{plot: plot.New(), legend: plot.NewLegend(), title: title}
	f.plot.Title.Text = title
	style(&f.plot.Title.TextStyle, 12, true)
	f.plot.Title.Padding = 8
	for _, a := range []struct {
		axis *plot.Axis
		name string
	}{{&f.plot.X, x}, {&f.plot.Y, y}} {
		a.axis.Label.Text = a.name
		a.axis.Label.Padding = 4
		style(&a.axis.Label.TextStyle, 10, false)
		style(&a.axis.Tick.Label, 9, false)
		a.axis.Color, a.axis.Tick.Color = grey, grey
		a.axis.Padding = 0
	}
	style(&f.legend.TextStyle, 10, false)
	f.legend.Top, f.legend.Left, f.legend.ThumbnailWidth, f.legend.Padding = true, true, 24, 3
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	f.plot.Add(grid)
	return f
}

func style(s *text.Style, size vg.Length, bold bool) {
	s.Font, s.Color = sans(size, bold), ink
}

func (f *figure) axes(x, y float64) {
	f.plot.X.Min, f.plot.X.Max = 0, x
	f.plot.Y.Min, f.plot.Y.Max = 0, y
	for _, a := range []*plot.Axis{&f.plot.X, &f.plot.Y} {
		step, decimals := 0.01, 2
		for _, s := range []float64{0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100} {
			if a.Max/step > 6 {
				step = s
			}
		}
		if step >= 0.1 {
			decimals = 1
		}
		a.Tick.Marker = ticks(0, a.Max, step, decimals)
	}
}

func ticks(from, to, step float64, decimals int) plot.ConstantTicks {
	var t plot.ConstantTicks
	for i := 0; from+float64(step*float64(i)) <= to+step/1e6; i++ {
		v := from + float64(step*float64(i))
		t = append(t, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', decimals, 64)})
	}
	return t
}

// line adds a series, and returns it for finishing; nil if there is nothing
// to draw.
func (f *figure) line(i int, name string, points plotter.XYs) *plotter.Line {
	if len(points) == 0 {
		f.unmeasured(name)
		return nil
	}
	l, err := plotter.NewLine(points)
	if err != nil {
		f.fail(err)
		return nil
	}
	l.LineStyle = draw.LineStyle{Color: palette[i%len(palette)], Width: 1.6, Dashes: dashes[i%len(dashes)]}
	f.plot.Add(l)
	f.entry(name, l)
	return l
}

func (f *figure) reference(name string, x0, y0, x1, y1 float64) {
	l, err := plotter.NewLine(plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}})
	if err != nil {
		f.fail(err)
		return
	}
	l.LineStyle = draw.LineStyle{Color: grey, Width: 0.8, Dashes: []vg.Length{3, 3}}
	f.plot.Add(l)
	f.last, f.lastName = l, name
}

func (f *figure) unmeasured(name string) { f.entry(name + " (not measured)") }

func (f *figure) entry(name string, thumbs ...plot.Thumbnailer) {
	const longest = 64
	if r := []rune(strings.ToValidUTF8(name, "?")); len(r) > longest {
		name = string(r[:longest-1]) + "…"
	}
	name = strings.Map(func(r rune) rune { // XML has no place for most controls
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	f.legend.Add(name, thumbs...)
	f.entries++
}

func (f *figure) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// svg renders the figure. vgsvg writes a document of fixed size in points;
// only its root element is changed, to one that scales.
func (f *figure) svg(series int) (string, error) {
	if series == 0 {
		f.fail(fmt.Errorf("no series to draw"))
	}
	if f.err != nil {
		return "", fmt.Errorf("plot %q: %w", f.title, f.err)
	}
	if f.last != nil {
		f.entry(f.lastName, f.last)
	}
	height := vg.Length(figureHeight + legendRow*f.entries + 8)
	canvas := vgsvg.New(figureWidth, height)
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Path())
	f.plot.Draw(draw.Crop(page, 4, -10, height-figureHeight+6, -4))
	f.legend.Draw(draw.Crop(page, legendIndent, 0, 0, -figureHeight))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("plot %q: %w", f.title, err)
	}
	_, rest, _ := strings.Cut(b.String(), "<svg")
	_, body, _ := strings.Cut(rest, ">")
	root := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %g" width="100%%" style="max-width:40rem;height:auto" role="img" aria-label="%s">`,
		figureWidth, float64(height), f.title)
	// Arial and Helvetica have the widths of Liberation Sans.
	body = strings.ReplaceAll(body, "font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	return root + body, nil
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
