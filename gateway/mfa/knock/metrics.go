package knock

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the service's. Channels are named in the configuration.
type metrics struct {
	messages *prometheus.CounterVec
	waiting  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, s *Service) (*metrics, error) {
	m := &metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stsgate_knock_messages_total",
			Help: "Messages to users, by channel (smtp, or the name of a webhook) and outcome: sent, failed, unreachable (no address), dropped (too many waited).",
		}, []string{"channel", "outcome"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stsgate_knock_notices_waiting", Help: "Notices that users must hear of and that were not delivered yet, when this gateway last looked.",
		}),
	}
	names := []string{smtpName}
	for _, ch := range s.channels {
		names = append(names, ch.name)
	}
	for _, name := range names {
		for _, o := range []string{"sent", "failed", "unreachable", "dropped"} {
			m.messages.WithLabelValues(name, o)
		}
	}
	for _, c := range []prometheus.Collector{m.messages, m.waiting} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(ch *channel, outcome string) {
	m.messages.WithLabelValues(ch.name, outcome).Inc()
}
