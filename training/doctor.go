package training

import (
	"context"
	"fmt"
	"slices"

	"churn/event"
	"churn/features"
)

// Checkup says what Doctor looks at.
type Checkup struct {
	Plan // as for training
	// Files are the reports of reading the sources; nil of a database, which no
	// longer knows what was refused.
	Files []event.FileReport
	// MaxBadShare is what an import takes of rows that cannot be read.
	MaxBadShare float64
	// Declared are the tables that the project has sources for.
	Declared []event.Stream
}

// Diagnosis says whether data is fit to train on, and what is missing.
type Diagnosis struct {
	// Fit is false where a finding is an error.
	Fit        bool       `json:"fit"`
	Definition string     `json:"definition"`
	First      event.Time `json:"first,omitzero"`
	Through    event.Time `json:"through,omitzero"`
	Customers  int        `json:"customers"`

	Files     []event.FileReport `json:"files,omitempty"`
	Tables    []TableReport      `json:"tables"`
	Snapshots []SnapshotReport   `json:"snapshots,omitempty"`
	Parts     []PartReport       `json:"parts,omitempty"`
	Silences  []SilenceReport    `json:"silences,omitempty"`
	Horizons  []ChurnerCount     `json:"horizons,omitempty"`
	Steps     []ChurnerCount     `json:"steps,omitempty"`
	Proposal  *Proposal          `json:"proposal,omitempty"`
	Findings  []Finding          `json:"findings"`
}

// doctor is a Doctor at work.
type doctor struct {
	in       Checkup
	out      Diagnosis
	proposal Proposal
	first    event.Time // event before the end of the data
	streams  []*streamLook
	columns  columnLooks
	silences *Silences
	main     *tally
	horizons []*tally
	steps    []*tally
	activity []event.Time
	sample   sampleRows
	// others looks at the attributes that are no features yet.
	others *historyCheck
}

// Doctor looks whether histories are fit to train on: what is in each table and
// column, how many churners the definition finds and where, and what Lint finds
// for the features. It reads the histories twice, in memory that does not grow
// with them.
func Doctor(ctx context.Context, src Source, c Checkup) (*Diagnosis, error) {
	if err := c.Plan.defaults(); err != nil {
		return nil, err
	}
	if c.Definition.Kind == "label" {
		return nil, fmt.Errorf("a definition of kind label is for a wide table: examine histories by contract, inactivity or payment")
	}
	if c.Features == nil || c.Through == event.Never {
		return nil, fmt.Errorf("histories need a feature set and the end of the data")
	}
	x := &doctor{in: c, first: event.Never, columns: newColumnLooks(),
		silences: NewSilences(c.Through, int(c.Definition.Horizon/event.Day))}
	for _, s := range event.Streams()[event.Engagements:] {
		x.streams = append(x.streams, newStreamLook(s, c.Through))
	}
	found, err := lint(ctx, &watched{Source: src, doctor: x}, c.Plan, x.rows)
	if err != nil {
		return nil, err
	}
	x.lint(found)
	x.out.Findings = append(x.out.Findings, singleFeature(x.sample.data(), &c.Definition, c.Workers)...)
	for _, f := range x.others.findings() {
		if f.Check == "attribute" { // the rest was found with the features
			x.find("warning", f.Check, f.Subject, "%s; it is no feature yet", f.Text)
		}
	}
	x.out.Definition, x.out.First, x.out.Through = c.Definition.String(), x.first, c.Through
	if x.first == event.Never {
		x.out.First = 0
	}
	x.tables()
	x.files()
	x.silence()
	x.class()
	return x.done(), nil
}

// done orders the findings and passes the verdict.
func (x *doctor) done() *Diagnosis {
	d := x.out
	if len(x.proposal.Why) > 0 {
		d.Proposal = &x.proposal
	}
	d.Findings = append([]Finding{}, d.Findings...)
	bySeverity(d.Findings)
	d.Fit = len(d.Findings) == 0 || d.Findings[0].Severity != "error"
	return &d
}

// lint takes what Lint found. A set for all kinds of data, as the default is,
// has many features that say nothing of some: they are told in one line.
func (x *doctor) lint(found []Finding) {
	idle := map[string]int{}
	for _, f := range found {
		switch f.Check {
		case "constant", "always missing", "equal":
			idle[f.Check]++
		case "no events": // told of the tables that are declared
		default:
			x.out.Findings = append(x.out.Findings, f)
		}
	}
	if len(idle) > 0 {
		x.find("advice", "idle features", "features", "of the features %d are constant, %d always missing and %d equal to another: they do no harm; churn features check names them",
			idle["constant"], idle["always missing"], idle["equal"])
	}
}

// find notes a finding.
func (x *doctor) find(severity, check, subject, format string, args ...any) {
	x.out.Findings = append(x.out.Findings, Finding{severity, check, subject, fmt.Sprintf(format, args...)})
}

// watched is a source that shows the doctor what is read of it.
type watched struct {
	Source
	doctor *doctor
	reads  int
}

func (w *watched) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	look := w.doctor.look
	if w.reads++; w.reads == 2 {
		w.doctor.tallies()
		w.doctor.notYet()
		look = w.doctor.judge
	}
	return w.Source.Timelines(ctx, func(tl *event.Timeline) error {
		look(tl)
		return fn(tl)
	})
}

// look sees each history the first time it is read.
func (x *doctor) look(tl *event.Timeline) {
	x.out.Customers++
	for _, s := range x.streams {
		s.add(tl)
		if s.firstLast.filled > 0 && s.stream != event.Attributes {
			x.first = min(x.first, s.firstLast.first)
		}
	}
	x.columns.add(tl)
	x.activity = activityOf(&x.in.Definition, tl, x.activity)
	x.silences.Add(x.activity)
}

// notYet prepares to look at the attributes of customers that are no features.
func (x *doctor) notYet() {
	set := &features.Set{}
	for _, name := range sortedNames(x.columns.attributes) {
		if !slices.ContainsFunc(x.in.Features.Attributes, func(c features.Column) bool { return c.Name == name }) {
			set.Attributes = append(set.Attributes, features.Column{Name: name})
		}
	}
	x.others = newHistoryCheck(set, x.in.Through)
}

// judge sees each history the second time.
func (x *doctor) judge(tl *event.Timeline) {
	x.others.add(tl)
	out := heldOut(tl.Customer.ID, x.in.Seed, x.in.HeldOut)
	x.eachTally(func(t *tally) { t.add(tl, x.in.Through, out) })
}

// rows keeps rows of the training part to look for leaks in.
func (x *doctor) rows(d *Data) {
	if x.main.err != nil {
		return
	}
	train := map[event.Time]bool{}
	for i, at := range x.main.times {
		train[at] = x.main.part[i] == 0
	}
	x.sample.add(d, x.in.Seed, func(o *Observation) bool { return !o.HeldOut && train[o.At] })
}

// sampleRows keeps the rows of some customers, chosen by their hash.
type sampleRows struct {
	kept  *Data
	below uint64
}

// maxSampleRows bounds the sample.
const maxSampleRows = 50_000

// sampleSeed keeps the sample apart from the customers that are held out.
const sampleSeed = 0x5a3c_17e9_d02b_4f61

func (s *sampleRows) add(d *Data, seed uint64, keep func(*Observation) bool) {
	if s.kept == nil {
		s.kept, s.below = &Data{}, 1<<63
		s.kept.Matrix.Features = d.Matrix.Features
	}
	in := func(o *Observation) bool { return spread(o.Customer, seed^sampleSeed)>>1 < s.below }
	more := d.Rows(func(o *Observation) bool { return keep(o) && in(o) })
	s.kept.Observations = append(s.kept.Observations, more.Observations...)
	s.kept.Matrix.Data = append(s.kept.Matrix.Data, more.Matrix.Data...)
	for len(s.kept.Observations) > maxSampleRows && s.below > 1 {
		s.below /= 2
		s.kept = s.kept.Rows(in)
	}
}

func (s *sampleRows) data() *Data {
	if s.kept == nil {
		return &Data{}
	}
	return s.kept
}

// tables reports the tables that are there, and what is wrong with them.
func (x *doctor) tables() {
	customers := x.columns.customers(x.out.Customers)
	x.out.Tables = append(x.out.Tables, customers)
	for _, s := range x.streams {
		r := s.report(x.out.Customers)
		if r.Events > 0 {
			r.Columns, r.Repeats = x.columns.of(s.stream), x.columns.repeats[s.stream]
		}
		if r.Events+r.Versions > 0 || slices.Contains(x.in.Declared, s.stream) {
			x.out.Tables = append(x.out.Tables, r)
		}
	}
	for i := range x.out.Tables {
		t := &x.out.Tables[i]
		if t.Table != event.Customers.String() {
			x.times(t)
		}
		for j := range t.Columns {
			x.column(t, &t.Columns[j])
		}
	}
	x.customers(&x.out.Tables[0])
}
