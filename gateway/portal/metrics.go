package portal

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, p *Portal) (*metrics, error) {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_portal_requests_total",
		Help: "Requests to the portal, by path and the class of the status of their answer (2 to 5).",
	}, []string{"path", "class"})}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_portal_streams",
		Help: "Open pages of the portal that are told at once of what waits.",
	}, func() float64 { return float64(p.streams.count()) })
	if err := errors.Join(reg.Register(m.requests), reg.Register(open)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	for _, o := range p.Paths() {
		m.requests.WithLabelValues(p.label(o.Path), "2")
	}
	return m, nil
}

// label is a path as metrics name it: one for all files, whose paths change.
func (p *Portal) label(path string) string {
	switch path {
	case p.pages.style.path, p.pages.script.path, p.pages.icon.path:
		return "file"
	}
	return path
}

func (p *Portal) count(path string, status int) {
	p.metrics.requests.WithLabelValues(p.label(path), strconv.Itoa(status/100)).Inc()
}

// A counter remembers the status of an answer.
type counter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
