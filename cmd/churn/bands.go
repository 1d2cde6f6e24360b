package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"churn/event"
	"churn/model"
	"churn/outreach"
	"churn/training"
)

// bandsConfig is training.bands: quantiles, profit, or two probabilities.
type bandsConfig struct {
	by           string // quantiles, profit or probabilities
	medium, high float64
}

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (b *bandsConfig) UnmarshalYAML(unmarshal func(any) error) error {
	errForm := errors.New("training.bands: use quantiles, profit, or two probabilities such as {medium: 0.1, high: 0.3}")
	var word string
	if unmarshal(&word) == nil {
		if word != "quantiles" && word != "profit" {
			return fmt.Errorf("%w, not %q", errForm, word)
		}
		*b = bandsConfig{by: word}
		return nil
	}
	var p map[string]float64
	if unmarshal(&p) != nil {
		return errForm
	}
	medium, ok := p["medium"]
	high, both := p["high"]
	if !ok || !both || len(p) != 2 {
		return errForm
	}
	if !(0 < medium && medium <= high && high < 1) { // false for NaN
		return fmt.Errorf("training.bands: medium %v and high %v: use two probabilities above 0 and below 1, the higher one for high", medium, high)
	}
	*b = bandsConfig{by: "probabilities", medium: medium, high: high}
	return nil
}

// fixed are the cut-offs that need no data: none for quantiles, which training
// finds.
func (b *bandsConfig) fixed() (model.Bands, error) {
	switch b.by {
	case "probabilities":
		return model.Bands{Medium: b.medium, High: b.high, Basis: "probabilities: of the project file"}, nil
	case "profit":
		return model.Bands{}, errors.New("training.bands: profit needs payments and a horizon, which a wide table does not have: " +
			"use quantiles or two probabilities")
	}
	return model.Bands{}, nil
}

// bands finds the cut-offs of risk. For profit the customers are those who
// could be scored at the end of the data.
func (c *config) bands(ctx context.Context, src training.Source, through event.Time) (model.Bands, error) {
	if c.Training.Bands.by != "profit" {
		return c.Training.Bands.fixed()
	}
	fail := func(err error) (model.Bands, error) {
		return model.Bands{}, fmt.Errorf("training.bands: profit: %w", err)
	}
	if c.Churn.Kind == "decline" {
		return fail(errors.New("a decline is not a customer lost, whose value outreach would save: use quantiles or two probabilities"))
	}
	policy, err := c.policy()
	if err != nil {
		return fail(err)
	}
	r, err := outreach.New(policy)
	if err != nil {
		return fail(err)
	}
	margins := outreach.Margins{Economics: policy.Economics}
	err = src.Timelines(ctx, func(tl *event.Timeline) error {
		if training.Judge(&c.Churn, tl, through, through).Eligible() {
			margins.Add(tl, through)
		}
		return ctx.Err()
	})
	if err != nil {
		return fail(err)
	}
	monthly, n, err := margins.Median()
	if err != nil {
		return fail(err)
	}
	medium, high, err := r.ProfitBands(monthly, int(math.Ceil(c.Churn.Horizon.Days())))
	if err != nil {
		return fail(err)
	}
	// Rounded up to the digits that are shown, the actions pay all the same.
	up := func(p float64) float64 { return math.Ceil(p*1e6) / 1e6 }
	b := model.Bands{Medium: up(medium.Probability), High: up(high.Probability)}
	pays := fmt.Sprintf("%s pays from %.6f and %s from %.6f", medium.Action, b.Medium, high.Action, b.High)
	if medium == high {
		pays = fmt.Sprintf("only %s pays, from %.6f", medium.Action, b.Medium)
	}
	b.Basis = fmt.Sprintf("profit: at a monthly margin of %.2f (median of %d customers) %s", monthly, n, pays)
	return b, nil
}
