package main

import (
	"errors"

	"churn/model/registry"
	"churn/training"
)

// champion puts the model in use into the plan, for another to be compared with;
// there may be none, or it may be of the version itself. One that cannot be loaded
// is no reason not to train its successor: why is returned, for the report.
func (a *app) champion(c *config, p *training.Plan, version string) (why string) {
	s, err := a.stored(c, registry.Champion)
	switch {
	case errors.Is(err, registry.ErrNotFound):
	case err != nil:
		return err.Error()
	case s.Manifest().Version != version:
		p.Champion = s
	}
	return ""
}

// stored loads a model of the registry with what its report tells.
func (a *app) stored(c *config, version string) (*training.Stored, error) {
	m, err := a.load(c, version)
	if err != nil {
		return nil, err
	}
	return training.NewStored(m)
}

// notCompared notes why there is no comparison with the champion.
func notCompared(r *training.Report, why string) {
	if r != nil && why != "" {
		r.Champion = &training.Comparison{NotCompared: why}
	}
}

// beside puts a comparison with the champion, if there is one, into a change of
// the alias.
func beside(change *registry.Change, c *training.Comparison) {
	if c != nil {
		change.Compared, change.Refused = c.String(), c.Refused
	}
}
