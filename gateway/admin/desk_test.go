package admin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/admin"
	"stsgate/gateway/audit"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
)

const (
	alice = "0f8fad5b-d9cb-469f-a165-70867728950e"
	chief = "9b2c8b1e-5a0f-4f55-9b36-0c9e1f7a2d11" // in a protected group
)

// An office is a desk that listens, and what it wrote.
type office struct {
	client  admin.Client
	desk    *admin.Desk
	guard   *guard.Guard
	factors *factor.Verifier
	store   *state.Sealed

	mu      sync.Mutex
	records []audit.Operation
	ended   []string
	closed  []guard.Closed
	known   []string // whose account the notices know
	dark    bool     // the directory does not answer
	refuse  int      // the record with that number, from 1, cannot be written
	panics  any      // with which no record is written
	log     strings.Builder
}

func (o *office) record(r *audit.Operation) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.panics != nil {
		panic(o.panics)
	}
	if len(o.records)+1 == o.refuse {
		return errors.New("disk full")
	}
	o.records = append(o.records, *r)
	return nil
}

// outcomes are the actions and outcomes of the records.
func (o *office) outcomes() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for _, r := range o.records {
		all = append(all, r.Action+" "+r.Outcome)
	}
	return strings.Join(all, ", ")
}

func openOffice(t *testing.T) *office { return openOfficeWith(t, state.NewKey()) }

// openOfficeWith has an empty store that is sealed with the keys of a file.
func openOfficeWith(t *testing.T, keys []byte) *office {
	t.Helper()
	o := newOffice(t, keys)
	o.client.Socket = filepath.Join(folder(t), "admin.sock")
	l, err := admin.Listen(o.client.Socket, "")
	if err != nil {
		t.Fatal(err)
	}
	s := o.desk.Server()
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return o
}

// newOffice has no socket.
func newOffice(t *testing.T, keys []byte) *office {
	t.Helper()
	o := &office{}
	log := slog.New(slog.NewTextHandler(&o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	k, err := state.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	o.store = state.Seal(state.NewMemory(nil), k)
	secret := make([]byte, 32)
	o.guard, err = guard.New(guard.Config{
		Limits: guard.Defaults(), Store: o.store, Secret: secret, Metrics: prometheus.NewRegistry(), Log: log,
		Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.factors, err = factor.New(factor.Config{Store: o.store, Secret: secret, Metrics: prometheus.NewRegistry(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	o.desk, err = admin.NewDesk(admin.DeskConfig{Guard: o.guard, Factors: o.factors, Store: o.store, Lookup: lookup, Names: o.names, Record: o.record, Log: log, Protected: []string{"Domain Admins"},
		Know:     func(_ context.Context, a account.Account) { o.known = append(o.known, a.UPN) },
		Disowned: func(context.Context) ([]guard.Closed, error) { return o.closed, nil }, Reopen: o.reopen,
		Ends: []func(context.Context, string) error{func(_ context.Context, user string) error { o.ended = append(o.ended, user); return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) reopen(_ context.Context, user string) error {
	before := len(o.closed)
	if o.closed = slices.DeleteFunc(o.closed, func(c guard.Closed) bool { return c.User == user }); len(o.closed) == before {
		return guard.ErrNothing
	}
	return nil
}

func lookup(_ context.Context, n account.Name) (account.Account, error) {
	switch n.Key() {
	case "alice@contoso.example", `contoso\alice`:
		return account.Account{ID: alice, UPN: "alice@contoso.example"}, nil
	case "chief@contoso.example":
		return account.Account{ID: chief, UPN: "chief@contoso.example", Groups: []string{"staff", "domain admins"}}, nil
	case "down@contoso.example":
		return account.Account{}, errors.New("no answer in time")
	}
	return account.Account{}, account.ErrUnknown
}

func (o *office) names(_ context.Context, ids []string) (map[string]string, error) {
	if o.dark {
		return nil, errors.New("no answer in time")
	}
	known := map[string]string{alice: "alice@contoso.example", chief: "chief@contoso.example"}
	maps.DeleteFunc(known, func(id, _ string) bool { return !slices.Contains(ids, id) })
	return known, nil
}

// A list has the names of users and, where the directory does not answer, does
// without.
func TestListNames(t *testing.T) {
	o := openOffice(t)
	for _, target := range []string{alice, "203.0.113.9"} {
		if err := o.closes(admin.BanAdd, target); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"alice@contoso.example", ""} {
		var l admin.List
		if err := o.client.Call(t.Context(), admin.BanList, admin.Nothing{}, &l); err != nil || len(l.Rows) != 2 {
			t.Fatalf("got %+v, %v", l, err)
		}
		for _, r := range l.Rows {
			if r.Target == alice && r.Name != want || r.Target != alice && r.Name != "" {
				t.Errorf("got %+v, want the name %q", r, want)
			}
		}
		o.dark = true
	}
}

func (o *office) closes(call, target string) error {
	return o.client.Call(context.Background(), call, admin.Close{Target: target, Seconds: 60, Reason: "test"}, new(admin.Done))
}

// AUD-11: whoever changes something has a record before and after, whoever reads
// has one, each with the uid that the kernel names.
func TestEachCallIsRecorded(t *testing.T) {
	o := openOffice(t)
	if err := o.closes(admin.BanAdd, `CONTOSO\alice`); err != nil {
		t.Fatal(err)
	}
	var l admin.List
	if err := o.client.Call(t.Context(), admin.BanList, admin.Nothing{}, &l); err != nil {
		t.Fatal(err)
	}
	if len(l.Rows) != 1 || l.Rows[0].Target != alice || l.Rows[0].Name != "alice@contoso.example" || l.Rows[0].Reason != "test" || l.Rows[0].By == "" {
		t.Errorf("got bans %+v", l)
	}
	if err := o.closes(admin.LockAdd, "nobody@contoso.example"); err == nil {
		t.Error("a name that nobody has was locked")
	}
	if got, want := o.outcomes(), "ban-add unknown, ban-add success, ban-list success, lock-add failure"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	first := o.records[0]
	for i, r := range o.records {
		if r.UserID != fmt.Sprint(os.Getuid()) || r.PID != os.Getpid() || r.Call == "" || r.Time.IsZero() {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if first.TargetID != alice || first.Reason != "test" || first.Call != o.records[1].Call || first.Call == o.records[2].Call {
		t.Errorf("got %+v", o.records)
	}
}

// What cannot be recorded is not done, and nothing is told.
func TestUnrecordedIsRefused(t *testing.T) {
	for name, call := range map[string]func(o *office) error{
		"change": func(o *office) error { return o.closes(admin.BanAdd, "203.0.113.9") },
		"list": func(o *office) error {
			return o.client.Call(context.Background(), admin.LockList, admin.Nothing{}, new(admin.List))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := openOffice(t)
			o.refuse = 1
			if err := call(o); err == nil || !strings.Contains(err.Error(), "nothing was done, since the audit log cannot be written: disk full") {
				t.Errorf("got %v", err)
			}
			if bans, err := o.guard.Bans(t.Context()); err != nil || len(bans) > 0 {
				t.Errorf("got bans %v, %v", bans, err)
			}
		})
	}
	t.Run("outcome", func(t *testing.T) {
		o := openOffice(t)
		o.refuse = 2
		if err := o.closes(admin.BanAdd, "203.0.113.9"); err == nil || !strings.Contains(err.Error(), "what became of it is not recorded") {
			t.Errorf("got %v", err)
		}
	})
}

// LOCK-07, LOCK-08: narrow, never all, never what many share, and never a name
// that was mistyped.
func TestTargets(t *testing.T) {
	for _, v := range []struct{ call, target, want string }{
		{admin.BanAdd, "0.0.0.0/0", "can be banned"},
		{admin.BanAdd, "::/0", "can be banned"},
		{admin.BanAdd, "198.51.100.0/24", "clients.proxies"},
		{admin.BanAdd, "203.0.113.9/24", "bits of a host"},
		{admin.BanAdd, "", "user name is not acceptable"},
		{admin.BanAdd, "*", "does not know *"},
		{admin.LockAdd, "203.0.113.9", "ban add"},
		{admin.LockAdd, "down@contoso.example", "no answer in time"},
		{admin.LockClear, "alice@contoso.example", "nothing to end"},
		{admin.LockClear, "203.0.113.9", "nothing to end"},
		{admin.LockClear, "0.0.0.0/0", "nothing to end"},
		{admin.BanRemove, "203.0.113.0/24", "nothing to end"},
	} {
		o := openOffice(t)
		in := admin.Close{Target: v.target, Reason: "test"}
		if strings.HasSuffix(v.call, "-add") {
			in.Seconds = 60
		}
		if err := o.client.Call(t.Context(), v.call, in, new(admin.Done)); err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%s %s: got %v, want an error with %q", v.call, v.target, err, v.want)
		}
	}
	o := openOffice(t)
	for _, target := range []string{"alice@contoso.example", alice, "{" + strings.ToUpper(alice) + "}", "name-" + strings.Repeat("0", 32), "203.0.113.9", "::ffff:203.0.113.9", "2001:db8::/32"} {
		if err := o.closes(admin.BanAdd, target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// A name that the directory does not know may be let in again when something is
// kept of it.
func TestUnknownNameThatIsKept(t *testing.T) {
	o := openOffice(t)
	name, err := account.ParseName("left@contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	h := guard.Hold{Until: time.Now().Add(time.Hour), By: "ops", Why: "test"}
	if err := o.guard.LockUser(t.Context(), o.guard.UserKey("", name), h); err != nil {
		t.Fatal(err)
	}
	if err := o.client.Call(t.Context(), admin.LockClear, admin.Close{Target: "left@contoso.example", Reason: "test"}, new(admin.Done)); err != nil {
		t.Error(err)
	}
}

// The calls are a closed set of strict JSON.
func TestWrongCalls(t *testing.T) {
	o := openOffice(t)
	web := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", o.client.Socket)
	}}}
	defer web.CloseIdleConnections()
	for _, v := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/lock-list", `{}`, 200},
		{"GET", "/lock-list", ``, 405},
		{"POST", "/lock-list", ``, 400},
		{"POST", "/lock-list", `{"all":true}`, 400},
		{"POST", "/lock-list", `{}{}`, 400},
		{"POST", "/lock-list/", `{}`, 404},
		{"POST", "/", `{}`, 404},
		{"POST", "/lock-add", `{"target":"` + alice + `","seconds":60,"reason":"test"}`, 200},
		{"POST", "/lock-add", `{"target":"` + alice + `","seconds":60}`, 422},
		{"POST", "/lock-add", `{"target":"` + alice + `","seconds":60,"reason":"a\nb"}`, 422},
		{"POST", "/lock-add", `{"target":"` + alice + `","seconds":60,"reason":"` + strings.Repeat("x", 201) + `"}`, 422},
		{"POST", "/lock-add", `{"target":"` + alice + `","seconds":-60,"reason":"test"}`, 422},
		{"POST", "/lock-add", `{"target":"` + alice + `","reason":"test"}`, 422},
		{"POST", "/lock-clear", `{"target":"` + alice + `","seconds":60,"reason":"test"}`, 400},
		{"POST", "/lock-add", `{"target":"` + strings.Repeat("a", 20<<10) + `"}`, 400},
	} {
		r, err := http.NewRequest(v.method, "http://stsgate"+v.path, strings.NewReader(v.body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != v.want || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %.80s: got %d, want %d", v.method, v.path, v.body, a.StatusCode, v.want)
		}
	}
}

// The client says what to do when nobody answers.
func TestNobodyAnswers(t *testing.T) {
	dir := folder(t)
	call := func(path string) error {
		return admin.Client{Socket: path}.Call(t.Context(), admin.LockList, admin.Nothing{}, new(admin.List))
	}
	if err := call(filepath.Join(dir, "admin.sock")); err == nil || !strings.Contains(err.Error(), "start the gateway") {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "dead.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := call(filepath.Join(dir, "dead.sock")); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("a dead socket: %v", err)
	}
}
