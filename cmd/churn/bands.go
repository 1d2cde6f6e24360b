package main

import (
	"errors"
	"fmt"
	"math"

	"churn/model"
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

// bands are the cut-offs of risk.
func (w *worth) bands() (model.Bands, error) {
	if w.config.Training.Bands.by != "profit" {
		return w.config.Training.Bands.fixed()
	}
	if w.err != nil {
		return model.Bands{}, fmt.Errorf("training.bands: profit: %w", w.err)
	}
	// Rounded up to the digits that are shown, the actions pay all the same.
	up := func(p float64) float64 { return math.Ceil(p*1e6) / 1e6 }
	medium, high := w.medium, w.high
	b := model.Bands{Medium: up(medium.Probability), High: up(high.Probability)}
	pays := fmt.Sprintf("%s pays from %.6f and %s from %.6f", medium.Action, b.Medium, high.Action, b.High)
	if medium == high {
		pays = fmt.Sprintf("only %s pays, from %.6f", medium.Action, b.Medium)
	}
	b.Basis = fmt.Sprintf("profit: at a monthly margin of %.2f (median of %d customers) %s", w.monthly, w.customers, pays)
	return b, nil
}
