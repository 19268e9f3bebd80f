package edge

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"stsgate/gateway/refusal"
)

// A Route is one published path.
type Route struct {
	// Path is the canonical spelling. A client may write it in any case.
	Path string
	// Methods are those that are served, in upper case. All others are refused.
	Methods []string
	// Handler gets the request with its path in the canonical spelling and
	// without a query.
	Handler http.Handler
}

// A Site is a host with its published paths.
type Site struct {
	// Host is its name, in lower case.
	Host   string
	Routes []Route
	// Certificates is shown to clients that name the host; nil for those of the
	// server, which must then cover it.
	Certificates *Certificates
}

func checkSites(sites []Site) error {
	for i, s := range sites {
		if err := checkRoutes(s.Routes); err != nil {
			return fmt.Errorf("host %s: %w", s.Host, err)
		}
		if site(sites[:i], s.Host) != nil {
			return errors.New("host " + s.Host + " is there twice")
		}
	}
	return nil
}

// site returns the site of a host, or nil.
func site(sites []Site, host string) *Site {
	for i := range sites {
		if equalFold(sites[i].Host, host) {
			return &sites[i]
		}
	}
	return nil
}

// spelling is what a path may look like: nothing to decode, nothing to clean.
const spelling = `^(/|(/[A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*)+)$`

func checkRoutes(routes []Route) error {
	if len(routes) == 0 {
		return errors.New("no routes")
	}
	shape := regexp.MustCompile(spelling)
	for i, r := range routes {
		switch {
		case !shape.MatchString(r.Path):
			return errors.New("route " + r.Path + ": the path is not plain")
		case len(r.Methods) == 0 || r.Handler == nil:
			return errors.New("route " + r.Path + ": no methods or no handler")
		case find(routes[:i], r.Path) != nil:
			return errors.New("route " + r.Path + ": the path is there twice")
		}
	}
	return nil
}

// find returns the route of a raw request target. An exact match is the whole
// rule: whatever would have to be decoded, cleaned or cut first is no match
// (security.md, HTTP-08, HTTP-09).
func find(routes []Route, target string) *Route {
	for i := range routes {
		if equalFold(routes[i].Path, target) {
			return &routes[i]
		}
	}
	return nil
}

// equalFold compares without case in ASCII. strings.EqualFold would take
// U+212A for a K.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// admit finds the route of a request, or says why it has none.
func (s *Server) admit(r *http.Request) (*Route, *refusal.Refusal) {
	own := site(s.sites, hostname(r.Host))
	switch {
	case own == nil:
		return nil, refusal.New(refusal.WrongHost, "host %.100q", shown(r.Host))
	case r.TLS == nil || r.TLS.ServerName != "" && !equalFold(r.TLS.ServerName, own.Host):
		return nil, refusal.New(refusal.WrongHost, "TLS server name differs from host")
	}
	route, refused := Find(own.Routes, r)
	if refused == nil && r.ProtoMinor == 0 && own != &s.sites[0] {
		return route, refusal.New(refusal.WrongMethod, "HTTP/1.0 is for metadata only")
	}
	return route, refused
}

// Find returns the route of a request, or says why there is none. What is wrong
// with the method comes with the route of the path.
func Find(routes []Route, r *http.Request) (*Route, *refusal.Refusal) {
	route := find(routes, r.RequestURI)
	switch {
	case route == nil:
		return nil, refusal.New(refusal.WrongPath, "path %.200q", shown(r.RequestURI))
	case !slices.Contains(route.Methods, r.Method):
		return route, refusal.New(refusal.WrongMethod, "method %.10q", r.Method)
	case len(r.Header["Upgrade"]) > 0:
		return route, refusal.New(refusal.WrongMethod, "upgrade to %.10q", r.Header["Upgrade"][0])
	case r.ContentLength != 0 && r.Method != http.MethodPost:
		return route, refusal.New(refusal.TooLarge, "%s with a body", r.Method)
	}
	return route, nil
}

// shown is what the operator may see of a target or host: neither user
// information nor a query, parameter or fragment, where browsers and other
// protocols put passwords and tokens (security.md, AUD-05).
func shown(target string) string {
	if i := strings.IndexAny(target, "?#;"); i >= 0 {
		target = target[:i+1] + "…"
	}
	if i := strings.LastIndexByte(target, '@'); i >= 0 {
		target = "…" + target[i:]
	}
	return target
}

// hostname drops the port and one trailing dot of a Host header.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// lists tells that a header's comma-separated value has an option.
func lists(value, option string) bool {
	for o := range strings.SplitSeq(value, ",") {
		if equalFold(strings.Trim(o, " \t"), option) {
			return true
		}
	}
	return false
}

// serve finds the handler of a request, or says why there is none.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	route, refused := s.admit(r)
	if refused == nil {
		r.RequestURI, r.URL.Path = route.Path, route.Path
		route.Handler.ServeHTTP(w, r)
		return
	}
	if refused.Reason == refusal.WrongMethod {
		w.Header().Set("Allow", strings.Join(route.Methods, ", ")) // RFC 9110, section 15.5.6
	}
	if refused.Reason.Row().Close {
		w.Header().Set("Connection", "close")
	}
	s.refuse(w, r, refused)
}
