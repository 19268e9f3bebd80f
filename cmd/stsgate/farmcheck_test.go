package main

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stsgate/gateway/config"
	"stsgate/upstream/adfs/adfstest"
)

// HDR-10: a line for each door. What is not proven makes it fail, what is open
// on the public name is a warning.
func TestCheckFarm(t *testing.T) {
	const granted = "grant_type=password"
	paths := []string{"/adfs/oauth2/token", "/adfs/ls/", "/adfs/services/trust/13/windowstransport", "/adfs/services/trust/2005/windowstransport", "/adfs/portal/updatepassword"}
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		_ = l.Close()
	}
	// From ::1 a node that is called by a name cannot be reached.
	closed := func(a *config.ADFS) {
		a.Nodes[0], a.Outside = strings.Replace(a.Nodes[0], "127.0.0.1", "node.example", 1), "::1"
	}
	for name, c := range map[string]struct {
		open      map[string]int // doors and their status
		behaviour adfstest.Behaviour
		change    func(*config.ADFS)
		want      []string
		fails     bool
	}{
		"nothing is set": {
			change: func(a *config.ADFS) { a.Proof, a.Outside = nil, "" },
			want:   []string{"red: direct, unproven: upstream.adfs.outside is absent", "red: extranet, unproven: upstream.adfs.proof is absent"}, fails: true,
		},
		"outside, and open to others": {
			want: []string{"red: direct, violated: 127.0.0.1:", "ok: extranet, proven: ", " has no /adfs/ls/", " has no /adfs/oauth2/token"}, fails: true,
		},
		"inside": {behaviour: adfstest.Intranet, change: closed, want: []string{"ok: direct, proven: node.example:", "red: extranet, violated: "}, fails: true},
		"well":   {change: closed, want: []string{"ok: direct, proven: node.example:", "ok: extranet, proven: ", "ok: 127.0.0.1:", " has no /adfs/ls/"}},
		"doors": {
			change: closed,
			open:   map[string]int{"/adfs/oauth2/token": 400, "/adfs/services/trust/13/windowstransport": 401, "/adfs/ls/": 302},
			want: []string{"is a second proxy, or has one behind it: it answers /adfs/oauth2/token (400), /adfs/ls/ (302), /adfs/services/trust/13/windowstransport (401)\n",
				" has no /adfs/portal/updatepassword"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change == nil {
				c.change = func(*config.ADFS) {}
			}
			behind, d := proven(t, "battery", c.change)
			behind.Nodes[0].Set(c.behaviour)
			asked := make(chan string, len(paths))
			public := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.URL.Path == paths[0] && (r.Method != http.MethodPost || string(body) != granted) {
					t.Errorf("got %s %s with %q, want a grant without a password", r.Method, r.URL, body)
				}
				asked <- r.URL.Path
				w.Header().Set("Location", "/elsewhere") // where nobody goes
				if status := c.open[r.URL.Path]; status != 0 {
					w.WriteHeader(status)
				} else {
					http.NotFound(w, r)
				}
			}))
			public.TLS = behind.TLS()
			public.StartTLS()
			defer public.Close()
			d.c.Host, d.c.URL = "localhost", strings.Replace(public.URL, "127.0.0.1", "localhost", 1)
			var out bytes.Buffer
			err := new(check).proveFarm(t.Context(), &console{out: &out}, d.c, d.parts)
			if errors.Is(err, errReported) != c.fails || (err != nil) != c.fails {
				t.Errorf("got error %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got\n%s\nwant %q in it", &out, want)
				}
			}
			if (c.open != nil) != strings.Contains(out.String(), "warning: ") || len(asked) != len(paths) {
				t.Errorf("asked %d times, got\n%s", len(asked), &out)
			}
		})
	}
}

// HDR-10: without a farm there is nothing to prove.
func TestCheckFarmWithout(t *testing.T) {
	err := new(check).proveFarm(t.Context(), &console{}, &config.Config{}, &parts{})
	if _, ok := errors.AsType[usageError](err); !ok {
		t.Errorf("got %v, want a usage error", err)
	}
}

// HDR-10: a public name at which nobody answers has no door; one that is none,
// and one where a stranger answers, were not tried.
func TestDoorsThatWereNotTried(t *testing.T) {
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + l.Addr().String()
	_ = l.Close()
	for _, c := range []struct {
		host, url, want string
		count           int
	}{
		{"127.0.0.1", closed, "ok: 127.0.0.1:", len(doors())},
		{"127.0.0.1", stranger.URL, "shows a certificate that is not trusted here", 1},
		{"no\x00name", closed, "warning: the doors of no\x00name were not tried: ", 1},
	} {
		var out bytes.Buffer
		tryDoors(t.Context(), &console{out: &out}, &config.Config{Host: c.host, URL: c.url, Upstream: config.Upstream{ADFS: &config.ADFS{}}})
		if strings.Count(out.String(), c.want) != c.count || strings.Count(out.String(), "\n") != c.count {
			t.Errorf("%s: got\n%s\nwant %d times %q", c.url, &out, c.count, c.want)
		}
	}
}
