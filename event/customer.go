package event

import (
	"maps"
	"slices"
)

// Merge adds what another record says of the same customer and leaves the
// rest: SignedUpAt or ChurnedAt equal to Never, an empty ChurnReason, nil
// Attributes and nil Consent keep what is known, so that a customer may come
// from several files. Attributes are merged name by name, and one given as the
// empty text is withdrawn; Consent that is given, be it empty, replaces the
// former as a whole. A known time can be corrected, but not withdrawn.
//
// It says Duplicate if that changes nothing, Conflict if it would contradict
// what is left (a churn before the sign-up that is known), and then c stays as
// it was.
func (c *Customer) Merge(more *Customer) Status {
	next := *c
	if more.SignedUpAt != Never {
		next.SignedUpAt = more.SignedUpAt
	}
	if more.ChurnedAt != Never {
		next.ChurnedAt = more.ChurnedAt
	}
	if more.ChurnReason != "" {
		next.ChurnReason = more.ChurnReason
	}
	if more.Attributes != nil {
		next.Attributes = maps.Clone(more.Attributes)
		if c.Attributes != nil {
			next.Attributes = maps.Clone(c.Attributes)
			maps.Copy(next.Attributes, more.Attributes)
			maps.DeleteFunc(next.Attributes, func(_, v string) bool { return v == "" })
		}
	}
	if more.Consent != nil {
		next.Consent = SortConsent(more.Consent)
	}
	switch {
	case next.SignedUpAt == c.SignedUpAt && next.ChurnedAt == c.ChurnedAt && next.ChurnReason == c.ChurnReason &&
		(next.Attributes == nil) == (c.Attributes == nil) && maps.Equal(next.Attributes, c.Attributes) &&
		(next.Consent == nil) == (c.Consent == nil) && slices.Equal(next.Consent, c.Consent):
		return Duplicate
	case next.ChurnedAt != Never && next.SignedUpAt != Never && next.ChurnedAt < next.SignedUpAt:
		return Conflict
	}
	*c = next
	return Stored
}

// SortConsent orders the items of a consent, without repetitions. Nil stays
// nil: nothing is known.
func SortConsent(consent []string) []string {
	if consent == nil {
		return nil
	}
	sorted := append([]string{}, consent...)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// Differs names the columns in which an event differs from the one of the same
// identity that is kept, without their values. That it became known at another
// time is no difference: the first time stays.
func (e *Event) Differs(kept *Event) []string {
	var differs []string
	for _, f := range [...]struct {
		name string
		same bool
	}{
		{"customer_id", kept.Customer == e.Customer},
		{"occurred_at", kept.At == e.At},
		{"kind", kept.Kind == e.Kind},
		{"channel", kept.Channel == e.Channel},
		{"value", kept.HasValue == e.HasValue && (!kept.HasValue || kept.Value == e.Value)},
		{"arm", kept.Arm == e.Arm},
		{"outcome", kept.Outcome == e.Outcome},
		{"cancelled_at", kept.Cancelled == e.Cancelled},
	} {
		if !f.same {
			differs = append(differs, f.name)
		}
	}
	return differs
}
