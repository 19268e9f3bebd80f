package adfs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs"
	"stsgate/upstream/adfs/adfstest"
)

const payroll = "urn:payroll"

// proving starts a farm that also serves an application whose tokens do not say
// where their requests came from.
func proving(t *testing.T, change func(*adfs.Config)) (*adfstest.Farm, *adfs.Farm) {
	return start(t, adfstest.Config{Applications: []string{realm, payroll}}, change)
}

func secret(text string) func() (account.Password, error) {
	return func() (account.Password, error) { return account.NewPassword([]byte(text)), nil }
}

func signIn(change func(*adfs.SignIn)) adfs.SignIn {
	s := adfs.SignIn{
		Path: path13, Version: wstrust.V13, Username: "alice@contoso.example", Password: secret("correct horse"), Application: realm,
	}
	change(&s)
	return s
}

// holds wants a standing, and a word in why it is that.
func holds(t *testing.T, got adfs.Standing, want adfs.State, why string) {
	t.Helper()
	if got.State != want || !strings.Contains(got.Why, why) {
		t.Errorf("got %v, %q, want %v and %q in it", got.State, got.Why, want, why)
	}
}

// HDR-06: what the farm's tokens say of where their requests came from is taken
// notice of, for either kind of token. A token that says it was the intranet is
// released, and told of once in an hour.
func TestTokensTellExtranet(t *testing.T) {
	for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
		t.Run(kind.String(), func(t *testing.T) {
			var log bytes.Buffer
			behind, farm := proving(t, func(c *adfs.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			ask := func(id, realm string) {
				a := alice(id)
				a.tokenType, a.realm = kind.URI(), realm
				mustAnswer(t, farm, a)
			}
			holds(t, farm.Extranet(), adfs.Unproven, "no token says")
			ask("silent", payroll)
			holds(t, farm.Extranet(), adfs.Unproven, "no token says")
			ask("outside", realm)
			holds(t, farm.Extranet(), adfs.Proven, "insidecorporatenetwork false")
			behind.Nodes[0].Set(adfstest.Intranet)
			ask("inside", realm)
			ask("inside again", realm)
			holds(t, farm.Extranet(), adfs.Violated, "insidecorporatenetwork true")
			if got := strings.Count(log.String(), "insidecorporatenetwork true"); got != 1 || !strings.Contains(log.String(), "node="+behind.Nodes[0].Addr) {
				t.Errorf("got %d warnings, want one with the node: %s", got, log.String())
			}
			behind.Nodes[0].Set(adfstest.Regular)
			ask("outside again", realm)
			holds(t, farm.Extranet(), adfs.Violated, "insidecorporatenetwork true")
		})
	}
}

// HDR-06: a token counts once its signature was checked.
func TestForgedTokenTellsNothing(t *testing.T) {
	behind, farm := proving(t, nil)
	behind.Nodes[0].Set(adfstest.WrongSigner)
	if _, err := alice("forged").forward(farm); !isUntrusted(err) {
		t.Fatalf("got %v", err)
	}
	holds(t, farm.Extranet(), adfs.Unproven, "no token says")
}

// HDR-06: the gateway's own sign-in proves it, and says why where it does not.
func TestProveExtranet(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour adfstest.Behaviour
		change    func(*adfs.SignIn)
		want      adfs.State
		why       string
		retry     bool
	}{
		"outside":        {want: adfs.Proven, why: "insidecorporatenetwork false"},
		"2005":           {change: func(s *adfs.SignIn) { s.Path, s.Version = path2005, wstrust.V2005 }, want: adfs.Proven, why: "false"},
		"inside":         {behaviour: adfstest.Intranet, want: adfs.Violated, why: "insidecorporatenetwork true"},
		"no claim":       {change: func(s *adfs.SignIn) { s.Application = payroll }, why: `c:[Type == "http://schemas.microsoft.com/ws/2012/01/insidecorporatenetwork"] => issue(claim = c);`},
		"wrong password": {change: func(s *adfs.SignIn) { s.Password = secret("wrong") }, why: "ID3242"},
		"unknown realm":  {change: func(s *adfs.SignIn) { s.Application = "urn:other" }, why: "ID3082"},
		"encrypted":      {behaviour: adfstest.Encrypted, why: "encrypted"},
		"other audience": {behaviour: adfstest.WrongAudience, why: "not to what was asked"},
		"down":           {behaviour: adfstest.Unavailable, why: "status 503", retry: true},
	} {
		t.Run(name, func(t *testing.T) {
			behind, farm := proving(t, nil)
			behind.Nodes[0].Set(c.behaviour)
			if c.change == nil {
				c.change = func(*adfs.SignIn) {}
			}
			s := signIn(c.change)
			err := farm.ProveExtranet(context.Background(), s)
			holds(t, farm.Extranet(), c.want, c.why)
			if (err != nil) != (c.want == adfs.Unproven) || errors.Is(err, wstrust.ErrDown) != c.retry {
				t.Errorf("got error %v", err)
			}
			seen := behind.Nodes[0].Seen()
			for _, want := range []string{"\r\nX-MS-Proxy: gateway1.contoso.example\r\n", "\r\nX-MS-Forwarded-Client-IP: 127.0.0.1\r\n", "\r\nX-MS-ADFS-Proxy-Client-IP: 127.0.0.1\r\n"} {
				if len(seen) != 1 || !strings.Contains(seen[0].Head, want) {
					t.Errorf("got %q, want one request with %q", seen, want)
				}
			}
		})
	}
}

// AUD-05: a fault that repeats the password does not bring it into a health page.
func TestProveExtranetWithholdsPassword(t *testing.T) {
	_, farm := proving(t, nil)
	s := signIn(func(s *adfs.SignIn) { s.Password = secret("security token") }) // which stands in the fault's text
	err := farm.ProveExtranet(context.Background(), s)
	if err == nil || strings.Contains(err.Error(), "security token") || strings.Contains(farm.Extranet().Why, "security token") {
		t.Errorf("got %v, %+v", err, farm.Extranet())
	}
}

// refusing stands in for a farm's firewall before a node: it cuts off every
// connection from one address, before TLS or at once.
func refusing(t *testing.T, node, from string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go pass(c, node, from)
		}
	}()
	return l.Addr().String()
}

func pass(c net.Conn, node, from string) {
	defer func() { _ = c.Close() }()
	if strings.HasPrefix(c.RemoteAddr().String(), from+":") {
		return
	}
	up, err := net.Dial("tcp", node)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	go func() { _, _ = up.(*net.TCPConn).ReadFrom(c) }()
	_, _ = c.(*net.TCPConn).ReadFrom(up)
}

// HDR-08: a node that answers an address which is not the gateway's is found
// out, one that cannot be tried proves nothing, and neither does one that is
// down.
func TestProveDirect(t *testing.T) {
	second := netip.MustParseAddr("127.0.0.2")
	t.Run("answers", func(t *testing.T) {
		behind, farm := start(t, adfstest.Config{Nodes: 2}, nil)
		holds(t, farm.Direct(), adfs.Unproven, "no node was tried")
		for i, r := range farm.ProveDirect(context.Background(), second) {
			if r.Node != behind.Nodes[i].Addr {
				t.Errorf("got node %s, want %s", r.Node, behind.Nodes[i].Addr)
			}
			holds(t, r.Standing, adfs.Violated, "answers 127.0.0.2")
		}
		holds(t, farm.Direct(), adfs.Violated, behind.Nodes[1].Addr+" answers 127.0.0.2")
	})
	t.Run("with a certificate of somebody else", func(t *testing.T) {
		_, farm := start(t, adfstest.Config{}, func(c *adfs.Config) { c.Host = "other.example" })
		holds(t, farm.ProveDirect(context.Background(), second)[0].Standing, adfs.Violated, "answers 127.0.0.2")
	})
	t.Run("no such address here", func(t *testing.T) {
		_, farm := start(t, adfstest.Config{}, nil)
		farm.ProveDirect(context.Background(), netip.MustParseAddr("192.0.2.1"))
		holds(t, farm.Direct(), adfs.Unproven, "could not be tried from 192.0.2.1")
	})
	t.Run("down", func(t *testing.T) {
		behind, farm := start(t, adfstest.Config{}, nil)
		behind.Nodes[0].Kill()
		farm.ProveDirect(context.Background(), second)
		holds(t, farm.Direct(), adfs.Unproven, "neither 127.0.0.2 nor the gateway")
	})
	t.Run("cut off after the connect", func(t *testing.T) {
		behind, err := adfstest.Start(adfstest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(behind.Close)
		before := refusing(t, behind.Nodes[0].Addr, "127.0.0.2")
		_, farm := start(t, adfstest.Config{}, func(c *adfs.Config) { c.Nodes, c.CA = []string{"https://" + before}, behind.CA })
		farm.ProveDirect(context.Background(), second)
		holds(t, farm.Direct(), adfs.Unproven, "does not speak TLS")
	})
}

// HDR-08: a node that refuses the address and takes the gateway's connections
// is closed to others. For want of a firewall the node has a second address, of
// the other family, on which nobody listens.
func TestProveDirectRefused(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		_ = l.Close()
	}
	_, farm := start(t, adfstest.Config{}, func(c *adfs.Config) {
		c.Nodes = []string{strings.Replace(c.Nodes[0], "127.0.0.1", "node.example", 1)}
	})
	holds(t, farm.ProveDirect(context.Background(), netip.IPv6Loopback())[0].Standing, adfs.Proven, "does not answer ::1")
	holds(t, farm.Direct(), adfs.Proven, "no node answered")
}

// HDR-06, HDR-08: each proof has one state in the metrics.
func TestProofMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	_, farm := start(t, adfstest.Config{}, func(c *adfs.Config) { c.Metrics = reg })
	mustAnswer(t, farm, alice("outside"))
	farm.ProveDirect(context.Background(), netip.MustParseAddr("127.0.0.2"))
	want := `
# HELP stsgate_farm_proof 1 for the state of what the gateway rests on and cannot see, 0 for the others: proven, unproven, violated. Proof extranet: AD FS takes its requests for ones from outside; direct: no node answers an address that is not the gateway's.
# TYPE stsgate_farm_proof gauge
stsgate_farm_proof{proof="direct",state="proven"} 0
stsgate_farm_proof{proof="direct",state="unproven"} 0
stsgate_farm_proof{proof="direct",state="violated"} 1
stsgate_farm_proof{proof="extranet",state="proven"} 1
stsgate_farm_proof{proof="extranet",state="unproven"} 0
stsgate_farm_proof{proof="extranet",state="violated"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "stsgate_farm_proof"); err != nil {
		t.Error(err)
	}
}
