package event

import (
	"fmt"
	"slices"
	"strings"
)

// Mapping says how a foreign file becomes one of the six tables. The zero
// Mapping reads a file that already has the default column names.
type Mapping struct {
	// Columns names the foreign column for each column of the table. Several
	// names, separated by " * ", are multiplied: amount: "Quantity * UnitPrice".
	Columns map[string]string `yaml:"columns"`
	// Constants gives a column the same text in every row: kind: purchase.
	Constants map[string]string `yaml:"constants"`
	// Values translates texts: severity: {low: "1", high: "3"}. A text that is
	// not listed is kept.
	Values map[string]map[string]string `yaml:"values"`
	// Skip names rows that are not meant for this table, by the texts of a
	// foreign column; a trailing * stands for any rest and "" for an empty cell:
	// {InvoiceNo: ["C*"]}. Skipped rows are counted, not refused.
	Skip map[string][]string `yaml:"skip"`
	// Only skips the rows whose text is none of those listed, in the same
	// manner: {status: [churned]}. Several columns must all agree.
	Only map[string][]string `yaml:"only"`
	// Known lists the texts that a column is expected to have, after Values:
	// {kind: [visit, order]}. Other texts are kept and counted. The currencies
	// of ISO 4217 are known unless it says otherwise.
	Known map[string][]string `yaml:"known"`
	// Attributes lists the foreign columns of a customers or attributes file to
	// keep as attributes; empty keeps every column that no other rule uses.
	Attributes []string `yaml:"attributes"`
	// Drop lists foreign columns not to use, though they would be attributes or
	// happen to have the name of a table column.
	Drop []string `yaml:"drop"`
	// Format is csv, ndjson or parquet; empty goes by the file name.
	Format string `yaml:"format"`
	// Delimiter of a CSV file, one character; empty is a comma.
	Delimiter string `yaml:"delimiter"`
	// TimeFormat is a Go layout, several separated by " | ", or unix, unix_ms,
	// unix_us; empty tries RFC 3339 and ISO dates.
	TimeFormat string `yaml:"time_format"`
	// TimeZone for times without a zone, as an IANA name; empty is UTC.
	TimeZone string `yaml:"time_zone"`
	// Lag stands in for recorded_at where the source has none: an event became
	// known this long after it happened.
	Lag Duration `yaml:"lag"`
}

// column describes one column of an input table.
type column struct {
	name     columnName
	required bool
}

// columnName is that of a column in any of the tables.
type columnName uint8

const (
	colCustomerID columnName = iota
	colSignedUpAt
	colChurnedAt
	colChurnReason
	colConsent
	colOccurredAt
	colKind
	colValue
	colRecordedAt
	colEventID
	colOpenedAt
	colCategory
	colSeverity
	colChannel
	colResolvedAt
	colResolvedAfterHours
	colSatisfaction
	colResolvedRecordedAt
	colDueAt
	colAmount
	colCurrency
	colStatus
	colPaidAt
	colStatusAt
	colPaidRecordedAt
	colAction
	colCost
	colArm
	colOutcome
	colValidFrom
	columnCount // how many there are
)

var columnNames = [columnCount]string{"customer_id", "signed_up_at", "churned_at", "churn_reason", "consent", "occurred_at", "kind",
	"value", "recorded_at", "event_id", "opened_at", "category", "severity", "channel", "resolved_at", "resolved_after_hours",
	"satisfaction", "resolved_recorded_at", "due_at", "amount", "currency", "status", "paid_at", "status_at", "paid_recorded_at",
	"action", "cost", "arm", "outcome", "valid_from"}

func (n columnName) String() string { return columnNames[n] }

// tableColumns is the input contract (docs/data.md). resolved_after_hours is
// an alternative to resolved_at for sources that give a length only.
var tableColumns = map[Stream][]column{
	Customers: {{colCustomerID, true}, {colSignedUpAt, false}, {colChurnedAt, false},
		{colChurnReason, false}, {colConsent, false}},
	Engagements: {{colCustomerID, true}, {colOccurredAt, true}, {colKind, true}, {colValue, false},
		{colRecordedAt, false}, {colEventID, false}},
	Complaints: {{colCustomerID, true}, {colOpenedAt, true}, {colCategory, false}, {colSeverity, false},
		{colChannel, false}, {colResolvedAt, false}, {colResolvedAfterHours, false}, {colSatisfaction, false},
		{colRecordedAt, false}, {colResolvedRecordedAt, false}, {colEventID, false}},
	Payments: {{colCustomerID, true}, {colDueAt, false}, {colAmount, true}, {colCurrency, false},
		{colStatus, false}, {colPaidAt, false}, {colStatusAt, false}, {colRecordedAt, false},
		{colPaidRecordedAt, false}, {colEventID, false}},
	Contacts: {{colCustomerID, true}, {colOccurredAt, true}, {colAction, false}, {colChannel, false},
		{colCost, false}, {colArm, false}, {colOutcome, false}, {colRecordedAt, false}, {colEventID, false}},
	Attributes: {{colCustomerID, true}, {colValidFrom, true}, {colRecordedAt, false}, {colEventID, false}},
}

// wordColumns are those of which there may be known texts.
var wordColumns = []string{"kind", "category", "currency", "channel", "action", "arm", "outcome", "churn_reason"}

// Columns lists the column names of a table in the order of the contract.
func Columns(s Stream) []string {
	var names []string
	for _, c := range tableColumns[s] {
		names = append(names, c.name.String())
	}
	return names
}

// Validate checks the mapping against the table it is for.
func (m *Mapping) Validate(s Stream) error {
	known := Columns(s)
	check := func(section string, keys ...string) error {
		for _, k := range keys {
			if !slices.Contains(known, k) {
				return fmt.Errorf("%s.%s: the %s table has no column %q; it has %s", section, k, s, k, strings.Join(known, ", "))
			}
		}
		return nil
	}
	if err := check("columns", sortedKeys(m.Columns)...); err != nil {
		return err
	}
	if err := check("constants", sortedKeys(m.Constants)...); err != nil {
		return err
	}
	if err := check("values", sortedKeys(m.Values)...); err != nil {
		return err
	}
	if err := check("known", sortedKeys(m.Known)...); err != nil {
		return err
	}
	for _, k := range sortedKeys(m.Known) {
		if !slices.Contains(wordColumns, k) {
			return fmt.Errorf("known.%s: give known texts for %s only", k, strings.Join(wordColumns, ", "))
		}
	}
	for _, k := range sortedKeys(m.Constants) {
		if m.Constants[k] == "" {
			return fmt.Errorf("constants.%s is empty: leave it out, or name a column for it under columns", k)
		}
		if _, both := m.Columns[k]; both {
			return fmt.Errorf("%s is both mapped to a column and given as a constant: keep one", k)
		}
		if _, both := m.Values[k]; both {
			return fmt.Errorf("%s is given as a constant, so that values.%s translates nothing: keep one", k, k)
		}
	}
	if s != Customers && s != Attributes && len(m.Attributes) > 0 {
		return fmt.Errorf("attributes are for the customers and the attributes table only")
	}
	if len([]rune(m.Delimiter)) > 1 {
		return fmt.Errorf("delimiter %q: give one character", m.Delimiter)
	}
	switch m.Format {
	case "", "csv", "ndjson", "parquet":
	default:
		return fmt.Errorf("format %q: use csv, ndjson or parquet", m.Format)
	}
	if m.Lag < 0 {
		return fmt.Errorf("lag %s: nothing can be known before it happened", m.Lag)
	}
	_, err := newTimeParser(m.TimeFormat, m.TimeZone)
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// skipRule is one compiled entry of Mapping.Skip, or of Mapping.Only.
type skipRule struct {
	column   int
	patterns []string
	only     bool
}

func (r *skipRule) skips(cells []string) bool {
	text := strings.TrimSpace(cells[r.column])
	return r.only != slices.ContainsFunc(r.patterns, func(p string) bool {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(text, prefix)
		}
		return text == p
	})
}

// source says where the text of one table column comes from.
type source struct {
	given    bool
	columns  []int // foreign columns; more than one are multiplied
	constant string
	values   map[string]string
	known    map[string]bool // nil: every text is
}

// plan is a mapping resolved against the header of one file: names have
// become indices.
type plan struct {
	stream     Stream
	sources    [columnCount]source
	skips      []skipRule
	attributes []int
	header     []string
	used       []bool // of the columns of the header: whether a row needs it
	times      *timeParser
	isoTimes   *timeParser // of cells that were times where they came from
	lag        Duration
}

// resolve checks the header and turns names into indices. Every problem of
// the header is one error.
func (m *Mapping) resolve(s Stream, header []string) (*plan, error) {
	if err := m.Validate(s); err != nil {
		return nil, err
	}
	index := make(map[string]int, len(header))
	for i, h := range header {
		if h == "" { // a column without a name cannot be asked for
			continue
		}
		if _, dup := index[h]; dup {
			return nil, fmt.Errorf("column %q appears twice in the header", h)
		}
		index[h] = i
	}
	times, err := newTimeParser(m.TimeFormat, m.TimeZone)
	if err != nil {
		return nil, err
	}
	isoTimes, err := newTimeParser("", m.TimeZone)
	if err != nil {
		return nil, err
	}
	used := make([]bool, len(header))
	p := &plan{stream: s, header: header, used: used, times: times, isoTimes: isoTimes, lag: m.Lag}
	for _, c := range tableColumns[s] {
		own := c.name.String()
		src := source{constant: m.Constants[own], values: m.Values[own]}
		if known := m.Known[own]; known != nil {
			src.known = map[string]bool{}
			for _, text := range known {
				src.known[text] = true
			}
		} else if c.name == colCurrency {
			src.known = currencies
		}
		foreign, mapped := m.Columns[own]
		if !mapped {
			foreign = own
		}
		if src.constant == "" {
			for _, name := range factors(foreign, index) {
				i, ok := index[name]
				ok = ok && (mapped || !slices.Contains(m.Drop, name))
				switch {
				case ok:
					src.columns = append(src.columns, i)
					used[i] = true
				case mapped:
					return nil, fmt.Errorf("no column %q (mapped to %s); the header has %s", name, c.name, list(header))
				case c.required:
					return nil, fmt.Errorf("no column for %s; the header has %s; map one under columns", c.name, list(header))
				}
			}
		}
		src.given = src.constant != "" || len(src.columns) > 0
		p.sources[c.name] = src
	}
	if s == Payments && !p.sources[colPaidAt].given && !p.sources[colDueAt].given {
		return nil, fmt.Errorf("no column for due_at or paid_at; the header has %s; map one under columns", list(header))
	}
	for _, name := range sortedKeys(m.Skip) {
		i, ok := index[name]
		if !ok {
			return nil, fmt.Errorf("skip: no column %q; the header has %s", name, list(header))
		}
		p.skips = append(p.skips, skipRule{i, m.Skip[name], false})
	}
	for _, name := range sortedKeys(m.Only) {
		i, ok := index[name]
		if !ok {
			return nil, fmt.Errorf("only: no column %q; the header has %s", name, list(header))
		}
		p.skips = append(p.skips, skipRule{i, m.Only[name], true})
	}
	for _, names := range [][]string{m.Attributes, m.Drop} {
		for _, name := range names {
			if _, ok := index[name]; !ok {
				return nil, fmt.Errorf("no column %q; the header has %s", name, list(header))
			}
		}
	}
	if s == Customers || s == Attributes {
		for i, name := range header {
			keep := name != "" && !used[i] && !slices.Contains(m.Drop, name)
			if len(m.Attributes) > 0 {
				keep = slices.Contains(m.Attributes, name)
			}
			if keep {
				p.attributes = append(p.attributes, i)
			}
		}
		if len(p.attributes) > MaxAttributes {
			return nil, fmt.Errorf("%d columns would become attributes, more than %d: list those to keep under attributes", len(p.attributes), MaxAttributes)
		}
	}
	for _, i := range p.attributes {
		used[i] = true
	}
	for _, s := range p.skips {
		used[s.column] = true
	}
	return p, nil
}

// factors splits "Quantity * UnitPrice", unless that is the name of a column.
func factors(foreign string, index map[string]int) []string {
	if _, ok := index[foreign]; ok {
		return []string{foreign}
	}
	return strings.Split(foreign, " * ")
}

// asked lists the foreign columns that resolve looks for.
func (m *Mapping) asked(s Stream) []string {
	var names []string
	for _, c := range tableColumns[s] {
		own := c.name.String()
		foreign, mapped := m.Columns[own]
		switch {
		case mapped:
			names = append(names, strings.Split(foreign, " * ")...)
		case m.Constants[own] == "":
			names = append(names, own)
		}
	}
	for _, more := range [][]string{sortedKeys(m.Skip), sortedKeys(m.Only), m.Attributes, m.Drop} {
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func list(header []string) string {
	if len(header) > 30 {
		return strings.Join(header[:30], ", ") + fmt.Sprintf(" and %d more", len(header)-30)
	}
	return strings.Join(header, ", ")
}
