package soap_test

import (
	"errors"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// ruleOf returns the rule that Scan refuses src by, "" when it is accepted.
func ruleOf(t *testing.T, src string, p soap.Profile) string {
	t.Helper()
	d, err := soap.Scan([]byte(src), p)
	if err == nil {
		return ""
	}
	if d != nil {
		t.Errorf("Scan returned a document beside the error %v", err)
	}
	var refused *soap.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got error of type %T, want *soap.Error", err)
	}
	if refused.Offset < 0 || refused.Offset > len(src) {
		t.Errorf("got offset %d outside a document of %d bytes", refused.Offset, len(src))
	}
	return refused.Rule
}

const accepted = ""

// ruleCases holds, for each rule, documents on both sides of it.
var ruleCases = []struct{ name, src, rule string }{
	{"XML-01 characters of 1 to 4 bytes", "<e>a\u00e9\u20ac\U0001F600</e>", accepted},
	{"XML-01 latin 1 in text", "<e>\xe9</e>", "XML-01"},
	{"XML-01 latin 1 in a name", "<e\xe9/>", "XML-01"},
	{"XML-01 latin 1 in an attribute value", "<e a='\xe9'/>", "XML-01"},
	{"XML-01 latin 1 in a comment", "<e><!-- \xe9 --></e>", "XML-01"},
	{"XML-01 latin 1 outside the root", "\xe9<e/>", "XML-01"},
	{"XML-01 overlong slash", "<e>\xc0\xaf</e>", "XML-01"},
	{"XML-01 continuation byte alone", "<e>a\x80b</e>", "XML-01"},
	{"XML-01 surrogate in UTF-8", "<e>\xed\xa0\x80</e>", "XML-01"},
	{"XML-01 above U+10FFFF", "<e>\xf4\x90\x80\x80</e>", "XML-01"},
	{"XML-01 sequence cut by a tag", "<e>\xe2\x82</e>", "XML-01"},
	{"XML-01 sequence cut by the end", "<e>\xe2\x82", "XML-01"},
	{"XML-01 UTF-16 little endian", "<\x00e\x00/\x00>\x00", "XML-01"},
	{"XML-01 UTF-16 big endian", "\x00<\x00e\x00/\x00>", "XML-01"},
	{"XML-01 UTF-16 with byte order mark", "\xff\xfe<\x00e\x00/\x00>\x00", "XML-01"},
	{"XML-01 UTF-32", "\x00\x00\x00<\x00\x00\x00e", "XML-01"},

	{"XML-02 byte order mark", "\ufeff<e/>", accepted},
	{"XML-02 byte order mark before the declaration", "\ufeff<?xml version=\"1.0\"?><e/>", accepted},
	{"XML-02 two byte order marks", "\ufeff\ufeff<e/>", "XML-02"},
	{"XML-02 after white space", " \ufeff<e/>", "XML-02"},
	{"XML-02 in text", "<e>a\ufeffb</e>", "XML-02"},
	{"XML-02 in a value", "<e a='\ufeff'/>", "XML-02"},
	{"XML-02 in a name", "<e\ufeff/>", "XML-02"},
	{"XML-02 behind the root", "<e/>\ufeff", "XML-02"},

	{"XML-03 version", `<?xml version="1.0"?><e/>`, accepted},
	{"XML-03 single quotes", `<?xml version='1.0' encoding='utf-8'?><e/>`, accepted},
	{"XML-03 encoding in capitals", `<?xml version="1.0" encoding="UTF-8"?><e/>`, accepted},
	{"XML-03 encoding in mixed case", `<?xml version="1.0" encoding="Utf-8"?><e/>`, accepted},
	{"XML-03 standalone no", `<?xml version="1.0" encoding="UTF-8" standalone="no"?><e/>`, accepted},
	{"XML-03 standalone yes", `<?xml version="1.0" encoding="UTF-8" standalone='yes'?><e/>`, accepted},
	{"XML-03 blank before the end", `<?xml version="1.0" encoding="utf-8" ?><e/>`, accepted},
	{"XML-03 white space behind it", "<?xml version=\"1.0\"?>\r\n  <e/>", accepted},
	{"XML-03 two blanks before the end", `<?xml version="1.0"  ?><e/>`, "XML-03"},
	{"XML-03 two blanks between", `<?xml version="1.0"  encoding="utf-8"?><e/>`, "XML-03"},
	{"XML-03 line end between", "<?xml version=\"1.0\"\nencoding=\"utf-8\"?><e/>", "XML-03"},
	{"XML-03 no blank between", `<?xml version="1.0"encoding="utf-8"?><e/>`, "XML-03"},
	{"XML-03 blanks around the equals sign", `<?xml version = "1.0"?><e/>`, "XML-03"},
	{"XML-03 no version", `<?xml encoding="utf-8"?><e/>`, "XML-03"},
	{"XML-03 version 1.1", `<?xml version="1.1"?><e/>`, "XML-03"},
	{"XML-03 other encoding", `<?xml version="1.0" encoding="utf-16"?><e/>`, "XML-03"},
	{"XML-03 encoding without hyphen", `<?xml version="1.0" encoding="utf8"?><e/>`, "XML-03"},
	{"XML-03 standalone without encoding", `<?xml version="1.0" standalone="no"?><e/>`, "XML-03"},
	{"XML-03 standalone in capitals", `<?xml version="1.0" encoding="utf-8" standalone="No"?><e/>`, "XML-03"},
	{"XML-03 standalone before encoding", `<?xml version="1.0" standalone="no" encoding="utf-8"?><e/>`, "XML-03"},
	{"XML-03 encoding twice", `<?xml version="1.0" encoding="utf-8" encoding="utf-8"?><e/>`, "XML-03"},
	{"XML-03 unequal quotes", `<?xml version="1.0'?><e/>`, "XML-03"},
	{"XML-03 no quotes", `<?xml version=1.0?><e/>`, "XML-03"},
	{"XML-03 cut short", `<?xml version="1.0"`, "XML-03"},
	{"XML-03 cut before a value", `<?xml version=`, "XML-03"},
	{"XML-03 end without question mark", `<?xml version="1.0">`, "XML-03"},
	{"XML-03 stylesheet at the start", `<?xml-stylesheet href="x"?><e/>`, "XML-03"},
	{"XML-03 behind white space", ` <?xml version="1.0"?><e/>`, "XML-03"},
	{"XML-03 twice", `<?xml version="1.0"?><?xml version="1.0"?><e/>`, "XML-03"},
	{"XML-03 in an element", `<e><?xml version="1.0"?></e>`, "XML-03"},

	{"XML-04 tab, line feed, DEL and C1", "<e>\t\n\x7f\u0085</e>", accepted},
	{"XML-04 CR LF in text", "<e>a\r\nb</e>", accepted},
	{"XML-04 CR LF in a tag", "<e\r\na='1'\r\n></e\r\n>\r\n", accepted},
	{"XML-04 last character below the surrogates", "<e>\ud7ff\ue000\ufffd\U0010ffff</e>", accepted},
	{"XML-04 CR alone in text", "<e>a\rb</e>", "XML-04"},
	{"XML-04 CR before a tag", "<e>a\r</e>", "XML-04"},
	{"XML-04 CR CR LF", "<e>a\r\r\nb</e>", "XML-04"},
	{"XML-04 CR alone in a tag", "<e\ra='1'/>", "XML-04"},
	{"XML-04 CR alone before an equals sign", "<e a\r='1'/>", "XML-04"},
	{"XML-04 CR alone behind an equals sign", "<e a=\r'1'/>", "XML-04"},
	{"XML-04 CR alone in an end tag", "<e></e\r>", "XML-04"},
	{"XML-04 CR alone in a comment", "<e><!-- \r --></e>", "XML-04"},
	{"XML-04 CR alone outside the root", "\r<e/>", "XML-04"},
	{"XML-04 CR at the end", "<e/>\r", "XML-04"},
	{"XML-04 NUL in text", "<e>ab\x00</e>", "XML-04"},
	{"XML-04 NUL behind the root", "<e></e>\x00", "XML-04"},
	{"XML-04 control in a name", "<e\x01/>", "XML-04"},
	{"XML-04 vertical tab in a value", "<e a='\v'/>", "XML-04"},
	{"XML-04 form feed between attributes", "<e\fa='1'/>", "XML-04"},
	{"XML-04 U+FFFE", "<e>\ufffe</e>", "XML-04"},
	{"XML-04 U+FFFF in a value", "<e a='\uffff'/>", "XML-04"},

	{"XML-05 predefined", "<e a='&lt;&quot;'>&amp;&lt;&gt;&quot;&apos;</e>", accepted},
	{"XML-05 decimal and hexadecimal", "<e>&#65;&#x41;&#xE9;&#xe9;&#9;&#13;&#10;</e>", accepted},
	{"XML-05 ten characters long", "<e>&#1114111;&#x10FFFF;&#x00004A;</e>", accepted},
	{"XML-05 eleven characters long", "<e>&#x000041A;</e>", "XML-05"},
	{"XML-05 U+FFFD", "<e>&#xFFFD;</e>", accepted},
	{"XML-05 all digits", "<e>&#x01234;&#x56789;&#xabcde;&#xfABCD;&#xEF;</e>", accepted},
	{"XML-05 around the gap of the surrogates", "<e>&#xD7FF;&#xE000;&#x10000;</e>", accepted},
	{"XML-05 NUL", "<e>&#0;</e>", "XML-05"},
	{"XML-05 control", "<e>&#x1F;</e>", "XML-05"},
	{"XML-05 surrogate", "<e>&#xD800;</e>", "XML-05"},
	{"XML-05 surrogate pair in a user name", "<Username>ali&#xD83D;&#xDE00;ce</Username>", "XML-05"},
	{"XML-05 last surrogate", "<e>&#57343;</e>", "XML-05"},
	{"XML-05 byte order mark", "<e>&#xFEFF;</e>", "XML-05"},
	{"XML-05 U+FFFE", "<e>&#xFFFE;</e>", "XML-05"},
	{"XML-05 above U+10FFFF", "<e>&#x110000;</e>", "XML-05"},
	{"XML-05 decimal above U+10FFFF", "<e>&#9999999;</e>", "XML-05"},
	{"XML-05 capital X", "<e>&#X41;</e>", "XML-05"},
	{"XML-05 no digits", "<e>&#;</e>", "XML-05"},
	{"XML-05 no hexadecimal digits", "<e>&#x;</e>", "XML-05"},
	{"XML-05 hexadecimal digit in a decimal", "<e>&#4A;</e>", "XML-05"},
	{"XML-05 sign", "<e>&#+65;</e>", "XML-05"},
	{"XML-05 x twice", "<e>&#xx41;</e>", "XML-05"},
	{"XML-05 hexadecimal without number sign", "<e>&x41;</e>", "XML-05"},
	{"XML-05 decimal without number sign", "<e>&65;</e>", "XML-05"},
	{"XML-05 letter behind f", "<e>&#xg;</e>", "XML-05"},
	{"XML-05 letter behind F", "<e>&#xG;</e>", "XML-05"},
	{"XML-05 unknown entity", "<e>&nbsp;</e>", "XML-05"},
	{"XML-05 entity in capitals", "<e>&AMP;</e>", "XML-05"},
	{"XML-05 bare ampersand", "<e>a & b;</e>", "XML-05"},
	{"XML-05 empty", "<e>&;</e>", "XML-05"},
	{"XML-05 no semicolon", "<e>&amp</e>", "XML-05"},
	{"XML-05 in a value", "<e a='&x;'/>", "XML-05"},

	{"XML-06 DOCTYPE", "<!DOCTYPE e><e/>", "XML-06"},
	{"XML-06 DOCTYPE in lower case", "<!doctype e><e/>", "XML-06"},
	{"XML-06 entity bomb", `<!DOCTYPE e [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><e>&b;</e>`, "XML-06"},
	{"XML-06 entity in an element", `<e><!ENTITY a "x"></e>`, "XML-06"},
	{"XML-06 any declaration", "<e><!FOO></e>", "XML-06"},
	{"XML-06 one hyphen", "<e><!- x --></e>", "XML-06"},
	{"XML-06 behind the root", "<e/><!DOCTYPE e>", "XML-06"},

	{"XML-07 before the root", "<?p x?><e/>", "XML-07"},
	{"XML-07 in text", "<e>a<?p?>b</e>", "XML-07"},
	{"XML-07 behind the root", "<e/><?p?>", "XML-07"},
	{"XML-07 XML in capitals", "<?XML version='1.0'?><e/>", "XML-07"},

	{"XML-08 brackets in text", "<e>a]b]]c] ]></e>", accepted},
	{"XML-08 end mark in a value", "<e a=']]>'/>", accepted},
	{"XML-08 CDATA", "<e><![CDATA[a]]></e>", "XML-08"},
	{"XML-08 CDATA with CR", "<e><![CDATA[a\r\nb]]></e>", "XML-08"},
	{"XML-08 CDATA in lower case", "<e><![cdata[a]]></e>", "XML-08"},
	{"XML-08 CDATA outside the root", "<![CDATA[a]]><e/>", "XML-08"},
	{"XML-08 end mark in text", "<e>a]]>b</e>", "XML-08"},
	{"XML-08 end mark behind a bracket", "<e>]]]></e>", "XML-08"},

	{"XML-09 comments between elements", "<e> <!-- a --> <f/><!----></e>", accepted},
	{"XML-09 markup in a comment", "<e><!-- <f> &x; ]]> <?p?> > --></e>", accepted},
	{"XML-09 comment behind text", "<Username>admin@corp<!-- -->.evil</Username>", "XML-09"},
	{"XML-09 comment at the end of text", "<Username>admin<!-- --></Username>", "XML-09"},
	{"XML-09 comment before text", "<Username><!-- -->admin</Username>", "XML-09"},
	{"XML-09 comment before a reference", "<Username><!-- -->&#x20;</Username>", "XML-09"},
	{"XML-09 comment and text around a child", "<e>a<f/><!-- --></e>", "XML-09"},
	{"XML-09 two hyphens in a comment", "<e><!-- a -- b --></e>", "XML-09"},
	{"XML-09 three hyphens at the end", "<e><!-- a ---></e>", "XML-09"},
	{"XML-09 comment that ends at once", "<e><!--></e>", "XML-15"},
	{"XML-09 comment that ends with its start", "<e><!---></e>", "XML-15"},

	{"XML-10 both quotes", `<e a="it's" b='"'/>`, accepted},
	{"XML-10 greater-than in a value", "<e a='x>y'/>", accepted},
	{"XML-10 white space around the equals sign", "<e a = \n'x'/>", accepted},
	{"XML-10 line end by reference", "<e xmlns:u='urn:u' u:Id='a&#10;b'/>", accepted},
	{"XML-10 no quotes", "<e a=1/>", "XML-10"},
	{"XML-10 no value", "<e a/>", "XML-10"},
	{"XML-10 no value before another", "<e a b='1'/>", "XML-10"},
	{"XML-10 less-than", "<e a='x<y'/>", "XML-10"},
	{"XML-10 tab", "<e a='x\ty'/>", "XML-10"},
	{"XML-10 line feed", "<e a='x\ny'/>", "XML-10"},
	{"XML-10 CR LF", "<e a='x\r\ny'/>", "XML-10"},
	{"XML-10 line feed in a namespace", "<e xmlns='x\ny'/>", "XML-10"},

	{"XML-11 same local name in two namespaces", "<e xmlns:p='urn:p' xmlns:q='urn:q' p:a='1' q:a='1' a='1'/>", accepted},
	{"XML-11 default namespace is not for attributes", "<e xmlns='urn:x' xmlns:p='urn:x' a='1' p:a='2'/>", accepted},
	{"XML-11 names that differ in case", "<e Id='1' ID='2' id='3'/>", accepted},
	{"XML-11 twice", "<e a='1' a='1'/>", "XML-11"},
	{"XML-11 twice, not in a row", "<e a='1' b='2' a='1'/>", "XML-11"},
	{"XML-11 twice by two prefixes", "<e xmlns:u='urn:u' u:Id='1' v:Id='2' xmlns:v='urn:u'/>", "XML-11"},
	{"XML-11 prefix from an outer element", "<e xmlns:u='urn:u'><f xmlns:v='urn:u' u:Id='1' v:Id='2'/></e>", "XML-11"},
	{"XML-11 default namespace twice", "<e xmlns='urn:1' xmlns='urn:1'/>", "XML-11"},
	{"XML-11 prefix twice", "<e xmlns:p='urn:1' xmlns:q='urn:3' xmlns:p='urn:2'/>", "XML-11"},
	{"XML-11 language twice", "<e xml:lang='en' xml:lang='en'/>", "XML-11"},

	{"XML-12 white space before ends", "<e ><f /></e \n>", accepted},
	{"XML-12 no white space between attributes", "<e a='1'b='2'/>", "XML-12"},
	{"XML-12 junk behind the name", "<e$ a='1'/>", "XML-12"},
	{"XML-12 blank before a name", "< e/>", "XML-12"},
	{"XML-12 blank before the name of an end tag", "<e></ e>", "XML-12"},
	{"XML-12 blank behind the slash", "<e / >", "XML-12"},
	{"XML-12 slash between attributes", "<e /a='1'>", "XML-12"},
	{"XML-12 attribute in an end tag", "<e></e a='1'>", "XML-12"},
	{"XML-12 other case in the end tag", "<e></E>", "XML-12"},
	{"XML-12 longer name in the end tag", "<e></ee>", "XML-12"},
	{"XML-12 shorter name in the end tag", "<ee></e>", "XML-12"},
	{"XML-12 other prefix for the same namespace", "<p:e xmlns:p='urn:x' xmlns:q='urn:x'></q:e>", "XML-12"},
	{"XML-12 prefix missing in the end tag", "<p:e xmlns:p='urn:x'></e>", "XML-12"},
	{"XML-12 overlapping elements", "<e><f></e></f>", "XML-12"},
	{"XML-12 end tag first", "</e>", "XML-12"},
	{"XML-12 end tag behind the root", "<e/></e>", "XML-12"},

	{"XML-13 declared behind its use", "<p:e p:a='1' xmlns:p='urn:x'/>", accepted},
	{"XML-13 declared anew inside", "<p:e xmlns:p='urn:1'><p:f xmlns:p='urn:2'/></p:e>", accepted},
	{"XML-13 default namespace taken back", "<e xmlns='urn:a'><f xmlns=''/></e>", accepted},
	{"XML-13 namespace in capitals", "<e xmlns='URN:D'/>", accepted},
	{"XML-13 language", "<e xml:lang='en'/>", accepted},
	{"XML-13 language with region", "<e xml:lang='de-Latn-DE-1996'/>", accepted},
	{"XML-13 shortest and longest languages", "<e xml:lang='z-0-AZaz0189'><f xml:lang='AzZabcde-9'/></e>", accepted},
	{"XML-13 language with an underscore", "<e xml:lang='en_US'/>", "XML-13"},
	{"XML-13 language with a slash", "<e xml:lang='en-/'/>", "XML-13"},
	{"XML-13 language with a colon", "<e xml:lang='en-:'/>", "XML-13"},
	{"XML-13 element without prefix named xml", "<xml/>", accepted},
	{"XML-13 undeclared prefix of an element", "<p:e/>", "XML-13"},
	{"XML-13 undeclared prefix of an attribute", "<e p:a='1'/>", "XML-13"},
	{"XML-13 prefix of a sibling", "<e><f xmlns:p='urn:p'/><p:g/></e>", "XML-13"},
	{"XML-13 prefix of a closed sibling", "<e><f xmlns:p='urn:p'></f><p:g/></e>", "XML-13"},
	{"XML-13 prefix taken back", "<p:e xmlns:p='urn:x'><f xmlns:p=''/></p:e>", "XML-13"},
	{"XML-13 xml declared", "<e xmlns:xml='http://www.w3.org/XML/1998/namespace'/>", "XML-13"},
	{"XML-13 xmlns declared", "<e xmlns:xmlns='urn:e'/>", "XML-13"},
	{"XML-13 prefix bound to the namespace of xml", "<e xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "XML-13"},
	{"XML-13 prefix bound to the namespace of xmlns", "<e xmlns:p='http://www.w3.org/2000/xmlns/'/>", "XML-13"},
	{"XML-13 default bound to the namespace of xml", "<e xmlns='http://www.w3.org/XML/1998/namespace'/>", "XML-13"},
	{"XML-13 namespace named xmlns", "<e xmlns:p='xmlns' p:a='1'/>", "XML-13"},
	{"XML-13 namespace named xml", "<e xmlns='xml'/>", "XML-13"},
	{"XML-13 reference in a namespace", "<e xmlns='urn&#58;d'/>", "XML-13"},
	{"XML-13 blanks in a namespace", "<e xmlns='  urn:d  '/>", "XML-13"},
	{"XML-13 prefix that begins with xml", "<e xmlns:xmlfoo='urn:x'/>", "XML-13"},
	{"XML-13 prefix that begins with XML", "<XML:e xmlns:XML='urn:x'/>", "XML-13"},
	{"XML-13 element with prefix xml", "<xml:e/>", "XML-13"},
	{"XML-13 element with prefix xmlns", "<xmlns:e/>", "XML-13"},
	{"XML-13 xml:space", "<e xml:space='preserve'/>", "XML-13"},
	{"XML-13 xml:base", "<e xml:base='http://x/'/>", "XML-13"},
	{"XML-13 xml:id", "<e xml:id='x'/>", "XML-13"},
	{"XML-13 empty language", "<e xml:lang=''/>", "XML-13"},
	{"XML-13 language of nine letters", "<e xml:lang='abcdefghi'/>", "XML-13"},
	{"XML-13 language with a digit first", "<e xml:lang='1n'/>", "XML-13"},
	{"XML-13 language with an empty part", "<e xml:lang='en-'/>", "XML-13"},
	{"XML-13 language by reference", "<e xml:lang='&#101;n'/>", "XML-13"},

	{"XML-14 letters, digits, hyphen, dot, underscore", "<_e-1.x><a.b/></_e-1.x>", accepted},
	{"XML-14 first and last letters", "<AZaz09><a/><z/><A/><Z/></AZaz09>", accepted},
	{"XML-14 first byte that is not ASCII", "<e\u0080x/>", "XML-14"},
	{"XML-14 digit first", "<1e/>", "XML-14"},
	{"XML-14 dot first", "<.e/>", "XML-14"},
	{"XML-14 letter that is not ASCII", "<\u00e9/>", "XML-14"},
	{"XML-14 later letter that is not ASCII", "<e\u00b7x/>", "XML-14"},
	{"XML-14 no-break space", "<e\u00a0a='1'/>", "XML-14"},
	{"XML-14 no name", "<>", "XML-14"},
	{"XML-14 colon first", "<:e/>", "XML-14"},
	{"XML-14 colon last", "<e:/>", "XML-14"},
	{"XML-14 two colons", "<a:b:c xmlns:a='urn:a'/>", "XML-14"},
	{"XML-14 digit behind the colon", "<a:1 xmlns:a='urn:a'/>", "XML-14"},
	{"XML-14 attribute with colon first", "<e :a='1'/>", "XML-14"},
	{"XML-14 attribute with two colons", "<e xmlns:a='urn:a' a:b:c='1'/>", "XML-14"},
	{"XML-14 attribute with digit first", "<e 1='1'/>", "XML-14"},
	{"XML-14 declaration without prefix", "<e xmlns:='urn:x'/>", "XML-14"},
	{"XML-14 declaration of a bad prefix", "<e xmlns:1='urn:x'/>", "XML-14"},

	{"XML-15 white space around the root", "\n  <e/>\r\n\t ", accepted},
	{"XML-15 empty document", "", "XML-15"},
	{"XML-15 only a byte order mark", "\ufeff", "XML-15"},
	{"XML-15 only white space", " \n", "XML-15"},
	{"XML-15 only a declaration", "<?xml version=\"1.0\"?>", "XML-15"},
	{"XML-15 text before the root", "a<e/>", "XML-15"},
	{"XML-15 text behind the root", "<e/>a", "XML-15"},
	{"XML-15 reference outside the root", "&#32;<e/>", "XML-15"},
	{"XML-15 comment before the root", "<!-- a --><e/>", "XML-15"},
	{"XML-15 comment behind the root", "<e/><!-- a -->", "XML-15"},
	{"XML-15 second root", "<e/><f/>", "XML-15"},
	{"XML-15 second root behind an end tag", "<e></e><e></e>", "XML-15"},
	{"XML-15 root not closed", "<e><f></f>", "XML-15"},
	{"XML-15 cut in text", "<e>a", "XML-15"},
	{"XML-15 cut in white space", "<e> ", "XML-15"},
	{"XML-15 cut behind an attribute name", "<e a", "XML-15"},
	{"XML-15 cut in a start tag", "<e a='1'", "XML-15"},
	{"XML-15 cut in a name", "<e", "XML-15"},
	{"XML-15 cut in a value", "<e a='1", "XML-15"},
	{"XML-15 cut behind an equals sign", "<e a=", "XML-15"},
	{"XML-15 cut behind a slash", "<e/", "XML-15"},
	{"XML-15 cut in a comment", "<e><!-- a", "XML-15"},
	{"XML-15 cut in the end of a comment", "<e><!-- a --", "XML-15"},
	{"XML-15 cut in an end tag", "<e></e", "XML-15"},
	{"XML-15 lone less-than", "<e/><", "XML-15"},
}

func TestRules(t *testing.T) {
	for _, c := range ruleCases {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range []soap.Profile{soap.Request, soap.Answer, soap.Metadata} {
				if got := ruleOf(t, c.src, p); got != c.rule {
					t.Errorf("profile %d: got rule %q, want %q", p, got, c.rule)
				}
			}
		})
	}
}

func TestErrorSaysWhereAndQuotesNothing(t *testing.T) {
	const secret = "hunter2"
	for _, c := range ruleCases {
		_, err := soap.Scan([]byte(strings.ReplaceAll(c.src, "a", secret)), soap.Request)
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error quotes the document: %v", c.name, err)
		}
	}
	_, err := soap.Scan([]byte("<e>\n<!DOCTYPE e></e>"), soap.Request)
	if got, want := err.Error(), "XML-06 at byte 4: DOCTYPE is not allowed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
