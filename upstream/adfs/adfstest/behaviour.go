package adfstest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A Behaviour is how a node treats what comes in.
type Behaviour uint8

// The behaviours.
const (
	// Regular is how AD FS behaves.
	Regular Behaviour = iota
	// Hang keeps every port and connection open, and makes no handshake and
	// gives no answer any more.
	Hang
	// Stall takes requests and never answers them.
	Stall
	// CloseOnConnect closes every connection after the handshake.
	CloseOnConnect
	// CloseOnRequest reads the request and closes the connection.
	CloseOnRequest
	// CloseIdle closes the connection after the answer without announcing it.
	CloseIdle
	// Truncate closes the connection amid the answer's body.
	Truncate
	// Unavailable is http.sys without AD FS behind it: 503.
	Unavailable
	// Failed is a fault of AD FS itself: MSIS3127.
	Failed
	// WrongUser answers with a signed token for somebody else.
	WrongUser
	// WrongAudience answers with a signed token for another application.
	WrongAudience
	// WrongVersion answers in the other WS-Trust version.
	WrongVersion
	// TwoResponses answers with two tokens in one message.
	TwoResponses
	// Swap answers two requests that are under way at once, each with the token
	// of the other's user.
	Swap
	// WrongSigner answers with a token that another key signed.
	WrongSigner
	// Unsigned answers with a token that nobody signed.
	Unsigned
	// Wrapped answers with a token for somebody else, which has the signature of
	// the right token, and that token in its Advice.
	Wrapped
	// WrongIssuer answers with a signed token that names another issuer.
	WrongIssuer
	// LongLived answers with a token that is valid for 24 hours.
	LongLived
	// Expired answers with a token of the day before.
	Expired
	// NotYetValid answers with a token of the next day.
	NotYetValid
	// SenderVouches answers with a token that whoever sends it has to vouch for.
	SenderVouches
	// Encrypted answers with a token that only its application can read.
	Encrypted
	// EncryptedForAny does that without saying which application that is.
	EncryptedForAny
	// Page answers with a page in HTML.
	Page
	// Garbage answers with bytes that are not HTTP.
	Garbage
	// Huge answers with a body that has no end.
	Huge
	// ManyHeaders answers with 10,000 headers.
	ManyHeaders
	// Chunked answers in chunks, which is unusual and right.
	Chunked
	// UntilClose answers without a length and ends the connection, first TLS
	// and then TCP, which is unusual and right.
	UntilClose
	// UntilCut does the same and ends TCP only, as whoever cuts an answer short.
	UntilCut
	// Interim sends 100 Continue before the answer.
	Interim
	// Surplus sends the answer twice.
	Surplus
	// Early answers each connection before a request is read.
	Early
	// Intranet takes every request for one from the intranet, whatever its headers
	// say.
	Intranet
)

// Behaviours are all of them, for tests that try each.
func Behaviours() []Behaviour {
	all := make([]Behaviour, Intranet+1)
	for i := range all {
		all[i] = Behaviour(i)
	}
	return all
}

var behaviourNames = [...]string{
	"regular", "hang", "stall", "close-on-connect", "close-on-request", "close-idle", "truncate", "unavailable", "failed",
	"wrong-user", "wrong-audience", "wrong-version", "two-responses", "swap", "wrong-signer", "unsigned", "wrapped", "wrong-issuer", "long-lived", "expired",
	"not-yet-valid", "sender-vouches", "encrypted", "encrypted-for-any", "page", "garbage", "huge", "many-headers", "chunked",
	"until-close", "until-cut", "interim", "surplus", "early", "intranet",
}

// String returns the behaviour's name, in lower case with hyphens.
func (b Behaviour) String() string { return behaviourNames[b] }

// ParseBehaviour finds a behaviour by its name.
func ParseBehaviour(name string) (Behaviour, error) {
	for i, n := range behaviourNames {
		if n == name {
			return Behaviour(i), nil
		}
	}
	return 0, fmt.Errorf("behaviour %q is none of %s", name, strings.Join(behaviourNames[:], ", "))
}

// A response is an answer before it is written.
type response struct {
	status      int
	contentType string
	body        []byte
}

var statusTexts = map[int]string{
	200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 415: "Unsupported Media Type",
	500: "Internal Server Error", 503: "Service Unavailable",
}

// page is an answer of http.sys.
func page(status int) response {
	return response{status: status, contentType: "text/html; charset=us-ascii",
		body: []byte("<HTML><HEAD><TITLE>" + statusTexts[status] + "</TITLE></HEAD></HTML>")}
}

// bytes writes the response as http.sys does.
func (r response) bytes(headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, statusTexts[r.status])
	for _, h := range append(headers, "Content-Type: "+r.contentType, "Server: Microsoft-HTTPAPI/2.0") {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(r.body)
	return b.Bytes()
}

func (r response) regular() []byte {
	return r.bytes("Content-Length: " + strconv.Itoa(len(r.body)))
}

// wire is what the behaviour makes of a response, and whether the connection
// is closed after it.
func (b Behaviour) wire(r response) (out []byte, last bool) {
	switch b {
	case CloseIdle:
		return r.regular(), true
	case Truncate:
		out = r.regular()
		return out[:len(out)-len(r.body)/2], true
	case Garbage:
		return []byte("SSH-2.0-OpenSSH_9.2\r\n\r\n"), false
	case ManyHeaders:
		headers := make([]string, 10_000)
		for i := range headers {
			headers[i] = fmt.Sprintf("X-Header-%d: %d", i, i)
		}
		return r.bytes(append(headers, "Content-Length: "+strconv.Itoa(len(r.body)))...), false
	case Chunked:
		whole := r.body
		half := len(whole) / 2
		r.body = fmt.Appendf(nil, "%x\r\n%s\r\n%X\r\n%s\r\n0\r\n\r\n", half, whole[:half], len(whole)-half, whole[half:])
		return r.bytes("Transfer-Encoding: chunked"), false
	case UntilClose, UntilCut:
		return r.bytes(), true
	case Interim:
		return append([]byte("HTTP/1.1 100 Continue\r\n\r\n"), r.regular()...), false
	case Surplus:
		return append(r.regular(), r.regular()...), false
	default:
		return r.regular(), false
	}
}
