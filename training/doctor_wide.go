package training

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// DoctorTable looks whether a wide table with labels is fit to train on: its
// columns, its classes, and what predicts suspiciously well.
func DoctorTable(t *Table, c Checkup) (*Diagnosis, error) {
	_, pt, r, err := c.Plan.table(t)
	if err != nil {
		return nil, err
	}
	x := &doctor{in: c}
	x.out.Customers, x.out.Definition = len(t.Rows), c.Definition.String()
	x.out.Findings = append(x.out.Findings, r.Findings...)
	report := TableReport{Table: "table", Events: len(t.Rows), Customers: len(t.Rows), CustomerShare: 1, PerMonth: nan, LagMedian: nan, LagLongest: nan}
	same := map[[32]byte]bool{}
	for _, row := range t.Rows {
		key := sha256.Sum256([]byte(strings.Join(row, "\x00")))
		if same[key] {
			report.Repeats++
		}
		same[key] = true
	}
	if s := ratio(report.Repeats, len(t.Rows)); s > repeatShare {
		x.find("warning", "repeats", "table", "%s of the rows (%d) equal another in all columns: are customers in the table twice? The same customer in training and test makes a model look better than it is", percent(s), report.Repeats)
	}
	equal := map[string]string{} // by the hash of all cells
	for k, name := range t.Columns {
		look := newTexts()
		all := sha256.New()
		for _, row := range t.Rows {
			all.Write(append([]byte(row[k]), 0))
			if s := row[k]; !missingText(s) {
				look.add(s)
			}
		}
		col := look.report(name, len(t.Rows))
		report.Columns = append(report.Columns, col)
		x.wideColumn(&col)
		sum := string(all.Sum(nil))
		if first := equal[sum]; first != "" && col.Distinct > 1 {
			x.find("advice", "equal", name, "column %q equals %q in all rows: drop one", name, first)
		} else {
			equal[sum] = name
		}
	}
	x.out.Tables = []TableReport{report}
	for _, p := range []struct {
		name string
		data *Data
	}{{"training", pt.train}, {"test", pt.test}} {
		n := p.data.Positives()
		x.out.Parts = append(x.out.Parts, PartReport{Name: p.name, Rows: len(p.data.Observations), Churners: n, ChurnedCustomers: n})
	}
	x.needs(0)
	c.Plan.Progress("looking for leaks", 0, 0)
	x.out.Findings = append(x.out.Findings, singleFeature(pt.train, &c.Definition, c.Workers)...)
	return x.done(), nil
}

// wideColumn tells what is wrong with a column of a wide table. Those left out
// anyway, as InferColumns finds, are told of already.
func (x *doctor) wideColumn(c *ColumnReport) {
	if !c.looksLikeID() {
		x.far(c.Column, c)
	}
	told := slices.ContainsFunc(x.out.Findings, func(f Finding) bool { return f.Subject == c.Column })
	switch {
	case c.Rows < minLook || told:
	case c.looksLikeID():
		x.find("warning", "id", c.Column, "column %q has another whole number in each of %d rows: an id, from which trees learn noise; name it with --id, or drop it", c.Column, c.Filled)
	case c.Share() < lowCoverage:
		x.find("advice", "coverage", c.Column, "column %q is filled in %s of the rows (%d of %d): is it known for all customers at the time of scoring?", c.Column, percent(c.Share()), c.Filled, c.Rows)
	case c.Kind == "text" && float64(ratio(c.ofNumbers, c.Filled)) > 0.9:
		x.find("warning", "odd texts", c.Column, "column %q is a number in %d of %d rows and a text such as %q in the others, so it is taken for a category: make these cells empty", c.Column, c.ofNumbers, c.Filled, c.odd)
	case c.Kind == "text" && c.Distinct > maxWideLevels:
		x.find("advice", "many levels", c.Column, "column %q has %d values in %d rows: group them", c.Column, c.Distinct, c.Filled)
	}
}

// maxWideLevels is how many levels of a column can be told apart: see features.
const maxWideLevels = 254
