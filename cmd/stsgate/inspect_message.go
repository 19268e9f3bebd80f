package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"stsgate/gateway"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// judgeRequest reads a request as the gateway does. Without a time to judge it
// by, the message is read as of when it was made, which is always fresh.
func (x *inspection) judgeRequest(in wstrust.Inbound) {
	in.Now = x.clock
	r, err := wstrust.Inspect(in)
	if e, ok := errors.AsType[*wstrust.Error](err); ok && e.Kind == wstrust.Expired && !x.judged {
		in.Now = r.Timestamp.Created
		r, err = wstrust.Inspect(in)
	}
	r.Password.Wipe()
	x.request = r
	x.describeRequest(r)
	if err != nil {
		x.refuse(gateway.RefuseMessage(err))
	}
	if !x.judged && !r.Timestamp.Created.IsZero() {
		x.open("timestamp: give --at")
	}
	if r.Signed || x.credential(r) != nil {
		x.open("signature: the gateway does not look at that of a request")
		if x.verifier == nil {
			x.open("signature: give --cert to see whether it holds")
		} else {
			x.signatures(r)
		}
	}
	if len(r.Tolerated) > 0 {
		x.open("tolerances: which ones an endpoint accepts is in its configuration")
	}
	if x.found.Verdict == accepted {
		host, port, path := x.reached(r)
		x.found.Forward = x.answerable(r.CheckAddress(host, port, path, true))
		if err = r.CheckAddress(host, port, path, false); err == nil {
			err = gateway.Issuable(r)
		}
		x.found.Issue = x.answerable(err)
	}
}

// answerable says whether a way of answering is open to a request.
func (x *inspection) answerable(err error) string {
	if err == nil {
		return "yes"
	}
	if e, ok := errors.AsType[*wstrust.Error](err); ok {
		return "no: " + x.shown(e.Msg) + " (" + e.Rule + ")"
	}
	if r, ok := errors.AsType[*refusal.Refusal](err); ok {
		err = r.Err
	}
	return "no: " + x.shown(err.Error())
}

// describeRequest reports what was read of a request.
func (x *inspection) describeRequest(r *wstrust.Request) {
	f := &x.found
	f.Version = r.Version.String()
	if r.Type != 0 {
		f.RequestType = r.Type.String()
	}
	if r.Version != 0 {
		f.Credential = r.Credential.String()
	}
	f.User, f.AppliesTo, f.Action = x.shown(r.Username), x.shown(r.AppliesTo), x.shown(r.Action)
	f.TokenType, f.KeyType = x.shown(r.TokenType), x.shown(r.KeyType)
	f.To, f.MessageID = x.shown(r.To), x.shown(r.MessageID)
	f.Timestamp, f.Lifetime = f.span(r.Timestamp), f.span(r.Lifetime)
	f.OnBehalfOf, f.ActAs, f.Target = x.party(r.OnBehalfOf), x.party(r.ActAs), x.party(r.Target)
	for _, t := range r.Tolerated {
		f.Tolerances = append(f.Tolerances, t.String())
	}
	if r.Signed {
		f.Signer = x.namedIn(x.header("Security"))
	}
	if e := x.credential(r); e != nil {
		f.CredentialSigner = x.namedIn(e)
	}
}

// party reports whom a token speaks of, nil for no token.
func (x *inspection) party(t wstrust.Token) *party {
	if t.Kind == wstrust.CredentialNone {
		return nil
	}
	return &party{Kind: t.Kind.String(), Subject: x.shown(t.Subject)}
}

// header returns a block of the envelope's header, nil when there is none.
func (x *inspection) header(local string) *soap.Element {
	if x.doc == nil {
		return nil
	}
	return child(x.doc, child(x.doc, x.doc.Root(), "Header"), local)
}

// text returns the trimmed text of an element, empty when there is none.
func (x *inspection) text(e *soap.Element) string {
	if e == nil {
		return ""
	}
	text, err := x.doc.Text(e)
	if err != nil {
		return ""
	}
	return x.shown(strings.TrimSpace(text))
}

// judgeAnswer reads an answer of the farm as the gateway does, and compares it
// with the request, if there is one.
func (x *inspection) judgeAnswer(body []byte) {
	x.open("http: status and media type are not in the file")
	var want wstrust.Version
	if x.asked != nil {
		want = x.asked.request.Version
	}
	a, err := wstrust.InspectAnswer(body, want)
	f := &x.found
	f.Version = a.Version.String()
	f.Action = x.text(x.header("Action"))
	f.RelatesTo, f.AppliesTo, f.TokenType = x.shown(a.RelatesTo), x.shown(a.AppliesTo), x.shown(a.TokenType)
	f.Lifetime = f.span(a.Lifetime)
	if fault, ok := errors.AsType[*wstrust.Fault](err); ok {
		x.describeFault(fault)
		return
	}
	rstr := x.rstr()
	if rstr != nil {
		f.KeyType = x.text(child(x.doc, rstr, "KeyType"))
		f.RequestType = lastOf(x.text(child(x.doc, rstr, "RequestType")), "/")
	}
	if x.judgeContent(a, err) {
		f.ProofKey = x.proofKey(a, rstr)
	}
}

// rstr returns the one response, nil when there is none.
func (x *inspection) rstr() *soap.Element {
	e := child(x.doc, child(x.doc, x.doc.Root(), "Body"), "")
	if e != nil && e.Name.Local == "RequestSecurityTokenResponseCollection" {
		e = child(x.doc, e, "RequestSecurityTokenResponse")
	}
	return e
}

// lastOf returns what follows the last separator, in lower case.
func lastOf(s, separator string) string {
	return strings.ToLower(s[strings.LastIndex(s, separator)+1:])
}

// describeFault reports a fault, and what becomes of an exchange that gets it.
func (x *inspection) describeFault(f *wstrust.Fault) {
	x.found.Fault = &faultFacts{
		Code: x.shown(f.Subcode.Local), Text: x.shown(f.Text), Sender: f.Sender, Says: plainWords(f),
		Reason: gateway.RefuseFarm(context.Background(), f).Reason.String(),
	}
}

// judgeToken reads a token that stands alone.
func (x *inspection) judgeToken(body []byte) {
	a, err := wstrust.InspectToken(body)
	if x.judgeContent(a, err) {
		x.found.ProofKey = x.proofKey(a, nil)
	}
}

// judgeContent judges the token, in the order of the gateway: that it can be
// read, its signature, its lifetime, and that it is what was asked for. It
// reports whether it could be read.
func (x *inspection) judgeContent(a *wstrust.Answer, err error) bool {
	f := &x.found
	if a.Token != nil {
		f.Token = describe(a).shown(x.shown)
		f.User, f.Signer = f.Token.Subject, f.Token.Signer
	}
	if err != nil {
		x.refuse(gateway.RefuseFarm(context.Background(), err))
		return false
	}
	x.judgeSignature(a)
	if x.judged {
		x.check(gateway.CheckLifetime(a, x.clock), a)
	} else {
		x.open("lifetime: give --at")
	}
	switch {
	case f.Kind == kindAssertion:
	case x.asked == nil:
		x.open("request: whether it is what was asked for; give --request")
	default:
		x.check(gateway.CheckAnswer(x.asked.request, a), a)
		if r := &x.asked.found; r.Verdict == refused {
			x.open(fmt.Sprintf("request: the request itself would be refused (%s)", r.Rule))
		}
	}
	if a.Encrypted {
		x.open("encrypted: taken for applications with answer_encrypted only")
	} else {
		x.open("issuer: which ones the application takes is in the policy files")
		x.open("account: the names in the token are compared with the directory")
	}
	return true
}

// judgeSignature verifies the signature of a token.
func (x *inspection) judgeSignature(a *wstrust.Answer) {
	switch {
	case a.Encrypted:
		x.open("signature: the token is encrypted")
	case x.verifier == nil:
		x.open("signature: give --cert")
	default:
		verified, err := x.verifier.Verify(a.Signed())
		if err != nil {
			x.refuse(gateway.RefuseFarm(context.Background(), fmt.Errorf("%w: %w", wstrust.ErrUntrusted, err)))
			return
		}
		x.found.Verified, x.found.Signer = true, x.shown(nameOf(verified.Certificate))
		x.found.Token.Signer = x.found.Signer
	}
}

// check notes what the gateway found when it compared an answer, at its token.
func (x *inspection) check(err error, a *wstrust.Answer) {
	why, ok := errors.AsType[*refusal.Refusal](err)
	if !ok {
		return
	}
	_, token := a.Signed()
	x.refuse(&refusal.Refusal{Reason: why.Reason, Err: &wstrust.Error{Rule: "SIG-10", Offset: int(token.Start), Msg: x.shown(why.Err.Error())}})
}
