package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"churn/event"
)

// Arms of a decision.
const (
	ArmPolicy  = "policy"  // what the playbook wanted
	ArmExplore = "explore" // drawn by chance to learn from
	ArmHoldout = "holdout" // left alone to measure against
)

// Decision is what was decided about a customer, and how likely that was.
type Decision struct {
	ID          string
	CustomerID  string
	At          event.Time
	Action      string // what is done; in the holdout, doing nothing
	Channel     string
	Arm         string // ArmPolicy, ArmExplore or ArmHoldout
	GhostAction string // in the holdout: what would have been done
	Propensity  float64

	Risk             float64 // churn probability it was based on
	ResidualValue    event.Amount
	ExpectedNetValue event.Amount
	Cost             event.Amount
	Basis            string // where the expected effect came from: prior, cell, uplift

	Model, Version string
	Playbook       string // fingerprint
	Body           string // the whole decision as JSON; may be empty
}

func (d *Decision) validate() error {
	for _, f := range [...]struct{ name, text string }{
		{"id", d.ID}, {"customer_id", d.CustomerID}, {"action", d.Action},
	} {
		if err := event.CheckID(f.name, f.text); err != nil {
			return err
		}
	}
	switch {
	case d.At == event.Never:
		return &event.FieldError{Field: "at", Reason: "missing"}
	case d.Arm != ArmPolicy && d.Arm != ArmExplore && d.Arm != ArmHoldout:
		return &event.FieldError{Field: "arm", Reason: "unknown: use policy, explore or holdout"}
	case !(d.Propensity > 0 && d.Propensity <= 1):
		return &event.FieldError{Field: "propensity", Reason: "not above 0 and at most 1"}
	case math.IsNaN(d.Risk) || math.IsInf(d.Risk, 0):
		return &event.FieldError{Field: "risk", Reason: "not a finite number"}
	case d.Body != "" && !json.Valid([]byte(d.Body)):
		return &event.FieldError{Field: "body", Reason: "not JSON"}
	}
	return nil
}

// SaveDecisions keeps decisions, all or none, and returns one result a
// decision. A decision is identified by its ID and never changes.
func (db *DB) SaveDecisions(ctx context.Context, decisions []Decision) ([]Result, error) {
	for i := range decisions {
		if err := decisions[i].validate(); err != nil {
			return nil, fmt.Errorf("decision %d of %d: %w", i+1, len(decisions), err)
		}
	}
	results := make([]Result, len(decisions))
	if len(decisions) == 0 {
		return results, nil
	}
	err := db.write(ctx, &job{rows: len(decisions), run: func(t *tx) error {
		for from := 0; from < len(decisions); from += rowsPerInsert {
			to := min(from+rowsPerInsert, len(decisions))
			if err := t.saveDecisions(decisions[from:to], results[from:to]); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return results, nil
}

func (t *tx) saveDecisions(decisions []Decision, results []Result) error {
	ids := make([]string, len(decisions))
	for i := range decisions {
		ids[i] = decisions[i].ID
	}
	var found []Decision
	if err := t.Table("decisions").Where("id IN ?", ids).Find(&found).Error; err != nil {
		return err
	}
	kept := make(map[string]*Decision, len(found))
	for i := range found {
		kept[found[i].ID] = &found[i]
	}
	var fresh []*Decision
	for i := range decisions {
		d := &decisions[i]
		erased, err := t.erased(d.CustomerID)
		if err != nil {
			return err
		}
		former := kept[d.ID]
		switch {
		case erased:
			results[i] = Result{Status: event.Refused}
		case former == nil:
			kept[d.ID] = d
			fresh = append(fresh, d)
			results[i] = Result{Status: event.Stored}
		case *former == *d:
			results[i] = Result{Status: event.Duplicate}
		default:
			results[i] = Result{Status: event.Conflict, Differs: former.differs(d)}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return t.Table("decisions").Create(fresh).Error
}

func (d *Decision) differs(e *Decision) []string {
	var names []string
	for _, f := range [...]struct {
		name string
		same bool
	}{
		{"customer_id", d.CustomerID == e.CustomerID},
		{"at", d.At == e.At},
		{"action", d.Action == e.Action},
		{"channel", d.Channel == e.Channel},
		{"arm", d.Arm == e.Arm},
		{"ghost_action", d.GhostAction == e.GhostAction},
		{"propensity", d.Propensity == e.Propensity},
		{"risk", d.Risk == e.Risk},
		{"residual_value", d.ResidualValue == e.ResidualValue},
		{"expected_net_value", d.ExpectedNetValue == e.ExpectedNetValue},
		{"cost", d.Cost == e.Cost},
		{"basis", d.Basis == e.Basis},
		{"model", d.Model == e.Model},
		{"version", d.Version == e.Version},
		{"playbook", d.Playbook == e.Playbook},
		{"body", d.Body == e.Body},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}

// Decisions returns the decisions about a customer from since on (At >=
// since), oldest first. The empty customer is every customer.
func (db *DB) Decisions(ctx context.Context, customerID string, since event.Time) ([]Decision, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return nil, wrap("read decisions", err)
	}
	g = g.Table("decisions").Where("at >= ?", int64(since))
	if customerID != "" {
		g = g.Where("customer_id = ?", customerID)
	}
	var decisions []Decision
	err = g.Order("at, id").Find(&decisions).Error
	return decisions, db.readError(ctx, "read decisions", err)
}

// Decision returns one decision, or ErrNotFound.
func (db *DB) Decision(ctx context.Context, id string) (Decision, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return Decision{}, wrap("read decision", err)
	}
	var found []Decision
	err = g.Table("decisions").Where("id = ?", id).Find(&found).Error
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Decision{}, db.readError(ctx, "read decision", err)
	}
	return found[0], nil
}
