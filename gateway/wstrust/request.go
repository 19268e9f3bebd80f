package wstrust

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
)

// An Inbound is a request as it came in, with what HTTP said about it.
type Inbound struct {
	// Body is the message as received. The Request keeps it.
	Body []byte
	// SOAP is the version that the media type stands for, which the envelope
	// must have; the zero Version allows any.
	SOAP soap.Version
	// SOAPAction are the values of the HTTP header SOAPAction as received.
	SOAPAction []string
	// MediaAction is the media type's parameter action, unquoted, empty when absent.
	MediaAction string
	// Version is that of the endpoint, which the RequestSecurityToken must
	// have; the zero Version allows any.
	Version Version
	// Takes says which requests the endpoint answers, by default those to issue
	// a token for a user name and a plain password.
	Takes Takes
	// Lists tells whether an application, by its AppliesTo, has a child of the
	// RequestSecurityToken forwarded that asks for more than a token, by its local
	// name: one of Extensions. Nil tells that none has.
	Lists func(application, element string) bool
	// Memory is what the request is read into; nil means new memory.
	Memory *Memory
	// Now is the time that the message's Timestamp is measured against.
	Now time.Time
}

// ReadRequest reads a request that the endpoint answers (security.md, SOAP-03
// to SOAP-10). Everything else, and everything that is not known, is refused.
// The error is a *soap.Error when the bytes are not one strict SOAP message,
// and an *Error otherwise.
//
// Where the message may go by its To is judged later, by CheckAddress.
func ReadRequest(in Inbound) (*Request, error) {
	r, err := Inspect(in)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Inspect is ReadRequest for a person who wants to know what a refused
// message is: with an error, too, it returns a Request, which has what was
// read before the rule was broken and, beyond it, what is asked for and by
// whom, and never the password. What was understood and is not answered is
// refused last, so that nothing is missing.
func Inspect(in Inbound) (*Request, error) {
	var x *reader
	if in.Memory != nil {
		x = &in.Memory.request
	} else {
		x = new(reader)
	}
	x.in, x.r = in, Request{Body: in.Body, memory: in.Memory}
	if x.fresh == nil {
		x.fresh = make([]byte, 0, 256)
	}
	if err := x.open(in.Body, soap.Request); err != nil {
		return &x.r, err
	}
	x.r.SOAP, x.r.doc = x.env.Version, &x.doc
	err := x.read()
	if err != nil {
		x.salvage()
	}
	x.keep()
	if err != nil {
		x.r.Password.Wipe()
		x.r.Password = account.Password{}
	}
	return &x.r, err
}

// Document is the scanned message.
func (r *Request) Document() *soap.Document { return r.doc }

// TokenKind returns the kind of token that is asked for, SAML11 when the
// request names none. It reports whether the kind is one that can be issued.
func (r *Request) TokenKind() (TokenKind, bool) {
	switch r.TokenType {
	case "", NSSAML11, profileSAML11:
		return SAML11, true
	case NSSAML20, profileSAML20:
		return SAML20, true
	default:
		return 0, false
	}
}

// Bearer tells that the request asks for a token without a key. One that
// names no key type asks for a symmetric key (WS-Trust 1.3, section 9.2).
func (r *Request) Bearer() bool { return r.KeyType == r.Version.BearerKey() }

// ForKey tells that the request asks by name for a token that is bound to a
// key, symmetric or public.
func (r *Request) ForKey() bool {
	kind, ok := strings.CutPrefix(r.KeyType, r.Version.Namespace())
	return ok && (kind == "/SymmetricKey" || kind == "/PublicKey")
}

// Fresh tells that something in the message is made anew for each: an id, a
// time or a nonce. The same bytes are then one message that came again, and
// without it perhaps the next one of its sender's (security.md, SOAP-09).
func (r *Request) Fresh() bool {
	return r.MessageID != "" || !r.Timestamp.Created.IsZero() || r.Nonce != "" || r.NonceCreated != "" ||
		slices.Contains(r.Tolerated, MessageIDSpelling)
}

// addressed tells that the request has WS-Addressing headers, so that its
// sender reads those of the answer.
func (r *Request) addressed() bool { return r.Action != "" || r.To != "" || r.MessageID != "" }

// A reader takes one request apart. What it finds goes to r.
type reader struct {
	message
	in Inbound
	r  Request

	addressing string // the one addressing namespace of the header
	tolerated  uint32 // a bit for each Tolerance

	// Parts of the message, nil when absent, and what they say for judging.
	verb, presented, signature, timestamp, target *soap.Element

	keySize           int             // in bits
	doubted, declined error           // why not, when the message has been read
	asked             []*soap.Element // for the farm, where the application lists them

	// Texts that differ from message to message. They lie in fresh, behind one
	// another, and become one string in the end.
	fresh                         []byte
	to, id, username, application extent
	nonce, nonceCreated           extent
}

// An extent is a part of reader.fresh.
type extent struct{ from, to int }

func (e extent) empty() bool { return e.from == e.to }

// read reads the parts: what kind of message it is, who it says it is from,
// and what it asks for. Then it judges them.
func (x *reader) read() error {
	if x.in.SOAP != 0 && x.in.SOAP != x.env.Version {
		return x.refuse(WrongVersion, "SOAP-01", x.doc.Root(), "envelope is of SOAP %v, media type of SOAP %v", x.env.Version, x.in.SOAP)
	}
	if err := x.version(); err != nil {
		return err
	}
	if err := x.header(); err != nil {
		return err
	}
	if err := x.rst(); err != nil {
		return err
	}
	if err := x.judge(); err != nil {
		return err
	}
	if err := x.carriers(); err != nil {
		return err
	}
	if err := x.doc.CheckIDs(); err != nil {
		return err
	}
	if x.doc.Comments() > 0 {
		x.tolerate(Comment)
	}
	x.r.Tolerated = x.r.tolerances[:0]
	for t := range numTolerances {
		if x.has(t) {
			x.r.Tolerated = append(x.r.Tolerated, t)
		}
	}
	for _, t := range x.in.Takes.Refuses {
		if x.has(t) {
			return x.refuse(Malformed, "SOAP-17", x.doc.Root(), "the tolerance %v is not for this endpoint", t)
		}
	}
	return nil
}

// take appends the text of e to fresh.
func (x *reader) take(e *soap.Element) (extent, error) {
	from := len(x.fresh)
	fresh, err := x.doc.AppendText(x.fresh, e)
	x.fresh = fresh
	return extent{from, len(fresh)}, err
}

// add appends a text to fresh.
func (x *reader) add(text string) extent {
	from := len(x.fresh)
	x.fresh = append(x.fresh, text...)
	return extent{from, len(x.fresh)}
}

// takeTrimmed is take without the white space at the ends of the text, which
// must not be empty. It reports whether there was any.
func (x *reader) takeTrimmed(e *soap.Element, rule string) (t extent, padded bool, err error) {
	whole, err := x.take(e)
	if err != nil {
		return t, false, err
	}
	text := bytes.TrimLeft(x.fresh[whole.from:], space)
	t.from = whole.to - len(text)
	t.to = t.from + len(bytes.TrimRight(text, space))
	if t.empty() {
		return t, false, x.refuse(Malformed, rule, e, "%s is empty", name(e))
	}
	return t, t != whole, nil
}

// keep stores the texts that were taken.
func (x *reader) keep() {
	all := string(x.fresh)
	x.r.To = all[x.to.from:x.to.to]
	x.r.MessageID = all[x.id.from:x.id.to]
	x.r.Username = all[x.username.from:x.username.to]
	x.r.Nonce = all[x.nonce.from:x.nonce.to]
	x.r.NonceCreated = all[x.nonceCreated.from:x.nonceCreated.to]
	x.r.AppliesTo = all[x.application.from:x.application.to]
}

// version reads which version the Body's one element is of.
func (x *reader) version() error {
	rst := x.env.Content
	x.r.Version, x.r.Slash = versionOf(rst.Name.Space)
	switch {
	case x.r.Version == 0:
		return x.refuse(WrongVersion, "SOAP-06", rst, "Body holds %s, which is of no WS-Trust version that is served", name(rst))
	case x.in.Version != 0 && x.in.Version != x.r.Version:
		return x.refuse(WrongVersion, "SOAP-06", rst, "Body is of WS-Trust %v, endpoint of %v", x.r.Version, x.in.Version)
	case rst.Name.Local != "RequestSecurityToken":
		return x.refuse(Unsupported, "SOAP-06", rst, "Body holds %s where one RequestSecurityToken is answered", name(rst))
	}
	if x.r.Slash {
		x.tolerate(TrustNamespaceSlash)
	}
	return nil
}

// tolerate notes a deviation.
func (x *reader) tolerate(t Tolerance) { x.tolerated |= 1 << t }

// has tells that a deviation was noted.
func (x *reader) has(t Tolerance) bool { return x.tolerated&(1<<t) != 0 }

// uri returns the URI that e holds. White space at its ends means nothing to
// an XML schema and something to WIF: it is tolerated where we issue.
func (x *reader) uri(e *soap.Element, rule string) (string, error) {
	text, padded, err := x.text(e, rule)
	if err != nil {
		return "", err
	}
	if padded {
		x.tolerate(PaddedURI)
	}
	return text, nil
}

// unread checks an element whose content is of no interest: nothing in it may
// look like a part of the message that is of interest (security.md, SOAP-05),
// be encrypted (SOAP-12), or stand for content elsewhere (SOAP-02). but are
// the namespaces of what is expected in it; with signatures come references
// to keys.
func (x *reader) unread(e *soap.Element, rule string, but ...string) error {
	for c := range x.doc.Children(e) {
		if reserved(c.Name, but) {
			return x.refuse(Malformed, rule, c, "%s inside %s, which is not read", name(c), name(e))
		}
		if err := x.unread(c, rule, but...); err != nil {
			return err
		}
	}
	return nil
}

// reserved tells that an element means something in a message.
func reserved(n soap.Name, but []string) bool {
	switch n.Space {
	case nsEncryption, nsInclude, soap.NSSOAP11, soap.NSSOAP12, soap.NSUtility,
		nsSecurity2002, nsSecurity2003, nsSecurity11, nsTrust2004 + "/trust",
		NS2005, NS13, NS13Slash, nsTrust14, NSPolicy, nsPolicy2002, nsPolicy15:
		return true
	case soap.NSSecurity:
		key := n.Local == "SecurityTokenReference" || n.Local == "KeyIdentifier" || n.Local == "Reference"
		return !key || !slices.Contains(but, nsSignature)
	case NSSAML11, NSSAML20:
		return strings.HasPrefix(n.Local, "Encrypted") || !slices.Contains(but, n.Space)
	case nsSignature:
		return !slices.Contains(but, nsSignature)
	default:
		return false
	}
}
