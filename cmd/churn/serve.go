package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"churn/api"
	"churn/event"
	"churn/features"
	"churn/model"
	"churn/model/registry"
	"churn/store"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve scores, recommendations and metrics over HTTP",
		Long: `Serve answers the REST API (docs/api.md) with the champion of the registry and
follows it: a promotion or rollback takes effect within a second, without a
restart. A challenger, if there is one, is scored beside it and counted in the
metrics, and never in an answer. Without keys in the project file it listens on this machine only.
SIGTERM drains and stops.`,
		Example: `  churn serve --config churn.yaml
  churn serve --listen 127.0.0.1:9090`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address, instead of the project file's; port 0 picks one")
	return cmd
}

// reloadEvery is how often the registry is looked at.
const reloadEvery = time.Second

func (a *app) serve(ctx context.Context, listen string) (err error) {
	c, err := a.config()
	if err != nil {
		return err
	}
	if listen == "" {
		listen = c.Server.Listen
	}
	apiConfig := api.Config{ShadowShare: c.Server.ShadowShare, Cache: int64(c.Server.Cache)}
	if apiConfig.Cache == 0 {
		apiConfig.Cache = -1 // none; 0 is the default there
	}
	for _, k := range c.Server.Keys {
		key := api.Key{ID: k.ID, SHA256: k.SHA256}
		for _, s := range k.Scopes {
			key.Scopes = append(key.Scopes, api.Scope(s))
		}
		apiConfig.Keys = append(apiConfig.Keys, key)
	}
	if err := apiConfig.CheckListen(listen); err != nil {
		return usageError{err}
	}
	policy, err := c.policy()
	if err != nil {
		return usageError{err}
	}
	now, err := c.now()
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if a.quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	metrics := api.NewMetrics()
	db, err := a.openStore(ctx, c, metrics.OnCommit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if apiConfig.Absent, err = absentStreams(ctx, db); err != nil {
		return err
	}
	reg, err := a.openRegistry(c)
	if err != nil {
		return err
	}
	live := registry.NewLive(reg, c.Model, registry.Champion)
	startModel(live, log)
	var challenger *registry.Live
	if c.Server.ShadowShare > 0 {
		challenger = registry.NewLive(reg, c.Model, registry.Challenger)
		if _, err := challenger.Reload(); err != nil {
			log.Error("the challenger cannot be loaded, nothing is scored beside the champion", "error", err)
		}
	}
	if err := syncPromotions(ctx, db, reg, c.Model); err != nil {
		log.Warn("the promotion log is not copied to the database", "error", err)
	}
	server, err := api.New(apiConfig, api.Deps{Store: db, Registry: reg, Live: live, Challenger: challenger, Policy: policy, Now: now, Logger: log, Metrics: metrics})
	if err != nil {
		return usageError{err}
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("%w (choose another address with --listen)", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	warnDefinitions(live, challenger, log)
	follow := func(live *registry.Live, what string) {
		ticker := time.NewTicker(reloadEvery)
		defer ticker.Stop()
		live.Follow(ctx, ticker.C, func(s *model.Scorer) {
			version := "none" // retired
			if s != nil {
				version = s.Manifest().Version
			}
			log.Info(what+" swapped", "model", live.Name(), "version", version)
			warnDefinitions(live, challenger, log)
			if err := syncPromotions(ctx, db, reg, c.Model); err != nil {
				log.Warn("the promotion log is not copied to the database", "error", err)
			}
		}, func(err error) { log.Error("the new "+what+" is not taken, the current one stays", "error", err) })
	}
	go follow(live, "champion")
	if challenger != nil {
		go follow(challenger, "challenger")
	}
	go watchStore(ctx, db, stop)
	greeted := make(chan struct{})
	go func() { // what it prints is looked for in the data
		defer close(greeted)
		a.greet(ctx, "http://"+l.Addr().String(), db, live.Scorer(), now())
	}()
	err = server.Serve(ctx, l)
	if cause := context.Cause(ctx); errors.Is(cause, store.ErrFailed) {
		err = errors.Join(err, cause)
	}
	stop(nil)
	<-greeted
	return err
}

// startModel loads the champion, or the last version of it that still is good.
func startModel(live *registry.Live, log *slog.Logger) {
	_, err := live.Reload()
	if err == nil {
		return
	}
	if version, previous := live.LoadPrevious(); previous == nil {
		log.Error("the champion cannot be loaded, serving an earlier version", "version", version, "error", err)
		return
	}
	log.Warn("there is no model to serve: scores are refused until one is promoted", "error", err)
}

// warnDefinitions warns of a challenger that answers another question than the
// champion: the difference between their probabilities means nothing.
func warnDefinitions(live, challenger *registry.Live, log *slog.Logger) {
	if challenger == nil {
		return
	}
	s, c := live.Scorer(), challenger.Scorer()
	if s == nil || c == nil {
		return
	}
	if a, b := s.Manifest().Definition.String(), c.Manifest().Definition.String(); a != b {
		log.Warn("the challenger predicts something else than the champion: do not compare their scores", "champion", a, "challenger", b)
	}
}

// watchStore stops the server when the database failed: what it would still
// accept could not be kept, and a restart recovers.
func watchStore(ctx context.Context, db *store.DB, stop context.CancelCauseFunc) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := db.Stats().Failed; err != nil {
				stop(err)
				return
			}
		}
	}
}

// absentStreams lists the streams of which there is no event at all. Contacts
// are collected here.
func absentStreams(ctx context.Context, db *store.DB) ([]event.Stream, error) {
	streams := []event.Stream{event.Engagements, event.Complaints, event.Payments}
	have, err := db.Streams(ctx, streams...)
	return slices.DeleteFunc(streams, func(s event.Stream) bool { return slices.Contains(have, s) }), err
}

// syncPromotions copies the registry's log into the database, so that scores
// and decisions can be joined with who was in use.
func syncPromotions(ctx context.Context, db *store.DB, reg *registry.Registry, name string) error {
	log, err := reg.Promotions(name)
	if err != nil {
		return err
	}
	var rows []store.Promotion
	for _, p := range log {
		rows = append(rows, store.Promotion{Seq: int64(p.Seq), At: p.At, Actor: p.Actor, Alias: p.Alias,
			Name: p.Name, From: p.From, To: p.To, Reason: p.Reason})
	}
	_, err = db.SyncPromotions(ctx, rows)
	return err
}

// greet prints where the server is and commands that work.
func (a *app) greet(ctx context.Context, url string, db *store.DB, s *model.Scorer, now event.Time) {
	fmt.Fprintf(a.stdout, "listening on %s (stop with Ctrl-C); the API is described at %s/docs\n", url, url)
	if s == nil {
		fmt.Fprintln(a.stdout, "no model is in use: train and promote one")
		return
	}
	fmt.Fprintln(a.stdout, "try:")
	if s.Engine().OfTable() {
		body, _ := json.Marshal(map[string]any{"customers": []any{map[string]any{"customer_id": "example", "features": exampleFeatures(s)}}})
		quoted := strings.ReplaceAll(string(body), "'", `'\''`)
		fmt.Fprintf(a.stdout, "  curl -s %s/v1/scores -H 'Content-Type: application/json' -d '%s'\n", url, quoted)
	} else if id, err := exampleCustomer(ctx, db, s, now); err == nil {
		fmt.Fprintf(a.stdout, "  curl -s '%s/v1/customers/%s/score?reasons=3'\n", url, id)
		fmt.Fprintf(a.stdout, "  curl -s %s/v1/recommendations -H 'Content-Type: application/json' -d '{\"customer_ids\":[\"%s\"],\"dry_run\":true}'\n", url, id)
	}
	fmt.Fprintf(a.stdout, "  curl -s %s/metrics | grep ^churn_model\n", url)
}

// exampleCustomer finds the one at the highest risk among the first few hundred
// who were active within 60 days and whose ids need no quoting. It does not look
// long.
func exampleCustomer(ctx context.Context, db *store.DB, s *model.Scorer, now event.Time) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, highest, seen := "", -1.0, 0
	err := db.Timelines(ctx, func(tl *event.Timeline) error {
		recent := func(at event.Time) bool { return at < now && now.Sub(at) < 60*event.Day }
		n := len(tl.Payments)
		active := n > 0 && recent(tl.Payments[n-1].At)
		if n := len(tl.Engagements); n > 0 {
			active = active || recent(tl.Engagements[n-1].At)
		}
		if !active || tl.Customer.ChurnedAt < now || features.SafeName(tl.Customer.ID) != tl.Customer.ID {
			return nil
		}
		if p := s.Score(s.Row(tl, now), nil).Probability; p > highest {
			found, highest = tl.Customer.ID, p
		}
		if seen++; seen == 300 {
			return io.EOF // enough
		}
		return nil
	})
	if found != "" {
		return found, nil
	}
	return "", errors.Join(err, errors.New("nobody was active lately"))
}

// exampleFeatures makes a row for a model of a wide table: middle values and
// most frequent levels of its reference population.
func exampleFeatures(s *model.Scorer) map[string]any {
	out := map[string]any{}
	ref := s.Reference()
	for i, c := range s.Engine().Set().Columns {
		switch bounds := ref.Features[i].Bounds; {
		case len(c.Levels) > 0:
			out[c.Name] = c.Levels[0]
		case len(bounds) > 0:
			out[c.Name] = bounds[len(bounds)/2]
		}
	}
	return out
}
