package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"churn/event"
	tables "churn/features/table"
	"churn/training"
)

// arrowProject is a world with its matrix, a set with frozen levels and its
// events as rows of a stream.
func arrowProject(t *testing.T) (project string, arguments []string, customers []streamRows) {
	t.Helper()
	dir := t.TempDir()
	project = filepath.Join(dir, "churn.yaml")
	locked := filepath.Join(dir, "locked.yaml")
	for _, args := range [][]string{
		{"simulate", "--out", dir, "--world", "late", "--customers", "60", "--quiet"},
		{"features", "lock", "--config", project, "--from-sources", "--out", locked},
	} {
		if _, err := churn(args...); err != nil {
			t.Fatal(err)
		}
	}
	customers, err := streamOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return project, []string{"features", "build", "--config", project, "--arrow", "--labels", "--features", locked, "--through", "2026-04-01"}, customers
}

// runArrow runs the program on a stream.
func runArrow(t *testing.T, arguments []string, in []byte) (out []byte, said streamed) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), arguments, bytes.NewReader(in), &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if err := json.Unmarshal(stderr.Bytes(), &said); err != nil {
		t.Fatalf("%v in %s", err, stderr.String())
	}
	return stdout.Bytes(), said
}

// The rows of all parts are those of the whole and of the matrix, bit by bit, in
// any number of parts and batches; the checksums add up.
func TestArrowParts(t *testing.T) {
	project, arguments, customers := arrowProject(t)
	path := filepath.Join(filepath.Dir(project), "matrix.parquet")
	if _, err := churn("features", "build", "--config", project, "--from-sources", "--labels", "--out", path); err != nil {
		t.Fatal(err)
	}
	d, err := training.ReadMatrix(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := func(size int) []byte {
		in, err := arrowStream(customers, size)
		if err != nil {
			t.Fatal(err)
		}
		out, said := runArrow(t, arguments, in)
		if said.Checksum != d.Info.Checksum || said.Rows != d.Info.Rows || said.Events.Customers != 60 || said.FeatureFingerprint != d.Info.FeatureFingerprint {
			t.Errorf("batches of %d: %+v, the matrix has %d rows and checksum %s", size, said, d.Info.Rows, d.Info.Checksum)
		}
		if fmt.Sprint(said.Verdicts) != fmt.Sprint(d.Info.Counts) {
			t.Errorf("verdicts %v, want %v", said.Verdicts, d.Info.Counts)
		}
		return out
	}
	one := whole(100_000)
	for _, size := range []int{1000, 37, 100_000} {
		if !bytes.Equal(whole(size), one) {
			t.Errorf("other bytes from batches of %d", size)
		}
	}
	for parts := 1; parts <= 7; parts++ {
		var rows tables.MatrixRows
		var sum uint64
		for i := range parts {
			in, err := arrowStream(customers[i*60/parts:(i+1)*60/parts], 100*parts)
			if err != nil {
				t.Fatal(err)
			}
			out, said := runArrow(t, arguments, in)
			if _, err := matrixOfStream(out, &rows); err != nil {
				t.Fatal(err)
			}
			n, err := strconv.ParseUint(said.Checksum, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if fmt.Sprintf("%016x", sum) != d.Info.Checksum {
			t.Errorf("%d parts: the checksums add up to %016x, want %s", parts, sum, d.Info.Checksum)
		}
		if why := differs(&rows, d); why != "" {
			t.Errorf("%d parts: %s", parts, why)
		}
	}
	// Nobody: a schema, and no rows.
	in, err := arrowStream(nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	out, said := runArrow(t, arguments, in)
	var rows tables.MatrixRows
	schema, err := matrixOfStream(out, &rows)
	if err != nil || len(rows.Customers) != 0 || schema.NumFields() != 7+len(d.Engine.Features()) || said.Rows != 0 || said.Checksum != "0000000000000000" {
		t.Errorf("nobody: %d rows of %d columns, %+v, error %v", len(rows.Customers), schema.NumFields(), said, err)
	}
}

// differs says in what rows differ from those of a matrix.
func differs(rows *tables.MatrixRows, d *training.MatrixData) string {
	if len(rows.Customers) != len(d.Observations) {
		return fmt.Sprintf("%d rows, want %d", len(rows.Customers), len(d.Observations))
	}
	for i, who := range rows.Customers {
		label := uint8(tables.No)
		if d.Observations[i].Churned {
			label = tables.Yes
		}
		if got, want := (training.Observation{Customer: who, At: rows.AsOf[i], Churned: d.Observations[i].Churned, HeldOut: rows.HeldOut[i], Reason: rows.Reasons[i], Kind: rows.Kinds[i], LeftAt: rows.LeftAt[i]}),
			d.Observations[i]; got != want || rows.Churned[i] != label {
			return fmt.Sprintf("row %d is %+v, want %+v", i, got, want)
		}
	}
	for i, v := range rows.Values {
		want := d.Matrix.Data[i]
		if math.Float32bits(v) != math.Float32bits(want) && !(v != v && want != want) {
			return fmt.Sprintf("value %d of %s is %v, want %v", i, d.Matrix.Features[i%len(d.Matrix.Features)].Name, v, want)
		}
	}
	return ""
}

// The same over shards of Parquet, one directory each, by one project file: a set
// with frozen levels gives the rows of the whole.
func TestParquetShards(t *testing.T) {
	project, arguments, _ := arrowProject(t)
	dir := filepath.Dir(project)
	whole := filepath.Join(dir, "matrix.parquet")
	if _, err := churn("features", "build", "--config", project, "--from-sources", "--labels", "--out", whole); err != nil {
		t.Fatal(err)
	}
	d, err := training.ReadMatrix(whole)
	if err != nil {
		t.Fatal(err)
	}
	locked := arguments[slices.Index(arguments, "--features")+1]
	var rows tables.MatrixRows
	var sum uint64
	const shards = 3
	for k := range shards {
		shard := filepath.Join(dir, fmt.Sprint("shard-", k))
		writeShard(t, dir, shard, func(customer string) bool { n, _ := strconv.Atoi(customer[1:]); return (n-1)*shards/60 == k })
		own := filepath.Join(dir, "shard.yaml")
		text, err := os.ReadFile(project)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range event.Streams() {
			text = bytes.ReplaceAll(text, []byte(`"`+s.String()+`.csv"`), []byte(`"`+shard+"/"+s.String()+`"`))
		}
		if err := os.WriteFile(own, text, 0o666); err != nil {
			t.Fatal(err)
		}
		part := filepath.Join(shard, "matrix.parquet")
		if _, err := churn("features", "build", "--config", own, "--from-sources", "--labels", "--features", locked, "--out", part); err != nil {
			t.Fatal(err)
		}
		m, err := training.ReadMatrix(part)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(m.Info.Checksum, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
		for _, ob := range m.Observations {
			rows.Customers, rows.AsOf, rows.HeldOut = append(rows.Customers, ob.Customer), append(rows.AsOf, ob.At), append(rows.HeldOut, ob.HeldOut)
			label := uint8(tables.No)
			if ob.Churned {
				label = tables.Yes
			}
			rows.Churned, rows.Reasons = append(rows.Churned, label), append(rows.Reasons, ob.Reason)
			rows.Kinds = append(rows.Kinds, ob.Kind)
			rows.LeftAt = append(rows.LeftAt, ob.LeftAt)
		}
		rows.Values = append(rows.Values, m.Matrix.Data...)
	}
	if why := differs(&rows, d); why != "" {
		t.Error(why)
	}
	if fmt.Sprintf("%016x", sum) != d.Info.Checksum {
		t.Errorf("the checksums add up to %016x, want %s", sum, d.Info.Checksum)
	}
}

// After an error no reader takes what was written for a whole stream, and the
// exit code says it too.
func TestArrowFails(t *testing.T) {
	_, arguments, customers := arrowProject(t)
	in, err := arrowStream(append(slices.Clone(customers), customers[3]), 500)
	if err != nil {
		t.Fatal(err)
	}
	good, err := arrowStream(customers, 500)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		in   []byte
		want string
	}{
		"a customer who comes back":  {in, `column "customer_id": not in order, or a customer who was there before`},
		"without the end":            {good[:len(good)-8], "it ends without the mark of its end"},
		"in the middle of a message": {good[:len(good)-2000], "it ends in the middle of a message"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), arguments, bytes.NewReader(test.in), &stdout, &stderr); code != exitFailed || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%s: exit code %d, %s", name, code, stderr.String())
		}
		var rows tables.MatrixRows
		if _, err := matrixOfStream(stdout.Bytes(), &rows); err == nil {
			t.Errorf("%s: %d rows look whole", name, len(rows.Customers))
		}
	}
	var stderr bytes.Buffer
	if code := run(context.Background(), arguments, bytes.NewReader(good), full{}, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "no space") {
		t.Errorf("a full disk: exit code %d, %s", code, stderr.String())
	}
	// Nobody reads the rows: the program ends.
	command := exec.Command("churn", arguments...)
	command.Stdin = bytes.NewReader(good)
	pipe, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(command.Start(), pipe.Close()); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("nobody reads the rows: exit code 0")
	}
	// Nothing comes, and somebody presses Ctrl-C.
	ctx, cancel := context.WithCancel(context.Background())
	silent, w := io.Pipe()
	defer w.Close()
	time.AfterFunc(10*time.Millisecond, cancel)
	if code := run(ctx, arguments, silent, io.Discard, io.Discard); code != exitFailed {
		t.Errorf("interrupted: exit code %d", code)
	}
}

// full is a disk that is.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
