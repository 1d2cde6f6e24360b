package figure

import (
	"math"
	"strings"
	"testing"

	"churn/training/measure"
)

func contributions() []Contributions {
	nan := math.NaN()
	number := Contributions{Feature: `<script>alert("x")</script>`}
	for i := range 400 {
		v := float64(i % 40)
		if i%10 == 0 {
			v = nan
		}
		if i == 11 {
			v = 1e9 // far from all else
		}
		number.Value = append(number.Value, v)
		number.Contribution = append(number.Contribution, float64((i*7)%50)/25-1)
	}
	return []Contributions{number,
		{Feature: "plan", Levels: []string{"a & b", "<i>", "c", "d", "e", "a level with a very long name indeed"}, Value: []float64{0, 1, 2, 3, 4, 5, -1, nan}, Contribution: []float64{1, -1, 0, .5, .2, .1, 0, 2}},
		{Feature: "constant", Value: []float64{5, 5}, Contribution: []float64{0, 0}},
		{Feature: "missing", Value: []float64{nan, nan}, Contribution: []float64{0.1, 0.1}},
		{Feature: "no levels", Levels: []string{}, Value: []float64{-1, nan}, Contribution: []float64{0.1, -0.1}},
		{Feature: "huge", Value: []float64{1e300, -1e300, 1e-300}, Contribution: []float64{1, 2, 3}},
		{Feature: "no rows"},
	}
}

func TestContributions(t *testing.T) {
	all := contributions()
	check := func(name, svg string, err error, again func() (string, error)) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wellFormed(t, svg)
		for _, unwanted := range []string{"<script", "<i>", "NaN", "Inf", "href"} {
			if strings.Contains(svg, unwanted) {
				t.Errorf("%s has %q", name, unwanted)
			}
		}
		if other, err := again(); err != nil || other != svg {
			t.Errorf("%s: drawn again it differs, error %v", name, err)
		}
	}
	dots := func(svg string) (n int) {
		for _, path := range strings.Split(svg, "<path d=\"")[1:] {
			path, _, _ = strings.Cut(path, `"`)
			for _, move := range strings.Split(path, "M")[1:] {
				if from, to, ok := strings.Cut(move, "L"); ok && from == to {
					n++
				}
			}
		}
		return n
	}
	svg, err := Beeswarm(all)
	check("beeswarm", svg, err, func() (string, error) { return Beeswarm(all) })
	rows := 0
	for _, c := range all {
		rows += len(c.Value)
	}
	if n, legend := dots(svg), 4; n != rows+legend {
		t.Errorf("the beeswarm has %d dots, want %d", n, rows+legend)
	}
	if !strings.Contains(svg, "&lt;script") || !strings.Contains(svg, ">missing<") {
		t.Error("the beeswarm does not name what it draws")
	}
	for _, c := range all {
		svg, err := Dependence(c)
		check(c.Feature, svg, err, func() (string, error) { return Dependence(c) })
		if n := dots(svg); n != len(c.Value) {
			t.Errorf("%s: %d dots, want %d", c.Feature, n, len(c.Value))
		}
		missing := false
		for _, v := range c.Value {
			missing = missing || v != v
		}
		if strings.Contains(svg, ">missing<") != missing && c.Feature != "missing" {
			t.Errorf("%s: missing values are not apart", c.Feature)
		}
	}
	if svg, err := Dependence(all[1]); err != nil || !strings.Contains(svg, "a &amp; b") || !strings.Contains(svg, ">other<") || !strings.Contains(svg, "a level with a …") {
		t.Errorf("levels are not named: %v", err)
	}
	if _, err := Beeswarm(nil); err == nil {
		t.Error("nothing is drawn without an error")
	}
}

func TestTrend(t *testing.T) {
	nan := measure.Float(math.NaN())
	s := Steps{Name: "<b>", Estimates: []measure.Estimate{{Value: 0.5, Low: 0.4, High: 0.6}, {Value: nan, Low: nan, High: nan}, {Value: 0.7, Low: nan, High: nan}}}
	svg, err := Trend("t", "x", "y", []string{"2020-01-01", "2020-02-01", "<i>"}, s)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "<i>") || !strings.Contains(svg, "2020-02-01") {
		t.Error(svg)
	}
	if _, err := Trend("t", "x", "y", []string{"a"}, s); err == nil {
		t.Error("three estimates of one label are drawn")
	}
}

func TestProfit(t *testing.T) {
	svg, err := Profit(Line{Name: "model", Points: []measure.Point{{X: 0.5, Y: -2000}, {X: 1, Y: 3000}}}, Line{Name: "rule"})
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
	for _, want := range []string{">-2000<", ">3000<", "rule (not measured)"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestHundred(t *testing.T) {
	for filled, want := range map[int]int{-1: 0, 0: 0, 47: 47, 100: 100, 101: 100} {
		svg := Hundred(`<i>"`, filled)
		wellFormed(t, svg)
		_, rest, _ := strings.Cut(svg, `stroke="#b34500" d="`)
		rest, _, _ = strings.Cut(rest, `"`)
		if got := strings.Count(rest, "h0"); got != want || strings.Count(svg, "h0") != 100 {
			t.Errorf("%d: %d filled of %d", filled, got, strings.Count(svg, "h0"))
		}
	}
}
