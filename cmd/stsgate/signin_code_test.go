package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/config"
	"stsgate/gateway/mfa/factor"
	"stsgate/upstream/adfs/adfstest"
)

// BenchmarkSignInsWithCode is BenchmarkSignIns with a code behind each password.
// A user has two codes at a time that are unspent, so it runs for a number:
// -benchtime 5000x.
func BenchmarkSignInsWithCode(b *testing.B) {
	const coders = 3_000
	known := farmUsers()
	for i := range coders {
		a := account.Account{ID: victimID(i)}
		known = append(known, adfstest.User{UPN: victim(i), Password: alicePassword, ImmutableID: a.ImmutableID()})
	}
	f := newFleetOf(b, adfstest.Config{Host: "localhost", Users: known, Applications: []string{"urn:payroll"}}, fleetFile, 1,
		func(int) string { return "{dir: state, key: ../state.key}" })
	f.addVictims(coders)
	rules := filepath.Join(f.dir, "policies", "policy.yaml")
	text, err := os.ReadFile(rules)
	if err != nil {
		b.Fatal(err)
	}
	text = append(text, "  - {name: codes, match: everyone, require: {mfa: {shapes: [code], factors: [totp]}}}\n"...)
	if err := os.WriteFile(rules, text, 0o600); err != nil {
		b.Fatal(err)
	}
	g := f.gateways[0]
	secrets := enrolAll(b, g.dir, coders)
	f.start(0)
	var asked atomic.Int64
	before := g.writes(b)
	hasten(b, 32, 0, func() {
		n := int(asked.Add(1)) - 1
		at := time.Now().Add(time.Duration(n/coders) * 30 * time.Second)
		code, err := totp.GenerateCode(secrets[n%coders], at)
		if err != nil {
			b.Error(err)
		}
		if o, id := g.ask(victim(n%coders), alicePassword+","+code); o != granted {
			b.Errorf("answered %v (%s)", o, id)
		}
	})
	b.ReportMetric((g.writes(b)-before)/float64(b.N), "writes/op")
}

// enrolAll gives each victim an app, in the store of a gateway that does not run,
// and returns the secrets.
func enrolAll(b *testing.B, dir string, n int) []string {
	b.Helper()
	c, err := config.Load(filepath.Join(dir, "stsgate.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	p, err := loadParts(c, log)
	if err != nil {
		b.Fatal(err)
	}
	k, err := openKeeper(c, p, func() error { return nil }, prometheus.NewRegistry(), log)
	if err != nil {
		b.Fatal(err)
	}
	defer k.close()
	secrets := make([]string, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if secrets[i], err = enrol(k.factors, i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return secrets
}

// enrol confirms an app of a victim's with a code of a minute ago, so that those
// of now are unspent.
func enrol(f *factor.Verifier, i int) (secret string, err error) {
	ctx := context.Background()
	half, err := f.BeginTOTP(ctx, factor.User{ID: victimID(i), UPN: victim(i)}, factor.Proof{User: victimID(i), Kind: factor.Binding, At: time.Now()})
	if err != nil {
		return "", err
	}
	secret = strings.ReplaceAll(half.Secret(), " ", "")
	code, err := totp.GenerateCode(secret, time.Now().Add(-30*time.Second))
	if err != nil {
		return "", err
	}
	_, err = f.ConfirmTOTP(ctx, victimID(i), half.ID, account.NewPassword([]byte(code)), "app", factor.Source{})
	if err != nil {
		return "", fmt.Errorf("confirm: %w", err)
	}
	return secret, nil
}
