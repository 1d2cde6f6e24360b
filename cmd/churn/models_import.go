package main

import (
	"os"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/model"
	"churn/training"
)

// importFlags say which model to import, and how.
type importFlags struct {
	file, mapping, check string
	keepFlags
}

func (a *app) modelsImportCommand() *cobra.Command {
	var wide tableFlags
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Make a model file of a LightGBM or XGBoost model",
		Long: `Import takes a model that was trained elsewhere, as LightGBM's text or XGBoost's
JSON or UBJSON, and a wide table with labels. One half of the customers
calibrates it, the other tests it; what comes out is a model like those of
churn train, with the same report and gate. Give customers that it was not
trained on.

A mapping names the column of each feature and the code of each level, where
the model does not say it. With --check every score that Python gave must come
out here, or nothing is imported. docs/import.md has both.`,
		Example: `  churn models import --file model.txt --table held_out.csv --id customerID --label Churn=Yes --check scores.csv
  churn models import --file model.ubj --mapping mapping.yaml --table held_out.csv --id customerID --label Churn=Yes --model telco --promote`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.importModel(wide, f) },
	}
	wide.register(cmd)
	fl := cmd.Flags()
	fl.Lookup("table").Usage = "wide table (CSV, NDJSON or Parquet) with one row a customer, to calibrate and test on"
	fl.StringVar(&f.file, "file", "", "model of LightGBM (text) or XGBoost (JSON, UBJSON)")
	fl.StringVar(&f.mapping, "mapping", "", "YAML file that says what the model's features are here (default: the same names)")
	fl.StringVar(&f.check, "check", "", "CSV with the id and the raw_score or probability that the model had in Python")
	f.register(cmd)
	fl.Lookup("force").Usage = "import although scores disagree, promote even if the gate says no; needs --reason"
	return cmd
}

func (a *app) importModel(wide tableFlags, f importFlags) error {
	switch {
	case f.file == "":
		return usagef("name the model with --file")
	case wide.path == "" || wide.label == "":
		return usagef("a model is calibrated on labelled customers: give --table and --label, such as --label Churn=Yes")
	case f.force && (f.reason == "" || !f.promote && f.check == ""):
		return usagef("--force needs --reason, and --promote or --check")
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	key, err := f.signer(c)
	if err != nil {
		return err
	}
	ad := training.Adoption{Force: f.force}
	if ad.Foreign, err = readForeign(f.file); err != nil {
		return err
	}
	if f.mapping != "" {
		b, err := os.ReadFile(f.mapping)
		if err != nil {
			return err
		}
		if ad.Mapping, err = training.ParseMapping(b, f.mapping); err != nil {
			return err
		}
	}
	if f.check != "" {
		if ad.Check, err = readPredictions(f.check); err != nil {
			return err
		}
	}
	if ad.Table, err = wide.read(); err != nil {
		return err
	}
	p := a.progress()
	defer p.finish()
	plan, err := c.plan(event.Never, p)
	if err != nil {
		return err
	}
	plan.Features = nil // the table's own columns
	plan.Definition = model.Definition{Kind: "label", Label: wide.label}
	m, r, err := training.Adopt(ad, plan)
	p.finish()
	if err != nil {
		return err
	}
	return a.keep(c, m, r, &f.keepFlags, key)
}

func readForeign(path string) (*training.Foreign, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return training.ReadForeign(f, path)
}

func readPredictions(path string) (*training.Predictions, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return training.ReadPredictions(f, path)
}
