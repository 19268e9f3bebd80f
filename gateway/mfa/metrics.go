package mfa

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/policy"
)

// metrics are the service's. Every label comes from a closed set.
type metrics struct {
	prompts    map[policy.Shapes]prometheus.Counter
	decisions  [numOutcomes]prometheus.Counter
	took       prometheus.Histogram
	expiries   *prometheus.CounterVec
	families   map[string]bool
	proofs     map[proofLabel]prometheus.Counter
	held       prometheus.Gauge
	stops      prometheus.Counter
	alarms     prometheus.Counter
	mismatches prometheus.Counter
}

type proofLabel struct {
	assurance  string
	remembered bool
}

// answers name the outcomes.
var answers = [numOutcomes]string{approvedNow: "approved", deniedNow: "denied", disowned: "not-me", wrongOnce: "wrong-number", wrongTwice: "wrong-numbers"}

func newMetrics(reg prometheus.Registerer, s *Service) (*metrics, error) {
	m := &metrics{prompts: map[policy.Shapes]prometheus.Counter{}, families: map[string]bool{}, proofs: map[proofLabel]prometheus.Counter{}}
	prompts := vec("stsgate_mfa_prompts_total", "Sign-ins that users were asked to approve, by shape: hold, challenge.", "shape")
	decisions := vec("stsgate_mfa_decisions_total", "Answers of users: approved, denied, not-me (denied, and somebody else's), wrong-number (the first), wrong-numbers (the second, which denies).", "decision")
	proofs := vec("stsgate_mfa_proofs_total", "Second factors that were met, by assurance (otp, bound, approve-only, pre-approved) and whether they were proven for an earlier request.", "assurance", "remembered")
	m.expiries = vec("stsgate_mfa_expiries_total", "Requests that waited as long as their client does without an answer of the user, by client family.", "family")
	m.took = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "stsgate_mfa_approval_seconds", Help: "Time from asking a user to the approval.",
		Buckets: []float64{2, 5, 10, 15, 20, 30, 45, 60, 120, 300},
	})
	m.held = prometheus.NewGauge(prometheus.GaugeOpts{Name: "stsgate_mfa_held", Help: "Requests that wait for their user's answer now."})
	m.stops = counter("stsgate_mfa_fatigue_stops_total", "Users who are not asked any more for an hour, since five sign-ins with the right password were not approved.")
	m.alarms = counter("stsgate_mfa_disowned_total", "Sign-ins with the right password of which the user said that they were somebody else's.")
	m.mismatches = counter("stsgate_mfa_binding_mismatches_total", "Answers for sign-ins that were not asked of the user who gave them.")
	for _, shape := range []policy.Shapes{policy.Hold, policy.Challenge} {
		m.prompts[shape] = prompts.WithLabelValues(shape.String())
	}
	for o, name := range answers {
		m.decisions[o] = decisions.WithLabelValues(name)
	}
	for _, assurance := range []string{OTP, Bound, ApproveOnly, PreApproved} {
		for _, remembered := range []bool{false, true} {
			m.proofs[proofLabel{assurance, remembered}] = proofs.WithLabelValues(assurance, fmt.Sprint(remembered))
		}
	}
	for _, f := range s.c.Families {
		m.families[f] = true
		m.expiries.WithLabelValues(f)
	}
	for _, c := range []prometheus.Collector{prompts, decisions, proofs, m.expiries, m.took, m.held, m.stops, m.alarms, m.mismatches} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func vec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func (m *metrics) satisfied(proofs []Proof) {
	for i := range proofs {
		m.proofs[proofLabel{proofs[i].Assurance(), proofs[i].Remembered}].Inc()
	}
}

func (m *metrics) decided(o outcome, took time.Duration) {
	m.decisions[o].Inc()
	if o == approvedNow {
		m.took.Observe(took.Seconds())
	}
}

func (m *metrics) expired(family string) {
	if m.families[family] {
		m.expiries.WithLabelValues(family).Inc()
	}
}
