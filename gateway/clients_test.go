package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/clientip"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
)

const (
	stranger = "192.0.2.1:1234"
	proxy    = "192.0.2.7:1234"
	exchange = "40.92.0.1:1234" // a server of Exchange Online's
)

// believing makes a gateway believe proxy and exchange.
func believing(c *gateway.Config) {
	c.Clients = clientip.New(clientip.Config{
		Proxies:        []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
		ExchangeOnline: []netip.Prefix{netip.MustParsePrefix("40.92.0.0/15")},
	})
}

// byNetwork are policies that differ in how they ask for a network, and in
// nothing else: alice may sign in at the offices, and not elsewhere.
var byNetwork = map[string]string{
	"allow in":     `[{name: a, match: {networks: [offices]}, allow: {}}]`,
	"allow not in": `[{name: a, match: {not: {networks: [elsewhere]}}, allow: {}}]`,
	"deny in":      `[{name: a, match: everyone, allow: {}}, {name: d, match: {networks: [elsewhere]}, deny: {}}]`,
	"deny not in":  `[{name: a, match: everyone, allow: {}}, {name: d, match: {not: {networks: [offices]}}, deny: {}}]`,
}

// HDR-05: a rule on networks must hold for each address that the client may
// be at. One on the other side, or one that is not known, counts against the
// request, whether the rule allows or denies, and whether it says not.
func TestWorstAddress(t *testing.T) {
	const forwardedIP, forwardedFor = "X-MS-Forwarded-Client-IP", "X-Forwarded-For"
	long := strings.Repeat("10.0.0.5, ", 20) + "10.0.0.5"
	for _, c := range []struct {
		name, peer, header string
		lines              []string
		passes             bool
	}{
		{"from the offices", "10.0.0.5:1", "", nil, true},
		{"from elsewhere", stranger, "", nil, false},
		{"stranger's header", stranger, forwardedIP, []string{"10.0.0.5"}, false},
		{"header at the offices", "10.0.0.5:1", forwardedIP, []string{"203.0.113.9"}, true},
		{"proxy for the offices", proxy, forwardedFor, []string{"10.0.0.5"}, true},
		{"proxy with the other header", proxy, forwardedIP, []string{"10.0.0.5"}, false},
		{"proxy unreadable", proxy, forwardedFor, []string{"unknown"}, false},
		{"proxy's header stuffed", proxy, forwardedFor, []string{long}, false},
		{"Exchange Online, inside", exchange, forwardedIP, []string{"10.0.0.5"}, true},
		{"Exchange Online, all inside", exchange, forwardedIP, []string{"10.0.0.5, 10.9.9.9,[::ffff:10.1.1.1]:80"}, true},
		{"Exchange Online, outside", exchange, forwardedIP, []string{"203.0.113.9"}, false},
		{"Exchange Online, last outside", exchange, forwardedIP, []string{"10.0.0.5, 203.0.113.9"}, false},
		{"Exchange Online, first outside", exchange, forwardedIP, []string{"203.0.113.9, 10.0.0.5"}, false},
		{"Exchange Online, its own among them", exchange, forwardedIP, []string{"10.0.0.5, 40.92.0.1"}, false},
		{"Exchange Online, unreadable", exchange, forwardedIP, []string{"10.0.0.5, unknown"}, false},
		{"Exchange Online, two headers", exchange, forwardedIP, []string{"10.0.0.5", "10.0.0.5"}, false},
		{"Exchange Online, stuffed", exchange, forwardedIP, []string{long}, false},
		{"Exchange Online for itself", exchange, "", nil, false},
	} {
		for kind, rules := range byNetwork {
			atFresh(t, c.name+"/"+kind, func(t *testing.T) {
				g := newGate(t, func(g *gateway.Config) {
					believing(g)
					g.Policy = live(t, `
networks: {offices: [10.0.0.0/8], elsewhere: [0.0.0.0/5, 8.0.0.0/7, 11.0.0.0/8, 12.0.0.0/6, 16.0.0.0/4, 32.0.0.0/3, 64.0.0.0/2, 128.0.0.0/1]}
applications: {microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}}
rules: `+rules)
				})
				r := modern.post(modern.query(nil))
				r.RemoteAddr = c.peer
				for _, l := range c.lines {
					r.Header.Add(c.header, l)
				}
				if w := g.serve(r); (w.Code == http.StatusOK) != c.passes {
					t.Errorf("got status %d, want it to pass: %v\n%v", w.Code, c.passes, g.record())
				}
			})
		}
	}
}

// An unreadable header must not move a client to where its proxy stands: that
// may be a better place.
func TestDoubtfulIsNotItsProxy(t *testing.T) {
	for name, text := range map[string]string{"readable": "203.0.113.9", "unreadable": "unknown", "none": ""} {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) {
				believing(c)
				c.Policy = live(t, `
networks: {inside: [192.0.2.0/24]}
applications: {microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}}
rules: [{name: a, match: {networks: [inside]}, allow: {}}]`)
			})
			r := modern.post(modern.query(nil))
			r.RemoteAddr = proxy
			if text != "" {
				r.Header.Set("X-Forwarded-For", text)
			}
			if w, want := g.serve(r), name == "none"; (w.Code == http.StatusOK) != want {
				t.Errorf("got status %d, want it to pass: %v", w.Code, want)
			}
			if got, want := g.record()["labels.client_doubtful"] == true, name == "unreadable"; got != want {
				t.Errorf("got labels.client_doubtful %v, want %v", got, want)
			}
		})
	}
}

// The record has the server that connected and those that it calls for, of
// requests that reach no endpoint too.
func TestForwardedIsRecorded(t *testing.T) {
	for peer, want := range map[string]string{
		exchange: "source.ip 40.92.0.1, client.ip 40.92.0.1, labels.forwarded [10.0.0.5 203.0.113.9]",
		stranger: "source.ip 192.0.2.1, client.ip 192.0.2.1, labels.forwarded <nil>",
	} {
		for _, refused := range []bool{false, true} {
			atFresh(t, fmt.Sprint(peer, " refused by the edge ", refused), func(t *testing.T) {
				g := newGate(t, believing)
				r := modern.post(modern.query(nil))
				r.RemoteAddr = peer
				r.Header.Set("X-MS-Forwarded-Client-IP", "10.0.0.5, 203.0.113.9")
				if refused {
					g.Refuse(httptest.NewRecorder(), r, refusal.New(refusal.WrongPath, "no such path"))
				} else {
					g.serve(r)
				}
				record := g.record()
				got := fmt.Sprintf("source.ip %v, client.ip %v, labels.forwarded %v", record["source.ip"], record["client.ip"], record["labels.forwarded"])
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
}

// HDR-09: what the farm is told of Exchange Online's claims.
func TestOriginOfExchangeOnline(t *testing.T) {
	server := netip.MustParseAddr("40.92.0.1")
	for name, c := range map[string]struct {
		header http.Header
		want   wstrust.Origin
	}{
		"nothing": {http.Header{}, wstrust.Origin{}},
		"everything": {
			http.Header{"X-Ms-Forwarded-Client-Ip": {"10.0.0.5"}, "X-Ms-Client-Application": {"Microsoft.Exchange.Imap"}, "X-Ms-Client-User-Agent": {"Phone (1; 2)"}},
			wstrust.Origin{Forwarded: []netip.Addr{netip.MustParseAddr("10.0.0.5")}, ClientApplication: "Microsoft.Exchange.Imap", ClientUserAgent: "Phone (1; 2)"},
		},
		"unreadable addresses": {
			http.Header{"X-Ms-Forwarded-Client-Ip": {"unknown"}, "X-Ms-Client-Application": {"Microsoft.Exchange.Imap"}},
			wstrust.Origin{ClientApplication: "Microsoft.Exchange.Imap"},
		},
		"two lines":    {http.Header{"X-Ms-Client-Application": {"a", "b"}, "X-Ms-Client-User-Agent": {"a", "a"}}, wstrust.Origin{}},
		"no text":      {http.Header{"X-Ms-Client-Application": {"a\x7f"}, "X-Ms-Client-User-Agent": {"caf\u00e9"}}, wstrust.Origin{}},
		"longest":      {http.Header{"X-Ms-Client-User-Agent": {strings.Repeat("a", 512)}}, wstrust.Origin{ClientUserAgent: strings.Repeat("a", 512)}},
		"too long":     {http.Header{"X-Ms-Client-User-Agent": {strings.Repeat("a", 513)}}, wstrust.Origin{}},
		"empty header": {http.Header{"X-Ms-Client-User-Agent": {""}}, wstrust.Origin{}},
	} {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, believing)
			r := modern.post(modern.query(nil))
			r.RemoteAddr = exchange
			for field, lines := range c.header {
				r.Header[field] = lines
			}
			g.serve(r)
			want := c.want
			want.Path, want.Client, want.UserAgent = path13, server, "tests"
			if got := fmt.Sprintf("%+v", g.farm.asked[0].origin); got != fmt.Sprintf("%+v", want) {
				t.Errorf("got %s, want %+v", got, want)
			}
		})
	}
}

// spoofed are headers that mean something to AD FS or to what stands around
// it. None of them is a client's to send.
var spoofed = []string{
	"X-MS-Proxy", "X-MS-ADFS-Proxy-Client-IP", "X-MS-Endpoint-Absolute-Path", "X-MS-Target-Role", "X-MS-ProxyAuth-Token", "X-MS-Client-IP",
	"X-MS-Client-Request-Id", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-By",
	"Forwarded", "Via", "X-Real-IP", "X-Client-IP", "X-Original-Forwarded-For", "X-Original-URL", "X-Rewrite-URL", "X-Host", "X-Original-Host",
	"True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-ARR-ClientCert", "X-ARR-SSL", "X-ProxyUser-Ip",
	"X-SSL-Client-Cert", "X-Client-Cert", "SSL-Client-Cert", "Client-Cert", "X-Remote-User", "Remote-User", "X-WebAuth-User", "X-Auth-Request-User",
	"Authorization", "Proxy-Authorization", "Cookie", "Cookie2", "Origin", "Referer", "Accept", "Accept-Encoding", "Accept-Language", "Accept-Charset",
	"Cache-Control", "Pragma", "If-Match", "If-Modified-Since", "Range", "TE", "Upgrade", "Keep-Alive", "Proxy-Connection", "Expect", "Trailer",
	"X-HTTP-Method-Override", "X-Method-Override", "X-Request-Id", "Request-Id", "Traceparent", "Tracestate", "Client-Request-Id",
	"Return-Client-Request-Id", "X-ClientService-ClientTag", "X-AnchorMailbox", "X-User-Identity", "Front-End-Https", "DNT", "From", "Max-Forwards", "Warning",
}

// HDR-01, HDR-02, HDR-06, HDR-09: the golden list of what the farm gets, from both kinds of
// peers, whatever they send.
func TestHeadersTowardsTheFarm(t *testing.T) {
	behind, f := startFarm(t)
	const before = "POST /adfs/services/trust/13/usernamemixed HTTP/1.1\nHost: sts.contoso.example\n" +
		"Content-Type: application/soap+xml; charset=utf-8\nUser-Agent: tests\nX-MS-Proxy: gateway1.contoso.example\n"
	const after = "X-MS-Endpoint-Absolute-Path: /adfs/services/trust/13/usernamemixed\nContent-Length: LENGTH"
	for peer, want := range map[string]string{
		stranger: "X-MS-Forwarded-Client-IP: 192.0.2.1\nX-MS-ADFS-Proxy-Client-IP: 192.0.2.1\n",
		proxy:    "X-MS-Forwarded-Client-IP: 203.0.113.7\nX-MS-ADFS-Proxy-Client-IP: 203.0.113.7\n",
		exchange: "X-MS-Forwarded-Client-IP: 10.0.0.5,203.0.113.9,40.92.0.1\nX-MS-ADFS-Proxy-Client-IP: 40.92.0.1\n" +
			"X-MS-Client-Application: Microsoft.Exchange.Mapi\nX-MS-Client-User-Agent: Outlook 7\n",
	} {
		t.Run(peer, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { believing(c); c.Forwarder = f })
			message := modern.query(func(q *wstrust.Query) { q.MessageID = "urn:uuid:" + t.Name() })
			r := modern.post(message)
			r.RemoteAddr = peer
			r.Header.Set("X-Forwarded-For", "10.0.0.5, 203.0.113.7")
			r.Header.Set("X-MS-Forwarded-Client-IP", " 10.0.0.5 ,203.0.113.9:80")
			r.Header.Set("X-MS-Client-Application", "Microsoft.Exchange.Mapi")
			r.Header.Set("X-MS-Client-User-Agent", "Outlook 7")
			for _, name := range spoofed {
				r.Header.Set(name, "10.0.0.1")
			}
			r.Header.Set("Connection", strings.Join(append(slices.Clone(spoofed), "X-MS-Forwarded-Client-IP"), ", "))
			if w := g.serve(r); w.Code != http.StatusOK {
				t.Fatalf("got status %d: %s", w.Code, g.log)
			}
			seen := behind.Nodes[0].Seen()
			want := strings.NewReplacer("LENGTH", fmt.Sprint(len(message)), "\n", "\r\n").Replace(before + want + after)
			if got := seen[len(seen)-1].Head; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
