package features

import (
	"fmt"
	"strings"

	"churn/event"
)

// Listed is a feature as it was declared, for people.
type Listed struct {
	// Feature has {by} in its name where the levels are not frozen yet: there
	// will be one for each.
	Feature
	// From is the stream, customer or table; empty for an expression.
	From string
	// By and Level tell which items of the stream count; empty for all.
	By, Level string
	// Computed says in words how the value comes to be.
	Computed string
	// Text, Zero and Missing are the sentences as they were declared.
	Text, Zero, Missing string
}

// openLevel stands for the levels of a declaration that are not frozen.
const openLevel = "{by}"

// List describes every feature of a set, whether its levels are frozen or not.
func (s *Set) List() ([]Listed, error) {
	open := &Set{Version: s.Version, Columns: withLevels(s.Columns), Attributes: withLevels(s.Attributes)}
	for _, d := range s.Features {
		if d.By != "" && d.Levels == nil {
			d.Levels = []string{openLevel}
		}
		open.Features = append(open.Features, d)
	}
	e, err := open.Compile()
	if err != nil {
		return nil, err
	}
	list := make([]Listed, len(e.features))
	for i, d := range e.declarations() {
		l := &list[i]
		*l = Listed{Feature: e.features[i], From: d.from(), Computed: d.computed(),
			Text: d.said.Text, Zero: d.said.Zero, Missing: d.said.Missing}
		if d.level != "" {
			l.By, l.Level = d.By, d.level
		}
		switch {
		case d.level == openLevel:
			l.Name = d.name(d.window)
			l.Computed += fmt.Sprintf("; one feature for each of the %d most frequent in training", d.Top)
		case i < len(s.Columns) && s.Columns[i].Levels == nil, i < len(s.Attributes) && s.Attributes[i].Levels == nil:
			l.Levels = nil // not frozen
		}
	}
	return list, nil
}

// Computed says in words how the value of a column comes to be.
func (e *Engine) Computed(column int) string { return e.declarations()[column].computed() }

// declaration is where a column of a row comes from: a column or attribute, or
// a definition with one of its windows and levels.
type declaration struct {
	*Definition // nil for a column
	column      *Column
	attribute   bool
	window      event.Duration
	level       string
	said        struct{ Text, Zero, Missing string }
}

// declarations lists them for every column, in the order in which Compile makes
// columns of them.
func (e *Engine) declarations() []declaration {
	var list []declaration
	for i := range e.set.Columns {
		list = append(list, declaration{column: &e.set.Columns[i]})
	}
	for i := range e.set.Attributes {
		list = append(list, declaration{column: &e.set.Attributes[i], attribute: true})
	}
	for i := range list {
		c := list[i].column
		list[i].said.Text, list[i].said.Zero, list[i].said.Missing = c.Text, c.Zero, c.Missing
	}
	for i := range e.set.Features {
		d := declaration{Definition: &e.set.Features[i]}
		d.said.Text, d.said.Zero, d.said.Missing = d.Text, d.Zero, d.Missing
		if len(d.Windows) == 0 { // of the customer, or an expression
			list = append(list, d)
		}
		for _, d.window = range d.Windows {
			if d.By == "" {
				list = append(list, d)
			}
			for _, d.level = range d.Levels {
				list = append(list, d)
			}
		}
	}
	return list
}

func (d *declaration) from() string {
	switch {
	case d.column == nil:
		return d.From
	case d.attribute:
		return "customer"
	}
	return "table"
}

func (d *declaration) computed() string {
	switch {
	case d.column != nil:
		return d.column.computed(d.attribute) + filling(d.column.Fill)
	case d.Expr != "":
		name, _, _ := strings.Cut(strings.TrimSpace(d.Expr), "(")
		return d.Expr + " = " + functionWords[name] + filling(d.Fill)
	case d.From == "calendar":
		return aggregateWords[d.Agg]
	case len(d.Windows) == 0:
		return aggregateWords[d.Agg] + "; missing where sign-up is unknown or not before t" + filling(d.Fill)
	}
	what := orElse(itemWords[d.From], d.From)
	var terms []string
	condition, share := d.Where, aggregates[d.Agg].share
	if level := fmt.Sprintf("%s == %q", d.By, d.level); d.By != "" && share == ofLevel {
		condition = level
	} else if d.By != "" {
		terms = append(terms, level)
	}
	if d.Where != "" && share != ofCondition {
		terms = append(terms, d.Where)
	}
	if terms != nil {
		what += " where " + strings.Join(terms, " and ")
	}
	window, end, until := fmt.Sprintf("[t-%s, t)", d.window), "t", ""
	if d.Offset != 0 {
		end = "t-" + d.Offset.String()
		window = fmt.Sprintf("[t-%s, %s)", d.window+d.Offset, end)
		if countsUntil[d.Agg] {
			until = ", until " + end
		}
	}
	text := strings.NewReplacer("ITEMS", what, "FIELD", orElse(d.Field, kindField[d.From]), "CONDITION", condition, "END", end).
		Replace(aggregateWords[d.Agg])
	return fmt.Sprintf("%s in %s%s; %s where there are %s", text, window, until,
		aggregates[d.Agg].empty, orElse(fewWords[d.Agg], "none")) + filling(d.Fill)
}

// computed says what a column or attribute is.
func (c *Column) computed(attribute bool) string {
	text := "attribute " + c.Name + " of the customer"
	switch {
	case !attribute:
		return "column " + c.Name + " of the table"
	case c.History:
		text = "attribute " + c.Name + " as known at t"
	}
	if c.Type == "date" {
		text = "days from t to the " + text
	}
	return text
}

// filling says what stands for a missing value.
func filling(fill *float64) string {
	if fill == nil {
		return ""
	}
	return fmt.Sprintf("; %v in place of missing", *fill)
}

// itemWords say what the items of a stream are, where its name does not.
var itemWords = map[string]string{"engagement": "engagements", "attributes": "changes of attributes"}

// countsUntil has the aggregates that count on to the end of the window, where
// their words do not say so.
var countsUntil = map[string]bool{"recency": true, "first": true, "gap_rank": true}

// fewWords say of how many items an aggregate gives what it does for an empty
// window, where that is not of none.
var fewWords = map[string]string{
	"std":     "fewer than two",
	"change":  "fewer than two, or the one before is 0",
	"trend":   "fewer than two",
	"gap_std": "fewer than two",
}

// aggregateWords say what the aggregates compute, END being where the window
// ends.
var aggregateWords = map[string]string{
	"count":        "number of ITEMS",
	"rate":         "share with CONDITION of ITEMS",
	"sum":          "sum of FIELD over ITEMS",
	"mean":         "mean of FIELD over ITEMS",
	"std":          "sample standard deviation of FIELD over ITEMS",
	"min":          "lowest FIELD of ITEMS",
	"max":          "highest FIELD of ITEMS",
	"last":         "last known FIELD of ITEMS",
	"earliest":     "first known FIELD of ITEMS",
	"median":       "median of FIELD over ITEMS",
	"rises":        "number of times that the known FIELD rises from one to the next of ITEMS",
	"falls":        "number of times that the known FIELD falls from one to the next of ITEMS",
	"share":        "share with CONDITION of ITEMS",
	"run":          "number, in a row up to the last, with CONDITION of ITEMS",
	"change":       "last known FIELD over the known one before, minus 1, of ITEMS",
	"trend":        "least-squares slope, from one to the next, of the last 12 known FIELD of ITEMS",
	"recency":      "days since the last of ITEMS",
	"first":        "days since the first of ITEMS",
	"days":         "24-hour days back from END with any of ITEMS",
	"weeks":        "weeks of 7 days back from END with any of ITEMS",
	"kinds":        "different values of FIELD of ITEMS",
	"top_share":    "share of the most frequent FIELD among ITEMS with one",
	"slope":        "least-squares slope of the number on each 24-hour day back from END, empty ones included, of ITEMS",
	"gap_mean":     "mean days between neighbouring ITEMS whose later one is",
	"gap_std":      "sample standard deviation of the days between neighbouring ITEMS whose later one is",
	"gap_last":     "days between the last two of ITEMS, of which the later one is",
	"gap_rank":     "share no longer than the time since the last, of the times between neighbouring ITEMS whose later one is",
	"active_weeks": "weeks in a row back from END with any of ITEMS",
	"gap_max":      "longest time in days between neighbouring ITEMS whose later one is",
	"empty_weeks":  "whole weeks in a row back from END without any of ITEMS",
	"down_weeks":   "weeks in a row back from END, each with fewer than the week before, of ITEMS",
	"repeats":      "number, with an earlier one of the same FIELD in the 90 days before, of ITEMS",
	"tenure":       "days from sign-up to t",
	"anniversary":  "days of the calendar from t to the next anniversary of sign-up, 0 on the day itself, in UTC",
	"cohort":       "month of sign-up, counted from January 1970, which is 0, in UTC",
	"signup_month": "month of the year of sign-up, 1 to 12, in UTC",
	"month":        "month of the year of t, 1 to 12, in UTC",
	"day_of_month": "day of the month of t, in UTC",
	"day_of_week":  "day of the week of t, 1 for Monday, in UTC",
	"season_sin":   "sine of the part of a turn that t is of a year of 365.2425 days, the first of which began with 1970",
	"season_cos":   "cosine of the part of a turn that t is of a year of 365.2425 days, the first of which began with 1970",
}

// functionWords say what the functions of expressions compute of arguments a
// and b, whose windows in days are u and v.
var functionWords = map[string]string{
	"ratio":          "a / b; missing where b is 0",
	"rate_ratio":     "(a/u + 1/v) / ((b-a)/(v-u) + 1/v), windows u and v in days",
	"relative_slope": "a*u / (b/v + 1/v), windows u and v in days",
	"diff":           "a - b",
	"times":          "a * b",
	"per":            "a / (b + 1)",
	"growth":         "(a + 1) / (b + 1)",
	"per_day":        "a / u, window u in days",
	"log1p":          "log(1 + a); missing where a is negative",
	"least":          "the smaller of those known",
	"coalesce":       "a, or b where a is missing",
}
