package wstrust

import "strings"

// Namespaces that are read in one place each (protocol.md, sections 1.1 to 1.6).
const (
	nsTrust2004    = "http://schemas.xmlsoap.org/ws/2004/04"
	nsTrust14      = "http://docs.oasis-open.org/ws-sx/ws-trust/200802"
	nsPolicy2002   = "http://schemas.xmlsoap.org/ws/2002/12/policy"
	nsPolicy15     = "http://www.w3.org/ns/ws-policy"
	nsIdentity     = "http://schemas.xmlsoap.org/ws/2005/05/identity"
	nsAddressingID = "http://schemas.xmlsoap.org/ws/2006/02/addressingidentity"
	nsSecurity2002 = "http://schemas.xmlsoap.org/ws/2002/04/secext"
	nsSecurity2003 = "http://schemas.xmlsoap.org/ws/2003/06/secext"
	nsSecurity11   = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
	nsSignature    = "http://www.w3.org/2000/09/xmldsig#"
	nsEncryption   = "http://www.w3.org/2001/04/xmlenc#"
	nsInclude      = "http://www.w3.org/2004/08/xop/include"
)

// Token types in the spelling of the SAML token profile 1.1. Requests use it;
// an answer repeats the spelling of its request.
const (
	profileSAML11 = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
	profileSAML20 = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0"
)

// anonymous is the address of whoever sent the request (WS-Addressing 1.0, section 2.1).
const (
	anonymous     = "http://www.w3.org/2005/08/addressing/anonymous"
	anonymous2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
)

// Versions returns the versions that are served, the older first.
func Versions() []Version { return []Version{V2005, V13} }

// A RequestType is what a request asks for. The zero RequestType is none.
type RequestType uint8

// The request types (WS-Trust 1.3, sections 4 to 7). Others that it defines,
// for batches and for exchanges of several legs, are not read.
const (
	Issue RequestType = iota + 1
	Renew
	Validate
	Cancel
)

// requestTypes are the names of the types in policies, audit and errors, and
// as they end a URI and begin the name of an element.
var requestTypes = [...]struct{ name, verb string }{
	{"another type", ""}, {"issue", "Issue"}, {"renew", "Renew"}, {"validate", "Validate"}, {"cancel", "Cancel"},
}

// String returns "issue", "renew", "validate" or "cancel".
func (t RequestType) String() string { return requestTypes[t].name }

// typeOf returns the request type that a URI stands for, 0 for one that is
// not read, and whether it is a URI of the version.
func (v Version) typeOf(uri string) (t RequestType, own bool) {
	verb, own := strings.CutPrefix(uri, v.Namespace())
	verb, slash := strings.CutPrefix(verb, "/")
	if !own || !slash {
		return 0, false
	}
	for t := Issue; t <= Cancel; t++ {
		if requestTypes[t].verb == verb {
			return t, true
		}
	}
	return 0, true
}

// action returns the action of a request of that type (protocol.md, section 2.1).
func (v Version) action(t RequestType) string {
	if t == Issue {
		return v.Action()
	}
	return v.Namespace() + "/RST/" + requestTypes[t].verb
}

// Action returns the action of a request to issue a token (WS-Trust 1.3, section 4.1).
func (v Version) Action() string {
	if v == V2005 {
		return NS2005 + "/RST/Issue"
	}
	return NS13 + "/RST/Issue"
}

// ResponseAction returns the action of the one answer to such a request.
func (v Version) ResponseAction() string {
	if v == V2005 {
		return NS2005 + "/RSTR/Issue"
	}
	return NS13 + "/RSTRC/IssueFinal"
}

// RequestType returns the URI of the verb Issue.
func (v Version) RequestType() string {
	if v == V2005 {
		return NS2005 + "/Issue"
	}
	return NS13 + "/Issue"
}

// BearerKey returns the key type of a token without a key. Feb 2005 defines
// none; its clients and AD FS use the one of the identity namespace.
func (v Version) BearerKey() string {
	if v == V2005 {
		return nsIdentity + "/NoProofKey"
	}
	return NS13 + "/Bearer"
}

// versionOf returns the version of a namespace, and whether it was spelled
// with the slash.
func versionOf(space string) (v Version, slash bool) {
	switch space {
	case NS2005:
		return V2005, false
	case NS13:
		return V13, false
	case NS13Slash:
		return V13, true
	default:
		return 0, false
	}
}
