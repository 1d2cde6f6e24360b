package training

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
	"churn/features/table"
	"churn/model"
)

// buildFile builds a matrix into a file of the test's directory.
func buildFile(t testing.TB, src Source, b Build) (string, *MatrixInfo) {
	t.Helper()
	var out bytes.Buffer
	m, err := BuildMatrix(context.Background(), src, &out, b)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "matrix.parquet")
	if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path, m
}

// Training on a matrix gives the same file as training on the histories, from
// one file or from shards in any order.
func TestTrainMatrix(t *testing.T) {
	s := smallModel(t)
	b := Build{Plan: s.plan, Labels: true}
	b.Workers = 0
	whole, info := buildFile(t, s.src, b)
	var shards []string
	rows, sum := 0, uint64(0)
	for i := 3; i > 0; i-- {
		b.Shard, b.Shards = i, 3
		path, m := buildFile(t, s.src, b)
		shards = append(shards, path)
		rows += m.Rows
		var part uint64
		if _, err := fmt.Sscanf(m.Checksum, "%x", &part); err != nil || m.Rows == 0 {
			t.Fatalf("shard %d: %d rows, checksum %q", i, m.Rows, m.Checksum)
		}
		sum += part
	}
	if rows != info.Rows || fmt.Sprintf("%016x", sum) != info.Checksum {
		t.Errorf("shards have %d rows with checksum %016x, the whole %d with %s", rows, sum, info.Rows, info.Checksum)
	}
	d, err := ReadMatrix(whole)
	if err != nil {
		t.Fatal(err)
	}
	p := s.plan
	p.Through = event.Never // that of the matrix
	m, _, err := TrainMatrix(context.Background(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	file, err := fileOf(m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, s.file) {
		t.Errorf("version %s, from histories %s", m.Manifest.Version, s.model.Manifest.Version)
	}
	parts, err := ReadMatrix(shards...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(parts.Observations, d.Observations) || !sameBits(parts.Matrix.Data, d.Matrix.Data) ||
		fmt.Sprint(parts.Info.Counts) != fmt.Sprint(d.Info.Counts) {
		t.Error("the shards together are not the whole")
	}
	if _, err := ReadMatrix(shards[:2]...); err == nil || !strings.Contains(err.Error(), "2 of 3 shards") {
		t.Errorf("two shards of three: error %v", err)
	}
	if _, err := ReadMatrix(shards[0], shards[0]); err == nil || !strings.Contains(err.Error(), "shard 3, which") {
		t.Errorf("a shard twice: error %v", err)
	}
	if _, err := ReadMatrix(whole, shards[0]); err == nil || !strings.Contains(err.Error(), "no shard of the same matrix") {
		t.Errorf("whole and shard: error %v", err)
	}
}

// tinyBuild is a matrix of few customers and features.
func tinyBuild(t testing.TB) (*worldSource, Build) {
	t.Helper()
	w := tinyWorld(150)
	b := Build{Plan: worldPlan(&w), Labels: true}
	set, err := features.Parse([]byte(`version: 1
features:
- {name: "eng_n_{w}", from: engagement, agg: count, windows: [30d]}
- {name: "eng_{by}_n_{w}", from: engagement, agg: count, by: kind, top: 2, windows: [90d]}
- {name: eng_rec, from: engagement, agg: recency, windows: [365d]}
`))
	if err != nil {
		t.Fatal(err)
	}
	set.Attributes = b.Features.Attributes
	b.Features = set
	return newWorldSource(t, w), b
}

// The same bytes again, whatever the workers; every row as the engine computes
// it, and none but those asked for.
func TestBuildMatrix(t *testing.T) {
	src, b := tinyBuild(t)
	src.timelines[3].Customer.Attributes = nil // missing, and not a level
	b.Workers = 1
	path, info := buildFile(t, src, b)
	b.Workers = 7
	again, _ := buildFile(t, src, b)
	one, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := os.ReadFile(again); err != nil || !bytes.Equal(one, two) {
		t.Errorf("other bytes with other workers (%v)", err)
	}
	d, err := ReadMatrix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.defaults(); err != nil {
		t.Fatal(err)
	}
	o := &Observer{Definition: b.Definition, Snapshots: Snapshots(&b.Definition, b.Through, b.Every, b.Plan.Snapshots),
		Through: b.Through, HeldOut: b.HeldOut, Seed: b.Seed}
	want, counts, err := compute(context.Background(), src, o, d.Engine, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Observations, want.Observations) || !sameBits(d.Matrix.Data, want.Matrix.Data) {
		t.Error("rows read back are not those computed")
	}
	if fmt.Sprint(info.Counts) != fmt.Sprint(counts) || info.Rows != len(want.Observations) || info.Customers != 150 {
		t.Errorf("counts %v, %d rows, %d customers", info.Counts, info.Rows, info.Customers)
	}
	if _, err := ReadMatrix("testdata/no such file.parquet"); err == nil {
		t.Error("no error about a file that is not there")
	}
}

// As of an instant there is a row for everyone who has not left, also where no
// label is known.
func TestBuildAsOf(t *testing.T) {
	src, b := tinyBuild(t)
	early, late := b.Through.Add(-200*event.Day), b.Through
	b.AsOf = []event.Time{late, early}
	path, info := buildFile(t, src, b)
	in, err := table.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	set, err := features.Parse([]byte(info.Features))
	if err != nil {
		t.Fatal(err)
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	r, err := in.Matrix(e.Features(), true)
	if err != nil {
		t.Fatal(err)
	}
	var rows table.MatrixRows
	for r.Read(&rows) == nil {
	}
	k := 0
	for _, tl := range src.timelines {
		for _, at := range []event.Time{early, late} {
			if tl.Customer.ChurnedAt < at {
				continue
			}
			want := uint8(table.Unknown)
			switch Judge(&b.Definition, tl, at, b.Through) {
			case Stayed:
				want = table.No
			case Churned:
				want = table.Yes
			}
			if k >= len(rows.Customers) || rows.Customers[k] != tl.Customer.ID || rows.AsOf[k] != at || rows.Churned[k] != want {
				t.Fatalf("row %d is not %s as of %s, label %d", k, tl.Customer.ID, at, want)
			}
			k++
		}
	}
	if k != len(rows.Customers) || k != info.Rows {
		t.Errorf("%d rows, %d said, want %d", len(rows.Customers), info.Rows, k)
	}
	if _, err := ReadMatrix(path); err == nil || !strings.Contains(err.Error(), "without --as-of") {
		t.Errorf("error %v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	src, good := tinyBuild(t)
	for _, test := range []struct {
		change func(b *Build)
		want   string
	}{
		{func(b *Build) { b.Definition = model.Definition{Kind: "label", Label: "a=b"} }, "wide table"},
		{func(b *Build) { b.Features = nil }, "needs a feature set"},
		{func(b *Build) { b.At, b.AsOf = []event.Time{1}, []event.Time{1} }, "not both"},
		{func(b *Build) { b.Shard, b.Shards = 0, 3 }, "shard 0/3"},
		{func(b *Build) { b.Shard, b.Shards = 4, 3 }, "shard 4/3"},
		{func(b *Build) { b.Plan.Snapshots = 3 }, "not enough history"},
		{func(b *Build) {
			set := *b.Features
			set.Features = append(slices.Clone(set.Features), features.Definition{Name: "as_of", From: "customer", Agg: "tenure"})
			b.Features = &set
		}, `feature "as_of" has the name`},
	} {
		b := good
		test.change(&b)
		if _, err := BuildMatrix(context.Background(), src, &bytes.Buffer{}, b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}

// A matrix that is not as the plan says, or not as it was written, is refused.
func TestMatrixRefuses(t *testing.T) {
	src, b := tinyBuild(t)
	path, _ := buildFile(t, src, b)
	d, err := ReadMatrix(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		change func(p *Plan)
		want   string
	}{
		{func(p *Plan) { p.Seed = 2 }, "seed: 1 and not 2"},
		{func(p *Plan) { p.HeldOut = 0.3 }, "held_out: 0.25 and not 0.3"},
		{func(p *Plan) { p.Definition.Horizon += event.Day }, "definition of churn: contract: leaves within 30d after"},
		{func(p *Plan) { p.Definition.MinTenure += event.Day }, "definition of churn: "},
		{func(p *Plan) { p.Snapshots = 11 }, "snapshots: "},
		{func(p *Plan) { p.Through += event.Time(event.Day) }, "end of the data: "},
		{func(p *Plan) { p.Features = features.Default() }, "another feature set"},
		{func(p *Plan) {
			set := *p.Features
			set.Features = slices.Clone(set.Features)
			set.Features[1].Top = 3
			p.Features = &set
		}, "another feature set"},
	} {
		p := b.Plan
		test.change(&p)
		if _, _, err := TrainMatrix(context.Background(), d, p); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.parquet")
	read := 0
	for i := 0; i < len(data); i += 97 {
		changed := slices.Clone(data)
		changed[i] ^= 0x40
		if err := os.WriteFile(bad, changed, 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := ReadMatrix(bad)
		if err != nil {
			continue
		}
		read++ // what is not read, such as statistics
		if !sameBits(got.Matrix.Data, d.Matrix.Data) {
			t.Fatalf("byte %d changed: another value is read, and no error", i)
		}
	}
	if read == len(data)/97+1 {
		t.Error("no change is found")
	}
	b.Labels = false
	path, _ = buildFile(t, src, b)
	if _, err := ReadMatrix(path); err == nil || !strings.Contains(err.Error(), "--labels") {
		t.Errorf("error %v", err)
	}
	if _, err := ReadMatrix("../features/table/testdata/plain.parquet"); err == nil || !strings.Contains(err.Error(), "not a matrix") {
		t.Errorf("error %v", err)
	}
}

// Whatever is in a file, it is read or refused.
func FuzzReadMatrix(f *testing.F) {
	src, b := tinyBuild(f)
	src.timelines = src.timelines[:8]
	path, _ := buildFile(f, src, b)
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "m.parquet")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		d, err := ReadMatrix(path)
		if err == nil && d.Matrix.Rows() != len(d.Observations) {
			t.Errorf("%d rows of %d observations", d.Matrix.Rows(), len(d.Observations))
		}
	})
}
