package wstrust

import (
	"slices"
	"strings"

	"stsgate/gateway/soap"
)

// maxID is the longest message id and Context that is read, in bytes: both
// are repeated in the answer.
const maxID = 256

// header reads the header blocks, an allowlist (security.md, SOAP-04, SOAP-05).
func (x *reader) header() error {
	var security *soap.Element
	if x.env.Header != nil {
		if err := x.container(x.env.Header, "SOAP-05"); err != nil {
			return err
		}
		for block := range x.doc.Children(x.env.Header) {
			must, err := x.targeting(block)
			if err != nil {
				return err
			}
			switch {
			case block.Name == soap.Name{Space: soap.NSSecurity, Local: "Security"}:
				security = block
			case block.Name.Space == soap.NSAddressing || block.Name.Space == soap.NSAddressing2004:
				err = x.addressingBlock(block, must)
			default:
				err = x.unreadBlock(block, must)
			}
			if err != nil {
				return err
			}
		}
	}
	if x.has(MessageIDSpelling) && !x.id.empty() {
		return x.refuse(Malformed, "SOAP-05", x.env.Header, "a misspelt message id beside MessageID")
	}
	if x.to.empty() || x.r.Action == "" {
		x.tolerate(NoAddressing)
	}
	if security == nil {
		x.doubt(UnsupportedCredential, x.doc.Root(), "no Security header")
		return nil
	}
	return x.security(security)
}

// targeting reads the SOAP attributes of a header block: mustUnderstand, and
// none that aims the block at another receiver or changes its encoding.
func (x *reader) targeting(block *soap.Element) (mustUnderstand bool, err error) {
	for attr, value := range x.doc.Attrs(block) {
		if attr.Space != soap.NSSOAP11 && attr.Space != soap.NSSOAP12 {
			continue
		}
		if attr.Space != x.env.Version.Namespace() || attr.Local != "mustUnderstand" {
			return false, x.refuse(Malformed, "SOAP-05", block, "%s has the attribute %s", name(block), clip(attr.Local))
		}
		switch value {
		case "1", "true":
			mustUnderstand = true
		case "0", "false":
		default:
			return false, x.refuse(Malformed, "SOAP-05", block, "mustUnderstand of %s is not a boolean", name(block))
		}
	}
	return mustUnderstand, nil
}

// addressingBlock reads one WS-Addressing header.
func (x *reader) addressingBlock(block *soap.Element, mustUnderstand bool) (err error) {
	if x.addressing != "" && x.addressing != block.Name.Space {
		return x.refuse(Malformed, "SOAP-04", block, "headers of two addressing namespaces")
	}
	x.addressing = block.Name.Space
	if x.addressing == soap.NSAddressing2004 {
		x.tolerate(Addressing2004)
	}
	switch block.Name.Local {
	case "Action":
		x.r.Action, err = x.uri(block, "SOAP-03")
	case "To":
		// White space at its ends is cut by WCF as well.
		x.to, _, err = x.takeTrimmed(block, "SOAP-04")
	case "MessageID":
		x.id, _, err = x.takeTrimmed(block, "SOAP-04")
		if err == nil && x.id.to-x.id.from > maxID {
			err = x.refuse(Malformed, "SOAP-04", block, "MessageID is longer than %d bytes", maxID)
		}
	case "ReplyTo":
		err = x.replyTo(block)
	case "messageID", "MessageId":
		if mustUnderstand {
			return x.refuse(Malformed, "SOAP-05", block, "%s must be understood and is no header of WS-Addressing", name(block))
		}
		if x.has(MessageIDSpelling) {
			return x.refuse(Malformed, "SOAP-05", block, "two misspelt message ids")
		}
		x.tolerate(MessageIDSpelling)
		err = x.leaf(block)
	default:
		err = x.refuse(Malformed, "SOAP-04", block, "the addressing header %s is not accepted", clip(block.Name.Local))
	}
	return err
}

// replyTo accepts no other reply address than the sender itself, and no
// reference parameters, since an answer would repeat them.
func (x *reader) replyTo(block *soap.Element) error {
	if err := x.container(block, "SOAP-04"); err != nil {
		return err
	}
	var address string
	for c := range x.doc.Children(block) {
		if c.Name != (soap.Name{Space: block.Name.Space, Local: "Address"}) {
			return x.refuse(Malformed, "SOAP-04", c, "%s in ReplyTo", name(c))
		}
		var err error
		if address, err = x.uri(c, "SOAP-04"); err != nil {
			return err
		}
	}
	want := anonymous
	if block.Name.Space == soap.NSAddressing2004 {
		want = anonymous2004
	}
	if address != want {
		return x.refuse(Malformed, "SOAP-04", block, "ReplyTo is not the anonymous address")
	}
	return nil
}

// unreadBlock accepts the header blocks that real clients send and that mean
// nothing to a token service, and those that the endpoint passes, and refuses
// all others.
func (x *reader) unreadBlock(block *soap.Element, mustUnderstand bool) error {
	switch block.Name {
	case soap.Name{Space: "http://schemas.microsoft.com/Passport/SoapServices/PPCRL", Local: "AuthInfo"},
		soap.Name{Space: "http://schemas.microsoft.com/LiveID/SoapServices/v1", Local: "AuthInfo"}:
		if err := x.unread(block, "SOAP-05"); err != nil {
			return err
		}
	case soap.Name{Space: "http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics", Local: "ActivityId"},
		soap.Name{Space: "http://schemas.microsoft.com/vstudio/diagnostics/servicemodelsink", Local: "VsDebuggerCausalityData"}:
		if err := x.leaf(block); err != nil {
			return err
		}
	default:
		if !slices.Contains(x.in.Takes.Pass, block.Name) || reserved(block.Name, nil) {
			return x.refuse(Malformed, "SOAP-05", block, "the header block %s is not known", name(block))
		}
		if err := x.unread(block, "SOAP-05"); err != nil {
			return err
		}
	}
	if mustUnderstand {
		return x.refuse(Malformed, "SOAP-05", block, "the header block %s must be understood and is not read", name(block))
	}
	x.tolerate(UnreadHeader)
	return nil
}

// carriers compares the action with what HTTP said (security.md, SOAP-03).
// Without a header Action the carrier stands in for it, and without either the
// RequestType is enough, which has been read before.
func (x *reader) carriers() error {
	action := x.r.Version.action(x.r.Type)
	if x.r.Action != "" && x.r.Action != action {
		return x.refuse(Malformed, "SOAP-03", x.env.Header, "Action is not that of the Body's version and RequestType")
	}
	if len(x.in.SOAPAction) > 1 {
		return refuseCarrier("SOAPAction", "the SOAPAction header is there twice")
	}
	var header string
	if len(x.in.SOAPAction) == 1 {
		header = unquote(x.in.SOAPAction[0])
	}
	if strings.ContainsAny(header, "%+\" \t\r\n") {
		return refuseCarrier("SOAPAction", "the SOAPAction header holds a character that another reader would decode")
	}
	switch {
	case header == "" || header == action:
	case strings.HasPrefix(header, NS2005), strings.HasPrefix(header, NS13), strings.HasPrefix(header, nsTrust2004):
		return refuseCarrier("SOAPAction", "the SOAPAction header names another WS-Trust action")
	case x.env.Version == soap.V12, header == string(x.fresh[x.to.from:x.to.to]):
		x.tolerate(SOAPActionIgnored)
	default:
		return refuseCarrier("SOAPAction", "the SOAPAction header is not the message's action")
	}
	if x.in.MediaAction != "" && x.in.MediaAction != action {
		return refuseCarrier("Content-Type", "the media type's action is not the message's action")
	}
	return nil
}

// refuseCarrier refuses for what is outside the message.
func refuseCarrier(header, msg string) error {
	return &Error{Kind: Malformed, Rule: "SOAP-03", Offset: -1, Header: header, Msg: msg}
}

// unquote removes one pair of quotes.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
