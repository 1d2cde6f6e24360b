package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"churn/event"
	"churn/features"
	"churn/model"
)

// project is what a churn.yaml written by this program says.
type project struct {
	note       string
	clock      string
	churn      model.Definition
	every      event.Duration
	snapshots  int
	sources    map[event.Stream][]string
	columns    map[event.Stream][]string // to be mapped by hand
	mappings   map[string]event.Mapping  // that were recognised, by path
	attributes []features.Column
	proposed   []features.Column // attributes, commented out
	history    []features.Column // of the attributes table, commented out
}

// yaml writes the project file with a comment at every key. Marshalling would
// lose the comments, which are the point.
func (p *project) yaml() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Project file of churn. Paths are relative to this file; every key has a default.")
	if p.note != "" {
		line("# %s", p.note)
	}
	line("database: churn.db")
	line("models: models")
	line("model: churn")
	if p.clock == "" {
		line("# clock: 2026-01-31T00:00:00Z   # fixes \"now\" to replay past data")
	} else {
		line("clock: %s   # fixes \"now\": this is past data", p.clock)
	}
	line("")
	line("# Where events come from. A source is a path (or pattern) and, where the columns")
	line("# have other names, a mapping; docs/data.md has every key.")
	line("sources:")
	for _, s := range event.Streams() {
		if len(p.sources[s]) == 0 {
			continue
		}
		line("  %s:", s)
		for _, path := range p.sources[s] {
			line("    - path: %q", path)
			if m, ok := p.mappings[path]; ok && p.columns[s] == nil {
				for _, own := range slices.Sorted(maps.Keys(m.Columns)) {
					line("      columns: {%s: %q}", own, m.Columns[own])
				}
				if len(m.Drop) > 0 {
					line("      drop: %s   # what was not known at valid_from, or is no attribute", flow(m.Drop))
				}
			}
			if columns := p.columns[s]; columns != nil {
				line("      columns:   # the header does not fit: name the column for each that you have")
				for _, c := range columns {
					line("        # %s: ", c)
				}
			}
		}
	}
	line("import:")
	line("  max_bad_share: 0.05      # stop when more of a file's rows cannot be read")
	line("  rejects: rejects.csv     # where they are kept")
	line("")
	line("# What counts as churn: contract (churned_at), inactivity (nothing for the")
	line("# horizon), payment (unpaid for unpaid_for), or decline (measure falls by drop).")
	line("# Labels look at [t+gap, t+gap+horizon).")
	line("churn:")
	line("  kind: %s", p.churn.Kind)
	line("  gap: %s", p.churn.Gap)
	line("  horizon: %s", p.churn.Horizon)
	line("  grace: %s", p.churn.Grace)
	line("  active_within: %s      # only customers with an event this long before t; 0m: all", p.churn.ActiveWithin)
	line("  min_tenure: %s         # only customers known for this long", p.churn.MinTenure)
	if p.churn.NeverActivated != "" {
		line("  never_activated: %s   # who has had no event yet", p.churn.NeverActivated)
	} else {
		line("  # never_activated: exclude   # or include: who has had no event yet; default: as active_within says")
	}
	line("  # kinds: [voluntary]         # and involuntary, lapsed, never_activated; default: all")
	line("")
	line("features: \"\"   # a feature set of your own; empty is the default catalogue")
	line("# Attributes of the customers table to use as features. They have no time, so")
	line("# naming one here asserts that it does not change after sign-up: a state that was")
	line("# exported later would tell the model the future. Those of the attributes table")
	line("# have one: history says to use them as they were known at the time.")
	writeColumns(&b, p.attributes, p.proposed, p.history)
	line("")
	line("training:")
	line("  # through: 2026-01-31   # end of the data; default: the last event")
	line("  every: %s               # step between snapshots", p.every)
	line("  snapshots: %d", p.snapshots)
	line("  held_out: 0.25           # share of customers never trained on")
	line("  seed: 1")
	line("  replicates: 500          # of the bootstrap")
	line("  # From which probability the risk is medium and high: quantiles (the top 30 and 10")
	line("  # per cent), profit (where outreach begins to pay), or {medium: 0.1, high: 0.3}.")
	line("  bands: quantiles")
	line("  capacity: 10%%            # of the customers, or a number of them, can be contacted at a snapshot")
	line("")
	line("outreach:")
	line("  playbook: \"\"             # your own actions; empty is the default playbook")
	line("  holdout: {share: 0.05, salt: \"1\"}   # a new salt draws new customers")
	line("  explore: 0.02            # share of decisions turned into nothing, to learn from")
	line("  assume_consent: []       # what you assert of customers whose consent is unknown")
	line("  quiet_from: \"20:00\"")
	line("  quiet_to: \"09:00\"")
	line("  time_zone: UTC")
	line("  economics: {margin_rate: 0.3, discount_monthly: 0.01, returned_hazard: 0.1}")
	line("")
	line("server:")
	line("  listen: 127.0.0.1:8080")
	line("  keys: []   # needed to listen beyond this machine: {id: crm, sha256: …, scopes: [read, write]}")
	line("  shadow_share: 1   # of customers that a challenger is scored on beside the champion; 0: none")
	line("  cache: 256MB      # memory for the histories of customers scored lately; 0: none")
	return b.Bytes()
}

func writeColumns(b *bytes.Buffer, columns, proposed, history []features.Column) {
	if len(columns) == 0 {
		b.WriteString("attributes: []\n")
	} else {
		b.WriteString("attributes:\n")
	}
	for _, c := range columns {
		history := ""
		if c.History {
			history = ", history: true"
		}
		fmt.Fprintf(b, "  - {name: %q, type: %s%s}\n", c.Name, c.Type, history)
	}
	for _, c := range proposed {
		fmt.Fprintf(b, "#  - {name: %s, type: %s}\n", strings.ReplaceAll(fmt.Sprintf("%q", c.Name), "\n", " "), c.Type)
	}
	for _, c := range history {
		fmt.Fprintf(b, "#  - {name: %q, type: %s, history: true}\n", c.Name, c.Type)
	}
}

// flow writes texts as a list on one line.
func flow(texts []string) string {
	var quoted []string
	for _, t := range texts {
		quoted = append(quoted, fmt.Sprintf("%q", t))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
