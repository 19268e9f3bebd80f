package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/xmlsig"
)

type inspect struct {
	JSON    bool      `name:"json" help:"Print JSON."`
	At      time.Time `placeholder:"TIME" help:"Judge lifetimes as of then, written as 2026-03-02T08:00:30Z; without it they are reported, not judged."`
	Cert    string    `placeholder:"FILE" help:"The certificates, PEM, one to eight, by one of which a token must be signed; of a request it is told whether it is."`
	Request string    `placeholder:"FILE" help:"The request that the message answers."`
	File    string    `arg:"" help:"A bare XML message, or a raw HTTP request: its name ends in .http, or it begins with a request line. - for standard input."`
}

// Help shows examples.
func (inspect) Help() string {
	return `Says what a captured message is and what the gateway makes of it, offline: a request, an answer, a
fault or an assertion; anything else is XML that is read or not. The steps are the gateway's own. An
HTTP request is judged with its path and headers, as if the endpoints were those of "endpoints: adfs".
What cannot be judged without the farm, the directory or a flag is named. A password is never printed.

The exit code is 0 for a message that is read and passes what could be judged, 1 for one that is
refused, with the place, the rule and the reason, and 2 for arguments that are no use.

Examples:
  stsgate inspect request.http
  stsgate inspect --at 2026-03-02T08:00:30Z request.xml
  stsgate inspect --json --cert token-signing.crt --request request.http answer.xml
  xclip -o | stsgate inspect -`
}

// Run inspects the file and prints what was found.
func (v *inspect) Run(c *console) error {
	x, err := v.inspection(c)
	if err != nil {
		return usageError{err}
	}
	raw, err := readMessage(c, v.File)
	if err != nil {
		return usageError{err}
	}
	defer clear(raw)
	if x.asked != nil {
		defer clear(x.asked.source.raw)
	}
	if beginsWith(answerLine, raw) {
		return usageError{fmt.Errorf("%s: an HTTP answer; give its body alone", v.File)}
	}
	x.inspect(v.File, raw)
	if err := x.found.print(c, v); err != nil {
		return err
	}
	if x.found.Verdict == refused {
		return errReported
	}
	return nil
}

// An inspection judges one message as the gateway would.
type inspection struct {
	clock    time.Time
	judged   bool             // lifetimes are, as of clock
	verifier *xmlsig.Verifier // nil without certificates
	asked    *inspection      // the request that is answered, nil if not given

	source  source
	doc     *soap.Document   // nil if it cannot be scanned
	secrets []string         // passwords, which no other text may repeat
	request *wstrust.Request // of an RST; its password is wiped
	found   report
}

// inspection reads what the flags name.
func (v *inspect) inspection(c *console) (*inspection, error) {
	x := &inspection{clock: v.At, judged: !v.At.IsZero()}
	if !x.judged {
		x.clock = time.Now()
	}
	if v.Cert != "" {
		certificates, err := readSigners(v.Cert)
		if err == nil {
			x.verifier, err = xmlsig.NewVerifier(certificates)
		}
		if err != nil {
			return nil, fmt.Errorf("--cert: %w", err)
		}
	}
	if v.Request == "" {
		return x, nil
	}
	if v.Request == "-" && v.File == "-" {
		return nil, errors.New("--request: standard input is the message")
	}
	raw, err := readMessage(c, v.Request)
	if err != nil {
		return nil, fmt.Errorf("--request: %w", err)
	}
	x.asked = &inspection{clock: x.clock}
	x.asked.inspect(v.Request, raw)
	x.secrets = x.asked.secrets
	if f := &x.asked.found; f.Kind != kindRST || f.RequestType == "" {
		return nil, fmt.Errorf("--request: %s is no request that can be read: %s", v.Request, cmp.Or(f.Message, "its kind is "+f.Kind))
	}
	return x, nil
}

// largest is how much of a file is read: more than any message may have.
const largest = 2 << 20

// readMessage reads a file, or standard input for "-".
func readMessage(c *console, file string) ([]byte, error) {
	in := c.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, largest))
}

// requestLine and answerLine are how HTTP begins (RFC 9112, sections 3 and 4).
var (
	requestLine = regexp.MustCompile(`^[A-Z]+ \S+ HTTP/\d`)
	answerLine  = regexp.MustCompile(`^HTTP/\d\S* \d{3}`)
)

func beginsWith(line *regexp.Regexp, raw []byte) bool { return line.Match(raw[:min(len(raw), 8<<10)]) }

// inspect judges the content of a file.
func (x *inspection) inspect(file string, raw []byte) {
	x.found = report{Verdict: accepted, Clock: x.clock.UTC(), Tolerances: []string{}, NotJudged: []string{}}
	x.source = source{raw: raw, parts: []part{{}}}
	if strings.EqualFold(filepath.Ext(file), ".http") || beginsWith(requestLine, raw) {
		x.http()
		return
	}
	if err := x.scan(raw); err != nil {
		x.refuse(gateway.RefuseMessage(err))
		return
	}
	switch {
	case x.found.Kind == kindRST:
		x.judgeRequest(wstrust.Inbound{Body: raw})
		x.open("http: path, media type and headers are not in the file")
	case x.found.Kind == kindRSTR, x.found.Kind == kindFault:
		x.judgeAnswer(raw)
	case x.found.Kind == kindAssertion:
		x.judgeToken(raw)
	case x.found.Root == "Envelope": // of whatever, which a request must not be
		x.judgeRequest(wstrust.Inbound{Body: raw})
	default: // security.md, XML-15
		x.open("message: the root is not an Envelope; as a message it would be refused (SOAP-06)")
	}
}

// The kinds of message. What has no XML in it at all is http.
const (
	kindRST       = "rst"
	kindRSTR      = "rstr"
	kindFault     = "fault"
	kindAssertion = "assertion"
	kindXML       = "xml"
	kindHTTP      = "http"
)

// scan scans the message, and finds its kind by its root or, in an envelope,
// by what the Body holds.
func (x *inspection) scan(body []byte) error {
	x.found.Kind = kindXML
	doc, err := soap.Scan(body, soap.Answer)
	if err != nil {
		return err
	}
	x.doc = doc
	x.learn(doc)
	x.found.Root = doc.Root().Name.Local
	what := doc.Root()
	if what.Name.Local == "Envelope" {
		for _, v := range []soap.Version{soap.V11, soap.V12} {
			if v.Namespace() == what.Name.Space {
				x.found.SOAP = v.String()
			}
		}
		if what = child(doc, what, "Body"); what != nil {
			what = child(doc, what, "")
		}
	}
	if what == nil {
		return nil
	}
	envelope := what != doc.Root()
	switch local := what.Name.Local; {
	case !envelope && (what.Name == soap.Name{Space: wstrust.NSSAML11, Local: "Assertion"} || what.Name.Space == wstrust.NSSAML20 && strings.HasSuffix(local, "Assertion")):
		x.found.Kind = kindAssertion
	case envelope && strings.HasPrefix(local, "RequestSecurityTokenResponse"):
		x.found.Kind = kindRSTR
	case envelope && strings.HasPrefix(local, "RequestSecurityToken"):
		x.found.Kind = kindRST
	case envelope && local == "Fault":
		x.found.Kind = kindFault
	}
	return nil
}

// child returns the first child element with that local name, the first of
// any name for "", nil when there is none or e is nil.
func child(d *soap.Document, e *soap.Element, local string) *soap.Element {
	if e == nil {
		return nil
	}
	for c := range d.Children(e) {
		if local == "" || c.Name.Local == local {
			return c
		}
	}
	return nil
}

// open notes what was not judged.
func (x *inspection) open(what string) { x.found.NotJudged = append(x.found.NotJudged, what) }

// refuse notes why the gateway would refuse the message, and where.
func (x *inspection) refuse(why *refusal.Refusal) {
	d := defect{Reason: why.Reason.String(), Message: why.Err.Error()}
	offset, header := -1, ""
	if e, ok := errors.AsType[*soap.Error](why); ok {
		d.Rule, d.Message, offset = e.Rule, e.Msg, e.Offset
	} else if e, ok := errors.AsType[*wstrust.Error](why); ok {
		d.Rule, d.Message, offset, header = e.Rule, e.Msg, e.Offset, e.Header
	} else if e, ok := errors.AsType[*xmlsig.Error](why); ok {
		d.Rule, d.Message, offset = e.Rule, e.Msg, e.Offset
	}
	switch {
	case offset >= 0:
		d.Line, d.Column = x.source.place(offset)
	case header != "":
		d.Line, d.Column = x.source.headerPlace(header)
	}
	d.Message = x.shown(d.Message)
	x.found.refuse(d)
}

// A source is the bytes of a file, and where in it the message is.
type source struct {
	raw   []byte
	head  int    // bytes of the HTTP head
	parts []part // in order
}

// A part is where a piece of the message begins, in the message and in the file.
type part struct{ message, file int }

// place returns line and column of a byte of the message.
func (s *source) place(offset int) (line, column int) {
	at := s.parts[0]
	for _, p := range s.parts {
		if p.message <= offset {
			at = p
		}
	}
	return s.filePlace(at.file + offset - at.message)
}

// filePlace returns line and column of a byte of the file. Both count from 1;
// a column is a character, and a byte order mark is none.
func (s *source) filePlace(offset int) (line, column int) {
	before := s.raw[:min(offset, len(s.raw))]
	line = bytes.Count(before, []byte("\n")) + 1
	before = before[bytes.LastIndexByte(before, '\n')+1:]
	if line == 1 {
		before = bytes.TrimPrefix(before, []byte("\uFEFF"))
	}
	return line, len(bytes.Runes(before)) + 1
}

// headerPlace returns the place of a header line, that of the request line
// when there is no such line.
func (s *source) headerPlace(name string) (line, column int) {
	n := 0
	for text := range strings.Lines(string(s.raw[:s.head])) {
		n++
		if got, _, ok := strings.Cut(text, ":"); ok && n > 1 && strings.EqualFold(got, name) {
			return n, 1
		}
	}
	return min(n, 1), min(n, 1)
}
