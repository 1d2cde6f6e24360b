package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"churn/event"
	"churn/model"
	"churn/model/registry"
	"churn/store"
)

// Problem is the answer to a request that failed (RFC 9457).
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Instance  string       `json:"instance,omitzero"`
	RequestID string       `json:"request_id,omitzero"`
	Errors    []FieldError `json:"errors,omitzero"`
}

// FieldError says what is wrong with one part of a request, without its value.
type FieldError struct {
	Pointer string `json:"pointer"` // RFC 6901, into the body
	Detail  string `json:"detail"`
}

// kind is a class of problems: what its type URI ends in, its status and title.
type kind struct {
	name   string
	status int
	title  string
}

var (
	brokenBody     = &kind{"broken-body", http.StatusBadRequest, "The body cannot be read"}
	badParameter   = &kind{"bad-parameter", http.StatusBadRequest, "A parameter is not valid"}
	unauthorized   = &kind{"unauthorized", http.StatusUnauthorized, "No valid API key"}
	forbidden      = &kind{"forbidden", http.StatusForbidden, "Not allowed"}
	notFound       = &kind{"not-found", http.StatusNotFound, "Not found"}
	noMethod       = &kind{"method-not-allowed", http.StatusMethodNotAllowed, "Method not allowed"}
	conflict       = &kind{"conflict", http.StatusConflict, "Conflict"}
	gateRefused    = &kind{"gate-refused", http.StatusConflict, "The model was refused"}
	tooLarge       = &kind{"too-large", http.StatusRequestEntityTooLarge, "Too large"}
	wrongMediaType = &kind{"unsupported-media-type", http.StatusUnsupportedMediaType, "Unsupported media type"}
	invalid        = &kind{"invalid", http.StatusUnprocessableEntity, "Not valid"}
	needsFeatures  = &kind{"needs-features", http.StatusUnprocessableEntity, "The model scores features only"}
	rateLimited    = &kind{"rate-limited", http.StatusTooManyRequests, "Too many requests"}
	internal       = &kind{"internal", http.StatusInternalServerError, "Internal error"}
	noModel        = &kind{"no-model", http.StatusServiceUnavailable, "No model is loaded"}
	busy           = &kind{"busy", http.StatusServiceUnavailable, "Busy"}
	storeFailed    = &kind{"store-failed", http.StatusServiceUnavailable, "The store failed"}
	storeFull      = &kind{"store-full", http.StatusInsufficientStorage, "The disk is full"}
)

// kinds lists every class, for the documentation.
var kinds = []*kind{brokenBody, badParameter, unauthorized, forbidden, notFound, noMethod, conflict, gateRefused,
	tooLarge, wrongMediaType, invalid, needsFeatures, rateLimited, internal, noModel, busy, storeFailed, storeFull}

// fault is an error that a caller may see.
type fault struct {
	kind   *kind
	detail string
	errors []FieldError
	cause  error // for the log
}

func (f *fault) Error() string {
	if f.cause != nil {
		return f.detail + ": " + f.cause.Error()
	}
	return f.detail
}

func (f *fault) Unwrap() error { return f.cause }

func fail(k *kind, format string, args ...any) *fault {
	return &fault{kind: k, detail: fmt.Sprintf(format, args...)}
}

// causes is the one table from errors of the rooms below to problems. Their
// text may name files and is logged, not sent; an empty detail is the
// exception and sends it.
var causes = []struct {
	err    error
	kind   *kind
	detail string
}{
	{registry.ErrNotFound, notFound, "there is no such model version"},
	{registry.ErrGate, gateRefused, ""},
	{registry.ErrNoPrevious, conflict, "there is no earlier version to go back to"},
	{registry.ErrSignature, gateRefused, "the model file has no valid signature of a trusted key"},
	{model.ErrVersion, gateRefused, "the model file was written by a newer program"},
	{model.ErrFormat, gateRefused, "the model file is damaged, or fails its self-test"},
	{store.ErrNotFound, notFound, "there is no such customer or decision"},
	{store.ErrConflict, conflict, "it is there already, with other content, or something excludes it"},
	{store.ErrFull, storeFull, "the disk is full and nothing of this request was stored; send it again later"},
	{store.ErrBusy, busy, "the database is busy and nothing of this request was stored; send it again"},
	{store.ErrFailed, storeFailed, "the database failed and must be restarted by its operator; this request was not acknowledged, send it again later"},
	{store.ErrClosed, storeFailed, "the server is shutting down; send the request again"},
	{context.DeadlineExceeded, busy, "the request took too long; send fewer items, or again later"},
	{context.Canceled, busy, "the request was given up"},
}

// faultOf finds the problem of an error.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var fe *event.FieldError
	if errors.As(err, &fe) {
		return &fault{kind: invalid, detail: "a field is not valid", errors: []FieldError{{"/" + fe.Field, fe.Reason}}, cause: err}
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			f := &fault{kind: c.kind, detail: c.detail, cause: err}
			if f.detail == "" {
				f.detail = err.Error()
			}
			return f
		}
	}
	return &fault{kind: internal, detail: "something went wrong in the server; the request id is in its log", cause: err}
}

// problem is what is sent of a fault. Items of a batch have no instance.
func (f *fault) problem() *Problem {
	return &Problem{Type: typeURI(f.kind), Title: f.kind.title, Status: f.kind.status, Detail: f.detail, Errors: f.errors}
}

// typeURI names a class of problems, and leads to where it is explained.
func typeURI(k *kind) string { return "/docs#" + k.name }

// refuse ends a request with a problem.
func (s *Server) refuse(c *gin.Context, err error) {
	f := faultOf(err)
	if f.kind.status >= 500 {
		s.log.Error("request failed", "request_id", requestID(c), "route", routeOf(c), "error", err)
		s.metrics.storeError(err)
	}
	switch f.kind {
	case unauthorized:
		c.Header("WWW-Authenticate", `Bearer realm="churn"`)
	case rateLimited, busy, noModel:
		c.Header("Retry-After", "1")
	case storeFailed, storeFull:
		c.Header("Retry-After", "30")
	}
	p := f.problem()
	p.RequestID = requestID(c)
	p.Instance = "urn:churn:request:" + p.RequestID
	c.Abort()
	s.write(c, p.Status, "application/problem+json", p)
}

// pointer appends a token to a JSON pointer (RFC 6901).
func pointer(at, token string) string {
	if strings.ContainsAny(token, "~/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
	}
	return at + "/" + token
}

func element(at string, i int) string { return at + "/" + strconv.Itoa(i) }
