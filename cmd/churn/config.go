package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/outreach"
)

// config is the project file, churn.yaml. Every key has a default; an unknown
// key is an error. Relative paths are relative to the file.
type config struct {
	Database string `yaml:"database"`
	Models   string `yaml:"models"`
	Model    string `yaml:"model"`
	// TrustedKeys are the keys of which one must have signed a model for it to
	// be taken into use; none: any model is.
	TrustedKeys []trustedKey `yaml:"trusted_keys"`
	// Clock fixes "now" for replaying past data; empty is the real time.
	Clock   string              `yaml:"clock"`
	Sources map[string][]source `yaml:"sources"`
	Import  importConfig        `yaml:"import"`
	Churn   model.Definition    `yaml:"churn"`
	// Features is the path of a feature set, or empty for the default
	// catalogue; Attributes are added to it.
	Features   string            `yaml:"features"`
	Attributes []features.Column `yaml:"attributes"`
	Training   trainingConfig    `yaml:"training"`
	Outreach   outreachConfig    `yaml:"outreach"`
	Server     serverConfig      `yaml:"server"`

	dir string // of the project file
}

type importConfig struct {
	MaxBadShare float64 `yaml:"max_bad_share"`
	Rejects     string  `yaml:"rejects"`
}

type trainingConfig struct {
	Through    string         `yaml:"through"`
	Every      event.Duration `yaml:"every"`
	Snapshots  whole          `yaml:"snapshots"`
	HeldOut    float64        `yaml:"held_out"`
	Seed       whole          `yaml:"seed"`
	Replicates whole          `yaml:"replicates"`
	Rungs      []string       `yaml:"rungs"`
	Budget     event.Duration `yaml:"budget"`
	backtest   int            // of the command line
	Bands      bandsConfig    `yaml:"bands"`
	Capacity   capacityConfig `yaml:"capacity"`
	Segments   []string       `yaml:"segments"`
	Checks     string         `yaml:"checks"`
	// ChampionMargin is by how much the log loss may be above the champion's.
	ChampionMargin float64 `yaml:"champion_margin"`
}

type outreachConfig struct {
	Playbook      string             `yaml:"playbook"` // path; empty is the default
	Holdout       holdoutConfig      `yaml:"holdout"`
	Explore       float64            `yaml:"explore"`
	AssumeConsent []string           `yaml:"assume_consent"`
	QuietFrom     outreach.ClockTime `yaml:"quiet_from"`
	QuietTo       outreach.ClockTime `yaml:"quiet_to"`
	TimeZone      string             `yaml:"time_zone"`
	Economics     economicsConfig    `yaml:"economics"`
}

type holdoutConfig struct {
	Share float64 `yaml:"share"`
	Salt  string  `yaml:"salt"`
}

type economicsConfig struct {
	Currency            string  `yaml:"currency"`
	MarginRate          float64 `yaml:"margin_rate"`
	DiscountMonthly     float64 `yaml:"discount_monthly"`
	DefaultMonthlyValue float64 `yaml:"default_monthly_value"`
	ReturnedHazard      float64 `yaml:"returned_hazard"`
	CoreValue           float64 `yaml:"core_value"`
}

type serverConfig struct {
	Listen string      `yaml:"listen"`
	Keys   []keyConfig `yaml:"keys"`
	// ShadowShare of the customers scored is scored by the challenger as well.
	ShadowShare float64 `yaml:"shadow_share"`
	// Cache is the memory for the histories of customers scored lately; 0 keeps
	// none.
	Cache byteSize `yaml:"cache"`
}

type keyConfig struct {
	ID     string   `yaml:"id"`
	SHA256 string   `yaml:"sha256"` // of the whole key, in hex
	Scopes []string `yaml:"scopes"`
}

// defaultConfig is what an empty project file means.
func defaultConfig() config {
	e := outreach.DefaultEconomics()
	return config{
		Database: "churn.db", Models: "models", Model: "churn", Features: "",
		Import: importConfig{MaxBadShare: 0.05, Rejects: "rejects.csv"},
		Churn: model.Definition{Kind: "inactivity", Gap: 0, Horizon: 30 * event.Day,
			ActiveWithin: 90 * event.Day, MinTenure: 30 * event.Day},
		Training: trainingConfig{Every: 30 * event.Day, Snapshots: 12, HeldOut: 0.25, Seed: 1, Replicates: 500, Bands: bandsConfig{by: "quantiles"},
			Capacity: capacityConfig{Share: 0.1}, Checks: "full"},
		Outreach: outreachConfig{Holdout: holdoutConfig{0.05, "1"}, Explore: 0.02, QuietFrom: 20 * 60, QuietTo: 9 * 60,
			TimeZone: "UTC", Economics: economicsConfig{MarginRate: e.MarginRate, DiscountMonthly: e.DiscountMonthly,
				ReturnedHazard: e.ReturnedHazard}},
		Server: serverConfig{Listen: "127.0.0.1:8080", ShadowShare: 1, Cache: 256 << 20},
	}
}

const maxConfigBytes = 1 << 20

// config reads the project file and applies the flags.
func (a *app) config() (*config, error) {
	c := defaultConfig()
	path := a.configPath
	if path == "" {
		path = "churn.yaml"
	}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.configPath == "":
		c.dir = "."
	case err != nil:
		return nil, usageError{err}
	case len(b) > maxConfigBytes:
		return nil, usagef("%s: larger than %d bytes", path, maxConfigBytes)
	default:
		c.dir = filepath.Dir(path)
		if err := parseConfig(b, &c); err != nil {
			return nil, usagef("%s: %w", path, err)
		}
	}
	c.Database, c.Models = c.path(c.Database), c.path(c.Models)
	if a.dbPath != "" {
		c.Database = a.dbPath
	}
	if a.modelsDir != "" {
		c.Models = a.modelsDir
	}
	if a.model != "" {
		if c.Model = a.model; !model.NamePattern.MatchString(a.model) {
			return nil, usagef("--model %q: use a-z, 0-9, '_', '-', at most 64", a.model)
		}
	}
	return &c, nil
}

// parseConfig reads a project file over the defaults and checks it.
func parseConfig(b []byte, c *config) error {
	if err := decode(b, c); err != nil {
		return err
	}
	if !model.NamePattern.MatchString(c.Model) {
		return fmt.Errorf("model: %q: use a-z, 0-9, '_', '-', at most 64", c.Model)
	}
	if err := checkTrusted(c.TrustedKeys); err != nil {
		return err
	}
	if err := c.Churn.Validate(); err != nil {
		return fmt.Errorf("churn: %w", err)
	}
	for name, files := range c.Sources {
		s, err := event.ParseStream(name)
		if err != nil {
			return fmt.Errorf("sources: %w", err)
		}
		for i, f := range files {
			if err := f.validate(s); err != nil {
				return fmt.Errorf("sources.%s[%d]: %w", name, i, err)
			}
		}
	}
	if _, err := c.now(); err != nil {
		return err
	}
	// The negated comparison also catches NaN.
	if s := c.Import.MaxBadShare; !(s >= 0 && s <= 1) {
		return fmt.Errorf("import.max_bad_share: %v: use a number from 0 (none) to 1", s)
	}
	if s := c.Training.Checks; s != "full" && s != "quick" {
		return fmt.Errorf("training.checks: %q: use full, or quick to leave out the learning curve", s)
	}
	if s := c.Server.ShadowShare; !(s >= 0 && s <= 1) {
		return fmt.Errorf("server.shadow_share: %v: use a number from 0 (none) to 1", s)
	}
	if _, err := time.LoadLocation(c.Outreach.TimeZone); err != nil {
		return fmt.Errorf("outreach.time_zone: %w", err)
	}
	return nil
}

// path makes a path of the project file absolute or relative to the file.
func (c *config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// now returns the clock: the real time, or the fixed one of the project file.
func (c *config) now() (func() event.Time, error) {
	if c.Clock == "" {
		return func() event.Time { return event.FromTime(time.Now()) }, nil
	}
	t, err := event.ParseTime(c.Clock)
	if err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	return func() event.Time { return t }, nil
}

// featureSet reads the declared feature set and adds the attributes.
func (c *config) featureSet() (*features.Set, error) {
	set := features.Default()
	if c.Features != "" {
		b, err := os.ReadFile(c.path(c.Features))
		if err != nil {
			return nil, err
		}
		if set, err = features.Parse(b); err != nil {
			return nil, fmt.Errorf("%s: %w", c.path(c.Features), err)
		}
	}
	for _, col := range c.Attributes {
		// A set that was locked has them, with their levels.
		i := slices.IndexFunc(set.Attributes, func(own features.Column) bool { return own.Name == col.Name && own.Type == col.Type })
		if i < 0 {
			set.Attributes = append(set.Attributes, col)
		}
	}
	// The attributes are checked together with the rest.
	if _, err := set.Lock(features.NewCensus(set)).Compile(); err != nil {
		return nil, fmt.Errorf("attributes: %w", err)
	}
	return set, nil
}

// policy is the outreach policy.
func (c *config) policy() (outreach.Policy, error) {
	o := &c.Outreach
	p, err := outreach.DefaultPolicy(o.Holdout.Salt)
	if err != nil {
		return p, err
	}
	if o.Playbook != "" {
		b, err := os.ReadFile(c.path(o.Playbook))
		if err != nil {
			return p, err
		}
		if p.Playbook, err = outreach.ParsePlaybook(b); err != nil {
			return p, fmt.Errorf("%s: %w", c.path(o.Playbook), err)
		}
	}
	p.Holdout = outreach.Holdout(o.Holdout)
	p.Explore, p.AssumeConsent = o.Explore, o.AssumeConsent
	p.QuietHours = outreach.QuietHours{From: o.QuietFrom, To: o.QuietTo}
	if p.Location, err = time.LoadLocation(o.TimeZone); err != nil {
		return p, fmt.Errorf("outreach.time_zone: %w", err)
	}
	p.Economics = outreach.Economics(o.Economics)
	return p, p.Validate()
}
