package soap

// Namespaces that messages are made of (protocol.md, section 1).
const (
	NSSOAP11     = "http://schemas.xmlsoap.org/soap/envelope/"
	NSSOAP12     = "http://www.w3.org/2003/05/soap-envelope"
	NSAddressing = "http://www.w3.org/2005/08/addressing"
	// NSAddressing2004 is read where a token is issued, and in AppliesTo.
	NSAddressing2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	NSSecurity       = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	NSUtility        = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	NSXML            = "http://www.w3.org/XML/1998/namespace"

	nsXMLNS = "http://www.w3.org/2000/xmlns/"
)

// ActionFault is the action of every fault (WS-Addressing 1.0 SOAP binding, section 6).
const ActionFault = "http://www.w3.org/2005/08/addressing/soap/fault"

// A Version is a SOAP version. The zero Version is none.
type Version uint8

// The SOAP versions that are read and written.
const (
	V11 Version = iota + 1
	V12
)

// Namespace returns the namespace of the version's Envelope.
func (v Version) Namespace() string {
	if v == V11 {
		return NSSOAP11
	}
	return NSSOAP12
}

// MediaType returns the media type of the version's messages, without parameters.
func (v Version) MediaType() string {
	if v == V11 {
		return "text/xml"
	}
	return "application/soap+xml"
}

// ContentType returns the value of the header Content-Type.
func (v Version) ContentType() string { return v.MediaType() + "; charset=utf-8" }

// String returns "1.1" or "1.2".
func (v Version) String() string {
	if v == V11 {
		return "1.1"
	}
	return "1.2"
}
