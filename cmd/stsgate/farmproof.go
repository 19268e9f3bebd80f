package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/admin"
	"stsgate/gateway/config"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs"
)

const (
	proofInterval = 24 * time.Hour
	// proofPause is the time after which a proof is tried again that nobody
	// answered.
	proofPause = time.Minute
)

// again asks for the proofs before their day is over, each by a channel.
type again struct{ extranet, direct chan struct{} }

// ask does so.
func (a *again) ask() {
	for _, c := range []chan struct{}{a.extranet, a.direct} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// proveFarm begins to have it proven, until ctx ends, what nobody sees from the
// gateway: that AD FS takes its requests for ones from outside (HDR-06), and
// that clients do not reach the nodes past it (HDR-08).
func (d *daemon) proveFarm(ctx context.Context) {
	a := d.c.Upstream.ADFS
	if a == nil {
		return
	}
	if a.Proof != nil {
		tell := teller(d.log, "extranet")
		go repeat(ctx, d.again.extranet, func() bool {
			err := d.farm.ProveExtranet(ctx, signIn(d.c))
			tell(d.farm.Extranet(), err)
			return !errors.Is(err, wstrust.ErrDown) && !errors.Is(err, wstrust.ErrSlow)
		})
	}
	if a.Outside != "" {
		tell := teller(d.log, "direct")
		go repeat(ctx, d.again.direct, func() bool {
			d.farm.ProveDirect(ctx, netip.MustParseAddr(a.Outside))
			s := d.farm.Direct()
			tell(s, ctx.Err())
			return s.State != adfs.Unproven
		})
	}
}

// repeat calls prove now, once a day and when it is asked for, and a minute
// after a call that nobody answered, until ctx ends.
func repeat(ctx context.Context, asked <-chan struct{}, prove func() (answered bool)) {
	for ctx.Err() == nil {
		wait := proofPause
		if prove() {
			wait = proofInterval
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-asked:
		case <-t.C:
		}
		t.Stop()
	}
}

// teller returns what logs the result of a proof, unless it is the same again.
func teller(log *slog.Logger, proof string) func(adfs.Standing, error) {
	var last string
	return func(s adfs.Standing, err error) {
		text := s.State.String() + fmt.Sprint(err)
		if text == last || errors.Is(err, context.Canceled) {
			return
		}
		last = text
		level := slog.LevelInfo
		attrs := []slog.Attr{slog.String("proof", proof), slog.String("state", s.State.String()), slog.String("why", s.Why)}
		if err != nil {
			attrs = append(attrs, slog.Any("err", err))
		}
		if err != nil || s.State != adfs.Proven {
			level = slog.LevelWarn
		}
		log.LogAttrs(context.Background(), level, "proof of the farm", attrs...)
	}
}

// signIn is how the gateway signs in by itself. Its endpoint is the newest that
// is published.
func signIn(c *config.Config) adfs.SignIn {
	p := c.Upstream.ADFS.Proof
	s := adfs.SignIn{
		Path: "/adfs/services/trust/13/usernamemixed", Version: wstrust.V13,
		Username: p.User, Application: p.Application,
		Password: func() (account.Password, error) {
			b, err := readSecret(p.Password)
			return account.NewPassword(b), err
		},
	}
	for _, e := range endpoints(c) {
		if s.Path, s.Version = e.Path, e.Version; e.Version == wstrust.V13 {
			break
		}
	}
	return s
}

// checkProof reads the password that a proof will need.
func checkProof(p *config.ADFSProof) error {
	b, err := readSecret(p.Password)
	defer clear(b)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("%s: is empty, want a password", fromHere(p.Password))
	}
	return err
}

// farmChecks are what is known of it. Readiness does not rest on them: without
// this gateway clients would be no safer.
func farmChecks(a *config.ADFS, farm *adfs.Farm) []admin.Check {
	extranet, direct := farm.Extranet(), farm.Direct()
	if extranet.State == adfs.Unproven && a.Proof == nil {
		extranet.Why += ", and upstream.adfs.proof is absent"
	}
	if direct.State == adfs.Unproven && a.Outside == "" {
		direct.Why += ": upstream.adfs.outside is absent"
	}
	return []admin.Check{advice("farm-extranet", extranet), advice("farm-direct", direct)}
}

// advice makes a check that is well when something is proven.
func advice(name string, s adfs.Standing) admin.Check {
	c := admin.Check{Name: name, OK: s.State == adfs.Proven, Advice: true}
	if !c.OK {
		c.Error = s.State.String() + ": " + s.Why
	}
	return c
}
