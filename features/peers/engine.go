//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"churn/event"
	"churn/features"
	"churn/features/table"
)

// cost is what some work took.
type cost struct {
	Wall   float64 `json:"wall"` // seconds
	CPU    float64 `json:"cpu"`  // seconds, of all threads, user and system
	Events int     `json:"events,omitempty"`
	Rows   int     `json:"rows,omitempty"`
	Bytes  int64   `json:"bytes,omitempty"`
	P50    float64 `json:"p50,omitempty"` // microseconds
	P99    float64 `json:"p99,omitempty"`
}

// measure tells what fn took.
func measure(fn func()) cost {
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before) // of oneself it cannot fail
	start := time.Now()
	fn()
	wall := time.Since(start)
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return cost{Wall: wall.Seconds(), CPU: float64(cpu) / 1e9}
}

func readSet(path string) (*features.Engine, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set, err := features.Parse(text)
	if err != nil {
		return nil, err
	}
	return set.Compile()
}

// inputs are the tables of a directory.
func inputs(dir string) ([]event.Input, error) {
	list, err := event.FindInputs(dir)
	for i, in := range list {
		list[i].Open = func(context.Context) (event.Rows, error) { return table.OpenEvents(in.Path, in.Stream, in.Mapping) }
	}
	return list, err
}

// engine loads all histories and computes their rows whenever a line comes in.
func engine(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("engine", flag.ExitOnError)
	dir := flags.String("dir", "", "directory of the tables")
	set := flags.String("set", "", "`file` of the feature set")
	instants := flags.String("instants", "", "of the rows, separated by commas")
	workers := flags.Int("workers", runtime.GOMAXPROCS(0), "goroutines")
	if err := parse(flags, args, "dir", "set", "instants"); err != nil {
		return err
	}
	e, err := readSet(*set)
	if err != nil {
		return err
	}
	var times []event.Time
	for s := range strings.SplitSeq(*instants, ",") {
		t, err := event.ParseTime(s)
		if err != nil {
			return err
		}
		times = append(times, t)
	}
	list, err := inputs(*dir)
	if err != nil {
		return err
	}
	h, _, err := event.Gather(context.Background(), list, event.GatherOptions{})
	if err != nil {
		return err
	}
	defer h.Close()
	var customers []*event.Timeline
	var of [][]event.Time // rows of each
	first := []int{0}     // row of each
	events := 0
	err = h.Timelines(context.Background(), func(tl *event.Timeline) error {
		n, _ := slices.BinarySearch(times, tl.Customer.ChurnedAt+1)
		if tl.Customer.ChurnedAt == event.Never {
			n = len(times)
		}
		customers, of, first = append(customers, tl), append(of, times[:n]), append(first, first[len(first)-1]+n)
		events += len(tl.Engagements) + len(tl.Complaints) + len(tl.Payments) + len(tl.Contacts)
		return nil
	})
	if err != nil {
		return err
	}
	width := len(e.Features())
	rows := make([]float32, first[len(customers)]*width)
	runtime.GC()
	lines := bufio.NewScanner(stdin)
	fmt.Fprintln(stdout, "{}") // ready
	for lines.Scan() {
		c := measure(func() {
			var next atomic.Int64
			var wg sync.WaitGroup
			for range *workers {
				wg.Go(func() {
					var w features.Workspace
					for i := int(next.Add(1)) - 1; i < len(customers); i = int(next.Add(1)) - 1 {
						e.Rows(rows[first[i]*width:first[i+1]*width], customers[i], of[i], &w)
					}
				})
			}
			wg.Wait()
		})
		c.Events, c.Rows = events, len(rows)/width
		if err := json.NewEncoder(stdout).Encode(c); err != nil {
			return err
		}
	}
	return lines.Err()
}

// read reads the records of a table in one goroutine, without doing anything
// with them.
func read(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("read", flag.ExitOnError)
	dir := flags.String("dir", "", "directory of the tables")
	if err := parse(flags, args, "dir"); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	list, err := inputs(*dir)
	if err != nil {
		return err
	}
	for _, in := range list {
		var n int
		var failed error
		c := measure(func() {
			rd, err := in.Reader(context.Background())
			if err != nil {
				failed = err
				return
			}
			defer rd.Close()
			for n = 0; n < 2_000_000; n++ {
				if _, failed = rd.Read(); failed != nil {
					break
				}
			}
		})
		if failed != nil && failed != io.EOF {
			return failed
		}
		info, err := os.Stat(in.Path)
		if err != nil {
			return err
		}
		c.Rows, c.Bytes = n, info.Size()
		out := map[string]any{"table": in.Stream.String(), "whole": failed == io.EOF, "cost": c, "file": filepath.Base(in.Path)}
		if err := json.NewEncoder(stdout).Encode(out); err != nil {
			return err
		}
	}
	return nil
}
