package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/config"
)

// place copies a fixture into a folder with the files that fixtures name.
func place(t *testing.T, fixture string) string {
	t.Helper()
	source, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "policies"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"tls.crt", "tls.key", "sign.crt", "sign.key", "adfs-ca.pem", "adfs-signing.pem", "users.yaml", "exchange-online.txt", "country.mmdb", "asn.mmdb", "dc-ca.pem", "dc.password", "audit.key", "state.key"} {
		if err := os.WriteFile(filepath.Join(folder, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(folder, "stsgate.yaml")
	if err := os.WriteFile(path, source, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A bad fixture begins with the messages it must give, all of them and in
// order: # want line:column: message. FOLDER stands for its folder.
func TestLoadBad(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(fixtures) < 10 {
		t.Fatalf("got %d fixtures, error %v", len(fixtures), err)
	}
	for _, fixture := range fixtures {
		t.Run(filepath.Base(fixture), func(t *testing.T) {
			path := place(t, fixture)
			var want []string
			source, _ := os.ReadFile(path)
			for line := range strings.Lines(string(source)) {
				if w, ok := strings.CutPrefix(strings.TrimSpace(line), "# want "); ok {
					want = append(want, path+":"+strings.ReplaceAll(w, "FOLDER", filepath.Dir(path)))
				}
			}
			c, err := config.Load(path)
			if err == nil || c != nil {
				t.Fatalf("got %+v and error %v, want none and an error", c, err)
			}
			if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if _, ok := errors.AsType[*config.Error](err); !ok {
				t.Errorf("got %T, want *config.Error in it", err)
			}
		})
	}
}

func TestLoadMinimal(t *testing.T) {
	path := place(t, "testdata/minimal.good.yaml")
	got, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	want := &config.Config{
		Host:   "sts.contoso.example",
		Listen: []config.Listen{{Address: ":443", TLS: config.TLS{Certificate: in("tls.crt"), Key: in("tls.key")}}},
		Admin:  config.Admin{Address: "127.0.0.1:9090"},
		Endpoints: config.Endpoints{
			{Path: "/adfs/services/trust/2005/usernamemixed", Kind: config.UsernameMixed2005},
			{Path: "/adfs/services/trust/13/usernamemixed", Kind: config.UsernameMixed13},
			{Path: "/adfs/services/trust/mex", Kind: config.MEX},
			{Path: "/FederationMetadata/2007-06/FederationMetadata.xml", Kind: config.FederationMetadata},
		},
		Upstream: config.Upstream{ADFS: &config.ADFS{
			Nodes: []string{"https://10.0.0.11"}, CA: in("adfs-ca.pem"), Probe: config.ProbeAuto,
			Timeouts: config.ADFSTimeouts{Dial: 3 * time.Second, Answer: 20 * time.Second},
		}},
		MFA:    config.MFA{Hold: config.Hold{Default: 45 * time.Second, Prove: config.ProveFarm}, Separator: ","},
		Policy: in("policies"),
		Guard:  usualGuard,
		Oracle: config.Oracle{Slot: time.Second},
		Audit:  config.Audit{File: in("audit.jsonl"), Facts: config.UsedFacts, Names: config.ClearNames, Retention: 9600 * time.Hour, Reserve: 64 << 20},
		Limits: config.Limits{
			Body: 65536, Headers: 16384, Connections: 10_000, ConnectionsPerSource: 2000,
			Handshakes: 1000, HandshakesPerSource: 100, Requests: 1000, RequestsPerSource: 250,
		},
		Timeouts: config.Timeouts{Header: 5 * time.Second, Body: 10 * time.Second, Idle: time.Minute, Drain: 70 * time.Second},
		Log:      config.Log{Level: "info"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// usualGuard has the numbers of security.md, section 9.
var usualGuard = config.Guard{
	Mode: config.Enforce, Failures: 6, Window: 30 * time.Minute, LongestLock: 4 * time.Hour, Probe: 5 * time.Minute,
	UserTries: 6000, SourceTries: 60_000,
	SprayUsers: 10, SprayWindow: 10 * time.Minute, Block: time.Hour, LongestBlock: 24 * time.Hour, SurgeUsers: 50,
}

func TestLoadFull(t *testing.T) {
	path := place(t, "testdata/full.good.yaml")
	got, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	tls := config.TLS{Certificate: in("tls.crt"), Key: in("tls.key")}
	want := &config.Config{
		Host:   "sts.contoso.example",
		URL:    "https://sts.contoso.example:8443",
		Listen: []config.Listen{{Address: "{{ GetPrivateIP }}:443", TLS: tls, ProxyProtocol: true}, {Address: "[::1]:8443", TLS: tls}},
		Admin:  config.Admin{Address: "127.0.0.1:9191", Socket: in("admin.sock"), ProtectedGroups: []string{"Domain Admins"}},
		Probe:  &config.Probe{Address: ":80"},
		Portal: &config.Portal{
			Host: "approve.contoso.example", URL: "https://approve.contoso.example:8443",
			TLS:            &config.PortalTLS{Certificate: tls.Certificate, Key: tls.Key},
			FirstEnrolment: &config.FirstEnrolment{Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, Until: "2027-01-31"},
		},
		MFA: config.MFA{
			Hold: config.Hold{Default: 30 * time.Second, Prove: config.ProveDirectory, Families: []config.FamilyHold{{Family: "msal-net", Wait: time.Minute}, {Family: "zeep"}}}, Separator: "::",
			Webhooks: []config.Webhook{
				{Name: "chat", URL: "https://chat.contoso.example/hooks/1", Form: "generic", Secret: in("state.key"), NoticesOnly: true, CA: in("adfs-ca.pem")},
				{Name: "own", URL: "http://127.0.0.1:8099/", Template: in("audit.key"), Topic: "stsgate"},
			},
			SMTP: &config.SMTP{
				Address: "mail.contoso.example:465", TLS: config.ImplicitTLS, From: "stsgate <stsgate@contoso.example>", Username: "stsgate", Password: in("audit.key"),
				NoticesOnly: true, CA: in("adfs-ca.pem"),
			},
			RADIUS: &config.RADIUS{
				Servers: []string{"mfa1.contoso.example:2083"}, TLS: &config.RADIUSTLS{CA: in("adfs-ca.pem"), Name: "mfa.contoso.example", Certificate: in("sign.crt"), Key: in("sign.key")},
				Name: config.SAM, NAS: "gate", Timeout: time.Minute, Tries: 1,
			},
		},
		Clients: config.Clients{
			Proxies: []netip.Prefix{
				netip.MustParsePrefix("10.0.0.7/32"), netip.MustParsePrefix("10.1.0.0/28"), netip.MustParsePrefix("fd00::/64"),
			},
			ExchangeOnline: &config.Prefixes{File: in("exchange-online.txt")},
			Shared:         &config.Prefixes{List: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		},
		Endpoints: config.Endpoints{
			{Path: "/adfs/services/trust/13/usernamemixed", Kind: config.UsernameMixed13, Tolerate: []config.Tolerance{"no-timestamp", "policy-1.5"}},
			{Path: "/trust/mex", Kind: config.MEX},
		},
		SOAP: config.SOAP{Headers: config.SOAPHeaders{Pass: []string{"{urn:example:proxy}Trace"}}},
		Upstream: config.Upstream{
			ADFS: &config.ADFS{
				Nodes: []string{"https://10.0.0.11", "https://[fd00::11]:8443"}, CA: in("adfs-ca.pem"), Signing: in("adfs-signing.pem"), Probe: config.ProbeTLS,
				Proof:    &config.ADFSProof{User: `CONTOSO\svc-proof`, Password: in("audit.key"), Application: "urn:federation:MicrosoftOnline"},
				Outside:  "10.9.0.7",
				Timeouts: config.ADFSTimeouts{Dial: 500 * time.Millisecond, Answer: 30 * time.Second},
			},
			Issuer: &config.Issuer{
				Entity:  "http://sts.contoso.example/adfs/services/trust",
				Signing: config.Signing{Certificate: in("sign.crt"), Key: in("sign.key")},
			},
		},
		Directory: &config.Directory{File: in("users.yaml")},
		Places:    config.Places{Country: in("country.mmdb"), ASN: in("asn.mmdb")},
		Policy:    in("policies"),
		State:     &config.State{Dir: in("state"), Key: in("state.key")},
		Oracle:    config.Oracle{Slot: 1500 * time.Millisecond},
		Guard: config.Guard{
			Mode: config.ReportOnly, Failures: 5, Window: time.Hour, LongestLock: 2 * time.Hour, Probe: 10 * time.Minute,
			UserTries: 50, SourceTries: 500,
			SprayUsers: 20, SprayWindow: 5 * time.Minute, Block: 10 * time.Minute, LongestBlock: 20 * time.Minute, SurgeUsers: 100,
		},
		Audit: config.Audit{File: "/var/log/stsgate/audit.jsonl", Facts: config.AllFacts, Names: config.HashedNames, Retention: 48 * time.Hour, Reserve: 16 << 20,
			Checkpoints: &config.Checkpoints{Key: in("audit.key"), File: "/mnt/elsewhere/gw1.jsonl"},
			Syslog:      &config.Syslog{Address: "siem.contoso.example:6514", CA: in("adfs-ca.pem"), Certificate: in("tls.crt"), Key: in("tls.key")}},
		Limits: config.Limits{
			Body: 32 << 10, Headers: 8192, Connections: 1, ConnectionsPerSource: 2,
			Handshakes: 3, HandshakesPerSource: 4, Requests: 5, RequestsPerSource: 50_000,
		},
		Timeouts: config.Timeouts{Header: 2 * time.Second, Body: 5 * time.Second, Idle: 30 * time.Second, Drain: 90 * time.Second},
		Log:      config.Log{Level: "debug"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLoadLDAP(t *testing.T) {
	path := place(t, "testdata/ldap.good.yaml")
	in := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	want := &config.Directory{LDAP: &config.LDAP{
		URL: "ldaps://dc1.contoso.example:1636", CA: in("dc-ca.pem"), Base: "OU=People,DC=contoso,DC=example", User: "svc-stsgate@contoso.example",
		Password: in("dc.password"), UPNSuffixes: []string{"contoso.com", "fabrikam.example"}, Timeout: 1500 * time.Millisecond,
	}}
	if got, err := config.Load(path); err != nil || !reflect.DeepEqual(got.Directory, want) {
		t.Errorf("got %+v, error %v, want %+v", got, err, want)
	}
}

func TestLoadAbsent(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "stsgate.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}
