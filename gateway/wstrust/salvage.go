package wstrust

import "stsgate/gateway/soap"

// salvage reads what a broken rule kept from being read: what a request asks
// for and by whom. A person wants to know it; the request is refused, so that
// what else is wrong says nothing new.
func (x *reader) salvage() {
	if x.r.Version, x.r.Slash = versionOf(x.env.Content.Name.Space); x.r.Version == 0 {
		return
	}
	if x.r.Credential == CredentialNone && x.presented == nil && x.env.Header != nil {
		for block := range x.doc.Children(x.env.Header) {
			if block.Name == (soap.Name{Space: soap.NSSecurity, Local: "Security"}) {
				x.salvageCredential(block)
			}
		}
	}
	for c := range x.doc.Children(x.env.Content) {
		switch {
		case c.Name.Local == "RequestType" && x.verb == nil:
			_ = x.requestType(c)
		case c.Name.Local == "AppliesTo" && x.application.empty():
			_ = x.appliesTo(c)
		}
	}
}

// salvageCredential reads which token a Security header holds.
func (x *reader) salvageCredential(security *soap.Element) {
	for c := range x.doc.Children(security) {
		switch {
		case c.Name.Local == "Timestamp" || c.Name.Local == "Signature":
		case x.presented != nil:
			x.r.Credential = CredentialSeveral
		default:
			_ = x.credential(c)
		}
	}
}
