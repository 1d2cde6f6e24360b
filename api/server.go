// Package api answers over HTTP: scores with reasons, events, customers,
// recommendations and their outcomes, and the models in use. It is the only
// package that knows HTTP.
//
// The steps are
//
//  1. [NewMetrics] makes the metrics, whose OnCommit the store takes;
//  2. [New] takes a [Config] and what to work with ([Deps]);
//  3. [Config.CheckListen] says whether an address may be listened on;
//  4. [Server.Serve] answers until its context ends, then drains; or
//     [Server.Handler] goes into a server of another make.
//
// # What holds for every endpoint
//
// A body is strict JSON: unknown fields, duplicate names, text of another
// case, NaN, and anything after the value are errors. An error is a problem
// (RFC 9457) that names all fields at fault by JSON pointer and echoes no
// value. A number that is not known is null, never 0. A write is answered
// after it is committed, and may be sent again. In a batch one bad item has an
// error of its own and the rest is done. A request is answered by exactly one
// version of the model, which the answer names. A challenger, if there is one,
// is scored after it on the same history, and only counted.
//
// Windows and visibility follow the interval rule of package event.
//
// # What it leaves out
//
// TLS and compression are a proxy's. The package reads no clock of its own,
// loads no files but the models of its registry, and keeps no state but that
// of rate limits, of what waits for the challenger, and histories that the
// store has.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"churn/event"
	"churn/model/registry"
	"churn/outreach"
	"churn/store"
)

// Store is what the server needs of package store.
type Store interface {
	Recorder
	Histories
	Ledger
	EffectCounter
	PromotionLog
	Stats() store.Stats
}

// Recorder keeps and erases what happened.
type Recorder interface {
	Append(ctx context.Context, events []event.Event) ([]store.Result, error)
	PutCustomers(ctx context.Context, customers []event.Customer) ([]store.Result, error)
	DeleteCustomer(ctx context.Context, id string) error
}

// Histories reads what happened to one customer.
type Histories interface {
	Customer(ctx context.Context, id string) (event.Customer, error)
	Events(ctx context.Context, customerID string) ([]event.Event, error)
	Timeline(ctx context.Context, customerID string) (*event.Timeline, error)
	// History is Timeline with the events that the history was made of.
	History(ctx context.Context, customerID string) (*event.Timeline, []event.Event, error)
	// ForeignWrites grows when another process has written.
	ForeignWrites(ctx context.Context) (uint64, error)
}

// Ledger keeps decisions and what came of them.
type Ledger interface {
	SaveDecisions(ctx context.Context, decisions []store.Decision) ([]store.Result, error)
	Decisions(ctx context.Context, customerID string, since event.Time) ([]store.Decision, error)
	SaveOutcome(ctx context.Context, o store.Outcome) (event.Status, error)
}

// EffectCounter counts decisions and outcomes.
type EffectCounter interface {
	Effects(ctx context.Context, q store.EffectQuery) ([]store.EffectCount, error)
}

// PromotionLog keeps a copy of the registry's log.
type PromotionLog interface {
	SyncPromotions(ctx context.Context, promotions []store.Promotion) (added int, err error)
}

// Server answers requests. Make one with New.
type Server struct {
	config      Config
	store       Store
	registry    *registry.Registry
	live        *registry.Live
	policy      outreach.Policy
	recommender *outreach.Recommender
	capacities  bool // whether any action has a capacity
	now         func() event.Time
	log         *slog.Logger
	metrics     *Metrics
	shadow      *shadow
	histories   *histories // nil: each is read from the store

	engine   *gin.Engine
	limits   *limiter
	draining atomic.Bool
	started  event.Time
	requests atomic.Uint64
	// deciding is held from reading a customer's decisions to keeping the next
	// one, so that caps and capacities hold between requests.
	deciding sync.Mutex
	docs     []byte
	docsCSP  string
}

// New checks the configuration and prepares a server. It does not listen.
func New(config Config, deps Deps) (*Server, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	if deps.Store == nil || deps.Registry == nil || deps.Live == nil || deps.Now == nil {
		return nil, errors.New("api: store, registry, live model and clock are required")
	}
	recommender, err := outreach.New(deps.Policy)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s := &Server{config: config, store: deps.Store, registry: deps.Registry, live: deps.Live, policy: deps.Policy,
		recommender: recommender, now: deps.Now, log: deps.Logger, metrics: deps.Metrics, started: deps.Now()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.metrics == nil {
		s.metrics = NewMetrics()
	}
	if config.Cache > 0 {
		s.histories = newHistories(s.store, config.Cache, s.metrics)
	}
	s.shadow = newShadow(deps.Challenger, config.ShadowShare, s.metrics, s.panicked)
	for i := range s.policy.Playbook.Actions {
		s.capacities = s.capacities || s.policy.Playbook.Actions[i].CapacityDay > 0
	}
	if err := s.metrics.registry.Register(state{s}); err != nil {
		return nil, fmt.Errorf("api: metrics of another server: %w", err)
	}
	s.limits = newLimiter(config.RatePerKey, deps.Now)
	if err := s.renderDocs(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s.route()
	return s, nil
}

// handler answers a request with a value for JSON (nil is no content), or an
// error.
type handler func(c *gin.Context) (any, error)

// endpoint is a line of the table of routes. An empty scope is open to all.
type endpoint struct {
	method, path string
	scope        Scope
	handle       handler
	raw          gin.HandlerFunc // instead of handle, where the answer is not JSON
}

func (s *Server) endpoints() []endpoint {
	scrape := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)})
	return []endpoint{
		{"POST", "/v1/scores", Read, s.postScores, nil},
		{"GET", "/v1/customers/:id/score", Read, s.getScore, nil},
		{"POST", "/v1/events", Write, s.postEvents, nil},
		{"GET", "/v1/customers/:id", Read, s.getCustomer, nil},
		{"DELETE", "/v1/customers/:id", Admin, s.deleteCustomer, nil},
		{"GET", "/v1/customers/:id/timeline", Read, s.getTimeline, nil},
		{"POST", "/v1/recommendations", Write, s.postRecommendations, nil},
		{"POST", "/v1/outcomes", Write, s.postOutcome, nil},
		{"GET", "/v1/effects", Read, s.getEffects, nil},
		{"GET", "/v1/models", Read, s.getModels, nil},
		{"POST", "/v1/models/:version/promote", Admin, s.promote, nil},
		{"POST", "/v1/models/rollback", Admin, s.rollback, nil},
		{"GET", "/metrics", Read, nil, gin.WrapH(scrape)},
		{"GET", "/openapi.json", "", nil, s.getOpenAPI},
		{"GET", "/docs", "", nil, s.getDocs},
		{"GET", "/livez", "", s.livez, nil},
		{"GET", "/readyz", "", nil, s.readyz},
	}
}

// Otherwise gin prints its routes.
func init() { gin.SetMode(gin.ReleaseMode) }

func (s *Server) route() {
	e := gin.New()
	e.SetTrustedProxies(nil)
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	// Match the path as it was sent, so that an id may hold %2F; pathParam
	// unescapes. (gin's own unescaping would turn + into a space.)
	e.UseEscapedPath = true
	e.UnescapePathValues = false
	e.Use(s.observe, s.recovery, s.guard)
	e.NoRoute(func(c *gin.Context) { s.refuse(c, fail(notFound, "there is no such endpoint: see /docs")) })
	e.NoMethod(func(c *gin.Context) {
		s.refuse(c, fail(noMethod, "use one of the methods in the Allow header"))
	})
	for _, p := range s.endpoints() {
		answer := p.raw
		if answer == nil {
			answer = s.answer(p.handle)
		}
		e.Handle(p.method, p.path, s.authorize(p.scope), answer)
	}
	s.engine = e
}

// answer runs a handler within the time a request may take.
func (s *Server) answer(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), s.config.RequestTimeout)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		v, err := h(c)
		switch {
		case err != nil:
			s.refuse(c, err)
		case v == nil:
			c.Status(http.StatusNoContent)
		default:
			s.write(c, http.StatusOK, "application/json", v)
		}
	}
}

// write encodes before anything is sent, so that a value that cannot be
// encoded is not half an answer.
func (s *Server) write(c *gin.Context, status int, contentType string, v any) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		s.log.Error("answer cannot be encoded", "request_id", requestID(c), "route", routeOf(c), "error", err)
		status, contentType = http.StatusInternalServerError, "application/problem+json"
		b = fmt.Appendf(nil, `{"type":%q,"title":%q,"status":500,"detail":"the answer could not be encoded","request_id":%q}`,
			typeURI(internal), internal.title, requestID(c))
	}
	c.Header("Content-Length", strconv.Itoa(len(b)))
	c.Data(status, contentType, b)
}

// Handler returns the server as a handler.
func (s *Server) Handler() http.Handler { return s.engine }

// Serve answers requests on the listener until ctx ends. Then /readyz says no,
// after DrainDelay no new connections are taken, and requests under way, and
// then what waits for the challenger, may finish within ShutdownTimeout.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	hs := &http.Server{
		Handler:           s.engine,
		ReadHeaderTimeout: s.config.ReadHeaderTimeout,
		ReadTimeout:       s.config.ReadTimeout,
		WriteTimeout:      s.config.WriteTimeout,
		IdleTimeout:       s.config.IdleTimeout,
		MaxHeaderBytes:    s.config.MaxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("draining", "delay", s.config.DrainDelay)
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(s.config.DrainDelay):
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.ShutdownTimeout)
	defer cancel()
	if err := hs.Shutdown(limit); err != nil {
		return errors.Join(fmt.Errorf("shut down: requests were cut off: %w", err), hs.Close())
	}
	if dropped := s.shadow.drain(limit); dropped > 0 {
		s.log.Warn("not all customers were scored by the challenger", "dropped", dropped)
	}
	return nil
}
