package guard

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/refusal"
)

// metrics are the guard's. Every label comes from a closed set.
type metrics struct {
	tries             [3]prometheus.Counter // by Outcome
	refused, reported map[refusal.Reason]prometheus.Counter
	locks             [numClasses]prometheus.Counter
	blocks            prometheus.Counter
}

// reasons are those for which a try is refused.
func reasons() []refusal.Reason {
	return []refusal.Reason{refusal.Banned, refusal.Throttled, refusal.Locked, refusal.WrongPassword, refusal.StateDown, refusal.ClientGone}
}

func newMetrics(reg prometheus.Registerer, g *Guard) (*metrics, error) {
	m := &metrics{refused: map[refusal.Reason]prometheus.Counter{}, reported: map[refusal.Reason]prometheus.Counter{}}
	tries := counters("stsgate_guard_tries_total", "Passwords that left the gateway, by what became of them: proven, wrong, unsettled (nobody knows).", "outcome")
	refused := counters("stsgate_guard_refused_total", "Passwords that were refused before they left the gateway, by reason: banned, throttled, locked, wrong-password (known to be wrong), state-down, client-gone.", "reason")
	reported := counters("stsgate_guard_reported_total", "Passwords that would have been refused if guard.mode were enforce, by reason.", "reason")
	locks := counters("stsgate_guard_locks_total", "Locks of users, by the addresses that they are for: familiar, unfamiliar.", "addresses")
	m.blocks = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "stsgate_guard_blocks_total", Help: "Blocks of sources from which most users failed.",
	})
	for o := range m.tries {
		m.tries[o] = tries.WithLabelValues(Outcome(o).String())
	}
	for c := range m.locks {
		m.locks[c] = locks.WithLabelValues(class(c).String())
	}
	for _, r := range reasons() {
		m.refused[r], m.reported[r] = refused.WithLabelValues(r.String()), reported.WithLabelValues(r.String())
	}
	for _, c := range []prometheus.Collector{tries, refused, reported, locks, m.blocks, surgeGauge(g), ageGauge(g)} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

func surgeGauge(g *Guard) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_guard_surge", Help: "Whether so many more users fail than usual that sources are blocked sooner: 1 or 0.",
	}, func() float64 {
		g.mu.Lock()
		defer g.mu.Unlock()
		if time.Now().Before(g.surge.until) {
			return 1
		}
		return 0
	})
}

func ageGauge(g *Guard) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_guard_state_age_seconds", Help: "How old what is known of failures, locks and bans may be; sign-ins are refused above 1, and -1 is that nothing is known yet.",
	}, func() float64 {
		oldest := time.Duration(0)
		for _, m := range g.mirrors() {
			age, ok, _ := m.Age()
			if !ok {
				return -1
			}
			oldest = max(oldest, age)
		}
		return oldest.Seconds()
	})
}
