package edge

import (
	"io"
	"net/http"
)

// ProbeHandler answers the load balancer in front as AD FS does: GET
// /adfs/probe is 200 while ready and 503 while not, and nothing else is there.
func ProbeHandler(ready func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, text := http.StatusNotFound, "not found\n"
		if r.Method == http.MethodGet && r.RequestURI == "/adfs/probe" {
			status, text = http.StatusServiceUnavailable, "not ready\n"
			if ready() {
				status, text = http.StatusOK, "ready\n"
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}
