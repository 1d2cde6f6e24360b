//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"churn/model/gbdt"
)

// predict writes the raw score of every row and, if asked, its
// contributions: one per feature and then the base, as LightGBM's
// predict(pred_contrib=True) gives them. The compiled forest and the plain one
// must not differ by a bit in the score; their contributions, of which the
// textbook's are slow and nearly exact, go to files of their own.
func predict(args []string) error {
	flags := flag.NewFlagSet("predict", flag.ExitOnError)
	data := flags.String("data", "", "directory of the rows; labels and weights are not read")
	model := flags.String("model", "", "`file` of the forest")
	format := flags.String("format", "lightgbm", "of the model: lightgbm (text) or xgboost (JSON or UBJSON)")
	out := flags.String("out", "", "`file` to write the raw scores to")
	contributions := flags.String("contributions", "", "`file` to write contributions to; empty: none")
	textbook := flags.String("textbook", "", "`file` to write those of the textbook's algorithm to; empty: none")
	if err := parse(flags, args, "data", "model", "out"); err != nil {
		return err
	}

	forest, err := readForest(*model, *format)
	if err != nil {
		return err
	}
	rows, err := readRows(*data)
	if err != nil {
		return err
	}
	features := len(rows.Names)
	if want := len(forest.FeatureNames); features != want {
		return fmt.Errorf("%s has %d features, %s has %d", *data, features, *model, want)
	}
	compiled, err := forest.Compile()
	if err != nil {
		return fmt.Errorf("%s: %w", *model, err)
	}
	s := &scorer{forest: forest, compiled: compiled, workspace: compiled.NewWorkspace(), features: features}
	n := len(rows.X) / features

	scores := make([]float64, n)
	s.margins(s.workspace, rows.X, scores)
	for i, got := range scores {
		want := forest.Predict(rows.X[i*features : (i+1)*features])
		if math.Float64bits(got) != math.Float64bits(want) {
			return fmt.Errorf("%s, row %d: the compiled forest says %v, the plain one %v", *data, i, got, want)
		}
	}
	if err := writeFloats(*out, scores); err != nil {
		return err
	}
	for _, c := range []struct {
		file string
		fill func(rows []float32, out []float64)
	}{{*contributions, s.reasons}, {*textbook, s.textbook}} {
		if c.file == "" {
			continue
		}
		table := make([]float64, n*(features+1))
		c.fill(rows.X, table)
		if err := writeFloats(c.file, table); err != nil {
			return err
		}
	}
	return nil
}

// score answers requests of bench_score.py, one a line, so that the same
// process is measured in many rounds:
//
//	margin|reasons|textbook|batch FIRST ROWS [OUT.f64]
//
// scores so many rows from FIRST on and prints what that cost as a line of
// JSON. Results go to OUT.f64, outside the clock. The programs of leaves and
// of LightGBM beside this one speak the same.
func score(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("score", flag.ExitOnError)
	data := flags.String("data", "", "directory of the rows; labels and weights are not read")
	model := flags.String("model", "", "`file` of the forest")
	format := flags.String("format", "lightgbm", "of the model: lightgbm (text) or xgboost (JSON or UBJSON)")
	if err := parse(flags, args, "data", "model"); err != nil {
		return err
	}
	forest, err := readForest(*model, *format)
	if err != nil {
		return err
	}
	rows, err := readRows(*data)
	if err != nil {
		return err
	}
	compiled, err := forest.Compile()
	if err != nil {
		return fmt.Errorf("%s: %w", *model, err)
	}
	s := &scorer{forest: forest, compiled: compiled, workspace: compiled.NewWorkspace(), features: len(rows.Names), x: rows.X}
	if want := len(forest.FeatureNames); s.features != want {
		return fmt.Errorf("%s has %d features, %s has %d", *data, s.features, *model, want)
	}
	requests := bufio.NewScanner(stdin)
	for requests.Scan() {
		spent, err := s.answer(requests.Text())
		if err != nil {
			return fmt.Errorf("request %q: %w", requests.Text(), err)
		}
		if err := json.NewEncoder(stdout).Encode(spent); err != nil {
			return err
		}
	}
	return requests.Err()
}

type scorer struct {
	forest    *gbdt.Forest
	compiled  *gbdt.Compiled
	workspace *gbdt.Workspace
	features  int
	x         []float32
	out       []float64 // kept, so that no request pays for fresh pages
}

// cost is what the rows of one request took.
type cost struct {
	CPU         float64 `json:"cpu"`  // seconds, of all threads, user and system
	Wall        float64 `json:"wall"` // seconds
	Allocations uint64  `json:"allocations"`
}

func (s *scorer) answer(request string) (cost, error) {
	var (
		what, file  string
		first, rows int
	)
	if n, err := fmt.Sscan(request, &what, &first, &rows, &file); n < 3 {
		return cost{}, err
	}
	width := 1
	var run func(rows []float32, out []float64)
	switch what {
	case "margin":
		run = func(rows []float32, out []float64) { s.margins(s.workspace, rows, out) }
	case "batch":
		run = s.batch
	case "reasons":
		width, run = s.features+1, s.reasons
	case "textbook":
		width, run = s.features+1, s.textbook
	default:
		return cost{}, fmt.Errorf("unknown work %q", what)
	}
	if first < 0 || rows < 1 || first+rows > len(s.x)/s.features {
		return cost{}, fmt.Errorf("rows %d to %d of %d", first, first+rows, len(s.x)/s.features)
	}
	if need := rows * width; len(s.out) < need {
		s.out = make([]float64, need)
	}
	out := s.out[:rows*width]
	clear(out)

	var before, after runtime.MemStats
	runtime.GC()
	start := used() // allocates itself
	runtime.ReadMemStats(&before)
	run(s.x[first*s.features:(first+rows)*s.features], out)
	runtime.ReadMemStats(&after)
	end := used()
	spent, err := end.since(start)
	spent.Allocations = after.Mallocs - before.Mallocs
	if err == nil && file != "" {
		err = writeFloats(file, out)
	}
	return spent, err
}

func (s *scorer) margins(w *gbdt.Workspace, rows []float32, out []float64) {
	for i := range out {
		w.Load(rows[i*s.features : (i+1)*s.features])
		out[i] = w.Margin()
	}
}

// batch scores on as many goroutines as there are processors to use.
func (s *scorer) batch(rows []float32, out []float64) {
	const block = 1000
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			w := s.compiled.NewWorkspace()
			for {
				from := int(next.Add(block)) - block
				if from >= len(out) {
					return
				}
				to := min(from+block, len(out))
				s.margins(w, rows[from*s.features:to*s.features], out[from:to])
			}
		})
	}
	workers.Wait()
}

// reasons writes the contributions of each row and then the base.
func (s *scorer) reasons(rows []float32, out []float64) {
	n := s.features
	for i := range len(rows) / n {
		phi := out[i*(n+1) : (i+1)*(n+1)]
		s.workspace.Load(rows[i*n : (i+1)*n])
		s.workspace.Contributions(phi[:n])
		phi[n] = s.compiled.Base()
	}
}

// textbook does the same by the algorithm of Lundberg, Erion and Lee.
func (s *scorer) textbook(rows []float32, out []float64) {
	n := s.features
	for i := range len(rows) / n {
		phi := out[i*(n+1) : (i+1)*(n+1)]
		phi[n] = s.forest.Contributions(rows[i*n:(i+1)*n], phi[:n])
	}
}

// load reads and compiles a model again and again and prints, as a line of
// JSON each, what that cost and what it left in memory.
func load(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	model := flags.String("model", "", "`file` of the forest, LightGBM text")
	repeat := flags.Int("repeat", 1, "how often")
	if err := parse(flags, args, "model"); err != nil {
		return err
	}
	for range *repeat {
		empty := heap()
		start := used()
		forest, err := readForest(*model, "lightgbm")
		if err != nil {
			return err
		}
		read := used()
		afterRead := heap()
		compile := used()
		compiled, err := forest.Compile()
		if err != nil {
			return fmt.Errorf("%s: %w", *model, err)
		}
		end := used()
		afterCompile := heap()
		workspace := compiled.NewWorkspace()
		afterWorkspace := heap()

		toRead, err := read.since(start)
		if err != nil {
			return err
		}
		toCompile, err := end.since(compile)
		if err != nil {
			return err
		}
		line := struct {
			Read      cost  `json:"read"`
			Compile   cost  `json:"compile"`
			Trees     int   `json:"trees"`
			Forest    int64 `json:"forest_bytes"`
			Compiled  int64 `json:"compiled_bytes"`
			Workspace int64 `json:"workspace_bytes"`
		}{toRead, toCompile, len(forest.Trees), afterRead - empty, afterCompile - afterRead, afterWorkspace - afterCompile}
		if err := json.NewEncoder(stdout).Encode(line); err != nil {
			return err
		}
		runtime.KeepAlive(forest)
		runtime.KeepAlive(compiled)
		runtime.KeepAlive(workspace)
	}
	return nil
}

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func (u usage) since(start usage) (cost, error) {
	if u.err != nil || start.err != nil {
		return cost{}, fmt.Errorf("clock: %w", errors.Join(start.err, u.err))
	}
	return cost{CPU: (u.cpu - start.cpu).Seconds(), Wall: u.at.Sub(start.at).Seconds()}, nil
}
