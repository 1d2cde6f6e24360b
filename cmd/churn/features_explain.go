package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"churn/event"
	"churn/features"
)

// explanation is what explain writes with --json.
type explanation struct {
	Customer  string          `json:"customer_id"`
	AsOf      event.Time      `json:"as_of"`
	Feature   string          `json:"feature"`
	Value     *float32        `json:"value"` // null is missing; of a category its code
	Unit      string          `json:"unit,omitempty"`
	Sentence  string          `json:"sentence"`
	Computed  string          `json:"computed"`
	Attribute string          `json:"attribute,omitempty"`
	Arguments []argument      `json:"arguments,omitempty"`
	Items     []explainedItem `json:"events"`
	Without   *float32        `json:"without_last"`
}

type argument struct {
	Feature  string   `json:"feature"`
	Value    *float32 `json:"value"`
	Computed string   `json:"computed"`
}

type explainedItem struct {
	Stream   string            `json:"stream"`
	Occurred event.Time        `json:"occurred_at"`
	Recorded event.Time        `json:"recorded_at"`
	What     string            `json:"what"`
	Value    *float64          `json:"value,omitempty"`
	Why      map[string]string `json:"counts_in"`
}

// known is nil for a missing value.
func known(v float32) *float32 {
	if v != v {
		return nil
	}
	return &v
}

func explanationJSON(x *features.Explanation, customer string, at event.Time) *explanation {
	out := &explanation{Customer: customer, AsOf: at, Feature: x.Name, Value: known(x.Value), Unit: x.Unit, Sentence: x.Sentence,
		Computed: x.Computed, Attribute: x.Attribute, Items: []explainedItem{}, Without: known(x.Without)}
	for _, a := range x.Arguments {
		out.Arguments = append(out.Arguments, argument{a.Name, known(a.Value), a.Computed})
	}
	for _, it := range x.Items {
		why := map[string]string{}
		for _, r := range it.Why {
			why[r.Feature] = r.Text
		}
		out.Items = append(out.Items, explainedItem{it.Stream, it.Occurred, it.Recorded, it.What, it.Value, why})
	}
	return out
}

// shownItems is how many events are printed; --json has all.
const shownItems = 30

func printExplanation(w io.Writer, x *features.Explanation, customer string, at event.Time) error {
	value := func(v float32) string {
		if v != v {
			return "missing"
		}
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	}
	said := value(x.Value)
	if x.Kind == features.Category {
		said += " (" + x.Format(x.Value) + ")"
	}
	rows := [][]string{{"feature", x.Name}, {"customer", customer}, {"as of", at.String()},
		{"value", strings.TrimSpace(said + " " + x.Unit)}, {"sentence", x.Sentence}, {"computed", x.Computed}}
	for _, a := range x.Arguments {
		rows = append(rows, []string{"", fmt.Sprintf("%s is %s: %s", a.Name, value(a.Value), a.Computed)})
	}
	if x.Attribute != "" {
		rows = append(rows, []string{"text", fmt.Sprintf("%q", x.Attribute)})
	}
	if len(x.Items) > 0 {
		rows = append(rows, []string{"without", value(x.Without) + ", had the last event below not been"})
	}
	if err := table(w, rows); err != nil || len(x.Items) == 0 {
		return err
	}
	rows = [][]string{{"occurred", "recorded", "event", "value", "counts"}}
	items := x.Items[max(0, len(x.Items)-shownItems):]
	for _, it := range items {
		v := ""
		if it.Value != nil {
			v = strconv.FormatFloat(*it.Value, 'g', 6, 64)
		}
		var why []string
		for _, r := range it.Why {
			if len(x.Arguments) > 0 {
				r.Text = r.Feature + ": " + r.Text
			}
			why = append(why, r.Text)
		}
		rows = append(rows, []string{it.Occurred.String(), it.Recorded.String(), it.Stream + ": " + it.What, v, strings.Join(why, "; ")})
	}
	fmt.Fprintf(w, "\n%d events", len(x.Items))
	if n := len(x.Items) - len(items); n > 0 {
		fmt.Fprintf(w, ", the last %d (--json has all)", len(items))
	}
	fmt.Fprintln(w, ":")
	return table(w, rows)
}
