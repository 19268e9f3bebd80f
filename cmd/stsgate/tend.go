package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/state"
	"stsgate/gateway/state/jetstream"
)

const (
	// lookEvery is how often the room of the buckets is looked at.
	lookEvery = 10 * time.Second
	// scrubEvery is the time between two buckets that are read in whole.
	scrubEvery = 6 * time.Minute
	scrubLast  = 5 * time.Minute
	// mostAhead is by how much the clock of a server of the cluster may differ
	// before a gateway calls itself not ready (security.md, STATE-14).
	mostAhead = 30 * time.Second
)

// A tender looks after the store: how full its buckets are, whether all that is
// in them can be read, and whether its clocks agree with this machine's.
type tender struct {
	log                      *slog.Logger
	bytes, limit, unreadable *prometheus.GaugeVec
	scrubbed                 *prometheus.GaugeVec
	retries                  prometheus.Counter

	mu    sync.Mutex
	ahead map[state.Bucket]time.Duration
}

func newTender(registry prometheus.Registerer, log *slog.Logger) (*tender, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"bucket"})
	}
	t := &tender{
		log:        log,
		bytes:      gauge("stsgate_state_bytes", "How much of its room a bucket of the store takes."),
		limit:      gauge("stsgate_state_limit_bytes", "The room of a bucket of the store: a full one takes no more, and what would be written there is refused."),
		unreadable: gauge("stsgate_state_unreadable_records", "Records of a bucket that the last scrub could not read, that nobody with the key wrote, or that differ between servers."),
		scrubbed:   gauge("stsgate_state_scrubbed_timestamp_seconds", "When a bucket was last read in whole, from every server, as Unix time; 0 for never."),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stsgate_state_retries_total", Help: "Writes that were tried again, because the store did not answer or had no leader.",
		}),
		ahead: map[state.Bucket]time.Duration{},
	}
	skew := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_state_clock_skew_seconds",
		Help: "How far the clock of a server of the cluster is ahead of this machine's, of the one that differs most; above 30 the gateway is not ready.",
	}, func() float64 { _, d := t.skew(); return d.Seconds() })
	for _, c := range []prometheus.Collector{t.bytes, t.limit, t.unreadable, t.scrubbed, t.retries, skew} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	for _, b := range state.Buckets() {
		for _, g := range []*prometheus.GaugeVec{t.bytes, t.unreadable, t.scrubbed} {
			g.WithLabelValues(b.String())
		}
		t.limit.WithLabelValues(b.String()).Set(float64(b.Limit()))
	}
	return t, nil
}

func (t *tender) noteSkew(b state.Bucket, ahead time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ahead[b] = ahead
}

// skew is the difference that is largest, and of which bucket's leader.
func (t *tender) skew() (of state.Bucket, most time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for b, d := range t.ahead {
		if d.Abs() > most.Abs() {
			of, most = b, d
		}
	}
	return of, most
}

// ready reports clocks that are too far apart for what expires.
func (t *tender) ready() error {
	if b, d := t.skew(); d.Abs() > mostAhead {
		return fmt.Errorf("the clock of the server that leads the bucket %s is %s ahead of this machine's", b, d.Round(time.Second))
	}
	return nil
}

// run looks at the store until ctx ends.
func (t *tender) run(ctx context.Context, s *jetstream.Store, check func(state.Record) error) {
	look, scrub := time.NewTicker(lookEvery), time.NewTicker(scrubEvery)
	defer look.Stop()
	defer scrub.Stop()
	t.look(ctx, s)
	for next := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			t.look(ctx, s)
		case <-scrub.C:
			t.scrub(ctx, s, state.Buckets()[next%len(state.Buckets())], check)
			next++
		}
	}
}

func (t *tender) look(ctx context.Context, s *jetstream.Store) {
	all, err := s.Usage(ctx)
	if err != nil {
		return // the guard's age tells
	}
	for b, u := range all {
		t.bytes.WithLabelValues(b.String()).Set(float64(u.Bytes))
	}
}

func (t *tender) scrub(ctx context.Context, s *jetstream.Store, b state.Bucket, check func(state.Record) error) {
	ctx, cancel := context.WithTimeout(ctx, scrubLast)
	defer cancel()
	found, err := s.Scrub(ctx, b, check)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.log.Warn("a bucket of the store was not scrubbed", "bucket", b.String(), "err", err)
	}
	if n := len(found.Bad); n > 0 {
		name := b.String()
		if b.Standing() {
			name = found.Bad[0].String() // others may be what somebody is to prove
		}
		t.log.Error("records of the store cannot be read, or differ between servers", "records", n, "first", name, "servers", found.Servers)
	}
	t.unreadable.WithLabelValues(b.String()).Set(float64(len(found.Bad)))
	if err == nil {
		t.scrubbed.WithLabelValues(b.String()).SetToCurrentTime()
	}
}
