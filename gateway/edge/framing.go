package edge

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// framings name the statuses of requests that are refused before they are one:
// what is wrong is in the lines, so that there is no path and no message yet.
var framings = [...]struct {
	status int
	reason string
}{
	{http.StatusBadRequest, "malformed"},
	{http.StatusRequestTimeout, "timeout"},
	{http.StatusExpectationFailed, "expectation"},
	{http.StatusRequestHeaderFieldsTooLarge, "too-large"},
	{http.StatusHTTPVersionNotSupported, "version"},
}

// countFraming returns the counters of framings, by status.
func countFraming(reg prometheus.Registerer) (map[int]prometheus.Counter, error) {
	all := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_framing_refusals_total",
		Help: "Requests that were refused for their lines, before there was a path or a message, by reason: malformed (400), timeout (408), expectation (417), too-large (431), version (505).",
	}, []string{"reason"})
	counters := make(map[int]prometheus.Counter)
	for _, f := range framings {
		counters[f.status] = all.WithLabelValues(f.reason)
	}
	return counters, reg.Register(all)
}
