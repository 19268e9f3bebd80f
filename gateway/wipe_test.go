package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/wstrust"
)

// aliases are slices that something of ours was handed, to be looked at when
// the exchange is over.
type aliases map[string][]byte

// note keeps the slice itself.
func (a aliases) note(t *testing.T, name string, b []byte) {
	t.Helper()
	if len(bytes.Trim(b, "\x00")) == 0 {
		t.Errorf("the %s is empty before the end", name)
	}
	a[name] = b[:len(b):len(b)]
}

// wiped checks that nothing is left in the slices, and that they are these.
func (a aliases) wiped(t *testing.T, names ...string) {
	t.Helper()
	if len(a) != len(names) {
		t.Errorf("got %d slices, want %v", len(a), names)
	}
	for _, name := range names {
		if left := bytes.Trim(a[name], "\x00"); len(left) > 0 || a[name] == nil {
			t.Errorf("the %s still holds %d bytes: %q", name, len(left), left)
		}
	}
}

// A reading notes the buffer that the body is read into.
type reading struct {
	io.Reader
	t *testing.T
	a aliases
}

func (r reading) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.a.note(r.t, "buffer", p[:n])
	}
	return n, err
}

// A writing notes the answer.
type writing struct {
	*recorder
	t *testing.T
	a aliases
}

func (w writing) Write(b []byte) (int, error) {
	w.a.note(w.t, "answer", b)
	return w.recorder.Write(b)
}

// MFA-16, AUD-05: what held the password or the token is overwritten when the
// exchange is over, however it ended.
func TestWipe(t *testing.T) {
	forwarding := func(bend func([]byte) []byte) func(*testing.T, *gate, aliases) {
		return func(t *testing.T, g *gate, a aliases) {
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				a.note(t, "body", r.Body)
				a.note(t, "password", r.Password.Bytes())
				message := bend(answerTo(t, r))
				a.note(t, "farm's answer", message)
				return readAnswer(message, r)
			}
		}
	}
	for _, c := range []struct {
		name    string
		realm   string
		arrange func(*testing.T, *gate, aliases)
		status  int
		wiped   []string
	}{
		{"forwarded", cloud, forwarding(func(b []byte) []byte { return b }), 200, []string{"buffer", "body", "password", "farm's answer", "answer"}},
		{"dropped", cloud, forwarding(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(alice.UPN), []byte(bob.UPN))
		}), 500, []string{"buffer", "body", "password", "farm's answer"}},
		{"issued", "urn:payroll", func(t *testing.T, g *gate, a aliases) {
			g.sts.authenticate = func(_ context.Context, _ account.Name, p account.Password) (account.Account, error) {
				a.note(t, "password", p.Bytes())
				return alice, nil
			}
			g.sts.issue = func(grant *wstrust.Grant) (*wstrust.Issued, error) {
				i := &wstrust.Issued{Assertion: []byte("<assertion/>"), ID: "_1", Lifetime: grant.Lifetime}
				a.note(t, "assertion", i.Assertion)
				return i, nil
			}
		}, 200, []string{"buffer", "password", "assertion", "answer"}},
		{"panic", cloud, func(t *testing.T, g *gate, a aliases) {
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				a.note(t, "password", r.Password.Bytes())
				panic("x")
			}
		}, 500, []string{"buffer", "password"}},
		{"denied", "urn:closed", func(*testing.T, *gate, aliases) {}, 500, []string{"buffer"}},
		{"malformed", "no URI", func(*testing.T, *gate, aliases) {}, 500, []string{"buffer"}},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g, a := newGate(t, nil), aliases{}
			c.arrange(t, g, a)
			r := modern.post(modern.query(func(q *wstrust.Query) { q.AppliesTo = c.realm }))
			r.Body = io.NopCloser(reading{r.Body, t, a})
			w := &recorder{ResponseRecorder: httptest.NewRecorder()}
			if c.status == 200 {
				g.serveTo(writing{w, t, a}, r)
			} else {
				g.serveTo(w, r)
			}
			if w.Code != c.status {
				t.Errorf("got status %d %s, want %d", w.Code, w.Body, c.status)
			}
			a.wiped(t, c.wiped...)
		})
	}
}

// A body that is not read to its end is overwritten too, and so are the
// buffers that it outgrew. Each body is larger than any buffer before it.
func TestWipeOfUnreadBody(t *testing.T) {
	const limit = 800_000
	text := func(n int) io.Reader { return bytes.NewReader(bytes.Repeat([]byte("a"), n)) }
	for _, c := range []struct {
		name string
		body io.Reader
		want int
	}{
		{"broken", io.MultiReader(text(200_000), broken{}), 400},
		{"malformed", text(400_000), 500},
		{"too large", text(limit + 1), 413},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { c.MaxBody = limit })
			r := modern.post(nil)
			r.ContentLength = -1
			buffers := &everyBuffer{Reader: c.body}
			r.Body = io.NopCloser(buffers)
			if w := g.serve(r); w.Code != c.want {
				t.Errorf("got status %d, want %d", w.Code, c.want)
			}
			for i, b := range buffers.all {
				if left := bytes.Trim(b, "\x00"); len(left) > 0 {
					t.Errorf("piece %d still holds %d bytes", i, len(left))
				}
			}
		})
	}
}

// An everyBuffer keeps every slice that it is read into.
type everyBuffer struct {
	io.Reader
	all [][]byte
}

func (r *everyBuffer) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.all = append(r.all, p[:n])
	}
	return n, err
}

// MFA-16: a token that waits for its user is there until the user answers; when
// that is no, when nobody answers or the client has gone, it is overwritten, and
// so is the password.
func TestWipeHeld(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *factored, context.CancelFunc){
		"denied":      func(t *testing.T, f *factored, _ context.CancelFunc) { f.answer(t, mfa.Decision{Verdict: mfa.Deny}) },
		"not me":      func(t *testing.T, f *factored, _ context.CancelFunc) { f.answer(t, mfa.Decision{Verdict: mfa.NotMe}) },
		"expired":     func(*testing.T, *factored, context.CancelFunc) {},
		"client gone": func(_ *testing.T, _ *factored, hangUp context.CancelFunc) { hangUp() },
		"approved":    func(t *testing.T, f *factored, _ context.CancelFunc) { f.approve(t, "") },
	} {
		atFresh(t, name, func(t *testing.T) {
			f, a := newFactored(t, asking("hold"), nil), aliases{}
			f.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				message := answerTo(t, r)
				answer, err := readAnswer(message, r)
				a.note(t, "password", r.Password.Bytes())
				return answer, err
			}
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			w := f.start(modern.post(modern.query(nil)).WithContext(ctx))
			synctest.Wait()
			kept := f.Kept()
			if f.prompts.Load() != 1 || len(kept) != 1 {
				t.Fatalf("%d prompts, and %d answers wait", f.prompts.Load(), len(kept))
			}
			a.note(t, "farm's answer", kept[0])
			end(t, f, hangUp)
			if got := <-w; (got.Code == http.StatusOK) != (name == "approved") {
				t.Errorf("got status %d", got.Code)
			}
			a.wiped(t, "password", "farm's answer")
		})
	}
}
