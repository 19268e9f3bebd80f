package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"stsgate/gateway/soap"
	"stsgate/testdata"
	"stsgate/upstream/xmlsig"
)

// planted is a password that no output may have.
const planted = "c4n4ry-Password"

// printed is all that is said of a message, in both forms.
func printed(t *testing.T, file, content string) string {
	t.Helper()
	x := &inspection{clock: messageClock, judged: true}
	x.inspect(file, []byte(content))
	var b bytes.Buffer
	if err := writeJSON(&b, &x.found); err != nil {
		t.Fatal(err)
	}
	return x.found.text(file) + b.String()
}

var secretText = regexp.MustCompile(`(<(?:\w+:)?(?:Password|Nonce|BinarySecret|BinarySecurityToken|CipherValue|SignatureValue|DigestValue|X509Certificate)(?: [^>]*)?>)[^<]*<`)

// A password is never printed: wherever in a message it stands, and wherever
// the message breaks.
func TestInspectPrintsNoPassword(t *testing.T) {
	const element = `<o:Password xmlns:o="` + soap.NSSecurity + `">` + planted + `</o:Password>`
	check := func(name, file, content string) {
		if out := printed(t, file, content); strings.Contains(out, planted) || strings.Contains(out, base64.StdEncoding.EncodeToString([]byte(planted))) {
			t.Errorf("%s: the password is in\n%s", name, out)
		}
	}
	for _, folder := range []string{"rst", "rst-other", "rstr", "fault"} {
		for _, name := range testdata.Names(t, folder) {
			message := string(testdata.Message(t, name))
			secret := secretText.ReplaceAllString(message, "${1}"+planted+"<")
			if folder == "rst" && secret == message {
				t.Errorf("%s has no password", name)
			}
			check(name, name, secret)
			check(name+" by HTTP", "m.http", strings.Replace(rawHTTP(t, "rst/wcf-13.xml"), "User-Agent", "Authorization", 1))
			for i := range message {
				if message[i] == '<' {
					check(name+" with another password", name, message[:i]+element+message[i:])
				}
			}
			at := max(strings.Index(secret, planted), 0)
			for i := max(at-200, 0); i < min(at+200, len(secret)); i += 11 {
				for _, broken := range []string{"", "&", "<", "<!--", "\x00", "]]>", "<x/>"} {
					check(name+" broken", name, secret[:i]+broken+secret[i:])
				}
				check(name+" cut", name, secret[:i])
			}
		}
	}
}

// What HTTP and URLs may carry of a password is not printed either.
func TestInspectPrintsNoCredential(t *testing.T) {
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+planted))
	for _, change := range [][]string{
		{"User-Agent: test", basic},
		{"User-Agent: test", basic + "\nX: y"},
		{"User-Agent: test", "X_" + planted + ": " + planted},
		{"User-Agent: test", planted},
		{"usernamemixed ", "usernamemixed?password=" + planted + " "},
		{path13, "https://alice:" + planted + "@sts.contoso.example" + path13},
		{"Host: ", "Host: alice:" + planted + "@"},
		{"HTTP/1.1", planted},
		{"application/soap+xml", planted},
		{"charset=utf-8", "password=" + planted},
		{"https://sts.contoso.example/adfs", "https://alice:" + planted + "@sts.contoso.example/adfs"},
		{"https://payroll.", "https://alice:" + planted + "@payroll."},
	} {
		content := rawHTTP(t, "rst/wcf-13.xml", change...)
		if out := printed(t, "m.http", content); strings.Contains(out, planted) || strings.Contains(out, base64.StdEncoding.EncodeToString([]byte("alice:"+planted))) {
			t.Errorf("%q: the password is in\n%s", change, out)
		}
	}
	for _, text := range []string{`CONTOSO\alice`, "urn:uuid:b4b1c0de", "urn:oasis:names:tc:SAML:2.0:assertion", "https://payroll.contoso.example/", "/13/usernamemixed<", "200512/RST/Issue"} {
		repeated := secretText.ReplaceAllString(string(testdata.Message(t, "rst/wcf-13.xml")), "${1}"+planted+"<")
		repeated = strings.Replace(repeated, text, "urn:"+planted+strings.Repeat("<", strings.Count(text, "<")), 1)
		if out := printed(t, "m.xml", repeated); strings.Contains(out, planted) || !strings.Contains(out, "withheld, it repeats the password") {
			t.Errorf("in the place of %s: the password is in\n%s", text, out)
		}
	}
	// One of three letters stands in many texts by chance, and is not printed alone.
	short := secretText.ReplaceAllString(strings.Replace(string(testdata.Message(t, "rst/wcf-13.xml")), `CONTOSO\alice`, "c4n", 1), "${1}c4n<")
	if out := printed(t, "m.xml", short); strings.Contains(out, "c4n") || !strings.Contains(out, "withheld, it repeats the password") {
		t.Errorf("a short one as the user: the password is in\n%s", out)
	}
	form := "POST /common/oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: LENGTH\r\n\r\ngrant_type=password&password=" + planted
	fault := strings.Replace(string(testdata.Message(t, "fault/adfs-msis7068-13.xml")), "Access denied.", planted, 1)
	request := secretText.ReplaceAllString(string(testdata.Message(t, "rst/wcf-13.xml")), "${1}"+planted+"<")
	if code, out, _ := inspectFile("", "--request", writeFile(t, "r.xml", request), writeFile(t, "f.xml", fault)); code != 0 || strings.Contains(out, planted) {
		t.Errorf("a fault that repeats it: got code %d and\n%s", code, out)
	}
	if out := printed(t, "m.http", form); strings.Contains(out, planted) {
		t.Errorf("a form: the password is in\n%s", out)
	}
}

// CLI-01: what a message says is printed in printable ASCII, and 512 characters
// of it at most.
func TestInspectEscapes(t *testing.T) {
	evil := "a\u0085\u202e\u200b\u2028\u009b31m\u007f\U0001F600é"
	request := strings.NewReplacer(`CONTOSO\alice<`, evil+"<", "https://payroll.contoso.example/", "urn:"+strings.Repeat("ü", 600)).Replace(string(testdata.Message(t, "rst/wcf-13.xml")))
	fault := strings.Replace(string(testdata.Message(t, "fault/adfs-msis7068-13.xml")), "Access denied.", evil, 1)
	answer := strings.Replace(string(testdata.Message(t, "rstr/adfs-13-saml11.xml")), ">alice@contoso.example<", ">"+evil+strings.Repeat("x", 2000)+"<", 1)
	header := strings.Replace(string(testdata.Message(t, "rst/wcf-13.xml")), "<s:Header>", `<s:Header><x xmlns="urn:`+evil[:len(evil)-7]+`"/>`, 1)
	for _, content := range []string{request, fault, answer, header} {
		out := printed(t, "m.xml", content)
		for _, r := range out {
			if r != '\n' && (r < ' ' || r > '~') {
				t.Errorf("got %q in\n%s", r, out)
				break
			}
		}
	}
	x := &inspection{clock: messageClock}
	x.inspect("m.xml", []byte(request))
	if got := utf8.RuneCountInString(x.found.AppliesTo); got != 513 || !strings.HasSuffix(x.found.AppliesTo, "…") {
		t.Errorf("got an application of %d characters", got)
	}
	var b bytes.Buffer
	if err := writeJSON(&b, &x.found); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(b.Bytes(), &r); err != nil || r.User != evil {
		t.Errorf("got the user %q (%v), want %q", r.User, err, evil)
	}
	for line := range strings.Lines(printed(t, "m.xml", answer)) {
		if len(line) > 512+6*len(evil)+60 {
			t.Errorf("got a line of %d bytes", len(line))
		}
	}
}

// A message that is no message must not end the program.
func FuzzInspect(f *testing.F) {
	for _, name := range []string{"rst/wcf-13.xml", "rst-other/onbehalfof-13.xml", "rst-other/certificatemixed-13.xml", "rst-other/issuedtokenmixed-13.xml", "rstr/adfs-13-saml11.xml", "fault/adfs-msis7068-13.xml"} {
		message := testdata.Message(f, name)
		f.Add(false, message)
		f.Add(true, append([]byte("POST "+path13+" HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n"), message...))
	}
	verifier, err := xmlsig.NewVerifier([]*x509.Certificate{newSigner(f, "fuzz").certificate})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw bool, content []byte) {
		x := &inspection{clock: messageClock, judged: true, verifier: verifier}
		name := "m.xml"
		if raw {
			name = "m.http"
		}
		x.inspect(name, content)
		r := &x.found
		if (r.Verdict == accepted) != (r.Rule == "" && r.Line == 0) || r.Kind == "" {
			t.Errorf("got %+v", r)
		}
		if text := r.text(name); !utf8.ValidString(text) {
			t.Errorf("got %q", text)
		}
	})
}
