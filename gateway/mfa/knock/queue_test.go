package knock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
)

func notice(id string) knock.Notice {
	return knock.Notice{ID: id, What: knock.Bound, To: she, Factor: "totp", At: time.Now()}
}

// MFA-12: a notice is in the store when Notify returns, and whatever gateway
// lives delivers it, once where nothing fails.
func TestNoticeIsDelivered(t *testing.T) {
	r := receive(t, nil)
	store := state.NewMemory(nil)
	c := knock.Config{Store: store, Webhooks: []knock.Webhook{r.webhook("chat")}}
	died := newService(t, c) // and never runs
	for i := range 20 {
		if err := died.Notify(t.Context(), notice(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := died.Notify(t.Context(), notice("0")); err != nil {
		t.Errorf("the same once more: %v", err)
	}
	for range 3 {
		run(t, c)
	}
	eventually(t, "all delivered", func() bool {
		left, err := store.List(t.Context(), state.Notices.Key("notice"))
		return err == nil && len(left) == 0
	})
	if n := len(r.all()); n != 20 {
		t.Errorf("posted %d times, want 20", n)
	}
	if body := r.all()[0].body; !strings.Contains(body, `"event":"bound"`) || !strings.Contains(body, "An authenticator (totp) was added to your account.") {
		t.Errorf("posted %s", body)
	}
}

// MFA-12: a notice says which authenticator it was and where it was done, also
// where there is no portal to send its user to (MFA-22: in no words of a client).
func TestNoticeSaysWhich(t *testing.T) {
	r := receive(t, nil)
	w := r.webhook("desk")
	w.NoticesOnly = true
	log, metrics := slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry()
	s, err := knock.New(knock.Config{Store: state.NewMemory(nil), Webhooks: []knock.Webhook{w}, Metrics: metrics, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	defer running.Wait()
	defer stop()
	n := notice("")
	n.What, n.Added = knock.Disabled, time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	n.Address, n.Place, n.At = netip.MustParseAddr("2001:db8::7%evil.example"), "AT", time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	if err := s.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	eventually(t, "posted", func() bool { return len(r.all()) == 1 })
	const want = "An authenticator (totp) of your account was closed, since too many wrong codes were tried. It was added on 4 March 2026. " +
		"It was done from 2001:db8::7 (AT). If this was not you, tell your help desk. Time: 2026-11-28 09:00:00 UTC."
	if body := r.all()[0].body; !strings.Contains(body, want+`"`) {
		t.Errorf("posted %s, want %s", body, want)
	}
	// MFA-13: of a recovery code it says what came in its place, or how many are left.
	used := notice("")
	used.What, used.Replaced = knock.RecoveryUsed, true
	spent := used
	spent.Replaced, spent.Left = false, 7
	for i, c := range []struct {
		notice knock.Notice
		want   string
	}{
		{used, "A recovery code of your account was used. A new one was shown in its place."},
		{spent, "A recovery code of your account was used. Codes that are left: 7. Make new ones where your authenticators are."},
	} {
		if err := s.Notify(t.Context(), c.notice); err != nil {
			t.Fatal(err)
		}
		eventually(t, "posted", func() bool { return len(r.all()) == i+2 })
		if body := r.all()[i+1].body; !strings.Contains(body, c.want) {
			t.Errorf("posted %s, want %s", body, c.want)
		}
	}
	w.NoticesOnly = false
	if knock.Check("", []knock.Webhook{w}, nil) == nil {
		t.Error("prompts need no portal")
	}
}

// A channel that fails gets it later, and the others not again.
func TestNoticeIsTriedAgain(t *testing.T) {
	good := receive(t, nil)
	bad := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s := run(t, knock.Config{Webhooks: []knock.Webhook{good.webhook("good"), bad.webhook("bad")}})
	if err := s.Notify(t.Context(), notice("")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "delivered", func() bool { return s.count(t, "bad", "sent") == 1 })
	if n, m := len(good.all()), len(bad.all()); n != 1 || m != 2 {
		t.Errorf("posted %d and %d times, want 1 and 2", n, m)
	}
}

// A notice that could not be queued is not taken.
func TestNoticeNeedsTheStore(t *testing.T) {
	r := receive(t, nil)
	store := &statetest.Faulty{Store: state.NewMemory(nil)}
	s := newService(t, knock.Config{Store: store, Webhooks: []knock.Webhook{r.webhook("chat")}})
	for _, f := range []statetest.Fault{statetest.Fail, statetest.FailPersisted, statetest.FailLost} {
		store.Break(func(string, state.Key) statetest.Fault { return f })
		if err := s.Notify(t.Context(), notice(fmt.Sprint(f))); err == nil {
			t.Errorf("fault %v: taken", f)
		} else if f != statetest.Fail && !errors.Is(err, state.ErrUnknown) {
			t.Errorf("fault %v: %v", f, err)
		}
	}
	if err := s.Notify(t.Context(), knock.Notice{What: "news", To: she}); err == nil {
		t.Error("a notice of nothing was taken")
	}
	if err := newService(t, knock.Config{}).Notify(t.Context(), notice("")); err != nil {
		t.Errorf("without channels: %v", err)
	}
}

// A notice that only names its user goes to where the user was last known to be
// told, on any gateway.
func TestKnownRecipients(t *testing.T) {
	r := receive(t, nil)
	c := knock.Config{Store: state.NewMemory(nil), Webhooks: []knock.Webhook{r.webhook("chat")}}
	first, second := newService(t, c), run(t, c)
	first.Know(t.Context(), knock.Recipient{ID: alice, Name: "old@contoso.example", Mail: "old@contoso.example"})
	first.Know(t.Context(), she)
	first.Know(t.Context(), knock.Recipient{ID: alice}) // tells nothing
	n := notice("")
	n.To = knock.Recipient{ID: alice}
	if err := second.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	eventually(t, "posted", func() bool { return len(r.all()) == 1 })
	if body := r.all()[0].body; !strings.Contains(body, `"mail":"alice@contoso.example"`) {
		t.Errorf("posted %s", body)
	}
}
