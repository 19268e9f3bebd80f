package xmlsig_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/testdata"
	"stsgate/upstream/xmlsig"
)

// idAttrs tells xmlsec1, which reads no schema, where the ids are.
var idAttrs = []string{
	"--id-attr:AssertionID", "urn:oasis:names:tc:SAML:1.0:assertion:Assertion",
	"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
}

// xmlsec1 runs the program, which shares no code with us, and returns what it
// wrote.
func xmlsec1(t *testing.T, src string, args ...string) ([]byte, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.xml")
	write(t, file, []byte(src))
	args = append(append(args[:1:1], idAttrs...), append(args[1:], file)...)
	var errs bytes.Buffer
	cmd := exec.Command(testdata.Program(t, "xmlsec1"), args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Logf("xmlsec1: %v: %s", err, errs.String())
	}
	return out, err
}

// signedByXMLSec1 has xmlsec1 fill in a document's signature.
func signedByXMLSec1(t *testing.T, src string, key crypto.Signer, c *x509.Certificate) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keyFile, certificateFile := filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	write(t, certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	out, err := xmlsec1(t, src, "--sign", "--privkey-pem", keyFile+","+certificateFile)
	if err != nil {
		t.Fatalf("cannot sign %s", src)
	}
	return string(out)
}

// What xmlsec1 signs is accepted.
func TestVerifySignedByXMLSec1(t *testing.T) {
	strong, p256, p384 := rsaKey(t, 2048), ecdsaKey(t, elliptic.P256()), ecdsaKey(t, elliptic.P384())
	for _, tt := range []struct {
		method, digest string
		key            crypto.Signer
	}{
		{rsaSHA256, digestSHA256, strong},
		{more("rsa-sha512"), digestSHA512, strong},
		{more("ecdsa-sha256"), digestSHA256, p256},
		{more("ecdsa-sha384"), digestSHA384, p384},
	} {
		c := certificate(t, tt.key)
		for _, name := range signedAnswers {
			t.Run(tt.method+" "+name, func(t *testing.T) {
				template := edit(t, strings.NewReplacer(rsaSHA256, tt.method, digestSHA256, tt.digest).Replace(message(t, name)),
					">AAAA</ds:SignatureValue>", "/>", "<X509Certificate>AAAA</X509Certificate>", "",
					"alice@contoso.example", "<!-- a --><x:y x:b='&#xD;&gt;\"' z:b=''\r\n a='&#9;' xmlns:x='urn:z' xmlns:z='urn:x' xmlns=''><v/></x:y>")
				signed := signedByXMLSec1(t, template, tt.key, c)
				accepted(t, signed, c, pinned().certificate, c)
				refused(t, edit(t, signed, "&gt;", "&lt;"), "SIG-01", c)
			})
		}
	}
}

// XML-20: libxml2 writes the same canonical forms, in three surroundings.
func TestCanonicalByXMLSec1(t *testing.T) {
	key, c := p256(t)
	const signature = `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>` + method +
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"/>` +
		`<ds:Reference URI="#_1"><ds:Transforms>` + enveloped + exclusive + `</ds:Transforms>` + digestOf +
		`<ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>`
	var content strings.Builder
	for _, tt := range canonicalCases {
		if !strings.Contains(tt.src, "<?xml") && !strings.Contains(tt.src, `"b%7e`) { // that one is no URI
			content.WriteString(tt.src)
		}
	}
	for name, start := range map[string]string{
		"default": `<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1">`,
		"p":       `<p:Assertion xmlns:p="urn:oasis:names:tc:SAML:2.0:assertion" xmlns="urn:default" xmlns:q="urn:q" q:b="" ID="_1">`,
		"a":       `<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:p="urn:p" ID="_1">`,
	} {
		t.Run(name, func(t *testing.T) {
			tag, _, _ := strings.Cut(start[1:], " ")
			d := scan(t, signedByXMLSec1(t, start+content.String()+signature+content.String()+"</"+tag+">", key, c))
			if _, err := verifier(t, c).Verify(d, d.Root()); err != nil {
				t.Errorf("got %v, want it verified: %s", err, d.Source)
			}
		})
	}
}

// Real answers of AD FS and others verify by the certificates that they hold,
// where xmlsec1 says that they are intact and their algorithms are accepted.
func TestVerifyRealMessages(t *testing.T) {
	verified := 0
	for _, folder := range []string{"messages/rstr", "messages/wresult"} {
		for name, d := range scannedIn(t, folder) {
			assertion, embedded := signedBy(d)
			if embedded == nil {
				continue
			}
			t.Run(name, func(t *testing.T) {
				v, err := xmlsig.NewVerifier([]*x509.Certificate{embedded})
				if err != nil {
					t.Skip(err)
				}
				_, intact := xmlsec1(t, string(d.Source), "--verify", "--insecure")
				_, err = v.Verify(d, assertion)
				switch {
				case err == nil && intact == nil:
					verified++
				case err == nil:
					t.Errorf("verified, and xmlsec1 says %v", intact)
				case bytes.Contains(d.Raw(assertion), []byte("xmldsig#rsa-sha1")):
					if ruleOf(t, err) != "SIG-06" {
						t.Errorf("got %v, want SIG-06", err)
					}
				case intact == nil:
					t.Errorf("got %v, and xmlsec1 says that it is intact", err)
				}
			})
		}
	}
	if verified < 3 {
		t.Errorf("got %d messages verified, want at least 3", verified)
	}
}

// scannedIn returns the documents in a shared folder that the scanner accepts.
func scannedIn(t *testing.T, folder string) map[string]*soap.Document {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, folder), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: got %d files, %v", folder, len(files), err)
	}
	documents := make(map[string]*soap.Document)
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := soap.Scan(src, soap.Answer); err == nil {
			documents[filepath.Base(file)] = d
		}
	}
	return documents
}

// signedBy returns the first assertion of a document and the certificate in it.
func signedBy(d *soap.Document) (assertion *soap.Element, c *x509.Certificate) {
	elements := d.Elements()
	for i := range elements {
		switch e := &elements[i]; {
		case e.Name.Local == "Assertion" && assertion == nil:
			assertion = e
		case e.Name.Local == "X509Certificate" && assertion != nil && e.End <= assertion.End:
			text, _ := d.Text(e)
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			if err != nil {
				continue
			}
			if c, err := x509.ParseCertificate(der); err == nil {
				return assertion, c
			}
		}
	}
	return assertion, nil
}

// XML-20, SIG-01: the digest of each intact signature in others' messages is
// that of our canonical form, by SHA-1 too, which Verify does not accept.
func TestDigestsOfRealMessages(t *testing.T) {
	hashes := map[string]crypto.Hash{`http://www.w3.org/2000/09/xmldsig#sha1`: crypto.SHA1, strings.Trim(digestSHA256, `"`): crypto.SHA256}
	same := 0
	for _, folder := range []string{"messages/rstr", "messages/wresult", "messages/fedmeta", "messages/rst"} {
		for name, d := range scannedIn(t, folder) {
			signature, hash, want := digestIn(d, hashes)
			if signature == nil || hash == 0 {
				continue
			}
			form, err := xmlsig.AppendCanonical(nil, d, d.Parent(signature), signature)
			if err != nil {
				t.Errorf("%s: got %v", name, err)
			}
			if bytes.Equal(hashed(hash, form), want) {
				same++
			}
		}
	}
	if same < 8 {
		t.Errorf("got %d digests like theirs, want at least 8", same)
	}
}

// digestIn returns the first signature of a document, and its digest.
func digestIn(d *soap.Document, hashes map[string]crypto.Hash) (signature *soap.Element, hash crypto.Hash, digest []byte) {
	elements := d.Elements()
	for i := range elements {
		e := &elements[i]
		switch e.Name.Local {
		case "Signature":
			if signature != nil {
				return signature, hash, digest
			}
			signature = e
		case "DigestMethod":
			uri, _ := d.Attr(e, soap.Name{Local: "Algorithm"})
			hash = hashes[uri]
		case "DigestValue":
			text, _ := d.Text(e)
			digest, _ = base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		}
	}
	return signature, hash, digest
}
