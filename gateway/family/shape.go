package family

import (
	"bytes"

	"stsgate/gateway/soap"
)

// A shape is how a document is written.
//
// Its outline is a word for each element in document order, each with a blank
// behind it: the name with its prefix, then what the tag declares in braces,
// then the attributes in brackets, then = and the form of the text, for ids
// and times. The children of the elements that every request is built of
// stand in round brackets; what other elements hold is not looked at.
//
//	s:Header ( a:MessageID=urn:uuid:<uuid> a:To[s:mustUnderstand=1] )
//
// Text is never copied into it, but for ids and the times that attack tools
// have in their templates.
type shape struct {
	doc *soap.Document

	outline [1024]byte // the longest of a known client has 640 bytes
	size    int        // of the outline

	prolog []byte // before the root, without white space at its end
	quotes string // "single", "double" or "mixed": of the tags of Envelope and Security
	layout string // white space before Header, and before the first child of Security, as in "lf none"
}

// container is true of the elements whose children belong to the shape.
func container(local string) bool {
	switch local {
	case "Envelope", "Header", "Body", "ReplyTo", "Security", "Timestamp", "UsernameToken",
		"RequestSecurityToken", "AppliesTo", "EndpointReference":
		return true
	default:
		return false
	}
}

func (s *shape) read(d *soap.Document) {
	s.doc = d
	root := d.Root()
	security := s.elements()
	if security == nil {
		security = root
	}
	s.prolog = bytes.TrimRight(d.Source[:root.Start], " \t\r\n")
	s.quotes = quotes(d, root, security)
	s.layout = layouts[whiteAt(d, root.ContentStart)][whiteAt(d, security.ContentStart)]
}

// quotes says which quotes the tags of two elements use.
func quotes(d *soap.Document, a, b *soap.Element) string {
	single, double := false, false
	for _, tag := range [...][]byte{d.Source[a.Start:a.ContentStart], d.Source[b.Start:b.ContentStart]} {
		if i := bytes.IndexAny(tag, `"'`); i >= 0 {
			single = single || tag[i] == '\''
			double = double || tag[i] == '"'
		}
	}
	switch {
	case single && double:
		return "mixed"
	case single:
		return "single"
	default:
		return "double"
	}
}

// The kinds of white space, by its first character.
const (
	none = iota
	space
	lf
	crlf
)

func whiteAt(d *soap.Document, at int32) int {
	if int(at) == len(d.Source) { // behind a root without content
		return none
	}
	switch d.Source[at] {
	case ' ', '\t':
		return space
	case '\n':
		return lf
	case '\r':
		return crlf
	default:
		return none
	}
}

// layouts are the names of two kinds of white space, outer and inner.
var layouts = [4][4]string{
	none:  {none: "none none", space: "none space", lf: "none lf", crlf: "none crlf"},
	space: {none: "space none", space: "space space", lf: "space lf", crlf: "space crlf"},
	lf:    {none: "lf none", space: "lf space", lf: "lf lf", crlf: "lf crlf"},
	crlf:  {none: "crlf none", space: "crlf space", lf: "crlf lf", crlf: "crlf crlf"},
}

// put appends to the outline. What finds no room is lost: see full.
func (s *shape) put(text string) {
	s.size += copy(s.outline[s.size:], text)
}

func (s *shape) putBytes(text []byte) {
	s.size += copy(s.outline[s.size:], text)
}

func (s *shape) putByte(c byte) {
	if s.size < len(s.outline) {
		s.outline[s.size] = c
		s.size++
	}
}

// full reports whether the outline may lack something.
func (s *shape) full() bool { return s.size == len(s.outline) }

// elements writes the outline. It returns the first Security, nil when there is none.
func (s *shape) elements() *soap.Element {
	var security *soap.Element
	var open [8]int32 // the ends of the open containers; more nest in no known request
	num := 0
	all := s.doc.Elements()
	for i := 0; i < len(all) && !s.full(); {
		e := &all[i]
		for num > 0 && e.Start >= open[num-1] {
			num--
			s.put(") ")
		}
		s.element(e)
		if security == nil && e.Name.Local == "Security" && e.Name.Space == soap.NSSecurity {
			security = e
		}
		within := len(s.doc.Within(e))
		switch {
		case within == 1 || !container(e.Name.Local):
			i += within
		case num == len(open):
			s.size = len(s.outline)
			return nil
		default:
			open[num] = e.End
			num++
			i++
			s.put("( ")
		}
	}
	for ; num > 0; num-- {
		s.put(") ")
	}
	return security
}

func (s *shape) element(e *soap.Element) {
	s.name(s.doc.Prefix(e), e.Name.Local)
	sep := byte('{')
	for prefix, uri := range s.doc.Declared(e) {
		s.putByte(sep)
		s.putBytes(prefix)
		s.putByte('=')
		s.put(namespace(uri))
		sep = ','
	}
	if sep == ',' {
		s.putByte('}')
	}
	sep = '['
	for a := range s.doc.RawAttrs(e) {
		s.putByte(sep)
		s.name(a.Prefix, a.Name.Local)
		s.value(a)
		sep = ','
	}
	if sep == ',' {
		s.putByte(']')
	}
	switch e.Name.Local {
	case "MessageID", "messageID":
		s.putByte('=')
		s.id(s.text(e))
	case "Created", "Expires":
		s.putByte('=')
		s.put(instant(s.text(e)))
	}
	s.putByte(' ')
}

func (s *shape) name(prefix []byte, local string) {
	if len(prefix) > 0 {
		s.putBytes(prefix)
		s.putByte(':')
	}
	s.put(local)
}

// text returns what stands in e, as it is written.
func (s *shape) text(e *soap.Element) []byte {
	return bytes.TrimSpace(s.doc.Source[e.ContentStart:e.ContentEnd])
}

// value writes the values that the client's software chooses.
func (s *shape) value(a soap.Attribute) {
	switch a.Name.Local {
	case "mustUnderstand", "Id":
		s.putByte('=')
		s.id(a.Raw)
	case "Type":
		s.putByte('=')
		s.id(a.Raw[bytes.IndexByte(a.Raw, '#')+1:])
	}
}

// id writes the form of an id: a UUID as <uuid>, a run of 32 hexadecimal digits
// or more as <hex>, a number behind the last hyphen as <n>, and all else as it
// is, but for characters of which no client makes ids.
func (s *shape) id(raw []byte) {
	const shortest = 32 // of what is not written as it is, but for numbers
	for i := 0; i < len(raw); {
		c, rest := raw[i], raw[i:]
		switch {
		case len(rest) >= shortest && isHex(c) && isUUID(rest):
			s.put("<uuid>")
			i += uuidLen
		case len(rest) >= shortest && isHex(c) && run(rest, isHex) >= shortest:
			s.put("<hex>")
			i += run(rest, isHex)
		case c == '-' && len(rest) > 1 && run(rest[1:], isDigit) == len(rest)-1:
			s.put("-<n>")
			i = len(raw)
		case isHex(c) || 'g' <= c && c <= 'z' || 'G' <= c && c <= 'Z' || c == '_' || c == ':' || c == '-' || c == '.':
			s.putByte(c)
			i++
		default:
			s.putByte('?')
			i++
		}
	}
}

const uuidLen = 36

func isUUID(b []byte) bool {
	if len(b) < uuidLen {
		return false
	}
	for i, c := range b[:uuidLen] {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isHex(c) {
				return false
			}
		}
	}
	return true
}

// run returns how many bytes at the start of b are of a kind.
func run(b []byte, kind func(byte) bool) int {
	for i, c := range b {
		if !kind(c) {
			return i
		}
	}
	return len(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

// fixedTimes are those that stand in the templates of attack tools.
var fixedTimes = []string{
	"2019-01-02T14:30:02.068Z", // aad-sso-enum-brute-spray and its port in CredMaster
	"2020-11-23T14:50:44.068Z", // ROADtools
}

// instant returns what a time has behind its seconds: Z, .3Z with three digits
// of a fraction, +00:00, or the time itself when it is a fixed one.
func instant(raw []byte) string {
	const seconds = len("2006-01-02T15:04:05")
	if len(raw) <= seconds || raw[4] != '-' || raw[10] != 'T' || raw[13] != ':' {
		return "?"
	}
	for _, fixed := range fixedTimes {
		if string(raw) == fixed {
			return fixed
		}
	}
	switch rest := raw[seconds:]; {
	case string(rest) == "Z":
		return "Z"
	case string(rest) == "+00:00":
		return "+00:00"
	case rest[0] == '.' && rest[len(rest)-1] == 'Z' && run(rest[1:], isDigit) == len(rest)-2:
		if i := len(rest) - 2; i < len(fractions) {
			return fractions[i]
		}
	}
	return "?"
}

var fractions = [...]string{"?", ".1Z", ".2Z", ".3Z", ".4Z", ".5Z", ".6Z", ".7Z", ".8Z", ".9Z"}

// namespace returns the short name of a namespace, ? for one that no
// fingerprint needs.
func namespace(uri string) string {
	switch uri {
	case soap.NSSOAP11:
		return "soap11"
	case soap.NSSOAP12:
		return "soap12"
	case soap.NSAddressing:
		return "wsa"
	case soap.NSSecurity:
		return "wsse"
	case soap.NSUtility:
		return "wsu"
	case "http://schemas.xmlsoap.org/ws/2005/02/trust", "http://docs.oasis-open.org/ws-sx/ws-trust/200512":
		return "trust" // the version is what the endpoint wants
	case "http://schemas.xmlsoap.org/ws/2004/09/policy":
		return "wsp"
	case "http://schemas.xmlsoap.org/ws/2005/02/sc":
		return "wssc"
	case "http://schemas.xmlsoap.org/ws/2005/05/identity":
		return "identity"
	case "urn:oasis:names:tc:SAML:1.0:assertion":
		return "saml11"
	case "urn:oasis:names:tc:SAML:2.0:assertion":
		return "saml20"
	case "http://www.w3.org/2000/09/xmldsig#":
		return "dsig"
	default:
		return "?"
	}
}
