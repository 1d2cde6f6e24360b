package api

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"churn/event"
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const requestIDKey = "request_id"

func requestID(c *gin.Context) string { return c.GetString(requestIDKey) }

// routeOf is the template of the route, never the path: that holds ids.
func routeOf(c *gin.Context) string {
	if p := c.FullPath(); p != "" {
		return p
	}
	return "unmatched"
}

// observe names, times, counts and logs a request.
func (s *Server) observe(c *gin.Context) {
	start := s.now()
	id := c.GetHeader("X-Request-Id")
	if !requestIDPattern.MatchString(id) {
		id = strconv.FormatInt(int64(s.started), 36) + "-" + strconv.FormatUint(s.requests.Add(1), 36)
	}
	c.Set(requestIDKey, id)
	h := c.Writer.Header()
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")

	s.metrics.inflight.Inc()
	defer s.metrics.inflight.Dec()
	c.Next()

	// The clock may have been set back meanwhile.
	took := max(0, s.now().Sub(start))
	route, method, status := routeOf(c), methodLabel(c.Request.Method), c.Writer.Status()
	s.metrics.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	s.metrics.duration.WithLabelValues(route, method).Observe(float64(took) / float64(event.Second))
	s.log.Info("request", "request_id", id, "method", method, "route", route, "status", status,
		"bytes", max(0, c.Writer.Size()), "microseconds", int64(took), "key", c.GetString(keyIDKey))
}

// recovery turns a panic into a problem.
func (s *Server) recovery(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		s.panicked(v)
		c.Abort()
		if !c.Writer.Written() {
			s.refuse(c, fail(internal, "something went wrong in the server; the request id is in its log"))
		}
	}()
	c.Next()
}

func (s *Server) panicked(v any) {
	s.metrics.panics.Inc()
	s.log.Error("panic", "value", v, "stack", string(debug.Stack()))
}

var crossOrigin = http.NewCrossOriginProtection()

// guard refuses what a browser sends on behalf of another site, and names of
// this server that are not its own.
func (s *Server) guard(c *gin.Context) {
	if err := crossOrigin.Check(c.Request); err != nil {
		s.refuse(c, &fault{kind: forbidden, detail: "requests from other web sites are not answered", cause: err})
		return
	}
	if len(s.config.Keys) == 0 && !s.addressed(c.Request.Host) {
		s.refuse(c, fail(forbidden, "the server has no API keys and answers under local names only: list this name under hosts"))
	}
}

// addressed says whether the name in a Host header is one of ours.
func (s *Server) addressed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return isLoopback(host) || slices.ContainsFunc(s.config.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// pathParam returns a parameter of the path; an id by the rules of
// event.CheckID.
func pathParam(c *gin.Context, name string) (string, error) {
	v, err := url.PathUnescape(c.Param(name))
	if err != nil {
		return "", fail(badParameter, "the path is not well escaped")
	}
	if reason := idProblem(v); reason != "" {
		return "", fail(badParameter, "%s in the path: %s", name, reason)
	}
	return v, nil
}

// query reads the parameters of a request, of which only those named are
// allowed.
type query struct {
	values url.Values
	errors []FieldError
}

func queryOf(c *gin.Context, allowed ...string) *query {
	q := &query{}
	var err error
	if q.values, err = url.ParseQuery(c.Request.URL.RawQuery); err != nil {
		q.add("", "the query is not well escaped")
	}
	for name, values := range q.values {
		switch {
		case !slices.Contains(allowed, name):
			q.add(name, "unknown parameter: use "+strings.Join(allowed, ", "))
		case len(values) > 1:
			q.add(name, "given more than once")
		}
	}
	slices.SortFunc(q.errors, func(a, b FieldError) int { return strings.Compare(a.Pointer, b.Pointer) })
	return q
}

// add notes an error; the pointer of a parameter is its name.
func (q *query) add(name, reason string) {
	if len(q.errors) < maxFieldErrors {
		q.errors = append(q.errors, FieldError{short(pointer("", name)), reason})
	}
}

func (q *query) text(name string) string { return q.values.Get(name) }

func (q *query) integer(name string, standard, low, high int) int {
	if !q.values.Has(name) {
		return standard
	}
	n, err := strconv.Atoi(q.values.Get(name))
	if err != nil || n < low || n > high {
		q.add(name, "must be a whole number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
	}
	return n
}

func (q *query) boolean(name string) bool {
	switch q.values.Get(name) {
	case "true":
		return true
	case "false":
	default:
		if q.values.Has(name) {
			q.add(name, "must be true or false")
		}
	}
	return false
}

func (q *query) time(name string, standard event.Time) event.Time {
	if !q.values.Has(name) {
		return standard
	}
	t, reason := parseTimeText(q.values.Get(name))
	if reason != "" {
		q.add(name, reason)
	}
	return t
}

func (q *query) fault() error {
	if len(q.errors) == 0 {
		return nil
	}
	return &fault{kind: badParameter, detail: "see errors for what is wrong", errors: q.errors}
}
