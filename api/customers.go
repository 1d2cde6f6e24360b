package api

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
)

// customerAnswer is what is known of a customer.
type customerAnswer struct {
	CustomerID  string            `json:"customer_id"`
	SignedUpAt  *event.Time       `json:"signed_up_at"`
	ChurnedAt   *event.Time       `json:"churned_at"`
	ChurnReason *string           `json:"churn_reason"`
	Attributes  map[string]string `json:"attributes"`
	Consent     *[]string         `json:"consent"` // null is unknown, empty is consent to nothing
	Counts      streamCounts      `json:"counts"`
	Freshness   freshness         `json:"freshness"`
}

// streamCounts counts what there is; a complaint or payment counts once,
// however many phases it has.
type streamCounts struct {
	Engagement int `json:"engagement"`
	Complaints int `json:"complaints"`
	Payments   int `json:"payments"`
	Contacts   int `json:"contacts"`
	Attributes int `json:"attributes"` // changes of them
}

func (s *Server) getCustomer(c *gin.Context) (any, error) {
	id, err := pathParam(c, "id")
	if err != nil {
		return nil, err
	}
	if err := queryOf(c).fault(); err != nil {
		return nil, err
	}
	tl, err := s.store.Timeline(c.Request.Context(), id)
	if err != nil {
		return nil, err
	}
	k := &tl.Customer
	a := &customerAnswer{CustomerID: k.ID, SignedUpAt: known(k.SignedUpAt), ChurnedAt: known(k.ChurnedAt),
		Attributes: k.Attributes,
		Counts:     streamCounts{len(tl.Engagements), len(tl.Complaints), len(tl.Payments), len(tl.Contacts), len(tl.Changes)},
		Freshness:  visible{tl, s.now()}.freshness()}
	if k.ChurnReason != "" {
		a.ChurnReason = &k.ChurnReason
	}
	if k.Consent != nil {
		a.Consent = &k.Consent
	}
	return a, nil
}

func (s *Server) deleteCustomer(c *gin.Context) (any, error) {
	id, err := pathParam(c, "id")
	if err != nil {
		return nil, err
	}
	if err := queryOf(c).fault(); err != nil {
		return nil, err
	}
	err = s.store.DeleteCustomer(c.Request.Context(), id)
	s.histories.forget(id)
	return nil, err
}

// timelineAnswer is a page of a customer's events, newest first.
type timelineAnswer struct {
	CustomerID string          `json:"customer_id"`
	Events     []timelineEvent `json:"events"`
	NextCursor *string         `json:"next_cursor"` // null at the end
}

// timelineEvent is one phase of something that happened.
type timelineEvent struct {
	Type       string          `json:"type"`
	EventID    string          `json:"event_id"`
	OccurredAt event.Time      `json:"occurred_at"`
	RecordedAt event.Time      `json:"recorded_at"`
	Kind       *string         `json:"kind"`
	Channel    *string         `json:"channel"`
	Value      *jsontext.Value `json:"value"`
	Arm        *string         `json:"arm"`
	Outcome    *string         `json:"outcome"`
	Text       *string         `json:"text"` // what an attribute was set to; empty: withdrawn
}

const (
	defaultPage = 100
	maxPage     = 1000
)

func (s *Server) getTimeline(c *gin.Context) (any, error) {
	id, err := pathParam(c, "id")
	if err != nil {
		return nil, err
	}
	q := queryOf(c, "limit", "cursor")
	limit := q.integer("limit", defaultPage, 1, maxPage)
	var from *cursor
	if text := q.text("cursor"); text != "" {
		if from = parseCursor(text); from == nil {
			q.add("cursor", "not a cursor of this server: use next_cursor of the page before")
		}
	}
	if err := q.fault(); err != nil {
		return nil, err
	}
	ctx := c.Request.Context()
	if _, err := s.store.Customer(ctx, id); err != nil {
		return nil, err
	}
	events, err := s.store.Events(ctx, id)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(events, func(a, b event.Event) int { return cursorOf(&b).compare(cursorOf(&a)) })
	if from != nil {
		i, _ := slices.BinarySearchFunc(events, from, func(e event.Event, from *cursor) int { return from.compare(cursorOf(&e)) })
		for i < len(events) && cursorOf(&events[i]).compare(from) >= 0 {
			i++
		}
		events = events[i:]
	}
	a := &timelineAnswer{CustomerID: id, Events: []timelineEvent{}}
	if len(events) > limit {
		events = events[:limit]
		next := cursorOf(&events[limit-1]).String()
		a.NextCursor = &next
		c.Header("Link", `<?limit=`+strconv.Itoa(limit)+`&cursor=`+url.QueryEscape(next)+`>; rel="next"`)
	}
	for i := range events {
		a.Events = append(a.Events, shown(&events[i]))
	}
	return a, nil
}

func shown(e *event.Event) timelineEvent {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	t := timelineEvent{Type: e.Type.String(), EventID: e.ID, OccurredAt: e.At, RecordedAt: e.Recorded,
		Kind: text(e.Kind), Channel: text(e.Channel), Arm: text(e.Arm)}
	if e.Type == event.AttributeSet {
		t.Text = &e.Outcome
	} else {
		t.Outcome = text(e.Outcome)
	}
	if e.HasValue {
		v := number(e.Value)
		t.Value = &v
	}
	return t
}

// cursor is the key of the last event of a page. Pages stay right when events
// are added meanwhile.
type cursor struct {
	At   event.Time `json:"a"`
	ID   string     `json:"i"`
	Type uint8      `json:"t"`
}

func cursorOf(e *event.Event) *cursor { return &cursor{e.At, e.ID, uint8(e.Type)} }

func (k *cursor) compare(l *cursor) int {
	return cmp.Or(cmp.Compare(k.At, l.At), cmp.Compare(k.ID, l.ID), cmp.Compare(k.Type, l.Type))
}

// String is the cursor as callers see it: a text to send back.
func (k *cursor) String() string {
	b, err := json.Marshal(k)
	if err != nil { // event ids are valid UTF-8
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor returns nil for what String did not write.
func parseCursor(text string) *cursor {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	k := new(cursor)
	if err := json.Unmarshal(b, k, json.RejectUnknownMembers(true)); err != nil || k.At == event.Never {
		return nil
	}
	if back, err := json.Marshal(k); err != nil || !bytes.Equal(back, b) {
		return nil
	}
	return k
}
