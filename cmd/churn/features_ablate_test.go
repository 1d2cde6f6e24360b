package main

import (
	"math"
	"testing"

	"churn/training/measure"
)

// No more digits than the interval supports; what excludes 0 shows it.
func TestWithInterval(t *testing.T) {
	nan := measure.Float(math.NaN())
	for _, c := range []struct {
		e            measure.Estimate
		want, single string
	}{
		{measure.Estimate{Value: 0.01234, Low: 0.00981, High: 0.01502}, "0.012 [0.010, 0.015]", "0.012"},
		{measure.Estimate{Value: 0.01234, Low: 0.01181, High: 0.01302}, "0.0123 [0.0118, 0.0130]", "0.0123"},
		{measure.Estimate{Value: 0.0021, Low: 0.0006, High: 0.0042}, "0.002 [0.001, 0.004]", "0.002"},
		{measure.Estimate{Value: 0.0021, Low: 0.0003, High: 0.0042}, "0.0021 [0.0003, 0.0042]", "0.002"},
		{measure.Estimate{Value: -0.0021, Low: -0.0042, High: -0.0003}, "-0.0021 [-0.0042, -0.0003]", "-0.002"},
		{measure.Estimate{Value: -0.0001, Low: -0.0024, High: 0.0021}, "0.000 [-0.002, 0.002]", "0.000"},
		{measure.Estimate{Value: 12.3, Low: 9, High: 15}, "12 [9, 15]", "12"},
		{measure.Estimate{}, "0", "0"},
		{measure.Estimate{Value: 0.1234, Low: nan, High: nan}, "0.12", "0.12"},
		{measure.Estimate{Value: nan, Low: nan, High: nan}, "not measured", "not measured"},
	} {
		if got := withInterval(c.e); got != c.want {
			t.Errorf("%+v with interval: %q, want %q", c.e, got, c.want)
		}
		if got := rounded(c.e); got != c.single {
			t.Errorf("%+v: %q, want %q", c.e, got, c.single)
		}
	}
}
