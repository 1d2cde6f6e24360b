package store

import (
	"context"
	"fmt"

	"churn/event"
)

// What may have come of a decision.
const (
	OutcomeDelivered = "delivered"
	OutcomeOpened    = "opened"
	OutcomeAccepted  = "accepted"
	OutcomeChurned   = "churned"
	OutcomeRetained  = "retained"
)

// Outcome is one thing that came of a decision.
type Outcome struct {
	DecisionID string
	Event      string // OutcomeDelivered and so on
	At         event.Time
	Value      event.Amount // money it brought; 0 when not given
}

// opposite is the outcome that excludes this one.
var opposite = map[string]string{OutcomeChurned: OutcomeRetained, OutcomeRetained: OutcomeChurned}

func (o *Outcome) validate() error {
	if err := event.CheckID("decision_id", o.DecisionID); err != nil {
		return err
	}
	switch o.Event {
	case OutcomeDelivered, OutcomeOpened, OutcomeAccepted, OutcomeChurned, OutcomeRetained:
	default:
		return &event.FieldError{Field: "event", Reason: "unknown: use delivered, opened, accepted, churned or retained"}
	}
	if o.At == event.Never {
		return &event.FieldError{Field: "at", Reason: "missing"}
	}
	return nil
}

// SaveOutcome keeps an outcome; it is identified by decision and event. It
// returns event.Stored or event.Duplicate. An unknown decision is ErrNotFound;
// ErrConflict is another body under the same identity, and churned beside
// retained. An outcome before its decision is an *event.FieldError.
func (db *DB) SaveOutcome(ctx context.Context, o Outcome) (event.Status, error) {
	if err := o.validate(); err != nil {
		return 0, fmt.Errorf("save outcome: %w", err)
	}
	var status event.Status
	var refusal error // of this outcome; no reason to undo the transaction
	err := db.write(ctx, &job{rows: 1, run: func(t *tx) (err error) {
		status, refusal, err = t.saveOutcome(&o)
		return err
	}})
	if err == nil {
		err = refusal
	}
	return status, wrap("save outcome", err)
}

func (t *tx) saveOutcome(o *Outcome) (status event.Status, refusal, err error) {
	var decisions []Decision
	if err := t.Table("decisions").Select("at").Where("id = ?", o.DecisionID).Find(&decisions).Error; err != nil {
		return 0, nil, err
	}
	if len(decisions) == 0 {
		return 0, fmt.Errorf("decision: %w", ErrNotFound), nil
	}
	var kept []Outcome
	if err := t.Table("outcomes").Where("decision_id = ?", o.DecisionID).Find(&kept).Error; err != nil {
		return 0, nil, err
	}
	for _, k := range kept {
		switch {
		case k == *o:
			return event.Duplicate, nil, nil
		case k.Event == o.Event:
			return event.Conflict, fmt.Errorf("%s: %w", o.Event, ErrConflict), nil
		case k.Event == opposite[o.Event]:
			return event.Conflict, fmt.Errorf("%s and %s exclude each other: %w", o.Event, k.Event, ErrConflict), nil
		}
	}
	if o.At < decisions[0].At {
		return 0, &event.FieldError{Field: "at", Reason: "earlier than the decision"}, nil
	}
	return event.Stored, nil, t.Table("outcomes").Create(o).Error
}

// Outcomes returns what came of a decision, oldest first.
func (db *DB) Outcomes(ctx context.Context, decisionID string) ([]Outcome, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return nil, wrap("read outcomes", err)
	}
	var outcomes []Outcome
	err = g.Table("outcomes").Where("decision_id = ?", decisionID).Order("at, event").Find(&outcomes).Error
	return outcomes, db.readError(ctx, "read outcomes", err)
}

// EffectQuery selects the decisions to count.
type EffectQuery struct {
	Since, Until event.Time     // Since <= decision At < Until; Never as Until is no end
	Horizon      event.Duration // within which a churn counts as the decision's outcome
	Now          event.Time     // a decision is mature when At + Horizon <= Now
	Model        string         // only of this model; empty is any
	Version      string
	Playbook     string
}

// EffectCount counts the decisions of one action and arm. In holdout and explore the
// action is the one that would have been done, so that the rows of an action
// compare like with like: who would have got it, with and without.
type EffectCount struct {
	Action string
	Arm    string

	Decisions int64
	Customers int64 // fewer than decisions where one was decided about twice
	Delivered int64
	Opened    int64
	Accepted  int64
	Cost      event.Amount

	// Of the mature decisions: those with a churn in [At, At+Horizon), and
	// those reported as retained or churned only later. The rest is not known.
	Matured  int64
	Churned  int64
	Retained int64
}

// Effects counts decisions and outcomes by action and arm, in that order. It
// draws no conclusion.
func (db *DB) Effects(ctx context.Context, q EffectQuery) ([]EffectCount, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return nil, wrap("count effects", err)
	}
	horizon, mature := int64(q.Horizon), int64(q.Now.Add(-q.Horizon))
	if q.Now == event.Never {
		mature = int64(event.Never)
	}
	g = g.Table("decisions AS d").Select(`
CASE WHEN d.arm IN ('holdout', 'explore') THEN COALESCE(NULLIF(d.ghost_action, ''), d.action) ELSE d.action END AS action, d.arm AS arm,
COUNT(*) AS decisions, COUNT(DISTINCT d.customer_id) AS customers,
COUNT(o.delivered) AS delivered, COUNT(o.opened) AS opened, COUNT(o.accepted) AS accepted,
SUM(d.cost) AS cost,
SUM(CASE WHEN d.at <= ? THEN 1 ELSE 0 END) AS matured,
SUM(CASE WHEN d.at <= ? AND o.churned < d.at + ? THEN 1 ELSE 0 END) AS churned,
SUM(CASE WHEN d.at <= ? AND (o.retained IS NOT NULL OR o.churned >= d.at + ?) THEN 1 ELSE 0 END) AS retained`,
		mature, mature, horizon, mature, horizon).
		Joins(`LEFT JOIN (SELECT decision_id,
    MIN(CASE WHEN event = 'delivered' THEN at END) AS delivered,
    MIN(CASE WHEN event = 'opened'    THEN at END) AS opened,
    MIN(CASE WHEN event = 'accepted'  THEN at END) AS accepted,
    MIN(CASE WHEN event = 'churned'   THEN at END) AS churned,
    MIN(CASE WHEN event = 'retained'  THEN at END) AS retained
    FROM outcomes GROUP BY decision_id) AS o ON o.decision_id = d.id`).
		Where("d.at >= ? AND d.at < ?", int64(q.Since), int64(q.Until))
	for _, f := range [...]struct{ condition, value string }{
		{"d.model = ?", q.Model}, {"d.version = ?", q.Version}, {"d.playbook = ?", q.Playbook},
	} {
		if f.value != "" {
			g = g.Where(f.condition, f.value)
		}
	}
	var counts []EffectCount
	err = g.Group("1, 2").Order("1, 2").Scan(&counts).Error
	return counts, db.readError(ctx, "count effects", err)
}
