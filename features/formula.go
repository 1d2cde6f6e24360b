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
		return aggregateWords[d.Agg] + "; missing where the day is unknown" + filling(d.Fill)
	}
	what := d.From
	if what == "engagement" {
		what = "engagements"
	}
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
	text := strings.NewReplacer("ITEMS", what, "FIELD", orElse(d.Field, kindField[d.From]), "CONDITION", condition).Replace(aggregateWords[d.Agg])
	window := fmt.Sprintf("[t-%s, t)", d.window)
	if d.Offset != 0 {
		window = fmt.Sprintf("[t-%s, t-%s)", d.window+d.Offset, d.Offset)
	}
	return fmt.Sprintf("%s in %s; %s where there are none", text, window, aggregates[d.Agg].empty) + filling(d.Fill)
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

// aggregateWords say what the aggregates compute.
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
	"rises":        "number of times that FIELD is higher than the one before, of ITEMS",
	"falls":        "number of times that FIELD is lower than the one before, of ITEMS",
	"share":        "share with CONDITION of ITEMS",
	"run":          "latest in a row with CONDITION of ITEMS",
	"change":       "last known FIELD over the one before, minus 1, of ITEMS",
	"trend":        "least-squares slope, from one to the next, of the last 12 known FIELD of ITEMS",
	"recency":      "days since the last of ITEMS",
	"first":        "days since the first of ITEMS",
	"days":         "24-hour days back from t with any of ITEMS",
	"weeks":        "weeks of 7 days back from t with any of ITEMS",
	"kinds":        "different values of FIELD of ITEMS",
	"top_share":    "share of the most frequent FIELD among ITEMS with one",
	"slope":        "least-squares slope of the number a day of ITEMS",
	"gap_mean":     "mean days between neighbouring ITEMS whose later one is",
	"gap_std":      "sample standard deviation of the days between neighbouring ITEMS whose later one is",
	"gap_last":     "days between the last two of ITEMS, of which the later one is",
	"gap_rank":     "share no longer than the time since the last, of the times between neighbouring ITEMS whose later one is",
	"active_weeks": "weeks in a row back from t with any of ITEMS",
	"gap_max":      "longest time in days between neighbouring ITEMS whose later one is",
	"empty_weeks":  "whole weeks back from t without any of ITEMS",
	"down_weeks":   "weeks in a row back from t, each with fewer than the week before, of ITEMS",
	"repeats":      "number, with one of their kind in the 90 days before, of ITEMS",
	"tenure":       "days from sign-up to t",
	"anniversary":  "days from t to the next anniversary of sign-up",
	"cohort":       "month of sign-up, counted from January 1970",
	"signup_month": "month of the year of sign-up, 1 to 12",
	"month":        "month of the year of t, 1 to 12, in UTC",
	"day_of_month": "day of the month of t, in UTC",
	"day_of_week":  "day of the week of t, 1 for Monday, in UTC",
	"season_sin":   "sine of the time of the year of t as an angle",
	"season_cos":   "cosine of the time of the year of t as an angle",
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
