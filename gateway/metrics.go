package gateway

import (
	"fmt"
	"net/http"
	"time"

	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// metrics are the gateway's own. Every label comes from a closed set or from
// configuration.
type metrics struct {
	exchanges     *prometheus.CounterVec
	durations     *prometheus.HistogramVec
	inFlight      prometheus.Gauge
	auditFailures prometheus.Counter
	panics        prometheus.Counter
	degraded      *prometheus.CounterVec
	reportOnly    *ruleCounts
	excepted      *ruleCounts
	repeats       map[string]prometheus.Counter
	farmFactors   map[string]prometheus.Counter
	tolerated     map[wstrust.Tolerance]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, endpoints []Endpoint, live *policy.Live) (*metrics, error) {
	m := &metrics{
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stsgate_exchanges_total",
			Help: "Exchanges by endpoint (none: a path that is not published), WS-Trust version, application, answer (forward, issue, none) and reason (ok, or the reason of the refusal).",
		}, []string{"endpoint", "version", "application", "answer", "reason"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "stsgate_exchange_duration_seconds",
			Help:    "Time from the receipt of a request to its record, by endpoint and answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 45, 70},
		}, []string{"endpoint", "answer"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stsgate_exchanges_in_flight",
			Help: "Exchanges that were received and not yet answered.",
		}),
		auditFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stsgate_audit_failures_total",
			Help: "Audit records that could not be written. An exchange without its record is refused.",
		}),
		degraded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stsgate_degraded_total",
			Help: "Exchanges that went on although something was down, by application and what was down: state.",
		}, []string{"application", "degraded"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stsgate_panics_total",
			Help: "Exchanges that a fault of the gateway ended. Each was refused.",
		}),
		reportOnly: newReportOnly(live),
		excepted:   newExcepted(live),
		tolerated:  map[wstrust.Tolerance]prometheus.Counter{},
		repeats:    map[string]prometheus.Counter{},

		farmFactors: map[string]prometheus.Counter{},
	}
	tolerated := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_tolerated_total",
		Help: "Messages with a deviation from the specifications that is accepted, by its name.",
	}, []string{"tolerance"})
	repeats := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_repeats_total",
		Help: "Messages that a client sent again and that got the answer of the first, by what they followed: a message that was unanswered, or one that got a fault within 5 seconds.",
	}, []string{"of"})
	farmFactors := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_farm_factors_total",
		Help: "Tokens of the farm that say that their user proved a second factor when none was proven here, by outcome: released for applications with trust_farm_mfa, refused for others.",
	}, []string{"outcome"})
	for _, outcome := range []string{released, refused} {
		m.farmFactors[outcome] = farmFactors.WithLabelValues(outcome)
	}
	for _, of := range []string{ofUnanswered, ofFault} {
		m.repeats[of] = repeats.WithLabelValues(of)
	}
	for _, a := range live.Load().Applications() {
		m.degraded.WithLabelValues(a.Name, stateRelaxed)
	}
	for _, t := range wstrust.Tolerances() {
		m.tolerated[t] = tolerated.WithLabelValues(t.String())
	}
	for _, e := range endpoints {
		for _, answer := range []string{"forward", "issue", "none"} {
			m.durations.WithLabelValues(e.Path, answer)
		}
	}
	for _, c := range []prometheus.Collector{m.exchanges, m.durations, m.inFlight, m.auditFailures, m.panics, m.degraded, m.reportOnly, m.excepted, tolerated, repeats, farmFactors} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(endpoint, version, application, answer, reason string, d time.Duration) {
	m.exchanges.WithLabelValues(endpoint, version, application, answer, reason).Inc()
	m.durations.WithLabelValues(endpoint, answer).Observe(d.Seconds())
}

// Count counts the answers of an endpoint that gives out a document and takes
// no RST: metadata exchange, federation metadata.
func (g *Gateway) Count(path string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		h.ServeHTTP(w, r)
		g.metrics.count(path, "none", "none", "none", "ok", time.Since(start))
	})
}

// tlsVersion names the TLS version of a connection as ECS does: 1.2, 1.3.
func tlsVersion(r *http.Request) string {
	if r.TLS == nil {
		return ""
	}
	switch r.TLS.Version {
	case tls.VersionTLS13:
		return "1.3"
	case tls.VersionTLS12:
		return "1.2"
	default:
		return ""
	}
}
