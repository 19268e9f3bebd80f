package soap

import (
	"time"
	"unicode/utf8"
)

// EscapeText appends s to dst as the text of an element, in the form of
// canonical XML: & < > and CR are written as references. Characters that Scan
// refuses are replaced by U+FFFD.
func EscapeText(dst []byte, s string) []byte { return escape(dst, s, false) }

// EscapeAttr appends s to dst as an attribute value in double quotes, without
// the quotes, in the form of canonical XML: & < " TAB LF and CR are written as
// references. Characters that Scan refuses are replaced by U+FFFD.
func EscapeAttr(dst []byte, s string) []byte { return escape(dst, s, true) }

func escape(dst []byte, s string, attr bool) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>' && !attr:
			dst = append(dst, "&gt;"...)
		case r == '"' && attr:
			dst = append(dst, "&quot;"...)
		case r == '\t' && attr:
			dst = append(dst, "&#x9;"...)
		case r == '\n' && attr:
			dst = append(dst, "&#xA;"...)
		case r == '\r':
			dst = append(dst, "&#xD;"...)
		case !isChar(r):
			dst = utf8.AppendRune(dst, utf8.RuneError)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// A Header is what the header of an answer says.
type Header struct {
	Version Version
	// Action is the WS-Addressing action. When it is empty, because the
	// request did without WS-Addressing, no addressing header is written.
	Action string
	// RelatesTo is the message id of the request, empty for none.
	RelatesTo string
	// Now is when the answer is made. Its Timestamp ends five minutes later.
	Now time.Time
}

// answerLifetime is how long the Timestamp of an answer lasts, as AD FS writes it.
const answerLifetime = 5 * time.Minute

// timestampLayout is the form of times in WS-Security, always UTC.
const timestampLayout = "2006-01-02T15:04:05.000Z"

// AppendOpen appends the beginning of an answer, up to the start tag of its
// Body, in the layout and with the prefixes of AD FS: s for SOAP, a for
// WS-Addressing, u and o for WS-Security. Other prefixes break clients.
func AppendOpen(dst []byte, h Header) []byte {
	dst = append(dst, `<s:Envelope xmlns:s="`...)
	dst = append(dst, h.Version.Namespace()...)
	if h.Action != "" {
		dst = append(dst, `" xmlns:a="`+NSAddressing...)
	}
	dst = append(dst, `" xmlns:u="`+NSUtility+`"><s:Header>`...)
	if h.Action != "" {
		dst = append(dst, `<a:Action s:mustUnderstand="1">`...)
		dst = EscapeText(dst, h.Action)
		dst = append(dst, `</a:Action>`...)
		if h.RelatesTo != "" {
			dst = append(dst, `<a:RelatesTo>`...)
			dst = EscapeText(dst, h.RelatesTo)
			dst = append(dst, `</a:RelatesTo>`...)
		}
	}
	dst = append(dst, `<o:Security s:mustUnderstand="1" xmlns:o="`+NSSecurity+
		`"><u:Timestamp u:Id="_0"><u:Created>`...)
	dst = h.Now.UTC().AppendFormat(dst, timestampLayout)
	dst = append(dst, `</u:Created><u:Expires>`...)
	dst = h.Now.UTC().Add(answerLifetime).AppendFormat(dst, timestampLayout)
	return append(dst, `</u:Expires></u:Timestamp></o:Security></s:Header><s:Body>`...)
}

// AppendClose appends the end of an answer, from the end tag of its Body on.
func AppendClose(dst []byte) []byte { return append(dst, `</s:Body></s:Envelope>`...) }

// A Fault is a refusal as the client sees it.
type Fault struct {
	// Header is the header to send; its Action is ActionFault, or empty.
	Header Header
	// Sender is true when the request is to blame, false when it is the service.
	Sender bool
	// Subcode is the qualified name of the fault, such as FailedAuthentication
	// in a WS-Trust namespace. Without one only Sender is told.
	Subcode Name
	// Text is the reason in English; SOAP demands that it is not empty.
	Text string
}

// AppendFault appends a whole fault message. Clients read it with regular
// expressions and by splitting at colons, so its form is fixed: no white
// space, one subcode with a prefix that is declared on its element. In SOAP
// 1.1 the subcode takes the place of Client and Server (WS-Trust 1.3, section 11).
func AppendFault(dst []byte, f Fault) []byte {
	dst = AppendOpen(dst, f.Header)
	if f.Header.Version == V11 {
		dst = f.appendBody11(dst)
	} else {
		dst = f.appendBody12(dst)
	}
	return AppendClose(dst)
}

func (f *Fault) appendBody11(dst []byte) []byte {
	dst = append(dst, `<s:Fault><faultcode`...)
	switch {
	case f.Subcode.Local != "":
		dst = f.appendSubcode(dst)
	case f.Sender:
		dst = append(dst, `>s:Client`...)
	default:
		dst = append(dst, `>s:Server`...)
	}
	dst = append(dst, `</faultcode><faultstring xml:lang="en-US">`...)
	dst = EscapeText(dst, f.Text)
	return append(dst, `</faultstring></s:Fault>`...)
}

func (f *Fault) appendBody12(dst []byte) []byte {
	dst = append(dst, `<s:Fault><s:Code><s:Value>`...)
	if f.Sender {
		dst = append(dst, `s:Sender</s:Value>`...)
	} else {
		dst = append(dst, `s:Receiver</s:Value>`...)
	}
	if f.Subcode.Local != "" {
		dst = append(dst, `<s:Subcode><s:Value`...)
		dst = f.appendSubcode(dst)
		dst = append(dst, `</s:Value></s:Subcode>`...)
	}
	dst = append(dst, `</s:Code><s:Reason><s:Text xml:lang="en-US">`...)
	dst = EscapeText(dst, f.Text)
	return append(dst, `</s:Text></s:Reason></s:Fault>`...)
}

// appendSubcode appends the rest of a start tag that declares the subcode's
// prefix, and the subcode. It rebinds a, as AD FS does.
func (f *Fault) appendSubcode(dst []byte) []byte {
	dst = append(dst, ` xmlns:a="`...)
	dst = EscapeAttr(dst, f.Subcode.Space)
	dst = append(dst, `">a:`...)
	return EscapeText(dst, f.Subcode.Local)
}
