package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"stsgate/gateway/account"
	"stsgate/gateway/family"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// peer returns the address that connected.
func peer(r *http.Request) netip.AddrPort {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // package edge wrote it from the socket's own address
	return a
}

// parse reads the message, once, from the bytes that were received.
func (x *exchange) parse() error {
	in := x.head
	in.Body, in.Memory, in.Now, in.Lists = x.body, x.memory, x.start, x.lists
	r, err := wstrust.ReadRequest(in)
	if err != nil {
		return RefuseMessage(err)
	}
	x.request = r
	return nil
}

// lists tells whether an application has an element of a request forwarded.
func (x *exchange) lists(application, element string) bool {
	a := x.set.Application(application)
	return a != nil && slices.Contains(a.Extensions, element)
}

// RefuseMessage finds the reason for which a request is refused that package
// wstrust does not accept.
func RefuseMessage(err error) *refusal.Refusal {
	reason := refusal.Malformed
	if e, ok := errors.AsType[*wstrust.Error](err); ok {
		reason = messageReasons[e.Kind]
	} else if errors.Is(err, soap.ErrVersion) {
		reason = refusal.WrongVersion
	}
	return &refusal.Refusal{Reason: reason, Err: err}
}

var messageReasons = map[wstrust.Kind]refusal.Reason{
	wstrust.Malformed:             refusal.Malformed,
	wstrust.WrongVersion:          refusal.WrongVersion,
	wstrust.Unsupported:           refusal.Unsupported,
	wstrust.UnsupportedCredential: refusal.UnsupportedCredential,
	wstrust.SecondCredential:      refusal.SecondCredential,
	wstrust.Expired:               refusal.Expired,
	wstrust.Misaddressed:          refusal.Misaddressed,
}

// gather collects what policy may ask about. It refuses nothing: a name that
// has no form is nobody's, and a directory that does not answer leaves the
// user unknown, which policy counts against the request.
func (x *exchange) gather(ctx context.Context) {
	x.facts = policy.Facts{
		Known:      gathered,
		Time:       x.start,
		Client:     policy.Client{Address: x.client.Addr, Forwarded: x.client.Forwarded, UserAgent: x.agent, Family: x.facts.Client.Family},
		Request:    x.asked(),
		Delegation: policy.Delegation{OnBehalfOf: holder(x.request.OnBehalfOf), ActAs: holder(x.request.ActAs)},
	}
	if x.client.Doubtful {
		x.facts.Known = x.facts.Known.Without(policy.ClientAddress, policy.ClientForwarded)
	}
	x.read = gathered
	if x.g.c.Directory == nil {
		x.read &^= policy.UserFacts
	}
	if x.set.Mentions().Has(policy.ClientFamily) {
		x.gatherFamily()
	}
	x.gatherPlaces()
	x.gatherUser(ctx)
	x.gatherGuard()
}

// gatherFamily names the client's software: for a rule that asks, for the user who
// is asked, and for the record. What was found stays when the message is gone.
func (x *exchange) gatherFamily() {
	if x.facts.Client.Family == "" {
		x.facts.Client.Family = string(family.Of(x.request.Document(), x.shape()))
	}
}

// shape returns the headers that belong to the shape of the message.
func (x *exchange) shape() family.Headers {
	h := family.Headers{ContentType: x.in.Header.Get("Content-Type")}
	if len(x.head.SOAPAction) > 0 {
		h.SOAPAction = x.head.SOAPAction[0]
	}
	return h
}

// gathered are the facts that the message and its connection tell, and the
// directory.
var gathered = policy.FactSet(0).With(
	policy.UserName, policy.UserGUID, policy.UserDomain, policy.UserGroups,
	policy.ClientAddress, policy.ClientForwarded, policy.ClientFamily, policy.ClientUserAgent,
	policy.RequestAppliesTo, policy.RequestApplication, policy.RequestEndpoint, policy.RequestVersion, policy.RequestType,
	policy.RequestCredential, policy.RequestTokenType, policy.RequestKeyType, policy.RequestSOAP,
	policy.DelegationOnBehalfOf, policy.DelegationActAs, policy.Time,
)

// gatherUser asks the directory whose name it is.
func (x *exchange) gatherUser(ctx context.Context) {
	var err error
	if x.name, err = account.ParseName(x.request.Username); err != nil {
		x.absence = &refusal.Refusal{Reason: refusal.UnknownUser, Err: err}
		return
	}
	if x.g.c.Directory == nil {
		return
	}
	switch x.account, err = x.g.c.Directory.Lookup(ctx, x.name); {
	case err == nil:
		x.facts.User = user(&x.account)
		if x.account.Remembered {
			x.facts.Known = x.facts.Known.Without(policy.UserGroups)
		}
	case errors.Is(err, account.ErrUnknown):
		x.absence = &refusal.Refusal{Reason: refusal.UnknownUser, Err: err}
	default:
		x.facts.Known &^= policy.UserFacts
		x.absence = failure(ctx, refusal.DirectoryDown, "look up account: %w", err)
	}
}

// asked says of the message what policy may ask.
func (x *exchange) asked() policy.Request {
	r := x.request
	asked := policy.Request{
		AppliesTo:  r.AppliesTo,
		Endpoint:   x.endpoint.Path,
		Version:    r.Version.String(),
		Type:       r.Type.String(),
		Credential: credentials[r.Credential],
		TokenType:  r.TokenType,
		KeyType:    r.KeyType,
		SOAP:       r.SOAP.String(),
	}
	if kind, ok := r.TokenKind(); ok && r.TokenType != "" {
		asked.TokenType = kind.String()
	}
	switch r.KeyType {
	case r.Version.BearerKey():
		asked.KeyType = "bearer"
	case r.Version.Namespace() + "/SymmetricKey":
		asked.KeyType = "symmetric"
	case r.Version.Namespace() + "/PublicKey":
		asked.KeyType = "public"
	}
	return asked
}

// credentials are the kinds of credential that policy has words for. Others
// are never taken.
var credentials = map[wstrust.Credential]string{
	wstrust.CredentialUsername: "password",
	wstrust.CredentialDigest:   "digest",
	wstrust.CredentialX509:     "x509",
	wstrust.CredentialKerberos: "kerberos",
	wstrust.CredentialSAML11:   "saml",
	wstrust.CredentialSAML20:   "saml",
}

// holder names whose token it is: "?" where the token has no name.
func holder(t wstrust.Token) string {
	if t.Subject == "" && t.Kind != wstrust.CredentialNone {
		return "?"
	}
	return t.Subject
}

// user says of an account what policy may ask.
func user(a *account.Account) policy.User {
	return policy.User{
		Name:        a.UPN,
		GUID:        a.ID,
		SAM:         a.SAM,
		Domain:      a.Domain,
		ImmutableID: a.ImmutableID(),
		Groups:      a.Groups,
		Attributes:  a.Attributes,
	}
}

// decide asks policy, and ends the exchange for a deny. The client is told of
// one only if it would be one for any user; otherwise it looks like a wrong
// password (security.md, POL-09). What is wrong with the message is told to
// everybody: told only to users that are allowed, it would tell who they are.
func (x *exchange) decide(ctx context.Context) error {
	x.decision, x.decided = x.set.Decide(&x.facts), true
	d := &x.decision
	switch {
	case d.Cause == policy.UnknownApplication:
		return refusal.New(refusal.UnknownApplication, "no application has the realm %q", x.request.AppliesTo)
	case d.Cause == policy.Conflict && d.Named:
		return refusal.New(refusal.Conflict, "%s", d.Why())
	case d.Effect != policy.Allow && d.Named:
		return refusal.New(refusal.Denied, "%s", d.Why())
	}
	if err := x.answerable(); err != nil {
		return err
	}
	switch {
	case x.absence != nil:
		return x.refuseUser(ctx, x.stranger(ctx))
	case d.Effect != policy.Allow && x.account.Remembered:
		return x.refuseUser(ctx, refusal.New(refusal.DirectoryDown, "the directory does not answer, and without groups: %s", d.Why()))
	case d.Cause == policy.Conflict:
		return x.refuseUser(ctx, refusal.New(refusal.ConflictUser, "%s", d.Why()))
	case d.Effect != policy.Allow:
		return x.refuseUser(ctx, refusal.New(refusal.DeniedUser, "%s", d.Why()))
	}
	return nil
}

// refuseUser refuses for what rests on who the user is, after the work of a
// wrong password where that is done here: Verify does it for no account, and
// the password goes nowhere (security.md, SOAP-14).
func (x *exchange) refuseUser(ctx context.Context, why error) error {
	if x.intended() == policy.Issue && x.g.c.Directory != nil {
		_ = x.g.c.Directory.Verify(ctx, account.Account{}, x.request.Password)
	}
	return why
}

// intended is the answer that was decided on and, for a user who is refused,
// the one that the application has for others.
func (x *exchange) intended() policy.Answer {
	if x.decision.Answer != policy.NoAnswer {
		return x.decision.Answer
	}
	return x.decision.Application.Answer
}

// answerable refuses what the intended answer cannot give, before the password
// goes anywhere.
func (x *exchange) answerable() error {
	forward := x.intended() == policy.Forward
	_, port, err := net.SplitHostPort(x.in.Host)
	if err != nil { // Host has no port, as where another gateway stands in front
		port = x.g.port
	}
	if err := x.request.CheckAddress(x.g.c.Host, port, x.endpoint.Path, forward); err != nil {
		return RefuseMessage(err)
	}
	switch {
	case forward && x.g.c.Forwarder == nil:
		return refusal.New(refusal.Internal, "policy forwards and there is no farm")
	case forward:
		return nil
	case x.g.c.Issuer == nil:
		return refusal.New(refusal.Internal, "policy issues and there is no issuer")
	}
	if x.g.c.Issuing != nil {
		if err := x.g.c.Issuing(); err != nil {
			return refusal.New(refusal.IssuerFailed, "nothing is issued: %w", err)
		}
	}
	return Issuable(x.request)
}

// Issuable refuses what the built-in issuer has no token for.
func Issuable(r *wstrust.Request) error {
	if len(r.Extensions) > 0 {
		return refusal.New(refusal.Unsupported, "the issuer does not answer %s", strings.Join(r.Extensions, ", "))
	}
	if _, ok := r.TokenKind(); !ok {
		return refusal.New(refusal.Unsupported, "the issuer has no token type %q", r.TokenType)
	}
	if !r.Bearer() {
		return refusal.New(refusal.Unsupported, "the issuer gives bearer tokens only, and the request asks for key type %q (none means symmetric)", r.KeyType)
	}
	return nil
}
