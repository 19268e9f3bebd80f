package wstrust_test

import (
	"bytes"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// SIG-01: what is checked is what was read.
func TestSigned(t *testing.T) {
	for _, name := range testdata.Names(t, "rstr") {
		t.Run(name, func(t *testing.T) {
			a, err := wstrust.ReadAnswer(testdata.Message(t, name), 0)
			if err != nil {
				t.Fatal(err)
			}
			d, token := a.Signed()
			if raw := d.Raw(token); !bytes.Equal(raw, a.Token) || &raw[0] != &a.Token[0] {
				t.Errorf("got %s, want the token, %s", raw, a.Token)
			}
		})
	}
	if d, token := new(wstrust.Answer).Signed(); d != nil || token != nil {
		t.Errorf("got %v, %v of an answer that was not read, want nothing", d, token)
	}
}
