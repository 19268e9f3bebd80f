package gateway

import (
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/policy"
)

// reportOnly counts what rules in report-only would have done. It has one
// series for each such rule of the set in force and each application that the
// rule covers, from 0 on; with the rule, its series go.
type reportOnly struct {
	live *policy.Live
	desc *prometheus.Desc

	mu     sync.Mutex
	counts map[series]float64
}

// A series is what its labels say.
type series struct{ rule, application, would string }

func newReportOnly(live *policy.Live) *reportOnly {
	return &reportOnly{
		live: live,
		desc: prometheus.NewDesc("stsgate_report_only_total",
			"Requests that a rule in report-only would have applied to, by rule, application and what the rule would have done: deny, allow, require mfa, limit, require mfa and limit. Series begin at 0 with the rule and end with it.",
			[]string{"rule", "application", "would"}, nil),
		counts: make(map[series]float64),
	}
}

// add counts what was reported of one request.
func (r *reportOnly) add(d *policy.Decision) {
	if len(d.Reported) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range d.Reported {
		r.counts[series{rule.Name, d.Application.Name, rule.Does()}]++
	}
}

// Describe implements prometheus.Collector.
func (r *reportOnly) Describe(to chan<- *prometheus.Desc) { to <- r.desc }

// Collect implements prometheus.Collector.
func (r *reportOnly) Collect(to chan<- prometheus.Metric) {
	for s, n := range r.inForce() {
		to <- prometheus.MustNewConstMetric(r.desc, prometheus.CounterValue, n, s.rule, s.application, s.would)
	}
}

// inForce returns the counts of the set in force, and forgets all others: an
// exchange that began under another set may have added some.
func (r *reportOnly) inForce() map[series]float64 {
	set := r.live.Load()
	applications, all := set.Applications(), make(map[series]float64)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range set.Rules() {
		for _, a := range applications {
			if s := (series{rule.Name, a.Name, rule.Does()}); rule.ReportOnly && rule.Covers(a) {
				all[s] = r.counts[s]
			}
		}
	}
	r.counts = maps.Clone(all)
	return all
}
