package oracle_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/testdata"
	"stsgate/testdata/oracle"
)

func judge(t *testing.T, j *oracle.Judge, document string) oracle.Verdict {
	t.Helper()
	v, err := j.Read([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What .NET's two readers are known to read differently, the judge tells apart.
func TestReadersDiffer(t *testing.T) {
	j := oracle.Start(t)
	const refused = "refused"
	for _, c := range []struct{ name, document, xml, wcf string }{
		{"plain", "<e a='&lt;'> x\r\ny</e>", `0{}e {}a=< =\u0020x\u000ay`, `0{}e {}a=< =\u0020x\u000ay`},
		{"not XML", "<e>", refused, refused},
		{"surrogate by reference", "<e>&#xD800;</e>", refused, `0{}e =\ud800`},
		{"surrogate pair by reference", "<e>&#xD83D;&#xDE00;</e>", refused, `0{}e =\ud83d\ude00`},
		{"NUL by reference", "<e>&#0;</e>", refused, `0{}e =\u0000`},
		{"CR LF in CDATA", "<e><![CDATA[\r\n]]></e>", `0{}e =\u000a`, `0{}e =\u000d\u000a`},
		{"processing instruction", "<e>a<?p?></e>", "0{}e +", refused},
		{"Latin 1", "<?xml version='1.0' encoding='iso-8859-1'?><e>\xe9</e>", `0{}e =\u00e9`, refused},
		{"UTF-16 without declaration", "\xff\xfe<\x00e\x00/\x00>\x00", "0{}e =", refused},
		{"comment", "<e>a<!-- -->b</e>", "0{}e +", "0{}e +"},
		{"nothing but a comment", "<!--><e/>-->", refused, refused},
		{"child", "<p:e xmlns:p='urn:p'> <f/> </p:e>", "0{urn:p}e|1{}f =", "0{urn:p}e|1{}f ="},
		{"tag of 4,100 bytes", "<e a='" + strings.Repeat("a", 4100) + "'/>", "0{}e {}a=" + strings.Repeat("a", 4100) + " =", refused},
	} {
		v := judge(t, j, c.document)
		for reader, got := range map[string]oracle.Reading{"XmlReader": v.XML, "WCF": v.WCF} {
			want := map[string]string{"XmlReader": c.xml, "WCF": c.wcf}[reader]
			lines := strings.Join(got.Elements, "|")
			if got.Refused != "" {
				lines = refused
			}
			if lines != want {
				t.Errorf("%s: %s: got %q (%s), want %q", c.name, reader, lines, got.Refused, want)
			}
		}
	}
}

func TestValues(t *testing.T) {
	j := oracle.Start(t)
	message := string(testdata.Message(t, "rst/wcf-13.xml"))
	want := map[string][]string{
		"Username":    {`CONTOSO\u005calice`},
		"Password":    {"Str0ng&<password>"},
		"Action":      {"http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue"},
		"To":          {"https://sts.contoso.example/adfs/services/trust/13/usernamemixed"},
		"RequestType": {"http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue"},
		"AppliesTo":   {"https://payroll.contoso.example/"},
	}
	v := judge(t, j, message)
	for _, got := range []oracle.Reading{v.XML, v.WCF} {
		if got.Unread != "" || !maps.EqualFunc(got.Values, want, slices.Equal) {
			t.Errorf("got %q, %s, want %q", got.Values, got.Unread, want)
		}
	}
	twice := strings.Replace(message, "<o:Username>", "<o:Username>bob</o:Username><o:Username>", 1)
	if got := judge(t, j, twice).WCF.Values["Username"]; len(got) != 2 || got[0] != "bob" {
		t.Errorf("two user names: got %q", got)
	}
	elsewhere := strings.Replace(message, "<s:Body>", `<s:Body><Username xmlns="`+soap.NSSecurity+`">bob</Username>`, 1)
	if got := judge(t, j, elsewhere).WCF.Values; !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("user name in another place: got %q, want %q", got, want)
	}
	v = judge(t, j, strings.Replace(message, "alice<", "al<b/>ice<", 1))
	if !strings.HasPrefix(v.XML.Unread, "Username ") || !strings.HasPrefix(v.WCF.Unread, "Username ") {
		t.Errorf("child in a user name: got %q, %q", v.XML.Unread, v.WCF.Unread)
	}
}

func TestDifference(t *testing.T) {
	const document = "<p:e xmlns:p='urn:p' b='2' p:a='1'>&#32;<f>x</f></p:e>"
	d, err := soap.Scan([]byte(document), soap.Request)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		lines  []string
		differ bool
	}{
		{"the same", []string{"0{urn:p}e {urn:p}a=1 {}b=2", "1{}f =x"}, false},
		{"the same, with text beside", []string{"0{urn:p}e {urn:p}a=1 {}b=2 +", "1{}f =x"}, false},
		{"another text", []string{"0{urn:p}e {urn:p}a=1 {}b=2", "1{}f =y"}, true},
		{"text beside where there is none", []string{"0{urn:p}e {urn:p}a=1 {}b=2", "1{}f +"}, true},
		{"another value", []string{"0{urn:p}e {urn:p}a=2 {}b=2", "1{}f =x"}, true},
		{"another namespace", []string{"0{urn:q}e {urn:p}a=1 {}b=2", "1{}f =x"}, true},
		{"another depth", []string{"0{urn:p}e {urn:p}a=1 {}b=2", "0{}f =x"}, true},
		{"an element more", []string{"0{urn:p}e {urn:p}a=1 {}b=2", "1{}f =x", "1{}f ="}, true},
	} {
		if got := (oracle.Reading{Elements: c.lines}).Difference(d); (got != "") != c.differ {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
	if got := (oracle.Reading{Refused: "x"}).Difference(d); got != "refused: x" {
		t.Errorf("got %q", got)
	}
}

func TestEscape(t *testing.T) {
	if got, want := oracle.Escape("a b\\{}=\t\u00e9\U0001f600"), `a\u0020b\u005c\u007b\u007d\u003d\u0009\u00e9\ud83d\ude00`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
