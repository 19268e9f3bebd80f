// Package wstrust reads and writes WS-Trust messages: the
// RequestSecurityToken (RST) of a client, the RequestSecurityTokenResponse
// (RSTR) that answers it, and the WS-Security header that carries the
// credential, for WS-Trust Feb 2005 and 1.3, with ActAs of 1.4, over SOAP 1.1
// and 1.2.
//
// It knows no policy and does no I/O. Whatever it reads comes from one strict
// scan of the bytes that were received (package soap). Every element of a
// request is either read, or known to mean nothing here, or refused by name:
// nothing is skipped because it is unknown. A signature, a certificate and an
// assertion are recognised and never believed.
//
// # Tolerances
//
// Some deviations from the specifications are accepted, because real clients
// have them and they can be read in one way only (security.md, SOAP-17). The
// table is generated from the list of them.
//
//	name                       answered by    needed by
//	messageid-spelling         farm, issuer   MSAL Go, ADAL for Node, php-crm-toolkit
//	    The message id is called messageID or MessageId. It is not read, and the answer has no RelatesTo.
//	no-timestamp               farm, issuer   Test-AdfsServerToken, node-sp-auth, SharePlum, zeep
//	    The Security header has no Timestamp, so that the age of the message is unknown.
//	no-addressing              issuer         govmomi, pyVmomi, node-soap
//	    Action or To is missing. The SOAPAction header or the media type's action stands in for Action.
//	addressing-2004            issuer         Apache Rampart
//	    The addressing headers are of August 2004.
//	soapaction-ignored         farm, issuer   php-ws-trust-client
//	    The SOAPAction header of a SOAP 1.2 message, or one that repeats To, names no WS-Trust action.
//	unread-header              farm, issuer   Office365-REST-Python-Client, Office sign-in code, WCF with tracing
//	    A header block of Microsoft's sign-in code, of WCF's tracing, or that soap.headers.pass lists is present. It is not read.
//	namespaced-password-type   farm, issuer   go-vcloud-director
//	    The Type of the Password is an attribute of the WS-Security namespace; it says PasswordText.
//	trust-namespace-slash      issuer         clients written from the service WSDL's target namespace
//	    The namespace of WS-Trust 1.3 ends in a slash.
//	padded-uri                 issuer         hand-made templates with line breaks inside elements
//	    A URI has white space at its ends.
//	policy-1.5                 issuer         JBoss and CXF clients
//	    AppliesTo is an element of WS-Policy 1.5.
//	policy-reference           farm, issuer   Office365-REST-Python-Client, Office sign-in code
//	    The request refers to a policy by name, such as MBI. It is not read.
//	comment                    farm, issuer   hand-made templates, Java clients that carry signed tokens
//	    There are comments between elements. None is inside a value.
package wstrust
