package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
)

// A torturer lets every call of a dependency pass but one.
type torturer struct {
	at    int // the call that does not
	calls atomic.Int32
	fails func() error
	quiet bool // it returns nothing, and no error
}

// strike tells whether this call is the one, and with what error it ends.
func (t *torturer) strike() (bool, error) {
	if int(t.calls.Add(1))-1 != t.at {
		return false, nil
	}
	return true, t.fails()
}

// struck tells that there was such a call.
func (t *torturer) struck() bool { return int(t.calls.Load()) > t.at }

type torturedFarm struct {
	*torturer
	gateway.Forwarder
}

func (f torturedFarm) Forward(ctx context.Context, r *wstrust.Request, o wstrust.Origin) (*wstrust.Answer, error) {
	if hit, err := f.strike(); hit {
		return nil, err
	}
	return f.Forwarder.Forward(ctx, r, o)
}

type torturedIssuer struct {
	*torturer
	gateway.Issuer
}

func (i torturedIssuer) Authenticate(ctx context.Context, name account.Name, p account.Password) (account.Account, error) {
	if hit, err := i.strike(); hit {
		return account.Account{}, err
	}
	return i.Issuer.Authenticate(ctx, name, p)
}

func (i torturedIssuer) Issue(ctx context.Context, r *wstrust.Request, g *wstrust.Grant) (*wstrust.Issued, error) {
	if hit, err := i.strike(); hit {
		return nil, err
	}
	return i.Issuer.Issue(ctx, r, g)
}

type torturedDirectory struct {
	*torturer
	gateway.Directory
}

func (d torturedDirectory) Lookup(ctx context.Context, name account.Name) (account.Account, error) {
	if hit, err := d.strike(); hit {
		return account.Account{}, err
	}
	return d.Directory.Lookup(ctx, name)
}

func (d torturedDirectory) Verify(ctx context.Context, a account.Account, p account.Password) error {
	if hit, err := d.strike(); hit {
		return err
	}
	return d.Directory.Verify(ctx, a, p)
}

type torturedBody struct {
	*torturer
	io.Reader
}

func (b torturedBody) Read(p []byte) (int, error) {
	if hit, err := b.strike(); hit {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (torturedBody) Close() error { return nil }

type torturedStore struct {
	*torturer
	state.Store
}

func (s torturedStore) Create(ctx context.Context, k state.Key, value []byte, ttl time.Duration) (uint64, error) {
	if hit, err := s.strike(); hit {
		return 0, err
	}
	return s.Store.Create(ctx, k, value, ttl)
}

func (s torturedStore) CompareAndSwap(ctx context.Context, k state.Key, revision uint64, value []byte, ttl time.Duration) (uint64, error) {
	if hit, err := s.strike(); hit {
		return 0, err
	}
	return s.Store.CompareAndSwap(ctx, k, revision, value, ttl)
}

type torturedWriter struct {
	*torturer
	*recorder
}

func (w torturedWriter) SetReadDeadline(time.Time) error {
	_, err := w.strike()
	return err
}

// harms are the ways in which a call can end that should not.
var harms = map[string]func() error{
	"an error":        func() error { return errors.New("broken") },
	"no time left":    func() error { return context.DeadlineExceeded },
	"an unknown user": func() error { return account.ErrUnknown },
	"a refusal":       func() error { return account.ErrDenied },
	"a lost write":    func() error { return state.ErrUnknown },
	"a panic":         func() error { panic("broken") },
	"a fault of ours": func() error { var none *torturer; none.at++; return nil },
}

// FAIL-04, FAIL-05: whichever call of whatever the gateway depends on ends in an
// error or a panic, there is no token, and one record that says so. Each request
// is repeated with the next call broken, until none is left to break.
func TestTorture(t *testing.T) {
	requests := map[string]struct {
		change func(*wstrust.Query)
		least  int // calls there are
	}{
		"forwarded":              {nil, 4},
		"issued":                 {func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, 5},
		"a wrong password":       {func(q *wstrust.Query) { q.Password = account.NewPassword([]byte("wrong")); q.AppliesTo = "urn:payroll" }, 5},
		"nobody":                 {func(q *wstrust.Query) { q.Username = "nobody@contoso.example" }, 4},
		"denied":                 {func(q *wstrust.Query) { q.Username = mallory.UPN }, 3},
		"an unknown application": {func(q *wstrust.Query) { q.AppliesTo = "urn:none" }, 3},
	}
	for name, r := range requests {
		for harm, fails := range harms {
			atFresh(t, name+", "+harm, func(t *testing.T) {
				at := 0
				for ; ; at++ {
					tr := &torturer{at: at, fails: fails}
					if torture(t, tr, r.change); !tr.struck() {
						break
					}
				}
				if at < r.least {
					t.Errorf("%d calls were broken, want %d or more", at, r.least)
				}
			})
		}
	}
}

// A dependency that returns nothing and no error grants nothing either.
func TestTortureByNothing(t *testing.T) {
	for name, change := range map[string]func(*wstrust.Query){
		"forwarded": nil, "issued": func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" },
	} {
		atFresh(t, name, func(t *testing.T) {
			at := 0
			for ; ; at++ {
				tr := &torturer{at: at, quiet: true, fails: func() error { return nil }}
				if torture(t, tr, change); !tr.struck() {
					break
				}
			}
			if at < 2 {
				t.Errorf("%d calls returned nothing, want 2 or more", at)
			}
		})
	}
}

// torture sends one request to a new gateway, all of whose dependencies obey tr.
func torture(t *testing.T, tr *torturer, change func(*wstrust.Query)) {
	t.Helper()
	g := newGate(t, func(c *gateway.Config) {
		c.Forwarder, c.Issuer, c.Directory = torturedFarm{tr, c.Forwarder}, torturedIssuer{tr, c.Issuer}, torturedDirectory{tr, c.Directory}
		c.Guard = newGuard(t, torturedStore{tr, state.NewMemory(nil)}, false)
	})
	in := modern.post(modern.query(change))
	w := torturedWriter{tr, &recorder{ResponseRecorder: httptest.NewRecorder()}}
	if !tr.quiet {
		in.Body = torturedBody{tr, in.Body}
	}
	var out http.ResponseWriter = w
	if tr.quiet {
		out = w.recorder
	}
	g.serveTo(out, in)
	token := strings.Contains(w.Body.String(), "Assertion") || w.Code == http.StatusOK
	all := g.records()
	switch {
	case tr.struck() && token:
		t.Errorf("call %d: a token came", tr.at)
	case len(all) != 1:
		t.Errorf("call %d: %d records, want 1", tr.at, len(all))
	case tr.struck() && (all[0]["event.outcome"] != "failure" || all[0]["event.reason"] == "ok"):
		t.Errorf("call %d: the record is %v", tr.at, all[0])
	}
}
