package figure

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Contributions are what one feature brings to the scores of some rows, in
// log-odds: its Shapley values.
type Contributions struct {
	Feature string
	// Value of each row, NaN where it is missing; the place of its level for a
	// category, below 0 for a level that training did not know.
	Value        []float64
	Levels       []string // of a category; nil for a number
	Contribution []float64
}

// Colours of values, from low to high, told apart by people with colour blindness
// and in grey too; of categories, which have no order, and of missing values.
var (
	scale = []color.Color{
		color.RGBA{0x00, 0x4c, 0x8c, 0xff}, color.RGBA{0x2f, 0x7e, 0xbd, 0xff}, color.RGBA{0x7f, 0xb3, 0xd5, 0xff},
		color.RGBA{0xf0, 0xb0, 0x7a, 0xff}, color.RGBA{0xe0, 0x7b, 0x2c, 0xff}, color.RGBA{0xb3, 0x45, 0x00, 0xff},
	}
	unordered = color.RGBA{0x5f, 0x6b, 0x7a, 0xff}
	absent    = color.RGBA{0xc0, 0xc4, 0xca, 0xff}
)

// Beeswarm draws a line of dots a feature, one dot a row: where it lies is what
// the feature brings, its colour the value.
func Beeswarm(features []Contributions) (string, error) {
	const row, names, swarm = 26.0, 22, 11.0 // points, characters, points
	f := newFigure("Contributions of the features to each score", "Contribution in log-odds (right: raises the risk)", "")
	f.round = true
	f.height = vg.Length(60 + row*float64(len(features)))
	low, high := 0.0, 0.0
	for _, c := range features {
		for _, v := range c.Contribution {
			low, high = min(low, v), max(high, v)
		}
	}
	between(&f.plot.X, low-(high-low)/40, high+(high-low)/40, 6)
	f.plot.Y.Min, f.plot.Y.Max = -0.5, float64(max(len(features), 1))-0.5
	var t plot.ConstantTicks
	for i, c := range features {
		t = append(t, plot.Tick{Value: float64(len(features) - 1 - i), Label: cut(c.Feature, names)})
	}
	f.plot.Y.Tick.Marker = t
	f.plot.Add(dots{draw: func(c draw.Canvas, p *plot.Plot, put func(color.Color, float64, float64)) {
		x, y := p.Transforms(&c)
		for i := range features {
			middle := float64(y(float64(len(features) - 1 - i)))
			swarmed(&features[i], func(v float64) float64 { return float64(x(v)) }, swarm, func(k int, at, off float64) {
				put(features[i].colour(k), at, middle+off)
			})
		}
	}, radius: 1.3})
	f.reference("", 0, -0.5, 0, f.plot.Y.Max)
	f.last = nil
	f.entry("low value", dot(scale[0]))
	f.entry("high value", dot(scale[len(scale)-1]))
	f.entry("level of a category", dot(unordered))
	f.entry("missing", dot(absent))
	return f.svg(len(features))
}

// colour is that of the value of row k, by its rank among all.
func (c *Contributions) colour(k int) color.Color {
	v := c.Value[k]
	switch {
	case v != v:
		return absent
	case c.Levels != nil:
		return unordered
	}
	below, same, n := 0, 0, 0
	for _, u := range c.Value {
		if u != u {
			continue
		}
		n++
		if u < v {
			below++
		} else if u == v {
			same++
		}
	}
	rank := (float64(below) + float64(same-1)/2) / float64(max(n-1, 1))
	return scale[min(int(rank*float64(len(scale))), len(scale)-1)]
}

// swarmed puts the dots of a feature beside each other where they would lie on
// each other: up and down from the middle, by at most the height.
func swarmed(c *Contributions, x func(float64) float64, height float64, put func(row int, x, off float64)) {
	const bin = 2.2 // points
	bins := map[int][]int{}
	var order []int
	for k, v := range c.Contribution {
		b := int(math.Floor(x(v) / bin))
		if bins[b] == nil {
			order = append(order, b)
		}
		bins[b] = append(bins[b], k)
	}
	slices.Sort(order)
	most := 0
	for _, b := range order {
		most = max(most, len(bins[b]))
	}
	step := min(2.2, 2*height/float64(max(most, 1)))
	for _, b := range order {
		rows := bins[b]
		slices.SortStableFunc(rows, func(i, j int) int { return cmp.Compare(c.Value[i], c.Value[j]) })
		for i, k := range rows {
			put(k, x(c.Contribution[k]), float64(step*(float64(i)-float64(len(rows)-1)/2)))
		}
	}
}

// Dependence draws what a feature brings against its value, or by level; where it
// is missing, and a level that training did not know, apart. What lies far from
// all else is drawn at the edge.
func Dependence(c Contributions) (string, error) {
	f := newFigure("What "+c.Feature+" contributes, by its value", cut(c.Feature, 48), "Contribution in log-odds")
	f.round = true
	low, high := 0.0, 0.0
	for _, v := range c.Contribution {
		low, high = min(low, v), max(high, v)
	}
	between(&f.plot.Y, low-(high-low)/40, high+(high-low)/40, 6)
	place, right := f.values(c)
	apart := false
	at := make([]float64, len(c.Value))
	for k, v := range c.Value {
		if v != v {
			at[k], apart = right, true
			continue
		}
		at[k] = place(v)
	}
	if apart {
		f.plot.X.Max = right + (right-f.plot.X.Max)/1.5
		f.plot.X.Tick.Marker = append(f.plot.X.Tick.Marker.(plot.ConstantTicks), plot.Tick{Value: right, Label: "missing"})
	}
	width := (f.plot.X.Max - f.plot.X.Min) / 40
	if c.Levels != nil {
		width = 0.3
	}
	f.reference("", f.plot.X.Min, 0, f.plot.X.Max, 0)
	f.last = nil
	f.plot.Add(dots{draw: func(canvas draw.Canvas, p *plot.Plot, put func(color.Color, float64, float64)) {
		x, y := p.Transforms(&canvas)
		for k, v := range c.Value {
			where, colour := at[k], color.Color(palette[0])
			if missing := v != v; missing || c.Levels != nil {
				// Beside each other: by golden section, which is even and no chance.
				_, part := math.Modf(float64(k) * 0.6180339887498949)
				where += float64(width * (2*part - 1))
				if missing {
					colour = unordered
				}
			}
			put(colour, float64(x(where)), float64(y(c.Contribution[k])))
		}
	}, radius: 1.6})
	return f.svg(1)
}

// values sets the axis of the values. It returns where each lies, and where what
// is missing does.
func (f *figure) values(c Contributions) (place func(float64) float64, right float64) {
	x := &f.plot.X
	if c.Levels != nil {
		n := len(c.Levels)
		const flat, room = 4, 16 // levels that stand side by side, and characters of one
		if n > flat {
			x.Tick.Label.Rotation, x.Tick.Label.XAlign, x.Tick.Label.YAlign = math.Pi/4, text.XRight, text.YTop
			f.height += 50
		}
		every := 1 + n/25 // so many have room
		var t plot.ConstantTicks
		for i, l := range c.Levels {
			if i%every == 0 {
				t = append(t, plot.Tick{Value: float64(i), Label: cut(l, room)})
			}
		}
		if slices.ContainsFunc(c.Value, func(v float64) bool { return v < 0 }) {
			t = append(t, plot.Tick{Value: float64(n), Label: "other"})
			n++
		}
		x.Min, x.Max, x.Tick.Marker = -0.6, float64(n)-0.4, t
		return func(v float64) float64 {
			if v < 0 {
				return float64(len(c.Levels))
			}
			return v
		}, float64(n)
	}
	var known []float64
	for _, v := range c.Value {
		if !math.IsNaN(v - v) {
			known = append(known, v)
		}
	}
	slices.Sort(known)
	low, high := 0.0, 1.0
	if n := len(known); n > 0 {
		low, high = known[0], known[n-1]
		if a, b := known[n/100], known[n-1-n/100]; b > a && high-low > 3*(b-a) {
			low, high = a, b
		}
	}
	between(x, low, high, 6)
	low, high = x.Min, x.Max
	margin := (high - low) / 40
	x.Min, x.Max = low-margin, high+margin
	return func(v float64) float64 { return min(max(v, low), high) }, high + float64(5*margin)
}

// dots draws round dots, those of one colour as one path: that takes a tenth of
// the bytes.
type dots struct {
	draw   func(draw.Canvas, *plot.Plot, func(c color.Color, x, y float64))
	radius float64 // points
}

// Plot implements plot.Plotter.
func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	paths := map[string]vg.Path{}
	colours := map[string]color.Color{}
	d.draw(c, p, func(colour color.Color, x, y float64) {
		key := fmt.Sprint(colour)
		at := vg.Point{X: vg.Length(math.Round(x*10) / 10), Y: vg.Length(math.Round(y*10) / 10)}
		path := paths[key]
		path.Move(at)
		path.Line(at)
		paths[key], colours[key] = path, colour
	})
	var order []string
	for key := range paths {
		order = append(order, key)
	}
	slices.Sort(order)
	for _, key := range order {
		c.SetLineStyle(draw.LineStyle{Color: colours[key], Width: vg.Points(2 * d.radius)})
		c.Stroke(paths[key])
	}
}

// swatch is a dot in the legend.
type swatch struct{ color.Color }

func dot(c color.Color) swatch { return swatch{c} }

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) {
	middle := c.Center()
	var p vg.Path
	p.Move(middle)
	p.Line(middle)
	c.SetLineStyle(draw.LineStyle{Color: s.Color, Width: 5})
	c.Stroke(p)
}
