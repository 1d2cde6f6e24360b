package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"churn/model/registry"
)

func (a *app) modelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "List, show, import, promote and roll back models",
		Example: `  churn models list
  churn models promote 20171231-0123456789ab --reason "better on November"
  churn models rollback --reason "complaints about the new one"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var alias, reason string
	var force bool
	list := &cobra.Command{Use: "list", Short: "List stored models", Example: "  churn models list --json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.listModels() }}
	show := &cobra.Command{Use: "show [VERSION]", Short: "Show a model's manifest and the promotion log",
		Example: "  churn models show champion", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.showModel(append(args, registry.Champion)[0])
		}}
	promote := &cobra.Command{Use: "promote VERSION", Short: "Put a version into use",
		Long: `Promote points an alias at a version; a running server follows within a second.
A model that did not pass its gate is refused (exit code 3) unless --force and
--reason are given, which the log keeps.`,
		Example: `  churn models promote 20171231-0123456789ab --reason "better on November"`, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if force && reason == "" {
				return usagef("--force needs --reason")
			}
			return a.move(func(r *registry.Registry, name string) (registry.Promotion, error) {
				return r.Promote(name, alias, args[0], change(reason, force))
			})
		}}
	rollback := &cobra.Command{Use: "rollback", Short: "Go back to the version in use before", Args: cobra.NoArgs,
		Example: `  churn models rollback --reason "calibration drifted"`,
		RunE: func(*cobra.Command, []string) error {
			return a.move(func(r *registry.Registry, name string) (registry.Promotion, error) {
				return r.Rollback(name, alias, change(reason, false))
			})
		}}
	for _, c := range []*cobra.Command{promote, rollback} {
		c.Flags().StringVar(&alias, "alias", registry.Champion, "alias to point")
		c.Flags().StringVar(&reason, "reason", "", "why, for the promotion log")
	}
	promote.Flags().BoolVar(&force, "force", false, "promote even if the gate says no; needs --reason")
	cmd.AddCommand(list, show, promote, rollback, a.modelsImportCommand())
	return cmd
}

func (a *app) listModels() error {
	c, err := a.config()
	if err != nil {
		return err
	}
	reg, err := a.openRegistry(c)
	if err != nil {
		return err
	}
	entries, problems := reg.List()
	if a.json {
		if entries == nil {
			entries = []registry.Entry{}
		}
		err = writeJSON(a.stdout, entries)
	} else {
		rows := [][]string{{"model", "version", "kind", "AUC", "log loss", "gate", "aliases"}}
		for _, e := range entries {
			m := e.Manifest
			gate := "passed"
			if !m.Gate.Passed {
				gate = "refused"
			}
			rows = append(rows, []string{m.Name, m.Version, m.Kind, fmt.Sprintf("%.4f", m.Metrics["auc"]),
				fmt.Sprintf("%.4f", m.Metrics["log_loss"]), gate, strings.Join(e.Aliases, ",")})
		}
		err = table(a.stdout, rows)
	}
	if err == nil {
		err = problems
	}
	return err
}

func (a *app) showModel(version string) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	reg, err := a.openRegistry(c)
	if err != nil {
		return err
	}
	m, err := reg.Get(c.Model, version)
	if err != nil {
		return err
	}
	log, err := reg.Promotions(c.Model)
	if err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.stdout, map[string]any{"manifest": m.Manifest, "promotions": log})
	}
	f := m.Manifest
	rows := [][]string{{"model", f.Name}, {"version", f.Version}, {"kind", f.Kind}, {"churn", f.Definition.String()},
		{"data through", f.Through.String()}, {"features", f.FeatureFingerprint}, {"data", f.DataFingerprint}}
	for _, k := range []string{"auc", "average_precision", "log_loss", "brier", "ece", "top_decile_lift", "base_rate", "rule_auc", "rule_log_loss"} {
		if v, ok := f.Metrics[k]; ok {
			rows = append(rows, []string{k, fmt.Sprintf("%.4f", v)})
		}
	}
	rows = append(rows, []string{"gate", fmt.Sprintf("passed: %v; %s", f.Gate.Passed, strings.Join(f.Gate.Reasons, "; "))})
	for _, p := range log {
		forced := ""
		if p.Forced {
			forced = " (forced)"
		}
		rows = append(rows, []string{fmt.Sprintf("promotion %d", p.Seq),
			fmt.Sprintf("%s %s: %s -> %s by %s%s: %s", p.At, p.Alias, p.From, p.To, p.Actor, forced, p.Reason)})
	}
	return table(a.stdout, rows)
}

// move promotes or rolls back and tells of it.
func (a *app) move(f func(*registry.Registry, string) (registry.Promotion, error)) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	reg, err := a.openRegistry(c)
	if err != nil {
		return err
	}
	p, err := f(reg, c.Model)
	if err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.stdout, p)
	}
	_, err = fmt.Fprintf(a.stdout, "%s of %s: %s -> %s\n", p.Alias, p.Name, p.From, p.To)
	return err
}
