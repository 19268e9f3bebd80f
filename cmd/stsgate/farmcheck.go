package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"stsgate/gateway/config"
	"stsgate/upstream/adfs"
)

const (
	// signInTime bounds the gateway's own sign-in, the reading of the farm's keys
	// before it included.
	signInTime = 30 * time.Second
	// doorTime bounds one door.
	doorTime = 5 * time.Second
)

// proveFarm makes the proofs of the farm now and tries the doors beside this one
// (HDR-10), and prints a line for each. What is not proven is red.
func (v *check) proveFarm(ctx context.Context, c *console, cfg *config.Config, p *parts) error {
	a := cfg.Upstream.ADFS
	if a == nil {
		return usageError{errors.New("--farm: there is no upstream.adfs")}
	}
	farm, err := newFarm(cfg, p, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer farm.Close()
	red := false
	line := func(proof string, s adfs.Standing) {
		word := "ok"
		if s.State != adfs.Proven {
			word, red = "red", true
		}
		fmt.Fprintf(c.out, "%s: %s, %s\n", word, proof, visible(s.State.String()+": "+s.Why))
	}
	if a.Outside == "" {
		line("direct", adfs.Standing{Why: "upstream.adfs.outside is absent"})
	} else {
		for _, r := range farm.ProveDirect(ctx, netip.MustParseAddr(a.Outside)) {
			r.Why = r.Node + " " + r.Why
			line("direct", r.Standing)
		}
	}
	line("extranet", proveExtranet(ctx, cfg, farm))
	tryDoors(ctx, c, cfg)
	if red {
		return errReported
	}
	return nil
}

func proveExtranet(ctx context.Context, cfg *config.Config, farm *adfs.Farm) adfs.Standing {
	if cfg.Upstream.ADFS.Proof == nil {
		return adfs.Standing{Why: "upstream.adfs.proof is absent; a gateway that runs may know by the tokens of clients, and says so in /readyz"}
	}
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	if err := farm.ProveExtranet(ctx, signIn(cfg)); err != nil {
		return adfs.Standing{Why: err.Error()}
	}
	return farm.Extranet()
}

// A door is a way into AD FS that this gateway does not publish.
type door struct{ method, path, body string }

func doors() []door {
	return []door{
		{http.MethodPost, "/adfs/oauth2/token", "grant_type=password"}, // which names nobody
		{http.MethodGet, "/adfs/ls/", ""},
		{http.MethodGet, "/adfs/services/trust/13/windowstransport", ""},
		{http.MethodGet, "/adfs/services/trust/2005/windowstransport", ""},
		{http.MethodGet, "/adfs/portal/updatepassword", ""},
	}
}

// tryDoors tries each door at each address that the public name has here.
func tryDoors(ctx context.Context, c *console, cfg *config.Config) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", cfg.Host)
	if err != nil {
		fmt.Fprintf(c.out, "warning: the doors of %s were not tried: %v\n", cfg.Host, err)
		return
	}
	trusted := publicRoots(cfg)
	for _, ip := range found {
		at := net.JoinHostPort(ip.Unmap().String(), portOf(publicURL(cfg)))
		printDoors(c, at, tryAt(ctx, at, cfg.Host, trusted))
	}
}

// printDoors says what the doors at one address answered.
func printDoors(c *console, at string, replies []reply) {
	var open []string
	for i, r := range replies {
		path := doors()[i].path
		if unknown, ok := errors.AsType[*tls.CertificateVerificationError](r.err); ok {
			fmt.Fprintf(c.out, "warning: %s shows a certificate that is not trusted here, so its doors were not tried: %v\n", at, unknown.Err)
			return
		}
		switch {
		case r.err != nil:
			fmt.Fprintf(c.out, "ok: %s does not answer %s\n", at, path)
		case r.status == http.StatusNotFound:
			fmt.Fprintf(c.out, "ok: %s has no %s\n", at, path)
		default:
			open = append(open, fmt.Sprintf("%s (%d)", path, r.status))
		}
	}
	if len(open) > 0 {
		fmt.Fprintf(c.out, "warning: %s is a second proxy, or has one behind it: it answers %s\n", at, strings.Join(open, ", "))
	}
}

// publicRoots are who may have certified what answers on the public name: whom
// this machine trusts, the gateway's own certificates, and the farm's authority.
func publicRoots(cfg *config.Config) *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	files := []string{cfg.Upstream.ADFS.CA}
	for _, l := range cfg.Listen {
		files = append(files, l.TLS.Certificate)
	}
	for _, f := range files {
		if pem, err := os.ReadFile(f); err == nil {
			pool.AppendCertsFromPEM(pem)
		}
	}
	return pool
}

// A reply is what a door answered: a status, or why there is none.
type reply struct {
	status int
	err    error
}

// tryAt tries all doors at one address at once.
func tryAt(ctx context.Context, at, host string, trusted *x509.CertPool) []reply {
	client := &http.Client{
		Timeout: doorTime,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", at)
			},
			TLSClientConfig:   &tls.Config{ServerName: host, RootCAs: trusted, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	all := make([]reply, len(doors()))
	var g sync.WaitGroup
	for i, d := range doors() {
		g.Go(func() { all[i] = d.try(ctx, client, host) })
	}
	g.Wait()
	return all
}

func (d door) try(ctx context.Context, client *http.Client, host string) reply {
	r, err := http.NewRequestWithContext(ctx, d.method, "https://"+host+d.path, strings.NewReader(d.body))
	if err != nil {
		return reply{err: err}
	}
	r.Header.Set("User-Agent", "stsgate/"+buildVersion())
	if d.body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	_ = answer.Body.Close()
	return reply{status: answer.StatusCode}
}
