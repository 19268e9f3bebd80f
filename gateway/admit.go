package gateway

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// locate finds the client's address.
func (x *exchange) locate() {
	x.client, x.agent = x.g.c.Clients.Locate(peer(x.in), x.in.Header), x.in.UserAgent()
}

// admit looks at what precedes the message, and reads it. After it the fault
// writer knows which SOAP version the client speaks.
func (x *exchange) admit() error {
	var err error
	if x.head, err = ReadHead(x.in.Header, x.endpoint); err != nil {
		return err
	}
	x.soap = x.head.SOAP
	if err := x.readBody(); err != nil {
		return err
	}
	if x.g.c.Audit.Full() { // the room that is left is for what was begun (security.md, AUD-12)
		return refusal.New(refusal.AuditFailed, "the disk of the audit log is full")
	}
	return nil
}

// ReadHead reads what the header lines of an HTTP request say about its
// message, and what its endpoint takes: an Inbound that lacks Body and Now. The
// error is a *refusal.Refusal whose cause is a *wstrust.Error.
func ReadHead(h http.Header, e Endpoint) (wstrust.Inbound, error) {
	media, err := readMediaType(h)
	if err != nil {
		return wstrust.Inbound{}, &refusal.Refusal{Reason: refusal.WrongMediaType, Err: err}
	}
	return wstrust.Inbound{
		SOAP:        media.soap,
		SOAPAction:  h["Soapaction"],
		MediaAction: media.action,
		Version:     e.Version,
		Takes:       e.Takes,
	}, nil
}

// A mediaType is the Content-Type of a SOAP message.
type mediaType struct {
	soap   soap.Version
	action string // SOAP 1.2's parameter, empty when absent
}

// readMediaType accepts exactly what SOAP-01 and SOAP-02 list: one header,
// text/xml or application/soap+xml, UTF-8 or no charset, no Content-Encoding.
func readMediaType(h http.Header) (mediaType, error) {
	if len(h["Content-Encoding"]) > 0 {
		return mediaType{}, &wstrust.Error{Rule: "SOAP-02", Offset: -1, Header: "Content-Encoding", Msg: "the body has a Content-Encoding"}
	}
	values := h["Content-Type"]
	if len(values) != 1 {
		return mediaType{}, notSOAP("not exactly one Content-Type header")
	}
	switch values[0] { // what nearly every client sends needs no parsing
	case "application/soap+xml; charset=utf-8":
		return mediaType{soap: soap.V12}, nil
	case "text/xml; charset=utf-8":
		return mediaType{soap: soap.V11}, nil
	}
	kind, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return mediaType{}, notSOAP("the Content-Type header is malformed")
	}
	// Package mime takes a parameter twice if it says the same, escapes, and
	// values in pieces or with a charset of their own (RFC 2231).
	if strings.Count(values[0], ";") != len(params) || strings.ContainsAny(values[0], `\*`) {
		return mediaType{}, notSOAP("the media type has a parameter twice or in a form that is not accepted")
	}
	var m mediaType
	switch kind {
	case soap.V11.MediaType():
		m.soap = soap.V11
	case soap.V12.MediaType():
		m.soap = soap.V12
	default:
		return mediaType{}, notSOAP("the media type is not that of a SOAP message")
	}
	for name, value := range params {
		switch {
		case name == "charset" && strings.EqualFold(value, "utf-8"):
		case name == "action" && m.soap == soap.V12:
			m.action = value
		default:
			return mediaType{}, notSOAP("the media type has a parameter or charset that is not accepted")
		}
	}
	return m, nil
}

// notSOAP refuses what is not the media type of a SOAP message.
func notSOAP(msg string) error {
	return &wstrust.Error{Rule: "SOAP-01", Offset: -1, Header: "Content-Type", Msg: msg}
}

// readBody reads the whole body before anything is decided or sent anywhere
// (security.md, HTTP-01).
func (x *exchange) readBody() error {
	limit, length := x.g.c.MaxBody, x.in.ContentLength
	if length > limit {
		return refusal.New(refusal.TooLarge, "body of %d bytes, limit %d", length, limit)
	}
	deadline := x.start.Add(x.g.c.BodyTimeout)
	if err := http.NewResponseController(x.w).SetReadDeadline(deadline); err != nil {
		return refusal.New(refusal.Internal, "set read deadline: %w", err)
	}
	if size := max(length+1, leastBody); int64(cap(x.body)) < size {
		x.body = make([]byte, 0, size)
	}
	return x.fill(x.in.Body, limit)
}

// leastBody is the size of the smallest buffer for a body, in bytes.
const leastBody = 4 << 10

// fill reads into the body's buffer, which holds a password: one that it
// outgrows is overwritten.
func (x *exchange) fill(in io.Reader, limit int64) error {
	for {
		if len(x.body) == cap(x.body) {
			grown := append(make([]byte, 0, 2*cap(x.body)), x.body...)
			clear(x.body)
			x.body = grown
		}
		n, err := in.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		switch {
		case int64(len(x.body)) > limit:
			return refusal.New(refusal.TooLarge, "body of more than %d bytes", limit)
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return refusal.New(refusal.BodyUnread, "the body took too long, %d bytes came", len(x.body))
		case err != nil:
			return refusal.New(refusal.BodyUnread, "read body after %d bytes: %w", len(x.body), err)
		}
	}
}
