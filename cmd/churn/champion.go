package main

import (
	"encoding/json"
	"errors"

	"churn/model/registry"
	"churn/training"
)

// champion puts the model in use into the plan, for the new one to be compared
// with; there may be none. One that cannot be loaded is no reason not to train
// its successor: why is returned, for the report.
func (a *app) champion(c *config, p *training.Plan) (why string) {
	reg, err := a.openRegistry(c)
	if err != nil {
		return err.Error()
	}
	m, err := reg.Get(c.Model, registry.Champion)
	if errors.Is(err, registry.ErrNotFound) {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	var r struct {
		HeldOut float64 `json:"held_out"`
	}
	// Reports of older programs do not tell; then it is that of the project.
	if json.Unmarshal(m.ReportJSON, &r) == nil && r.HeldOut > 0 && r.HeldOut < 1 {
		p.ChampionHeldOut = r.HeldOut
	}
	if p.Champion, err = m.Compile(); err != nil {
		return err.Error()
	}
	return ""
}

// notCompared notes why there is no comparison with the champion.
func notCompared(r *training.Report, why string) {
	if r != nil && why != "" {
		r.Champion = &training.Comparison{NotCompared: why}
	}
}
