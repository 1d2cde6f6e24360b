package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"churn/model"
	"churn/model/registry"
	"churn/training"
)

// keepFlags say what becomes of a new model.
type keepFlags struct {
	report, reason, signKey string
	promote, force          bool
}

func (k *keepFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.report, "report", "", "also write report.html and report.json to this directory")
	f.BoolVar(&k.promote, "promote", false, "put the model into use")
	f.BoolVar(&k.force, "force", false, "promote even if the gate says no; needs --reason")
	f.StringVar(&k.reason, "reason", "", "why, for the promotion log")
	f.StringVar(&k.signKey, "sign-key", "", "private key (PEM) to sign the model with; --promote needs it where the project file has trusted_keys")
}

// signer returns the key to sign with, or nil. It is asked for before the model
// is made, since that may take long.
func (k *keepFlags) signer(c *config) (*signer, error) {
	switch {
	case k.signKey != "":
		return c.signer(k.signKey)
	case k.promote && len(c.TrustedKeys) > 0:
		return nil, usagef("the project file has trusted_keys, so only a signed model can be promoted: give --sign-key FILE, " +
			"or leave out --promote, then churn models sign VERSION --key FILE and churn models promote VERSION")
	}
	return nil, nil
}

// keep stores a new model, signs it unless key is nil, writes its report, puts
// it into use if asked to and allowed, and tells of it.
func (a *app) keep(c *config, m *model.Model, r *training.Report, k *keepFlags, key *signer) error {
	reg, err := a.openRegistry(c)
	if err != nil {
		return err
	}
	path, err := reg.Put(m)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(c.unfinished()); err != nil {
		return err
	}
	if key != nil {
		if err := reg.Sign(m.Manifest.Name, m.Manifest.Version, key.id, key.private); err != nil {
			return err
		}
	}
	if k.report != "" {
		if err := writeReport(k.report, r); err != nil {
			return err
		}
	}
	var promotion *registry.Promotion
	var refused error
	if k.promote {
		ch := change(k.reason, k.force)
		beside(&ch, r.Champion)
		pr, err := reg.Promote(c.Model, registry.Champion, m.Manifest.Version, ch)
		switch {
		case errors.Is(err, registry.ErrGate):
			refused = err
		case err != nil:
			return err
		default:
			promotion = &pr
		}
	}
	if a.json {
		err = writeJSON(a.stdout, map[string]any{"path": path, "version": m.Manifest.Version, "report": r, "promotion": promotion})
		return errors.Join(err, refused)
	}
	fmt.Fprint(a.stdout, r.Head(), r.Board())
	fmt.Fprintf(a.stdout, "stored     %s\n", path)
	if refused != nil { // the reasons stand above
		return fmt.Errorf("%w and is not promoted; --force with --reason would promote it all the same", registry.ErrGate)
	}
	if promotion != nil {
		fmt.Fprintf(a.stdout, "promoted   %s %s is the champion\n", promotion.Name, promotion.To)
	}
	return nil
}
