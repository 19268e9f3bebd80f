package adfs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs"
	"stsgate/upstream/adfs/adfstest"
)

func TestForward(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, nil)
	for _, s := range []soap.Version{soap.V11, soap.V12} {
		for _, v := range []wstrust.Version{wstrust.V2005, wstrust.V13} {
			for _, k := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
				t.Run(fmt.Sprintf("SOAP %v WS-Trust %v %v", s, v, k), func(t *testing.T) {
					a := alice(strings.ReplaceAll(t.Name(), "/", "-"))
					a.soap, a.trust, a.tokenType = s, v, k.URI()
					answer := mustAnswer(t, farm, a)
					if answer.SOAP != s || answer.Version != v || answer.Assertion.Kind != k || answer.AppliesTo != realm {
						t.Errorf("got SOAP %v, WS-Trust %v, %v for %s", answer.SOAP, answer.Version, answer.Assertion.Kind, answer.AppliesTo)
					}
					if want := behind.Nodes[0].Addr; answer.Node != want {
						t.Errorf("got node %s, want %s", answer.Node, want)
					}
				})
			}
		}
	}
	// The check of New's own and one for all the answers.
	if got := behind.Nodes[0].Accepted(); got > 2 {
		t.Errorf("got %d connections, want one for all requests", got)
	}
}

// TestFaults: a refusal of the farm arrives as a Fault (LOCK-09), at its node,
// and the connection is good for the next request.
func TestFaults(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, nil)
	for name, c := range map[string]struct {
		change func(*ask)
		code   string
		text   string
	}{
		"wrong password": {func(a *ask) { a.password = "wrong" }, "FailedAuthentication", "ID3242"},
		"denied":         {func(a *ask) { a.user, a.password = "bob@contoso.example", "battery" }, "FailedAuthentication", "MSIS7068"},
		"unknown realm":  {func(a *ask) { a.realm = "urn:other" }, "InvalidScope", "ID3082"},
		"SOAP 1.1":       {func(a *ask) { a.soap, a.password = soap.V11, "wrong" }, "FailedAuthentication", "ID3242"},
	} {
		t.Run(name, func(t *testing.T) {
			a := alice(name)
			c.change(&a)
			_, err := a.forward(farm)
			fault, ok := errors.AsType[*wstrust.Fault](err)
			if !ok || fault.Subcode.Local != c.code || !strings.HasPrefix(fault.Text, c.text) {
				t.Errorf("got %v, want %s %s", err, c.code, c.text)
			}
			if at, ok := errors.AsType[*wstrust.NodeError](err); !ok || at.Node != behind.Nodes[0].Addr {
				t.Errorf("got %v, want the node's name in it", err)
			}
			mustAnswer(t, farm, alice(name+" again"))
		})
	}
	if got := behind.Nodes[0].Accepted(); got > 2 {
		t.Errorf("got %d connections, want one for all requests", got)
	}
}

// TestHeaders is the golden list of HDR-01 and HDR-06: what the farm sees is this and
// nothing else, whatever the client sent.
func TestHeaders(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, nil)
	addr := netip.MustParseAddr
	for name, c := range map[string]struct {
		change func(*ask)
		origin wstrust.Origin
		want   string
	}{
		"plain": {nil, wstrust.Origin{Path: path13, Client: addr("203.0.113.9")},
			"POST /adfs/services/trust/13/usernamemixed HTTP/1.1\nHost: sts.contoso.example\nContent-Type: application/soap+xml; charset=utf-8\n" +
				"X-MS-Proxy: gateway1.contoso.example\nX-MS-Forwarded-Client-IP: 203.0.113.9\nX-MS-ADFS-Proxy-Client-IP: 203.0.113.9\n" +
				"X-MS-Endpoint-Absolute-Path: /adfs/services/trust/13/usernamemixed\nContent-Length: LENGTH"},
		"SOAP 1.1, forwarded, mapped and zoned addresses": {
			func(a *ask) { a.soap, a.trust = soap.V11, wstrust.V2005 },
			wstrust.Origin{Path: path2005, Client: addr("::ffff:203.0.113.9"), UserAgent: "Office/16.0 (Windows)",
				Forwarded: []netip.Addr{addr("2001:db8::7"), addr("fe80::1%eth0")}},
			"POST /adfs/services/trust/2005/usernamemixed HTTP/1.1\nHost: sts.contoso.example\nContent-Type: text/xml; charset=utf-8\n" +
				"SOAPAction: \"http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue\"\nUser-Agent: Office/16.0 (Windows)\n" +
				"X-MS-Proxy: gateway1.contoso.example\nX-MS-Forwarded-Client-IP: 2001:db8::7,fe80::1,203.0.113.9\nX-MS-ADFS-Proxy-Client-IP: 203.0.113.9\n" +
				"X-MS-Endpoint-Absolute-Path: /adfs/services/trust/2005/usernamemixed\nContent-Length: LENGTH"},
		"a user agent that would be headers": {nil,
			wstrust.Origin{Path: path13, Client: addr("203.0.113.9"), UserAgent: "a\r\nX-Forwarded-For: 10.0.0.1\r\nX-MS-Proxy: evil"},
			"POST /adfs/services/trust/13/usernamemixed HTTP/1.1\nHost: sts.contoso.example\nContent-Type: application/soap+xml; charset=utf-8\n" +
				"X-MS-Proxy: gateway1.contoso.example\nX-MS-Forwarded-Client-IP: 203.0.113.9\nX-MS-ADFS-Proxy-Client-IP: 203.0.113.9\n" +
				"X-MS-Endpoint-Absolute-Path: /adfs/services/trust/13/usernamemixed\nContent-Length: LENGTH"},
		"Exchange Online (HDR-09)": {nil,
			wstrust.Origin{Path: path13, Client: addr("40.92.0.1"), Forwarded: []netip.Addr{addr("10.0.0.5"), addr("203.0.113.9")},
				ClientApplication: "Microsoft.Exchange.ActiveSync", ClientUserAgent: strings.Repeat("~ ", 256)},
			"POST /adfs/services/trust/13/usernamemixed HTTP/1.1\nHost: sts.contoso.example\nContent-Type: application/soap+xml; charset=utf-8\n" +
				"X-MS-Proxy: gateway1.contoso.example\nX-MS-Forwarded-Client-IP: 10.0.0.5,203.0.113.9,40.92.0.1\nX-MS-ADFS-Proxy-Client-IP: 40.92.0.1\n" +
				"X-MS-Client-Application: Microsoft.Exchange.ActiveSync\nX-MS-Client-User-Agent: " + strings.Repeat("~ ", 256) + "\n" +
				"X-MS-Endpoint-Absolute-Path: /adfs/services/trust/13/usernamemixed\nContent-Length: LENGTH"},
		"claims that would be headers, are too long, or no text": {nil,
			wstrust.Origin{Path: path13, Client: addr("40.92.0.1"), UserAgent: "a\x7f", ClientApplication: "a\r\nX-MS-Proxy: evil", ClientUserAgent: strings.Repeat("a", 513)},
			"POST /adfs/services/trust/13/usernamemixed HTTP/1.1\nHost: sts.contoso.example\nContent-Type: application/soap+xml; charset=utf-8\n" +
				"X-MS-Proxy: gateway1.contoso.example\nX-MS-Forwarded-Client-IP: 40.92.0.1\nX-MS-ADFS-Proxy-Client-IP: 40.92.0.1\n" +
				"X-MS-Endpoint-Absolute-Path: /adfs/services/trust/13/usernamemixed\nContent-Length: LENGTH"},
	} {
		t.Run(name, func(t *testing.T) {
			a := alice("1")
			if c.change != nil {
				c.change(&a)
			}
			r := a.request()
			// What a client wrote inside its message stays there.
			r.Action, r.To = "urn:evil\r\nX-Evil: 1", "urn:evil\r\nX-Evil: 1"
			if _, err := farm.Forward(context.Background(), r, c.origin); err != nil {
				t.Fatal(err)
			}
			seen := behind.Nodes[0].Seen()
			last := seen[len(seen)-1]
			want := strings.ReplaceAll(strings.ReplaceAll(c.want, "LENGTH", fmt.Sprint(len(r.Body))), "\n", "\r\n")
			if last.Head != want {
				t.Errorf("got\n%s\nwant\n%s", last.Head, want)
			}
			if string(last.Body) != string(r.Body) {
				t.Error("the body differs from what was received")
			}
			if last.ServerName != behind.Host {
				t.Errorf("got server name %q, want %q", last.ServerName, behind.Host)
			}
		})
	}
}

// TestOrigins: an origin that cannot be told to the farm is not forwarded.
func TestOrigins(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, nil)
	client := netip.MustParseAddr("203.0.113.9")
	for name, o := range map[string]wstrust.Origin{
		"no address":          {Path: path13},
		"no forwarded":        {Path: path13, Client: client, Forwarded: []netip.Addr{{}}},
		"too many forwarded":  {Path: path13, Client: client, Forwarded: make([]netip.Addr, 21)},
		"no path":             {Client: client},
		"relative path":       {Path: "adfs", Client: client},
		"path with a query":   {Path: path13 + "?a=b", Client: client},
		"path with dots":      {Path: "/adfs/../adfs", Client: client},
		"path with //":        {Path: "/adfs//trust", Client: client},
		"path with a header":  {Path: "/adfs HTTP/1.1\r\nX: y", Client: client},
		"encoded path":        {Path: "/%61dfs", Client: client},
		"path with a slash":   {Path: path13 + "/", Client: client},
		"path that is a host": {Path: "//evil.example", Client: client},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := farm.Forward(context.Background(), alice("1").request(), o); err == nil {
				t.Error("got no error")
			}
		})
	}
	if got := behind.Requests(); got != 0 {
		t.Errorf("got %d messages delivered, want none", got)
	}
}

// TestMisbehaviour tries everything that a farm can do wrong. Whatever it is,
// a password is delivered once at most, and the next request gets its own
// answer (HTTP-11, HTTP-12).
func TestMisbehaviour(t *testing.T) {
	expect := map[adfstest.Behaviour]func(error) bool{
		adfstest.Regular:        func(err error) bool { return err == nil },
		adfstest.Hang:           isSlow,
		adfstest.Stall:          isSlow,
		adfstest.CloseOnConnect: isDown,
		adfstest.CloseOnRequest: isDown,
		adfstest.CloseIdle:      func(err error) bool { return err == nil },
		adfstest.Truncate:       isDown,
		adfstest.Unavailable:    func(err error) bool { return isDown(err) && strings.Contains(err.Error(), "status 503") },
		adfstest.Failed:         isFault("RequestFailed"),
		// Whose token it is, the gateway checks.
		adfstest.WrongUser:     func(err error) bool { return err == nil },
		adfstest.WrongAudience: func(err error) bool { return err == nil },
		adfstest.WrongVersion:  isUnreadable,
		adfstest.TwoResponses:  isUnreadable,
		// So does it when it is valid, and for whom. Who signed it counts here.
		adfstest.Swap:            func(err error) bool { return err == nil },
		adfstest.WrongSigner:     isUntrusted,
		adfstest.Unsigned:        isUntrusted,
		adfstest.Wrapped:         isUntrusted,
		adfstest.WrongIssuer:     func(err error) bool { return err == nil },
		adfstest.LongLived:       func(err error) bool { return err == nil },
		adfstest.Expired:         func(err error) bool { return err == nil },
		adfstest.NotYetValid:     func(err error) bool { return err == nil },
		adfstest.SenderVouches:   func(err error) bool { return err == nil },
		adfstest.Encrypted:       func(err error) bool { return err == nil },
		adfstest.EncryptedForAny: func(err error) bool { return err == nil },
		adfstest.Page:            isDown,
		adfstest.Garbage:         isUnreadable,
		adfstest.Huge:            isUnreadable,
		adfstest.ManyHeaders:     isUnreadable,
		adfstest.Chunked:         func(err error) bool { return err == nil },
		adfstest.UntilClose:      func(err error) bool { return err == nil },
		adfstest.UntilCut:        isDown,
		adfstest.Interim:         func(err error) bool { return err == nil },
		adfstest.Surplus:         func(err error) bool { return err == nil },
		// It shows before the request is written, or as an answer to nothing.
		adfstest.Early: func(err error) bool { return err == nil || isDown(err) },
		// It is released, and told of.
		adfstest.Intranet: func(err error) bool { return err == nil },
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		behind, err := adfstest.Start(adfstest.Config{Users: users, Nodes: len(adfstest.Behaviours()), MaxTLS: version})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(behind.Close)
		for i, b := range adfstest.Behaviours() {
			t.Run(tls.VersionName(version)+" "+b.String(), func(t *testing.T) {
				t.Parallel()
				c := adfs.Config{
					Host: behind.Host, Nodes: behind.URLs()[i : i+1], CA: behind.CA, Name: "gateway1", CheckInterval: time.Hour,
					Signers: []*x509.Certificate{behind.Signer},
				}
				switch b {
				case adfstest.Hang, adfstest.Stall:
					c.AnswerTimeout = 2 * time.Second
				case adfstest.CloseOnConnect, adfstest.Early: // take the node down
					c.CheckInterval = 50 * time.Millisecond
				}
				farm, err := adfs.New(c)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(farm.Close)
				misbehave(t, behind, farm, behind.Nodes[i], b, expect[b])
			})
		}
	}
}

func misbehave(t *testing.T, behind *adfstest.Farm, farm *adfs.Farm, node *adfstest.Node, b adfstest.Behaviour, expected func(error) bool) {
	if b != adfstest.Early && b != adfstest.CloseOnConnect { // which show on a new connection only
		mustAnswer(t, farm, alice(b.String()+" before"))
		eventually(t, "the first check was made", func() bool { return node.Accepted() == 2 })
	}
	node.Set(b)
	connections := node.Accepted()
	bad := alice(b.String())
	if _, err := bad.forward(farm); !expected(err) {
		t.Errorf("got %v", err)
	}
	if got := behind.Deliveries(bad.request().Body); got > 1 {
		t.Errorf("got %d deliveries of a password, want one at most", got)
	}
	if b == adfstest.CloseIdle {
		eventually(t, "the connection is closed", func() bool { return node.Open() == 0 })
	}
	node.Set(adfstest.Regular)
	eventually(t, "the node is up", farm.Healthy)
	for i := range 5 {
		mustAnswer(t, farm, alice(fmt.Sprint(b, " after ", i)))
	}
	if slices.Contains(harmless, b) != (node.Accepted() == connections) {
		t.Errorf("got %d new connections, want the old one used %v", node.Accepted()-connections, slices.Contains(harmless, b))
	}
}

// harmless is what leaves a connection good for the next request.
var harmless = []adfstest.Behaviour{
	adfstest.Regular, adfstest.Failed, adfstest.WrongUser, adfstest.Swap, adfstest.LongLived, adfstest.Expired, adfstest.NotYetValid,
	adfstest.SenderVouches, adfstest.WrongIssuer, adfstest.Encrypted, adfstest.EncryptedForAny, adfstest.Chunked, adfstest.Interim, adfstest.Intranet,
}

func isDown(err error) bool { return errors.Is(err, wstrust.ErrDown) }

func isUntrusted(err error) bool { return errors.Is(err, wstrust.ErrUntrusted) }

func isSlow(err error) bool { return errors.Is(err, wstrust.ErrSlow) }

func isUnreadable(err error) bool {
	_, message := errors.AsType[*wstrust.Error](err)
	_, markup := errors.AsType[*soap.Error](err)
	return message || markup
}

func isFault(code string) func(error) bool {
	return func(err error) bool {
		fault, ok := errors.AsType[*wstrust.Fault](err)
		return ok && fault.Subcode.Local == code
	}
}

// TestTLS: a node that Config.CA does not vouch for gets nothing (TLS-05).
func TestTLS(t *testing.T) {
	other, _ := start(t, adfstest.Config{}, nil)
	for name, change := range map[string]func(*adfs.Config){
		"another authority": func(c *adfs.Config) { c.CA = other.CA },
		"no authority":      func(c *adfs.Config) { c.CA = x509.NewCertPool() },
		"system's":          func(c *adfs.Config) { c.CA = nil },
		"another name":      func(c *adfs.Config) { c.Host = "other.contoso.example" },
	} {
		t.Run(name, func(t *testing.T) {
			behind, farm := start(t, adfstest.Config{}, change)
			if _, err := alice("1").forward(farm); !isDown(err) || !strings.Contains(err.Error(), "handshake") && farm.Healthy() {
				t.Errorf("got %v, want a failed handshake", err)
			}
			if got := behind.Requests(); got != 0 {
				t.Errorf("got %d messages delivered, want none", got)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, nil)
	body, contentType, err := farm.Metadata(context.Background())
	if err != nil || contentType != "application/samlmetadata+xml" || !strings.Contains(string(body), `entityID="http://sts.contoso.example/adfs/services/trust"`) {
		t.Errorf("got %v, %s, %s", err, contentType, body)
	}
	want := "GET /FederationMetadata/2007-06/FederationMetadata.xml HTTP/1.1\r\nHost: sts.contoso.example\r\nX-MS-Proxy: gateway1.contoso.example"
	if got := behind.Nodes[0].Seen()[0].Head; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	behind.Nodes[0].Set(adfstest.Unavailable)
	if _, _, err := farm.Metadata(context.Background()); !isDown(err) {
		t.Errorf("got %v, want ErrDown", err)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	behind, farm := start(t, adfstest.Config{}, func(c *adfs.Config) { c.Metrics = registry })
	mustAnswer(t, farm, alice("1"))
	wrong := alice("2")
	wrong.password = "wrong"
	_, _ = wrong.forward(farm)
	behind.Nodes[0].Kill()
	_, _ = alice("3").forward(farm)
	_, _ = alice("4").forward(farm)
	want := strings.ReplaceAll(`
# HELP stsgate_farm_connect_failures_total Requests that found no connection to this AD FS node and went on to the next one, with nothing sent.
# TYPE stsgate_farm_connect_failures_total counter
stsgate_farm_connect_failures_total{node="NODE"} 1
# HELP stsgate_farm_connections Connections to an AD FS node by state: idle, or busy with a request.
# TYPE stsgate_farm_connections gauge
stsgate_farm_connections{node="NODE",state="busy"} 0
stsgate_farm_connections{node="NODE",state="idle"} 0
# HELP stsgate_farm_node_up 1 while requests are sent to this AD FS node, 0 while it is down.
# TYPE stsgate_farm_node_up gauge
stsgate_farm_node_up{node="NODE"} 0
# HELP stsgate_farm_requests_total Requests to the AD FS farm by node (host:port; none when no node took the request) and outcome: answered with a token, fault, unreadable answer, untrusted (a token that no key of the farm signed), down (no connection, a broken one, a failing farm, or one whose signing keys are not known), slow (no answer in time), canceled (client gone).
# TYPE stsgate_farm_requests_total counter
stsgate_farm_requests_total{node="NODE",outcome="answered"} 1
stsgate_farm_requests_total{node="NODE",outcome="canceled"} 0
stsgate_farm_requests_total{node="NODE",outcome="down"} 0
stsgate_farm_requests_total{node="NODE",outcome="fault"} 1
stsgate_farm_requests_total{node="NODE",outcome="slow"} 0
stsgate_farm_requests_total{node="NODE",outcome="unreadable"} 0
stsgate_farm_requests_total{node="NODE",outcome="untrusted"} 0
stsgate_farm_requests_total{node="none",outcome="canceled"} 0
stsgate_farm_requests_total{node="none",outcome="down"} 2
`, "NODE", behind.Nodes[0].Addr)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "stsgate_farm_connect_failures_total", "stsgate_farm_connections",
		"stsgate_farm_node_up", "stsgate_farm_requests_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v", problems, err)
	}
}
