package api

import (
	"math"
	"slices"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
	"churn/outreach"
	"churn/store"
)

type outcomeAnswer struct {
	DecisionID string `json:"decision_id"`
	Event      string `json:"event"`
	Status     string `json:"status"` // stored, duplicate
}

var outcomeEvents = []string{store.OutcomeDelivered, store.OutcomeOpened, store.OutcomeAccepted,
	store.OutcomeChurned, store.OutcomeRetained}

// postOutcome keeps what came of a decision. The time is required, so that
// sending the same again is the same.
func (s *Server) postOutcome(c *gin.Context) (any, error) {
	v, err := s.readJSON(c, s.config.MaxBody)
	if err != nil {
		return nil, err
	}
	o := store.Outcome{At: event.Never}
	var in input
	in.object("", v,
		field{"decision_id", true, in.id(&o.DecisionID)},
		field{"event", true, in.text(&o.Event)},
		field{"at", true, in.time(&o.At)},
		field{"value", false, in.amount(&o.Value)})
	if err := in.fault(brokenBody); err != nil {
		return nil, err
	}
	if !slices.Contains(outcomeEvents, o.Event) {
		in.add("/event", "unknown: use delivered, opened, accepted, churned or retained")
	}
	if o.At > s.now().Add(maxAhead) {
		in.add("/at", "lies in the future: check the time zone")
	}
	if err := in.fault(invalid); err != nil {
		return nil, err
	}
	status, err := s.store.SaveOutcome(c.Request.Context(), o)
	if err != nil {
		return nil, err
	}
	return &outcomeAnswer{o.DecisionID, o.Event, status.String()}, nil
}

// effectsAnswer tells what is known of each action's effect on churn.
type effectsAnswer struct {
	HorizonDays int          `json:"horizon_days"`
	MinMatured  int64        `json:"min_matured"` // needed in both arms
	Since       *event.Time  `json:"since"`
	Until       *event.Time  `json:"until"`
	Actions     []*effect    `json:"actions"`
	Arms        []effectArms `json:"arms"`
}

// effect compares the customers who got an action with those in the holdout
// who would have got it.
type effect struct {
	Action  string     `json:"action"`
	Status  string     `json:"status"`
	Effect  *float64   `json:"effect"` // churn rate of policy minus holdout; below 0 is fewer
	Low     *float64   `json:"low"`    // 95 % interval
	High    *float64   `json:"high"`
	Policy  *effectArm `json:"policy"`
	Holdout *effectArm `json:"holdout"`
}

type effectArm struct {
	Matured   int64    `json:"matured"` // old enough and with a known outcome
	Churned   int64    `json:"churned"`
	ChurnRate *float64 `json:"churn_rate"`
}

// effectArms counts decisions of an action in an arm.
type effectArms struct {
	Action    string         `json:"action"`
	Arm       string         `json:"arm"`
	Decisions int64          `json:"decisions"`
	Customers int64          `json:"customers"`
	Delivered int64          `json:"delivered"`
	Opened    int64          `json:"opened"`
	Accepted  int64          `json:"accepted"`
	Cost      jsontext.Value `json:"cost"`
	Matured   int64          `json:"matured"` // old enough, whether or not the outcome is known
	Churned   int64          `json:"churned"`
	Retained  int64          `json:"retained"`
}

// Statuses of an effect.
const (
	notMeasured  = "not measured" // nobody was left without
	insufficient = "insufficient" // too few outcomes to say
	unadjusted   = "unadjusted"   // a plain difference
)

// minMatured outcomes are needed in both arms.
const minMatured = 100

func (s *Server) getEffects(c *gin.Context) (any, error) {
	q := queryOf(c, "horizon_days", "since", "until")
	days := 0
	if sc := s.live.Scorer(); sc != nil {
		d := sc.Manifest().Definition
		days = int(math.Ceil((d.Gap + d.Horizon).Days()))
	}
	if days = q.integer("horizon_days", days, 1, 3650); days == 0 {
		q.add("horizon_days", "missing: there is no model whose horizon could be taken")
	}
	since, until := q.time("since", event.Time(math.MinInt64)), q.time("until", event.Never)
	if err := q.fault(); err != nil {
		return nil, err
	}
	counts, err := s.store.Effects(c.Request.Context(), store.EffectQuery{Since: since, Until: until,
		Horizon: event.Duration(days) * event.Day, Now: s.now()})
	if err != nil {
		return nil, err
	}
	answer := &effectsAnswer{HorizonDays: days, MinMatured: minMatured, Until: known(until),
		Actions: effects(counts), Arms: make([]effectArms, len(counts))}
	if since != event.Time(math.MinInt64) {
		answer.Since = &since
	}
	for i, n := range counts {
		answer.Arms[i] = effectArms{n.Action, n.Arm, n.Decisions, n.Customers, n.Delivered, n.Opened, n.Accepted,
			number(n.Cost), n.Matured, n.Churned, n.Retained}
	}
	return answer, nil
}

// effects judges each action, in the order of the counts.
func effects(counts []store.EffectCount) []*effect {
	list := []*effect{}
	of := map[string]*effect{}
	for _, n := range counts {
		if n.Action == outreach.Nothing || n.Action == "" {
			continue
		}
		e := of[n.Action]
		if e == nil {
			e = &effect{Action: n.Action, Status: notMeasured}
			of[n.Action] = e
			list = append(list, e)
		}
		arm := &effectArm{Matured: n.Churned + n.Retained, Churned: n.Churned}
		if arm.Matured > 0 {
			arm.ChurnRate = finite(float64(arm.Churned) / float64(arm.Matured))
		}
		switch n.Arm {
		case store.ArmPolicy:
			e.Policy = arm
		case store.ArmHoldout:
			e.Holdout = arm
		}
	}
	for _, e := range list {
		switch {
		case e.Holdout == nil || e.Policy == nil:
		case e.Holdout.Matured < minMatured || e.Policy.Matured < minMatured:
			e.Status = insufficient
		default:
			e.Status = unadjusted
			d, low, high := difference(e.Policy.Churned, e.Policy.Matured, e.Holdout.Churned, e.Holdout.Matured)
			e.Effect, e.Low, e.High = finite(d), finite(low), finite(high)
		}
	}
	return list
}

// difference of two proportions with its 95 % interval, by the hybrid score
// method (Newcombe 1998, method 10).
func difference(x1, n1, x2, n2 int64) (d, low, high float64) {
	p1, l1, u1 := wilson(x1, n1)
	p2, l2, u2 := wilson(x2, n2)
	d = p1 - p2
	return d, d - math.Hypot(p1-l1, u2-p2), d + math.Hypot(u1-p1, p2-l2)
}

// wilson is a proportion with its 95 % score interval (Wilson 1927).
func wilson(x, n int64) (p, low, high float64) {
	const z = 1.959963984540054
	k, m := float64(x), float64(n)
	p = k / m
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return p, centre - half, centre + half
}
