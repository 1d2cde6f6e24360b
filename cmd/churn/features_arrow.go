package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"churn/event"
	tables "churn/features/table"
	"churn/training"
)

// streamed is what build --arrow tells of a stream.
type streamed struct {
	Rows               int                 `json:"rows"`
	Checksum           string              `json:"checksum"`
	Features           int                 `json:"features"`
	Events             tables.StreamCounts `json:"events"`
	Verdicts           training.Counts     `json:"verdicts"`
	Through            event.Time          `json:"through"`
	FeatureFingerprint string              `json:"feature_fingerprint"`
}

// check refuses flags that mean nothing to a stream, and those that are for one
// only.
func (f *buildFlags) checkArrow() error {
	switch {
	case !f.arrow && f.maxEvents != tables.DefaultMaxEvents:
		return usagef("--max-events is for --arrow")
	case !f.arrow:
		return nil
	case f.out != "":
		return usagef("--arrow writes to standard output: leave out --out")
	case f.shard != "" || f.histories.fromSources:
		return usagef("--arrow reads the part of the customers that comes on standard input: leave out --shard and --from-sources")
	case f.maxEvents < 1:
		return usagef("--max-events %d: give at least 1", f.maxEvents)
	}
	return nil
}

// buildArrow turns a stream of events into one of rows.
func (a *app) buildArrow(ctx context.Context, f *buildFlags) (err error) {
	c, err := a.config()
	if err != nil {
		return err
	}
	set, err := f.set.choose(a, c)
	if err != nil {
		return err
	}
	through, err := c.fixedThrough()
	if err != nil {
		return err
	}
	if through == event.Never {
		return usagef("--arrow sees a part of the data only and cannot tell where it ends: give --through, or training.through in the project file")
	}
	p := a.progress()
	defer p.finish()
	plan, err := c.plan(through, p)
	if err != nil {
		return err
	}
	plan.Features = set
	b, err := f.build(plan)
	if err != nil {
		return err
	}
	in := tables.NewEventStream("standard input", interruptible(ctx, a.stdin), f.maxEvents)
	out := bufio.NewWriterSize(a.stdout, 1<<18)
	m, err := training.BuildStream(ctx, in, out, b)
	// After an error too: what is there must not end as a whole stream does.
	err = errors.Join(err, out.Flush())
	p.finish()
	if err != nil {
		return err
	}
	line, err := json.Marshal(streamed{m.Rows, m.Checksum, len(m.Columns), in.Counts(), m.Counts, m.Through, m.FeatureFingerprint})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stderr, "%s\n", line)
	return err
}

// interruptible reads on until the context ends, which a read from a pipe that
// says nothing would not notice.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { r.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err)
	}()
	return r
}
