package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
	"churn/model"
	"churn/outreach"
	"churn/store"
)

// recommendation is what a score says of a decision. It is a preview: only
// POST /v1/recommendations keeps decisions.
type recommendation struct {
	DecisionID       string       `json:"decision_id"`
	Action           string       `json:"action"`
	Channel          *string      `json:"channel"`
	Arm              outreach.Arm `json:"arm"`
	Propensity       float64      `json:"propensity"`
	ExpectedNetValue float64      `json:"expected_net_value"`
	Basis            string       `json:"basis"`
}

func recommendationOf(d *outreach.Decision) *recommendation {
	r := &recommendation{DecisionID: d.ID, Action: d.Action, Arm: d.Arm, Propensity: d.Propensity,
		ExpectedNetValue: d.ExpectedNetValue, Basis: d.Basis}
	if d.Channel != "" {
		r.Channel = &d.Channel
	}
	return r
}

// recommendationsAnswer has one result a customer: a *recommended or a
// rowFailure.
type recommendationsAnswer struct {
	Model   modelRef `json:"model"`
	DryRun  bool     `json:"dry_run"`
	Decided int      `json:"decided"`
	Failed  int      `json:"failed"`
	Results []any    `json:"results"`
}

type recommended struct {
	CustomerID string             `json:"customer_id"`
	Status     string             `json:"status"` // stored, duplicate (decided today already), refused (erased), dry_run
	Decision   *outreach.Decision `json:"decision"`
	Score      *Score             `json:"score"`
}

func (s *Server) postRecommendations(c *gin.Context) (any, error) {
	v, err := s.readJSON(c, s.config.MaxBatchBody)
	if err != nil {
		return nil, err
	}
	now := s.now()
	a := ask{asOf: event.Never, reasons: defaultReasons}
	var in input
	var list []jsontext.Value
	var dry, ranked bool
	in.object("", v,
		field{"customer_ids", true, in.array(&list)},
		field{"as_of", false, in.time(&a.asOf)},
		field{"reasons", false, in.integer(&a.reasons, 0, maxReasons)},
		field{"dry_run", false, in.boolean(&dry)},
		field{"ranked", false, in.boolean(&ranked)})
	if err := in.fault(brokenBody); err != nil {
		return nil, err
	}
	if a.asOf == event.Never {
		a.asOf, a.now = now, true
	}
	ids := make([]string, len(list))
	for i := range list {
		in.id(&ids[i])(element("/customer_ids", i), list[i])
	}
	if reason := checkAsOf(a.asOf, now); reason != "" {
		in.add("/as_of", "%s", reason)
	}
	if err := in.fault(invalid); err != nil {
		return nil, err
	}
	if err := s.checkBatch("/customer_ids", len(ids)); err != nil {
		return nil, err
	}
	return s.recommend(c.Request.Context(), ids, &a, dry, ranked)
}

func (s *Server) recommend(ctx context.Context, ids []string, a *ask, dry, ranked bool) (any, error) {
	sc, err := s.scorer()
	if err != nil {
		return nil, err
	}
	if sc.Engine().OfTable() {
		return nil, fail(needsFeatures, "the model was trained on one wide table, which has no events to decide by")
	}
	scores, failures := make([]*scored, len(ids)), make([]error, len(ids))
	parallel(len(ids), func(i int) { scores[i], failures[i] = s.scoreStored(ctx, sc, ids[i], a) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !dry {
		s.deciding.Lock()
		defer s.deciding.Unlock()
	}
	used, err := s.usedCapacity(ctx, a.asOf)
	if err != nil {
		return nil, err
	}
	answer := &recommendationsAnswer{Model: refOf(sc), DryRun: dry, Results: make([]any, len(ids))}
	var done []*recommended
	var failed []any
	for i, id := range ids {
		if failures[i] != nil {
			answer.Results[i] = failedRow(id, failures[i])
			failed = append(failed, answer.Results[i])
			continue
		}
		d, former, err := s.decide(ctx, scores[i], a, used)
		if err != nil {
			return nil, err
		}
		r := &recommended{CustomerID: id, Status: "dry_run", Decision: d, Score: scores[i].Score}
		if former {
			r.Status = event.Duplicate.String()
		} else {
			used[d.Action]++
		}
		answer.Results[i] = r
		done = append(done, r)
	}
	if !dry {
		if err := s.keepDecisions(ctx, done, scores); err != nil {
			return nil, err
		}
	}
	answer.Decided, answer.Failed = len(done), len(failed)
	if ranked {
		slices.SortStableFunc(done, func(a, b *recommended) int { // as outreach.Rank
			return cmp.Or(cmp.Compare(b.Decision.ExpectedNetValue, a.Decision.ExpectedNetValue), cmp.Compare(a.CustomerID, b.CustomerID))
		})
		answer.Results = answer.Results[:0]
		for _, r := range done {
			answer.Results = append(answer.Results, r)
		}
		answer.Results = append(answer.Results, failed...)
	}
	return answer, nil
}

// scoreStored is scoreRow for decisions.
func (s *Server) scoreStored(ctx context.Context, sc *model.Scorer, id string, a *ask) (out *scored, err error) {
	err = s.attempt(sc, func() error {
		sub, err := s.subject(ctx, sc, &row{customer: id}, a.asOf)
		if err == nil {
			out = s.score(sc, sub, a.reasons)
		}
		return err
	})
	return out, err
}

// preview decides without keeping the decision.
func (s *Server) preview(ctx context.Context, sc *scored, a *ask) (*outreach.Decision, error) {
	used, err := s.usedCapacity(ctx, a.asOf)
	if err != nil {
		return nil, err
	}
	d, _, err := s.decide(ctx, sc, a, used)
	return d, err
}

// memory is how long earlier decisions matter: the longest cool-down a
// playbook may have.
const memory = 3650 * event.Day

// decide decides about a scored customer. A customer about whom the same
// policy and model decided on the same day keeps that decision: former.
func (s *Server) decide(ctx context.Context, sc *scored, a *ask, used map[string]int) (d *outreach.Decision, former bool, err error) {
	kept, err := s.store.Decisions(ctx, sc.CustomerID, a.asOf.Add(-memory))
	if err != nil {
		return nil, false, err
	}
	candidate := s.candidate(sc, a)
	for i := range kept {
		if kept[i].At <= a.asOf && kept[i].Action != outreach.Nothing {
			candidate.Earlier = append(candidate.Earlier, outreach.Contact{At: kept[i].At, Action: kept[i].Action, Channel: kept[i].Channel})
		}
	}
	for i := range s.policy.Playbook.Actions {
		if p := &s.policy.Playbook.Actions[i]; p.CapacityDay > 0 && used[p.ID] >= p.CapacityDay {
			candidate.Exhausted = append(candidate.Exhausted, p.ID)
		}
	}
	decision := s.recommender.Decide(candidate)
	i := slices.IndexFunc(kept, func(k store.Decision) bool { return k.ID == decision.ID })
	if i < 0 {
		return &decision, false, nil
	}
	earlier, err := unlogged(&kept[i])
	return earlier, true, err
}

// unlogged is logged undone.
func unlogged(k *store.Decision) (*outreach.Decision, error) {
	if k.Body == "" { // kept by another program
		return &outreach.Decision{ID: k.ID, Customer: k.CustomerID, At: k.At, Action: k.Action, Channel: k.Channel,
			Arm: outreach.Arm(k.Arm), Ghost: k.GhostAction, Propensity: k.Propensity,
			ExpectedNetValue: k.ExpectedNetValue.Float(), ExpectedCost: k.Cost.Float(), Basis: k.Basis, Policy: k.Playbook, Model: k.Version}, nil
	}
	d := new(outreach.Decision)
	if err := json.Unmarshal([]byte(k.Body), d); err != nil {
		return nil, fmt.Errorf("decision %s in the log: %w", k.ID, err)
	}
	return d, nil
}

// Attributes of a customer that speak to outreach. Facts that only the caller
// can know, such as on_discount, are taken from attributes of their names.
const (
	householdAttribute  = "household_id"
	noContactAttribute  = "do_not_contact"      // true or false
	suppressedAttribute = "suppressed_channels" // separated by ;
)

func (s *Server) candidate(sc *scored, a *ask) outreach.Candidate {
	tl := sc.subject.timeline
	now := s.now() + 1 // what came this instant counts
	c := outreach.Candidate{
		Customer: tl.Customer, Household: tl.Attribute(householdAttribute, now), At: a.asOf,
		Risk: sc.risk, HorizonDays: sc.horizon, Model: sc.Model.Version,
		Facts:    outreach.FactsOf(tl, a.asOf, s.config.Absent...),
		Value:    s.policy.Economics.Value(tl, a.asOf, sc.risk, sc.horizon),
		Contacts: tl.Contacts,
	}
	// Attributes are asked for as of now, since those of the customers table tell
	// nothing of the past. But who is not to be contacted is not, whatever is
	// asked.
	if text := tl.Attribute(noContactAttribute, now); text != "" {
		no, err := strconv.ParseBool(strings.ToLower(text))
		c.DoNotContact = no || err != nil
	}
	if text := tl.Attribute(suppressedAttribute, now); text != "" {
		for _, channel := range strings.Split(text, ";") {
			c.Suppressed = append(c.Suppressed, strings.TrimSpace(channel))
		}
	}
	if a.now {
		for _, name := range outreach.FactNames() {
			if text := tl.Attribute(name, now); text != "" && !c.Facts.Known(name) {
				if err := c.Facts.SetText(name, text); err != nil {
					sc.Warnings = append(sc.Warnings, "attribute "+name+" was not used: "+err.Error())
				}
			}
		}
	}
	return c
}

// usedCapacity counts how often each action was decided on the day (UTC) of t.
func (s *Server) usedCapacity(ctx context.Context, t event.Time) (map[string]int, error) {
	used := map[string]int{}
	if !s.capacities {
		return used, nil
	}
	from := event.FromTime(t.Time().Truncate(24 * time.Hour))
	kept, err := s.store.Decisions(ctx, "", from)
	if err != nil {
		return nil, err
	}
	for i := range kept {
		if kept[i].At < from.Add(event.Day) {
			used[kept[i].Action]++
		}
	}
	return used, nil
}

// keepDecisions logs the new ones. They count only once they are kept.
func (s *Server) keepDecisions(ctx context.Context, done []*recommended, scores []*scored) error {
	of := map[string]*scored{}
	for _, sc := range scores {
		if sc != nil {
			of[sc.CustomerID] = sc
		}
	}
	var fresh []*recommended
	var log []store.Decision
	for _, r := range done {
		if r.Status == event.Duplicate.String() {
			continue
		}
		d, err := logged(r.Decision, of[r.CustomerID])
		if err != nil {
			return err
		}
		fresh, log = append(fresh, r), append(log, d)
	}
	if len(log) == 0 {
		return nil
	}
	results, err := s.store.SaveDecisions(ctx, log)
	if err != nil {
		return err
	}
	for i, r := range fresh {
		r.Status = results[i].Status.String()
		if results[i].Status == event.Stored {
			s.metrics.decided(r.Decision)
		}
	}
	return nil
}

// logged is a decision as the store keeps it.
func logged(d *outreach.Decision, sc *scored) (store.Decision, error) {
	body, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return store.Decision{}, fmt.Errorf("decision: %w", err)
	}
	risk := sc.risk
	if math.IsNaN(risk) { // has left, or nothing is known: what the score says
		risk = sc.ChurnProbability
	}
	return store.Decision{
		ID: d.ID, CustomerID: d.Customer, At: d.At, Action: d.Action, Channel: d.Channel, Arm: string(d.Arm),
		GhostAction: d.Ghost, Propensity: d.Propensity, Risk: risk,
		ResidualValue: money(d.Value.Residual), ExpectedNetValue: money(d.ExpectedNetValue), Cost: money(d.ExpectedCost),
		Basis: d.Basis, Model: sc.Model.Name, Version: sc.Model.Version, Playbook: d.Policy, Body: string(body),
	}, nil
}

// money bounds what a column takes; the body has the number as it was.
func money(v float64) event.Amount {
	limit := event.MaxAmount.Float()
	a, err := event.FromFloat(min(max(v, -limit), limit))
	if err != nil { // NaN does not come out of a decision
		return 0
	}
	return a
}
