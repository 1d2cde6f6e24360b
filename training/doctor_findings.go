package training

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/event"
	"churn/training/measure"
)

// Limits of what is told of tables.
const (
	minLook       = 20   // events or rows below which nothing is concluded
	wrongSignUp   = 0.2  // share of events before the sign-up that is an error
	instantShare  = 0.01 // of the events on one instant
	repeatShare   = 0.01
	strayShare    = 0.05 // of the events on the far side of a gap
	outlier       = 100  // times the value that 99 of 100 do not exceed
	lowCoverage   = 0.5  // of customers with an attribute
	minQuietDays  = 7    // without events at the end
	strangerShare = 0.2  // of events of customers without a record
)

var nan = measure.Float(math.NaN())

// times tells what is wrong with the times of a stream.
func (x *doctor) times(t *TableReport) {
	if t.Events == 0 {
		if slices.ContainsFunc(x.in.Files, func(f event.FileReport) bool { return f.Table == t.Table && f.Rows == f.Skipped }) {
			return // told of the file
		}
		x.find("warning", "empty", t.Table, "there are sources for %s, and no event came of them: are the files empty, or the mapping wrong?", t.Table)
		return
	}
	if t.BeforeSignUp > 0 {
		share := ratio(t.BeforeSignUp, t.OfSignedUp)
		severity := "warning"
		if share > wrongSignUp && t.Table != event.Attributes.String() {
			severity = "error"
		} else if t.Table == event.Attributes.String() {
			severity = "advice" // attributes may well be older
		}
		text := fmt.Sprintf("%s of %s (%d of %d events) happened before their customer signed up", percent(share), t.Table, t.BeforeSignUp, t.OfSignedUp)
		switch {
		case t.SignUpDay == t.BeforeSignUp:
			text += ", all within a day before it: one of the two times is a date without time, or of another time zone; map both alike"
		case severity == "error":
			text += ": the times, or the ids that join them, are wrong, and nothing learned from them holds; mend the source or leave the table out"
		default:
			text += ": is signed_up_at that of the customer or of a later contract? Check it, or leave it out"
		}
		x.find(severity, "before sign-up", t.Table, "%s", text)
	}
	if t.Table != event.Engagements.String() && t.AfterChurn > 0 && ratio(t.AfterChurn, t.OfChurned) > lowCoverage {
		x.find("warning", "after churn", t.Table, "%s of %s of customers who left (%d of %d events) happened at churned_at or later: are both times of the same clock?",
			percent(ratio(t.AfterChurn, t.OfChurned)), t.Table, t.AfterChurn, t.OfChurned)
	}
	if t.Events < minLook || t.First == 0 && t.Last == 0 {
		return
	}
	if t.Midnight == t.Events-t.Ahead && t.Table != event.Attributes.String() {
		x.find("advice", "midnight", t.Table, "all %d times of %s are at midnight: dates without a time, of which several on a day have no order; give the time if the source has it", t.Midnight, t.Table)
	} else {
		if s := ratio(t.Repeats, t.Events); s > repeatShare {
			x.find("warning", "repeats", t.Table, "%s of %s (%d events) equal another of the same customer in all but the id: were rows delivered twice, or does one act write several? Give the event_id of the source, or one row an act", percent(s), t.Table, t.Repeats)
		}
	}
	// Of dates every day has a share: one is odd that has five times the usual.
	// Campaigns do go to many at once.
	if o := t.OneInstant; o != nil && t.Table != event.Contacts.String() {
		usual := 0.0
		if t.Midnight*2 > t.Events {
			usual = 5 / float64(t.ActiveDays)
		}
		if s := ratio(o.Events, t.Events); float64(s) > max(instantShare, usual) {
			x.find("warning", "one instant", t.Table, "at least %s of %s (%d events) lie on %s: a default, or the time of a load rather than of what happened? Leave these rows out or mend their times", percent(s), t.Table, o.Events, o.At)
		}
	}
	if t.OutOfOrder > 0 && t.Late > 0 {
		if s := ratio(t.OutOfOrder, t.Timed); s > lowCoverage {
			x.find("advice", "order", t.Table, "%s of %s were recorded before something that had happened earlier: they came in another order than they happened, by %.1f days in the median", percent(s), t.Table, t.LagMedian)
		}
	}
	x.gaps(t)
}

// gaps tells of days without events: within, and at the end.
func (x *doctor) gaps(t *TableReport) {
	inside := t.Events - t.Ahead
	stray := func(n int) bool { return n > 0 && float64(ratio(n, inside)) < strayShare && t.GapDays >= 30 }
	switch usual := float64(dayOf(t.Last)-dayOf(t.First)+1-int64(t.GapDays)) / float64(t.ActiveDays); {
	case stray(t.afterGap):
		severity := "warning"
		if event.Duration(t.GapDays)*event.Day >= x.in.Definition.Horizon { // all would seem to have left
			severity = "error"
		}
		x.find(severity, "stray", t.Table, "the last %d of %d events of %s lie beyond %d days without any, from %s on: if their times are wrong, so is the end of the data; mend them, or set training.through: %s",
			t.afterGap, inside, t.Table, t.GapDays, dayName(t.GapFrom), dayName(t.GapFrom))
	case stray(t.beforeGap):
		x.find("advice", "stray", t.Table, "the first %d of %d events of %s lie before %d days without any, from %s on: the history is shorter than it seems", t.beforeGap, inside, t.Table, t.GapDays, dayName(t.GapFrom))
	case t.GapDays >= 3 && float64(t.GapDays) > 10*usual:
		x.find("warning", "gap", t.Table, "no event of %s for %d days from %s on, where otherwise there are some every %.1f days: is a part of the export missing? Give it, or snapshots that look across it learn from a silence that was none",
			t.Table, t.GapDays, dayName(t.GapFrom), usual)
	}
	quiet := int(dayOf(x.in.Through-1) - dayOf(t.Last))
	if t.Table != event.Attributes.String() && quiet >= minQuietDays && quiet > 3*t.GapDays {
		x.find("warning", "stopped", t.Table, "%s stops on %s, %d days before the end of the data, and was never silent for more than %d before: give the rest, or end the data there (training.through)",
			t.Table, dayName(t.Last), quiet, t.GapDays)
	} else if t.former >= 100 && t.recent*3 < t.former {
		x.find("warning", "fewer", t.Table, "%d events of %s in the last 28 days of data and %d in the 28 before: was the export made before all had come in? End the data earlier (training.through), or give the rest",
			t.recent, t.Table, t.former)
	}
}

// dayName is the day (UTC) of an instant.
func dayName(t event.Time) string { return t.String()[:len("2006-01-02")] }

// column tells what is wrong with a column.
func (x *doctor) column(t *TableReport, c *ColumnReport) {
	subject := t.Table + "." + c.Column
	attribute := (t.Table == event.Customers.String() || t.Table == event.Attributes.String()) && c.Kind != "time" && c.Column != "churn_reason"
	switch {
	case c.Rows < minLook:
		return
	case c.Filled == 0:
		return // the share of the column says so
	case attribute && c.looksLikeID(): // told below
	default:
		x.far(subject, c)
	}
	switch {
	case attribute && c.looksLikeID():
		x.find("advice", "id", subject, "%s differs in most rows (%d values in %d): a name or an id, which is no feature; drop it", subject, c.Distinct, c.Filled)
	case c.Distinct == 1 && c.Kind != "time" && c.Column != "currency":
		x.find("advice", "constant", subject, "%s has one value in all %d rows that have any: it says nothing", subject, c.Filled)
	case attribute && t.Table == event.Customers.String() && ratio(c.Filled, t.Events) < lowCoverage:
		x.find("advice", "coverage", subject, "%s is filled for %s of the customers who have a row (%d of %d)", subject, percent(ratio(c.Filled, t.Events)), c.Filled, t.Events)
	}
	switch {
	case c.Column == "currency" && t.Table == event.Payments.String() && c.Distinct > 1:
		var parts []string
		for _, v := range c.Top {
			parts = append(parts, fmt.Sprintf("%s %s", v.Value, percent(ratio(v.Count, c.Filled))))
		}
		x.find("warning", "currencies", subject, "payments are in %d currencies (%s): features add the amounts up as they are; convert them to one", c.Distinct, strings.Join(parts, ", "))
	case slices.Contains([]string{"kind", "category", "action"}, c.Column) && (c.More || c.Distinct > 200) && c.Filled < 20*c.Distinct:
		more := ""
		if c.More {
			more = "more than "
		}
		x.find("warning", "kinds", subject, "%s has %s%d values in %d rows: texts or ids rather than kinds; map them to a few", subject, more, c.Distinct, c.Filled)
	case attribute && c.Kind == "text" && c.ofNumbers > 0 && float64(ratio(c.ofNumbers, c.Filled)) > 0.9:
		x.find("warning", "odd texts", subject, "%s is a number in %d of %d rows and a text such as %q in the others: make it one of the two, or an empty cell", subject, c.ofNumbers, c.Filled, c.odd)
	}
}

// far tells of a number far beyond the others.
func (x *doctor) far(subject string, c *ColumnReport) {
	if c.Kind == "number" && c.Filled >= minLook && c.P99 > 0 && c.Greatest > outlier*c.P99 {
		times := "some row"
		switch {
		case c.greatest == 1:
			times = "one row"
		case c.greatest > 1:
			times = fmt.Sprintf("%d rows", c.greatest)
		}
		x.find("advice", "outlier", subject, "%s is %v in %s, %.0f times what 99 of 100 do not exceed (%v): a code for missing, or another unit? Make it an empty cell, or mend it",
			subject, float64(c.Greatest), times, float64(c.Greatest/c.P99), float64(c.P99))
	}
}

// customers tells what the table of customers lacks.
func (x *doctor) customers(t *TableReport) {
	signedUp, churned := &t.Columns[0], &t.Columns[1]
	kind := x.in.Definition.Kind
	if kind == "contract" && churned.Filled == 0 {
		x.find("error", "no churned_at", "customers.churned_at", "churn is defined by contract, and no customer has a churned_at: map the column, or define churn by inactivity or payment")
	}
	if kind != "contract" && churned.Filled > 0 {
		x.find("advice", "definition", "customers.churned_at", "%d customers have a churned_at, and churn is defined by %s: by contract, leaving would be what the customers said", churned.Filled, kind)
	}
	if n := x.out.Customers - t.Events; n > 0 && t.Events > 0 {
		severity := "advice"
		if ratio(n, x.out.Customers) > strangerShare {
			severity = "warning"
		}
		x.find(severity, "no record", "customers", "%s of the customers (%d) have events and no row in the table of customers: give them one, or check that both name customers alike", percent(ratio(n, x.out.Customers)), n)
	}
	if n := signedUp.Rows - signedUp.Filled; n > 0 && signedUp.Filled > 0 {
		x.find("advice", "no sign-up", "customers.signed_up_at", "%d of %d customers have no signed_up_at: they count as new since their first event", n, signedUp.Rows)
	}
	if signedUp.Filled >= minLook && signedUp.First == signedUp.Last {
		x.find("warning", "one instant", "customers.signed_up_at", "all customers signed up at %s: a default, or the time of a load; leave the column out", signedUp.First)
	}
	if x.in.Through != event.Never && churned.Filled > 0 && churned.Last >= x.in.Through {
		x.find("warning", "future", "customers.churned_at", "churned_at goes to %s, beyond the end of the data, %s: of a notice given ahead this is right; check that it is one", churned.Last, x.in.Through)
	}
	if x.out.Customers < 500 {
		x.find("advice", "few customers", "customers", "there are %d customers: figures of so few are uncertain; see the classes for what is missing", x.out.Customers)
	}
}

// files tells what the reading of the sources refused, and what it kept.
func (x *doctor) files() {
	x.out.Files = x.in.Files
	for i := range x.in.Files {
		f := &x.in.Files[i]
		rows := f.Rows - f.Skipped
		if rows == 0 {
			x.find("warning", "empty", f.Path, "%s has no rows", f.Path)
			continue
		}
		if n := f.Rejected; n > 0 {
			severity, what := "warning", "an import keeps them in the rejects file; mend the source or the mapping"
			if share := ratio(n, rows); float64(share) > x.in.MaxBadShare {
				severity, what = "error", fmt.Sprintf("an import stops at %s (import.max_bad_share); mend the source or the mapping", percent(measure.Float(x.in.MaxBadShare)))
			}
			var why []string
			for _, p := range f.Problems() {
				if m := f.RefusedFor[p.Name]; m > 0 {
					why = append(why, fmt.Sprintf("%d %s", m, p.Name))
				}
			}
			example := ""
			if len(f.Examples) > 0 {
				example = "; first: " + f.Examples[0]
			}
			x.find(severity, "bad rows", f.Path, "%s of the rows of %s (%d of %d) cannot be read: %s; %s%s", percent(ratio(n, rows)), f.Path, n, rows, strings.Join(why, ", "), what, example)
		}
		if f.Conflict > 0 {
			x.find("warning", "conflicts", f.Path, "%d events of %s have the id of another with other content, and are not kept: give a later recorded_at to correct, or ids that are unique", f.Conflict, f.Path)
		}
		if f.Duplicate > 0 {
			x.find("advice", "duplicates", f.Path, "%d events or customers of %s were there already (%s of what came) and count once: harmless, but is the export made twice?", f.Duplicate, f.Path,
				percent(ratio(f.Duplicate, f.Duplicate+f.Stored+f.Conflict+f.Corrected+f.Cancelled)))
		}
		if f.Untimed > 0 {
			x.find("warning", "untimed status", f.Path, "%d rows of %s have a status without its time, which is not used, as it would tell the future: map status_at", f.Untimed, f.Path)
		}
		if len(f.Unknown) > 0 {
			var list []string
			for _, text := range sortedNames(f.Unknown) {
				list = append(list, fmt.Sprintf("%s in %d rows", text, f.Unknown[text]))
			}
			if len(list) > 5 {
				list = append(list[:5], fmt.Sprintf("and %d more", len(list)-5))
			}
			x.find("advice", "unknown values", f.Path, "%s has values that are none of those known: %s; map them if they are misspelt", f.Path, strings.Join(list, ", "))
		}
	}
}
