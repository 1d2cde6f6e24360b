package training

import (
	"fmt"
	"strings"

	"churn/training/measure"
)

// Rung is one line of the leaderboard.
type Rung struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// CalibrationLogLoss is what rungs are chosen by: that of the calibration
	// chosen among Calibrations.
	CalibrationLogLoss measure.Float   `json:"calibration_log_loss"`
	Calibration        string          `json:"calibration"`
	Calibrations       []Calibrated    `json:"calibrations"`
	Test               measure.Metrics `json:"test"`
	// AUC and LogLoss of the test with intervals, and Behind, by how much the log
	// loss is above that of the model on the same rows.
	AUC     measure.Estimate `json:"auc"`
	LogLoss measure.Estimate `json:"log_loss"`
	Behind  measure.Estimate `json:"log_loss_behind"`
	// Chosen is the rung that was taken. Again is the same fitted to all that is
	// known before the test: then that is the model.
	Chosen bool `json:"chosen"`
	Again  bool `json:"again,omitzero"`
	// Seconds are those of fitting, of all processors together, and of its parts
	// for a blend. They are not in the report: the same training takes another
	// time each time.
	Seconds float64 `json:"-"`
}

// rungReplicates bounds the bootstrap of a rung that was not chosen.
const rungReplicates = 200

// leaderboard measures all rungs on the test.
func (p *Plan) leaderboard(rungs []*candidate, samples []*measure.Sample, best *measure.Sample, customers []string) ([]Rung, error) {
	boot := measure.Bootstrap{Replicates: min(p.Replicates, rungReplicates), Level: 0.95, Seed: p.Seed}
	var out []Rung
	for i, c := range rungs {
		own, err := boot.Intervals(samples[i], customers)
		if err != nil {
			return nil, err
		}
		behind, err := boot.Difference(samples[i], best, customers)
		if err != nil {
			return nil, err
		}
		out = append(out, Rung{Name: c.name, Kind: c.kind, CalibrationLogLoss: measure.Float(c.cvLogLoss), Calibration: c.calibration.Kind,
			Calibrations: c.calibrations, Test: samples[i].Metrics(), AUC: own.AUC, LogLoss: own.LogLoss, Behind: behind.LogLoss,
			Chosen: c.chosen, Again: c.again, Seconds: c.seconds})
	}
	return out, nil
}

// Final is the rung that is the model: what was chosen, fitted again where there
// are later rows to fit to. nil without a leaderboard.
func (r *Report) Final() *Rung {
	var out *Rung
	for i := range r.Leaderboard {
		if rung := &r.Leaderboard[i]; rung.Again || rung.Chosen && out == nil {
			out = rung
		}
	}
	return out
}

// IsFinal tells whether a rung is the model.
func (r *Report) IsFinal(i int) bool { return &r.Leaderboard[i] == r.Final() }

// Board is the leaderboard as a terminal shows it.
func (r *Report) Board() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %-9s %-26s %-26s %8s\n", "rungs", "log loss", "AUC of the test", "log loss of the test", "seconds")
	for i := range r.Leaderboard {
		rung := &r.Leaderboard[i]
		mark := ""
		switch {
		case r.IsFinal(i):
			mark = "the model"
		case rung.Chosen:
			mark = "chosen"
		}
		seconds := "-"
		if rung.Seconds > 0 {
			seconds = fmt.Sprintf("%.1f", rung.Seconds)
		}
		fmt.Fprintf(&b, "%-10s %-9.5f %-26s %-26s %8s  %s\n", mark, rung.CalibrationLogLoss, interval(rung.AUC), interval(rung.LogLoss), seconds, rung.Name)
	}
	return b.String()
}
