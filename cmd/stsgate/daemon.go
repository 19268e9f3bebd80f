package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway"
	"stsgate/gateway/admin"
	"stsgate/gateway/audit"
	"stsgate/gateway/clientip"
	"stsgate/gateway/clock"
	"stsgate/gateway/config"
	"stsgate/gateway/edge"
	"stsgate/gateway/portal"
	"stsgate/policy"
	"stsgate/upstream/adfs"
	"stsgate/upstream/issuer"
)

// A daemon is the running gateway: what was built, what it listens on, and
// what a reload replaces.
type daemon struct {
	c       *config.Config
	log     *slog.Logger
	metrics *metrics
	parts   *parts

	live    *policy.Live
	farm    *adfs.Farm // nil without a farm
	again   again      // asks for its proofs
	issuer  *issuer.Issuer
	clock   *clock.Watch
	audit   *audit.Log
	syslog  *audit.Syslog // nil without a receiver
	keeper  *keeper
	gateway *gateway.Gateway
	portal  *portal.Portal // nil without one
	signIns *pastSignIns

	servers []*edge.Server
	clients []net.Listener // one for each server
	plain   []*plainServer // admin, its socket, and probe
	stopped atomic.Bool    // draining: not ready any more
}

// A plainServer is a listener without TLS that serves no client.
type plainServer struct {
	listener net.Listener
	server   *http.Server
}

// newDaemon builds everything and binds every address. When it returns the
// kernel takes connections; run answers them.
func newDaemon(c *config.Config, log *slog.Logger) (_ *daemon, err error) {
	d := &daemon{c: c, log: log, again: again{make(chan struct{}, 1), make(chan struct{}, 1)}}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.parts, err = loadParts(c, log); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	if d.metrics, err = newMetrics(registry); err != nil {
		return nil, err
	}
	if err = d.parts.ldap.Register(registry); err != nil {
		return nil, err
	}
	if d.clock, err = watchClock(clock.Config{}, registry, log); err != nil {
		return nil, err
	}
	if err = d.openAudit(registry); err != nil {
		return nil, err
	}
	if d.keeper, err = openKeeper(c, d.parts, func() error { return d.clock.Ready() }, registry, log); err != nil {
		return nil, err
	}
	if err := d.buildGateway(registry); err != nil {
		return nil, err
	}
	d.openSignIns()
	if err := d.openPortal(registry); err != nil {
		return nil, err
	}
	if err := d.listen(registry); err != nil {
		return nil, err
	}
	if err := d.listenPlain(registry); err != nil {
		return nil, err
	}
	if err := d.listenOperators(); err != nil {
		return nil, err
	}
	d.metrics.loaded(d.parts, d.live.Load(), time.Now())
	warnOfWriters(c.Policy, log)
	warnOfLockouts(context.Background(), d.parts.ldap, &c.Guard, log)
	return d, nil
}

func (d *daemon) buildGateway(registry *prometheus.Registry) (err error) {
	d.live = policy.NewLive(d.parts.policy)
	g := gateway.Config{
		Host:             d.c.Host,
		URL:              publicURL(d.c),
		Policy:           d.live,
		Clients:          d.parts.clients,
		Places:           d.parts.places,
		Guard:            d.keeper.guard,
		Spare:            d.keeper.spare,
		MFA:              d.keeper.mfa,
		ProveInDirectory: d.c.MFA.Hold.Prove == config.ProveDirectory,
		Record:           recorded(d.c),
		Issuing:          d.issuing,
		Audit:            d.audit,
		MaxBody:          int64(d.c.Limits.Body),
		BodyTimeout:      d.c.Timeouts.Body,
		Slot:             d.c.Oracle.Slot,
		Metrics:          registry,
		Log:              d.log,
	}
	if d.parts.directory != nil {
		g.Directory = d.parts.directory
	}
	if a := d.c.Upstream.ADFS; a != nil {
		if d.farm, err = newFarm(d.c, d.parts, registry, d.log); err != nil {
			return err
		}
		g.Forwarder = d.farm
	}
	if d.c.Upstream.Issuer != nil {
		if d.issuer, err = newIssuer(d.c, d.parts); err != nil {
			return err
		}
		g.Issuer = d.issuer
	}
	d.gateway, err = gateway.New(g, endpoints(d.c))
	return err
}

// listen binds the addresses for clients.
func (d *daemon) listen(registry *prometheus.Registry) error {
	routes, err := d.routes()
	if err != nil {
		return err
	}
	l := d.c.Limits
	gate, err := edge.NewGate(edge.GateConfig{
		Total:     edge.Share{Connections: l.Connections, Handshakes: l.Handshakes, Requests: l.Requests},
		PerSource: edge.Share{Connections: l.ConnectionsPerSource, Handshakes: l.HandshakesPerSource, Requests: l.RequestsPerSource},
		Exempt:    d.parts.many,
		Metrics:   registry,
	})
	if err != nil {
		return err
	}
	for i, l := range d.c.Listen {
		var proxies []netip.Prefix
		if l.ProxyProtocol {
			proxies = d.c.Clients.Proxies
		}
		s, err := edge.New(edge.Config{
			Host:           d.c.Host,
			Routes:         routes,
			Sites:          d.sites(),
			Refuse:         d.refuse,
			RefusedFraming: d.gateway.RefuseFraming,
			Certificates:   d.parts.certificates[i],
			Gate:           gate,
			Proxies:        proxies,
			Speaking:       clientip.Headers(),
			HeaderTimeout:  d.c.Timeouts.Header,
			IdleTimeout:    d.c.Timeouts.Idle,
			HeaderBytes:    int(d.c.Limits.Headers),
			Log:            d.log,
		})
		if err != nil {
			return err
		}
		listener, err := edge.Listen(l.Address)
		if err != nil {
			return err
		}
		d.servers, d.clients = append(d.servers, s), append(d.clients, listener)
	}
	return nil
}

// listenPlain binds the admin listener and, where there is one, the probe's.
func (d *daemon) listenPlain(registry *prometheus.Registry) error {
	type plain struct {
		address string
		handler http.Handler
	}
	operators, err := admin.New(admin.Config{Gatherer: registry, Ready: d.checks})
	if err != nil {
		return err
	}
	all := []plain{{d.c.Admin.Address, operators}}
	if d.c.Probe != nil {
		all = append(all, plain{d.c.Probe.Address, edge.ProbeHandler(d.ready)})
	}
	for _, p := range all {
		l, err := edge.Listen(p.address)
		if err != nil {
			return err
		}
		d.plain = append(d.plain, &plainServer{l, &http.Server{
			Handler:           admin.Contain(p.handler, d.log),
			ReadHeaderTimeout: d.c.Timeouts.Header,
			IdleTimeout:       d.c.Timeouts.Idle,
			WriteTimeout:      time.Minute,
			MaxHeaderBytes:    int(d.c.Limits.Headers),
			ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		}})
	}
	return nil
}

// run answers until ctx ends or a listener fails, then drains and closes. It
// may be called once.
func (d *daemon) run(ctx context.Context) error {
	failed := make(chan error, len(d.servers)+len(d.plain))
	for i, s := range d.servers {
		go func() { failed <- s.Serve(d.clients[i]) }()
		d.log.Info("listening", "address", d.clients[i].Addr().String())
	}
	for _, p := range d.plain {
		go func() { failed <- p.server.Serve(p.listener) }()
	}
	go d.watchDirectory(ctx)
	d.proveFarm(ctx)
	go d.clock.Run(ctx)
	go d.purge(ctx)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	d.log.Info("stopping")
	d.stopped.Store(true)
	bound, cancel := context.WithTimeout(context.Background(), d.c.Timeouts.Drain)
	defer cancel()
	err = errors.Join(err, d.drain(bound), d.close())
	d.log.Info("stopped")
	return err
}

// drain answers what clients have begun to ask, on all listeners at once.
func (d *daemon) drain(ctx context.Context) error {
	if d.portal != nil {
		d.portal.Drain()
	}
	drained := make(chan error, len(d.servers))
	for _, s := range d.servers {
		go func() { drained <- s.Drain(ctx) }()
	}
	var errs []error
	for range d.servers {
		errs = append(errs, <-drained)
	}
	return errors.Join(errs...)
}

// close ends what was built, the last first.
func (d *daemon) close() error {
	var errs []error
	for _, p := range d.plain {
		p.server.Close()
		p.listener.Close()
	}
	for i, s := range d.servers {
		s.Close()
		d.clients[i].Close()
	}
	if d.farm != nil {
		d.farm.Close()
	}
	if d.parts != nil && d.parts.ldap != nil {
		d.parts.ldap.Close()
	}
	if d.syslog != nil {
		d.syslog.Close()
	}
	if d.keeper != nil {
		errs = append(errs, d.keeper.close())
	}
	if d.audit != nil {
		errs = append(errs, d.audit.Close())
	}
	return errors.Join(errs...)
}

// ready tells whether this gateway should be sent new requests.
func (d *daemon) ready() bool {
	return !slices.ContainsFunc(d.checks(), admin.Check.Unready)
}

// checks are what readiness rests on, and what somebody else has to see to.
func (d *daemon) checks() []admin.Check {
	var draining error
	if d.stopped.Load() {
		draining = errors.New("stopping")
	}
	all := []admin.Check{
		admin.NewCheck("draining", draining), admin.NewCheck("state", errors.Join(d.keeper.guard.Ready(), d.keeper.factors.Ready(), d.keeper.mfa.Ready(), d.keeper.tender.ready())), admin.NewCheck("audit", d.auditing()),
		admin.NewCheck("clock", d.clock.Ready()), admin.NewCheck("panics", d.gateway.Sound()), d.metrics.policyCheck(), d.relaxedCheck(),
	}
	if d.issuer != nil {
		all = append(all, admin.NewCheck("signing", d.signing()))
	}
	if d.farm != nil {
		var err error
		if !d.farm.Healthy() {
			err = errors.New("no node is up")
		}
		all = append(all, admin.NewCheck("farm", err), admin.NewCheck("farm-signing", d.farm.Signers()))
		all = append(all, farmChecks(d.c.Upstream.ADFS, d.farm)...)
	}
	if d.parts.ldap != nil {
		all = append(all, admin.NewCheck("directory", d.parts.ldap.Healthy()))
	}
	for _, c := range d.parts.allCertificates() {
		var err error
		if until := c.Expiry(); time.Now().After(until) {
			err = fmt.Errorf("expired at %s", until.UTC().Format(time.RFC3339))
		}
		all = append(all, admin.NewCheck("certificate", err))
	}
	return all
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "stsgate"
	}
	return name
}
