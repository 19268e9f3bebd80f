package adfs

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/wstrust"
)

// An outcome is how a request to the farm ended.
type outcome uint8

const (
	answered outcome = iota
	fault
	unreadable
	untrusted
	down
	slow
	canceled
	numOutcomes
)

var outcomeNames = [numOutcomes]string{
	answered: "answered", fault: "fault", unreadable: "unreadable", untrusted: "untrusted", down: "down", slow: "slow", canceled: "canceled",
}

// outcomeOf reads the outcome off an error of Forward.
func outcomeOf(err error) outcome {
	if err == nil {
		return answered
	}
	if _, ok := errors.AsType[*wstrust.Fault](err); ok {
		return fault
	}
	switch {
	case errors.Is(err, wstrust.ErrUntrusted):
		return untrusted
	case errors.Is(err, wstrust.ErrDown):
		return down
	case errors.Is(err, wstrust.ErrSlow):
		return slow
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return canceled
	default:
		return unreadable
	}
}

// nowhere is the label of requests that no node took.
const nowhere = "none"

// counts are a node's own counters.
type counts struct {
	outcomes [numOutcomes]prometheus.Counter
	refused  prometheus.Counter
	duration prometheus.Observer
}

type metrics struct {
	unsent           [numOutcomes]prometheus.Counter // down and canceled only
	metadataFailures prometheus.Counter
}

// newMetrics gives every node its counters and registers them, and proofs with
// them. keys counts the signing keys that are known.
func newMetrics(r prometheus.Registerer, nodes []*node, keys func() float64, proofs []prometheus.Collector) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_farm_requests_total",
		Help: "Requests to the AD FS farm by node (host:port; none when no node took the request) and outcome: answered with a token, " +
			"fault, unreadable answer, untrusted (a token that no key of the farm signed), down (no connection, a broken one, a failing farm, or " +
			"one whose signing keys are not known), slow (no answer in time), canceled (client gone).",
	}, []string{"node", "outcome"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_farm_connect_failures_total",
		Help: "Requests that found no connection to this AD FS node and went on to the next one, with nothing sent.",
	}, []string{"node"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "stsgate_farm_request_duration_seconds",
		Help:    "Time from the choice of an AD FS node to the end of its answer, whatever the outcome.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
	}, []string{"node"})

	m := &metrics{metadataFailures: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "stsgate_farm_metadata_failures_total",
		Help: "Readings of the farm's metadata for its signing keys that failed. The keys known before stay.",
	})}
	known := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_farm_signing_keys",
		Help: "Keys that the AD FS farm may sign tokens with: given ones, or those in its metadata. 0 while none are known; then nothing is forwarded.",
	}, keys)
	all := append(proofs, requests, refused, duration, m.metadataFailures, known)
	for _, o := range []outcome{down, canceled} {
		m.unsent[o] = requests.WithLabelValues(nowhere, outcomeNames[o])
	}
	for o, name := range outcomeNames {
		for _, n := range nodes {
			n.count.outcomes[o] = requests.WithLabelValues(n.name, name)
		}
	}
	for _, n := range nodes {
		n.count.refused = refused.WithLabelValues(n.name)
		n.count.duration = duration.WithLabelValues(n.name)
		all = append(all, n.gauges()...)
	}
	if r == nil {
		return m, nil
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// gauges are read when they are asked for, so that an exchange does not pay
// for them.
func (n *node) gauges() []prometheus.Collector {
	connections := func(state string, count func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "stsgate_farm_connections",
			Help:        "Connections to an AD FS node by state: idle, or busy with a request.",
			ConstLabels: prometheus.Labels{"node": n.name, "state": state},
		}, count)
	}
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "stsgate_farm_node_up",
			Help:        "1 while requests are sent to this AD FS node, 0 while it is down.",
			ConstLabels: prometheus.Labels{"node": n.name},
		}, func() float64 {
			if n.up.Load() {
				return 1
			}
			return 0
		}),
		connections("idle", func() float64 { return float64(n.unused()) }),
		connections("busy", func() float64 { return float64(n.busy.Load()) }),
	}
}
