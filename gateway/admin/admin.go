// Package admin is the operator's side of the gateway: an HTTP listener with
// metrics and health, and a Unix socket with a desk for the verbs that ask the
// running gateway.
//
// The listener changes nothing, shows nothing of any user, and has no profiler.
// The desk never shows a secret, and does nothing that is not in the audit log.
package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config configures a Handler. All fields are required.
type Config struct {
	// Gatherer is what /metrics shows.
	Gatherer prometheus.Gatherer
	// Ready asks every dependency anew. It is called once a request and must
	// not block for long.
	Ready func() []Check
}

// A Check is the state of one thing that the gateway depends on.
type Check struct {
	// Name is a fixed word: farm, farm-signing, certificate, draining.
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Advice tells that the gateway stays in service whether it is well or not:
	// somebody has to see to it, and clients would be no better off without.
	Advice bool `json:"advice,omitempty"`
	// Error says what is wrong, for operators; empty when nothing is.
	Error string `json:"error,omitempty"`
}

// NewCheck makes a Check of an error, which is nil when all is well.
func NewCheck(name string, err error) Check {
	if err != nil {
		return Check{Name: name, Error: err.Error()}
	}
	return Check{Name: name, OK: true}
}

// Unready tells that the gateway should be sent no clients because of it.
func (c Check) Unready() bool { return !c.OK && !c.Advice }

// New returns the handler of the admin listener. It takes GET and HEAD on
//
//   - /metrics: the metrics, in the formats of Prometheus;
//   - /healthz: 200 while the program runs, whatever it depends on
//     (security.md, FAIL-06: nobody restarts a gateway because its farm is down);
//   - /readyz: each check as JSON; 200 when all are well that are no advice,
//     else 503.
func New(c Config) (http.Handler, error) {
	if c.Gatherer == nil || c.Ready == nil {
		return nil, errors.New("admin: gatherer and ready are required")
	}
	pages := map[string]http.Handler{
		"/metrics": promhttp.HandlerFor(c.Gatherer, promhttp.HandlerOpts{}),
		"/healthz": http.HandlerFunc(healthz),
		"/readyz":  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { readyz(w, c.Ready()) }),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := pages[r.URL.Path]
		switch {
		case page == nil:
			http.Error(w, "not found", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			page.ServeHTTP(w, r)
		}
	}), nil
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

func readyz(w http.ResponseWriter, checks []Check) {
	answer := struct {
		Ready  bool    `json:"ready"`
		Checks []Check `json:"checks"`
	}{true, checks}
	for _, c := range checks {
		answer.Ready = answer.Ready && !c.Unready()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}
