package admin_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"stsgate/gateway/account"
	"stsgate/gateway/admin"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// An app is a user's, with its secret.
type app struct{ secret string }

// code is that of the moment, or so much later.
func (a app) code(t *testing.T, later time.Duration) account.Password {
	t.Helper()
	c, err := totp.GenerateCode(a.secret, time.Now().Add(later))
	if err != nil {
		t.Fatal(err)
	}
	return account.NewPassword([]byte(c))
}

// enrol binds an app to alice, and spends the code of the moment.
func (o *office) enrol(t *testing.T) app {
	t.Helper()
	ctx, here := t.Context(), factor.Source{By: "tests"}
	p, err := o.factors.Admit(ctx, alice)
	if err != nil {
		t.Fatal(err)
	}
	half, err := o.factors.BeginTOTP(ctx, factor.User{ID: alice}, p)
	if err != nil {
		t.Fatal(err)
	}
	a := app{strings.ReplaceAll(half.Secret(), " ", "")}
	if _, err := o.factors.ConfirmTOTP(ctx, alice, half.ID, a.code(t, 0), "phone", here); err != nil {
		t.Fatal(err)
	}
	return a
}

func (o *office) check(t *testing.T, code account.Password, f policy.Factors) (factor.Proof, error) {
	return o.factors.CheckCode(t.Context(), factor.User{ID: alice}, account.NewPassword(bytes.Clone(code.Bytes())), f, factor.Source{By: "tests"})
}

func (o *office) backup(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := o.client.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (o *office) restore(t *testing.T, backup []byte, in admin.Restore) (*admin.Restored, error) {
	in.Reason = "test"
	return o.client.Restore(t.Context(), in, bytes.NewReader(backup))
}

// STATE-09: a code that was used after yesterday's backup stays used when that
// is restored, into an empty store and over the one in use; so do recovery codes.
func TestRestoreDoesNotRevive(t *testing.T) {
	keys := state.NewKey()
	o := openOfficeWith(t, keys)
	phone := o.enrol(t)
	used := phone.code(t, 30*time.Second)
	backupWithoutRecovery := o.backup(t)
	p, err := o.check(t, used, policy.TOTP)
	if err != nil {
		t.Fatal(err)
	}
	recovery, err := o.factors.NewRecoveryCodes(t.Context(), alice, p, factor.Source{By: "tests"})
	if err != nil {
		t.Fatal(err)
	}
	backup := o.backup(t)
	if _, err := o.check(t, recovery[0], policy.Recovery); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]struct {
		into   *office
		backup []byte
	}{
		"empty store": {openOfficeWith(t, keys), backupWithoutRecovery}, "empty store, with recovery codes": {openOfficeWith(t, keys), backup}, "store in use": {o, backup},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := v.into.restore(t, v.backup, admin.Restore{Replace: v.into == o})
			if err != nil || r.Enrolments != 1 {
				t.Fatalf("got %+v, %v", r, err)
			}
			if _, err := v.into.check(t, used, policy.TOTP); !errors.Is(err, factor.ErrReused) {
				t.Errorf("a code that was used: got %v, want ErrReused", err)
			}
			if _, err := v.into.check(t, phone.code(t, 0), policy.TOTP); !errors.Is(err, factor.ErrReused) {
				t.Errorf("the code that the app shows: got %v, want ErrReused", err)
			}
			for i, code := range recovery[:2] {
				if _, err := v.into.check(t, code, policy.Recovery); !errors.Is(err, factor.ErrMissing) && !errors.Is(err, factor.ErrWrong) {
					t.Errorf("recovery code %d: got %v, want ErrMissing or ErrWrong", i, err)
				}
			}
			if got, want := v.into.outcomes(), "restore unknown, restore success"; !strings.HasSuffix(got, want) {
				t.Errorf("got records %s", got)
			}
		})
	}
}

// STATE-09: what closes is taken in beside what there is, and what somebody goes
// on with ends.
func TestRestoreClosesAndEnds(t *testing.T) {
	keys := state.NewKey()
	o := openOfficeWith(t, keys)
	ctx := t.Context()
	for _, target := range []string{alice, "203.0.113.9"} {
		if err := o.closes(admin.BanAdd, target); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.closes(admin.LockAdd, alice); err != nil {
		t.Fatal(err)
	}
	ending := []state.Key{state.Sessions.Key("a"), state.Grants.Key("mfa-a", "b"), state.Approvals.Key("user-a", "b")}
	for _, k := range ending {
		if _, err := o.store.Create(ctx, k, []byte("{}"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	mark := state.Marks.Key("nonce")
	if _, err := o.store.Create(ctx, mark, []byte("used"), time.Hour); err != nil {
		t.Fatal(err)
	}
	backup := o.backup(t)
	for _, secret := range []string{"sessions", "grants", "approvals"} {
		if bytes.Contains(backup, []byte(secret)) {
			t.Errorf("the backup holds %s", secret)
		}
	}
	if err := o.client.Call(ctx, admin.BanRemove, admin.Close{Target: alice, Reason: "test"}, new(admin.Done)); err != nil {
		t.Fatal(err)
	}
	if err := o.closes(admin.BanAdd, "203.0.113.0/24"); err != nil {
		t.Fatal(err)
	}
	r, err := o.restore(t, backup, admin.Restore{Replace: true})
	if err != nil || r.Dropped != 3 || r.Others != 1 || r.Kept != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
	bans, err := o.guard.Bans(ctx)
	if err != nil || len(bans) != 3 {
		t.Errorf("got bans %+v, %v", bans, err)
	}
	for _, k := range ending {
		if _, err := o.store.Get(ctx, k); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", k, err)
		}
	}

	empty := openOfficeWith(t, keys)
	if _, err := empty.restore(t, backup, admin.Restore{}); err != nil {
		t.Fatal(err)
	}
	if locks, err := empty.guard.Locks(ctx); err != nil || len(locks) != 1 || locks[0].User != alice || time.Until(locks[0].Until) > time.Minute {
		t.Errorf("got locks %+v, %v", locks, err)
	}
	if r, err := empty.store.Get(ctx, mark); err != nil || time.Until(r.Expires) > time.Hour+time.Second {
		t.Errorf("a mark: got %+v, %v", r, err)
	}
}

// A restore that is refused changes nothing.
func TestRestoreRefuses(t *testing.T) {
	o := openOffice(t)
	o.enrol(t)
	if err := o.closes(admin.BanAdd, "203.0.113.9"); err != nil {
		t.Fatal(err)
	}
	backup := o.backup(t)
	lines := bytes.SplitAfter(backup, []byte("\n"))
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	forged := func(old, new string) []byte { return bytes.Replace(backup, []byte(old), []byte(new), 1) }
	for name, v := range map[string]struct {
		backup []byte
		want   string
	}{
		"another key":     {openOfficeBackup(t), "state key"},
		"nothing":         {nil, "cut off"},
		"no end":          {join(lines[:len(lines)-2]...), "cut off"},
		"cut in a line":   {backup[:len(backup)/2], "cut off"},
		"a line less":     {join(lines[0], join(lines[2:]...)), "cut off"},
		"no header":       {join(lines[1:]...), "no header"},
		"two headers":     {join(lines[0], backup), "second one"},
		"later format":    {forged(`"stsgate_backup":1`, `"stsgate_backup":2`), "format 2"},
		"another bucket":  {forged(`"bucket":"bans"`, `"bucket":"sessions"`), "no backup has"},
		"moved":           {forged(`"path":"source-`, `"path":"source-0`), "state key"},
		"a field more":    {forged(`"header":{`, `"header":{"x":1,`), "unknown field"},
		"not JSON":        {[]byte("age-encryption.org/v1"), "not a backup"},
		"a ban that ends": {forged(`"bucket":"bans",`, `"bucket":"bans","expires":"2099-01-01T00:00:00Z",`), "not a record of this bucket"},
		"a flipped bit":   {flipped(backup), "state key"},
	} {
		t.Run(name, func(t *testing.T) {
			before := contents(t, o)
			_, err := o.restore(t, v.backup, admin.Restore{Replace: true})
			if err == nil || !strings.Contains(err.Error(), v.want) {
				t.Errorf("got %v, want an error with %q", err, v.want)
			}
			if got := contents(t, o); !slices.Equal(got, before) {
				t.Errorf("got records %v, want %v", got, before)
			}
		})
	}
	if _, err := o.restore(t, backup, admin.Restore{}); err == nil || !strings.Contains(err.Error(), "1 enrolments and 1 bans") {
		t.Errorf("into a store in use: %v", err)
	}
	before := contents(t, o)
	if r, err := o.restore(t, backup, admin.Restore{Try: true}); err != nil || r.Time.IsZero() {
		t.Errorf("dry run: %+v, %v", r, err)
	}
	if got := contents(t, o); !slices.Equal(got, before) {
		t.Errorf("after a dry run: got records %v, want %v", got, before)
	}
	o.refuse = len(o.records) + 1
	if _, err := o.restore(t, backup, admin.Restore{Replace: true}); err == nil || !strings.Contains(err.Error(), "nothing was done") {
		t.Errorf("unrecorded: %v", err)
	}
	if got := contents(t, o); !slices.Equal(got, before) {
		t.Errorf("unrecorded: got records %v, want %v", got, before)
	}
}

// flipped has one character of a value changed.
func flipped(backup []byte) []byte {
	const value, at = `"value":"`, 20
	b := bytes.Clone(backup)
	i := bytes.Index(b, []byte(value)) + len(value) + at
	b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
	return b
}

func openOfficeBackup(t *testing.T) []byte {
	other := openOffice(t)
	if err := other.closes(admin.BanAdd, "203.0.113.9"); err != nil {
		t.Fatal(err)
	}
	return other.backup(t)
}

// contents names the records of the store with their revisions.
func contents(t *testing.T, o *office) []string {
	t.Helper()
	var all []string
	for _, b := range state.Buckets() {
		records, err := o.store.List(t.Context(), b.Key())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			all = append(all, fmt.Sprint(r.Key, " ", r.Revision))
		}
	}
	return all
}

// MFA-19: a backup tells no secret to whom only has its identity.
func TestBackupTellsNoSecret(t *testing.T) {
	o := openOffice(t)
	o.enrol(t)
	if backup := o.backup(t); bytes.Contains(backup, []byte("secret")) || !bytes.Contains(backup, []byte(alice)) {
		t.Errorf("got %s", backup)
	}
	if r := o.records[len(o.records)-1]; r.Action != "backup" || r.Outcome != "success" || r.Records != 1 {
		t.Errorf("got record %+v", r)
	}
	o.refuse = len(o.records) + 1
	var b bytes.Buffer
	if _, err := o.client.Backup(t.Context(), &b); err == nil || b.Len() > 0 {
		t.Errorf("unrecorded: got %v and %d bytes", err, b.Len())
	}
}

// A backup of many records is whole, and is restored in one go.
func TestBackupOfMany(t *testing.T) {
	keys := state.NewKey()
	o := openOfficeWith(t, keys)
	const many = 5000
	h := guard.Hold{By: "ops", Why: strings.Repeat("x", 200)}
	for i := range many {
		if err := o.guard.BanUser(t.Context(), fmt.Sprint("user", i), h); err != nil {
			t.Fatal(err)
		}
	}
	empty := openOfficeWith(t, keys)
	r, w := io.Pipe()
	go func() {
		_, err := o.client.Backup(t.Context(), w)
		w.CloseWithError(err)
	}()
	got, err := empty.client.Restore(t.Context(), admin.Restore{Reason: "test"}, r)
	if err != nil || got.Others != many {
		t.Errorf("got %+v, %v", got, err)
	}
	if bans, err := empty.guard.Bans(t.Context()); err != nil || len(bans) != many {
		t.Errorf("got %d bans, %v", len(bans), err)
	}
}
