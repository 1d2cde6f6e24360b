package api

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"churn/event"
	"churn/model/registry"
	"churn/outreach"
)

// Config tunes the server. The zero value of a field stands for its default.
type Config struct {
	// Keys that may call. Without any, every caller may do everything, which
	// CheckListen allows on a loopback address only.
	Keys []Key
	// RatePerKey is how many requests a second one key may send, with a burst
	// of as many, at least one; 0 is no limit. Without keys all callers share
	// one limit.
	RatePerKey float64
	// Hosts are names, without port, under which callers may address a server
	// without keys; localhost and loopback addresses always may. Others are
	// refused, so that a web page cannot reach the server by pointing its own
	// name at this machine.
	Hosts []string

	MaxBody      int64 // bytes of a body; default 1 MiB
	MaxBatchBody int64 // bytes of a body with many items; default 16 MiB
	MaxBatch     int   // items of a batch; default 10000
	MaxDepth     int   // nesting of objects and arrays in a body; default 16
	MaxHeader    int   // bytes of all headers; default 16 KiB

	ReadHeaderTimeout time.Duration // default 5 s
	ReadTimeout       time.Duration // of the whole request; default 15 s
	WriteTimeout      time.Duration // default 30 s
	IdleTimeout       time.Duration // of a kept connection; default 120 s
	RequestTimeout    time.Duration // after which work on a request is given up; default 25 s
	DrainDelay        time.Duration // from readyz saying no to refusing connections; default 1 s
	ShutdownTimeout   time.Duration // for requests under way at the end; default 10 s

	// ShadowShare is the share of customers that the challenger is scored on as
	// well; default 1. Without Deps.Challenger there is none.
	ShadowShare float64

	// Cache is how many bytes the histories of customers scored lately may take;
	// default 256 MiB, below 0 none are kept. Nothing else in this process may
	// then write events or customers with the same store.
	Cache int64

	// Absent streams are not collected at all; see outreach.FactsOf.
	Absent []event.Stream
}

// Deps is what the server works with. Challenger, Metrics and Logger may be nil.
type Deps struct {
	Store    Store
	Registry *registry.Registry
	Live     *registry.Live // the model that answers; its name is the one promoted
	// Challenger is scored beside Live and counted, and never in an answer. nil
	// is none.
	Challenger *registry.Live
	Policy     outreach.Policy
	Now        func() event.Time
	Logger     *slog.Logger // default discards
	Metrics    *Metrics     // default NewMetrics()
}

// Scope is what a key may do. Scopes do not include each other.
type Scope string

const (
	Read  Scope = "read"  // scores, customers, effects, models, metrics
	Write Scope = "write" // events, decisions, outcomes
	Admin Scope = "admin" // promotion, rollback, erasure
)

// Key is an API key, of which only the hash is known. The key itself is
// ck_<id>_<secret> and is sent as "Authorization: Bearer ck_…".
type Key struct {
	ID     string  // letters and digits, at most 32; it appears in logs
	SHA256 string  // of the whole key, in hex; see HashKey
	Scopes []Scope // at least one
}

var keyIDPattern = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)

func (k *Key) validate() error {
	if !keyIDPattern.MatchString(k.ID) {
		return errors.New("id: use 1 to 32 letters and digits")
	}
	if b, err := hex.DecodeString(k.SHA256); err != nil || len(b) != 32 {
		return fmt.Errorf("%s: sha256: give 64 hexadecimal digits", k.ID)
	}
	if len(k.Scopes) == 0 {
		return fmt.Errorf("%s: no scopes: give some of read, write, admin", k.ID)
	}
	for _, s := range k.Scopes {
		if !slices.Contains([]Scope{Read, Write, Admin}, s) {
			return fmt.Errorf("%s: unknown scope %q: use read, write, admin", k.ID, s)
		}
	}
	return nil
}

// complete fills in the defaults and reports the first thing wrong.
func (c *Config) complete() error {
	orInt64(&c.MaxBody, 1<<20)
	orInt64(&c.MaxBatchBody, 16<<20)
	orInt64(&c.Cache, 256<<20)
	orInt(&c.MaxBatch, 10_000)
	orInt(&c.MaxDepth, 16)
	orInt(&c.MaxHeader, 16<<10)
	for d, standard := range map[*time.Duration]time.Duration{
		&c.ReadHeaderTimeout: 5 * time.Second, &c.ReadTimeout: 15 * time.Second, &c.WriteTimeout: 30 * time.Second,
		&c.IdleTimeout: 120 * time.Second, &c.RequestTimeout: 25 * time.Second,
		&c.DrainDelay: time.Second, &c.ShutdownTimeout: 10 * time.Second,
	} {
		if *d == 0 {
			*d = standard
		}
		if *d < 0 {
			return errors.New("a timeout is negative")
		}
	}
	if c.MaxBody < 0 || c.MaxBatchBody < 0 || c.MaxBatch < 0 || c.MaxDepth < 0 || c.MaxHeader < 0 || !(c.RatePerKey >= 0) {
		return errors.New("a limit is negative")
	}
	if c.ShadowShare == 0 {
		c.ShadowShare = 1
	}
	if !(c.ShadowShare > 0 && c.ShadowShare <= 1) {
		return fmt.Errorf("shadow share %v: use a number above 0, to 1", c.ShadowShare)
	}
	seen := map[string]bool{}
	for i := range c.Keys {
		if err := c.Keys[i].validate(); err != nil {
			return fmt.Errorf("keys[%d]: %w", i, err)
		}
		if seen[c.Keys[i].ID] {
			return fmt.Errorf("keys[%d]: id %s appears twice", i, c.Keys[i].ID)
		}
		seen[c.Keys[i].ID] = true
	}
	return nil
}

func orInt64(v *int64, standard int64) {
	if *v == 0 {
		*v = standard
	}
}

func orInt(v *int, standard int) {
	if *v == 0 {
		*v = standard
	}
}

// CheckListen refuses an address that other machines can reach, unless there
// are keys. addr is host:port; an empty host means every address.
func (c Config) CheckListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: write host:port, such as 127.0.0.1:8080", addr)
	}
	if len(c.Keys) > 0 || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("listen address %q can be reached from other machines and there are no API keys: configure keys, or listen on 127.0.0.1", addr)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
