package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stsgate/gateway/soap"
)

// A probe is a request in bytes, and what must come of it.
type probe struct {
	name string
	// raw is the request. {body} in it is the message, {n} its length, {chunks}
	// the message in two chunks.
	raw    string
	status int          // of the answer; 200 is a token, all others are refusals and end the connection
	path   string       // the canonical path that the message is for; by default that of WS-Trust 1.3
	soap   soap.Version // of the message; by default 1.2
	agent  string       // the User-Agent that the farm sees
	sni    string       // the TLS server name; by default the host
}

func (p probe) bytes(message []byte) string {
	half := len(message) / 2
	chunks := fmt.Sprintf("%x\r\n%s\r\n%X\r\n%s\r\n0\r\n\r\n", half, message[:half], len(message)-half, message[half:])
	return strings.NewReplacer("{n}", strconv.Itoa(len(message)), "{n+1}", strconv.Itoa(len(message)+1), "{n-1}", strconv.Itoa(len(message)-1),
		"{x}", strconv.FormatInt(int64(len(message)), 16), "{body}", string(message), "{chunks}", chunks).Replace(p.raw)
}

// What most probes begin or end with.
const (
	onHost   = "Host: " + probedHost + "\r\n"
	inSOAP   = "Content-Type: application/soap+xml; charset=utf-8\r\n"
	line13   = "POST " + path13 + " HTTP/1.1\r\n"
	post13   = line13 + onHost + inSOAP
	sized    = "Content-Length: {n}\r\n\r\n{body}"
	inChunks = post13 + "Transfer-Encoding: chunked\r\n\r\n"
)

// probes returns all. The status of each follows from the rules alone
// (security.md, HTTP-01 to HTTP-09, HTTP-15, HDR-01 to HDR-03, SOAP-01).
func probes() []probe {
	all := slices.Concat(lengthProbes, chunkProbes, lineProbes, requestProbes, hostProbes, headerProbes)
	for _, s := range spellings {
		p := probe{name: "path " + s, raw: "POST " + s + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 404, path: path2005}
		if s == path2005 || s == "/ADFS/Services/Trust/2005/UsernameMixed" {
			p.status = 200
		}
		all = append(all, p)
	}
	for i := range all {
		p := &all[i]
		p.path, p.soap = cmp.Or(p.path, path13), cmp.Or(p.soap, soap.V12)
	}
	return all
}

// lengthProbes are about how long the body is.
var lengthProbes = []probe{
	{name: "one length", raw: post13 + sized, status: 200},
	{name: "dup CL differ", raw: post13 + "Content-Length: {n}\r\nContent-Length: {n+1}\r\n\r\n{body}>", status: 400},
	{name: "dup CL same", raw: post13 + "Content-Length: {n}\r\n" + sized, status: 400},
	{name: "CL list", raw: post13 + "Content-Length: {n}, {n}\r\n\r\n{body}", status: 400},
	{name: "CL plus", raw: post13 + "Content-Length: +{n}\r\n\r\n{body}", status: 400},
	{name: "CL neg", raw: post13 + "Content-Length: -1\r\n\r\n{body}", status: 400},
	{name: "CL hexadecimal", raw: post13 + "Content-Length: 0x{x}\r\n\r\n{body}", status: 400},
	{name: "CL empty", raw: post13 + "Content-Length:\r\n\r\n{body}", status: 400},
	{name: "CL with underscore", raw: post13 + "Content-Length: 1_000\r\n\r\n{body}", status: 400},
	{name: "CL beyond 64 bits", raw: post13 + "Content-Length: 18446744073709551616\r\n\r\n{body}", status: 400},
	{name: "CL beyond the limit", raw: post13 + "Content-Length: 70000\r\n\r\n{body}", status: 413},
	{name: "CL one short", raw: post13 + "Content-Length: {n-1}\r\n\r\n{body}", status: 500},
	{name: "no length", raw: post13 + "\r\n{body}", status: 500},
	{name: "pipelined smuggle after CL0", raw: post13 + "Content-Length: 0\r\n\r\nGET /adfs/admin HTTP/1.1\r\nHost: x\r\n\r\n", status: 500},
	{name: "CL+TE", raw: post13 + "Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}", status: 400},
	{name: "TE before CL 0", raw: post13 + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{chunks}", status: 400},
	{name: "TE dup", raw: post13 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunks}", status: 400},
	{name: "TE chunked twice", raw: post13 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}", status: 400},
	{name: "TE list", raw: post13 + "Transfer-Encoding: gzip, chunked\r\n\r\n{chunks}", status: 400},
	{name: "TE identity", raw: post13 + "Transfer-Encoding: identity\r\n" + sized, status: 400},
	{name: "TE xchunked", raw: post13 + "Transfer-Encoding: xchunked\r\n" + sized, status: 400},
	{name: "TE vt", raw: post13 + "Transfer-Encoding: \x0bchunked\r\n" + sized, status: 400},
	{name: "TE case", raw: post13 + "Transfer-Encoding: ChUnKed\r\n\r\n{chunks}", status: 200},
	{name: "TE with U+212A", raw: post13 + "Transfer-Encoding: chun\u212aed\r\n\r\n{chunks}", status: 400},
	{name: "TE spacecolon", raw: post13 + "Transfer-Encoding : chunked\r\n" + sized, status: 400},
	{name: "TE obsfold", raw: post13 + "Transfer-Encoding:\r\n chunked\r\n\r\n{chunks}", status: 400},
	{name: "TE HTTP/1.0", raw: "POST " + path13 + " HTTP/1.0\r\n" + onHost + inSOAP + "Transfer-Encoding: chunked\r\n\r\n{chunks}", status: 505},
}

// chunkProbes are about the body's own lines.
var chunkProbes = []probe{
	{name: "chunk ext", raw: inChunks + "{x};a=b\r\n{body}\r\n0;c\r\n\r\n", status: 200},
	{name: "chunk ext too long", raw: inChunks + "{x};" + strings.Repeat("a", 300) + "\r\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "chunk bareLF", raw: inChunks + "{x}\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "chunk ext with CR", raw: inChunks + "{x};a\rb\r\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "chunk ended by LF", raw: inChunks + "{x}\r\n{body}\n0\r\n\r\n", status: 400},
	{name: "chunk hex big", raw: inChunks + "FFFFFFFFFFFFFFFFF\r\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "chunk with 0x", raw: inChunks + "0x{x}\r\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "chunk with sign", raw: inChunks + "+{x}\r\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "chunk with space", raw: inChunks + "{x} \r\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "chunk longer than it says", raw: inChunks + "{x}\r\n{body}>\r\n0\r\n\r\n", status: 400},
	{name: "chunk of no size", raw: inChunks + "\r\n{body}\r\n0\r\n\r\n", status: 400},
	{name: "trailers", raw: post13 + "Transfer-Encoding: chunked\r\nTrailer: X-MS-Forwarded-Client-IP\r\n\r\n" +
		"{x}\r\n{body}\r\n0\r\nX-MS-Forwarded-Client-IP: 9.9.9.9\r\n\r\n", status: 400},
}

// lineProbes are about the lines of the head.
var lineProbes = []probe{
	{name: "underscore header", raw: post13 + "Transfer_Encoding: chunked\r\nX_MS_Forwarded_Client_IP: 1.1.1.1\r\n" + sized, status: 400},
	{name: "dot in a name", raw: post13 + "X.A: 1\r\n" + sized, status: 400},
	{name: "no name", raw: post13 + ": 1\r\n" + sized, status: 400},
	{name: "no colon", raw: post13 + "X-A\r\n" + sized, status: 400},
	{name: "bare LF lines", raw: strings.ReplaceAll(post13, "\r\n", "\n") + "Content-Length: {n}\n\n{body}", status: 400},
	{name: "bare LF at the end of the head", raw: post13 + "Content-Length: {n}\r\n\n{body}", status: 400},
	{name: "bare CR in value", raw: post13 + "X: a\rTransfer-Encoding: chunked\r\n" + sized, status: 400},
	{name: "NUL in value", raw: post13 + "X: a\x00b\r\n" + sized, status: 400},
	{name: "DEL in value", raw: post13 + "X: a\x7fb\r\n" + sized, status: 400},
	{name: "obs-fold", raw: post13 + "X-A: 1\r\n 2\r\n" + sized, status: 400},
	{name: "obs-fold before Host", raw: line13 + " X-A: 1\r\n" + onHost + inSOAP + sized, status: 400},
	{name: "empty line first", raw: "\r\n" + post13 + sized, status: 400},
	{name: "65 header lines", raw: post13 + strings.Repeat("X-A: 1\r\n", 62) + sized, status: 431},
	{name: "20 KiB of a header", raw: post13 + "X-A: " + strings.Repeat("a", 20<<10) + "\r\n" + sized, status: 431},
	{name: "two spaces", raw: "POST  " + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 400},
	{name: "NUL in target", raw: "POST " + path13 + "\x00 HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 400},
	{name: "HTTP/0.9", raw: "POST " + path13 + "\r\n\r\n{body}", status: 400},
	{name: "HTTP/1.0", raw: "POST " + path13 + " HTTP/1.0\r\n" + onHost + inSOAP + sized, status: 505},
	{name: "HTTP/1.9", raw: "POST " + path13 + " HTTP/1.9\r\n" + onHost + inSOAP + sized, status: 505},
	{name: "HTTP/2 preface", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
}

// requestProbes are about what is asked for.
var requestProbes = []probe{
	{name: "GET body", raw: "GET " + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 405},
	{name: "GET metadata with body", raw: "GET " + metadataPath + " HTTP/1.1\r\n" + onHost + sized, status: 413},
	{name: "POST metadata", raw: "POST " + metadataPath + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 405},
	{name: "Expect", raw: post13 + "Expect: 100-continue\r\n" + sized, status: 200},
	{name: "Expect odd", raw: post13 + "Expect: foo\r\n" + sized, status: 417},
	{name: "Upgrade h2c", raw: post13 + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" + sized, status: 405},
	{name: "Upgrade websocket", raw: "GET " + path13 + " HTTP/1.1\r\n" + onHost + "Connection: Upgrade\r\nUpgrade: websocket\r\n" + sized, status: 405},
	{name: "CONNECT", raw: "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", status: 421},
	{name: "TRACE", raw: "TRACE " + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 405},
	{name: "lower method", raw: "post " + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 405},
	{name: "overridden method", raw: "PUT " + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + "X-HTTP-Method-Override: POST\r\n" + sized, status: 405},
	{name: "two media types", raw: post13 + "Content-Type: text/xml\r\n" + sized, status: 415},
	{name: "encoded body", raw: post13 + "Content-Encoding: gzip\r\n" + sized, status: 415},
	{name: "query semicolon", raw: "POST " + path13 + "?a=1;b=2&c=%zz&d=4 HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 404},
}

// hostProbes are about whom is asked.
var hostProbes = []probe{
	{name: "no host", raw: line13 + inSOAP + sized, status: 400},
	{name: "two hosts", raw: line13 + "Host: evil.example\r\n" + onHost + inSOAP + sized, status: 400},
	{name: "absolute-form", raw: "POST http://evil.example" + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 421},
	{name: "absolute-form of our own", raw: "POST https://" + probedHost + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 404},
	{name: "authority-form", raw: "POST " + probedHost + ":443 HTTP/1.1\r\n" + onHost + inSOAP + sized, status: 404},
	{name: "host with slash", raw: line13 + "Host: " + probedHost + "/evil.example\r\n" + inSOAP + sized, status: 400},
	{name: "host with user", raw: line13 + "Host: " + probedHost + ":80@evil.example\r\n" + inSOAP + sized, status: 400},
	{name: "host trailing dot", raw: line13 + "Host: STS.Contoso.Example.:443\r\n" + inSOAP + sized, status: 200},
	{name: "other host", raw: line13 + "Host: evil.example\r\n" + inSOAP + sized, status: 421},
	{name: "other host, forwarded as ours", raw: line13 + "Host: evil.example\r\nX-Forwarded-Host: " + probedHost + "\r\n" + inSOAP + sized, status: 421},
	{name: "our host, forwarded as another", raw: post13 + "X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n" + sized, status: 200},
	{name: "no server name", raw: post13 + sized, status: 200, sni: "127.0.0.1"},
	{name: "other server name", raw: post13 + sized, status: 421, sni: "localhost"},
}

// headerProbes are about what else may not reach the farm.
var headerProbes = []probe{
	{name: "Connection strips gw header (Rewrite)", raw: post13 + "Connection: close, X-MS-Forwarded-Client-IP, X-MS-Proxy\r\n" +
		"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-MS-Proxy: evil.example\r\n" + sized, status: 200},
	{name: "Connection strips gw header (Director)", raw: post13 + "Connection: X-MS-ADFS-Proxy-Client-IP, X-MS-Endpoint-Absolute-Path, Content-Length, Host\r\n" +
		"X-Forwarded-For: 6.6.6.6\r\nVia: 1.1 evil.example\r\nX-MS-Proxy: evil.example\r\n" + sized, status: 200},
	{name: "dup header", raw: post13 + "X-MS-Forwarded-Client-IP: 1.1.1.1\r\nx-ms-forwarded-client-ip: 2.2.2.2\r\n" + sized, status: 200},
	{name: "all that AD FS reads", raw: post13 + "X-MS-Endpoint-Absolute-Path: /adfs/evil\r\nX-MS-ADFS-Proxy-Client-IP: 10.0.0.1\r\nX-MS-Client-Application: evil\r\n" +
		"X-MS-Client-User-Agent: evil\r\nX-MS-Target-Role: PrimaryComputer\r\nX-CMS-ADFS: 1\r\nClient-Request-Id: evil\r\n" + sized, status: 200},
	{name: "all that servers read", raw: post13 + "Authorization: Negotiate YQ==\r\nCookie: MSISAuth=evil\r\nX-Original-URL: /evil\r\nX-Rewrite-URL: /evil\r\nTE: trailers\r\n" +
		"Proxy-Connection: keep-alive\r\nKeep-Alive: 5\r\nAccept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\nX-Client-Cert: evil\r\nOrigin: https://evil.example\r\n" + sized, status: 200},
	{name: "user agent", raw: post13 + "User-Agent: probe/1.0\r\n" + sized, status: 200, agent: "probe/1.0"},
	{name: "user agent that is no ASCII", raw: post13 + "User-Agent: caf\u00e9\r\n" + sized, status: 200},
	{name: "SOAP 1.1", raw: line13 + onHost + "Content-Type: text/xml; charset=utf-8\r\n" +
		"SOAPAction: \"http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue\"\r\n" + sized, status: 200, soap: soap.V11},
	{name: "SOAP 1.1 with another action", raw: line13 + onHost + "Content-Type: text/xml; charset=utf-8\r\n" +
		"SOAPAction: \"http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Renew\"\r\n" + sized, status: 500, soap: soap.V11},
}

// spellings are of the path of WS-Trust Feb 2005, or of what a server could
// take for it.
var spellings = []string{
	path2005,
	"/ADFS/Services/Trust/2005/UsernameMixed",
	"/adfs//services/trust/2005/usernamemixed",
	"/adfs/./services/trust/2005/usernamemixed",
	"/adfs/x/../services/trust/2005/usernamemixed",
	path2005 + "/",
	path2005 + ";x=1",
	"/adfs%2fservices/trust/2005/usernamemixed",
	"/adfs%5cservices/trust/2005/usernamemixed",
	`/adfs\services\trust\2005\usernamemixed`,
	"/%61dfs/services/trust/2005/usernamemixed",
	"/%2561dfs/services/trust/2005/usernamemixed",
	"/%u0061dfs/services/trust/2005/usernamemixed",
	path2005 + "%20",
	path2005 + ".",
	path2005 + "%00",
	path2005 + "%c0%af",
	path2005 + "?x",
	path2005 + "#f",
	"/x/%2e%2e/adfs/services/trust/2005/usernamemixed",
	"/" + path2005,
	"/adfs/services/trust/2005/username\u212aixed",
	"*",
	// Those that have no class of their own.
	path2005 + "?",
	path2005 + "\u00a0",
	"." + path2005,
	// Those by which AD FS lets in without a password (HTTP-13).
	"/adfs/services/trust/2005/windowstransport",
	"/adfs/services/trust/13/windowstransport",
	"/adfs/services/trust/13/windowsmixed",
	"/adfs/services/trust/13/kerberosmixed",
	"/adfs/services/trust/13/certificatemixed",
	"/adfs/services/trust/2005/certificatetransport",
	"/adfs/services/trust/13/issuedtokenmixedasymmetricbasic256",
	"/adfs/services/trust/proxytrust",
}

// A spelling is a request target, and the published path that it leads to, if
// any.
type spelling struct{ target, near, canonical string }

// method is the one that is served at the path nearby.
func (s spelling) method() string {
	if s.near == path2005 || s.near == path13 {
		return "POST"
	}
	return "GET"
}

func (s spelling) status() int {
	switch {
	case s.canonical != "":
		return 200
	case s.target[0] == ' ':
		return 400
	case strings.Contains(s.target, " "):
		return 505 // what follows the space stands where the version should
	default:
		return 404
	}
}

// nearby are all spellings that differ in one place.
func nearby(paths ...string) []spelling {
	inserted := []string{"/", ".", "..", "/.", "%", "%2f", "%5c", "%00", "%20", `\`, ";", "?", "#", "+", "\u00ad", "\xff", "x", " "}
	var all []spelling
	for _, p := range paths {
		for i := range len(p) + 1 {
			for _, s := range inserted {
				all = append(all, spelling{p[:i] + s + p[i:], p, ""})
			}
		}
		for i := range len(p) {
			c, before, after := p[i], p[:i], p[i+1:]
			for _, format := range []string{"%%%02x", "%%25%02x", "%%u00%02x"} {
				all = append(all, spelling{before + fmt.Sprintf(format, c) + after, p, ""})
			}
			all = append(all, spelling{before + after, p, ""}, spelling{before + p[i:i+1] + p[i:], p, ""})
			if other := c ^ 0x20; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
				all = append(all, spelling{before + string(other) + after, p, p})
			}
		}
	}
	return all
}
