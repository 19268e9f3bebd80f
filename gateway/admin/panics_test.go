package admin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/gateway/admin"
	"stsgate/gateway/state"
)

// A hider has a secret in it.
type hider struct{ password string }

func (h hider) Error() string { return h.password }

// AUD-05, FAIL-05: of a panic the log says where it was, and not its value, at
// whatever level; its connection ends, and nothing else.
func TestPanicIsContained(t *testing.T) {
	const canary = "c4n4ry-7b1e5d2c8064-in-a-panic"
	for name, value := range map[string]any{"text": canary, "error": errors.New(canary), "own error": hider{canary}, "pointer": &hider{canary}} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, state.NewKey())
			o.client.Socket = filepath.Join(folder(t), "admin.sock")
			l, err := admin.Listen(o.client.Socket, "")
			if err != nil {
				t.Fatal(err)
			}
			o.panics = value
			s := &httptest.Server{Listener: l, Config: o.desk.Server()}
			s.Start()
			if err := o.client.Call(t.Context(), admin.LockList, admin.Who{}, nil); err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("answered with %v", err)
			}
			o.mu.Lock()
			o.panics = nil
			o.mu.Unlock()
			if err := o.client.Call(t.Context(), admin.LockList, admin.Who{}, new(admin.List)); err != nil {
				t.Errorf("after it: %v", err)
			}
			s.Close() // the log is whole
			if text := o.log.String(); strings.Contains(text, canary) || !strings.Contains(text, "desk_test.go") || !strings.Contains(text, "panic of type") {
				t.Errorf("logged %s", text)
			}
		})
	}
}

// What wraps a handler lets an answer pass as it is.
func TestContainPasses(t *testing.T) {
	h := admin.Contain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil)
	if w := ask(h, "GET", "/"); w.Code != http.StatusTeapot {
		t.Errorf("got %d", w.Code)
	}
}
