package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/admin"
	"stsgate/gateway/audit"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa/factor"
)

func (o *office) asks(name, target string, out any) error {
	return o.client.Call(context.Background(), name, admin.Who{Target: target, Reason: "test"}, out)
}

// MFA-07, LOCK-07: an address that a user closed by mistake is listed, and opened
// for that user alone.
func TestDisownedAddress(t *testing.T) {
	o := openOffice(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	hold := guard.Hold{Until: until, By: "the user"}
	o.closed = []guard.Closed{{User: alice, Addresses: "198.51.100.9", Hold: hold}, {User: chief, Addresses: "2001:db8::/64", Hold: hold}}
	list := func() (all []string) {
		var l admin.List
		if err := o.client.Call(t.Context(), admin.LockList, admin.Nothing{}, &l); err != nil {
			t.Fatal(err)
		}
		for _, r := range l.Rows {
			all = append(all, r.Name+" "+r.Addresses+" "+r.By)
		}
		slices.Sort(all)
		return all
	}
	if got, want := list(), []string{"alice@contoso.example 198.51.100.9 the user", "chief@contoso.example 2001:db8::/64 the user"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	clear := func() error {
		return o.client.Call(t.Context(), admin.LockClear, admin.Close{Target: "alice@contoso.example", Reason: "a slip"}, new(admin.Done))
	}
	if err := clear(); err != nil {
		t.Error(err)
	}
	if got, want := list(), []string{"chief@contoso.example 2001:db8::/64 the user"}; !slices.Equal(got, want) {
		t.Errorf("then %q, want %q", got, want)
	}
	if err := clear(); err == nil || !strings.Contains(err.Error(), "nothing to end") {
		t.Errorf("once more: %v", err)
	}
	if err := o.guard.LockUser(t.Context(), alice, guard.Hold{Until: until}); err != nil || clear() != nil {
		t.Errorf("a lock alone is not cleared: %v", err)
	}
}

// MFA-14: the help desk lists, resets and makes binding codes, and can do nothing
// else: there is no call that approves for a user or shows a secret.
func TestCalls(t *testing.T) {
	text, err := os.ReadFile("calls.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\t[A-Z]\w+ += "([a-z-]+)"$`).FindAllSubmatch(text, -1) {
		got = append(got, string(m[1]))
	}
	want := []string{"lock-list", "lock-add", "lock-clear", "ban-list", "ban-add", "ban-remove", "mfa-list", "mfa-reset", "mfa-revoke", "mfa-binding-code", "backup", "restore"}
	if !slices.Equal(got, want) {
		t.Errorf("got calls %q, want %q", got, want)
	}
	for _, k := range audit.Kinds() {
		if k.Fields == reflect.TypeFor[audit.Operation]() && !slices.Equal(k.Actions, want) {
			t.Errorf("got actions in the audit log %q, want %q", k.Actions, want)
		}
	}
	o := openOffice(t)
	desk, err := admin.NewDesk(admin.DeskConfig{Guard: o.guard, Factors: o.factors, Record: o.record, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(want, "mfa-approve", "mfa-decide", "mfa-show", "mfa-secret") {
		known := slices.Contains(want, name)
		w := httptest.NewRecorder()
		desk.ServeHTTP(w, httptest.NewRequest("POST", "/"+name, strings.NewReader("{}")))
		if want := map[bool]int{true: 403, false: 404}[known]; w.Code != want { // the recorder is no socket, so that nobody calls
			t.Errorf("%s: got %d, want %d", name, w.Code, want)
		}
	}
}

// MFA-11, MFA-14: a binding code is good once, for the user whose it is; neither
// the audit log nor a list holds it or a secret.
func TestBindingCode(t *testing.T) {
	o := openOffice(t)
	var b admin.BindingCode
	if err := o.asks(admin.MFABindingCode, "alice@contoso.example", &b); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.known, []string{"alice@contoso.example"}) { // MFA-12: or the notice names a GUID that nobody can be reached by
		t.Errorf("known before the notice: %q", o.known)
	}
	if b.User != alice || b.Name != "alice@contoso.example" || time.Until(b.Until) > factor.BindingLast || time.Until(b.Until) < factor.BindingLast/2 {
		t.Errorf("got %+v", b)
	}
	redeem := func(user string) error {
		_, err := o.factors.RedeemBindingCode(t.Context(), user, account.NewPassword([]byte(b.Code)))
		return err
	}
	if err := redeem("7c9e6679-7425-40de-944b-e07fc1f90ae7"); err == nil {
		t.Error("the code is good for another user")
	}
	if err := redeem(alice); err != nil {
		t.Errorf("the code: %v", err)
	}
	if err := redeem(alice); err == nil {
		t.Error("the code is good twice")
	}
	log, err := json.Marshal(o.records)
	if err != nil {
		t.Fatal(err)
	}
	if code := strings.Split(b.Code, "-")[0]; bytes.Contains(log, []byte(code)) || !bytes.Contains(log, []byte("mfa-binding-code")) {
		t.Errorf("got records %s", log)
	}
	for _, target := range []string{"nobody@contoso.example", "203.0.113.9", "name-" + strings.Repeat("0", 32), ""} {
		if err := o.asks(admin.MFABindingCode, target, new(admin.BindingCode)); err == nil {
			t.Errorf("%q got a code", target)
		}
	}
}

// MFA-14: a reset takes away what the user has and what was proven by it, and
// gives nobody anything.
func TestResetAndRevoke(t *testing.T) {
	o := openOffice(t)
	phone := o.enrol(t)
	for _, target := range []string{"", "alice@contoso.example"} {
		var l admin.Authenticators
		if err := o.asks(admin.MFAList, target, &l); err != nil || len(l.Rows) != 1 || l.Rows[0].User != alice || l.Rows[0].Kind != "totp" || l.Rows[0].Label != "phone" {
			t.Errorf("%q: got %+v, %v", target, l, err)
		}
	}
	if err := o.asks(admin.MFARevoke, "alice@contoso.example", new(admin.Done)); err != nil || !slices.Equal(o.ended, []string{alice}) {
		t.Errorf("revoke: %v, ended %q", err, o.ended)
	}
	if err := o.asks(admin.MFAReset, "alice@contoso.example", new(admin.Done)); err != nil || !slices.Equal(o.ended, []string{alice, alice}) {
		t.Errorf("reset: %v, ended %q", err, o.ended)
	}
	if _, err := o.check(t, phone.code(t, 30*time.Second), 0xff); !errors.Is(err, factor.ErrMissing) {
		t.Errorf("the app after a reset: %v, want ErrMissing", err)
	}
	var l admin.Authenticators
	if err := o.asks(admin.MFAList, "", &l); err != nil || len(l.Rows) != 0 {
		t.Errorf("after a reset: %+v, %v", l, err)
	}
	if got, want := o.outcomes(), "mfa-revoke unknown, mfa-revoke success, mfa-reset unknown, mfa-reset success, mfa-list success"; !strings.HasSuffix(got, want) {
		t.Errorf("got records %s", got)
	}
	o.refuse = len(o.records) + 1
	if err := o.asks(admin.MFABindingCode, "alice@contoso.example", new(admin.BindingCode)); err == nil || !strings.Contains(err.Error(), "nothing was done") {
		t.Errorf("unrecorded: %v", err)
	}
}
