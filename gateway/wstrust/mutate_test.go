package wstrust_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// tokens are pieces of XML that readers are known to treat differently, and
// their harmless neighbours.
var tokens = []string{
	// Byte order marks, declarations, encodings.
	"\ufeff", "\ufeff\ufeff", "\xff\xfe", "\xfe\xff", "\x00\x00\xfe\xff", "+/v8-",
	`<?xml version="1.0"?>`, `<?xml version='1.0' encoding='Utf-8' ?>`, `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`,
	`<?xml version="1.0" standalone="no"?>`, `<?xml version="1.0" encoding="utf-16"?>`, `<?xml version="1.0" encoding="iso-8859-1"?>`,
	`<?xml version="1.0" encoding="windows-1252"?>`, `<?xml version="1.1"?>`, `<?xml version="1.00"?>`, `<?xml version=" 1.0"?>`,
	`<?xml encoding="utf-8"?>`, "<?xml version=\"1.0\"\t?>", `<?XML version="1.0"?>`, `<?xml?>`,
	// Other markup that is not elements.
	"<?a?>", "<?a b?>", "<?xml-stylesheet href='x'?>", "<!---->", "<!-- c -->", "<!-- -- -->", "<!-- --->", "<!-->", "<!-", "-->",
	"<![CDATA[]]>", "<![CDATA[c]]>", "<![CDATA[<c/>]]>", "<![CDATA[\r\n]]>", "<![CDATA[", "]]>", "]]", "<!DOCTYPE c>",
	`<!DOCTYPE c [<!ENTITY c "c">]>`, `<!DOCTYPE c SYSTEM "file:///c">`, `<!ENTITY c "c">`, "<!ATTLIST c d CDATA 'e'>", "<!>",
	// References.
	"&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&c;", "&nbsp;", "&AMP;", "&amp", "& ", "&;", "&#;", "&#x;", "&#38;", "&#x3c;", "&#9;",
	"&#10;", "&#13;", "&#13;&#10;", "&#32;", "&#x85;", "&#xA0;", "&#x2028;", "&#65;", "&#0065;", "&#x00000041;", "&#X41;", "&# 65;", "&#-65;", "&#6_5;",
	"&#0;", "&#x1;", "&#x1b;", "&#127;", "&#xD800;", "&#xDFFF;", "&#xD83D;&#xDE00;", "&#55357;&#56832;", "&#xFEFF;", "&#xFFFD;", "&#xFFFE;", "&#xFFFF;",
	"&#x1F600;", "&#x1FFFE;", "&#x10FFFF;", "&#x110000;", "&#4294967361;",
	// Characters.
	"\x00", "\x01", "\b", "\t", "\n", "\v", "\f", "\r", "\r\n", "\n\r", "\r\r\n", "\x1f", " ", "  ", "\x7f", "\u0085", "\u00a0", "\u00ad", "\u200b", "\u2028",
	"\u202e", "\u3000", "\ufdd0", "\ufffd", "\ufffe", "\uffff", "\U0001f600", "\U0001ffff", "\u00e9", "e\u0301", "\u0130", "\u212a", "\uff1c",
	"\x80", "\xa0", "\xc0\x80", "\xc1\xbf", "\xe0\x80\xbc", "\xed\xa0\xbd\xed\xb8\x80", "\xef\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
	// Attributes and namespace declarations.
	` c="d"`, ` c='d'`, ` c=d`, ` c`, ` c=""`, ` c = "d"`, "\tc\n=\r\n'd'\n", `c="d"`, ` c="d"e="f"`, ` c="1" c="2"`, " c='\t'", " c='\n'", " c='\r\n'",
	` c="&#9;&#10;&#13;"`, ` c="<"`, ` c=">"`, ` c="]]>"`, ` c="'"`, ` c="a&b"`, ` c="  d  e  "`, " c='\u00a0'", " c=`d`", ` Type="urn:c"`, ` Id="c" ID="c"`,
	` xmlns="urn:c"`, ` xmlns=""`, ` xmlns:c="urn:c"`, ` xmlns:c="urn:c" c:d="e"`, ` xmlns:c="urn:c" xmlns:d="urn:c" c:e="1" d:e="2"`, ` xmlns:c=""`,
	` xmlns:c="urn:c" xmlns:c="urn:c"`, ` xmlns="urn:c" xmlns="urn:d"`, ` xmlns:c=" urn:c "`, ` xmlns:c="urn&#58;c"`, ` xmlns:c="urn:%63"`, ` xmlns:="urn:c"`,
	` xmlns:xml="urn:c"`, ` xmlns:xml="http://www.w3.org/XML/1998/namespace"`, ` xmlns:xmlns="urn:c"`, ` xmlns:c="http://www.w3.org/2000/xmlns/"`,
	` xmlns:c="http://www.w3.org/XML/1998/namespace" c:lang="d"`, ` xmlns:XmlC="urn:c"`, ` c:d="e"`, ` :c="d"`, ` c:="d"`, ` c:d:e="f"`,
	` xml:lang="en"`, ` xml:lang="en_us"`, ` xml:space="preserve"`, ` xml:space="c"`, ` xml:base="urn:c"`, ` xml:id="c"`, ` xml:c="d"`,
	` xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"`, ` xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"`,
	// Elements.
	"<c/>", "<c />", "<c></c>", "<c></c\n>", "<c></C>", "<c></d>", "<c>", "</c>", "</c c='d'>", "< c/>", "</ c>", "<c / >", "<c/", "<c", "<", "<>", "</>", "<1/>", "<-c/>",
	"<\u00e9/>", "<c\u00b7/>", "<c:d/>", "<:c/>", "<c:/>", "<c:d:e xmlns:c='urn:c'/>", "<xml/>", "<xml:c/>", "<xmlns:c/>", "<C.c-1_/>", "<c d='1' d='2'/>",
	strings.Repeat("<c>", 24) + strings.Repeat("</c>", 24), strings.Repeat("<c>", 40) + strings.Repeat("</c>", 40), "<c d='" + strings.Repeat("e", 4100) + "'/>",
	"<o:Username>mallory</o:Username>", "<Username>mallory</Username>", "<o:Password>guess</o:Password>", "<a:To>urn:c</a:To>", "<s:Body/>",
	"<wsp:AppliesTo/>", "</s:Header><s:Header>", "</s:Envelope>", "</s:Envelope><s:Envelope/>", "mallory", strings.Repeat("c", 9000),
	// Single characters of the grammar.
	">", "/", "=", "\"", "'", "&", "#", ";", ":", "!", "?", "[", "-", "--", "x", "xml", "xmlns", "x41;", "lt;", "%26", "\\u0041",
}

// A mutator changes documents at random, several changes to each.
type mutator struct {
	*rand.Rand
	seeds [][]byte
}

// mutant returns a changed copy of a seed.
func (m *mutator) mutant(seed []byte) []byte {
	d := bytes.Clone(seed)
	for range 1 + m.IntN(3) {
		d = m.change(d)
	}
	return d
}

func pick[T any](m *mutator, of []T) T { return of[m.IntN(len(of))] }

// change makes one change.
func (m *mutator) change(d []byte) []byte {
	switch n := m.IntN(100); {
	case n < 16: // before a tag: at the end of a text, between elements
		return m.insert(d, m.place(d, func(i int) bool { return d[i] == '<' }))
	case n < 32: // in a tag, behind a name or an attribute
		return m.insert(d, m.place(d, func(i int) bool { return d[i] == '>' && i > 0 && d[i-1] != '/' }))
	case n < 42: // in a text
		return m.insert(d, m.place(d, func(i int) bool { return i > 0 && d[i] != '<' && !isSpace(d[i]) && d[i-1] == '>' }))
	case n < 48: // in an attribute value
		return m.insert(d, m.place(d, func(i int) bool { return i > 1 && (d[i-1] == '"' || d[i-1] == '\'') && d[i-2] == '=' }))
	case n < 54: // anywhere
		return m.insert(d, m.IntN(len(d)+1))
	case n < 60: // before or behind everything
		return m.insert(d, m.IntN(2)*len(d))
	case n < 66: // a few bytes less
		i := m.IntN(len(d) + 1)
		return slices.Delete(d, i, min(i+1+m.IntN(8), len(d)))
	case n < 70: // another byte
		if len(d) > 0 {
			d[m.IntN(len(d))] = byte(m.IntN(256))
		}
		return d
	case n < 86:
		return m.rearrange(d)
	case n < 90:
		return m.rival(d)
	default:
		return m.rewrite(d)
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// insert inserts a token.
func (m *mutator) insert(d []byte, i int) []byte {
	return slices.Insert(d, i, []byte(pick(m, tokens))...)
}

// place returns one of the positions for which is says yes, any when there is none.
func (m *mutator) place(d []byte, is func(int) bool) int {
	var places []int
	for i := range d {
		if is(i) {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return m.IntN(len(d) + 1)
	}
	return pick(m, places)
}

// rearrange works on parts that begin at a tag.
func (m *mutator) rearrange(d []byte) []byte {
	i, j := m.part(d)
	switch m.IntN(6) {
	case 0: // delete
		return slices.Delete(d, i, j)
	case 1: // duplicate in place
		return slices.Insert(d, j, bytes.Clone(d[i:j])...)
	case 2: // duplicate elsewhere
		return slices.Insert(d, m.place(d, func(k int) bool { return d[k] == '<' }), bytes.Clone(d[i:j])...)
	case 3: // swap with the next part
		k := min(len(d), j+1+max(0, bytes.IndexByte(d[min(len(d), j+1):], '<')))
		return slices.Concat(d[:i], d[j:k], d[i:j], d[k:])
	case 4: // put a part of another document in its place
		other := pick(m, m.seeds)
		a, b := m.part(other)
		return slices.Concat(d[:i], other[a:b], d[j:])
	default: // go on as another document
		other := pick(m, m.seeds)
		a, _ := m.part(other)
		return slices.Concat(d[:i], other[a:])
	}
}

var leaf = regexp.MustCompile(`<([A-Za-z0-9_]+:)?([A-Za-z]+)([^<>]*)>([^<>]*)</[^<>]+>`)

// rival puts beside an element that holds text another one, which a loose
// reader would take for it.
func (m *mutator) rival(d []byte) []byte {
	leaves := leaf.FindAllSubmatchIndex(d, -1)
	if leaves == nil {
		return d
	}
	at := pick(m, leaves)
	group := func(n int) string { return string(d[max(0, at[2*n]):max(0, at[2*n+1])]) }
	prefix, local, attributes, text := group(1), group(2), group(3), group(4)
	switch m.IntN(6) {
	case 0:
		prefix = ""
	case 1:
		if declared := declaredPrefix.FindAllSubmatch(d, -1); declared != nil {
			prefix = string(pick(m, declared)[1]) + ":"
		}
	case 2:
		prefix, attributes = "c:", attributes+` xmlns:c="urn:c"`
	case 3:
		attributes += ` xmlns="urn:c"`
	case 4:
		local = strings.ToLower(local)
	default: // the same name
	}
	name := prefix + local
	other := "<" + name + attributes + ">" + pick(m, []string{text, "mallory", ""}) + "</" + name + ">"
	return slices.Insert(d, at[m.IntN(2)], []byte(other)...)
}

// part bounds a part of d that begins at a tag and ends before another one:
// often a whole element, at times not.
func (m *mutator) part(d []byte) (from, to int) {
	from = m.place(d, func(i int) bool { return d[i] == '<' && i+1 < len(d) && d[i+1] != '/' })
	to = from
	for range 1 + m.IntN(3) {
		next := bytes.IndexByte(d[min(to+1, len(d)):], '<')
		if next < 0 {
			return from, len(d)
		}
		to += 1 + next
	}
	return from, to
}

var (
	declaredPrefix = regexp.MustCompile(`xmlns:([A-Za-z0-9_]+)=`)
	attributeValue = regexp.MustCompile(`="([^"'<>]*)"`)
)

// rewrite spells a document differently. Most results mean the same.
func (m *mutator) rewrite(d []byte) []byte {
	switch m.IntN(9) {
	case 0:
		return bytes.ReplaceAll(d, []byte("\n"), []byte(pick(m, []string{"\r\n", "\r", " ", "\t", "\n\n"})))
	case 1:
		return attributeValue.ReplaceAll(d, []byte("='$1'"))
	case 2:
		return attributeValue.ReplaceAll(d, []byte(pick(m, []string{` = "$1"`, "\n= '$1'\r\n", `="$1" `, "=$1"})))
	case 3: // white space between all elements
		return bytes.ReplaceAll(d, []byte("><"), []byte(">"+pick(m, []string{"\n", "\r\n  ", "\t", "<!-- c -->", " <!--c-->\n", "\u00a0"})+"<"))
	case 4: // another name for a prefix
		found := declaredPrefix.FindAllSubmatch(d, -1)
		if found == nil {
			return d
		}
		old, fresh := string(pick(m, found)[1]), pick(m, []string{"c", "_", "S", "c.d-1", "o", "a", "xmlc", "\u00e9", "1c", strings.Repeat("p", 60)})
		d = bytes.ReplaceAll(d, []byte("xmlns:"+old+"="), []byte("xmlns:"+fresh+"="))
		return regexp.MustCompile(`(</?|\s)`+old+":").ReplaceAll(d, []byte("${1}"+fresh+":"))
	case 5: // a character of a text by reference
		i := m.place(d, func(i int) bool { return i > 0 && d[i-1] == '>' && d[i] != '<' })
		r, n := utf8.DecodeRune(d[min(i, len(d)):])
		form := pick(m, []string{"&#%d;", "&#x%x;", "&#x%X;", "&#%04d;", "&#x%06x;", "&#X%x;"})
		return slices.Concat(d[:i], fmt.Appendf(nil, form, r), d[i+n:])
	case 6: // other case of a letter
		if i := m.IntN(len(d) + 1); i < len(d) && (d[i]|0x20 >= 'a' && d[i]|0x20 <= 'z') {
			d[i] ^= 0x20
		}
		return d
	case 7: // all attributes and texts of an element twice as long
		return regexp.MustCompile(`>([^<>]+)</`).ReplaceAll(d, []byte(">${1}${1}</"))
	default:
		return m.transcode(d)
	}
}

// transcode puts a declaration or a byte order mark before d, or writes it in
// another encoding.
func (m *mutator) transcode(d []byte) []byte {
	switch m.IntN(8) {
	case 0:
		return slices.Concat([]byte(`<?xml version="1.0" encoding="utf-8"?>`), d)
	case 1:
		return slices.Concat([]byte("\ufeff"), d)
	case 2:
		return slices.Concat([]byte("\ufeff<?xml version='1.0'?>\r\n"), d)
	case 3, 4: // UTF-16, with and without mark
		var out []byte
		for _, u := range utf16.Encode([]rune(pick(m, []string{"", "\ufeff"}) + string(d))) {
			out = append(out, byte(u>>8), byte(u))
		}
		return out
	case 5: // Latin 1
		var out []byte
		for _, r := range string(d) {
			out = append(out, byte(r))
		}
		return out
	case 6: // characters beyond ASCII in every text
		return bytes.ReplaceAll(d, []byte("</"), []byte("\u00e4\u20ac\U0001f511</"))
	default:
		return bytes.ReplaceAll(d, []byte("</"), []byte(" </"))
	}
}
