package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"churn/event"
)

const keyIDKey = "key_id"

// HashKey returns what Key.SHA256 holds of a key: the SHA-256, in hex, of all
// of ck_<id>_<secret>. A key has 256 random bits or more, so that no slow hash
// is needed.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// authorize lets a request pass whose key has the scope.
func (s *Server) authorize(scope Scope) gin.HandlerFunc {
	return func(c *gin.Context) {
		if scope == "" {
			return
		}
		if len(s.config.Keys) > 0 {
			key, reason := s.key(c)
			if key == nil {
				s.metrics.authFailures.WithLabelValues(reason).Inc()
				s.refuse(c, fail(unauthorized, "send a valid API key: Authorization: Bearer ck_…"))
				return
			}
			c.Set(keyIDKey, key.ID)
			if !slices.Contains(key.Scopes, scope) {
				s.metrics.authFailures.WithLabelValues("scope").Inc()
				s.refuse(c, fail(forbidden, "the API key lacks the scope %s", scope))
				return
			}
		}
		if !s.limits.allow(c.GetString(keyIDKey)) {
			s.metrics.rateLimited.Inc()
			s.refuse(c, fail(rateLimited, "more than %g requests a second", s.config.RatePerKey))
		}
	}
}

// key returns the key that a request carries, or why it has none.
func (s *Server) key(c *gin.Context) (key *Key, reason string) {
	headers := c.Request.Header.Values("Authorization")
	if len(headers) != 1 {
		return nil, "missing"
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(token, "ck_") {
		return nil, "malformed"
	}
	id, _, _ := strings.Cut(token[len("ck_"):], "_")
	sum := sha256.Sum256([]byte(token))
	for i := range s.config.Keys {
		k := &s.config.Keys[i]
		if k.ID != id { // an id is no secret
			continue
		}
		want, err := hex.DecodeString(k.SHA256)
		if err == nil && subtle.ConstantTimeCompare(sum[:], want) == 1 {
			return k, ""
		}
	}
	return nil, "unknown"
}

// limiter holds a bucket of tokens for each key, refilled at a rate. There are
// no more buckets than keys.
type limiter struct {
	rate, burst float64
	now         func() event.Time
	mu          sync.Mutex
	buckets     map[string]*bucket
}

type bucket struct {
	tokens float64
	at     event.Time
}

func newLimiter(rate float64, now func() event.Time) *limiter {
	return &limiter{rate: rate, burst: max(1, rate), now: now, buckets: map[string]*bucket{}}
}

func (l *limiter) allow(key string) bool {
	if l.rate == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.buckets[key]
	if b == nil {
		b = &bucket{l.burst, now}
		l.buckets[key] = b
	}
	passed := float64(max(0, now.Sub(b.at))) / float64(event.Second)
	b.tokens, b.at = min(l.burst, b.tokens+l.rate*passed), now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
