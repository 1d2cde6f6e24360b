package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"churn/features"
	"churn/features/table"
)

// BuildStream is BuildMatrix for customers of whom only a part is here and
// comes once: their rows go out as a stream of Arrow while their histories come
// in. Such a part freezes no levels, and what there is to say only at the end
// is returned and not in the stream. A stream after an error does not end as a
// whole one does.
func BuildStream(ctx context.Context, src Histories, w io.Writer, b Build) (_ *MatrixInfo, err error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if b.Shards > 0 {
		return nil, fmt.Errorf("a stream has no shards: it is one")
	}
	if names := unfrozen(b.Features); len(names) > 0 {
		return nil, fmt.Errorf("the levels of %s are not frozen, which takes all customers and not a part: "+
			"write a set with churn features lock, or give the version of a model", strings.Join(names, ", "))
	}
	times, _, err := b.instants()
	if err != nil {
		return nil, err
	}
	engine, err := b.Features.Compile()
	if err != nil {
		return nil, err
	}
	o := &Observer{Definition: b.Definition, Snapshots: times, Through: b.Through, HeldOut: b.HeldOut, Seed: b.Seed}
	m, err := b.info(engine, times)
	if err != nil {
		return nil, err
	}
	said, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	out, err := table.NewMatrixStream(w, engine.Features(), b.Labels, string(said))
	if err != nil {
		return nil, err
	}
	if err := b.write(ctx, src, out, o, engine, m); err != nil {
		return nil, errors.Join(err, out.Abandon())
	}
	return m, out.Close()
}

// unfrozen names what has levels that depend on data.
func unfrozen(s *features.Set) (names []string) {
	for _, c := range s.Attributes {
		if c.Type == "category" && c.Levels == nil {
			names = append(names, "attribute "+c.Name)
		}
	}
	for _, d := range s.Features {
		if d.By != "" && d.Levels == nil {
			names = append(names, "feature "+d.Name)
		}
	}
	return names
}
