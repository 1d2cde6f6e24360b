package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/training"
)

// historyFlags say where histories come from.
type historyFlags struct {
	fromSources bool
	memory      byteSize
	temp        string
}

func (h *historyFlags) register(cmd *cobra.Command) {
	h.memory = 1 << 30
	f := cmd.Flags()
	f.BoolVar(&h.fromSources, "from-sources", false, "read the sources of the project file, instead of the database")
	f.Var(&h.memory, "memory", "with --from-sources: memory of the program until histories are in order, such as 500MB or 2GB")
	f.StringVar(&h.temp, "temp", "", "with --from-sources: directory for temporary files (default: that of the system)")
}

// check refuses flags that would change nothing.
func (h *historyFlags) check(wide tableFlags) error {
	switch {
	case h.fromSources && wide.path != "":
		return usagef("give either --table or --from-sources")
	case h.fromSources && h.memory < event.MinMemory:
		return usagef("--memory %s: give at least %s", h.memory.String(), byteSize(event.MinMemory))
	case !h.fromSources && (h.memory != 1<<30 || h.temp != ""):
		return usagef("--memory and --temp are for --from-sources")
	}
	return nil
}

// programBytes are the pages of the program and its libraries themselves.
const programBytes = 76 << 20

// heap is what is left of the memory for what the program makes. Less than 128
// MB in all does not suffice; then it is in proportion.
func (h *historyFlags) heap() int64 {
	return max(int64(h.memory)-programBytes, int64(h.memory)/32*13, event.MinMemory)
}

// limit has the runtime collect as often as the memory takes, and let go of it.
func (h *historyFlags) limit() (done func()) {
	before := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(h.heap(), before))
	return func() { debug.SetMemoryLimit(before) }
}

// histories opens the database, or gathers the sources. It returns the end of
// the data as well, and what is to be called at the end.
func (a *app) histories(ctx context.Context, c *config, h historyFlags, p *progress) (training.Source, event.Time, func() error, error) {
	if !h.fromSources {
		db, err := a.existingStore(ctx, c)
		if err != nil {
			return nil, 0, nil, err
		}
		through, err := c.through(ctx, db)
		if err != nil {
			return nil, 0, nil, errors.Join(err, db.Close())
		}
		return db, through, db.Close, nil
	}
	g, err := a.gather(ctx, c, h, p)
	if err != nil {
		return nil, 0, nil, err
	}
	through, err := c.gatheredThrough(g)
	if err != nil {
		return nil, 0, nil, errors.Join(err, g.Close())
	}
	return g, through, g.Close, nil
}

// gatheredThrough is the end of the data of sources.
func (c *config) gatheredThrough(g *event.Histories) (event.Time, error) {
	through, err := c.fixedThrough()
	if err == nil && through == event.Never {
		if through = g.Last().Add(1); through == event.Never {
			err = errors.New("the sources have no events")
		}
	}
	return through, err
}

// gather puts the events of the sources in order. What was refused is reported
// as by an import, on standard error, since the result goes to standard output.
func (a *app) gather(ctx context.Context, c *config, h historyFlags, p *progress) (g *event.Histories, err error) {
	var reports []event.FileReport
	err = a.withRejects(c, func(o event.ImportOptions) error {
		g, reports, err = gatherInputs(ctx, c, h, o, p)
		return err
	})
	for _, r := range reports {
		printRefused(a.stderr, &r)
	}
	if err != nil && g != nil {
		err, g = errors.Join(err, g.Close()), nil
	}
	return g, err
}

// gatherInputs puts the events of the sources in order.
func gatherInputs(ctx context.Context, c *config, h historyFlags, o event.ImportOptions, p *progress) (*event.Histories, []event.FileReport, error) {
	inputs, err := c.chooseInputs("", nil)
	if err != nil {
		return nil, nil, err
	}
	temp := h.temp
	if temp == "" {
		temp = os.TempDir()
	}
	defer h.limit()()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // until then, as rarely as the limit allows
	o.Progress = func(path string, rows int) { p.show("reading "+path, rows, 0) }
	defer p.finish()
	return event.Gather(ctx, inputs, event.GatherOptions{ImportOptions: o, Memory: h.heap(), Dir: temp})
}

// byteSize is a number of bytes, written 500MB or 2GB.
type byteSize int64

var byteUnits = []struct {
	name string
	size byteSize
}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1}}

// Set implements pflag.Value.
func (b *byteSize) Set(s string) error {
	for _, u := range byteUnits {
		if number, ok := strings.CutSuffix(strings.ToUpper(s), u.name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
			if err != nil || n < 0 || n > math.MaxInt64/int64(u.size) {
				break
			}
			*b = byteSize(n) * u.size
			return nil
		}
	}
	return fmt.Errorf("%q is not a number of bytes: write a whole number and KB, MB or GB, such as 2GB", s)
}

// String implements pflag.Value.
func (b byteSize) String() string {
	for _, u := range byteUnits {
		if b >= u.size && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return "0B"
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "size" }
