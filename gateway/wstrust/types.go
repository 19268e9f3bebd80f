package wstrust

import (
	"errors"
	"net/netip"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
)

// Namespaces of WS-Trust and its neighbours (protocol.md, section 1.1).
const (
	NS2005 = "http://schemas.xmlsoap.org/ws/2005/02/trust"
	NS13   = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	// NS13Slash is a common misspelling of NS13. It is read, never written.
	NS13Slash = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/"
	NSPolicy  = "http://schemas.xmlsoap.org/ws/2004/09/policy"

	NSSAML11 = "urn:oasis:names:tc:SAML:1.0:assertion"
	NSSAML20 = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// A Version is a WS-Trust version. The zero Version is none.
type Version uint8

// The WS-Trust versions that are served.
const (
	V2005 Version = iota + 1 // Feb 2005, known as 1.2
	V13                      // OASIS 1.3
)

// Namespace returns the version's namespace, in the plain spelling.
func (v Version) Namespace() string {
	if v == V2005 {
		return NS2005
	}
	return NS13
}

// String returns "1.2" or "1.3", the names that policies and clients use.
func (v Version) String() string {
	switch v {
	case V2005:
		return "1.2"
	case V13:
		return "1.3"
	default:
		return ""
	}
}

// A TokenKind is a kind of token that can be issued.
type TokenKind uint8

// The kinds of token. SAML11 is the answer to a request that names none, as
// AD FS does (messages/CLIENTS.md, rule 5).
const (
	SAML11 TokenKind = iota
	SAML20
)

// URI returns the token type as it is written where the request named none.
func (k TokenKind) URI() string {
	if k == SAML20 {
		return NSSAML20
	}
	return NSSAML11
}

// String returns "saml1.1" or "saml2.0".
func (k TokenKind) String() string {
	if k == SAML20 {
		return "saml2.0"
	}
	return "saml1.1"
}

// A Request is an RST that was read, with the bytes it was read from.
type Request struct {
	// Body is the message as received. It is forwarded as it is.
	Body []byte
	// SOAP is the version of the envelope, Version that of the RST.
	SOAP    soap.Version
	Version Version
	// Slash tells that the RST's namespace was spelled NS13Slash.
	Slash bool
	// Type is what is asked for.
	Type RequestType

	// Action and To are the addressing headers, empty when absent.
	Action, To string
	// MessageID is what RelatesTo of the answer repeats, empty when absent.
	MessageID string
	// Context is the RST's Context attribute. The answer repeats it.
	Context string
	// AppliesTo is the address of the application asked for, empty when absent.
	AppliesTo string
	// TokenType and KeyType are as spelled by the client, empty when absent.
	TokenType, KeyType string
	// Lifetime is what the client wishes; both times are zero when absent.
	Lifetime Lifetime

	// Timestamp is the message's: when it was made and until when it is to be
	// taken. Both times are zero when absent.
	Timestamp Lifetime

	// Credential is the kind of token that the sender proves itself with.
	Credential Credential
	// Username is who the credential says the sender is: the user name as
	// typed, or the name identifier of a SAML assertion. It is empty for other
	// kinds.
	Username string
	// Password is as typed, for CredentialUsername only.
	Password account.Password
	// Nonce is what makes the user name token one of its own, with NonceCreated,
	// the time that the token says it was made; as received, empty when absent.
	// Beside a plain password they prove nothing.
	Nonce, NonceCreated string
	// Signed tells that the Security header has a Signature. Nothing is known
	// about it: neither whose it is nor whether it is right.
	Signed bool

	// OnBehalfOf and ActAs are whom the sender stands for, the zero Token when
	// it speaks for itself.
	OnBehalfOf, ActAs Token
	// Target is the token to renew, validate or cancel, the zero Token where
	// there is none.
	Target Token

	// Extensions are the children of the RequestSecurityToken, by their local
	// names, that the farm may answer and nobody here (security.md, SOAP-10).
	Extensions []string

	// Tolerated names the deviations from the specifications that this message
	// has and that are accepted, from a closed list.
	Tolerated []Tolerance

	doc        *soap.Document
	password   *soap.Element            // in doc, where it is plain
	tolerances [numTolerances]Tolerance // room for Tolerated
	memory     *Memory                  // that it lies in, or nil
}

// A Lifetime is the span in which a token is valid.
type Lifetime struct{ Created, Expires time.Time }

// An Answer is one RSTR that the farm sent, read but not yet trusted.
type Answer struct {
	// Body is the message as received. It is released as it is.
	Body []byte
	SOAP soap.Version
	// Version is that of the RSTR; a 1.3 answer is wrapped in its collection.
	Version   Version
	RelatesTo string
	AppliesTo string
	TokenType string
	Lifetime  Lifetime
	// Encrypted tells that the token is EncryptedData: Token has its bytes and
	// nothing is known of its content.
	Encrypted bool
	// Token is the assertion, as bytes of Body.
	Token []byte
	// Assertion is what the token says.
	Assertion Assertion
	// Digest identifies the token: SHA-256 of its exclusive canonical form without
	// its signature, of EncryptedData where it is encrypted. The farm sets it.
	Digest [32]byte

	doc   *soap.Document
	token *soap.Element // in doc
	// Node is the farm node that answered, host:port as configured.
	Node string
	// Farm is the farm's own name, which its tokens name as their issuer unless
	// a rule of the farm writes another.
	Farm string
	// Distrust, unless it is nil, says that the answer is not what was asked for:
	// nothing is asked any more on the connection that brought it.
	Distrust func()
}

// An Assertion is what a SAML assertion says, read but not verified.
type Assertion struct {
	Kind   TokenKind
	ID     string
	Issuer string
	// NotBefore and NotOnOrAfter are the Conditions.
	NotBefore, NotOnOrAfter time.Time
	// Audiences are the restrictions' audiences.
	Audiences []string
	// Subject is the name identifier.
	Subject string
	// Confirmation has the methods by which whoever presents the assertion shows
	// that it may, each once: URIs, and an empty text for a Subject without one.
	Confirmation []string
	// Claims are the attributes. A SAML 1.1 attribute's URI is its namespace,
	// a slash, and its name.
	Claims []Claim
	// MultipleAuthn tells that the assertion says, in any of the places where
	// readers look for it, that its subject proved a second factor.
	MultipleAuthn bool
}

// A Claim is one statement about a user.
type Claim struct {
	// URI is the claim type.
	URI string
	// Values are never empty for an issued claim.
	Values []string
}

// A Grant is what an issuer is told to issue.
type Grant struct {
	// Audience is the application's realm that was asked for.
	Audience string
	Kind     TokenKind
	// NotBefore and NotOnOrAfter bound the token.
	Lifetime Lifetime
	// Authenticated is when the first factor was proven.
	Authenticated time.Time
	// SecondFactor tells that a second factor was proven for this token, which it
	// may then say.
	SecondFactor bool
	// NameID identifies the subject, NameFormat is its format URI.
	NameID, NameFormat string
	Claims             []Claim
}

// An Issued is a token that was built and signed.
type Issued struct {
	// Assertion is the signed assertion, compact, with every namespace it uses
	// declared inside (messages/CLIENTS.md, rule 8).
	Assertion []byte
	ID        string
	// Digest identifies it, as that of an Answer does.
	Digest   [32]byte
	Kind     TokenKind
	Audience string
	Lifetime Lifetime
}

// A Fault is a refusal in the words of WS-Trust: what a farm answered, or
// what an issuer says instead of a token. It is an error; its text is for the
// operator.
type Fault struct {
	// Sender tells that the request is at fault, not the service.
	Sender bool
	// Subcode is the innermost code.
	Subcode soap.Name
	// Text is the reason as given, possibly localised.
	Text string
}

// An Origin is what a farm is told about where a request came from
// (protocol.md, section 6.4).
type Origin struct {
	// Path is the endpoint's canonical path.
	Path string
	// Client is the address that connected. Forwarded are the addresses that it
	// says it calls for, where it is Exchange Online and is believed.
	Client    netip.Addr
	Forwarded []netip.Addr
	// UserAgent is the client's own claim, already reduced to at most 256
	// printable ASCII characters.
	UserAgent string
	// ClientApplication and ClientUserAgent are what Exchange Online says of
	// the software that it calls for, already at most 512 printable ASCII
	// characters each. They are empty for any other client.
	ClientApplication, ClientUserAgent string
}

var (
	// ErrDown says that no farm node took the request, or that the connection
	// broke before its answer was complete.
	ErrDown = errors.New("farm down")
	// ErrUntrusted says that the farm's token is not signed by one of its keys.
	ErrUntrusted = errors.New("farm's token is not trusted")
	// ErrSlow says that a farm node took the request and did not answer in time.
	ErrSlow = errors.New("farm slow")
)
