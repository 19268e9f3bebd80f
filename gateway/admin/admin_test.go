package admin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/admin"
)

func open(t *testing.T, checks ...admin.Check) http.Handler {
	t.Helper()
	reg := prometheus.NewRegistry()
	seen := prometheus.NewCounter(prometheus.CounterOpts{Name: "stsgate_test_total", Help: "A test."})
	reg.MustRegister(seen)
	seen.Inc()
	h, err := admin.New(admin.Config{Gatherer: reg, Ready: func() []admin.Check { return checks }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestMetrics(t *testing.T) {
	w := ask(open(t), "GET", "/metrics")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "stsgate_test_total 1\n") {
		t.Errorf("got %d and %s, want the counter", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "go_goroutines") {
		t.Error("got metrics of another registry")
	}
}

// FAIL-06: readiness lists each dependency; liveness depends on none.
func TestReadiness(t *testing.T) {
	up := admin.NewCheck("policy", nil)
	down := admin.NewCheck("farm", errors.New("no node answers"))
	advice := admin.NewCheck("farm-direct", errors.New("a node answers"))
	advice.Advice = true
	for name, v := range map[string]struct {
		checks []admin.Check
		status int
		body   string
	}{
		"all well": {[]admin.Check{up}, 200, `{"ready":true,"checks":[{"name":"policy","ok":true}]}`},
		"one down": {[]admin.Check{up, down}, 503,
			`{"ready":false,"checks":[{"name":"policy","ok":true},{"name":"farm","ok":false,"error":"no node answers"}]}`},
		// HDR-06: red, and in service.
		"advice": {[]admin.Check{up, advice}, 200,
			`{"ready":true,"checks":[{"name":"policy","ok":true},{"name":"farm-direct","ok":false,"advice":true,"error":"a node answers"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, v.checks...)
			w := ask(h, "GET", "/readyz")
			if got := strings.TrimSpace(w.Body.String()); w.Code != v.status || got != v.body {
				t.Errorf("got %d %s, want %d %s", w.Code, got, v.status, v.body)
			}
			if w := ask(h, "GET", "/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
				t.Errorf("healthz: got %d %s, want 200 ok", w.Code, w.Body)
			}
		})
	}
}

func TestNothingElse(t *testing.T) {
	h := open(t)
	for _, v := range []struct {
		method, target string
		want           int
	}{
		{"HEAD", "/metrics", 200}, {"HEAD", "/healthz", 200}, {"HEAD", "/readyz", 200},
		{"POST", "/metrics", 405}, {"PUT", "/readyz", 405}, {"DELETE", "/healthz", 405}, {"get", "/healthz", 405},
		{"GET", "/", 404}, {"GET", "/metrics/", 404}, {"GET", "/Metrics", 404},
		{"GET", "/debug/pprof/", 404}, {"GET", "/debug/pprof/heap", 404}, {"GET", "/debug/vars", 404},
	} {
		w := ask(h, v.method, v.target)
		if w.Code != v.want {
			t.Errorf("%s %s: got %d, want %d", v.method, v.target, w.Code, v.want)
		}
		if allow := w.Header().Get("Allow"); (v.want == 405) != (allow == "GET, HEAD") {
			t.Errorf("%s %s: got Allow %q", v.method, v.target, allow)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := admin.New(admin.Config{}); err == nil {
		t.Error("got no error without gatherer and checks")
	}
}
