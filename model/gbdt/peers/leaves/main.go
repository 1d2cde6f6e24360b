//go:build unix

// Command leaves is github.com/dmitryikh/leaves behind the requests that
// ../score.go explains.
//
//	leaves MODEL.txt ROWS.f32 FEATURES
//
// Only margin is answered: leaves has no contributions. It takes rows of
// float64; they are converted before the clock starts. It is given no other
// people's files: a damaged one can make it ask for all memory there is.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/dmitryikh/leaves"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "leaves:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("want a model, a file of rows and the number of features, got %q", args)
	}
	model, err := leaves.LGEnsembleFromFile(args[0], false)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	features, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	// leaves answers 0 to rows that are too short.
	if want := model.NFeatures(); features != want {
		return fmt.Errorf("%s has %d features, want %d", args[0], want, features)
	}
	rows, err := readRows(args[1])
	if err != nil {
		return err
	}
	out := make([]float64, len(rows)/features)
	requests := bufio.NewScanner(stdin)
	for requests.Scan() {
		spent, err := answer(model, rows, features, out, requests.Text())
		if err != nil {
			return fmt.Errorf("request %q: %w", requests.Text(), err)
		}
		if err := json.NewEncoder(stdout).Encode(spent); err != nil {
			return err
		}
	}
	return requests.Err()
}

type cost struct {
	CPU         float64 `json:"cpu"`
	Wall        float64 `json:"wall"`
	Allocations uint64  `json:"allocations"`
}

func answer(model *leaves.Ensemble, x []float64, features int, out []float64, request string) (cost, error) {
	var (
		what, file  string
		first, rows int
	)
	if n, err := fmt.Sscan(request, &what, &first, &rows, &file); n < 3 {
		return cost{}, err
	}
	if what != "margin" {
		return cost{}, fmt.Errorf("unknown work %q", what)
	}
	if first < 0 || rows < 1 || first+rows > len(out) {
		return cost{}, fmt.Errorf("rows %d to %d of %d", first, first+rows, len(out))
	}
	out, x = out[:rows], x[first*features:(first+rows)*features]

	var before, after runtime.MemStats
	runtime.GC()
	start := time.Now()
	cpu, err := used() // allocates itself
	if err != nil {
		return cost{}, err
	}
	runtime.ReadMemStats(&before)
	for i := range out {
		out[i] = model.PredictSingle(x[i*features:(i+1)*features], 0)
	}
	runtime.ReadMemStats(&after)
	end, err := used()
	if err != nil {
		return cost{}, err
	}
	wall := time.Since(start)
	if file != "" {
		err = writeFloats(file, out)
	}
	return cost{(end - cpu).Seconds(), wall.Seconds(), after.Mallocs - before.Mallocs}, err
}

// used returns the CPU time of this process, of all threads, user and system.
func used() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

func readRows(name string) ([]float64, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	x := make([]float64, len(b)/4)
	for i := range x {
		x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return x, nil
}

func writeFloats(name string, values []float64) error {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return os.WriteFile(name, b, 0o644)
}
