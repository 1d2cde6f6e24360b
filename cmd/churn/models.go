package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"churn/model/registry"
)

func (a *app) modelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "List, show, compare, import, sign, promote, roll back and retire models",
		Example: `  churn models list
  churn models promote 20171231-0123456789ab --reason "better on November"
  churn models rollback --reason "complaints about the new one"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var alias, retired, reason string
	list := &cobra.Command{Use: "list", Short: "List stored models", Example: "  churn models list --json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.listModels() }}
	show := &cobra.Command{Use: "show [VERSION]", Short: "Show a model's manifest and the promotion log",
		Example: "  churn models show champion", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.showModel(append(args, registry.Champion)[0])
		}}
	rollback := &cobra.Command{Use: "rollback", Short: "Go back to the version in use before", Args: cobra.NoArgs,
		Example: `  churn models rollback --reason "calibration drifted"`,
		RunE: func(*cobra.Command, []string) error {
			return a.move(func(_ *config, r *registry.Registry, name string) (registry.Promotion, error) {
				return r.Rollback(name, alias, change(reason, false))
			})
		}}
	retire := &cobra.Command{Use: "retire", Short: "Take the challenger away", Args: cobra.NoArgs,
		Long: `Retire takes an alias away; the model stays stored, and a rollback of the alias
does not reach back across it. The champion cannot be retired.`,
		Example: `  churn models retire --reason "no better than the champion"`,
		RunE: func(*cobra.Command, []string) error {
			return a.move(func(_ *config, r *registry.Registry, name string) (registry.Promotion, error) {
				return r.Retire(name, retired, change(reason, false))
			})
		}}
	retire.Flags().StringVar(&retired, "alias", registry.Challenger, "alias to take away")
	rollback.Flags().StringVar(&alias, "alias", registry.Champion, "alias to point")
	for _, c := range []*cobra.Command{rollback, retire} {
		c.Flags().StringVar(&reason, "reason", "", "why, for the promotion log")
	}
	cmd.AddCommand(list, show, a.diffCommand(), a.promoteCommand(), rollback, retire, a.modelsImportCommand(), a.keygenCommand(), a.signCommand(), a.verifyCommand())
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
		if len(c.TrustedKeys) > 0 {
			rows[0] = append(rows[0], "signed by")
		}
		for _, e := range entries {
			m := e.Manifest
			gate := "passed"
			if !m.Gate.Passed {
				gate = "refused"
			}
			rows = append(rows, []string{m.Name, m.Version, m.Kind, fmt.Sprintf("%.4f", m.Metrics["auc"]),
				fmt.Sprintf("%.4f", m.Metrics["log_loss"]), gate, strings.Join(e.Aliases, ","), strings.Join(e.SignedBy, ",")})
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
	// Looking at a model is not taking it into use: signatures are reported.
	untrusting, err := registry.Open(c.Models)
	if err != nil {
		return err
	}
	m, err := untrusting.Get(c.Model, version)
	if err != nil {
		return err
	}
	log, err := reg.Promotions(c.Model)
	if err != nil {
		return err
	}
	ids, unsigned := reg.Signers(c.Model, m.Manifest.Version)
	if a.json {
		out := map[string]any{"manifest": m.Manifest, "promotions": log}
		if len(c.TrustedKeys) > 0 {
			out["signed_by"] = append([]string{}, ids...)
		}
		return writeJSON(a.stdout, out)
	}
	f := m.Manifest
	rows := [][]string{{"model", f.Name}, {"version", f.Version}, {"kind", f.Kind}, {"churn", f.Definition.String()},
		{"data through", f.Through.String()}, {"features", f.FeatureFingerprint}, {"data", f.DataFingerprint}}
	for _, k := range []string{"auc", "average_precision", "log_loss", "brier", "ece", "top_decile_lift", "base_rate", "rule_auc", "rule_log_loss"} {
		if v, ok := f.Metrics[k]; ok {
			rows = append(rows, []string{k, fmt.Sprintf("%.4f", v)})
		}
	}
	bands := fmt.Sprintf("medium from %.4f, high from %.4f", f.Bands.Medium, f.Bands.High)
	if f.Bands.Basis != "" {
		bands += "; " + f.Bands.Basis
	}
	rows = append(rows, []string{"bands", bands})
	rows = append(rows, []string{"gate", fmt.Sprintf("passed: %v; %s", f.Gate.Passed, strings.Join(f.Gate.Reasons, "; "))})
	if len(c.TrustedKeys) > 0 {
		signed := "by " + strings.Join(ids, ", ")
		if unsigned != nil {
			signed = unsigned.Error()
		}
		rows = append(rows, []string{"signed", signed})
	}
	for _, p := range log {
		forced := ""
		if p.Forced {
			forced = " (forced)"
		}
		rows = append(rows, []string{fmt.Sprintf("promotion %d", p.Seq),
			fmt.Sprintf("%s %s: %s -> %s by %s%s: %s", p.At, p.Alias, p.From, cmp.Or(p.To, "none"), p.Actor, forced, p.Reason)})
		if p.Compared != "" {
			rows = append(rows, []string{"", "champion " + p.Compared})
		}
	}
	return table(a.stdout, rows)
}

// move changes an alias and tells of it.
func (a *app) move(f func(*config, *registry.Registry, string) (registry.Promotion, error)) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	reg, err := a.openRegistry(c)
	if err != nil {
		return err
	}
	p, err := f(c, reg, c.Model)
	if err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.stdout, p)
	}
	if p.Compared != "" {
		fmt.Fprintf(a.stdout, "champion   %s\n", p.Compared)
	}
	_, err = fmt.Fprintf(a.stdout, "%s of %s: %s -> %s\n", p.Alias, p.Name, p.From, cmp.Or(p.To, "none"))
	return err
}
