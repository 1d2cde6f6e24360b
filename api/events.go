package api

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
	"churn/store"
)

// eventsAnswer says what became of each record, in order.
type eventsAnswer struct {
	Counts  eventCounts    `json:"counts"`
	Results []recordResult `json:"results"`
}

type eventCounts struct {
	Stored    int `json:"stored"`
	Duplicate int `json:"duplicate"`
	Conflict  int `json:"conflict"`
	Refused   int `json:"refused"`
	Invalid   int `json:"invalid"`
}

type recordResult struct {
	Status  string       `json:"status"`
	EventID string       `json:"event_id,omitzero"` // given, or derived from the content
	Errors  []FieldError `json:"errors,omitzero"`
}

const statusInvalid = "invalid"

// postEvents stores records. It answers once the good ones are committed; bad
// ones are told and do not keep the others from being stored.
func (s *Server) postEvents(c *gin.Context) (any, error) {
	body, mediaType, err := s.readBody(c, s.config.MaxBatchBody, "application/json", "application/x-ndjson")
	if err != nil {
		return nil, err
	}
	split := s.recordsOf
	if mediaType == "application/x-ndjson" {
		split = s.linesOf
	}
	records, err := split(body)
	if err != nil {
		return nil, err
	}
	if err := interpret(records); err != nil {
		return nil, err
	}
	now := s.now()
	for _, r := range records {
		r.receive(now)
	}
	statuses, differs, err := s.keep(c.Request.Context(), records)
	if err != nil {
		return nil, err
	}
	answer := &eventsAnswer{Results: make([]recordResult, len(records))}
	for i, r := range records {
		answer.Results[i] = r.result(statuses[r], differs[r])
		answer.count(answer.Results[i].Status)
		s.metrics.events.WithLabelValues(answer.Results[i].Status).Inc()
		if len(r.events) > 0 && answer.Results[i].Status == event.Stored.String() {
			for _, e := range r.events {
				s.metrics.eventLag.Observe(max(0, float64(now.Sub(e.At))/float64(event.Second)))
			}
		}
	}
	return answer, nil
}

// recordsOf splits a body {"events": [...]}.
func (s *Server) recordsOf(body []byte) ([]*record, error) {
	v, err := parse(body, s.config.MaxDepth)
	if err != nil {
		return nil, err
	}
	var in input
	var list []jsontext.Value
	in.object("", v, field{"events", true, in.array(&list)})
	if err := in.fault(brokenBody); err != nil {
		return nil, err
	}
	if err := s.checkBatch("/events", len(list)); err != nil {
		return nil, err
	}
	records := make([]*record, len(list))
	for i, v := range list {
		records[i] = newRecord(element("/events", i), v, "")
	}
	return records, nil
}

// linesOf splits a body with a record a line. A line that is not JSON is a bad
// record, unless all are.
func (s *Server) linesOf(body []byte) ([]*record, error) {
	var records []*record
	var first error
	good := 0
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		at := element("", len(records))
		v, err := parse(line, s.config.MaxDepth)
		if err != nil {
			if first == nil {
				first = err
			}
			records = append(records, &record{at: at, errors: []FieldError{{at, err.Error()}}})
			continue
		}
		good++
		records = append(records, newRecord(at, v, ""))
	}
	if good == 0 && first != nil {
		return nil, first
	}
	return records, s.checkBatch("", len(records))
}

// checkBatch refuses batches that are empty or too large.
func (s *Server) checkBatch(at string, items int) error {
	if items == 0 {
		return &fault{kind: invalid, detail: "there is nothing in the batch", errors: []FieldError{{at, "empty"}}}
	}
	if items > s.config.MaxBatch {
		return &fault{kind: tooLarge, detail: fmt.Sprintf("%d items, more than %d", items, s.config.MaxBatch),
			errors: []FieldError{{at, fmt.Sprintf("more than %d items", s.config.MaxBatch)}}}
	}
	return nil
}

// keep hands the good records to the store. A record of several phases has
// the status that asks for most attention.
func (s *Server) keep(ctx context.Context, records []*record) (map[*record]event.Status, map[*record][]string, error) {
	var customers []event.Customer
	var events []event.Event
	var ofCustomer, ofEvent []*record
	for _, r := range records {
		if len(r.errors) > 0 {
			continue
		}
		if r.customer != nil {
			customers = append(customers, *r.customer)
			ofCustomer = append(ofCustomer, r)
		}
		for _, e := range r.events {
			events = append(events, e)
			ofEvent = append(ofEvent, r)
		}
	}
	statuses, differs := map[*record]event.Status{}, map[*record][]string{}
	note := func(of []*record, results []store.Result) {
		for i, result := range results {
			r := of[i]
			if former, ok := statuses[r]; !ok || rank(result.Status) > rank(former) {
				statuses[r] = result.Status
			}
			differs[r] = append(differs[r], result.Differs...)
		}
	}
	if len(customers) > 0 {
		results, err := s.store.PutCustomers(ctx, customers)
		s.histories.described(customers, results, err)
		if err != nil {
			return nil, nil, err
		}
		note(ofCustomer, results)
	}
	if len(events) > 0 {
		results, err := s.store.Append(ctx, events)
		s.histories.stored(events, results, err)
		if err != nil {
			return nil, nil, err
		}
		note(ofEvent, results)
	}
	return statuses, differs, nil
}

func rank(s event.Status) int {
	switch s {
	case event.Duplicate:
		return 0
	case event.Stored:
		return 1
	case event.Refused:
		return 2
	}
	return 3 // event.Conflict
}

// result is what is said of a record.
func (r *record) result(status event.Status, differs []string) recordResult {
	if len(r.errors) > 0 {
		return recordResult{Status: statusInvalid, Errors: r.errors}
	}
	result := recordResult{Status: status.String()}
	if len(r.events) > 0 {
		result.EventID = r.events[0].ID
	}
	switch status {
	case event.Conflict:
		reason := "there already with another " + strings.Join(differs, ", ")
		if r.customer != nil {
			reason = "contradicts what is known: " + strings.Join(differs, ", ")
		}
		result.Errors = []FieldError{{r.at, reason}}
	case event.Refused:
		result.Errors = []FieldError{{r.at, "the customer was erased"}}
	}
	return result
}

func (a *eventsAnswer) count(status string) {
	switch status {
	case statusInvalid:
		a.Counts.Invalid++
	case event.Stored.String():
		a.Counts.Stored++
	case event.Duplicate.String():
		a.Counts.Duplicate++
	case event.Conflict.String():
		a.Counts.Conflict++
	case event.Refused.String():
		a.Counts.Refused++
	}
}
