package xmlsig_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/xmlsig"
)

const evilID = "_evil"

// A victim is a signed answer as an attacker takes it apart.
type victim struct {
	root, rstr, token, assertion *etree.Element
	signed                       *etree.Element // assertion, or rstr
	signature                    *etree.Element
	idAttr                       string // of signed
	forger                       forger
}

func newVictim(t *testing.T, src string) *victim {
	t.Helper()
	v := &victim{root: parse(t, src), forger: pinned()}
	v.rstr = v.root.FindElement("//RequestSecurityTokenResponse")
	v.token = v.root.FindElement("//RequestedSecurityToken")
	v.assertion = v.token.ChildElements()[0]
	v.signature = v.root.FindElement("//Signature")
	v.signed = v.signature.Parent()
	for _, name := range []string{"ID", "AssertionID", "u:Id"} {
		if v.signed.SelectAttr(name) != nil {
			v.idAttr = name
		}
	}
	return v
}

func (v *victim) write() string { return string(xmlsig.Serialize(v.root)) }

// clean returns a copy of what is signed, without its signature.
func (v *victim) clean() *etree.Element {
	c := v.signed.Copy()
	for _, e := range c.ChildElements() {
		if e.Tag == "Signature" {
			c.RemoveChild(e)
		}
	}
	return c
}

// evil turns what an element says against its user.
func evil(e *etree.Element) *etree.Element {
	for i := range e.Attr {
		e.Attr[i].Value = strings.ReplaceAll(e.Attr[i].Value, "alice", "admin")
	}
	for _, c := range e.Child {
		switch c := c.(type) {
		case *etree.CharData:
			c.Data = strings.ReplaceAll(c.Data, "alice", "admin")
		case *etree.Element:
			evil(c)
		}
	}
	return e
}

func before(e, sibling *etree.Element) { sibling.Parent().InsertChildAt(sibling.Index(), e) }

// The attacks of "On Breaking SAML: Be Whoever You Want to Be" (2012), by
// their usual numbers. What is signed stands for Response in 1 and 2.
// container is where the ones that need a place put it.
var wrappings = map[string]func(v *victim, container *etree.Element){
	"XSW1": func(v *victim, _ *etree.Element) {
		c := v.clean()
		evil(v.signed).CreateAttr(v.idAttr, evilID)
		v.signature.AddChild(c)
	},
	"XSW2": func(v *victim, _ *etree.Element) {
		c := v.clean()
		evil(v.signed).CreateAttr(v.idAttr, evilID)
		before(c, v.signature)
	},
	"XSW3": func(v *victim, container *etree.Element) {
		c := evil(v.clean())
		c.CreateAttr(v.idAttr, evilID)
		container.InsertChildAt(0, c)
	},
	"XSW4": func(v *victim, container *etree.Element) {
		c := evil(v.clean())
		c.CreateAttr(v.idAttr, evilID)
		if container == v.signed || within(container, v.signed) {
			container = v.signed.Parent()
		}
		container.AddChild(c)
		c.AddChild(v.signed)
	},
	"XSW5": func(v *victim, container *etree.Element) {
		c := v.clean()
		evil(v.signed).CreateAttr(v.idAttr, evilID)
		container.AddChild(c)
	},
	"XSW6": func(v *victim, _ *etree.Element) {
		c := v.clean()
		evil(v.signed).CreateAttr(v.idAttr, evilID)
		v.signature.InsertChildAt(0, c)
	},
	"XSW7": func(v *victim, container *etree.Element) {
		extensions := etree.NewElement("Extensions")
		extensions.AddChild(evil(v.clean()))
		container.InsertChildAt(0, extensions)
	},
	"XSW8": func(v *victim, _ *etree.Element) {
		c := v.clean()
		evil(v.signed)
		v.signature.CreateElement("Object").AddChild(c)
	},
	"XSW8 in the namespace": func(v *victim, _ *etree.Element) {
		c := v.clean()
		evil(v.signed).CreateAttr(v.idAttr, evilID)
		v.signature.CreateElement("ds:Object").AddChild(c)
	},
	"XSW9 true SignedInfo first":  func(v *victim, container *etree.Element) { twoInfos(v, container, true) },
	"XSW9 false SignedInfo first": func(v *victim, container *etree.Element) { twoInfos(v, container, false) },
	"XSW10": func(v *victim, container *etree.Element) {
		s, c := v.signature.Copy(), v.signed.Copy()
		s.CreateElement("ds:Object").AddChild(c)
		evil(v.signed).CreateAttr(v.idAttr, v.signed.SelectAttrValue(v.idAttr, "")+"ffff")
		v.signed.RemoveChild(v.signature)
		container.InsertChildAt(0, s)
	},
	"CVE-2022-41912": func(v *victim, container *etree.Element) {
		c := evil(v.clean())
		c.CreateAttr(v.idAttr, v.signed.SelectAttrValue(v.idAttr, "")+"_attack")
		container.AddChild(c)
	},
	"CVE-2025-25292 without its DOCTYPE": func(v *victim, container *etree.Element) {
		c := v.signed.Copy()
		evil(v.signed)
		v.signature.FindElement(".//DigestValue").SetText("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
		container.AddChild(c)
	},
	"without a signature": func(v *victim, _ *etree.Element) {
		evil(v.signed).RemoveChild(v.signature)
	},
	"signature beside": func(v *victim, container *etree.Element) {
		evil(v.signed).RemoveChild(v.signature)
		container.AddChild(v.signature)
	},
}

func within(e, ancestor *etree.Element) bool {
	for ; e != nil; e = e.Parent() {
		if e == ancestor {
			return true
		}
	}
	return false
}

// twoInfos adds to the signature a SignedInfo that the attacker made for what
// stands there now, and keeps what was signed at the end (CVE-2025-29774).
func twoInfos(v *victim, container *etree.Element, trueFirst bool) {
	original := v.signed.Copy()
	info := v.signature.FindElement("SignedInfo")
	evil(v.signed).CreateAttr(v.idAttr, evilID)
	fake := info.Copy()
	fake.FindElement("Reference").CreateAttr("URI", "#"+evilID)
	fake.FindElement(".//DigestValue").SetText(strings.Repeat("A", 43) + "=")
	at := info.Index()
	if trueFirst {
		at++
	}
	v.signature.InsertChildAt(at, fake)
	container.CreateElement("Wrapper").AddChild(original)
}

// SIG-01: of a message that was rearranged around a true signature nothing is
// accepted, wherever the pieces are put, and no assertion in it verifies that
// says something else than what was signed.
func TestWrappings(t *testing.T) {
	for _, name := range append(signedAnswers, "on the RSTR", "on the RSTR and the assertion") {
		for attack, apply := range wrappings {
			for _, container := range []string{"Envelope", "Header", "Body", "RequestSecurityTokenResponse", "RequestedSecurityToken", "Assertion", "Signature", "KeyInfo"} {
				t.Run(name+"/"+attack+"/"+container, func(t *testing.T) {
					v := newVictim(t, signedOn(t, name))
					place := v.root.FindElement("//" + container)
					if container == "Envelope" {
						place = v.root
					}
					apply(v, place)
					src := v.write()
					if _, _, err := check(verifier(t, pinned().certificate), src); err == nil {
						t.Errorf("accepted: %s", src)
					}
					nothingEvil(t, src)
				})
			}
		}
	}
}

// signedOn returns a signed answer: one of ours, or one whose response is
// signed by its u:Id.
func signedOn(t *testing.T, name string) string {
	t.Helper()
	if !strings.HasPrefix(name, "on the RSTR") {
		return pinned().forge(t, message(t, name))
	}
	src := message(t, answer20)
	if strings.HasSuffix(name, "assertion") {
		src = pinned().forge(t, src)
	}
	signature := "<ds:Signature " + between(t, src, "<ds:Signature ", "</ds:Signature>") + "</ds:Signature>"
	own := strings.ReplaceAll(strings.ReplaceAll(message(t, answer20), id20, "_rstr"), "alice", "bob")
	own = "<ds:Signature " + between(t, own, "<ds:Signature ", "</ds:Signature>") + "</ds:Signature>"
	if !strings.HasSuffix(name, "assertion") {
		src = strings.Replace(src, signature, "", 1)
	}
	return pinned().forge(t, edit(t, src, "<trust:RequestSecurityTokenResponse>", `<trust:RequestSecurityTokenResponse u:Id="_rstr">`+own))
}

// nothingEvil checks each assertion in a document by itself.
func nothingEvil(t *testing.T, src string) {
	t.Helper()
	d, err := soap.Scan([]byte(src), soap.Answer)
	if err != nil {
		return
	}
	elements := d.Elements()
	for i := range elements {
		if _, err := verifier(t, pinned().certificate).Verify(d, &elements[i]); err == nil && bytes.Contains(d.Raw(&elements[i]), []byte("admin")) {
			t.Errorf("verified what nobody signed: %s", d.Raw(&elements[i]))
		}
	}
}

// The answers that are attacked are accepted as long as they are not, and the
// tree that takes them apart leaves them whole.
func TestVictimsAreSound(t *testing.T) {
	for _, name := range signedAnswers {
		accepted(t, newVictim(t, signedOn(t, name)).write(), pinned().certificate, pinned().certificate)
	}
	src := newVictim(t, signedOn(t, "on the RSTR and the assertion")).write()
	accepted(t, src, pinned().certificate, pinned().certificate)
	src = newVictim(t, signedOn(t, "on the RSTR")).write()
	refused(t, src, "SIG-03", pinned().certificate)
}

// SIG-01: the transforms of four public vulnerabilities as SAML Raider ships
// them, as far as they are text.
func TestVulnerabilities(t *testing.T) {
	signed := pinned().forge(t, message(t, answer20))
	unsigned := strings.Replace(signed, between(t, signed, "</Issuer>", "<Subject>"), "", 1)
	changed := edit(t, unsigned, "alice", "admin")
	const end = "</s:Envelope>"
	for _, tt := range []struct{ name, src, rules string }{
		{"CVE-2025-23369, id by entity", edit(t, "<!DOCTYPE response [<!ENTITY id '"+id20+"'><!ENTITY p '&#x50;'>]>"+changed, `ID="`+id20, `ID="&id;`), "XML-06"},
		{"CVE-2025-23369, without its DOCTYPE", edit(t, changed, `ID="`+id20, `ID="&id;`), "XML-05"},
		{"CVE-2025-23369, id by character", edit(t, edit(t, signed, "alice", "admin"), `ID="_`, `ID="&#x5f;`), "SIG-04"},
		{"CVE-2025-25291", "<!DOCTYPE response SYSTEM 'x\"><!--'>\n" + strings.TrimSuffix(changed, end) + "<![CDATA[-->\n" + strings.TrimSuffix(signed, end) + "<!--]]>-->\n" + end, "XML-06"},
		{"CVE-2025-25291, without its DOCTYPE", strings.TrimSuffix(changed, end) + "<![CDATA[-->\n" + strings.TrimSuffix(signed, end) + "<!--]]>-->\n" + end, "XML-08"},
		{"CVE-2025-25292", `<!DOCTYPE Response [<!ATTLIST Signature xmlns CDATA #FIXED "http://www.w3.org/2000/09/xmldsig#" xmlns CDATA "block">]>` + signed, "XML-06"},
		{"CVE-2025-25292, its namespace", edit(t, signed, "<Assertion ", "<Assertion xmlns:example=\"http://example.com\u0080\" "), "XML-20"},
		{"CVE-2025-66568", fillNothing(t, edit(t, signed, "<Assertion ", `<Assertion xmlns:a="a/b" `)), "XML-20"},
		{"CVE-2025-29775", edit(t, edit(t, signed, "alice", "admin"), "<ds:DigestValue>", "<ds:DigestValue><!--AAAA-->"), "XML-09"},
		{"comment in a claim", edit(t, signed, "alice@", "admin<!-- -->@"), "XML-09"},
		{"comment between elements", edit(t, signed, "<Conditions ", "<!-- admin --><Conditions "), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.rules == "" { // the canonical form is the same
				accepted(t, tt.src, pinned().certificate, pinned().certificate)
			} else {
				refused(t, tt.src, tt.rules, pinned().certificate)
			}
		})
	}
}

func fillNothing(t *testing.T, src string) string {
	return pinned().value(t, fill(src, "DigestValue", hashed(pinned().digest, nil)))
}

// SIG-01: claims are read from the element that was verified.
func TestVerifiedIsWhatWasRead(t *testing.T) {
	a, verified, err := check(verifier(t, pinned().certificate), pinned().forge(t, message(t, answer11)))
	if err != nil {
		t.Fatal(err)
	}
	d, _ := a.Signed()
	if id, _ := d.Attr(verified.Element, soap.Name{Local: "AssertionID"}); id != a.Assertion.ID || a.Assertion.Kind != wstrust.SAML11 {
		t.Errorf("got id %s, want %s", id, a.Assertion.ID)
	}
}
