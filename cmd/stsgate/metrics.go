package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"stsgate/gateway/admin"
	"stsgate/policy"
)

// metrics are those of the program as a whole; the rooms register their own.
type metrics struct {
	audit       prometheus.Histogram
	policy      *prometheus.GaugeVec
	reloads     *prometheus.CounterVec
	weakened    prometheus.Counter
	lastSuccess prometheus.Gauge
	lastTime    prometheus.Gauge
	notAfter    *prometheus.GaugeVec
	placesBuilt *prometheus.GaugeVec
	refused     atomic.Pointer[string] // why the last reload was, nil when it was not
}

func newMetrics(reg *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		audit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "stsgate_audit_write_duration_seconds",
			Help:    "Time to write and sync the audit records that share a commit.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, 1},
		}),
		policy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stsgate_policy_info",
			Help: "Always 1; the label is the revision of the policy set in force.",
		}, []string{"revision"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stsgate_reloads_total",
			Help: "Reloads by result: success, failure.",
		}, []string{"result"}),
		weakened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stsgate_policy_weakened_total",
			Help: "Edits of the policy that let more pass than before, or let it pass with less, and that reloads put in force.",
		}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stsgate_reload_last_success",
			Help: "Whether the last load of policy, certificates, users and places succeeded: 1 or 0.",
		}),
		lastTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stsgate_reload_last_success_timestamp_seconds",
			Help: "When policy, certificates, users and places were last loaded, in seconds since 1970.",
		}),
		notAfter: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stsgate_certificate_not_after_timestamp_seconds",
			Help: "When a certificate expires, in seconds since 1970: listen-N by the order of listeners, portal, or signing.",
		}, []string{"certificate"}),
		placesBuilt: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stsgate_places_built_timestamp_seconds",
			Help: "When the database of places in use was built, in seconds since 1970, 0 without one: country, asn.",
		}, []string{"database"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "stsgate_build_info",
		Help:        "Always 1; the labels are the program's version and that of Go.",
		ConstLabels: prometheus.Labels{"version": buildVersion(), "goversion": runtime.Version()},
	})
	build.Set(1)
	m.reloads.WithLabelValues("success")
	m.reloads.WithLabelValues("failure")
	m.placesBuilt.WithLabelValues("country")
	m.placesBuilt.WithLabelValues("asn")
	for _, c := range []prometheus.Collector{m.audit, m.policy, m.reloads, m.weakened, m.lastSuccess, m.lastTime, m.notAfter, m.placesBuilt, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) auditWrote(d time.Duration) { m.audit.Observe(d.Seconds()) }

// loaded notes what is in force now.
func (m *metrics) loaded(p *parts, set *policy.Set, now time.Time) {
	m.policy.Reset()
	m.policy.WithLabelValues(set.Revision()).Set(1)
	m.lastSuccess.Set(1)
	m.refused.Store(nil)
	m.lastTime.Set(float64(now.Unix()))
	for i, c := range p.certificates {
		m.notAfter.WithLabelValues(fmt.Sprintf("listen-%d", i)).Set(float64(c.Expiry().Unix()))
	}
	if c := p.portalCertificates; c != nil {
		m.notAfter.WithLabelValues("portal").Set(float64(c.Expiry().Unix()))
	}
	for name, built := range p.places.Built() {
		m.placesBuilt.WithLabelValues(name).Set(float64(built.Unix()))
	}
	if p.signingCert != nil {
		m.notAfter.WithLabelValues("signing").Set(float64(p.signingCert.NotAfter.Unix()))
	}
}

// reloaded counts a reload's result and, of a good one, the edits that weaken
// the policy.
func (m *metrics) reloaded(weakened int, err error) {
	if err != nil {
		m.reloads.WithLabelValues("failure").Inc()
		m.lastSuccess.Set(0)
		why := err.Error()
		m.refused.Store(&why)
		return
	}
	m.reloads.WithLabelValues("success").Inc()
	m.weakened.Add(float64(weakened))
}

// policyCheck says whether the files are what is in force. It is well either way:
// what was good goes on.
func (m *metrics) policyCheck() admin.Check {
	c := admin.NewCheck("policy", nil)
	if why := m.refused.Load(); why != nil {
		c.Error = "the last reload was refused, and what was before is in force: " + *why
	}
	return c
}
