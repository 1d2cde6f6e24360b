package figure

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

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
	figureWidth  = 380
	figureHeight = 270 // without the legend, which has its own rows below
	legendRow    = 16
	legendIndent = 40
)

// figure is a drawing under way. The first error stays until svg.
type figure struct {
	plot    *plot.Plot
	legend  plot.Legend
	title   string
	entries int
	height  vg.Length // without the legend
	round   bool      // lines have round ends: dots are lines of no length
	err     error

	last     plot.Thumbnailer // the reference line, named below the series
	lastName string
}

// newFigure has axes with names. The title is for who cannot see the drawing: the
// page has it as text.
func newFigure(title, x, y string) *figure {
	f := &figure{plot: plot.New(), legend: plot.NewLegend(), title: title, height: figureHeight}
	for _, a := range []struct {
		axis *plot.Axis
		name string
	}{{&f.plot.X, x}, {&f.plot.Y, y}} {
		a.axis.Label.Text = a.name
		a.axis.Label.Padding = 4
		style(&a.axis.Label.TextStyle, 11)
		style(&a.axis.Tick.Label, 10)
		a.axis.Color, a.axis.Tick.Color = grey, grey
		a.axis.Padding = 0
	}
	style(&f.legend.TextStyle, 11)
	f.legend.Top, f.legend.Left, f.legend.ThumbnailWidth, f.legend.Padding = true, true, 24, 3
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	f.plot.Add(grid)
	return f
}

func style(s *text.Style, size vg.Length) {
	s.Font, s.Color = font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, ink
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

// between sets an axis from low to high, with about so many round ticks.
func between(a *plot.Axis, low, high float64, about int) {
	if !(high > low) {
		low, high = low-0.5, low+0.5
	}
	a.Min, a.Max = low, high
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(about))))
	for _, more := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if (high-low)/step <= float64(about) {
			break
		}
		step *= more
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	from := math.Ceil(low/step-1e-9) * step
	if size := max(math.Abs(low), math.Abs(high)); size >= 1e6 || decimals > 4 {
		a.Tick.Marker = plot.ConstantTicks(short(from, high, step))
		return
	}
	a.Tick.Marker = ticks(from, high, step, decimals)
}

// short are ticks of numbers that are long when written out.
func short(from, to, step float64) []plot.Tick {
	var t []plot.Tick
	for i := 0; from+float64(step*float64(i)) <= to+step/1e6; i++ {
		v := from + float64(step*float64(i))
		t = append(t, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 3, 64)})
	}
	return t
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
	name = cut(name, 56)
	f.legend.Add(name, thumbs...)
	f.entries++
}

// cut shortens a name to so many characters.
func cut(name string, longest int) string {
	name = printable(name)
	if r := []rune(name); len(r) > longest {
		name = string(r[:longest-1]) + "…"
	}
	return name
}

// printable leaves out what XML has no place for: most controls.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '\ufffe' || r == '\uffff' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
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
	height := f.height + vg.Length(legendRow*f.entries+8)
	canvas := vgsvg.New(figureWidth, height)
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Path())
	f.plot.Draw(draw.Crop(page, 4, -12, height-f.height+6, -4))
	f.legend.Draw(draw.Crop(page, legendIndent, 0, 0, -f.height))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("plot %q: %w", f.title, err)
	}
	_, rest, _ := strings.Cut(b.String(), "<svg")
	_, body, _ := strings.Cut(rest, ">")
	ends := ""
	if f.round {
		ends = ` stroke-linecap="round"`
	}
	root := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %g" width="100%%" style="max-width:40rem;height:auto" role="img" aria-label="%s"%s>`,
		figureWidth, float64(height), html.EscapeString(printable(f.title)), ends)
	// Arial and Helvetica have the widths of Liberation Sans.
	body = strings.ReplaceAll(body, "font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	return root + body, nil
}
