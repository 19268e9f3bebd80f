package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// knownHeaders are those that are registered or that proxies and what stands
// behind them are known to read, but for the few that the gateway reads.
var knownHeaders = strings.Fields(`
	A-IM Accept Accept-Additions Accept-CH Accept-Charset Accept-Datetime Accept-Encoding Accept-Features Accept-Language Accept-Patch
	Accept-Post Accept-Ranges Access-Control-Request-Headers Access-Control-Request-Method Age Allow ALPN Alt-Svc Alt-Used Alternates
	Apply-To-Redirect-Ref Authentication-Control Authentication-Info Authorization C-Ext C-Man C-Opt C-PEP C-PEP-Info Cache-Control
	Cache-Status CalDAV-Timezones Capsule-Protocol CDN-Cache-Control CDN-Loop Cert-Not-After Cert-Not-Before Clear-Site-Data Client-Cert
	Client-Cert-Chain Close Content-Disposition Content-ID Content-Language Content-Location Content-MD5 Content-Range Content-Script-Type
	Content-Style-Type Content-Version Cookie Cookie2 DASL Date DAV Default-Style Delta-Base Depth Derived-From Destination Differential-ID
	Digest DPoP DPoP-Nonce Early-Data ETag Ext Expires Forwarded From GetProfile Hobareg HTTP2-Settings If If-Match If-Modified-Since
	If-None-Match If-Range If-Schedule-Tag-Match If-Unmodified-Since IM Include-Referred-Token-Binding-ID Isolation Keep-Alive Label
	Last-Event-ID Last-Modified Link Location Lock-Token Man Max-Forwards Memento-Datetime Meter Method-Check Method-Check-Expires
	MIME-Version Negotiate NEL Opt Optional Ordering-Type Origin Overwrite P3P PEP Pep-Info PICS-Label Position Pragma Prefer
	Preference-Applied Priority ProfileObject Protocol Protocol-Info Protocol-Query Protocol-Request Proxy-Authenticate
	Proxy-Authentication-Info Proxy-Authorization Proxy-Features Proxy-Instruction Proxy-Status Public Range Redirect-Ref Referer Refresh
	Repeatability-Client-ID Repeatability-First-Sent Repeatability-Request-ID Replay-Nonce Retry-After Safe Schedule-Reply Schedule-Tag
	Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-GPC Sec-Token-Binding Sec-WebSocket-Accept Sec-WebSocket-Extensions
	Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version Security-Scheme Server Set-Cookie SetProfile Signature Signature-Input
	SLUG Status-URI Strict-Transport-Security Sunset Surrogate-Capability TCN TE Timeout Topic Traceparent Tracestate Trailer TTL Urgency URI
	Variant-Vary Vary Via Want-Digest Warning WWW-Authenticate X-Content-Type-Options

	CF-Connecting-IP Fastly-Client-IP Front-End-Https Proxy Proxy-Connection Remote-User SSL-Client-Cert True-Client-IP X-ARR-ClientCert
	X-ARR-SSL X-Auth-Request-User X-Azure-ClientIP X-Azure-SocketIP X-Client-Cert X-Client-IP X-ClientService-ClientTag X-CMS-ADFS
	X-Forwarded-By X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Server X-Host
	X-HTTP-Method-Override X-MS-ADFS-Proxy-Client-IP X-MS-Client-Application X-MS-Client-User-Agent X-MS-Endpoint-Absolute-Path
	X-MS-Forwarded-Client-IP X-MS-Proxy X-MS-ProxyAuth-Token X-MS-Target-Role X-Original-Forwarded-For X-Original-Host X-Original-URL
	X-Real-IP X-Remote-User X-Request-Id X-Rewrite-URL X-SSL-Client-Cert X-User-Identity`)

// HDR-01: of two hundred headers in three spellings none reaches the farm, and
// none changes what it gets.
func TestKnownHeaders(t *testing.T) {
	if n := len(slices.Compact(slices.Sorted(slices.Values(knownHeaders)))); n < 200 {
		t.Fatalf("%d headers, want 200", n)
	}
	g := startProbed(t)
	c := g.dial(t, probedHost)
	r := bufio.NewReader(c)
	const most = 50 // in a request
	n := 0
	for spelling, spelled := range map[string]func(string) string{
		"as registered": func(s string) string { return s }, "lower": strings.ToLower, "upper": strings.ToUpper,
	} {
		for names := range slices.Chunk(knownHeaders, most) {
			n++
			body := lawful(soap.V12, path13, fmt.Sprintf("urn:uuid:headers-%d", n))
			lines := []string{"POST " + path13 + " HTTP/1.1", "Host: " + probedHost, "Content-Type: " + soap.V12.ContentType()}
			for _, name := range names {
				lines = append(lines, spelled(name)+": 10.0.0.1")
			}
			if _, err := io.WriteString(c, head(append(lines, "Content-Length: "+strconv.Itoa(len(body)))...)+string(body)); err != nil {
				t.Fatal(err)
			}
			if status, closes := readAnswer(t, r); status != http.StatusOK || closes {
				t.Fatalf("%s, %v: got status %d, and the connection ends: %v", spelling, names, status, closes)
			}
			seen := g.forwarded()
			if len(seen) != n {
				t.Fatalf("the farm saw %d requests, want %d", len(seen), n)
			}
			last := seen[n-1]
			if want := golden(path13, "", soap.V12, len(body)); last.Head != want || !bytes.Equal(last.Body, body) {
				t.Errorf("%s, %v: the farm saw\n%s\nwant\n%s", spelling, names, last.Head, want)
			}
		}
	}
}
