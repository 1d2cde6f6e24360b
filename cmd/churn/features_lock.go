package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"churn/training"
)

func (a *app) lockFeaturesCommand() *cobra.Command {
	var set setFlags
	var h historyFlags
	var out string
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Write a feature set with its levels frozen",
		Long: `Lock writes the set with the levels that training would freeze: of features by
level, and of attributes that are categories. A set so frozen needs nothing of the
data any more, so each part of the customers gives the rows that the whole would:
features build --arrow asks for one. Attributes of the project file are in it.`,
		Example: `  churn features lock --out locked.yaml
  churn features lock --model-version champion --out locked.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.lockFeatures(cmd.Context(), &set, h, out) },
	}
	set.register(cmd)
	set.registerThrough(cmd)
	h.register(cmd)
	cmd.Flags().StringVar(&out, "out", "", "file to write (required), - for standard output")
	return cmd
}

func (a *app) lockFeatures(ctx context.Context, s *setFlags, h historyFlags, path string) (err error) {
	if path == "" {
		return usagef("--out is missing: name a file to write")
	}
	p := a.progress()
	defer p.finish()
	src, plan, done, err := a.historyPlan(ctx, s, h, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	e, err := training.Freeze(ctx, src, plan)
	p.finish()
	if err != nil {
		return err
	}
	set, err := e.Set().Marshal()
	if err != nil {
		return err
	}
	out, err := createOutput(path, a.stdout)
	if err != nil {
		return err
	}
	defer out.abandon()
	if _, err := fmt.Fprintf(out, "# Levels frozen by churn features lock on data through %s.\n%s", plan.Through, set); err != nil {
		return err
	}
	return out.keep()
}
