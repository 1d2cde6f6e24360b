package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"churn/event"
	"churn/outreach"
	"churn/training"
)

// worth is what a customer is worth and what the actions of the playbook cost,
// by which profit is measured and bands of profit are cut.
type worth struct {
	config       *config
	policy       outreach.Policy
	monthly      float64 // median margin
	customers    int     // of whom it is the median
	medium, high outreach.BreakEven
	err          error // why nothing is known
}

// worth reads the histories once. The customers are those who could be scored at
// the end of the data.
func (c *config) worth(ctx context.Context, src training.Source, through event.Time) *worth {
	w := &worth{config: c}
	fail := func(err error) *worth {
		w.err = err
		return w
	}
	if c.Churn.Kind == "decline" {
		return fail(errors.New("a decline is not a customer lost, whose value outreach would save: use quantiles or two probabilities"))
	}
	var err error
	if w.policy, err = c.policy(); err != nil {
		return fail(err)
	}
	r, err := outreach.New(w.policy)
	if err != nil {
		return fail(err)
	}
	margins := outreach.Margins{Economics: w.policy.Economics}
	err = src.Timelines(ctx, func(tl *event.Timeline) error {
		if training.Judge(&c.Churn, tl, through, through).Eligible() {
			margins.Add(tl, through)
		}
		return ctx.Err()
	})
	if err != nil {
		return fail(err)
	}
	if w.monthly, w.customers, err = margins.Median(); err != nil {
		return fail(err)
	}
	w.medium, w.high, err = r.ProfitBands(w.monthly, int(math.Ceil(c.Churn.Horizon.Days())))
	return fail(err)
}

// economics are those of the cheapest action that can pay.
func (w *worth) economics() *training.Economics {
	if w.err != nil {
		return &training.Economics{Unknown: w.err.Error()}
	}
	cheapest := w.medium
	if w.high.Cost < cheapest.Cost {
		cheapest = w.high
	}
	for i := range w.policy.Playbook.Actions {
		a := &w.policy.Playbook.Actions[i]
		if a.ID != cheapest.Action {
			continue
		}
		return &training.Economics{Monthly: w.monthly, DiscountMonthly: w.policy.Economics.DiscountMonthly,
			Contact: a.Cost, Incentive: a.Offer, Save: a.Save, SaveKappa: a.Kappa, Harm: a.Harm.Mean, Takeup: a.TakeupStayers,
			Basis: fmt.Sprintf("%s, the cheapest action that can pay, whose effect is a prior; monthly margin %.2f, the median of %d customers", a.ID, w.monthly, w.customers)}
	}
	return &training.Economics{Unknown: "the playbook has no action " + cheapest.Action}
}

// capacityConfig is training.capacity: customers a snapshot, or a share of them.
type capacityConfig training.Capacity

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (c *capacityConfig) UnmarshalYAML(unmarshal func(any) error) error {
	errForm := errors.New("training.capacity: use a number of customers such as 500, or a share such as 10%")
	var text string
	if unmarshal(&text) != nil {
		return errForm
	}
	if share, ok := strings.CutSuffix(text, "%"); ok {
		v, err := strconv.ParseFloat(share, 64)
		if err != nil || !(v > 0 && v <= 100) {
			return errForm
		}
		*c = capacityConfig{Share: v / 100}
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return errForm
	}
	*c = capacityConfig{Customers: n}
	return nil
}
