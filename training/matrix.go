package training

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"churn/event"
	"churn/features"
	"churn/features/table"
	"churn/model"
)

// MatrixInfoOf returns what a file says of itself as a matrix, nil if it is
// none.
func MatrixInfoOf(in *table.Reader) (*MatrixInfo, error) {
	text := in.Said(table.MatrixKey)
	if text == "" {
		return nil, nil
	}
	var m MatrixInfo
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("%s: what the matrix says of itself cannot be read: %w", in.Name(), err)
	}
	if m.Format != MatrixFormat {
		return nil, fmt.Errorf("%s: a matrix of format %d; this program reads format %d", in.Name(), m.Format, MatrixFormat)
	}
	return &m, nil
}

// MatrixData are the observations of a matrix, read back.
type MatrixData struct {
	*Data
	Engine *features.Engine
	Info   MatrixInfo // Counts of all files
}

// ReadMatrix reads a matrix with labels that BuildMatrix has written, whole or
// in all its shards, and checks that it is as it was written. Rows come in the
// order of customers and snapshots, whatever the order of the files.
func ReadMatrix(paths ...string) (*MatrixData, error) {
	if len(paths) == 0 {
		return nil, fmt.Errorf("no matrix is named")
	}
	d := &MatrixData{}
	var rows table.MatrixRows
	shards := map[int]string{}
	for _, path := range paths {
		if err := d.read(path, &rows, shards); err != nil {
			return nil, err
		}
	}
	if len(shards) != d.Info.Shards {
		return nil, fmt.Errorf("%s: there are %d of %d shards: name the files of all", paths[0], len(shards), d.Info.Shards)
	}
	d.Data = observations(&rows, d.Engine.Features())
	if len(paths) > 1 {
		d.sort()
	}
	return d, nil
}

// read adds the rows of one file.
func (d *MatrixData) read(path string, rows *table.MatrixRows, shards map[int]string) (err error) {
	in, err := table.Open(path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...))
	}
	m, err := MatrixInfoOf(in)
	switch {
	case err != nil:
		return err
	case m == nil:
		return fail("not a matrix of churn features build; a wide table of your own goes to --table")
	case !m.Observations:
		return fail("its rows are as of single instants and not the observations of training: build it without --as-of")
	case !m.Labels:
		return fail("it has no labels: build it with --labels")
	}
	if d.Engine == nil {
		set, err := features.Parse([]byte(m.Features))
		if err != nil {
			return fail("%w", err)
		}
		if d.Engine, err = set.Compile(); err != nil {
			return fail("%w", err)
		}
		d.Info = *m
		d.Info.Counts = Counts{}
	}
	switch {
	case m.FeatureFingerprint != d.Engine.Fingerprint():
		return fail("its features were computed by another version of this program, or are not those of the first file: build it again")
	case m.DataFingerprint != d.Info.DataFingerprint || m.Shards != d.Info.Shards || m.Customers != d.Info.Customers:
		return fail("it is no shard of the same matrix as the first file")
	case shards[m.Shard] != "":
		return fail("it is shard %d, which %s is already", m.Shard, shards[m.Shard])
	}
	if why := first(m.differs(&d.Info)); why != "" {
		return fail("it is no shard of the same matrix as the first file: %s", why)
	}
	shards[m.Shard] = path
	for v, n := range m.Counts {
		d.Info.Counts[v] += n
	}
	return d.rows(in, m, rows)
}

// maxAhead is how many values there is room made for because a file says that it
// has them.
const maxAhead = 1 << 27

// rows reads and checks them.
func (d *MatrixData) rows(in *table.Reader, m *MatrixInfo, rows *table.MatrixRows) error {
	r, err := in.Matrix(d.Engine.Features(), true)
	if err != nil {
		return err
	}
	var sum uint64
	width, from := len(d.Engine.Features()), len(rows.Customers)
	rows.Values = slices.Grow(rows.Values, int(max(0, min(r.Rows(), maxAhead/int64(width))))*width)
	for {
		err := r.Read(rows)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	for i := from; i < len(rows.Customers); i++ {
		sum += features.RowFingerprint(rows.Customers[i], rows.AsOf[i], rows.Values[i*width:(i+1)*width])
		if rows.Churned[i] == table.Unknown {
			return fmt.Errorf("%s:%d: column %q: the label is missing", in.Name(), i-from+1, table.ChurnedColumn)
		}
	}
	if checksum := fmt.Sprintf("%016x", sum); checksum != m.Checksum || len(rows.Customers)-from != m.Rows {
		return fmt.Errorf("%s: %d rows with checksum %s, and %d with %s were written: the file was changed; build it again",
			in.Name(), len(rows.Customers)-from, checksum, m.Rows, m.Checksum)
	}
	return nil
}

func observations(rows *table.MatrixRows, list []features.Feature) *Data {
	d := &Data{Matrix: features.Matrix{Features: list, Data: rows.Values}, Observations: make([]Observation, len(rows.Customers))}
	for i, who := range rows.Customers {
		d.Observations[i] = Observation{Customer: who, At: rows.AsOf[i], Churned: rows.Churned[i] == table.Yes, HeldOut: rows.HeldOut[i],
			Reason: rows.Reasons[i], Kind: rows.Kinds[i], LeftAt: rows.LeftAt[i]}
	}
	return d
}

// sort brings rows into the order of customers and snapshots.
func (d *MatrixData) sort() {
	order := make([]int, len(d.Observations))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &d.Observations[a], &d.Observations[b]
		return cmp.Or(strings.Compare(x.Customer, y.Customer), cmp.Compare(x.At, y.At))
	})
	sorted := &Data{Matrix: *d.Matrix.Select(order)}
	for _, i := range order {
		sorted.Observations = append(sorted.Observations, d.Observations[i])
	}
	d.Data = sorted
}

// differs lists in what two matrices differ that are to be one.
func (m *MatrixInfo) differs(from *MatrixInfo) []string {
	var out []string
	add := func(what string, a, b any) {
		if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
			out = append(out, fmt.Sprintf("%s: %s and not %s", what, x, y))
		}
	}
	if a, b := m.Definition.String(), from.Definition.String(); a != b {
		add("definition of churn", a, b)
	} else {
		add("definition of churn", fmt.Sprintf("%+v", m.Definition), fmt.Sprintf("%+v", from.Definition))
	}
	add("end of the data", m.Through, from.Through)
	add("snapshots", m.Snapshots, from.Snapshots)
	add("held_out", m.HeldOut, from.HeldOut)
	add("seed", m.Seed, from.Seed)
	return out
}

// first of some texts, empty if there are none.
func first(texts []string) string {
	return append(texts, "")[0]
}

// TrainMatrix fits a model on a matrix: the same, to the byte, that Train fits
// on the histories which it was built from. A matrix that was not built as the
// plan says is an error. The end of the data is that of the matrix.
func TrainMatrix(ctx context.Context, d *MatrixData, p Plan) (*model.Model, *Report, error) {
	r, err := p.matrix(d)
	if err != nil {
		return nil, nil, err
	}
	return p.finishHistories(ctx, d.Engine, d.Data, r, fromMatrix(d.Engine, p.HeldOut))
}

// matrix checks that a matrix is what the plan says, and begins the report.
func (p *Plan) matrix(d *MatrixData) (*Report, error) {
	m := &d.Info
	if p.Through == event.Never {
		p.Through = m.Through
	}
	if p.Economics == nil {
		p.Economics = m.Economics
	}
	if err := cmp.Or(p.defaults(), p.checkBacktest("matrix")); err != nil {
		return nil, err
	}
	plan := &MatrixInfo{Definition: p.Definition, Through: p.Through, HeldOut: p.HeldOut, Seed: p.Seed,
		Snapshots: Snapshots(&p.Definition, p.Through, p.Every, p.Snapshots)}
	differs := m.differs(plan)
	if p.Features != nil {
		declared, err := p.Features.Fingerprint()
		if err != nil {
			return nil, err
		}
		if declared != m.DeclaredFingerprint {
			differs = append(differs, "another feature set")
		}
	}
	if len(differs) > 0 {
		return nil, fmt.Errorf("the matrix was built in another way than the project says: %s; build it again, or train with the project file it was built by",
			strings.Join(differs, "; "))
	}
	split, err := SplitByTime(&p.Definition, m.Snapshots)
	if err != nil {
		return nil, err
	}
	return &Report{Split: &split, Counts: m.Counts, Customers: m.Customers, DataFingerprint: m.DataFingerprint, Findings: m.Findings, Begins: m.Begins, HeldOut: p.HeldOut}, nil
}
