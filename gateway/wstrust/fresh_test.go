package wstrust_test

import (
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// SOAP-09: a message with an id, a time or a nonce is like no other, and one
// with none of them comes again as it is.
func TestFresh(t *testing.T) {
	bare := string(wstrust.AppendRequest(nil, wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, Username: "alice", Password: account.NewPassword([]byte("p")), AppliesTo: "urn:x", Now: time.Now(),
	}))
	timestamp := bare[strings.Index(bare, "<u:Timestamp") : strings.Index(bare, "</u:Timestamp>")+len("</u:Timestamp>")]
	bare = strings.Replace(bare, timestamp, "", 1)
	const header, token = "<s:Header>", "</o:Username>"
	for _, c := range []struct {
		name, at, more string
		want           bool
		nonce, created string
	}{
		{"nothing", header, "", false, "", ""},
		{"message id", header, "<a:MessageID>urn:uuid:1</a:MessageID>", true, "", ""},
		{"misspelt message id", header, "<a:messageID>urn:uuid:1</a:messageID>", true, "", ""},
		{"timestamp", token, "", true, "", ""},
		{"nonce", token, "<o:Nonce>AAAA</o:Nonce>", true, "AAAA", ""},
		{"nonce and time", token, "<o:Nonce>AAAA</o:Nonce><u:Created>now</u:Created>", true, "AAAA", "now"},
		{"time of the token", token, "<u:Created>now</u:Created>", true, "", "now"},
	} {
		message := strings.Replace(bare, c.at, c.at+c.more, 1)
		if c.name == "timestamp" {
			message = strings.Replace(bare, "<o:UsernameToken", timestamp+"<o:UsernameToken", 1)
		}
		r, err := wstrust.Inspect(wstrust.Inbound{Body: []byte(message), Now: time.Now()})
		if r.Fresh() != c.want || r.Nonce != c.nonce || r.NonceCreated != c.created || err != nil {
			t.Errorf("%s: fresh %v, nonce %q of %q, want %v, %q and %q (%v)", c.name, r.Fresh(), r.Nonce, r.NonceCreated, c.want, c.nonce, c.created, err)
		}
	}
}
