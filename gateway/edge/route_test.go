package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/edge"
	"stsgate/gateway/refusal"
)

// HTTP-07, HTTP-09: who is let in, and what the others are told.
func TestAdmit(t *testing.T) {
	s := start(t, echo, nil)
	post := func(target, host string, more ...string) string {
		return head(append([]string{"POST " + target + " HTTP/1.1", "Host: " + host, "Content-Length: 1"}, more...)...) + "x"
	}
	for name, v := range map[string]struct {
		sni    string
		raw    string
		status int
	}{
		"plain":                     {host, post(trust, host), 200},
		"no server name":            {"", post(trust, host), 200},
		"host in capitals":          {host, post(trust, "STS.Contoso.EXAMPLE"), 200},
		"host with port":            {host, post(trust, host+":8443"), 200},
		"host with dot":             {host, post(trust, host+"."), 200},
		"host with dot and port":    {host, post(trust, host+".:443"), 200},
		"host with two dots":        {host, post(trust, host+".."), 421},
		"host with user":            {host, post(trust, host+":80@evil.example"), 400},
		"other host":                {host, post(trust, "evil.example"), 421},
		"address as host":           {host, post(trust, "127.0.0.1"), 421},
		"suffix of the host":        {host, post(trust, "x"+host), 421},
		"other server name":         {"evil.example", post(trust, host), 421},
		"both other":                {"evil.example", post(trust, "evil.example"), 421},
		"kelvin sign in the host":   {host, post(trust, strings.Replace(host, "s", "\u017f", 1)), 400},
		"absolute form":             {host, post("https://"+host+trust, host), 404},
		"absolute form, other host": {host, post("http://evil.example"+trust, host), 421},
		"authority form":            {host, post(host+":443", host), 404},
		"asterisk form":             {host, post("*", host), 404},
		"options of everything":     {host, head("OPTIONS * HTTP/1.1", "Host: "+host), 404},
		"get on post":               {host, head("GET "+trust+" HTTP/1.1", "Host: "+host), 405},
		"post on get":               {host, post(metadata, host), 405},
		"get":                       {host, head("GET "+metadata+" HTTP/1.1", "Host: "+host), 200},
		"head":                      {host, head("HEAD "+metadata+" HTTP/1.1", "Host: "+host), 200},
		"get with length 0":         {host, head("GET "+metadata+" HTTP/1.1", "Host: "+host, "Content-Length: 0"), 200},
		"get with body":             {host, head("GET "+metadata+" HTTP/1.1", "Host: "+host, "Content-Length: 1") + "x", 413},
		"get with chunks":           {host, head("GET "+metadata+" HTTP/1.1", "Host: "+host, "Transfer-Encoding: chunked") + "0\r\n\r\n", 413},
		"connect":                   {host, head("CONNECT "+host+":443 HTTP/1.1", "Host: "+host), 404},
		"trace":                     {host, head("TRACE "+trust+" HTTP/1.1", "Host: "+host), 405},
		"lower-case method":         {host, strings.Replace(post(trust, host), "POST", "post", 1), 405},
		"unknown method":            {host, strings.Replace(post(trust, host), "POST", "PROPFIND", 1), 405},
		"upgrade":                   {host, post(trust, host, "Connection: Upgrade", "Upgrade: h2c"), 405},
		"websocket":                 {host, head("GET "+metadata+" HTTP/1.1", "Host: "+host, "Connection: Upgrade", "Upgrade: websocket"), 405},
		"http/2 preface":            {host, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"expect":                    {host, post(trust, host, "Expect: magic"), 417},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t, v.sni)
			if _, err := io.WriteString(c, v.raw); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, &http.Request{Method: strings.SplitN(v.raw, " ", 2)[0]})
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != v.status {
				t.Errorf("got status %d, want %d", resp.StatusCode, v.status)
			}
			if allow := resp.Header.Get("Allow"); (resp.StatusCode == 405) != (allow != "") {
				t.Errorf("got Allow %q with status %d", allow, resp.StatusCode)
			}
			if l := resp.Header.Get("Location"); l != "" {
				t.Errorf("redirected to %s", l)
			}
		})
	}
}

// HTTP-07: of thirty methods each route serves its own, spelled exactly.
func TestMethods(t *testing.T) {
	reached := 0
	s := start(t, func(w http.ResponseWriter, r *http.Request) { reached++; echo(w, r) }, nil)
	methods := strings.Fields("GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE TRACK DEBUG PRI QUERY SEARCH PROPFIND PROPPATCH MKCOL COPY MOVE " +
		"LOCK UNLOCK REPORT PURGE LINK UNLINK M-SEARCH RPC-IN-DATA get Post pOST")
	if len(methods) != 30 {
		t.Fatalf("%d methods, want 30", len(methods))
	}
	for path, served := range map[string]string{trust: "POST", metadata: "GET HEAD", "/other": ""} {
		for _, m := range methods {
			ok, before := slices.Contains(strings.Fields(served), m), reached
			c := s.dial(t, host)
			if _, err := io.WriteString(c, head(m+" "+path+" HTTP/1.1", "Host: "+host)); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: m})
			if err != nil {
				t.Fatal(err)
			}
			if got := response.StatusCode; (got == http.StatusOK) != ok || !ok && got != http.StatusMethodNotAllowed && served != "" || (reached > before) != ok {
				t.Errorf("%s %s: got status %d, and reached the handler %v, want %v", m, path, got, reached > before, ok)
			}
		}
	}
}

// A handler sees the server name that the client asked for.
func TestRequestHasTLS(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %x", r.TLS.ServerName, r.TLS.NegotiatedProtocol, r.TLS.Version)
	}, nil)
	_, _, got := s.send(t, head("GET "+metadata+" HTTP/1.1", "Host: "+host))
	if want := host + "  304"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// HTTP-08: every single-character insertion, deletion, doubling and encoding
// of each route, and the spellings that servers are known to clean. Only case
// may vary, and what varies arrives canonical.
func TestPathSpellings(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI+" "+r.URL.String())
	}, func(c *edge.Config) {
		for i := range c.Routes {
			c.Routes[i].Methods = []string{"GET"}
		}
	})
	var targets []string
	for _, p := range []string{trust, metadata} {
		for i := 0; i <= len(p); i++ {
			for _, x := range []string{"/", "//", "/./", "/../", "/x/../", ".", "..", "%", "%00", "%20", "%2e", "%2f", "%5c", "%c0%af", "%u002f", `\`, ";", ";x=1", "?", "?x", "#", "#f", "@", ":", "*", "\u212a", "\u00e9", "a", "A", "-", "~", "+"} {
				targets = append(targets, p[:i]+x+p[i:])
			}
			if i < len(p) {
				targets = append(targets, p[:i]+p[i+1:], p[:i]+string(p[i])+p[i:], p[:i]+fmt.Sprintf("%%%02x", p[i])+p[i+1:], p[:i]+fmt.Sprintf("%%25%02x", p[i])+p[i+1:], p[:i]+fmt.Sprintf("%%u00%02x", p[i])+p[i+1:])
			}
		}
		targets = append(targets, strings.ReplaceAll(p, "/", `\`), strings.ReplaceAll(p, "e", "\u0435"), "https://"+host+p, "//"+host+p)
	}
	if len(targets) < 3000 {
		t.Fatalf("got %d spellings, want 3000", len(targets))
	}
	c := s.dial(t, host)
	r := bufio.NewReader(c)
	for _, target := range targets {
		if _, err := io.WriteString(c, head("GET "+target+" HTTP/1.1", "Host: "+host)); err != nil {
			t.Fatal(err)
		}
		status, h, body := read(t, r)
		if status != 404 {
			t.Fatalf("%s: got status %d and %q, want 404", target, status, body)
		}
		if h.Get("Connection") == "close" {
			c = s.dial(t, host)
			r = bufio.NewReader(c)
		}
	}
	for _, p := range []string{trust, metadata} {
		for i := range len(p) + 2 {
			target := strings.ToUpper(p)
			switch {
			case i < len(p):
				target = p[:i] + swapCase(p[i:i+1]) + p[i+1:]
			case i == len(p):
				target = strings.ToLower(p)
			}
			status, _, body := s.send(t, head("GET "+target+" HTTP/1.1", "Host: "+host))
			if want := p + " " + p; status != 200 || body != want {
				t.Fatalf("%s: got status %d and %q, want 200 and %q", target, status, body, want)
			}
		}
	}
}

func swapCase(s string) string {
	if l := strings.ToLower(s); l != s {
		return l
	}
	return strings.ToUpper(s)
}

// Who is refused before there is a handler is told to Refuse, with its reason.
func TestRefusalsAreReported(t *testing.T) {
	s := start(t, echo, nil)
	for raw, want := range map[string]refusal.Reason{
		head("GET /other HTTP/1.1", "Host: "+host):          refusal.WrongPath,
		head("GET "+metadata+" HTTP/1.1", "Host: other"):    refusal.WrongHost,
		head("DELETE "+metadata+" HTTP/1.1", "Host: "+host): refusal.WrongMethod,
	} {
		s.send(t, raw)
		if got := <-s.refused; got != want {
			t.Errorf("%q: got %v, want %v", raw, got, want)
		}
	}
}

// AUD-05: what the operator is told of a request that has no route holds the
// path, and nothing that could be a password or a token.
func TestRefusalsShowNoSecrets(t *testing.T) {
	const secret = "XKCD936CORRECTHORSE"
	routes := []edge.Route{{Path: trust, Methods: []string{"POST"}}}
	for name, r := range map[string]*http.Request{
		"query":            {Method: "POST", RequestURI: trust + "?password=" + secret},
		"fragment":         {Method: "GET", RequestURI: "/adfs/oauth2#access_token=" + secret},
		"parameter":        {Method: "GET", RequestURI: "/adfs/portal;jsessionid=" + secret + "/x"},
		"user information": {Method: "GET", RequestURI: "https://alice:" + secret + "@" + host + "/adfs"},
		"authority":        {Method: "CONNECT", RequestURI: "alice:" + secret + "@" + host + ":443"},
		"method":           {Method: secret, RequestURI: trust},
		"upgrade":          {Method: "POST", RequestURI: trust, Header: http.Header{"Upgrade": {secret}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, refused := edge.Find(routes, r)
			if refused == nil || strings.Contains(refused.Error(), secret[:12]) {
				t.Errorf("got %v", refused)
			}
			if target, _, cut := strings.Cut(r.RequestURI, "?"); cut && !strings.Contains(refused.Error(), target) {
				t.Errorf("got %v, want %s in it", refused, target)
			}
		})
	}
}

// HTTP-15: a body that nobody has read ends the connection.
func TestUnreadBodyEndsConnection(t *testing.T) {
	s := start(t, echo, nil)
	c := s.dial(t, host)
	if _, err := io.WriteString(c, head("POST /other HTTP/1.1", "Host: "+host, "Content-Length: 1")+"x"+head("GET "+metadata+" HTTP/1.1", "Host: "+host)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if status, _, _ := read(t, r); status != 404 {
		t.Errorf("got status %d, want 404", status)
	}
	ended(t, c, r)
}

func TestNewRefuses(t *testing.T) {
	h := http.NotFoundHandler()
	get := []string{"GET"}
	good := edge.Config{
		Host: host, Routes: []edge.Route{{metadata, get, h}}, Log: discard, Certificates: &edge.Certificates{}, Gate: wide(t),
		Refuse: func(http.ResponseWriter, *http.Request, *refusal.Refusal) {},
	}
	for name, change := range map[string]func(*edge.Config){
		"no routes":    func(c *edge.Config) { c.Routes = nil },
		"no host":      func(c *edge.Config) { c.Host = "" },
		"no refuse":    func(c *edge.Config) { c.Refuse = nil },
		"twice":        func(c *edge.Config) { c.Routes = []edge.Route{{"/a", get, h}, {"/A", get, h}} },
		"query":        func(c *edge.Config) { c.Routes = []edge.Route{{"/a?b", get, h}} },
		"encoded":      func(c *edge.Config) { c.Routes = []edge.Route{{"/%61", get, h}} },
		"dot":          func(c *edge.Config) { c.Routes = []edge.Route{{"/a/../b", get, h}} },
		"no methods":   func(c *edge.Config) { c.Routes = []edge.Route{{"/a", nil, h}} },
		"no handler":   func(c *edge.Config) { c.Routes = []edge.Route{{"/a", get, nil}} },
		"certificates": func(c *edge.Config) { c.Certificates = nil },
		"no gate":      func(c *edge.Config) { c.Gate = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := edge.New(c); err == nil {
				t.Error("got no error")
			}
		})
	}
	if _, err := edge.New(good); err != nil {
		t.Errorf("got %v for a good one", err)
	}
}
