package gateway

import (
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/policy"
)

// ruleCounts count what rules did, or would have done. They have one series for
// each such rule of the set in force and each application that the rule covers,
// from 0 on; with the rule, its series go.
type ruleCounts struct {
	live   *policy.Live
	desc   *prometheus.Desc
	counts map[series]float64
	mu     sync.Mutex // of counts
	// seriesOf tells what a rule is counted under, and whether it is.
	seriesOf func(*policy.Rule, *policy.Application) (series, bool)
}

// A series is what its labels say. Would is empty where it is no label.
type series struct{ rule, application, would string }

// newReportOnly counts rules in report-only.
func newReportOnly(live *policy.Live) *ruleCounts {
	return &ruleCounts{
		live: live,
		desc: prometheus.NewDesc("stsgate_report_only_total",
			"Requests that a rule in report-only would have applied to, by rule, application and what the rule would have done: deny, allow, require mfa, limit, require mfa and limit. Series begin at 0 with the rule and end with it.",
			[]string{"rule", "application", "would"}, nil),
		counts: make(map[series]float64),
		seriesOf: func(r *policy.Rule, a *policy.Application) (series, bool) {
			return series{r.Name, a.Name, r.Does()}, r.ReportOnly
		},
	}
}

// newExcepted counts second factors that exceptions lift.
func newExcepted(live *policy.Live) *ruleCounts {
	return &ruleCounts{
		live: live,
		desc: prometheus.NewDesc("stsgate_excepted_total",
			"Allowed requests that owed no second factor by a rule for an exception alone, by rule and application. Series begin at 0 with the rule and end with it.",
			[]string{"rule", "application"}, nil),
		counts: make(map[series]float64),
		seriesOf: func(r *policy.Rule, a *policy.Application) (series, bool) {
			return series{rule: r.Name, application: a.Name}, r.MFA != nil && !r.ReportOnly
		},
	}
}

// add counts what some rules did of one request.
func (r *ruleCounts) add(rules []*policy.Rule, a *policy.Application) {
	if len(rules) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range rules {
		if s, counted := r.seriesOf(rule, a); counted {
			r.counts[s]++
		}
	}
}

// Describe implements prometheus.Collector.
func (r *ruleCounts) Describe(to chan<- *prometheus.Desc) { to <- r.desc }

// Collect implements prometheus.Collector.
func (r *ruleCounts) Collect(to chan<- prometheus.Metric) {
	for s, n := range r.inForce() {
		labels := []string{s.rule, s.application}
		if s.would != "" {
			labels = append(labels, s.would)
		}
		to <- prometheus.MustNewConstMetric(r.desc, prometheus.CounterValue, n, labels...)
	}
}

// inForce returns the counts of the set in force, and forgets all others: an
// exchange that began under another set may have added some.
func (r *ruleCounts) inForce() map[series]float64 {
	set := r.live.Load()
	applications, all := set.Applications(), make(map[series]float64)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range set.Rules() {
		for _, a := range applications {
			if s, counted := r.seriesOf(rule, a); counted && rule.Covers(a) {
				all[s] = r.counts[s]
			}
		}
	}
	r.counts = maps.Clone(all)
	return all
}
