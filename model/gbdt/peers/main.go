//go:build unix

// Command peers is package gbdt as a program, for the Python scripts beside
// it that hold the package against LightGBM, XGBoost, CatBoost and
// scikit-learn.
//
//	peers train -data DIR [-valid DIR] -params FILE.json -model OUT.txt [-repeat N] [-workers N]
//	peers predict -data DIR -model FILE -out RAW.f64 [-contributions FILE.f64 -textbook FILE.f64] [-format lightgbm|xgboost]
//	peers score -data DIR -model FILE [-format lightgbm|xgboost]
//	peers load -model FILE [-repeat N]
//
// A data directory is what numpy's tofile writes: X.f32 (values, row by row),
// y.f32 (labels) and, if rows have weights, w.f32, all float32; and meta.json,
// {"names": [...], "categorical": [true, ...]}. Results are float64. Both are
// little-endian.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"churn/model/gbdt"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("want a command: train, predict, score or load")
	}
	switch args[0] {
	case "train":
		return train(args[1:], stdout)
	case "predict":
		return predict(args[1:])
	case "score":
		return score(args[1:], stdin, stdout)
	case "load":
		return load(args[1:], stdout)
	}
	return fmt.Errorf("unknown command %q, want train, predict, score or load", args[0])
}

// train fits a forest, writes it as LightGBM text and prints a report of
// every repetition as a line of JSON.
func train(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("train", flag.ExitOnError)
	data := flags.String("data", "", "directory of the training rows")
	valid := flags.String("valid", "", "directory of the validation rows; empty: none")
	params := flags.String("params", "", "JSON `file` of the gbdt.Params that are not the default")
	model := flags.String("model", "", "`file` to write the forest to")
	repeat := flags.Int("repeat", 1, "train so many times, each with its own report")
	workers := flags.Int("workers", 0, "Params.Workers; 0: as in the file")
	if err := parse(flags, args, "data", "params", "model"); err != nil {
		return err
	}

	p, err := readParams(*params)
	if err != nil {
		return err
	}
	if *workers > 0 {
		p.Workers = *workers
	}
	rows, err := readDataset(*data)
	if err != nil {
		return err
	}
	var held *gbdt.Dataset
	if *valid != "" {
		if held, err = readDataset(*valid); err != nil {
			return err
		}
	}
	for range *repeat {
		forest, r, err := measure(p, rows, held)
		if err != nil {
			return err
		}
		if err := writeForest(*model, forest); err != nil {
			return err
		}
		if err := json.NewEncoder(stdout).Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// report is what training cost and what it said.
type report struct {
	Wall      float64       `json:"wall"`       // seconds
	CPU       float64       `json:"cpu"`        // seconds, of all threads, user and system
	WallFirst float64       `json:"wall_first"` // seconds until the first tree was grown, binning included
	CPUFirst  float64       `json:"cpu_first"`  // seconds, likewise
	RSSBefore float64       `json:"rss_before"` // MiB resident before training, the data among them
	Peak      float64       `json:"peak"`       // MiB resident at most during training
	Trees     int           `json:"trees"`
	History   *gbdt.History `json:"history"`
	Warnings  []string      `json:"warnings"`
}

// measure trains and reports what that alone cost: reading the data and
// writing the forest are outside the clock.
func measure(p gbdt.Params, rows, held *gbdt.Dataset) (*gbdt.Forest, *report, error) {
	debug.FreeOSMemory() // what reading left behind is not training's
	resetPeak()
	before, err := processStatus("VmRSS")
	if err != nil {
		before, err = maxRSS()
	}
	if err != nil {
		return nil, nil, err
	}
	var first usage
	p.Progress = func(gbdt.Progress) {
		if first.at.IsZero() {
			first = used()
		}
	}
	start := used()

	forest, history, err := gbdt.Train(context.Background(), p, rows, held)

	end := used()
	if first.at.IsZero() {
		first = end
	}
	if err := errors.Join(err, start.err, first.err, end.err); err != nil {
		return nil, nil, fmt.Errorf("training: %w", err)
	}
	peak, err := processStatus("VmHWM")
	if err != nil {
		peak, err = maxRSS()
	}
	if err != nil {
		return nil, nil, err
	}
	return forest, &report{
		Wall: end.at.Sub(start.at).Seconds(), CPU: (end.cpu - start.cpu).Seconds(),
		WallFirst: first.at.Sub(start.at).Seconds(), CPUFirst: (first.cpu - start.cpu).Seconds(),
		RSSBefore: before, Peak: peak,
		Trees: len(forest.Trees), History: history, Warnings: history.Warnings,
	}, nil
}

// parse reads the flags and returns an error if one of required is missing.
func parse(flags *flag.FlagSet, args []string, required ...string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q", flags.Name(), flags.Arg(0))
	}
	for _, name := range required {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%s: -%s is missing", flags.Name(), name)
		}
	}
	return nil
}

// readParams lays the fields in a JSON file over the defaults.
func readParams(name string) (gbdt.Params, error) {
	p := gbdt.DefaultParams()
	err := readJSON(name, &p)
	return p, err
}

func readJSON(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readDataset reads a data directory with its labels and weights.
func readDataset(dir string) (*gbdt.Dataset, error) {
	d, err := readRows(dir)
	if err != nil {
		return nil, err
	}
	if d.Labels, err = readFloats(filepath.Join(dir, "y.f32")); err != nil {
		return nil, err
	}
	d.Weights, err = readFloats(filepath.Join(dir, "w.f32"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return d, nil
}

// readRows reads the values in a data directory and what they are.
func readRows(dir string) (*gbdt.Dataset, error) {
	var meta struct {
		Names       []string `json:"names"`
		Categorical []bool   `json:"categorical"`
	}
	if err := readJSON(filepath.Join(dir, "meta.json"), &meta); err != nil {
		return nil, err
	}
	x, err := readFloats(filepath.Join(dir, "X.f32"))
	if err != nil {
		return nil, err
	}
	if features := len(meta.Names); features == 0 || len(x)%features != 0 {
		return nil, fmt.Errorf("%s: %d values do not make rows of %d features", dir, len(x), features)
	}
	return &gbdt.Dataset{Names: meta.Names, Categorical: meta.Categorical, X: x}, nil
}

// readFloats reads a file of float32. It converts piece by piece, so that a
// table of gigabytes is never in memory twice.
func readFloats(name string) ([]float32, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size()%4 != 0 {
		return nil, fmt.Errorf("%s: %d bytes are no whole number of float32", name, info.Size())
	}
	values := make([]float32, info.Size()/4)
	piece := make([]byte, 1<<20)
	for at := 0; at < len(values); {
		n := min(len(piece)/4, len(values)-at)
		if _, err := io.ReadFull(f, piece[:4*n]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i := range n {
			values[at+i] = math.Float32frombits(binary.LittleEndian.Uint32(piece[4*i:]))
		}
		at += n
	}
	return values, nil
}

func readForest(name, format string) (*gbdt.Forest, error) {
	readers := map[string]func(io.Reader, gbdt.Limits) (*gbdt.Forest, error){
		"lightgbm": gbdt.ReadText,
		"xgboost":  gbdt.ReadXGBoost,
	}
	read, ok := readers[format]
	if !ok {
		return nil, fmt.Errorf("unknown format %q, want lightgbm or xgboost", format)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	forest, err := read(bufio.NewReader(f), gbdt.DefaultLimits())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return forest, nil
}

func writeForest(name string, forest *gbdt.Forest) error {
	var text bytes.Buffer
	if err := forest.WriteText(&text); err != nil {
		return err
	}
	return os.WriteFile(name, text.Bytes(), 0o644)
}

func writeFloats(name string, values []float64) error {
	b := make([]byte, 0, 8*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return os.WriteFile(name, b, 0o644)
}

// usage is what the clocks of this process show.
type usage struct {
	at  time.Time
	cpu time.Duration // of all threads, user and system
	err error
}

func used() usage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return usage{err: fmt.Errorf("getrusage: %w", err)}
	}
	return usage{at: time.Now(), cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano())}
}

// resetPeak makes VmHWM start again from what is resident now. Where the
// kernel does not let it, the peak is that of the whole process: too high,
// never too low.
func resetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// processStatus returns a field of /proc/self/status, which is in KiB, in
// MiB. Only Linux has the file.
func processStatus(field string) (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte(field+":"))
		if !ok {
			continue
		}
		kib, err := strconv.ParseFloat(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/self/status: %s: %w", field, err)
		}
		return kib / 1024, nil
	}
	return 0, fmt.Errorf("/proc/self/status has no %s", field)
}

// maxRSS returns, in MiB, what was resident at most since the process began.
func maxRSS() (float64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	unit := 1024.0 // bytes
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return float64(u.Maxrss) * unit / (1 << 20), nil
}
