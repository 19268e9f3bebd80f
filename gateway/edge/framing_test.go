package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stsgate/gateway/edge"
)

// HTTP-02 to HTTP-06, DOS-01, DOS-02: what is refused for its lines is counted
// by reason, and every reason is there from the start.
func TestFramingIsCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	most := edge.Share{Connections: 1000, Handshakes: 1000, Requests: 1000}
	g := gate(t, edge.GateConfig{Total: most, PerSource: most, Metrics: reg})
	s := start(t, echo, func(c *edge.Config) { c.Gate, c.HeaderTimeout = g, 200*time.Millisecond })
	reasons := []string{"expectation", "malformed", "timeout", "too-large", "version"}
	counts := make(map[string]int)
	compare := func() {
		t.Helper()
		var text strings.Builder
		text.WriteString("# HELP stsgate_framing_refusals_total Requests that were refused for their lines, before there was a path or a message, by reason: malformed (400), timeout (408), expectation (417), too-large (431), version (505).\n# TYPE stsgate_framing_refusals_total counter\n")
		for _, r := range reasons {
			fmt.Fprintf(&text, "stsgate_framing_refusals_total{reason=%q} %d\n", r, counts[r])
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(text.String()), "stsgate_framing_refusals_total"); err != nil {
			t.Error(err)
		}
	}
	compare()
	for _, c := range []struct {
		raw    string
		status int
		reason string
	}{
		{"POST\r\n\r\n", 400, "malformed"},
		{head("GET "+metadata+" HTTP/1.1", "Host: "+host, "X_A: 1"), 400, "malformed"},
		{head("GET "+metadata+" HTTP/1.1", "Host: "+host, "Content-Length: 3", "Transfer-Encoding: chunked"), 400, "malformed"},
		{"GET " + metadata, 408, "timeout"},
		{head("GET "+metadata+" HTTP/1.1", "Host: "+host, "Expect: 200-ok"), 417, "expectation"},
		{head("GET "+metadata+" HTTP/1.1", "Host: "+host, "X-A: "+strings.Repeat("a", 17<<10)), 431, "too-large"},
		{head("GET "+metadata+" HTTP/2.0", "Host: "+host), 505, "version"},
		{head("GET "+metadata+" HTTP/1.1", "Host: "+host), 200, ""},
		{head("GET /x HTTP/1.1", "Host: "+host), 404, ""},
	} {
		if status, _, _ := s.send(t, c.raw); status != c.status {
			t.Errorf("%.40q: got status %d, want %d", c.raw, status, c.status)
		}
		if c.reason != "" {
			counts[c.reason]++
		}
		compare()
	}
}
