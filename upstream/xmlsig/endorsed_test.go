package xmlsig_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// A message whose sender signs Timestamp and To, as WCF does (protocol.md,
// section 3.6). DIGEST stands for what is filled in.
const endorsable = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="urn:u" xmlns:unused="urn:x">` +
	`<s:Header><a:To u:Id="_1" s:mustUnderstand="1">https://sts.example/</a:To><o:Security xmlns:o="urn:o">` +
	`<u:Timestamp u:Id="_0"><u:Created>2026-03-02T08:00:00Z</u:Created></u:Timestamp>` +
	`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#" Id="_2"><SignedInfo><CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>` +
	`<SignatureMethod Algorithm=` + rsaSHA256 + `/>` +
	`<Reference URI="#_0">` + transforms + `<DigestMethod Algorithm=` + digestSHA256 + `/><DigestValue>DIGEST Timestamp</DigestValue></Reference>` +
	`<Reference URI="#_1">` + transforms + `<DigestMethod Algorithm=` + digestSHA256 + `/><DigestValue>DIGEST To</DigestValue></Reference>` +
	`</SignedInfo><SignatureValue></SignatureValue><KeyInfo><o:SecurityTokenReference><o:Reference URI="#X1"/></o:SecurityTokenReference></KeyInfo></Signature>` +
	`</o:Security></s:Header><s:Body u:Id="_3"><b/></s:Body></s:Envelope>`

const transforms = `<Transforms><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></Transforms>`

// endorse fills in digests and value.
func (f forger) endorse(t testing.TB, src string) string {
	t.Helper()
	for local, leaveOut := range map[string]int{"Timestamp": -1, "To": -1, "Header": place(t, src, "Signature")} {
		form, err := twinCanonical([]byte(src), place(t, src, local), leaveOut)
		if err != nil {
			t.Fatal(err)
		}
		src = strings.Replace(src, "DIGEST "+local, base64.StdEncoding.EncodeToString(hashed(f.digest, form)), 1)
	}
	return f.value(t, src)
}

// signatureOf returns the first signature of a message.
func signatureOf(d *soap.Document) *soap.Element {
	all := d.Elements()
	return &all[slices.IndexFunc(all, func(e soap.Element) bool { return e.Name.Local == "Signature" })]
}

// What a message's signature is over, and by whose key: nothing else is said of
// it. SIG-03 to SIG-06, as for assertions.
func TestVerifyMessage(t *testing.T) {
	f := pinned()
	signed := f.endorse(t, endorsable)
	_, stranger := p256(t)
	d := scan(t, signed)
	e, err := verifier(t, stranger, f.certificate).VerifyMessage(d, signatureOf(d))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Elements) != 2 || e.Elements[0].Name.Local != "Timestamp" || e.Elements[1].Name.Local != "To" || e.Certificate != f.certificate {
		t.Errorf("got %+v by %v", e.Elements, e.Certificate.Subject)
	}
	const reference = `<Reference URI="#_0">`

	around := f.endorse(t, edit(t, endorsable, "<s:Header>", `<s:Header u:Id="_4">`, `URI="#_1">`+transforms,
		`URI="#_4"><Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></Transforms>`,
		"DIGEST To", "DIGEST Header"))
	d = scan(t, around)
	if e, err := verifier(t, f.certificate).VerifyMessage(d, signatureOf(d)); err != nil || e.Elements[1].Name.Local != "Header" {
		t.Errorf("around the signature: got %v, %v", e, err)
	}
	d = scan(t, edit(t, around, "https://sts", "http://sts"))
	if _, err := verifier(t, f.certificate).VerifyMessage(d, signatureOf(d)); ruleOf(t, err) != "SIG-01" {
		t.Errorf("around the signature, changed: got %v, want SIG-01", err)
	}
	for name, c := range map[string]struct {
		edits []string // after signing
		rule  string
	}{
		"another time":                    {[]string{"08:00:00", "08:00:01"}, "SIG-01"},
		"another place":                   {[]string{"sts.example", "evil.example"}, "SIG-01"},
		"another attribute":               {[]string{`s:mustUnderstand="1"`, `s:mustUnderstand="0"`}, "SIG-01"},
		"another reference":               {[]string{`URI="#_1"`, `URI="#_3"`}, "SIG-01"},
		"the id at a second place":        {[]string{`u:Id="_3"`, `u:Id="_0"`}, "SIG-04"},
		"by another name":                 {[]string{`u:Id="_3"`, `ID="_0"`}, "SIG-04"},
		"no such id":                      {[]string{`u:Id="_0"`, `u:Id="_9"`}, "SIG-04"},
		"the whole document":              {[]string{reference, `<Reference URI="">`}, "SIG-03"},
		"a document elsewhere":            {[]string{reference, `<Reference URI="https://evil.example/">`}, "SIG-03"},
		"a pointer":                       {[]string{reference, `<Reference URI="#xpointer(id('_0'))">`}, "SIG-03"},
		"no reference":                    {[]string{"<Reference", "<Other", "</Reference", "</Other"}, "SIG-03"},
		"nine references":                 {[]string{reference, strings.Repeat(`<Reference URI="#_0"/>`, 8) + reference}, "SIG-09"},
		"another transform":               {[]string{transforms, strings.Replace(transforms, "#\"", "#WithComments\"", 1)}, "SIG-03"},
		"three transforms":                {[]string{"</Transform", "<Transform/></Transform", "<Transform ", "<Transform/><Transform "}, "SIG-03"},
		"another canonicalization":        {[]string{`<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"`, `<CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"`}, "SIG-03"},
		"no canonicalization":             {[]string{"CanonicalizationMethod", "Other"}, "SIG-03"},
		"SHA-1":                           {[]string{rsaSHA256, `"http://www.w3.org/2000/09/xmldsig#rsa-sha1"`}, "SIG-06"},
		"a digest by SHA-1":               {[]string{digestSHA256, `"http://www.w3.org/2000/09/xmldsig#sha1"`}, "SIG-06"},
		"a shared key":                    {[]string{rsaSHA256, more("hmac-sha256")}, "SIG-06"},
		"an object":                       {[]string{"</Signature>", "<Object/></Signature>"}, "SIG-03"},
		"a text":                          {[]string{"<Reference", "x<Reference"}, "SIG-03"},
		"two references, in another turn": {[]string{`URI="#_0"`, `URI="#_9"`, `URI="#_1"`, `URI="#_0"`, `URI="#_9"`, `URI="#_1"`}, "SIG-01"},
		"the same digests, another value": {[]string{`<SignedInfo>`, `<SignedInfo >`, `Id="_2"`, `Id="_4"`, "<KeyInfo>", "<KeyInfo><X509Data/>", "#X1", "#X2"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := scan(t, edit(t, signed, c.edits...))
			e, err := verifier(t, f.certificate).VerifyMessage(d, signatureOf(d))
			if got := ruleOf(t, err); got != c.rule || (e == nil) != (err != nil) {
				t.Errorf("got %v, want %q", err, c.rule)
			}
		})
	}
	d = scan(t, signed)
	if _, err := verifier(t, f.certificate).VerifyMessage(d, d.Root()); ruleOf(t, err) != "SIG-03" {
		t.Errorf("no signature: got %v, want SIG-03", err)
	}
	if _, err := verifier(t, stranger).VerifyMessage(d, signatureOf(d)); ruleOf(t, err) != "SIG-05" {
		t.Errorf("by another's key: got %v, want SIG-05", err)
	}
	d = scan(t, edit(t, signed, "<SignatureValue>", "<SignatureValue>AAAA"))
	if _, err := verifier(t, f.certificate).VerifyMessage(d, signatureOf(d)); ruleOf(t, err) != "SIG-05" {
		t.Errorf("another value: got %v, want SIG-05", err)
	}
}
