package model

import (
	"strings"
	"testing"

	"churn/event"
)

func TestDefinition(t *testing.T) {
	const day = event.Day
	for _, c := range []struct {
		d    Definition
		want string // its words, or what the error says
		ok   bool
	}{
		{Definition{Kind: "contract", Gap: 7 * day, Horizon: 30 * day}, "contract: leaves within 30d after a gap of 7d", true},
		{Definition{Kind: "inactivity", Horizon: 90 * day, Streams: []string{"engagement", "payments"}}, "inactivity: no engagement or payments for 90d after a gap of 0d", true},
		{Definition{Kind: "inactivity", Horizon: 90 * day}, "inactivity: no engagement or payments for 90d after a gap of 0d", true},
		{Definition{Kind: "inactivity", Horizon: 90 * day, Streams: []string{"payments"}}, "inactivity: no payments for 90d after a gap of 0d", true},
		{Definition{Kind: "payment", Horizon: 30 * day, UnpaidFor: 45 * day}, "payment: unpaid for 45d, due within 30d after a gap of 0d", true},
		{Definition{Kind: "label", Label: "Churn=Yes"}, "label: Churn=Yes", true},
		{Definition{}, `kind ""`, false},
		{Definition{Kind: "Contract", Horizon: day}, `kind "Contract"`, false},
		{Definition{Kind: "label"}, "label needs a column", false},
		{Definition{Kind: "contract"}, "horizon must be positive", false},
		{Definition{Kind: "contract", Horizon: -day}, "horizon must be positive", false},
		{Definition{Kind: "contract", Horizon: day, Gap: -1}, "cannot be negative", false},
		{Definition{Kind: "contract", Horizon: day, Grace: -1}, "cannot be negative", false},
		{Definition{Kind: "contract", Horizon: day, ActiveWithin: -1}, "cannot be negative", false},
		{Definition{Kind: "contract", Horizon: day, MinTenure: -1}, "cannot be negative", false},
		{Definition{Kind: "payment", Horizon: day, UnpaidFor: -1}, "cannot be negative", false},
		{Definition{Kind: "payment", Horizon: day}, "needs unpaid_for", false},
		{Definition{Kind: "inactivity", Horizon: day, Streams: []string{"complaints"}}, `stream "complaints"`, false},
	} {
		err := c.d.Validate()
		switch {
		case c.ok && (err != nil || c.d.String() != c.want):
			t.Errorf("%+v: %v, %q, want %q", c.d, err, c.d.String(), c.want)
		case !c.ok && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want an error with %q", c.d, err, c.want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for name, want := range map[string]bool{
		"churn": true, "a": true, "0-_": true, strings.Repeat("a", 64): true,
		"": false, "-a": false, "_a": false, "A": false, "a.b": false, "..": false, ".": false, "a/b": false, `a\b`: false, "a b": false,
		"a\n": false, "a\x00": false, "%2e": false, "é": false, strings.Repeat("a", 65): false,
	} {
		if got := NamePattern.MatchString(name); got != want {
			t.Errorf("name %q is allowed: %v", name, got)
		}
	}
	for version, want := range map[string]bool{
		"20260401-0123456789ab": true, "00000000-0123456789ab": true,
		"20260401-0123456789aB": false, "20260401-0123456789abc": false, "2026041-0123456789ab": false, "": false,
		"20260401-0123456789ab\n": false, "../20260401-0123456789ab": false, "champion": false,
	} {
		if got := VersionPattern.MatchString(version); got != want {
			t.Errorf("version %q is allowed: %v", version, got)
		}
	}
}
