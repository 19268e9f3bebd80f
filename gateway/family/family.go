// Package family names a client's software by the shape of its request: how
// its XML is written, not what it says.
//
// Nothing in a WS-Trust request proves what sent it. But each client writes
// its message by one template or one serializer, and these differ in the
// order of elements, in prefixes and where they are declared, in the forms of
// ids and times, in quotes, white space and the media type. A fingerprint
// lists all of these for one client; a request bears a name if it has every
// trait of the fingerprints of exactly one family, and is Unknown otherwise.
//
// A name is a hint. Whoever can send a request can send it in any shape, so a
// policy may refuse because of a family, and never allow because of one
// (security.md, POL-08). The User-Agent is no part of the shape: it is what
// the client says of itself.
package family

import "stsgate/gateway/soap"

// A Name is one of Names.
type Name string

// The names.
const (
	MSALNet    Name = "msal-net"
	MSALGo     Name = "msal-go"
	MSALPython Name = "msal-python"
	MSALJava   Name = "msal-java"
	ADAL       Name = "adal"
	WCF        Name = "wcf"
	CXF        Name = "cxf"
	WSS4J      Name = "wss4j"
	GSOAP      Name = "gsoap"
	Zeep       Name = "zeep"
	PowerShell Name = "powershell"
	AttackTool Name = "attack-tool"
	Unknown    Name = "unknown"
)

// A Description says in one sentence what bears a name.
type Description struct {
	Name Name
	Doc  string
}

// Names returns all names, in the order of the manual. It is the closed list
// for policies and metrics.
func Names() []Description {
	return []Description{
		{MSALNet, "Microsoft's MSAL for .NET."},
		{MSALGo, "Microsoft's MSAL for Go."},
		{MSALPython, "Microsoft's MSAL for Python."},
		{MSALJava, "Microsoft's MSAL for Java; its predecessor, ADAL for Java, sends the same message and bears this name too."},
		{ADAL, "Microsoft's retired ADAL for .NET, Node.js and Python, which MSAL replaces."},
		{WCF, "Windows Communication Foundation and Windows Identity Foundation of .NET Framework, PowerShell scripts that use them among them, and WCF of Mono."},
		{CXF, "Apache CXF's STSClient, with WSS4J as its security layer."},
		{WSS4J, "Another Java client with WSS4J as its security layer, such as Spring-WS and SoapUI."},
		{GSOAP, "gSOAP for C and C++ with its WS-Trust plugin."},
		{Zeep, "Zeep for Python."},
		{PowerShell, "The PowerShell cmdlets that test AD FS with a fixed message: Test-AdfsServerToken of adfsToolbox, New-MsIdWsTrustRequest of MSIdentityTools."},
		{AttackTool, "A public tool for guessing passwords or attacking accounts: AADInternals, o365spray, CredMaster, ROADtools and those that share their messages."},
		{Unknown, "No known shape, or that of two families."},
	}
}

// Headers are the values of the request's header lines that belong to its shape.
type Headers struct {
	ContentType string // as it came, with parameters
	SOAPAction  string // as it came, quotes included; empty when absent
}

// Of returns the family of the software that wrote d. It allocates nothing.
func Of(d *soap.Document, h Headers) Name {
	var s shape
	s.read(d)
	return choose(table, &s, h)
}

// choose returns the name of the patterns that s fits, Unknown when they have
// several.
func choose(patterns []pattern, s *shape, h Headers) Name {
	found := Unknown
	for i := range patterns {
		p := &patterns[i]
		if p.name == found || !p.fits(s, h) {
			continue
		}
		if found != Unknown {
			return Unknown
		}
		found = p.name
	}
	return found
}
