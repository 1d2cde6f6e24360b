package training

import (
	"reflect"
	"testing"
)

// What is fitted again is calibrated by margins of the calibration rows, each by
// the member that was fitted without the row's customer: made here one by one,
// from the members and the hash that deals customers out.
func TestAgain(t *testing.T) {
	s := smallModel(t)
	p := s.plan
	p.Workers = 2
	_, data, r, err := p.histories(t.Context(), s.src)
	if err != nil {
		t.Fatal(err)
	}
	pt := divide(data, r.Split)
	set := p.settings(size{rows: len(pt.train.Observations), columns: len(pt.train.Matrix.Features), churners: pt.train.Positives(), ruled: true})[2]
	if set.kind != "logistic" {
		t.Fatalf("the third setting is %s", set.name)
	}
	c, err := p.again(t.Context(), pt, &candidate{settings: []setting{set}})
	if err != nil {
		t.Fatal(err)
	}
	if !c.again || len(c.out) != len(pt.before.Observations) || len(c.linear.Members) != folds {
		t.Fatalf("again %v, %d margins of %d rows, %d members", c.again, len(c.out), len(pt.before.Observations), len(c.linear.Members))
	}
	columns := columnsOf(c.linear, &pt.calibration.Matrix)
	var margins []float64
	for i, o := range pt.calibration.Observations {
		m := c.linear.Members[foldOf(o.Customer, p.Seed)]
		v := m.Intercept
		for k := range m.Terms {
			v += m.Terms[k].Value(pt.calibration.Matrix.Row(i)[columns[k]])
		}
		margins = append(margins, v)
	}
	want := &candidate{}
	want.calibrate(margins, pt.calibration, p.Seed)
	if !reflect.DeepEqual(c.calibration, want.calibration) || !reflect.DeepEqual(c.losses, want.losses) {
		t.Errorf("calibration %+v with log loss %v, want %+v with %v", c.calibration, c.cvLogLoss, want.calibration, want.cvLogLoss)
	}
}
