package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/config"
	"stsgate/gateway/edge"
	"stsgate/gateway/mex"
	"stsgate/upstream/adfs"
	"stsgate/upstream/issuer"
)

func newFarm(c *config.Config, p *parts, registry prometheus.Registerer, log *slog.Logger) (*adfs.Farm, error) {
	a := c.Upstream.ADFS
	probes := map[config.ProbeMode]adfs.Probe{
		config.ProbeAuto: adfs.ProbeAuto, config.ProbeHTTP: adfs.ProbeHTTP, config.ProbeTLS: adfs.ProbeTLS,
	}
	return adfs.New(adfs.Config{
		Host:          c.Host,
		Nodes:         a.Nodes,
		CA:            p.farmCA,
		Signers:       p.farmSigners,
		Name:          hostname(),
		Probe:         probes[a.Probe],
		DialTimeout:   a.Timeouts.Dial,
		AnswerTimeout: a.Timeouts.Answer,
		Metrics:       registry,
		Log:           log,
	})
}

func newIssuer(c *config.Config, p *parts) (*issuer.Issuer, error) {
	i := issuer.Config{
		Entity:      c.Upstream.Issuer.Entity,
		Key:         p.signingKey,
		Certificate: p.signingCert,
		Directory:   p.directory,
		Host:        strings.TrimPrefix(publicURL(c), "https://"),
		ClaimTypes:  claimTypes(p),
	}
	for _, e := range c.Endpoints {
		switch e.Kind {
		case config.UsernameMixed2005, config.UsernameMixed13:
			i.Endpoints = append(i.Endpoints, e.Path)
		case config.MEX:
			i.MEX = e.Path
		}
	}
	return issuer.New(i)
}

// claimTypes are the claims that any application's tokens may hold.
func claimTypes(p *parts) []string {
	var all []string
	seen := map[string]bool{}
	for _, a := range p.policy.Applications() {
		for _, c := range a.Claims {
			if !seen[c.Type] {
				seen[c.Type] = true
				all = append(all, c.Type)
			}
		}
	}
	return all
}

// publicURL is the address that clients know: url where it is configured, and
// otherwise https://HOST with the port of the first listener.
func publicURL(c *config.Config) string {
	if c.URL != "" {
		return c.URL
	}
	if _, port, err := net.SplitHostPort(c.Listen[0].Address); err == nil && port != "443" {
		return "https://" + net.JoinHostPort(c.Host, port)
	}
	return "https://" + c.Host
}

// foreignPort says which farm node is at port 443 although clients come to
// another, empty for none: they write theirs into wsa:To, and AD FS compares it
// with its own (protocol.md, appendix C, row 6).
func foreignPort(c *config.Config) string {
	ours := portOf(publicURL(c))
	if c.Upstream.ADFS == nil || ours == "443" {
		return ""
	}
	for _, node := range c.Upstream.ADFS.Nodes {
		if portOf(node) == "443" {
			return fmt.Sprintf("clients come to port %s, and may write it into the To of a message; AD FS at %s compares it with its own and refuses what is forwarded", ours, node)
		}
	}
	return ""
}

// portOf returns the port of an https URL that the configuration has checked.
func portOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || u.Port() == "" {
		return "443"
	}
	return u.Port()
}

// routes are the published paths with what answers them.
func (d *daemon) routes() ([]edge.Route, error) {
	var routes []edge.Route
	for _, e := range endpoints(d.c) {
		routes = append(routes, edge.Route{Path: e.Path, Methods: []string{http.MethodPost}, Handler: d.gateway.Endpoint(e)})
	}
	for _, e := range d.c.Endpoints {
		switch e.Kind {
		case config.MEX:
			document, err := d.mex()
			if err != nil {
				return nil, err
			}
			routes = append(routes, edge.Route{Path: e.Path, Methods: methods(e.Kind), Handler: d.gateway.Count(e.Path, document)})
		case config.FederationMetadata:
			routes = append(routes, edge.Route{Path: e.Path, Methods: methods(e.Kind), Handler: d.gateway.Count(e.Path, d.metadata())})
		}
	}
	return routes, nil
}

// methods are those that an endpoint takes.
func methods(k config.Kind) []string {
	switch k {
	case config.MEX:
		return []string{http.MethodGet, http.MethodPost}
	case config.FederationMetadata:
		return []string{http.MethodGet}
	default:
		return []string{http.MethodPost}
	}
}

func (d *daemon) mex() (http.Handler, error) {
	m := mex.Config{URL: publicURL(d.c)}
	for _, e := range endpoints(d.c) {
		m.Endpoints = append(m.Endpoints, mex.Endpoint{Path: e.Path, Version: e.Version})
	}
	return mex.New(m)
}

// metadata answers with the issuer's federation metadata or, where the gateway
// only forwards, with the farm's as it is: it is signed.
func (d *daemon) metadata() http.Handler {
	const contentType = "application/samlmetadata+xml"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.issuer != nil {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(d.issuer.Metadata())
			return
		}
		document, err := farmMetadata(r.Context(), d.farm)
		if err != nil {
			d.log.Error("fetch federation metadata", "err", err)
			http.Error(w, "the farm's federation metadata cannot be fetched", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(document)
	})
}

func farmMetadata(ctx context.Context, f *adfs.Farm) ([]byte, error) {
	document, _, err := f.Metadata(ctx)
	return document, err
}
