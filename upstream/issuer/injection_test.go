package issuer_test

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

const probeURI = "http://schemas.xmlsoap.org/claims/CommonName"

// TOK-01: whatever a directory holds, it is the text of one value, or there
// is no token.
func TestValuesCannotInject(t *testing.T) {
	tests := []struct {
		name, value string
		legal       bool
	}{
		{"less-than", "a<b", true},
		{"ampersand", "a&b", true},
		{"reference", "&lt;&#60;&amp;amp;", true},
		{"entity", "&xxe;", true},
		{"quotes", `a"b'c`, true},
		{"end of CDATA", "a]]>b", true},
		{"CDATA", "<![CDATA[x]]>", true},
		{"comment", "admin<!-- -->.evil", true},
		{"processing instruction", "<?x y?>", true},
		{"CR LF", "a\r\nb", true},
		{"CR", "a\rb", true},
		{"LF and TAB", "\ta\n", true},
		{"white space", "  ", true},
		{"empty", "", true},
		{"new attribute in SAML 1.1", `</saml:AttributeValue></saml:Attribute><saml:Attribute AttributeName="role" AttributeNamespace="urn:x"><saml:AttributeValue>admin`, true},
		{"new attribute in SAML 2.0", `</AttributeValue></Attribute><Attribute Name="urn:x/role"><AttributeValue>admin`, true},
		{"other scripts", "Zoë 東京 \U0001F600 \u202E", true},
		{"replacement character", "\uFFFD", true},
		{"64 KiB", strings.Repeat("<", 64<<10), true},
		{"NUL", "a\x00b", false},
		{"escape", "\x1b[2J", false},
		{"U+FFFE", "a\uFFFEb", false},
		{"U+FFFF", "a\uFFFFb", false},
		{"surrogate", "a\xed\xa0\x80b", false},
		{"not UTF-8", "a\xffb", false},
		{"overlong", "\xc0\xbc", false},
	}
	i := newIssuer(t, ecdsaPair(t))
	for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
		plain, err := i.Issue(t.Context(), request, grant(kind, wstrust.Claim{URI: probeURI, Values: []string{"v"}}))
		if err != nil {
			t.Fatal(err)
		}
		elements := len(scan(t, plain.Assertion).Elements())
		for _, tt := range tests {
			t.Run(kind.String()+" "+tt.name, func(t *testing.T) {
				g := grant(kind, wstrust.Claim{URI: probeURI, Values: []string{tt.value}})
				token, err := i.Issue(t.Context(), request, g)
				if !tt.legal {
					if err == nil || token != nil || !strings.Contains(err.Error(), "illegal in XML") {
						t.Errorf("got %v, %v, want it refused", token, err)
					}
					return
				}
				if err != nil {
					t.Fatalf("got %v, want a token", err)
				}
				d := scan(t, token.Assertion)
				if n := len(d.Elements()); n != elements {
					t.Errorf("got %d elements, want %d", n, elements)
				}
				want := []string{"alice@contoso.example", "staff", "R&D", tt.value}
				if got := values(t, d); !slices.Equal(got, want) {
					t.Errorf("scanner: got %.200q, want %.200q", got, want)
				}
				if got := valuesByTwin(t, token.Assertion); !slices.Equal(got, want) {
					t.Errorf("encoding/xml: got %.200q, want %.200q", got, want)
				}
			})
		}
	}
}

// The same for what is not a claim's value: an identifier, its format, a type.
func TestOtherTextsCannotInject(t *testing.T) {
	i := newIssuer(t, ecdsaPair(t))
	for name, change := range map[string]func(*wstrust.Grant, string){
		"name identifier": func(g *wstrust.Grant, v string) { g.NameID = v },
		"its format":      func(g *wstrust.Grant, v string) { g.NameFormat = v },
		"claim type":      func(g *wstrust.Grant, v string) { g.Claims[0].URI = "urn:x/" + v },
	} {
		for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
			for value, legal := range map[string]bool{"a\"'<>&]]>\r\n\t b": true, `"/><x y="`: true, "a\x00": false, "\xff": false} {
				g := grant(kind)
				change(g, value)
				token, err := i.Issue(t.Context(), request, g)
				if (err == nil) != legal {
					t.Errorf("%v %s %q: got %v, want issued %v", kind, name, value, err, legal)
				}
				if err == nil && len(valuesByTwin(t, token.Assertion)) != 3 {
					t.Errorf("%v %s %q: other values in %s", kind, name, value, token.Assertion)
				}
			}
		}
	}
}

func scan(t *testing.T, b []byte) *soap.Document {
	t.Helper()
	d, err := soap.Scan(b, soap.Answer)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// values returns the texts of all AttributeValue elements.
func values(t *testing.T, d *soap.Document) []string {
	t.Helper()
	var all []string
	for _, e := range d.Elements() {
		if e.Name.Local != "AttributeValue" {
			continue
		}
		text, err := d.Text(&e)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

// valuesByTwin does the same with encoding/xml.
func valuesByTwin(t *testing.T, b []byte) []string {
	t.Helper()
	var all []string
	inside := false
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if inside = token.Name.Local == "AttributeValue"; inside {
				all = append(all, "")
			}
		case xml.EndElement:
			inside = false
		case xml.CharData:
			if inside {
				all[len(all)-1] += string(token)
			}
		}
	}
}
