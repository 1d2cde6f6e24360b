package model

import (
	"strings"
	"testing"
)

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
