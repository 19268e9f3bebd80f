package xmlsig_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// A refusedAlgorithm is a way to sign that is not accepted.
type refusedAlgorithm struct {
	name, method, digestURI string
	key                     crypto.Signer
	digest                  crypto.Hash
	sign                    func([]byte) ([]byte, error)
	want                    string
}

func refusedAlgorithms(t *testing.T, strong, weak, p256, p384 crypto.Signer) []refusedAlgorithm {
	t.Helper()
	const dsig = `"http://www.w3.org/2000/09/xmldsig#`
	const newer = `"http://www.w3.org/2007/05/xmldsig-more#`
	pss := func(salt int) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) {
			return rsa.SignPSS(rand.Reader, strong.(*rsa.PrivateKey), crypto.SHA256, hashed(crypto.SHA256, b), &rsa.PSSOptions{SaltLength: salt})
		}
	}
	mac := func(hash crypto.Hash) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) {
			m := hmac.New(hash.New, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t, strong).Raw}))
			m.Write(b)
			return m.Sum(nil), nil
		}
	}
	asn1 := func(b []byte) ([]byte, error) {
		return p256.Sign(rand.Reader, hashed(crypto.SHA256, b), crypto.SHA256)
	}
	rsa256 := signPKCS1(strong, crypto.SHA256)
	return []refusedAlgorithm{
		{"rsa-sha1", dsig + `rsa-sha1"`, dsig + `sha1"`, strong, crypto.SHA1, signPKCS1(strong, crypto.SHA1), "SIG-06"},
		{"rsa-sha1 with SHA-256", dsig + `rsa-sha1"`, digestSHA256, strong, crypto.SHA256, signPKCS1(strong, crypto.SHA1), "SIG-06"},
		{"rsa-sha256 with SHA-1", rsaSHA256, dsig + `sha1"`, strong, crypto.SHA1, rsa256, "SIG-06"},
		{"rsa-sha256 with MD5", rsaSHA256, more("md5"), strong, crypto.MD5, rsa256, "SIG-06"},
		{"rsa-md5", more("rsa-md5"), digestSHA256, strong, crypto.SHA256, signPKCS1(strong, crypto.MD5), "SIG-06"},
		{"rsa-sha224", more("rsa-sha224"), digestSHA256, strong, crypto.SHA256, signPKCS1(strong, crypto.SHA224), "SIG-06"},
		{"dsa-sha1", dsig + `dsa-sha1"`, digestSHA256, strong, crypto.SHA256, rsa256, "SIG-06"},
		{"ecdsa-sha1", more("ecdsa-sha1"), digestSHA256, p256, crypto.SHA256, signRS(p256, crypto.SHA1), "SIG-06"},
		{"ecdsa-sha512", more("ecdsa-sha512"), digestSHA256, p384, crypto.SHA256, signRS(p384, crypto.SHA512), "SIG-06"},
		{"hmac-sha256 keyed with the PEM", more("hmac-sha256"), digestSHA256, strong, crypto.SHA256, mac(crypto.SHA256), "SIG-06"},
		{"hmac-sha1 keyed with the PEM", dsig + `hmac-sha1"`, digestSHA256, strong, crypto.SHA256, mac(crypto.SHA1), "SIG-06"},
		{"HMAC under the name of rsa-sha256", rsaSHA256, digestSHA256, strong, crypto.SHA256, mac(crypto.SHA256), "SIG-05"},
		{"sha256-rsa-MGF1", newer + `sha256-rsa-MGF1"`, digestSHA256, strong, crypto.SHA256, pss(32), "SIG-06"},
		{"PSS under the name of rsa-sha256", rsaSHA256, digestSHA256, strong, crypto.SHA256, pss(32), "SIG-05"},
		{"PSS with an odd salt", rsaSHA256, digestSHA256, strong, crypto.SHA256, pss(21), "SIG-05"},
		{"RSA of 1024 bits", rsaSHA256, digestSHA256, weak, crypto.SHA256, signPKCS1(weak, crypto.SHA256), "SIG-05"},
		{"rsa-sha512 under the name of rsa-sha256", rsaSHA256, digestSHA256, strong, crypto.SHA256, signPKCS1(strong, crypto.SHA512), "SIG-05"},
		{"RSA under the name of ecdsa-sha256", more("ecdsa-sha256"), digestSHA256, strong, crypto.SHA256, rsa256, "SIG-05"},
		{"ECDSA under the name of rsa-sha256", rsaSHA256, digestSHA256, p256, crypto.SHA256, signRS(p256, crypto.SHA256), "SIG-05"},
		{"P-384 under the name of ecdsa-sha256", more("ecdsa-sha256"), digestSHA256, p384, crypto.SHA256, signRS(p384, crypto.SHA256), "SIG-05"},
		{"P-256 under the name of ecdsa-sha384", more("ecdsa-sha384"), digestSHA256, p256, crypto.SHA256, signRS(p256, crypto.SHA384), "SIG-05"},
		{"ECDSA in ASN.1", more("ecdsa-sha256"), digestSHA256, p256, crypto.SHA256, asn1, "SIG-05"},
		{"ECDSA with a zero between", more("ecdsa-sha256"), digestSHA256, p256, crypto.SHA256, func(b []byte) ([]byte, error) {
			value, err := signRS(p256, crypto.SHA256)(b)
			return slices.Insert(value, 32, 0), err
		}, "SIG-05"},
		{"ECDSA of zeros", more("ecdsa-sha256"), digestSHA256, p256, crypto.SHA256, func([]byte) ([]byte, error) { return make([]byte, 64), nil }, "SIG-05"},
		{"SHA-512 under the name of SHA-256", rsaSHA256, digestSHA256, strong, crypto.SHA512, rsa256, "SIG-07"},
		{"SHA-256 under the name of SHA-512", rsaSHA256, digestSHA512, strong, crypto.SHA256, rsa256, "SIG-07"},
		{"no algorithm", `""`, digestSHA256, strong, crypto.SHA256, rsa256, "SIG-06"},
		{"an algorithm by reference", strings.Replace(rsaSHA256, "h", "&#x68;", 1), digestSHA256, strong, crypto.SHA256, rsa256, "SIG-06"},
		{"an algorithm in upper case", strings.ToUpper(rsaSHA256), digestSHA256, strong, crypto.SHA256, rsa256, "SIG-06"},
	}
}

// What the signature of answer20 is made of.
const (
	id20       = `_c41d7e92-5f08-4b3a-8d6c-0e1f2a3b4c5d`
	uri20      = ` URI="#` + id20 + `"`
	excC14N    = `"http://www.w3.org/2001/10/xml-exc-c14n#"`
	method     = `<ds:CanonicalizationMethod Algorithm=` + excC14N + `/>`
	enveloped  = `<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>`
	exclusive  = `<ds:Transform Algorithm=` + excC14N + `/>`
	digestOf   = `<ds:DigestMethod Algorithm=` + digestSHA256 + `/>`
	digestNone = `<ds:DigestValue>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</ds:DigestValue>`
	reference  = `<ds:Reference` + uri20 + `><ds:Transforms>` + enveloped + exclusive + `</ds:Transforms>` + digestOf + digestNone + `</ds:Reference>`
	canary     = "http://127.0.0.1:1/canary"
)

// shapes are signatures in another shape than the one that is accepted. Each
// is signed by the pinned key, as far as it can be.
var shapes = []struct {
	name  string
	edits []string
	want  string
}{
	// The same, written otherwise.
	{"line ends between elements", []string{"<ds:SignedInfo>", "\r\n<ds:SignedInfo>\n", "</ds:SignedInfo>", "\t</ds:SignedInfo> ", "<ds:Transforms>", "<ds:Transforms>\n"}, ""},
	{"comments between elements", []string{"<ds:SignedInfo>", "<!-- a --><ds:SignedInfo><!-- b -->", "</ds:Transforms>", "<!-- c --></ds:Transforms>"}, ""},
	{"another prefix", []string{"ds:", "x:", "xmlns:ds", "xmlns:x"}, ""},
	{"declared outside", []string{` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`, "", "<s:Envelope", `<s:Envelope xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`}, ""},
	{"end tags", []string{enveloped, strings.Replace(enveloped, "/>", "></ds:Transform >", 1)}, ""},

	// SIG-03
	{"no Signature", []string{"<ds:Signature ", "<ds:Sign ", "</ds:Signature>", "</ds:Sign>"}, "SIG-03"},
	{"Signature of another namespace", []string{`xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`, `xmlns:ds="http://www.w3.org/2000/09/xmldsig"`}, "SIG-03"},
	{"an attribute of Signature", []string{"<ds:Signature ", `<ds:Signature Type="x" `}, "SIG-03"},
	{"an id of Signature", []string{"<ds:Signature ", `<ds:Signature Id="_s" `}, "SIG-03"},
	{"an attribute of SignedInfo", []string{"<ds:SignedInfo>", `<ds:SignedInfo Id="_i">`}, "SIG-03"},
	{"an attribute of SignatureValue", []string{"<ds:SignatureValue>", `<ds:SignatureValue Id="_v">`}, "SIG-03"},
	{"an attribute of Transforms", []string{"<ds:Transforms>", `<ds:Transforms a="">`}, "SIG-03"},
	{"an attribute of DigestValue", []string{"<ds:DigestValue>", `<ds:DigestValue a="">`}, "SIG-03"},
	{"text in Signature", []string{"<ds:SignatureValue>", "x<ds:SignatureValue>"}, "SIG-03"},
	{"text in SignedInfo", []string{"<ds:Reference", "x<ds:Reference"}, "SIG-03"},
	{"text in a Transform", []string{enveloped, strings.Replace(enveloped, "/>", ">x</ds:Transform>", 1)}, "SIG-03"},
	{"SignatureValue first", []string{"<ds:SignedInfo>", "<ds:SignatureValue>AAAA</ds:SignatureValue><ds:SignedInfo>"}, "SIG-03"},
	{"two SignatureValues", []string{"</ds:SignatureValue>", "</ds:SignatureValue><ds:SignatureValue>AAAA</ds:SignatureValue>"}, "SIG-03"},
	{"two KeyInfos", []string{"</KeyInfo>", "</KeyInfo><ds:KeyInfo/>"}, "SIG-03"},
	{"an Object", []string{"</ds:Signature>", "<ds:Object/></ds:Signature>"}, "SIG-03"},
	{"an Object instead of KeyInfo", []string{"KeyInfo", "Object"}, "SIG-03"},
	{"a Manifest", []string{"</ds:Signature>", "<ds:Object><ds:Manifest>" + reference + "</ds:Manifest></ds:Object></ds:Signature>"}, "SIG-03"},
	{"two SignedInfos", []string{"</ds:SignedInfo>", "</ds:SignedInfo><ds:SignedInfo>" + reference + "</ds:SignedInfo>"}, "SIG-03"},
	{"two References", []string{reference, reference + reference}, "SIG-03"},
	{"no Reference", []string{reference, ""}, "SIG-03"},
	{"inclusive canonicalization", []string{method, strings.Replace(method, excC14N, `"http://www.w3.org/TR/2001/REC-xml-c14n-20010315"`, 1)}, "SIG-03"},
	{"canonicalization 1.1", []string{method, strings.Replace(method, excC14N, `"http://www.w3.org/2006/12/xml-c14n11"`, 1)}, "SIG-03"},
	{"canonicalization with comments", []string{method, strings.Replace(method, "n#", "n#WithComments", 1)}, "SIG-03"},
	{"canonicalization by an address", []string{method, strings.Replace(method, excC14N, `"`+canary+`"`, 1)}, "SIG-03"},
	{"inclusive prefixes", []string{method, strings.Replace(method, "/>", `><ec:InclusiveNamespaces xmlns:ec=`+excC14N+` PrefixList="ds"/></ds:CanonicalizationMethod>`, 1)}, "SIG-03"},
	{"no inclusive prefixes, in so many words", []string{exclusive, strings.Replace(exclusive, "/>", `><ec:InclusiveNamespaces xmlns:ec=`+excC14N+` PrefixList=""/></ds:Transform>`, 1)}, "SIG-03"},
	{"only enveloped", []string{exclusive, ""}, "SIG-03"},
	{"only exclusive", []string{enveloped, ""}, "SIG-03"},
	{"no Transforms", []string{"<ds:Transforms>" + enveloped + exclusive + "</ds:Transforms>", ""}, "SIG-03"},
	{"transforms in the other order", []string{enveloped + exclusive, exclusive + enveloped}, "SIG-03"},
	{"exclusive twice", []string{enveloped, exclusive}, "SIG-03"},
	{"another attribute of a Transform", []string{"<ds:Transform Algorithm", "<ds:Transform Name"}, "SIG-03"},
	{"three transforms", []string{exclusive, exclusive + exclusive}, "SIG-03"},
	{"inclusive transform", []string{exclusive, strings.Replace(exclusive, excC14N, `"http://www.w3.org/TR/2001/REC-xml-c14n-20010315"`, 1)}, "SIG-03"},
	{"XSLT", []string{exclusive, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"><x:template match="/"><x:copy-of select="document('` + canary + `')"/></x:template></x:stylesheet></ds:Transform>`}, "SIG-03"},
	{"XPath", []string{exclusive, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(self::x)</ds:XPath></ds:Transform>`}, "SIG-03"},
	{"base64 transform", []string{exclusive, strings.Replace(exclusive, excC14N, `"http://www.w3.org/2000/09/xmldsig#base64"`, 1)}, "SIG-03"},
	{"two attributes of a Transform", []string{"<ds:Transform ", `<ds:Transform Id="_t" `}, "SIG-03"},
	{"an algorithm with a prefix", []string{"<ds:Transform Algorithm", "<ds:Transform ds:Algorithm"}, "SIG-03"},
	{"a DigestMethod with a child", []string{digestOf, strings.Replace(digestOf, "/>", "><ds:X/></ds:DigestMethod>", 1)}, "SIG-03"},
	{"a SignatureMethod with HMACOutputLength", []string{rsaSHA256 + "/>", rsaSHA256 + "><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>"}, "SIG-03"},
	{"a second digest", []string{digestNone, digestNone + digestNone}, "SIG-03"},
	{"no URI", []string{uri20, ""}, "SIG-03"},
	{"an empty URI", []string{uri20, ` URI=""`}, "SIG-03"},
	{"an empty fragment", []string{uri20, ` URI="#"`}, "SIG-03"},
	{"another id", []string{uri20, ` URI="#_0"`}, "SIG-03"},
	{"an external URI", []string{uri20, ` URI="` + canary + `"`}, "SIG-03"},
	{"an external URI with the id", []string{uri20, ` URI="` + canary + "#" + id20 + `"`}, "SIG-03"},
	{"an xpointer", []string{uri20, ` URI="#xpointer(id('` + id20 + `'))"`}, "SIG-03"},
	{"a URI with a reference", []string{uri20, strings.Replace(uri20, "_", "&#x5f;", 1)}, "SIG-03"},
	{"a URI with a type", []string{uri20, uri20 + ` Type="http://www.w3.org/2000/09/xmldsig#Object"`}, "SIG-03"},
	{"a Reference with an id", []string{uri20, uri20 + ` Id="_r"`}, "SIG-03"},
	{"a Signature that is no child", []string{"<ds:Signature ", "<x><ds:Signature ", "</ds:Signature>", "</ds:Signature></x>"}, "SIG-03"},
	{"the Signature twice", []string{"<Subject>", `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>` + method +
		`<ds:SignatureMethod Algorithm=` + rsaSHA256 + `/>` + reference + `</ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue></ds:Signature><Subject>`}, "SIG-03"},
	{"a second Signature", []string{"<Subject>", `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/><Subject>`}, "SIG-03"},
	{"a Signature in an attribute", []string{"<AttributeValue>staff<", `<AttributeValue><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/><`}, "SIG-03"},

	// SIG-04
	{"an id that stands twice", []string{"<Conditions ", `<Conditions Id="` + id20 + `" `}, "SIG-04"},
	{"the id on the collection", []string{"<trust:RequestSecurityTokenResponse>", `<trust:RequestSecurityTokenResponse ID="` + id20 + `">`}, "SIG-04"},
	{"the id with a prefix", []string{`u:Id="_0"`, `u:Id="` + id20 + `"`}, "SIG-04"},
	{"the id as AssertionID", []string{`<trust:TokenType`, `<trust:TokenType AssertionID="` + id20 + `"`}, "SIG-04"},
	{"the id as id, by reference", []string{`<trust:TokenType`, `<trust:TokenType id="` + strings.Replace(id20, "_", "&#95;", 1) + `"`}, "SIG-04"},
	{"the id as xml:id", []string{`<trust:TokenType`, `<trust:TokenType xml:id="` + id20 + `"`}, "XML-13"},
	{"a second id of the assertion", []string{"<Assertion ", `<Assertion Id="_2" `}, "SIG-04"},
	{"an id with a prefix too", []string{"<Assertion ", `<Assertion u:ID="` + id20 + `" `}, "SIG-04"},
	{"the id of SAML 1.1", []string{"<Assertion ID", "<Assertion AssertionID"}, "SIG-10 SIG-04"},
	{"an id by reference", []string{`<Assertion ID="_`, `<Assertion ID="&#95;`}, "SIG-04"},
	{"an id that is no name", []string{id20, "1" + id20}, "SIG-04"},
	{"an id that is an xpointer", []string{id20, "xpointer(/)"}, "SIG-04"},
	{"another id that stands twice is no matter", []string{`<trust:TokenType`, `<trust:TokenType Id="_0"`}, ""},

	// XML-20
	{"a relative namespace in use", []string{"<AttributeStatement>", `<AttributeStatement><x:y xmlns:x="x/y"/>`}, "XML-20"},
	{"a relative namespace not in use", []string{"<AttributeStatement>", `<AttributeStatement xmlns:x="//example.com">`}, "XML-20"},
	{"a relative namespace around", []string{"<s:Body>", `<s:Body xmlns:x="1:2">`}, "XML-20"},
	{"a namespace with a letter that is not ASCII", []string{"<AttributeStatement>", `<AttributeStatement xmlns:x="urn:é">`}, "XML-20"},
	{"a namespace that is a scheme", []string{"<AttributeStatement>", `<AttributeStatement xmlns:x="urn:">`}, "XML-20"},
	{"a namespace that is a name", []string{"<AttributeStatement>", `<AttributeStatement xmlns:x="urn">`}, "XML-20"},
	{"a namespace with a port", []string{"<AttributeStatement>", `<AttributeStatement xmlns:x="x+y-1.z://h:1/?a#b">`}, ""},
	{"a default namespace taken back", []string{"staff", `<x xmlns=""/>`}, ""},
}

// SIG-03, SIG-04, XML-20
func TestVerifyShape(t *testing.T) {
	for _, tt := range shapes {
		t.Run(tt.name, func(t *testing.T) {
			src := edit(t, message(t, answer20), tt.edits...)
			if !strings.Contains(src, "Signature>") {
				refused(t, src, tt.want, pinned().certificate)
				return
			}
			src = pinned().forge(t, src)
			if tt.want == "" {
				accepted(t, src, pinned().certificate, pinned().certificate)
			} else {
				refused(t, src, tt.want, pinned().certificate)
			}
		})
	}
}

// SIG-07, and CVE-2025-29775 with it: edits of a signed answer that a lenient
// reader does not notice.
func TestVerifyBase64(t *testing.T) {
	signed := pinned().forge(t, message(t, answer20))
	digest := between(t, signed, "<ds:DigestValue>", "<")
	value := between(t, signed, "<ds:SignatureValue>", "<")
	refill := func(old, text string) string { return pinned().value(t, strings.Replace(signed, old, text, 1)) }
	for _, tt := range []struct{ name, src, want string }{
		{"as it is", signed, ""},
		{"SignatureValue in lines", edit(t, signed, value, "\r\n"+value[:76]+"\n"+value[76:]+"\n"), ""},
		{"DigestValue in lines", refill(digest, "\n"+digest+"\r\n"), ""},
		{"DigestValue with a blank", refill(digest, digest+" "), "SIG-07"},
		{"DigestValue with a tab", refill(digest, "\t"+digest), "SIG-07"},
		{"DigestValue with a comment", refill(digest, digest[:4]+"<!---->"+digest[4:]), "XML-09"},
		{"DigestValue with a comment before", refill(digest, "<!-- -->"+digest), "XML-09"},
		{"DigestValue is a comment", refill(digest, "<!--"+digest+"-->"), "SIG-07"},
		{"DigestValue with an element", refill(digest, digest+"<ds:x/>"), "SIG-07"},
		{"DigestValue with a reference", refill(digest, strings.Replace(digest, "=", "&#x3d;", 1)), "SIG-07"},
		{"DigestValue with CR by reference", refill(digest, digest+"&#13;"), "SIG-07"},
		{"DigestValue with more padding", refill(digest, digest+"==="), "SIG-07"},
		{"DigestValue without padding", refill(digest, strings.TrimSuffix(digest, "=")), "SIG-07"},
		{"DigestValue with other last bits", refill(digest, digest[:42]+string(nextDigit(digest[42]))+"="), "SIG-07"},
		{"DigestValue cut short", refill(digest, digest[:40]), "SIG-07"},
		{"DigestValue with a tail", refill(digest, digest[:42]+"AAAA"), "SIG-07"},
		{"DigestValue is empty", refill(digest, ""), "SIG-07"},
		{"DigestValue of zeros", refill(digest, strings.Repeat("A", 43)+"="), "SIG-01"},
		{"DigestValue of nothing", refill(digest, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), "XML-20"},
		{"SignatureValue with a blank", edit(t, signed, value, " "+value), "SIG-07"},
		{"SignatureValue with a comment", edit(t, signed, value, value[:8]+"<!-- -->"+value[8:]), "XML-09"},
		{"SignatureValue with more padding", edit(t, signed, value, value+"="), "SIG-07"},
		{"SignatureValue with other last bits", edit(t, signed, value, value[:341]+string(nextDigit(value[341]))+"=="), "SIG-07"},
		{"SignatureValue is empty", edit(t, signed, value, ""), "SIG-07"},
		{"SignatureValue with zeros before", edit(t, signed, value, "AAAA"+value), "SIG-05"},
		{"SignatureValue cut short", edit(t, signed, value, value[4:]), "SIG-05"},
		{"SignatureValue of URL digits", edit(t, signed, value, "_-_-"+value[4:]), "SIG-07"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" {
				accepted(t, tt.src, pinned().certificate, pinned().certificate)
			} else {
				refused(t, tt.src, tt.want, pinned().certificate)
			}
		})
	}
}

// nextDigit returns the base64 digit after c, which differs in its last bit.
func nextDigit(c byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return digits[strings.IndexByte(digits, c)+1]
}

func between(t testing.TB, src, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(src, before)
	text, _, end := strings.Cut(rest, after)
	if !ok || !end {
		t.Fatalf("no text after %s", before)
	}
	return text
}

// XML-20: the digests of nothing by the other hashes.
func TestVerifyRefusesVoid(t *testing.T) {
	for uri, hash := range map[string]crypto.Hash{digestSHA256: crypto.SHA256, digestSHA384: crypto.SHA384, digestSHA512: crypto.SHA512} {
		src := pinned().forge(t, strings.Replace(message(t, answer20), digestSHA256, uri, 1))
		refused(t, pinned().value(t, fill(src, "DigestValue", hashed(hash, nil))), "XML-20", pinned().certificate)
	}
}

// SIG-09
func TestVerifyCountsElements(t *testing.T) {
	src := message(t, answer20)
	own := len(scan(t, between(t, src, "<trust:RequestedSecurityToken>", "</trust:RequestedSecurityToken>")).Elements())
	for more, want := range map[int]string{4096 - own: "", 4097 - own: "SIG-09"} {
		t.Run(fmt.Sprint(own+more), func(t *testing.T) {
			src := pinned().forge(t, edit(t, src, "<AttributeValue>staff", strings.Repeat("<AttributeValue/>", more)+"<AttributeValue>staff"))
			if want == "" {
				accepted(t, src, pinned().certificate, pinned().certificate)
			} else {
				refused(t, src, want, pinned().certificate)
			}
		})
	}
}

func TestVerifyRefusesOtherElements(t *testing.T) {
	d := scan(t, pinned().forge(t, message(t, answer20)))
	v := verifier(t, pinned().certificate)
	elements := d.Elements()
	verified := 0
	for i := range elements {
		if _, err := v.Verify(d, &elements[i]); err == nil {
			verified++
		} else if got := ruleOf(t, err); got != "SIG-03" {
			t.Errorf("%v: got %v, want SIG-03", elements[i].Name, err)
		}
	}
	if verified != 1 {
		t.Errorf("got %d elements verified, want the assertion only", verified)
	}
}

func scan(t testing.TB, src string) *soap.Document {
	t.Helper()
	d, err := soap.Scan([]byte(src), soap.Answer)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
