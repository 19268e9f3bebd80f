package wstrust_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// MFA-24: without its code, a message of any client is byte for byte the one
// that the client would have sent without it, and reads as that one.
func TestShorten(t *testing.T) {
	for _, file := range testdata.Names(t, "rst") {
		t.Run(file, func(t *testing.T) {
			plain := testdata.Message(t, file)
			want, err := read(string(plain))
			if err != nil {
				t.Fatal(err)
			}
			end := passwordEnd(t, plain)
			coded := bytes.Join([][]byte{plain[:end], plain[end:]}, []byte("&#x2C;123456"))
			in := wstrust.Inbound{Body: coded, Now: clock}
			r, err := wstrust.ReadRequest(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Shorten(in, len(want.Password.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Body, plain) {
				t.Errorf("got the message %q, want %q", got.Body, plain)
			}
			if !bytes.Equal(got.Password.Bytes(), want.Password.Bytes()) || got.Username != want.Username || got.AppliesTo != want.AppliesTo {
				t.Errorf("got %q of %q for %q", got.Password.Bytes(), got.Username, got.AppliesTo)
			}
			if !bytes.Equal(r.Body, coded) || !bytes.HasSuffix(r.Password.Bytes(), []byte(",123456")) {
				t.Error("the request that came is another one now")
			}
			got.Wipe()
			if len(bytes.Trim(got.Body, "\x00")) > 0 || len(want.Password.Bytes()) == 0 {
				t.Error("a request that was wiped has a body")
			}
		})
	}
}

func passwordEnd(t *testing.T, message []byte) int {
	t.Helper()
	for _, tag := range []string{":Password>", "</Password>"} {
		if i := bytes.LastIndex(message, []byte(tag)); i >= 0 {
			return bytes.LastIndexByte(message[:i+1], '<')
		}
	}
	t.Fatal("no Password")
	return 0
}

// Wherever a password is cut, however its characters are spelt, what is left is
// its beginning.
func TestShortenAnywhere(t *testing.T) {
	const spelt = "&#97;b&amp;\r\n &#x1F511;ä\n,;&#44;,1&#50;3456&lt;"
	message := edit(t, string(testdata.Message(t, "rst/msal-net-13.xml")), ">Str0ng&amp;&lt;pässword&gt;<", ">"+spelt+"<")
	in := wstrust.Inbound{Body: []byte(message), Now: clock}
	r, err := wstrust.ReadRequest(in)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(r.Password.Bytes())
	if want := "ab&\n \U0001F511ä\n,;,,123456<"; whole != want {
		t.Fatalf("got the password %q, want %q", whole, want)
	}
	for n := range len(whole) + 1 {
		if n < len(whole) && !utf8.RuneStart(whole[n]) {
			continue
		}
		short, err := r.Shorten(in, n)
		switch {
		case n == 0 || n == len(whole):
			if err == nil {
				t.Errorf("%d bytes of a password of %d were cut to", n, len(whole))
			}
		case err != nil:
			t.Errorf("cut to %d bytes: %v", n, err)
		case string(short.Password.Bytes()) != whole[:n]:
			t.Errorf("cut to %d bytes: got %q, want %q", n, short.Password.Bytes(), whole[:n])
		case strings.Count(string(short.Body), "<") != strings.Count(message, "<"):
			t.Errorf("cut to %d bytes: got the message %q", n, short.Body)
		}
	}
}

// What is signed is never changed, and what is no plain password not cut.
func TestShortenRefuses(t *testing.T) {
	for _, file := range []string{"rst-other/signed-username-soap11-13.xml", "rst-other/digest-soap11-13.xml", "rst-other/renew-soap11-13.xml", "rst-other/issuedtokenmixed-13.xml"} {
		in := wstrust.Inbound{Body: testdata.Message(t, file), Now: clock}
		r, _ := wstrust.Inspect(in)
		if short, err := r.Shorten(in, 3); err == nil {
			t.Errorf("%s: cut to %q", file, short.Body)
		}
	}
}
