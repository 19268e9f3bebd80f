package directory

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
)

// An operation is what Active Directory is asked for.
type operation uint8

const (
	operationLookup operation = iota
	operationVerify
	numOperations
)

// An outcome is how asking ended.
type outcome uint8

const (
	outcomeAnswered outcome = iota
	outcomeUnknown
	outcomeDenied
	outcomeFailed
	outcomeSlow
	outcomeDown
	outcomeCanceled
	outcomeCached
	outcomeRemembered
	numOutcomes
)

// outcomeOf reads the outcome off an error.
func outcomeOf(ctx context.Context, err error) outcome {
	switch {
	case err == nil:
		return outcomeAnswered
	case errors.Is(err, account.ErrUnknown):
		return outcomeUnknown
	case errors.Is(err, account.ErrDenied):
		return outcomeDenied
	case ctx.Err() != nil:
		return outcomeCanceled
	case errors.Is(err, errSlow):
		return outcomeSlow
	default:
		return outcomeFailed
	}
}

type ldapMetrics struct {
	outcomes  [numOperations][numOutcomes]prometheus.Counter
	durations [numOperations]prometheus.Observer
	all       []prometheus.Collector
}

// newLDAPMetrics makes the metrics of a directory; up tells whether it answers.
func newLDAPMetrics(up func() bool) *ldapMetrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_directory_requests_total",
		Help: "Questions to Active Directory by operation (lookup, verify) and outcome: answered (found, right), unknown, denied, failed (no connection, a broken one, " +
			"or an error), slow (no answer in time), down (not asked, since the controller is down), canceled (client gone), cached (not asked, the account was known), " +
			"remembered (no answer, and whose name it is was known).",
	}, []string{"operation", "outcome"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "stsgate_directory_request_duration_seconds",
		Help:    "Time that Active Directory was asked, by operation (lookup, verify), whatever the outcome.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	}, []string{"operation"})
	answers := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_directory_up",
		Help: "0 while the domain controller does not answer, 1 while it does or where there is none.",
	}, func() float64 {
		if up() {
			return 1
		}
		return 0
	})
	m := &ldapMetrics{all: []prometheus.Collector{requests, durations, answers}}
	outcomes := [numOutcomes]string{
		outcomeAnswered: "answered", outcomeUnknown: "unknown", outcomeDenied: "denied", outcomeFailed: "failed", outcomeSlow: "slow",
		outcomeDown: "down", outcomeCanceled: "canceled", outcomeCached: "cached", outcomeRemembered: "remembered",
	}
	for o, name := range [numOperations]string{operationLookup: "lookup", operationVerify: "verify"} {
		m.durations[o] = durations.WithLabelValues(name)
		for i, outcome := range outcomes {
			m.outcomes[o][i] = requests.WithLabelValues(name, outcome)
		}
	}
	return m
}

func (m *ldapMetrics) count(o operation, how outcome) { m.outcomes[o][how].Inc() }

func (m *ldapMetrics) observe(o operation, how outcome, took time.Duration) {
	m.count(o, how)
	m.durations[o].Observe(took.Seconds())
}

// Register adds the metrics of Active Directory to r, those of none where l
// is nil.
func (l *LDAP) Register(r prometheus.Registerer) error {
	m := newLDAPMetrics(func() bool { return true })
	if l != nil {
		m = l.metrics
	}
	for _, c := range m.all {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
