package account_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"stsgate/gateway/account"
)

// SOAP-15: a name has one of three forms, or none.
func TestParseName(t *testing.T) {
	for _, c := range []struct {
		in           string
		user, domain string
		form         account.Form
		key          string
	}{
		{"alice@contoso.example", "alice", "contoso.example", account.UPN, "alice@contoso.example"},
		{"ALICE@Contoso.Example", "ALICE", "Contoso.Example", account.UPN, "alice@contoso.example"},
		{`CONTOSO\alice`, "alice", "CONTOSO", account.DownLevel, `contoso\alice`},
		{"alice", "alice", "", account.Bare, "alice"},
		{"a@b@contoso.example", "a@b", "contoso.example", account.UPN, "a@b@contoso.example"},
		{"o'neill ann@contoso.example", "o'neill ann", "contoso.example", account.UPN, "o'neill ann@contoso.example"},
		{"jürgen@contoso.example", "jürgen", "contoso.example", account.UPN, "jürgen@contoso.example"},
	} {
		n, err := account.ParseName(c.in)
		if err != nil {
			t.Errorf("ParseName(%q): %v", c.in, err)
			continue
		}
		if n.User != c.user || n.Domain != c.domain || n.Form != c.form || n.Key() != c.key || n.String() != c.in {
			t.Errorf("ParseName(%q) = %+v, key %q", c.in, n, n.Key())
		}
	}
}

func TestParseNameRefused(t *testing.T) {
	for _, in := range []string{
		"", " alice", "alice ", "alice\t", "alice\n@contoso.example", "@contoso.example", "alice@", `\alice`, `CONTOSO\`,
		`A\B\c`, `CONTOSO\alice@x`, `a@b\c`, "alice\u200b@contoso.example", "\u202ealice", "ali\x00ce", "ali\xffce", "ali\ufffdce", "\u00a0alice",
		strings.Repeat("a", 1025),
	} {
		if n, err := account.ParseName(in); err == nil {
			t.Errorf("ParseName(%q) = %+v, want an error", in, n)
		} else if in != "" && strings.Contains(err.Error(), in) {
			t.Errorf("the error for %q quotes the name, which may be a password", in)
		}
	}
}

func TestGUID(t *testing.T) {
	const want = "0f8fad5b-d9cb-469f-a165-70867728950e"
	for _, in := range []string{want, strings.ToUpper(want), "{" + want + "}"} {
		if got, ok := account.GUID(in); !ok || got != want {
			t.Errorf("GUID(%q) = %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "0f8fad5b", want + "0", strings.ReplaceAll(want, "-", "_"), "zf8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b0d9cb-469f-a165-70867728950e"} {
		if got, ok := account.GUID(in); ok {
			t.Errorf("GUID(%q) = %q, want none", in, got)
		}
	}
}

// The bytes of a GUID are stored with the first three groups reversed: made by
// hand from MS-DTYP, section 2.3.4.2.
func TestImmutableID(t *testing.T) {
	a := account.Account{ID: "0f8fad5b-d9cb-469f-a165-70867728950e"}
	if got, want := a.ImmutableID(), "W62PD8vZn0ahZXCGdyiVDg=="; got != want {
		t.Errorf("ImmutableID = %q, want %q", got, want)
	}
	a.Attributes = map[string][]string{"immutable_id": {"own"}}
	if got := a.ImmutableID(); got != "own" {
		t.Errorf("ImmutableID = %q, want the attribute", got)
	}
	if got := (&account.Account{ID: "none"}).ImmutableID(); got != "" {
		t.Errorf("ImmutableID of no GUID = %q", got)
	}
}

// AUD-05: no form of printing shows a password.
func TestPasswordPrintsNothing(t *testing.T) {
	const secret = "canary-7Qx!"
	p := account.NewPassword([]byte(secret))
	wrapped := struct{ P account.Password }{p}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", p, &p, wrapped)
	}
	fmt.Fprintln(&out, p, fmt.Errorf("with %v", p))
	j, err := json.Marshal(map[string]any{"p": p, "w": wrapped})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("text", "password", p, "wrapped", wrapped)
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "password", p, "wrapped", wrapped)
	if s := out.String(); strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
		t.Errorf("the password shows in:\n%s", s)
	}
	if string(p.Bytes()) != secret {
		t.Errorf("Bytes = %q", p.Bytes())
	}
}

func TestPasswordWipe(t *testing.T) {
	b := []byte("secret")
	p := account.NewPassword(b)
	q := p
	p.Wipe()
	if len(q.Bytes()) != 0 || string(b) != "\x00\x00\x00\x00\x00\x00" {
		t.Errorf("after Wipe a copy has %q and the bytes are %q", q.Bytes(), b)
	}
	var zero account.Password
	zero.Wipe()
	if zero.Bytes() != nil {
		t.Error("the zero password is not empty")
	}
}

// LOCK-05, LOCK-09: a guard counts a wrong guess, and neither what a right
// password was refused for nor what says nothing of the password.
func TestDenial(t *testing.T) {
	for d, want := range map[account.Denial]struct{ wrong, right bool }{
		account.WrongPassword:      {wrong: true},
		account.NoAccount:          {wrong: true},
		account.AccountLocked:      {},
		account.AccountDisabled:    {right: true},
		account.AccountExpired:     {right: true},
		account.PasswordExpired:    {right: true},
		account.PasswordMustChange: {right: true},
		account.OutOfHours:         {right: true},
		account.OutOfPlaces:        {right: true},
	} {
		if d.Wrong() != want.wrong || d.Right() != want.right {
			t.Errorf("%v: got wrong %v, right %v", d, d.Wrong(), d.Right())
		}
		if err := fmt.Errorf("verify: %w", d); !errors.Is(err, account.ErrDenied) || errors.Is(err, account.ErrUnknown) {
			t.Errorf("%v is not ErrDenied alone", d)
		}
	}
}
