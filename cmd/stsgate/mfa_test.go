package main

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/config"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// MFA-12: whatever happens to an authenticator can be told.
func TestEventsAreTold(t *testing.T) {
	for _, w := range factor.Whats() {
		if !knock.What(w).Known() {
			t.Errorf("nobody is told of %q", w)
		}
	}
}

// MFA-12: where the user of an account is told is known to the notices.
func TestKeeperWiring(t *testing.T) {
	c, log := config.Defaults(), slog.New(slog.DiscardHandler)
	c.State, c.Portal = nil, nil
	m, err := openKeeper(c, &parts{mfa: &mfaParts{}}, func() error { return nil }, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	m.know(t.Context(), account.Account{ID: "0", UPN: "a@contoso.example", Attributes: map[string][]string{"mail": {"a@mail.example"}}})
	known, err := m.records.List(t.Context(), state.Notices.Key("who"))
	if err != nil || len(known) != 1 || !strings.Contains(string(known[0].Value), "a@mail.example") {
		t.Errorf("known: %v, %v", known, err)
	}
}

// MFA-12, MFA-13: the notice of a recovery code that was used has how many are left.
func TestKeeperTellsWhatIsLeft(t *testing.T) {
	c, log := config.Defaults(), slog.New(slog.DiscardHandler)
	c.State, c.Portal = nil, nil
	desk := knock.Webhook{Name: "desk", URL: "https://desk.example/", Form: "slack", NoticesOnly: true}
	m, err := openKeeper(c, &parts{mfa: &mfaParts{webhooks: []knock.Webhook{desk}}}, func() error { return nil }, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	for _, e := range []factor.Event{{ID: "1", What: factor.RecoveryUsed, User: "0", Left: 7}, {ID: "2", What: factor.RecoveryUsed, User: "0", Left: 10, Replaced: true}} {
		if err := m.happened(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	queued, err := m.records.List(t.Context(), state.Notices.Key("notice"))
	var all string
	for _, r := range queued {
		all += string(r.Value)
	}
	if err != nil || !strings.Contains(all, `"left":7,`) || !strings.Contains(all, `"left":10,"replaced":true`) {
		t.Errorf("queued %s, %v", all, err)
	}
}

// MFA-07: an address that a user disowns is forgotten by the guard.
func TestKeeperForgets(t *testing.T) {
	c, log := config.Defaults(), slog.New(slog.DiscardHandler)
	c.State, c.Portal = nil, nil
	m, err := openKeeper(c, &parts{mfa: &mfaParts{}}, func() error { return nil }, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	const user = "0f8fad5b-d9cb-469f-a165-70867728950e"
	there := netip.MustParseAddr("198.51.100.9")
	familiar := func(want bool) bool {
		return eventually(patience, func() bool {
			got, err := m.guard.Familiar(user, []netip.Addr{there})
			return err == nil && got == want
		})
	}
	if err := m.guard.Learn(t.Context(), user, []netip.Addr{there}); err != nil || !familiar(true) {
		t.Fatalf("not learned: %v", err)
	}
	if err := m.mfa.NotMe(t.Context(), knock.Recipient{ID: user}, user, there, "payroll", ""); err != nil || !familiar(false) {
		t.Errorf("not forgotten: %v", err)
	}
	all, err := m.disowned(t.Context())
	if err != nil || len(all) != 1 || all[0].User != user || all[0].Addresses != there.String() || all[0].By != "the user" {
		t.Errorf("operators see %+v, %v", all, err)
	}
	if err := m.reopen(t.Context(), user); err != nil {
		t.Error(err)
	}
	if err := m.reopen(t.Context(), user); !errors.Is(err, guard.ErrNothing) {
		t.Errorf("once more: %v", err)
	}
}

// check names the rules that nobody can meet.
func TestUnmet(t *testing.T) {
	const rules = `
applications:
  payroll: {realms: [urn:payroll], answer: issue}
  quiet: {realms: [urn:quiet], answer: issue, oracle: hide}
rules:
  - {name: all, match: everyone, allow: {}}
  - {name: any, match: everyone, require: {mfa: {}}}
  - {name: held, match: {applications: [payroll]}, require: {mfa: {shapes: [hold]}}}
  - {name: radius, match: {applications: [payroll]}, require: {mfa: {shapes: [code], factors: [radius]}}}
  - {name: typed, match: everyone, require: {mfa: {shapes: [code]}}}
`
	set, err := policy.Load(fstest.MapFS{"rules.yaml": {Data: []byte(rules)}}, anything())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config config.Config
		unmet  []string
	}{
		"nothing":           {config.Config{}, []string{"any", "any", "held", "radius", "typed", "typed"}},
		"a portal":          {config.Config{Portal: &config.Portal{}}, []string{"radius"}},
		"radius":            {config.Config{MFA: config.MFA{RADIUS: &config.RADIUS{}}}, []string{"held"}},
		"portal and radius": {config.Config{Portal: &config.Portal{}, MFA: config.MFA{RADIUS: &config.RADIUS{}}}, nil},
	} {
		var got []string
		for _, line := range unmet(set, &c.config) {
			_, rest, _ := strings.Cut(line, `rule "`)
			rule, _, _ := strings.Cut(rest, `"`)
			got = append(got, rule)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.unmet) {
			t.Errorf("%s: nobody can meet %q, want %q", name, got, c.unmet)
		}
	}
}

func TestLoadMFA(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret, open := file("secret", "sixteen bytes and more\n", 0o600), file("open", "sixteen bytes and more", 0o644)
	p, err := loadMFA(&config.MFA{
		Hold:     config.Hold{Families: []config.FamilyHold{{Family: "zeep"}}},
		Webhooks: []config.Webhook{{Name: "chat", URL: "https://chat.example/", Form: "slack", Secret: secret}},
		SMTP:     &config.SMTP{Address: "mail.example:587", From: "a@b.example", Username: "a", Password: secret},
		RADIUS:   &config.RADIUS{Servers: []string{"mfa.example:1812"}, Secret: secret, Name: config.SAM},
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][]byte{"webhook": p.webhooks[0].Secret, "smtp": p.smtp.Password, "radius": p.radius.Secret} {
		if string(got) != "sixteen bytes and more" {
			t.Errorf("%s: secret %q", what, got)
		}
	}
	if d, ok := p.hold["zeep"]; !ok || d != 0 || !p.radius.SAM {
		t.Errorf("loaded %v, %v", p.hold, p.radius.SAM)
	}
	for want, c := range map[string]config.MFA{
		`"netscape" is no family of clients`: {Hold: config.Hold{Families: []config.FamilyHold{{Family: "netscape"}}}},
		"gives rights to others":             {RADIUS: &config.RADIUS{Servers: []string{"a:1"}, Secret: open}},
		"is no JSON":                         {Webhooks: []config.Webhook{{Name: "own", URL: "https://chat.example/", Template: file("bad.tmpl", "{{.Text}}", 0o600)}}},
		"want host:port":                     {SMTP: &config.SMTP{Address: "mail.example", From: "a@b.example"}},
	} {
		if _, err := loadMFA(&c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// MFA-21: an MFA server over TLS has the secret of the protocol, and is known by
// authorities and a name.
func TestLoadRadSec(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "farm"), 0o700), writeDemoKeys(dir)); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	c := config.RADIUS{Servers: []string{"mfa.example:2083"}, TLS: &config.RADIUSTLS{CA: at("tls.crt"), Name: "mfa", Certificate: at("tls.crt"), Key: at("tls.key")}}
	p, err := loadMFA(&config.MFA{RADIUS: &c})
	if err != nil {
		t.Fatal(err)
	}
	if r := p.radius; r.Secret != nil || r.TLS.RootCAs == nil || r.TLS.ServerName != "mfa" || len(r.TLS.Certificates) != 1 {
		t.Errorf("loaded %+v", r.TLS)
	}
	for want, other := range map[string]config.RADIUSTLS{
		"no PEM certificate": {CA: at("tls.key")},
		"tls.crt: tls":       {CA: at("tls.crt"), Certificate: at("tls.crt"), Key: at("tls.crt")},
	} {
		c.TLS = &other
		if _, err := loadMFA(&config.MFA{RADIUS: &c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
