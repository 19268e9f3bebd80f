package directory_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/testdata"
	"stsgate/upstream/directory"
	"stsgate/upstream/directory/directorytest"
)

const (
	alicePassword   = `correct horse & battery <staple>`
	servicePassword = "svc-Pw-1"
)

// A site is a domain with the people that the tests are about.
type site struct {
	*directorytest.Controller
	admin  *directorytest.Admin
	people map[string]string // distinguished names by SAM name
}

// TestSamba asks a real controller. Its subtests share it, and leave it as it
// was or change what no other looks at.
func TestSamba(t *testing.T) {
	s := openSite(t)
	t.Run("names", s.testNames)
	t.Run("names that are none", s.testNoNames)
	t.Run("two accounts of one name", s.testAmbiguous)
	t.Run("account", s.testAccount)
	t.Run("names of accounts", s.testNamesOf)
	t.Run("states", s.testStates)
	t.Run("base", s.testBase)
	t.Run("sign-in", s.testVerify)
	t.Run("no password is sent for nobody", s.testNobody)
	t.Run("renamed and deleted", s.testRenamed)
	t.Run("thresholds", s.testThresholds)
	t.Run("many at once", s.testMany)
	t.Run("the service's password is wrong", s.testServicePassword)
	t.Run("who signed the certificate", s.testAuthority)
	t.Run("client gone", s.testClientGone)
	t.Run("stalled", s.testStalled)
	t.Run("killed", s.testKilled)
	t.Run("coming and going", s.testComingAndGoing)
}

// openSite makes the domain and its people.
func openSite(t testing.TB) *site {
	t.Helper()
	testdata.Program(t, "samba")
	testdata.Program(t, "samba-tool")
	c, err := directorytest.New(t.TempDir())
	if errors.Is(err, fs.ErrPermission) && os.Getenv("CI") != "true" {
		t.Skipf("skipped: a domain controller takes root: %v", err)
	}
	must(t, err)
	t.Cleanup(func() { c.Kill() })
	s := &site{Controller: c, people: map[string]string{}}
	if s.admin, err = c.Admin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.admin.Close() })
	must(t, s.admin.Loosen("3"))
	s.user(t, "svc-gate", "svc-gate@contoso.example", servicePassword)
	s.populate(t)
	return s
}

func (s *site) populate(t testing.TB) {
	t.Helper()
	s.user(t, "alice", "alice@contoso.example", alicePassword, "mail", "alice@mail.example", "displayName", "Alice Ä.",
		"mS-DS-ConsistencyGuid", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")
	groups := map[string]string{}
	for _, name := range []string{"outer (all)", "inner", "elsewhere"} {
		dn, err := s.admin.Group(name)
		must(t, err)
		groups[name] = dn
	}
	must(t, s.admin.Join(groups["outer (all)"], groups["inner"]))
	must(t, s.admin.Join(groups["inner"], s.people["alice"]))

	s.user(t, "bob", "robert@fabrikam.example", "pw") // another suffix of the forest
	s.user(t, "carol", "", "pw")                      // a SAM name alone
	s.user(t, "jürgen", "jürgen@contoso.example", "pw")
	s.user(t, "odd", "o'd(d)*,=+#&|!@contoso.example", "pw")
	s.user(t, "twin", "other@contoso.example", "pw")
	s.user(t, "twin2", "twin@fabrikam.example", "pw")

	s.user(t, "disabled", "", "pw")
	must(t, s.admin.Set(s.people["disabled"], "userAccountControl", "514"))
	s.user(t, "expired", "", "pw", "accountExpires", "116444736000000000") // 1970-01-01
	s.user(t, "mustchange", "", "pw")
	must(t, s.admin.Set(s.people["mustchange"], "pwdLastSet", "0"))
	s.user(t, "hours", "", "pw", "logonHours", string(make([]byte, 21)))
	s.user(t, "places", "", "pw", "userWorkstations", "elsewhere")
	s.user(t, "locked", "", "pw")
	must(t, s.admin.Add("CN=fine,CN=Password Settings Container,CN=System,"+directorytest.Base, "msDS-PasswordSettings",
		"msDS-PasswordSettingsPrecedence", "1", "msDS-PasswordReversibleEncryptionEnabled", "FALSE", "msDS-PasswordHistoryLength", "0",
		"msDS-PasswordComplexityEnabled", "FALSE", "msDS-MinimumPasswordLength", "1", "msDS-MinimumPasswordAge", "0",
		"msDS-MaximumPasswordAge", "0", "msDS-LockoutThreshold", "7", "msDS-LockoutObservationWindow", "-6000000000",
		"msDS-LockoutDuration", "-6000000000"))
}

func (s *site) user(t testing.TB, sam, upn, password string, attributes ...string) {
	t.Helper()
	dn, err := s.admin.User(sam, upn, password, attributes...)
	must(t, err)
	s.people[sam] = dn
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// config is one that works.
func (s *site) config(t testing.TB) directory.LDAPConfig {
	t.Helper()
	return directory.LDAPConfig{
		URL: s.URL, CA: s.CA, User: "svc-gate@contoso.example", Password: secretFile(t, servicePassword+"\n"),
		Timeout: 2 * time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func secretFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(path, []byte(text), 0o640))
	return path
}

func openLDAP(t testing.TB, c directory.LDAPConfig) *directory.LDAP {
	t.Helper()
	l, err := directory.OpenLDAP(c)
	must(t, err)
	t.Cleanup(l.Close)
	return l
}

func find(t testing.TB, l *directory.LDAP, typed string) (account.Account, error) {
	t.Helper()
	name, err := account.ParseName(typed)
	must(t, err)
	return l.Lookup(t.Context(), name)
}

// MFA-26: whatever way a name is written, it is one account with one GUID.
func (s *site) testNames(t *testing.T) {
	c := s.config(t)
	c.UPNSuffixes = []string{"mail.example"}
	l := openLDAP(t, c)
	for sam, spellings := range map[string][]string{
		"alice": {"alice@contoso.example", "ALICE@Contoso.Example", `CONTOSO\alice`, `contoso\Alice`, `contoso.example\alice`, "alice",
			"alice@CONTOSO", "alice@mail.example", "alice @contoso.example"},
		"bob":    {"robert@fabrikam.example", "bob@contoso.example", `CONTOSO\bob`, "bob", "bob@mail.example"},
		"carol":  {"carol@contoso.example", "carol", `CONTOSO\carol`},
		"jürgen": {"jürgen@contoso.example", "JÜRGEN", `CONTOSO\Jürgen`},
		"odd":    {"o'd(d)*,=+#&|!@contoso.example", "odd"},
		"twin":   {"other@contoso.example", "twin", `CONTOSO\twin`},
	} {
		raw, err := s.admin.Get(s.people[sam], "objectGUID")
		must(t, err)
		want := directory.GUIDText(raw)
		for _, typed := range spellings {
			if a, err := find(t, l, typed); err != nil || a.ID != want {
				t.Errorf("%s: got %q, error %v, want %s with %s", typed, a.ID, err, sam, want)
			}
		}
	}
}

// SOAP-15, AUD-08: nothing that is typed is more than a value, and no error
// repeats it.
func (s *site) testNoNames(t *testing.T) {
	l := openLDAP(t, s.config(t))
	for _, typed := range []string{
		"nobody", "nobody@contoso.example", `FABRIKAM\alice`, "robert@contoso.example", "alice@fabrikam.example", "alice@mail.example",
		"*", "al*", "al*@contoso.example", "*@contoso.example", "alice)(sAMAccountName=*", `alice)(|(cn=*)@contoso.example`, "ali(ce", "al&ce", "|alice", "!alice",
		"alice,CN=Users", "Domain Users", "DC1$", "krbtgt/contoso.example", `*\alice`, `contoso*\alice`, "alice.", "аlice", "\uff21lice",
		strings.Repeat("a", 1000),
	} {
		name, err := account.ParseName(typed)
		must(t, err)
		a, err := l.Lookup(t.Context(), name)
		if !errors.Is(err, account.ErrUnknown) || a.ID != "" {
			t.Errorf("%q: got %+v, error %v, want no account", typed, a, err)
		}
		if err != nil && len(typed) > 3 && strings.Contains(err.Error(), typed) {
			t.Errorf("%q: the error repeats it: %v", typed, err)
		}
	}
	// ParseName lets none of these through, and here they would be values too.
	for _, user := range []string{"alice\x00", "\x00", "alice\n", `al\69ce`, "\xff\xfe", ""} {
		for _, form := range []account.Form{account.Bare, account.UPN} {
			name := account.Name{User: user, Domain: "contoso.example", Form: form}
			if a, err := l.Lookup(t.Context(), name); err == nil && a.SAM != "alice" { // Samba takes NUL for an end
				t.Errorf("%q: got %s", user, a.SAM)
			}
		}
	}
}

// MFA-26: a name that two accounts have is nobody's: one has it as its UPN,
// the other by its SAM name.
func (s *site) testAmbiguous(t *testing.T) {
	c := s.config(t)
	if a, err := find(t, openLDAP(t, c), "twin@fabrikam.example"); err != nil || a.SAM != "twin2" {
		t.Errorf("got %+v, error %v, want the one that has it as its UPN", a, err)
	}
	c.UPNSuffixes = []string{"fabrikam.example"}
	if a, err := find(t, openLDAP(t, c), "twin@fabrikam.example"); !errors.Is(err, account.ErrUnknown) || !strings.Contains(err.Error(), "2 accounts") {
		t.Errorf("got %+v, error %v, want that two accounts have the name", a, err)
	}
}

// Lists name accounts as Lookup does, however many there are, and leave out who
// is gone.
func (s *site) testNamesOf(t *testing.T) {
	l := openLDAP(t, s.config(t))
	want := map[string]string{}
	ids := []string{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "name-0123456789abcdef0123456789abcdef"}
	for _, typed := range []string{"alice", "bob", "carol"} {
		a, err := find(t, l, typed)
		must(t, err)
		want[a.ID] = a.UPN
		ids = append(ids, a.ID)
	}
	for range 250 {
		ids = append(ids, ids[0])
	}
	slices.Sort(ids)
	if got, err := l.Names(t.Context(), ids); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func (s *site) testAccount(t *testing.T) {
	l := openLDAP(t, s.config(t))
	a, err := find(t, l, `CONTOSO\ALICE`)
	must(t, err)
	if a.UPN != "alice@contoso.example" || a.SAM != "alice" || a.Domain != "CONTOSO" || a.Remembered {
		t.Errorf("got %+v", a)
	}
	if want := []string{"Domain Users", "Users", "inner", "outer (all)"}; !slices.Equal(a.Groups, want) {
		t.Errorf("got groups %q, want %q: nested and primary ones, and no other", a.Groups, want)
	}
	if a.ImmutableID() != "AAECAwQFBgcICQoLDA0ODw==" {
		t.Errorf("got the ImmutableID %s, want mS-DS-ConsistencyGuid", a.ImmutableID())
	}
	if got := a.Attributes; !slices.Equal(got["mail"], []string{"alice@mail.example"}) || !slices.Equal(got["display_name"], []string{"Alice Ä."}) {
		t.Errorf("got attributes %q", got)
	}
	if age := time.Since(a.PasswordSet); age < 0 || age > 10*time.Minute {
		t.Errorf("got that the password was set %v ago", age)
	}
	if b, err := find(t, l, "carol"); err != nil || b.UPN != "carol@contoso.example" {
		t.Errorf("got UPN %q, error %v, want the SAM name in the domain", b.UPN, err)
	}
	if b, err := find(t, l, "bob"); err != nil || b.UPN != "robert@fabrikam.example" {
		t.Errorf("got UPN %q, error %v, want the one that is written", b.UPN, err)
	}
}

func (s *site) testStates(t *testing.T) {
	c := s.config(t)
	l := openLDAP(t, c)
	lock(t, l)
	for sam, is := range map[string]func(account.Account) bool{
		"alice":      func(a account.Account) bool { return !a.Disabled && !a.Expired && !a.Locked && !a.PasswordExpired },
		"disabled":   func(a account.Account) bool { return a.Disabled && !a.Expired && !a.Locked },
		"expired":    func(a account.Account) bool { return a.Expired && !a.Disabled },
		"mustchange": func(a account.Account) bool { return a.PasswordExpired && a.PasswordSet.IsZero() },
		"locked":     func(a account.Account) bool { return a.Locked && !a.Disabled },
	} {
		fresh := openLDAP(t, c) // which has nothing in its cache
		if a, err := find(t, fresh, sam); err != nil || !is(a) {
			t.Errorf("%s: got %+v, error %v", sam, a, err)
		}
	}
}

// lock sends wrong passwords for one account until it is locked.
func lock(t *testing.T, l *directory.LDAP) {
	t.Helper()
	a, err := find(t, l, "locked")
	must(t, err)
	eventually(t, func() error {
		if err := l.Verify(t.Context(), a, password("bad")); !errors.Is(err, account.AccountLocked) {
			return errors.Join(errors.New("not locked"), err)
		}
		return nil
	})
}

// eventually waits for a condition of a real program to come true.
func eventually(t testing.TB, condition func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// A base leaves out who is not below it, and must be in the domain.
func (s *site) testBase(t *testing.T) {
	c := s.config(t)
	c.Base = "CN=Builtin," + directorytest.Base
	if a, err := find(t, openLDAP(t, c), "alice"); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("got %s, error %v, want none below Builtin", a.SAM, err)
	}
	c.Base = "cn=users, dc=CONTOSO,dc=example"
	if a, err := find(t, openLDAP(t, c), "alice"); err != nil || !slices.Contains(a.Groups, "Users") {
		t.Errorf("got %+v, error %v, want alice with a group from outside the base", a, err)
	}
	c.Base = "DC=fabrikam,DC=example"
	if _, err := find(t, openLDAP(t, c), "alice"); err == nil || !strings.Contains(err.Error(), "is not in it") {
		t.Errorf("got %v, want that the base is not in the domain", err)
	}
}

// LOCK-05, LOCK-09: what the controller says of a password is told apart.
func (s *site) testVerify(t *testing.T) {
	l := openLDAP(t, s.config(t))
	lock(t, l)
	for _, c := range []struct {
		typed, password string
		want            error
	}{
		{"alice@contoso.example", alicePassword, nil},
		{"alice@contoso.example", alicePassword + " ", account.WrongPassword},
		{`CONTOSO\bob`, "pw", nil},
		{"jürgen", "pw", nil},
		{"odd", "pw", nil},
		{"disabled", "pw", account.AccountDisabled},
		{"disabled", "wrong", account.WrongPassword},
		{"expired", "pw", account.AccountExpired},
		{"expired", "wrong", account.WrongPassword},
		{"mustchange", "pw", account.PasswordMustChange},
		{"hours", "pw", account.OutOfHours},
		{"places", "pw", account.OutOfPlaces},
		{"locked", "pw", account.AccountLocked},
		{"locked", "wrong", account.AccountLocked},
		{"alice", "", account.ErrDenied},
		{"alice", "\x00", account.WrongPassword},
	} {
		a, err := find(t, l, c.typed)
		must(t, err)
		if err := l.Verify(t.Context(), a, password(c.password)); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s with %q: got %v, want %v", c.typed, c.password, err, c.want)
		}
	}
}

// SOAP-14: for nobody, and without a password, no account is tried.
func (s *site) testNobody(t *testing.T) {
	l := openLDAP(t, s.config(t))
	a, err := find(t, l, "carol")
	must(t, err)
	unknown := account.Account{ID: "11111111-2222-3333-4444-555555555555"}
	for range 5 { // above the threshold
		for _, none := range []account.Account{{}, unknown} {
			if err := l.Verify(t.Context(), none, password("pw")); !errors.Is(err, account.NoAccount) {
				t.Errorf("got %v for no account", err)
			}
		}
		if err := l.Verify(t.Context(), a, password("")); !errors.Is(err, account.ErrDenied) {
			t.Errorf("got %v for no password", err)
		}
	}
	if n, err := s.admin.Get(s.people["carol"], "badPwdCount"); err != nil || string(n) != "0" {
		t.Errorf("got badPwdCount %s, error %v, want that nothing was sent", n, err)
	}
	// It takes as long as a wrong password did.
	if err := l.Verify(t.Context(), a, password("wrong")); !errors.Is(err, account.WrongPassword) {
		t.Errorf("got %v", err)
	}
	directory.SetWrong(l, 300*time.Millisecond)
	start := time.Now()
	if err := l.Verify(t.Context(), account.Account{}, password("pw")); !errors.Is(err, account.ErrDenied) || time.Since(start) < 300*time.Millisecond {
		t.Errorf("got %v after %v, want a wrong password's 300ms", err, time.Since(start))
	}
	must(t, l.Verify(t.Context(), a, password("pw"))) // which takes the wrong one away
}

// An account is found again by its GUID, however it is called meanwhile.
func (s *site) testRenamed(t *testing.T) {
	s.user(t, "mover", "mover@contoso.example", "pw")
	l := openLDAP(t, s.config(t))
	a, err := find(t, l, "mover")
	must(t, err)
	must(t, s.admin.Rename(s.people["mover"], "CN=moved away"))
	if err := l.Verify(t.Context(), a, password("pw")); err != nil {
		t.Errorf("got %v after a rename", err)
	}
	must(t, s.admin.Delete("CN=moved away,CN=Users,"+directorytest.Base))
	if err := l.Verify(t.Context(), a, password("pw")); !errors.Is(err, account.NoAccount) {
		t.Errorf("got %v for an account that was deleted", err)
	}
	directory.AgeNames(l, 3*time.Minute)
	if a, err := find(t, l, "mover"); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("got %+v, error %v, want none", a, err)
	}
}

// LOCK-01: the domain's lockout, and fine-grained ones for who may read them.
func (s *site) testThresholds(t *testing.T) {
	c := s.config(t)
	domain := directory.Lockout{Threshold: 3, Window: 30 * time.Minute}
	got, err := openLDAP(t, c).Thresholds(t.Context())
	if err != nil || !slices.Equal(got, []directory.Lockout{domain}) {
		t.Errorf("got %+v, error %v, want %+v", got, err, domain)
	}
	c.User, c.Password = directorytest.Administrator, secretFile(t, directorytest.AdministratorPassword)
	got, err = openLDAP(t, c).Thresholds(t.Context())
	if want := []directory.Lockout{domain, {Policy: "fine", Threshold: 7, Window: 10 * time.Minute}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, error %v, want %+v", got, err, want)
	}
}

func (s *site) testMany(t *testing.T) {
	c := s.config(t)
	c.Timeout = 20 * time.Second // the machine may be busy, and this is not about time
	l := openLDAP(t, c)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			sam := []string{"alice", "bob", "carol", "jürgen", "odd"}[i%5]
			a, err := l.Lookup(t.Context(), account.Name{User: sam})
			if err != nil || a.SAM != sam {
				t.Errorf("%s: got %s, error %v", sam, a.SAM, err)
			}
			secret := "pw"
			if sam == "alice" {
				secret = alicePassword
			}
			if err := l.Verify(t.Context(), a, password(secret)); err != nil {
				t.Errorf("%s: %v", sam, err)
			}
			directory.AgeNames(l, 3*time.Minute)
		})
	}
	wg.Wait()
	if n := directory.Idle(l); n == 0 || n > 8 {
		t.Errorf("got %d idle connections, want 1 to 8", n)
	}
}

// A password of the service's that the controller refuses is tried once, so
// that the gateway never locks its own account, and again after a reload.
func (s *site) testServicePassword(t *testing.T) {
	s.user(t, "svc-other", "svc-other@contoso.example", "right")
	var out bytes.Buffer
	c := s.config(t)
	c.User, c.Password = "svc-other@contoso.example", secretFile(t, "not-the-right-one")
	c.Log = slog.New(slog.NewTextHandler(&out, nil))
	l := openLDAP(t, c)
	for range 10 {
		if _, err := find(t, l, "alice"); err == nil || errors.Is(err, account.ErrUnknown) || !strings.Contains(err.Error(), "the bind account") {
			t.Errorf("got %v", err)
		}
	}
	if err := l.Healthy(); err == nil {
		t.Error("healthy with a wrong password")
	}
	if n, err := s.admin.Get(s.people["svc-other"], "badPwdCount"); err != nil || string(n) != "1" {
		t.Errorf("got badPwdCount %s, error %v, want 1", n, err)
	}
	if s := out.String(); strings.Contains(s, "not-the-right-one") || !strings.Contains(s, "wrong password") {
		t.Errorf("got the log %s", s)
	}
	must(t, os.WriteFile(c.Password, []byte("right"), 0o600))
	replace, err := l.Prepare()
	must(t, err)
	replace()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.Watch(ctx)
	eventually(t, l.Healthy)
	if _, err := find(t, l, "alice"); err != nil {
		t.Errorf("got %v after the reload", err)
	}
}

// TLS-05: only the authority that is named, and only the name that is asked.
func (s *site) testAuthority(t *testing.T) {
	stranger := httptest.NewUnstartedServer(nil)
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	other := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(other, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stranger.Certificate().Raw}), 0o600))
	c := s.config(t)
	c.CA = other
	if _, err := find(t, openLDAP(t, c), "alice"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("got %v, want that nobody knows who signed the certificate", err)
	}
	c.URL = "ldaps://" + strings.Replace(stranger.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	if _, err := find(t, openLDAP(t, c), "alice"); err == nil || !strings.Contains(err.Error(), "not localhost") {
		t.Errorf("got %v, want that the certificate is for other names", err)
	}
}

// A client that gives up does not speak against the controller.
func (s *site) testClientGone(t *testing.T) {
	l := openLDAP(t, s.config(t))
	_, err := find(t, l, "alice")
	must(t, err)
	must(t, s.Stall())
	defer s.Resume()
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := l.Lookup(ctx, account.Name{User: "bob"})
			done <- err
		}()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the client's own end", err)
		}
	}
	must(t, s.Resume())
	if _, err := find(t, l, "carol"); err != nil {
		t.Errorf("got %v afterwards", err)
	}
}

// FAIL-02: slow is down. Nothing waits for longer than its deadline, after
// three failures nothing waits, and who is known stays known for an hour.
func (s *site) testStalled(t *testing.T) {
	c := s.config(t)
	c.Timeout = 500 * time.Millisecond
	l := openLDAP(t, c)
	alice, err := find(t, l, "alice")
	must(t, err)
	_, err = find(t, l, "bob")
	must(t, err)
	must(t, s.Stall())
	defer s.Resume()

	if again, err := find(t, l, "alice"); err != nil || again.Remembered || len(again.Groups) == 0 {
		t.Errorf("got %+v, error %v, want what was read just now", again, err)
	}
	start := time.Now()
	if err := l.Verify(t.Context(), alice, password(alicePassword)); err == nil || errors.Is(err, account.ErrDenied) {
		t.Errorf("got %v, want that it is not known", err)
	}
	directory.AgeNames(l, 3*time.Minute)
	if a, err := find(t, l, "alice"); err != nil || !a.Remembered || a.ID != alice.ID || len(a.Groups) > 0 {
		t.Errorf("got %+v, error %v, want alice from memory without groups", a, err)
	}
	if a, err := find(t, l, "carol"); err == nil || errors.Is(err, account.ErrUnknown) {
		t.Errorf("got %+v, error %v, want that it is not known", a, err)
	}
	if took := time.Since(start); took > 20*c.Timeout {
		t.Errorf("three took %v", took)
	}
	start = time.Now()
	for range 100 {
		if _, err := find(t, l, "carol"); err == nil || !strings.Contains(err.Error(), "is down") {
			t.Fatalf("got %v, want that the controller is down", err)
		}
		if err := l.Verify(t.Context(), account.Account{}, password("x")); err == nil || errors.Is(err, account.ErrDenied) {
			t.Fatalf("got %v, want that it is not known", err)
		}
	}
	if took := time.Since(start); took > 20*c.Timeout {
		t.Errorf("200 that nobody asked took %v", took)
	}
	directory.AgeNames(l, time.Hour)
	if a, err := find(t, l, "alice"); err == nil {
		t.Errorf("got %+v after more than an hour", a)
	}
	must(t, s.Resume())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.Watch(ctx)
	eventually(t, l.Healthy)
	if a, err := find(t, l, "alice"); err != nil || a.Remembered || len(a.Groups) == 0 {
		t.Errorf("got %+v, error %v, want all of alice again", a, err)
	}
}

// FAIL-01: a controller that is started again is found again, by the very
// next request where it was not missed meanwhile.
func (s *site) testKilled(t *testing.T) {
	l := openLDAP(t, s.config(t))
	_, err := find(t, l, "alice")
	must(t, err)
	must(t, s.Kill())
	must(t, s.Start())
	if _, err := find(t, l, "bob"); err != nil {
		t.Errorf("got %v after a restart that nobody saw", err)
	}
	must(t, s.Kill())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.Watch(ctx)
	eventually(t, func() error {
		if l.Healthy() == nil {
			return errors.New("the controller is not missed")
		}
		return nil
	})
	if _, err := find(t, l, "carol"); err == nil || errors.Is(err, account.ErrUnknown) {
		t.Errorf("got %v while it is away", err)
	}
	must(t, s.Start())
	start := time.Now()
	eventually(t, l.Healthy)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("found again after %v", took)
	}
	if _, err := find(t, l, "carol"); err != nil {
		t.Errorf("got %v when it is back", err)
	}
}

// FAIL-01, FAIL-02: while a controller comes and goes under requests none hangs,
// and nothing is left behind.
func (s *site) testComingAndGoing(t *testing.T) {
	before := runtime.NumGoroutine()
	c := s.config(t)
	c.Timeout = 100 * time.Millisecond
	l := openLDAP(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.Watch(ctx)
	ended := make(chan time.Duration)
	for i := range 12 {
		go func() {
			for ctx.Err() == nil {
				start := time.Now()
				if i%3 == 0 {
					_ = l.Verify(ctx, account.Account{}, password("x"))
				} else {
					_, _ = l.Lookup(ctx, account.Name{User: []string{"alice", "bob", "carol"}[i%3]})
					directory.AgeNames(l, 3*time.Minute)
				}
				select {
				case ended <- time.Since(start):
				case <-ctx.Done():
				}
			}
		}()
	}
	for _, step := range slices.Repeat([]func() error{s.Stall, s.Resume, s.Kill, s.Start}, 4) {
		must(t, step())
		for range 60 {
			select {
			case took := <-ended:
				if took > c.Timeout+5*time.Second { // of a busy machine
					t.Errorf("one took %v", took)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("all hang")
			}
		}
	}
	cancel()
	l.Close()
	eventually(t, func() error {
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d goroutines, %d before", n, before)
		}
		return nil
	})
}
