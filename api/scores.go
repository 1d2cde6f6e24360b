package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
	"churn/features"
	"churn/model"
)

// Reasons of a score.
const (
	defaultReasons = 5
	maxReasons     = 20
)

// scoresAnswer has one result a customer, in order: a *Score or a rowFailure.
type scoresAnswer struct {
	Model   modelRef `json:"model"`
	Scored  int      `json:"scored"`
	Failed  int      `json:"failed"`
	Results []any    `json:"results"`
}

// rowFailure is why one item of a batch was not done.
type rowFailure struct {
	CustomerID *string  `json:"customer_id"` // null if it could not be read
	Error      *Problem `json:"error"`
}

func failedRow(customer string, err error) *rowFailure {
	row := &rowFailure{Error: faultOf(err).problem()}
	if customer != "" {
		row.CustomerID = &customer
	}
	return row
}

// scorer returns the model that answers this request.
func (s *Server) scorer() (*model.Scorer, error) {
	if sc := s.live.Scorer(); sc != nil {
		return sc, nil
	}
	return nil, fail(noModel, "train and promote a model first")
}

// ask is what is asked about every customer of a request.
type ask struct {
	asOf      event.Time
	now       bool // asOf was not given
	reasons   int
	recommend bool
}

// checkAsOf refuses an instant of which nothing is known yet.
func checkAsOf(asOf, now event.Time) string {
	if asOf > now.Add(maxAhead) {
		return "lies in the future"
	}
	return ""
}

func (s *Server) getScore(c *gin.Context) (any, error) {
	id, err := pathParam(c, "id")
	if err != nil {
		return nil, err
	}
	now := s.now()
	q := queryOf(c, "reasons", "as_of", "recommend")
	a := ask{asOf: q.time("as_of", now), now: q.text("as_of") == "",
		reasons: q.integer("reasons", defaultReasons, 0, maxReasons), recommend: q.boolean("recommend")}
	if reason := checkAsOf(a.asOf, now); reason != "" {
		q.add("as_of", reason)
	}
	if err := q.fault(); err != nil {
		return nil, err
	}
	sc, err := s.scorer()
	if err != nil {
		return nil, err
	}
	return s.scoreRow(c.Request.Context(), sc, &row{customer: id}, &a)
}

func (s *Server) postScores(c *gin.Context) (any, error) {
	v, err := s.readJSON(c, s.config.MaxBatchBody)
	if err != nil {
		return nil, err
	}
	now := s.now()
	a := ask{asOf: event.Never, reasons: defaultReasons}
	var in input
	var list []jsontext.Value
	in.object("", v,
		field{"customers", true, in.array(&list)},
		field{"as_of", false, in.time(&a.asOf)},
		field{"reasons", false, in.integer(&a.reasons, 0, maxReasons)},
		field{"recommend", false, in.boolean(&a.recommend)})
	if err := in.fault(brokenBody); err != nil {
		return nil, err
	}
	if a.asOf == event.Never {
		a.asOf, a.now = now, true
	}
	if reason := checkAsOf(a.asOf, now); reason != "" {
		in.add("/as_of", "%s", reason)
		return nil, in.fault(invalid)
	}
	if err := s.checkBatch("/customers", len(list)); err != nil {
		return nil, err
	}
	sc, err := s.scorer()
	if err != nil {
		return nil, err
	}
	ctx := c.Request.Context()
	answer := &scoresAnswer{Model: refOf(sc), Results: make([]any, len(list))}
	parallel(len(list), func(i int) {
		r := readRow(element("/customers", i), list[i])
		score, err := s.scoreRow(ctx, sc, r, &a)
		if err != nil {
			answer.Results[i] = failedRow(r.customer, err)
		} else {
			answer.Results[i] = score
		}
	})
	if err := ctx.Err(); err != nil { // the rows say so one by one, to nobody
		return nil, err
	}
	for _, r := range answer.Results {
		if _, ok := r.(*Score); ok {
			answer.Scored++
		}
	}
	answer.Failed = len(list) - answer.Scored
	return answer, nil
}

// parallel calls fn for 0 to n-1 on a few goroutines.
func parallel(n int, fn func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers == 1 {
		for i := range n {
			fn(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				fn(i)
			}
		})
	}
	wg.Wait()
}

// row is one customer of a request: by id alone, with events, or with
// features.
type row struct {
	at       string
	customer string
	events   []jsontext.Value // nil if not given
	features []member
	byFeats  bool
	err      error
}

func readRow(at string, v jsontext.Value) *row {
	r := &row{at: at}
	var in input
	in.object(at, v,
		field{"customer_id", true, in.id(&r.customer)},
		field{"events", false, in.array(&r.events)},
		field{"features", false, func(at string, v jsontext.Value) { r.features, r.byFeats = in.members(at, v) }})
	if r.events != nil && r.byFeats {
		in.add(at, "give events or features, not both")
	}
	r.err = in.fault(invalid)
	return r
}

// attempt does the work on one customer. A panic is an error of this customer
// alone.
func (s *Server) attempt(sc *model.Scorer, work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
			err = fail(internal, "something went wrong in the server with this customer")
		}
		if err != nil {
			s.metrics.of(sc).failed.Inc()
		}
	}()
	return work()
}

// scoreRow scores one customer.
func (s *Server) scoreRow(ctx context.Context, sc *model.Scorer, r *row, a *ask) (score *Score, err error) {
	err = s.attempt(sc, func() error {
		sub, err := s.subject(ctx, sc, r, a.asOf)
		if err != nil {
			return err
		}
		out := s.score(sc, sub, a.reasons)
		score = out.Score
		if !a.recommend {
			return nil
		}
		if sub.timeline == nil {
			out.Warnings = append(out.Warnings, "no recommendation: it takes the customer's events")
			return nil
		}
		d, err := s.preview(ctx, out, a)
		if err != nil {
			return err
		}
		out.Recommendation = recommendationOf(d)
		return nil
	})
	return score, err
}

// subject finds what is to be scored.
func (s *Server) subject(ctx context.Context, sc *model.Scorer, r *row, asOf event.Time) (*subject, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sub := &subject{customer: r.customer, asOf: asOf}
	switch {
	case r.byFeats:
		return sub, sub.fill(sc.Engine(), r)
	case sc.Engine().OfTable():
		return nil, fail(needsFeatures, "the model was trained on one wide table: give features, by the names of its columns")
	case r.events != nil:
		tl, err := inline(r)
		sub.timeline = tl
		return sub, err
	}
	read := s.store.Timeline
	if s.histories != nil {
		read = s.histories.timeline
	}
	tl, err := read(ctx, r.customer)
	sub.timeline = tl
	return sub, err
}

// inline makes a history of the events in a request. Each was known when it
// happened, unless it says otherwise.
func inline(r *row) (*event.Timeline, error) {
	var in input
	customer := event.Customer{ID: r.customer, SignedUpAt: event.Never, ChurnedAt: event.Never}
	records := make([]*record, len(r.events))
	described := false
	for i, v := range r.events {
		records[i] = newRecord(element(r.at+"/events", i), v, r.customer)
		if c := records[i].customer; c != nil {
			if described {
				in.add(records[i].at, "a second record of the customer")
			}
			customer, described = *c, true
		}
	}
	if err := interpret(records); err != nil {
		return nil, err
	}
	type identity struct {
		id string
		t  event.Type
	}
	seen := map[identity]event.Event{}
	var events []event.Event
	for _, rec := range records {
		in.errors = append(in.errors, rec.errors...)
		for _, e := range rec.events {
			former, repeated := seen[identity{e.ID, e.Type}]
			if repeated && former != e {
				in.add(rec.at, "the event_id is there twice, with different content")
			}
			if !repeated {
				seen[identity{e.ID, e.Type}] = e
				events = append(events, e)
			}
		}
	}
	in.errors = in.errors[:min(len(in.errors), maxFieldErrors)]
	return event.NewTimeline(customer, events), in.fault(invalid)
}

// fill makes a row of given features. Those not given are missing.
func (sub *subject) fill(e *features.Engine, r *row) error {
	var in input
	feats := e.Features()
	sub.row = make([]float32, len(feats))
	for i := range sub.row {
		sub.row[i] = float32(math.NaN())
	}
	columns := map[string]int{} // of a wide table, by the name in the table
	for i, c := range e.Set().Columns {
		columns[c.Name] = i
	}
	texts := map[string]string{}
	for _, m := range r.features {
		at := pointer(r.at+"/features", m.name)
		i, ok := e.Index(m.name)
		if e.OfTable() {
			i, ok = columns[m.name]
		}
		if !ok {
			in.add(at, "the model has no such feature")
			continue
		}
		v, text, reason := featureValue(&feats[i], m.value)
		if reason != "" {
			in.add(at, "%s", reason)
			continue
		}
		sub.row[i], texts[m.name] = v, text
	}
	if e.OfTable() && len(in.errors) == 0 {
		e.Values(sub.row, texts) // the way of a file
	}
	return in.fault(invalid)
}

// featureValue reads a value as a number or category code, and as the text a
// table would have.
func featureValue(f *features.Feature, v jsontext.Value) (x float32, text, reason string) {
	text, reason = scalar(v)
	switch {
	case reason != "":
		return 0, "", reason
	case v.Kind() == '"' && f.Kind == features.Number:
		return 0, "", "must be a number, true, false or null"
	case text == "":
		return float32(math.NaN()), "", ""
	case f.Kind == features.Category:
		for i, l := range f.Levels {
			if l == text {
				return float32(i), text, ""
			}
		}
		return -1, text, ""
	}
	switch v.Kind() {
	case 't':
		return 1, text, ""
	case 'f':
		return 0, text, ""
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsInf(float64(float32(n)), 0) {
		return 0, "", fmt.Sprintf("must be a number of at most %.1e", math.MaxFloat32)
	}
	if n == 0 { // -0, or too small
		return 0, "0", ""
	}
	return float32(n), text, ""
}
