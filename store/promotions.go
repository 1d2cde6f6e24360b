package store

import (
	"context"
	"fmt"

	"churn/event"
)

// Promotion is an entry of a registry's log: an alias moved from one version
// of a model to another.
type Promotion struct {
	Seq    int64 // position in the log of the model Name
	At     event.Time
	Actor  string
	Alias  string
	Name   string // of the model
	From   string `gorm:"column:from_version"` // empty when the alias is new
	To     string `gorm:"column:to_version"`   // empty when the alias was removed
	Reason string
}

// SyncPromotions copies entries of the registry's log, all or none, and
// returns how many were new. An entry is identified by Name and Seq; one that
// is there with another body is ErrConflict.
func (db *DB) SyncPromotions(ctx context.Context, promotions []Promotion) (added int, err error) {
	for i, p := range promotions {
		if err := event.CheckID("name", p.Name); err != nil {
			return 0, fmt.Errorf("promotion %d of %d: %w", i+1, len(promotions), err)
		}
	}
	if len(promotions) == 0 {
		return 0, nil
	}
	var refusal error
	err = db.write(ctx, &job{rows: len(promotions), run: func(t *tx) error {
		added, refusal = 0, nil
		type key struct {
			name string
			seq  int64
		}
		kept := map[key]Promotion{}
		var fresh []*Promotion
		for i := range promotions {
			p := &promotions[i]
			k := key{p.Name, p.Seq}
			former, there := kept[k]
			if !there {
				var found []Promotion
				if err := t.Table("promotions").Where("name = ? AND seq = ?", p.Name, p.Seq).Find(&found).Error; err != nil {
					return err
				}
				if there = len(found) > 0; there {
					former = found[0]
				}
			}
			switch {
			case !there:
				kept[k] = *p
				fresh = append(fresh, p)
			case former != *p:
				refusal = fmt.Errorf("entry %d of model %s: %w", p.Seq, p.Name, ErrConflict)
				return nil
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		added = len(fresh)
		return t.Table("promotions").CreateInBatches(fresh, rowsPerInsert).Error
	}})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return 0, wrap("keep promotions", err)
	}
	return added, nil
}

// Promotions returns the log of a model in its order.
func (db *DB) Promotions(ctx context.Context, name string) ([]Promotion, error) {
	g, err := db.reading(ctx)
	if err != nil {
		return nil, wrap("read promotions", err)
	}
	var promotions []Promotion
	err = g.Table("promotions").Where("name = ?", name).Order("seq").Find(&promotions).Error
	return promotions, db.readError(ctx, "read promotions", err)
}
