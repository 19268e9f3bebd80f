package factor

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the verifier's. Every label comes from a closed set.
type metrics struct {
	attempts [numKinds]map[string]prometheus.Counter // by kind and outcome
	events   map[What]prometheus.Counter
	// discarded are answers of RADIUS servers that were thrown away, by why.
	discarded map[error]prometheus.Counter
	// users have an authenticator of a kind, those at 0 one of any.
	users map[Kind]prometheus.Gauge
}

// outcomes are all that outcome may return.
func outcomes() []string {
	return []string{"accepted", "down", "wrong", "reused", "throttled", "disabled", "cloned", "over", "challenged", "missing"}
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{events: map[What]prometheus.Counter{}, discarded: map[error]prometheus.Counter{}, users: map[Kind]prometheus.Gauge{}}
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_factor_attempts_total",
		Help: "Proofs of second factors, by kind (totp, passkey, radius, recovery, binding) and by what became of them: accepted, wrong, reused (a code that was spent), throttled (too many were wrong), disabled (far too many were), cloned (a passkey may have been copied), over (begun too long ago), challenged (the MFA server asks for more), missing (the user has no such factor), down (it could not be checked).",
	}, []string{"kind", "outcome"})
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_factor_events_total",
		Help: "Changes to authenticators that their users are told of: bound, unbound, reset (by an administrator), recovery-issued, recovery-used, binding-issued (a code to enrol with), disabled (by a hundred wrong codes), cloned (a passkey counts fewer uses than were seen).",
	}, []string{"event"})
	discarded := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_factor_radius_discarded_total",
		Help: "Answers of RADIUS servers that were not believed, by cause: malformed, unsigned (no Message-Authenticator: the server must be told to send it), forged (another secret, or an attack).",
	}, []string{"cause"})
	users := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "stsgate_factor_users",
		Help: "Users who have a second factor of a kind (totp, passkey, or any of them), as counted every minute.",
	}, []string{"kind"})
	m.users[0], m.users[TOTP], m.users[Passkey] = users.WithLabelValues("any"), users.WithLabelValues("totp"), users.WithLabelValues("passkey")
	m.discarded[errMalformed] = discarded.WithLabelValues("malformed")
	m.discarded[errUnsigned] = discarded.WithLabelValues("unsigned")
	m.discarded[errForged] = discarded.WithLabelValues("forged")
	for _, k := range []Kind{TOTP, Passkey, RADIUS, Recovery, Binding} {
		m.attempts[k] = map[string]prometheus.Counter{}
		for _, o := range outcomes() {
			m.attempts[k][o] = attempts.WithLabelValues(k.String(), o)
		}
	}
	for _, w := range Whats() {
		m.events[w] = events.WithLabelValues(string(w))
	}
	for _, c := range []prometheus.Collector{attempts, events, discarded, users} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// attempted counts a try. A text that is no code of the user's is none.
func (m *metrics) attempted(k Kind, err error) {
	if c := m.attempts[k][outcome(err)]; c != nil {
		c.Inc()
	}
}
