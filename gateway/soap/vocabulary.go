package soap

import "strings"

// maxInterned is the length of the longest text that is looked up in the vocabulary.
const maxInterned = 128

// intern returns b as a string, without allocating for what messages hold
// every time.
func intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) <= maxInterned {
		for _, s := range vocabulary[drawer(b)] {
			if s == string(b) {
				return s
			}
		}
	}
	return string(b)
}

// drawers are as many as hold a text or two each.
const drawers = 512

// drawer tells where in the vocabulary a text is, by its length and a few of its
// bytes, which differ between its texts: that is a fraction of what a map costs,
// and a map hashes all of a text. b is not empty.
func drawer[T string | []byte](b T) int {
	n := len(b)
	return (37*n + 3*int(b[0]) + 131*int(b[n/2]) + 17*int(b[n-1]) + 71*int(b[max(n-8, 0)])) % drawers
}

// vocabulary holds names, namespaces and values that are common in requests
// and answers. What is not in it costs an allocation, nothing else.
var vocabulary = func() (known [drawers][]string) {
	for _, s := range strings.Fields(words + " " + uris) {
		known[drawer(s)] = append(known[drawer(s)], s)
	}
	return known
}()

const words = `
Envelope Header Body mustUnderstand Fault Code Value Subcode Reason Text Detail lang
faultcode faultstring detail Action To MessageID messageID MessageId ReplyTo RelatesTo Address
EndpointReference Security Timestamp Created Expires UsernameToken Username Password Nonce Type
EncodingType Id ID id BinarySecurityToken SecurityTokenReference KeyIdentifier Reference ValueType
TokenType URI RequestSecurityToken RequestSecurityTokenResponse
RequestSecurityTokenResponseCollection RequestedSecurityToken RequestedAttachedReference
RequestedUnattachedReference RequestedProofToken RequestType KeyType KeySize AppliesTo Lifetime
Context Entropy BinarySecret ComputedKeyAlgorithm CanonicalizationAlgorithm EncryptionAlgorithm
EncryptWith SignWith Claims Renewing AllowPostdating OnBehalfOf ActAs Delegatable Forwardable
AuthInfo PPAuthInfo HostingApp BinaryVersion UIVersion Cookies RequestParams PolicyReference
ActivityId CorrelationId VsDebuggerCausalityData
Assertion Conditions Audience AudienceRestriction AudienceRestrictionCondition Attribute
AttributeName AttributeNamespace AttributeStatement AttributeValue AuthenticationStatement
AuthenticationMethod AuthenticationInstant AuthnStatement AuthnContext AuthnContextClassRef
AuthnInstant SessionIndex AssertionID Issuer IssueInstant MajorVersion MinorVersion Version
NotBefore NotOnOrAfter Subject NameIdentifier NameID Format Name SubjectConfirmation
SubjectConfirmationData ConfirmationMethod Method Signature SignedInfo CanonicalizationMethod
SignatureMethod Transforms Transform DigestMethod DigestValue SignatureValue KeyInfo X509Data
X509Certificate Algorithm EncryptedData EncryptedKey EncryptionMethod CipherData CipherValue
0 1 2 true false _0 en en-US s:Sender s:Receiver a:FailedAuthentication`

const uris = NSSOAP11 + " " + NSSOAP12 + " " + NSAddressing + " " + NSAddressing2004 + " " +
	NSSecurity + " " + NSUtility + " " + ActionFault + `
http://schemas.xmlsoap.org/ws/2005/02/trust
http://schemas.xmlsoap.org/ws/2005/02/trust/Issue
http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue
http://schemas.xmlsoap.org/ws/2005/02/trust/RSTR/Issue
http://schemas.xmlsoap.org/ws/2005/05/identity
http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey
http://docs.oasis-open.org/ws-sx/ws-trust/200512
http://docs.oasis-open.org/ws-sx/ws-trust/200512/
http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue
http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer
http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue
http://docs.oasis-open.org/ws-sx/ws-trust/200512/RSTRC/IssueFinal
http://schemas.xmlsoap.org/ws/2004/09/policy
http://www.w3.org/2005/08/addressing/anonymous
http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText
http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary
http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd
http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID
http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID
http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1
http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0
urn:oasis:names:tc:SAML:1.0:assertion
urn:oasis:names:tc:SAML:2.0:assertion
urn:oasis:names:tc:SAML:1.0:cm:bearer
urn:oasis:names:tc:SAML:2.0:cm:bearer
urn:federation:MicrosoftOnline
http://schemas.microsoft.com/Passport/SoapServices/PPCRL
http://schemas.microsoft.com/LiveID/SoapServices/v1
http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics
http://schemas.microsoft.com/vstudio/diagnostics/servicemodelsink
http://schemas.xmlsoap.org/ws/2005/02/sc
http://www.w3.org/2001/XMLSchema-instance
http://www.w3.org/2001/XMLSchema
http://www.w3.org/2000/09/xmldsig#
http://www.w3.org/2000/09/xmldsig#enveloped-signature
http://www.w3.org/2001/04/xmldsig-more#rsa-sha256
http://www.w3.org/2001/04/xmlenc#
http://www.w3.org/2001/04/xmlenc#sha256
http://www.w3.org/2001/10/xml-exc-c14n#`
