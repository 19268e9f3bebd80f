package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"

	"stsgate/gateway"
	"stsgate/gateway/config"
	"stsgate/gateway/edge"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
)

// http judges a raw HTTP request as it would arrive: the head, the path, the
// media type, and then the message. Whatever it is refused for, what the
// message says is reported.
func (x *inspection) http() {
	x.found.Kind = kindHTTP
	c := config.Defaults()
	r := x.readHead(int(c.Limits.Headers))
	if r == nil {
		return
	}
	endpoint, metadata := x.route(r, c)
	if metadata {
		x.open("metadata: a request for metadata is no RequestSecurityToken")
		return
	}
	in, err := gateway.ReadHead(r.Header, endpoint)
	if why, ok := errors.AsType[*refusal.Refusal](err); ok {
		x.refuse(why)
	}
	body, why := x.body(r, int(c.Limits.Body))
	if why != nil {
		x.refuse(why)
	}
	if err := x.scan(body); err != nil && x.found.Verdict == refused {
		x.found.Kind = kindHTTP
		return
	}
	in.Body = body
	x.judgeRequest(in)
}

// readHead reads the request line and the header lines, nil if it cannot.
func (x *inspection) readHead(limit int) *http.Request {
	r, size, err := edge.ReadHead(x.source.raw, limit)
	if e, ok := errors.AsType[*edge.HeadError](err); ok {
		x.refuse(&refusal.Refusal{Reason: refusal.BodyUnread, Err: &wstrust.Error{Rule: e.Rule, Offset: e.Offset, Msg: e.Msg}})
		return nil
	}
	x.source.head, x.source.parts = size, []part{{file: size}}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	host := x.shown(r.Host[strings.LastIndexByte(r.Host, '@')+1:])
	x.found.HTTP = &httpFacts{Method: x.shown(r.Method), Path: x.shown(path), Host: host}
	x.open("connection: TLS and time are judged where a request arrives")
	x.open("host: " + host + " is taken for the gateway's own name")
	return r
}

// route finds the endpoint, or tells that it is one for metadata.
func (x *inspection) route(r *http.Request, c *config.Config) (trust gateway.Endpoint, metadata bool) {
	var routes []edge.Route
	for _, e := range c.Endpoints {
		routes = append(routes, edge.Route{Path: e.Path, Methods: methods(e.Kind)})
	}
	route, why := edge.Find(routes, r)
	if why != nil { // its text quotes the path with the query
		d := defect{Rule: "HTTP-08", Reason: why.Reason.String(), Message: why.Reason.Row().Meaning, Line: 1, Column: len(r.Method) + 2}
		if route != nil {
			d.Rule, d.Column = "HTTP-07", 1
		}
		x.found.refuse(d)
	}
	if route == nil {
		return trust, false
	}
	for _, e := range endpoints(c) {
		if e.Path == route.Path {
			return e, false
		}
	}
	return trust, true
}

// body returns the body, as far as the file has it and it can be read.
func (x *inspection) body(r *http.Request, limit int) ([]byte, *refusal.Refusal) {
	rest, size := x.source.raw[x.source.head:], r.ContentLength
	if size < 0 {
		return x.chunks(rest, limit)
	}
	switch {
	case size > int64(limit):
		return nil, headerRefusal(refusal.TooLarge, "DOS-02", "Content-Length", "the body is larger than "+strconv.Itoa(limit)+" bytes")
	case size > int64(len(rest)):
		return rest, headerRefusal(refusal.BodyUnread, "HTTP-15", "Content-Length", "the body is cut short: "+
			strconv.Itoa(len(rest))+" of "+strconv.FormatInt(size, 10)+" bytes are in the file")
	case size < int64(len(rest)):
		x.open("rest: " + strconv.Itoa(len(rest)-int(size)) + " bytes behind the body would be the next request")
	}
	return rest[:size:size], nil
}

// headerRefusal refuses for what a header says.
func headerRefusal(reason refusal.Reason, rule, header, msg string) *refusal.Refusal {
	return &refusal.Refusal{Reason: reason, Err: &wstrust.Error{Rule: rule, Offset: -1, Header: header, Msg: msg}}
}

// chunks decodes a chunked body (RFC 9112, section 7.1), and notes where each
// chunk is. Trailers are refused (security.md, HTTP-05).
func (x *inspection) chunks(rest []byte, limit int) (body []byte, why *refusal.Refusal) {
	x.source.parts = nil
	at := func(rest []byte) int {
		x.source.parts = append(x.source.parts, part{message: len(body), file: len(x.source.raw) - len(rest)})
		return len(body)
	}
	refuse := func(reason refusal.Reason, rule string, rest []byte, msg string) *refusal.Refusal {
		return &refusal.Refusal{Reason: reason, Err: &wstrust.Error{Rule: rule, Offset: at(rest), Msg: msg}}
	}
	for {
		size, line, err := edge.ReadChunkLine(rest)
		after := rest[line:]
		switch e, bad := errors.AsType[*edge.HeadError](err); {
		case bad:
			return body, refuse(refusal.BodyUnread, e.Rule, rest[e.Offset:], e.Msg)
		case size > uint64(limit-len(body)):
			return body, refuse(refusal.TooLarge, "DOS-02", rest, "the body is larger than "+strconv.Itoa(limit)+" bytes")
		case size > uint64(len(after)):
			return body, refuse(refusal.BodyUnread, "HTTP-15", nil, "the body is cut short within a chunk")
		}
		at(after)
		body = append(body, after[:size]...)
		var ok bool
		if rest, ok = bytes.CutPrefix(after[size:], []byte("\r\n")); !ok {
			return body, refuse(refusal.BodyUnread, "HTTP-05", after[size:], "a trailer, or bytes after the end of a chunk")
		}
		if size > 0 {
			continue
		}
		if len(rest) > 0 {
			x.open("rest: " + strconv.Itoa(len(rest)) + " bytes behind the body would be the next request")
		}
		return body, nil
	}
}

// reached returns what the request came to: host and port as the client wrote
// them, and the path. For a message alone it is what its To says, so that only
// the form of To is judged.
func (x *inspection) reached(r *wstrust.Request) (host, port, path string) {
	_, authority, _ := strings.Cut(r.To, "://")
	authority, path, _ = strings.Cut(authority, "/")
	path = "/" + path
	if f := x.found.HTTP; f != nil {
		authority, path = f.Host, f.Path
	}
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		return authority, "", path
	}
	return host, port, path
}
