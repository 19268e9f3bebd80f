package edge_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stsgate/gateway/edge"
)

func TestAddress(t *testing.T) {
	for address, want := range map[string]string{
		":443":             ":443",
		"127.0.0.1:0":      "127.0.0.1:0",
		"[::1]:443":        "[::1]:443",
		"[fe80::1%lo]:443": "[fe80::1%lo]:443",
		`{{ GetAllInterfaces | include "flags" "loopback" | include "type" "IPv4" | limit 1 | attr "address" }}:8443`: "127.0.0.1:8443",
	} {
		if got, err := edge.Address(address); got != want || err != nil {
			t.Errorf("%s: got %q and error %v, want %q", address, got, err, want)
		}
	}
	for _, address := range []string{
		"", "443", ":", ":https", ":65536", "localhost:443", "10.0.0.1", "10.0.0.0/33", "10.0.0.0/8:443", "/run/stsgate.sock",
		"::1:443", "*:443", "10.0.0.1:443 10.0.0.2:443", " 10.0.0.1:443",
		"{{ GetNothing }}:443", "{{", "{{ GetInterfaceIP `absent0` }}:443",
		`{{ GetAllInterfaces | include "name" "absent0" | attr "address" }}:443`, // would listen everywhere
	} {
		got, err := edge.Address(address)
		if err == nil {
			t.Errorf("%s: got %q, want an error", address, got)
		} else if first, _, _ := strings.Cut(strings.TrimSpace(address), " "); !strings.Contains(err.Error(), first) {
			t.Errorf("%s: got %v, want the address named", address, err)
		}
	}
}

func TestListenNamesTheAddress(t *testing.T) {
	l, err := edge.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := edge.Listen(l.Addr().String()); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v for an address in use, want it named", err)
	}
}

func TestProbe(t *testing.T) {
	ready := true
	h := edge.ProbeHandler(func() bool { return ready })
	get := func(method, target string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w.Code
	}
	for _, v := range []struct {
		method, target string
		ready          bool
		want           int
	}{
		{"GET", "/adfs/probe", true, http.StatusOK},
		{"GET", "/adfs/probe", false, http.StatusServiceUnavailable},
		{"HEAD", "/adfs/probe", true, http.StatusNotFound},
		{"POST", "/adfs/probe", true, http.StatusNotFound},
		{"GET", "/adfs/probe/", true, http.StatusNotFound},
		{"GET", "/adfs/probe?x", true, http.StatusNotFound},
		{"GET", "/ADFS/probe", true, http.StatusNotFound},
		{"GET", "/", true, http.StatusNotFound},
		{"GET", "/metrics", true, http.StatusNotFound},
	} {
		ready = v.ready
		if got := get(v.method, v.target); got != v.want {
			t.Errorf("%s %s, ready %v: got %d, want %d", v.method, v.target, v.ready, got, v.want)
		}
	}
}
