package main

import (
	"strings"
	"testing"

	"stsgate/gateway/config"
)

// protocol.md, appendix C, row 6: AD FS compares the port in To with its own.
func TestForeignPort(t *testing.T) {
	farm := func(nodes ...string) *config.ADFS { return &config.ADFS{Nodes: nodes} }
	for _, c := range []struct {
		url, listen string
		farm        *config.ADFS
		want        string
	}{
		{"", ":443", farm("https://10.0.0.11"), ""},
		{"https://sts.contoso.example", ":8443", farm("https://10.0.0.11", "https://10.0.0.12:443"), ""},
		{"", ":8443", nil, ""},
		{"", ":8443", farm("https://10.0.0.11:8443"), ""},
		{"", ":8443", farm("https://10.0.0.11"), "port 8443"},
		{"https://sts.contoso.example:9443", ":443", farm("https://10.0.0.11"), "port 9443"},
		{"", ":8443", farm("https://10.0.0.11:8443", "https://[fd00::1]"), "https://[fd00::1]"},
		{"", ":8443", farm("https://127.0.0.1:45553"), ""}, // a demo's
	} {
		cfg := &config.Config{Host: "sts.contoso.example", URL: c.url, Listen: []config.Listen{{Address: c.listen}}, Upstream: config.Upstream{ADFS: c.farm}}
		if got := foreignPort(cfg); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s, %s, %v: got %q, want %q", c.url, c.listen, c.farm, got, c.want)
		}
	}
}
