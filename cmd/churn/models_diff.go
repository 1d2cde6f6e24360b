package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"churn/model"
	"churn/model/registry"
)

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff A [B]",
		Short: "Tell how two versions differ",
		Long: `Diff tells how two stored models differ: in what they predict, the data and
features they learned from, what they are made of, and how they did on their
tests. A and B are versions or aliases; B is the champion if it is left out.
Figures of two models are of two tests unless data and seed are the same: churn
train compares with the champion on the same rows.`,
		Example: "  churn models diff 20171231-0123456789ab champion",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.diff(args[0], append(args, registry.Champion)[1])
		},
	}
}

func (a *app) diff(first, second string) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	reg, err := registry.Open(c.Models) // to look at a model is not to take it into use
	if err != nil {
		return err
	}
	var models [2]*model.Model
	for i, version := range []string{first, second} {
		if models[i], err = reg.Get(c.Model, version); err != nil {
			return err
		}
	}
	list := model.Diff(models[0], models[1])
	if a.json {
		if list == nil {
			list = []model.Difference{}
		}
		return writeJSON(a.stdout, list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintf(a.stdout, "%s and %s do not differ\n", models[0].Manifest.Version, models[1].Manifest.Version)
		return err
	}
	rows := [][]string{{"", models[0].Manifest.Version, models[1].Manifest.Version}}
	for _, d := range list {
		rows = append(rows, []string{d.What, orNone(d.A), orNone(d.B)})
	}
	return table(a.stdout, rows)
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
