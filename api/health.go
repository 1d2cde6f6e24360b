package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

type alive struct {
	Status string `json:"status"`
}

// livez says that the process answers.
func (s *Server) livez(*gin.Context) (any, error) { return alive{"ok"}, nil }

// readiness says whether requests should come here. Degraded is ready.
type readiness struct {
	Status  string    `json:"status"` // ready, degraded, unavailable
	Reasons []string  `json:"reasons"`
	Model   *modelRef `json:"model"`
}

func (s *Server) readyz(c *gin.Context) {
	r := readiness{Status: "ready", Reasons: []string{}, Model: loaded(s.live.Scorer())}
	is := func(status, reason string) {
		r.Status, r.Reasons = status, append(r.Reasons, reason)
	}
	// The text of an error may name files; the log has it.
	if r.Model != nil && s.live.Err() != nil {
		is("degraded", "the promoted model could not be loaded; a former one answers")
	}
	if r.Model == nil {
		is("unavailable", "no model is loaded")
	}
	if s.store.Stats().Failed != nil {
		is("unavailable", "the store failed; restart the server")
	}
	if s.draining.Load() {
		is("unavailable", "shutting down")
	}
	status := http.StatusOK
	if r.Status == "unavailable" {
		status = http.StatusServiceUnavailable
	}
	s.write(c, status, "application/json", r)
}
