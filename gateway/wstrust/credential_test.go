package wstrust_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

func TestCredential(t *testing.T) { // SOAP-07, SOAP-12
	const base = "rst/wcf-13.xml"
	const user = `<o:Username>CONTOSO\alice</o:Username>`
	const password = `<o:Password Type="` + text + `">Str0ng&amp;&lt;password&gt;</o:Password>`
	const end = "</o:UsernameToken>"
	token := cut(t, base, "<o:UsernameToken ", end)
	security := cut(t, base, "<o:Security ", "</o:Security>")
	check(t, base, []edited{
		{"no Security", security, "unsupported credential", "no Security header"},
		{"no Header", cut(t, base, "<s:Header>", "</s:Header>"), "unsupported credential", "no Security header"},
		{"no UsernameToken", token, "unsupported credential", "no UsernameToken"},
		{"certificate only", []string{token[0], "<o:BinarySecurityToken/>"}, "unsupported credential", "BinarySecurityToken, a credential of kind unknown"},
		{"SAML only", []string{token[0], `<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/>`}, "unsupported credential", "Assertion"},
		{"certificate beside", after(end, "<o:BinarySecurityToken/>"), "second credential", "BinarySecurityToken beside"},
		{"signature beside", after(end, `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>`), "second credential", "Signature"},
		{"SAML beside", after(end, `<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion"/>`), "second credential", "Assertion"},
		{"encrypted beside", after(end, `<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#"/>`), "second credential", "EncryptedData"},
		{"second UsernameToken", after(end, token[0]), "second credential", "UsernameToken"},
		{"unknown beside", after(end, `<x xmlns="urn:x"/>`), "second credential", "urn:x"},
		{"text in Security", after(end, "x"), "malformed", "text"},
		{"two Usernames", after(user, user), "malformed", "Username is there twice"},
		{"two Passwords", after(password, password), "malformed", "Password is there twice"},
		{"Password before Username", []string{user + password, password + user}, "accepted", "unread-header"},
		{"Nonce and Created", after(password, "<o:Nonce>AAAA</o:Nonce><u:Created>2026-03-02T08:00:00Z</u:Created>"), "accepted", "unread-header"},
		{"two Nonces", after(password, "<o:Nonce>AAAA</o:Nonce><o:Nonce>BBBB</o:Nonce>"), "malformed", "Nonce is there twice"},
		{"Nonce with a child", after(password, "<o:Nonce><x/></o:Nonce>"), "XML-09", ""},
		{"Salt", after(password, "<o:Salt>AAAA</o:Salt>"), "malformed", "Salt"},
		{"Username of another namespace", []string{user, `<Username xmlns="urn:evil">alice</Username>`}, "malformed", "urn:evil"},
		{"child in Username", []string{`CONTOSO\alice`, "al<b/>ice"}, "XML-09", ""},
		{"child in Password", []string{"Str0ng", "Str<b/>0ng"}, "XML-09", ""},
		{"no Username", drop(user), "unsupported credential", "without Username"},
		{"no Password", drop(password), "unsupported credential", "without Username and Password"},
		{"empty Username", []string{`CONTOSO\alice`, ""}, "unsupported credential", "empty"},
		{"empty Password", []string{"Str0ng&amp;&lt;password&gt;", ""}, "unsupported credential", "empty"},
		{"digest", []string{text, digest}, "unsupported credential", "digest"},
		{"no Type", []string{` Type="` + text + `"`, ""}, "accepted", "unread-header"},
		{"another Type", []string{text, "urn:x"}, "unsupported credential", "Type"},
		{"namespaced Type", []string{" Type=", " o:Type="}, "accepted", "unread-header namespaced-password-type"},
		{"namespaced digest", []string{` Type="` + text, ` o:Type="` + digest}, "unsupported credential", "digest"},
		{"both Types", []string{" Type=", ` o:Type="` + text + `" Type=`}, "malformed", "two Types"},
		{"plain Type hides a digest", []string{" Type=", ` o:Type="` + digest + `" Type=`}, "unsupported credential", "digest"},
		{"attribute of no meaning", []string{"<o:UsernameToken u:Id", "<o:UsernameToken u:u"}, "accepted", "unread-header"},
	})

	r, err := read(edit(t, string(testdata.Message(t, base)), `CONTOSO\alice`, " A\u00e4&#x20;\r\n", "Str0ng", " \t "))
	if err != nil {
		t.Fatal(err)
	}
	if want := " Aä \n"; r.Username != want {
		t.Errorf("got user %q, want %q: nothing is trimmed", r.Username, want)
	}
	if got, want := string(r.Password.Bytes()), " \t &<password>"; got != want {
		t.Errorf("got password %q, want %q: nothing is trimmed", got, want)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", r.Password, *r, r.Password, r.Password); strings.Contains(got, "password>") {
		t.Errorf("a printed request shows the password: %s", got)
	}
}

func TestTimestamp(t *testing.T) { // SOAP-08
	const base = "rst/wcf-13.xml"
	const created, expires = "2026-03-02T08:00:00.123Z", "2026-03-02T08:05:00.123Z"
	timestamp := cut(t, base, "<u:Timestamp ", "</u:Timestamp>")
	all := `<u:Created>` + created + `</u:Created><u:Expires>` + expires + `</u:Expires>`
	check(t, base, []edited{
		{"none", timestamp, "accepted", "no-timestamp unread-header"},
		{"two", []string{timestamp[0], timestamp[0] + timestamp[0]}, "malformed", "two Timestamps"},
		{"behind the token", []string{timestamp[0], "", "</o:UsernameToken>", "</o:UsernameToken>" + timestamp[0]}, "accepted", "unread-header"},
		{"no Expires", []string{all, `<u:Created>` + created + `</u:Created>`}, "accepted", "unread-header"},
		{"no Created", []string{all, `<u:Expires>` + expires + `</u:Expires>`}, "malformed", "without Created"},
		{"empty", []string{all, ""}, "malformed", "without Created"},
		{"Expires first", []string{all, `<u:Expires>` + expires + `</u:Expires><u:Created>` + created + `</u:Created>`}, "malformed", "Created in Timestamp"},
		{"two Created", []string{all, `<u:Created>` + created + `</u:Created>` + all}, "malformed", "Created is there twice"},
		{"another child", []string{all, all + "<u:x/>"}, "malformed", "x in Timestamp"},
		{"Expires before Created", []string{expires, "2026-03-02T08:00:00.122Z"}, "malformed", "expires before"},
		{"Expires far away", []string{expires, "2026-03-12T08:00:00Z"}, "accepted", "unread-header"},
		{"zone +00:00", []string{created, "2026-03-02T08:00:00+00:00"}, "accepted", "unread-header"},
		{"zone +05:45", []string{created, "2026-03-02T13:45:00+05:45"}, "accepted", "unread-header"},
		{"nine digits", []string{created, "2026-03-02T08:00:00.123456789Z"}, "accepted", "unread-header"},
		{"ten digits", []string{created, "2026-03-02T08:00:00.1234567890Z"}, "malformed", "not a time"},
		{"no zone", []string{created, "2026-03-02T08:00:00"}, "malformed", "not a time"},
		{"comma", []string{created, "2026-03-02T08:00:00,123Z"}, "malformed", "not a time"},
		{"one digit of the hour", []string{created, "2026-03-02T8:00:00Z"}, "malformed", "not a time"},
		{"no digit behind the point", []string{created, "2026-03-02T08:00:00.Z"}, "malformed", "not a time"},
		{"zone without colon", []string{created, "2026-03-02T08:00:00+0000"}, "malformed", "not a time"},
		{"zone of 24 hours", []string{created, "2026-03-02T08:00:00+24:00"}, "malformed", "not a time"},
		{"no such day", []string{created, "2026-02-30T08:00:00Z"}, "malformed", "not a time"},
		{"two zones", []string{created, "2026-03-02T08:00:00ZZ"}, "malformed", "not a time"},
		{"leap second", []string{created, "2026-03-02T08:00:60Z"}, "malformed", "not a time"},
		{"blank", []string{created, " " + created}, "malformed", "not a time"},
		{"lower case", []string{created, "2026-03-02t08:00:00z"}, "malformed", "not a time"},
	})

	body := testdata.Message(t, base)
	at := func(s string) time.Time { parsed, _ := time.Parse(time.RFC3339Nano, s); return parsed }
	for _, tt := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"a little less than 5 min ahead", at(created).Add(-5*time.Minute + time.Millisecond), "accepted"},
		{"5 min ahead", at(created).Add(-5 * time.Minute), "expired"},
		{"a little less than 10 min old", at(created).Add(10*time.Minute - time.Millisecond), "accepted"},
		{"10 min old", at(created).Add(10 * time.Minute), "expired"},
		{"no clock", time.Time{}, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wstrust.ReadRequest(wstrust.Inbound{Body: body, Now: tt.now})
			if got := verdict(err); got != tt.want {
				t.Fatalf("got %s (%v), want %s", got, err, tt.want)
			}
			if err != nil && !(strings.Contains(err.Error(), "2026-03-02T08:00:00Z") && strings.Contains(err.Error(), tt.now.Format(time.RFC3339))) {
				t.Errorf("got %q, want both clocks in it", err)
			}
		})
	}
	short := edit(t, string(body), expires, "2026-03-02T08:01:00Z")
	_, err := wstrust.ReadRequest(wstrust.Inbound{Body: []byte(short), Now: at("2026-03-02T08:06:00Z")})
	if verdict(err) != "expired" || !strings.Contains(err.Error(), "expires 2026-03-02T08:01:00Z") {
		t.Errorf("got %v, want the expiry refused 5 min after it", err)
	}
}
