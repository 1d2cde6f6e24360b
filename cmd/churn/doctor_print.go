package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"churn/event"
	"churn/training"
	"churn/training/measure"
)

// printDiagnosis writes a diagnosis for people: the findings last, as they are
// what is left on the screen.
func printDiagnosis(w io.Writer, d *training.Diagnosis) error {
	pr := &printer{w: w}
	pr.line("customers  %d", d.Customers)
	if d.Through != 0 {
		pr.line("data       %s to %s (%.0f days)", dayText(d.First), dayText(d.Through), math.Floor(d.Through.Sub(d.First).Days()))
	}
	pr.line("churn      %s", d.Definition)
	pr.files(d.Files)
	pr.tables(d.Tables, d.Customers)
	pr.columns(d.Tables)
	pr.classes(d)
	pr.proposals(d)
	pr.findings(d.Findings)
	if d.Fit {
		pr.line("fit to train on")
	} else {
		pr.line("not fit to train on")
	}
	return pr.err
}

// printer writes tables with headings and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) table(title string, rows [][]string) {
	if len(rows) < 2 {
		return
	}
	p.line("\n%s", title)
	if p.err == nil {
		p.err = table(p.w, rows)
	}
}

// count writes a number of things, and nothing for none.
func count(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// shareText writes n of a number as a share.
func shareText(n, of int) string {
	switch {
	case of == 0:
		return "-"
	case n == 0:
		return "0 %"
	}
	p := 100 * float64(n) / float64(of)
	if p < 0.1 || p < 100 && p > 99.9 {
		return fmt.Sprintf("%.2f %%", p)
	}
	return fmt.Sprintf("%.3g %%", p)
}

// number writes what may not have been measured.
func number(f measure.Float, unit string) string {
	v := float64(f)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	return strconv.FormatFloat(v, 'g', 6, 64) + unit
}

func dayText(t event.Time) string { return t.String()[:len("2006-01-02")] }

func (p *printer) files(files []event.FileReport) {
	rows := [][]string{{"file", "rows", "refused", "duplicate", "conflict", "corrected", "cancelled", "unknown customer", "why refused"}}
	for i := range files {
		f := &files[i]
		var why []string
		for _, pr := range f.Problems() {
			if n := f.RefusedFor[pr.Name]; n > 0 {
				why = append(why, fmt.Sprintf("%d %s", n, pr.Name))
			}
		}
		rows = append(rows, []string{f.Path, count(f.Rows), count(f.Rejected), count(f.Duplicate), count(f.Conflict),
			count(f.Corrected), count(f.Cancelled), count(f.UnknownCustomer), strings.Join(why, ", ")})
	}
	p.table("Sources", rows)
}

func (p *printer) tables(tables []training.TableReport, all int) {
	rows := [][]string{{"table", "events", "customers", "share", "first", "last", "longest gap", "a month", "late", "lag", "out of order",
		"midnight", "repeats", "replaced", "before sign-up", "after churn"}}
	for i := range tables {
		t := &tables[i]
		if t.Table == "table" {
			return // of a wide table there are columns only
		}
		first, last, gap := "-", "-", "-"
		if t.ActiveDays > 0 {
			first, last = dayText(t.First), dayText(t.Last)
		}
		if t.GapDays > 0 {
			gap = fmt.Sprintf("%dd from %s", t.GapDays, dayText(t.GapFrom))
		}
		rows = append(rows, []string{t.Table, count(t.Events), count(t.Customers), shareText(t.Customers, all), first, last, gap,
			number(t.PerMonth, ""), shareText(t.Late, t.Timed), number(t.LagMedian, "d"), shareText(t.OutOfOrder, t.Timed),
			shareText(t.Midnight, t.Events-t.Ahead), count(t.Repeats), count(t.Versions), shareText(t.BeforeSignUp, t.OfSignedUp), shareText(t.AfterChurn, t.OfChurned)})
	}
	p.table("Tables", rows)
}

func (p *printer) columns(tables []training.TableReport) {
	rows := [][]string{{"column", "kind", "filled", "distinct", "least", "median", "greatest", "most frequent"}}
	for i := range tables {
		for j := range tables[i].Columns {
			c := &tables[i].Columns[j]
			if c.Filled == 0 {
				rows = append(rows, []string{tables[i].Table + "." + c.Column, "-", "0 %"})
				continue
			}
			distinct, median := count(c.Distinct), number(c.Median, "")
			if c.More {
				distinct = "more than " + distinct
			}
			if c.About {
				median = "about " + median
			}
			least, greatest := number(c.Least, ""), number(c.Greatest, "")
			if c.Kind == "time" {
				least, greatest = dayText(c.First), dayText(c.Last)
			}
			var top []string
			for _, v := range c.Top[:min(3, len(c.Top))] {
				text := v.Value
				if r := []rune(text); len(r) > 24 {
					text = string(r[:23]) + "…"
				}
				top = append(top, fmt.Sprintf("%s %s", text, shareText(v.Count, c.Filled)))
			}
			rows = append(rows, []string{tables[i].Table + "." + c.Column, c.Kind, shareText(c.Filled, c.Rows), distinct, least, median, greatest, strings.Join(top, ", ")})
		}
	}
	p.table("Columns", rows)
}

func (p *printer) classes(d *training.Diagnosis) {
	rows := [][]string{{"snapshot", "part", "churned", "stayed", "in the gap", "censored", "not active", "too new", "no customer"}}
	for _, s := range d.Snapshots {
		n := func(v training.Verdict) string { return strconv.Itoa(s.Verdicts[v.String()]) }
		rows = append(rows, []string{dayText(s.At), s.Part, n(training.Churned), n(training.Stayed), n(training.InGap), n(training.Censored),
			strconv.Itoa(s.NotActive), strconv.Itoa(s.TooNew), strconv.Itoa(s.Verdicts[training.NotEligible.String()] - s.NotActive - s.TooNew)})
	}
	p.table("Classes by snapshot", rows)
	rows = [][]string{{"part", "rows", "churners", "customers", "for", "needs", "missing", "about"}}
	for i := range d.Parts {
		part := &d.Parts[i]
		first := []string{part.Name, strconv.Itoa(part.Rows), strconv.Itoa(part.Churners), strconv.Itoa(part.ChurnedCustomers)}
		for _, n := range part.Needs {
			about := ""
			if n.Missing > 0 {
				about = n.More()
			}
			rows = append(rows, append(first, n.For, strconv.Itoa(n.Churners), count(n.Missing), about))
			first = []string{"", "", "", ""}
		}
	}
	p.table("Churners there are and needed", rows)
}

func (p *printer) proposals(d *training.Diagnosis) {
	rows := [][]string{{"silent for", "customers", "came back", "share"}}
	for _, s := range d.Silences {
		share := "insufficient data"
		if !math.IsNaN(float64(s.Share)) {
			share = shareText(s.Returned, s.Silent)
		}
		rows = append(rows, []string{fmt.Sprintf("%dd", s.Days), strconv.Itoa(s.Silent), strconv.Itoa(s.Returned), share})
	}
	p.table("Who came back", rows)
	counts := func(title string, list []training.ChurnerCount) {
		rows := [][]string{{"horizon", "every", "snapshots", "training rows", "churners", "customers", ""}}
		for _, c := range list {
			note := ""
			if c.Configured {
				note = "as configured"
			}
			if c.Error != "" {
				rows = append(rows, []string{fmt.Sprintf("%gd", c.HorizonDays), fmt.Sprintf("%gd", c.EveryDays), strconv.Itoa(c.Snapshots), "-", "-", "-", strings.TrimSpace("too few snapshots for it " + note)})
				continue
			}
			rows = append(rows, []string{fmt.Sprintf("%gd", c.HorizonDays), fmt.Sprintf("%gd", c.EveryDays), strconv.Itoa(c.Snapshots),
				strconv.Itoa(c.Rows), strconv.Itoa(c.Churners), strconv.Itoa(c.ChurnedCustomers), note})
		}
		p.table(title, rows)
	}
	counts("Other horizons", d.Horizons)
	if len(d.Steps) > 1 {
		counts("Other steps", d.Steps)
	}
	if d.Proposal != nil {
		p.line("\nProposal")
		for _, why := range d.Proposal.Why {
			p.line("- %s", why)
		}
	}
}

func (p *printer) findings(list []training.Finding) {
	n := map[string]int{}
	p.line("\nFindings")
	for _, f := range list {
		n[f.Severity]++
		p.line("%-8s %s: %s", f.Severity, f.Check, f.Text)
	}
	p.line("%s, %s, %d advice", plural(n["error"], "error", "errors"), plural(n["warning"], "warning", "warnings"), n["advice"])
}
