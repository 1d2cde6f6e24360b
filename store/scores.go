package store

import (
	"context"
	"fmt"
	"math"

	"churn/event"

	"gorm.io/gorm/clause"
)

// Score is what a model said of a customer at an instant.
type Score struct {
	CustomerID     string
	AsOf           event.Time
	Model, Version string
	Probability    float64      // of churn within the horizon, calibrated
	Margin         float64      // log-odds before calibration
	RiskBand       string       // may be empty
	ResidualValue  event.Amount // money still expected from the customer; 0 when not given
	Body           string       // the whole answer as JSON: reasons, warnings; may be empty
}

func (s *Score) validate() error {
	if err := event.CheckID("customer_id", s.CustomerID); err != nil {
		return err
	}
	switch {
	case s.AsOf == event.Never:
		return &event.FieldError{Field: "as_of", Reason: "missing"}
	case s.Model == "":
		return &event.FieldError{Field: "model", Reason: "empty"}
	case !(s.Probability >= 0 && s.Probability <= 1):
		return &event.FieldError{Field: "probability", Reason: "not between 0 and 1"}
	case math.IsNaN(s.Margin) || math.IsInf(s.Margin, 0):
		return &event.FieldError{Field: "margin", Reason: "not a finite number"}
	}
	return nil
}

// scoreRow is a row of the table scores.
type scoreRow struct {
	Score
	SavedAt event.Time
}

const rowsPerInsert = 500 // times columns stays below SQLite's 32766 parameters

// SaveScores keeps scores, all or none, and returns one result a score: stored,
// or refused because the customer was erased. A score is identified by
// customer, model, version and AsOf; it is derived, so that a repeated one
// replaces the former.
func (db *DB) SaveScores(ctx context.Context, scores []Score) ([]Result, error) {
	for i := range scores {
		if err := scores[i].validate(); err != nil {
			return nil, fmt.Errorf("score %d of %d: %w", i+1, len(scores), err)
		}
	}
	results := make([]Result, len(scores))
	if len(scores) == 0 {
		return results, nil
	}
	err := db.write(ctx, &job{rows: len(scores), run: func(t *tx) error {
		rows := make([]scoreRow, 0, len(scores))
		for i := range scores {
			erased, err := t.erased(scores[i].CustomerID)
			if err != nil {
				return err
			}
			results[i] = Result{Status: event.Stored}
			if erased {
				results[i].Status = event.Refused
				continue
			}
			rows = append(rows, scoreRow{scores[i], t.now})
		}
		if len(rows) == 0 {
			return nil
		}
		return t.Table("scores").Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "customer_id"}, {Name: "model"}, {Name: "as_of"}, {Name: "version"}},
			DoUpdates: clause.AssignmentColumns([]string{
				"probability", "margin", "risk_band", "residual_value", "body", "saved_at"}),
		}).CreateInBatches(rows, rowsPerInsert).Error
	}})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// ScoreQuery selects latest scores. Model is required.
type ScoreQuery struct {
	Model    string
	Version  string // only of this version; empty is any
	Customer string // only this customer; empty is all
	After    string // only customers whose id comes after it
	Limit    int    // at most so many; 0 is no limit
}

// LatestScores returns the score with the latest AsOf of each customer, of
// several such the one saved last, in the order of the customers' ids.
func (db *DB) LatestScores(ctx context.Context, q ScoreQuery) ([]Score, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return nil, wrap("read scores", err)
	}
	g = g.Table("scores AS s").Where("s.model = ?", q.Model)
	newer := `SELECT 1 FROM scores AS n WHERE n.customer_id = s.customer_id AND n.model = s.model
AND (n.as_of > s.as_of OR (n.as_of = s.as_of AND (n.saved_at > s.saved_at
     OR (n.saved_at = s.saved_at AND n.version > s.version))))`
	if q.Version == "" {
		g = g.Where("NOT EXISTS (" + newer + ")")
	} else {
		g = g.Where("s.version = ?", q.Version).Where("NOT EXISTS ("+newer+" AND n.version = ?)", q.Version)
	}
	if q.Customer != "" {
		g = g.Where("s.customer_id = ?", q.Customer)
	}
	if q.After != "" {
		g = g.Where("s.customer_id > ?", q.After)
	}
	if q.Limit > 0 {
		g = g.Limit(q.Limit)
	}
	var scores []Score
	err = g.Order("s.customer_id").Find(&scores).Error
	return scores, db.readError(ctx, "read scores", err)
}
