package directory

import (
	"context"

	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"stsgate/gateway/account"
)

// What Windows says beside what Samba does; the text ends with a zero byte.
func TestDenialCodes(t *testing.T) {
	for data, want := range map[string]account.Denial{
		"525": account.NoAccount, "52e": account.WrongPassword, "530": account.OutOfHours, "531": account.OutOfPlaces, "532": account.PasswordExpired,
		"533": account.AccountDisabled, "701": account.AccountExpired, "773": account.PasswordMustChange, "775": account.AccountLocked,
		"57": account.WrongPassword, "7750": account.WrongPassword,
	} {
		text := errors.New("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data " + data + ", v4563\x00")
		if got := denial(dataOf(text)); got != want {
			t.Errorf("data %s: got %v, want %v", data, got, want)
		}
	}
	for _, err := range []error{nil, errors.New(""), errors.New("data 775"), errors.New(", data 775; v1")} {
		if got := denial(dataOf(err)); got != account.WrongPassword {
			t.Errorf("%v: got %v, want a wrong password", err, got)
		}
	}
}

// The examples are those of MS-DTYP, sections 2.3.4.2 and 2.4.2.
func TestBinaryForms(t *testing.T) {
	b := []byte{0x04, 0x03, 0x02, 0x01, 0x06, 0x05, 0x08, 0x07, 9, 10, 11, 12, 13, 14, 15, 16}
	if s, err := guid(b); err != nil || s != "01020304-0506-0708-090a-0b0c0d0e0f10" {
		t.Errorf("got GUID %s, error %v", s, err)
	}
	for _, b := range [][]byte{nil, b[:15], append(b, 0)} {
		if s, err := guid(b); err == nil {
			t.Errorf("got GUID %s of %d bytes", s, len(b))
		}
	}
	for in, want := range map[string]string{
		"\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00":                                                 "S-1-5-32-544",
		"\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\xff\xff\xff\xff\x01\x00\x00\x00\x02\x00\x00\x00\xf4\x01\x00\x00": "S-1-5-21-4294967295-1-2-500",
		"\x01\x00\x00\x01\x00\x00\x00\x00": "S-1-4294967296",
		"":                                 "",
		"\x01\x02\x00\x00\x00\x00\x00\x05": "",
		"\x02\x00\x00\x00\x00\x00\x00\x05": "",
		"\x01\x10\x00\x00\x00\x00\x00\x05" + strings.Repeat("\x00\x00\x00\x01", 16): "",
	} {
		if s, ok := sid([]byte(in)); s != want || ok != (want != "") {
			t.Errorf("%x: got SID %q, %v, want %q", in, s, ok, want)
		}
	}
	for n, want := range map[int64]string{
		0: "", -1: "", 1<<63 - 1: "",
		116_444_736_000_000_000: "1970-01-01T00:00:00Z",
		134_403_508_776_388_220: "2026-11-28T14:47:57.638822Z",
	} {
		at, ok := instant(n)
		if ok != (want != "") || ok && at.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%d: got %v, %v, want %s", n, at.UTC(), ok, want)
		}
	}
}

var testDomain = &domain{head: "DC=contoso,DC=example", base: "DC=contoso,DC=example", netBIOS: "CONTOSO", dns: "contoso.example"}

func TestFilter(t *testing.T) {
	const people = "(&(sAMAccountType=805306368)"
	for typed, want := range map[string]string{
		"alice":                      people + "(sAMAccountName=alice))",
		`Contoso\alice`:              people + "(sAMAccountName=alice))",
		`contoso.example\alice`:      people + "(sAMAccountName=alice))",
		`FABRIKAM\alice`:             "",
		"alice@fabrikam.example":     people + "(userPrincipalName=alice@fabrikam.example))",
		"alice@Contoso.example":      people + "(|(userPrincipalName=alice@Contoso.example)(sAMAccountName=alice)))",
		"alice@mail.example":         people + "(|(userPrincipalName=alice@mail.example)(sAMAccountName=alice)))",
		"a*(b)&|!=@fabrikam.example": people + `(userPrincipalName=a\2a\28b\29&|!=@fabrikam.example))`,
		"*":                          people + `(sAMAccountName=\2a))`,
		"jürgen":                     people + `(sAMAccountName=j\c3\bcrgen))`,
		"alice)(sAMAccountName=*":    people + `(sAMAccountName=alice\29\28sAMAccountName=\2a))`,
	} {
		n, err := account.ParseName(typed)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := testDomain.filter(n, []string{"Mail.example"})
		if got != want || ok != (want != "") {
			t.Errorf("%s: got %s, %v, want %s", typed, got, ok, want)
		}
		if _, err := ldap.CompileFilter(got); ok && err != nil {
			t.Errorf("%s: %s is no filter: %v", typed, got, err)
		}
	}
	// ParseName lets neither through.
	for user, want := range map[string]string{"a\x00b": `a\00b`, `a\62`: `a\5c62`} {
		if got, _ := testDomain.filter(account.Name{User: user}, nil); got != people+"(sAMAccountName="+want+"))" {
			t.Errorf("%q: got %s", user, got)
		}
	}
}

func entryOf(change func(map[string][]string)) *ldap.Entry {
	all := map[string][]string{
		"objectGUID": {strings.Repeat("\x01", 16)}, "sAMAccountName": {"alice"}, "userPrincipalName": {"alice@contoso.example"},
		"userAccountControl": {"512"}, "msDS-User-Account-Control-Computed": {"0"}, "accountExpires": {"9223372036854775807"}, "pwdLastSet": {"134403508776388220"},
	}
	if change != nil {
		change(all)
	}
	return ldap.NewEntry("CN=alice", all)
}

// What the bind account may not read is not taken for harmless: without its
// state an account is not known.
func TestReadAccountNeedsAll(t *testing.T) {
	now := time.Date(2026, 11, 28, 15, 0, 0, 0, time.UTC)
	if a, err := readAccount(entryOf(nil), testDomain, now); err != nil || a.UPN != "alice@contoso.example" || a.Expired {
		t.Fatalf("got %+v, error %v", a, err)
	}
	for _, attribute := range []string{"objectGUID", "sAMAccountName", "userAccountControl", "msDS-User-Account-Control-Computed", "accountExpires", "pwdLastSet"} {
		for _, bad := range [][]string{nil, {"x"}} {
			if attribute == "sAMAccountName" && bad != nil {
				continue
			}
			e := entryOf(func(all map[string][]string) { all[attribute] = bad })
			if a, err := readAccount(e, testDomain, now); err == nil || errors.Is(err, account.ErrUnknown) {
				t.Errorf("%s %q: got %+v, error %v", attribute, bad, a, err)
			}
		}
	}
	for _, upn := range []string{"", "alice", `CONTOSO\alice`, "alice\u200b@contoso.example"} {
		e := entryOf(func(all map[string][]string) { all["userPrincipalName"] = []string{upn} })
		if a, err := readAccount(e, testDomain, now); err != nil || a.UPN != "alice@contoso.example" {
			t.Errorf("UPN %q: got %q, error %v, want the SAM name in the domain", upn, a.UPN, err)
		}
	}
	// It ends at this very instant, and not before.
	const end = 134_403_516_000_000_000 // 2026-11-28T15:00:00Z
	for n, want := range map[int64]bool{end - 1: true, end: true, end + 10_000_000: false, 0: false} {
		e := entryOf(func(all map[string][]string) { all["accountExpires"] = []string{fmt.Sprint(n)} })
		if a, err := readAccount(e, testDomain, now); err != nil || a.Expired != want {
			t.Errorf("accountExpires %d: got expired %v, error %v, want %v", n, a.Expired, err, want)
		}
	}
}

// The cache of names is bounded, and drops what is too old before the rest.
func TestNameCache(t *testing.T) {
	var c nameCache
	now := time.Now()
	for i := range maxNames {
		at := now
		if i < 20 {
			at = now.Add(-remembered)
		}
		c.put(fmt.Sprint(i), &account.Account{ID: fmt.Sprint(i)}, at)
	}
	c.put("more", &account.Account{ID: "more"}, now)
	if n := len(c.names); n > maxNames*9/10+1 {
		t.Errorf("got %d names, want a tenth of them gone", n)
	}
	for i := range 20 {
		if a, _ := c.get(fmt.Sprint(i), now); a != nil {
			t.Errorf("%d is still there", i)
		}
	}
	if a, age := c.get("more", now.Add(time.Minute)); a == nil || a.ID != "more" || age != time.Minute {
		t.Errorf("got %+v, %v", a, age)
	}
	c.drop("more")
	if a, _ := c.get("more", now); a != nil {
		t.Errorf("got %+v, want none", a)
	}
}

// Three failures of requests in a row, or one of a check, take the controller
// down; one answer brings it back. Each change is news once.
func TestHealth(t *testing.T) {
	var h health
	failure := errors.New("no answer in time")
	if h.down() != nil || h.up() {
		t.Error("a health that knows nothing says something")
	}
	first, second := h.passed(), h.passed()
	if !first || second || !h.up() {
		t.Error("the first answer alone is news")
	}
	for i, step := range []struct{ fails, news bool }{{true, false}, {true, false}, {false, false}, {true, false}, {true, false}, {true, true}, {true, false}} {
		news := false
		if step.fails {
			news = h.failed(failure, 1)
		} else {
			news = h.passed()
		}
		if news != step.news || (h.down() != nil) != (i >= 5) {
			t.Errorf("step %d: got news %v, down %v", i, news, h.down())
		}
	}
	if !errors.Is(h.down(), failure) || h.up() {
		t.Errorf("got %v after the third failure in a row", h.down())
	}
	if !h.passed() || h.down() != nil || !h.failed(failure, maxStrikes) {
		t.Error("one failed check does not take it down")
	}
}

// A password that was refused is not tried for 15 minutes, another at once.
func TestRefusedBind(t *testing.T) {
	var r refusedBind
	now, first, second := time.Now(), new(secrets), new(secrets)
	if err := r.last(first, now); err != nil {
		t.Errorf("got %v at first", err)
	}
	r.set(first, errors.New("wrong"), now)
	if err := r.last(first, now.Add(pause-1)); err == nil {
		t.Error("tried again within the pause")
	}
	if err := errors.Join(r.last(first, now.Add(pause)), r.last(second, now)); err != nil {
		t.Errorf("got %v after the pause and for another password", err)
	}
}

// TLS-05: there is no way to ask without TLS. The password file is not for
// everybody, and no error quotes it.
func TestOpenLDAPRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := LDAPConfig{
		URL: "ldaps://dc1.contoso.example", CA: "testdata/ca.pem", User: "svc@contoso.example", Password: file("good", "canary-7Qx\r\n", 0o640),
		Timeout: time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if l, err := OpenLDAP(good); err != nil || l.address != "dc1.contoso.example:636" || l.secrets.Load().password != "canary-7Qx" {
		t.Fatalf("got error %v", err)
	}
	for name, change := range map[string]func(*LDAPConfig){
		"plain":           func(c *LDAPConfig) { c.URL = "ldap://dc1.contoso.example" },
		"no scheme":       func(c *LDAPConfig) { c.URL = "dc1.contoso.example:636" },
		"no host":         func(c *LDAPConfig) { c.URL = "ldaps://:636" },
		"user in it":      func(c *LDAPConfig) { c.URL = "ldaps://u:p@dc1.contoso.example" },
		"path":            func(c *LDAPConfig) { c.URL = "ldaps://dc1.contoso.example/DC=x" },
		"no port":         func(c *LDAPConfig) { c.URL = "ldaps://dc1.contoso.example:" },
		"base":            func(c *LDAPConfig) { c.Base = "contoso.example" },
		"no user":         func(c *LDAPConfig) { c.User = "" },
		"no CA":           func(c *LDAPConfig) { c.CA = filepath.Join(dir, "absent") },
		"no certificate":  func(c *LDAPConfig) { c.CA = c.Password },
		"no password":     func(c *LDAPConfig) { c.Password = filepath.Join(dir, "absent") },
		"empty password":  func(c *LDAPConfig) { c.Password = file("empty", "\n", 0o600) },
		"two lines":       func(c *LDAPConfig) { c.Password = file("lines", "canary-7Qx\nx\n", 0o600) },
		"long":            func(c *LDAPConfig) { c.Password = file("long", strings.Repeat("canary-7Qx", 200), 0o600) },
		"everybody reads": func(c *LDAPConfig) { c.Password = file("open", "canary-7Qx", 0o644) },
	} {
		c := good
		change(&c)
		if _, err := OpenLDAP(c); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// A client that has gone, and one that found no free connection, speak neither
// for the controller nor against it; a word of the controller's is an answer.
func TestNote(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		err     error
		strikes int
	}{
		{"client gone", gone, context.Canceled, 2},
		{"busy", t.Context(), fmt.Errorf("%w: %w", errBusy, errSlow), 2},
		{"found", t.Context(), nil, 0},
		{"unknown", t.Context(), account.ErrUnknown, 0},
		{"denied", t.Context(), account.AccountLocked, 0},
		{"answered", t.Context(), &resultError{code: 53}, 0},
		{"slow", t.Context(), errSlow, 3},
		{"lost", t.Context(), &unreachable{errors.New("reset")}, 3},
	} {
		l := &LDAP{log: slog.New(slog.DiscardHandler), pool: newPool(nil)}
		l.health.strikes = 2
		if l.note(c.ctx, c.err); l.health.strikes != c.strikes {
			t.Errorf("%s: got %d strikes after two, want %d", c.name, l.health.strikes, c.strikes)
		}
	}
}
