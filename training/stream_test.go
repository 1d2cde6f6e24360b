package training

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"churn/event"
)

// A part of the customers needs levels that are frozen, and no shards; a set
// with frozen levels gives the rows and the checksum of the matrix.
func TestBuildStream(t *testing.T) {
	src, b := tinyBuild(t)
	ctx := context.Background()
	var out bytes.Buffer
	if _, err := BuildStream(ctx, src, &out, b); err == nil || !strings.Contains(err.Error(), "feature eng_{by}_n_{w} are not frozen") || out.Len() > 0 {
		t.Errorf("levels that are not frozen: error %v, %d bytes", err, out.Len())
	}
	_, want := buildFile(t, src, b)
	e, err := Freeze(ctx, src, b.Plan)
	if err != nil {
		t.Fatal(err)
	}
	b.Features = e.Set()
	got, err := BuildStream(ctx, src, &out, b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != want.Rows || got.Checksum != want.Checksum || got.FeatureFingerprint != want.FeatureFingerprint {
		t.Errorf("%d rows with checksum %s, the matrix has %d with %s", got.Rows, got.Checksum, want.Rows, want.Checksum)
	}
	// What is known at the end only is not said at the beginning.
	for key, there := range map[string]bool{`"columns":`: true, `"through":`: true, `"rows":`: false, `"checksum":`: false, `"customers":`: false, `"shard":`: false, `"counts":`: false} {
		if bytes.Contains(out.Bytes(), []byte(key)) != there {
			t.Errorf("%s in the stream: %t", key, !there)
		}
	}
	// An error of the source is returned, and the stream not ended.
	stop := errors.New("stop")
	out.Reset()
	_, err = BuildStream(ctx, failing{src, stop}, &out, b)
	if !errors.Is(err, stop) || !bytes.HasSuffix(out.Bytes(), []byte{0xFF, 0xFF, 0xFF, 0xFF}) {
		t.Errorf("error %v, %d bytes that end in % x", err, out.Len(), out.Bytes()[max(0, out.Len()-8):])
	}
	b.Shard, b.Shards = 1, 2
	if _, err := BuildStream(ctx, src, &out, b); err == nil {
		t.Error("a shard of a stream: no error")
	}
	b.Shards, b.Through = 0, event.Never
	if _, err := BuildStream(ctx, src, &out, b); err == nil {
		t.Error("no end of the data: no error")
	}
}

// failing gives all histories twice, which is more than one block, and then an
// error.
type failing struct {
	Histories
	err error
}

func (f failing) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	return errors.Join(f.Histories.Timelines(ctx, fn), f.Histories.Timelines(ctx, fn), f.err)
}
