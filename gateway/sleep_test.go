package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"stsgate/gateway/wstrust"
)

// MFA-16, AUD-05: while the user is waited for, neither the password nor the
// message is in memory, and of the farm's answer one copy, which goes out as it
// came and is overwritten then. A repeat that comes meanwhile is still known.
func TestHeldIsShed(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f, a := newFactored(t, asking("hold"), nil), aliases{}
		var answer []byte
		f.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
			message := answerTo(t, r)
			if answer == nil { // the first
				a.note(t, "body", r.Body)
				a.note(t, "password", r.Password.Bytes())
				a.note(t, "farm's answer", message)
				answer = bytes.Clone(message)
			}
			return readAnswer(message, r)
		}
		message := modern.query(nil)
		r := modern.post(message)
		r.Body = io.NopCloser(reading{r.Body, t, a})
		waits := f.start(r)
		a.wiped(t, "buffer", "body", "password", "farm's answer")

		repeat := f.start(modern.post(message))
		another := f.start(modern.post(modern.query(func(q *wstrust.Query) { q.MessageID = "urn:uuid:another" })))
		if n := len(f.farm.asked); n != 2 {
			t.Errorf("the farm was asked %d times, want 2: a repeat is none, and another message is", n)
		}
		f.approve(t, "")
		for name, c := range map[string]chan *recorder{"held": waits, "repeat": repeat} {
			if w := <-c; w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), answer) {
				t.Errorf("%s: got %d, and another answer than the farm's", name, w.Code)
			}
		}
		<-another
	})
}

// A request with a code is shed like another when a second rule has its user
// asked, too.
func TestHeldWithACode(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, asking("hold")+"  - {name: a code, match: everyone, require: {mfa: {shapes: [code], factors: [totp]}}}\n", nil)
		waits := f.start(modern.post(modern.query(typed("urn:payroll", password+","+f.code(t)))))
		f.approve(t, "")
		if w := <-waits; w.Code != http.StatusOK || list(f.last()["labels.assurance"]) != "otp approve-only" {
			t.Errorf("got %d %s, %v", w.Code, w.Body, f.last())
		}
	})
}
