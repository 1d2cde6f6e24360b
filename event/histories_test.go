package event

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// Whatever ends it, nothing is left behind.
func TestGatherLeavesNothing(t *testing.T) {
	inputs := []Input{
		{Stream: Customers, Path: file(t, "customers.csv", "customer_id,signed_up_at\na,2026-01-01\n")},
		{Stream: Engagements, Path: file(t, "engagement.csv", "customer_id,occurred_at,kind\n"+strings.Repeat("a,2026-02-01,visit\nb,2026-02-01,visit\n,2026-02-01,visit\n", 1000))},
	}
	dir := t.TempDir()
	empty := func(when string) {
		t.Helper()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind %v, %v", when, left, err)
		}
	}
	o := GatherOptions{Memory: MinMemory, Dir: dir}
	if _, _, err := Gather(context.Background(), inputs, o); !errors.Is(err, ErrTooManyBadRows) {
		t.Errorf("bad rows: %v", err)
	}
	empty("bad rows")
	o.MaxBadShare = 1
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Gather(ctx, inputs, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	empty("cancelled")
	h, _, err := Gather(context.Background(), inputs, o)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("enough")
	if err := h.Timelines(context.Background(), func(*Timeline) error { return stop }); err != stop {
		t.Errorf("stopped by the caller: %v", err)
	}
	if info, err := os.Stat(h.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info.Mode(), err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	empty("closed")
	if _, _, err := Gather(context.Background(), inputs, GatherOptions{Memory: MinMemory - 1}); err == nil {
		t.Error("less than the least is enough")
	}
}
