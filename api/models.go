package api

import (
	"errors"
	"strings"

	"github.com/gin-gonic/gin"

	"churn/event"
	"churn/model"
	"churn/model/registry"
	"churn/store"
)

type modelsAnswer struct {
	Serving    *modelRef    `json:"serving"`    // null before the first is loaded
	Challenger *modelRef    `json:"challenger"` // null while none is scored beside it
	Models     []modelEntry `json:"models"`
	Unreadable bool         `json:"unreadable"` // some files are damaged; the log names them
}

type modelEntry struct {
	Name        string             `json:"name"`
	Version     string             `json:"version"`
	Kind        string             `json:"kind"`
	Aliases     []string           `json:"aliases"`
	Serving     bool               `json:"serving"`
	Through     *event.Time        `json:"through"` // end of the data it saw
	Definition  string             `json:"definition"`
	HorizonDays *float64           `json:"horizon_days"`
	Metrics     map[string]float64 `json:"metrics"`
	Gate        model.Gate         `json:"gate"`
	Bytes       int64              `json:"bytes"`
}

func (s *Server) getModels(c *gin.Context) (any, error) {
	if err := queryOf(c).fault(); err != nil {
		return nil, err
	}
	entries, err := s.registry.List()
	if err != nil {
		s.log.Warn("models cannot be read", "request_id", requestID(c), "error", err)
	}
	a := &modelsAnswer{Serving: loaded(s.live.Scorer()), Challenger: loaded(s.shadow.challenger()), Models: []modelEntry{}, Unreadable: err != nil}
	for i := range entries {
		m := &entries[i].Manifest
		e := modelEntry{Name: m.Name, Version: m.Version, Kind: m.Kind, Aliases: entries[i].Aliases,
			Serving: a.Serving != nil && *a.Serving == modelRef{m.Name, m.Version}, Through: known(m.Through),
			Definition: m.Definition.String(), Metrics: m.Metrics, Gate: m.Gate, Bytes: entries[i].Bytes}
		if m.Definition.Horizon > 0 {
			e.HorizonDays = finite(m.Definition.Horizon.Days())
		}
		a.Models = append(a.Models, e)
	}
	return a, nil
}

// loaded names the model behind a scorer, or is nil.
func loaded(sc *model.Scorer) *modelRef {
	if sc == nil {
		return nil
	}
	ref := refOf(sc)
	return &ref
}

// promotionAnswer is a line of the promotion log and what answers after it.
type promotionAnswer struct {
	Promotion registry.Promotion `json:"promotion"`
	Serving   *modelRef          `json:"serving"`
}

func (s *Server) promote(c *gin.Context) (any, error) {
	version, err := pathParam(c, "version")
	if err != nil {
		return nil, err
	}
	if !model.VersionPattern.MatchString(version) && !model.NamePattern.MatchString(version) { // an alias
		return nil, fail(notFound, "there is no such model version")
	}
	change, err := s.change(c, true)
	if err != nil {
		return nil, err
	}
	p, err := s.registry.Promote(s.live.Name(), registry.Champion, version, change)
	if err != nil {
		return nil, s.gateFault(version, err)
	}
	return s.promoted(c, p)
}

func (s *Server) rollback(c *gin.Context) (any, error) {
	change, err := s.change(c, false)
	if err != nil {
		return nil, err
	}
	p, err := s.registry.Rollback(s.live.Name(), registry.Champion, change)
	if err != nil {
		return nil, err
	}
	return s.promoted(c, p)
}

// change reads who changes an alias and why.
func (s *Server) change(c *gin.Context, forcible bool) (registry.Change, error) {
	change := registry.Change{At: s.now()}
	v, err := s.readJSON(c, s.config.MaxBody)
	if err != nil {
		return change, err
	}
	var in input
	fields := []field{{"reason", true, in.text(&change.Reason)}, {"actor", false, in.id(&change.Actor)}}
	if forcible {
		fields = append(fields, field{"force", false, in.boolean(&change.Force)})
	}
	in.object("", v, fields...)
	if err := in.fault(brokenBody); err != nil {
		return change, err
	}
	if strings.TrimSpace(change.Reason) == "" {
		in.add("/reason", "empty: say why, for those who read the log later")
	} else if reason := idProblem(strings.TrimSpace(change.Reason)); reason != "" {
		in.add("/reason", "%s", reason)
	}
	if change.Actor == "" {
		change.Actor = "api"
	}
	if key := c.GetString(keyIDKey); key != "" { // the actor is a claim, the key is not
		change.Actor += " (key " + key + ")"
	}
	return change, in.fault(invalid)
}

// gateFault tells the reasons of a gate one by one.
func (s *Server) gateFault(version string, err error) error {
	if !errors.Is(err, registry.ErrGate) {
		return err
	}
	f := &fault{kind: gateRefused, detail: "the model did not pass its gate; force it with a reason if you know better", cause: err}
	m, err := s.registry.Get(s.live.Name(), version)
	if err != nil {
		return err
	}
	for _, r := range m.Manifest.Gate.Reasons {
		f.errors = append(f.errors, FieldError{"", r})
	}
	return f
}

// promoted loads what was promoted and keeps a copy of the log.
func (s *Server) promoted(c *gin.Context, p registry.Promotion) (any, error) {
	if _, err := s.live.Reload(); err != nil {
		return nil, &fault{kind: busy, detail: "the promotion is in the log, but the model could not be loaded yet; the former one still answers", cause: err}
	}
	log, err := s.registry.Promotions(p.Name)
	if err == nil {
		entries := make([]store.Promotion, len(log))
		for i, e := range log {
			entries[i] = store.Promotion{Seq: int64(e.Seq), At: e.At, Actor: e.Actor, Alias: e.Alias, Name: e.Name,
				From: e.From, To: e.To, Reason: e.Reason}
		}
		_, err = s.store.SyncPromotions(c.Request.Context(), entries)
	}
	if err != nil { // the registry's own log is the truth
		s.log.Warn("promotion log was not copied to the store", "request_id", requestID(c), "error", err)
		s.metrics.storeError(err)
	}
	s.log.Info("model changed", "request_id", requestID(c), "alias", p.Alias, "from", p.From, "to", p.To, "actor", p.Actor)
	return &promotionAnswer{p, loaded(s.live.Scorer())}, nil
}
